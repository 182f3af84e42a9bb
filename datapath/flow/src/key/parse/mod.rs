//! Reads frames into keys: Ethernet, tags, MPLS.
//!
//! Fields of headers that are cut off or malformed stay zero, as they do in Open vSwitch, which
//! was asked (`ovs-ofctl parse-pcap`) about each case.  One thing differs: an IP header whose
//! version is not that of its `EtherType` is malformed here, and read by Open vSwitch.

mod ip;
mod upper;

use super::words::Words;
use super::{Key, Stage};
use crate::{PortNo, Slot};
use weft_wire::{ArpPacket, EtherType, MacAddr};

/// What a frame with a length instead of an `EtherType` has, and without an Ethernet SNAP header.
const NO_TYPE: u16 = 0x05ff;

/// The tag's CFI bit, which says in a key that there is a tag.
const TAG_PRESENT: u16 = 0x1000;

impl Key {
    /// Reads a frame that came in on a port.  At most `tags_max` tags are looked behind
    /// (`other_config:vlan-limit`, 0 to 2); the `EtherType` of one more is that of a tag.
    #[must_use]
    pub fn parse(frame: &[u8], in_port: PortNo, tags_max: u8) -> Self {
        let mut key = Self::default();
        key.set(Slot::InPort, in_port.0.into());
        key.read_frame(frame, tags_max);
        key
    }

    /// Reads the frame anew, after headers were put on or taken off; ports, metadata, registers,
    /// tunnel and connection stay.
    pub fn read_frame(&mut self, frame: &[u8], tags_max: u8) {
        self.0.clear(Stage::L2.words() | Stage::L3.words() | Stage::L4.words());
        let _ = ethernet(&mut self.0, frame, tags_max);
    }
}

/// Takes the next bytes; `None` where the frame ends before, and reading ends there too.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn ethernet(key: &mut Words, frame: &[u8], tags_max: u8) -> Option<()> {
    let mut rest = frame;
    let (target, source) = (MacAddr(take(&mut rest)?), MacAddr(take(&mut rest)?));
    let mut ethertype = ethertype_at(rest)?;
    set_mac(key, Slot::EthDst, target);
    set_mac(key, Slot::EthSrc, source);
    for slot in [Slot::VlanTci, Slot::InnerTci].into_iter().take(tags_max.into()) {
        let Some(&[_, _, high, low, next_high, next_low]) = rest.first_chunk() else { break };
        if !EtherType(ethertype).is_tag() {
            break;
        }
        key.set(slot, (u16::from_be_bytes([high, low]) | TAG_PRESENT).into());
        ethertype = u16::from_be_bytes([next_high, next_low]);
        rest = rest.get(4..)?;
    }
    rest = rest.get(2..)?;
    if EtherType(ethertype).is_length() {
        ethertype = snap(&mut rest);
    }
    key.set(Slot::EthType, ethertype.into());
    match EtherType(ethertype) {
        EtherType::IPV4 => ip::v4(key, rest),
        EtherType::IPV6 => ip::v6(key, rest),
        EtherType::ARP | EtherType(0x8035) => arp(key, rest),
        EtherType::MPLS | EtherType(0x8848) => {
            let entry = u32::from_be_bytes(take(&mut rest)?);
            key.set(Slot::MplsLse, entry.into());
            Some(())
        }
        _ => Some(()),
    }
}

fn ethertype_at(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// The `EtherType` behind an LLC header with SNAP and the organisation of Ethernet, which it takes.
fn snap(bytes: &mut &[u8]) -> u16 {
    match bytes.first_chunk() {
        Some([0xaa, 0xaa, 3, 0, 0, 0, high, low]) => {
            let ethertype = u16::from_be_bytes([*high, *low]);
            *bytes = bytes.get(8..).unwrap_or_default();
            if EtherType(ethertype).is_length() { NO_TYPE } else { ethertype }
        }
        _ => NO_TYPE,
    }
}

fn set_mac(key: &mut Words, slot: Slot, mac: MacAddr) {
    key.set(slot, mac.to_u64().into());
}

/// ARP and RARP: an opcode above 255 reads as 0.
fn arp(key: &mut Words, bytes: &[u8]) -> Option<()> {
    let (arp, _) = ArpPacket::parse(bytes).ok()?;
    key.set(Slot::NwSrc, u32::from(arp.sender_ip()).into());
    key.set(Slot::NwDst, u32::from(arp.target_ip()).into());
    key.set(Slot::NwProto, u8::try_from(arp.operation()).unwrap_or_default().into());
    set_mac(key, Slot::ArpSha, arp.sender_mac);
    set_mac(key, Slot::ArpTha, arp.target_mac);
    Some(())
}
