//! Spanning trees: three bridges in a ring, which must carry everything and loop nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::thread::sleep;
use std::time::Duration;
use weft_tests::{Host, Stock, Switch, add_port, cable_named, can_make_hosts, within};

/// Three bridges of one switch, each with a guest, joined to a ring by veth pairs.
fn ring(switch: &Switch<'_>, settings: &str) -> [Host; 3] {
    let host = switch.host();
    for n in 0..3 {
        switch.vsctl(&format!("add-br br{n} -- set bridge br{n} {settings}"));
    }
    for (n, next) in [(0, 1), (1, 2), (2, 0)] {
        host.sh(&format!("ip link add ring{n} type veth peer name back{n}"));
        host.sh(&format!("ip link set ring{n} up"));
        host.sh(&format!("ip link set back{n} up"));
        switch.vsctl(&format!("add-port br{n} ring{n} -- add-port br{next} back{n}"));
    }
    [1, 2, 3].map(|n| {
        switch.plug(&format!("br{}", n - 1), &format!("vif{n}"), &format!("10.0.0.{n}/24"))
    })
}

/// How many of the six ports of the ring are in `state`, as the database has them.
fn in_state(switch: &Switch<'_>, column: &str, state: &str) -> usize {
    let ports = switch.vsctl(&format!("--no-heading --columns={column} list port"));
    ports.matches(state).count()
}

/// Everybody reaches everybody, and one broadcast is seen once by each.
fn carries_without_a_loop(guests: &[Host; 3]) {
    for guest in guests {
        for n in 1..=3 {
            guest.must_reach(&format!("10.0.0.{n}"));
        }
    }
    let [sender, others @ ..] = guests;
    let before: Vec<u64> = others.iter().map(|guest| guest.rx_frames("eth0")).collect();
    sender.sh("ping -b -c 1 -W 1 10.0.0.255 >/dev/null || true");
    for (guest, before) in others.iter().zip(&before) {
        let arrived = || guest.rx_frames("eth0") > *before;
        assert!(within(Duration::from_secs(10), arrived), "the broadcast did not arrive");
    }
    sleep(Duration::from_millis(500));
    for (guest, before) in others.iter().zip(before) {
        let frames = guest.rx_frames("eth0") - before;
        assert!(frames < 30, "{frames} frames after one broadcast: a loop");
    }
}

#[test]
fn rstp_breaks_a_ring_and_heals_it() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let guests = ring(&switch, "rstp_enable=true");
    let one_blocks = || in_state(&switch, "rstp_status", "rstp_port_state=Discarding") == 1;
    assert!(within(Duration::from_secs(15), one_blocks), "{}", switch.appctl("rstp/show"));
    carries_without_a_loop(&guests);
    assert!(switch.appctl("rstp/show br0").starts_with("---- br0 ----\nRoot ID:\n"));
    assert!(switch.vsctl("get bridge br1 rstp_status").contains("rstp_root_id="));

    // A link of the ring fails: the port that blocked takes over.
    host.sh("ip link set ring0 down");
    let heals = || {
        in_state(&switch, "rstp_status", "rstp_port_state=Discarding") == 0
            && guests.iter().all(|guest| guest.reaches("10.0.0.1") && guest.reaches("10.0.0.2"))
    };
    assert!(within(Duration::from_secs(15), heals), "{}", switch.appctl("rstp/show"));

    // Without the protocol, all ports flood again (the ring is open now).
    for n in 0..3 {
        switch.vsctl(&format!("set bridge br{n} rstp_enable=false"));
    }
    assert_eq!(in_state(&switch, "rstp_status", "rstp_port_state"), 0);
    carries_without_a_loop(&guests);
    assert_eq!(
        switch.try_appctl("rstp/show br0").stderr.lines().next(),
        Some("No such RSTP object")
    );
}

#[test]
fn stp_breaks_a_ring() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let quick = "stp_enable=true other_config:stp-forward-delay=4 \
                 other_config:stp-max-age=6 other_config:stp-hello-time=1";
    let guests = ring(&switch, quick);
    let settled = || {
        in_state(&switch, "status", "stp_state=blocking") == 1
            && in_state(&switch, "status", "stp_state=forwarding") == 8
    };
    assert!(within(Duration::from_secs(40), settled), "{}", switch.appctl("stp/show"));
    carries_without_a_loop(&guests);
    assert!(switch.appctl("stp/show br2").contains("  stp-max-age     6s\n"));
    assert!(switch.vsctl("get bridge br0 status").contains("stp_designated_root="));
    assert_eq!(switch.appctl("stp/tcn br0"), "OK\n");
    // A port that takes no part forwards at once.
    switch.vsctl("set port vif1 other_config:stp-enable=false");
    assert_eq!(switch.vsctl("get port vif1 status"), "{}");
    carries_without_a_loop(&guests);
}

const MESH: [&str; 3] = ["host1", "host2", "host3"];

/// Joins three hosts, each to each other by a cable of their own.
fn cables(hosts: &[Host; 3]) {
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let (here, there) = (format!("to{b}"), format!("to{a}"));
        cable_named(&hosts[a], &here, &hosts[b], &there);
        hosts[a].address(&here, &format!("192.0.2.{}/30", 16 * (a + b) + 1));
        hosts[b].address(&there, &format!("192.0.2.{}/30", 16 * (a + b) + 2));
    }
}

/// Three switches with a bridge each that speaks `protocol`, and a GRE tunnel between any two.  They
/// must be a tree within `limit`; meanwhile, and afterwards, no broadcast makes more copies than there
/// are ports.
fn a_mesh_of_tunnels_becomes_a_tree(protocol: &str, limit: Duration) {
    let hosts = MESH.map(Host::new);
    cables(&hosts);
    let switches = [0, 1, 2].map(|n| Switch::start(&hosts[n]));
    for (n, switch) in switches.iter().enumerate() {
        switch.vsctl(&format!("add-br br0 -- set bridge br0 {protocol}_enable=true"));
        hosts[n].address("br0", &format!("10.0.0.{}/24", n + 1));
    }
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        for (here, there, last) in [(a, b, 2), (b, a, 1)] {
            let remote = format!("192.0.2.{}", 16 * (a + b) + last);
            switches[here].vsctl(&format!(
                "add-port br0 gre{there} -- set interface gre{there} type=gre options:remote_ip={remote}"
            ));
        }
    }
    let (column, blocks, forwards) = match protocol {
        "stp" => ("status", "stp_state=blocking", "stp_state=forwarding"),
        _ => ("rstp_status", "rstp_port_state=Discarding", "rstp_port_state=Forwarding"),
    };
    let count = |state: &str| -> usize {
        switches.iter().map(|switch| in_state(switch, column, state)).sum()
    };
    let broadcast = |count: u32| {
        hosts[0].send_frame(
            "br0",
            &format!("[Ether(dst=\"ff:ff:ff:ff:ff:ff\",type=0x88b6)/(b\"x\"*46)]*{count}"),
        );
    };
    let received = || hosts.iter().map(|host| host.rx_frames("br0")).collect::<Vec<_>>();
    let before = received();
    broadcast(5);
    let tree = || (count(blocks), count(forwards)) == (1, 5);
    assert!(within(limit, tree), "{}", switches[0].appctl(&format!("{protocol}/show")));
    let copies: u64 = received().iter().zip(&before).map(|(now, before)| now - before).sum();
    assert!(copies <= 5 * 6, "{copies} copies of 5 broadcasts");

    hosts[0].must_reach("10.0.0.2");
    hosts[0].must_reach("10.0.0.3");
    hosts[1].must_reach("10.0.0.3");
    let before = received();
    broadcast(10);
    let copies = || -> Vec<u64> {
        received().iter().zip(&before).map(|(now, before)| now - before).collect()
    };
    let arrived = || copies()[1..].iter().all(|count| *count >= 10);
    assert!(within(Duration::from_secs(10), arrived), "{:?}", copies());
    sleep(Duration::from_millis(500));
    let copies = copies();
    // Neighbour probes of the hosts may be among them.
    assert!(
        copies[0] < 10 && copies[1] < 20 && copies[2] < 20,
        "more than one copy of each: {copies:?}"
    );
    // The port that blocks has learned nobody.
    for switch in &switches {
        let ports = switch.vsctl(&format!("--bare --no-heading --columns=name,{column} list port"));
        let Some(at) = ports.find(blocks) else { continue };
        let name = ports[..at].lines().rev().find(|line| line.starts_with("gre")).unwrap();
        let fdb = switch.weft_json("fdb br0");
        assert!(fdb.as_array().unwrap().iter().all(|entry| entry["port"] != name), "{name}: {fdb}");
    }
}

#[test]
fn rstp_makes_a_tree_of_a_mesh_of_tunnels_in_3_s() {
    if can_make_hosts() {
        a_mesh_of_tunnels_becomes_a_tree("rstp", Duration::from_secs(3));
    }
}

#[test]
fn stp_makes_a_tree_of_a_mesh_of_tunnels_in_35_s() {
    if can_make_hosts() {
        a_mesh_of_tunnels_becomes_a_tree("stp", Duration::from_secs(35));
    }
}

/// Open vSwitch of 2024 could lock up when two bridges of one daemon spoke RSTP over patch ports, as
/// the one called into the other.
#[test]
fn rstp_over_patch_ports_does_not_lock_up() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    for n in 0..3 {
        switch.vsctl(&format!("add-br br{n} -- set bridge br{n} rstp_enable=true"));
    }
    for (n, next) in [(0, 1), (1, 2), (2, 0)] {
        switch.vsctl(&format!(
            "add-port br{n} up{n} -- set interface up{n} type=patch options:peer=down{n} -- \
             add-port br{next} down{n} -- set interface down{n} type=patch options:peer=up{n}"
        ));
    }
    let guests = [1, 2, 3].map(|n| {
        switch.plug(&format!("br{}", n - 1), &format!("vif{n}"), &format!("10.0.0.{n}/24"))
    });
    let one_blocks = || in_state(&switch, "rstp_status", "rstp_port_state=Discarding") == 1;
    assert!(within(Duration::from_secs(15), one_blocks), "{}", switch.appctl("rstp/show"));
    carries_without_a_loop(&guests);
    assert_eq!(switch.appctl("rstp/tcn"), "OK\n");
    // The root goes to the one, then to the other; the tree turns over each time.
    for (n, priority) in [(1, 12288), (2, 8192), (0, 4096)] {
        switch.vsctl(&format!("set bridge br{n} other_config:rstp-priority={priority}"));
        let leads =
            || switch.appctl(&format!("rstp/show br{n}")).contains("This bridge is the root");
        assert!(within(Duration::from_secs(15), leads), "{}", switch.appctl("rstp/show"));
    }
    assert!(within(Duration::from_secs(15), one_blocks), "{}", switch.appctl("rstp/show"));
    carries_without_a_loop(&guests);
}

/// Three bridges in a ring, set up by `vsctl`, so that all numbers are the same everywhere.
fn numbered_ring(host: &Host, protocol: &str, vsctl: impl Fn(&str)) {
    for n in 0..3 {
        vsctl(&format!(
            "add-br br{n} -- set bridge br{n} datapath_type=netdev {protocol}_enable=true \
             other_config:hwaddr=02:00:00:00:00:0{n} other_config:stp-forward-delay=4 \
             other_config:stp-hello-time=1 other_config:stp-max-age=6"
        ));
    }
    for (n, next) in [(0, 1), (1, 2), (2, 0)] {
        host.sh(&format!(
            "ip link add ring{n} type veth peer name back{n} && \
             ip link set ring{n} up && ip link set back{n} up"
        ));
        let settings = |number| {
            format!(
                "other_config:{protocol}-path-cost=100 other_config:{protocol}-port-num={number}"
            )
        };
        // The two names of a port differ: what is shown and set is that of the one or the other.
        vsctl(&format!(
            "{} -- set port out{n} {} -- {} -- set port in{n} {}",
            add_port(&format!("br{n}"), &format!("out{n}"), &format!("ring{n}")),
            settings(1),
            add_port(&format!("br{next}"), &format!("in{n}"), &format!("back{n}")),
            settings(2)
        ));
    }
}

/// Everything that is to be seen of the trees, without what depends on the moment.
fn seen(host: &Host, rundir: &std::path::Path, protocol: &str) -> Vec<String> {
    let run = rundir.display();
    let other = if protocol == "stp" { "statistics" } else { "rstp_statistics" };
    let text = host.sh(&format!(
        "export OVS_RUNDIR={run}; \
         for n in 0 1 2; do ovs-appctl {protocol}/show br$n | sed 's/^/br'$n' /'; done; \
         (ovs-vsctl -f csv --no-heading --columns=name,status,rstp_status list bridge; \
          ovs-vsctl -f csv --no-heading --columns=name,status,rstp_status,{other} list port) | \
         sed -E 's/(count|uptime|sec_in_state)=\"*[0-9]+\"*/\\1=N/g' | sort; \
         ovs-appctl {protocol}/tcn br0; ovs-appctl {protocol}/tcn none 2>&1; \
         ovs-appctl {protocol}/show none 2>&1 || true"
    ));
    // The programs name themselves and their sockets in errors.
    let lines = text.lines().filter(|line| !line.contains(".ctl"));
    // The addresses of veth devices, which are random, are nowhere in it.
    lines.map(str::to_owned).collect()
}

/// A ring of three bridges looks the same, to the letter, in stock Open vSwitch and here.
fn looks_as_in_stock(protocol: &str, blocks: &str) {
    let (ours, theirs) = (Host::new("weft"), Host::new("stock"));
    let switch = Switch::start(&ours);
    let stock = Stock::start(&theirs);
    numbered_ring(&ours, protocol, |words| drop(switch.vsctl(words)));
    numbered_ring(&theirs, protocol, |words| drop(stock.vsctl(words)));
    let here = || seen(&ours, switch.rundir(), protocol);
    let there = || seen(&theirs, stock.rundir(), protocol);
    // Both listen everywhere at first, which looks the same, too: the end is when a port blocks.
    let is_same = || {
        let ours = here();
        ours.iter().any(|line| line.contains(blocks)) && ours == there()
    };
    assert!(
        within(Duration::from_secs(40), is_same),
        "here {:#?}\nin stock {:#?}",
        here(),
        there()
    );
}

#[test]
fn stp_looks_as_in_a_stock_switch() {
    if can_make_hosts() {
        looks_as_in_stock("stp", "stp_state=blocking");
    }
}

#[test]
fn rstp_looks_as_in_a_stock_switch() {
    if can_make_hosts() {
        looks_as_in_stock("rstp", "rstp_port_state=Discarding");
    }
}
