//! Loop guard: two bridges joined by two cables, and no spanning tree.

use std::thread::sleep;
use std::time::Duration;
use weft_tests::{Host, Switch, add_port, can_make_hosts, within};

/// Two bridges of one switch with a guest each, `br0` guarded; ports get `settings`.
fn bridges(switch: &Switch<'_>, settings: &str) -> [Host; 2] {
    switch.vsctl("add-br br0 -- set bridge br0 other_config:loop-guard=true -- add-br br1");
    let guests = [0, 1].map(|n| {
        switch.plug(&format!("br{n}"), &format!("vif{n}"), &format!("10.0.0.{}/24", n + 1))
    });
    for vif in ["vif0", "vif1"] {
        switch.vsctl(&format!("set port {vif} {settings}"));
    }
    guests
}

/// Joins the bridges with cable `n`, whose devices are not called as the ports that they are in.
fn join(switch: &Switch<'_>, n: u8, settings: &str) {
    switch.host().sh(&format!(
        "ip link add nicl{n} type veth peer name nicr{n} && \
         ip link set nicl{n} up && ip link set nicr{n} up"
    ));
    switch.vsctl(&format!(
        "{} -- set port left{n} {settings} -- {} -- set port right{n} {settings}",
        add_port("br0", &format!("left{n}"), &format!("nicl{n}")),
        add_port("br1", &format!("right{n}"), &format!("nicr{n}")),
    ));
}

/// Joins the bridges with patch ports, and not with a cable.
fn join_by_patch(switch: &Switch<'_>, n: u8) {
    switch.vsctl(&format!(
        "add-port br0 left{n} -- set interface left{n} type=patch options:peer=right{n} -- \
         add-port br1 right{n} -- set interface right{n} type=patch options:peer=left{n}"
    ));
}

fn blocked(switch: &Switch<'_>, port: &str) -> bool {
    switch.vsctl(&format!("get port {port} status")).contains("loop_guard_state=blocked")
}

/// Frames that a guest gets in half a second in which nobody sends.
fn noise(guest: &Host) -> u64 {
    let before = guest.rx_frames("eth0");
    sleep(Duration::from_millis(500));
    guest.rx_frames("eth0") - before
}

/// A broadcast finds the loop: the younger port blocks, and the storm ends.
#[track_caller]
fn must_block_left2(switch: &Switch<'_>, left: &Host, right: &Host) {
    left.sh("ping -b -c 3 -i 0.2 -W 1 10.0.0.255 >/dev/null || true");
    assert!(within(Duration::from_secs(10), || blocked(switch, "left2")), "{}", switch.log());
    assert!(within(Duration::from_secs(10), || noise(right) < 10), "the storm goes on");
}

/// The second cable makes a loop: its port blocks, the storm dies, traffic goes on, and when the
/// first cable is cut, the second carries it.
#[test]
fn a_second_cable_blocks_and_takes_over() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let [left, right] = bridges(&switch, "other_config:none=1");
    join(&switch, 1, "other_config:none=1");
    left.must_reach("10.0.0.2");
    assert_eq!(switch.vsctl("get port left1 status"), "{}");
    join(&switch, 2, "other_config:none=1");
    must_block_left2(&switch, &left, &right);
    left.must_reach("10.0.0.2");
    assert!(!blocked(&switch, "left1"));
    let said = "loop guard blocks it for 30 s: a probe came back between it and left1";
    assert!(switch.log().contains(&format!("br0: left2: {said}")), "{}", switch.log());
    let page = switch.try_weft("show").expect_ok();
    assert!(page.contains("blocked left2: loop guard: a probe came back"), "{page}");
    let trace = switch.appctl("ofproto/trace br0 in_port=vif0,dl_dst=ff:ff:ff:ff:ff:ff");
    assert!(
        trace.contains("not left2: left2 is blocked, loop guard: a probe came back"),
        "{trace}"
    );
    // A blocked port neither learns nor forwards.
    let before = switch.port("nicl2")["rx_drops"].as_i64();
    right.sh("ping -b -c 2 -i 0.2 -W 1 10.0.0.255 >/dev/null || true");
    assert!(within(Duration::from_secs(10), || switch.port("nicl2")["rx_drops"].as_i64() > before));
    let fdb = switch.weft_json("fdb br0");
    assert!(fdb.as_array().unwrap().iter().all(|entry| entry["port"] != "left2"), "{fdb}");

    host.sh("ip link set nicl1 down");
    let heals = || left.reaches("10.0.0.2") && switch.vsctl("get port left2 status") == "{}";
    assert!(within(Duration::from_secs(15), heals), "{}", switch.log());
    assert!(noise(&right) < 10);
}

/// Patch ports close loops as cables do, and are watched as cables are, beside them and alone.
#[test]
fn a_patch_port_blocks_and_takes_over() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let [left, right] = bridges(&switch, "other_config:none=1");
    join(&switch, 1, "other_config:none=1");
    left.must_reach("10.0.0.2");
    join_by_patch(&switch, 2);
    must_block_left2(&switch, &left, &right);
    assert!(!blocked(&switch, "left1"));
    left.must_reach("10.0.0.2");
    switch.vsctl("del-port left1 -- del-port right1");
    let heals = || left.reaches("10.0.0.2") && switch.vsctl("get port left2 status") == "{}";
    assert!(within(Duration::from_secs(15), heals), "{}", switch.log());
    join_by_patch(&switch, 3);
    assert!(within(Duration::from_secs(10), || blocked(&switch, "left3")), "{}", switch.log());
    left.must_reach("10.0.0.2");
    assert!(noise(&right) < 10);
}

/// Probes are untagged; a loop in a tagged VLAN shows by stations that move back and forth.  Without
/// the guard it is a storm.
#[test]
fn a_loop_in_a_tagged_vlan_is_found_by_moves() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let [left, right] = bridges(&switch, "tag=10");
    join(&switch, 1, "trunks=10");
    join(&switch, 2, "trunks=10");
    must_block_left2(&switch, &left, &right);
    left.must_reach("10.0.0.2");
    assert!(switch.log().contains("in VLAN 10 moves back and forth between it and left1"));
    // Off again: all is as without it.
    switch.vsctl("remove bridge br0 other_config loop-guard");
    assert_eq!(switch.vsctl("get port left2 status"), "{}");
    left.sh("ping -b -c 3 -i 0.2 -W 1 10.0.0.255 >/dev/null || true");
    assert!(within(Duration::from_secs(5), || noise(&right) > 100), "no storm, so no test");
    host.sh("ip link set nicl2 down");
}
