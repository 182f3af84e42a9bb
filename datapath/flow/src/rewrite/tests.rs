use super::{Layout, pop_mpls, pop_vlan, push_mpls, push_vlan};
use crate::frames::{Kind, TCP, UDP, any_frame, assert_sums, build};
use crate::{Bits, Key, PortNo, Slot};
use proptest::prelude::*;
use weft_wire::checksum::partial::{self, Completion};

/// The slots that have bytes.
const SLOTS: [Slot; 19] = [
    Slot::EthDst,
    Slot::EthSrc,
    Slot::VlanTci,
    Slot::InnerTci,
    Slot::MplsLse,
    Slot::NwSrc,
    Slot::NwDst,
    Slot::Ipv6Src,
    Slot::Ipv6Dst,
    Slot::Ipv6Label,
    Slot::NwTos,
    Slot::NwTtl,
    Slot::ArpSha,
    Slot::ArpTha,
    Slot::NdTarget,
    Slot::NdReserved,
    Slot::TpSrc,
    Slot::TpDst,
    Slot::NwProto,
];

fn any_edit() -> impl Strategy<Value = (Slot, Bits)> {
    let mask = prop_oneof![Just(u128::MAX), any::<u128>()];
    (prop::sample::select(SLOTS.to_vec()), any::<u128>(), mask)
        .prop_map(|(slot, value, mask)| (slot, Bits::new(value, mask & slot.ones())))
}

fn key(frame: &[u8]) -> Key {
    Key::parse(frame, PortNo(1), 2)
}

/// What a set makes of a key, when the frame has the slot.
fn edited(key: &Key, slot: Slot, bits: Bits) -> Key {
    let mut bits = bits;
    if [1, 58].contains(&key.get(Slot::NwProto)) && [Slot::TpSrc, Slot::TpDst].contains(&slot) {
        bits = Bits::new(bits.value, bits.mask & 0xff);
    }
    if [Slot::VlanTci, Slot::InnerTci].contains(&slot) {
        bits = Bits::new(bits.value, bits.mask & 0xefff);
    }
    let mut key = key.clone();
    key.set(slot, key.get(slot) & !bits.mask | bits.value);
    key
}

proptest! {
    #[test]
    fn checksums_stay_right(frame in any_frame(), edits in prop::collection::vec(any_edit(), 0..12)) {
        assert_sums(&frame);
        let (mut bytes, layout) = (frame.clone(), Layout::of(&frame, 2));
        for (slot, bits) in edits {
            layout.set(&mut bytes, slot, bits);
        }
        prop_assert_eq!(bytes.len(), frame.len());
        assert_sums(&bytes);
    }

    #[test]
    fn an_edited_frame_reads_as_the_edited_key(frame in any_frame(), (slot, bits) in any_edit()) {
        let (before, mut bytes) = (key(&frame), frame.clone());
        let has_effect = Layout::of(&frame, 2).set(&mut bytes, slot, bits);
        // Another type of ICMPv6 has other fields.
        let is_type = key(&bytes).get(Slot::NwProto) == 58
            && [Slot::TpSrc, Slot::TpDst].contains(&slot)
            && before.get(Slot::EthType) == 0x86dd;
        if !has_effect {
            prop_assert_eq!(bytes, frame);
        } else if is_type {
            prop_assert_eq!(key(&bytes).get(slot), edited(&before, slot, bits).get(slot));
        } else {
            prop_assert_eq!(key(&bytes), edited(&before, slot, bits));
        }
    }

    /// A slot that is not zero in the key has bytes.
    #[test]
    fn what_the_key_has_can_be_set(frame in any_frame()) {
        let before = key(&frame);
        for slot in SLOTS {
            let is_protocol = slot == Slot::NwProto && before.get(Slot::EthType) != 0x0806;
            if before.get(slot) != 0 && !is_protocol {
                let can = Layout::of(&frame, 2).set(&mut frame.clone(), slot, Bits::default());
                prop_assert!(can, "{:?}", slot);
            }
        }
    }

    #[test]
    fn damage_does_no_harm(
        frame in any_frame(), (slot, bits) in any_edit(), cut: prop::sample::Index,
        at: prop::sample::Index, value: u8,
    ) {
        let mut bytes = frame;
        let at = at.index(bytes.len());
        bytes[at] = value;
        bytes.truncate(cut.index(bytes.len() + 1));
        let len = bytes.len();
        Layout::of(&bytes, 2).set(&mut bytes, slot, bits);
        prop_assert_eq!(bytes.len(), len);
        let before = bytes.clone();
        let changed = push_vlan(&mut bytes, 0x8100, 5) && pop_vlan(&mut bytes);
        prop_assert!(changed || len < 14);
        prop_assert_eq!(&bytes, &before);
        if push_mpls(&mut bytes, 2, 0x8847, 5) {
            prop_assert!(pop_mpls(&mut bytes, 2, 0x0800) && bytes.len() == len);
        }
        let _ = pop_vlan(&mut bytes);
        let _ = pop_mpls(&mut bytes, 2, 0x0800);
    }

    #[test]
    fn tags_come_and_go(frame in any_frame(), tci: u16) {
        let mut bytes = frame.clone();
        prop_assert!(push_vlan(&mut bytes, 0x88a8, tci));
        let (outer, before) = (key(&bytes), key(&frame));
        prop_assert_eq!(outer.get(Slot::VlanTci), u128::from(tci | 0x1000));
        prop_assert_eq!(outer.get(Slot::InnerTci), before.get(Slot::VlanTci));
        prop_assert!(pop_vlan(&mut bytes));
        prop_assert_eq!(&bytes, &frame);
        if before.get(Slot::VlanTci) == 0 {
            prop_assert!(!pop_vlan(&mut bytes));
            prop_assert_eq!(bytes, frame);
        }
    }

    #[test]
    fn mpls_entries_come_and_go(frame in any_frame(), entry: u32) {
        let (mut bytes, before) = (frame.clone(), key(&frame));
        prop_assert!(push_mpls(&mut bytes, 2, 0x8848, entry));
        let outer = key(&bytes);
        prop_assert_eq!(outer.get(Slot::MplsLse), u128::from(entry));
        prop_assert_eq!(outer.get(Slot::EthType), 0x8848);
        prop_assert_eq!(outer.get(Slot::VlanTci), before.get(Slot::VlanTci));
        let ethertype = u16::try_from(before.get(Slot::EthType)).unwrap();
        prop_assert!(pop_mpls(&mut bytes, 2, ethertype));
        prop_assert_eq!(bytes, frame);
    }

    /// The frame is completed after the edits to what it would have become if completed before.
    #[test]
    fn partial_checksums_stay_partial(
        seed: [u8; 40], is_v6: bool, is_tcp: bool, edits in prop::collection::vec(any_edit(), 0..8),
    ) {
        let protocol = if is_tcp { TCP } else { UDP };
        let kind = if is_v6 { Kind::V6(protocol, 0, false, 1) } else { Kind::V4(protocol, 0, false) };
        let mut whole = build(kind, &[], &seed, false);
        let l4 = weft_wire::l4::L4::locate(&whole).unwrap();
        let at = l4.checksum_at().unwrap();
        let mut bytes = whole.clone();
        let pseudo = weft_wire::checksum::fold(l4.pseudo_sum(l4.end - l4.start));
        bytes[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
        let layout = Layout::of(&whole, 2);
        for (slot, bits) in edits {
            layout.set(&mut whole, slot, bits);
            layout.with_partial_checksum().set(&mut bytes, slot, bits);
        }
        prop_assert_eq!(partial::complete(&mut bytes), Completion::Completed);
        prop_assert_eq!(bytes, whole);
    }
}

#[test]
fn the_type_of_an_option_says_whose_address_it_is() {
    let mut frame = build(Kind::V6(58, 0, false, 0), &[], &[3; 40], false);
    let address = key(&frame).get(Slot::ArpSha);
    let layout = Layout::of(&frame, 2);
    assert!(!layout.set(&mut frame, Slot::ArpTha, Bits::new(1, u128::MAX)));
    assert!(layout.set(&mut frame, Slot::NdOptionsType, Bits::new(2, 0xff)));
    assert_sums(&frame);
    let after = key(&frame);
    assert_eq!((after.get(Slot::ArpSha), after.get(Slot::ArpTha)), (0, address));
    assert!(address != 0 && after.get(Slot::NdOptionsType) == 2);
}

#[test]
fn a_routed_destination_is_not_summed() {
    // A routing header with a segment left, between IPv6 and UDP.
    let mut frame = build(Kind::V6(UDP, 0, false, 1), &[], &[5; 40], false);
    frame[20] = 43;
    frame[54..62].copy_from_slice(&[17, 0, 0, 1, 0, 0, 0, 0]);
    let layout = Layout::of(&frame, 2);
    let sum = frame[68..70].to_vec();
    assert!(layout.set(&mut frame, Slot::Ipv6Dst, Bits::new(9, u128::MAX)));
    assert_eq!(frame[68..70], sum);
    assert!(layout.set(&mut frame, Slot::Ipv6Src, Bits::new(9, u128::MAX)));
    assert_ne!(frame[68..70], sum);
}
