//! Reads and writes fields of the key, and keeps which bits decided.

use super::{Sink, Walk};
use crate::field::{Prerequisite, ones};
use crate::program::Step;
use crate::{Bits, Field, PortNo, Slot, Subfield};

/// The slots of headers that actions change in place, in the order in which steps set them: the
/// type of a neighbour message and of its option say where the rest is.
const HEADERS: [Slot; 19] = [
    Slot::EthDst,
    Slot::EthSrc,
    Slot::VlanTci,
    Slot::MplsLse,
    Slot::NwSrc,
    Slot::NwDst,
    Slot::Ipv6Src,
    Slot::Ipv6Dst,
    Slot::Ipv6Label,
    Slot::NwTos,
    Slot::NwTtl,
    Slot::NwProto,
    Slot::TpSrc,
    Slot::TpDst,
    Slot::NdOptionsType,
    Slot::NdReserved,
    Slot::NdTarget,
    Slot::ArpSha,
    Slot::ArpTha,
];

/// Bit 12 of a tag in a key: there is one.
pub(super) const TAG_PRESENT: u128 = 0x1000;

/// True for what goes along with the packet to its output.
fn is_carried(slot: Slot) -> bool {
    slot == Slot::PktMark || (Slot::TunId..=Slot::TunMetadata(63, 7)).contains(&slot)
}

/// The bits of slots that some bits of a field are: slot, lowest bit there, lowest bit among the
/// bits that are asked for, how many.
fn pieces(part: Subfield) -> impl Iterator<Item = (Slot, u32, u32, u32)> {
    let (from, to) = (u32::from(part.offset), u32::from(part.offset) + u32::from(part.bits));
    part.field.places().iter().filter_map(move |place| {
        let low = place.field_bit.max(from);
        let high = (place.field_bit + place.bits).min(to);
        let bits = high.checked_sub(low).filter(|bits| *bits > 0)?;
        Some((place.slot, place.slot_bit + low - place.field_bit, low - from, bits))
    })
}

/// Parts of at most 128 bits, the lowest first.
pub(super) fn parts(part: Subfield) -> impl DoubleEndedIterator<Item = Subfield> {
    (0..part.bits.div_ceil(128)).map(move |number| Subfield {
        field: part.field,
        offset: part.offset + number * 128,
        bits: (part.bits - number * 128).min(128),
    })
}

impl<S: Sink> Walk<'_, S> {
    /// The value of a slot, which decides.
    pub(super) fn read(&mut self, slot: Slot) -> u128 {
        self.reads.cover_all(slot);
        self.state.key.get(slot)
    }

    /// The value of at most 128 bits of a field, which decide.
    pub(super) fn read_bits(&mut self, part: Subfield) -> u128 {
        self.read_masked(part, u128::MAX)
    }

    /// The same, of those in `mask`.
    pub(super) fn read_masked(&mut self, part: Subfield, mask: u128) -> u128 {
        let mut value = 0;
        for (slot, at, shift, bits) in pieces(part) {
            let keep = mask >> shift & ones(bits);
            self.reads.cover(slot, keep << at);
            value |= (self.state.key.get(slot) >> at & keep) << shift;
        }
        value
    }

    /// True when the packet has what a field needs, which decides.
    pub(super) fn has(&mut self, prerequisite: Prerequisite) -> bool {
        self.reads.cover_prerequisite(prerequisite);
        self.state.key.has(prerequisite)
    }

    /// Writes at most 128 bits of a field.
    pub(super) fn write_bits(&mut self, part: Subfield, value: u128) {
        let mask = ones(part.bits.into());
        for (slot, at, shift, bits) in pieces(part) {
            let piece = Bits::new((value & mask) >> shift << at, ones(bits) << at);
            self.write_piece(part.field, slot, piece);
        }
    }

    /// Writes the bits in `mask` of a field of at most 128 bits.
    pub(super) fn write_masked(&mut self, field: Field, value: u128, mask: u128) {
        for place in field.places().iter().filter(|place| place.field_bit < 128) {
            let keep = (mask >> place.field_bit & ones(place.bits)) << place.slot_bit;
            let bits = Bits::new(value >> place.field_bit << place.slot_bit, keep);
            self.write_piece(field, place.slot, bits);
        }
    }

    fn write_piece(&mut self, field: Field, slot: Slot, bits: Bits) {
        match slot {
            _ if bits.mask == 0 => {}
            // A number of 16 bits stands for one of 32.
            Slot::InPort if field.bits() == 16 => {
                let old = self.state.key.get(slot);
                let number = (old & !bits.mask | bits.value) & ones(16);
                let port = PortNo::from_u16(u16::try_from(number).unwrap_or_default());
                self.write(slot, Bits::new(port.0.into(), ones(32)));
            }
            // A VID or a priority is that of a tag.
            Slot::VlanTci if field.bits() == 12 || field.bits() == 3 => {
                self.write_tag(Bits::new(bits.value | TAG_PRESENT, bits.mask | TAG_PRESENT));
            }
            Slot::VlanTci => self.write_tag(bits),
            _ => self.write(slot, bits),
        }
    }

    /// Writes bits of a slot.
    pub(super) fn write(&mut self, slot: Slot, bits: Bits) {
        if bits.mask & !self.state.written.get(slot) != 0 {
            self.flush_reads();
            self.state.written.cover(slot, bits.mask);
        }
        let old = self.state.key.get(slot);
        self.state.key.set(slot, old & !bits.mask | bits.value);
        if let Slot::TunMetadata(number, _) = slot {
            let present = Bits::new(1 << number, 1 << number);
            self.write(Slot::TunPresent, present);
        }
        if slot.is_header() || is_carried(slot) {
            self.state.dirty.cover(slot, bits.mask);
        }
    }

    /// Writes a slot that a step has written in the frame already.
    pub(super) fn write_sent(&mut self, slot: Slot, value: u128) {
        self.write(slot, Bits::new(value, slot.ones()));
        self.state.dirty.uncover(slot);
        self.state.sent.set(slot, value);
        self.state.committed.cover_all(slot);
    }

    /// What was looked at decided, as far as the packet has it from outside.
    pub(super) fn flush_reads(&mut self) {
        if !self.reads.is_empty() {
            self.mask.merge_unwritten(&self.reads, &self.state.written);
            self.reads = crate::Mask::default();
        }
    }

    /// Steps that make the frame, and what goes along with it, what the key says.
    pub(super) fn commit(&mut self) {
        self.flush_reads();
        if !self.state.dirty.is_empty() {
            for slot in HEADERS {
                self.commit_slot(slot);
            }
            if !self.state.dirty.is_empty() {
                for (slot, _) in self.state.dirty.to_match(&self.state.key).iter() {
                    self.commit_slot(slot);
                }
            }
        }
        if self.state.queue != self.state.sent_queue {
            self.state.sent_queue = self.state.queue;
            self.builder.push(Step::Queue(self.state.queue));
        }
    }

    /// Sets the bits of a slot that were written and are not what they are to be in all packets.
    pub(super) fn commit_slot(&mut self, slot: Slot) {
        let dirty = self.state.dirty.get(slot);
        if dirty == 0 {
            return;
        }
        self.state.dirty.uncover(slot);
        let (key, sent) = (self.state.key.get(slot), self.state.sent.get(slot));
        let fixed = self.state.committed.get(slot) | self.mask.get(slot);
        let wrong = dirty & !(fixed & !(key ^ sent));
        if wrong != 0 {
            self.builder.set(slot, Bits::new(key, wrong));
            self.state.sent.set(slot, sent & !wrong | key & wrong);
            self.state.committed.cover(slot, wrong);
        }
    }
}
