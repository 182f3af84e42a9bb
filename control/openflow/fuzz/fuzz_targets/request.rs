//! What a switch gets: any message is refused, or read and written again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    weft_openflow::fuzz_targets::run("request", data);
});
