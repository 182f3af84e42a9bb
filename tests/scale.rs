//! Many ports: nothing is forgotten, nothing is left behind, and what is not concerned goes on.

#![expect(clippy::unwrap_used, reason = "a test that cannot read an answer should stop at once")]

use std::time::Duration;
use weft_tests::{Host, Switch, can_make_hosts, within};

/// Patch ports that one transaction adds.
const PATCHES: usize = 2_000;

/// NICs that are added, and removed, one by one.
const NICS: usize = 12;

fn descriptors(switch: &Switch<'_>) -> usize {
    switch.host().sh(&format!("ls /proc/{}/fd", switch.pid())).lines().count()
}

/// ovs-vsctl complains of its own slowness when there is much to list: that is not asked about here.
fn vsctl(switch: &Switch<'_>, words: &str) -> String {
    switch.vsctl(&format!("-vconsole:off --timeout=60 {words}"))
}

/// Runs `command` for each patch port, many in one transaction.
fn vsctl_of(switch: &Switch<'_>, command: impl Fn(usize) -> String) {
    for first in (0..PATCHES).step_by(500) {
        let commands: Vec<_> = (first..first + 500).map(&command).collect();
        vsctl(switch, &commands.join(" -- "));
    }
}

/// `ofport`, and whether there is an `error`, of every interface.
fn numbers(switch: &Switch<'_>) -> Vec<(String, String)> {
    let list = vsctl(switch, "--format=csv --no-headings --columns=name,ofport list interface");
    let pairs = list.lines().filter_map(|line| line.split_once(','));
    pairs.map(|(name, number)| (name.to_owned(), number.to_owned())).collect()
}

/// Ports that were planned so far.
fn planned(switch: &Switch<'_>) -> u64 {
    switch.appctl("coverage/read-counter port_planned").trim().parse().unwrap()
}

/// Only what has to do with a change is planned anew: the port, and its other end.
fn a_change_is_planned_alone(switch: &Switch<'_>) {
    let before = planned(switch);
    vsctl(switch, "add-port br1 r -- set interface r type=patch options:peer=p11");
    vsctl(switch, "set interface r options:peer=p13 -- set port r tag=7");
    vsctl(switch, "del-port br1 r");
    let count = planned(switch) - before;
    assert!((3..30).contains(&count), "{count} ports were planned");
}

/// NICs among the other ports leave nothing behind.
fn nics_come_and_go(host: &Host, switch: &Switch<'_>) {
    let pins_before = switch.pins().len();
    for number in 0..NICS {
        host.sh(&format!("ip link add n{number} type veth peer name m{number}"));
        vsctl(switch, &format!("add-port br0 n{number}"));
    }
    assert_eq!(switch.pins().len(), pins_before + NICS);
    for number in 0..NICS {
        vsctl(switch, &format!("del-port br0 n{number}"));
    }
    let links = host.sh("ip -d link show");
    for number in 0..NICS {
        let line = links.lines().find(|line| line.contains(&format!(" n{number}@"))).unwrap();
        assert!(!line.contains("xdp") && !line.contains("PROMISC"), "{line}");
    }
    assert_eq!(switch.pins().len(), pins_before);
}

#[test]
fn two_thousand_ports_come_and_go() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    vsctl(&switch, "add-br br0");
    let a = switch.plug("br0", "vif0", "10.0.0.1/24");
    let _b = switch.plug("br0", "vif1", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    let descriptors_before = descriptors(&switch);

    // In pairs, p0 with p1: a frame that is flooded into one comes out of the other, so they stay
    // on two bridges.
    vsctl(&switch, "add-br br1 -- add-br br2");
    vsctl_of(&switch, |number| {
        let bridge = 1 + number % 2;
        let peer = number ^ 1;
        format!(
            "add-port br{bridge} p{number} -- set interface p{number} type=patch options:peer=p{peer}"
        )
    });
    let all = numbers(&switch);
    assert_eq!(all.len(), PATCHES + 5);
    for (name, number) in all.iter().filter(|(name, _)| name.starts_with('p')) {
        let number: u16 = number.parse().unwrap();
        assert!((1..=1000).contains(&number), "{name}: {number}");
    }
    a.must_reach("10.0.0.2");

    a_change_is_planned_alone(&switch);

    // One more gets the lowest free number, the others keep theirs.
    switch
        .vsctl("del-port br1 p10 -- add-port br1 q -- set interface q type=patch options:peer=p11");
    let changed = numbers(&switch);
    let of = |list: &[(String, String)], name: &str| {
        list.iter().find(|(other, _)| other == name).map(|(_, number)| number.clone())
    };
    assert_eq!(of(&changed, "q"), of(&all, "p10"));
    let moved =
        changed.iter().filter(|(name, number)| of(&all, name).is_some_and(|old| old != *number));
    assert_eq!(moved.count(), 0);
    vsctl(
        &switch,
        "del-port br1 q -- add-port br1 p10 -- set interface p10 type=patch options:peer=p11",
    );
    assert_eq!(vsctl(&switch, "get interface p10 ofport"), of(&all, "p10").unwrap());
    assert_eq!(vsctl(&switch, "get interface p10 error"), "[]");

    nics_come_and_go(&host, &switch);

    // All are there again after a restart, with their numbers.
    let switch = switch.kill_hard().start_again();
    assert!(within(Duration::from_secs(10), || a.reaches("10.0.0.2")));
    let again = numbers(&switch);
    assert_eq!(again.len(), all.len());
    assert!(
        again.iter().all(|(name, number)| of(&all, name).as_ref() == Some(number)),
        "{again:?}"
    );

    vsctl(&switch, "del-br br1 -- del-br br2");
    assert_eq!(numbers(&switch).len(), 3);
    let ports = switch.weft_json("show");
    assert!(!ports.to_string().contains("\"p10\""));
    assert!(within(Duration::from_secs(5), || descriptors(&switch) == descriptors_before));
    a.must_reach("10.0.0.2");
    assert_eq!(switch.missed().len(), 0);
}
