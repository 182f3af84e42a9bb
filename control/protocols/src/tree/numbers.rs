//! The numbers of a bridge's ports.

use std::collections::BTreeSet;

/// Why a port gets no number and takes no part in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// The number is not in range.
    Invalid(u64),
    /// Another port has that number.
    Duplicate(u16),
    /// All numbers are given out.
    TooMany,
}

/// Gives each port of a bridge a number from 1 to `max` (255 for STP, 4095 for RSTP): the one
/// that it asks for, else the lowest that nobody asks for.  One result for each request.
#[must_use]
pub fn assign_numbers(wishes: &[Option<u64>], max: u16) -> Vec<Result<u16, NumberError>> {
    let mut taken = BTreeSet::new();
    let explicit: Vec<_> = wishes
        .iter()
        .map(|wish| {
            wish.map(|wish| {
                let number = u16::try_from(wish).unwrap_or(0);
                if !(1..=max).contains(&number) {
                    return Err(NumberError::Invalid(wish));
                }
                if taken.insert(number) { Ok(number) } else { Err(NumberError::Duplicate(number)) }
            })
        })
        .collect();
    let mut free = (1..=max).filter(|number| !taken.contains(number));
    explicit
        .into_iter()
        .map(|wish| wish.unwrap_or_else(|| free.next().ok_or(NumberError::TooMany)))
        .collect()
}
