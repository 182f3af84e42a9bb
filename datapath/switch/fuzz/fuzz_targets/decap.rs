//! Fuzzes decapsulation as a whole: the body of `tests/decap_fuzz.rs`.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/common/decap.rs"]
mod decap;
#[path = "../../tests/common/tunnels.rs"]
mod tunnels;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    decap::run(data);
});
