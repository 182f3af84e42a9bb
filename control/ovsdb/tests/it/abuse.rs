//! Clients that are slow, half there or hostile: memory stays bounded, others notice nothing.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::harness::{Raw, Weft, wait_for};

fn queues(client: &mut Raw, count: usize) {
    let insert = json!({"op": "insert", "table": "Queue", "row":
        {"external_ids": ["map", [["k", "x".repeat(1000)]]]}});
    client.transact(&Value::Array(vec![insert; count]));
}

#[test]
fn one_remote_that_is_full_leaves_room_for_the_others() {
    let other = tempfile::TempDir::new().unwrap();
    let path = other.path().join("other.sock");
    let remote = format!("punix:{}", path.display());
    let server = Weft::start_with(|mut config| {
        config.limits.sessions_per_remote_max = 5;
        config.limits.sessions_max = 7;
        config.remote(remote)
    });
    let _crowd: Vec<UnixStream> =
        (0..5).map(|_| UnixStream::connect(server.socket()).unwrap()).collect();
    wait_for("the crowd", || server.memory().sessions == 5);
    assert_eq!(server.connect().receive(), None);
    let mut good = Raw::connect(&path);
    assert_eq!(good.call("echo", &json!([1])), json!([1]));
    assert!(server.log().contains("too many connections"));
}

#[test]
fn unfinished_messages_are_bounded_together() {
    let server = Weft::start_with(|mut config| {
        config.limits.input_bytes_max = 3 << 20;
        config
    });
    let mut good = server.connect();
    let mut ended = 0;
    let mut crowd = Vec::new();
    for _ in 0..20 {
        let mut stream = UnixStream::connect(server.socket()).unwrap();
        stream.write_all(b"{\"id\":1,\"method\":\"echo\",\"params\":[\"").unwrap();
        for _ in 0..32 {
            // The server hangs up on those that make it too much.
            ended += usize::from(stream.write_all(&vec![b'x'; 1 << 16]).is_err());
        }
        crowd.push(stream);
        assert!(server.memory().input_bytes <= (3 << 20) + (1 << 17));
        assert_eq!(good.call("echo", &json!([])), json!([]));
    }
    assert!(ended > 0, "{:?}", server.memory());
    wait_for("the last of them", || server.memory().sessions < 5);
    assert!(server.log().contains("too much unfinished input"));
}

#[test]
fn a_reader_that_takes_its_time_gets_everything() {
    let server = Weft::start();
    let (mut slow, mut good) = (server.connect(), server.connect());
    queues(&mut good, 2000);
    let select = json!(["Open_vSwitch", {"op": "select", "table": "Queue", "where": []}]);
    let ids: Vec<u64> = (0..20).map(|_| slow.request("transact", &select)).collect();
    for _ in 0..50 {
        assert_eq!(good.call("echo", &json!([])), json!([]));
        // One reply above the mark at which no more requests are read.
        assert!(server.memory().backlog_bytes < 8 << 20, "{:?}", server.memory());
    }
    for id in ids {
        assert_eq!(slow.reply(id)["result"][0]["rows"].as_array().unwrap().len(), 2000);
    }
}

#[test]
fn peers_that_are_half_open_or_reset_go_away() {
    let server = Weft::start_with(|config| config.remote("ptcp:0:127.0.0.1"));
    let port = server.with(|server| server.bound_port("ptcp:0:127.0.0.1")).unwrap();
    let mut good = server.connect();
    for n in 0..30 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(br#"{"id":1,"method":"lock","params":["l"]}{"id":2,"meth"#).unwrap();
        match n % 3 {
            0 => stream.shutdown(Shutdown::Write).unwrap(),
            1 => stream.shutdown(Shutdown::Both).unwrap(),
            _ => drop(stream),
        }
        assert_eq!(good.call("echo", &json!([])), json!([]));
    }
    wait_for("them to be gone", || server.memory().sessions == 1);
    assert_eq!(good.call("lock", &json!(["l"])), json!({"locked": true}));
}

#[test]
fn a_transaction_has_a_bound_of_operations() {
    let server = Weft::start_with(|mut config| {
        config.limits.operations_max = 1000;
        config
    });
    let mut client = server.connect();
    let comments = |count| Value::Array(vec![json!({"op": "comment", "comment": "c"}); count]);
    let refused = client.transact(&comments(1001));
    assert_eq!(refused["ERROR"]["error"], "resources exhausted", "{refused}");
    assert!(refused["ERROR"]["details"].as_str().unwrap().contains("operations_max"), "{refused}");
    assert_eq!(client.transact(&comments(1000)).as_array().unwrap().len(), 1000);
    let default = weft_ovsdb::Limits::default().operations_max;
    assert!(default > 4 * 65_535, "ovs-vsctl sends a wait for each port there is: {default}");
}
