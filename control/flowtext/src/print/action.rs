//! Actions, each as it is written in a list.

use super::{ct, learn, port_text, select, subfield_text, value};
use crate::Names;
use std::fmt::Write;
use std::net::Ipv4Addr;
use weft_flow::action::{Controller, Resubmit, Sample, SampleDirection, SampleNumber, SetForm};
use weft_flow::field::ones;
use weft_flow::{Action, Bits, Field, PortNo, Subfield, TableId};

/// The actions of a list, with commas between them.
pub(super) fn list(out: &mut String, actions: &[Action], names: &dyn Names) {
    for (place, action) in actions.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        out.push_str(&one(action, names));
    }
}

/// Actions inside others: `clone(…)`.
pub(super) fn nested(name: &str, actions: &[Action], names: &dyn Names) -> String {
    let mut out = format!("{name}(");
    list(&mut out, actions, names);
    out.push(')');
    out
}

fn one(action: &Action, names: &dyn Names) -> String {
    match action {
        Action::Output { .. }
        | Action::OutputReg { .. }
        | Action::OutputTruncated { .. }
        | Action::Controller(_)
        | Action::Enqueue { .. }
        | Action::Group(_)
        | Action::Resubmit(_) => sends(action, names),
        Action::SetField { .. }
        | Action::SetLong(_)
        | Action::Move { .. }
        | Action::Push(_)
        | Action::Pop(_)
        | Action::DeleteField(_)
        | Action::CheckPktLarger { .. } => fields(action, names),
        Action::Bundle(bundle) => select::bundle(bundle, names),
        Action::Multipath(multipath) => select::multipath(multipath),
        Action::Learn(learn) => learn::text(learn, names),
        Action::Ct(ct) => ct::text(ct, names),
        Action::Nat(nat) => ct::nat(nat),
        Action::Sample(sample) => self::sample(sample, names),
        _ => others(action, names),
    }
}

/// Where packets go.
fn sends(action: &Action, names: &dyn Names) -> String {
    match action {
        Action::Output { port: PortNo::CONTROLLER, max_len } => format!("CONTROLLER:{max_len}"),
        Action::Output { port, .. } if port.0 < PortNo::MAX => {
            format!("output:{}", port_text(*port, names))
        }
        Action::Output { port, .. } => port_text(*port, names),
        Action::OutputReg { source, .. } => format!("output:{}", subfield_text(*source)),
        Action::OutputTruncated { port, max_len } => {
            format!("output(port={},max_len={max_len})", port_text(*port, names))
        }
        Action::Controller(controller) => self::controller(controller),
        Action::Enqueue { port, queue } => format!("enqueue:{}:{queue}", port_text(*port, names)),
        Action::Group(group) => format!("group:{}", group.0),
        Action::Resubmit(to) => resubmit(*to, names),
        _ => String::new(),
    }
}

fn resubmit(to: Resubmit, names: &dyn Names) -> String {
    let port = match to.in_port {
        PortNo::IN_PORT => String::new(),
        port => port_text(port, names),
    };
    if to.table == TableId::ALL && to.in_port != PortNo::IN_PORT && !to.with_ct {
        return format!("resubmit:{port}");
    }
    let table = match to.table {
        TableId::ALL => String::new(),
        table => names.table(table).map_or_else(|| table.0.to_string(), str::to_owned),
    };
    let ct = if to.with_ct { ",ct" } else { "" };
    format!("resubmit({port},{table}{ct})")
}

fn controller(of: &Controller) -> String {
    let meter = of.meter;
    if of.reason == 1
        && of.controller_id == 0
        && of.userdata.is_empty()
        && !of.pauses
        && meter.is_none()
    {
        return format!("CONTROLLER:{}", of.max_len);
    }
    let mut parts = Vec::new();
    if of.reason != 1 {
        parts.push(format!("reason={}", reason(of.reason)));
    }
    if of.max_len != u16::MAX {
        parts.push(format!("max_len={}", of.max_len));
    }
    if of.controller_id != 0 {
        parts.push(format!("id={}", of.controller_id));
    }
    if !of.userdata.is_empty() {
        parts.push(format!("userdata={}", bytes(&of.userdata)));
    }
    if of.pauses {
        parts.push("pause".to_owned());
    }
    if let Some(meter) = meter {
        parts.push(format!("meter_id={}", meter.0));
    }
    format!("controller({})", parts.join(","))
}

/// Why a packet goes to a controller.
fn reason(number: u8) -> String {
    let name = match number {
        0 => "no_match",
        1 => "action",
        2 => "invalid_ttl",
        3 => "action_set",
        4 => "group",
        5 => "packet_out",
        _ => return number.to_string(),
    };
    name.to_owned()
}

/// Bytes with dots between them: `01.02.ff`.
fn bytes(of: &[u8]) -> String {
    of.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(".")
}

/// What is done with fields.
fn fields(action: &Action, names: &dyn Names) -> String {
    match action {
        Action::SetField { field, value, mask, form: SetForm::Load, .. } => {
            loads(*field, Bits { value: *value, mask: *mask })
        }
        Action::SetField { field, value, mask, .. } => {
            let bits = Bits { value: *value, mask: *mask };
            format!("set_field:{}->{}", value::field(*field, bits, names), field.name())
        }
        Action::SetLong(long) => {
            let value = long_hex(&long.value);
            let field = long.field.name();
            let last = ones(96);
            match long.mask {
                [
                    u128::MAX,
                    u128::MAX,
                    u128::MAX,
                    u128::MAX,
                    u128::MAX,
                    u128::MAX,
                    u128::MAX,
                    mask,
                ] if mask == last => {
                    format!("set_field:{value}->{field}")
                }
                mask => format!("set_field:{value}/{}->{field}", long_hex(&mask)),
            }
        }
        Action::Move { source, destination, .. } => {
            format!("move:{}->{}", subfield_text(*source), subfield_text(*destination))
        }
        Action::Push(bits) => format!("push:{}", subfield_text(*bits)),
        Action::Pop(bits) => format!("pop:{}", subfield_text(*bits)),
        Action::DeleteField(field) => format!("delete_field:{}", field.name()),
        Action::CheckPktLarger { bytes, destination } => {
            format!("check_pkt_larger({bytes})->{}", subfield_text(*destination))
        }
        _ => String::new(),
    }
}

/// Runs of at most 64 bits, the lowest first, each a `load`.
fn loads(field: Field, bits: Bits) -> String {
    const RUN_BITS_MAX: u32 = 64;
    let mut runs = Vec::new();
    let mut offset = 0;
    while let Some(mask) = bits.mask.checked_shr(offset).filter(|mask| *mask != 0) {
        offset += mask.trailing_zeros();
        let run = (bits.mask >> offset).trailing_ones().min(RUN_BITS_MAX);
        let value = bits.value >> offset & ones(run);
        // A field has at most 992 bits.
        let narrow = |bits: u32| u16::try_from(bits).unwrap_or(u16::MAX);
        let to = Subfield { field, offset: narrow(offset), bits: narrow(run) };
        runs.push(format!("load:{}->{}", value::hex(value), subfield_text(to)));
        offset += run;
    }
    runs.join(",")
}

/// Words of 128 bits, the last bytes first, as one hexadecimal number.
fn long_hex(words: &[u128; 8]) -> String {
    let mut text = String::new();
    for word in words.iter().rev() {
        // Writing to a string does not fail.
        let _ = write!(text, "{word:032x}");
    }
    let text = text.trim_start_matches('0');
    if text.is_empty() { "0".to_owned() } else { format!("0x{text}") }
}

fn sample(of: &Sample, names: &dyn Names) -> String {
    let number = |number: SampleNumber| match number {
        SampleNumber::Value(value) => value.to_string(),
        SampleNumber::Field(bits) => subfield_text(bits),
    };
    let mut parts = vec![
        format!("probability={}", of.probability),
        format!("collector_set_id={}", of.collector_set),
        format!("obs_domain_id={}", number(of.domain)),
        format!("obs_point_id={}", number(of.point)),
    ];
    if of.sampling_port != PortNo::ANY {
        parts.push(format!("sampling_port={}", port_text(of.sampling_port, names)));
    }
    match of.direction {
        SampleDirection::Default => {}
        SampleDirection::Ingress => parts.push("ingress".to_owned()),
        SampleDirection::Egress => parts.push("egress".to_owned()),
    }
    format!("sample({})", parts.join(","))
}

/// Headers, and what stands alone.
fn others(action: &Action, names: &dyn Names) -> String {
    match action {
        Action::SetVlanVid { vid, .. } => format!("mod_vlan_vid:{vid}"),
        Action::SetVlanPcp { pcp, .. } => format!("mod_vlan_pcp:{pcp}"),
        Action::StripVlan => "strip_vlan".to_owned(),
        Action::PushVlan { ethertype } => format!("push_vlan:{ethertype:#06x}"),
        Action::SetEthSrc(mac) => format!("mod_dl_src:{}", value::mac_bytes(*mac)),
        Action::SetEthDst(mac) => format!("mod_dl_dst:{}", value::mac_bytes(*mac)),
        Action::SetIpv4Src(address) => format!("mod_nw_src:{}", Ipv4Addr::from(*address)),
        Action::SetIpv4Dst(address) => format!("mod_nw_dst:{}", Ipv4Addr::from(*address)),
        Action::SetIpDscp(tos) => format!("mod_nw_tos:{tos}"),
        Action::SetIpEcn(ecn) => format!("mod_nw_ecn:{ecn}"),
        Action::SetIpTtl(ttl) => format!("mod_nw_ttl:{ttl}"),
        Action::SetL4SrcPort { port, .. } => format!("mod_tp_src:{port}"),
        Action::SetL4DstPort { port, .. } => format!("mod_tp_dst:{port}"),
        Action::DecTtl { controllers, lists_ids } => dec_ttl(controllers, *lists_ids),
        Action::SetMplsLabel(label) => format!("set_mpls_label({label})"),
        Action::SetMplsTc(class) => format!("set_mpls_tc({class})"),
        Action::SetMplsTtl(ttl) => format!("set_mpls_ttl({ttl})"),
        Action::DecMplsTtl => "dec_mpls_ttl".to_owned(),
        Action::PushMpls { ethertype } => format!("push_mpls:{ethertype:#06x}"),
        Action::PopMpls { ethertype } => format!("pop_mpls:{ethertype:#06x}"),
        Action::SetTunnel { id, is_wide } => {
            let name = if *is_wide { "set_tunnel64" } else { "set_tunnel" };
            format!("{name}:{}", value::hex((*id).into()))
        }
        Action::SetQueue(queue) => format!("set_queue:{queue}"),
        Action::PopQueue => "pop_queue".to_owned(),
        Action::FinTimeout(of) => fin_timeout(of.idle, of.hard),
        Action::Conjunction(of) => {
            format!("conjunction({},{}/{})", of.id, u16::from(of.clause) + 1, of.clauses)
        }
        Action::Note(note) => format!("note:{}", bytes(note)),
        Action::Exit => "exit".to_owned(),
        Action::CtClear => "ct_clear".to_owned(),
        Action::Clone(actions) => nested("clone", actions, names),
        _ => instructions(action, names),
    }
}

/// What is an instruction from 1.1 on.
fn instructions(action: &Action, names: &dyn Names) -> String {
    match action {
        Action::Meter(meter) => format!("meter:{}", meter.0),
        Action::ClearActions => "clear_actions".to_owned(),
        Action::WriteActions(actions) => nested("write_actions", actions, names),
        Action::WriteMetadata { value, mask } => {
            let bits = Bits { value: (*value).into(), mask: (*mask).into() };
            format!("write_metadata:{}", value::hex_masked(bits, 64))
        }
        Action::GotoTable(table) => {
            let name = names.table(*table).map_or_else(|| table.0.to_string(), str::to_owned);
            format!("goto_table:{name}")
        }
        // The others are told apart before.
        _ => String::new(),
    }
}

fn dec_ttl(controllers: &[u16], lists_ids: bool) -> String {
    if !lists_ids {
        return "dec_ttl".to_owned();
    }
    let ids: Vec<_> = controllers.iter().map(u16::to_string).collect();
    format!("dec_ttl({})", ids.join(","))
}

fn fin_timeout(idle: u16, hard: u16) -> String {
    let mut parts = Vec::new();
    if idle > 0 {
        parts.push(format!("idle_timeout={idle}"));
    }
    if hard > 0 {
        parts.push(format!("hard_timeout={hard}"));
    }
    format!("fin_timeout({})", parts.join(","))
}
