//! Fuzzes `weft_wire::fuzz_targets`, target "show".
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    weft_wire::fuzz_targets::run("show", data);
});
