//! Actions that stock takes in version 1.5, in its order.

use super::{mask, value};
use proptest::prelude::*;
use weft_flow::action::{
    Bundle, BundleAlgorithm, Controller, Ct, HashFields, Learn, LearnDestination, LearnFlags,
    LearnSource, LearnSpec, Multipath, MultipathAlgorithm, Nat, NatAddresses, NatFlags, Resubmit,
    Sample, SampleDirection, SampleNumber, SetForm, ZoneSource,
};
use weft_flow::field::ones;
use weft_flow::{Action, Field, GroupId, PortNo, Subfield, TableId};

fn field(name: &str) -> Field {
    Field::by_name(name).expect("a field")
}

fn ports() -> impl Strategy<Value = PortNo> {
    prop_oneof![
        (1u32..0xff00).prop_map(PortNo),
        prop::sample::select(vec![PortNo::IN_PORT, PortNo::LOCAL]),
    ]
}

/// Bits of a register.
fn bits() -> impl Strategy<Value = Subfield> {
    let fields: Vec<Field> = ["reg0", "reg7", "xreg3", "xxreg1", "metadata", "tun_id", "eth_src"]
        .into_iter()
        .map(field)
        .collect();
    prop::sample::select(fields).prop_flat_map(|of| {
        let width = u16::try_from(of.bits()).expect("small");
        (1..=width).prop_flat_map(move |bits| {
            (0..=width - bits).prop_map(move |offset| Subfield { field: of, offset, bits })
        })
    })
}

fn narrow() -> impl Strategy<Value = Subfield> {
    (1u16..=16, 0u16..=16).prop_map(|(bits, offset)| Subfield {
        field: field("reg3"),
        offset,
        bits,
    })
}

fn bit() -> impl Strategy<Value = Subfield> {
    (0u16..32).prop_map(|offset| Subfield { field: field("reg4"), offset, bits: 1 })
}

fn set_field() -> impl Strategy<Value = Action> {
    let names = [
        "reg0",
        "reg15",
        "xreg2",
        "xxreg3",
        "metadata",
        "tun_id",
        "tun_src",
        "tun_dst",
        "tun_ipv6_dst",
        "pkt_mark",
        "eth_src",
        "eth_dst",
        "tun_gbp_id",
        "in_port",
    ];
    let fields: Vec<Field> = names.into_iter().map(field).collect();
    prop::sample::select(fields).prop_flat_map(|field| {
        (value(), mask(field)).prop_map(move |(value, mask)| {
            let value = if field.name() == "in_port" { value & 0x7fff } else { value };
            Action::SetField {
                field,
                value: value & mask,
                mask,
                has_vlan: false,
                form: SetForm::Field,
            }
        })
    })
}

/// A run of bits of a register, at most 64.
pub fn load() -> impl Strategy<Value = Action> {
    let bits = bits().prop_filter("one run", |bits| bits.bits <= 64);
    (bits, value()).prop_map(|(to, value)| {
        let mask = ones(to.bits.into()) << to.offset;
        let value = value << to.offset & mask;
        Action::SetField { field: to.field, value, mask, has_vlan: false, form: SetForm::Load }
    })
}

fn controller() -> impl Strategy<Value = Action> {
    let userdata = prop::collection::vec(any::<u8>(), 0..5);
    (any::<u16>(), 0u16..3, 0u8..3, userdata, any::<bool>()).prop_map(
        |(max_len, controller_id, reason, userdata, pauses)| {
            let of = Controller {
                max_len,
                controller_id,
                reason,
                userdata: userdata.into(),
                pauses,
                meter: None,
                has_properties: true,
            };
            // Without anything special it is an output.
            if of.controller_id == 0 && of.reason == 1 && of.userdata.is_empty() && !of.pauses {
                return Action::Output { port: PortNo::CONTROLLER, max_len };
            }
            Action::Controller(Box::new(of))
        },
    )
}

fn resubmit() -> impl Strategy<Value = Action> {
    let port = prop_oneof![Just(PortNo::IN_PORT), (1u32..100).prop_map(PortNo)];
    let table = prop_oneof![(0u8..254).prop_map(TableId), Just(TableId::ALL)];
    (port, table).prop_filter_map("says something", |(in_port, table)| {
        let is_possible = table != TableId::ALL || in_port != PortNo::IN_PORT;
        // With a connection it needs a match that has one.
        is_possible.then_some(Action::Resubmit(Resubmit {
            in_port,
            table,
            with_ct: false,
            names_table: true,
        }))
    })
}

fn nat() -> impl Strategy<Value = Action> {
    let addresses = prop_oneof![
        (1u8..100, prop::option::of(101u8..200)).prop_map(|(first, last)| {
            NatAddresses::V4([10, 0, 0, first], last.map(|last| [10, 0, 0, last]))
        }),
        (1u16..100, prop::option::of(101u16..200)).prop_map(|(first, last)| {
            let address = |low: u16| (0xfe80u128 << 112 | u128::from(low)).to_be_bytes();
            NatAddresses::V6(address(first), last.map(address))
        }),
    ];
    let ports = prop::option::of((1u16..100, prop::option::of(101u16..200)));
    let kind = 0u8..4;
    (addresses, ports, any::<bool>(), kind).prop_map(|(addresses, ports, source, kind)| {
        let plain = Nat {
            flags: NatFlags { source, destination: !source, ..NatFlags::default() },
            ..Nat::default()
        };
        Action::Nat(Box::new(match kind {
            0 => Nat::default(),
            1 => plain,
            _ => Nat {
                flags: NatFlags {
                    persistent: kind == 3,
                    hashes_ports: kind == 2 && ports.is_some(),
                    random_ports: kind == 3 && ports.is_some(),
                    ..plain.flags
                },
                addresses,
                ports,
            },
        }))
    })
}

fn ct() -> impl Strategy<Value = Action> {
    let sets = prop::collection::vec(
        (prop::sample::select(vec!["ct_mark", "ct_label"]), value()).prop_map(|(name, value)| {
            let field = field(name);
            let mask = ones(field.bits());
            Action::SetField {
                field,
                value: value & mask,
                mask,
                has_vlan: false,
                form: SetForm::Field,
            }
        }),
        0..3,
    );
    let zone = prop_oneof![
        any::<u16>().prop_map(ZoneSource::Value),
        (0u16..=16).prop_map(|offset| {
            ZoneSource::Field(Subfield { field: field("reg13"), offset, bits: 16 })
        }),
    ];
    let table = prop::option::of((0u8..254).prop_map(TableId));
    (any::<bool>(), any::<bool>(), zone, table, prop::option::of(nat()), sets).prop_map(
        |(commits, forces, zone, table, nat, sets)| {
            let is_plain = |nat: &Action| matches!(nat, Action::Nat(nat) if !nat.flags.source && !nat.flags.destination);
            let mut actions: Vec<Action> =
                nat.into_iter().filter(|nat| commits || is_plain(nat)).collect();
            if commits {
                actions.extend(sets);
            }
            let ct = Ct {
                commits,
                forces: commits && forces,
                zone,
                table,
                helper: 0,
                actions: actions.into(),
            };
            Action::Ct(Box::new(ct))
        },
    )
}

fn hash() -> impl Strategy<Value = HashFields> {
    prop::sample::select(vec![
        HashFields::EthSrc,
        HashFields::SymmetricL4,
        HashFields::SymmetricL3L4,
        HashFields::SymmetricL3L4Udp,
        HashFields::SymmetricL3,
    ])
}

fn bundle() -> impl Strategy<Value = Action> {
    let members = prop::collection::vec((1u32..100).prop_map(PortNo), 1..4);
    let destination =
        prop::option::of(Just(Subfield { field: field("reg1"), offset: 0, bits: 16 }));
    (hash(), any::<u16>(), any::<bool>(), members, destination).prop_map(
        |(fields, basis, hrw, members, destination)| {
            let algorithm = if hrw { BundleAlgorithm::Hrw } else { BundleAlgorithm::ActiveBackup };
            let members = members.into();
            Action::Bundle(Box::new(Bundle { fields, basis, algorithm, members, destination }))
        },
    )
}

fn multipath() -> impl Strategy<Value = Action> {
    let algorithm = prop::sample::select(vec![
        MultipathAlgorithm::ModuloN,
        MultipathAlgorithm::HashThreshold,
        MultipathAlgorithm::Hrw,
        MultipathAlgorithm::IterHash,
    ]);
    (hash(), any::<u16>(), algorithm, 0u16..100, any::<u16>()).prop_map(
        |(fields, basis, algorithm, max_link, argument)| {
            Action::Multipath(Box::new(Multipath {
                fields,
                basis,
                algorithm,
                max_link,
                argument: argument.into(),
                destination: Subfield { field: field("reg1"), offset: 0, bits: 8 },
            }))
        },
    )
}

fn spec() -> impl Strategy<Value = LearnSpec> {
    let eth_src = Subfield::whole(field("eth_src"));
    let eth_dst = Subfield::whole(field("eth_dst"));
    let reg = |offset, bits| Subfield { field: field("reg2"), offset, bits };
    prop_oneof![
        Just(LearnSpec {
            bits: 48,
            source: LearnSource::Field(eth_src),
            destination: LearnDestination::Match(eth_dst),
        }),
        Just(LearnSpec {
            bits: 48,
            source: LearnSource::Field(eth_src),
            destination: LearnDestination::Match(eth_src),
        }),
        (0u128..0xffff).prop_map(move |value| LearnSpec {
            bits: 32,
            source: LearnSource::Value(value),
            destination: LearnDestination::Match(reg(0, 32)),
        }),
        (0u128..16).prop_map(move |value| LearnSpec {
            bits: 4,
            source: LearnSource::Value(value),
            destination: LearnDestination::Load(reg(3, 4)),
        }),
        Just(LearnSpec {
            bits: 16,
            source: LearnSource::Field(Subfield::whole(field("in_port"))),
            destination: LearnDestination::Load(reg(0, 16)),
        }),
        Just(LearnSpec {
            bits: 16,
            source: LearnSource::Field(Subfield::whole(field("in_port"))),
            destination: LearnDestination::Output,
        }),
    ]
}

fn learn() -> impl Strategy<Value = Action> {
    let times = (0u16..9, 0u16..9, 0u16..9, 0u16..9);
    let flags = (any::<bool>(), any::<bool>());
    let limit = prop::option::of((1u32..9, prop::option::of(bit())));
    let specs = prop::collection::vec(spec(), 0..4);
    (times, flags, any::<u16>(), 0u64..9, limit, specs).prop_map(
        |(times, flags, priority, cookie, limit, specs)| {
            let (limit, result) = limit.unwrap_or((0, None));
            Action::Learn(Box::new(Learn {
                idle_timeout: times.0,
                hard_timeout: times.1,
                priority,
                cookie,
                flags: LearnFlags {
                    sends_flow_removed: flags.0,
                    deletes_learned: flags.1,
                    writes_result: result.is_some(),
                },
                table: TableId(7),
                fin_idle_timeout: times.2,
                fin_hard_timeout: times.3,
                limit,
                result,
                has_limit_form: limit != 0,
                specs: specs.into(),
            }))
        },
    )
}

fn sample() -> impl Strategy<Value = Action> {
    let direction = prop::sample::select(vec![
        SampleDirection::Default,
        SampleDirection::Ingress,
        SampleDirection::Egress,
    ]);
    let port = prop::option::of((1u32..100).prop_map(PortNo));
    (1u16.., any::<u32>(), any::<u32>(), any::<u32>(), direction, port).prop_map(
        |(probability, collector_set, domain, point, direction, port)| {
            Action::Sample(Box::new(Sample {
                probability,
                collector_set,
                domain: SampleNumber::Value(domain),
                point: SampleNumber::Value(point),
                sampling_port: port.unwrap_or(PortNo::ANY),
                direction,
                form: 3,
            }))
        },
    )
}

/// One without others inside.
fn plain() -> BoxedStrategy<Action> {
    prop_oneof![
        4 => (1u32..0xff00).prop_map(|port| Action::Output { port: PortNo(port), max_len: 0 }),
        2 => prop::sample::select(vec![
            PortNo::IN_PORT, PortNo::NORMAL, PortNo::FLOOD, PortNo::ALL, PortNo::LOCAL,
        ]).prop_map(|port| Action::Output { port, max_len: 0 }),
        2 => narrow().prop_map(|source| Action::OutputReg { source, max_len: u16::MAX }),
        2 => (ports(), 14u32..9999).prop_map(|(port, max_len)| Action::OutputTruncated { port, max_len }),
        4 => controller(),
        2 => any::<u16>().prop_map(|group| Action::Group(GroupId(group.into()))),
        6 => set_field(),
        3 => (bits(), bits()).prop_filter_map("as wide", |(source, destination)| {
            (source.bits == destination.bits).then_some(Action::Move { source, destination, is_copy: true })
        }),
        2 => bits().prop_map(Action::Push),
        2 => bits().prop_map(Action::Pop),
        1 => (0u8..64).prop_map(|number| Action::DeleteField(Field::tun_metadata(number).expect("one"))),
        4 => resubmit(),
        1 => any::<u32>().prop_map(Action::SetQueue),
        1 => Just(Action::PopQueue),
        1 => Just(Action::CtClear),
        1 => Just(Action::Exit),
        1 => prop::collection::vec(any::<u8>(), 6..=6).prop_map(|note| Action::Note(note.into())),
        2 => (any::<u16>(), bit()).prop_map(|(bytes, destination)| Action::CheckPktLarger { bytes, destination }),
        4 => ct(),
        2 => bundle(),
        2 => multipath(),
        3 => learn(),
        2 => sample(),
    ]
    .boxed()
}

/// Any action that needs no layer.
pub fn action() -> BoxedStrategy<Action> {
    let inside =
        prop::collection::vec(plain(), 1..4).prop_map(|actions| Action::Clone(actions.into()));
    prop_oneof![8 => plain(), 1 => inside].boxed()
}
