//! Flows in the words of OpenFlow, as `ofproto/trace` takes and prints them: fields that a
//! learning bridge has, which frames they make, and which fields a frame has.

mod parse;

pub use parse::{FlowError, matches, parse, parse_odp};

use std::fmt::{Display, Formatter, Result, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use weft_wire::mac::MacAddr;
use weft_wire::{ArpPacket, EtherType, Ipv4Header, Ipv6Header, checksum, parse_l2};

/// RFC 903.
pub const RARP: u16 = 0x8035;
/// `OpenFlow`'s number for the port named like the bridge.
const LOCAL: u16 = crate::plan::ofport::LOCAL;

/// The fields of one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// The `OpenFlow` port that it comes in on, or what stands for none.
    pub in_port: Option<u16>,
    /// TPID and TCI of up to two tags, the outermost first.
    pub tags: Vec<(u16, u16)>,
    /// Source.
    pub source: MacAddr,
    /// Destination.
    pub target: MacAddr,
    /// What is behind the tags.
    pub ethertype: u16,
    /// And its fields.
    pub net: Net,
}

/// What is behind the L2 header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Net {
    /// Nothing that has fields.
    #[default]
    None,
    /// ARP or RARP.
    Arp(Arp),
    /// IPv4 or IPv6.
    Ip(Ip),
}

/// Fields of an ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Sender address.
    pub spa: Ipv4Addr,
    /// Target address.
    pub tpa: Ipv4Addr,
    /// 1 asks, 2 answers.
    pub op: u16,
    /// Sender hardware address.
    pub sha: MacAddr,
    /// Target hardware address.
    pub tha: MacAddr,
}

impl Default for Arp {
    fn default() -> Self {
        let nowhere = Ipv4Addr::UNSPECIFIED;
        Self { spa: nowhere, tpa: nowhere, op: 0, sha: MacAddr([0; 6]), tha: MacAddr([0; 6]) }
    }
}

/// Fields of an IP packet and of what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Source.
    pub source: IpAddr,
    /// Destination, of the same version.
    pub target: IpAddr,
    /// IPv6 flow label.
    pub label: u32,
    /// What follows.
    pub protocol: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Which piece.
    pub fragment: Fragment,
    /// Source port, or ICMP type.
    pub from: u16,
    /// Destination port, or ICMP code.
    pub to: u16,
    /// TCP flags.
    pub flags: u16,
}

/// Pieces of IP packets, `nw_frag`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fragment {
    /// All of it.
    #[default]
    No,
    /// The first.
    First,
    /// Another.
    Later,
}

impl Fragment {
    /// As in flows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::First => "first",
            Self::Later => "later",
        }
    }
}

impl Ip {
    /// A packet of no addresses.
    #[must_use]
    pub fn new(is_v6: bool) -> Self {
        let nowhere: IpAddr =
            if is_v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        Self {
            source: nowhere,
            target: nowhere,
            label: 0,
            protocol: 0,
            tos: 0,
            ttl: 0,
            fragment: Fragment::No,
            from: 0,
            to: 0,
            flags: 0,
        }
    }

    /// What `from` and `to` are called, when the protocol has them.
    fn transport(&self) -> Option<Transport> {
        if self.fragment == Fragment::Later {
            return None;
        }
        let is_v6 = self.source.is_ipv6();
        match self.protocol {
            6 => Some(Transport::Tcp),
            17 => Some(Transport::Udp),
            132 => Some(Transport::Sctp),
            1 if !is_v6 => Some(Transport::Icmp),
            2 if !is_v6 => Some(Transport::Igmp),
            58 if is_v6 => Some(Transport::Icmp),
            _ => None,
        }
    }

    /// The word that flows start with.
    fn word(&self) -> &'static str {
        match (self.transport(), self.source.is_ipv6()) {
            (Some(Transport::Tcp), false) => "tcp",
            (Some(Transport::Tcp), true) => "tcp6",
            (Some(Transport::Udp), false) => "udp",
            (Some(Transport::Udp), true) => "udp6",
            (Some(Transport::Sctp), false) => "sctp",
            (Some(Transport::Sctp), true) => "sctp6",
            (Some(Transport::Icmp), false) => "icmp",
            (Some(Transport::Icmp), true) => "icmp6",
            (None | Some(Transport::Igmp), false) => "ip",
            (None | Some(Transport::Igmp), true) => "ipv6",
        }
    }
}

/// Protocols whose first bytes are fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// `ICMP` or `ICMPv6`.
    Icmp,
    /// `IGMP`, whose type and code flows show as ports.
    Igmp,
}

impl Flow {
    /// The fields of a frame.  What is cut off is zero.
    #[must_use]
    pub fn of_frame(in_port: Option<u16>, frame: &[u8]) -> Self {
        let Ok(l2) = parse_l2(frame) else { return Self { in_port, ..Self::default() } };
        let tags = [l2.outer_tag, l2.inner_tag].into_iter().flatten();
        let packet = frame.get(l2.l3_offset..).unwrap_or_default();
        let net = match l2.ethertype {
            EtherType::ARP | EtherType(RARP) => Net::Arp(arp_fields(packet)),
            EtherType::IPV4 => Net::Ip(ipv4_fields(packet)),
            EtherType::IPV6 => Net::Ip(ipv6_fields(packet)),
            _ => Net::None,
        };
        Self {
            in_port,
            tags: tags.map(|tag| (tag.tpid.0, tag.tci.to_wire())).collect(),
            source: l2.source,
            target: l2.target,
            ethertype: l2.ethertype.0,
            net,
        }
    }

    /// A frame with these fields, at least 60 bytes long, with right lengths and checksums.
    #[must_use]
    pub fn to_frame(&self) -> Vec<u8> {
        let mut frame = [self.target.0, self.source.0].concat();
        for (tpid, tci) in &self.tags {
            frame.extend(tpid.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        frame.extend(self.ethertype.to_be_bytes());
        match &self.net {
            Net::None => {}
            Net::Arp(arp) => {
                frame.extend([0, 1, 8, 0, 6, 4]);
                frame.extend(arp.op.to_be_bytes());
                frame.extend(arp.sha.0);
                frame.extend(arp.spa.octets());
                frame.extend(arp.tha.0);
                frame.extend(arp.tpa.octets());
            }
            Net::Ip(ip) => frame.extend(ip.to_packet()),
        }
        frame.resize(frame.len().max(60), 0);
        frame
    }

    /// True when the frame's first tag has a VLAN other than 0.
    fn show_tags(&self, f: &mut Formatter<'_>) -> Result {
        let Some((_, tci)) = self.tags.first() else { return f.write_str("vlan_tci=0x0000") };
        write!(f, "dl_vlan={},dl_vlan_pcp={}", tci & 0xfff, tci >> 13)?;
        match self.tags.get(1) {
            None => f.write_str(",vlan_tci1=0x0000"),
            Some((_, tci)) => write!(f, ",dl_vlan1={},dl_vlan_pcp1={}", tci & 0xfff, tci >> 13),
        }
    }

    /// The word for what the frame is, if there is one.
    #[must_use]
    pub fn word(&self) -> Option<&'static str> {
        match &self.net {
            Net::None => None,
            Net::Arp(_) if self.ethertype == RARP => Some("rarp"),
            Net::Arp(_) => Some("arp"),
            Net::Ip(ip) => Some(ip.word()),
        }
    }

    /// The line `Megaflow:`: what a learning bridge looks at.  `uses_tag` says whether the tag's
    /// priority matters, because some copy leaves with a tag.
    #[must_use]
    pub fn megaflow(&self, uses_tag: bool) -> String {
        let mut text = String::from("recirc_id=0,eth,");
        let word = match &self.net {
            Net::Ip(ip) if ip.source.is_ipv6() => Some("ipv6"),
            Net::Ip(_) => Some("ip"),
            _ => self.word(),
        };
        text.extend(word.into_iter().flat_map(|word| [word, ","]));
        let _ = write!(text, "in_port={}", PortName(self.in_port));
        if let Some((_, tci)) = self.tags.first() {
            let _ = write!(text, ",dl_vlan={}", tci & 0xfff);
            if uses_tag {
                let _ = write!(text, ",dl_vlan_pcp={}", tci >> 13);
            }
        }
        let _ = write!(text, ",dl_src={},dl_dst={}", self.source, self.target);
        let _ = match &self.net {
            Net::None => write!(text, ",dl_type=0x{:04x}", self.ethertype),
            Net::Arp(arp) if self.target.is_broadcast() => match arp.op {
                0 => write!(text, ",arp_op=0"),
                op => write!(text, ",arp_spa={},arp_tpa={},arp_op={op}", arp.spa, arp.tpa),
            },
            Net::Arp(_) => Ok(()),
            Net::Ip(ip) => write!(text, ",nw_frag={}", ip.fragment.name()),
        };
        text
    }
}

/// A port as in flows.
struct PortName(Option<u16>);

impl Display for PortName {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            None => f.write_str("ANY"),
            Some(LOCAL) => f.write_str("LOCAL"),
            Some(number) => write!(f, "{number}"),
        }
    }
}

/// The line `Flow:`.
impl Display for Flow {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if let Some(word) = self.word() {
            write!(f, "{word},")?;
        }
        write!(f, "in_port={},", PortName(self.in_port))?;
        self.show_tags(f)?;
        write!(f, ",dl_src={},dl_dst={}", self.source, self.target)?;
        match &self.net {
            Net::None => write!(f, ",dl_type=0x{:04x}", self.ethertype),
            Net::Arp(Arp { spa, tpa, op, sha, tha }) => {
                write!(f, ",arp_spa={spa},arp_tpa={tpa},arp_op={op},arp_sha={sha},arp_tha={tha}")
            }
            Net::Ip(ip) => ip.fmt(f),
        }
    }
}

impl Display for Ip {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.source.is_ipv6() {
            write!(f, ",ipv6_src={},ipv6_dst={}", self.source, self.target)?;
            write!(f, ",ipv6_label=0x{:05x}", self.label)?;
        } else {
            write!(f, ",nw_src={},nw_dst={}", self.source, self.target)?;
        }
        if matches!(self.transport(), None | Some(Transport::Igmp)) {
            write!(f, ",nw_proto={}", self.protocol)?;
        }
        write!(f, ",nw_tos={},nw_ecn={},nw_ttl={}", self.tos & 0xfc, self.tos & 3, self.ttl)?;
        write!(f, ",nw_frag={}", self.fragment.name())?;
        match self.transport() {
            None => Ok(()),
            Some(Transport::Icmp) => write!(f, ",icmp_type={},icmp_code={}", self.from, self.to),
            Some(Transport::Tcp) => {
                write!(f, ",tp_src={},tp_dst={}", self.from, self.to)?;
                write!(f, ",tcp_flags={}", TcpFlags(self.flags))
            }
            Some(_) => write!(f, ",tp_src={},tp_dst={}", self.from, self.to),
        }
    }
}

/// TCP flags by name; 0 when none is set.
struct TcpFlags(u16);

impl Display for TcpFlags {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        const NAMES: [&str; 9] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"];
        let set = NAMES.iter().enumerate().filter(|(bit, _)| self.0 >> bit & 1 == 1);
        let names: Vec<_> = set.map(|(_, name)| *name).collect();
        if names.is_empty() { f.write_str("0") } else { f.write_str(&names.join("|")) }
    }
}

fn arp_fields(packet: &[u8]) -> Arp {
    let Ok((arp, _)) = ArpPacket::parse(packet) else { return Arp::default() };
    Arp {
        spa: arp.sender_ip(),
        tpa: arp.target_ip(),
        op: arp.operation(),
        sha: arp.sender_mac,
        tha: arp.target_mac,
    }
}

fn ipv4_fields(packet: &[u8]) -> Ip {
    let Ok((header, payload)) = Ipv4Header::parse(packet) else { return Ip::new(false) };
    let offset = packet.get(6..8).and_then(|field| field.first_chunk::<2>());
    let fragment = match offset.map_or(0, |field| u16::from_be_bytes(*field) & 0x3fff) {
        0 => Fragment::No,
        0x2000 => Fragment::First,
        _ => Fragment::Later,
    };
    let ip = Ip {
        source: header.source().into(),
        target: header.target().into(),
        protocol: header.protocol.0,
        tos: header.tos,
        ttl: header.ttl,
        fragment,
        ..Ip::new(false)
    };
    ip.with_transport(payload)
}

fn ipv6_fields(packet: &[u8]) -> Ip {
    let Ok((header, payload)) = Ipv6Header::parse(packet) else { return Ip::new(true) };
    let walk = header.walk(payload).ok();
    let label = packet.first_chunk::<4>().map_or(0, |word| u32::from_be_bytes(*word) & 0xf_ffff);
    let fragment = match &walk {
        Some(walk) if walk.is_fragment() => Fragment::First,
        _ => Fragment::No,
    };
    let ip = Ip {
        source: header.source().into(),
        target: header.target().into(),
        label,
        protocol: walk.as_ref().map_or(0, |walk| walk.protocol.0),
        tos: header.traffic_class(),
        ttl: header.hop_limit,
        fragment,
        ..Ip::new(true)
    };
    ip.with_transport(walk.map_or(&[], |walk| walk.payload))
}

impl Ip {
    /// Reads what the transport protocol says.
    fn with_transport(mut self, payload: &[u8]) -> Self {
        let Some(transport) = self.transport() else { return self };
        let [a, b, c, d] = payload.first_chunk::<4>().copied().unwrap_or_default();
        if matches!(transport, Transport::Icmp | Transport::Igmp) {
            (self.from, self.to) = (a.into(), b.into());
        } else {
            (self.from, self.to) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        }
        if transport == Transport::Tcp {
            let flags = payload.get(12..14).and_then(|field| field.first_chunk::<2>());
            self.flags = flags.map_or(0, |field| u16::from_be_bytes(*field) & 0x0fff);
        }
        self
    }

    /// The transport header, with zeros where nothing is known.
    fn payload(&self) -> Vec<u8> {
        let ports = [self.from.to_be_bytes(), self.to.to_be_bytes()].concat();
        match self.transport() {
            None => Vec::new(),
            Some(Transport::Icmp | Transport::Igmp) => {
                let low = |field: u16| field.to_be_bytes()[1];
                vec![low(self.from), low(self.to), 0, 0, 0, 0, 0, 0]
            }
            Some(Transport::Udp) => [ports.as_slice(), &[0, 8, 0, 0]].concat(),
            Some(Transport::Sctp) => [ports.as_slice(), &[0; 8]].concat(),
            Some(Transport::Tcp) => {
                let offset_and_flags = (0x5000 | self.flags).to_be_bytes();
                [ports.as_slice(), &[0; 8], &offset_and_flags, &[0; 6]].concat()
            }
        }
    }

    fn to_packet(self) -> Vec<u8> {
        let payload = self.payload();
        let len = |header: usize| u16::try_from(header + payload.len()).unwrap_or(0).to_be_bytes();
        let mut packet = match (self.source, self.target) {
            (IpAddr::V4(source), IpAddr::V4(target)) => {
                let fragment: u16 = match self.fragment {
                    Fragment::No => 0,
                    Fragment::First => 0x2000,
                    Fragment::Later => 1,
                };
                let mut header = vec![0x45, self.tos];
                header.extend(len(20));
                header.extend([0, 0]);
                header.extend(fragment.to_be_bytes());
                header.extend([self.ttl, self.protocol, 0, 0]);
                header.extend(source.octets());
                header.extend(target.octets());
                let sum = checksum::internet_checksum(&header).to_be_bytes();
                header.splice(10..12, sum);
                header
            }
            (source, target) => {
                let octets = |address: IpAddr| match address {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                    IpAddr::V6(v6) => v6.octets(),
                };
                let word = 6 << 28 | u32::from(self.tos) << 20 | self.label;
                let mut header = word.to_be_bytes().to_vec();
                header.extend(len(0));
                header.extend([self.protocol, self.ttl]);
                header.extend(octets(source));
                header.extend(octets(target));
                header
            }
        };
        packet.extend(payload);
        packet
    }
}

#[cfg(test)]
mod tests;
