//! Operations of the plain form: whatever the text, they do what the general way does, or leave it to that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use uuid::Uuid;
use weft_ovsdb::jsonrpc::Framer;
use weft_ovsdb::store::database::Database;
use weft_ovsdb::txn::known::Known;
use weft_ovsdb::txn::plain::{Operation, Request, Step};
use weft_ovsdb::txn::{Context, Execution, execute};
use weft_ovsdb::value::schema::Schema;

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

fn nothing_known(_: &str) -> Option<&'static Known> {
    None
}

fn message(operations: &[String]) -> String {
    let operations = operations.join(",");
    format!("{{\"id\":7,\"method\":\"transact\",\"params\":[\"Plain\",{operations}]}}")
}

/// A wait that holds in [`database`], for a row that often changes.
fn true_wait(column: &str, row: u8) -> String {
    let many = json!(["set", (0..=row).map(reference).collect::<Vec<_>>()]);
    let value = if column == "many" && row > 0 { many } else { reference(row) };
    format!(
        "{{\"rows\":[{{\"{column}\":{value}}}],\"until\":\"==\",\"where\":[[\"_uuid\",\"==\",{}]],\
         \"columns\":[\"{column}\"],\"timeout\":0,\"op\":\"wait\",\"table\":\"T\"}}",
        reference(row)
    )
}

/// Operations of which many are waits that hold, if nothing has changed.
fn mixed() -> impl Strategy<Value = Vec<String>> {
    let wait = (select(vec!["one", "many", "two", "allowed"]), 0..2_u8);
    let one = prop_oneof![
        6 => wait.prop_map(|(column, row)| true_wait(column, row)),
        1 => operation(),
    ];
    prop::collection::vec(one, 1..12)
}

/// A text without the uuids that the server chose: those of rows that nobody inserts.
fn without_chance(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let known = |word: &&str| {
        let uuid = word.get(..36).and_then(|word| Uuid::try_parse(word).ok());
        uuid.is_none() || word.contains("0000-4000-8000-")
    };
    words.filter(known).collect()
}

/// What a transaction does and answers.
fn outcome<'a, O>(operations: &'a [O]) -> (String, BTreeMap<String, String>)
where
    Step<'a>: From<&'a O>,
{
    outcome_on(&mut database(), operations)
}

fn outcome_on<'a, O>(db: &mut Database, operations: &'a [O]) -> (String, BTreeMap<String, String>)
where
    Step<'a>: From<&'a O>,
{
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_the_text_both_ways_are_one(operations in prop::collection::vec(operation(), 1..4)) {
        // Rows to refer to by name, of uuids before and behind those that there are.
        let names = [("a", "20000000-0000-4000-8000-000000000000"), ("b", "00000000-0000-4000-8000-000000000000")];
        let inserts = names.map(|(name, uuid)| {
            json!({"op": "insert", "table": "U", "row": {}, "uuid-name": name, "uuid": uuid}).to_string()
        });
        let operations = [&inserts[..], &operations].concat();
        let text = message(&operations);
        let general = serde_json::from_str::<Value>(&text);
        let Some(request) = Request::parse(text.as_bytes(), nothing_known) else {
            // The general way it is, whatever that says.
            return Ok(());
        };
        let general = general.expect("what was read is JSON");
        prop_assert_eq!(json!(request.id), general["id"].clone());
        prop_assert_eq!(request.db, general["params"][0].as_str().unwrap());
        let general = &general["params"].as_array().unwrap()[1..];
        prop_assert_eq!(outcome(&request.operations), outcome(general));
        // What outlives its message is what the general way had from the start.
        let owned: Vec<Operation<'_>> = request.operations.into_iter().flat_map(Operation::into_owned).collect();
        for (owned, general) in owned.iter().zip(general) {
            prop_assert!(matches!(owned, Operation::Json(json) if json == general));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A database that remembers waits does what one does that reads them each time; and a stream is cut
    /// into the same messages.
    #[test]
    fn what_is_known_is_what_is_read(
        first in prop::collection::vec((select(vec!["one", "many", "two", "allowed"]), 0..2_u8), 64..90),
        messages in prop::collection::vec(mixed(), 1..6),
        cut in 1..400_usize,
    ) {
        let (mut knowing, mut plain) = (database(), database());
        let first = first.into_iter().map(|(column, row)| true_wait(column, row)).collect();
        for operations in std::iter::once(first).chain(messages) {
            let text = message(&operations);
            let mut framers = [Framer::new(1 << 20), Framer::new(1 << 20)];
            let mut ends = [0, 0];
            for piece in text.as_bytes().chunks(cut) {
                for (framer, (known, end)) in
                    framers.iter_mut().zip([Some(knowing.known()), None].into_iter().zip(&mut ends))
                {
                    framer.push(piece);
                    *end = framer.next_frame(known).map_or(usize::MAX, |it| it.map_or(*end, <[u8]>::len));
                }
            }
            prop_assert_eq!(ends[0], ends[1]);
            let Ok(general) = serde_json::from_str::<Value>(&text) else { continue };
            let general = &general["params"].as_array().unwrap()[1..];
            let outcomes = match Request::parse(text.as_bytes(), |_| Some(knowing.known())) {
                Some(request) => outcome_on(&mut knowing, &request.operations),
                None => outcome_on(&mut knowing, general),
            };
            prop_assert_eq!(outcomes, outcome_on(&mut plain, general));
        }
    }
}

/// Waits that came once are not read again, until what they are about has changed.
#[test]
fn waits_are_known_as_long_as_they_hold() {
    let mut db = database();
    let waits: Vec<String> = (0..70).map(|n| true_wait(["one", "many"][n % 2], 1)).collect();
    let runs = |db: &mut Database, operations: &[String]| {
        let text = message(operations);
        let request = Request::parse(text.as_bytes(), |_| Some(db.known())).unwrap();
        let counts: Vec<usize> =
            request.operations.iter().map(|it| Step::from(it).count()).collect();
        (counts, outcome_on(db, &request.operations).0)
    };
    let all = format!("[{}]", vec!["{}"; 70].join(","));
    assert_eq!(runs(&mut db, &waits), (vec![1; 70], all.clone()));
    assert_eq!(runs(&mut db, &waits), (vec![70], all));
    // A change within the transaction counts, and after it.
    let change = r#"{"op":"update","table":"T","where":[["_uuid","==",["uuid","10000000-0000-4000-8000-000000000001"]]],"row":{"one":["uuid","10000000-0000-4000-8000-000000000002"]}}"#;
    let (counts, results) = runs(&mut db, &[change.to_owned(), waits[0].clone()]);
    assert_eq!(counts, [1, 1]);
    assert!(results.contains("timed out"), "{results}");
    let (_, results) = runs(&mut db, &[change.to_owned()]);
    assert_eq!(results, r#"[{"count":1}]"#);
    let (counts, results) = runs(&mut db, &waits[..2]);
    assert_eq!(counts, [1, 1]);
    assert!(results.contains("timed out"), "{results}");
    // The other column of that row is as it was.
    assert_eq!(runs(&mut db, &waits[1..2]).1, "[{}]");
}

/// As stock `ovs-vsctl` 3.1 writes it.
#[test]
fn what_stock_clients_send_is_of_the_plain_form() {
    let wait = r#"{"rows":[{"many":["set",[["uuid","10000000-0000-4000-8000-000000000000"],["uuid","10000000-0000-4000-8000-000000000001"]]]}],"until":"==","where":[["_uuid","==",["uuid","10000000-0000-4000-8000-000000000001"]]],"columns":["many"],"timeout":0,"op":"wait","table":"T"}"#;
    let update = r#"{"where":[["_uuid","==",["uuid","10000000-0000-4000-8000-000000000001"]]],"row":{"many":["set",[]]},"op":"update","table":"T"}"#;
    let text = format!(
        r#"{{"id":4,"method":"transact","params":["Plain",{wait},{update},{{"comment":"c","op":"comment"}}]}}"#
    );
    let request = Request::parse(text.as_bytes(), nothing_known).unwrap();
    assert!(matches!(
        request.operations.as_slice(),
        [Operation::Plain(_), Operation::Plain(_), Operation::Json(_)]
    ));
    let (results, rows) = outcome(&request.operations);
    assert_eq!(results, r#"[{},{"count":1},{}]"#);
    assert!(rows[&format!("T {}", uuid(1))].contains("Set([])"), "{rows:?}");
}
