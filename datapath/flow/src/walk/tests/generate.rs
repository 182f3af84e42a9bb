//! Matches and actions of all kinds that programs have.

use super::bridge::TABLES;
use crate::action::{
    Actions, Bundle, BundleAlgorithm, Controller, HashFields, Multipath, MultipathAlgorithm,
    Resubmit, SetForm,
};
use crate::field::ones;
use crate::{Action, Field, GroupId, Match, PortNo, Subfield, TableId};
use proptest::prelude::*;
use proptest::sample::select;

pub(super) fn field(name: &str) -> Field {
    Field::by_name(name).unwrap()
}

pub(super) fn bits(name: &str, offset: u16, bits: u16) -> Subfield {
    Subfield { field: field(name), offset, bits }
}

/// Few values, so that rules take packets.
pub(super) fn any_match() -> impl Strategy<Value = Match> {
    let ask = prop_oneof![
        (select(vec!["reg0", "reg1", "metadata", "pkt_mark", "tun_id"]), 0u128..3, Just(3)),
        (Just("in_port_oxm"), 1u128..4, Just(u128::MAX)),
        (select(vec!["eth_dst", "eth_src", "reg1"]), any::<u128>(), Just(1)),
        (Just("eth_type"), select(vec![0x0800, 0x0806, 0x86dd, 0x8847]), Just(u128::MAX)),
        (select(vec!["ip_dst", "ip_src", "ipv6_dst"]), any::<u128>(), select(vec![1, 1 << 31])),
        (Just("vlan_tci"), select(vec![0, 0x1000]), Just(0x1000)),
        (Just("nw_ttl"), any::<u128>(), Just(1)),
        (Just("nw_proto"), select(vec![6, 17, 58]), Just(u128::MAX)),
        (select(vec!["tcp_dst", "tcp_src"]), any::<u128>(), Just(1)),
    ];
    prop::collection::vec(ask, 0..3).prop_map(|asks| {
        let mut matching = Match::any();
        for (name, value, mask) in asks {
            let field = field(name);
            matching.set(field, value & ones(field.bits()), mask & ones(field.bits()));
        }
        matching
    })
}

fn any_set() -> impl Strategy<Value = Action> {
    let names = vec![
        "reg0",
        "reg1",
        "reg0",
        "metadata",
        "pkt_mark",
        "tun_id",
        "in_port",
        "eth_src",
        "eth_dst",
        "ip_src",
        "ip_dst",
        "ipv6_src",
        "ipv6_dst",
        "ipv6_label",
        "nw_tos",
        "ip_dscp",
        "nw_ecn",
        "nw_ttl",
        "tcp_src",
        "tcp_dst",
        "udp_src",
        "udp_dst",
        "sctp_src",
        "arp_spa",
        "arp_tpa",
        "arp_sha",
        "arp_tha",
        "arp_op",
        "nd_target",
        "nd_sll",
        "nd_tll",
        "nd_reserved",
        "icmp_type",
        "icmp_code",
        "vlan_tci",
        "vlan_vid",
        "dl_vlan",
        "vlan_pcp",
        "mpls_label",
        "mpls_tc",
        "mpls_ttl",
        "xreg0",
        "xxreg0",
        "tun_metadata0",
    ];
    let value = prop_oneof![0u128..4, any::<u128>()];
    let mask = prop_oneof![2 => Just(u128::MAX), 1 => any::<u128>(), 1 => Just(0xff00)];
    (select(names), value, mask).prop_map(|(name, value, mask)| {
        let field = field(name);
        let whole = ones(field.bits().min(128));
        // All of a number of 16 bits for a port.
        let mask = if name == "in_port" { whole } else { mask & whole };
        let value = if name == "in_port" { value & 3 } else { value & mask };
        Action::SetField { field, value, mask, has_vlan: false, form: SetForm::Field }
    })
}

fn any_move() -> impl Strategy<Value = Action> {
    let pairs = vec![
        (bits("eth_src", 0, 48), bits("eth_dst", 0, 48)),
        (bits("reg0", 0, 16), bits("reg1", 8, 16)),
        (bits("reg1", 0, 32), bits("ip_src", 0, 32)),
        (bits("ip_src", 0, 32), bits("ip_dst", 0, 32)),
        (bits("xxreg0", 0, 128), bits("ipv6_src", 0, 128)),
        (bits("ipv6_dst", 0, 128), bits("xxreg0", 0, 128)),
        (bits("nw_ttl", 0, 8), bits("reg1", 0, 8)),
        (bits("tcp_src", 0, 16), bits("tcp_dst", 0, 16)),
        (bits("in_port", 0, 16), bits("reg0", 0, 16)),
        (bits("vlan_tci", 0, 16), bits("reg0", 16, 16)),
        (bits("tun_id", 0, 64), bits("metadata", 0, 64)),
    ];
    select(pairs).prop_map(|(source, destination)| Action::Move {
        source,
        destination,
        is_copy: false,
    })
}

fn any_stack() -> impl Strategy<Value = Action> {
    let parts = vec![
        bits("reg0", 0, 32),
        bits("in_port", 0, 16),
        bits("eth_dst", 0, 48),
        bits("ip_dst", 0, 8),
        bits("xxreg0", 0, 128),
    ];
    (any::<bool>(), select(parts))
        .prop_map(|(pushes, part)| if pushes { Action::Push(part) } else { Action::Pop(part) })
}

fn any_headers() -> impl Strategy<Value = Action> {
    prop_oneof![
        1 => Just(Action::PushVlan { ethertype: 0x88a8 }),
        1 => Just(Action::StripVlan),
        1 => any::<bool>()
            .prop_map(|pushes| Action::SetVlanVid { vid: 0xa5, pushes, has_vlan: false }),
        1 => any::<bool>()
            .prop_map(|pushes| Action::SetVlanPcp { pcp: 5, pushes, has_vlan: false }),
        1 => Just(Action::DecTtl { controllers: Box::new([0, 3]), lists_ids: true }),
        2 => Just(Action::PushMpls { ethertype: 0x8847 }),
        3 => select(vec![0x0800, 0x86dd, 0x8847]).prop_map(|ethertype| Action::PopMpls { ethertype }),
        1 => Just(Action::DecMplsTtl),
        1 => Just(Action::SetEthDst([2, 0, 0, 0, 0, 9])),
        1 => Just(Action::SetIpv4Src([10, 0, 0, 9])),
        1 => Just(Action::SetIpDscp(0xb8)),
        1 => Just(Action::SetIpTtl(9)),
        1 => Just(Action::SetL4DstPort { port: 99, protocol: 0 }),
        1 => Just(Action::SetMplsTtl(1)),
        1 => Just(Action::SetTunnel { id: 77, is_wide: false }),
        1 => Just(Action::CtClear),
    ]
}

fn any_output() -> impl Strategy<Value = Action> {
    let ports = vec![
        PortNo(1),
        PortNo(2),
        PortNo(3),
        PortNo(4),
        PortNo(5),
        PortNo(6),
        PortNo::IN_PORT,
        PortNo::NORMAL,
        PortNo::FLOOD,
        PortNo::ALL,
        PortNo::CONTROLLER,
        PortNo::ANY,
    ];
    let fields = select(vec![HashFields::SymmetricL4, HashFields::NwSrc, HashFields::EthSrc]);
    prop_oneof![
        4 => select(ports).prop_map(|port| Action::Output { port, max_len: 64 }),
        1 => Just(Action::OutputReg { source: bits("reg0", 0, 2), max_len: 0 }),
        1 => select(vec![PortNo(1), PortNo(5), PortNo::FLOOD])
            .prop_map(|port| Action::OutputTruncated { port, max_len: 20 }),
        1 => Just(Action::Enqueue { port: PortNo(2), queue: 4 }),
        1 => select(vec![Action::SetQueue(1), Action::PopQueue]),
        1 => any::<bool>().prop_map(|pauses| Action::Controller(Box::new(Controller {
            max_len: 65535, controller_id: 1, reason: 1, pauses, ..Controller::default()
        }))),
        1 => (fields, any::<bool>()).prop_map(|(fields, loads)| Action::Bundle(Box::new(Bundle {
            fields,
            basis: 0,
            algorithm: BundleAlgorithm::Hrw,
            members: Box::new([PortNo(1), PortNo(2), PortNo(3)]),
            destination: loads.then(|| bits("reg1", 0, 16)),
        }))),
        1 => Just(Action::Multipath(Box::new(Multipath {
            fields: HashFields::SymmetricL3L4Udp,
            basis: 1,
            algorithm: MultipathAlgorithm::ModuloN,
            max_link: 2,
            argument: 0,
            destination: bits("reg0", 0, 4),
        }))),
        2 => select(vec![1, 2]).prop_map(|id| Action::Group(GroupId(id))),
    ]
}

/// Looks up in a later table than this one.
fn any_resubmit(table: u8) -> impl Strategy<Value = Action> {
    let ports = select(vec![PortNo::IN_PORT, PortNo(2)]);
    (table + 1..TABLES.max(table + 2), ports).prop_map(|(table, in_port)| {
        let table = TableId(table);
        Action::Resubmit(Resubmit { in_port, table, with_ct: false, names_table: true })
    })
}

fn any_set_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        any_set(),
        select(vec![
            Action::Output { port: PortNo(2), max_len: 0 },
            Action::Output { port: PortNo(1), max_len: 0 },
            Action::Group(GroupId(2)),
            Action::StripVlan,
        ]),
    ]
}

/// A bucket: no groups, which might be this one.
pub(super) fn any_bucket_actions() -> impl Strategy<Value = Actions> {
    let ends = select(vec![
        Action::Output { port: PortNo(1), max_len: 0 },
        Action::Output { port: PortNo(5), max_len: 0 },
        Action::Resubmit(Resubmit {
            in_port: PortNo::IN_PORT,
            table: TableId(TABLES - 1),
            with_ct: false,
            names_table: true,
        }),
    ]);
    let changes = prop::collection::vec(prop_oneof![any_set(), Just(Action::StripVlan)], 0..2);
    (changes, ends).prop_map(|(mut actions, end)| {
        actions.push(end);
        actions.into()
    })
}

/// Actions of a rule of a table; those of the last table use no groups, whose buckets look there.
pub(super) fn any_actions(table: u8) -> impl Strategy<Value = Actions> {
    let plain = move || {
        prop_oneof![
            4 => any_set(),
            2 => any_move(),
            1 => any_stack(),
            3 => any_headers(),
            5 => any_output(),
            3 => any_resubmit(table),
        ]
    };
    let clone = prop::collection::vec(plain(), 0..4).prop_map(|list| Action::Clone(list.into()));
    let set = prop::collection::vec(any_set_action(), 0..3);
    let larger = Action::CheckPktLarger { bytes: 70, destination: bits("reg1", 0, 1) };
    let list = prop_oneof![
        12 => plain(),
        3 => clone,
        1 => select(vec![Action::Exit, larger]),
    ];
    let instruction = prop_oneof![
        3 => set.prop_map(|set| Action::WriteActions(set.into())),
        1 => select(vec![Action::ClearActions, Action::WriteMetadata { value: 2, mask: 3 }]),
    ];
    let next =
        (table + 1..TABLES.max(table + 2)).prop_map(|table| Action::GotoTable(TableId(table)));
    let ends = (prop::option::of(instruction), prop::option::of(next));
    (prop::collection::vec(list, 1..8), ends).prop_map(move |(mut actions, (one, two))| {
        actions.extend(one.into_iter().chain(two));
        if table + 1 >= TABLES {
            actions.retain(|action| !uses_group(action));
        }
        actions.into()
    })
}

fn uses_group(action: &Action) -> bool {
    matches!(action, Action::Group(_)) || action.nested().iter().any(uses_group)
}
