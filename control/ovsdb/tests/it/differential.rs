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
    let mut schema: Value = serde_json::from_str(weft_ovsdb::schema::VSWITCH_SCHEMA).unwrap();
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
