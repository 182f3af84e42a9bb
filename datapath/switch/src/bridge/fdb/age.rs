//! The order in which learned addresses were last heard, port by port.
//!
//! Lists are linked through two arrays of slot numbers, so the fast path, which changes an order
//! only when the clock has ticked, leaves them alone most of the time.  A heap of ports by number
//! of entries says whose turn it is when the table is full.

use crate::PortId;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Links {
    older: u32,
    newer: u32,
}

#[derive(Clone, Copy)]
struct List {
    oldest: u32,
    newest: u32,
    entries: u32,
    /// Place in the heap; meaningless while `entries` is 0.
    heap_index: u32,
}

const EMPTY: List = List { oldest: NONE, newest: NONE, entries: 0, heap_index: 0 };

/// For each port, its entries from oldest to newest.
pub(crate) struct AgeLists {
    links: Box<[Links]>,
    lists: Vec<List>,
    /// Ports with entries; each holds at least as many as its two children.
    heap: Vec<PortId>,
}

impl AgeLists {
    /// Empty lists over `slots` slots.
    pub(crate) fn new(slots: usize) -> Self {
        let links = vec![Links { older: NONE, newer: NONE }; slots].into_boxed_slice();
        Self { links, lists: Vec::new(), heap: Vec::new() }
    }

    /// The ports that have entries.
    pub(crate) fn ports(&self) -> Vec<PortId> {
        self.heap.clone()
    }

    /// The port with most entries.
    pub(crate) fn heaviest(&self) -> Option<PortId> {
        self.heap.first().copied()
    }

    /// The slot that was heard longest ago on `port`.
    pub(crate) fn oldest(&self, port: PortId) -> Option<usize> {
        let list = self.lists.get(port.index())?;
        (list.oldest != NONE).then_some(list.oldest as usize)
    }

    /// Bytes that the lists take.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.links)
            + self.lists.capacity() * size_of::<List>()
            + self.heap.capacity() * size_of::<PortId>()
    }

    /// Puts a slot, which is in no list, at the young end of `port`'s.
    pub(crate) fn push(&mut self, port: PortId, slot: usize) {
        if self.lists.len() <= port.index() {
            self.lists.resize(port.index() + 1, EMPTY);
        }
        let Ok(number) = u32::try_from(slot) else { return };
        let Some(list) = self.lists.get_mut(port.index()) else { return };
        let older = std::mem::replace(&mut list.newest, number);
        if older == NONE {
            list.oldest = number;
        }
        list.entries += 1;
        let is_first = list.entries == 1;
        if let Some(links) = self.links.get_mut(older as usize) {
            links.newer = number;
        }
        if let Some(links) = self.links.get_mut(slot) {
            *links = Links { older, newer: NONE };
        }
        if is_first {
            self.place(self.heap.len(), port);
        }
        self.sift_up(port);
    }

    /// Takes a slot out of `port`'s list.
    pub(crate) fn remove(&mut self, port: PortId, slot: usize) {
        let Some(&Links { older, newer }) = self.links.get(slot) else { return };
        let Some(list) = self.lists.get_mut(port.index()) else { return };
        match self.links.get_mut(older as usize) {
            Some(links) => links.newer = newer,
            None => list.oldest = newer,
        }
        match self.links.get_mut(newer as usize) {
            Some(links) => links.older = older,
            None => list.newest = older,
        }
        list.entries -= 1;
        let (left, index) = (list.entries, list.heap_index as usize);
        if left > 0 {
            self.sift_down(port);
        } else if let Some(last) = self.heap.pop()
            && last != port
        {
            self.place(index, last);
            self.sift_up(last);
            self.sift_down(last);
        }
    }

    fn weight(&self, heap_index: usize) -> Option<u32> {
        let port = self.heap.get(heap_index)?;
        self.lists.get(port.index()).map(|list| list.entries)
    }

    fn place(&mut self, heap_index: usize, port: PortId) {
        match self.heap.get_mut(heap_index) {
            Some(place) => *place = port,
            None => self.heap.push(port),
        }
        if let Some(list) = self.lists.get_mut(port.index()) {
            list.heap_index = u32::try_from(heap_index).unwrap_or(NONE);
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        if let (Some(&port_a), Some(&port_b)) = (self.heap.get(a), self.heap.get(b)) {
            self.place(a, port_b);
            self.place(b, port_a);
        }
    }

    fn heap_index(&self, port: PortId) -> usize {
        self.lists.get(port.index()).map_or(0, |list| list.heap_index as usize)
    }

    fn sift_up(&mut self, port: PortId) {
        let mut at = self.heap_index(port);
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.weight(parent) >= self.weight(at) {
                break;
            }
            self.swap(parent, at);
            at = parent;
        }
    }

    fn sift_down(&mut self, port: PortId) {
        let mut at = self.heap_index(port);
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let child = if self.weight(right) > self.weight(left) { right } else { left };
            // A child that is not there weighs `None`, which is less than any weight.
            if self.weight(child) <= self.weight(at) {
                break;
            }
            self.swap(child, at);
            at = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        /// Against plain queues: same oldest entry of each port, same largest port.
        #[test]
        fn keeps_order_and_weight(steps in prop::collection::vec((0u16..5, 0usize..64), 1..400)) {
            let mut ages = AgeLists::new(64);
            let mut model: Vec<VecDeque<usize>> = vec![VecDeque::new(); 5];
            for (port, slot) in steps {
                let holder = model.iter().position(|queue| queue.contains(&slot));
                if let Some(holder) = holder {
                    model[holder].retain(|&other| other != slot);
                    ages.remove(PortId(u16::try_from(holder).unwrap()), slot);
                }
                if holder != Some(usize::from(port)) {
                    model[usize::from(port)].push_back(slot);
                    ages.push(PortId(port), slot);
                }
                for (queue, id) in model.iter().zip(0u16..) {
                    prop_assert_eq!(ages.oldest(PortId(id)), queue.front().copied());
                }
                let most = model.iter().map(VecDeque::len).max().unwrap();
                let heaviest = ages.heaviest().map_or(0, |port| model[port.index()].len());
                prop_assert_eq!(heaviest, most);
            }
        }
    }
}
