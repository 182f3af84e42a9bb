//! GRE tunnels: what goes on the wire, what is taken off it, and what becomes of the rest.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "packets here are made by the test itself")]

mod common;

#[path = "common/tunnels.rs"]
mod tunnels;

use common::Switch;
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use tunnels::{
    TUNNEL_IFACE, TUNNEL_PORT, UNDERLAY, VIF, VIF_IFACE, VIF_PORT, drops, fix_ipv4, host, link,
    send, set_flags, udp,
};
use weft_switch::{
    BridgeConf, BridgeId, Csum, DropReason, Encap, IfaceId, IfaceKind, InKey, LinkRole, PortConf,
    PortId, Reach, SnapshotBuilder, Tick, TunnelConf,
};

fn tunnel(local: &str, remote: &str) -> TunnelConf {
    tunnels::tunnel(Encap::Gre, local, remote)
}

fn with_df(frame: Vec<u8>) -> Vec<u8> {
    set_flags(frame, 0x40)
}

#[test]
fn the_outer_header_is_what_open_vswitch_sends() {
    let mut switch = Switch::new(host(1, &[tunnel("1.1.1.1", "2.2.2.2")]));
    let frame = udp(10);
    let sent = send(&mut switch, &frame);
    assert_eq!(sent.len(), 1);
    let (out, bytes) = &sent[0];
    assert_eq!(*out, UNDERLAY);
    assert_eq!(bytes[..14], [2, 0, 0, 0, 0xff, 2, 2, 0, 0, 0, 0xff, 1, 8, 0]);
    let packet = SlicedPacket::from_ethernet(bytes).unwrap();
    let Some(NetSlice::Ipv4(outer)) = packet.net else { panic!("no IPv4") };
    let header = outer.header();
    assert_eq!((header.ttl(), header.dcp().value(), header.ecn().value()), (64, 0, 0));
    assert!(header.dont_fragment());
    assert_eq!(header.identification(), 0);
    assert_eq!(header.protocol().0, 47);
    assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
    assert_eq!(usize::from(header.total_len()), bytes.len() - 14);
    assert_eq!(bytes[34..38], [0, 0, 0x65, 0x58]);
    assert_eq!(bytes[38..], frame, "the inner frame is not padded");
}

proptest! {
    /// What one end sends, the other takes off, whatever options and underlay.
    #[test]
    fn round_trips(
        key in prop::option::of(1u32..),
        csum: bool,
        is_ipv6: bool,
        payload in 0usize..1300,
        ecn in 0u8..4,
    ) {
        let (a, b) = if is_ipv6 { ("fd00::1", "fd00::2") } else { ("1.1.1.1", "2.2.2.2") };
        let conf = |local, remote| {
            let mut conf = tunnel(local, remote);
            conf.csum = if csum { Csum::On } else { Csum::Auto };
            conf.out_key = key;
            conf.in_key = InKey::Exact(key.unwrap_or(0));
            conf
        };
        let mut near = Switch::new(host(1, &[conf(a, b)]));
        let mut far = Switch::new(host(1, &[conf(b, a)]));
        let mut frame = udp(payload);
        frame[15] |= ecn;
        let sent = send(&mut near, &frame);
        prop_assert_eq!(sent.len(), 1);
        let mut packet = sent[0].1.clone();
        let class = if is_ipv6 { packet[15] >> 4 } else { packet[15] };
        prop_assert_eq!(class & 3, ecn, "the inner ECN is copied");
        // An underlay that pads must not matter.
        packet.resize(packet.len().max(60) + 3, 0x77);
        let got = far.receive(UNDERLAY, &[packet], Tick(0));
        frame.resize(frame.len().max(60), 0);
        prop_assert_eq!(got, vec![(VIF, frame)]);
        let learned = far.datapath.fdb(BridgeId(0)).unwrap().records(Tick(0));
        prop_assert_eq!(learned[0].port, TUNNEL_PORT);
    }

    /// No truncation and no flipped byte panics, and each is counted exactly once.
    #[test]
    fn hostile_packets_are_counted_once(cut in 0usize..120, at in 0usize..120, value: u8) {
        let mut near = Switch::new(host(1, &[tunnel("1.1.1.1", "2.2.2.2")]));
        let mut packet = send(&mut near, &udp(40)).remove(0).1;
        let last = packet.len() - 1;
        packet[at.min(last)] = value;
        packet.truncate(cut);
        let mut far = Switch::new(host(1, &[tunnel("2.2.2.2", "1.1.1.1")]));
        let sent = far.receive(UNDERLAY, &[packet], Tick(0)).len() as u64;
        prop_assert_eq!(far.datapath.counters().link(UNDERLAY).unwrap().rx_frames, 1);
        let dropped: u64 = DropReason::ALL.iter().map(|reason| drops(&far, *reason)).sum();
        prop_assert_eq!(sent + dropped, 1);
    }
}

#[test]
fn each_malformed_packet_has_its_reason() {
    let mut near = Switch::new(host(1, &[tunnel("1.1.1.1", "2.2.2.2")]));
    let good = send(&mut near, &udp(40)).remove(0).1;
    let fix = |mut packet: Vec<u8>| {
        packet[24..26].fill(0);
        let sum = weft_wire::checksum::internet_checksum(&packet[14..34]);
        packet[24..26].copy_from_slice(&sum.to_be_bytes());
        packet
    };
    let edit = |change: fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        fix(packet)
    };
    let mut bad_sum = good.clone();
    bad_sum[24] ^= 1;
    let shorter = |total: u16| {
        let mut packet = good.clone();
        packet[16..18].copy_from_slice(&total.to_be_bytes());
        fix(packet)
    };
    let cases = [
        (bad_sum, DropReason::IpChecksum),
        (edit(|packet| packet[14] = 0x44), DropReason::BadIhl),
        (edit(|packet| (packet[14] = 0x4f, packet.truncate(60)).1), DropReason::IpTruncated),
        (shorter(19), DropReason::BadIhl),
        (shorter(2000), DropReason::IpTruncated),
        (edit(|packet| packet[20] = 0x20), DropReason::OuterFragment),
        (edit(|packet| packet[21] = 1), DropReason::OuterFragment),
        (edit(|packet| packet[23] = 6), DropReason::NotTunnel),
        (edit(|packet| packet[12] = 0x86), DropReason::NotTunnel),
        (shorter(23), DropReason::GreShort),
        (edit(|packet| packet[34] = 0x40), DropReason::GreFlags),
        (edit(|packet| packet[35] = 1), DropReason::GreVersion),
        (edit(|packet| packet[34] = 0x80), DropReason::GreChecksum),
        (edit(|packet| packet[36] = 0x08), DropReason::GreProtocol),
        (shorter(24 + 13), DropReason::InnerShort),
        (edit(|packet| packet[29] = 9), DropReason::NoTunnel),
        (edit(|packet| packet[34] = 0x20), DropReason::Key),
        (edit(|packet| packet[15] = 3), DropReason::Ecn),
    ];
    for (case, (packet, reason)) in cases.into_iter().enumerate() {
        let mut far = Switch::new(host(1, &[tunnel("2.2.2.2", "1.1.1.1")]));
        let sent = far.receive(UNDERLAY, &[packet], Tick(0));
        assert!(sent.is_empty(), "case {case}, {reason:?}: forwarded");
        let found: Vec<_> =
            DropReason::ALL.iter().filter(|reason| drops(&far, **reason) > 0).collect();
        assert_eq!(found, [&reason], "case {case}");
    }
}

#[test]
fn reserved_bits_six_to_twelve_are_ignored() {
    let mut near = Switch::new(host(1, &[tunnel("1.1.1.1", "2.2.2.2")]));
    let mut packet = send(&mut near, &udp(40)).remove(0).1;
    packet[34] |= 0x03;
    packet[35] |= 0xf8;
    let mut far = Switch::new(host(1, &[tunnel("2.2.2.2", "1.1.1.1")]));
    assert_eq!(far.receive(UNDERLAY, &[packet], Tick(0)).len(), 1, "RFC 2784 section 2.3");
}

#[test]
fn frames_wait_for_the_next_hop_and_go_in_order() {
    let mut resolving = tunnel("1.1.1.1", "2.2.2.2");
    resolving.reach = Reach::Resolving;
    let mut switch = Switch::new(host(1, &[resolving]));
    for n in 0..20 {
        assert!(send(&mut switch, &udp(n)).is_empty());
    }
    assert_eq!(switch.datapath.waiting_frames(), 16);
    assert_eq!(drops(&switch, DropReason::WaitFull), 4);
    assert_eq!(switch.datapath.take_wants_next_hop().collect::<Vec<_>>(), [TUNNEL_IFACE]);
    switch.install(host(2, &[tunnel("1.1.1.1", "2.2.2.2")]));
    let lengths: Vec<usize> = switch.io.sent.iter().map(|(_, bytes)| bytes.len() - 80).collect();
    assert_eq!(lengths, (0..16).collect::<Vec<_>>());
    assert_eq!(switch.datapath.waiting_frames(), 0);
}

#[test]
fn frames_to_an_unreachable_remote_are_counted() {
    let mut lost = tunnel("1.1.1.1", "2.2.2.2");
    lost.reach = Reach::Unreachable;
    let mut switch = Switch::new(host(1, &[lost]));
    assert!(send(&mut switch, &udp(5)).is_empty());
    assert_eq!(drops(&switch, DropReason::NoRoute), 1);
}

#[test]
fn a_packet_that_may_not_be_fragmented_is_answered_with_the_mtu() {
    let mut switch = Switch::new(host(1, &[tunnel("1.1.1.1", "2.2.2.2")]));
    // Inner IP of 1462 bytes is the most that fits: 1500 less 38.
    assert_eq!(send(&mut switch, &with_df(udp(1462 - 28)))[0].0, UNDERLAY);
    let long = with_df(udp(1463 - 28));
    let sent = send(&mut switch, &long);
    assert_eq!(sent.len(), 1);
    let (back, answer) = &sent[0];
    assert_eq!(*back, VIF);
    assert_eq!(answer[..12], [&long[6..12], &long[..6]].concat());
    let packet = SlicedPacket::from_ethernet(answer).unwrap();
    let Some(NetSlice::Ipv4(ip)) = packet.net else { panic!("no IPv4") };
    assert_eq!(ip.header().source(), [10, 0, 0, 2]);
    assert_eq!(ip.header().destination(), [10, 0, 0, 1]);
    assert_eq!(ip.header().total_len(), 576);
    assert_eq!(ip.header().header_checksum(), ip.header().to_header().calc_header_checksum());
    let icmp = &answer[34..];
    assert_eq!(icmp[..2], [3, 4]);
    assert_eq!(u16::from_be_bytes([icmp[6], icmp[7]]), 1462);
    assert_eq!(weft_wire::checksum::internet_checksum(icmp), 0, "the sum verifies");
    assert_eq!(icmp[8..], long[14..14 + 548]);
    assert_eq!(drops(&switch, DropReason::ExceedsMtu), 1);
}

#[test]
fn an_answer_carries_the_vlan_of_the_port_it_goes_to() {
    let mut snapshot = SnapshotBuilder::new(1);
    snapshot.bridge(BridgeId(0), BridgeConf::default());
    snapshot.port(VIF_PORT, PortConf::new(BridgeId(0), VIF_IFACE, IfaceKind::Link(VIF)));
    snapshot.link(VIF, link(LinkRole::Iface(VIF_IFACE)));
    snapshot.link(UNDERLAY, link(LinkRole::Underlay));
    let kind = IfaceKind::Tunnel(Box::new(tunnel("1.1.1.1", "2.2.2.2")));
    snapshot.port(TUNNEL_PORT, PortConf::new(BridgeId(0), TUNNEL_IFACE, kind));
    let mut switch = Switch::new(snapshot.build());
    let mut long = with_df(udp(1463 - 28));
    long.splice(12..12, [0x81, 0x00, 0x20, 0x21]);
    let sent = send(&mut switch, &long);
    assert_eq!(sent[0].0, VIF);
    assert_eq!(sent[0].1[12..16], [0x81, 0x00, 0x20, 0x21]);
    // The tag travels inside the tunnel, so 4 bytes less are left.
    assert_eq!(u16::from_be_bytes([sent[0].1[44], sent[0].1[45]]), 1458);
}

#[test]
fn an_ipv6_packet_is_answered_with_packet_too_big() {
    let mut switch = Switch::new(host(1, &[tunnel("1.1.1.1", "2.2.2.2")]));
    let mut long = Vec::new();
    let (from, to) = ([0xfd; 16], [0xfe; 16]);
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv6(from, to, 64)
        .udp(1000, 2000)
        .write(&mut long, &[1; 1500 - 48])
        .unwrap();
    let sent = send(&mut switch, &long);
    assert_eq!(sent[0].0, VIF);
    let packet = SlicedPacket::from_ethernet(&sent[0].1).unwrap();
    let Some(TransportSlice::Icmpv6(icmp)) = packet.transport else { panic!("no ICMPv6") };
    assert!(icmp.is_checksum_valid(to, from));
    assert_eq!((icmp.type_u8(), icmp.code_u8()), (2, 0));
    assert_eq!(icmp.bytes5to8(), 1462u32.to_be_bytes());
    assert_eq!(sent[0].1.len(), 14 + 1280);
}

#[test]
fn a_packet_without_df_is_fragmented() {
    let mut switch = Switch::new(host(1, &[tunnel("1.1.1.1", "2.2.2.2")]));
    let long = udp(1500 - 28);
    let sent = send(&mut switch, &long);
    assert_eq!(sent.len(), 2);
    let mut payload = Vec::new();
    for (n, (out, bytes)) in sent.iter().enumerate() {
        assert_eq!(*out, UNDERLAY);
        assert!(bytes.len() <= 1514);
        let inner = SlicedPacket::from_ethernet(&bytes[38..]).unwrap();
        let Some(NetSlice::Ipv4(ip)) = inner.net else { panic!("no IPv4") };
        let header = ip.header();
        assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
        assert_eq!(header.more_fragments(), n == 0);
        assert_eq!(usize::from(header.fragments_offset().value()) * 8, payload.len());
        payload.extend_from_slice(&bytes[38 + 34..]);
    }
    assert_eq!(payload, long[34..]);
    assert_eq!(drops(&switch, DropReason::ExceedsMtu), 0);
    assert_eq!(switch.datapath.counters().iface(TUNNEL_IFACE).unwrap().tx_frames, 2);
}

/// What is a fragment already goes on to be one of the same packet.
#[test]
fn a_fragment_without_df_is_fragmented_again() {
    let mut switch = Switch::new(host(1, &[tunnel("1.1.1.1", "2.2.2.2")]));
    let mut long = udp(1500 - 28);
    // More fragments follow; this one is 800 bytes into the packet.
    long[20..22].copy_from_slice(&0x2064u16.to_be_bytes());
    let sent = send(&mut switch, &fix_ipv4(long));
    assert_eq!(sent.len(), 2);
    let mut at = 800;
    for (_, bytes) in &sent {
        let inner = SlicedPacket::from_ethernet(&bytes[38..]).unwrap();
        let Some(NetSlice::Ipv4(ip)) = inner.net else { panic!("no IPv4") };
        assert!(ip.header().more_fragments());
        assert_eq!(usize::from(ip.header().fragments_offset().value()) * 8, at);
        at += bytes.len() - 38 - 34;
    }
    assert_eq!(at, 800 + 1480);
}

#[test]
fn errors_and_groups_are_never_answered() {
    let icmp_error = {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .icmpv4_raw(3, 1, [0; 4])
            .write(&mut frame, &[0; 1472])
            .unwrap();
        with_df(frame)
    };
    let mut group = with_df(udp(1472));
    group[0] = 1;
    let mut loopback = udp(1472);
    loopback[26] = 127;
    let loopback = with_df(loopback);
    let mut later_fragment = udp(1472);
    later_fragment[21] = 5;
    let later_fragment = with_df(later_fragment);
    let mut damaged = with_df(udp(1472));
    damaged[24] ^= 1;
    for frame in [icmp_error, group, loopback, later_fragment, damaged] {
        let mut switch = Switch::new(host(1, &[tunnel("1.1.1.1", "2.2.2.2")]));
        assert!(send(&mut switch, &frame).is_empty());
        assert_eq!(drops(&switch, DropReason::ExceedsMtu), 1);
    }
}

#[test]
fn answers_are_rate_limited() {
    let mut switch = Switch::new(host(1, &[tunnel("1.1.1.1", "2.2.2.2")]));
    let long = with_df(udp(1472));
    let answers = (0..150).map(|_| send(&mut switch, &long).len()).sum::<usize>();
    assert_eq!(answers, 100);
    assert_eq!(switch.receive(VIF, &[long], Tick(1)).len(), 1, "a new second");
}

/// A line of tunnels A-B-C must carry A to C; a full mesh with split horizon carries each frame
/// once.
#[test]
fn tunnels_flood_to_tunnels_unless_they_share_a_group() {
    let tunnels = [tunnel("2.2.2.2", "1.1.1.1"), tunnel("2.2.2.2", "3.3.3.3")];
    let mut near = Switch::new(host(1, &[tunnel("1.1.1.1", "2.2.2.2")]));
    let packet = send(&mut near, &udp(10)).remove(0).1;
    let mut middle = Switch::new(host(1, &tunnels));
    let sent = middle.receive(UNDERLAY, std::slice::from_ref(&packet), Tick(0));
    assert_eq!(sent.iter().map(|(out, _)| out.0).collect::<Vec<_>>(), [0, 9]);
    assert_eq!(sent[1].1[30..34], [3, 3, 3, 3], "on to the third host");

    let mut builder = SnapshotBuilder::new(1);
    builder.bridge(BridgeId(0), BridgeConf::default());
    builder.port(VIF_PORT, PortConf::new(BridgeId(0), VIF_IFACE, IfaceKind::Link(VIF)));
    builder.link(VIF, link(LinkRole::Iface(VIF_IFACE)));
    builder.link(UNDERLAY, link(LinkRole::Underlay));
    for (id, tunnel) in (1..).zip(tunnels) {
        let kind = IfaceKind::Tunnel(Box::new(tunnel));
        let mut port = PortConf::new(BridgeId(0), IfaceId(id), kind);
        port.split_horizon = 1;
        builder.port(PortId(id), port);
    }
    let mut meshed = Switch::new(builder.build());
    let sent = meshed.receive(UNDERLAY, &[packet], Tick(0));
    assert_eq!(sent.iter().map(|(out, _)| out.0).collect::<Vec<_>>(), [0]);
}
