//! Tunnels of all types: round trips, what is inherited, checksums, whose a packet is, and what
//! becomes of malformed ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "packets here are made by the test itself")]
#![expect(clippy::cast_possible_truncation, reason = "lengths here are below 2000")]

mod common;
#[path = "common/tunnels.rs"]
mod tunnels;

use common::Switch;
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use std::collections::BTreeSet;
use tunnels::*;
use weft_switch::{
    BridgeId, Csum, DropReason, Encap, IfaceId, InKey, Local, OrInherit, Tick, TunnelConf,
    TunnelKey, TunnelTable,
};

/// Bytes in front of the inner frame, in an untagged packet without options.
fn header_bytes(encap: Encap, is_v6: bool) -> usize {
    14 + if is_v6 { 40 } else { 20 } + if encap == Encap::Gre { 4 } else { 16 }
}

/// The sum over an outer UDP datagram or GRE packet, which is 0 when its checksum is right.
fn outer_sum(packet: &[u8], is_udp: bool) -> u16 {
    let is_v6 = packet[12] == 0x86;
    let l4 = if is_v6 { 54 } else { 34 };
    let mut bytes = Vec::new();
    if is_udp {
        bytes.extend(if is_v6 { &packet[22..54] } else { &packet[26..34] });
        bytes.extend([0, 17]);
        bytes.extend(((packet.len() - l4) as u16).to_be_bytes());
    }
    bytes.extend(&packet[l4..]);
    weft_wire::checksum::internet_checksum(&bytes)
}

proptest! {
    /// What one end sends, the other takes off, whatever type, options and underlay; the outer
    /// headers are what another implementation reads them as.
    #[test]
    fn round_trips(
        encap in prop::sample::select(&ENCAPS),
        is_v6: bool,
        csum: bool,
        has_sequence: bool,
        key in prop::option::of(0u32..1 << 24),
        payload in 0usize..1300,
        tos: u8,
        ttl in 1u8..,
        inherits: bool,
    ) {
        let [mut near, mut far] = pair(encap, is_v6, |conf| {
            conf.csum = with_csum(csum);
            conf.has_sequence = has_sequence && encap == Encap::Gre;
            conf.out_key = key;
            conf.in_key = InKey::Exact(key.unwrap_or(0));
            if inherits {
                (conf.tos, conf.ttl) = (OrInherit::Inherit, OrInherit::Inherit);
            }
        });
        let mut frame = udp(payload);
        (frame[15], frame[22]) = (tos, ttl);
        let frame = fix_ipv4(frame);
        for number in 0..2u32 {
            let sent = packet(&mut near, &frame);
            let outer = SlicedPacket::from_ethernet(&sent).unwrap();
            let (class, hops) = match outer.net.unwrap() {
                NetSlice::Ipv4(ip) => {
                    let header = ip.header().to_header();
                    prop_assert_eq!(header.header_checksum, header.calc_header_checksum());
                    prop_assert_eq!(usize::from(header.total_len), sent.len() - 14);
                    (header.dscp.value() << 2 | header.ecn.value(), header.time_to_live)
                }
                NetSlice::Ipv6(ip) => {
                    (ip.header().traffic_class(), ip.header().hop_limit())
                }
                NetSlice::Arp(_) => panic!("ARP"),
            };
            prop_assert_eq!(class, if inherits { tos } else { tos & 3 });
            prop_assert_eq!(hops, if inherits { ttl } else { 64 });
            let has_sum = if let Some(TransportSlice::Udp(udp)) = outer.transport {
                    prop_assert_eq!(Some(udp.destination_port()), encap.udp_port());
                    prop_assert!((32768..=61000).contains(&udp.source_port()));
                    prop_assert_eq!(usize::from(udp.length()), udp.slice().len());
                    udp.checksum() != 0
            } else {
                    let l4 = header_bytes(encap, is_v6) - 4;
                    let options = usize::from(csum) + usize::from(key.is_some());
                    let sequence = sent[l4 + 4 + 4 * options..][..4].to_vec();
                    prop_assert!(!has_sequence || sequence == number.to_be_bytes());
                    sent[l4] & 0x80 != 0
            };
            prop_assert_eq!(has_sum, csum);
            prop_assert!(!csum || outer_sum(&sent, encap != Encap::Gre) == 0);
            // An underlay that pads must not matter.
            let mut padded = sent.clone();
            padded.resize(sent.len().max(60) + 3, 0x77);
            let got = far.receive(UNDERLAY, &[padded], Tick(0));
            let mut expected = frame.clone();
            expected.resize(frame.len().max(60), 0);
            prop_assert_eq!(got, vec![(VIF, expected)]);
        }
        let learned = far.datapath.fdb(BridgeId(0)).unwrap().records(Tick(0));
        prop_assert_eq!(learned[0].port, TUNNEL_PORT);
    }

    /// A frame whose own checksum is wrong never gets an outer one that says all is well: it is
    /// found at the other end, under its name.
    #[test]
    fn a_damaged_frame_is_not_covered_up(
        encap in prop::sample::select(&ENCAPS), is_v6: bool, at in 42usize..142, flip in 1u8..,
    ) {
        let [mut near, mut far] = pair(encap, is_v6, |conf| conf.csum = Csum::On);
        let mut frame = udp(100);
        frame[at] ^= flip;
        let packet = packet(&mut near, &frame);
        prop_assert!(far.receive(UNDERLAY, &[packet], Tick(0)).is_empty());
        let reason =
            if encap == Encap::Gre { DropReason::GreChecksum } else { DropReason::UdpChecksum };
        prop_assert_eq!(reasons(&far), [reason]);
    }

    /// Frames without a checksum to derive from (UDP without one, fragments, other protocols, other
    /// lengths, no IP at all) get an outer checksum of their bytes, whatever they hold.
    #[test]
    fn frames_without_a_checksum_are_summed(
        encap in prop::sample::select(&ENCAPS), is_v6: bool, kind in 0u8..5, noise: [u8; 60],
    ) {
        let [mut near, mut far] = pair(encap, is_v6, |conf| conf.csum = Csum::On);
        let mut frame = udp(100);
        frame[60..120].copy_from_slice(&noise);
        match kind {
            0 => frame[40..42].fill(0),
            1 => frame[20] = 0x20,
            2 => frame[23] = 1,
            3 => frame[39] -= 1,
            _ => frame[12] = 0x88,
        }
        let frame = if kind == 4 { frame } else { fix_ipv4(frame) };
        let packet = packet(&mut near, &frame);
        prop_assert_eq!(outer_sum(&packet, encap != Encap::Gre), 0);
        prop_assert_eq!(far.receive(UNDERLAY, &[packet], Tick(0)), vec![(VIF, frame)]);
    }
}

/// RFC 6040 section 4.2, figure 4, whole; for inner IPv4 and IPv6, plain and tagged.
#[test]
fn ecn_is_combined_as_the_table_says() {
    const DROP: u8 = 9;
    // By inner Not-ECT, ECT(1), ECT(0), CE; then by outer.
    let table = [[0, 0, 0, DROP], [1, 1, 1, 3], [2, 1, 2, 3], [3, 3, 3, 3]];
    for (inner, row) in (0u8..).zip(table) {
        for (outer, becomes) in (0u8..).zip(row) {
            for (encap, is_v6, tags) in
                [(Encap::Gre, false, 0), (VXLAN, false, 1), (GENEVE, true, 2), (VXLAN, true, 0)]
            {
                let [mut near, mut far] = pair(encap, is_v6, |_| ());
                let mut frame = if is_v6 { udp6() } else { udp(40) };
                frame[15] |= if is_v6 { inner << 4 } else { inner };
                let mut frame = if is_v6 { frame } else { fix_ipv4(frame) };
                for _ in 0..tags {
                    frame.splice(12..12, [0x81, 0, 0, 5]);
                }
                let mut packet = packet(&mut near, &frame);
                let class = &mut packet[15];
                *class = if is_v6 { *class & 0xcf | outer << 4 } else { *class & 0xfc | outer };
                let packet = if is_v6 { packet } else { fix_ipv4(packet) };
                let got = far.receive(UNDERLAY, &[packet], Tick(0));
                let case = format!("inner {inner}, outer {outer}, {encap:?}");
                if becomes == DROP {
                    assert!(got.is_empty(), "{case}");
                    assert_eq!(reasons(&far), [DropReason::Ecn], "{case}");
                    continue;
                }
                let at = 15 + 4 * tags;
                if is_v6 {
                    frame[at] = frame[at] & 0xcf | becomes << 4;
                } else {
                    frame[at] = frame[at] & 0xfc | becomes;
                    let tagged = frame.drain(12..12 + 4 * tags).collect::<Vec<_>>();
                    frame = fix_ipv4(frame);
                    frame.splice(12..12, tagged);
                }
                assert_eq!(got, [(VIF, frame)], "{case}");
            }
        }
    }
}

fn udp6() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv6([0xfd; 16], [0xfe; 16], 64)
        .udp(1000, 2000)
        .write(&mut frame, &[0x5a; 40])
        .unwrap();
    frame
}

/// The order in which Open vSwitch 3.1 found these ten tunnels, each time with the one it had found
/// taken away (`ofproto/trace ovs-netdev 'tunnel(tun_id=7,src=1.1.1.1,dst=2.2.2.2,...)'`).
#[test]
fn the_most_specific_tunnel_takes_a_packet() {
    let local = Local::Address(ip("2.2.2.2"));
    let remote = Some(ip("1.1.1.1"));
    let order = [
        (InKey::Exact(7), remote, local),
        (InKey::Exact(7), remote, Local::Any),
        (InKey::Exact(7), None, local),
        (InKey::Exact(7), None, Local::Any),
        (InKey::Exact(7), None, Local::Flow),
        (InKey::Any, remote, local),
        (InKey::Any, remote, Local::Any),
        (InKey::Any, None, local),
        (InKey::Any, None, Local::Any),
        (InKey::Any, None, Local::Flow),
    ];
    for encap in ENCAPS {
        let tunnels = order.map(|(in_key, remote, local)| {
            let mut conf = TunnelConf::new(encap, remote);
            (conf.in_key, conf.local) = (in_key, local);
            conf
        });
        for first in 0..tunnels.len() {
            // In any order of configuration.
            let left = (0..).map(IfaceId).zip(&tunnels).skip(first);
            let table = TunnelTable::new(left.collect::<Vec<_>>().into_iter().rev());
            let find = |local: &str, remote: &str, key| {
                let packet = TunnelKey { encap, local: ip(local), remote: ip(remote), key };
                table.find(packet).map(|iface| usize::from(iface.0))
            };
            assert_eq!(find("2.2.2.2", "1.1.1.1", Some(7)), Ok(first), "{encap:?}");
        }
    }
}

#[test]
fn tunnels_are_told_apart_by_all_that_they_name() {
    let conf = |encap, remote: &str, key| {
        let mut conf = TunnelConf::new(encap, Some(ip(remote)));
        conf.in_key = InKey::Exact(key);
        conf
    };
    let other_port = Encap::Vxlan { udp_port: 4790 };
    let tunnels = [
        conf(Encap::Gre, "1.1.1.1", 0),
        conf(Encap::Gre, "1.1.1.1", 7),
        conf(VXLAN, "1.1.1.1", 7),
        conf(other_port, "1.1.1.1", 7),
        conf(GENEVE, "1.1.1.1", 7),
        conf(VXLAN, "fd00::1", 7),
    ];
    let table = TunnelTable::new((0..).map(IfaceId).zip(&tunnels));
    let find = |encap, remote: &str, key| {
        let local = if remote.contains(':') { ip("fd00::9") } else { ip("9.9.9.9") };
        table.find(TunnelKey { encap, local, remote: ip(remote), key }).map(|port| port.0)
    };
    assert_eq!(find(Encap::Gre, "1.1.1.1", None), Ok(0));
    assert_eq!(find(Encap::Gre, "1.1.1.1", Some(0)), Ok(0), "key 0 is no key");
    assert_eq!(find(Encap::Gre, "1.1.1.1", Some(7)), Ok(1));
    assert_eq!(find(VXLAN, "1.1.1.1", Some(7)), Ok(2));
    assert_eq!(find(other_port, "1.1.1.1", Some(7)), Ok(3));
    assert_eq!(find(GENEVE, "1.1.1.1", Some(7)), Ok(4));
    assert_eq!(find(VXLAN, "fd00::1", Some(7)), Ok(5));
    assert_eq!(find(Encap::Gre, "1.1.1.1", Some(8)), Err(DropReason::Key));
    assert_eq!(find(VXLAN, "1.1.1.1", Some(8)), Err(DropReason::Vni));
    assert_eq!(find(VXLAN, "1.1.1.2", Some(7)), Err(DropReason::NoTunnel));
    assert_eq!(find(GENEVE, "fd00::1", Some(7)), Err(DropReason::NoTunnel));
    assert_eq!(table.at_udp_port(4790), Some(other_port));
    assert_eq!(table.at_udp_port(4791), None);
}

/// 4,000 tunnels and 1,000 keys of one remote: each packet finds its own.
#[test]
fn many_tunnels_are_all_found() {
    let remote = |n: u16| std::net::IpAddr::from([10, 0, (n >> 8) as u8, n as u8]);
    let mut tunnels: Vec<_> = (0..4000).map(|n| TunnelConf::new(VXLAN, Some(remote(n)))).collect();
    tunnels.extend((1..=1000).map(|key| {
        let mut conf = TunnelConf::new(VXLAN, Some(remote(0)));
        conf.in_key = InKey::Exact(key);
        conf
    }));
    let table = TunnelTable::new((0..).map(IfaceId).zip(&tunnels));
    let find = |remote, key| {
        table.find(TunnelKey { encap: VXLAN, local: ip("1.1.1.1"), remote, key: Some(key) })
    };
    for n in 0..4000 {
        assert_eq!(find(remote(n), 0), Ok(IfaceId(n)));
    }
    for key in 1..=1000u16 {
        assert_eq!(find(remote(0), u32::from(key)), Ok(IfaceId(3999 + key)));
    }
    assert_eq!(find(remote(1), 1), Err(DropReason::Vni));
}

/// `remote_ip=flow` takes from anyone, and has nowhere to send to.
#[test]
fn a_tunnel_to_wherever_flows_say_only_receives() {
    let mut any = TunnelConf::new(GENEVE, None);
    any.in_key = InKey::Any;
    let mut far = Switch::new(host(1, &[any]));
    for (sender, key) in [("1.1.1.1", 5), ("3.3.3.3", 0)] {
        let mut conf = tunnel(GENEVE, sender, "2.2.2.2");
        conf.out_key = Some(key);
        let packet = packet(&mut Switch::new(host(1, &[conf])), &udp(40));
        assert_eq!(far.receive(UNDERLAY, &[packet], Tick(0)), [(VIF, udp(40))]);
    }
    assert!(send(&mut far, &udp(40)).is_empty());
    assert_eq!(reasons(&far), [DropReason::FlowRemote]);
}

/// Stable for a flow, fragments included; scattered over the range for many; never outside.
#[test]
fn the_source_port_belongs_to_the_flow() {
    let [mut near, _] = pair(VXLAN, false, |conf| conf.source_ports = (40_000, 49_999));
    let mut port_of = |frame: Vec<u8>| {
        let packet = packet(&mut near, &frame);
        u16::from_be_bytes([packet[34], packet[35]])
    };
    let flow = |n: u16| {
        let mut frame = udp(40);
        frame[34..36].copy_from_slice(&n.to_be_bytes());
        frame
    };
    let ports: Vec<_> = (0..1000).map(|n| port_of(flow(n))).collect();
    assert!(ports.iter().all(|port| (40_000..=49_999).contains(port)));
    let different: BTreeSet<_> = ports.iter().collect();
    // 1000 balls in 10,000 bins leave 952 bins taken on average, with a deviation of 6.
    assert!(different.len() > 920, "{}", different.len());
    let tenths: BTreeSet<_> = ports.iter().map(|port| (port - 40_000) / 1000).collect();
    assert_eq!(tenths.len(), 10, "all of the range is used");
    assert_eq!(port_of(flow(7)), ports[7], "the same flow");
    let mut longer = flow(7);
    longer.extend([1; 30]);
    assert_eq!(port_of(longer), ports[7], "whatever it carries");
    let fragment = |n, offset: u8, more| {
        let mut frame = flow(n);
        (frame[20], frame[21]) = (more, offset);
        fix_ipv4(frame)
    };
    assert_eq!(port_of(fragment(1, 0, 0x20)), port_of(fragment(2, 9, 0)), "one packet's fragments");
    let arp = |last: u8| [&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, last, 8, 6][..], &[0; 46]].concat();
    assert_ne!(port_of(arp(1)), port_of(arp(3)), "stations that speak no IP");
}

/// Sequence numbers go on when the configuration changes.
#[test]
fn sequence_numbers_outlive_a_snapshot() {
    let mut conf = tunnel(Encap::Gre, "1.1.1.1", "2.2.2.2");
    conf.has_sequence = true;
    let mut near = Switch::new(host(1, &[conf.clone()]));
    let number = |switch: &mut Switch| packet(switch, &udp(9))[38..42].to_vec();
    assert_eq!(number(&mut near), [0, 0, 0, 0]);
    assert_eq!(number(&mut near), [0, 0, 0, 1]);
    near.install(host(2, &[conf]));
    assert_eq!(number(&mut near), [0, 0, 0, 2]);
}

/// UDP over IPv6: a checksum is sent unless configured otherwise.  None is taken, and counted, from
/// the remote end that a tunnel names, whatever is sent there (RFC 6936); from others if configured.
#[test]
fn udp_over_ipv6_without_a_checksum_is_taken_from_named_ends() {
    let zeros =
        |far: &Switch| far.datapath.counters().iface(TUNNEL_IFACE).unwrap().rx_udp6_zero_frames;
    let csums = [Csum::Auto, Csum::On, Csum::Off];
    for (encap, csum) in [GENEVE, VXLAN].into_iter().flat_map(|it| csums.map(|csum| (it, csum))) {
        let [mut off, _] = pair(encap, true, |conf| conf.csum = Csum::Off);
        let bare = packet(&mut off, &udp(40));
        assert_eq!(bare[60..62], [0, 0]);
        let [mut near, mut far] = pair(encap, true, |conf| conf.csum = csum);
        assert_eq!(far.receive(UNDERLAY, std::slice::from_ref(&bare), Tick(0)).len(), 1);
        assert_eq!((zeros(&far), reasons(&far)), (1, vec![]));
        let own = packet(&mut near, &udp(40));
        assert_eq!(own[60..62] == [0, 0], csum == Csum::Off);
        assert_eq!(far.receive(UNDERLAY, &[own], Tick(0)).len(), 1);
        assert_eq!(zeros(&far), 1 + u64::from(csum == Csum::Off));

        let [_, mut open] = pair(encap, true, |conf| (conf.csum, conf.remote) = (csum, None));
        let is_taken = !open.receive(UNDERLAY, std::slice::from_ref(&bare), Tick(0)).is_empty();
        assert_eq!(is_taken, csum == Csum::Off);
        assert_eq!(zeros(&open), u64::from(is_taken));
        assert_eq!(reasons(&open).contains(&DropReason::Udp6Zero), !is_taken);
    }
}

/// A peer that leaves checksums to its network card (a veth): the outer one partial, or the inner
/// one partial with an outer one made for it as it will be.
#[test]
fn partial_checksums_of_the_peer_are_understood() {
    let mut builder = weft_switch::SnapshotBuilder::new(1);
    builder.bridge(BridgeId(0), weft_switch::BridgeConf::default());
    let port = |iface, kind| weft_switch::PortConf::new(BridgeId(0), iface, kind);
    builder.port(VIF_PORT, port(VIF_IFACE, weft_switch::IfaceKind::Link(VIF)));
    builder.link(VIF, link(weft_switch::LinkRole::Iface(VIF_IFACE)));
    let mut underlay = link(weft_switch::LinkRole::Underlay);
    underlay.completes_checksums = true;
    builder.link(UNDERLAY, underlay);
    let kind = weft_switch::IfaceKind::Tunnel(Box::new(tunnel(VXLAN, "2.2.2.2", "1.1.1.1")));
    builder.port(TUNNEL_PORT, port(TUNNEL_IFACE, kind));
    let mut far = Switch::new(builder.build());

    let [mut near, _] = pair(VXLAN, false, |conf| conf.csum = Csum::On);
    let frame = udp(40);
    let whole = packet(&mut near, &frame);
    let pseudo = |at: usize, from: usize, length: u16| {
        let mut packet = whole.clone();
        let addresses = packet[from..from + 8].to_vec();
        let sum = weft_wire::checksum::sum(&addresses) + 17 + u64::from(length);
        packet[at..at + 2].copy_from_slice(&weft_wire::checksum::fold(sum).to_be_bytes());
        packet
    };
    let outer = pseudo(40, 26, (whole.len() - 34) as u16);
    let inner = pseudo(50 + 40, 50 + 26, 48);
    for packet in [&whole, &outer, &inner] {
        assert_eq!(
            far.receive(UNDERLAY, std::slice::from_ref(packet), Tick(0)),
            [(VIF, frame.clone())]
        );
    }
    let mut wrong = whole;
    wrong[100] ^= 1;
    assert!(far.receive(UNDERLAY, &[wrong], Tick(0)).is_empty());
    assert_eq!(reasons(&far), [DropReason::UdpChecksum]);
}
