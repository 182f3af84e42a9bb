//! Fuzzes `weft_wire::fuzz_targets`, target "ipv6".
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    weft_wire::fuzz_targets::run("ipv6", data);
});
