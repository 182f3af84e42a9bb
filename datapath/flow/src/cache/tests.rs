use super::{Cache, Limits, Moment, Outcome, Use};
use crate::classifier::{Bucket, Epochs, Visited};
use crate::field::ones;
use crate::matching::Bits;
use crate::{Key, Mask, Rule, RuleId, Slot, TableId, Tables};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn limits() -> Limits {
    Limits { entries: 6, masks: 3, port_masks: 2, idle_max_ms: 100 }
}

/// The number of the rule that takes a packet.
type Program = Option<RuleId>;

fn walk(tables: &Tables, key: &Key) -> Outcome<Program> {
    let (mut reads, mut visited) = (Mask::default(), Visited::default());
    let found = tables.lookup(TableId(0), key, &mut reads, &mut visited);
    Outcome { program: found.map(|rule| rule.id), reads, buckets: visited.buckets() }
}

/// What the cache says of a packet, and what a walk says.
fn ask(
    cache: &mut Cache<Program>,
    tables: &Tables,
    key: &Key,
    at: Moment<'_>,
) -> (Program, Program) {
    let fresh = walk(tables, key);
    let want = fresh.program;
    let handle = cache.find(key, 10, at).unwrap_or_else(|| cache.insert(key, 10, fresh, at));
    (*cache.program(handle).unwrap(), want)
}

fn key(port: u128, address: u128, target: u128) -> Key {
    let mut key = Key::default();
    key.set(Slot::InPort, port);
    key.set(Slot::NwDst, address);
    key.set(Slot::TpDst, target);
    key
}

fn rule(id: u32, bits: &[(Slot, u128, u128)]) -> Arc<Rule> {
    Arc::new(Rule {
        id: RuleId(id),
        table: TableId(0),
        priority: id,
        cookie: 0,
        matching: bits
            .iter()
            .map(|(slot, value, mask)| (*slot, Bits::new(*value, *mask)))
            .collect(),
        actions: Box::default(),
    })
}

#[derive(Clone, Debug)]
enum Step {
    Packet(u128, u128, u128),
    Insert(u32, u128, u128, u128),
    Remove(u32),
    Sweep(usize),
    Wait(u64),
    Clear,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1u128..4, 0u128..16, 0u128..4).prop_map(|(a, b, c)| Step::Packet(a, b, c)),
        2 => (0u32..8, 0u128..16, 0u128..16, 0u128..4)
            .prop_map(|(id, value, mask, port)| Step::Insert(id, value, mask, port)),
        1 => (0u32..8).prop_map(Step::Remove),
        1 => (0usize..8).prop_map(Step::Sweep),
        1 => (0u64..90).prop_map(Step::Wait),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #[test]
    fn what_is_cached_is_what_a_walk_says(steps in proptest::collection::vec(any_step(), 0..80)) {
        let (mut tables, mut epochs) = (Tables::default(), Epochs::default());
        let mut cache = Cache::new(limits(), 9);
        let mut rules = BTreeMap::<u32, Arc<Rule>>::new();
        let (mut now, mut packets, mut reported) = (0, 0, 0);
        for step in steps {
            match step {
                Step::Packet(port, address, target) => {
                    packets += 1;
                    let key = key(port, address << 28, target);
                    let (got, want) = ask(&mut cache, &tables, &key, Moment { epochs: &epochs, now_ms: now });
                    prop_assert_eq!(got, want);
                }
                Step::Insert(id, value, mask, port) => {
                    if let Some(old) = rules.remove(&id) {
                        tables.remove(TableId(0), &old.matching, old.priority, &mut epochs);
                    }
                    let port = (Slot::InPort, port, if port == 0 { 0 } else { ones(32) });
                    let new = rule(id, &[(Slot::NwDst, value << 28, mask << 28), port]);
                    tables.insert(Arc::clone(&new), &mut epochs);
                    rules.insert(id, new);
                }
                Step::Remove(id) => {
                    if let Some(old) = rules.remove(&id) {
                        tables.remove(TableId(0), &old.matching, old.priority, &mut epochs);
                    }
                }
                Step::Sweep(places) => {
                    let at = Moment { epochs: &epochs, now_ms: now };
                    cache.sweep(places, at, &mut |_, of_it: Use| reported += of_it.packets);
                }
                Step::Wait(ms) => now += ms,
                Step::Clear => cache.clear(),
            }
            prop_assert!(cache.mask_count() <= 3);
            let shared = cache.iter().filter(|(_, mask, ..)| mask.is_some()).count();
            prop_assert!(shared <= 6);
        }
        cache.clear();
        prop_assert!(cache.is_empty() && cache.mask_count() == 0);
        let at = Moment { epochs: &epochs, now_ms: now };
        cache.sweep(0, at, &mut |_, of_it: Use| reported += of_it.packets);
        prop_assert_eq!(reported, packets);
    }
}

/// An outcome that read some bits of an address.
fn outcome(program: u32, bits: u128) -> Outcome<u32> {
    let mut reads = Mask::default();
    reads.cover(Slot::NwDst, bits);
    Outcome { program, reads, buckets: Box::default() }
}

/// Packets that differ from what an access list allows in one bit of each of its fields: each
/// combination of bits is a mask of its own.
fn attack(port: u128) -> impl Iterator<Item = Key> {
    let bits = (0..32).flat_map(|source| (0..32).map(move |target| (source, target)));
    bits.map(move |(source, target)| {
        let mut packet = key(port, 0x0a00_0002 ^ 1 << target, 0x50 ^ 1 << (source % 16));
        packet.set(Slot::NwSrc, 0x0a00_0001 ^ 1 << source);
        packet
    })
}

#[test]
fn senders_cannot_make_masks_without_end_cve_2019_25076() {
    let limits = Limits::default();
    let (mut tables, mut epochs) = (Tables::default(), Epochs::default());
    for (id, slot, value) in
        [(3, Slot::NwSrc, 0x0a00_0001), (2, Slot::NwDst, 0x0a00_0002), (1, Slot::TpDst, 80)]
    {
        tables.insert(rule(id, &[(slot, value, slot.ones())]), &mut epochs);
    }
    let mut cache = Cache::new(limits, 1);
    let established = |source: u128| {
        let mut packet = key(2, 0x0a00_0002, source);
        packet.set(Slot::NwSrc, 0x7f00_0001);
        packet
    };
    ask(&mut cache, &tables, &established(1), at(&epochs));
    for packet in attack(1) {
        let (got, want) = ask(&mut cache, &tables, &packet, at(&epochs));
        assert_eq!(got, want);
    }
    // Those of one port have their share, and the others room.
    assert_eq!(cache.mask_count(), 1 + limits.port_masks);
    assert!(cache.counters().over_budget > 300);
    let probes = cache.counters().probes;
    assert!(cache.find(&established(2), 1, at(&epochs)).is_some());
    assert!(cache.counters().probes - probes <= 1 + limits.port_masks as u64);
    // All ports together are bounded too.
    for packet in (3..9).flat_map(attack) {
        let (got, want) = ask(&mut cache, &tables, &packet, at(&epochs));
        assert_eq!(got, want);
    }
    assert_eq!(cache.mask_count(), limits.masks);
    assert!(cache.find(&established(3), 1, at(&epochs)).is_some());
    assert!(cache.len() <= 8192 + limits.entries);
}

#[test]
fn masks_with_most_hits_are_asked_first() {
    let (mut cache, epochs) = (Cache::new(Limits::default(), 1), Epochs::default());
    let at = Moment { epochs: &epochs, now_ms: 0 };
    for (program, bits) in [(1, 0xff), (2, 0xff00), (3, 0x00ff_0000)] {
        let address = bits & 0x0111_1111;
        cache.insert(&key(1, address, 0), 1, outcome(program, bits), at);
    }
    let mut target = 0;
    let mut probes = |cache: &mut Cache<u32>| {
        target += 1;
        let before = cache.counters().probes;
        assert!(cache.find(&key(1, 0x0011_0000, target), 1, at).is_some());
        cache.counters().probes - before
    };
    assert_eq!(probes(&mut cache), 3);
    cache.sweep(cache.places() + 1, at, &mut |_, _| ());
    cache.sweep(1, at, &mut |_, _| ());
    assert_eq!(probes(&mut cache), 1);
}

fn at(epochs: &Epochs) -> Moment<'_> {
    Moment { epochs, now_ms: 0 }
}

#[test]
fn a_change_that_changes_nothing_keeps_the_entry() {
    let (mut cache, mut epochs) = (Cache::new(Limits::default(), 1), Epochs::default());
    let bucket = Bucket::of_other(0, 1);
    let with = |program| Outcome { buckets: Box::new([bucket]), ..outcome(program, 0xff) };
    let packet = key(1, 1, 1);
    let first = cache.insert(&packet, 1, with(1), at(&epochs));
    epochs.change(Bucket::of_other(0, 2));
    assert_eq!(cache.find(&packet, 1, at(&epochs)), Some(first));
    epochs.change(bucket);
    assert_eq!(cache.find(&packet, 1, at(&epochs)), None);
    assert_eq!(cache.insert(&packet, 1, with(1), at(&epochs)), first);
    assert_eq!(cache.iter().map(|(.., of_it)| of_it.packets).sum::<u64>(), 3);
    epochs.change(bucket);
    assert_eq!(cache.find(&packet, 1, at(&epochs)), None);
    let other = cache.insert(&packet, 1, with(2), at(&epochs));
    assert_ne!(other, first);
    assert_eq!((cache.program(first), cache.program(other)), (None, Some(&2)));
    assert_eq!((cache.len(), cache.counters().stale), (1, 2));
}

#[test]
fn entries_without_packets_go() {
    let (mut cache, epochs) = (Cache::new(limits(), 1), Epochs::default());
    let at = |now_ms| Moment { epochs: &epochs, now_ms };
    cache.insert(&key(1, 1, 1), 60, outcome(1, 0xff), at(0));
    let mut uses = Vec::new();
    cache.sweep(9, at(100), &mut |program, of_it| uses.push((*program, of_it.bytes)));
    assert_eq!((cache.len(), uses), (1, vec![(1, 60)]));
    cache.sweep(9, at(101), &mut |_, _| unreachable!("it was reported"));
    assert!(cache.is_empty());
}
