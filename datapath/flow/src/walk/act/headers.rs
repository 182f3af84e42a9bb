//! Tags, MPLS entries, TTLs.

use super::Then;
use crate::field::Prerequisite;
use crate::program::{Context, Reason, Step};
use crate::walk::write::TAG_PRESENT;
use crate::walk::{Note, Sink, Walk};
use crate::{Bits, Slot};
use weft_wire::EtherType;

/// The bit of an MPLS entry that says that no other is behind it.
const BOTTOM: u128 = 0x100;

impl<S: Sink> Walk<'_, S> {
    /// Whether there is a tag, which decides.
    pub(in crate::walk) fn has_tag(&mut self) -> bool {
        self.reads.cover(Slot::VlanTci, TAG_PRESENT);
        self.state.key.get(Slot::VlanTci) & TAG_PRESENT != 0
    }

    /// Writes bits of the tag; the bit that says that there is one puts one on or takes it off.
    pub(in crate::walk) fn write_tag(&mut self, bits: Bits) {
        let has_tag = self.has_tag();
        let tci = self.state.key.get(Slot::VlanTci) & !bits.mask | bits.value;
        match (has_tag, tci & TAG_PRESENT != 0) {
            (true, true) => self.write(Slot::VlanTci, bits),
            (true, false) => self.pop_tag(),
            (false, true) => {
                self.push_tag(EtherType::C_TAG.0);
                self.write(Slot::VlanTci, Bits::new(tci, Slot::VlanTci.ones()));
            }
            (false, false) => {}
        }
    }

    /// Writes VID or priority of 1.0's actions.
    pub(in crate::walk) fn write_old_tag(&mut self, value: u16, mask: u16, pushes: bool) {
        if pushes || self.has_tag() {
            let tag = |bits: u16| u128::from(bits) | TAG_PRESENT;
            self.write_tag(Bits::new(tag(value), tag(mask)));
        } else {
            self.note(Note::Prerequisite);
        }
    }

    pub(in crate::walk) fn strip_tag(&mut self) {
        if self.has_tag() {
            self.pop_tag();
        } else {
            self.note(Note::Prerequisite);
        }
    }

    /// A step after which the frame has another length.
    fn resize(&mut self, step: Step) {
        self.state.length = (None, None);
        self.state.resizes += 1;
        self.builder.push(step);
    }

    pub(in crate::walk) fn push_tag(&mut self, ethertype: u16) {
        self.flush_reads();
        self.commit_slot(Slot::VlanTci);
        let (outer, inner) = (self.read(Slot::VlanTci), self.read(Slot::InnerTci));
        self.flush_reads();
        if inner != 0 {
            self.state.hidden.push(u16::try_from(inner).unwrap_or_default());
        }
        self.resize(Step::PushVlan { ethertype, tci: 0 });
        self.write_sent(Slot::InnerTci, outer);
        self.write_sent(Slot::VlanTci, TAG_PRESENT);
    }

    /// The tag that is taken off was there.
    fn pop_tag(&mut self) {
        let inner = self.read(Slot::InnerTci);
        let behind = self.read(Slot::EthType);
        self.flush_reads();
        // More tags than the key has: only the frame says what is in the next.
        let is_tag = u16::try_from(behind).is_ok_and(|kind| EtherType(kind).is_tag());
        let hidden = self.state.hidden.pop();
        self.state.is_stale |= is_tag && hidden.is_none();
        self.resize(Step::PopVlan);
        self.write_sent(Slot::VlanTci, inner);
        self.write_sent(Slot::InnerTci, hidden.unwrap_or_default().into());
    }

    pub(in crate::walk) fn push_mpls(&mut self, ethertype: u16) {
        let entry = if self.has(Prerequisite::Mpls) {
            self.read(Slot::MplsLse) & !BOTTOM
        } else {
            self.first_entry()
        };
        self.commit();
        let bits = u32::try_from(entry).unwrap_or_default();
        self.resize(Step::PushMpls { ethertype, entry: bits });
        self.write_sent(Slot::MplsLse, entry);
        self.write_sent(Slot::EthType, ethertype.into());
        for slot in Slot::BEHIND_TAGS {
            self.write_sent(slot, 0);
        }
    }

    /// An entry for a packet that has none: explicit null (RFC 3032), with traffic class and TTL of
    /// the IP header.
    fn first_entry(&mut self) -> u128 {
        let label = if self.has(Prerequisite::Ipv6) { 2 } else { 0 };
        let (mut class, mut ttl) = (0, 64);
        if self.has(Prerequisite::Ip) {
            class = self.read(Slot::NwTos) >> 2 & 7;
            ttl = match self.read(Slot::NwTtl) {
                0 => 64,
                ttl => ttl,
            };
        }
        label << 12 | class << 9 | BOTTOM | ttl
    }

    pub(in crate::walk) fn pop_mpls(&mut self, ethertype: u16) {
        if !self.has(Prerequisite::Mpls) {
            self.note(Note::Prerequisite);
            return;
        }
        self.commit();
        self.resize(Step::PopMpls { ethertype });
        self.write_sent(Slot::MplsLse, 0);
        self.write_sent(Slot::EthType, ethertype.into());
        self.state.is_stale = true;
    }

    /// Writes bits of the outer MPLS entry.
    pub(in crate::walk) fn write_mpls(&mut self, value: u32, mask: u32) {
        self.write_if(Prerequisite::Mpls, Slot::MplsLse, Bits::new(value.into(), mask.into()));
    }

    /// Writes a slot, if the packet has it.
    pub(in crate::walk) fn write_if(&mut self, prerequisite: Prerequisite, slot: Slot, bits: Bits) {
        if self.has(prerequisite) {
            self.write(slot, bits);
        } else {
            self.note(Note::Prerequisite);
        }
    }

    /// A port of TCP, UDP or SCTP.
    pub(in crate::walk) fn write_port(&mut self, slot: Slot, port: u16) {
        let needs = [Prerequisite::Tcp, Prerequisite::Udp, Prerequisite::Sctp];
        if needs.into_iter().any(|needed| self.has(needed)) {
            self.write(slot, Bits::new(port.into(), slot.ones()));
        } else {
            self.note(Note::Prerequisite);
        }
    }

    /// Decrements a TTL; a packet with 0 or 1 goes to controllers, and this list ends.
    pub(in crate::walk) fn dec_ttl(
        &mut self,
        prerequisite: Prerequisite,
        slot: Slot,
        controllers: &[u16],
        context: Context,
    ) -> Then {
        const TTL: u128 = 0xff;
        if !self.has(prerequisite) {
            self.note(Note::Prerequisite);
            return Then::Goes;
        }
        self.reads.cover(slot, TTL);
        let ttl = self.state.key.get(slot) & TTL;
        if ttl > 1 {
            self.write(slot, Bits::new(ttl - 1, TTL));
            return Then::Goes;
        }
        self.note(Note::TtlExpired);
        for controller in controllers {
            self.punt_for(Reason::InvalidTtl, *controller, context);
        }
        Then::Ends
    }
}
