//! Fuzzes `weft_wire::fuzz_targets`, target "igmp".
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    weft_wire::fuzz_targets::run("igmp", data);
});
