//! Flags of flows.

use crate::message::wire::{Done, Width, Wire};
use weft_flow::Version;
use weft_flow::request::{FlowFlags, Refusal};

/// Flags, of which each version has more; bits of later versions are refused.
pub(super) fn flags(wire: &mut Wire<'_>, flags: &mut FlowFlags) -> Done {
    let version = wire.version();
    let third =
        if version == Version::V10 { &mut flags.is_emergency } else { &mut flags.resets_counts };
    let mut rows = [
        (1, &mut flags.sends_flow_removed),
        (1 << 1, &mut flags.checks_overlap),
        (1 << 2, third),
        (1 << 3, &mut flags.no_packet_counts),
        (1 << 4, &mut flags.no_byte_counts),
    ];
    let count = match version {
        Version::V11 => 2,
        Version::V10 | Version::V12 => 3,
        Version::V13 | Version::V14 | Version::V15 => 5,
    };
    let rows = rows.get_mut(..count).unwrap_or_default();
    wire.flags(Width::U16, rows, Some(Refusal::FlowModBadFlags))
}
