//! Which prefixes of a slot's value rules ask for, and how many bits of a value say so.

use crate::Slot;
use crate::field::ones;
use std::sync::Arc;

/// How finely a lookup covers addresses and ports where their prefixes decide.
///
/// Fine masks make entries of caches that many packets share.  They also let a sender choose among
/// many masks (CVE-2019-25076): caches bound them, and coarse masks make fewer of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grain {
    /// The bits that decide, and no more.
    #[default]
    Bit,
    /// All of the slot.
    Slot,
}

/// The slots whose prefixes are remembered.
pub(super) const SLOTS: [Slot; 6] =
    [Slot::NwSrc, Slot::NwDst, Slot::Ipv6Src, Slot::Ipv6Dst, Slot::TpSrc, Slot::TpDst];

/// The first `len` bits of a slot.
pub(super) fn prefix_mask(slot: Slot, len: u32) -> u128 {
    slot.ones() & !ones(slot.bits().saturating_sub(len))
}

/// How many bits a mask has, if they are the first ones of the slot and there is one at least.
pub(super) fn prefix_len(slot: Slot, mask: u128) -> Option<u32> {
    let len = mask.count_ones();
    (len > 0 && mask == prefix_mask(slot, len)).then_some(len)
}

/// A value with its first bit at the top.
pub(super) fn align(slot: Slot, value: u128) -> u128 {
    value << (128 - slot.bits())
}

/// What prefixes a value has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Bit n: a prefix of n + 1 bits.
    lens: u128,
    /// How many bits of the value said so.
    checked: u32,
}

impl Found {
    /// True when the value has a prefix of this many bits, at least 1.
    pub(super) fn has(self, len: u32) -> bool {
        self.lens >> (len - 1) & 1 != 0
    }

    /// How many bits say that it has none of this many bits.
    pub(super) fn checked(self, len: u32) -> u32 {
        self.checked.min(len)
    }
}

/// A persistent set of prefixes, each counted: a radix tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefixes(Option<Arc<Node>>);

#[derive(Clone, Debug)]
struct Node {
    /// The bits that all below it have in common, at the top, zeros behind.
    bits: u128,
    len: u32,
    /// How many rules ask for just this prefix.
    rules: u32,
    children: [Option<Arc<Self>>; 2],
}

/// The first `len` bits of a value.
fn head(bits: u128, len: u32) -> u128 {
    bits & !u128::MAX.checked_shr(len).unwrap_or_default()
}

fn child_at(children: &mut [Option<Arc<Node>>; 2], bits: u128, at: u32) -> &mut Option<Arc<Node>> {
    let [zero, one] = children;
    if is_set(bits, at) { one } else { zero }
}

/// Whether bit `at`, counted from the top, is set.
fn is_set(bits: u128, at: u32) -> bool {
    bits.checked_shl(at).unwrap_or_default() >> 127 != 0
}

impl Prefixes {
    /// Adds the first `len` bits of an aligned value.
    pub(super) fn add(&mut self, bits: u128, len: u32) {
        let mut link = &mut self.0;
        loop {
            let leaf =
                || Arc::new(Node { bits: head(bits, len), len, rules: 0, children: [None, None] });
            let node = Arc::make_mut(link.get_or_insert_with(leaf));
            let common = (node.bits ^ bits).leading_zeros().min(node.len).min(len);
            if common < node.len {
                let parent = Node {
                    bits: head(bits, common),
                    len: common,
                    rules: 0,
                    children: [None, None],
                };
                let old = std::mem::replace(node, parent);
                let side = old.bits;
                *child_at(&mut node.children, side, common) = Some(Arc::new(old));
            }
            if node.len == len {
                node.rules += 1;
                return;
            }
            link = child_at(&mut node.children, bits, node.len);
        }
    }

    /// Takes out one use of a prefix that was added.
    pub(super) fn remove(&mut self, bits: u128, len: u32) {
        remove(&mut self.0, bits, len);
    }

    /// The prefixes of an aligned value.
    pub(super) fn find(&self, bits: u128) -> Found {
        let mut found = Found { lens: 0, checked: 0 };
        let mut next = self.0.as_ref();
        while let Some(node) = next {
            let common = (node.bits ^ bits).leading_zeros();
            if common < node.len {
                found.checked = common + 1;
                break;
            }
            found.checked = node.len;
            if node.rules > 0 && node.len > 0 {
                found.lens |= 1 << (node.len - 1);
            }
            let [zero, one] = &node.children;
            if zero.is_some() || one.is_some() {
                found.checked += 1;
            }
            next = if is_set(bits, node.len) { one } else { zero }.as_ref();
        }
        found
    }
}

fn remove(link: &mut Option<Arc<Node>>, bits: u128, len: u32) {
    let Some(node) = link.as_mut().map(Arc::make_mut) else { return };
    if node.len == len {
        node.rules = node.rules.saturating_sub(1);
    } else {
        remove(child_at(&mut node.children, bits, node.len), bits, len);
    }
    if node.rules == 0 {
        match &mut node.children {
            [None, None] => *link = None,
            [Some(_), Some(_)] => {}
            [zero, one] => *link = zero.take().or_else(|| one.take()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Prefixes, align, head, prefix_len, prefix_mask};
    use crate::Slot;
    use proptest::prelude::*;

    #[test]
    fn masks_of_prefixes() {
        assert_eq!(prefix_mask(Slot::NwSrc, 8), 0xff00_0000);
        assert_eq!(prefix_len(Slot::NwSrc, 0xff00_0000), Some(8));
        assert_eq!(prefix_len(Slot::TpDst, 0xffff), Some(16));
        assert_eq!(prefix_len(Slot::TpDst, 0x0fff), None);
        assert_eq!(prefix_len(Slot::Ipv6Dst, u128::MAX), Some(128));
        assert_eq!(prefix_len(Slot::Ipv6Dst, 0), None);
    }

    fn prefixes() -> impl Strategy<Value = Vec<(u16, u32)>> {
        proptest::collection::vec((any::<u16>().prop_map(|bits| bits & 0xf0c3), 1u32..=16), 0..12)
    }

    proptest! {
        #[test]
        fn they_are_those_that_were_added(
            added in prefixes(), removed in prefixes(), values in proptest::collection::vec(any::<u16>(), 8),
        ) {
            let mut tree = Prefixes::default();
            let wide = |bits: u16| align(Slot::TpDst, bits.into());
            for (bits, len) in added.iter().chain(&removed) {
                tree.add(wide(*bits), *len);
            }
            for (bits, len) in &removed {
                tree.remove(wide(*bits), *len);
            }
            for value in values.iter().copied().chain(added.iter().map(|(bits, _)| bits ^ 1)) {
                let found = tree.find(wide(value));
                for len in 1..=16 {
                    let has = |bits: u16| {
                        added.iter().any(|(of, at)| *at == len && head(wide(*of ^ bits), len) == 0)
                    };
                    prop_assert_eq!(found.has(len), has(value));
                    // All values that begin like this one answer alike.
                    let checked = found.checked(len);
                    for other in values.iter().map(|other| {
                        let mask = u16::try_from(prefix_mask(Slot::TpDst, checked)).unwrap();
                        value & mask | other & !mask
                    }) {
                        prop_assert_eq!(has(other), has(value));
                    }
                }
            }
        }
    }
}
