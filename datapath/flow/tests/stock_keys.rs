//! Compares the keys of frames with what Open vSwitch reads in them (`ovs-ofctl parse-pcap`).
#![expect(clippy::unwrap_used, reason = "a test")]

mod frames;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::process::Command;
use weft_flow::{Key, PortNo, Slot};

const FRAMES: usize = 3000;

/// What fields of texts are, apart from tags and flags.
const NAMES: [(&str, Slot); 24] = [
    ("dl_src", Slot::EthSrc),
    ("dl_dst", Slot::EthDst),
    ("dl_type", Slot::EthType),
    ("nw_src", Slot::NwSrc),
    ("nw_dst", Slot::NwDst),
    ("arp_spa", Slot::NwSrc),
    ("arp_tpa", Slot::NwDst),
    ("arp_op", Slot::NwProto),
    ("arp_sha", Slot::ArpSha),
    ("arp_tha", Slot::ArpTha),
    ("nd_sll", Slot::ArpSha),
    ("nd_tll", Slot::ArpTha),
    ("nd_target", Slot::NdTarget),
    ("ipv6_src", Slot::Ipv6Src),
    ("ipv6_dst", Slot::Ipv6Dst),
    ("ipv6_label", Slot::Ipv6Label),
    ("nw_proto", Slot::NwProto),
    ("nw_ttl", Slot::NwTtl),
    ("tp_src", Slot::TpSrc),
    ("tp_dst", Slot::TpDst),
    ("icmp_type", Slot::TpSrc),
    ("icmp_code", Slot::TpDst),
    ("tcp_flags", Slot::TcpFlags),
    ("nw_frag", Slot::NwFrag),
];

/// Words that stand for an `EtherType` and a protocol.
const WORDS: [(&str, u128, Option<u128>); 14] = [
    ("ip", 0x0800, None),
    ("tcp", 0x0800, Some(6)),
    ("udp", 0x0800, Some(17)),
    ("sctp", 0x0800, Some(132)),
    ("icmp", 0x0800, Some(1)),
    ("ipv6", 0x86dd, None),
    ("tcp6", 0x86dd, Some(6)),
    ("udp6", 0x86dd, Some(17)),
    ("sctp6", 0x86dd, Some(132)),
    ("icmp6", 0x86dd, Some(58)),
    ("arp", 0x0806, None),
    ("rarp", 0x8035, None),
    ("mpls", 0x8847, None),
    ("mplsm", 0x8848, None),
];

const FLAGS: [&str; 12] =
    ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"];

fn number(text: &str) -> u128 {
    if let Some(hex) = text.strip_prefix("0x") {
        return u128::from_str_radix(hex, 16).unwrap();
    }
    if let Ok(address) = text.parse::<std::net::Ipv4Addr>() {
        return u32::from(address).into();
    }
    if text.split(':').count() == 6 && text.len() == 17 {
        return u128::from_str_radix(&text.replace(':', ""), 16).unwrap();
    }
    if let Ok(address) = text.parse::<std::net::Ipv6Addr>() {
        return address.into();
    }
    match text {
        "no" => 0,
        "first" => 1,
        "later" => 3,
        _ => text.parse().unwrap(),
    }
}

fn add(key: &mut Key, slot: Slot, bits: u128) {
    key.set(slot, key.get(slot) | bits);
}

/// The key that a text of Open vSwitch describes.
fn key_of(text: &str) -> Key {
    let mut key = Key::default();
    for item in text.split(',') {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        if let Some((_, ethertype, protocol)) = WORDS.iter().find(|word| word.0 == item) {
            key.set(Slot::EthType, *ethertype);
            key.set(Slot::NwProto, protocol.unwrap_or_default());
        } else if let Some((_, slot)) = NAMES.iter().find(|row| row.0 == name) {
            if *slot == Slot::TcpFlags && value.parse::<u16>().is_err() {
                for flag in value.split('|') {
                    add(&mut key, *slot, 1 << FLAGS.iter().position(|at| *at == flag).unwrap());
                }
            } else {
                key.set(*slot, number(value));
            }
        } else {
            let tag = 0x1000;
            let (slot, bits) = match name {
                "in_port" | "mpls_lse1" | "mpls_lse2" => continue,
                "vlan_tci" => (Slot::VlanTci, number(value)),
                "dl_vlan" => (Slot::VlanTci, tag | number(value)),
                "dl_vlan_pcp" => (Slot::VlanTci, tag | number(value) << 13),
                "vlan_tci1" => (Slot::InnerTci, number(value)),
                "dl_vlan1" => (Slot::InnerTci, tag | number(value)),
                "dl_vlan_pcp1" => (Slot::InnerTci, tag | number(value) << 13),
                "nw_tos" | "nw_ecn" => (Slot::NwTos, number(value)),
                "mpls_label" => (Slot::MplsLse, number(value) << 12),
                "mpls_tc" => (Slot::MplsLse, number(value) << 9),
                "mpls_bos" => (Slot::MplsLse, number(value) << 8),
                "mpls_ttl" | "mpls_lse0" => (Slot::MplsLse, number(value)),
                other => unreachable!("{other} in {text}"),
            };
            add(&mut key, slot, bits);
        }
    }
    key
}

/// The frames in the form of libpcap's files.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let head: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1];
    let mut out: Vec<u8> = head.iter().flat_map(|word| word.to_le_bytes()).collect();
    for frame in frames {
        let len = u32::try_from(frame.len()).unwrap();
        out.extend([0, 0, len, len].iter().flat_map(|word| word.to_le_bytes()));
        out.extend(frame);
    }
    out
}

/// What Open vSwitch reads; `None`, loudly, when it is not there and not demanded.
fn stock(frames: &[Vec<u8>]) -> Option<Vec<String>> {
    let path = std::env::temp_dir().join(format!("weft-keys-{}.pcap", std::process::id()));
    std::fs::write(&path, pcap(frames)).unwrap();
    let output = Command::new("ovs-ofctl").arg("parse-pcap").arg(&path).output();
    std::fs::remove_file(&path).unwrap();
    let Ok(output) = output else {
        assert!(std::env::var_os("WEFT_REQUIRE_STOCK").is_none(), "ovs-ofctl is not installed");
        eprintln!("SKIPPED, nothing was compared: no ovs-ofctl (Debian: openvswitch-common)");
        return None;
    };
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

#[test]
fn keys_are_what_open_vswitch_reads() {
    let mut runner = TestRunner::default();
    let mut draw = || frames::any_frame().new_tree(&mut runner).unwrap().current();
    let frames: Vec<Vec<u8>> = (0..FRAMES).map(|_| draw()).collect();
    let Some(lines) = stock(&frames) else { return };
    assert_eq!(lines.len(), frames.len());
    for (frame, line) in frames.iter().zip(lines) {
        let mut ours = Key::parse(frame, PortNo(0), 2);
        // No text names them; `ICMPv6` over IPv4 is read, and only its type and code are named.
        let is_ipv4 = ours.get(Slot::EthType) == 0x0800;
        let unnamed = [Slot::NdReserved, Slot::NdOptionsType].into_iter();
        let of_ipv6 = [Slot::NdTarget, Slot::ArpSha, Slot::ArpTha];
        for slot in unnamed.chain(of_ipv6.into_iter().filter(|_| is_ipv4)) {
            ours.set(slot, 0);
        }
        let stocks = key_of(&line);
        assert_eq!(ours, stocks, "{line}\n{frame:02x?}");
    }
}
