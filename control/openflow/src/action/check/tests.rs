use super::{Limits, check};
use std::slice::from_ref;
use weft_flow::action::{Ct, Resubmit, SetForm, ZoneSource};
use weft_flow::request::Refusal;
use weft_flow::{Action, Field, Match, MeterId, PortNo, Subfield, TableId, Version};

const LIMITS: Limits =
    Limits { version: Version::V13, port_end: 0xff00, table: TableId(5), tables: 254 };

fn field(name: &str) -> Field {
    Field::by_name(name).unwrap()
}

fn of(fields: &[(&str, u128)]) -> Match {
    let mut matching = Match::any();
    for (name, value) in fields {
        matching.set_exact(field(name), *value);
    }
    matching
}

fn set(name: &str, value: u128) -> Action {
    let field = field(name);
    let mask = weft_flow::field::ones(field.bits());
    Action::SetField { field, value, mask, has_vlan: false, form: SetForm::Field }
}

fn say(actions: &[Action], matching: &Match, version: Version) -> Result<Vec<Action>, Refusal> {
    let mut actions = actions.to_vec();
    check(&mut actions, matching, &Limits { version, ..LIMITS }).map(|()| actions)
}

#[test]
fn headers_must_be_there_except_in_version_1_0() {
    let ip = of(&[("eth_type", 0x0800)]);
    let tcp = of(&[("eth_type", 0x0800), ("nw_proto", 6)]);
    let any = Match::any();
    for (action, fits, lacks) in [
        (set("ip_src", 1), &ip, &any),
        (set("tcp_src", 1), &tcp, &ip),
        (Action::SetIpv4Src([1; 4]), &ip, &any),
        (Action::DecTtl { controllers: [0].into(), lists_ids: false }, &ip, &any),
        (Action::SetL4SrcPort { port: 1, protocol: 6 }, &tcp, &ip),
        (Action::DecMplsTtl, &of(&[("eth_type", 0x8847)]), &ip),
        (Action::StripVlan, &of(&[("dl_vlan", 5)]), &any),
        (set("vlan_vid", 0x1005), &of(&[("dl_vlan", 5)]), &any),
    ] {
        assert_eq!(say(from_ref(&action), lacks, Version::V13), Err(Refusal::MatchInconsistent));
        assert!(say(from_ref(&action), lacks, Version::V10).is_ok(), "{action:?}");
        assert!(say(from_ref(&action), fits, Version::V15).is_ok(), "{action:?}");
    }
}

#[test]
fn parts_of_fields_and_tracking_are_strict_in_all_versions() {
    let bits = Subfield { field: field("tcp_src"), offset: 0, bits: 16 };
    let ct = |commits, helper| {
        let (zone, actions) = (ZoneSource::Value(0), [].into());
        Action::Ct(Box::new(Ct { commits, forces: false, zone, table: None, helper, actions }))
    };
    let resubmit =
        Resubmit { in_port: PortNo::IN_PORT, table: TableId(6), with_ct: true, names_table: true };
    let ip = of(&[("eth_type", 0x0800)]);
    let mut invalid = ip.clone();
    invalid.set(field("ct_state"), 0x30, 0x30);
    let refused = Err(Refusal::MatchInconsistent);
    for (action, matching) in [
        (Action::Push(bits), &ip),
        (ct(false, 0), &Match::any()),
        (ct(true, 21), &ip),
        (ct(true, 0), &invalid),
        (Action::Resubmit(resubmit), &ip),
    ] {
        assert_eq!(say(from_ref(&action), matching, Version::V10), refused, "{action:?}");
    }
    assert!(say(&[ct(false, 0)], &invalid, Version::V10).is_ok());
    assert!(say(&[ct(true, 0)], &ip, Version::V10).is_ok());
}

#[test]
fn earlier_actions_count() {
    let push = Action::PushVlan { ethertype: 0x8100 };
    let vid = set("vlan_vid", 0x1005);
    let any = Match::any();
    let all = say(&[push.clone(), vid.clone()], &any, Version::V13).unwrap();
    assert!(matches!(all[1], Action::SetField { has_vlan: true, .. }));
    assert!(say(&[push.clone(), Action::StripVlan, vid], &any, Version::V13).is_err());
    let three = [push.clone(), push.clone(), push];
    assert_eq!(say(&three, &any, Version::V10), Err(Refusal::BadTag));
    let ip = of(&[("eth_type", 0x0800)]);
    let mpls = Action::PushMpls { ethertype: 0x8847 };
    assert!(say(&[mpls.clone(), Action::DecMplsTtl], &ip, Version::V13).is_ok());
    let behind = say(&[mpls, Action::SetIpTtl(1)], &ip, Version::V13);
    assert_eq!(behind, Err(Refusal::MatchInconsistent));
}

#[test]
fn what_actions_can_count_on_is_noted() {
    let tcp = of(&[("eth_type", 0x0800), ("nw_proto", 6), ("dl_vlan", 1)]);
    let port = Action::SetL4DstPort { port: 1, protocol: 0 };
    let vid = Action::SetVlanVid { vid: 1, pushes: true, has_vlan: false };
    let all = say(&[Action::Clone([port, vid].into())], &tcp, Version::V13).unwrap();
    let [Action::Clone(inside)] = &all[..] else { panic!("{all:?}") };
    assert!(matches!(inside[0], Action::SetL4DstPort { protocol: 6, .. }));
    assert!(matches!(inside[1], Action::SetVlanVid { has_vlan: true, .. }));
}

#[test]
fn ports_tables_and_meters_are_bounded() {
    let any = Match::any();
    let one = |action: Action| say(&[action], &any, Version::V10).map(drop);
    let output = |port| Action::Output { port: PortNo(port), max_len: 0 };
    assert_eq!(one(output(0xff00)), Err(Refusal::BadOutPort));
    assert_eq!(one(output(PortNo::ANY.0)), Err(Refusal::BadOutPort));
    assert_eq!(one(output(PortNo::LOCAL.0)), Ok(()));
    let enqueue = Action::Enqueue { port: PortNo::NORMAL, queue: 1 };
    assert_eq!(one(enqueue), Err(Refusal::BadOutPort));
    for (table, answer) in
        [(5, Err(Refusal::InstBadTableId)), (6, Ok(())), (254, Err(Refusal::InstBadTableId))]
    {
        assert_eq!(one(Action::GotoTable(TableId(table))), answer);
    }
    assert_eq!(one(Action::Meter(MeterId(0))), Err(Refusal::InvalidMeter));
    assert_eq!(one(Action::Meter(MeterId(0xffff_0001))), Err(Refusal::InvalidMeter));
}
