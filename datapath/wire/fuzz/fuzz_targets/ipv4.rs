//! Fuzzes `weft_wire::fuzz_targets`, target "ipv4".
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    weft_wire::fuzz_targets::run("ipv4", data);
});
