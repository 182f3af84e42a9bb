//! The decapsulators as a whole under arbitrary bytes: the committed corpus, cut at every point, and
//! a fixed number of mutations of it, the same ones each time.  An input that fails is printed, to
//! be kept in `corpus/decap`.  `fuzz/` runs the same body with libFuzzer.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "frames here are made by the test itself")]

mod common;
#[path = "common/decap.rs"]
mod decap;
#[path = "common/random.rs"]
mod random;
#[path = "common/tunnels.rs"]
mod tunnels;

use decap::run;
use random::Random;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use tunnels::fix_ipv4;

/// Mutated inputs.
const ROUNDS: u32 = 20_000;

/// Runs one input, and on a panic says how to keep it.
fn check(data: &[u8]) -> usize {
    let sent = catch_unwind(AssertUnwindSafe(|| run(data)));
    let hex = data.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    assert!(sent.is_ok(), "keep as tests/corpus/decap/<what>.hex: {hex}");
    sent.map_or(0, |sent| sent.len())
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/decap"))
}

/// Inputs that libFuzzer found to reach something new, one in each line.
fn found() -> Vec<Vec<u8>> {
    std::fs::read_to_string(folder().join("found.txt")).unwrap().lines().map(unhex).collect()
}

/// Inputs made by hand, by name.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|file| file.extension().is_some_and(|extension| extension == "hex")).collect();
    files.sort();
    files
        .iter()
        .map(|file| {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            (name, unhex(&std::fs::read_to_string(file).unwrap()))
        })
        .collect()
}

#[test]
fn the_corpus_passes_at_every_length() {
    let corpus = corpus();
    assert!(corpus.len() >= 12, "the corpus is there");
    for (name, data) in &corpus {
        let sent = check(data);
        // Good ones are named so: a corpus that only fails early would test little.
        assert_eq!(sent > 0, name.starts_with("good-"), "{name}");
        for len in 0..data.len() {
            check(&data[..len]);
        }
    }
}

#[test]
fn what_was_found_passes_at_every_length() {
    let found = found();
    assert!(found.len() >= 50, "what was found is there");
    for data in &found {
        for len in 0..=data.len() {
            check(&data[..len]);
        }
    }
}

#[test]
fn mutations_of_the_corpus_pass() {
    let corpus = corpus();
    let mut random = Random(8);
    let mut forwarded = 0;
    for _ in 0..ROUNDS {
        let (_, mut data) = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(3) {
            random.mutate(&mut data);
        }
        if random.below(2) == 0 && data.len() > 34 && data[12] == 8 {
            data = fix_ipv4(data);
        }
        forwarded += u32::from(check(&data) > 0);
    }
    assert!(forwarded > ROUNDS / 10, "mutations mostly fail at the first check: {forwarded}");
}
