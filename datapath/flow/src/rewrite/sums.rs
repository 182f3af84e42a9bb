//! Writes bytes and mends the checksums that cover them, RFC 1624.

use super::crc32c;
use super::layout::{Layout, Network, SCTP, Upper};
use super::place::{Covered, Place};
use crate::Bits;
use weft_wire::IpProtocol;
use weft_wire::checksum::{finish, finish_udp, fold};

/// What some words were and are: a partial sum to be added to that of all covered bytes.
#[derive(Clone, Copy)]
struct Change(u64);

/// Writes bits at a place; `None`, and no change, when it is not all in the frame.
pub(super) fn write(
    layout: &Layout,
    frame: &mut [u8],
    place: Place,
    bits: Bits,
    is_partial: bool,
) -> Option<()> {
    let Place { at, len, shift, covered } = place;
    let words = frame.get_mut(at..at + len)?;
    let old = number(words);
    let new = old & !(bits.mask << shift) | bits.value << shift;
    if new == old {
        return Some(());
    }
    let change = Change(words_sum(new) + u64::from(!fold(words_sum(old))));
    words.copy_from_slice(new.to_be_bytes().get(16 - len..)?);
    if covered != Covered::No {
        mend(layout, frame, covered, change, is_partial);
    }
    if covered == Covered::Upper
        && let Some(upper) = layout.upper.filter(|upper| upper.protocol == SCTP)
    {
        mend_sctp(upper, frame, place, old ^ new);
    }
    Some(())
}

/// The number that some bytes are.
fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// A partial sum of the 16-bit words of a number: a word of 32 bits is congruent to the sum of its
/// halves.
fn words_sum(number: u128) -> u64 {
    let word = |at: u32| u64::try_from(number >> at & 0xffff_ffff).unwrap_or_default();
    word(0) + word(32) + word(64) + word(96)
}

/// The sum that a checksum field stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    /// The complement of the sum of all covered bytes.
    Whole,
    /// The same for UDP, where 0 says that there is none.
    Udp,
    /// The sum of the pseudo-header.
    Pseudo,
}

fn mend(layout: &Layout, frame: &mut [u8], covered: Covered, change: Change, is_partial: bool) {
    if layout.network == Some(Network::V4) && covered != Covered::Upper {
        mend_at(frame, layout.start + 10, Field::Whole, change);
    }
    let Some(upper) = layout.upper.filter(|_| covered != Covered::Network) else { return };
    let is_addresses = covered == Covered::Addresses;
    let (offset, field) = match upper.protocol {
        IpProtocol::TCP => (weft_wire::tcp::CHECKSUM_OFFSET, Field::Whole),
        IpProtocol::UDP => (weft_wire::udp::CHECKSUM_OFFSET, Field::Udp),
        IpProtocol::ICMPV6 => (2, Field::Whole),
        IpProtocol::ICMP if !is_addresses => (2, Field::Whole),
        _ => return,
    };
    let at = upper.start + offset;
    match upper.protocol {
        // Nothing but the pseudo-header is summed yet.
        IpProtocol::TCP | IpProtocol::UDP if is_partial && is_addresses => {
            mend_at(frame, at, Field::Pseudo, change);
        }
        IpProtocol::TCP | IpProtocol::UDP if is_partial => {}
        _ => mend_at(frame, at, field, change),
    }
}

/// RFC 1624 equation 3.
fn mend_at(frame: &mut [u8], at: usize, field: Field, change: Change) {
    let Some(bytes) = frame.get_mut(at..).and_then(|bytes| bytes.first_chunk_mut()) else { return };
    let was = u16::from_be_bytes(*bytes);
    let mended = match field {
        Field::Udp if was == 0 => return,
        Field::Udp => finish_udp(u64::from(!was) + change.0),
        Field::Whole => finish(u64::from(!was) + change.0),
        Field::Pseudo => fold(u64::from(was) + change.0),
    };
    *bytes = mended.to_be_bytes();
}

/// SCTP's `CRC32c`, RFC 9260 appendix A.  It covers a whole datagram: that of a fragment cannot be
/// known.
fn mend_sctp(upper: Upper, frame: &mut [u8], place: Place, flipped: u128) {
    if upper.is_fragment {
        return;
    }
    let behind = upper.end.saturating_sub(place.at + place.len);
    let difference = crc32c::difference(flipped, place.len, behind);
    let field = frame.get_mut(upper.start + 8..).and_then(|bytes| bytes.first_chunk_mut());
    if let Some(field) = field {
        *field = (u32::from_le_bytes(*field) ^ difference).to_le_bytes();
    }
}
