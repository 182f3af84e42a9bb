use super::{Classifier, Epochs, Grain, Tables, Visited};
use crate::action::Conjunction;
use crate::matching::Bits;
use crate::{Action, Key, Mask, Match, Rule, RuleId, Slot, TableId};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The bits of a slot that rules ask for, of few values, so that rules and packets meet.
fn any_bits() -> impl Strategy<Value = (Slot, Bits)> {
    let exact = |slot: Slot, values: Vec<u128>| {
        select(values).prop_map(move |value| (slot, Bits::new(value, slot.ones())))
    };
    let prefix = |slot: Slot, values: Vec<u128>, lens: Vec<u32>| {
        (select(values), select(lens)).prop_map(move |(value, len)| {
            (slot, Bits::new(value, super::prefixes::prefix_mask(slot, len)))
        })
    };
    let masked = |slot: Slot| {
        (0u128..4, 0u128..4).prop_map(move |(value, mask)| (slot, Bits::new(value, mask)))
    };
    let ipv6 = vec![1, 2, 1 << 64, 0xfe80 << 112];
    let metadata = prop_oneof![
        exact(Slot::Metadata, vec![0, 1, 2]),
        exact(Slot::Metadata, vec![0, 1, 2]),
        masked(Slot::Metadata),
        masked(Slot::Reg(3)),
        exact(Slot::InPort, vec![1, 2]),
        exact(Slot::ConjId, vec![7, 8]),
    ];
    let below = prop_oneof![
        masked(Slot::TunMetadata(9, 2)),
        masked(Slot::EthDst),
        exact(Slot::EthType, vec![0x0800, 0x86dd]),
        prefix(Slot::Ipv6Dst, ipv6, vec![1, 10, 64, 128]),
        exact(Slot::NwProto, vec![0, 6, 17]),
        prefix(Slot::TpDst, vec![0, 80, 81, 0x8000], vec![1, 15, 16]),
    ];
    let addresses = prop_oneof![
        prefix(Slot::NwSrc, addresses(), vec![1, 8, 24, 31, 32]),
        prefix(Slot::NwDst, addresses(), vec![2, 8, 25, 32]),
        masked(Slot::NwDst),
    ];
    prop_oneof![metadata, below, addresses]
}

fn addresses() -> Vec<u128> {
    vec![0x0a00_0001, 0x0a00_0002, 0x0a80_0001, 0xc0a8_0001]
}

fn any_actions() -> impl Strategy<Value = Vec<Action>> {
    let clause = (7u32..9, 0u8..2)
        .prop_map(|(id, clause)| Action::Conjunction(Conjunction { id, clause, clauses: 2 }));
    prop_oneof![
        2 => Just(vec![]),
        1 => proptest::collection::vec(clause, 1..3),
    ]
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (proptest::collection::vec(any_bits(), 0..4), 0u32..5, any_actions()).prop_map(
        |(bits, priority, actions)| Rule {
            id: RuleId(0),
            table: TableId(0),
            priority,
            cookie: 0,
            matching: bits.into_iter().collect(),
            actions: actions.into(),
        },
    )
}

/// A packet: no id of a conjunction comes with it.
fn any_key() -> impl Strategy<Value = Key> {
    proptest::collection::vec(any_bits(), 0..10).prop_map(|bits| {
        let mut key = Key::of(&bits.into_iter().collect());
        key.set(Slot::ConjId, 0);
        key
    })
}

type Model = BTreeMap<(Match, u32), Arc<Rule>>;

fn takes(rule: &Rule, key: &Key) -> bool {
    rule.matching.iter().all(|(slot, bits)| bits.takes(key.get(slot)))
}

/// The ids of which all clauses of a priority take the key.
fn complete(model: &Model, key: &Key, priority: u32) -> Option<u32> {
    let clauses = |id: u32| {
        let of_it = model.values().filter(|rule| rule.priority == priority && takes(rule, key));
        of_it.flat_map(|rule| rule.actions.iter()).filter_map(move |action| match action {
            Action::Conjunction(clause) if clause.id == id => Some(clause.clause),
            _ => None,
        })
    };
    (7..9)
        .find(|id| clauses(*id).any(|clause| clause == 0) && clauses(*id).any(|clause| clause == 1))
}

fn best(model: &Model, key: &Key) -> Option<u32> {
    let hard = model.values().filter(|rule| rule.actions.is_empty() && takes(rule, key));
    hard.map(|rule| rule.priority).max()
}

/// The priority of the rule that takes a packet, by looking at all.
fn oracle(model: &Model, key: &Key) -> Option<u32> {
    let hard = best(model, key);
    for priority in (0..5).rev().filter(|priority| hard.is_none_or(|hard| hard < *priority)) {
        if let Some(id) = complete(model, key, priority) {
            let mut with_id = key.clone();
            with_id.set(Slot::ConjId, id.into());
            if let Some(priority) = best(model, &with_id) {
                return Some(priority);
            }
        }
    }
    hard
}

/// `key` where the mask has bits, `other` elsewhere.
fn mixed(key: &Key, other: &Key, mask: &Mask) -> Key {
    let mut all = key.clone();
    for slot in SLOTS {
        let bits = mask.get(slot);
        all.set(slot, key.get(slot) & bits | other.get(slot) & !bits);
    }
    all
}

/// The slots that rules of these tests ask for, but for the ids of conjunctions.
const SLOTS: [Slot; 11] = [
    Slot::Metadata,
    Slot::Reg(3),
    Slot::InPort,
    Slot::EthDst,
    Slot::EthType,
    Slot::NwSrc,
    Slot::NwDst,
    Slot::Ipv6Dst,
    Slot::NwProto,
    Slot::TpDst,
    Slot::TunMetadata(9, 2),
];

fn apply(classifier: &mut Classifier, model: &mut Model, rule: Rule, is_removal: bool) {
    let (rule, name) = (Arc::new(rule.clone()), (rule.matching, rule.priority));
    if is_removal {
        assert_eq!(classifier.remove(&name.0, name.1), model.remove(&name));
    } else {
        assert_eq!(classifier.insert(Arc::clone(&rule)), model.insert(name, rule));
    }
}

fn check(classifier: &Classifier, model: &Model, key: &Key, others: &[Key], grain: Grain) {
    let mut reads = Mask::default();
    let found = classifier.lookup(key, &mut reads, grain);
    assert_eq!(found.map(|rule| rule.priority), oracle(model, key));
    for other in others {
        let other = mixed(key, other, &reads);
        assert!(reads.equal(key, &other));
        let again = classifier.lookup(&other, &mut Mask::default(), grain);
        assert_eq!(again.map(Arc::as_ptr), found.map(Arc::as_ptr), "{key:?} {other:?} {reads:?}");
    }
}

fn steps() -> impl Strategy<Value = Vec<(Rule, bool)>> {
    let step = (any_rule(), proptest::bool::weighted(0.1));
    proptest::collection::vec(step, 0..25)
}

proptest! {
    #[test]
    fn the_best_rule_wins_and_all_that_agree_in_what_was_read_get_it(
        steps in steps(),
        keys in proptest::collection::vec(any_key(), 4),
        removed in any::<bool>(),
        is_coarse: bool,
    ) {
        let (mut classifier, mut model) = (Classifier::default(), Model::new());
        let grain = if is_coarse { Grain::Slot } else { Grain::Bit };
        let mut before = None;
        for (at, (rule, is_removal)) in steps.iter().enumerate() {
            if at == steps.len() / 2 {
                before = Some((classifier.clone(), model.clone()));
            }
            apply(&mut classifier, &mut model, rule.clone(), *is_removal);
        }
        // Packets of rules' own values too, so that rules are hit.
        let own = steps.iter().take(3).map(|(rule, _)| Key::of(&rule.matching)).map(|mut key| {
            key.set(Slot::ConjId, 0);
            key
        });
        let keys: Vec<Key> = keys.into_iter().chain(own).collect();
        for (classifier, model) in before.iter().chain([&(classifier.clone(), model.clone())]) {
            for key in &keys {
                check(classifier, model, key, keys.get(..3).unwrap_or_default(), grain);
            }
        }
        if removed {
            for (matching, priority) in model.keys() {
                prop_assert!(classifier.remove(matching, *priority).is_some());
            }
            prop_assert!(classifier.is_empty());
        }
    }

    #[test]
    fn while_the_sum_of_epochs_stays_the_answer_does(
        steps in steps(), change in any_rule(), is_removal: bool, keys in proptest::collection::vec(any_key(), 6),
    ) {
        let (mut tables, mut epochs) = (Tables::default(), Epochs::default());
        for (rule, _) in steps.iter().filter(|(_, is_removal)| !*is_removal) {
            tables.insert(Arc::new(rule.clone()), &mut epochs);
        }
        let (old, old_epochs) = (tables.clone(), epochs.clone());
        if is_removal && let Some((rule, _)) = steps.first() {
            tables.remove(rule.table, &rule.matching, rule.priority, &mut epochs);
        } else {
            tables.insert(Arc::new(change), &mut epochs);
        }
        for key in &keys {
            let mut visited = Visited::default();
            let look = |tables: &Tables, visited: &mut Visited| {
                tables.lookup(TableId(0), key, &mut Mask::default(), visited).map(Arc::as_ptr)
            };
            let before = look(&old, &mut visited);
            let buckets = visited.buckets();
            let is_same = old_epochs.sum(&buckets) == epochs.sum(&buckets);
            prop_assert!(!is_same || look(&tables, &mut Visited::default()) == before);
        }
    }
}

fn rule(priority: u32, bits: &[(Slot, u128, u128)]) -> Rule {
    Rule {
        id: RuleId(priority),
        table: TableId(0),
        priority,
        cookie: 0,
        matching: bits
            .iter()
            .map(|(slot, value, mask)| (*slot, Bits::new(*value, *mask)))
            .collect(),
        actions: Box::default(),
    }
}

mod holes;

#[test]
fn a_change_of_one_logical_network_leaves_the_others() {
    let (mut tables, mut epochs) = (Tables::new(3), Epochs::default());
    let of = |metadata| rule(1, &[(Slot::Metadata, metadata, Slot::Metadata.ones())]);
    tables.insert(Arc::new(of(1)), &mut epochs);
    let mut key = Key::default();
    key.set(Slot::Metadata, 1);
    let mut visited = Visited::default();
    assert!(tables.lookup(TableId(0), &key, &mut Mask::default(), &mut visited).is_some());
    let buckets = visited.buckets();
    let sum = epochs.sum(&buckets);
    tables.insert(Arc::new(of(2)), &mut epochs);
    assert_eq!(epochs.sum(&buckets), sum);
    // Another bridge's.
    Tables::new(4).insert(Arc::new(of(1)), &mut epochs);
    assert_eq!(epochs.sum(&buckets), sum);
    tables.insert(Arc::new(rule(0, &[])), &mut epochs);
    let wild = epochs.sum(&buckets);
    assert_ne!(wild, sum);
    tables.remove(TableId(0), &of(1).matching, 1, &mut epochs);
    assert_ne!(epochs.sum(&buckets), wild);
}

#[test]
fn no_more_bits_are_read_than_decide() {
    let mut classifier = Classifier::default();
    for (priority, address, len) in
        [(9, 0x0a00_0000, 8), (8, 0xc0a8_0100, 24), (7, 0xc0a8_0107, 32)]
    {
        let mask = super::prefixes::prefix_mask(Slot::NwDst, len);
        classifier.insert(Arc::new(rule(priority, &[(Slot::NwDst, address, mask)])));
    }
    for (address, want) in
        [(0x7f00_0001, 0xc000_0000), (0x0b00_0001, 0xff00_0000), (0xc0a9_0001, 0xffff_0000)]
    {
        let (mut key, mut reads) = (Key::default(), Mask::default());
        key.set(Slot::NwDst, address);
        assert!(classifier.lookup(&key, &mut reads, Grain::Bit).is_none());
        assert_eq!(reads.get(Slot::NwDst), want, "{address:#x}");
        let mut reads = Mask::default();
        classifier.lookup(&key, &mut reads, Grain::Slot);
        assert_eq!(reads.get(Slot::NwDst), Slot::NwDst.ones());
    }
}

#[test]
fn later_stages_are_not_read_when_earlier_ones_fail() {
    let mut classifier = Classifier::default();
    classifier.insert(Arc::new(rule(
        1,
        &[
            (Slot::InPort, 1, Slot::InPort.ones()),
            (Slot::EthType, 0x0800, Slot::EthType.ones()),
            (Slot::TpDst, 80, Slot::TpDst.ones()),
        ],
    )));
    let (key, mut reads) = (Key::default(), Mask::default());
    assert!(classifier.lookup(&key, &mut reads, Grain::Bit).is_none());
    assert_eq!(reads.get(Slot::InPort), Slot::InPort.ones());
    assert_eq!((reads.get(Slot::EthType), reads.get(Slot::TpDst)), (0, 0));
}

#[test]
fn epochs_of_copies_that_are_thrown_away_do_not_come_again() {
    let mut kept = Epochs::default();
    let bucket = super::Bucket::of_other(3, 1);
    let mut thrown = kept.clone();
    thrown.change(bucket);
    kept.change(bucket);
    assert_ne!(kept.now(), thrown.now());
    assert_ne!(kept.sum(&[bucket]), thrown.sum(&[bucket]));
}
