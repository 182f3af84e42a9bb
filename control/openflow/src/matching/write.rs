//! Fields of matches, written in the order in which Open vSwitch writes them.

use super::Cookie;
use super::names::{NAMES, Names};
use crate::bytes::Writer;
use crate::oxm;
use weft_flow::field::ones;
use weft_flow::{Bits, Field, Match, Slot, TlvMap, Version};

/// The bit of `vlan_tci` that says that there is a tag.
const VLAN_PRESENT: u128 = 0x1000;

/// Which fields a match is said with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Those of 1.0's extended match: ports of 16 bits, `vlan_tci`, `nw_tos`.
    Nxm,
    /// Those of OXM, as far as a version has them.
    Oxm(Version),
}

/// Writes the fields of a match, without length and padding.
pub fn encode_fields(matching: &Match, form: Form, tlvs: &TlvMap, out: &mut Vec<u8>) {
    let version = if let Form::Oxm(version) = form { version } else { Version::V10 };
    let mut writer =
        FieldWriter { matching, is_oxm: form != Form::Nxm, version, tlvs, out, names: &NAMES };
    writer.pipeline();
    writer.ethernet();
    writer.network();
    writer.tunnel();
    writer.registers();
    writer.connection();
}

/// Writes the cookie that flows must have.
pub(super) fn cookie(cookie: Cookie, out: &mut Vec<u8>) {
    if cookie.mask == 0 {
        return;
    }
    out.u16(1);
    if cookie.mask == u64::MAX {
        out.bytes(&[30 << 1, 8]);
        out.u64(cookie.value);
    } else {
        out.bytes(&[30 << 1 | 1, 16]);
        out.u64(cookie.value & cookie.mask);
        out.u64(cookie.mask);
    }
}

struct FieldWriter<'a> {
    matching: &'a Match,
    is_oxm: bool,
    version: Version,
    tlvs: &'a TlvMap,
    out: &'a mut Vec<u8>,
    names: &'static Names,
}

impl FieldWriter<'_> {
    fn put_bits(&mut self, field: Option<Field>, bits: Bits) {
        if let Some(field) = field.filter(|_| bits.mask != 0) {
            oxm::write(self.out, field, self.version, bits);
        }
    }

    fn put(&mut self, fields: &[Option<Field>]) {
        for field in fields.iter().flatten() {
            self.put_bits(Some(*field), self.matching.get(*field));
        }
    }

    /// Fields that are said without a mask, whatever bits of them are asked for.
    fn put_whole(&mut self, fields: &[Option<Field>]) {
        for field in fields.iter().flatten() {
            let bits = self.matching.get(*field);
            if bits.mask != 0 {
                let all = ones(field.bits());
                self.put_bits(Some(*field), Bits { value: bits.value, mask: all });
            }
        }
    }

    /// The value of a slot that all its bits are asked of.
    fn exact(&self, slot: Slot) -> Option<u128> {
        let bits = self.matching.slot(slot);
        (bits.mask == slot.ones()).then_some(bits.value)
    }

    fn pipeline(&mut self) {
        let n = self.names;
        self.put(&[n.packet_type, n.dp_hash, n.recirc_id, n.conj_id]);
        self.put_whole(&[if self.is_oxm { n.in_port_oxm } else { n.in_port }, n.actset_output]);
    }

    fn ethernet(&mut self) {
        let n = self.names;
        self.put(&[n.eth_src, n.eth_dst, n.eth_type]);
        if !self.is_oxm {
            return self.put(&[n.vlan_tci]);
        }
        let tci = self.matching.slot(Slot::VlanTci);
        if tci.value & VLAN_PRESENT == 0 && tci.value & !VLAN_PRESENT != 0 {
            // Bits of a tag without a tag: no packet has them, and OXM cannot say them.
            return self.put(&[n.vlan_tci]);
        }
        self.put(&[n.vlan_vid]);
        if tci.value & 0x1fff != 0 {
            self.put_whole(&[n.vlan_pcp]);
        }
    }

    fn network(&mut self) {
        let n = self.names;
        match self.exact(Slot::EthType) {
            Some(0x8847 | 0x8848) => {
                self.put_whole(&[n.mpls_tc, n.mpls_bos, n.mpls_ttl, n.mpls_label]);
            }
            Some(0x0800) => {
                self.put(&[n.ip_src, n.ip_dst]);
                self.ip();
                self.put_whole(&[n.nw_proto]);
                self.transport();
            }
            Some(0x86dd) => {
                self.put(&[n.ipv6_src, n.ipv6_dst]);
                self.ip();
                self.put(&[n.ipv6_label]);
                self.put_whole(&[n.nw_proto]);
                self.transport();
            }
            Some(0x0806 | 0x8035) => {
                self.put_whole(&[n.arp_op]);
                self.put(&[n.arp_spa, n.arp_tpa, n.arp_sha, n.arp_tha]);
            }
            _ => {}
        }
    }

    fn ip(&mut self) {
        let n = self.names;
        let fragment = self.matching.slot(Slot::NwFrag);
        let mask = if fragment.mask & 3 == 3 { 0xff } else { fragment.mask & 3 };
        self.put_bits(n.ip_frag, Bits { value: fragment.value & 3, mask });
        self.put_whole(&[if self.is_oxm { n.ip_dscp } else { n.nw_tos }, n.nw_ecn, n.nw_ttl]);
    }

    fn transport(&mut self) {
        let n = self.names;
        let is_ipv6 = self.exact(Slot::EthType) == Some(0x86dd);
        match self.exact(Slot::NwProto) {
            Some(6) => self.put(&[n.tcp_src, n.tcp_dst, n.tcp_flags]),
            Some(17) => self.put(&[n.udp_src, n.udp_dst]),
            Some(132) => self.put(&[n.sctp_src, n.sctp_dst]),
            Some(1) if !is_ipv6 => self.put_whole(&[n.icmp_type, n.icmp_code]),
            Some(58) if is_ipv6 => {
                self.put_whole(&[n.icmpv6_type, n.icmpv6_code]);
                self.neighbour();
            }
            _ => {}
        }
    }

    fn neighbour(&mut self) {
        let n = self.names;
        let is = |of: &Self, slot, value| {
            let bits = of.matching.slot(slot);
            bits.mask & 0xff == 0xff && bits.value == value
        };
        let kind = [135, 136].into_iter().find(|kind| is(self, Slot::TpSrc, *kind));
        if let Some(kind) = kind.filter(|_| is(self, Slot::TpDst, 0)) {
            self.put_whole(&[n.nd_reserved]);
            self.put(&[n.nd_target]);
            self.put_whole(&[n.nd_options_type]);
            self.put(&[if kind == 135 { n.nd_sll } else { n.nd_tll }]);
        }
    }

    fn tunnel(&mut self) {
        let n = self.names;
        self.put(&[n.tun_id, n.tun_flags, n.tun_src, n.tun_dst, n.tun_ipv6_src, n.tun_ipv6_dst]);
        self.put(&[n.tun_gbp_id, n.tun_gbp_flags]);
        self.options();
        self.put(&[n.tun_erspan_ver, n.tun_erspan_idx, n.tun_erspan_dir, n.tun_erspan_hwid]);
        self.put(&[n.tun_gtpu_flags, n.tun_gtpu_msgtype]);
    }

    fn options(&mut self) {
        let present = self.matching.slot(Slot::TunPresent).mask;
        for number in (0..TlvMap::FIELDS).filter(|number| present >> number & 1 != 0) {
            let Some(field) = Field::tun_metadata(number) else { continue };
            let Ok(width) = self.tlvs.bytes_of(field) else { continue };
            let (mut value, mut mask) = (oxm::Wide::default(), oxm::Wide::default());
            let words = value.iter_mut().zip(mask.iter_mut());
            for ((value, mask), place) in words.zip(field.places()) {
                let bits = self.matching.slot(place.slot);
                (*value, *mask) = (bits.value, bits.mask);
            }
            oxm::write_option(self.out, field, self.version, (&value, &mask), width);
        }
    }

    fn registers(&mut self) {
        if self.version < Version::V15 {
            self.put(&std::array::from_fn::<_, 16, _>(|n| {
                u8::try_from(n).ok().and_then(Field::reg)
            }));
        } else {
            self.put(&std::array::from_fn::<_, 8, _>(|n| {
                u8::try_from(n).ok().and_then(Field::xreg)
            }));
        }
        self.put(&[self.names.pkt_mark]);
    }

    fn connection(&mut self) {
        let n = self.names;
        self.put(&[n.ct_state, n.ct_zone, n.ct_mark, n.ct_label]);
        self.put(&[n.ct_nw_src, n.ct_nw_dst, n.ct_ipv6_src, n.ct_ipv6_dst]);
        self.put(&[n.ct_nw_proto, n.ct_tp_src, n.ct_tp_dst, n.metadata]);
    }
}
