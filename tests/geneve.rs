//! Geneve tunnels between two weftd, and between weftd and stock Open vSwitch.

use std::time::Duration;
use weft_tests::{
    Switch, Underlay, between_two_switches, can_make_hosts, overlay, with_a_stock_peer, within,
};

/// What Geneve leaves of an underlay MTU of 1500: IPv4 20, UDP 8, Geneve 8, inner Ethernet 14.
const MTU_V4: u32 = 1450;
const MTU_V6: u32 = 1430;

#[test]
fn two_switches_talk() {
    if can_make_hosts() {
        let tunnel = between_two_switches("geneve options:key=7", Underlay::V4, MTU_V4);
        assert_eq!((&tunnel["type"], &tunnel["key"]), (&"geneve".into(), &7.into()));
        assert_eq!(tunnel["effective_mtu"], MTU_V4);
    }
}

#[test]
fn two_switches_talk_over_ipv6() {
    if can_make_hosts() {
        let tunnel = between_two_switches("geneve", Underlay::V6, MTU_V6);
        assert_eq!(tunnel["effective_mtu"], MTU_V6);
    }
}

#[test]
fn a_stock_switch_is_a_peer() {
    if can_make_hosts() {
        with_a_stock_peer("geneve options:key=100", Underlay::V4, MTU_V4);
    }
}

#[test]
fn a_stock_switch_is_a_peer_with_checksums() {
    if can_make_hosts() {
        with_a_stock_peer("geneve options:csum=true", Underlay::V4, MTU_V4);
    }
}

#[test]
fn a_stock_switch_is_a_peer_over_ipv6() {
    if can_make_hosts() {
        with_a_stock_peer("geneve options:key=16777215", Underlay::V6, MTU_V6);
    }
}

/// A VNI that nobody has is counted under its name.
#[test]
fn a_foreign_vni_is_counted() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    overlay(&here, "geneve options:key=1", "192.0.2.2", "10.244.0.1/16", MTU_V4);
    overlay(
        &there,
        "geneve options:in_key=2 options:out_key=1",
        "192.0.2.1",
        "10.244.0.2/16",
        MTU_V4,
    );
    assert!(!left.reaches("10.244.0.2"));
    let counted = || there.drops().get("eth0 rx vni").is_some_and(|frames| *frames > 0);
    assert!(within(Duration::from_secs(10), counted), "{:?}", there.drops());
}
