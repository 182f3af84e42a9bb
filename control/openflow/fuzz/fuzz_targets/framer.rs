//! A stream of any bytes: messages are as long as they say.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    weft_openflow::fuzz_targets::run("framer", data);
});
