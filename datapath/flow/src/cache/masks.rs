//! Entries by the bits of keys that their walks read: a table for each mask.

use super::Limits;
use super::entry::Entry;
use super::slab::{Handle, Slab};
use crate::{Key, Mask, Slot};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Names a mask while an entry has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MaskId(u16);

/// What is hashed is a hash.
#[derive(Clone, Copy, Debug, Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[derive(Debug)]
struct Table {
    mask: Mask,
    /// The ingress port of the packet that brought the mask.
    port: u128,
    /// Packets that found an entry here, of late.
    hits: u32,
    /// By the hash of the bits that count.
    entries: HashMap<u64, Handle, BuildHasherDefault<Same>>,
}

/// The tables of all masks.
#[derive(Debug, Default)]
pub(super) struct Masks {
    tables: Vec<Option<Table>>,
    /// Which are there, those with most hits first.
    order: Vec<u16>,
    entries: usize,
}

impl Masks {
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// How many entries all masks have.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    fn table(&self, at: u16) -> Option<&Table> {
        self.tables.get(usize::from(at))?.as_ref()
    }

    fn table_mut(&mut self, at: u16) -> Option<&mut Table> {
        self.tables.get_mut(usize::from(at))?.as_mut()
    }

    pub(super) fn mask(&self, id: MaskId) -> Option<&Mask> {
        self.table(id.0).map(|table| &table.mask)
    }

    /// The entry that agrees with a key in the bits that count; notes how many masks it asked.
    #[inline]
    pub(super) fn find<P>(
        &mut self,
        key: &Key,
        seed: u64,
        entries: &Slab<Entry<P>>,
        probes: &mut u64,
    ) -> Option<Handle> {
        for at in &self.order {
            let Some(Some(table)) = self.tables.get_mut(usize::from(*at)) else { continue };
            *probes += 1;
            let Some(handle) = table.entries.get(&table.mask.hash(key, seed)) else { continue };
            if entries.get(*handle).is_some_and(|entry| table.mask.equal(&entry.key, key)) {
                table.hits = table.hits.saturating_add(1);
                return Some(*handle);
            }
        }
        None
    }

    /// The table of a mask; `None` when there is none and no room for one that the port of this
    /// packet brings.
    pub(super) fn claim(&mut self, mask: Mask, key: &Key, limits: &Limits) -> Option<MaskId> {
        let mut tables = self.order.iter().filter_map(|at| Some((*at, self.table(*at)?)));
        if let Some((at, _)) = tables.find(|(_, table)| table.mask == mask) {
            return Some(MaskId(at));
        }
        let port = key.get(Slot::InPort);
        let is_of_port = |at: &&u16| self.table(**at).is_some_and(|table| table.port == port);
        let of_port = self.order.iter().filter(is_of_port).count();
        if self.order.len() >= limits.masks || of_port >= limits.port_masks {
            return None;
        }
        let free = self.tables.iter().position(Option::is_none).unwrap_or(self.tables.len());
        let at = u16::try_from(free).ok()?;
        if free == self.tables.len() {
            self.tables.push(None);
        }
        let table = Table { mask, port, hits: 0, entries: HashMap::default() };
        *self.tables.get_mut(free)? = Some(table);
        self.order.push(at);
        Some(MaskId(at))
    }

    /// Adds an entry; gives back one whose place it takes.
    pub(super) fn add(
        &mut self,
        id: MaskId,
        key: &Key,
        seed: u64,
        handle: Handle,
    ) -> Option<Handle> {
        let table = self.table_mut(id.0)?;
        let hash = table.mask.hash(key, seed);
        let replaced = table.entries.insert(hash, handle);
        self.entries += usize::from(replaced.is_none());
        replaced
    }

    /// Takes out an entry, and its mask with the last one.
    pub(super) fn remove(&mut self, id: MaskId, key: &Key, seed: u64, handle: Handle) {
        let Some(table) = self.table_mut(id.0) else { return };
        let hash = table.mask.hash(key, seed);
        if table.entries.get(&hash) != Some(&handle) {
            return;
        }
        table.entries.remove(&hash);
        let is_empty = table.entries.is_empty();
        self.entries -= 1;
        if is_empty {
            self.order.retain(|at| *at != id.0);
            if let Some(table) = self.tables.get_mut(usize::from(id.0)) {
                *table = None;
            }
        }
    }

    /// Puts those with most hits first, and halves what they count.
    pub(super) fn sort(&mut self) {
        let hits = |at: &u16| self.table(*at).map_or(0, |table| table.hits);
        let mut order = self.order.clone();
        order.sort_by_key(|at| std::cmp::Reverse(hits(at)));
        self.order = order;
        for table in self.tables.iter_mut().flatten() {
            table.hits /= 2;
        }
    }
}
