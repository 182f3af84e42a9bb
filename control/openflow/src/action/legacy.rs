//! Actions that 1.0 and 1.1 have of their own, and what later versions say instead.

use super::decode::Context;
use super::encode::{nicira, standard};
use super::set::{Set, encode_field, encode_loads};
use crate::bytes::Writer;
use crate::oxm::number_bytes;
use weft_flow::action::SetForm;
use weft_flow::field::ones;
use weft_flow::{Action, Field, Version};

/// Writes a standard action whose only argument has `width` bytes; zeros follow.
fn short(out: &mut Vec<u8>, kind: u16, value: u128, width: usize) {
    standard(out, kind, |out| number_bytes(out, value, width));
}

/// A number of 1.0 and that of 1.1.
const fn kind(context: Context<'_>, v10: u16, v11: u16) -> u16 {
    if matches!(context.version, Version::V10) { v10 } else { v11 }
}

/// Writes `set_field` of a whole field, by its name.
fn set_whole(out: &mut Vec<u8>, context: Context<'_>, name: &str, value: u128) {
    if let Some(field) = Field::by_name(name) {
        encode_field(out, context, &Set::narrow(field, value, ones(field.bits())));
    }
}

/// Writes `load` of a whole field, by its name.
fn load_whole(out: &mut Vec<u8>, context: Context<'_>, name: &str, value: u128) {
    if let Some(field) = Field::by_name(name) {
        let set = Set::narrow(field, value, ones(field.bits()));
        encode_loads(out, context, &Set { form: SetForm::Load, ..set });
    }
}

/// Puts on a tag.
pub(super) fn push_vlan(out: &mut Vec<u8>, context: Context<'_>, ethertype: u16) {
    // Version 1.0 pushes tags by setting VID or priority.
    if context.version > Version::V10 {
        short(out, 17, ethertype.into(), 2);
    }
}

/// Takes off the outer tag.
pub(super) fn strip_vlan(out: &mut Vec<u8>, context: Context<'_>) {
    short(out, kind(context, 3, 18), 0, 0);
}

/// Sets VID (kind 1) or priority (kind 2), behind a new tag if the packet may have none.
fn set_vlan(out: &mut Vec<u8>, context: Context<'_>, kind: u16, value: u16, needs_push: bool) {
    if needs_push {
        push_vlan(out, context, 0x8100);
    }
    match (kind, context.version) {
        (1, Version::V10 | Version::V11) => short(out, 1, value.into(), 2),
        (_, Version::V10 | Version::V11) => short(out, 2, value.into(), 1),
        (1, _) => set_whole(out, context, "vlan_vid", u128::from(value) | 0x1000),
        _ => set_whole(out, context, "vlan_pcp", value.into()),
    }
}

/// Writes the actions that set parts of headers by an action of their own.
pub(super) fn encode(out: &mut Vec<u8>, context: Context<'_>, action: &Action) {
    let has_own = context.version <= Version::V11;
    // Number in 1.0, number in 1.1, value, bytes, the field of later versions.
    let mut say = |v10: u16, v11: u16, value: u128, width: usize, name: &str| {
        if has_own {
            short(out, kind(context, v10, v11), value, width);
        } else {
            set_whole(out, context, name, value);
        }
    };
    match action {
        Action::SetEthSrc(mac) => say(4, 3, crate::oxm::number(mac), 6, "eth_src"),
        Action::SetEthDst(mac) => say(5, 4, crate::oxm::number(mac), 6, "eth_dst"),
        Action::SetIpv4Src(address) => say(6, 5, crate::oxm::number(address), 4, "ip_src"),
        Action::SetIpv4Dst(address) => say(7, 6, crate::oxm::number(address), 4, "ip_dst"),
        Action::SetIpDscp(tos) if has_own => say(8, 7, (*tos).into(), 1, ""),
        Action::SetIpDscp(tos) => say(0, 0, u128::from(*tos) >> 2, 1, "ip_dscp"),
        Action::SetL4SrcPort { port, protocol } | Action::SetL4DstPort { port, protocol } => {
            let is_source = matches!(action, Action::SetL4SrcPort { .. });
            let (v10, v11) = if is_source { (9, 9) } else { (10, 10) };
            match (has_own, transport(*protocol, is_source)) {
                (true, _) => say(v10, v11, (*port).into(), 2, ""),
                (false, Some(name)) => say(0, 0, (*port).into(), 2, name),
                // What protocol a packet has is not said: only the older action can.
                (false, None) => short(out, v11, (*port).into(), 2),
            }
        }
        Action::SetIpEcn(ecn) if context.version == Version::V10 => {
            load_whole(out, context, "nw_ecn", (*ecn).into());
        }
        Action::SetIpEcn(ecn) => say(0, 8, (*ecn).into(), 1, "nw_ecn"),
        Action::SetIpTtl(ttl) if context.version == Version::V10 => {
            load_whole(out, context, "nw_ttl", (*ttl).into());
        }
        Action::SetIpTtl(ttl) => short(out, 23, (*ttl).into(), 1),
        Action::SetVlanVid { vid, pushes, has_vlan } => {
            set_vlan(out, context, 1, *vid, *pushes && !*has_vlan);
        }
        Action::SetVlanPcp { pcp, pushes, has_vlan } => {
            set_vlan(out, context, 2, (*pcp).into(), *pushes && !*has_vlan);
        }
        _ => mpls(out, context, action),
    }
}

fn transport(protocol: u8, is_source: bool) -> Option<&'static str> {
    Some(match (protocol, is_source) {
        (6, true) => "tcp_src",
        (6, false) => "tcp_dst",
        (17, true) => "udp_src",
        (17, false) => "udp_dst",
        (132, true) => "sctp_src",
        (132, false) => "sctp_dst",
        _ => return None,
    })
}

fn mpls(out: &mut Vec<u8>, context: Context<'_>, action: &Action) {
    let is_old = context.version == Version::V10;
    match *action {
        Action::SetMplsLabel(label) => match context.version {
            Version::V10 => nicira(out, 30, |out| {
                out.zeros(2);
                out.u32(label);
            }),
            Version::V11 => short(out, 13, label.into(), 4),
            _ => set_whole(out, context, "mpls_label", label.into()),
        },
        Action::SetMplsTc(tc) => match context.version {
            Version::V10 => nicira(out, 31, |out| out.u8(tc)),
            Version::V11 => short(out, 14, tc.into(), 1),
            _ => set_whole(out, context, "mpls_tc", tc.into()),
        },
        Action::SetMplsTtl(ttl) if is_old => nicira(out, 25, |out| out.u8(ttl)),
        Action::SetMplsTtl(ttl) => short(out, 15, ttl.into(), 1),
        Action::DecMplsTtl if is_old => nicira(out, 26, |_| ()),
        Action::DecMplsTtl => short(out, 16, 0, 0),
        Action::PushMpls { ethertype } if is_old => nicira(out, 23, |out| out.u16(ethertype)),
        Action::PushMpls { ethertype } => short(out, 19, ethertype.into(), 2),
        Action::PopMpls { ethertype } if is_old => nicira(out, 24, |out| out.u16(ethertype)),
        Action::PopMpls { ethertype } => short(out, 20, ethertype.into(), 2),
        _ => {}
    }
}

/// Writes what sets bits of a field as 1.0 or 1.1 does: where it has an action for the field, by
/// that, whatever bits are asked for.
pub(super) fn encode_set(out: &mut Vec<u8>, context: Context<'_>, set: &Set) {
    let [value, ..] = set.value;
    let low = |mask: u128| u16::try_from(value & mask).unwrap_or_default();
    let mut say = |v10: u16, v11: u16, value: u128, width: usize| {
        short(out, kind(context, v10, v11), value, width);
    };
    match set.field.name() {
        "vlan_tci" => encode_tci(out, context, set, low(0xffff)),
        "vlan_vid" => set_vlan(out, context, 1, low(0x0fff), false),
        "vlan_pcp" => set_vlan(out, context, 2, low(0x7), false),
        "eth_src" => say(4, 3, value, 6),
        "eth_dst" => say(5, 4, value, 6),
        "ip_src" => say(6, 5, value, 4),
        "ip_dst" => say(7, 6, value, 4),
        "nw_tos" => say(8, 7, value, 1),
        "ip_dscp" => say(8, 7, value << 2, 1),
        "nw_ecn" => encode(out, context, &Action::SetIpEcn(low(0x3).to_be_bytes()[1])),
        "tcp_src" | "udp_src" => say(9, 9, value, 2),
        "tcp_dst" | "udp_dst" => say(10, 10, value, 2),
        _ => encode_loads(out, context, set),
    }
}

fn encode_tci(out: &mut Vec<u8>, context: Context<'_>, set: &Set, tci: u16) {
    if tci & 0x1000 == 0 {
        return strip_vlan(out, context);
    }
    set_vlan(out, context, 1, tci & 0x0fff, !set.has_vlan);
    set_vlan(out, context, 2, tci >> 13, false);
}
