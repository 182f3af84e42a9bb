//! Values of all kinds are said in each version that can say them, and read again.
#![expect(clippy::unwrap_used, reason = "a test")]

mod fixture;

use fixture::options;
use proptest::prelude::*;
use proptest::sample::select;
use weft_flow::action::{
    Bundle, BundleAlgorithm, Conjunction, Controller, Ct, FinTimeout, HashFields, Learn,
    LearnDestination, LearnFlags, LearnSource, LearnSpec, Multipath, MultipathAlgorithm, Nat,
    NatAddresses, NatFlags, Resubmit, Sample, SampleDirection, SampleNumber, SetForm, ZoneSource,
};
use weft_flow::field::ones;
use weft_flow::{Action, Field, GroupId, Match, MeterId, PortNo, Slot, Subfield, TableId, Version};
use weft_openflow::bytes::Reader;
use weft_openflow::matching::{Cookie, decode_nxm, encode, encode_nxm};
use weft_openflow::{action, instruction, matching};

fn field(name: &str) -> Field {
    Field::by_name(name).unwrap()
}

/// Fields with their values.
type Needed = &'static [(&'static str, u128)];

/// What fields of a packet's headers need, and fields that it then has.
const HEADERS: [(Needed, &[&str]); 7] = [
    (&[], &[]),
    (&[("eth_type", 0x0800), ("nw_proto", 6)], &["ip_src", "nw_ttl", "tcp_src", "tcp_flags"]),
    (&[("eth_type", 0x86dd), ("nw_proto", 17)], &["ipv6_src", "ipv6_label", "udp_dst", "nw_ecn"]),
    (&[("eth_type", 0x0806)], &["arp_op", "arp_spa", "arp_tha"]),
    (&[("eth_type", 0x8847)], &["mpls_label", "mpls_tc", "mpls_bos", "mpls_ttl"]),
    (&[("eth_type", 0x0800), ("nw_proto", 1)], &["icmp_type", "icmp_code", "ip_dst"]),
    (
        &[("eth_type", 0x86dd), ("nw_proto", 58), ("icmpv6_type", 135), ("icmpv6_code", 0)],
        &["nd_target", "nd_sll", "nd_reserved", "nd_options_type"],
    ),
];

/// Fields that need nothing.
const PLAIN: [&str; 20] = [
    "reg0",
    "reg7",
    "xreg4",
    "xxreg3",
    "metadata",
    "tun_id",
    "tun_src",
    "tun_ipv6_dst",
    "tun_gbp_id",
    "tun_gbp_flags",
    "tun_metadata0",
    "pkt_mark",
    "ct_zone",
    "ct_mark",
    "ct_label",
    "conj_id",
    "in_port_oxm",
    "eth_src",
    "eth_dst",
    "actset_output",
];

fn any_match() -> impl Strategy<Value = Match> {
    let fields =
        prop::collection::vec((select(PLAIN.to_vec()), any::<u128>(), any::<u128>()), 0..6);
    let values = prop::collection::vec((any::<u128>(), any::<u128>()), 4);
    (fields, select(HEADERS.to_vec()), values).prop_map(|(fields, (needed, names), values)| {
        let mut matching = Match::any();
        for (name, value) in needed {
            matching.set_exact(field(name), *value);
        }
        let headers = names.iter().zip(values).map(|(name, (value, mask))| (*name, value, mask));
        for (name, value, mask) in fields.into_iter().chain(headers) {
            let of = field(name);
            let bits = if name == "tun_metadata0" { 32 } else { of.bits() };
            let mask = if of.is_maskable() { mask & ones(bits) } else { ones(bits) };
            let value = if name == "in_port_oxm" { value & 0x7fff } else { value & mask };
            let value = if name == "arp_op" { value & 0xff } else { value };
            matching.set(of, value, mask);
        }
        matching
    })
}

fn bits() -> impl Strategy<Value = Subfield> {
    let names = ["reg3", "xreg1", "metadata", "tun_metadata0", "pkt_mark"];
    (select(names.to_vec()), 0u16..17, 1u16..16).prop_map(|(name, offset, bits)| Subfield {
        field: field(name),
        offset,
        bits,
    })
}

fn port() -> impl Strategy<Value = PortNo> {
    prop_oneof![(1..0xff00u32).prop_map(PortNo), select(vec![PortNo::IN_PORT, PortNo::LOCAL])]
}

fn set_field() -> impl Strategy<Value = Action> {
    let names = ["reg3", "xreg1", "xxreg2", "metadata", "eth_src", "ipv6_dst", "ip_src", "tun_id"];
    (select(names.to_vec()), any::<u128>(), any::<u128>()).prop_map(|(name, value, mask)| {
        let field = field(name);
        let mask = mask & ones(field.bits());
        let form = SetForm::Field;
        Action::SetField { field, value: value & mask, mask, has_vlan: false, form }
    })
}

fn learn() -> impl Strategy<Value = Action> {
    let spec = prop_oneof![
        (bits(), bits(), any::<bool>()).prop_map(|(from, to, loads)| {
            let (bits, to) = (from.bits, Subfield { bits: from.bits, ..to });
            let destination =
                if loads { LearnDestination::Load(to) } else { LearnDestination::Match(to) };
            LearnSpec { bits, source: LearnSource::Field(from), destination }
        }),
        (any::<u128>(), bits()).prop_map(|(value, to)| {
            let source = LearnSource::Value(value & ones(to.bits.into()));
            LearnSpec { bits: to.bits, source, destination: LearnDestination::Match(to) }
        }),
        bits().prop_map(|from| {
            let source = LearnSource::Field(from);
            LearnSpec { bits: from.bits, source, destination: LearnDestination::Output }
        }),
    ];
    let numbers = any::<(u16, u16, u16, u64, u16, u16)>();
    let specs = prop::collection::vec(spec, 0..5);
    (numbers, any::<[bool; 3]>(), any::<u32>(), 0..255u8, bits(), specs).prop_map(
        |(numbers, [removed, deletes, has_limit_form], limit, table, result, specs)| {
            let (idle_timeout, hard_timeout, priority, cookie, fin_idle, fin_hard) = numbers;
            let result = Subfield { bits: 1, ..result };
            Action::Learn(Box::new(Learn {
                idle_timeout,
                hard_timeout,
                priority,
                cookie,
                flags: LearnFlags {
                    sends_flow_removed: removed,
                    deletes_learned: deletes,
                    writes_result: has_limit_form,
                },
                table: TableId(table),
                fin_idle_timeout: fin_idle,
                fin_hard_timeout: fin_hard,
                limit: if has_limit_form { limit } else { 0 },
                result: has_limit_form.then_some(result),
                has_limit_form,
                specs: specs.into(),
            }))
        },
    )
}

fn ct() -> impl Strategy<Value = Action> {
    let addresses = prop_oneof![
        Just(NatAddresses::None),
        any::<[u8; 4]>().prop_map(|of| NatAddresses::V4([1, of[1], of[2], of[3]], Some([255; 4]))),
        any::<u8>().prop_map(|of| NatAddresses::V6([1.max(of); 16], None)),
    ];
    (any::<[bool; 4]>(), addresses, any::<u16>(), any::<u8>(), bits()).prop_map(
        |([forces, source, persistent, has_field], addresses, number, table, zone)| {
            let ports =
                (addresses != NatAddresses::None).then_some((number.max(1), Some(u16::MAX)));
            let flags = NatFlags { source, persistent, ..NatFlags::default() };
            let nat = Action::Nat(Box::new(Nat { flags, addresses, ports }));
            let zone = if has_field {
                ZoneSource::Field(Subfield { bits: 16, offset: zone.offset.min(16), ..zone })
            } else {
                ZoneSource::Value(number)
            };
            let table = Some(TableId(table)).filter(|table| *table != TableId::ALL);
            let actions = [nat].into();
            Action::Ct(Box::new(Ct { commits: true, forces, zone, table, helper: 21, actions }))
        },
    )
}

fn controller() -> impl Strategy<Value = Action> {
    let userdata = prop::collection::vec(any::<u8>(), 0..20);
    (any::<(u16, u16, u8)>(), userdata, any::<bool>(), any::<u32>()).prop_map(
        |((max_len, controller_id, reason), userdata, pauses, meter)| {
            let meter = Some(MeterId(meter)).filter(|meter| meter.0 != 0);
            Action::Controller(Box::new(Controller {
                max_len,
                controller_id,
                reason,
                userdata: userdata.into(),
                pauses,
                meter,
                has_properties: true,
            }))
        },
    )
}

fn choices() -> impl Strategy<Value = Action> {
    let members = prop::collection::vec(port(), 0..9);
    (members, any::<(u16, u16, u32)>(), bits(), any::<bool>()).prop_map(
        |(members, (basis, max_link, argument), bits, is_bundle)| {
            let destination = Subfield { bits: 16, offset: 0, ..bits };
            if is_bundle {
                return Action::Bundle(Box::new(Bundle {
                    fields: HashFields::NwDst,
                    basis,
                    algorithm: BundleAlgorithm::Hrw,
                    members: members.into(),
                    destination: (argument % 2 == 0).then_some(destination),
                }));
            }
            Action::Multipath(Box::new(Multipath {
                fields: HashFields::SymmetricL3L4Udp,
                basis,
                algorithm: MultipathAlgorithm::IterHash,
                max_link,
                argument,
                destination,
            }))
        },
    )
}

/// Actions that all versions from 1.0 on say in the same form.
fn any_action() -> impl Strategy<Value = Action> {
    let sample = any::<(u16, u32, u32, u32)>().prop_map(|(probability, set, domain, point)| {
        Action::Sample(Box::new(Sample {
            probability: probability.max(1),
            collector_set: set,
            domain: SampleNumber::Value(domain),
            point: SampleNumber::Value(point),
            sampling_port: PortNo::LOCAL,
            direction: SampleDirection::Egress,
            form: 3,
        }))
    });
    let clauses = (2..65u8, any::<u32>()).prop_map(|(clauses, id)| {
        Action::Conjunction(Conjunction { id, clause: clauses - 1, clauses })
    });
    let resubmit = (port(), 0..255u8, any::<bool>()).prop_map(|(in_port, table, with_ct)| {
        let table = TableId(table);
        Action::Resubmit(Resubmit { in_port, table, with_ct, names_table: true })
    });
    let small = prop_oneof![
        (port(), any::<u16>()).prop_map(|(port, max_len)| Action::Output { port, max_len }),
        (port(), 14..9999u32).prop_map(|(port, max_len)| Action::OutputTruncated { port, max_len }),
        (bits(), any::<u16>()).prop_map(|(source, max_len)| Action::OutputReg { source, max_len }),
        any::<u32>().prop_map(|group| Action::Group(GroupId(group))),
        any::<u32>().prop_map(Action::SetQueue),
        any::<(u16, u16)>().prop_map(|(idle, hard)| Action::FinTimeout(FinTimeout { idle, hard })),
        bits().prop_map(Action::Push),
        bits().prop_map(Action::Pop),
        (bits(), any::<u16>()).prop_map(|(to, bytes)| Action::CheckPktLarger {
            bytes,
            destination: Subfield { bits: 1, ..to },
        }),
        prop::collection::vec(any::<u16>(), 0..5)
            .prop_map(|ids| Action::DecTtl { controllers: ids.into(), lists_ids: true }),
        prop::collection::vec(any::<u8>(), 6).prop_map(|note| Action::Note(note.into())),
        select(vec![Action::Exit, Action::PopQueue, Action::CtClear, Action::StripVlan]),
    ];
    prop_oneof![4 => small, 1 => sample, 1 => clauses, 1 => resubmit, 1 => learn(), 1 => ct(), 1 => controller(), 1 => choices()]
}

proptest! {
    #[test]
    fn matches_come_back(of in any_match()) {
        let tlvs = options();
        for version in [Version::V11, Version::V12, Version::V13, Version::V14, Version::V15] {
            let mut out = Vec::new();
            encode(&of, version, &tlvs, &mut out);
            prop_assert_eq!(out.len() % 8, 0);
            let again = matching::decode(version, &mut Reader::new(&out), &tlvs);
            prop_assert_eq!(again, Ok(of.clone()));
        }
        let cookie = Cookie { value: 5, mask: 0xff };
        let mut out = Vec::new();
        let len = encode_nxm(&of, cookie, &tlvs, &mut out);
        let again = decode_nxm(&mut Reader::new(&out), len, &tlvs);
        prop_assert_eq!(again, Ok((of, cookie)));
    }

    #[test]
    fn actions_come_back(one in any_action(), other in any_action()) {
        let tlvs = options();
        let nested = Action::Clone([one.clone()].into());
        let is_alone = |action: &Action| matches!(action, Action::Conjunction(_));
        let list = if is_alone(&one) || is_alone(&other) { vec![one] } else { vec![nested, other] };
        for version in Version::ALL {
            let mut out = Vec::new();
            action::encode(&list, version, &tlvs, &mut out);
            let again = action::decode(&out, version, &tlvs).map(Vec::from);
            prop_assert_eq!(again, Ok(list.clone()), "{:?}", version);
        }
    }

    #[test]
    fn instructions_come_back(apply in set_field(), write in set_field(), value: u64, mask: u64) {
        let tlvs = options();
        let list = vec![
            Action::Meter(MeterId(1)),
            apply,
            Action::ClearActions,
            Action::WriteActions([write].into()),
            Action::WriteMetadata { value: value & mask, mask },
            Action::GotoTable(TableId(7)),
        ];
        let mut out = Vec::new();
        instruction::encode(&list, Version::V15, &tlvs, &mut out);
        let again = instruction::decode(&out, Version::V15, &tlvs).map(Vec::from);
        prop_assert_eq!(again, Ok(list));
    }
}

#[test]
fn a_match_has_its_option() {
    let mut of = Match::any();
    of.set(field("tun_metadata0"), 0, 0);
    assert_eq!(of.slot(Slot::TunPresent).mask, 1);
}
