//! The texts of flows.

use super::{Arp, Flow, Fragment, Ip, Net, RARP, Transport};
use std::net::{Ipv4Addr, Ipv6Addr};
use weft_wire::mac::MacAddr;

/// What is wrong with the text of a flow, in the words of Open vSwitch where it has them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// There is no such field.
    #[error("unknown field {0}")]
    Unknown(String),
    /// A field of flow tables, which nothing sets here.
    #[error("field {0} is not supported: bridges forward by NORMAL alone")]
    Unsupported(String),
    /// A field that this kind of packet does not have.
    #[error("prerequisites not met for setting {0}")]
    Prerequisites(String),
    /// A field that has a value already.
    #[error("field {0} set multiple times")]
    Twice(String),
    /// A value that is none.
    #[error("bad value for {field} ({value}: {why})")]
    Value {
        /// Of this field.
        field: String,
        /// As written.
        value: String,
        /// What it should be.
        why: String,
    },
    /// No list of fields at all.
    #[error("syntax error at {0}")]
    Syntax(String),
}

/// Fields of flow tables that a learning bridge never sees.
const TABLE_FIELDS: [&str; 20] = [
    "reg",
    "xreg",
    "xxreg",
    "metadata",
    "tun_",
    "ct_",
    "pkt_mark",
    "conj_id",
    "dp_hash",
    "recirc_id",
    "actset_output",
    "skb_priority",
    "nd_",
    "mpls",
    "nsh_",
    "gtpu_",
    "packet_type",
    "in_phy_port",
    "cookie",
    "nw_src_mask",
];

/// Words that stand for types and protocols.
const WORDS: [(&str, u16, u8); 16] = [
    ("ip", 0x0800, 0),
    ("ipv4", 0x0800, 0),
    ("ipv6", 0x86dd, 0),
    ("icmp", 0x0800, 1),
    ("icmp4", 0x0800, 1),
    ("icmp6", 0x86dd, 58),
    ("icmpv6", 0x86dd, 58),
    ("tcp", 0x0800, 6),
    ("tcp6", 0x86dd, 6),
    ("udp", 0x0800, 17),
    ("udp6", 0x86dd, 17),
    ("sctp", 0x0800, 132),
    ("sctp6", 0x86dd, 132),
    ("arp", 0x0806, 0),
    ("rarp", RARP, 0),
    ("eth", 0, 0),
];

/// Reads `field=value,word,...`; `port` finds the number of a port that is given by name.
///
/// # Errors
/// [`FlowError`], naming the field.
pub fn parse(text: &str, port: impl Fn(&str) -> Option<u16>) -> Result<Flow, FlowError> {
    let mut flow = Flow::default();
    for (name, value) in pairs(text)? {
        let word = WORDS.iter().find(|(word, ..)| *word == name).filter(|_| value.is_none());
        if let Some((_, ethertype, protocol)) = word {
            flow.set_type(*ethertype);
            if let (Net::Ip(ip), true) = (&mut flow.net, *protocol != 0) {
                ip.protocol = *protocol;
            }
            continue;
        }
        set(&mut flow, name, value.unwrap_or_default(), &port)?;
    }
    Ok(flow)
}

/// True when a flow has all the fields of `filter`.
///
/// # Errors
/// [`FlowError`], naming the field.  A field that the flow cannot have makes no error: it does not
/// match.
pub fn matches(
    filter: &str,
    flow: &Flow,
    port: impl Fn(&str) -> Option<u16>,
) -> Result<bool, FlowError> {
    let mut all = true;
    for (name, value) in pairs(filter)? {
        if let Some((_, ethertype, protocol)) =
            WORDS.iter().find(|(word, ..)| *word == name).filter(|_| value.is_none())
        {
            let has_protocol =
                matches!(&flow.net, Net::Ip(ip) if *protocol == 0 || ip.protocol == *protocol);
            let is_it = *ethertype == flow.ethertype && (*protocol == 0 || has_protocol);
            all &= *ethertype == 0 || is_it;
            continue;
        }
        let mut same = flow.clone();
        let field = Field { name, value: value.unwrap_or_default(), overwrites: true };
        match (name, set_field(&mut same, &field, &port)) {
            ("dl_type" | "eth_type", Ok(())) => all &= same.ethertype == flow.ethertype,
            (_, Ok(())) => all &= same == *flow,
            (_, Err(FlowError::Prerequisites(_))) => all = false,
            (_, Err(error)) => return Err(error),
        }
    }
    Ok(all)
}

/// Splits at commas and spaces; `a=b`, `a(b)` and `a` are one pair each.
fn pairs(text: &str) -> Result<Vec<(&str, Option<&str>)>, FlowError> {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t', '\n']);
        if rest.is_empty() {
            return Ok(all);
        }
        let end = rest.find([',', ' ', '\t', '\n', '=', '(']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            return Err(FlowError::Syntax(rest.to_owned()));
        }
        if let Some(inside) = after.strip_prefix('(') {
            let close = closing(inside).ok_or_else(|| FlowError::Syntax(rest.to_owned()))?;
            let (value, after) = inside.split_at(close);
            all.push((name, Some(value)));
            rest = after.strip_prefix(')').unwrap_or(after);
        } else if let Some(after) = after.strip_prefix('=') {
            let end = after.find([',', ' ', '\t', '\n']).unwrap_or(after.len());
            let (value, after) = after.split_at(end);
            all.push((name, Some(value)));
            rest = after;
        } else {
            all.push((name, None));
            rest = after;
        }
    }
}

/// Where the parenthesis ends whose inside this is.
fn closing(inside: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in inside.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// One field and the text of its value.
struct Field<'a> {
    name: &'a str,
    value: &'a str,
    /// It may have a value already.
    overwrites: bool,
}

impl Field<'_> {
    fn bad(&self, why: impl Into<String>) -> FlowError {
        FlowError::Value {
            field: self.name.to_owned(),
            value: self.value.to_owned(),
            why: why.into(),
        }
    }

    fn twice<T: PartialEq>(&self, now: &T, zero: &T) -> Result<(), FlowError> {
        if self.overwrites || now == zero {
            Ok(())
        } else {
            Err(FlowError::Twice(self.name.to_owned()))
        }
    }

    fn unmet(&self) -> FlowError {
        FlowError::Prerequisites(self.name.to_owned())
    }

    /// A number of `bytes` bytes.
    fn number(&self, bytes: u32) -> Result<u64, FlowError> {
        self.check_exact()?;
        let number = match self.value.strip_prefix("0x").or_else(|| self.value.strip_prefix("0X")) {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => self.value.parse(),
        };
        let number = number.map_err(|_| self.bad(format!("invalid integer {}", self.value)))?;
        if number >> (8 * bytes) != 0 {
            let name = self.name;
            return Err(self.bad(format!("value too large for {bytes}-byte field {name}")));
        }
        Ok(number)
    }

    fn byte(&self) -> Result<u8, FlowError> {
        Ok(u8::try_from(self.number(1)?).unwrap_or(0))
    }

    fn word(&self) -> Result<u16, FlowError> {
        Ok(u16::try_from(self.number(2)?).unwrap_or(0))
    }

    /// A number of up to `bits` bits.
    fn bits(&self, bits: u32) -> Result<u16, FlowError> {
        let number = self.word()?;
        let is_small = number >> bits == 0;
        is_small.then_some(number).ok_or_else(|| self.bad(format!("not a {bits}-bit number")))
    }

    fn mac(&self) -> Result<MacAddr, FlowError> {
        self.check_exact()?;
        self.value.parse().map_err(|_| self.bad("invalid Ethernet address"))
    }

    fn v4(&self) -> Result<Ipv4Addr, FlowError> {
        self.check_exact()?;
        self.value.parse().map_err(|_| self.bad("invalid IP address"))
    }

    fn v6(&self) -> Result<Ipv6Addr, FlowError> {
        self.check_exact()?;
        self.value.parse().map_err(|_| self.bad("invalid IPv6 address"))
    }

    fn check_exact(&self) -> Result<(), FlowError> {
        if self.value.contains('/') { Err(self.bad("wildcards not allowed here")) } else { Ok(()) }
    }
}

impl Flow {
    fn set_type(&mut self, ethertype: u16) {
        if ethertype == 0 {
            return;
        }
        self.ethertype = ethertype;
        self.net = match (ethertype, &self.net) {
            (0x0806 | RARP, _) => Net::Arp(Arp::default()),
            (0x0800, _) => Net::Ip(Ip::new(false)),
            (0x86dd, _) => Net::Ip(Ip::new(true)),
            _ => Net::None,
        };
    }

    fn tci(&self) -> u16 {
        self.tags.first().map_or(0, |(_, tci)| *tci)
    }

    fn set_tci(&mut self, tci: u16) {
        match self.tags.first_mut() {
            Some((_, old)) => *old = tci,
            None => self.tags.push((0x8100, tci)),
        }
    }
}

fn set(
    flow: &mut Flow,
    name: &str,
    value: &str,
    port: &impl Fn(&str) -> Option<u16>,
) -> Result<(), FlowError> {
    set_field(flow, &Field { name, value, overwrites: false }, port)
}

fn set_field(
    flow: &mut Flow,
    field: &Field<'_>,
    port: &impl Fn(&str) -> Option<u16>,
) -> Result<(), FlowError> {
    let Field { name, value, .. } = *field;
    let nobody = MacAddr([0; 6]);
    match name {
        "in_port" => {
            field.twice(&flow.in_port, &None)?;
            let number = port(value).or_else(|| field.word().ok());
            let unknown = || field.bad("invalid or unknown port for in_port");
            flow.in_port = Some(number.ok_or_else(unknown)?);
        }
        "dl_src" | "eth_src" => {
            field.twice(&flow.source, &nobody)?;
            flow.source = field.mac()?;
        }
        "dl_dst" | "eth_dst" => {
            field.twice(&flow.target, &nobody)?;
            flow.target = field.mac()?;
        }
        "dl_type" | "eth_type" => {
            field.twice(&flow.ethertype, &0)?;
            flow.set_type(field.word()?);
        }
        "dl_vlan" | "vlan_vid" => {
            field.twice(&(flow.tci() & 0xfff), &0)?;
            flow.set_tci(flow.tci() & 0xf000 | field.bits(12)?);
        }
        "dl_vlan_pcp" | "vlan_pcp" => {
            field.twice(&(flow.tci() >> 13), &0)?;
            flow.set_tci(flow.tci() & 0x1fff | field.bits(3)? << 13);
        }
        "vlan_tci" => {
            field.twice(&flow.tci(), &0)?;
            // Bit 12 says that there is a tag, as it does in flows of Open vSwitch.
            let tci = field.word()?;
            if tci & 0x1000 != 0 {
                flow.set_tci(tci & 0xefff);
            }
        }
        _ => return set_net(flow, field),
    }
    Ok(())
}

fn set_net(flow: &mut Flow, field: &Field<'_>) -> Result<(), FlowError> {
    match (field.name, &mut flow.net) {
        ("nw_src" | "nw_dst" | "ip_src" | "ip_dst", Net::Arp(arp)) => {
            let is_source = field.name.ends_with("src");
            *(if is_source { &mut arp.spa } else { &mut arp.tpa }) = field.v4()?;
            Ok(())
        }
        (name, Net::Ip(ip)) if is_ip_field(name) => set_ip(ip, field),
        (name, Net::Ip(ip)) if is_transport_field(name) => set_transport(ip, field),
        ("arp_spa", Net::Arp(arp)) => {
            arp.spa = field.v4()?;
            Ok(())
        }
        ("arp_tpa", Net::Arp(arp)) => {
            arp.tpa = field.v4()?;
            Ok(())
        }
        ("arp_op", Net::Arp(arp)) => {
            arp.op = field.word()?;
            Ok(())
        }
        ("arp_sha", Net::Arp(arp)) => {
            arp.sha = field.mac()?;
            Ok(())
        }
        ("arp_tha", Net::Arp(arp)) => {
            arp.tha = field.mac()?;
            Ok(())
        }
        (name, _) if is_ip_field(name) || is_transport_field(name) || is_arp_field(name) => {
            Err(field.unmet())
        }
        (name, _) if TABLE_FIELDS.iter().any(|start| name.starts_with(start)) => {
            Err(FlowError::Unsupported(name.to_owned()))
        }
        (name, _) => Err(FlowError::Unknown(name.to_owned())),
    }
}

fn is_arp_field(name: &str) -> bool {
    ["arp_spa", "arp_tpa", "arp_op", "arp_sha", "arp_tha"].contains(&name)
}

fn is_ip_field(name: &str) -> bool {
    [
        "nw_src",
        "ip_src",
        "nw_dst",
        "ip_dst",
        "ipv6_src",
        "ipv6_dst",
        "ipv6_label",
        "nw_proto",
        "ip_proto",
        "nw_tos",
        "ip_dscp",
        "nw_ecn",
        "ip_ecn",
        "nw_ttl",
        "nw_frag",
        "ip_frag",
    ]
    .contains(&name)
}

fn is_transport_field(name: &str) -> bool {
    [
        "tp_src",
        "tp_dst",
        "tcp_src",
        "tcp_dst",
        "udp_src",
        "udp_dst",
        "sctp_src",
        "sctp_dst",
        "tcp_flags",
        "icmp_type",
        "icmp_code",
        "icmpv6_type",
        "icmpv6_code",
    ]
    .contains(&name)
}

fn set_ip(ip: &mut Ip, field: &Field<'_>) -> Result<(), FlowError> {
    let is_v6 = ip.source.is_ipv6();
    match (field.name, is_v6) {
        ("nw_src" | "ip_src", false) => ip.source = field.v4()?.into(),
        ("nw_dst" | "ip_dst", false) => ip.target = field.v4()?.into(),
        ("ipv6_src", true) => ip.source = field.v6()?.into(),
        ("ipv6_dst", true) => ip.target = field.v6()?.into(),
        ("ipv6_label", true) => match field.number(4)? {
            label if label >> 20 == 0 => ip.label = u32::try_from(label).unwrap_or(0),
            _ => return Err(field.bad("not a 20-bit number")),
        },
        ("nw_proto" | "ip_proto", _) => {
            field.twice(&ip.protocol, &0)?;
            ip.protocol = field.byte()?;
        }
        ("nw_tos", _) => ip.tos = ip.tos & 3 | field.byte()? & 0xfc,
        ("ip_dscp", _) => {
            ip.tos = ip.tos & 3 | u8::try_from(field.bits(6)?).unwrap_or(0) << 2;
        }
        ("nw_ecn" | "ip_ecn", _) => {
            ip.tos = ip.tos & 0xfc | u8::try_from(field.bits(2)?).unwrap_or(0);
        }
        ("nw_ttl", _) => ip.ttl = field.byte()?,
        ("nw_frag" | "ip_frag", _) => {
            ip.fragment = match field.value {
                "no" => Fragment::No,
                "first" | "yes" => Fragment::First,
                "later" => Fragment::Later,
                _ => return Err(field.bad("unknown fragment type")),
            };
        }
        _ => return Err(field.unmet()),
    }
    Ok(())
}

fn set_transport(ip: &mut Ip, field: &Field<'_>) -> Result<(), FlowError> {
    let has = |wanted: &[Transport]| {
        ip.transport().filter(|transport| wanted.contains(transport)).map(|_| ())
    };
    let (tcp, udp, sctp) = (Transport::Tcp, Transport::Udp, Transport::Sctp);
    let is_v6 = ip.source.is_ipv6();
    let fits = match field.name {
        "tp_src" | "tp_dst" => has(&[tcp, udp, sctp]),
        "tcp_src" | "tcp_dst" | "tcp_flags" => has(&[tcp]),
        "udp_src" | "udp_dst" => has(&[udp]),
        "sctp_src" | "sctp_dst" => has(&[sctp]),
        "icmpv6_type" | "icmpv6_code" => has(&[Transport::Icmp]).filter(|()| is_v6),
        _ => has(&[Transport::Icmp]),
    };
    fits.ok_or_else(|| field.unmet())?;
    match field.name {
        "tcp_flags" => ip.flags = field.word()? & 0x0fff,
        "icmp_type" | "icmpv6_type" => ip.from = field.byte()?.into(),
        "icmp_code" | "icmpv6_code" => ip.to = field.byte()?.into(),
        name if name.ends_with("src") => ip.from = field.word()?,
        _ => ip.to = field.word()?,
    }
    Ok(())
}

/// Reads a flow as `dpctl/dump-flows` prints it, `in_port(2),eth(src=..,dst=..),...`: the number or
/// name of the datapath port, and the rest.
///
/// # Errors
/// [`FlowError`], naming the part.
pub fn parse_odp(text: &str) -> Result<(String, Flow), FlowError> {
    let mut flow = Flow::default();
    let port = read_odp(&mut flow, text)?;
    Ok((port.unwrap_or_default(), flow))
}

fn read_odp(flow: &mut Flow, text: &str) -> Result<Option<String>, FlowError> {
    let mut port = None;
    for (name, value) in pairs(text)? {
        let value = value.unwrap_or_default();
        match name {
            "in_port" => port = Some(value.to_owned()),
            "recirc_id" if value != "0" && value != "0x0" => {
                return Err(FlowError::Unsupported(format!("recirc_id({value})")));
            }
            "recirc_id" | "packet_type" | "skb_priority" | "skb_mark" | "ct_state" | "ct_zone"
            | "ct_mark" | "ct_label" | "dp_hash" => {}
            "eth_type" => match (Field { name, value, overwrites: false }).word()? {
                // The type behind the tag comes with `encap`.
                0x8100 | 0x88a8 => {}
                ethertype => flow.set_type(ethertype),
            },
            "vlan" => {
                for (name, value) in pairs(value)? {
                    let name = match name {
                        "vid" => "dl_vlan",
                        "pcp" => "dl_vlan_pcp",
                        _ => continue,
                    };
                    set(flow, name, value.unwrap_or_default(), &|_| None)?;
                }
            }
            "encap" => {
                read_odp(flow, value)?;
            }
            _ => {
                for (part, value) in pairs(value)? {
                    let value = value.unwrap_or_default();
                    // What is written with a mask of nothing is shown, not matched.
                    let value = value.split('/').next().unwrap_or_default();
                    let field = odp_field(name, part)
                        .ok_or_else(|| FlowError::Unknown(format!("{name}({part})")))?;
                    set(flow, field, value, &|_| None)?;
                }
            }
        }
    }
    Ok(port)
}

/// What a part of a datapath flow is called in `OpenFlow`.
fn odp_field(name: &str, part: &str) -> Option<&'static str> {
    Some(match (name, part) {
        ("eth", "src") => "dl_src",
        ("eth", "dst") => "dl_dst",
        ("ipv4", "src") => "nw_src",
        ("ipv4", "dst") => "nw_dst",
        ("ipv6", "src") => "ipv6_src",
        ("ipv6", "dst") => "ipv6_dst",
        ("ipv6", "label") => "ipv6_label",
        ("ipv4" | "ipv6", "proto") => "nw_proto",
        ("ipv4", "tos") | ("ipv6", "tclass") => "nw_tos",
        ("ipv4", "ttl") | ("ipv6", "hlimit") => "nw_ttl",
        ("ipv4" | "ipv6", "frag") => "nw_frag",
        ("tcp" | "udp" | "sctp", "src") => "tp_src",
        ("tcp" | "udp" | "sctp", "dst") => "tp_dst",
        ("icmp" | "icmpv6", "type") => "icmp_type",
        ("icmp" | "icmpv6", "code") => "icmp_code",
        ("arp", "sip") => "arp_spa",
        ("arp", "tip") => "arp_tpa",
        ("arp", "op") => "arp_op",
        ("arp", "sha") => "arp_sha",
        ("arp", "tha") => "arp_tha",
        _ => return None,
    })
}
