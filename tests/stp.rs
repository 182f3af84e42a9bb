//! Spanning trees: three bridges in a ring, which must carry everything and loop nothing.

use std::time::Duration;
use weft_tests::{Host, Switch, can_make_hosts, within};

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
    std::thread::sleep(Duration::from_millis(500));
    for (guest, before) in others.iter().zip(before) {
        let frames = guest.rx_frames("eth0") - before;
        assert!(frames >= 1, "the broadcast did not arrive");
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
