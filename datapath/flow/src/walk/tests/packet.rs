//! A packet as bytes, and what goes along with it.

use super::bridge::Bridge;
use crate::action::Multipath;
use crate::field::{Prerequisite, ones};
use crate::program::BridgeId;
use crate::request::{Bucket, SelectMethod};
use crate::rewrite::{Layout, pop_mpls, pop_vlan, push_mpls, push_vlan};
use crate::walk::act::{choose, group};
use crate::walk::{Walked, symmetric_hash};
use crate::{Action, Bits, Field, Group, Key, PortNo, Slot, Subfield};

#[derive(Clone)]
pub(super) struct Packet {
    pub(super) frame: Vec<u8>,
    /// What goes along.
    pub(super) meta: Key,
    pub(super) stack: Vec<u128>,
    pub(super) set: Vec<Action>,
    pub(super) queue: Option<u32>,
    pub(super) max_len: usize,
    pub(super) bridge: BridgeId,
}

/// What an action that chooses by hash writes to a register, when nothing else is done.
pub(super) fn chosen_by(key: &Key, bridge: &Bridge, action: &Action, slot: Slot) -> u128 {
    let Walked { key, .. } =
        crate::walk::execute(bridge, key, std::slice::from_ref(action), &mut ());
    key.get(slot)
}

impl Packet {
    pub(super) fn new(frame: &[u8], key: &Key) -> Self {
        let mut meta = Key::default();
        for slot in [Slot::InPort, Slot::TunId] {
            meta.set(slot, key.get(slot));
        }
        let (frame, stack, set) = (frame.to_vec(), Vec::new(), Vec::new());
        let (queue, max_len, bridge) = (None, usize::MAX, BridgeId(0));
        Self { frame, meta, stack, set, queue, max_len, bridge }
    }

    pub(super) fn key(&self) -> Key {
        let mut key = self.meta.clone();
        key.read_frame(&self.frame, 2);
        key
    }

    pub(super) fn has(&self, prerequisite: Prerequisite) -> bool {
        self.key().has(prerequisite)
    }

    pub(super) fn has_third_tag(&self) -> bool {
        let at =
            |at: usize| [[0x81, 0], [0x88, 0xa8]].contains(&[self.frame[at], self.frame[at + 1]]);
        at(12) && at(16) && at(20)
    }

    /// Headers that the key announces are not there.
    pub(super) fn is_malformed(&self) -> bool {
        let key = self.key();
        let layout = Layout::of(&self.frame, 8);
        let lacks = |slot| !layout.set(&mut self.frame.clone(), slot, Bits::default());
        let is_upper = [1, 6, 17, 58, 132].contains(&key.get(Slot::NwProto));
        let has_upper = is_upper && key.get(Slot::NwFrag) & 2 == 0;
        match key.get(Slot::EthType) {
            0x0800 | 0x86dd => lacks(Slot::NwTtl) || has_upper && lacks(Slot::TpSrc),
            0x0806 => lacks(Slot::ArpSha),
            _ => false,
        }
    }

    pub(super) fn read(&self, part: Subfield) -> u128 {
        self.key().subfield(part)
    }

    pub(super) fn set_slot(&mut self, slot: Slot, bits: Bits) {
        if slot.is_header() {
            Layout::of(&self.frame, 8).set(&mut self.frame, slot, bits);
        } else {
            self.meta.set(slot, self.meta.get(slot) & !bits.mask | bits.value);
        }
    }

    /// By way of a key: what becomes of its slots is done to the packet.
    pub(super) fn write_masked(&mut self, field: Field, value: u128, mask: u128) {
        let mut key = self.key();
        key.set_field(field, value, mask);
        for place in field.places().iter().filter(|place| place.field_bit < 128) {
            let slot = place.slot;
            let keep = if slot == Slot::InPort {
                ones(32)
            } else {
                mask >> place.field_bit << place.slot_bit
            };
            let keep = keep
                & ones(place.bits.max(if slot == Slot::InPort { 32 } else { 0 })) << place.slot_bit;
            if keep == 0 {
                continue;
            }
            let mut new = Bits::new(key.get(slot), keep);
            if slot == Slot::VlanTci {
                if [12, 3].contains(&field.bits()) {
                    new = Bits::new(new.value | 0x1000, new.mask | 0x1000);
                }
                self.write_tag(new);
            } else {
                self.set_slot(slot, new);
            }
        }
    }

    pub(super) fn write(&mut self, part: Subfield, value: u128) {
        let (shift, mask) = (u32::from(part.offset), ones(part.bits.into()));
        self.write_masked(part.field, (value & mask) << shift, mask << shift);
    }

    pub(super) fn write_tag(&mut self, bits: Bits) {
        let old = self.key().get(Slot::VlanTci);
        let new = old & !bits.mask | bits.value;
        match (old & 0x1000 != 0, new & 0x1000 != 0) {
            (true, true) => self.set_slot(Slot::VlanTci, bits),
            (true, false) => assert!(pop_vlan(&mut self.frame)),
            (false, true) => {
                let tci = u16::try_from(new & 0xefff).unwrap();
                assert!(push_vlan(&mut self.frame, 0x8100, tci));
            }
            (false, false) => {}
        }
    }

    pub(super) fn write_old_tag(&mut self, value: u16, mask: u16, pushes: bool) {
        if pushes || self.key().get(Slot::VlanTci) != 0 {
            self.write_tag(Bits::new(u128::from(value) | 0x1000, u128::from(mask) | 0x1000));
        }
    }

    pub(super) fn set_if(&mut self, needed: Prerequisite, slot: Slot, value: u128, mask: u128) {
        if self.has(needed) {
            self.set_slot(slot, Bits::new(value, mask));
        }
    }

    pub(super) fn change(&mut self, action: &Action) {
        match *action {
            Action::SetField { field, value, mask, .. } if self.has(field.prerequisite()) => {
                self.write_masked(field, value, mask);
            }
            Action::Move { source, destination, .. } => {
                let needs = [source.field, destination.field].map(Field::prerequisite);
                if needs.into_iter().all(|needed| self.has(needed)) {
                    self.write(destination, self.read(source));
                }
            }
            Action::Push(part) => self.stack.push(self.read(part)),
            Action::Pop(part) => {
                if let Some(value) = self.stack.pop()
                    && self.has(part.field.prerequisite())
                {
                    self.write(part, value);
                }
            }
            Action::CheckPktLarger { bytes, destination } => {
                let is_larger = self.frame.len() > bytes.into();
                self.write(destination, is_larger.into());
            }
            Action::WriteMetadata { value, mask } => {
                self.set_slot(Slot::Metadata, Bits::new(value.into(), mask.into()));
            }
            Action::SetTunnel { id, .. } => self.meta.set(Slot::TunId, id.into()),
            Action::SetQueue(queue) => self.queue = Some(queue),
            Action::PopQueue => self.queue = None,
            _ => self.change_header(action),
        }
    }

    pub(super) fn change_header(&mut self, action: &Action) {
        match *action {
            Action::SetVlanVid { vid, pushes, .. } => self.write_old_tag(vid, 0xfff, pushes),
            Action::SetVlanPcp { pcp, pushes, .. } => {
                self.write_old_tag(u16::from(pcp) << 13, 0xe000, pushes);
            }
            Action::StripVlan => {
                let _ = pop_vlan(&mut self.frame);
            }
            Action::PushVlan { ethertype } => assert!(push_vlan(&mut self.frame, ethertype, 0)),
            Action::PushMpls { ethertype } => self.push_mpls(ethertype),
            Action::PopMpls { ethertype } => {
                let _ = pop_mpls(&mut self.frame, 8, ethertype);
            }
            Action::SetMplsTtl(ttl) => {
                self.set_if(Prerequisite::Mpls, Slot::MplsLse, ttl.into(), 0xff);
            }
            Action::SetEthDst(_) => {
                self.set_slot(Slot::EthDst, Bits::new(0x0200_0000_0009, ones(48)));
            }
            Action::SetIpv4Src(_) => {
                self.set_if(Prerequisite::Ipv4, Slot::NwSrc, 0x0a00_0009, ones(32));
            }
            Action::SetIpDscp(tos) => self.set_if(Prerequisite::Ip, Slot::NwTos, tos.into(), 0xfc),
            Action::SetIpTtl(ttl) => self.set_if(Prerequisite::Ip, Slot::NwTtl, ttl.into(), 0xff),
            Action::SetL4DstPort { port, .. } => {
                for needed in [Prerequisite::Tcp, Prerequisite::Udp, Prerequisite::Sctp] {
                    self.set_if(needed, Slot::TpDst, port.into(), ones(16));
                }
            }
            _ => {}
        }
    }

    pub(super) fn push_mpls(&mut self, ethertype: u16) {
        let key = self.key();
        let entry = match key.get(Slot::EthType) {
            0x8847 | 0x8848 => key.get(Slot::MplsLse) & !0x100,
            kind => {
                let (mut class, mut ttl) = (0, 64);
                if [0x0800, 0x86dd].contains(&kind) {
                    class = key.get(Slot::NwTos) >> 2 & 7;
                    ttl = if key.get(Slot::NwTtl) == 0 { 64 } else { key.get(Slot::NwTtl) };
                }
                u128::from(kind == 0x86dd) << 13 | class << 9 | 0x100 | ttl
            }
        };
        assert!(push_mpls(&mut self.frame, 8, ethertype, u32::try_from(entry).unwrap()));
    }

    pub(super) fn multipath(&mut self, multipath: &Multipath) {
        let action = Action::Multipath(Box::new(multipath.clone()));
        let chosen = chosen_by(&self.key(), &Bridge::default(), &action, Slot::Reg(0));
        self.write(multipath.destination, chosen);
    }

    pub(super) fn select<'g>(&mut self, group: &'g Group) -> Option<&'g Bucket> {
        let is_live = |bucket: &&Bucket| [PortNo::ANY, PortNo(1)].contains(&bucket.watch_port);
        let basis = match &group.method {
            SelectMethod::Hash { parameter, fields } => {
                let mut hash = *parameter;
                for (field, mask) in fields {
                    if self.has(field.prerequisite()) {
                        hash = choose::stir(hash, self.key().field(*field) & mask);
                    }
                }
                let hash = choose::finish(hash);
                let live = group.buckets.iter().filter(is_live);
                return live.max_by_key(|bucket| group::score(hash, bucket));
            }
            SelectMethod::DpHash { parameter } => u32::try_from(*parameter & 0xffff_ffff).unwrap(),
            SelectMethod::Default => 0,
        };
        if self.meta.get(Slot::DpHash) == 0 {
            self.meta.set(Slot::DpHash, symmetric_hash(&self.key(), basis).into());
        }
        let slots = group::slots(&group.buckets);
        let start = usize::try_from(self.meta.get(Slot::DpHash)).unwrap() % slots.len();
        let tried = slots.iter().cycle().skip(start).take(slots.len());
        tried.map(|at| &group.buckets[*at]).find(is_live)
    }
}
