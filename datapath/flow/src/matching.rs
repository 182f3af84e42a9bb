//! Matches: which packets a flow takes.

use crate::field::{Prerequisite, ones};
use crate::{Field, PortNo, Slot};

/// A value, of which the bits in `mask` count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bits {
    /// The value; zero where the mask is.
    pub value: u128,
    /// The bits that count; 0: any value.
    pub mask: u128,
}

impl Bits {
    /// A value with its mask, the bits outside the mask cleared.
    #[must_use]
    pub const fn new(value: u128, mask: u128) -> Self {
        Self { value: value & mask, mask }
    }

    /// True when `value` is one of those that it takes.
    #[must_use]
    pub const fn takes(self, value: u128) -> bool {
        value & self.mask == self.value
    }

    /// True when it takes all that `other` takes.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.mask & !other.mask == 0 && other.value & self.mask == self.value
    }

    /// True when some value is taken by both.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        (self.value ^ other.value) & self.mask & other.mask == 0
    }

    const fn shifted(self, left: u32, right: u32, bits: u32) -> Self {
        let keep = ones(bits);
        Self::new(self.value >> right & keep, self.mask >> right & keep).left(left)
    }

    const fn left(self, left: u32) -> Self {
        Self { value: self.value << left, mask: self.mask << left }
    }
}

/// Which packets a flow takes, in canonical form: masked bits by slot, in the order of slots; a slot
/// of which no bit counts is not there.  Two matches that take the same packets for the same
/// reasons are equal, however their messages named the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Match {
    slots: Vec<(Slot, Bits)>,
}

/// Tag present: bit 12 of the TCI in a key.
const VLAN_PRESENT: u128 = 0x1000;
const VLAN_VID: u128 = 0x0fff;
const VLAN_PCP: u128 = 0xe000;

impl Match {
    /// Any packet.
    #[must_use]
    pub const fn any() -> Self {
        Self { slots: Vec::new() }
    }

    /// Gives back memory that it has for more slots: for matches that stay.
    pub fn shrink_to_fit(&mut self) {
        self.slots.shrink_to_fit();
    }

    /// True when it takes any packet.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.slots.is_empty()
    }

    /// The slots of which bits count, in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Slot, Bits)> + '_ {
        self.slots.iter().copied()
    }

    /// The bits of a slot that count.
    #[must_use]
    pub fn slot(&self, slot: Slot) -> Bits {
        match self.slots.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(at) => self.slots.get(at).map(|(_, bits)| *bits).unwrap_or_default(),
            Err(_) => Bits::default(),
        }
    }

    /// Sets which bits of a slot count, instead of those that did.
    pub fn set_slot(&mut self, slot: Slot, bits: Bits) {
        let bits = Bits::new(bits.value, bits.mask & slot.ones());
        match self.slots.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(at) if bits.mask == 0 => drop(self.slots.remove(at)),
            Ok(at) => {
                if let Some(place) = self.slots.get_mut(at) {
                    place.1 = bits;
                }
            }
            Err(_) if bits.mask == 0 => {}
            Err(at) => self.slots.insert(at, (slot, bits)),
        }
    }

    /// What is asked of a field of at most 128 bits: of an option of a tunnel, its last 128 bits.
    #[must_use]
    pub fn get(&self, field: Field) -> Bits {
        if field.name() == "in_port" {
            let bits = self.slot(Slot::InPort);
            return if bits.mask == 0 { bits } else { Bits::new(bits.value, ones(16)) };
        }
        let mut all = Bits::default();
        for place in field.places().iter().filter(|place| place.field_bit < 128) {
            let bits = self.slot(place.slot).shifted(place.field_bit, place.slot_bit, place.bits);
            all = Bits { value: all.value | bits.value, mask: all.mask | bits.mask };
        }
        all
    }

    /// Asks `value` of the bits in `mask` of a field of at most 128 bits, as well as what was asked
    /// of its other bits.  `in_port` takes a 16-bit number.  `dl_vlan` asks for a tag too, as do the
    /// priorities of tags.
    pub fn set(&mut self, field: Field, value: u128, mask: u128) {
        match field.name() {
            "in_port" => {
                let port = PortNo::from_u16(u16::try_from(value & ones(16)).unwrap_or_default());
                self.set_slot(Slot::InPort, Bits::new(port.0.into(), ones(32)));
                return;
            }
            "dl_vlan" => {
                self.add(Slot::VlanTci, Bits::new(value | VLAN_PRESENT, VLAN_VID | VLAN_PRESENT));
                return;
            }
            "dl_vlan_pcp" | "vlan_pcp" => {
                let bits = Bits::new(value << 13 | VLAN_PRESENT, VLAN_PCP | VLAN_PRESENT);
                self.add(Slot::VlanTci, bits);
                return;
            }
            _ => {}
        }
        if let Some(number) = field.tun_metadata_number() {
            let present = 1 << number;
            self.add(Slot::TunPresent, Bits::new(present, present));
        }
        for place in field.places().iter().filter(|place| place.field_bit < 128) {
            let bits = Bits::new(value, mask);
            self.add(place.slot, bits.shifted(place.slot_bit, place.field_bit, place.bits));
        }
    }

    /// Asks all of a field's value.
    pub fn set_exact(&mut self, field: Field, value: u128) {
        self.set(field, value, ones(field.bits().min(128)));
    }

    fn add(&mut self, slot: Slot, bits: Bits) {
        let was = self.slot(slot);
        let value = was.value & !bits.mask | bits.value;
        self.set_slot(slot, Bits { value, mask: was.mask | bits.mask });
    }

    /// True when it takes all packets that `other` takes.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.iter().all(|(slot, bits)| bits.contains(other.slot(slot)))
    }

    /// True when some packet may be taken by both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.iter().all(|(slot, bits)| bits.overlaps(other.slot(slot)))
    }

    /// True when all packets that it takes have what a field needs.
    #[must_use]
    pub fn has(&self, prerequisite: Prerequisite) -> bool {
        prerequisite.holds(|slot| self.slot(slot))
    }
}

impl FromIterator<(Slot, Bits)> for Match {
    fn from_iter<I: IntoIterator<Item = (Slot, Bits)>>(bits: I) -> Self {
        let mut all = Self::any();
        for (slot, bits) in bits {
            all.set_slot(slot, bits);
        }
        all
    }
}

#[cfg(test)]
mod tests;
