//! What the fuzzer runs: one function per header, which must not panic on any bytes.
//!
//! The functions also assert what a parser promises, so that a wrong answer is found like a panic.
//! They are called by the crate in `fuzz/`, and by `tests/fuzz_bodies.rs` on the corpus and on a
//! fixed number of mutated inputs.

use crate::checksum::{self, partial};
use crate::classify::{self, Bytes, NotOurs, classify};
use crate::coalesce::{Piece, Run};
use crate::l4::L4;
use crate::tlv::{GeneveOptions, LldpTlvs, NdOptions, TcpOptions, Tlvs};
use crate::{
    ArpPacket, EthernetHeader, Geneve, Gre, IcmpHeader, Igmp, IpProtocol, Ipv4Header, Ipv6Header,
    Layer, MacAddr, Mld, Show, Tag, TcpHeader, UdpHeader, Vxlan, ethernet, ipv4, parse_l2, segment,
};
use core::fmt::Write;

/// The longest input that targets look at, in bytes.
const INPUT_MAX_BYTES: usize = 4096;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// All targets by name; the name is that of the binary in `fuzz/` and of its corpus folder.
pub const ALL: [(&str, Target); 19] = [
    ("ethernet", ethernet),
    ("arp", arp),
    ("classify", classified),
    ("ipv4", ipv4),
    ("ipv6", ipv6),
    ("udp", udp),
    ("tcp", tcp),
    ("icmp", icmp),
    ("igmp", igmp),
    ("mld", mld),
    ("gre", gre),
    ("geneve", geneve),
    ("vxlan", vxlan),
    ("tlv", tlv),
    ("partial", partial_checksum),
    ("segment", segments),
    ("coalesce", coalesced),
    ("show", show),
    ("mac", mac),
];

/// Runs the target called `name`; data longer than 4096 bytes is cut.
///
/// # Panics
///
/// When there is no such target, or it finds a defect.
pub fn run(name: &str, data: &[u8]) {
    let target = ALL.iter().find(|(known, _)| *known == name);
    assert!(target.is_some(), "no target {name}");
    if let Some((_, target)) = target {
        target(data.get(..INPUT_MAX_BYTES).unwrap_or(data));
    }
}

/// Header and tags of a frame.
fn ethernet(data: &[u8]) {
    if let Ok((header, _)) = EthernetHeader::parse(data) {
        let mut out = [0; ethernet::LEN_BYTES];
        assert!(header.write(&mut out).is_ok() && data.starts_with(&out));
    }
    if let Ok(l2) = parse_l2(data) {
        assert!(l2.l3_offset <= data.len());
        assert!(l2.l3_offset == ethernet::LEN_BYTES + l2.tag_count() * Tag::LEN_BYTES);
    }
    let _ = Tag::parse(data);
}

/// An ARP packet.
fn arp(data: &[u8]) {
    if let Ok((packet, _)) = ArpPacket::parse(data) {
        let mut out = [0; crate::arp::LEN_BYTES];
        assert!(packet.write(&mut out).is_ok() && data.starts_with(&out));
    }
}

/// An IPv4 packet.
fn ipv4(data: &[u8]) {
    let _ = ipv4::verify_checksum(data);
    if let Ok((header, payload)) = Ipv4Header::parse(data) {
        let total = usize::from(header.total_len_bytes());
        assert!(header.header_len_bytes() + payload.len() == total && total <= data.len());
    }
}

/// An IPv6 packet with its extension headers.
fn ipv6(data: &[u8]) {
    let Ok((header, payload)) = Ipv6Header::parse(data) else { return };
    assert!(payload.len() == usize::from(header.payload_len_bytes()));
    if let Ok(walk) = header.walk(payload) {
        assert!(walk.extensions_bytes + walk.payload.len() == payload.len());
    }
}

/// A UDP datagram.
fn udp(data: &[u8]) {
    let _ = UdpHeader::verify_checksum(data, 0);
    if let Ok((header, payload)) = UdpHeader::parse(data) {
        assert!(usize::from(header.len_bytes()) == crate::udp::LEN_BYTES + payload.len());
    }
}

/// A TCP segment.
fn tcp(data: &[u8]) {
    if let Ok((header, payload)) = TcpHeader::parse(data) {
        assert!(header.header_len_bytes() + payload.len() == data.len());
        let _ = TcpHeader::verify_checksum(data, 0);
    }
}

/// ICMP of both versions.
fn icmp(data: &[u8]) {
    if let Ok((header, body)) = IcmpHeader::parse(Layer::Icmpv4, data) {
        let mut out = [0; crate::icmp::LEN_BYTES];
        assert!(header.write(&mut out, body, 0).is_ok());
        let _ = (header.next_hop_mtu_v4(), header.next_hop_mtu_v6());
    }
}

/// An IGMP message, as it is and with its checksum made right: it is written as it was read.
fn igmp(data: &[u8]) {
    let mut copy = [0; INPUT_MAX_BYTES];
    let Some(message) = summed(data, 0, &mut copy) else { return };
    for bytes in [data, message] {
        if let Ok(read) = Igmp::parse(bytes) {
            assert!(read.len_bytes() <= bytes.len());
            let mut out = [0; INPUT_MAX_BYTES];
            let len = read.write(&mut out);
            assert!(len == Ok(read.len_bytes()));
            assert!(out.get(..read.len_bytes()).map(Igmp::parse) == Some(Ok(read)));
            if let Igmp::ReportV3(records) = read {
                assert!(records.iter().count() == usize::from(records.number()));
            }
        }
    }
}

/// An MLD message, likewise.
fn mld(data: &[u8]) {
    let mut copy = [0; INPUT_MAX_BYTES];
    let Some(message) = summed(data, 7, &mut copy) else { return };
    for bytes in [data, message] {
        if let Ok(Some(read)) = Mld::parse(bytes, 7) {
            assert!(read.len_bytes() <= bytes.len());
            let mut out = [0; INPUT_MAX_BYTES];
            assert!(read.write(&mut out, 7) == Ok(read.len_bytes()));
            let again = out.get(..read.len_bytes()).map(|bytes| Mld::parse(bytes, 7));
            assert!(again == Some(Ok(Some(read))));
            if let Mld::ReportV2(records) = read {
                assert!(records.iter().count() == usize::from(records.number()));
            }
        }
    }
}

/// A copy of an ICMP-like message whose checksum is right for a pseudo-header of this sum.
fn summed<'a>(data: &[u8], pseudo: u64, copy: &'a mut [u8]) -> Option<&'a [u8]> {
    let copy = copy.get_mut(..data.len())?;
    copy.copy_from_slice(data);
    copy.get_mut(2..4)?.fill(0);
    let sum = checksum::finish(checksum::sum(copy) + pseudo);
    copy.get_mut(2..4)?.copy_from_slice(&sum.to_be_bytes());
    Some(copy)
}

/// Whether it is a tunnel packet for us: the same headers as the parsers of each layer read, as far as both
/// go.
fn classified(data: &[u8]) {
    let (mut ports, mut vteps) = (0, 0);
    let is_tunnel_port = |port| {
        ports += 1;
        matches!(port, 4789 | 6081)
    };
    let is_vtep = |_| {
        vteps += 1;
        true
    };
    let decided = classify(&mut Bytes(data), is_tunnel_port, is_vtep);
    assert!(ports <= 1 && vteps <= 1);
    let outer = match classify::outer(&mut Bytes(data)) {
        Ok(outer) => outer,
        Err(not_ours) => {
            assert!(decided == Err(not_ours));
            return;
        }
    };
    if decided == Ok(outer) {
        assert!(!outer.is_fragment && outer.l4_at < data.len());
        assert!(matches!(outer.protocol, IpProtocol::GRE | IpProtocol::UDP));
    }
    assert!(outer.is_fragment || decided != Err(NotOurs::Fragment));
    let l2 = parse_l2(data);
    assert!(l2.is_ok_and(|l2| l2.l3_offset == outer.l3_at));
    let packet = data.get(outer.l3_at..).unwrap_or_default();
    if let Ok((header, payload)) = Ipv4Header::parse(packet) {
        assert!(!outer.is_ipv6 && outer.target == header.target().to_ipv6_mapped());
        assert!(outer.l4_at == outer.l3_at + header.header_len_bytes());
        assert!((outer.protocol, outer.is_fragment) == (header.protocol, header.is_fragment()));
        assert!(outer.l4_at + payload.len() <= data.len());
    }
    if let Ok((header, payload)) = Ipv6Header::parse(packet) {
        assert!(outer.is_ipv6 && outer.target == header.target());
        // The walk goes on behind routing and fragment headers.
        if let Ok(walk) = header.walk(payload)
            && walk.protocol == outer.protocol
            && walk.fragment.is_some() == outer.is_fragment
        {
            assert!(outer.l3_at + crate::ipv6::LEN_BYTES + walk.extensions_bytes == outer.l4_at);
        }
    }
}

/// A GRE packet.
fn gre(data: &[u8]) {
    if let Ok((header, payload)) = Gre::parse(data) {
        assert!(header.header_len_bytes() + payload.len() == data.len());
        let _ = header.verify_checksum(data);
        let mut out = [0; crate::gre::LEN_MAX_BYTES];
        let Ok(len) = header.write(&mut out) else { return };
        let again = Gre { checksum: header.checksum.map(|_| 0), ..header };
        assert!(out.get(..len).map(Gre::parse) == Some(Ok((again, &[]))));
    }
}

/// A Geneve datagram.
fn geneve(data: &[u8]) {
    let Ok((header, payload)) = Geneve::parse(data) else { return };
    assert!(header.header_len_bytes() + payload.len() == data.len());
    assert!(header.options().all(|option| option.is_ok()));
    let _ = header.refuse_critical(|_| false);
    let mut out = [0; 260];
    assert!(header.write(&mut out) == Ok(header.header_len_bytes()));
}

/// A VXLAN datagram.
fn vxlan(data: &[u8]) {
    if let Ok((header, payload)) = Vxlan::parse(data) {
        assert!(data.ends_with(payload));
        let mut out = [0; crate::vxlan::LEN_BYTES];
        assert!(header.write(&mut out).is_ok());
        assert!(Vxlan::parse(&out) == Ok((header, &[])));
    }
}

/// All shapes of option lists.
fn tlv(data: &[u8]) {
    let steps_max = data.len() / 2 + 1;
    assert!(Tlvs::<GeneveOptions>::new(data).count() <= steps_max);
    assert!(Tlvs::<NdOptions>::new(data).count() <= steps_max);
    assert!(Tlvs::<LldpTlvs>::new(data).count() <= steps_max);
    assert!(Tlvs::<TcpOptions>::new(data).count() <= data.len());
}

/// Completion of partial checksums: afterwards the checksum is right, and done again it stays.
fn partial_checksum(data: &[u8]) {
    let mut copy = [0; INPUT_MAX_BYTES];
    let Some(frame) = copy.get_mut(..data.len()) else { return };
    frame.copy_from_slice(data);
    if partial::complete(frame) == partial::Completion::Completed {
        assert!(L4::locate(frame).and_then(|l4| l4.is_checksum_right(frame)) == Some(true));
        let right = checksum::sum(frame);
        let _ = partial::complete(frame);
        assert!(checksum::sum(frame) == right);
    } else {
        assert!(frame == data);
    }
    if let [a, b, c, d, ..] = *data {
        let (start, offset) = (u16::from_be_bytes([a & 1, b]), u16::from_be_bytes([c & 1, d]));
        let _ = partial::complete_at(frame, start, offset);
    }
}

/// Segmentation: segments carry the payload, whole and in order, with right checksums.
fn segments(data: &[u8]) {
    let Some((&size, frame)) = data.split_first() else { return };
    let cut_tcp = segment::tcp_segments(frame, u16::from(size) + 1);
    let cut_udp = segment::udp_segments(frame, u16::from(size) + 1);
    let Some(l4) = L4::locate(frame) else {
        assert!(cut_tcp.is_err() && cut_udp.is_err());
        return;
    };
    for segments in [cut_tcp, cut_udp].into_iter().flatten() {
        let mut left = l4.end - segments.headers_len_bytes();
        for segment in segments {
            let mut out = [0; INPUT_MAX_BYTES];
            if segment.write_into(&mut out).is_err() {
                return;
            }
            let written = out.get(..segment.len_bytes()).unwrap_or_default();
            let right = L4::locate(written).and_then(|l4| l4.is_checksum_right(written));
            assert!(right == Some(true));
            left -= segment.payload().len();
        }
        assert!(left == 0);
    }
}

/// Two frames in a row, each half of the input with its checksums made right: cutting what they are
/// joined to gives them back.
fn coalesced(data: &[u8]) {
    let (mut first, mut second) = ([0; INPUT_MAX_BYTES], [0; INPUT_MAX_BYTES]);
    let (head, frame) = data.split_at(data.len() / 2);
    let (Some(first), Some(second)) = (first.get_mut(..head.len()), second.get_mut(..frame.len()))
    else {
        return;
    };
    first.copy_from_slice(head);
    second.copy_from_slice(frame);
    make_right(first);
    make_right(second);
    let (Some(piece), Some(next)) = (Piece::of(first), Piece::of(second)) else { return };
    let mut run = Run::new(piece);
    if !run.append(first, &next, second) {
        return;
    }
    let mut joined = [0; 2 * INPUT_MAX_BYTES];
    let payload = second.get(next.headers_len_bytes()..).unwrap_or_default();
    let len = first.len() + payload.len();
    let (front, back) = joined.split_at_mut(first.len());
    front.copy_from_slice(first);
    back.iter_mut().zip(payload).for_each(|(to, from)| *to = *from);
    let offload = run.finish(front);
    let superframe = joined.get(..len).unwrap_or_default();
    let size = offload.map_or(0, |offload| offload.gso_size);
    let mut cut = segment::tcp_segments(superframe, size).into_iter().flatten();
    for frame in [&*first, &*second] {
        let mut out = [0; INPUT_MAX_BYTES];
        let written = cut.next().and_then(|segment| segment.write_into(&mut out).ok());
        assert!(out.get(..written.unwrap_or(0)) == Some(frame));
    }
    assert!(cut.next().is_none());
}

/// Computes the checksums of an IP packet in a frame without tags, as far as there are some.
fn make_right(frame: &mut [u8]) {
    if let Some(header) = frame.get_mut(14..34)
        && header.first() == Some(&0x45)
    {
        header.iter_mut().skip(10).take(2).for_each(|byte| *byte = 0);
        let sum = checksum::internet_checksum(header).to_be_bytes();
        header.iter_mut().skip(10).zip(sum).for_each(|(byte, value)| *byte = value);
    }
    let Some(l4) = L4::locate(frame) else { return };
    let (Some(at), pseudo) = (l4.checksum_at(), l4.pseudo_sum(l4.end - l4.start)) else { return };
    frame.iter_mut().skip(at).take(2).for_each(|byte| *byte = 0);
    let sum = checksum::sum(frame.get(l4.start..l4.end).unwrap_or_default()) + pseudo;
    let sum = checksum::finish(sum).to_be_bytes();
    frame.iter_mut().skip(at).zip(sum).for_each(|(byte, value)| *byte = value);
}

/// The one-line form of a frame.
fn show(data: &[u8]) {
    struct Discard;
    impl Write for Discard {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            assert!(!text.contains('\n'));
            Ok(())
        }
    }
    assert!(write!(Discard, "{}", Show(data)).is_ok());
    let _ = L4::locate(data).filter(|l4| l4.protocol == IpProtocol::TCP);
}

/// The text form of an address.
fn mac(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Ok(mac) = text.parse::<MacAddr>() {
        assert!(MacAddr::from_u64(mac.to_u64()) == mac);
    }
}
