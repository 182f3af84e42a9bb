//! Compares our readings with those of etherparse, an independent parser and builder.

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use weft_wire::frames::any_spec;
use weft_wire::l4::L4;
use weft_wire::{IpProtocol, Ipv4Header, Ipv6Header, MacAddr, TcpHeader, UdpHeader, parse_l2};

/// What both parsers say of a frame's network and transport layers.
#[derive(Debug, Default, PartialEq)]
struct Reading {
    macs: (MacAddr, MacAddr),
    vids: Vec<u16>,
    ttl: u8,
    class: u8,
    ends: String,
    protocol: u8,
    ports: (u16, u16),
    numbers: (u32, u32),
    flags: u16,
    checksum: u16,
    payload: Vec<u8>,
}

fn ours(frame: &[u8]) -> Option<Reading> {
    let l2 = parse_l2(frame).ok()?;
    let tags = [l2.outer_tag, l2.inner_tag];
    let l4 = L4::locate(frame)?;
    let mut reading = Reading {
        macs: (l2.target, l2.source),
        vids: tags.iter().flatten().map(|tag| tag.tci.vid().get()).collect(),
        protocol: l4.protocol.0,
        ..Reading::default()
    };
    let l3 = frame.get(l2.l3_offset..)?;
    if let Ok((header, _)) = Ipv4Header::parse(l3) {
        (reading.ttl, reading.class) = (header.ttl, header.tos);
        reading.ends = format!("{} {}", header.source(), header.target());
    } else {
        let (header, _) = Ipv6Header::parse(l3).ok()?;
        (reading.ttl, reading.class) = (header.hop_limit, header.traffic_class());
        reading.ends = format!("{} {}", header.source(), header.target());
    }
    let segment = frame.get(l4.start..l4.end)?;
    if l4.protocol == IpProtocol::TCP {
        let (tcp, payload) = TcpHeader::parse(segment).ok()?;
        reading.ports = (tcp.source_port(), tcp.target_port());
        reading.numbers = (tcp.sequence(), tcp.acknowledgment());
        reading.flags = tcp.flags().0;
        (reading.checksum, reading.payload) = (tcp.checksum(), payload.to_vec());
    } else if l4.protocol != IpProtocol::UDP {
        return None;
    } else {
        let (udp, payload) = UdpHeader::parse(segment).ok()?;
        reading.ports = (udp.source_port(), udp.target_port());
        (reading.checksum, reading.payload) = (udp.checksum(), payload.to_vec());
    }
    Some(reading)
}

fn theirs(frame: &[u8]) -> Option<Reading> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let ethernet = packet.link.as_ref()?.to_header()?.ethernet2()?;
    let mut reading = Reading {
        macs: (MacAddr(ethernet.destination), MacAddr(ethernet.source)),
        vids: packet.vlan_ids().iter().map(|vid| vid.value()).collect(),
        ..Reading::default()
    };
    match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            (reading.ttl, reading.class) =
                (header.ttl(), header.dcp().value() << 2 | header.ecn().value());
            reading.ends = format!("{} {}", header.source_addr(), header.destination_addr());
            reading.protocol = ip.payload_ip_number().0;
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            (reading.ttl, reading.class) = (header.hop_limit(), header.traffic_class());
            reading.ends = format!("{} {}", header.source_addr(), header.destination_addr());
            reading.protocol = ip.payload().ip_number.0;
        }
        NetSlice::Arp(_) => return None,
    }
    match packet.transport.as_ref()? {
        TransportSlice::Tcp(tcp) => {
            reading.ports = (tcp.source_port(), tcp.destination_port());
            reading.numbers = (tcp.sequence_number(), tcp.acknowledgment_number());
            let bits = [
                tcp.fin(),
                tcp.syn(),
                tcp.rst(),
                tcp.psh(),
                tcp.ack(),
                tcp.urg(),
                tcp.ece(),
                tcp.cwr(),
                tcp.ns(),
            ];
            reading.flags = bits.iter().rev().fold(0, |flags, &bit| flags << 1 | u16::from(bit));
            (reading.checksum, reading.payload) = (tcp.checksum(), tcp.payload().to_vec());
        }
        TransportSlice::Udp(udp) => {
            reading.ports = (udp.source_port(), udp.destination_port());
            (reading.checksum, reading.payload) = (udp.checksum(), udp.payload().to_vec());
        }
        _ => return None,
    }
    Some(reading)
}

proptest! {
    /// Frames of our builder read the same, with padding behind them.  (etherparse walks at most
    /// one header of destination options in front of the upper layer.)
    #[test]
    fn frames_read_the_same(mut spec in any_spec(), padding in prop::collection::vec(any::<u8>(), 0..60)) {
        if spec.is_v6 {
            spec.ip_options = spec.ip_options.min(1);
        }
        let mut frame = spec.build();
        frame.extend(padding);
        let reading = ours(&frame);
        prop_assert!(reading.is_some());
        prop_assert_eq!(reading, theirs(&frame));
    }

    /// A damaged frame that both can read reads the same.
    #[test]
    fn damaged_frames_read_the_same(mut spec in any_spec(), at: prop::sample::Index, flip in 1u8..) {
        spec.ip_options = 0;
        let mut frame = spec.build();
        let at = at.index(frame.len());
        if let Some(byte) = frame.get_mut(at) {
            *byte ^= flip;
        }
        if let (Some(reading), Some(other)) = (ours(&frame), theirs(&frame)) {
            prop_assert_eq!(reading, other);
        }
    }

    /// What etherparse builds, we read back and find right.
    #[test]
    fn reads_what_etherparse_builds(
        v4: bool, tcp: bool, ends: [[u8; 16]; 2], ports: (u16, u16), vid in 0u16..4096,
        numbers: (u32, u16), ttl: u8, payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let [source, target] = ends;
        let short = |octets: [u8; 16]| *octets.first_chunk::<4>().unwrap();
        let start = PacketBuilder::ethernet2([2; 6], [4; 6])
            .single_vlan(vid.try_into().unwrap());
        let ip = if v4 { start.ipv4(short(source), short(target), ttl) } else { start.ipv6(source, target, ttl) };
        let mut frame = Vec::new();
        if tcp {
            ip.tcp(ports.0, ports.1, numbers.0, numbers.1).psh().write(&mut frame, &payload).unwrap();
        } else {
            ip.udp(ports.0, ports.1).write(&mut frame, &payload).unwrap();
        }
        let reading = ours(&frame).unwrap();
        prop_assert_eq!((reading.vids.as_slice(), reading.ttl), (&[vid][..], ttl));
        prop_assert_eq!((reading.ports, &reading.payload), (ports, &payload));
        prop_assert_eq!(reading.numbers.0, if tcp { numbers.0 } else { 0 });
        let Some(l4) = L4::locate(&frame) else { panic!("not found") };
        prop_assert_eq!(l4.is_checksum_right(&frame), Some(true));
        if v4 {
            let l3 = frame.get(18..).unwrap();
            prop_assert_eq!(weft_wire::ipv4::verify_checksum(l3), Ok(()));
        }
    }
}
