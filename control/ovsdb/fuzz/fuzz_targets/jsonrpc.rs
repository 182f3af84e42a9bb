//! Framing: any bytes, in pieces, never panic and never pile up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_ovsdb::jsonrpc::{Framer, Message};

fuzz_target!(|bytes: &[u8]| {
    let mut framer = Framer::new(4096);
    for piece in bytes.chunks(61) {
        framer.push(piece);
        loop {
            match framer.next_message() {
                Ok(Some(json)) => drop(Message::from_json(json)),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(framer.buffered() <= 4096 + 61);
    }
});
