//! Random requests over few tables, priorities, matches, cookies and actions, so that they meet.

use crate::make::{add, bucket, group, learns, meter, metered, output, to_group};
use proptest::prelude::*;
use weft_flow::action::Actions;
use weft_flow::request::{FlowCommand, FlowFlags, FlowMod, GroupCommand, Learned, MeterCommand};
use weft_flow::{Action, Bits, Field, GroupId, Match, MeterId, PortNo, Slot, TableId};
use weft_ofproto::BridgeRequest;

/// What is done to a bridge.
#[derive(Clone, Debug)]
pub enum Op {
    BridgeRequest(BridgeRequest),
    Bundle(Vec<BridgeRequest>),
    Learn(FlowMod),
    /// Milliseconds.
    Wait(u64),
    /// Packets meet the flow at this place of a dump, modulo their number.
    Use(usize, u64),
    Expire,
    /// Of table 1.
    Limit {
        limit: Option<u32>,
        evicts: bool,
    },
    /// Nobody knows of removed rules any more.
    Release,
}

pub fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..40)
}

fn op() -> impl Strategy<Value = Op> {
    let limit = (prop::option::of(0u32..5), any::<bool>());
    prop_oneof![
        12 => request().prop_map(Op::BridgeRequest),
        4 => prop::collection::vec(request_of_bundle(), 0..8).prop_map(Op::Bundle),
        2 => flow_mod().prop_map(|flow| Op::Learn(learned(flow))),
        3 => (0u64..2500).prop_map(Op::Wait),
        3 => (any::<usize>(), 1u64..9).prop_map(|(place, packets)| Op::Use(place, packets)),
        3 => Just(Op::Expire),
        1 => limit.prop_map(|(limit, evicts)| Op::Limit { limit, evicts }),
        1 => Just(Op::Release),
    ]
}

fn learned(flow: FlowMod) -> FlowMod {
    let limit = u32::from(flow.importance);
    let table = if flow.table == TableId::ALL { TableId(2) } else { flow.table };
    FlowMod { command: FlowCommand::Add, table, learned: Some(Learned { limit }), ..flow }
}

fn request() -> impl Strategy<Value = BridgeRequest> {
    prop_oneof![
        5 => request_of_bundle(),
        1 => (0..3usize, 0u32..3).prop_map(|(command, id)| {
            let commands = [MeterCommand::Add, MeterCommand::Modify, MeterCommand::Delete];
            let id = if id == 0 { MeterId::ALL.0 } else { id };
            BridgeRequest::Meter(meter(commands[command], id))
        }),
    ]
}

fn request_of_bundle() -> impl Strategy<Value = BridgeRequest> {
    prop_oneof![
        6 => flow_mod().prop_map(BridgeRequest::Flow),
        1 => group_mod(),
    ]
}

fn group_mod() -> impl Strategy<Value = BridgeRequest> {
    (0..4usize, 0u32..4).prop_map(|(command, id)| {
        let commands = [
            GroupCommand::Add,
            GroupCommand::Modify,
            GroupCommand::AddOrModify,
            GroupCommand::Delete,
        ];
        let id = if id == 0 { GroupId::ALL.0 } else { id };
        BridgeRequest::Group(group(commands[command], id, &[bucket(0, output(1))]))
    })
}

fn flow_mod() -> impl Strategy<Value = FlowMod> {
    let place = (0..4u8, 0..3u16, matching(), 0..3u64);
    let filter = (0..4u64, prop_oneof![Just(0), Just(1), Just(u64::MAX)], 0..4u32, 0..6u32);
    let times = (0..4u16, 0..4u16, 0..3u16);
    let kind = (0..8usize, flags(), any::<bool>(), any::<bool>());
    (place, filter, times, kind, actions()).prop_map(|(place, filter, times, kind, actions)| {
        let commands = [
            FlowCommand::Add,
            FlowCommand::Modify,
            FlowCommand::ModifyStrict,
            FlowCommand::Delete,
            FlowCommand::DeleteStrict,
        ];
        let command = commands.get(kind.0).copied().unwrap_or(FlowCommand::Add);
        let deletes = matches!(command, FlowCommand::Delete | FlowCommand::DeleteStrict);
        FlowMod {
            command,
            table: if place.0 == 3 { TableId::ALL } else { TableId(place.0) },
            priority: place.1,
            matching: place.2,
            cookie: place.3,
            cookie_filter: filter.0,
            cookie_mask: filter.1,
            out_port: if deletes && filter.2 < 2 { PortNo(filter.2 + 1) } else { PortNo::ANY },
            out_group: if deletes && filter.3 < 2 { GroupId(filter.3 + 1) } else { GroupId::ANY },
            idle_timeout: times.0,
            hard_timeout: times.1,
            importance: times.2,
            flags: kind.1,
            modifies_cookie: kind.2,
            modify_adds: kind.3,
            actions,
            ..add()
        }
    })
}

fn flags() -> impl Strategy<Value = FlowFlags> {
    (any::<bool>(), 0..8u8, 0..4u8).prop_map(|(sends_flow_removed, overlap, resets)| FlowFlags {
        sends_flow_removed,
        checks_overlap: overlap == 0,
        resets_counts: resets == 0,
        ..FlowFlags::default()
    })
}

fn matching() -> impl Strategy<Value = Match> {
    (0..4u128, 0..4u128, 0..2u128, any::<bool>()).prop_map(|(value, mask, port, has_port)| {
        let port_mask = if has_port { Slot::InPort.ones() } else { 0 };
        [(Slot::Reg(0), Bits::new(value, mask)), (Slot::InPort, Bits::new(port, port_mask))]
            .into_iter()
            .collect()
    })
}

fn actions() -> impl Strategy<Value = Actions> {
    (0..10u8).prop_map(|kind| match kind {
        0 => Box::default(),
        1 => output(2),
        2 => to_group(1),
        3 => Box::new([Action::Clone(to_group(2))]),
        4 => metered(1),
        5 => learns(2, 1),
        6 => learns(0, 2),
        7 => Box::new([Action::DeleteField(Field::tun_metadata(3).unwrap())]),
        _ => output(1),
    })
}
