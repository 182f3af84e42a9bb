//! The decapsulators as a whole under arbitrary bytes: the committed corpus, cut at every point, and
//! a fixed number of mutations of it, the same ones each time.  An input that fails is printed, to
//! be kept in `corpus/decap`.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "frames here are made by the test itself")]

mod common;
#[path = "common/random.rs"]
mod random;
#[path = "common/tunnels.rs"]
mod tunnels;

use common::Switch;
use random::Random;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use tunnels::*;
use weft_switch::{Csum, DropReason, InKey, LinkId, Tick, TunnelConf};

/// Mutated inputs.
const ROUNDS: u32 = 20_000;

/// Tunnels of every type from `ends`, with keys and without, and one that takes from anyone.
fn switch() -> Switch {
    let mut tunnels = Vec::new();
    for encap in ENCAPS {
        for is_v6 in [false, true] {
            let [remote, local] = ends(is_v6);
            tunnels.push(tunnel(encap, local, remote));
            let mut keyed = tunnel(encap, local, remote);
            (keyed.in_key, keyed.csum) = (InKey::Exact(7), Csum::Off);
            tunnels.push(keyed);
        }
    }
    let mut any = TunnelConf::new(GENEVE, None);
    any.in_key = InKey::Any;
    tunnels.push(any);
    // What a frame to its own sender teaches is another matter.
    Switch::new(bridge(1, &tunnels, false))
}

/// Runs one frame; says what became of it.
fn run(data: &[u8]) -> Vec<(LinkId, Vec<u8>)> {
    let mut far = switch();
    let sent = far.receive(UNDERLAY, &[data.to_vec()], Tick(0));
    let dropped: u64 = DropReason::ALL
        .iter()
        .map(|&reason| {
            let counters = &far.datapath.counters;
            let ports = (0..20).filter_map(|id| counters.port(weft_switch::PortId(id)));
            ports.map(|port| port.rx_drops[reason as usize]).sum::<u64>()
                + counters.link(UNDERLAY).unwrap().rx_drops[reason as usize]
        })
        .sum();
    assert!(dropped <= 1, "dropped twice");
    assert!(dropped == 1 || !sent.is_empty(), "neither forwarded nor counted");
    // What the VIF gets is a piece of what came in, but for ECN bits and the sum over them.
    for (_, inner) in sent.iter().filter(|(link, _)| *link == VIF) {
        let payload = &inner[inner.len().min(40)..];
        let end = payload.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let is_part = data.windows(end.max(1)).any(|window| window[..end] == payload[..end]);
        assert!(is_part, "bytes that did not come in go out");
    }
    sent
}

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

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/decap");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let unhex = |text: &str| -> Vec<u8> {
        let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    };
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
