//! What sessions can do to each other and to the server: order, limits, garbage, locks, waits, monitors.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::harness::{Weft, wait_for};

fn root(server: &Weft) -> Value {
    let inserted =
        server.connect().transact(&json!([{"op": "insert", "table": "Open_vSwitch", "row": {}}]));
    inserted[0]["uuid"].clone()
}

fn bump() -> Value {
    json!([{"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]}])
}

#[test]
fn the_update_of_ones_own_change_comes_before_the_reply() {
    let server = Weft::start();
    root(&server);
    for (method, update, extra) in [
        ("monitor", "update", None),
        ("monitor_cond", "update2", None),
        ("monitor_cond_since", "update3", Some("00000000-0000-0000-0000-000000000000")),
    ] {
        let mut client = server.connect();
        let mut params = vec![
            json!("Open_vSwitch"),
            json!(["m"]),
            json!({"Open_vSwitch": [{"columns": ["next_cfg"]}]}),
        ];
        params.extend(extra.map(Value::from));
        client.call(method, &Value::Array(params));
        client.transact(&bump());
        assert_eq!(client.heard.len(), 1, "{method}");
        assert_eq!(client.heard[0]["method"], update);
        assert_eq!(client.heard[0]["params"][0], json!(["m"]));
    }
}

#[test]
fn updates_have_the_shapes_of_the_protocol() {
    let server = Weft::start();
    let mut client = server.connect();
    let requests = json!({"Queue": [{"columns": ["dscp", "external_ids"]}]});
    let nil = "00000000-0000-0000-0000-000000000000";
    assert_eq!(client.call("monitor", &json!(["Open_vSwitch", "v1", requests])), json!({}));
    assert_eq!(client.call("monitor_cond", &json!(["Open_vSwitch", "v2", requests])), json!({}));
    let since = client.call("monitor_cond_since", &json!(["Open_vSwitch", "v3", requests, nil]));
    assert_eq!((&since[0], &since[2]), (&json!(false), &json!({})));
    let id = client.transact(&json!([{"op": "insert", "table": "Queue",
        "row": {"external_ids": ["map", [["a", "1"], ["b", "2"]]]}}]))[0]["uuid"][1]
        .as_str()
        .unwrap()
        .to_owned();
    client.transact(&json!([{"op": "update", "table": "Queue", "where": [],
        "row": {"dscp": 3, "external_ids": ["map", [["a", "1"], ["c", "3"]]]}}]));
    client.transact(&json!([{"op": "update", "table": "Queue", "where": [], "row": {"other_config": ["map", [["x", "y"]]]}}]));
    client.transact(
        &json!([{"op": "update", "table": "Queue", "where": [], "row": {"dscp": ["set", []]}}]),
    );
    client.transact(&json!([{"op": "delete", "table": "Queue", "where": []}]));
    let bodies = |name: &str| {
        let mine = client.heard.iter().filter(|heard| heard["params"][0] == name);
        mine.map(|heard| heard["params"].as_array().unwrap().last().unwrap()["Queue"][&id].clone())
            .collect::<Vec<_>>()
    };
    let (ab, ac) =
        (json!(["map", [["a", "1"], ["b", "2"]]]), json!(["map", [["a", "1"], ["c", "3"]]]));
    let none = json!(["set", []]);
    assert_eq!(
        bodies("v1"),
        [
            json!({"new": {"dscp": none, "external_ids": ab}}),
            json!({"old": {"dscp": none, "external_ids": ab}, "new": {"dscp": 3, "external_ids": ac}}),
            json!({"old": {"dscp": 3}, "new": {"dscp": none, "external_ids": ac}}),
            json!({"old": {"dscp": none, "external_ids": ac}}),
        ]
    );
    let expected = [
        json!({"insert": {"external_ids": ab}}),
        json!({"modify": {"dscp": 3, "external_ids": ["map", [["b", "2"], ["c", "3"]]]}}),
        json!({"modify": {"dscp": none}}),
        json!({"delete": null}),
    ];
    assert_eq!(bodies("v2"), expected);
    assert_eq!(bodies("v3"), expected);
    let mut names = vec![since[1].clone()];
    let updates = client.heard.iter().filter(|heard| heard["method"] == "update3");
    names.extend(updates.map(|heard| heard["params"][1].clone()));
    names.dedup();
    assert_eq!(names.len(), 5, "each transaction has a name of its own: {names:?}");
}

#[test]
fn conditions_decide_what_a_client_sees() {
    let server = Weft::start();
    let mut client = server.connect();
    client.transact(&json!([
        {"op": "insert", "table": "Queue", "row": {"dscp": 1}},
        {"op": "insert", "table": "Queue", "row": {"dscp": 2}},
        {"op": "insert", "table": "Queue", "row": {"dscp": 3}}
    ]));
    let only = |clauses: Value| json!({"Queue": [{"columns": ["dscp"], "where": clauses}]});
    let sizes = |json: &Value| json.get("Queue").map_or(0, |rows| rows.as_object().unwrap().len());
    let initial = client.call(
        "monitor_cond",
        &json!(["Open_vSwitch", 1, only(json!([["dscp", "==", 1], ["dscp", ">", 2]]))]),
    );
    assert_eq!(sizes(&initial), 2, "clauses are alternatives");
    assert_eq!(
        sizes(&client.call("monitor_cond", &json!(["Open_vSwitch", 2, only(json!([]))]))),
        3
    );
    assert_eq!(
        sizes(&client.call("monitor_cond", &json!(["Open_vSwitch", 3, only(json!([false]))]))),
        0
    );
    // A row that begins to match is an insert, one that stops is a delete.
    let set = |from: u8, to: u8| json!([{"op": "update", "table": "Queue", "where": [["dscp", "==", from]], "row": {"dscp": to}}]);
    client.transact(&set(2, 4));
    client.transact(&set(1, 2));
    client.transact(&set(4, 5));
    let kinds: Vec<String> = client
        .heard
        .iter()
        .filter(|heard| heard["params"][0] == 1)
        .flat_map(|heard| {
            heard["params"][1]["Queue"].as_object().unwrap().values().cloned().collect::<Vec<_>>()
        })
        .map(|row| row.to_string())
        .collect();
    assert_eq!(
        kinds,
        [r#"{"insert":{"dscp":4}}"#, r#"{"delete":null}"#, r#"{"modify":{"dscp":5}}"#]
    );
    // Other conditions: the difference first, under the new name, then the reply.
    client.heard.clear();
    assert_eq!(
        client.call(
            "monitor_cond_change",
            &json!([1, 9, {"Queue": [{"where": [["dscp", "==", 2]]}]}])
        ),
        json!({})
    );
    assert_eq!((client.heard.len(), &client.heard[0]["params"][0]), (1, &json!(9)));
    assert_eq!(sizes(&client.heard[0]["params"][1]), 3, "two go, one comes");
    assert_eq!(client.call("monitor_cancel", &json!([1])), json!({"ERROR": "unknown monitor"}));
    assert_eq!(client.call("monitor_cancel", &json!([9])), json!({}));
    assert_eq!(server.memory().monitors, 2);
}

#[test]
fn garbage_ends_only_its_own_connection() {
    let server = Weft::start();
    let mut good = server.connect();
    let deep = format!(
        "{{\"id\":1,\"method\":\"echo\",\"params\":{}{}}}",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let cases: [&[u8]; 8] = [
        b"zz",
        b"[]",
        b"{}",
        b"{\"id\":1}",
        b"{\"id\":1,\"method\":\"echo\",\"params\":1}",
        b"{\"id\":1,,}",
        b"\xff\xfe\x00",
        deep.as_bytes(),
    ];
    for garbage in cases {
        let mut bad = server.connect();
        bad.send(garbage);
        assert_eq!(bad.receive(), None, "{:?}", &garbage[..garbage.len().min(20)]);
        assert_eq!(good.call("echo", &json!(["hi"])), json!(["hi"]));
    }
    wait_for("the sessions to go", || server.memory().sessions == 1);
}

#[test]
fn a_message_above_the_limit_ends_the_connection() {
    let server = Weft::start_with(|mut config| {
        config.limits.message_bytes_max = 1000;
        config
    });
    let mut client = server.connect();
    assert_eq!(client.call("echo", &json!(["x".repeat(900)]))[0].as_str().unwrap().len(), 900);
    client.send(
        format!("{{\"id\":1,\"method\":\"echo\",\"params\":[\"{}", "x".repeat(1000)).as_bytes(),
    );
    assert_eq!(client.receive(), None);
}

#[test]
fn replies_still_come_after_the_client_closed_its_end() {
    let server = Weft::start();
    let mut client = server.connect();
    let id = client.request("echo", &json!([1]));
    client.half_close();
    assert_eq!(client.reply(id)["result"], json!([1]));
    assert_eq!(client.receive(), None);
}

#[test]
fn a_client_that_does_not_read_updates_hears_their_sum_later() {
    let server = Weft::start();
    root(&server);
    for (method, old) in [("monitor", true), ("monitor_cond", false)] {
        let mut lazy = server.connect();
        let requests = json!({"Open_vSwitch": {"columns": ["external_ids"]}});
        lazy.call(method, &json!(["Open_vSwitch", 1, requests]));
        let mut busy = server.connect();
        for n in 0..200 {
            let value = format!("{n}{}", "x".repeat(20_000));
            busy.transact(&json!([{"op": "update", "table": "Open_vSwitch", "where": [],
                "row": {"external_ids": ["map", [["k", value]]]}}]));
            assert!(server.memory().backlog_bytes < (1 << 19));
        }
        assert_eq!(server.memory().missed_rows, 1, "one row changed, however often");
        // A reply never comes before the updates of what it is about.
        lazy.call("echo", &json!([]));
        assert!((10..199).contains(&lazy.heard.len()), "{} updates", lazy.heard.len());
        let last = lazy.heard.last().unwrap()["params"].as_array().unwrap().last().unwrap();
        let row = last["Open_vSwitch"].as_object().unwrap().values().next().unwrap();
        let value = row[if old { "new" } else { "modify" }]["external_ids"].to_string();
        assert!(value.contains("\"199xxx"), "{}", &value[..60]);
        assert_eq!(server.memory().missed_rows, 0);
        assert_eq!(server.memory().sessions, 2);
        drop((lazy, busy));
        wait_for("both to be gone", || server.memory().sessions == 0);
    }
}

#[test]
fn too_much_kept_for_clients_that_do_not_read_ends_them() {
    let server = Weft::start_with(|mut config| {
        config.limits.missed_rows_max = 100;
        config
    });
    let mut lazy = server.connect();
    lazy.call("monitor", &json!(["Open_vSwitch", 1, {"Queue": {}}]));
    let mut busy = server.connect();
    let big = "x".repeat(1 << 20);
    for n in 0..200 {
        busy.transact(&json!([{"op": "insert", "table": "Queue",
            "row": {"external_ids": ["map", [["k", if n < 2 { &big } else { "" }]]]}}]));
    }
    wait_for("the lazy client to be gone", || server.memory().sessions == 1);
    assert_eq!(server.memory().missed_rows, 0);
    assert_eq!(busy.call("echo", &json!([])), json!([]));
}

#[test]
fn a_client_that_does_not_read_replies_is_not_read_from() {
    let server = Weft::start();
    let mut lazy = server.connect();
    let request = json!({"id": 1, "method": "echo", "params": ["x".repeat(10_000)]}).to_string();
    let writer = std::thread::spawn({
        let mut stream = std::os::unix::net::UnixStream::connect(server.socket()).unwrap();
        stream.set_write_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
        move || {
            let sent = (0..2000)
                .take_while(|_| std::io::Write::write_all(&mut stream, request.as_bytes()).is_ok())
                .count();
            (sent, stream)
        }
    });
    let (sent, _stream) = writer.join().unwrap();
    assert!(sent < 2000, "the server took everything");
    assert!(server.memory().backlog_bytes < (2 << 20));
    assert_eq!(lazy.call("echo", &json!([])), json!([]));
}

#[test]
fn locks_pass_on_when_a_session_ends() {
    let server = Weft::start();
    let (mut a, mut b, mut c) = (server.connect(), server.connect(), server.connect());
    assert_eq!(a.call("lock", &json!(["L"])), json!({"locked": true}));
    assert_eq!(b.call("lock", &json!(["L"])), json!({"locked": false}));
    let assert_lock = json!([{"op": "assert", "lock": "L"}]);
    assert_eq!(a.transact(&assert_lock), json!([{}]));
    assert_eq!(b.transact(&assert_lock)[0]["error"], "not owner");
    drop(a);
    assert_eq!(b.receive().unwrap(), json!({"id": null, "method": "locked", "params": ["L"]}));
    assert_eq!(c.call("steal", &json!(["L"])), json!({"locked": true}));
    assert_eq!(b.receive().unwrap(), json!({"id": null, "method": "stolen", "params": ["L"]}));
    drop(c);
    assert_eq!(b.receive().unwrap(), json!({"id": null, "method": "locked", "params": ["L"]}));
    assert_eq!(b.transact(&assert_lock), json!([{}]));
}

#[test]
fn a_wait_ends_by_change_by_time_or_by_cancel() {
    let server = Weft::start();
    root(&server);
    let wait = |until: u64, timeout: Option<u64>| {
        let mut operation = json!({"op": "wait", "table": "Open_vSwitch", "where": [],
            "columns": ["next_cfg"], "until": "==", "rows": [{"next_cfg": until}]});
        if let Some(timeout) = timeout {
            operation["timeout"] = json!(timeout);
        }
        json!(["Open_vSwitch", operation, {"op": "mutate", "table": "Open_vSwitch", "where": [],
            "mutations": [["next_cfg", "+=", 1]]}])
    };
    let (mut a, mut b) = (server.connect(), server.connect());
    let first = a.request("transact", &wait(1, None));
    let second = b.request("transact", &wait(2, Some(60_000)));
    wait_for("both to wait", || server.memory().pending == 2);
    // Other requests of a session that waits are answered meanwhile.
    assert_eq!(a.call("list_dbs", &json!([])), json!(["Open_vSwitch", "_Server"]));
    // One change sets off the first, which sets off the second.
    server.connect().transact(&bump());
    assert_eq!(a.reply(first)["result"], json!([{}, {"count": 1}]));
    assert_eq!(b.reply(second)["result"], json!([{}, {"count": 1}]));
    let late = a.request("transact", &wait(99, Some(50)));
    let reply = a.reply(late);
    assert_eq!(reply["result"][0]["error"], "timed out");
    let details = reply["result"][0]["details"].as_str().unwrap();
    assert!(
        details.starts_with("\"wait\" timed out after ") && details.ends_with(" ms"),
        "{details}"
    );
    assert_eq!(reply["result"][1], Value::Null);
    let cancelled = a.request("transact", &wait(99, None));
    a.send(json!({"id": null, "method": "cancel", "params": [cancelled]}).to_string().as_bytes());
    assert_eq!(a.reply(cancelled)["error"], "canceled");
    let _ = b.request("transact", &wait(99, None));
    wait_for("one to wait", || server.memory().pending == 1);
    drop(b);
    wait_for("none to wait", || server.memory().pending == 0);
}

#[test]
fn the_server_database_describes_both_and_cannot_be_written() {
    let server = Weft::start();
    let mut client = server.connect();
    let select = json!(["_Server", {"op": "select", "table": "Database", "where": [],
        "columns": ["name", "model", "connected", "leader", "schema", "cid", "sid", "index"]}]);
    let rows = client.call("transact", &select)[0]["rows"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let schema: Value = serde_json::from_str(row["schema"].as_str().unwrap()).unwrap();
        assert_eq!(schema, client.call("get_schema", &json!([row["name"]])));
        assert_eq!(
            (&row["model"], &row["connected"], &row["leader"]),
            (&json!("standalone"), &json!(true), &json!(true))
        );
    }
    let delete = client
        .call("transact", &json!(["_Server", {"op": "delete", "table": "Database", "where": []}]));
    assert_eq!(delete[1]["error"], "not allowed");
    assert_eq!(client.call("transact", &select)[0]["rows"].as_array().unwrap().len(), 2);
}

#[test]
fn limits_per_session() {
    let server = Weft::start_with(|mut config| {
        config.limits.monitors_max = 2;
        config.limits.locks_max = 2;
        config.limits.pending_max = 2;
        config.limits.sessions_max = 3;
        config
    });
    let mut client = server.connect();
    let wait = json!(["Open_vSwitch", {"op": "wait", "table": "Queue", "where": [], "columns": ["dscp"], "until": "!=", "rows": []}]);
    for n in 0..2 {
        assert_eq!(client.call("lock", &json!([format!("l{n}")])), json!({"locked": true}));
        assert_eq!(client.call("monitor", &json!(["Open_vSwitch", n, {}])), json!({}));
        client.request("transact", &wait);
    }
    for (method, params) in
        [("lock", json!(["l9"])), ("monitor", json!(["Open_vSwitch", 9, {}])), ("transact", wait)]
    {
        assert_eq!(
            client.call(method, &params)["ERROR"]["error"],
            "resources exhausted",
            "{method}"
        );
    }
    let _others = (server.connect(), server.connect());
    wait_for("three sessions", || server.memory().sessions == 3);
    assert_eq!(server.connect().receive(), None);
}

#[test]
fn sockets_are_for_root_and_its_group_and_go_with_the_server() {
    let server = Weft::start();
    let mode = std::fs::metadata(server.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(std::fs::metadata(server.db()).unwrap().permissions().mode() & 0o777, 0o640);
    let (socket, db) = (server.socket(), server.db());
    let dir = server.stop();
    assert!(!socket.exists());
    // A socket that a kill left behind is replaced.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    // A program that another test is just starting may hold a copy of it for a moment.
    wait_for("nobody to listen", || std::os::unix::net::UnixStream::connect(&socket).is_err());
    assert!(socket.exists());
    let server = Weft::start_in(dir, &db, |config| config);
    assert_eq!(server.connect().call("echo", &json!([1])), json!([1]));
    let remote = format!("punix:{}", socket.display());
    assert!(server.with(weft_ovsdb::Server::list_remotes).contains(&remote));
    assert!(server.with(move |server| server.remove_remote(&remote)));
    wait_for("the socket to go", || !socket.exists());
}

#[test]
fn compaction_while_serving() {
    let server = Weft::start();
    root(&server);
    let mut client = server.connect();
    for _ in 0..50 {
        client.transact(&bump());
    }
    let before = server.memory().file_bytes;
    server.compact();
    assert!(server.memory().file_bytes < before);
    client.transact(&bump());
    let db = server.db();
    let server = Weft::start_in(server.stop(), &db, |config| config);
    let select =
        json!([{"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["next_cfg"]}]);
    assert_eq!(server.connect().transact(&select)[0]["rows"], json!([{"next_cfg": 51}]));
}

/// The schema of Open vSwitch in a newer version: without one column and with another.
fn newer_schema() -> Value {
    let mut schema: Value =
        serde_json::from_str(weft_ovsdb::value::schema::VSWITCH_SCHEMA).unwrap();
    schema["version"] = json!("9.0.0");
    let columns = schema["tables"]["Queue"]["columns"].as_object_mut().unwrap();
    columns.remove("dscp");
    columns.insert("fresh".to_owned(), json!({"type": "string"}));
    schema
}

#[test]
fn a_conversion_tells_or_disconnects_and_survives_a_restart() {
    let server = Weft::start();
    root(&server);
    let (mut aware, mut unaware) = (server.connect(), server.connect());
    aware.call("set_db_change_aware", &json!([true]));
    aware.transact(&json!([{"op": "insert", "table": "Queue", "row": {"dscp": 4}}]));
    for client in [&mut aware, &mut unaware] {
        client.call("monitor_cond", &json!(["Open_vSwitch", "mine", {"Queue": {}}]));
        client.call(
            "monitor_cond",
            &json!(["_Server", "both", {"Database": {"columns": ["schema"]}}]),
        );
    }
    let wait = aware.request(
        "transact",
        &json!(["Open_vSwitch", {"op": "wait", "table": "Port", "where": [], "columns": ["tag"],
            "until": "!=", "rows": []}]),
    );
    wait_for("the wait", || server.memory().pending == 1);
    let mut converter = server.connect();
    assert_eq!(converter.call("convert", &json!(["Open_vSwitch", newer_schema()])), json!({}));
    assert_eq!(aware.reply(wait)["error"], "canceled");
    assert_eq!(aware.call("echo", &json!([])), json!([]));
    let heard: Vec<(&str, &Value)> =
        aware.heard.iter().map(|it| (it["method"].as_str().unwrap(), &it["params"][0])).collect();
    assert_eq!(heard, [("monitor_canceled", &json!("mine")), ("update2", &json!("both"))]);
    while unaware.receive().is_some() {}
    let schema = aware.call("get_schema", &json!(["Open_vSwitch"]));
    assert_eq!(schema.to_string(), newer_schema().to_string(), "order and checksum are kept");
    // The old monitor's name is free again, under the new schema.
    let monitor = json!(["Open_vSwitch", "mine", {"Queue": {"columns": ["fresh"]}}]);
    assert_eq!(aware.call("monitor_cond", &monitor)["Queue"].as_object().unwrap().len(), 1);
    aware.transact(&json!([{"op": "insert", "table": "Queue", "row": {"fresh": "x"}}]));
    let db = server.db();
    let server = Weft::start_in(server.stop(), &db, |config| config);
    let mut client = server.connect();
    let rows = client
        .transact(&json!([{"op": "select", "table": "Queue", "where": [], "columns": ["fresh"]}]));
    let mut fresh: Vec<String> =
        rows[0]["rows"].as_array().unwrap().iter().map(|row| row["fresh"].to_string()).collect();
    fresh.sort();
    assert_eq!(fresh, ["\"\"", "\"x\""]);
    assert_eq!(client.call("get_schema", &json!(["Open_vSwitch"]))["version"], "9.0.0");
}

#[test]
fn a_client_that_comes_back_hears_what_it_missed() {
    let server = Weft::start_with(|mut config| {
        config.limits.history_max = 5;
        config
    });
    let mut busy = server.connect();
    let mut insert = |dscp: u8| {
        let results =
            busy.transact(&json!([{"op": "insert", "table": "Queue", "row": {"dscp": dscp}}]));
        results[0]["uuid"][1].as_str().unwrap().to_owned()
    };
    let since = |last: &Value| {
        let requests = json!({"Queue": [{"columns": ["dscp"], "where": [["dscp", "<", 50]]}]});
        server.connect().call("monitor_cond_since", &json!(["Open_vSwitch", "m", requests, last]))
    };
    insert(1);
    let first = since(&json!("00000000-0000-0000-0000-000000000000"));
    assert_eq!((&first[0], first[2]["Queue"].as_object().unwrap().len()), (&json!(false), 1));
    assert_eq!(since(&first[1]), json!([true, first[1], {}]), "nothing was missed");
    let second = insert(2);
    insert(60);
    let resumed = since(&first[1]);
    assert_eq!(resumed[0], true);
    assert_eq!(resumed[2], json!({"Queue": {second: {"insert": {"dscp": 2}}}}));
    assert_ne!(resumed[1], first[1]);
    assert_eq!(since(&resumed[1]), json!([true, resumed[1], {}]));
    (0..6).for_each(|n| drop(insert(n)));
    let too_late = since(&first[1]);
    assert_eq!((&too_late[0], too_late[2]["Queue"].as_object().unwrap().len()), (&json!(false), 8));
}

#[test]
fn durable_transactions_of_many_clients_share_a_sync_and_all_come() {
    let server = Weft::start();
    root(&server);
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    let operations = json!(["Open_vSwitch",
        {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]},
        {"op": "commit", "durable": true}]);
    for _ in 0..10 {
        let ids: Vec<u64> =
            clients.iter_mut().map(|it| it.request("transact", &operations)).collect();
        for (client, id) in clients.iter_mut().zip(ids) {
            assert_eq!(client.reply(id)["result"], json!([{"count": 1}, {}]));
        }
    }
    let db = server.db();
    let server = Weft::start_in(server.stop(), &db, |config| config);
    let select =
        json!([{"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["next_cfg"]}]);
    assert_eq!(server.connect().transact(&select)[0]["rows"], json!([{"next_cfg": 200}]));
}
