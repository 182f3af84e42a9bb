//! The file: any bytes after a good schema record never panic, and the good part ends within them.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use weft_ovsdb::store::record::{load, read_record, record};

const SCHEMA: &str = r#"{"name":"F","version":"1.0.0","tables":{"T":{"isRoot":true,"columns":{
    "s":{"type":{"key":"integer","min":0,"max":"unlimited"}},
    "m":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
    "r":{"type":{"key":{"type":"uuid","refTable":"T"},"min":0}}}}}}"#;

fuzz_target!(|bytes: &[u8]| {
    drop(read_record(bytes));
    let mut file = record(SCHEMA);
    // Raw noise, or the noise as the body of a record with a good hash.
    match std::str::from_utf8(bytes) {
        Ok(text) => file.extend(record(text)),
        Err(_) => file.extend(bytes),
    }
    if let Ok((_, good)) = load(Path::new("fuzz"), &file) {
        assert!(good <= file.len());
    }
});
