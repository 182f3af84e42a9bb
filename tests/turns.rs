//! The control loop with a million addresses and ten thousand ports: none of its turns is long.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use weft_tests::{Host, Switch, can_make_hosts};

/// Addresses that are heard behind one port.
const ADDRESSES: u64 = 1_000_000;

/// Pairs of patch ports, and how many of them one transaction adds.
const PAIRS: usize = 5_000;
const PAIRS_PER_TRANSACTION: usize = 500;

/// How often all is dumped.
const ROUNDS: usize = 2;

/// Processor time that a turn may take, in milliseconds.
const TURN_MAX_MILLIS: f64 = 10.0;

/// All that lists or shows something.
const DUMPS: [&str; 36] = [
    "autoattach/status",
    "bfd/show",
    "bond/list",
    "bond/show",
    "bridge/dump-flows br0",
    "cfm/show",
    "coverage/show",
    "dpctl/dump-conntrack",
    "dpctl/dump-dps",
    "dpctl/dump-flows -m",
    "dpctl/show -s",
    "dpif-netdev/pmd-perf-show",
    "dpif-netdev/pmd-rxq-show",
    "dpif-netdev/pmd-stats-show",
    "dpif/dump-dps",
    "dpif/dump-flows br2",
    "dpif/show",
    "fdb/show br2",
    "fdb/stats-show br2",
    "lacp/show",
    "mdb/show br2",
    "memory/show",
    "ofproto/list",
    "ofproto/list-tunnels",
    "ovs/route/show",
    "qos/show br2",
    "rstp/show",
    "stp/show",
    "tnl/arp/show",
    "tnl/ports/show -v",
    "upcall/show",
    "weft/doctor",
    "weft/drops",
    "weft/fdb br2",
    "weft/metrics",
    "weft/show",
];

/// Sends from ever new addresses out of eth0, to one that was heard there as well: nothing is flooded.
const CROWD: &str = r#"
import socket, struct
one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
one.bind(("eth0", 0))
here = bytes([2, 0, 0, 0, 0, 1])
one.send(b"\xff" * 6 + here + b"\x88\xb5" + bytes(46))
rest = b"\x88\xb5" + bytes(46)
for number in range(FIRST, LAST):
    one.send(here + b"\x06\x00" + struct.pack("!I", number) + rest)
"#;

/// Has all addresses heard, in parts: a busy machine needs a while for each.
fn send_crowd(crowd: &Host) {
    const PART: u64 = 50_000;
    for part in 0..ADDRESSES / PART {
        let (first, last) = ((part * PART).to_string(), ((part + 1) * PART).to_string());
        let program = CROWD.replace("FIRST", &first).replace("LAST", &last);
        crowd.sh(&format!("python3 - <<'END'\n{program}\nEND"));
    }
}

/// The operations that add pairs of patch ports, one of each pair to br0, the other to br1.
fn operations(pairs: std::ops::Range<usize>) -> Value {
    let mut operations = vec![Value::from("Open_vSwitch")];
    let mut rows = [Vec::new(), Vec::new()];
    for n in pairs {
        let names = [format!("p{n}"), format!("q{n}")];
        for (bridge, name) in names.iter().enumerate() {
            let options = json!(["map", [["peer", names[1 - bridge]]]]);
            operations.push(json!({
                "op": "insert", "table": "Interface", "uuid-name": format!("i{name}"),
                "row": {"name": name, "type": "patch", "options": options}
            }));
            operations.push(json!({
                "op": "insert", "table": "Port", "uuid-name": format!("r{name}"),
                "row": {"name": name, "interfaces": ["named-uuid", format!("i{name}")]}
            }));
            rows[bridge].push(json!(["named-uuid", format!("r{name}")]));
        }
    }
    for (bridge, rows) in ["br0", "br1"].iter().zip(rows) {
        operations.push(json!({
            "op": "mutate", "table": "Bridge", "where": [["name", "==", bridge]],
            "mutations": [["ports", "insert", ["set", rows]]]
        }));
    }
    operations.into()
}

/// Adds them as a client that speaks to the database itself: ovs-vsctl would read all that is there each time.
fn add_ports(switch: &Switch<'_>) {
    let path = switch.rundir().join("transaction");
    let (db, file) = (switch.rundir().join("db.sock"), path.display());
    for first in (0..PAIRS).step_by(PAIRS_PER_TRANSACTION) {
        fs::write(&path, operations(first..first + PAIRS_PER_TRANSACTION).to_string()).unwrap();
        // One word of a command line is at most 128 KiB long.
        switch.host().sh(&format!("python3 - {} {file} <<'END'\n{TRANSACT}\nEND", db.display()));
    }
    // It waits until all is in force.
    switch.vsctl("-vconsole:off --timeout=100 set open . external_ids:all=there");
}

/// Sends the transaction in a file, and waits for the answer.
const TRANSACT: &str = r#"
import json, socket, sys
db = socket.socket(socket.AF_UNIX)
db.connect(sys.argv[1])
operations = json.load(open(sys.argv[2]))
db.sendall(json.dumps({"id": 0, "method": "transact", "params": operations}).encode())
answer, all, read = "", json.JSONDecoder(), True
while read:
    read = db.recv(1 << 20).decode()
    answer += read
    try:
        answer, read = all.raw_decode(answer)[0], None
    except ValueError:
        pass
assert answer["error"] is None and not any("error" in it for it in answer["result"] if it), answer
"#;

/// How many addresses br2 has.
fn addresses(switch: &Switch<'_>) -> u64 {
    let text = switch.appctl("fdb/stats-show br2");
    let line = text.lines().find(|line| line.contains("Current/maximum")).unwrap();
    let (_, numbers) = line.rsplit_once(": ").unwrap();
    numbers.split_once('/').unwrap().0.trim().parse().unwrap()
}

/// Processor time of the longest turn of each kind, in milliseconds.
fn longest(turns: &str) -> Vec<(&str, f64)> {
    let turns = turns.lines().skip(1).map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        (words[0], words[2].parse().unwrap())
    });
    turns.collect()
}

/// Runs a dump as ovs-appctl does, which needs a while to print a million lines; how long the answer is.
fn bytes(socket: &Path, dump: &str) -> usize {
    let (method, params) = dump.split_once(' ').unwrap_or((dump, ""));
    let params: Vec<_> = params.split_whitespace().collect();
    let mut stream = UnixStream::connect(socket).unwrap();
    let request = json!({"id": 0, "method": method, "params": params}).to_string();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    BufReader::new(stream).read_until(b'\n', &mut answer).unwrap();
    assert!(answer.starts_with(b"{\"id\":0,\"result\":"), "{dump}: {}", answer.escape_ascii());
    answer.len()
}

/// Runs all dumps at once; how long the answers are.
fn dump_all(switch: &Switch<'_>) -> BTreeMap<&'static str, usize> {
    let socket = switch.rundir().join(format!("ovs-vswitchd.{}.ctl", switch.pid()));
    let socket = socket.as_path();
    thread::scope(|scope| {
        let dumps = DUMPS.map(|dump| (dump, scope.spawn(move || bytes(socket, dump))));
        dumps.into_iter().map(|(dump, bytes)| (dump, bytes.join().unwrap())).collect()
    })
}

/// While all that can be listed is being listed, whatever else there is waits for 10 ms at most.
#[test]
fn no_turn_of_the_loop_is_long_while_all_is_dumped() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl(
        "add-br br0 -- add-br br1 -- add-br br2 -- set bridge br2 mcast_snooping_enable=true \
         other_config:mac-table-size=1000000 other_config:mac-aging-time=3600",
    );
    let crowd = switch.plug("br2", "veth1", "");
    thread::scope(|scope| {
        scope.spawn(|| add_ports(&switch));
        send_crowd(&crowd);
    });
    // What a worker on a busy machine had no room for is sent again.
    while addresses(&switch) < ADDRESSES * 99 / 100 {
        send_crowd(&crowd);
    }

    let addresses = usize::try_from(addresses(&switch)).unwrap();
    // What the machine adds to a turn (cold caches, interrupts) differs from round to round; what the loop
    // itself does in a turn is in each.
    let mut all_rounds = BTreeMap::new();
    for _ in 0..ROUNDS {
        switch.appctl("weft/turns clear");
        let bytes = dump_all(&switch);
        let is_whole = |dump, lines: usize| bytes[dump] > 25 * lines;
        assert!(is_whole("fdb/show br2", addresses) && is_whole("weft/fdb br2", addresses));
        assert!(is_whole("dpif/show", 2 * PAIRS) && is_whole("weft/metrics", 2 * PAIRS));
        for (kind, millis) in longest(&switch.appctl("weft/turns")) {
            let least = all_rounds.entry(kind.to_owned()).or_insert(millis);
            *least = millis.min(*least);
        }
    }
    assert!(all_rounds.values().all(|millis| *millis <= TURN_MAX_MILLIS), "{all_rounds:?}");
}
