//! A persistent map from hashes to short lists: a trie over five bits of the hash at a time.

use std::sync::Arc;

/// What is in a trie: the highest rank of all of it is found at once.
pub(super) trait Ranked: Clone {
    /// 0 for the lowest.
    fn rank(&self) -> u64;
}

/// A trie that shares what is the same with its clones.
#[derive(Clone, Debug)]
pub(super) struct HashTrie<V>(Option<Arc<Node<V>>>);

impl<V> Default for HashTrie<V> {
    fn default() -> Self {
        Self(None)
    }
}

#[derive(Clone, Debug)]
enum Node<V> {
    /// All values of one hash.
    Leaf { hash: u64, values: Vec<V> },
    /// A child for each bit of the map that is set, in order.
    Branch { map: u32, rank: u64, children: Vec<Arc<Node<V>>> },
}

const BITS: u32 = 5;

/// The bit of a hash in the map of a branch, `depth` levels down.
fn bit(hash: u64, depth: u32) -> u32 {
    let part = hash.checked_shr(depth * BITS).unwrap_or_default() & 31;
    1 << part
}

/// How many children stand before that of a bit.
fn before(map: u32, bit: u32) -> usize {
    (map & (bit - 1)).count_ones() as usize
}

impl<V: Ranked> HashTrie<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The highest rank of all values, 0 without any.
    pub(super) fn rank(&self) -> u64 {
        self.0.as_ref().map_or(0, |root| root.rank())
    }

    /// The values of a hash.
    #[inline]
    pub(super) fn get(&self, hash: u64) -> &[V] {
        let mut next = self.0.as_deref();
        let mut depth = 0;
        while let Some(node) = next {
            match node {
                Node::Leaf { hash: own, values } if *own == hash => return values,
                Node::Leaf { .. } => break,
                Node::Branch { map, children, .. } => {
                    let bit = bit(hash, depth);
                    next = if map & bit == 0 { None } else { children.get(before(*map, bit)) }
                        .map(|child| &**child);
                    depth += 1;
                }
            }
        }
        &[]
    }

    /// Changes the values of a hash; an empty list is as good as none.
    pub(super) fn update<R>(&mut self, hash: u64, change: impl FnOnce(&mut Vec<V>) -> R) -> R {
        let leaf = || Arc::new(Node::Leaf { hash, values: Vec::new() });
        let root = self.0.get_or_insert_with(leaf);
        let result = Arc::make_mut(root).update(hash, 0, change);
        if root.is_empty() {
            self.0 = None;
        }
        result
    }
}

impl<V: Ranked> Node<V> {
    fn rank(&self) -> u64 {
        match self {
            Self::Leaf { values, .. } => values.iter().map(Ranked::rank).max().unwrap_or_default(),
            Self::Branch { rank, .. } => *rank,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Leaf { values, .. } => values.is_empty(),
            Self::Branch { children, .. } => children.is_empty(),
        }
    }

    fn update<R>(&mut self, hash: u64, depth: u32, change: impl FnOnce(&mut Vec<V>) -> R) -> R {
        if let Self::Leaf { hash: own, .. } = self {
            let own = *own;
            if own != hash {
                let empty = Self::Branch { map: bit(own, depth), rank: 0, children: Vec::new() };
                let leaf = std::mem::replace(self, empty);
                if let Self::Branch { children, .. } = self {
                    children.push(Arc::new(leaf));
                }
            }
        }
        match self {
            Self::Leaf { values, .. } => change(values),
            Self::Branch { map, rank, children } => {
                let result = update_child(map, children, hash, depth, change);
                *rank = children.iter().map(|child| child.rank()).max().unwrap_or_default();
                self.collapse();
                result
            }
        }
    }

    /// A branch with nothing but a leaf is that leaf.
    fn collapse(&mut self) {
        if let Self::Branch { children, .. } = self
            && let [only] = &children[..]
            && matches!(**only, Self::Leaf { .. })
        {
            let leaf = Self::clone(only);
            *self = leaf;
        }
    }
}

fn update_child<V: Ranked, R>(
    map: &mut u32,
    children: &mut Vec<Arc<Node<V>>>,
    hash: u64,
    depth: u32,
    change: impl FnOnce(&mut Vec<V>) -> R,
) -> R {
    let bit = bit(hash, depth);
    let at = before(*map, bit);
    if *map & bit != 0
        && let Some(child) = children.get_mut(at)
    {
        let result = Arc::make_mut(child).update(hash, depth + 1, change);
        if child.is_empty() {
            children.remove(at);
            *map &= !bit;
        }
        return result;
    }
    let mut values = Vec::new();
    let result = change(&mut values);
    if !values.is_empty() {
        children.insert(at, Arc::new(Node::Leaf { hash, values }));
        *map |= bit;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{HashTrie, Node, Ranked};
    use crate::key::mix;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    impl Ranked for u8 {
        fn rank(&self) -> u64 {
            (*self).into()
        }
    }

    /// The places of all nodes.
    fn nodes(node: &Arc<Node<u8>>, all: &mut BTreeSet<*const Node<u8>>) {
        all.insert(Arc::as_ptr(node));
        if let Node::Branch { children, .. } = &**node {
            for child in children {
                nodes(child, all);
            }
        }
    }

    #[test]
    fn a_change_copies_the_way_to_it_and_shares_the_rest() {
        let mut trie = HashTrie::<u8>::default();
        for number in 0..20_000 {
            trie.update(mix(1, number), |values| values.push(1));
        }
        let (old, mut before, mut after) = (trie.clone(), BTreeSet::new(), BTreeSet::new());
        trie.update(mix(1, 7), |values| values.push(2));
        nodes(old.0.as_ref().unwrap(), &mut before);
        nodes(trie.0.as_ref().unwrap(), &mut after);
        assert!(before.len() > 20_000);
        assert!(after.difference(&before).count() <= 6);
    }

    proptest! {
        /// Hashes meet in few places, high and low.
        #[test]
        fn it_is_a_map_and_clones_stay(
            steps in proptest::collection::vec((0u64..4, 0u32..60, any::<u8>(), any::<bool>()), 0..60),
        ) {
            let mut trie = HashTrie::<u8>::default();
            let mut model = BTreeMap::<u64, Vec<u8>>::new();
            let mut clones = Vec::new();
            for (low, shift, value, is_add) in steps {
                let hash = low << shift;
                clones.push((trie.clone(), model.clone()));
                let change = |values: &mut Vec<u8>| {
                    if is_add { values.push(value) } else { values.clear() }
                };
                trie.update(hash, change);
                change(model.entry(hash).or_default());
                model.retain(|_, values| !values.is_empty());
            }
            clones.push((trie, model));
            for (trie, model) in clones {
                for shift in 0..60 {
                    for low in 0..4u64 {
                        let hash = low << shift;
                        let want = model.get(&hash).cloned().unwrap_or_default();
                        prop_assert_eq!(trie.get(hash), &want[..]);
                    }
                }
                prop_assert_eq!(trie.is_empty(), model.is_empty());
                let rank = model.values().flatten().max().copied().unwrap_or_default();
                prop_assert_eq!(trie.rank(), u64::from(rank));
            }
        }
    }
}
