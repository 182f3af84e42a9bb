//! A change of many ports, in pieces: so no plan and no snapshot takes long.
//!
//! What goes comes first, since what comes may want its names and numbers; then what is wanted otherwise than
//! before; then what is new, by name, as in one plan.

use crate::config::desired::{Desired, Kind};
use crate::plan::Dirty;
use crate::plan::installed::Installed;
use std::collections::{BTreeSet, VecDeque};
use uuid::Uuid;

/// Interfaces of one piece, unless all are dirty that are no patch ports.
const PIECE: usize = 64;

/// When an interface has its turn: its place, then its name.
type Place<'a> = (u8, &'a str);

/// What is planned together, in order; one piece at least.
pub(super) fn pieces(dirty: Dirty, desired: &Desired, installed: &Installed) -> VecDeque<Dirty> {
    if dirty.interfaces.len() <= PIECE {
        return [dirty].into();
    }
    let is_patch = |row: &Uuid| {
        let wanted = desired.interface(row);
        wanted.is_some_and(|(.., interface)| matches!(interface.kind, Kind::Patch(_)))
    };
    // All that is no patch port shares what has changed.
    let (rest, first): (BTreeSet<Uuid>, BTreeSet<Uuid>) =
        dirty.interfaces.into_iter().partition(|row| !dirty.all || is_patch(row));
    let mut pieces = VecDeque::new();
    if dirty.all {
        pieces.push_back(Dirty { all: true, interfaces: first });
    }
    let mut rest: Vec<Uuid> = rest.into_iter().collect();
    rest.sort_by_key(|row| place(row, desired, installed));
    pieces.extend(
        rest.chunks(PIECE)
            .map(|rows| Dirty { all: false, interfaces: rows.iter().copied().collect() }),
    );
    pieces
}

fn place<'a>(row: &Uuid, desired: &'a Desired, installed: &Installed) -> Place<'a> {
    match desired.interface(row) {
        None => (0, ""),
        Some((.., interface)) if installed.ports.get(row).is_some() => (1, &interface.name),
        Some((.., interface)) => (2, &interface.name),
    }
}
