//! Matches: words with commas between them.

use super::words::words;
use super::{ReadError, value};
use crate::Names;
use weft_flow::{Bits, Field, Match, Slot};

/// A protocol's word: its name, Ethernet type and IP protocol.
type Protocol = (&'static str, u16, Option<u8>);

/// Words that stand for an Ethernet type, and an IP protocol.
const PROTOCOLS: &[Protocol] = &[
    ("ip", 0x0800, None),
    ("ipv4", 0x0800, None),
    ("ip4", 0x0800, None),
    ("arp", 0x0806, None),
    ("rarp", 0x8035, None),
    ("icmp", 0x0800, Some(1)),
    ("igmp", 0x0800, Some(2)),
    ("tcp", 0x0800, Some(6)),
    ("udp", 0x0800, Some(17)),
    ("sctp", 0x0800, Some(132)),
    ("ipv6", 0x86dd, None),
    ("ip6", 0x86dd, None),
    ("icmp6", 0x86dd, Some(58)),
    ("tcp6", 0x86dd, Some(6)),
    ("udp6", 0x86dd, Some(17)),
    ("sctp6", 0x86dd, Some(132)),
    ("mpls", 0x8847, None),
    ("mplsm", 0x8848, None),
];

/// Reads all words of a match.
pub(super) fn read(text: &str, names: &dyn Names) -> Result<Match, ReadError> {
    let mut of = Match::any();
    // Words may come in any order: those that fields need first.
    let mut fields = Vec::new();
    for word in words(text) {
        match word.split_once('=') {
            Some((name, value)) => fields.push((name, value)),
            None => protocol(&mut of, word)?,
        }
    }
    let (first, rest): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| rank(name) == 0);
    for (name, value) in first {
        set(&mut of, name, value, names)?;
    }
    let mut rest = rest;
    rest.sort_by_key(|(name, _)| rank(name));
    for (name, value) in rest {
        set(&mut of, name, value, names)?;
    }
    Ok(of)
}

/// What must be read earlier has a smaller rank.
fn rank(name: &str) -> u8 {
    match name {
        "eth_type" | "dl_type" | "ct_state" => 0,
        "nw_proto" | "ip_proto" | "ct_nw_proto" => 1,
        "icmp_type" | "icmpv6_type" => 2,
        "icmp_code" | "icmpv6_code" => 3,
        _ => 4,
    }
}

fn protocol(of: &mut Match, word: &str) -> Result<(), ReadError> {
    if word == "eth" {
        of.set_slot(Slot::PacketType, Bits::new(0, Slot::PacketType.ones()));
        return Ok(());
    }
    if let Some((_, ethertype, protocol)) = PROTOCOLS.iter().find(|(name, ..)| *name == word) {
        of.set_slot(Slot::EthType, Bits::new((*ethertype).into(), Slot::EthType.ones()));
        if let Some(protocol) = protocol {
            of.set_slot(Slot::NwProto, Bits::new((*protocol).into(), Slot::NwProto.ones()));
        }
        return Ok(());
    }
    // A field alone: any value of it.
    let field = Field::by_name(word).ok_or_else(|| ReadError::UnknownKeyword(word.to_owned()))?;
    if field.is_maskable() { Ok(()) } else { Err(ReadError::UnknownKeyword(word.to_owned())) }
}

/// The field with a name, as this match's layers have it: `tp_src` is TCP's in a match of TCP.
fn field(of: &Match, name: &str) -> Option<Field> {
    let protocol = of.slot(Slot::NwProto).value;
    let is_ipv6 = of.slot(Slot::EthType).value == 0x86dd;
    let name = match (name, protocol) {
        ("tp_src", 6) => "tcp_src",
        ("tp_dst", 6) => "tcp_dst",
        ("tp_src", 17) => "udp_src",
        ("tp_dst", 17) => "udp_dst",
        ("tp_src", 132) => "sctp_src",
        ("tp_dst", 132) => "sctp_dst",
        ("icmp_type", _) if is_ipv6 => "icmpv6_type",
        ("icmp_code", _) if is_ipv6 => "icmpv6_code",
        _ => name,
    };
    Field::by_name(name)
}

fn set(of: &mut Match, name: &str, text: &str, names: &dyn Names) -> Result<(), ReadError> {
    let unknown = || ReadError::UnknownKeyword(name.to_owned());
    let field = field(of, name).ok_or_else(unknown)?;
    if let Some(number) = field.tun_metadata_number() {
        return option(of, field, number, text);
    }
    let bits = value::read(field, text, names)?;
    if !of.has(field.prerequisite()) {
        return Err(ReadError::MissingPrerequisite(field));
    }
    if bits.mask != 0 {
        of.set(field, bits.value, bits.mask);
    }
    Ok(())
}

/// An option of tunnels: hexadecimal digits, as many as it takes.
fn option(of: &mut Match, field: Field, number: u8, text: &str) -> Result<(), ReadError> {
    let (value, mask) = value::option(field, text)?;
    let mask = mask.unwrap_or([u128::MAX; 8]);
    for (word, (value, mask)) in (0u8..).zip(value.into_iter().zip(mask)) {
        let all = if word == 7 { u128::MAX >> 32 } else { u128::MAX };
        of.set_slot(Slot::TunMetadata(number, word), Bits::new(value, mask & all));
    }
    Ok(())
}
