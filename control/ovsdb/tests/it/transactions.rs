//! Transactions: all or nothing, against a naive model, and the rules of references.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use weft_ovsdb::OvsdbError;
use weft_ovsdb::store::Commit;
use weft_ovsdb::store::database::{Change, Database};
use weft_ovsdb::txn::{Context, Execution, execute};
use weft_ovsdb::value::schema::Schema;

/// Root rows refer strongly and weakly to leaves; leaves are collected; names are unique.
const SCHEMA: &str = r#"{"name": "Model", "version": "1.0.0", "tables": {
  "Root": {"isRoot": true, "maxRows": 3, "columns": {
    "n": {"type": "integer"},
    "strong": {"type": {"key": {"type": "uuid", "refTable": "Leaf"}, "min": 0, "max": "unlimited"}},
    "weak": {"type": {"key": {"type": "uuid", "refTable": "Leaf", "refType": "weak"}, "min": 0, "max": "unlimited"}},
    "map": {"type": {"key": "string", "value": {"type": "uuid", "refTable": "Leaf"}, "min": 0, "max": "unlimited"}}}},
  "Leaf": {"columns": {
    "name": {"type": {"key": {"type": "integer", "minInteger": 0, "maxInteger": 9}}, "mutable": false},
    "size": {"type": {"key": {"type": "integer", "maxInteger": 5}}},
    "next": {"type": {"key": {"type": "uuid", "refTable": "Leaf"}, "min": 0}},
    "must": {"type": {"key": {"type": "uuid", "refTable": "Root", "refType": "weak"}, "min": 0, "max": 2}}},
    "indexes": [["name"]]}}}"#;

fn database() -> Database {
    Database::new(Arc::new(Schema::parse(SCHEMA).unwrap()))
}

fn run(db: &mut Database, operations: &[Value]) -> (Vec<Value>, Option<Commit>) {
    run_with(db, operations, &mut |_| Ok(()))
}

fn run_with(
    db: &mut Database,
    operations: &[Value],
    persist: &mut dyn FnMut(&Commit) -> Result<(), OvsdbError>,
) -> (Vec<Value>, Option<Commit>) {
    let context = Context { owns_lock: &|_| false, waited: Duration::ZERO };
    match execute(db, operations, &context, persist) {
        Execution::Done { results, commit } => {
            (serde_json::from_str(&results.to_string()).unwrap(), commit)
        }
        Execution::Wait { .. } => panic!("no waits here"),
    }
}

/// Every row as text, and so comparable.
fn dump(db: &Database) -> BTreeMap<String, String> {
    let tables = db.schema().tables.iter().enumerate();
    tables
        .flat_map(|(index, table)| {
            let rows = db.table(index).unwrap().rows().iter();
            rows.map(move |(uuid, row)| (format!("{} {uuid}", table.name), format!("{row:?}")))
        })
        .collect()
}

fn uuid(n: u8) -> String {
    uuid::Uuid::from_u128(u128::from(n) + 1).to_string()
}

fn reference(n: u8) -> Value {
    json!(["uuid", uuid(n)])
}

fn references(ns: &[u8]) -> Value {
    let mut ns = ns.to_vec();
    ns.sort_unstable();
    ns.dedup();
    json!(["set", ns.iter().map(|n| reference(*n)).collect::<Vec<_>>()])
}

/// Operations on a handful of rows, many of which fail or break a rule.
fn operation() -> impl Strategy<Value = Value> {
    let n = 0..5_u8;
    let ns = || prop::collection::vec(0..5_u8, 0..3);
    let by = |n: u8| json!([["_uuid", "==", reference(n)]]);
    prop_oneof![
        (n.clone(), ns(), ns()).prop_map(|(n, s, w)| json!({"op": "insert", "table": "Root", "uuid": uuid(n),
            "row": {"n": n, "strong": references(&s), "weak": references(&w)}})),
        (n.clone(), 0..11_i32, prop::option::of(0..5_u8)).prop_map(|(n, name, next)| json!({"op": "insert", "table": "Leaf",
            "uuid": uuid(n), "row": {"name": name, "next": next.map_or(json!(["set", []]), reference)}})),
        (n.clone(), ns()).prop_map(move |(n, s)| json!({"op": "update", "table": "Root", "where": by(n), "row": {"strong": references(&s)}})),
        (ns(), prop::bool::ANY).prop_map(|(s, add)| json!({"op": "mutate", "table": "Root", "where": [],
            "mutations": [["strong", if add { "insert" } else { "delete" }, references(&s)]]})),
        (n.clone(), ns()).prop_map(move |(n, w)| json!({"op": "update", "table": "Root", "where": by(n), "row": {"weak": references(&w)}})),
        (n.clone(), 0..5_u8).prop_map(move |(n, v)| json!({"op": "mutate", "table": "Root", "where": by(n),
            "mutations": [["map", "insert", ["map", [["k", reference(v)]]]]]})),
        (n.clone(), prop::option::of(0..5_u8)).prop_map(move |(n, next)| json!({"op": "update", "table": "Leaf", "where": by(n),
            "row": {"next": next.map_or(json!(["set", []]), reference)}})),
        (n.clone()).prop_map(move |n| json!({"op": "mutate", "table": "Leaf", "where": by(n), "mutations": [["size", "+=", 2]]})),
        (n, prop::bool::ANY).prop_map(move |(n, root)| json!({"op": "delete", "table": if root { "Root" } else { "Leaf" }, "where": by(n)})),
        Just(json!({"op": "comment", "comment": "x"})),
        Just(json!({"op": "abort"})),
    ]
}

/// The rules that hold after every transaction, checked the slow way, from the rows alone.
fn check_rules(db: &Database) {
    let schema = db.schema();
    let [root, leaf] = [0, 1].map(|index| db.table(index).unwrap());
    let column = |table: &str, name: &str| schema.table(table).unwrap().column_index(name).unwrap();
    let (strong, weak) = (column("Root", "strong"), column("Root", "weak"));
    let (map, next, name) = (column("Root", "map"), column("Leaf", "next"), column("Leaf", "name"));
    assert!(root.rows().len() <= 3);
    let mut counts: BTreeMap<uuid::Uuid, usize> = BTreeMap::new();
    for row in root.rows().values() {
        let values = row.columns[map].pairs().iter().filter_map(|(_, value)| value.as_uuid());
        for target in row.columns[strong].uuids().chain(values) {
            assert!(leaf.row(target).is_some(), "a dangling strong reference");
            *counts.entry(target).or_default() += 1;
        }
        assert!(row.columns[weak].uuids().all(|target| leaf.row(target).is_some()));
    }
    let mut names = Vec::new();
    for (uuid, row) in leaf.rows() {
        for target in row.columns[next].uuids() {
            assert!(leaf.row(target).is_some(), "a dangling strong reference");
            if target != *uuid {
                *counts.entry(target).or_default() += 1;
            }
        }
        names.push(row.columns[name].as_int().unwrap());
    }
    for uuid in leaf.rows().keys() {
        assert!(counts.get(uuid).is_some_and(|count| *count > 0), "an unreferenced leaf");
    }
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "a duplicate in an index");
}

/// Applies the reported changes to the rows before; that must give the rows after.
fn replay(
    mut before: BTreeMap<String, String>,
    db: &Database,
    changes: &[Change],
) -> BTreeMap<String, String> {
    for change in changes {
        let key = format!("{} {}", db.schema().tables[change.table].name, change.uuid);
        let old = change.old.as_ref().map(|row| format!("{row:?}"));
        assert_eq!(before.remove(&key), old, "the old row of a change");
        if let Some(new) = &change.new {
            before.insert(key, format!("{new:?}"));
        }
    }
    before
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn cve_2018_17205_all_or_nothing(transactions in prop::collection::vec(prop::collection::vec(operation(), 1..6), 1..12)) {
        let mut db = database();
        for operations in &transactions {
            let before = dump(&db);
            // What the disk refuses has not happened either.
            let (results, refused) = run_with(&mut db, operations, &mut |_| Err(OvsdbError::new("I/O error", "full")));
            prop_assert!(refused.is_none());
            prop_assert_eq!(&dump(&db), &before);
            let (again, commit) = run(&mut db, operations);
            let failed = again.iter().any(|result| result.get("error").is_some());
            prop_assert_eq!(failed, commit.is_none());
            match commit {
                None => {
                    prop_assert_eq!(&dump(&db), &before);
                    prop_assert_eq!(again, results);
                }
                Some(commit) => {
                    prop_assert_eq!(again.len(), operations.len());
                    prop_assert_eq!(&replay(before, &db, &commit.changes), &dump(&db));
                    prop_assert!(commit.changes.iter().all(|change| change.old != change.new));
                }
            }
            check_rules(&db);
        }
        // Nothing but the rows counts: without the history the same rows behave the same.
        let (_, commit) = run(&mut db, &[json!({"op": "delete", "table": "Root", "where": []})]);
        prop_assert!(commit.is_some());
        check_rules(&db);
    }

    #[test]
    fn noise_never_panics(text in "[{}\\[\\]\",:a-z_0-9=]{0,40}", table in "(Root|Leaf|x)", op in "(insert|update|mutate|wait|select|delete|x)") {
        let mut db = database();
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::from(text));
        for member in ["where", "row", "mutations", "rows", "columns", "uuid", "uuid-name", "timeout"] {
            let mut operation = json!({"op": op, "table": table, "where": [], "row": {}, "mutations": [], "until": "==", "rows": []});
            operation[member] = value.clone();
            let context = Context { owns_lock: &|_| false, waited: Duration::ZERO };
            execute(&mut db, &[operation], &context, &mut |_| Ok(()));
        }
    }
}

#[test]
fn a_row_that_refers_to_itself_is_garbage_all_the_same() {
    let mut db = database();
    let (_, commit) = run(
        &mut db,
        &[json!({"op": "insert", "table": "Leaf", "uuid": uuid(1), "row": {"next": reference(1)}})],
    );
    assert_eq!(commit.unwrap().changes.len(), 0);
    assert!(dump(&db).is_empty());
}

#[test]
fn a_chain_is_collected_from_its_head() {
    let mut db = database();
    run(
        &mut db,
        &[
            json!({"op": "insert", "table": "Root", "uuid": uuid(0), "row": {"strong": reference(1), "weak": reference(3)}}),
            json!({"op": "insert", "table": "Leaf", "uuid": uuid(1), "row": {"name": 1, "next": reference(2)}}),
            json!({"op": "insert", "table": "Leaf", "uuid": uuid(2), "row": {"name": 2, "next": reference(3)}}),
            json!({"op": "insert", "table": "Leaf", "uuid": uuid(3), "row": {"name": 3}}),
        ],
    );
    assert_eq!(dump(&db).len(), 4);
    let (_, commit) = run(
        &mut db,
        &[json!({"op": "update", "table": "Root", "where": [], "row": {"strong": ["set", []]}})],
    );
    assert_eq!(commit.unwrap().changes.len(), 4);
    let weak = db.schema().table("Root").unwrap().column_index("weak").unwrap();
    let row = db.table(0).unwrap().rows().values().next().unwrap();
    assert!(row.columns[weak].is_empty(), "the weak reference went with its target");
}

#[test]
fn a_name_freed_in_a_transaction_can_be_taken_in_it() {
    let mut db = database();
    run(
        &mut db,
        &[
            json!({"op": "insert", "table": "Root", "row": {"strong": reference(1)}}),
            json!({"op": "insert", "table": "Leaf", "uuid": uuid(1), "row": {"name": 1}}),
        ],
    );
    let (results, commit) = run(
        &mut db,
        &[
            json!({"op": "insert", "table": "Leaf", "uuid": uuid(2), "row": {"name": 1}}),
            json!({"op": "update", "table": "Root", "where": [], "row": {"strong": reference(2)}}),
        ],
    );
    assert!(commit.is_some(), "{results:?}");
    // And the index knows the new owner.
    let (results, commit) = run(
        &mut db,
        &[
            json!({"op": "insert", "table": "Leaf", "uuid": uuid(3), "row": {"name": 1}}),
            json!({"op": "mutate", "table": "Root", "where": [], "mutations": [["strong", "insert", reference(3)]]}),
        ],
    );
    assert!(commit.is_none());
    assert_eq!(results[2]["error"], "constraint violation");
    let (results, _) = run(
        &mut db,
        &[
            json!({"op": "select", "table": "Leaf", "where": [["name", "==", 1]], "columns": ["_uuid"]}),
        ],
    );
    assert_eq!(results[0]["rows"], json!([{"_uuid": reference(2)}]));
}

#[test]
fn conditions_on_optional_numbers_and_sets() {
    let mut db = database();
    run(
        &mut db,
        &[
            json!({"op": "insert", "table": "Root", "row": {"n": 5}}),
            json!({"op": "insert", "table": "Root", "row": {"n": 7}}),
        ],
    );
    let mut count = |clause: Value| {
        let (results, _) = run(
            &mut db,
            &[json!({"op": "select", "table": "Root", "where": [clause], "columns": ["_uuid"]})],
        );
        results[0]["rows"].as_array().map_or(99, Vec::len)
    };
    for (function, expected) in [
        ("<", 0),
        ("<=", 1),
        ("==", 1),
        ("!=", 1),
        (">=", 2),
        (">", 1),
        ("includes", 1),
        ("excludes", 1),
    ] {
        assert_eq!(count(json!(["n", function, 5])), expected, "{function}");
    }
    assert_eq!(count(json!(["strong", "includes", ["set", []]])), 2);
    assert_eq!(count(json!(["strong", "excludes", reference(1)])), 2);
    assert_eq!(count(json!(["strong", "<", reference(1)])), 99);
}
