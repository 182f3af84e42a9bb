//! Transactions: any JSON array of operations either happens or leaves no trace.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use weft_ovsdb::store::database::Database;
use weft_ovsdb::value::schema::{Schema, VSWITCH_SCHEMA};
use weft_ovsdb::txn::{Context, Execution, execute};

fuzz_target!(|text: &str| {
    let Ok(Value::Array(operations)) = serde_json::from_str(text) else { return };
    let mut db = Database::new(Arc::new(Schema::parse(VSWITCH_SCHEMA).unwrap()));
    let context = Context { owns_lock: &|_| true, waited: Duration::ZERO };
    for _ in 0..2 {
        let before = db.row_count();
        let execution = execute(&mut db, &operations, &context, &mut |_| Ok(()));
        if !matches!(execution, Execution::Done { commit: Some(_), .. }) {
            assert_eq!(db.row_count(), before);
        }
    }
});
