//! Runs the fuzz targets without a fuzzer: over the corpus, over every input that was ever
//! rejected, and over a fixed number of mutations of them, the same ones each time.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use weft_wire::fuzz_targets::{ALL, run};

/// Mutated inputs per target.
const ROUNDS: u32 = 20_000;

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    assert!(digits.len().is_multiple_of(2), "odd number of digits");
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn hex(data: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap();
    data.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}

/// Inputs of the corpus by target: a `.hex` file has one, `found.txt` one in each line.
fn corpus() -> BTreeMap<String, Vec<Vec<u8>>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut corpus = BTreeMap::new();
    for folder in fs::read_dir(root).unwrap().map(Result::unwrap) {
        let target = folder.file_name().into_string().unwrap();
        assert!(ALL.iter().any(|(name, _)| *name == target), "corpus of no target: {target}");
        let mut files: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let read = |file: &PathBuf| {
            let text = fs::read_to_string(file).unwrap();
            let has_many = file.extension().is_some_and(|extension| extension == "txt");
            if has_many { text.lines().map(unhex).collect() } else { vec![unhex(&text)] }
        };
        let inputs = files.iter().flat_map(read).collect();
        corpus.insert(target, inputs);
    }
    corpus
}

/// Runs one input, and on a panic says how to keep it.
fn check(target: &str, data: &[u8]) {
    let is_fine = catch_unwind(AssertUnwindSafe(|| run(target, data))).is_ok();
    let input = if is_fine { String::new() } else { hex(data) };
    assert!(is_fine, "{target} fails; keep as tests/rejected/{target}-<what>.txt:\n{input}");
}

/// `SplitMix64`, so that mutations need no crate and never change.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    /// Changes, cuts or extends `data`.
    fn mutate(&mut self, data: &mut Vec<u8>) {
        const EDGES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
        let at = self.below(data.len());
        match self.below(6) {
            0 if !data.is_empty() => data[at] = self.byte(),
            1 if !data.is_empty() => data[at] ^= 1 << self.below(8),
            2 if !data.is_empty() => data[at] = EDGES[self.below(EDGES.len())],
            3 => data.truncate(at),
            4 => data.extend((0..self.below(40)).map(|n| if n % 3 == 0 { 0xff } else { 0x5a })),
            _ if data.len() < 2000 => {
                let byte = self.byte();
                data.insert(at, byte);
            }
            _ => {}
        }
    }
}

#[test]
fn every_target_has_a_corpus_and_passes_it() {
    let corpus = corpus();
    for (target, _) in ALL {
        let inputs = corpus.get(target).map_or(&[][..], Vec::as_slice);
        assert!(inputs.len() >= 2, "no corpus for {target}");
        for input in inputs {
            for len in 0..=input.len() {
                check(target, &input[..len]);
            }
        }
    }
}

#[test]
fn inputs_that_were_rejected_once_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rejected");
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        let (input, why) = text.split_once('\n').unwrap_or_default();
        assert!(why.trim().len() > 20, "{name}: the file says what went wrong below the input");
        let target = name.split('-').next().unwrap();
        let mut is_known = false;
        for (known, _) in ALL.iter().filter(|(known, _)| target == "all" || target == *known) {
            is_known = true;
            check(known, &unhex(input));
        }
        assert!(is_known, "{name}: no target {target}");
        count += 1;
    }
    assert!(count > 0, "no rejected inputs found");
}

#[test]
fn mutated_inputs_pass() {
    let corpus = corpus();
    // Inputs of all targets are tried on each: a frame is a header of some kind to everybody.
    let foreign: Vec<&Vec<u8>> = corpus.values().flatten().collect();
    for (number, (target, _)) in ALL.iter().enumerate() {
        let own = &corpus[*target];
        let mut random = Random(u64::try_from(number).unwrap());
        for round in 0..ROUNDS {
            let mut input = if round % 4 == 3 {
                foreign[random.below(foreign.len())].clone()
            } else {
                own[random.below(own.len())].clone()
            };
            for _ in 0..=random.below(5) {
                random.mutate(&mut input);
            }
            check(target, &input);
        }
    }
}

/// The fuzz crate's manifest and its binaries name the same targets as the list.
#[test]
fn the_fuzz_crate_has_all_targets() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    assert_eq!(manifest.matches("[[bin]]").count(), ALL.len());
    for (target, _) in ALL {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
        let body = fs::read_to_string(folder.join(format!("fuzz_targets/{target}.rs"))).unwrap();
        assert!(body.contains(&format!("run(\"{target}\", data)")), "{target}");
    }
}
