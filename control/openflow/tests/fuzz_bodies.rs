//! Runs the fuzz targets without a fuzzer: on recorded messages, and on a fixed number of mutations
//! of them, the same ones each time.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{conversations, hex, unhex};
use std::panic::{AssertUnwindSafe, catch_unwind};
use weft_openflow::fuzz_targets::{ALL, run};

/// Mutated inputs per target.
const ROUNDS: usize = 20_000;

/// Xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        const LIMITS: [u8; 8] = [0, 1, 2, 4, 8, 0x7f, 0x80, 0xff];
        match self.below(3) {
            0 => LIMITS[self.below(LIMITS.len())],
            _ => u8::try_from(self.next() & 0xff).unwrap(),
        }
    }

    /// A few bytes changed, a piece taken out or put in twice, the end cut off.
    fn mutated(&mut self, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => {
                    let end = at + self.below(bytes.len() - at);
                    bytes.drain(at..end);
                }
                2 => {
                    let piece = bytes[at..].to_vec();
                    bytes.extend(piece);
                }
                _ if at < bytes.len() => bytes[at] = self.byte(),
                _ => {}
            }
        }
        bytes
    }
}

fn check(target: &str, data: &[u8]) {
    let is_fine = catch_unwind(AssertUnwindSafe(|| run(target, data))).is_ok();
    assert!(is_fine, "{target} fails on {}", hex(data));
}

/// What the fuzzer found to fail, when it did.
#[test]
fn what_failed_once_holds() {
    for (name, found) in [
        ("request", include_str!("../fuzz/corpus/request/found.txt")),
        ("reply", include_str!("../fuzz/corpus/reply/found.txt")),
    ] {
        for line in found.lines() {
            check(name, &unhex(line));
        }
    }
}

#[test]
fn targets_hold_on_recordings_and_mutations() {
    let inputs: Vec<_> = conversations().into_iter().flatten().map(|m| m.bytes).collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (name, _) in ALL {
        for input in &inputs {
            check(name, input);
        }
        for round in 0..ROUNDS {
            let mutated = random.mutated(&inputs[round % inputs.len()]);
            check(name, &mutated);
        }
    }
}
