//! Conversion: any schema either fits the rows that are there, and then all references hold, or is refused.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use weft_ovsdb::methods::convert::convert;
use weft_ovsdb::store::database::Database;
use weft_ovsdb::value::schema::Schema;
use weft_ovsdb::txn::{Context, execute};

const SCHEMA: &str = r#"{"name":"F","version":"1.0.0","tables":{
    "T":{"isRoot":true,"columns":{"n":{"type":"integer"},"s":{"type":{"key":"string","min":0,"max":"unlimited"}},
        "r":{"type":{"key":{"type":"uuid","refTable":"C"},"min":0,"max":"unlimited"}}}},
    "C":{"columns":{"m":{"type":{"key":"string","value":"integer","min":0,"max":"unlimited"}}}}}}"#;

fuzz_target!(|text: &str| {
    let Ok(schema) = Schema::parse(text) else { return };
    let mut db = Database::new(Arc::new(Schema::parse(SCHEMA).unwrap()));
    let operations = [
        json!({"op": "insert", "table": "C", "uuid-name": "c", "row": {"m": ["map", [["a", 1]]]}}),
        json!({"op": "insert", "table": "T", "row":
            {"n": 7, "s": ["set", ["x", "y"]], "r": ["named-uuid", "c"]}}),
    ];
    let context = Context { owns_lock: &|_| true, waited: Duration::ZERO };
    execute(&mut db, &operations, &context, &mut |_| Ok(()));
    let before = db.row_count();
    if let Ok(new) = convert(&db, &Arc::new(schema)) {
        assert!(new.row_count() <= before);
    }
    assert_eq!(db.row_count(), before);
});
