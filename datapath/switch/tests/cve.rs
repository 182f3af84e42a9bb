//! Defects of other switches, as far as they concern frames: one test for each class, named after
//! it.  The wire formats have tests of their own beside them.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "packets here are made by the test itself")]
#![expect(clippy::cast_possible_truncation, reason = "lengths here are below 10000")]

mod common;
#[path = "common/tunnels.rs"]
mod tunnels;

use common::Switch;
use tunnels::*;
use weft_switch::{BridgeId, Csum, DropReason, Encap, InKey, Tick, TunnelConf};

/// The far end of a tunnel with the addresses of [`pair`], which takes any key.
fn far(encap: Encap) -> Switch {
    let mut conf = tunnel(encap, "2.2.2.2", "1.1.1.1");
    conf.in_key = InKey::Any;
    // What a frame to its own sender teaches is another matter.
    Switch::new(bridge(1, &[conf], false))
}

/// A packet of each type that is taken.
fn good(encap: Encap) -> Vec<u8> {
    let [mut near, _] = pair(encap, false, |_| ());
    packet(&mut near, &udp(40))
}

/// Exactly one of: forwarded, dropped under one reason.
#[track_caller]
fn judged_once(switch: &Switch, forwarded: usize, case: &str) {
    let dropped: u64 = DropReason::ALL.iter().map(|reason| drops(switch, *reason)).sum();
    assert_eq!(forwarded as u64 + dropped, 1, "{case}: {:?}", reasons(switch));
}

/// Unbounded header stacks: MPLS labels, VLAN tags, IPv6 extension headers, tunnels in tunnels.
#[test]
fn cve_2016_2074_header_stacks() {
    for encap in ENCAPS {
        for depth in [1, 2, 3, 4, 8, 64] {
            for unit in [[0x81, 0, 0, 5], [0x88, 0xa8, 0, 5], [0x88, 0x47, 0, 0x10]] {
                let mut frame = udp(300);
                frame.splice(12..12, unit.repeat(depth));
                let [mut near, mut far] = pair(encap, false, |conf| conf.csum = Csum::On);
                let packet = packet(&mut near, &frame);
                // All of the stack crosses; VLAN tags are the bridge's business, labels are not.
                let got = far.receive(UNDERLAY, &[packet], Tick(0));
                assert_eq!(got, [(VIF, frame)], "{depth} x {unit:x?}");
            }
        }
    }
    // Extension headers: four are walked, and work stays bounded for more.
    for (count, is_taken) in [(0u16, true), (1, true), (4, true), (5, false), (64, false)] {
        let [mut near, mut far] = pair(VXLAN, true, |_| ());
        let mut packet = packet(&mut near, &udp(40));
        let length = u16::from_be_bytes([packet[18], packet[19]]) + 8 * count;
        packet[18..20].copy_from_slice(&length.to_be_bytes());
        if count > 0 {
            packet[20] = 60;
            let headers = (0..count)
                .flat_map(|n| [if n + 1 == count { 17 } else { 60 }, 0, 1, 4, 0, 0, 0, 0]);
            packet.splice(54..54, headers);
        }
        let got = far.receive(UNDERLAY, &[packet], Tick(0)).len();
        assert_eq!(got == 1, is_taken, "{count}");
        judged_once(&far, got, "extension headers");
        assert!(is_taken || reasons(&far) == [DropReason::OuterExtensions]);
    }
    // A tunnel packet inside a tunnel is taken out of one tunnel only.
    let mut nested = good(VXLAN);
    for _ in 0..8 {
        let [mut near, mut far] = pair(GENEVE, false, |_| ());
        let packet = packet(&mut near, &nested);
        assert_eq!(far.receive(UNDERLAY, std::slice::from_ref(&packet), Tick(0)), [(VIF, nested)]);
        nested = packet;
    }
}

/// Lengths that contradict each other: IHL and total length of the outer IPv4 header.
#[test]
fn cve_2016_10377_ip_lengths() {
    for encap in ENCAPS {
        let good = good(encap);
        let real = (good.len() - 14) as u16;
        for ihl in 0..16u8 {
            for total in [0, 1, 19, 20, 23, 24, 27, 28, 35, 36, 59, 60, real, real + 1, u16::MAX] {
                let mut packet = good.clone();
                packet[14] = 0x40 | ihl;
                packet[16..18].copy_from_slice(&total.to_be_bytes());
                let mut far = far(encap);
                let got = far.receive(UNDERLAY, &[fix_ipv4(packet)], Tick(0)).len();
                let case = format!("{encap:?}: IHL {ihl}, total length {total}");
                judged_once(&far, got, &case);
                assert!(got == 0 || (ihl >= 5 && usize::from(total) <= good.len() - 14), "{case}");
            }
        }
    }
}

/// Length fields beyond what is there: UDP length, every value that matters.
#[test]
fn cve_2017_9264_udp_lengths() {
    for encap in [GENEVE, VXLAN] {
        let good = good(encap);
        let real = (good.len() - 34) as u16;
        for length in (0..=real + 2).chain([0x7fff, 0x8000, u16::MAX]) {
            let mut packet = good.clone();
            packet[38..40].copy_from_slice(&length.to_be_bytes());
            let mut far = far(encap);
            let got = far.receive(UNDERLAY, &[packet], Tick(0)).len();
            judged_once(&far, got, &format!("{encap:?}: {length}"));
            assert_eq!(got == 1, (16 + 14..=real).contains(&length), "{encap:?}: {length}");
        }
    }
}

/// A value that nobody expects must not stop the switch: any bit, and a range of values, of every
/// byte of the headers.
#[test]
fn cve_2017_9263_unknown_values() {
    for encap in ENCAPS {
        let good = good(encap);
        for at in 0..good.len().min(100) {
            let bits = (0..8).map(|bit| good[at] ^ 1 << bit);
            for value in bits.chain([0, 3, 0x7f, 0xff]).chain((5..=255).step_by(23)) {
                let mut packet = good.clone();
                packet[at] = value;
                let mut far = far(encap);
                let got = far.receive(UNDERLAY, &[packet], Tick(0)).len();
                judged_once(&far, got, &format!("{encap:?}: byte {at} is {value:#x}"));
            }
        }
    }
}

/// Crafted headers that make the look-up slow: it costs the same number of probes whatever comes.
/// (What they cost is in `make bench`, `hostile/*`.)
#[test]
fn cve_2019_25076_crafted_headers() {
    let tunnels: Vec<_> = (0..1000u32)
        .map(|n| {
            let mut conf =
                TunnelConf::new(VXLAN, Some(ip(&format!("10.0.{}.{}", n >> 8, n & 255))));
            conf.in_key = InKey::Exact(n);
            conf
        })
        .collect();
    let mut far = Switch::new(host(1, &tunnels));
    let good = good(VXLAN);
    let packets: Vec<_> = (0..10_000u32)
        .map(|n| {
            let mut packet = good.clone();
            // Sources and keys that are near to those that exist.
            packet[26..30].copy_from_slice(&(0x0a00_0000 + n % 1500).to_be_bytes());
            packet[46..49].copy_from_slice(&(n % 1501 + 1).to_be_bytes()[1..]);
            fix_ipv4(packet)
        })
        .collect();
    for batch in packets.chunks(32) {
        far.receive(UNDERLAY, batch, Tick(0));
    }
    let refused = drops(&far, DropReason::Vni) + drops(&far, DropReason::NoTunnel);
    let matched = (0..10_000).filter(|n| n % 1500 < 1000 && n % 1500 == n % 1501 + 1).count();
    assert_eq!(refused, 10_000 - matched as u64);
}

/// Padding longer than a byte can count must not confuse anything, nor enter a checksum.
#[test]
fn cve_2020_35498_long_padding() {
    for encap in ENCAPS {
        for csum in [false, true] {
            for padding in [0usize, 1, 46, 255, 256, 257, 511, 1000, 9000] {
                let [mut near, mut far] = pair(encap, false, |conf| conf.csum = with_csum(csum));
                let mut packet = packet(&mut near, &udp(18));
                packet.resize(packet.len() + padding, 0xff);
                let got = far.receive(UNDERLAY, &[packet], Tick(0));
                assert_eq!(got, [(VIF, udp(18))], "{encap:?}, {padding}");
            }
        }
    }
    // The same inside: the frame is carried with its padding, under a right checksum.
    for padding in [1usize, 2, 255, 256, 257, 1001] {
        let mut frame = udp(19);
        frame.extend((0..padding).map(|n| n as u8));
        let [mut near, mut far] = pair(VXLAN, false, |conf| conf.csum = Csum::On);
        let packet = packet(&mut near, &frame);
        assert_eq!(far.receive(UNDERLAY, &[packet], Tick(0)), [(VIF, frame)]);
    }
}

/// Fragments are not kept: a flood of them leaves nothing behind.
#[test]
fn cve_2021_3905_fragments() {
    for encap in ENCAPS {
        let mut far = far(encap);
        let good = good(encap);
        for n in 0..2_000u16 {
            let mut packet = good.clone();
            packet[18..20].copy_from_slice(&n.to_be_bytes());
            packet[20] = 0x20 | (n >> 6) as u8 & 0x1f;
            packet[21] = n as u8;
            assert!(far.receive(UNDERLAY, &[fix_ipv4(packet)], Tick(0)).is_empty());
        }
        assert_eq!(drops(&far, DropReason::OuterFragment), 2_000);
        assert_eq!(far.datapath.waiting_frames(), 0);
    }
}

/// A decision that is kept must not be wider than what was read: the way that one packet took says
/// nothing of the next that differs in any field.
#[test]
fn cve_2023_1668_decisions_are_made_for_each_packet() {
    for encap in ENCAPS {
        let mut far = far(encap);
        let good = good(encap);
        for protocol in 0..=255u8 {
            let taken = far.receive(UNDERLAY, std::slice::from_ref(&good), Tick(0)).len();
            assert_eq!(taken, 1);
            let mut packet = good.clone();
            packet[23] = protocol;
            let got = far.receive(UNDERLAY, &[fix_ipv4(packet)], Tick(0)).len();
            assert_eq!(got == 1, protocol == good[23], "{encap:?}: protocol {protocol}");
        }
    }
}

/// The same of what is inside: solicitations that differ in nothing but their target go through one
/// after the other, each as it is, and in one batch.
#[test]
fn cve_2023_5366_neighbour_solicitations_keep_their_targets() {
    let solicitation = |target: u8| {
        let mut frame = vec![0x33, 0x33, 0xff, 0, 0, target, 2, 0, 0, 0, 0, 1, 0x86, 0xdd];
        frame.extend([0x60, 0, 0, 0, 0, 24, 58, 255]);
        frame.extend([0xfd; 16]);
        frame.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 1]);
        frame.extend([135, 0, 0x12, 0x34, 0, 0, 0, 0, 0xfd]);
        frame.extend([0; 14]);
        frame.push(target);
        frame
    };
    for encap in ENCAPS {
        let [mut near, mut far] = pair(encap, false, |_| ());
        let frames: Vec<_> = (0..=255).map(solicitation).collect();
        let packets = near.receive(VIF, &frames, Tick(0));
        let packets: Vec<_> = packets.into_iter().map(|(_, packet)| packet).collect();
        let got = far.receive(UNDERLAY, &packets, Tick(0));
        let got: Vec<_> = got.into_iter().map(|(_, frame)| frame).collect();
        assert_eq!(got, frames, "{encap:?}");
    }
}

/// Opt Len of Geneve, 0 to 63 words, against every truncation point.
#[test]
fn cve_2023_3966_geneve_option_lengths() {
    let good = good(GENEVE);
    for words in 0..64u8 {
        for cut in (42..good.len() + 260).step_by(3) {
            let mut packet = good.clone();
            packet.extend((0..=255).chain(0..4));
            packet.truncate(cut);
            packet[42..].first_mut().into_iter().for_each(|first| *first = words);
            let ip_bytes = (packet.len() - 14) as u16;
            packet[16..18].copy_from_slice(&ip_bytes.to_be_bytes());
            packet[38..40].copy_from_slice(&(ip_bytes - 20).to_be_bytes());
            let mut far = far(GENEVE);
            let got = far.receive(UNDERLAY, &[fix_ipv4(packet)], Tick(0)).len();
            judged_once(&far, got, &format!("{words} words, cut at {cut}"));
            let fits = 50 + usize::from(words) * 4 + 14 <= cut;
            assert!(got == 0 || fits, "{words} words, cut at {cut}");
        }
    }
}

/// What comes from inside an overlay is no control frame of the switch: a tunnel packet or a BPDU
/// that a guest sends is only a frame.
#[test]
fn cve_2024_2182_control_frames_from_inside() {
    let [mut near, mut far] = pair(VXLAN, false, |_| ());
    let inside = good(GENEVE);
    let packet = packet(&mut near, &inside);
    assert_eq!(far.receive(UNDERLAY, &[packet], Tick(0)), [(VIF, inside.clone())]);
    // A guest that sends a tunnel packet to the VTEP's own address does not reach the decapsulator.
    let mut guest = far;
    let sent = guest.receive(VIF, &[inside], Tick(0));
    assert!(sent.iter().all(|(link, _)| *link == UNDERLAY), "{sent:?}");
    let learned = guest.datapath.fdb(BridgeId(0)).unwrap().records(Tick(0));
    assert!(!learned.is_empty());
}

/// Spoofed senders: an address that is no host's is no tunnel's end, even where any is taken.
#[test]
fn spoofed_outer_sources() {
    let mut any = TunnelConf::new(VXLAN, None);
    any.in_key = InKey::Any;
    for source in [[224, 0, 0, 1], [239, 1, 2, 3], [255; 4], [0; 4], [0, 0, 0, 9], [127, 0, 0, 1]] {
        let mut far = Switch::new(host(1, &[any.clone()]));
        let mut packet = good(VXLAN);
        packet[26..30].copy_from_slice(&source);
        assert!(far.receive(UNDERLAY, &[fix_ipv4(packet)], Tick(0)).is_empty(), "{source:?}");
        assert_eq!(reasons(&far), [DropReason::OuterSource], "{source:?}");
    }
    for source in [[0xff; 16], [0; 16], 1u128.to_be_bytes()] {
        let [mut near, _] = pair(VXLAN, true, |_| ());
        let mut far = Switch::new(host(1, &[any.clone()]));
        let mut packet = packet(&mut near, &udp(40));
        packet[22..38].copy_from_slice(&source);
        assert!(far.receive(UNDERLAY, &[packet], Tick(0)).is_empty());
        assert_eq!(reasons(&far), [DropReason::OuterSource], "{source:?}");
    }
}
