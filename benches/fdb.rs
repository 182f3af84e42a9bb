//! The forwarding database alone, with a million entries configured.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts are below 2^32"
)]

use std::hint::black_box;
use std::time::Instant;
use weft_switch::{BATCH_MAX, Fdb, PortId, Station, Tick};
use weft_wire::vid::Vid;

const ENTRIES: u32 = 1_000_000;
/// What a small network has.
const FEW: u32 = 1000;

/// What a table of a million entries costs; medians of rounds that take turns.
#[derive(Clone, Copy, Debug)]
pub struct FdbFigures {
    /// New stations learned in a second, until the table is full.
    pub learned_per_sec: f64,
    /// The same when it is full: each takes the place of another.
    pub evicting_per_sec: f64,
    /// One look-up in batches as the pipeline makes them, with 1,000 and with 1,000,000 entries.
    pub lookup_nanos: [f64; 2],
    /// Bytes of the table by its entries.
    pub bytes_each: f64,
}

/// Measures them in so many rounds.
///
/// # Panics
/// When a full table makes no room: then the figures would mean something else.
#[must_use]
pub fn fdb_figures(rounds: usize) -> FdbFigures {
    let mut samples = [const { Vec::new() }; 4];
    let mut bytes_each = 0.0;
    for _ in 0..rounds {
        let mut fdb = Fdb::new(ENTRIES, 300, 7);
        let few = learn_nanos(&mut fdb, 0..FEW);
        let of_few = lookup_nanos(&fdb, FEW);
        let rest = learn_nanos(&mut fdb, FEW..ENTRIES);
        let of_many = lookup_nanos(&fdb, ENTRIES);
        let evicting = learn_nanos(&mut fdb, ENTRIES..2 * ENTRIES);
        assert_eq!(fdb.stats().evicted, u64::from(ENTRIES), "a full table makes room");
        bytes_each = fdb.memory_bytes() as f64 / f64::from(ENTRIES);
        let new = (few * f64::from(FEW) + rest * f64::from(ENTRIES - FEW)) / f64::from(ENTRIES);
        for (of, nanos) in samples.iter_mut().zip([new, evicting, of_few, of_many]) {
            of.push(nanos);
        }
    }
    let [learn, evict, of_few, of_many] = samples.map(median);
    FdbFigures {
        learned_per_sec: 1e9 / learn,
        evicting_per_sec: 1e9 / evict,
        lookup_nanos: [of_few, of_many],
        bytes_each,
    }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

fn station(number: u32) -> Station {
    Station::new(Vid::UNTAGGED, 0x0200_0000_0000 | u64::from(number))
}

/// Nanoseconds to learn each of some stations, behind eight ports.
fn learn_nanos(fdb: &mut Fdb, stations: std::ops::Range<u32>) -> f64 {
    let count = f64::from(stations.end - stations.start);
    let began = Instant::now();
    for number in stations {
        let port = PortId((number % 8) as u16);
        fdb.learn(station(number), fdb.hash(station(number)), port, Tick(1));
    }
    began.elapsed().as_secs_f64() * 1e9 / count
}

/// Nanoseconds of one look-up among the first `count` stations, in an order without pattern.
fn lookup_nanos(fdb: &Fdb, count: u32) -> f64 {
    const LOOKUPS: u32 = 1 << 20;
    let mut random = 1u32;
    let mut found = 0;
    let mut batch = [(station(0), 0u64); BATCH_MAX];
    let began = Instant::now();
    for _ in 0..LOOKUPS / BATCH_MAX as u32 {
        for place in &mut batch {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = (u64::from(random) * u64::from(count)) >> 32;
            let station = station(number as u32);
            *place = (station, fdb.hash(station));
        }
        for (_, hash) in &batch {
            fdb.touch(*hash);
        }
        found += batch
            .iter()
            .filter(|(station, hash)| fdb.lookup(*station, *hash, Tick(1)).is_some())
            .count();
    }
    let took = began.elapsed().as_secs_f64() * 1e9 / f64::from(LOOKUPS);
    assert_eq!(black_box(found), LOOKUPS as usize, "a station is missing");
    took
}
