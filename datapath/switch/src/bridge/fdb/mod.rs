//! The forwarding database: which port each address was last heard on.
//!
//! One table of 64-byte buckets, four entries each, so that a lookup touches one cache line and an
//! entry costs at most 43 bytes at the smallest table that fits (see [`Fdb::memory_bytes`]).  An
//! entry stays in its slot until it is forgotten, so the age lists (`age.rs`) can link
//! slots by number.  A library's hash map needs two lines for a lookup and moves entries when it
//! grows: with 100,000 stations that is the difference between one and two cache misses a lookup.

mod age;
mod announce;
mod moves;
mod sighting;

pub use announce::Announcement;
pub(crate) use announce::Announcer;
pub use moves::Move;
pub(crate) use moves::Moves;
pub use sighting::Sighting;

use crate::{PortId, Tick};
use age::AgeLists;
use sighting::Mark;
use std::hash::BuildHasher;
use weft_wire::mac::MacAddr;
use weft_wire::vid::{Tci, Vid};

const BUCKET_SLOTS: usize = 4;
const OCCUPIED: u64 = 1 << 63;
/// Buckets that [`Fdb::records_from`] looks at: 128 KiB, so that a worker is not kept for long.
const PART_BUCKETS: usize = 2048;
/// A bucket that so many entries had to pass keeps the mark until the table is rebuilt.
const OVERFLOW_MAX: u8 = u8::MAX;

/// A (VLAN, address) pair as one number: 12 bits of VLAN above 48 bits of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Station(u64);

impl Station {
    /// The station with `mac`, a 48-bit number, in `vid`.
    #[must_use]
    pub const fn new(vid: Vid, mac: u64) -> Self {
        Self(OCCUPIED | (vid.get() as u64) << 48 | mac & 0xffff_ffff_ffff)
    }

    /// Its VLAN.
    #[must_use]
    pub const fn vid(self) -> Vid {
        Tci::from_wire((self.0 >> 48) as u16).vid()
    }

    /// Its address.
    #[must_use]
    pub fn mac(self) -> MacAddr {
        MacAddr::from_u64(self.0 & 0xffff_ffff_ffff)
    }
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// 0 when the slot is free, a [`Station`] otherwise.
    key: u64,
    heard_at: Tick,
    port: PortId,
    mark: Mark,
    /// In slot 0 only: entries that wanted this bucket and found it full.
    overflow: u8,
}

impl Slot {
    const fn sighting(&self) -> Sighting {
        Sighting { heard_at: self.heard_at, turn: self.mark.turn(), port: self.port }
    }

    /// What it means that the station is heard on `port`.
    fn heard(&self, port: PortId, now: Tick) -> Learned {
        if self.mark.is_static() || (self.port == port && self.heard_at >= now) {
            Learned::Unchanged
        } else if self.port == port {
            Learned::Refreshed(self.sighting())
        } else {
            Learned::Moved(self.port)
        }
    }

    fn record(&self, now: Tick) -> FdbRecord {
        FdbRecord {
            vid: Station(self.key).vid(),
            mac: Station(self.key).mac(),
            port: self.port,
            age_secs: (!self.mark.is_static()).then(|| now.since(self.heard_at)),
        }
    }
}

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket([Slot; BUCKET_SLOTS]);

/// What [`Fdb::learn`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The entry was as new as this frame, or is static.
    Unchanged,
    /// The entry is younger now; how it was heard before.
    Refreshed(Sighting),
    /// A new entry.
    New,
    /// The station was on another port, this one.
    Moved(PortId),
}

/// One entry, for display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdbRecord {
    /// VLAN, 0 for untagged.
    pub vid: Vid,
    /// Address.
    pub mac: MacAddr,
    /// Where it was heard.
    pub port: PortId,
    /// Seconds since it was last heard; `None` for a static entry.
    pub age_secs: Option<u32>,
}

/// Counters of one FDB, as `fdb/stats-show` prints them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FdbStats {
    /// Entries now, static ones included.
    pub entries: u64,
    /// Most entries.
    pub entries_max: u64,
    /// Static entries now.
    pub static_entries: u64,
    /// Addresses learned.
    pub learned: u64,
    /// Entries forgotten for age.
    pub expired: u64,
    /// Entries forgotten to make room.
    pub evicted: u64,
    /// Stations that appeared on another port.
    pub moved: u64,
}

/// A bounded table from (VLAN, address) to port, learned from source addresses.
pub struct Fdb {
    buckets: Box<[Bucket]>,
    ages: AgeLists,
    hasher: foldhash::fast::FixedState,
    age_max_secs: u32,
    stats: FdbStats,
}

impl Fdb {
    /// An empty table of at most `entries_max` addresses, each kept `age_max_secs` after it was
    /// last heard.  `seed` makes the order of buckets unpredictable to whoever picks addresses.
    #[must_use]
    pub fn new(entries_max: u32, age_max_secs: u32, seed: u64) -> Self {
        let entries_max = entries_max.max(1);
        // At most three quarters full, so that probes stay short.
        let slots = (entries_max as usize * 4 / 3).next_power_of_two().max(BUCKET_SLOTS);
        Self {
            buckets: vec![Bucket::default(); slots / BUCKET_SLOTS].into_boxed_slice(),
            ages: AgeLists::new(slots),
            hasher: foldhash::fast::FixedState::with_seed(seed),
            age_max_secs,
            stats: FdbStats { entries_max: entries_max.into(), ..FdbStats::default() },
        }
    }

    /// The hash of a station in this table, to be given to the calls that follow.
    #[must_use]
    pub fn hash(&self, station: Station) -> u64 {
        self.hasher.hash_one(station.0)
    }

    /// Asks for the cache line of a station ahead of its use.  Safe Rust has no prefetch, so this
    /// reads one field and tells the compiler that it matters; the processor does not wait for it.
    pub fn touch(&self, hash: u64) {
        if let Some(bucket) = self.buckets.get(self.home(hash)) {
            std::hint::black_box(bucket.0[0].overflow);
        }
    }

    /// True when the table is larger than a core's caches, so that [`Fdb::touch`] pays.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.buckets.len() > 4096
    }

    fn home(&self, hash: u64) -> usize {
        // The mask keeps what a 32-bit machine would cut off out of play.
        usize::try_from(hash & (self.buckets.len() as u64 - 1)).unwrap_or(0)
    }

    /// The slot of a station, and its number.
    #[inline]
    fn find(&self, station: Station, hash: u64) -> Option<(usize, &Slot)> {
        let mut index = self.home(hash);
        for _ in 0..self.buckets.len() {
            let Bucket(slots) = self.buckets.get(index)?;
            let numbers = index * BUCKET_SLOTS..;
            if let Some(found) = numbers.zip(slots).find(|(_, slot)| slot.key == station.0) {
                return Some(found);
            }
            if slots[0].overflow == 0 {
                return None;
            }
            index = (index + 1) & (self.buckets.len() - 1);
        }
        None
    }

    fn slot(&self, number: usize) -> Option<&Slot> {
        self.buckets.get(number / BUCKET_SLOTS)?.0.get(number % BUCKET_SLOTS)
    }

    fn slot_mut(&mut self, number: usize) -> Option<&mut Slot> {
        self.buckets.get_mut(number / BUCKET_SLOTS)?.0.get_mut(number % BUCKET_SLOTS)
    }

    /// The port that a station was last heard on, unless that is too long ago.
    #[must_use]
    pub fn lookup(&self, station: Station, hash: u64, now: Tick) -> Option<PortId> {
        let (_, slot) = self.find(station, hash)?;
        (slot.mark.is_static() || now.since(slot.heard_at) < self.age_max_secs).then_some(slot.port)
    }

    /// The entry of a station, unless it is too old.
    #[must_use]
    pub fn record(&self, station: Station, now: Tick) -> Option<FdbRecord> {
        let (_, slot) = self.find(station, self.hash(station))?;
        (slot.mark.is_static() || now.since(slot.heard_at) < self.age_max_secs)
            .then(|| slot.record(now))
    }

    /// Notes that a station was heard on `port`.
    pub fn learn(&mut self, station: Station, hash: u64, port: PortId, now: Tick) -> Learned {
        let Some((number, slot)) = self.find(station, hash) else {
            self.make_room();
            let first = Sighting::first(port, now);
            self.insert(station, hash, first, Mark::learned(first.turn, true));
            self.stats.learned += 1;
            return Learned::New;
        };
        let learned = slot.heard(port, now);
        if learned != Learned::Unchanged {
            let sighting = slot.sighting().followed_by(port, now);
            self.update(number, sighting, true);
        }
        learned
    }

    /// What [`Fdb::learn`] would do.
    #[must_use]
    pub fn foresee(&self, station: Station, hash: u64, port: PortId, now: Tick) -> Learned {
        self.find(station, hash).map_or(Learned::New, |(_, slot)| slot.heard(port, now))
    }

    /// Notes what another worker heard, if that is the newer sighting.  When it is not, and this
    /// worker heard the newer one itself, returns that: the others may not know of it, for not
    /// every frame is announced.
    pub fn hear(&mut self, station: Station, hash: u64, news: Sighting) -> Option<Sighting> {
        let Some((number, slot)) = self.find(station, hash) else {
            self.make_room();
            self.insert(station, hash, news, Mark::learned(news.turn, false));
            self.stats.learned += 1;
            return None;
        };
        if slot.mark.is_static() {
            return None;
        }
        let known = slot.sighting();
        if news <= known {
            return (slot.mark.is_own() && known.port != news.port).then_some(known);
        }
        self.update(number, news, false);
        None
    }

    /// The sighting that a learned entry stands for.
    #[must_use]
    pub fn sighting(&self, station: Station, hash: u64) -> Option<Sighting> {
        self.find(station, hash).map(|(_, slot)| slot.sighting())
    }

    fn update(&mut self, number: usize, sighting: Sighting, is_own: bool) {
        let Some(slot) = self.slot_mut(number) else { return };
        let before = slot.port;
        (slot.port, slot.heard_at) = (sighting.port, sighting.heard_at);
        slot.mark = Mark::learned(sighting.turn, is_own);
        self.ages.remove(before, number);
        self.ages.push(sighting.port, number);
        self.stats.moved += u64::from(before != sighting.port);
    }

    /// Adds or replaces a static entry, which never ages, moves or makes room for another.
    pub fn set_static(&mut self, station: Station, port: PortId, now: Tick) {
        let hash = self.hash(station);
        self.forget(station);
        self.make_room();
        self.insert(station, hash, Sighting::first(port, now), Mark::fixed());
    }

    /// Removes an entry, static or learned; false when there is none.
    pub fn forget(&mut self, station: Station) -> bool {
        let hash = self.hash(station);
        let found = self.find(station, hash).map(|(number, _)| number);
        if let Some(number) = found {
            self.remove(number);
        }
        found.is_some()
    }

    /// Forgets what is too old.  Called from the slow loop, never per frame.
    pub fn expire(&mut self, now: Tick) -> usize {
        let mut expired = 0;
        for port in self.ages.ports() {
            while let Some(number) = self.ages.oldest(port) {
                let heard_at = self.slot(number).map_or(now, |slot| slot.heard_at);
                if now.since(heard_at) < self.age_max_secs {
                    break;
                }
                self.remove(number);
                expired += 1;
            }
        }
        self.stats.expired += expired as u64;
        expired
    }

    /// Forgets learned entries of one port, of one VLAN, of one port in one VLAN, or all.
    pub fn flush(&mut self, port: Option<PortId>, vid: Option<Vid>) -> usize {
        let doomed: Vec<usize> = self
            .occupied()
            .filter(|(_, slot)| !slot.mark.is_static())
            .filter(|(_, slot)| port.is_none_or(|port| slot.port == port))
            .filter(|(_, slot)| vid.is_none_or(|vid| Station(slot.key).vid() == vid))
            .map(|(number, _)| number)
            .collect();
        for &number in &doomed {
            self.remove(number);
        }
        doomed.len()
    }

    /// Forgets every entry, static ones too, of ports for which `keep` is false.
    pub fn retain_ports(&mut self, keep: impl Fn(PortId, Vid) -> bool) {
        let doomed: Vec<usize> = self
            .occupied()
            .filter(|(_, slot)| !keep(slot.port, Station(slot.key).vid()))
            .map(|(number, _)| number)
            .collect();
        for number in doomed {
            self.remove(number);
        }
    }

    /// All entries.
    #[must_use]
    pub fn records(&self, now: Tick) -> Vec<FdbRecord> {
        let (mut all, mut from) = (Vec::new(), Some(0));
        while let Some(at) = from {
            let (mut part, next) = self.records_from(at, now);
            all.append(&mut part);
            from = next;
        }
        all
    }

    /// The entries of a part of the table, and where the next part begins; the first begins at 0.  An
    /// entry that stays is in the same part as long as the table has the same size.
    #[must_use]
    pub fn records_from(&self, from: usize, now: Tick) -> (Vec<FdbRecord>, Option<usize>) {
        let end = from.saturating_add(PART_BUCKETS).min(self.buckets.len());
        let part = self.buckets.get(from..end).unwrap_or_default();
        let is_young =
            |slot: &&Slot| slot.mark.is_static() || now.since(slot.heard_at) < self.age_max_secs;
        let slots = part.iter().flat_map(|bucket| &bucket.0).filter(|slot| slot.key != 0);
        let records = slots.filter(is_young).map(|slot| slot.record(now)).collect();
        (records, (end < self.buckets.len()).then_some(end))
    }

    /// Changes the limits.  A smaller table evicts what no longer fits, fairly.
    pub fn resize(&mut self, entries_max: u32, age_max_secs: u32, seed: u64) {
        self.age_max_secs = age_max_secs;
        if self.stats.entries_max == u64::from(entries_max.max(1)) {
            return;
        }
        while self.stats.entries > u64::from(entries_max.max(1)) && self.evict() {}
        let mut table = Self::new(entries_max, age_max_secs, seed);
        let mut entries: Vec<Slot> = self.occupied().map(|(_, slot)| *slot).collect();
        entries.sort_by_key(|slot| slot.heard_at);
        for slot in entries {
            let station = Station(slot.key);
            let hash = table.hash(station);
            table.insert(station, hash, slot.sighting(), slot.mark);
        }
        let now = table.stats;
        table.stats = FdbStats {
            entries: now.entries,
            static_entries: now.static_entries,
            entries_max: now.entries_max,
            ..self.stats
        };
        *self = table;
    }

    /// The age limit, in seconds.
    #[must_use]
    pub const fn age_max_secs(&self) -> u32 {
        self.age_max_secs
    }

    /// Counters.
    #[must_use]
    pub const fn stats(&self) -> FdbStats {
        self.stats
    }

    /// Zeroes the counters of events.
    pub fn clear_stats(&mut self) {
        let FdbStats { entries, entries_max, static_entries, .. } = self.stats;
        self.stats = FdbStats { entries, entries_max, static_entries, ..FdbStats::default() };
    }

    /// Bytes that the table takes, all of them from the start.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of_val(&*self.buckets) + self.ages.memory_bytes()
    }

    fn occupied(&self) -> impl Iterator<Item = (usize, &Slot)> {
        let slots = self.buckets.iter().flat_map(|bucket| &bucket.0);
        slots.enumerate().filter(|(_, slot)| slot.key != 0)
    }

    fn make_room(&mut self) {
        while self.stats.entries >= self.stats.entries_max && self.evict() {}
    }

    /// Evicts the oldest entry of the port that holds most, as Open vSwitch does: a port that
    /// sends from ever new addresses loses its own entries first.
    fn evict(&mut self) -> bool {
        let oldest = self.ages.heaviest().and_then(|port| self.ages.oldest(port));
        if let Some(number) = oldest {
            self.remove(number);
            self.stats.evicted += 1;
        }
        oldest.is_some()
    }

    fn insert(&mut self, station: Station, hash: u64, sighting: Sighting, mark: Mark) {
        let Sighting { heard_at, port, .. } = sighting;
        let is_static = mark.is_static();
        let mut index = self.home(hash);
        for _ in 0..self.buckets.len() {
            let Some(Bucket(slots)) = self.buckets.get_mut(index) else { return };
            if let Some(at) = slots.iter().position(|slot| slot.key == 0) {
                if let Some(slot) = slots.get_mut(at) {
                    let overflow = slot.overflow;
                    *slot = Slot { key: station.0, heard_at, port, mark, overflow };
                }
                if !is_static {
                    self.ages.push(port, index * BUCKET_SLOTS + at);
                }
                self.stats.entries += 1;
                self.stats.static_entries += u64::from(is_static);
                return;
            }
            slots[0].overflow = slots[0].overflow.saturating_add(1);
            index = (index + 1) & (self.buckets.len() - 1);
        }
    }

    /// Frees a slot, and takes the marks back that its entry left on the way to it.
    fn remove(&mut self, number: usize) {
        let Some(&Slot { key, port, mark, .. }) = self.slot(number) else { return };
        let is_static = mark.is_static();
        let hash = self.hash(Station(key));
        let mut index = self.home(hash);
        while index != number / BUCKET_SLOTS {
            if let Some(Bucket([first, ..])) = self.buckets.get_mut(index)
                && first.overflow < OVERFLOW_MAX
            {
                first.overflow -= 1;
            }
            index = (index + 1) & (self.buckets.len() - 1);
        }
        if let Some(slot) = self.slot_mut(number) {
            *slot = Slot { overflow: slot.overflow, ..Slot::default() };
        }
        if !is_static {
            self.ages.remove(port, number);
        }
        self.stats.entries -= 1;
        self.stats.static_entries -= u64::from(is_static);
    }
}

impl std::fmt::Debug for Fdb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fdb").field("stats", &self.stats).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// A table that is as full as it gets finds what is in it and nothing else, whatever was
        /// learned and forgotten on the way.
        #[test]
        fn finds_what_is_there(steps in prop::collection::vec((0u64..60, 0u16..3, any::<bool>()), 1..300)) {
            let mut fdb = Fdb::new(24, 300, 1);
            let mut model = BTreeMap::new();
            for (n, port, keeps) in steps {
                if keeps && (model.len() < 24 || model.contains_key(&n)) {
                    learn(&mut fdb, n, port, 0);
                    model.insert(n, PortId(port));
                } else {
                    prop_assert_eq!(fdb.forget(station(n)), model.remove(&n).is_some());
                }
                for n in 0..60 {
                    prop_assert_eq!(lookup(&fdb, n, 0), model.get(&n).copied(), "station {}", n);
                }
                prop_assert_eq!(fdb.stats().entries, model.len() as u64);
            }
        }
    }

    fn station(n: u64) -> Station {
        Station::new(Vid::UNTAGGED, n)
    }

    fn learn(fdb: &mut Fdb, n: u64, port: u16, now: u32) -> Learned {
        let hash = fdb.hash(station(n));
        fdb.learn(station(n), hash, PortId(port), Tick(now))
    }

    fn lookup(fdb: &Fdb, n: u64, now: u32) -> Option<PortId> {
        fdb.lookup(station(n), fdb.hash(station(n)), Tick(now))
    }

    #[test]
    fn learns_refreshes_moves_and_expires() {
        let mut fdb = Fdb::new(16, 300, 1);
        assert_eq!(learn(&mut fdb, 5, 1, 0), Learned::New);
        assert_eq!(learn(&mut fdb, 5, 1, 0), Learned::Unchanged);
        assert_eq!(
            learn(&mut fdb, 5, 1, 10),
            Learned::Refreshed(Sighting::first(PortId(1), Tick(0)))
        );
        assert_eq!(lookup(&fdb, 5, 309), Some(PortId(1)));
        assert_eq!(lookup(&fdb, 5, 310), None, "too old, though not yet removed");
        assert_eq!(learn(&mut fdb, 5, 2, 20), Learned::Moved(PortId(1)));
        assert_eq!(lookup(&fdb, 5, 20), Some(PortId(2)));
        assert_eq!(fdb.expire(Tick(319)), 0);
        assert_eq!(fdb.expire(Tick(320)), 1);
        let stats = fdb.stats();
        assert_eq!((stats.entries, stats.learned, stats.moved, stats.expired), (0, 1, 1, 1));
    }

    #[test]
    fn evicts_the_oldest_of_the_port_that_holds_most() {
        let mut fdb = Fdb::new(10, 300, 1);
        for n in 0..3 {
            learn(&mut fdb, n, 1, 0);
        }
        for n in 100..107 {
            learn(&mut fdb, n, 2, 1);
        }
        learn(&mut fdb, 100, 2, 2);
        for n in 200..205 {
            learn(&mut fdb, n, 2, 3);
        }
        assert_eq!(fdb.stats().entries, 10);
        assert_eq!(fdb.stats().evicted, 5);
        for n in 0..3 {
            assert_eq!(lookup(&fdb, n, 3), Some(PortId(1)), "the quiet port loses nothing");
        }
        assert_eq!(lookup(&fdb, 100, 3), Some(PortId(2)), "refreshed, so not the oldest");
        assert_eq!(lookup(&fdb, 101, 3), None);
    }

    #[test]
    fn a_static_entry_stays_where_it_is() {
        let mut fdb = Fdb::new(2, 300, 1);
        fdb.set_static(station(1), PortId(7), Tick(0));
        assert_eq!(learn(&mut fdb, 1, 3, 1), Learned::Unchanged);
        for n in 10..20 {
            learn(&mut fdb, n, 3, 1);
        }
        assert_eq!(fdb.expire(Tick(5000)), 1);
        assert_eq!(fdb.flush(None, None), 0);
        assert_eq!(lookup(&fdb, 1, 5000), Some(PortId(7)));
        assert!(fdb.forget(station(1)));
        assert_eq!(fdb.stats().static_entries, 0);
    }

    #[test]
    fn resizing_keeps_what_fits() {
        let mut fdb = Fdb::new(100, 300, 1);
        for n in 0..100 {
            learn(&mut fdb, n, 1, u32::try_from(n).unwrap());
        }
        fdb.resize(50, 300, 2);
        assert_eq!(fdb.stats().entries, 50);
        assert_eq!(lookup(&fdb, 49, 100), None);
        assert_eq!(lookup(&fdb, 50, 100), Some(PortId(1)));
        fdb.resize(1000, 300, 3);
        assert_eq!(lookup(&fdb, 99, 100), Some(PortId(1)));
        assert_eq!(fdb.stats().learned, 100);
    }

    #[test]
    fn a_million_entries_take_at_most_64_bytes_each() {
        let fdb = Fdb::new(1_000_000, 300, 1);
        assert!(fdb.memory_bytes() <= 64_000_000, "{}", fdb.memory_bytes());
    }
}
