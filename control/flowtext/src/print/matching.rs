//! A match, in the order in which flows are listed.

use super::{port_text, value};
use crate::{Names, flags};
use std::fmt::Write;
use weft_flow::field::ones;
use weft_flow::{Bits, Match, PortNo, Slot};

const IPV4: u128 = 0x0800;
const ARP: u128 = 0x0806;
const RARP: u128 = 0x8035;
const IPV6: u128 = 0x86dd;
const MPLS: u128 = 0x8847;
const MPLS_MULTICAST: u128 = 0x8848;

/// What is written so far, and what it is of.
struct Printer<'a> {
    out: String,
    of: &'a Match,
    names: &'a dyn Names,
    /// The Ethernet type and IP protocol that all packets have, if so.
    ethertype: Option<u128>,
    protocol: Option<u128>,
}

/// The text of a match.
pub(super) fn text(of: &Match, names: &dyn Names) -> String {
    let exact = |slot: Slot| {
        let bits = of.slot(slot);
        (bits.mask == slot.ones()).then_some(bits.value)
    };
    let ethertype = exact(Slot::EthType);
    let protocol = exact(Slot::NwProto);
    let mut printer = Printer { out: String::new(), of, names, ethertype, protocol };
    printer.marks();
    printer.connection();
    let shorthand = printer.shorthand();
    printer.registers();
    printer.tunnel();
    printer.hexadecimal("metadata", Slot::Metadata);
    printer.port("in_port", Slot::InPort);
    printer.tag();
    printer.ethernet(shorthand);
    printer.network(shorthand);
    printer.transport();
    printer.out.pop();
    printer.out
}

/// What the name in front says already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shorthand {
    Nothing,
    Type,
    TypeAndProtocol,
}

impl Printer<'_> {
    fn put(&mut self, name: &str, text: impl std::fmt::Display) {
        // Writing to a string does not fail.
        let _ = write!(self.out, "{name}={text},");
    }

    /// The bits of a slot, if some count.
    fn bits(&self, slot: Slot) -> Option<Bits> {
        let bits = self.of.slot(slot);
        (bits.mask != 0).then_some(bits)
    }

    fn hexadecimal(&mut self, name: &str, slot: Slot) {
        if let Some(bits) = self.bits(slot) {
            self.put(name, value::hex_masked(bits, slot.bits()));
        }
    }

    fn decimal(&mut self, name: &str, slot: Slot) {
        if let Some(bits) = self.bits(slot) {
            self.put(name, value::decimal_masked(bits, slot.bits()));
        }
    }

    /// The low byte of what has the ports of others.
    fn byte(&mut self, name: &str, slot: Slot) {
        if let Some(Bits { value, mask }) = self.bits(slot) {
            self.put(name, value::decimal_masked(Bits { value, mask: mask & 0xff }, 8));
        }
    }

    fn ipv4(&mut self, name: &str, slot: Slot) {
        if let Some(bits) = self.bits(slot) {
            self.put(name, value::ipv4_masked(bits));
        }
    }

    fn ipv6(&mut self, name: &str, slot: Slot) {
        if let Some(bits) = self.bits(slot) {
            self.put(name, value::ipv6_masked(bits));
        }
    }

    fn mac(&mut self, name: &str, slot: Slot) {
        if let Some(bits) = self.bits(slot) {
            self.put(name, value::mac_masked(bits));
        }
    }

    fn port(&mut self, name: &str, slot: Slot) {
        if let Some(bits) = self.bits(slot) {
            let number = PortNo(u32::try_from(bits.value).unwrap_or(u32::MAX));
            let text = port_text(number, self.names);
            self.put(name, text);
        }
    }

    fn marks(&mut self) {
        self.hexadecimal("pkt_mark", Slot::PktMark);
        self.hexadecimal("recirc_id", Slot::RecircId);
        self.hexadecimal("dp_hash", Slot::DpHash);
        self.decimal("conj_id", Slot::ConjId);
        self.port("actset_output", Slot::ActsetOutput);
    }

    fn connection(&mut self) {
        if let Some(bits) = self.bits(Slot::CtState) {
            self.put("ct_state", flags::ct_state(bits.value, bits.mask));
        }
        self.decimal("ct_zone", Slot::CtZone);
        self.hexadecimal("ct_mark", Slot::CtMark);
        self.hexadecimal("ct_label", Slot::CtLabel);
        self.ipv4("ct_nw_src", Slot::CtNwSrc);
        self.ipv6("ct_ipv6_src", Slot::CtIpv6Src);
        self.ipv4("ct_nw_dst", Slot::CtNwDst);
        self.ipv6("ct_ipv6_dst", Slot::CtIpv6Dst);
        self.decimal("ct_nw_proto", Slot::CtNwProto);
        self.decimal("ct_tp_src", Slot::CtTpSrc);
        self.decimal("ct_tp_dst", Slot::CtTpDst);
    }

    /// `tcp`, `arp` and their like instead of numbers.
    fn shorthand(&mut self) -> Shorthand {
        if let Some(bits) = self.bits(Slot::PacketType) {
            let (namespace, kind) = (bits.value >> 16, bits.value & ones(16));
            if bits.value != 0 {
                self.put("packet_type", format_args!("({namespace},{})", value::hex(kind)));
                return Shorthand::Nothing;
            }
            self.out.push_str("eth,");
        }
        let (name, says) = match (self.ethertype, self.protocol) {
            (Some(IPV4), Some(1)) => ("icmp", Shorthand::TypeAndProtocol),
            (Some(IPV4), Some(2)) => ("igmp", Shorthand::TypeAndProtocol),
            (Some(IPV4), Some(6)) => ("tcp", Shorthand::TypeAndProtocol),
            (Some(IPV4), Some(17)) => ("udp", Shorthand::TypeAndProtocol),
            (Some(IPV4), Some(132)) => ("sctp", Shorthand::TypeAndProtocol),
            (Some(IPV4), _) => ("ip", Shorthand::Type),
            (Some(IPV6), Some(58)) => ("icmp6", Shorthand::TypeAndProtocol),
            (Some(IPV6), Some(6)) => ("tcp6", Shorthand::TypeAndProtocol),
            (Some(IPV6), Some(17)) => ("udp6", Shorthand::TypeAndProtocol),
            (Some(IPV6), Some(132)) => ("sctp6", Shorthand::TypeAndProtocol),
            (Some(IPV6), _) => ("ipv6", Shorthand::Type),
            (Some(ARP), _) => ("arp", Shorthand::Type),
            (Some(RARP), _) => ("rarp", Shorthand::Type),
            (Some(MPLS), _) => ("mpls", Shorthand::Type),
            (Some(MPLS_MULTICAST), _) => ("mplsm", Shorthand::Type),
            _ => return Shorthand::Nothing,
        };
        self.out.push_str(name);
        self.out.push(',');
        says
    }

    fn registers(&mut self) {
        for number in 0..16 {
            self.hexadecimal(&format!("reg{number}"), Slot::Reg(number));
        }
    }

    fn tunnel(&mut self) {
        self.hexadecimal("tun_id", Slot::TunId);
        self.ipv4("tun_src", Slot::TunSrc);
        self.ipv4("tun_dst", Slot::TunDst);
        self.ipv6("tun_ipv6_src", Slot::TunIpv6Src);
        self.ipv6("tun_ipv6_dst", Slot::TunIpv6Dst);
        self.decimal("tun_gbp_id", Slot::TunGbpId);
        if let Some(bits) = self.bits(Slot::TunGbpFlags) {
            self.put("tun_gbp_flags", value::hex(bits.value));
        }
        if let Some(bits) = self.bits(Slot::TunTos) {
            self.put("tun_tos", format_args!("{:x}", bits.value));
        }
        self.decimal("tun_ttl", Slot::TunTtl);
        self.decimal("tun_erspan_ver", Slot::TunErspanVer);
        self.hexadecimal("tun_erspan_idx", Slot::TunErspanIdx);
        self.decimal("tun_erspan_dir", Slot::TunErspanDir);
        self.hexadecimal("tun_erspan_hwid", Slot::TunErspanHwid);
        self.hexadecimal("tun_gtpu_flags", Slot::TunGtpuFlags);
        self.decimal("tun_gtpu_msgtype", Slot::TunGtpuMsgtype);
        if let Some(bits) = self.bits(Slot::TunFlags) {
            self.put("tun_flags", flags::signed(bits.value, bits.mask, flags::TUNNEL));
        }
        self.options();
    }

    /// Options of tunnels: all words of one as one number.
    fn options(&mut self) {
        for number in 0..64 {
            let words = (0..8).rev().map(|word| self.of.slot(Slot::TunMetadata(number, word)));
            let words: Vec<Bits> = words.skip_while(|bits| bits.mask == 0).collect();
            let Some(first) = words.first() else { continue };
            let number_of = |of: fn(&Bits) -> u128| {
                let mut text = String::new();
                for (place, word) in words.iter().map(of).enumerate() {
                    let _ = match place {
                        0 => write!(text, "{word:x}"),
                        _ => write!(text, "{word:032x}"),
                    };
                }
                let text = text.trim_start_matches('0');
                if text.is_empty() { "0".to_owned() } else { format!("0x{text}") }
            };
            let value = number_of(|bits| bits.value);
            let is_exact = first.mask.leading_zeros() + first.mask.count_ones() == 128
                && words.iter().skip(1).all(|bits| bits.mask == u128::MAX);
            let name = format!("tun_metadata{number}");
            if is_exact {
                self.put(&name, value);
            } else {
                let mask = number_of(|bits| bits.mask);
                self.put(&name, format_args!("{value}/{mask}"));
            }
        }
    }

    fn tag(&mut self) {
        let Some(Bits { value, mask }) = self.bits(Slot::VlanTci) else { return };
        let (vid, pcp) = (mask & 0x0fff, mask & 0xe000);
        let is_whole = |part: u128, all: u128| part == 0 || part == all;
        if value & 0x1000 != 0 && is_whole(vid, 0x0fff) && is_whole(pcp, 0xe000) && vid | pcp != 0 {
            if vid != 0 {
                self.put("dl_vlan", value & 0x0fff);
            }
            if pcp != 0 {
                self.put("dl_vlan_pcp", value >> 13);
            }
        } else if mask == 0xffff {
            self.put("vlan_tci", format_args!("{value:#06x}"));
        } else {
            self.put("vlan_tci", format_args!("{value:#06x}/{mask:#06x}"));
        }
    }

    fn ethernet(&mut self, shorthand: Shorthand) {
        self.mac("dl_src", Slot::EthSrc);
        self.mac("dl_dst", Slot::EthDst);
        if shorthand == Shorthand::Nothing
            && let Some(bits) = self.bits(Slot::EthType)
        {
            self.put("dl_type", format_args!("{:#06x}", bits.value));
        }
    }

    fn network(&mut self, shorthand: Shorthand) {
        let is_arp = matches!(self.ethertype, Some(ARP | RARP));
        if self.ethertype == Some(IPV6) {
            self.ipv6("ipv6_src", Slot::Ipv6Src);
            self.ipv6("ipv6_dst", Slot::Ipv6Dst);
            if let Some(Bits { value, mask }) = self.bits(Slot::Ipv6Label) {
                if mask == ones(20) {
                    self.put("ipv6_label", format_args!("{value:#07x}"));
                } else {
                    self.put("ipv6_label", format_args!("{value:#07x}/{mask:#07x}"));
                }
            }
        } else if is_arp {
            self.ipv4("arp_spa", Slot::NwSrc);
            self.ipv4("arp_tpa", Slot::NwDst);
        } else {
            self.ipv4("nw_src", Slot::NwSrc);
            self.ipv4("nw_dst", Slot::NwDst);
        }
        if shorthand != Shorthand::TypeAndProtocol {
            self.decimal(if is_arp { "arp_op" } else { "nw_proto" }, Slot::NwProto);
        }
        if is_arp {
            self.mac("arp_sha", Slot::ArpSha);
            self.mac("arp_tha", Slot::ArpTha);
        }
        if let Some(Bits { value, mask }) = self.bits(Slot::NwTos) {
            if mask & 0xfc != 0 {
                self.put("nw_tos", value & 0xfc);
            }
            if mask & 3 != 0 {
                self.put("nw_ecn", value & 3);
            }
        }
        self.decimal("nw_ttl", Slot::NwTtl);
        if let Some(Bits { value, mask }) = self.bits(Slot::MplsLse) {
            for (name, shift, width) in
                [("mpls_label", 12, 20), ("mpls_tc", 9, 3), ("mpls_ttl", 0, 8), ("mpls_bos", 8, 1)]
            {
                if mask >> shift & ones(width) != 0 {
                    self.put(name, value >> shift & ones(width));
                }
            }
        }
        if let Some(bits) = self.bits(Slot::NwFrag) {
            self.put("nw_frag", value::fragment(bits));
        }
    }

    fn transport(&mut self) {
        match (self.ethertype, self.protocol) {
            (Some(IPV4), Some(1)) => {
                self.byte("icmp_type", Slot::TpSrc);
                self.byte("icmp_code", Slot::TpDst);
            }
            (Some(IPV4), Some(2)) => {
                self.byte("igmp_type", Slot::TpSrc);
                self.byte("igmp_code", Slot::TpDst);
            }
            (Some(IPV6), Some(58)) => {
                self.byte("icmp_type", Slot::TpSrc);
                self.byte("icmp_code", Slot::TpDst);
                self.ipv6("nd_target", Slot::NdTarget);
                self.mac("nd_sll", Slot::ArpSha);
                self.mac("nd_tll", Slot::ArpTha);
                self.hexadecimal("nd_reserved", Slot::NdReserved);
                self.decimal("nd_options_type", Slot::NdOptionsType);
            }
            _ => {
                self.decimal("tp_src", Slot::TpSrc);
                self.decimal("tp_dst", Slot::TpDst);
            }
        }
        if matches!(self.ethertype, Some(IPV4 | IPV6))
            && self.protocol == Some(6)
            && let Some(bits) = self.bits(Slot::TcpFlags)
        {
            self.put("tcp_flags", flags::tcp(bits.value, bits.mask));
        }
    }
}
