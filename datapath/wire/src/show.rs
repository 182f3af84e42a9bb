//! One line per frame, in the manner of tcpdump, for traces and for tests that fail.

use crate::ethernet::parse_l2;
use crate::icmp::{v4, v6};
use crate::{
    ArpPacket, Geneve, Gre, IcmpHeader, Ipv4Header, Ipv6Header, TcpHeader, UdpHeader, Vxlan,
};
use crate::{EtherType, IpProtocol, Layer, ParseError, Tag, arp, geneve, ipv4, vxlan};
use core::fmt::{Display, Formatter, Result, Write};
use core::net::IpAddr;

/// How many frames inside frames are shown.
const NESTED_MAX: u8 = 3;

/// Shows an Ethernet frame as one line.
///
/// ```
/// let frame = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xcc, 0, 0];
/// assert_eq!(
///     weft_wire::Show(&frame).to_string(),
///     "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype 0x88cc, length 16"
/// );
/// ```
#[derive(Clone, Copy)]
pub struct Show<'a>(pub &'a [u8]);

impl Display for Show<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        frame(f, self.0, 0)
    }
}

impl core::fmt::Debug for Show<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        Display::fmt(self, f)
    }
}

fn malformed(f: &mut Formatter<'_>, error: ParseError) -> Result {
    write!(f, ", malformed ({error})")
}

fn frame(f: &mut Formatter<'_>, bytes: &[u8], depth: u8) -> Result {
    let l2 = match parse_l2(bytes) {
        Ok(l2) => l2,
        Err(error) => return write!(f, "malformed ({error})"),
    };
    write!(f, "{} > {}", l2.source, l2.target)?;
    for tag in [l2.outer_tag, l2.inner_tag].into_iter().flatten() {
        show_tag(f, tag)?;
    }
    let payload = bytes.get(l2.l3_offset..).unwrap_or_default();
    if l2.ethertype == EtherType::TEB {
        write!(f, ", ethertype 0x6558")
    } else {
        l3(f, l2.ethertype, payload, depth)
    }?;
    write!(f, ", length {}", bytes.len())
}

fn show_tag(f: &mut Formatter<'_>, tag: Tag) -> Result {
    let name = if tag.tpid == EtherType::S_TAG { "svlan" } else { "vlan" };
    write!(f, ", {name} {} p {}", tag.tci.vid(), tag.tci.pcp().get())?;
    if tag.tci.dei() { f.write_str(" DEI") } else { Ok(()) }
}

/// Whatever an `EtherType` names: behind Ethernet, or in a tunnel.
fn l3(f: &mut Formatter<'_>, ethertype: EtherType, payload: &[u8], depth: u8) -> Result {
    match ethertype {
        EtherType::ARP => show_arp(f, payload),
        EtherType::IPV4 => show_ipv4(f, payload, depth),
        EtherType::IPV6 => show_ipv6(f, payload, depth),
        EtherType::TEB if depth >= NESTED_MAX => f.write_str(", ..."),
        EtherType::TEB => {
            f.write_str(" | ")?;
            frame(f, payload, depth + 1)
        }
        other if other.is_length() => write!(f, ", 802.3 length {}", other.get()),
        other => write!(f, ", ethertype {other}"),
    }
}

fn show_arp(f: &mut Formatter<'_>, payload: &[u8]) -> Result {
    let packet = match ArpPacket::parse(payload) {
        Ok((packet, _)) => packet,
        Err(error) => return malformed(f, error),
    };
    let (sender, target) = (packet.sender_ip(), packet.target_ip());
    match packet.operation() {
        arp::REQUEST => write!(f, ", ARP who-has {target} tell {sender}"),
        arp::REPLY => write!(f, ", ARP reply {sender} is-at {}", packet.sender_mac),
        other => write!(f, ", ARP operation {other}, {sender} to {target}"),
    }
}

/// The two ends of a packet, for the protocols that add ports to them.
struct Ends {
    source: IpAddr,
    target: IpAddr,
    /// Partial sum of the pseudo-header, less protocol and length.
    address_sum: u64,
}

impl Ends {
    fn write(&self, f: &mut Formatter<'_>, ports: Option<(u16, u16)>) -> Result {
        match ports {
            Some((from, to)) => write!(f, "{}.{from} > {}.{to}:", self.source, self.target),
            None => write!(f, "{} > {}:", self.source, self.target),
        }
    }
}

fn show_ipv4(f: &mut Formatter<'_>, packet: &[u8], depth: u8) -> Result {
    let (header, payload) = match Ipv4Header::parse(packet) {
        Ok(parsed) => parsed,
        Err(error) => return malformed(f, error),
    };
    f.write_str(", IPv4")?;
    if header.tos != 0 {
        write!(f, " tos {:#04x}", header.tos)?;
    }
    if ipv4::verify_checksum(packet).is_err() {
        f.write_str(" (bad header cksum)")?;
    }
    f.write_char(' ')?;
    let ends = Ends {
        source: header.source().into(),
        target: header.target().into(),
        address_sum: header.pseudo_sum(IpProtocol(0), 0),
    };
    if header.is_fragment() {
        ends.write(f, None)?;
        let more = if header.more_fragments() { "+" } else { "" };
        let (id, offset) = (header.id(), header.fragment_offset_bytes());
        return write!(f, " {} fragment {id}@{offset}{more}", header.protocol);
    }
    l4(f, &ends, header.protocol, payload, depth)
}

fn show_ipv6(f: &mut Formatter<'_>, packet: &[u8], depth: u8) -> Result {
    let parsed = Ipv6Header::parse(packet)
        .and_then(|(header, payload)| header.walk(payload).map(|walk| (header, walk)));
    let (header, walk) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return malformed(f, error),
    };
    f.write_str(", IPv6 ")?;
    if header.traffic_class() != 0 {
        write!(f, "class {:#04x} ", header.traffic_class())?;
    }
    let ends = Ends {
        source: header.source().into(),
        target: header.target().into(),
        address_sum: header.pseudo_sum(IpProtocol(0), 0),
    };
    if let Some(fragment) = walk.fragment.filter(|_| walk.is_fragment()) {
        ends.write(f, None)?;
        let more = if fragment.more { "+" } else { "" };
        let (id, offset) = (fragment.id, fragment.offset_bytes);
        return write!(f, " {} fragment {id}@{offset}{more}", walk.protocol);
    }
    l4(f, &ends, walk.protocol, walk.payload, depth)
}

fn l4(
    f: &mut Formatter<'_>,
    ends: &Ends,
    protocol: IpProtocol,
    payload: &[u8],
    depth: u8,
) -> Result {
    let pseudo = ends.address_sum + u64::from(protocol.0) + payload.len() as u64;
    match protocol {
        IpProtocol::TCP => show_tcp(f, ends, payload, pseudo),
        IpProtocol::UDP => show_udp(f, ends, payload, depth),
        IpProtocol::ICMP => show_icmp(f, ends, Layer::Icmpv4, payload, 0),
        IpProtocol::ICMPV6 => show_icmp(f, ends, Layer::Icmpv6, payload, pseudo),
        IpProtocol::GRE => show_gre(f, ends, payload, depth),
        other => {
            ends.write(f, None)?;
            write!(f, " {other}")
        }
    }
}

fn bad_checksum(f: &mut Formatter<'_>, is_bad: bool) -> Result {
    if is_bad { f.write_str(" (bad cksum)") } else { Ok(()) }
}

fn show_tcp(f: &mut Formatter<'_>, ends: &Ends, segment: &[u8], pseudo: u64) -> Result {
    let (tcp, data) = match TcpHeader::parse(segment) {
        Ok(parsed) => parsed,
        Err(error) => return malformed(f, error),
    };
    ends.write(f, Some((tcp.source_port(), tcp.target_port())))?;
    write!(f, " TCP [{}] seq {}", tcp.flags(), tcp.sequence())?;
    if tcp.flags().has(crate::tcp::TcpFlags::ACK) {
        write!(f, " ack {}", tcp.acknowledgment())?;
    }
    write!(f, " win {} data {}", tcp.window(), data.len())?;
    bad_checksum(f, TcpHeader::verify_checksum(segment, pseudo).is_err())
}

fn show_udp(f: &mut Formatter<'_>, ends: &Ends, bytes: &[u8], depth: u8) -> Result {
    let (udp, data) = match UdpHeader::parse(bytes) {
        Ok(parsed) => parsed,
        Err(error) => return malformed(f, error),
    };
    ends.write(f, Some((udp.source_port(), udp.target_port())))?;
    write!(f, " UDP data {}", data.len())?;
    let pseudo = ends.address_sum + u64::from(IpProtocol::UDP.0) + u64::from(udp.len_bytes());
    bad_checksum(f, UdpHeader::verify_checksum(bytes, pseudo).is_err())?;
    match udp.target_port() {
        geneve::UDP_PORT => match Geneve::parse(data) {
            Ok((header, inner)) => {
                write!(f, ", Geneve vni {}", header.vni)?;
                if !header.options.is_empty() {
                    write!(f, " options {}", header.options.len())?;
                }
                l3(f, header.protocol, inner, depth)
            }
            Err(error) => malformed(f, error),
        },
        vxlan::UDP_PORT => match Vxlan::parse(data) {
            Ok((header, inner)) => {
                write!(f, ", VXLAN vni {}", header.vni)?;
                l3(f, EtherType::TEB, inner, depth)
            }
            Err(error) => malformed(f, error),
        },
        _ => Ok(()),
    }
}

fn show_icmp(
    f: &mut Formatter<'_>,
    ends: &Ends,
    layer: Layer,
    bytes: &[u8],
    pseudo: u64,
) -> Result {
    ends.write(f, None)?;
    let header = match IcmpHeader::parse(layer, bytes) {
        Ok((header, _)) => header,
        Err(error) => return malformed(f, error),
    };
    write!(f, " {layer} ")?;
    let (id, sequence) = (header.echo_id(), header.echo_sequence());
    match (layer, header.kind) {
        (Layer::Icmpv4, v4::ECHO_REQUEST) | (Layer::Icmpv6, v6::ECHO_REQUEST) => {
            write!(f, "echo request id {id} seq {sequence}")
        }
        (Layer::Icmpv4, v4::ECHO_REPLY) | (Layer::Icmpv6, v6::ECHO_REPLY) => {
            write!(f, "echo reply id {id} seq {sequence}")
        }
        (Layer::Icmpv6, v6::NEIGHBOUR_SOLICITATION) => f.write_str("neighbour solicitation"),
        (Layer::Icmpv6, v6::NEIGHBOUR_ADVERTISEMENT) => f.write_str("neighbour advertisement"),
        (Layer::Icmpv4, kind) => match header.next_hop_mtu_v4() {
            Some(mtu) => write!(f, "fragmentation needed, mtu {mtu}"),
            None => write!(f, "type {kind} code {}", header.code),
        },
        (_, kind) => match header.next_hop_mtu_v6() {
            Some(mtu) => write!(f, "packet too big, mtu {mtu}"),
            None => write!(f, "type {kind} code {}", header.code),
        },
    }?;
    bad_checksum(f, IcmpHeader::verify_checksum(layer, bytes, pseudo).is_err())
}

fn show_gre(f: &mut Formatter<'_>, ends: &Ends, packet: &[u8], depth: u8) -> Result {
    ends.write(f, None)?;
    f.write_str(" GRE")?;
    let (gre, inner) = match Gre::parse(packet) {
        Ok(parsed) => parsed,
        Err(error) => return malformed(f, error),
    };
    if let Some(key) = gre.key {
        write!(f, " key {key:#x}")?;
    }
    if let Some(sequence) = gre.sequence {
        write!(f, " seq {sequence}")?;
    }
    if gre.checksum.is_some() {
        f.write_str(" csum")?;
    }
    bad_checksum(f, gre.verify_checksum(packet).is_err())?;
    l3(f, gre.protocol, inner, depth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{Spec, any_spec};
    use crate::{MacAddr, Tci, Vid, Vni};
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    proptest! {
        #[test]
        fn survives_noise_on_one_line(noise: Vec<u8>) {
            prop_assert!(!Show(&noise).to_string().contains('\n'));
        }

        /// A damaged frame still shows, and a whole one shows no complaint.
        #[test]
        fn complains_of_damage_only(spec in any_spec(), at: prop::sample::Index, flip in 1u8..) {
            let mut frame = spec.build();
            let line = Show(&frame).to_string();
            prop_assert!(!line.contains("(bad") && !line.contains("malformed"), "{}", line);
            prop_assert!(line.ends_with(&format!(", length {}", frame.len())), "{}", line);
            let at = at.index(frame.len());
            frame[at] ^= flip;
            prop_assert_ne!(Show(&frame).to_string(), "");
        }
    }

    fn framed(ethertype: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        frame.extend(ethertype.to_be_bytes());
        frame.extend(payload);
        frame
    }

    #[test]
    fn shows_arp_and_tags() {
        let me = (MacAddr([2, 0, 0, 0, 0, 1]), [10, 0, 0, 1].into());
        let packet = ArpPacket::new(arp::REQUEST, me, (MacAddr::ZERO, [10, 0, 0, 2].into()));
        let mut payload = Tci::new(5.try_into().unwrap(), true, Vid::new(7).unwrap())
            .to_wire()
            .to_be_bytes()
            .to_vec();
        payload.extend([8, 6]);
        payload.extend(packet.as_bytes());
        assert_eq!(
            Show(&framed(0x8100, &payload)).to_string(),
            "02:00:00:00:00:01 > 02:00:00:00:00:02, vlan 7 p 5 DEI, \
             ARP who-has 10.0.0.2 tell 10.0.0.1, length 46"
        );
    }

    #[test]
    fn shows_a_tunnel_and_what_is_in_it() {
        let inner = Spec { payload: vec![0; 10], flags: 0x18, ..Spec::default() }.build();
        let gre = Gre { key: Some(5), checksum: Some(0), ..Gre::new(EtherType::TEB) };
        let mut packet = vec![0; gre.header_len_bytes()];
        gre.write(&mut packet).unwrap();
        packet.extend(&inner);
        Gre::fill_checksum(&mut packet);
        let header = Ipv4Header::new([192, 0, 2, 1].into(), [192, 0, 2, 2].into(), IpProtocol::GRE);
        let mut outer = vec![0; 20];
        header.write(&mut outer, packet.len()).unwrap();
        outer.extend(packet);
        let line = Show(&framed(0x0800, &outer)).to_string();
        let expected = format!(
            "02:00:00:00:00:01 > 02:00:00:00:00:02, IPv4 192.0.2.1 > 192.0.2.2: GRE key 0x5 csum | {}, length 110",
            Show(&inner)
        );
        assert_eq!(line, expected);
        assert!(line.contains(": TCP [P.] seq 1000 ack 0 win 0 data 10, length 64"), "{line}");
    }

    #[test]
    fn shows_icmp_and_its_mtu() {
        let mut message = vec![0; 8];
        IcmpHeader::fragmentation_needed(1400).write(&mut message, &[], 0).unwrap();
        let header =
            Ipv4Header::new([192, 0, 2, 1].into(), [192, 0, 2, 2].into(), IpProtocol::ICMP);
        let mut packet = vec![0; 20];
        header.write(&mut packet, 8).unwrap();
        packet.extend(message);
        let line = Show(&framed(0x0800, &packet)).to_string();
        assert!(
            line.contains("192.0.2.1 > 192.0.2.2: ICMP fragmentation needed, mtu 1400, length"),
            "{line}"
        );
        packet[27] ^= 1;
        let line = Show(&framed(0x0800, &packet)).to_string();
        assert!(line.contains("mtu 1401 (bad cksum)"), "{line}");
    }

    #[test]
    fn nesting_is_bounded() {
        let mut frame = framed(0x88cc, &[]);
        for _ in 0..20 {
            let mut bytes = vec![0; 8];
            Vxlan { vni: Vni::MAX }.write(&mut bytes).unwrap();
            bytes.extend(frame);
            let spec = Spec {
                is_tcp: false,
                seed: u32::from(vxlan::UDP_PORT),
                payload: bytes,
                ..Spec::default()
            };
            frame = spec.build();
        }
        let line = Show(&frame).to_string();
        assert_eq!(line.matches("VXLAN vni 16777215").count(), usize::from(NESTED_MAX) + 1);
        assert!(line.contains(", ..."), "{line}");
    }
}
