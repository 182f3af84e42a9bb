//! Recorded messages: of ovs-ofctl, ovn-controller, and stock Open vSwitch 3.1.
#![allow(dead_code, reason = "each test uses some of it")]

use std::fs;
use std::path::Path;

/// A recorded message.
pub struct Message {
    /// What was recorded, and the line.
    pub place: String,
    /// True when the switch sent it.
    pub is_reply: bool,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What was recorded one after the other on one connection.
pub type Conversation = Vec<Message>;

pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    assert!(digits.len().is_multiple_of(2), "odd number of digits");
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

pub fn hex(data: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap();
    data.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}

/// All recordings: a line with `#` begins a conversation, `>` is what the switch got, `<` what it
/// said.
pub fn conversations() -> Vec<Conversation> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut files: Vec<_> = fs::read_dir(root).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let mut title = String::new();
        for (number, line) in (1..).zip(fs::read_to_string(&file).unwrap().lines()) {
            match line.split_at_checked(2) {
                Some(("# ", text)) => {
                    text.clone_into(&mut title);
                    all.push(Vec::new());
                }
                Some((direction @ ("> " | "< "), digits)) => {
                    let place = format!("{name}:{number}: {title}");
                    let bytes = unhex(digits);
                    let conversation: &mut Conversation = all.last_mut().unwrap();
                    conversation.push(Message { place, is_reply: direction == "< ", bytes });
                }
                _ => assert!(line.is_empty(), "{name}:{number}: what is this?"),
            }
        }
    }
    assert!(all.iter().map(Vec::len).sum::<usize>() > 500, "recordings are missing");
    all
}
