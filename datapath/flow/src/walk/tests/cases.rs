//! What walks do in particular cases.

use super::bridge::{Bridge, Net};
use super::generate::{bits, field};
use super::record::Sent;
use super::{key, sent};
use crate::action::{
    Ct, FinTimeout, Learn, LearnDestination, LearnFlags, LearnSource, LearnSpec, Resubmit, Sample,
    SampleDirection, SampleNumber, SetForm, ZoneSource,
};
use crate::frames::{Kind, TCP, build};
use crate::program::{BridgeId, Context, Refused, Step, Target};
use crate::request::{Bucket, BucketId, GroupType, SelectMethod};
use crate::walk::act::action_set::picked;
use crate::walk::{Event, Fact, Sink, Walked, translate};
use crate::{
    Action, Bits, Group, GroupId, Key, Match, MeterId, PortNo, Rule, RuleId, Slot, TableId,
};
use std::sync::Arc;

fn output(port: u32) -> Action {
    Action::Output { port: PortNo(port), max_len: 0 }
}

fn resubmit(table: u8) -> Action {
    let (in_port, table) = (PortNo::IN_PORT, TableId(table));
    Action::Resubmit(Resubmit { in_port, table, with_ct: false, names_table: true })
}

fn set(name: &str, value: u128) -> Action {
    let (field, form) = (field(name), SetForm::Field);
    let mask = crate::field::ones(field.bits());
    Action::SetField { field, value, mask, has_vlan: false, form }
}

fn matching(name: &str, value: u128) -> Match {
    let mut matching = Match::any();
    matching.set_exact(field(name), value);
    matching
}

/// A bridge with these rules: table, match, actions.
fn net(rules: Vec<(u8, Match, Vec<Action>)>) -> Net {
    let rule = |(id, (table, matching, actions)): (u32, (u8, Match, Vec<Action>))| {
        let (id, cookie, table) = (RuleId(id), u64::from(id), TableId(table));
        Arc::new(Rule { id, table, priority: 1, cookie, matching, actions: actions.into() })
    };
    let rules = (0..).zip(rules).map(rule).collect();
    Net(Bridge { rules, ..Bridge::default() })
}

/// A bridge with one rule.
fn one(actions: Vec<Action>) -> Net {
    net(vec![(0, Match::any(), actions)])
}

fn frame() -> Vec<u8> {
    build(Kind::V4(TCP, 0, false), &[], &[7; 40], false)
}

fn walk(net: &Net) -> Walked {
    translate(&net.0, &key(&frame(), 1, 0), &mut ())
}

/// The ports that frames go to.
fn ports(net: &Net) -> Vec<u32> {
    let sent = sent(net, &walk(net), &key(&frame(), 1, 0), &frame());
    let port = |sent: &Sent| match sent {
        Sent::Frame { target: Target::Port(_, port), .. } => Some(port.0),
        _ => None,
    };
    sent.iter().filter_map(port).collect()
}

#[test]
fn too_much_is_nothing_but_a_drop() {
    let endless = one(vec![output(2), resubmit(0)]);
    assert_eq!(walk(&endless).program.steps(), [Step::Drop(Refused::TooDeep)]);
    let many = net(vec![
        (0, Match::any(), [vec![output(2)], vec![resubmit(1); 70]].concat()),
        (1, Match::any(), vec![resubmit(2); 70]),
        (2, Match::any(), vec![]),
    ]);
    assert_eq!(walk(&many).program.steps(), [Step::Drop(Refused::TooManyLookups)]);
    let stack = one(vec![Action::Push(bits("xxreg0", 0, 128)); 4097]);
    assert_eq!(walk(&stack).program.steps(), [Step::Drop(Refused::StackFull)]);
    let long = one(vec![output(2); 9000]);
    assert_eq!(walk(&long).program.steps(), [Step::Drop(Refused::TooLong)]);
    // As much as is allowed.
    let forward = (0..200).map(|table| (table, Match::any(), vec![resubmit(table + 1), output(2)]));
    assert_eq!(ports(&net(forward.collect())).len(), 200);
    let stack = one(vec![Action::Push(bits("xxreg0", 0, 128)); 4096]);
    assert_eq!(walk(&stack).program.steps(), []);
}

#[test]
fn what_is_not_built_drops_and_says_so() {
    let ct = Ct {
        commits: true,
        forces: false,
        zone: ZoneSource::Value(1),
        table: None,
        helper: 0,
        actions: Box::default(),
    };
    let ct = || Action::Ct(Box::new(ct.clone()));
    let net = one(vec![
        Action::Clone(Box::new([output(2), ct(), output(3)])),
        output(2),
        ct(),
        output(3),
    ]);
    assert_eq!(ports(&net), [2, 2]);
    let drops = sent(&net, &walk(&net), &key(&frame(), 1, 0), &frame());
    let dropped = Sent::Dropped(Refused::Ct);
    assert_eq!(drops.iter().filter(|sent| **sent == dropped).count(), 2);
    let sample = |collector_set| {
        Action::Sample(Box::new(Sample {
            probability: 1,
            collector_set,
            domain: SampleNumber::Value(1),
            point: SampleNumber::Value(1),
            sampling_port: PortNo::ANY,
            direction: SampleDirection::Default,
            form: 1,
        }))
    };
    assert_eq!(ports(&one(vec![sample(7), output(2)])), [2]);
    assert_eq!(ports(&one(vec![sample(1), output(2)])), [0u32; 0]);
}

#[test]
fn exit_ends_a_copy_or_all_but_the_action_set() {
    let set = Action::WriteActions(Box::new([output(4), output(3)]));
    let net = net(vec![
        (
            0,
            Match::any(),
            vec![set, Action::Clone(Box::new([Action::Exit, output(2)])), resubmit(1), output(2)],
        ),
        (1, Match::any(), vec![output(6), output(2), Action::Exit, output(2)]),
    ]);
    assert_eq!(ports(&net), [2, 3]);
}

#[test]
fn a_spent_ttl_ends_its_list_only() {
    let dec_ttl = Action::DecTtl { controllers: Box::new([4]), lists_ids: true };
    let net = net(vec![
        (0, Match::any(), vec![set("nw_ttl", 1), resubmit(1), output(2)]),
        (1, Match::any(), vec![dec_ttl, output(3)]),
    ]);
    assert_eq!(ports(&net), [2]);
    let sent = sent(&net, &walk(&net), &key(&frame(), 1, 0), &frame());
    let is_punt = |sent: &Sent| matches!(sent, Sent::Punt { controller: 4, reason: 2, .. });
    assert!(sent.iter().any(is_punt));
}

#[test]
fn only_what_decides_is_in_the_mask() {
    let net = net(vec![
        (0, Match::any(), vec![set("reg0", 5), set("eth_dst", 9), resubmit(1)]),
        (1, matching("reg0", 5), vec![resubmit(2)]),
        (2, matching("eth_dst", 9), vec![set("ip_src", 1), output(2)]),
    ]);
    let outcome = walk(&net);
    for slot in [Slot::Reg(0), Slot::EthDst, Slot::NwSrc, Slot::NwProto] {
        assert_eq!(outcome.reads.get(slot), 0, "{slot:?}");
    }
    for slot in [Slot::InPort, Slot::EthType, Slot::RecircId] {
        assert_eq!(outcome.reads.get(slot), slot.ones(), "{slot:?}");
    }
    assert_eq!(outcome.program.rules(), [RuleId(0), RuleId(1), RuleId(2)]);
    let ttl = walk(&one(vec![Action::DecTtl { controllers: Box::new([0]), lists_ids: false }]));
    assert_eq!(ttl.reads.get(Slot::NwTtl), 0xff);
}

#[test]
fn nothing_is_set_that_nobody_sees_or_that_is_so_already() {
    assert_eq!(walk(&one(vec![set("eth_dst", 9)])).program.steps(), []);
    let send = |bridge| Step::Send {
        target: Target::Port(bridge, PortNo(2)),
        max_len: u32::MAX,
        is_last: true,
    };
    let is_so = 0x0707_0707_0707;
    let net = net(vec![(
        0,
        matching("eth_dst", is_so),
        vec![set("eth_dst", 1), set("eth_dst", is_so), output(2)],
    )]);
    let outcome = walk(&net);
    assert_eq!(outcome.program.steps(), [send(BridgeId::default())]);
    // A copy that changes nothing is none.
    let clone = one(vec![Action::Clone(Box::new([set("reg0", 1), output(2)])), output(2)]);
    assert!(walk(&clone).program.steps().iter().all(|step| matches!(step, Step::Send { .. })));
    // The last copy may change the frame itself.
    let last = one(vec![output(2), Action::Clone(Box::new([set("eth_dst", 1), output(2)]))]);
    assert!(walk(&last).program.steps().contains(&Step::Clone { copies: false }));
}

#[test]
fn learned_flows_are_made_from_the_packet() {
    let spec = |bits, source, destination| LearnSpec { bits, source, destination };
    let learn = Learn {
        idle_timeout: 60,
        hard_timeout: 0,
        priority: 7,
        cookie: 3,
        flags: LearnFlags::default(),
        table: TableId(69),
        fin_idle_timeout: 1,
        fin_hard_timeout: 0,
        limit: 4,
        result: None,
        specs: Box::new([
            spec(16, LearnSource::Value(0x0800), LearnDestination::Match(bits("eth_type", 0, 16))),
            spec(
                32,
                LearnSource::Field(bits("ip_src", 0, 32)),
                LearnDestination::Match(bits("ip_dst", 0, 32)),
            ),
            spec(8, LearnSource::Value(5), LearnDestination::Load(bits("reg1", 8, 8))),
            spec(16, LearnSource::Field(bits("in_port", 0, 16)), LearnDestination::Output),
        ]),
        has_limit_form: true,
    };
    let net = one(vec![Action::Learn(Box::new(learn))]);
    let outcome = walk(&net);
    let flows = sent(&net, &outcome, &key(&frame(), 1, 0), &frame());
    let [Sent::Learned(flow)] = &flows[..] else { panic!("{flows:?}") };
    let mut wanted = matching("eth_type", 0x0800);
    wanted.set_exact(field("ip_dst"), 0x0707_0707);
    assert_eq!(flow.matching, wanted);
    let reg1 = field("reg1");
    assert_eq!(
        flow.actions[..],
        [
            Action::FinTimeout(FinTimeout { idle: 1, hard: 0 }),
            Action::SetField {
                field: reg1,
                value: 0x500,
                mask: 0xff00,
                has_vlan: false,
                form: SetForm::Load
            },
            output(1),
        ]
    );
    assert_eq!((flow.idle_timeout, flow.priority, flow.cookie), (60, 7, 3));
    assert_eq!(outcome.reads.get(Slot::NwSrc), 0xffff_ffff);
}

#[test]
fn timeouts_shrink_at_the_end_of_a_connection() {
    let net = one(vec![Action::FinTimeout(FinTimeout { idle: 5, hard: 6 })]);
    for (flags, shrinks) in [(0x10, false), (0x11, true), (0x04, true)] {
        let mut frame = frame();
        frame[14 + 20 + 13] = flags;
        let key = key(&frame, 1, 0);
        let outcome = translate(&net.0, &key, &mut ());
        let want = Sent::Shortened(RuleId(0), FinTimeout { idle: 5, hard: 6 });
        assert_eq!(sent(&net, &outcome, &key, &frame).contains(&want), shrinks);
        assert_eq!(outcome.reads.get(Slot::TcpFlags), 5);
    }
}

#[test]
fn a_tag_that_keys_do_not_show_is_read_before_the_next_table() {
    // Two tags where one is looked behind.
    let tags = [5, 6].map(|vid| weft_wire::Tag::c_tag(weft_wire::Tci::from_wire(vid)));
    let frame = build(Kind::V4(TCP, 0, false), &tags, &[7; 40], false);
    let key = Key::parse(&frame, PortNo(1), 1);
    let net = net(vec![
        (0, matching("dl_vlan", 5), vec![Action::StripVlan, output(2), resubmit(1)]),
        (1, matching("dl_vlan", 6), vec![output(3)]),
    ]);
    let outcome = translate(&net.0, &key, &mut ());
    let steps = outcome.program.steps();
    assert!(matches!(steps, [Step::PopVlan, Step::Send { .. }, Step::Resume { .. }]), "{steps:?}");
    assert_eq!(sent(&net, &outcome, &key, &frame).len(), 2);
}

#[test]
fn few_bits_of_a_hash_choose_a_bucket() {
    let buckets = (1..=3).map(|port| Bucket {
        id: BucketId(port),
        weight: 1,
        watch_port: PortNo::ANY,
        watch_group: GroupId::ANY,
        actions: Box::new([output(port + 1)]),
    });
    let group = Group {
        id: GroupId(1),
        kind: GroupType::Select,
        method: SelectMethod::Default,
        buckets: buckets.collect(),
    };
    let mut net = one(vec![Action::Group(GroupId(1))]);
    net.0.groups = vec![group];
    let mut key = key(&frame(), 1, 0);
    let first = translate(&net.0, &key, &mut ());
    assert!(matches!(first.program.steps(), [Step::Resume { hash_basis: Some(0), .. }]));
    key.set(Slot::DpHash, 0xabc5);
    let outcome = translate(&net.0, &key, &mut ());
    assert_eq!(outcome.reads.get(Slot::DpHash), 0xf);
    assert_eq!(outcome.reads.get(Slot::NwSrc), 0);
    assert_eq!(outcome.program.buckets().len(), 1);
    // Webster's method deals 16 slots to three equals.
    let slots = crate::walk::act::group::slots(&net.0.groups[0].buckets);
    let count = |at| slots.iter().filter(|slot| **slot == at).count();
    assert_eq!([count(0), count(1), count(2)], [6, 5, 5]);
}

#[test]
fn meters_end_the_packet_or_the_copy() {
    let mut net = one(vec![
        Action::Meter(MeterId(1)),
        Action::Clone(Box::new([Action::Meter(MeterId(2)), output(2)])),
        output(3),
        Action::Meter(MeterId(9)),
        output(2),
    ]);
    net.0.meters = vec![MeterId(1), MeterId(2)];
    // The first passes and the second does not; the last is not there.
    assert_eq!(ports(&net), [3, 2]);
}

#[test]
fn sets_do_their_actions_in_an_order_of_their_own() {
    let push = Action::PushVlan { ethertype: 0x8100 };
    let set =
        [output(1), set("reg0", 1), push.clone(), set("reg0", 2), Action::StripVlan, output(2)];
    let order: Vec<&Action> = picked(set.iter()).into_iter().rev().collect();
    assert_eq!(order, [&Action::StripVlan, &push, &set[1], &set[3], &output(2)]);
    let group = [Action::Group(GroupId(1)), output(1), resubmit(2)];
    assert_eq!(picked(group.iter()), [&group[0]]);
    assert!(picked([set[1].clone()].iter()).is_empty());
}

/// Notes how deep actions are.
struct Depths(Vec<(usize, u8)>);

impl Sink for Depths {
    fn event(&mut self, depth: usize, _key: &Key, event: Event<'_>) {
        if let Event::Table { table, .. } = event {
            self.0.push((depth, table.0));
        }
    }
}

#[test]
fn a_length_is_asked_for_once() {
    let check = || Action::CheckPktLarger { bytes: 70, destination: bits("reg1", 0, 1) };
    let net = one(vec![Action::Clone(Box::new([check()])), check(), check(), output(2)]);
    let outcome = walk(&net);
    let steps = outcome.program.steps().iter();
    assert_eq!(steps.filter(|step| matches!(step, Step::Longer { .. })).count(), 1);
    assert_eq!(ports(&net), [2]);
}

#[test]
fn walks_say_what_they_depend_on() {
    let watched = Bucket {
        id: BucketId(1),
        weight: 1,
        watch_port: PortNo(3),
        watch_group: GroupId::ANY,
        actions: Box::new([output(2)]),
    };
    let mut net = one(vec![Action::Group(GroupId(1)), Action::Meter(MeterId(7))]);
    net.0.groups = vec![Group {
        id: GroupId(1),
        kind: GroupType::FastFailover,
        method: SelectMethod::Default,
        buckets: Box::new([watched]),
    }];
    let buckets = walk(&net).buckets;
    let facts = [Fact::Group(GroupId(1)), Fact::Port(PortNo(3)), Fact::Meter(MeterId(7))];
    for fact in facts {
        assert!(buckets.contains(&fact.bucket(BridgeId(0))), "{fact:?}");
    }
    assert!(!buckets.contains(&Fact::Group(GroupId(1)).bucket(BridgeId(1))));
}

#[test]
fn traces_are_as_deep_as_there_is_more_to_do() {
    let net = net(vec![
        (0, Match::any(), vec![resubmit(1), resubmit(3)]),
        (1, Match::any(), vec![resubmit(2)]),
        (2, Match::any(), vec![]),
        (3, Match::any(), vec![]),
    ]);
    let mut depths = Depths(Vec::new());
    translate(&net.0, &key(&frame(), 1, 0), &mut depths);
    assert_eq!(depths.0, [(0, 0), (1, 1), (1, 2), (0, 3)]);
}

#[test]
fn a_continuation_is_a_value() {
    let actions = vec![
        set("reg3", 4),
        Action::Push(bits("reg3", 0, 32)),
        Action::PopMpls { ethertype: 0x0800 },
        resubmit(1),
        output(2),
    ];
    let net = net(vec![(0, Match::any(), actions), (1, matching("reg3", 4), vec![output(3)])]);
    let frame = build(Kind::Mpls, &[], &[7; 40], false);
    let outcome = translate(&net.0, &key(&frame, 1, 0), &mut ());
    let again = translate(&net.0, &key(&frame, 1, 0), &mut ());
    assert_eq!(outcome, again);
    let continuation = outcome.program.continuation(0).unwrap();
    assert_eq!(continuation.stack.len(), 1);
    assert!(continuation.metadata.contains(&(Slot::Reg(3), Bits::new(4, 0xffff_ffff))));
    let depths = continuation.pending.iter().filter_map(|pending| match pending {
        crate::program::Pending::Actions { context: Context { depth, .. }, .. } => Some(*depth),
        _ => None,
    });
    assert_eq!(depths.collect::<Vec<_>>(), [0, 0]);
    assert_eq!(sent(&net, &outcome, &key(&frame, 1, 0), &frame).len(), 2);
}
