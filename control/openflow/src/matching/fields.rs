//! Fields of matches, read in a row.

use crate::bytes::Reader;
use crate::oxm::{self, Entry, Item, possible};
use weft_flow::request::Refusal;
use weft_flow::{Bits, Match, Slot, TlvMap};

/// The cookie that flows must have, in messages of Nicira.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cookie {
    /// The bits that count.
    pub value: u64,
    /// Which those are; 0: any cookie.
    pub mask: u64,
}

/// What is done with fields that have no name here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The match is refused; fields must come behind what they need.
    Refused,
    /// They are left out; fields may come without what they need.  Metadata of packets is read so.
    Skipped,
}

/// Reads fields until the bytes end.  A cookie may be among them if there is a place for it.
///
/// # Errors
/// Lengths, fields, values, masks or prerequisites that cannot be.
pub fn decode_fields(
    bytes: &[u8],
    tlvs: &TlvMap,
    unknown: Unknown,
    mut cookie: Option<&mut Cookie>,
) -> Result<Match, Refusal> {
    let mut reader = Reader::refusing(bytes, Refusal::MatchBadLen);
    let mut fields = Fields { matching: Match::any(), is_ethernet: false, unknown };
    while !reader.is_empty() {
        match oxm::read(&mut reader, tlvs)? {
            Item::Field(entry) => fields.add(&entry)?,
            Item::Cookie(value, mask) => match cookie.as_deref_mut() {
                None => return Err(Refusal::BadField),
                Some(cookie) if cookie.mask != 0 => return Err(Refusal::DupField),
                Some(cookie) => *cookie = Cookie { value, mask },
            },
            Item::Unknown if unknown == Unknown::Refused => return Err(Refusal::BadField),
            Item::Unknown => {}
        }
    }
    Ok(fields.finish())
}

struct Fields {
    matching: Match,
    /// True when a field of Ethernet, or of what Ethernet carries, was read.
    is_ethernet: bool,
    unknown: Unknown,
}

impl Fields {
    fn add(&mut self, entry: &Entry<'_>) -> Result<(), Refusal> {
        entry.check_mask()?;
        entry.check_value()?;
        let field = entry.field;
        if self.unknown == Unknown::Refused && !self.matching.has(field.prerequisite()) {
            return Err(Refusal::BadPrereq);
        }
        let slots = || field.places().iter().map(|place| place.slot);
        let is_ethernet = slots().any(|slot| slot >= Slot::EthDst);
        let packet_type = self.matching.slot(Slot::PacketType);
        if is_ethernet && self.unknown == Unknown::Refused && packet_type.value != 0 {
            return Err(Refusal::BadPrereq);
        }
        let comes_late = slots().any(|slot| slot == Slot::PacketType) && self.is_ethernet;
        if comes_late || self.has(entry) {
            return Err(Refusal::DupField);
        }
        self.is_ethernet |= is_ethernet;
        self.set(entry);
        Ok(())
    }

    /// True when some bit of the field is asked for already.
    fn has(&self, entry: &Entry<'_>) -> bool {
        if let Some(number) = entry.field.tun_metadata_number() {
            return self.matching.slot(Slot::TunPresent).mask >> number & 1 != 0;
        }
        self.matching.get(entry.field).mask != 0
    }

    fn set(&mut self, entry: &Entry<'_>) {
        let field = entry.field;
        if !entry.is_wide() {
            let Bits { value, mask } = entry.bits();
            let mask = match field.name() {
                // All that a fragment can be, however it is said.
                "ip_frag" if mask & 3 == 3 => 0xff,
                "ip_frag" | "ct_state" | "tun_flags" => mask & possible(field),
                _ => mask,
            };
            if mask != 0 || field.tun_metadata_number().is_some() {
                self.matching.set(field, value, mask);
            }
            return;
        }
        let (value, mask) = entry.wide();
        self.matching.set(field, value[0], mask[0]);
        for (place, (value, mask)) in field.places().iter().zip(value.into_iter().zip(mask)).skip(1)
        {
            self.matching.set_slot(place.slot, Bits::new(value, mask));
        }
    }

    /// The match; Ethernet goes without saying where Ethernet's fields are asked for.
    fn finish(mut self) -> Match {
        if self.is_ethernet {
            self.matching.set_slot(Slot::PacketType, Bits::default());
        }
        self.matching
    }
}
