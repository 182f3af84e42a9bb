//! The same requests to our server and to the stock one: the same answers, to the letter.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::harness::{Raw, Stock, Weft};

/// Uuids by order of appearance, so that two runs can be compared; the fixed ones of the test stay.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    fn normalise(&mut self, json: &Value) -> Value {
        match json {
            Value::String(text) => Value::from(self.text(text)),
            Value::Array(elements) => {
                elements.iter().map(|element| self.normalise(element)).collect()
            }
            Value::Object(members) => {
                // Members in one order, so that uuids get their numbers in one order.
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by_key(|(name, _)| (name.len() == 36, (*name).clone()));
                Value::Object(
                    sorted
                        .into_iter()
                        .map(|(name, value)| (self.text(name), self.normalise(value)))
                        .collect(),
                )
            }
            other => other.clone(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        // Which of two duplicates comes first depends on the stock server's hash of their names.
        let text = text.split_once("  First row,").map_or(text, |(start, _)| start);
        let words = text.split_inclusive([' ', '"', ',', '.']);
        words
            .map(|word| {
                let bare = word.trim_end_matches([' ', '"', ',', '.']);
                if bare.len() != 36
                    || bare.starts_with("00000000")
                    || bare.starts_with("11111111")
                    || uuid::Uuid::try_parse(bare).is_err()
                {
                    return word.to_owned();
                }
                let next = self.0.len();
                let number = *self.0.entry(bare.to_owned()).or_insert(next);
                format!("<{number}>{}", &word[36..])
            })
            .collect()
    }
}

fn insert(table: &str, row: Value) -> Value {
    json!({"op": "insert", "table": table, "row": row})
}

fn named(table: &str, name: &str, row: Value) -> Value {
    json!({"op": "insert", "table": table, "row": row, "uuid-name": name})
}

fn add_to_root(name: &str) -> Value {
    json!({"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["bridges", "insert", ["set", [["named-uuid", name]]]]]})
}

fn mutate(table: &str, mutations: Value) -> Value {
    json!({"op": "mutate", "table": table, "where": [], "mutations": mutations})
}

fn select(clause: Value) -> Value {
    json!({"op": "select", "table": "Bridge", "where": [clause], "columns": ["name"]})
}

fn sorted(sort: Value) -> Value {
    json!({"op": "select", "table": "Queue", "where": [], "columns": ["dscp", "other_config"], "sort": sort})
}

fn transactions() -> Vec<Value> {
    let missing = "11111111-1111-1111-1111-111111111111";
    let fixed = "11111111-1111-1111-1111-111111111112";
    let wait = |until: &str, rows: Value| json!({"op": "wait", "table": "Bridge", "where": [], "columns": ["name"], "until": until, "rows": rows, "timeout": 0});
    let max = i64::MAX;
    vec![
        json!([insert("Open_vSwitch", json!({}))]),
        json!([insert("Open_vSwitch", json!({}))]),
        json!([insert("Queue", json!({"dscp": 99}))]),
        json!([insert("Queue", json!({"nocol": 99}))]),
        json!([insert("Queue", json!({"dscp": "a"}))]),
        json!([insert("Queue", json!({"dscp": ["set", [1, 2]]}))]),
        json!([insert("Queue", json!({"dscp": ["set", [1, 2], 3]}))]),
        json!([insert("Queue", json!({"external_ids": ["map", [["a", "b"], ["a", "c"]]]}))]),
        json!([insert("Queue", json!({"external_ids": ["map", [["a", "b", "c"]]]}))]),
        json!([insert("Queue", json!({"external_ids": ["set", [["a", "b"]]]}))]),
        json!([insert("Queue", json!({"external_ids": {}}))]),
        json!([insert("Bridge", json!({"name": "x", "flood_vlans": ["set", [1, 1]]}))]),
        json!([insert("Bridge", json!({"name": "br0", "fail_mode": "zz"}))]),
        json!([named("Bridge", "b", json!({"name": "br0"})), add_to_root("b"),
            {"op": "comment", "comment": "c"}, {"op": "commit", "durable": true}]),
        json!([
            named("Bridge", "b", json!({"name": "br1", "ports": ["uuid", missing]})),
            add_to_root("b")
        ]),
        json!([named("Bridge", "b", json!({"name": "br0"})), add_to_root("b")]),
        json!([
            named("Bridge", "b", json!({"name": "y"})),
            named("Bridge", "b", json!({"name": "z"}))
        ]),
        json!([named("Bridge", "1b", json!({"name": "y"}))]),
        json!([{"op": "insert", "table": "Bridge", "row": {}, "uuid": "zz"}]),
        json!([{"op": "insert", "table": "Bridge", "row": {"name": "u"}, "uuid": fixed}, {"op": "insert", "table": "Bridge", "row": {}, "uuid": fixed}]),
        json!([{"op": "update", "table": "Bridge", "where": [], "row": {"name": "zz"}}]),
        json!([{"op": "update", "table": "Bridge", "where": [], "row": {"_uuid": ["uuid", fixed]}}]),
        json!([mutate("Bridge", json!([["name", "insert", "a"]]))]),
        json!([mutate("Bridge", json!([["external_ids", "+=", 1]]))]),
        json!([mutate("Bridge", json!([["stp_enable", "+=", 1]]))]),
        json!([mutate("Bridge", json!([["flood_vlans", "insert", ["set", [1, 2, 3]]], ["flood_vlans", "+=", 5]])),
            {"op": "select", "table": "Bridge", "where": [], "columns": ["flood_vlans"]}]),
        json!([mutate("Bridge", json!([["flood_vlans", "+=", 4095]]))]),
        json!([mutate("Bridge", json!([["flood_vlans", "%=", 2]]))]),
        json!([mutate("Bridge", json!([["flood_vlans", "/=", 0]]))]),
        json!([mutate("Bridge", json!([["flood_vlans", "zz", 0]]))]),
        json!([mutate("Bridge", json!([["flood_vlans", "insert", 4096]]))]),
        json!([mutate("Bridge", json!([["nocol", "+=", 0]]))]),
        json!([mutate("Bridge", json!([["name"]]))]),
        json!([mutate("Open_vSwitch", json!([["next_cfg", "+=", max], ["next_cfg", "+=", 1]]))]),
        json!([mutate("Open_vSwitch", json!([["next_cfg", "-=", 7], ["next_cfg", "*=", -3], ["next_cfg", "/=", 2], ["next_cfg", "%=", 4]])),
            {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["next_cfg"]}]),
        json!([mutate("Open_vSwitch", json!([["external_ids", "insert", ["map", [["a", "1"], ["b", "2"]]]]])),
            mutate("Open_vSwitch", json!([["external_ids", "insert", ["map", [["a", "9"], ["c", "3"]]]]])),
            mutate("Open_vSwitch", json!([["external_ids", "delete", ["map", [["a", "9"], ["c", "3"]]]]])),
            {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["external_ids"]}]),
        json!([mutate("Open_vSwitch", json!([["external_ids", "delete", ["set", ["a", "z"]]]])),
            {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["external_ids"]}]),
        json!([mutate("Bridge", json!([["datapath_id", "insert", ["set", ["a"]]]]))]),
        json!([mutate("Bridge", json!([["datapath_id", "insert", ["set", ["b"]]]]))]),
        json!([select(json!(["name", "zz", "b"]))]),
        json!([select(json!(["name", "<", "b"]))]),
        json!([select(json!(["name", "==", 1]))]),
        json!([select(json!(["nocol", "==", 1]))]),
        json!([select(json!(["name", "=="]))]),
        json!([select(json!(true))]),
        json!([select(json!(false))]),
        json!([select(json!(["flood_vlans", "includes", ["set", [6, 7]]]))]),
        json!([select(json!(["flood_vlans", "excludes", ["set", [6, 99]]]))]),
        json!([select(json!(["external_ids", "includes", ["map", []]]))]),
        json!([{"op": "select", "table": "Bridge", "where": {}}]),
        json!([{"op": "select", "table": "Bridge"}]),
        json!([{"op": "select", "table": "Bridge", "where": [], "columns": ["nocol"]}]),
        json!([{"op": "select", "table": "Bridge", "where": [], "columns": ["name", "name"]}]),
        json!([{"op": "select", "table": "Bridge", "where": [], "columns": [1]}]),
        json!([{"op": "select", "table": "Bridge", "where": [], "zz": 1}]),
        json!([{"op": "select", "table": "Nope", "where": []}]),
        json!([select(json!(["_uuid", "==", ["uuid", "11111111-1111-1111-1111-11111111111"]]))]),
        json!([{"op": "zz"}]),
        json!([{}]),
        json!([1]),
        json!([wait("==", json!([{"name": "br0"}]))]),
        json!([wait("!=", json!([{"name": "br0"}]))]),
        json!([wait("==", json!([{"name": "br1"}]))]),
        json!([wait("zz", json!([]))]),
        json!([wait("==", json!([{"ports": "br0"}]))]),
        json!([{"op": "commit", "durable": 1}]),
        json!([{"op": "commit"}]),
        json!([{"op": "comment"}]),
        json!([{"op": "abort"}, {"op": "comment", "comment": "x"}]),
        json!([{"op": "assert", "lock": "zz"}]),
        json!([{"op": "assert", "lock": "1 2"}, {"op": "select", "table": "Nope", "where": []}]),
        json!([{"op": "delete", "table": "Bridge", "where": [["name", "==", "br0"]]}]),
        json!([
            insert("Manager", json!({"target": "a"})),
            insert("Manager", json!({"target": "a"}))
        ]),
        json!([insert("Port", json!({"name": "p"}))]),
        json!([insert("Port", json!({"name": "p", "interfaces": ["set", []]}))]),
        json!([insert("Port", json!({"name": "p", "interfaces": ["named-uuid", "q"]}))]),
        json!([insert("Interface", json!({"name": "i", "ofport_request": 1.5}))]),
        json!([insert("Interface", json!({"name": "i", "ofport_request": 1.0}))]),
        json!([insert("Interface", json!({"name": "i", "ofport_request": 70000}))]),
        json!([insert("IPFIX", json!({"sampling": 0}))]),
        json!([insert("NetFlow", json!({"active_timeout": -2}))]),
        json!([insert("Controller", json!({"max_backoff": 1}))]),
        json!([named("Interface", "i", json!({"name": "i"})), named("Port", "p", json!({"name": "p", "interfaces": ["named-uuid", "i"]})),
            named("Mirror", "m", json!({"name": "m", "select_src_port": ["named-uuid", "p"]})),
            {"op": "update", "table": "Bridge", "where": [], "row": {"ports": ["named-uuid", "p"], "mirrors": ["named-uuid", "m"]}}]),
        json!([{"op": "update", "table": "Bridge", "where": [], "row": {"ports": ["set", []]}},
            {"op": "select", "table": "Port", "where": [], "columns": ["name"]}]),
        json!([{"op": "select", "table": "Mirror", "where": [], "columns": ["select_src_port"]},
            {"op": "select", "table": "Port", "where": [], "columns": ["name"]}, {"op": "select", "table": "Interface", "where": [], "columns": ["name"]}]),
        json!([
            insert("Queue", json!({"dscp": 3})),
            insert("Queue", json!({"dscp": 1})),
            insert("Queue", json!({})),
            insert("Queue", json!({"dscp": 2, "other_config": ["map", [["b", "1"]]]})),
            insert("Queue", json!({"dscp": 2, "other_config": ["map", [["a", "2"]]]}))
        ]),
        json!([sorted(json!(["dscp", "other_config"]))]),
        json!([sorted(json!(["other_config", "dscp"]))]),
        json!([sorted(json!(["nocol"]))]),
        json!([sorted(json!(["dscp", "dscp"]))]),
        json!([sorted(json!("dscp"))]),
        json!([sorted(json!([1]))]),
        json!([{"op": "select", "table": "Queue", "where": [["dscp", "==", 2]], "columns": ["dscp"], "sort": []}]),
        json!([mutate("Queue", json!([["dscp", "insert", ["set", [1, 2]]]]))]),
        json!([mutate("Queue", json!([["dscp", "insert", ["set", []]]]))]),
        json!([
            mutate("Queue", json!([["dscp", "delete", ["set", [1, 9]]]])),
            sorted(json!(["dscp", "other_config"]))
        ]),
        json!([mutate("Queue", json!([["dscp", "delete", ["set", [64, 65]]]]))]),
        json!([{"op": "delete", "table": "Queue", "where": []}]),
        json!([{"op": "insert", "table": "Queue"}]),
        json!([{"op": "insert", "row": {}}]),
        json!([{"op": "insert", "table": 1, "row": {}}]),
        json!([{"op": "insert", "table": "Queue", "row": 1}]),
        json!([{"op": "update", "table": "Open_vSwitch", "where": [], "row": {"bridges": ["set", []]}}]),
        json!([{"op": "select", "table": "Bridge", "where": []}]),
    ]
}

fn calls() -> Vec<(&'static str, Value)> {
    let o = "Open_vSwitch";
    let nil = "00000000-0000-0000-0000-000000000000";
    vec![
        ("list_dbs", json!([])),
        ("get_schema", json!([])),
        ("get_schema", json!(["Nope"])),
        ("get_schema", json!(["_Server"])),
        ("echo", json!(["a", 1])),
        ("nope", json!([])),
        ("transact", json!([])),
        ("transact", json!([o])),
        ("transact", json!(["Nope"])),
        ("lock", json!([])),
        ("lock", json!(["a b"])),
        ("unlock", json!(["zz"])),
        ("lock", json!(["l1"])),
        ("lock", json!(["l1"])),
        ("steal", json!(["l1"])),
        ("unlock", json!(["l1"])),
        ("steal", json!(["l1"])),
        ("set_db_change_aware", json!([])),
        ("set_db_change_aware", json!([true])),
        ("monitor", json!([o, 1, {"Nope": {}}])),
        ("monitor", json!([o, 1, {"Queue": {"columns": ["nope"]}}])),
        ("monitor", json!([o, 1, {"Queue": [{"columns": ["dscp"]}, {"columns": ["dscp"]}]}])),
        ("monitor", json!([o, 1, {"Queue": {"columns": ["dscp"], "where": []}}])),
        ("monitor", json!([o, 1, 1])),
        ("monitor", json!([o, 1, {"Queue": {"columns": ["dscp", "external_ids"]}}])),
        ("monitor", json!([o, 1, {"Queue": {}}])),
        (
            "monitor",
            json!([o, 2, {"Queue": {"columns": ["dscp"], "select": {"modify": false, "initial": false}}}]),
        ),
        (
            "monitor_cond",
            json!([o, 3, {"Queue": [{"columns": ["dscp"], "where": [["dscp", "==", 4]]}]}]),
        ),
        (
            "monitor_cond",
            json!([o, 9, {"Queue": [{"columns": ["dscp"], "where": [["nope", "==", 4]]}]}]),
        ),
        (
            "monitor_cond",
            json!([o, 4, {"Queue": [{"columns": ["dscp", "other_config"], "where": []}]}]),
        ),
        ("monitor_cond_since", json!([o, 5, {"Queue": [{"columns": ["dscp", "_uuid"]}]}, nil])),
        ("monitor_cond_since", json!([o, 8, {}, "zz"])),
        ("monitor_cond_since", json!([o, 8, {}, null])),
        (
            "transact",
            json!([
                o,
                insert(
                    "Queue",
                    json!({"dscp": 4, "other_config": ["map", [["a", "1"], ["b", "2"]]]})
                )
            ]),
        ),
        (
            "transact",
            json!([
                o,
                mutate(
                    "Queue",
                    json!([["dscp", "+=", 1], ["other_config", "delete", ["set", ["a"]]]])
                )
            ]),
        ),
        (
            "transact",
            json!([o, {"op": "update", "table": "Queue", "where": [], "row": {"dscp": ["set", []], "external_ids": ["map", [["x", "y"]]]}}]),
        ),
        ("monitor_cond_change", json!([3, 33, {"Queue": [{"where": [true]}]}])),
        ("monitor_cond_change", json!([77, 7, {}])),
        ("transact", json!([o, {"op": "delete", "table": "Queue", "where": []}])),
        ("monitor_cancel", json!([1])),
        ("monitor_cancel", json!([1])),
        ("monitor_cond_change", json!([33, 33])),
        ("monitor_cond_change", json!([33, 33, {"Nope": []}])),
        ("monitor_cond_change", json!([33, 33, {"Bridge": [{"where": [true]}]}])),
        ("monitor_cond_change", json!([33, 33, {"Queue": {"where": [true]}}])),
        ("monitor_cond_change", json!([33, 33, {"Queue": [{"where": true}]}])),
        ("monitor_cond_change", json!([33, 33, {"Queue": [{"where": [["nope", "==", 1]]}]}])),
        (
            "monitor_cond_change",
            json!([33, 33, {"Queue": [{"columns": ["dscp"], "where": [true]}]}]),
        ),
        ("convert", json!([])),
        ("convert", json!(["Nope", {}])),
        ("convert", json!([o])),
        ("convert", json!([o, {"name": "x", "version": "1.0.0", "tables": {}}])),
        ("transact", json!([o, insert("Queue", json!({"dscp": 5}))])),
        ("transact", json!([o, insert("Open_vSwitch", json!({"next_cfg": 7}))])),
        ("convert", json!([o, newer_schema()])),
        (
            "transact",
            json!([o, {"op": "select", "table": "Queue", "where": [], "columns": ["fresh"]},
                {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["next_cfg"]}]),
        ),
        ("monitor_cancel", json!([4])),
    ]
}

/// Names of transactions: the stock server has none for a standalone database and says zero.
fn without_transaction_names(method: &str, mut message: Value) -> Value {
    let name = match (method, &mut message) {
        ("monitor_cond_since", Value::Array(result)) => result.get_mut(1),
        ("update3", message) => message.get_mut("params").and_then(|params| params.get_mut(1)),
        _ => None,
    };
    if let Some(name) = name {
        *name = json!("transaction");
    }
    message
}

/// The schema that is served, a bit newer, without one column and with another.
fn newer_schema() -> Value {
    let mut schema: Value =
        serde_json::from_str(weft_ovsdb::value::schema::VSWITCH_SCHEMA).unwrap();
    schema["version"] = json!("9.0.0");
    let columns = schema["tables"]["Queue"]["columns"].as_object_mut().unwrap();
    columns.remove("dscp");
    columns.insert("fresh".to_owned(), json!({"type": "string"}));
    schema
}

/// Every answer, and every notification in front of it.
fn play(connection: &mut Raw) -> Vec<(String, Value)> {
    let mut names = Names::default();
    let mut answers = Vec::new();
    for operations in transactions() {
        let answer = connection.transact(&operations);
        answers.push((operations.to_string(), names.normalise(&answer)));
    }
    for (method, params) in calls() {
        let answer = connection.call(method, &params);
        let question = format!("{method} {params}");
        // Monitors of one commit may come in any order.
        let mut heard: Vec<Value> = connection
            .heard
            .drain(..)
            .map(|message| {
                let method = message["method"].as_str().unwrap().to_owned();
                names.normalise(&without_transaction_names(&method, message))
            })
            .collect();
        heard.sort_by_key(|message| message["params"][0].to_string());
        answers.extend(heard.into_iter().map(|message| (format!("before {question}"), message)));
        let answer = without_transaction_names(method, answer);
        answers.push((question, names.normalise(&answer)));
    }
    answers
}

/// A schema with weak references that must not be missing.
const WEAK: &str = r#"{"name":"Open_vSwitch","version":"1.0.0","tables":{
    "C":{"isRoot":true,"columns":{"n":{"type":"integer"}}},
    "One":{"isRoot":true,"columns":{"n":{"type":"integer"},
        "w":{"type":{"key":{"type":"uuid","refTable":"C","refType":"weak"}}}}},
    "Some":{"isRoot":true,"columns":{"w":{"type":
        {"key":{"type":"uuid","refTable":"C","refType":"weak"},"min":1,"max":3}}}}}}"#;

#[test]
fn weak_references_that_dangle_are_the_same_error() {
    let Some(stock) = Stock::start_of(WEAK, &[]) else { return };
    let weft = Weft::start_with(|mut config| {
        (config.schema, config.remotes) = (WEAK.to_owned(), config.remotes.split_off(1));
        config
    });
    let nil = json!(["uuid", "00000000-0000-0000-0000-000000000000"]);
    let missing = json!(["uuid", "11111111-1111-1111-1111-111111111111"]);
    let c = json!(["named-uuid", "c"]);
    let update = |w: &Value| json!({"op": "update", "table": "One", "where": [], "row": {"w": w}});
    let delete = json!({"op": "delete", "table": "C", "where": []});
    let all = [
        json!([insert("One", json!({}))]),
        json!([insert("Some", json!({}))]),
        json!([insert("One", json!({"w": nil}))]),
        json!([insert("One", json!({"w": missing}))]),
        json!([insert("Some", json!({"w": ["set", [nil, missing]]}))]),
        json!([insert("One", json!({})), {"op": "update", "table": "One", "where": [], "row": {"n": 3}}]),
        json!([insert("One", json!({"n": 4})), {"op": "delete", "table": "One", "where": []}]),
        json!([named("C", "c", json!({})), insert("Some", json!({"w": ["set", [nil, c]]}))]),
        json!([named("C", "c", json!({})), insert("One", json!({"w": c})), delete]),
        json!([named("C", "c", json!({})), insert("One", json!({"w": c}))]),
        json!([update(&nil)]),
        json!([update(&missing)]),
        // Of one row alone, for which of two is named is by chance.
        json!([{"op": "delete", "table": "Some", "where": []}, delete]),
    ];
    let answers = |mut connection: Raw| -> Vec<Value> {
        let mut names = Names::default();
        all.iter().map(|operations| names.normalise(&connection.transact(operations))).collect()
    };
    let theirs = answers(Raw::connect(&stock.socket()));
    let ours = answers(weft.connect());
    for ((operations, theirs), ours) in all.iter().zip(theirs).zip(ours) {
        assert_eq!(theirs, ours, "{operations}");
    }
}

/// Who waits while the schema changes is told so, or has to come back.
#[test]
fn waiting_transactions_end_alike_when_the_schema_changes() {
    let Some(stock) = Stock::start() else { return };
    let weft = Weft::start();
    let o = "Open_vSwitch";
    let waits = json!([o, {"op": "wait", "table": "Queue", "where": [], "columns": ["dscp"], "until": "==",
        "rows": [{"dscp": 7}], "timeout": 100_000}]);
    let ends = |socket: &std::path::Path| -> Vec<Vec<Value>> {
        let mut waiting: Vec<Raw> = (0..3).map(|_| Raw::connect(socket)).collect();
        for aware in &mut waiting[..2] {
            aware.call("set_db_change_aware", &json!([true]));
        }
        waiting[1].call("monitor", &json!([o, "m", {"Queue": {"columns": ["dscp"]}}]));
        for one in &mut waiting {
            one.request("transact", &waits);
            // It is asked after the transaction, so the transaction waits.
            let id = one.request("echo", &json!([]));
            one.reply(id);
        }
        let converted = Raw::connect(socket).call("convert", &json!([o, newer_schema()]));
        assert_eq!(converted, json!({}));
        let end = |one: &mut Raw| {
            let mut heard = Vec::new();
            while let Some(message) = one.receive() {
                let is_answer = message.get("method").is_none();
                heard.push(message);
                if is_answer {
                    break;
                }
            }
            heard
        };
        waiting.iter_mut().map(end).collect()
    };
    let theirs = ends(&stock.socket());
    assert_eq!(ends(&weft.socket()), theirs);
    assert!(theirs[2].is_empty(), "{theirs:?}");
}

/// In Open vSwitch, too, a hash of uuids decides which of two rows is named first; here the order does.
#[test]
fn which_rows_violate_an_index_does_not_depend_on_their_uuids() {
    let weft = Weft::start();
    let mut client = weft.connect();
    client.transact(&json!([named("Bridge", "b", json!({"name": "there"})),
        {"op": "insert", "table": "Open_vSwitch", "row": {"bridges": ["named-uuid", "b"]}}]));
    let rounds: Vec<(&str, Value)> = vec![
        ("there", json!([named("Bridge", "b", json!({"name": "there"})), add_to_root("b")])),
        (
            "new",
            json!([
                named("Bridge", "b", json!({"name": "new"})),
                named("Bridge", "c", json!({"name": "new"})),
                add_to_root("b"),
                add_to_root("c")
            ]),
        ),
    ];
    for (name, operations) in rounds {
        for _ in 0..20 {
            let answer = client.transact(&operations);
            let (last, results) = answer.as_array().unwrap().split_last().unwrap();
            let text = last["details"].as_str().unwrap();
            let uuid = |at: usize| results[at]["uuid"][1].as_str().unwrap().to_owned();
            let (start, rest) = text.split_once("  Second row, with UUID ").unwrap();
            if name == "there" {
                assert!(start.contains("existed in the database before"), "{text}");
                assert!(rest.starts_with(&uuid(0)), "{text}");
            } else {
                assert!(start.contains(&format!("First row, with UUID {}", uuid(0))), "{text}");
                assert!(rest.starts_with(&uuid(1)), "{text}");
            }
        }
    }
}

/// What each makes of a file with a record that fits no table, and with garbage in it. Behind a record that
/// fits no table the stock server reads on, and writes over the middle of the file: there is none here.
#[test]
fn both_cut_a_file_where_it_makes_no_sense() {
    let record = weft_ovsdb::store::record::record;
    let row = |id: u8, dscp: u8| {
        let uuid = format!("00000000-0000-0000-0000-00000000000{id}");
        record(&json!({"Queue": {uuid: {"dscp": dscp}}}).to_string())
    };
    let and_more = |mut bytes: Vec<u8>| {
        bytes.extend(row(2, 2));
        bytes
    };
    for tail in [
        record(r#"{"Nope":{"00000000-0000-0000-0000-000000000001":{}}}"#),
        record(r#"{"Queue":{"x":{}}}"#),
        record(r#"{"Queue":{"00000000-0000-0000-0000-000000000001":{"nocol":1}}}"#),
        record(r#"{"Queue":{"00000000-0000-0000-0000-000000000003":{"dscp":3}},"Nope":{"x":{}}}"#),
        and_more(record("[]")),
        and_more(b"OVSDB JSON 3 0123456789012345678901234567890123456789\n{}\n".to_vec()),
        and_more(b"garbage\nand more".to_vec()),
        and_more(vec![0; 5000]),
    ] {
        let mut bytes = record(weft_ovsdb::value::schema::VSWITCH_SCHEMA.trim());
        bytes.extend(row(1, 1));
        bytes.extend(&tail);
        let dir = tempfile::TempDir::new().unwrap();
        let db = dir.path().join("conf.db");
        std::fs::write(&db, &bytes).unwrap();
        let Some(stock) = Stock::start_on(&bytes) else { return };
        let weft = Weft::start_in(dir, &db, |config| config);
        let question = json!([sorted(json!(["dscp"])), insert("Queue", json!({"dscp": 3}))]);
        let mut names = [Names::default(), Names::default()];
        let theirs = names[0].normalise(&Raw::connect(&stock.socket()).transact(&question));
        let ours = names[1].normalise(&weft.connect().transact(&question));
        assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(&tail));
        assert_eq!(ours[0]["rows"].as_array().unwrap().len(), 1, "{ours}");
    }
}

#[test]
fn both_servers_say_the_same() {
    let Some(stock) = Stock::start() else { return };
    let weft = Weft::start();
    let theirs = play(&mut Raw::connect(&stock.socket()));
    let ours = play(&mut weft.connect());
    let mut different = 0;
    for ((question, theirs), (ours_question, ours)) in theirs.iter().zip(&ours) {
        assert_eq!(question, ours_question);
        if theirs != ours {
            different += 1;
            eprintln!("{question}\n  stock {theirs}\n  weft  {ours}");
        }
    }
    assert_eq!((different, theirs.len()), (0, ours.len()));
    assert!(theirs.len() > 120);
}
