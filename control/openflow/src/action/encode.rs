//! Actions, written as a version says them.

use super::decode::{Context, NICIRA};
use super::nicira::{conntrack, controller, hash, learn, sample};
use super::set::{self, Set};
use super::{bits, legacy};
use crate::bytes::Writer;
use weft_flow::action::{Resubmit, SetForm};
use weft_flow::{Action, Field, PortNo, TableId, Version};

/// Writes a list of actions.
pub(crate) fn list(actions: &[Action], context: Context<'_>, out: &mut Vec<u8>) {
    for action in actions {
        one(out, context, action);
    }
}

/// Writes a standard action with its body, and zeros up to a multiple of 8.
pub(super) fn standard(out: &mut Vec<u8>, kind: u16, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.u16(kind);
    out.u16(0);
    body(out);
    out.pad_to(8, start);
    out.patch_len(start + 2, start);
}

/// Writes an experimenter's action with its body.
pub(super) fn experimenter(
    out: &mut Vec<u8>,
    experimenter: u32,
    subtype: u16,
    body: impl FnOnce(&mut Vec<u8>),
) {
    standard(out, 0xffff, |out| {
        out.u32(experimenter);
        out.u16(subtype);
        body(out);
    });
}

/// Writes an action of Nicira with its body.
pub(super) fn nicira(out: &mut Vec<u8>, subtype: u16, body: impl FnOnce(&mut Vec<u8>)) {
    experimenter(out, NICIRA, subtype, body);
}

fn one(out: &mut Vec<u8>, context: Context<'_>, action: &Action) {
    match action {
        Action::Output { port, max_len } => output(out, context, *port, *max_len),
        Action::OutputReg { source, max_len } => {
            bits::encode_output(out, context, *source, *max_len);
        }
        Action::OutputTruncated { port, max_len } => nicira(out, 39, |out| {
            out.u16(port.to_u16().unwrap_or_default());
            out.u32(*max_len);
        }),
        Action::Controller(of) => controller::encode(out, of),
        Action::Enqueue { port, queue } => enqueue(out, context, *port, *queue),
        Action::Bundle(of) => hash::encode_bundle(out, context, of),
        Action::Multipath(of) => hash::encode_multipath(out, context, of),
        Action::Group(group) => numbered(out, context, (40, 22), group.0),
        Action::SetField { field, value, mask, has_vlan, form } => {
            let set = Set::narrow(*field, *value, *mask);
            set::encode(out, context, &Set { has_vlan: *has_vlan, form: *form, ..set });
        }
        Action::SetLong(of) => {
            let (field, value, mask) = (of.field, of.value, of.mask);
            set::encode(out, context, &Set { field, value, mask, has_vlan: false, form: of.form });
        }
        Action::Move { source, destination, is_copy } => {
            bits::encode_move(out, context, (*source, *destination), *is_copy);
        }
        Action::Push(bits) => bits::encode_stack(out, context, 27, *bits),
        Action::Pop(bits) => bits::encode_stack(out, context, 28, *bits),
        Action::DeleteField(field) => bits::encode_delete(out, context, *field),
        Action::CheckPktLarger { bytes, destination } => {
            bits::encode_larger(out, context, *bytes, *destination);
        }
        Action::StripVlan => legacy::strip_vlan(out, context),
        Action::PushVlan { ethertype } => legacy::push_vlan(out, context, *ethertype),
        Action::Learn(of) => learn::encode(out, context, of),
        Action::Sample(of) => sample::encode(out, of),
        Action::Ct(of) => conntrack::encode(out, context, of),
        Action::Nat(of) => conntrack::encode_nat(out, of),
        Action::Clone(actions) => nicira(out, 42, |out| {
            out.zeros(6);
            list(actions, context, out);
        }),
        _ => simple(out, context, action),
    }
}

/// Actions with a few numbers.
fn simple(out: &mut Vec<u8>, context: Context<'_>, action: &Action) {
    match action {
        Action::DecTtl { controllers, lists_ids } => {
            dec_ttl(out, context, controllers, *lists_ids);
        }
        Action::SetTunnel { id, is_wide } => set_tunnel(out, context, *id, *is_wide),
        Action::SetQueue(queue) => numbered(out, context, (4, 21), *queue),
        Action::PopQueue => nicira(out, 5, |_| ()),
        Action::FinTimeout(of) => nicira(out, 19, |out| {
            out.u16(of.idle);
            out.u16(of.hard);
        }),
        Action::Resubmit(to) => resubmit(out, *to),
        Action::Conjunction(of) => nicira(out, 34, |out| {
            out.u8(of.clause);
            out.u8(of.clauses);
            out.u32(of.id);
        }),
        Action::Note(note) => nicira(out, 8, |out| out.bytes(note)),
        Action::Exit => nicira(out, 17, |_| ()),
        Action::CtClear => nicira(out, 43, |_| ()),
        Action::Meter(meter) if context.version >= Version::V15 => {
            standard(out, 29, |out| out.u32(meter.0));
        }
        // Instructions, which 1.0 says as actions as far as it can.
        Action::WriteMetadata { value, mask } if context.version == Version::V10 => {
            nicira(out, 22, |out| {
                out.zeros(6);
                out.u64(*value);
                out.u64(*mask);
            });
        }
        Action::GotoTable(table) if context.version == Version::V10 => {
            let to = Resubmit { in_port: PortNo::IN_PORT, table: *table, ..NOWHERE };
            resubmit(out, to);
        }
        Action::Meter(_)
        | Action::ClearActions
        | Action::WriteActions(_)
        | Action::WriteMetadata { .. }
        | Action::GotoTable(_) => {}
        _ => legacy::encode(out, context, action),
    }
}

const NOWHERE: Resubmit =
    Resubmit { in_port: PortNo::IN_PORT, table: TableId::ALL, with_ct: false, names_table: true };

fn output(out: &mut Vec<u8>, context: Context<'_>, port: PortNo, max_len: u16) {
    standard(out, 0, |out| {
        if context.version == Version::V10 {
            out.u16(port.to_u16().unwrap_or_default());
        } else {
            out.u32(port.0);
        }
        out.u16(max_len);
        if context.version > Version::V10 {
            out.zeros(6);
        }
    });
}

/// Writes a number of 32 bits: in 1.0 in an action of Nicira, later in a standard one.
fn numbered(out: &mut Vec<u8>, context: Context<'_>, (subtype, kind): (u16, u16), number: u32) {
    if context.version > Version::V10 {
        return standard(out, kind, |out| out.u32(number));
    }
    nicira(out, subtype, |out| {
        out.zeros(2);
        out.u32(number);
    });
}

fn enqueue(out: &mut Vec<u8>, context: Context<'_>, port: PortNo, queue: u32) {
    if context.version > Version::V10 {
        numbered(out, context, (4, 21), queue);
        output(out, context, port, u16::MAX);
        return nicira(out, 5, |_| ());
    }
    standard(out, 11, |out| {
        out.u16(port.to_u16().unwrap_or_default());
        out.zeros(6);
        out.u32(queue);
    });
}

fn dec_ttl(out: &mut Vec<u8>, context: Context<'_>, controllers: &[u16], lists_ids: bool) {
    if lists_ids || controllers != [0] {
        return nicira(out, 21, |out| {
            out.u16(u16::try_from(controllers.len()).unwrap_or(u16::MAX));
            out.zeros(4);
            for id in controllers {
                out.u16(*id);
            }
        });
    }
    if context.version > Version::V10 {
        standard(out, 24, |_| ());
    } else {
        nicira(out, 18, |_| ());
    }
}

fn set_tunnel(out: &mut Vec<u8>, context: Context<'_>, id: u64, is_wide: bool) {
    if context.version >= Version::V12 {
        if let Some(field) = Field::by_name("tun_id") {
            let set = Set::narrow(field, id.into(), u64::MAX.into());
            set::encode_field(out, context, &Set { form: SetForm::Field, ..set });
        }
        return;
    }
    match u32::try_from(id) {
        Ok(id) if !is_wide => nicira(out, 2, |out| {
            out.zeros(2);
            out.u32(id);
        }),
        _ => nicira(out, 9, |out| {
            out.zeros(6);
            out.u64(id);
        }),
    }
}

fn resubmit(out: &mut Vec<u8>, to: Resubmit) {
    let subtype = match to {
        Resubmit { with_ct: true, .. } => 44,
        Resubmit { names_table: false, table: TableId::ALL, .. } => 1,
        _ => 14,
    };
    nicira(out, subtype, |out| {
        out.u16(to.in_port.to_u16().unwrap_or_default());
        if subtype != 1 {
            out.u8(to.table.0);
        }
    });
}
