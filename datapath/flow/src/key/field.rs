//! Fields of keys: what actions read and write by name.

use super::{Key, Mask};
use crate::field::{Place, Prerequisite, ones};
use crate::matching::Bits;
use crate::{Field, PortNo, Slot, Subfield};

/// The places of a field that lie in its low 128 bits.
fn places(field: Field) -> impl Iterator<Item = &'static Place> {
    field.places().iter().filter(|place| place.field_bit < 128)
}

impl Key {
    /// The value of a field of at most 128 bits; of an option of a tunnel, its last 128 bits.
    #[must_use]
    pub fn field(&self, field: Field) -> u128 {
        places(field).fold(0, |value, place| {
            value | (self.get(place.slot) >> place.slot_bit & ones(place.bits)) << place.field_bit
        })
    }

    /// Sets the bits in `mask` of a field of at most 128 bits.  `in_port` takes a 16-bit number.  An
    /// option of a tunnel is there afterwards.
    pub fn set_field(&mut self, field: Field, value: u128, mask: u128) {
        if field.name() == "in_port" {
            let value = self.field(field) & !mask | value & mask;
            let port = PortNo::from_u16(u16::try_from(value & ones(16)).unwrap_or_default());
            self.set(Slot::InPort, port.0.into());
            return;
        }
        if let Some(number) = field.tun_metadata_number() {
            self.set(Slot::TunPresent, self.get(Slot::TunPresent) | 1 << number);
        }
        for place in places(field) {
            let keep = (mask >> place.field_bit & ones(place.bits)) << place.slot_bit;
            let bits = Bits::new(value >> place.field_bit << place.slot_bit, keep);
            self.set(place.slot, self.get(place.slot) & !bits.mask | bits.value);
        }
    }

    /// The value of some bits of a field of at most 128 bits.
    #[must_use]
    pub fn subfield(&self, source: Subfield) -> u128 {
        self.field(source.field).checked_shr(source.offset.into()).unwrap_or_default()
            & ones(source.bits.into())
    }

    /// Sets some bits of a field of at most 128 bits.
    pub fn set_subfield(&mut self, target: Subfield, value: u128) {
        let shift = u32::from(target.offset);
        let shifted = |bits: u128| bits.checked_shl(shift).unwrap_or_default();
        self.set_field(target.field, shifted(value), shifted(ones(target.bits.into())));
    }

    /// True when the packet has what a field needs.
    #[must_use]
    pub fn has(&self, prerequisite: Prerequisite) -> bool {
        prerequisite.holds(|slot| Bits::new(self.get(slot), slot.ones()))
    }
}

impl Mask {
    /// Makes some bits of a field of at most 128 bits count.
    pub fn cover_subfield(&mut self, part: Subfield) {
        let bits = ones(part.bits.into()).checked_shl(part.offset.into()).unwrap_or_default();
        for place in places(part.field) {
            self.cover(place.slot, (bits >> place.field_bit & ones(place.bits)) << place.slot_bit);
        }
    }

    /// Makes all count that [`Key::has`] looks at.
    pub fn cover_prerequisite(&mut self, prerequisite: Prerequisite) {
        for slot in prerequisite.slots() {
            self.cover_all(*slot);
        }
    }
}
