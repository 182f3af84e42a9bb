//! The client, against our server and the stock one alike.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;
use weft_ovsdb::client::ops;
use weft_ovsdb::{Client, ClientError, Datum};

use crate::harness::{Stock, Weft};

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limited = async { timeout(Duration::from_secs(20), future).await.expect("in time") };
    runtime.block_on(limited)
}

/// What every server must do for the client.
async fn exercise(target: &str) {
    let mut client = Client::connect(target).await.unwrap();
    let mut other = Client::connect(target).await.unwrap();
    client.transact_on("Open_vSwitch", vec![ops::insert("Open_vSwitch", None, &[])]).await.unwrap();
    let tables: [(&str, &[&str]); 4] = [
        ("Open_vSwitch", &[]),
        ("Bridge", &["name", "ports", "external_ids", "stp_enable", "no_such_column"]),
        ("Port", &["name", "tag", "trunks"]),
        ("No_Such_Table", &[]),
    ];
    client.monitor_all("Open_vSwitch", &tables).await.unwrap();
    let (root, row) = client.replica().table("Open_vSwitch").unwrap().first().unwrap();
    assert_eq!(row.get("next_cfg").as_int(), Some(0), "defaults are filled in");
    assert_eq!(row.get("external_ids"), &Datum::map(Vec::new()));
    assert!(client.next_change().await.unwrap().table("Open_vSwitch").any(|uuid| uuid == root));

    let add = vec![
        ops::insert("Interface", Some("i"), &[("name", Datum::string("br0"))]),
        json!({"op": "insert", "table": "Port", "uuid-name": "p",
            "row": {"name": "br0", "interfaces": ops::named_uuid("i"), "trunks": ["set", [1, 2, 3]]}}),
        json!({"op": "insert", "table": "Bridge", "uuid-name": "b",
            "row": {"name": "br0", "ports": ops::named_uuid("p"),
                "external_ids": ["map", [["a", "1"], ["b", "2"]]]}}),
        ops::mutate(
            "Open_vSwitch",
            root,
            &[("bridges", "insert", ops::named_uuid("b")), ("next_cfg", "+=", json!(1))],
        ),
    ];
    // The update comes before the reply: no waiting for the replica to have it.
    assert_eq!(client.transact(add).await.unwrap().len(), 4);
    let (bridge, row) = client.replica().table("Bridge").unwrap().first().unwrap();
    assert_eq!(row.get("external_ids").map_get("b"), Some("2"));
    assert_eq!(row.get("stp_enable").as_bool(), Some(false));
    assert!(row.try_get("no_such_column").is_none());
    let (port, row) = client.replica().table("Port").unwrap().first().unwrap();
    assert_eq!(row.get("trunks").integers().collect::<Vec<_>>(), [1, 2, 3]);
    let changes = client.next_change().await.unwrap();
    assert_eq!(changes.table("Bridge").collect::<Vec<_>>(), [bridge]);
    assert_eq!(changes.table("Port").collect::<Vec<_>>(), [port]);

    // Another client's changes, as differences; nothing is lost when next_change is dropped.
    assert!(timeout(Duration::from_millis(20), client.next_change()).await.is_err());
    let change = vec![
        ops::update("Port", port, &[("tag", Datum::integer(7))]),
        ops::mutate(
            "Port",
            port,
            &[("trunks", "insert", json!(9)), ("trunks", "delete", json!(2))],
        ),
        ops::mutate(
            "Bridge",
            bridge,
            &[
                ("external_ids", "delete", json!(["set", ["a", "b"]])),
                ("external_ids", "insert", json!(["map", [["b", "3"], ["c", "4"]]])),
            ],
        ),
    ];
    other.transact_on("Open_vSwitch", change).await.unwrap();
    client.next_change().await.unwrap();
    let row = client.replica().row("Port", port).unwrap();
    assert_eq!(row.get("tag").as_int(), Some(7));
    assert_eq!(row.get("trunks").integers().collect::<Vec<_>>(), [1, 3, 9]);
    let row = client.replica().row("Bridge", bridge).unwrap();
    let pairs: Vec<_> = row.get("external_ids").string_pairs().collect();
    assert_eq!(pairs, [("b", "3"), ("c", "4")]);

    // Refusals name the operation, and nothing happens.
    let refused = vec![
        ops::update("Port", port, &[("tag", Datum::integer(8))]),
        ops::update("Port", port, &[("tag", Datum::integer(5000))]),
    ];
    match client.transact(refused).await {
        Err(ClientError::Transaction { error, details, index: 1 }) => {
            assert_eq!(error, "constraint violation");
            assert_eq!(details, "5000 is not in the valid range 0 to 4095 (inclusive)");
        }
        other => panic!("{other:?}"),
    }
    locks(&mut client, &mut other).await;

    // Deleting the bridge takes port and interface with it.
    let clear = vec![ops::update("Open_vSwitch", root, &[("bridges", Datum::empty())])];
    client.transact(clear).await.unwrap();
    assert_eq!(client.replica().table("Bridge").unwrap().rows().len(), 0);
    assert_eq!(client.replica().table("Port").unwrap().rows().len(), 0);
    let rows = vec![ops::select("Interface", &json!([]), &["name"])];
    assert_eq!(client.transact(rows).await.unwrap(), [json!({"rows": []})]);

    // A new connection has the same replica and asks for the same locks.
    client.reconnect().await.unwrap();
    assert!(client.next_change().await.unwrap().table("Open_vSwitch").any(|uuid| uuid == root));
    assert_eq!(
        client.replica().row("Open_vSwitch", root).unwrap().get("next_cfg").as_int(),
        Some(1)
    );
}

async fn locks(client: &mut Client, other: &mut Client) {
    assert!(client.lock("l").await.unwrap() && client.has_lock("l"));
    assert!(!other.lock("l").await.unwrap());
    client.transact(vec![ops::assert_lock("l")]).await.unwrap();
    match other.transact_on("Open_vSwitch", vec![ops::assert_lock("l")]).await {
        Err(ClientError::Transaction { error, .. }) => assert_eq!(error, "not owner"),
        other => panic!("{other:?}"),
    }
    client.unlock("l").await.unwrap();
    assert_eq!(other.next_change().await.unwrap().locked, ["l"]);
    assert!(other.has_lock("l"));
    client.steal("l").await.unwrap();
    assert_eq!(other.next_change().await.unwrap().stolen, ["l"]);
    assert!(!other.has_lock("l") && client.has_lock("l"));
}

#[test]
fn works_with_our_server() {
    let server = Weft::start();
    block_on(exercise(&server.target()));
}

#[test]
fn works_with_the_stock_server() {
    let Some(server) = Stock::start() else { return };
    block_on(exercise(&server.target()));
}

#[test]
fn falls_back_to_plain_monitor() {
    let Some(server) = Stock::start() else { return };
    server.appctl(&["ovsdb-server/disable-monitor-cond"]);
    block_on(exercise(&server.target()));
}

#[test]
fn a_server_that_goes_is_noticed_and_found_again() {
    let server = Weft::start();
    let target = server.target();
    let db = server.db();
    block_on(async move {
        let mut client = Client::connect(&target).await.unwrap();
        client.monitor_all("Open_vSwitch", &[("Open_vSwitch", &[])]).await.unwrap();
        let dir = server.stop();
        assert!(matches!(
            client.next_change().await,
            Err(ClientError::Closed | ClientError::Io { .. })
        ));
        assert!(matches!(client.reconnect().await, Err(ClientError::Io { .. })));
        let _server = Weft::start_in(dir, &db, |config| config);
        client.reconnect().await.unwrap();
        client.transact(vec![ops::insert("Open_vSwitch", None, &[])]).await.unwrap();
        assert_eq!(client.replica().rows("Open_vSwitch").count(), 1);
    });
}

#[test]
fn a_conversion_is_noticed_and_reconnecting_reads_the_new_schema() {
    let ours = Weft::start();
    let stock = Stock::start();
    for target in std::iter::once(ours.target()).chain(stock.as_ref().map(Stock::target)) {
        block_on(async {
            let mut client = Client::connect(&target).await.unwrap();
            client.monitor_all("Open_vSwitch", &[("Queue", &[])]).await.unwrap();
            let mut other = Client::connect(&target).await.unwrap();
            let mut schema: serde_json::Value =
                serde_json::from_str(weft_ovsdb::value::schema::VSWITCH_SCHEMA).unwrap();
            schema["tables"]["Queue"]["columns"]["fresh"] = json!({"type": "string"});
            other.call("convert", json!(["Open_vSwitch", schema])).await.unwrap();
            assert!(matches!(client.next_change().await, Err(ClientError::Converted)));
            client.reconnect().await.unwrap();
            client.transact(vec![ops::insert("Queue", None, &[])]).await.unwrap();
            let (_, row) = client.replica().rows("Queue").next().unwrap();
            assert_eq!(row.try_get("fresh"), Some(&Datum::string("")));
        });
    }
}

/// Answers the calls of one client, the last of `replies` together with `update` in the same bytes.
fn serve_once(listener: &UnixListener, replies: &[Value], updates: &[Value]) {
    let (stream, _) = listener.accept().unwrap();
    let calls = serde_json::Deserializer::from_reader(&stream).into_iter::<Value>();
    for (n, (call, reply)) in calls.zip(replies).enumerate() {
        let id = call.unwrap()["id"].clone();
        let mut bytes = json!({"id": id, "result": reply, "error": null}).to_string();
        if n + 1 == replies.len() {
            bytes.extend(updates.iter().map(Value::to_string));
        }
        (&stream).write_all(bytes.as_bytes()).unwrap();
    }
}

#[test]
fn an_update_right_behind_the_first_contents_is_a_difference_to_them() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("db.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let column = json!({"type": {"key": "integer", "min": 0, "max": "unlimited"}});
    let schema = json!({"name": "D", "version": "1.0.0",
        "tables": {"T": {"columns": {"set": column}, "isRoot": true}}});
    let row = Uuid::new_v4().to_string();
    let contents = json!([false, Uuid::nil().to_string(),
        {"T": {&row: {"initial": {"set": ["set", [1, 2]]}}}}]);
    let update = json!({"id": null, "method": "update3", "params": [["monid", "D"],
        Uuid::nil().to_string(), {"T": {&row: {"modify": {"set": ["set", [2, 3]]}}}}]});
    let server = thread::spawn(move || {
        serve_once(&listener, &[json!({}), schema, contents], &[update]);
    });
    block_on(async {
        let mut client = Client::connect(&format!("unix:{}", socket.display())).await.unwrap();
        client.monitor_all("D", &[("T", &[])]).await.unwrap();
        let (_, row) = client.replica().table("T").unwrap().first().unwrap();
        assert_eq!(row.get("set").integers().collect::<Vec<_>>(), [1, 3]);
    });
    server.join().unwrap();
}

#[test]
fn bad_targets() {
    block_on(async {
        for target in ["", "unix:", "ssl:", "tcp:", "tcp:127.0.0.1:x", "ptcp:x"] {
            assert!(
                matches!(Client::connect(target).await, Err(ClientError::Target(_))),
                "{target}"
            );
        }
        let bare = Client::connect("ssl:127.0.0.1:1").await.unwrap_err().to_string();
        assert!(bare.contains("TLS needs a private key"), "{bare}");
        let refused = Client::connect("unix:/nonexistent/db.sock").await;
        assert!(matches!(refused, Err(ClientError::Io { .. })));
    });
}

/// It is read on another thread; whatever is there by then, what follows it waits for it.
#[test]
fn what_follows_a_large_update_is_applied_after_it() {
    const LAST: i64 = 1000;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("db.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let columns = json!({"n": {"type": "integer"}, "text": {"type": "string"}});
    let schema = json!({"name": "D", "version": "1.0.0",
        "tables": {"T": {"columns": columns, "isRoot": true}}});
    let [small, large] = [Uuid::new_v4(), Uuid::new_v4()];
    let update = |row: Uuid, change: Value| {
        json!({"id": null, "method": "update3", "params": [["monid", "D"],
            Uuid::nil().to_string(), {"T": {row.to_string(): change}}]})
    };
    let contents = json!([false, Uuid::nil().to_string(),
        {"T": {small.to_string(): {"initial": {"n": 0}}}}]);
    let text = "x".repeat(1 << 20);
    let mut updates = vec![update(large, json!({"insert": {"text": text}}))];
    // Of the first of them a part comes with the end of the large one, the others come in later reads.
    updates.extend((1..=LAST).map(|n| update(small, json!({"modify": {"n": n}}))));
    let server = thread::spawn(move || {
        serve_once(&listener, &[json!({}), schema, contents], &updates);
    });
    block_on(async {
        let mut client = Client::connect(&format!("unix:{}", socket.display())).await.unwrap();
        client.monitor_all("D", &[("T", &[])]).await.unwrap();
        let mut n = 0;
        while n < LAST {
            // Dropped at any moment, it loses nothing.
            let changes = timeout(Duration::from_micros(100), client.next_change()).await;
            drop(changes.map(Result::unwrap));
            let now = client.replica().row("T", small).unwrap().get("n").as_int().unwrap();
            assert!(now >= n, "{now} after {n}");
            n = now;
            let is_large_there = client.replica().row("T", large).is_some();
            assert!(n == 0 || is_large_there, "update {n} came before the large one");
        }
        let row = client.replica().row("T", large).unwrap();
        assert_eq!(row.get("text").as_str().unwrap().len(), 1 << 20);
    });
    server.join().unwrap();
}

/// Whoever stops waiting and looks at the replica finds nothing in it that was not reported.
#[test]
fn the_replica_is_not_ahead_of_its_changes() {
    let server = Weft::start();
    let target = server.target();
    block_on(async {
        let mut client = Client::connect(&target).await.unwrap();
        let mut other = Client::connect(&target).await.unwrap();
        client.monitor_all("Open_vSwitch", &[("Queue", &["dscp"])]).await.unwrap();
        for rows in 1..=20 {
            let insert = ops::insert("Queue", None, &[("dscp", Datum::integer(1))]);
            let mut seen = client.replica().rows("Queue").count();
            let send = other.transact_on("Open_vSwitch", vec![insert]);
            let (mut send, mut is_sent) = (std::pin::pin!(send), false);
            while seen < rows || !is_sent {
                // It waits, is woken once, and is dropped.
                let changes = {
                    let (mut next, mut polls) = (std::pin::pin!(client.next_change()), 0);
                    std::future::poll_fn(|context| {
                        polls += 1;
                        if !is_sent {
                            is_sent = send.as_mut().poll(context).is_ready();
                        }
                        match next.as_mut().poll(context) {
                            Poll::Ready(changes) => Poll::Ready(Some(changes.unwrap())),
                            Poll::Pending if polls == 1 => Poll::Pending,
                            Poll::Pending => Poll::Ready(None),
                        }
                    })
                    .await
                };
                seen += changes.map_or(0, |changes| changes.table("Queue").count());
                assert_eq!(client.replica().rows("Queue").count(), seen);
            }
        }
    });
}

#[test]
fn answers_come_to_who_does_not_wait() {
    let server = Weft::start();
    let target = server.target();
    block_on(async {
        let mut client = Client::connect(&target).await.unwrap();
        client.monitor_all("Open_vSwitch", &[("Queue", &["dscp"])]).await.unwrap();
        let queue = |dscp| vec![ops::insert("Queue", None, &[("dscp", Datum::integer(dscp))])];
        let good = client.start_transact(queue(1)).unwrap();
        let bad = client.start_transact(queue(99)).unwrap();
        // A call in between gets its own answer.
        assert_eq!(client.transact(queue(2)).await.unwrap().len(), 1);
        let changes = client.next_change().await.unwrap();
        assert_eq!(changes.table("Queue").count(), 2);
        let answers: Vec<_> =
            changes.answers.iter().map(|it| (it.id, it.refusal.is_some())).collect();
        assert_eq!(answers, [(good, false), (bad, true)]);
        let refusal = changes.answers[1].refusal.as_deref().unwrap();
        assert!(refusal.contains("99 is not in the valid range"), "{refusal}");
        // Only an answer, and nothing that changed.
        let nothing = client.start_transact(queue(100)).unwrap();
        let changes = client.next_change().await.unwrap();
        assert!(changes.is_unchanged() && !changes.is_empty());
        assert_eq!(changes.answers[0].id, nothing);
    });
}
