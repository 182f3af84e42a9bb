//! What a switch says, read by a client: refused, or read and written again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    weft_openflow::fuzz_targets::run("reply", data);
});
