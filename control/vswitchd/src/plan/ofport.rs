//! Who gets which `OpenFlow` port number on a bridge.

use std::collections::HashMap;
use uuid::Uuid;

/// The number of the interface that a bridge is named after.
pub const LOCAL: u16 = 65_534;

/// The largest number that an interface may get (`OFPP_MAX` of `OpenFlow` 1.0, less one).
pub const MAX: u16 = 0xfeff;

/// Numbers in use on one bridge, a bit for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberSet(Vec<u64>);

impl NumberSet {
    fn place(number: u16) -> (usize, u64) {
        (usize::from(number / 64), 1 << (number % 64))
    }

    /// Adds a number; false when it was there.
    pub fn insert(&mut self, number: u16) -> bool {
        let (word, bit) = Self::place(number);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let Some(word) = self.0.get_mut(word) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Takes a number out.
    pub fn remove(&mut self, number: u16) {
        let (word, bit) = Self::place(number);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    /// True when an interface would get none.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.lowest_free().is_none()
    }

    /// The lowest number that is not there, from 1 to [`MAX`].
    fn lowest_free(&self) -> Option<u16> {
        let words = self.0.iter().copied().chain(std::iter::once(0)).enumerate();
        // 0 is nobody's.
        let words = words.map(|(index, word)| (index, if index == 0 { word | 1 } else { word }));
        let (index, word) = words.into_iter().find(|(_, word)| *word != u64::MAX)?;
        let number = index * 64 + word.trailing_ones() as usize;
        u16::try_from(number).ok().filter(|number| *number <= MAX)
    }
}

/// One interface that wants a number.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Its row.
    pub interface: Uuid,
    /// It is the LOCAL interface.
    pub is_local: bool,
    /// `ofport_request`.
    pub request: Option<u16>,
    /// The number it has now, or that its row holds from an earlier run.
    pub before: Option<u16>,
}

/// Gives each claim a number that is not `taken`, in this order of rights: LOCAL; requests; numbers
/// held before; the lowest free one.  Of two equal claims the earlier in `claims` wins.  A bridge
/// with more interfaces than numbers leaves the last ones without.
#[must_use]
pub fn assign(claims: &[Claim], mut taken: NumberSet) -> HashMap<Uuid, u16> {
    let mut given = HashMap::with_capacity(claims.len());
    for claim in claims.iter().filter(|claim| claim.is_local) {
        given.insert(claim.interface, LOCAL);
    }
    let mut settle = |wish: fn(&Claim) -> Option<u16>| {
        for claim in claims {
            if let Some(number) = wish(claim).filter(|number| (1..=MAX).contains(number))
                && !given.contains_key(&claim.interface)
                && taken.insert(number)
            {
                given.insert(claim.interface, number);
            }
        }
    };
    settle(|claim| claim.request);
    settle(|claim| claim.before);
    for claim in claims {
        if !given.contains_key(&claim.interface)
            && let Some(number) = taken.lowest_free()
        {
            taken.insert(number);
            given.insert(claim.interface, number);
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn claim(id: u128, request: Option<u16>, before: Option<u16>) -> Claim {
        Claim { interface: Uuid::from_u128(id), is_local: false, request, before }
    }

    fn numbers(claims: &[Claim]) -> Vec<u16> {
        let given = assign(claims, NumberSet::default());
        claims.iter().map(|claim| given.get(&claim.interface).copied().unwrap_or(0)).collect()
    }

    #[test]
    fn lowest_free_first() {
        let claims = [claim(1, None, None), claim(2, None, Some(1)), claim(3, None, None)];
        assert_eq!(numbers(&claims), [2, 1, 3]);
    }

    #[test]
    fn a_request_beats_a_holder() {
        let claims = [claim(1, None, Some(7)), claim(2, Some(7), Some(3))];
        assert_eq!(numbers(&claims), [1, 7]);
    }

    #[test]
    fn equal_requests_go_to_the_first() {
        let claims = [claim(1, Some(9), None), claim(2, Some(9), Some(4))];
        assert_eq!(numbers(&claims), [9, 4]);
    }

    #[test]
    fn local_is_local_and_bad_wishes_are_ignored() {
        let mut local = claim(1, Some(5), Some(5));
        local.is_local = true;
        let claims = [local, claim(2, Some(LOCAL), None), claim(3, None, Some(5))];
        assert_eq!(numbers(&claims), [LOCAL, 1, 5]);
    }

    #[test]
    fn the_last_number_is_the_last() {
        let mut taken = NumberSet::default();
        for number in 1..MAX {
            assert!(taken.insert(number));
        }
        assert_eq!(taken.lowest_free(), Some(MAX));
        taken.insert(MAX);
        assert_eq!(taken.lowest_free(), None);
        taken.remove(64);
        assert_eq!(taken.lowest_free(), Some(64));
        assert!(assign(&[claim(1, None, None)], taken.clone()).len() == 1);
        taken.insert(64);
        assert!(assign(&[claim(1, None, None)], taken).is_empty());
    }

    proptest! {
        #[test]
        fn numbers_are_unique_and_stable(
            wishes in prop::collection::vec((prop::option::of(0u16..20), prop::option::of(0u16..20)), 0..30)
        ) {
            let claims: Vec<_> = (0u128..).zip(&wishes).map(|(id, (r, b))| claim(id, *r, *b)).collect();
            let given = assign(&claims, NumberSet::default());
            prop_assert_eq!(given.len(), claims.len());
            let unique: BTreeSet<_> = given.values().collect();
            prop_assert_eq!(unique.len(), given.len());
            // Whoever comes back with what it was given keeps it.
            let again: Vec<_> = claims.iter().map(|claim| Claim {
                before: given.get(&claim.interface).copied(), ..*claim
            }).collect();
            prop_assert_eq!(assign(&again, NumberSet::default()), given);
        }
    }
}
