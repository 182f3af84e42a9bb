//! Fuzzes `weft_wire::fuzz_targets`, target "classify".
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    weft_wire::fuzz_targets::run("classify", data);
});
