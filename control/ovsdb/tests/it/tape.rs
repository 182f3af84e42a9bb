//! Requests as they are read from their text: the same values, and the same transactions, as from a tree of JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use uuid::Uuid;
use weft_ovsdb::store::database::Database;
use weft_ovsdb::txn::{Context, Execution, execute};
use weft_ovsdb::value::json::Json;
use weft_ovsdb::value::schema::Schema;
use weft_ovsdb::value::tape::{Lists, Tape};

/// Columns of references of every kind, and others that only look like them.
const SCHEMA: &str = r#"{"name": "Plain", "version": "1.0.0", "tables": {
  "T": {"isRoot": true, "columns": {
    "one": {"type": {"key": {"type": "uuid", "refTable": "U"}}},
    "many": {"type": {"key": {"type": "uuid", "refTable": "U"}, "min": 0, "max": "unlimited"}},
    "two": {"type": {"key": {"type": "uuid", "refTable": "U", "refType": "weak"}, "min": 1, "max": 2}},
    "fixed": {"mutable": false,
      "type": {"key": {"type": "uuid", "refTable": "U"}, "min": 0, "max": "unlimited"}},
    "allowed": {"type": {"key": {"type": "uuid", "enum": ["set", [["uuid", "10000000-0000-4000-8000-000000000000"],
      ["uuid", "10000000-0000-4000-8000-000000000001"]]]}}},
    "pairs": {"type": {"key": {"type": "uuid", "refTable": "U"}, "value": "string", "min": 0, "max": "unlimited"}},
    "text": {"type": {"key": "string", "min": 0, "max": "unlimited"}}}},
  "U": {"isRoot": true, "columns": {"name": {"type": "string"}}}}}"#;

fn uuid(n: u8) -> String {
    Uuid::from_u128(0x1000_0000_0000_4000_8000_0000_0000_0000 + u128::from(n)).to_string()
}

fn reference(n: u8) -> Value {
    json!(["uuid", uuid(n)])
}

/// Rows 0 to 3 of U, rows 0 and 1 of T.
fn database() -> Database {
    let mut db = Database::new(Arc::new(Schema::parse(SCHEMA).unwrap()));
    let mut operations: Vec<Value> =
        (0..4).map(|n| json!({"op": "insert", "table": "U", "uuid": uuid(n), "row": {}})).collect();
    operations.extend((0..2).map(|n| {
        let many = json!(["set", (0..=n).map(reference).collect::<Vec<_>>()]);
        json!({"op": "insert", "table": "T", "uuid": uuid(n), "row": {"one": reference(n), "many": many,
            "two": reference(n), "fixed": reference(n), "allowed": reference(n)}})
    }));
    let context = Context { owns_lock: &|_| false, waited: Duration::ZERO };
    let done = execute(&mut db, &operations, &context, &mut |_| Ok(()));
    assert!(matches!(done, Execution::Done { commit: Some(_), .. }), "{done:?}");
    db
}

fn row_text() -> impl Strategy<Value = String> {
    let number = || select((0..5_u8).collect::<Vec<_>>());
    let set = |numbers: Vec<u8>| {
        let elements: Vec<String> = numbers.into_iter().map(|n| reference(n).to_string()).collect();
        format!("[\"set\",[{}]]", elements.join(","))
    };
    prop_oneof![
        6 => number().prop_map(|n| reference(n).to_string()),
        4 => prop::collection::btree_set(0..5_u8, 0..4).prop_map(move |s| set(s.into_iter().collect())),
        2 => prop::collection::vec(0..5_u8, 0..4).prop_map(set),
        2 => (prop::collection::btree_set(0..5_u8, 0..3), prop::collection::vec(select(vec!["a", "b"]), 1..3))
            .prop_map(|(numbers, names)| {
                let uuids = numbers.into_iter().map(reference);
                let named = names.into_iter().map(|name| json!(["named-uuid", name]));
                json!(["set", uuids.chain(named).collect::<Vec<_>>()]).to_string()
            }),
        1 => number().prop_map(|n| reference(n).to_string().to_uppercase().replace("UUID", "uuid")),
        1 => select(vec![
            "\"x\"", "[\"set\",[\"x\"]]", "[\"uuid\",\"x\"]", "[\"named-uuid\",\"x\"]", "[\"map\",[]]",
            "[\"set\",[[\"uuid\",\"10000000000040008000000000000000\"]]]", "1e999", "\"\\ud800\"",
            "[\"set\",[,]]", "[\"uuid\",\"{10000000-0000-4000-8000-0000000000}\"]",
        ]).prop_map(str::to_owned),
    ]
}

/// A member of an operation, often one that belongs there.
fn members() -> impl Strategy<Value = Vec<String>> {
    let column = || {
        select(vec![
            "one", "many", "many", "two", "fixed", "allowed", "pairs", "text", "_uuid", "none",
        ])
    };
    let wait = (column(), prop::option::weighted(0.1, column()), row_text(), 0..3_u8);
    (any::<bool>(), wait, select(vec!["T", "T", "T", "T", "T", "U", "None"])).prop_map(
        |(is_wait, (column, other, value, row), table)| {
            let condition = format!("\"where\":[[\"_uuid\",\"==\",{}]]", reference(row));
            let mut members = vec![format!("\"table\":\"{table}\""), condition];
            if is_wait {
                let listed = other.unwrap_or(column);
                members.extend([
                    "\"op\":\"wait\"".to_owned(),
                    format!("\"columns\":[\"{listed}\"]"),
                    format!("\"rows\":[{{\"{column}\":{value}}}]"),
                    "\"until\":\"==\"".to_owned(),
                    "\"timeout\":0".to_owned(),
                ]);
            } else {
                members.extend([
                    "\"op\":\"update\"".to_owned(),
                    format!("\"row\":{{\"{column}\":{value}}}"),
                ]);
            }
            members
        },
    )
}

/// What goes wrong with the text of an operation.
#[derive(Clone, Debug)]
enum Fault {
    Leave(usize),
    Repeat(usize),
    Add(&'static str),
    Put(usize, char),
    Cut(usize),
}

fn fault() -> impl Strategy<Value = Fault> {
    let extra = vec![
        "\"until\":\"!=\"",
        "\"timeout\":1",
        "\"timeout\":00",
        "\"row\":{}",
        "\"rows\":[]",
        "\"zz\":1",
        "\"op\":\"wait\"",
        "\"\\u006fp\":\"update\"",
        "\"where\":[]",
        "\"columns\":[]",
    ];
    prop_oneof![
        any::<usize>().prop_map(Fault::Leave),
        any::<usize>().prop_map(Fault::Repeat),
        select(extra).prop_map(Fault::Add),
        (any::<usize>(), select(" \n\",:[]{}0a\\é".chars().collect::<Vec<_>>()))
            .prop_map(|(at, what)| Fault::Put(at, what)),
        any::<usize>().prop_map(Fault::Cut),
    ]
}

prop_compose! {
    fn operation()(members in members().prop_shuffle(), fault in prop::option::weighted(0.3, fault())) -> String {
        let mut members = members;
        match fault {
            Some(Fault::Leave(which)) => drop(members.remove(which % members.len())),
            Some(Fault::Repeat(which)) => members.push(members[which % members.len()].clone()),
            Some(Fault::Add(member)) => members.push(member.to_owned()),
            _ => {}
        }
        let mut text = format!("{{{}}}", members.join(","));
        let place = |at: usize| text.char_indices().map(|(index, _)| index).nth(at % text.len()).unwrap_or(0);
        match fault {
            Some(Fault::Put(at, what)) => text.insert(place(at), what),
            Some(Fault::Cut(at)) => drop(text.remove(place(at))),
            _ => {}
        }
        text
    }
}

/// A wait that holds in [`database`], written in one of many ways.
fn true_wait() -> impl Strategy<Value = String> {
    let columns = select(vec!["one", "many", "two", "allowed", "text"]);
    (columns, 0..2_u8, 0..5_u8, select(vec!["", " ", "\n"])).prop_map(
        |(column, row, form, space)| {
            let mut references: Vec<Value> = (0..=row).map(reference).collect();
            if form == 1 {
                references.reverse();
            }
            let value = match column {
                "text" => json!(["set", []]),
                "many" if row > 0 || form == 2 => json!(["set", references]),
                _ if form == 3 => json!(["set", [reference(row)]]),
                _ => reference(row),
            };
            let rows = vec![format!("{{\"{column}\":{value}}}"); if form == 4 { 2 } else { 1 }];
            let rows = rows.join(",").replace(",[", &format!(",{space}["));
            format!(
                "{{\"rows\":[{rows}],\"until\":\"==\",\"where\":[[\"_uuid\",\"==\",{}]],\
                 \"columns\":[\"{column}\"],\"timeout\":0,\"op\":\"wait\",\"table\":\"T\"}}",
                reference(row)
            )
        },
    )
}

/// A text without the uuids that the server chose: those of rows that nobody inserts.
fn without_chance(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let is_fixed = |word: &&str| {
        let uuid = word.get(..36).and_then(|word| Uuid::try_parse(word).ok());
        uuid.is_none() || word.contains("0000-4000-8000-")
    };
    words.filter(is_fixed).collect()
}

fn read(text: &str) -> Tape<'_> {
    Tape::read(text.as_bytes(), Lists::default()).unwrap()
}

/// What a transaction does and answers.
fn outcome<'j, J: Json<'j>>(
    operations: impl IntoIterator<Item = J, IntoIter: ExactSizeIterator>,
) -> (String, BTreeMap<String, String>) {
    outcome_on(&mut database(), operations)
}

fn outcome_on<'j, J: Json<'j>>(
    db: &mut Database,
    operations: impl IntoIterator<Item = J, IntoIter: ExactSizeIterator>,
) -> (String, BTreeMap<String, String>) {
    let context = Context { owns_lock: &|_| false, waited: Duration::ZERO };
    let done = match execute(db, operations, &context, &mut |_| Ok(())) {
        Execution::Done { results, .. } => without_chance(&results.to_string()),
        Execution::Wait { timeout } => format!("waits {timeout:?}"),
    };
    let tables = db.schema().tables.iter().enumerate();
    let rows = tables.flat_map(|(index, table)| {
        let rows = db.table(index).unwrap().rows().iter();
        rows.map(move |(uuid, row)| {
            (format!("{} {uuid}", table.name), format!("{:?}", row.columns))
        })
    });
    (done, rows.collect())
}

/// Checks that every question about `tape` has the answer that `tree` gives.
fn assert_same<'t>(tape: impl Json<'t>, tree: &Value) {
    assert_eq!(&tape.to_value(), tree);
    assert_eq!(tape.is_null(), tree.is_null());
    assert_eq!(tape.as_bool(), tree.as_bool());
    assert_eq!(tape.as_number().as_ref(), tree.as_number());
    assert_eq!(tape.as_text(), Json::as_text(tree));
    assert_eq!(tape.as_uuid(), tree.as_uuid());
    assert_eq!(tape.begins_with("uuid"), tree.begins_with("uuid"));
    let elements = tape.elements().map(Iterator::collect::<Vec<_>>);
    assert_eq!(elements.as_ref().map(Vec::len), tree.as_array().map(Vec::len));
    for (tape, tree) in elements.iter().flatten().zip(tree.as_array().into_iter().flatten()) {
        assert_same(*tape, tree);
    }
    let members: Option<BTreeMap<_, _>> = tape.members().map(Iterator::collect);
    assert_eq!(members.as_ref().map(BTreeMap::len), tree.as_object().map(serde_json::Map::len));
    for (name, value) in members.into_iter().flatten() {
        assert_same(value, &tree[&*name]);
    }
}

/// Objects that repeat each other, most of them, with `value` in each.
fn repetitions(value: &str, uuids: &[(u8, bool)]) -> String {
    let element = |(n, is_same): &(u8, bool)| {
        let number = if *is_same { 1 } else { 23 };
        format!("{{\"a\":[{},[],{number}],\"é\":{value}}}", reference(*n))
    };
    format!("[{}]", uuids.iter().map(element).collect::<Vec<_>>().join(","))
}

fn uuids() -> impl Strategy<Value = Vec<(u8, bool)>> {
    prop::collection::vec((0..20_u8, any::<bool>()), 1..5)
}

/// Texts that are JSON, or nearly.
fn text() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        "\"a\"",
        "\"op\"",
        "\"\\u00e9\\n\"",
        "\"\\ud800\"",
        "\"é—\"",
        "\"a long text without an end to it\"",
        "\"tab\t\"",
        "\"\\x\"",
        "\"",
        "0",
        "-0",
        "01",
        "1.5e3",
        "1e999",
        "9223372036854775808",
        "true",
        "false",
        "null",
        "nul",
        "[\"uuid\",\"10000000-0000-4000-8000-000000000000\"]",
        "[\"uuid\", \"10000000-0000-4000-8000-000000000000\"]",
        "[\"uuid\",\"x\"]",
    ]);
    let leaf = select(vec![
        "0",
        "-12",
        "2.5",
        "true",
        "null",
        "\"t\"",
        "\"\\\"\"",
        "\"a text that is longer\"",
    ]);
    let leaf =
        prop_oneof![leaf.prop_map(str::to_owned), (0..9_u8).prop_map(|n| reference(n).to_string())];
    let value = leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..6), select(vec![",", " ,\n"]))
                .prop_map(|(elements, comma)| format!("[{}]", elements.join(comma))),
            prop::collection::vec((select(vec!["a", "b", "\\u0061", "é"]), inner), 0..4).prop_map(
                |members| {
                    let members: Vec<_> = members
                        .iter()
                        .map(|(name, value)| format!("\"{name}\": {value}"))
                        .collect();
                    format!("{{{}}}", members.join(","))
                }
            ),
        ]
    });
    prop_oneof![
        1 => prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
        2 => (value.clone(), uuids()).prop_map(|(value, uuids)| repetitions(&value, &uuids)),
        1 => (value.clone(), uuids(), uuids())
            .prop_map(|(value, inner, uuids)| repetitions(&repetitions(&value, &inner), &uuids)),
        2 => value.clone(),
        1 => (value, any::<usize>(), any::<char>()).prop_map(|(mut text, at, what)| {
            let place = text.char_indices().map(|(index, _)| index).nth(at % text.len()).unwrap_or(0);
            text.insert(place, what);
            text
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// The tape is a reader of JSON: of all that is, of nothing that is not, and it says what a tree says.
    #[test]
    fn a_tape_says_what_a_tree_says(text in text()) {
        let tree = serde_json::from_str::<Value>(&text);
        match Tape::read(text.as_bytes(), Lists::default()) {
            Ok(tape) => assert_same(tape.root(), &tree.expect("what was read is JSON")),
            Err(error) => prop_assert_eq!(error.to_string(), tree.expect_err("is no JSON").to_string()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A transaction does the same from a tape as from a tree.
    #[test]
    fn whatever_the_text_both_ways_are_one(operations in prop::collection::vec(operation(), 1..4)) {
        // Rows to refer to by name, of uuids before and behind those that there are.
        let names = [("a", "20000000-0000-4000-8000-000000000000"), ("b", "00000000-0000-4000-8000-000000000000")];
        let inserts = names.map(|(name, uuid)| {
            json!({"op": "insert", "table": "U", "row": {}, "uuid-name": name, "uuid": uuid}).to_string()
        });
        let text = format!("[{}]", [&inserts[..], &operations].concat().join(","));
        let Ok(tape) = Tape::read(text.as_bytes(), Lists::default()) else { return Ok(()) };
        let tree: Vec<Value> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(outcome(tape.root().all_elements()), outcome(&tree));
        // The same when it outlives its text.
        let owned = Tape::read(text.as_bytes(), tape.into_lists()).unwrap().into_owned();
        prop_assert_eq!(outcome(owned.root().all_elements()), outcome(&tree));
    }

    /// A wait that holds does so however it is written, and not when something else is true.
    #[test]
    fn a_wait_holds_however_it_is_written(wait in true_wait(), column in select(vec!["one", "many", "two"])) {
        let change = json!({"op": "update", "table": "T", "where": [], "row": {column: reference(3)}}).to_string();
        let (results, _) = outcome(read(&format!("[{wait}]")).root().all_elements());
        prop_assert_eq!(results, "[{}]");
        let (results, _) = outcome(read(&format!("[{change},{wait}]")).root().all_elements());
        let is_about_it = wait.contains(&format!("\"columns\":[\"{column}\"]"));
        prop_assert_eq!(results.contains("timed out"), is_about_it, "{}", results);
    }
}

/// Waits that differ in their references alone are each looked at.
#[test]
fn each_of_many_waits_counts() {
    let wait = |row: u8, value: u8| {
        json!({"op": "wait", "table": "T", "where": [["_uuid", "==", reference(row)]], "columns": ["one"],
            "until": "==", "timeout": 0, "rows": [{"one": reference(value)}]})
        .to_string()
    };
    let update = |row: u8, value: u8| {
        json!({"op": "update", "table": "T", "where": [["_uuid", "==", reference(row)]],
            "row": {"one": reference(value)}})
        .to_string()
    };
    let results = |db: &mut Database, operations: &[String]| {
        outcome_on(db, read(&format!("[{}]", operations.join(","))).root().all_elements()).0
    };
    let mut db = database();
    // Which reference is which shows only where they differ.
    let same = [wait(0, 0), wait(1, 1), wait(0, 0), update(0, 2), update(1, 3)];
    assert_eq!(results(&mut db, &same), r#"[{},{},{},{"count":1},{"count":1}]"#);
    assert_eq!(results(&mut db, &[wait(0, 2), wait(1, 3), wait(0, 2)]), "[{},{},{}]");
    for wrong in [wait(0, 3), wait(1, 2), wait(2, 0), wait(3, 1), wait(2, 2)] {
        let results = results(&mut db, &[wait(0, 2), wait(1, 3), wrong, wait(1, 3)]);
        assert!(results.starts_with("[{},{},{\"") && results.ends_with("},null]"), "{results}");
    }
    // Changes of the same transaction count, and an operation in between ends the row of waits.
    let changed = [wait(1, 3), wait(0, 2), update(0, 1), wait(1, 3), wait(0, 1)];
    assert_eq!(results(&mut db, &changed), r#"[{},{},{"count":1},{},{}]"#);
    let late = [update(0, 2), wait(1, 3), wait(0, 1)];
    assert!(results(&mut db, &late).contains("timed out"));
}

/// A wait knows what the last transaction left.
#[test]
fn the_index_of_references_follows_the_rows() {
    let mut db = database();
    let row = json!([["_uuid", "==", reference(1)]]);
    let wait = |value: Value| {
        json!({"op": "wait", "table": "T", "where": row, "columns": ["many"], "until": "==", "timeout": 0,
            "rows": [{"many": value}]})
    };
    let update =
        |value: Value| json!({"op": "update", "table": "T", "where": row, "row": {"many": value}});
    let pair = json!(["set", [reference(0), reference(1)]]);
    let values = [pair, reference(2), reference(3), json!(["set", []]), reference(0)];
    for pair in values.windows(2) {
        let (is, becomes) = (&pair[0], &pair[1]);
        assert_eq!(outcome_on(&mut db, &[wait(is.clone())]).0, "[{}]");
        let (results, _) = outcome_on(&mut db, &[update(becomes.clone()), wait(becomes.clone())]);
        assert_eq!(results, r#"[{"count":1},{}]"#);
        assert!(outcome_on(&mut db, &[wait(is.clone())]).0.contains("timed out"), "{is}");
    }
    let (results, _) = outcome_on(&mut db, &[json!({"op": "delete", "table": "T", "where": row})]);
    assert_eq!(results, r#"[{"count":1}]"#);
    assert!(outcome_on(&mut db, &[wait(reference(0))]).0.contains("timed out"));
}
