//! Two hosts with an overlay between them: what the tests of all tunnel types share.

use crate::{Host, Stock, Switch, cable, tcp_transfer, udp_echoes};

/// Bytes that a TCP transfer of a test carries each way.
const TRANSFER_BYTES: usize = 20_000_000;

/// Which IP the tunnel goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Underlay {
    /// 192.0.2.1 and .2.
    V4,
    /// `2001:db8::1` and `2001:db8::2`.
    V6,
}

impl Underlay {
    /// The addresses of both ends.
    #[must_use]
    pub const fn ends(self) -> [&'static str; 2] {
        match self {
            Self::V4 => ["192.0.2.1", "192.0.2.2"],
            Self::V6 => ["2001:db8::1", "2001:db8::2"],
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::V4 => "/24",
            Self::V6 => "/64",
        }
    }

    /// Gives `device` the address of one end.
    ///
    /// # Panics
    /// There is no IPv6.
    #[track_caller]
    pub fn give(self, host: &Host, device: &str, end: usize) {
        let cidr = format!("{}{}", self.ends()[end], self.prefix());
        match self {
            Self::V4 => host.address(device, &cidr),
            Self::V6 => {
                host.sh(&format!("ip link set {device} up"));
                assert!(host.address6(device, &cidr), "no IPv6 in this kernel");
            }
        }
    }

    /// Two hosts on one cable, each with its address on `eth0`.
    #[track_caller]
    #[must_use]
    pub fn hosts(self) -> (Host, Host) {
        let (left, right) = (Host::new("left"), Host::new("right"));
        cable(&left, &right);
        self.give(&left, "eth0", 0);
        self.give(&right, "eth0", 1);
        (left, right)
    }
}

/// Adds bridge `br0` with a tunnel `tun0` of this type, and LOCAL with an address and an MTU.
#[track_caller]
pub fn overlay(switch: &Switch<'_>, tunnel: &str, remote: &str, inner: &str, mtu: u32) {
    switch.vsctl("add-br br0");
    switch.vsctl(&add_tunnel("tun0", tunnel, remote));
    switch.host().sh(&format!("ip link set br0 mtu {mtu}"));
    switch.host().address("br0", inner);
}

/// Words for ovs-vsctl; `tunnel` is a type and its options (`gre options:key=5`).
fn add_tunnel(name: &str, tunnel: &str, remote: &str) -> String {
    format!(
        "add-port br0 {name} -- set interface {name} options:remote_ip=\\\"{remote}\\\" type={tunnel}"
    )
}

/// Pings, the largest ping that fits `mtu` and one byte more, TCP both ways, datagrams of several
/// sizes; no end sees a wrong checksum.
#[track_caller]
pub fn exchange(a: &Host, a_address: &str, b: &Host, b_address: &str, mtu: u32) {
    a.must_reach(b_address);
    assert_eq!(a.pings(20, b_address), 20);
    let largest = mtu - 28;
    for (from, to) in [(a, b_address), (b, a_address)] {
        let ping = |bytes| from.try_sh(&format!("ping -c1 -W1 -M do -s {bytes} {to}")).ok();
        assert!(ping(largest), "{largest} bytes of ICMP to {to}");
        assert!(!ping(largest + 1), "{} bytes of ICMP to {to}", largest + 1);
    }
    tcp_transfer(a, b, &format!("{b_address}:5001"), TRANSFER_BYTES);
    tcp_transfer(b, a, &format!("{a_address}:5001"), TRANSFER_BYTES);
    for bytes in [0, 1, 500, 1300] {
        let returned = udp_echoes(a, b, &format!("{b_address}:5002"), 20, bytes);
        assert_eq!(returned, 20, "{bytes} bytes");
    }
    assert_eq!((a.checksum_errors(), b.checksum_errors()), (0, 0));
}

/// The whole exchange between two hosts with weftd.  Returns `status` and `weft show` of the tunnel.
#[track_caller]
pub fn between_two_switches(tunnel: &str, underlay: Underlay, mtu: u32) -> serde_json::Value {
    let (left, right) = underlay.hosts();
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    let [near, far] = underlay.ends();
    overlay(&here, tunnel, far, "10.244.0.1/16", mtu);
    overlay(&there, tunnel, near, "10.244.0.2/16", mtu);
    exchange(&left, "10.244.0.1", &right, "10.244.0.2", mtu);
    assert_eq!(here.drops(), std::collections::BTreeMap::new());
    here.port("tun0")["tunnel"].clone()
}

/// The whole exchange between weftd and stock Open vSwitch with its userspace datapath.
#[track_caller]
pub fn with_a_stock_peer(tunnel: &str, underlay: Underlay, mtu: u32) {
    let (left, right) = (Host::new("weft"), Host::new("stock"));
    cable(&left, &right);
    let [near, far] = underlay.ends();
    underlay.give(&left, "eth0", 0);
    let here = Switch::start(&left);
    let there = Stock::start(&right);
    there.underlay("eth0", &|device| underlay.give(&right, device, 1));
    there.bridge("10.244.0.2/16");
    right.sh(&format!("ip link set br0 mtu {mtu}"));
    there.vsctl(&add_tunnel("tun0", tunnel, near));
    overlay(&here, tunnel, far, "10.244.0.1/16", mtu);
    exchange(&left, "10.244.0.1", &right, "10.244.0.2", mtu);
}
