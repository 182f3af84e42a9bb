use super::{Bits, Match};
use crate::field::{Prerequisite, ones};
use crate::{Field, PortNo, Slot};
use proptest::prelude::*;

fn field(name: &str) -> Field {
    Field::by_name(name).unwrap_or_else(|| panic!("no field {name}"))
}

#[test]
fn registers_of_all_widths_are_the_same_bits() {
    let mut wide = Match::any();
    wide.set(field("xreg4"), 0x0000_0001_0000_0002, 0xffff_ffff_0000_000f);
    let mut narrow = Match::any();
    narrow.set_exact(field("reg8"), 1);
    narrow.set(field("reg9"), 2, 0xf);
    assert_eq!(wide, narrow);
    assert_eq!(wide.get(field("xxreg2")).mask >> 64, 0xffff_ffff_0000_000f);
}

#[test]
fn tags_are_asked_for_by_vid_and_priority() {
    let mut by_vid = Match::any();
    by_vid.set_exact(field("dl_vlan"), 5);
    assert_eq!(by_vid.slot(Slot::VlanTci), Bits { value: 0x1005, mask: 0x1fff });
    by_vid.set_exact(field("vlan_pcp"), 7);
    assert_eq!(by_vid.slot(Slot::VlanTci), Bits { value: 0xf005, mask: 0xffff });
    assert!(by_vid.has(Prerequisite::Vlan));
    let mut untagged = Match::any();
    untagged.set(field("vlan_tci"), 0, 0x1000);
    assert!(!untagged.has(Prerequisite::Vlan));
}

#[test]
fn in_port_has_two_widths() {
    let mut narrow = Match::any();
    narrow.set_exact(field("in_port"), 0xfffe);
    assert_eq!(narrow.slot(Slot::InPort).value, u128::from(PortNo::LOCAL.0));
    assert_eq!(narrow.get(field("in_port")), Bits { value: 0xfffe, mask: 0xffff });
}

#[test]
fn later_fragments_have_no_ports() {
    let mut tcp = Match::any();
    tcp.set_exact(field("eth_type"), 0x0800);
    tcp.set_exact(field("nw_proto"), 6);
    assert!(tcp.has(Prerequisite::Tcp));
    tcp.set_exact(field("ip_frag"), 3);
    assert!(!tcp.has(Prerequisite::Tcp));
}

#[test]
fn neighbour_discovery_is_told_by_type_and_code() {
    let mut nd = Match::any();
    for (name, value) in
        [("eth_type", 0x86dd), ("nw_proto", 58), ("icmpv6_type", 135), ("icmpv6_code", 0)]
    {
        assert!(!nd.has(Prerequisite::Nd));
        nd.set_exact(field(name), value);
    }
    assert!(nd.has(Prerequisite::NdSolicit) && !nd.has(Prerequisite::NdAdvert));
}

#[test]
fn connections_are_told_by_their_state() {
    // Asked of stock: which states let a flow match ct_nw_proto.
    for (value, mask, has) in [
        (0x20, 0x20, false),
        (0x20, 0x30, true),
        (0x21, 0x21, true),
        (0x30, 0x30, false),
        (0, 0, false),
    ] {
        let mut of = Match::any();
        of.set_exact(field("eth_type"), 0x0800);
        of.set(field("ct_state"), value, mask);
        assert_eq!(of.has(Prerequisite::Ct), has, "{value:#x}/{mask:#x}");
    }
}

/// Small matches and keys over three slots, so that they meet.
fn small() -> impl Strategy<Value = Match> {
    let bits = || (0u128..4, 0u128..4).prop_map(|(value, mask)| Bits::new(value, mask));
    (bits(), bits(), bits()).prop_map(|(a, b, c)| {
        [(Slot::Reg(0), a), (Slot::TpSrc, b), (Slot::EthType, c)].into_iter().collect()
    })
}

fn keys() -> impl Iterator<Item = [(Slot, u128); 3]> {
    (0..64u128)
        .map(|n| [(Slot::Reg(0), n & 3), (Slot::TpSrc, n >> 2 & 3), (Slot::EthType, n >> 4 & 3)])
}

fn takes(of: &Match, key: [(Slot, u128); 3]) -> bool {
    key.iter().all(|(slot, value)| of.slot(*slot).takes(*value))
}

proptest! {
    #[test]
    fn containing_and_overlapping_are_what_keys_say(a in small(), b in small()) {
        let all = keys().all(|key| !takes(&b, key) || takes(&a, key));
        let some = keys().any(|key| takes(&a, key) && takes(&b, key));
        prop_assert_eq!(a.contains(&b), all);
        prop_assert_eq!(a.overlaps(&b), some);
    }

    #[test]
    fn what_was_set_is_got(at in 0..Field::all().count(), value: u128, mask: u128) {
        let field = Field::all().nth(at).unwrap();
        let special = ["in_port", "dl_vlan", "dl_vlan_pcp", "vlan_pcp", "nw_tos", "arp_op"];
        prop_assume!(!special.contains(&field.name()));
        let mut of = Match::any();
        of.set(field, value, mask);
        let ones = ones(field.bits().min(128));
        prop_assert_eq!(of.get(field), Bits::new(value & ones, mask & ones));
    }
}
