//! Cost of flow tables, in memory: a frame's key, results that workers keep, look-ups, changes.
//!
//! The tables have the shape of OVN's: most rules match one value of `metadata`, and there are
//! about three masks for each value and table.  See README.md.

#![expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use weft_flow::cache::{Cache, Limits, Moment, Outcome};
use weft_flow::classifier::{Epochs, Visited};
use weft_flow::field::ones;
use weft_flow::{Bits, Key, Mask, PortNo, Rule, RuleId, Slot, TableId, Tables};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Packets in one round.
const ROUND: u32 = 4096;
/// Tables that a packet of OVN's goes through.
const TABLES: u8 = 45;
/// Logical networks.
const NETWORKS: u32 = 100;

fn main() {
    let rounds = if std::env::args().any(|arg| arg == "--test") { 2 } else { 300 };
    println!("| case | cycles | allocations |\n| --- | --- | --- |");
    let frames: Vec<Vec<u8>> = (0..ROUND).map(frame).collect();
    let parse = |at: u32| Key::parse(of(&frames, at), PortNo(1), 1);
    print("key/tcp_over_ipv4", rounds, 0, |at| {
        black_box(parse(at));
    });
    hits(rounds, &frames, "cache/exact", 1, 64);
    hits(rounds, &frames, "cache/1_mask", 1, ROUND);
    hits(rounds, &frames, "cache/16_masks", 16, ROUND);
    lookups(rounds);
    changes(if rounds > 2 { 100_000 } else { 1000 });
}

fn of(frames: &[Vec<u8>], at: u32) -> &[u8] {
    frames.get(at as usize % frames.len()).map_or(&[], |frame| frame)
}

/// A TCP segment over IPv4, of one of 4,096 connections.
fn frame(number: u32) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00];
    frame.extend([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    let [high, low] = u16::try_from(number % 60_000).unwrap_or_default().to_be_bytes();
    frame.extend([high, low, 0, 80]);
    frame.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    frame.resize(64, 0);
    frame
}

/// Prints the median of cycles for each packet of a round.
fn print(case: &str, rounds: usize, allowed: usize, mut each: impl FnMut(u32)) {
    let clock = quanta::Clock::new();
    let mut cycles = Vec::new();
    let mut allocations = 0;
    for round in 0..2 * rounds {
        let heap = Region::new(ALLOCATOR);
        let began = clock.raw();
        (0..ROUND).for_each(&mut each);
        let took = clock.raw() - began;
        if round >= rounds {
            allocations += heap.change().allocations;
            cycles.push(took as f64 / f64::from(ROUND));
        }
    }
    cycles.sort_by(f64::total_cmp);
    let median = cycles.get(cycles.len() / 2).copied().unwrap_or(f64::NAN);
    println!("| {case} | {median:.1} | {allocations} |");
    assert!(allocations <= allowed, "{case} allocates");
}

/// Packets of `keys` connections that find entries of `masks` masks; without their own places
/// when there are more of them than places hold in a while.
fn hits(rounds: usize, frames: &[Vec<u8>], case: &str, masks: u32, keys: u32) {
    let epochs = Epochs::default();
    let at = Moment { epochs: &epochs, now_ms: 1 };
    let mut cache = Cache::new(Limits::default(), 7);
    // Another source address for each mask, of which it reads another bit too many.
    let key = |number: u32, turn: u32| {
        let mut key = Key::parse(of(frames, number % keys), PortNo(1), 1);
        key.set(Slot::NwSrc, u128::from(0x0a00_0000 + number % masks));
        // No connection comes twice soon, where it is to have no place.
        key.set(Slot::Ipv6Label, 0);
        key.set(Slot::TpSrc, u128::from(if keys == ROUND { turn } else { number % keys }));
        key
    };
    for mask in 0..masks {
        let mut reads = Mask::default();
        reads.cover_all(Slot::InPort);
        reads.cover_all(Slot::EthDst);
        reads.cover_all(Slot::EthType);
        reads.cover(Slot::NwSrc, ones(32));
        reads.cover(Slot::NwTtl, u128::from(mask));
        let outcome = Outcome { program: mask, reads, buckets: Box::default() };
        let packet = key(mask, mask);
        if cache.find(&packet, 64, at).is_none() {
            cache.insert(&packet, 64, outcome, at);
        }
    }
    let mut turn = 0u32;
    print(case, rounds, 0, |number| {
        turn = turn.wrapping_add(1);
        let found = cache.find(&key(number, turn % 65_521), 64, at);
        black_box(found.and_then(|found| cache.program(found)).copied());
    });
    let counters = cache.counters();
    let found = counters.exact_hits + counters.mask_hits;
    let share = 100.0 * counters.exact_hits as f64 / found as f64;
    println!("  (of the packets {share:.0} % had places, {} missed)", counters.misses);
}

/// The match and priority of a rule in the shape of OVN's.
fn rule(table: u8, number: u32) -> Rule {
    let network = number % NETWORKS;
    let host = number / NETWORKS;
    let exact = |slot: Slot, value: u32| (slot, Bits::new(value.into(), slot.ones()));
    let mut bits = vec![exact(Slot::Metadata, network)];
    match host % 3 {
        0 => bits.push(exact(Slot::Reg(14), host)),
        1 => bits.push(exact(Slot::EthDst, 0x1_0000 | host)),
        _ => {
            bits.push(exact(Slot::EthType, 0x0800));
            let address = Bits::new(u128::from(0x0a00_0000 | host << 8), 0xffff_ff00);
            bits.push((Slot::NwDst, address));
        }
    }
    Rule {
        id: RuleId(number),
        table: TableId(table),
        priority: 100 - host % 3,
        cookie: 0,
        matching: bits.into_iter().collect(),
        actions: Box::default(),
    }
}

/// One look-up of a walk, in tables of 3,000 rules of 100 networks each.
fn lookups(rounds: usize) {
    let (mut tables, mut epochs) = (Tables::default(), Epochs::default());
    for table in 0..TABLES {
        for number in 0..3000 {
            tables.insert(Arc::new(rule(table, number)), &mut epochs);
        }
    }
    let mut key = Key::parse(&frame(0), PortNo(1), 1);
    key.set(Slot::NwDst, 0x0a00_0207);
    let (mut reads, mut visited) = (Mask::default(), Visited::default());
    print("tables/one_lookup_of_3_masks", rounds, usize::MAX, |number| {
        key.set(Slot::Metadata, u128::from(number % NETWORKS));
        let table = TableId(u8::try_from(number % u32::from(TABLES)).unwrap_or_default());
        visited.clear();
        black_box(tables.lookup(table, &key, &mut reads, &mut visited));
    });
}

/// Changes of a table: from nothing to all, and one at a time while a worker reads.
fn changes(count: u32) {
    let (mut tables, mut epochs) = (Tables::default(), Epochs::default());
    let rules: Vec<Arc<Rule>> = (0..count).map(|number| Arc::new(rule(0, number))).collect();
    let heap = Region::new(ALLOCATOR);
    let began = Instant::now();
    for rule in &rules {
        tables.insert(Arc::clone(rule), &mut epochs);
    }
    let all = began.elapsed().as_secs_f64();
    let change = heap.change();
    let bytes = (change.bytes_allocated - change.bytes_deallocated) / rules.len();
    let mut slowest = 0.0f64;
    let began = Instant::now();
    let turns = rules.iter().take(1000);
    let published = turns.len() as f64;
    for rule in turns {
        let began = Instant::now();
        let read = tables.clone();
        tables.remove(rule.table, &rule.matching, rule.priority, &mut epochs);
        tables.insert(Arc::clone(rule), &mut epochs);
        drop(read);
        slowest = slowest.max(began.elapsed().as_secs_f64());
    }
    println!(
        "{count} rules: {:.0} thousand added a second, {bytes} bytes each; a published change takes {:.1} us, \
         the slowest {:.1} us",
        f64::from(count) / all / 1e3,
        began.elapsed().as_secs_f64() * 1e6 / published,
        slowest * 1e6
    );
}
