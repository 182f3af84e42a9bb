//! The forwarding database as operators see and change it, beside stock Open vSwitch.

use weft_tests::{Host, Outcome, Stock, Switch, cable_named, can_make_hosts};

const A: &str = "02:00:00:00:00:0a";
const B: &str = "02:00:00:00:00:0b";

/// A host whose devices p1 and p2 lead into a bridge br0 of `host`, and which says nothing by
/// itself.
fn quiet_neighbour(host: &Host, name: &str) -> Host {
    let far = Host::new(name);
    for at in [host, &far] {
        at.sh("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
    }
    for port in ["p1", "p2"] {
        cable_named(host, port, &far, port);
    }
    far
}

fn send(far: &Host, port: &str, mac: &str, vlan: u16) {
    let tag = if vlan == 0 { String::new() } else { format!("/Dot1Q(vlan={vlan})") };
    let header = format!("Ether(src=\"{mac}\",dst=\"ff:ff:ff:ff:ff:ff\")");
    far.send_frame(port, &format!("{header}{tag}/Raw(b\"x\"*60)"));
}

fn said(outcome: &Outcome) -> String {
    format!("{}: {}{}", outcome.code, outcome.stdout, outcome.stderr)
}

/// Everything that a bridge is asked in `lines`, where `SEND port mac` is a frame; ages are left
/// out of the tables, and the entries sorted.
fn answers(far: &Host, appctl: &dyn Fn(&str) -> Outcome) -> Vec<String> {
    LINES.iter().map(|line| answer(far, appctl, line)).collect()
}

fn answer(far: &Host, appctl: &dyn Fn(&str) -> Outcome, line: &str) -> String {
    if let Some(("SEND", rest)) = line.split_once(' ') {
        let (port, mac) = rest.split_once(' ').unwrap_or_default();
        send(far, port, mac, 0);
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
    let words: Vec<&str> = entry.split_whitespace().collect();
    let is_learned = words.last().is_some_and(|age| age.parse::<u32>().is_ok());
    words[..words.len() - usize::from(is_learned)].join(" ")
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
    "SEND p1 02:00:00:00:00:0a",
    "fdb/show br0",
    "fdb/flush br0",
    "fdb/show br0",
    "fdb/del br0 7 02:00:00:00:00:0a",
    "fdb/del br0 0 02:00:00:00:00:0a",
    "fdb/del br0 0 02:00:00:00:00:0a",
    "fdb/show br0",
    "fdb/del br0 7 02:00:00:00:00:0c",
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
    let far = quiet_neighbour(&host, "far");
    let stock_far = quiet_neighbour(&stock_host, "stockfar");
    let switch = Switch::start(&host);
    let stock = Stock::start(&stock_host);
    let ports = "-- add-port br0 p1 -- add-port br0 p2";
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
    let _far = quiet_neighbour(&host, "far");
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
    let far = quiet_neighbour(&host, "far");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0 -- add-port br0 p1 -- add-port br0 p2");
    let teach = || {
        send(&far, "p1", A, 5);
        send(&far, "p1", A, 6);
        send(&far, "p2", B, 5);
    };
    let entries = || {
        let table = switch.appctl("fdb/show br0");
        let mut entries: Vec<String> = table.lines().skip(1).map(without_age).collect();
        entries.sort();
        entries
    };
    let line = |port: u16, vlan: u16, mac: &str| format!("{port} {vlan} {mac}");
    for (part, count, left) in [
        ("--port p1", 2, vec![line(2, 5, B)]),
        ("--vlan 5", 2, vec![line(1, 6, A)]),
        ("--port p1 --vlan 6", 1, vec![line(1, 5, A), line(2, 5, B)]),
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
