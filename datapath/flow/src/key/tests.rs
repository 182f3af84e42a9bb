use super::layout::{self, Spot, spot};
use super::words::WORDS;
use super::{Key, Mask, Stage};
use crate::field::ones;
use crate::matching::Bits;
use crate::{Field, Match, PortNo, Slot, Subfield};
use proptest::prelude::*;

/// All slots, and some options.
fn slots() -> Vec<Slot> {
    let options =
        [(0, 1), (1, 7), (2, 0), (63, 7)].map(|(number, word)| Slot::TunMetadata(number, word));
    layout::slots().chain(options).collect()
}

fn any_slot() -> impl Strategy<Value = Slot> {
    proptest::sample::select(slots())
}

/// Some bits of some slots.
pub(crate) fn any_match() -> impl Strategy<Value = Match> {
    let bits = (any_slot(), any::<u128>(), any::<u128>());
    proptest::collection::vec(bits, 0..6).prop_map(|slots| {
        slots.into_iter().map(|(slot, value, mask)| (slot, Bits::new(value, mask))).collect()
    })
}

fn any_key() -> impl Strategy<Value = Key> {
    any_match().prop_map(|matching| Key::of(&matching))
}

#[test]
fn slots_lie_apart_and_each_word_is_in_one_stage() {
    let mut taken = [0u64; WORDS];
    for slot in slots() {
        let pieces = match spot(slot) {
            Spot::Bits { word, shift } => vec![(word, shift, slot.bits())],
            Spot::Wide { word } => vec![(word, 0, 64), (word + 1, 0, 64)],
            Spot::Option(_) => vec![],
        };
        for (word, shift, bits) in pieces {
            assert!(shift + bits <= 64, "{slot:?}");
            let mask = u64::try_from(ones(bits) << shift).unwrap();
            assert_eq!(taken[word] & mask, 0, "{slot:?}");
            taken[word] |= mask;
        }
    }
    let stages = Stage::ALL.map(Stage::words);
    assert_eq!(stages.iter().fold(0, |all, words| all | words), ((1 << WORDS) - 1) | 1 << 63);
    assert_eq!(stages.iter().map(|words| words.count_ones()).sum::<u32>(), 51);
}

#[test]
fn every_place_of_every_field_is_kept() {
    for field in Field::all() {
        for place in field.places() {
            let mut key = Key::default();
            key.set(place.slot, place.slot.ones());
            assert_eq!(key.get(place.slot), place.slot.ones(), "{field:?}");
        }
    }
}

#[test]
fn in_port_of_16_bits_is_the_port_of_32() {
    let mut key = Key::default();
    let field = Field::by_name("in_port").unwrap();
    key.set_field(field, 0xfffe, ones(16));
    assert_eq!(key.get(Slot::InPort), u128::from(PortNo::LOCAL.0));
    key.set_subfield(Subfield::whole(field), 0);
    assert_eq!(key.get(Slot::InPort), 0);
}

proptest! {
    #[test]
    fn what_was_set_is_got_and_nothing_else_moves(
        start in any_key(), slot in any_slot(), value: u128,
    ) {
        let mut key = start.clone();
        key.set(slot, value);
        for other in slots() {
            let want = if other == slot { value & slot.ones() } else { start.get(other) };
            prop_assert_eq!(key.get(other), want, "{:?}", other);
        }
        key.set(slot, start.get(slot));
        prop_assert_eq!(key.hash(3), start.hash(3));
        prop_assert_eq!(key, start);
    }

    #[test]
    fn matches_come_back(matching in any_match()) {
        let (key, mask) = (Key::of(&matching), Mask::of(&matching));
        prop_assert_eq!(mask.to_match(&key), matching);
        prop_assert_eq!(mask.apply(&key), key);
    }

    #[test]
    fn masks_compare_what_they_cover(matching in any_match(), one in any_key(), other in any_key()) {
        let mask = Mask::of(&matching);
        let agree = slots().iter().all(|slot| (one.get(*slot) ^ other.get(*slot)) & mask.get(*slot) == 0);
        prop_assert_eq!(mask.equal(&one, &other), agree);
        prop_assert_eq!(mask.apply(&one) == mask.apply(&other), agree);
        if agree {
            prop_assert_eq!(mask.hash(&one, 5), mask.hash(&other, 5));
        }
        prop_assert!(mask.equal(&one, &mask.apply(&one)));
    }

    #[test]
    fn masks_merge(one in any_match(), other in any_match(), written in any_match()) {
        let (one, other, written) = (Mask::of(&one), Mask::of(&other), Mask::of(&written));
        let (mut both, mut unwritten) = (one.clone(), one.clone());
        both.merge(&other);
        unwritten.merge_unwritten(&other, &written);
        for slot in slots() {
            prop_assert_eq!(both.get(slot), one.get(slot) | other.get(slot));
            prop_assert_eq!(unwritten.get(slot), one.get(slot) | other.get(slot) & !written.get(slot));
        }
        prop_assert!(both.contains(&one) && both.contains(&other));
        prop_assert_eq!(one.contains(&other), both == one);
    }

    #[test]
    fn fields_are_what_matches_say(at in 0..Field::all().count(), value: u128, mask: u128) {
        let field = Field::all().nth(at).unwrap();
        // A match asks for a tag besides; nw_tos has no low bits, and arp_op no high ones.
        let special = ["in_port", "dl_vlan", "dl_vlan_pcp", "vlan_pcp"];
        prop_assume!(!special.contains(&field.name()));
        let mut matching = Match::any();
        matching.set(field, value, mask);
        let mut key = Key::default();
        key.set_field(field, value, mask);
        prop_assert_eq!(&key, &Key::of(&matching));
        prop_assert_eq!(key.field(field), matching.get(field).value);
        let mut covered = Mask::default();
        covered.cover_subfield(Subfield::whole(field));
        if let Some(number) = field.tun_metadata_number() {
            covered.cover(Slot::TunPresent, 1 << number);
        }
        let mut all = Match::any();
        all.set_exact(field, 0);
        prop_assert_eq!(covered, Mask::of(&all));
    }
}
