//! Frames that are too long for their tunnel: what is fragmented, what is answered, and what is neither.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "packets here are made by the test itself")]
#![expect(clippy::cast_possible_truncation, reason = "a pattern of bytes")]

mod common;

#[path = "common/tunnels.rs"]
mod tunnels;

use common::Switch;
use etherparse::{NetSlice, PacketBuilder, SlicedPacket};
use std::collections::BTreeSet;
use tunnels::{
    ENCAPS, TUNNEL_IFACE, UNDERLAY, VIF, drops, ends, fix_ipv4, host, packet, reasons, send,
    set_flags, udp,
};
use weft_switch::{DropReason, Encap, Reach, TunnelConf};

/// A switch with one GRE tunnel over IPv4, whose underlay takes so much.
fn over(mtu: u32) -> Switch {
    Switch::new(host(1, &[tunnel(mtu)]))
}

fn tunnel(mtu: u32) -> TunnelConf {
    let mut conf = tunnels::tunnel(Encap::Gre, "1.1.1.1", "2.2.2.2");
    if let Reach::Ready(next_hop) = &mut conf.reach {
        next_hop.mtu = mtu;
    }
    conf
}

/// The inner frames that went into the tunnel.
fn inside(sent: &[(weft_switch::LinkId, Vec<u8>)]) -> Vec<Vec<u8>> {
    assert!(sent.iter().all(|(out, _)| *out == UNDERLAY), "{sent:?}");
    sent.iter().map(|(_, bytes)| bytes[38..].to_vec()).collect()
}

/// A UDP datagram over IPv6, `len` bytes of IP packet, behind these extension headers.
fn udp6(len: usize, next: u8, extensions: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv6([0xfd; 16], [0xfe; 16], 64)
        .udp(1000, 2000)
        .write(&mut frame, &(0..len - 48 - extensions.len()).map(|n| n as u8).collect::<Vec<_>>())
        .unwrap();
    frame[20] = next;
    frame[18..20].copy_from_slice(&u16::try_from(len - 40).unwrap().to_be_bytes());
    frame.splice(54..54, extensions.iter().copied());
    frame
}

/// RFC 791: the first fragment has all options, the others those that are to be copied.
#[test]
fn options_stay_with_the_fragments_that_they_belong_to() {
    // Record route is not copied, router alert is; then the end.
    let options = [7, 7, 4, 0, 0, 0, 0, 1, 0x94, 4, 0, 0];
    let mut long = udp(1400);
    long.splice(34..34, options);
    long[14] = 0x48;
    long[16..18].copy_from_slice(&(1400u16 + 40).to_be_bytes());
    let sent = send(&mut over(1400), &fix_ipv4(long.clone()));
    let parts = inside(&sent);
    assert_eq!(parts.len(), 2);
    let mut payload = Vec::new();
    for (n, part) in parts.iter().enumerate() {
        let packet = SlicedPacket::from_ethernet(part).unwrap();
        let Some(NetSlice::Ipv4(ip)) = packet.net else { panic!("no IPv4") };
        let header = ip.header();
        assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
        assert_eq!(
            (header.more_fragments(), usize::from(header.total_len())),
            (n == 0, part.len() - 14)
        );
        let expected = if n == 0 { options } else { [1, 1, 1, 1, 1, 1, 1, 1, 0x94, 4, 0, 0] };
        assert_eq!(header.options(), expected);
        payload.extend_from_slice(&part[46..]);
    }
    assert_eq!(payload, long[46..]);
}

/// Only the padding of the frame is too long: it is no reason to bother anybody.
#[test]
fn padding_makes_no_packet_too_long() {
    for frame in [set_flags(udp(100), 0x40), udp(100), udp(0), udp6(200, 17, &[])] {
        let mut switch = over(1500);
        let padded = [frame.clone(), vec![0xaa; 1500]].concat();
        assert_eq!(inside(&send(&mut switch, &padded)), [frame]);
        assert_eq!(reasons(&switch), []);
    }
}

/// A link must carry 1280 bytes of IPv6: what its sender need not make smaller is fragmented.
#[test]
fn ipv6_of_1280_bytes_crosses_a_narrow_tunnel() {
    for len in [1263, 1271, 1280] {
        let mut switch = over(1300);
        let whole = udp6(len, 17, &[]);
        let parts = inside(&send(&mut switch, &whole));
        assert_eq!(parts.len(), 2, "{len}");
        let mut payload = Vec::new();
        let mut ids = BTreeSet::new();
        for (n, part) in parts.iter().enumerate() {
            assert!(part.len() - 14 <= 1262);
            assert_eq!((part[..14].to_vec(), part[20]), (whole[..14].to_vec(), 44));
            assert_eq!(usize::from(u16::from_be_bytes([part[18], part[19]])), part.len() - 54);
            assert_eq!((&part[22..54], part[54]), (&whole[22..54], 17));
            let field = u16::from_be_bytes([part[56], part[57]]);
            assert_eq!((usize::from(field & !7), field & 7), (payload.len(), u16::from(n == 0)));
            ids.insert(part[58..62].to_vec());
            payload.extend_from_slice(&part[62..]);
        }
        assert_eq!((payload, ids.len()), (whole[54..].to_vec(), 1));
        assert_eq!(reasons(&switch), []);
        // Another packet has another identification.
        let other = inside(&send(&mut switch, &udp6(len - 1, 17, &[])));
        assert!(other.len() == 1 || !ids.contains(&other[0][58..62]));
    }
    // What is larger can be made smaller, and what fits goes as it is.
    let sent = send(&mut over(1300), &udp6(1281, 17, &[]));
    assert_eq!(
        (sent[0].0, &sent[0].1[54..56], &sent[0].1[58..62]),
        (VIF, &[2, 0][..], &[0, 0, 5, 0][..])
    );
    assert_eq!(inside(&send(&mut over(1300), &udp6(1262, 17, &[]))), [udp6(1262, 17, &[])]);
}

/// A fragment goes on to be one of the same packet; options for routers are nothing to cut.
#[test]
fn a_fragment_of_ipv6_is_fragmented_again() {
    let parts = inside(&send(&mut over(1300), &udp6(1280, 44, &[17, 0, 0x04, 0x01, 1, 2, 3, 4])));
    let fields: Vec<_> =
        parts.iter().map(|part| u16::from_be_bytes([part[56], part[57]])).collect();
    let first = u16::try_from(parts[0].len() - 62).unwrap();
    assert_eq!(fields, [0x0400 | 1, (0x0400 + first) | 1]);
    assert!(parts.iter().all(|part| part[58..62] == [1, 2, 3, 4] && part[54] == 17));
    let mut switch = over(1300);
    assert_eq!(send(&mut switch, &udp6(1280, 0, &[17, 0, 1, 4, 0, 0, 0, 0])), []);
    assert_eq!(drops(&switch, DropReason::ExceedsMtu), 1);
}

/// RFC 4443 section 2.4 (e): not behind extension headers either.
#[test]
fn errors_and_later_fragments_of_ipv6_are_never_answered() {
    let with_type = |frame: &[u8], at: usize, kind: u8| {
        let mut frame = frame.to_vec();
        frame[at] = kind;
        frame
    };
    let options = udp6(1500, 0, &[58, 0, 1, 4, 0, 0, 0, 0]);
    for frame in [
        with_type(&udp6(1500, 58, &[]), 54, 2),
        with_type(&udp6(1500, 58, &[]), 54, 137),
        with_type(&options, 62, 1),
        udp6(1500, 44, &[17, 0, 0, 8, 0, 0, 0, 1]),
    ] {
        let mut switch = over(1500);
        assert_eq!(send(&mut switch, &frame), []);
        assert_eq!(drops(&switch, DropReason::ExceedsMtu), 1);
    }
    for frame in [with_type(&options, 62, 128), udp6(1500, 44, &[17, 0, 0, 1, 0, 0, 0, 1])] {
        assert_eq!(send(&mut over(1500), &frame)[0].0, VIF);
    }
}

/// Nobody is told of what was sent to a group, but it may be fragmented.
#[test]
fn what_a_group_is_sent_is_fragmented() {
    let mut group = udp(1472);
    group[..6].copy_from_slice(&[1, 0, 0x5e, 1, 2, 3]);
    group[30..34].copy_from_slice(&[239, 1, 2, 3]);
    assert_eq!(inside(&send(&mut over(1500), &fix_ipv4(group))).len(), 2);
}

/// A packet that says that it is longer than its frame: neither sent nor lost from the count.
#[test]
fn a_packet_that_is_not_what_it_says_is_dropped() {
    let mut lies = udp(1472);
    lies[16..18].copy_from_slice(&2000u16.to_be_bytes());
    let mut short = udp(1472);
    short[14] = 0x4f;
    short[16..18].copy_from_slice(&30u16.to_be_bytes());
    let mut tiny = udp(1472);
    tiny[14] = 0x41;
    for frame in [lies, short, tiny] {
        let mut switch = over(1500);
        assert_eq!(send(&mut switch, &frame), []);
        assert_eq!(drops(&switch, DropReason::ExceedsMtu), 1);
    }
}

/// More than one buffer of the slow path: still nothing is missing.
#[test]
fn jumbo_packets_are_fragmented() {
    let long = udp(15_900);
    let mut switch = over(15_914);
    let parts = inside(&send(&mut switch, &long));
    let payload: Vec<_> = parts.iter().flat_map(|part| part[34..].to_vec()).collect();
    assert_eq!(payload, long[34..]);
    assert_eq!(
        switch.datapath.counters().iface(TUNNEL_IFACE).unwrap().tx_frames,
        parts.len() as u64
    );
}

/// Routers may fragment outer packets without DF: no two have the same identification.
#[test]
fn outer_packets_without_df_are_numbered() {
    for encap in ENCAPS {
        let [local, remote] = ends(false);
        let mut conf = tunnels::tunnel(encap, local, remote);
        conf.df = false;
        let mut switch = Switch::new(host(1, &[conf]));
        let ids: BTreeSet<_> = (0..20)
            .map(|_| {
                let bytes = packet(&mut switch, &udp(10));
                let outer = SlicedPacket::from_ethernet(&bytes).unwrap();
                let Some(NetSlice::Ipv4(ip)) = outer.net else { panic!("no IPv4") };
                let header = ip.header();
                assert!(!header.dont_fragment());
                assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
                header.identification()
            })
            .collect();
        assert_eq!(ids.len(), 20);
    }
}
