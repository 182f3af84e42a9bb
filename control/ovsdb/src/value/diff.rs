//! The difference of two datums, and of two sorted slices.

use std::cmp::Ordering;

use crate::value::atom::Atom;
use crate::value::datum::Datum;
use crate::value::schema::ColumnType;

/// Differences of a set that are made in place; of more, a merge is cheaper.
const PATCHED_MAX: usize = 16;

impl Datum {
    /// What turns `self` into `new`, as `update2` and the log file carry it: for a type of at most one
    /// element the new value; for a set the elements that are in one of them only; for a map the pairs
    /// added, the pairs removed (with their old value) and the pairs changed (with the new value).
    #[must_use]
    pub fn diff(&self, new: &Self, ty: &ColumnType) -> Self {
        if ty.max == 1 {
            return new.clone();
        }
        match (self, new) {
            (Self::Set(old), Self::Set(new)) => {
                let (old, new) = without_common_ends(old, new);
                Self::Set(
                    merge(old, new, Ord::cmp)
                        .filter_map(|side| match side {
                            Side::Left(atom) | Side::Right(atom) => Some(atom.clone()),
                            Side::Both(..) => None,
                        })
                        .collect(),
                )
            }
            (Self::Map(old), Self::Map(new)) => {
                let (old, new) = without_common_ends(old, new);
                Self::Map(differing(old, new))
            }
            _ => new.clone(),
        }
    }

    /// Undoes [`Datum::diff`]: `old.apply_diff(&old.diff(&new, ty), ty) == new`.
    #[must_use]
    pub fn apply_diff(&self, diff: &Self, ty: &ColumnType) -> Self {
        if ty.max == 1 {
            return diff.clone();
        }
        match (self, diff) {
            (Self::Set(_), Self::Set(_)) => self.diff(diff, ty),
            (Self::Map(old), Self::Map(diff)) => Self::Map(differing(old, diff)),
            _ => diff.clone(),
        }
    }

    /// As [`Datum::apply_diff`], in place: a small change of a large set copies nothing.
    pub fn patch(&mut self, diff: &Self, ty: &ColumnType) {
        if let (Self::Set(atoms), Self::Set(few)) = (&mut *self, diff)
            && ty.max != 1
            && few.len() <= PATCHED_MAX
        {
            for atom in few {
                match atoms.binary_search(atom) {
                    Ok(place) => drop(atoms.remove(place)),
                    Err(place) => atoms.insert(place, atom.clone()),
                }
            }
            return;
        }
        *self = self.apply_diff(diff, ty);
    }
}

/// The pairs of one of two maps alone, and of those with one key and two values the second.
fn differing(old: &[(Atom, Atom)], new: &[(Atom, Atom)]) -> Vec<(Atom, Atom)> {
    merge(old, new, |a, b| a.0.cmp(&b.0))
        .filter_map(|side| match side {
            Side::Left(pair) | Side::Right(pair) => Some(pair.clone()),
            Side::Both(a, b) if a.1 == b.1 => None,
            Side::Both(_, b) => Some(b.clone()),
        })
        .collect()
}

/// Two slices without the elements that they start with and end with alike: what differs in large sets is
/// small most of the time, and comparing is cheaper than merging.
pub(crate) fn without_common_ends<'a, T: PartialEq>(
    mut a: &'a [T],
    mut b: &'a [T],
) -> (&'a [T], &'a [T]) {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    (a, b) = (a.get(common..).unwrap_or_default(), b.get(common..).unwrap_or_default());
    let common = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let until = |slice: &'a [T]| slice.get(..slice.len() - common).unwrap_or_default();
    (until(a), until(b))
}

/// Where a merged element comes from.
pub(crate) enum Side<'a, T> {
    /// Only the first slice.
    Left(&'a T),
    /// Only the second slice.
    Right(&'a T),
    /// Both, in this order.
    Both(&'a T, &'a T),
}

/// Walks two sorted slices at once.
pub(crate) fn merge<'a, T>(
    left: &'a [T],
    right: &'a [T],
    order: impl Fn(&T, &T) -> Ordering + 'a,
) -> impl Iterator<Item = Side<'a, T>> + 'a {
    let mut left = left.iter().peekable();
    let mut right = right.iter().peekable();
    std::iter::from_fn(move || {
        let which = match (left.peek(), right.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => order(a, b),
        };
        match which {
            Ordering::Less => left.next().map(Side::Left),
            Ordering::Greater => right.next().map(Side::Right),
            Ordering::Equal => left.next().zip(right.next()).map(|(a, b)| Side::Both(a, b)),
        }
    })
}
