use super::{Class, Field, Slot};
use crate::Version;
use std::collections::BTreeSet;

#[test]
fn places_cover_fields_once_and_are_inside_slots() {
    for field in Field::all() {
        let mut covered = BTreeSet::new();
        for place in field.places() {
            assert!(place.slot_bit + place.bits <= place.slot.bits(), "{field:?} {place:?}");
            for bit in place.field_bit..place.field_bit + place.bits {
                assert!(covered.insert(bit) && bit < field.bits(), "{field:?} bit {bit}");
            }
        }
        // The low bits of nw_tos and the high bits of arp_op are always zero.
        let all = match field.name() {
            "nw_tos" => 6,
            "arp_op" => 8,
            _ => field.bits() as usize,
        };
        assert_eq!(covered.len(), all, "{field:?}");
    }
}

#[test]
fn names_and_headers_are_unique() {
    let mut names = BTreeSet::new();
    let mut headers = BTreeSet::new();
    for field in Field::all() {
        for name in [field.name()].iter().chain(field.other_names()) {
            assert!(names.insert(*name), "{name}");
            assert_eq!(Field::by_name(name), Some(field));
        }
        let newer = field.onf().into_iter().chain(field.oxm()).map(|(header, _)| header);
        for header in field.nxm().into_iter().chain(newer) {
            assert!(headers.insert((header.class, header.number)), "{field:?} {header:?}");
            assert_eq!(Field::by_header(header.class, header.number), Some(field));
        }
    }
    assert_eq!(Field::by_name("nothing"), None);
    assert_eq!(Field::by_header(Class::Basic, 127), None);
}

#[test]
fn registers_overlap() {
    let place = |name: &str, at: usize| {
        Field::by_name(name).and_then(|field| field.places().get(at).copied())
    };
    assert_eq!(
        place("xreg4", 1).map(|place| (place.slot, place.field_bit)),
        Some((Slot::Reg(8), 32))
    );
    assert_eq!(
        place("xxreg1", 3).map(|place| (place.slot, place.field_bit)),
        Some((Slot::Reg(4), 96))
    );
    assert_eq!(Field::reg(16), None);
    assert_eq!(Field::tun_metadata(63).and_then(Field::tun_metadata_number), Some(63));
}

#[test]
fn versions_name_fields_by_their_newest_header() {
    let class = |name: &str, version| {
        Field::by_name(name).and_then(|field| field.header(version)).map(|header| header.class)
    };
    assert_eq!(class("tcp_flags", Version::V12), Some(Class::Nxm1));
    assert_eq!(class("tcp_flags", Version::V13), Some(Class::Onf));
    assert_eq!(class("tcp_flags", Version::V15), Some(Class::Basic));
    assert_eq!(class("actset_output", Version::V10), Some(Class::Onf));
    assert_eq!(class("xreg0", Version::V10), Some(Class::PacketRegisters));
    assert_eq!(class("tun_id", Version::V12), Some(Class::Nxm1));
    assert_eq!(class("dl_vlan", Version::V15), None);
}
