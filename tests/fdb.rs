//! The forwarding database as operators see and change it, beside stock Open vSwitch.

use std::time::Duration;
use weft_tests::{Host, Outcome, Stock, Switch, add_port, cable_named, can_make_hosts, within};

const A: &str = "02:00:00:00:00:0a";
const B: &str = "02:00:00:00:00:0b";

/// A host whose devices p1 and p2 lead to those of `host`.
fn neighbour(host: &Host, name: &str) -> Host {
    let far = Host::new(name);
    for port in ["p1", "p2"] {
        cable_named(host, port, &far, port);
    }
    far
}

/// A broadcast frame from `mac`, sent out of `port` (p1 or p2); back when the switch has flooded it,
/// and so has learned.  An EtherType that was not used before keeps it out of the flows of a stock
/// switch, which learns of what they forward half a second later.
fn send(far: &Host, port: &str, mac: &str, vlan: u16, ethertype: u16) {
    let other = if port == "p1" { "p2" } else { "p1" };
    let before = far.rx_frames(other);
    let tag = if vlan == 0 { String::new() } else { format!("8100{vlan:04x}") };
    let (mac, payload) = (mac.replace(':', ""), "00".repeat(46));
    let frame = format!("ffffffffffff{mac}{tag}{ethertype:04x}{payload}");
    far.send_hex(port, &frame);
    assert!(within(Duration::from_secs(10), || far.rx_frames(other) > before), "{port} {mac}");
}

fn said(outcome: &Outcome) -> String {
    format!("{}: {}{}", outcome.code, outcome.stdout, outcome.stderr)
}

/// Everything that a bridge is asked in `lines`, where `SEND port mac` is a frame; ages are left
/// out of the tables, and the entries sorted.
fn answers(far: &Host, appctl: &dyn Fn(&str) -> Outcome) -> Vec<String> {
    LINES.iter().zip(0x9000..).map(|(line, number)| answer(far, appctl, line, number)).collect()
}

fn answer(far: &Host, appctl: &dyn Fn(&str) -> Outcome, line: &str, ethertype: u16) -> String {
    if let Some(("SEND", rest)) = line.split_once(' ') {
        let (port, mac) = rest.split_once(' ').unwrap_or_default();
        send(far, port, mac, 0, ethertype);
        return String::new();
    }
    let outcome = appctl(line);
    let text = said(&outcome);
    if line != "fdb/show br0" {
        return format!("{line}: {text}");
    }
    let mut entries: Vec<String> = text.lines().map(without_age).collect();
    entries.sort();
    format!("{line}: {}", entries.join("\n"))
}

fn without_age(entry: &str) -> String {
    let mut words: Vec<&str> = entry.split_whitespace().collect();
    words.pop_if(|age| age.parse::<u32>().is_ok());
    words.join(" ")
}

const LINES: &[&str] = &[
    "SEND p1 02:00:00:00:00:0a",
    "fdb/show br0",
    "fdb/stats-show br0",
    // Two moves.
    "SEND p2 02:00:00:00:00:0a",
    "SEND p1 02:00:00:00:00:0a",
    "SEND p1 02:00:00:00:00:0b",
    "fdb/show br0",
    "fdb/stats-show br0",
    "fdb/stats-clear br0",
    "fdb/stats-show br0",
    // A learned entry is not static, and one can take its place.
    "fdb/del br0 0 02:00:00:00:00:0a",
    "fdb/add br0 p2 0 02:00:00:00:00:0a",
    "fdb/add br0 p2 0 02:00:00:00:00:0a",
    "fdb/add br0 p1 7 02:00:00:00:00:0c",
    "fdb/add br0 p1 4095 02:00:00:00:00:0d",
    "SEND p1 02:00:00:00:00:0a",
    "fdb/show br0",
    "fdb/flush br0",
    "fdb/show br0",
    "fdb/del br0 7 02:00:00:00:00:0a",
    "fdb/del br0 0 02:00:00:00:00:0a",
    "fdb/del br0 0 02:00:00:00:00:0a",
    "fdb/show br0",
    "fdb/del br0 7 02:00:00:00:00:0c",
    "fdb/del br0 4095 02:00:00:00:00:0d",
    "SEND p1 02:00:00:00:00:0a",
    "fdb/show br0",
    "fdb/stats-clear",
    "fdb/stats-clear nope",
];

/// Moves are counted, static entries set and taken away, counters cleared, with the words and
/// effects of a stock switch.
#[test]
fn entries_are_changed_and_counted_as_in_stock() {
    if !can_make_hosts() {
        return;
    }
    let (host, stock_host) = (Host::new("host"), Host::new("stock"));
    let far = neighbour(&host, "far");
    let stock_far = neighbour(&stock_host, "stockfar");
    let switch = Switch::start(&host);
    let stock = Stock::start(&stock_host);
    let ports = [1, 2].map(|n| {
        let port = add_port("br0", &format!("port{n}"), &format!("p{n}"));
        format!("-- {port} -- set interface p{n} ofport_request={n}")
    });
    let ports = ports.join(" ");
    switch.vsctl(&format!("add-br br0 {ports}"));
    stock.vsctl(&format!("add-br br0 -- set bridge br0 datapath_type=netdev {ports}"));
    let expected = answers(&stock_far, &|line| stock.try_appctl(line));
    let got = answers(&far, &|line| switch.try_appctl(line));
    assert!(expected[7].contains("port moved MAC entries  : 2"), "{}", expected[7]);
    for (got, expected) in got.iter().zip(&expected) {
        assert_eq!(got, expected);
    }
}

/// Static entries are not configuration: neither switch has them after a restart.
#[test]
fn static_entries_end_with_the_switch() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let _far = neighbour(&host, "far");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0 -- add-port br0 p1");
    switch.appctl(&format!("fdb/add br0 p1 0 {A}"));
    assert!(switch.appctl("fdb/show br0").contains(A));
    let switch = switch.kill_hard().start_again();
    assert!(!switch.appctl("fdb/show br0").contains(A));
}

/// `weft fdb flush` forgets what it names, and nothing else.
#[test]
fn a_part_of_the_table_can_be_flushed() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let far = neighbour(&host, "far");
    let switch = Switch::start(&host);
    let ports = [1, 2].map(|n| add_port("br0", &format!("port{n}"), &format!("p{n}")));
    switch.vsctl(&format!("add-br br0 -- {}", ports.join(" -- ")));
    let teach = || {
        send(&far, "p1", A, 5, 0x9000);
        send(&far, "p1", A, 6, 0x9000);
        send(&far, "p2", B, 5, 0x9000);
    };
    let entries = || {
        let table = switch.appctl("fdb/show br0");
        let mut entries: Vec<String> = table.lines().skip(1).map(without_age).collect();
        entries.sort();
        entries
    };
    let line = |port: u16, vlan: u16, mac: &str| format!("{port} {vlan} {mac}");
    for (part, count, left) in [
        ("--port port1", 2, vec![line(2, 5, B)]),
        ("--vlan 5", 2, vec![line(1, 6, A)]),
        ("--port port1 --vlan 6", 1, vec![line(1, 5, A), line(2, 5, B)]),
        ("--port p2 --vlan 6", 0, vec![line(1, 5, A), line(1, 6, A), line(2, 5, B)]),
    ] {
        teach();
        assert_eq!(entries().len(), 3, "{:?}", entries());
        let text = switch.try_weft(&format!("fdb flush {part}")).expect_ok();
        assert_eq!(text, format!("{count} addresses forgotten\n"), "{part}");
        assert_eq!(entries(), left, "{part}");
    }
    let refused = switch.try_weft("fdb flush --port nope");
    assert!(refused.code != 0 && refused.stderr.contains("no such port: nope"), "{refused:?}");
    assert_eq!(entries().len(), 3);
}
