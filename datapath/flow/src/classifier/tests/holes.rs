//! Wrong wildcards that were security holes of other switches.

use super::rule;
use crate::classifier::{Classifier, Grain};
use crate::{Key, Mask, PortNo, Slot};
use std::sync::Arc;

const ONES: u128 = u128::MAX;

/// Slots, their values, and which bits of them count.
type Bits<'a> = &'a [(Slot, u128, u128)];

fn classifier(rules: &[(u32, Bits<'_>)]) -> Classifier {
    let mut classifier = Classifier::default();
    for (priority, bits) in rules {
        classifier.insert(Arc::new(rule(*priority, bits)));
    }
    classifier
}

/// The priority of the rule for a frame, its key, and what was read of it.
fn walk(classifier: &Classifier, frame: &[u8]) -> (Option<u32>, Key, Mask) {
    let key = Key::parse(frame, PortNo(1), 2);
    let mut reads = Mask::default();
    let found = classifier.lookup(&key, &mut reads, Grain::Bit).map(|rule| rule.priority);
    (found, key, reads)
}

/// The second frame gets its own rule, not the one that was cached for the first.
fn assert_apart(classifier: &Classifier, one: &[u8], other: &[u8]) {
    let (first, key, reads) = walk(classifier, one);
    let (second, other, _) = walk(classifier, other);
    assert_ne!(first, second);
    assert!(!reads.equal(&key, &other), "{reads:?}");
}

fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &ethertype.to_be_bytes()[..], payload].concat()
}

fn ipv4(protocol: u8, target: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(20 + payload.len()).unwrap();
    let fixed = [0x45, 0, 0, len, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 9];
    ethernet(0x0800, &[&fixed[..], &target, payload].concat())
}

fn icmpv6(kind: u8, code: u8, body: &[u8]) -> Vec<u8> {
    let len = u8::try_from(4 + body.len()).unwrap();
    let head = [&[0x60, 0, 0, 0, 0, len, 58, 255][..], &[0xfe; 32], &[kind, code, 0, 0]].concat();
    ethernet(0x86dd, &[&head, body].concat())
}

#[test]
fn protocol_0_is_a_protocol_cve_2023_1668() {
    let rules = classifier(&[
        (2, &[(Slot::EthType, 0x0800, ONES), (Slot::NwProto, 0, ONES)]),
        (1, &[(Slot::EthType, 0x0800, ONES)]),
    ]);
    let of = |protocol| ipv4(protocol, [10, 0, 0, 1], &[0; 20]);
    assert_apart(&rules, &of(0), &of(6));
    assert_apart(&rules, &of(6), &of(0));
    let (_, _, reads) = walk(&rules, &of(0));
    assert_eq!(reads.get(Slot::NwProto), 0xff);
}

#[test]
fn targets_are_of_neighbour_discovery_only_cve_2023_5366() {
    let target = [[0u8; 4].as_slice(), &[0xfd; 16]].concat();
    let advert: Bits<'_> = &[
        (Slot::EthType, 0x86dd, ONES),
        (Slot::NwProto, 58, ONES),
        (Slot::TpSrc, 136, ONES),
        (Slot::TpDst, 0, ONES),
        (Slot::NdTarget, u128::from_be_bytes([0xfd; 16]), ONES),
    ];
    let rules = classifier(&[(2, advert), (1, &[])]);
    let right = icmpv6(136, 0, &target);
    for (kind, code) in [(135, 0), (136, 1), (128, 0)] {
        assert_apart(&rules, &right, &icmpv6(kind, code, &target));
        assert_apart(&rules, &icmpv6(kind, code, &target), &right);
    }
    let (_, _, reads) = walk(&rules, &right);
    assert_eq!((reads.get(Slot::TpSrc), reads.get(Slot::TpDst)), (0xffff, 0xffff));
    // The same bytes in a packet that is no neighbour discovery are no target.
    let (_, key, _) = walk(&rules, &icmpv6(128, 0, &target));
    assert_eq!(key.get(Slot::NdTarget), 0);
}

#[test]
fn padding_decides_nothing_cve_2020_35498() {
    let target: Bits<'_> = &[(Slot::EthType, 0x0800, ONES), (Slot::NwDst, 0x0a00_0001, ONES)];
    let rules = classifier(&[(2, target), (1, &[])]);
    let whole = ipv4(17, [10, 0, 0, 1], &[0, 1, 0, 2, 0, 8, 0, 0]);
    for padding in [1, 26, 255, 256, 300, 1400] {
        let padded = [&whole[..], &vec![0xff; padding]].concat();
        let (found, key, _) = walk(&rules, &padded);
        assert_eq!((found, key), (Some(2), Key::parse(&whole, PortNo(1), 2)));
    }
    // What is read of a packet that is too short to have an address keeps it from standing for one.
    let cut = &whole[..30];
    assert_apart(&rules, cut, &whole);
    assert_apart(&rules, &whole, cut);
}
