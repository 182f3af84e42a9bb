//! The table of fields: a row for each, in the order in which texts list them.
//!
//! Numbers and names are those of the `OpenFlow` specifications and of Open vSwitch's fields
//! (ovs-fields(7)).

mod metadata;
mod packet;
mod repeated;
mod tunnel;

use super::Prerequisite as Pre;
use super::Style::Hexadecimal;
use super::{Class, Header, Place, Row, Slot, Style};
use crate::Version;
use Version::V13;
use std::collections::HashMap;
use std::sync::LazyLock;

/// A header.
const fn h(class: Class, number: u8, name: &'static str) -> Header {
    Header { class, number, name }
}

/// Bits of a slot.
const fn p(slot: Slot, slot_bit: u32, field_bit: u32, bits: u32) -> Place {
    Place { slot, slot_bit, field_bit, bits }
}

/// Whether matches may have a mask, and whether actions may set it.
type Uses = (bool, bool);
/// Matched exactly, never set.
const EXACT: Uses = (false, false);
/// Matched exactly, may be set.
const SET: Uses = (false, true);
/// Matched with masks, never set.
const MASK: Uses = (true, false);
/// Matched with masks, may be set.
const BOTH: Uses = (true, true);

/// A row without headers.
const fn row(
    names: &'static [&'static str],
    bits: u32,
    (maskable, writable): Uses,
    style: Style,
    prerequisite: Pre,
    places: &'static [Place],
) -> Row {
    Row {
        names,
        bits,
        maskable,
        writable,
        style,
        prerequisite,
        nxm: None,
        onf: None,
        oxm: None,
        places,
    }
}

impl Row {
    /// With a header of NXM.
    const fn nxm(mut self, class: Class, number: u8, name: &'static str) -> Self {
        self.nxm = Some(h(class, number, name));
        self
    }

    /// With a header of the Open Networking Foundation, since 1.3.
    const fn onf(mut self, number: u8, name: &'static str) -> Self {
        self.onf = Some((h(Class::Onf, number, name), V13));
        self
    }

    /// With a header of OXM, since a version.
    const fn oxm(mut self, class: Class, number: u8, name: &'static str, since: Version) -> Self {
        self.oxm = Some((h(class, number, name), since));
        self
    }
}

/// Answers where a number has no row, which cannot be.
pub(super) const FIRST: Row =
    row(&["dp_hash"], 32, MASK, Hexadecimal, Pre::None, &[p(Slot::DpHash, 0, 0, 32)]).nxm(
        Class::Nxm1,
        35,
        "DP_HASH",
    );

/// All rows, in the order in which texts list fields.
static PARTS: [&[Row]; 5] =
    [tunnel::TUNNEL, repeated::OPTIONS, metadata::METADATA, repeated::REGISTERS, packet::PACKET];

/// All rows, in order.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    PARTS.into_iter().flatten()
}

/// The row with a number.
pub(super) fn row_at(number: u16) -> Option<&'static Row> {
    let mut at = usize::from(number);
    for part in PARTS {
        if at < part.len() {
            return part.get(at);
        }
        at -= part.len();
    }
    None
}

/// The number of the row with each name.
static NAMES: LazyLock<HashMap<&'static str, u16>> = LazyLock::new(|| {
    let rows = (0u16..).zip(rows());
    rows.flat_map(|(number, row)| row.names.iter().map(move |name| (*name, number))).collect()
});

/// The number of the row with each header.
static HEADERS: LazyLock<HashMap<(Class, u8), u16>> = LazyLock::new(|| {
    let headers = |row: &'static Row| {
        let newer = row.onf.into_iter().chain(row.oxm).map(|(header, _)| header);
        row.nxm.into_iter().chain(newer)
    };
    let rows = (0u16..).zip(rows());
    rows.flat_map(|(number, row)| {
        headers(row).map(move |header| ((header.class, header.number), number))
    })
    .collect()
});

/// The number of the row with a name.
pub(super) fn by_name(name: &str) -> Option<u16> {
    NAMES.get(name).copied()
}

/// The number of the row with a header.
pub(super) fn by_header(class: Class, number: u8) -> Option<u16> {
    HEADERS.get(&(class, number)).copied()
}
