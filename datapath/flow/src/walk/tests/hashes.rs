//! Choices by hash.

use super::bridge::{Bridge, DOWN};
use super::generate::bits;
use super::key;
use crate::action::{Bundle, BundleAlgorithm, HashFields, Multipath, MultipathAlgorithm};
use crate::frames::{Kind, TCP, UDP, build};
use crate::walk::{execute, symmetric_hash};
use crate::{Action, Key, PortNo, Slot};
use proptest::prelude::*;

/// What an action writes to a register, and the bits that decided.
fn written(action: Action, key: &Key) -> (u128, crate::Mask) {
    let walked = execute(&Bridge::default(), key, &[action], &mut ());
    (walked.key.get(Slot::Reg(0)), walked.reads)
}

fn multipath(algorithm: MultipathAlgorithm, max_link: u16, fields: HashFields) -> Action {
    let (basis, argument, destination) = (3, 0, bits("reg0", 0, 32));
    let choice = Multipath { fields, basis, algorithm, max_link, argument, destination };
    Action::Multipath(Box::new(choice))
}

proptest! {
    /// Both directions hash alike; ports count for TCP and not for UDP.
    #[test]
    fn both_directions_hash_alike(seed: [u8; 40], is_v6: bool, basis: u32, port: u16) {
        for protocol in [TCP, UDP] {
            let kind = if is_v6 {
                Kind::V6(protocol, 0, false, 0)
            } else {
                Kind::V4(protocol, 0, false)
            };
            let there = key(&build(kind, &[], &seed, false), 1, 0);
            let mut back = there.clone();
            let pairs = [
                (Slot::EthSrc, Slot::EthDst),
                (Slot::NwSrc, Slot::NwDst),
                (Slot::Ipv6Src, Slot::Ipv6Dst),
                (Slot::TpSrc, Slot::TpDst),
            ];
            for (one, other) in pairs {
                back.set(one, there.get(other));
                back.set(other, there.get(one));
            }
            let hash = symmetric_hash(&there, basis);
            prop_assert_eq!(symmetric_hash(&back, basis), hash);
            prop_assert_ne!(hash, 0);
            back.set(Slot::TpSrc, u128::from(port));
            let is_same = u128::from(port) == there.get(Slot::TpDst) || protocol == UDP;
            prop_assert_eq!(symmetric_hash(&back, basis) == hash, is_same);
        }
    }

    /// Links that exist, and few bits of the packet.
    #[test]
    fn links_are_those_that_exist(seed: [u8; 40], max_link in 0u16..9) {
        let key = key(&build(Kind::V4(UDP, 0, false), &[], &seed, false), 1, 0);
        for algorithm in [
            MultipathAlgorithm::ModuloN,
            MultipathAlgorithm::HashThreshold,
            MultipathAlgorithm::Hrw,
            MultipathAlgorithm::IterHash,
        ] {
            let (link, reads) = written(multipath(algorithm, max_link, HashFields::NwDst), &key);
            prop_assert!(link <= u128::from(max_link));
            prop_assert_eq!(reads.get(Slot::NwDst), 0xffff_ffff);
            prop_assert_eq!(reads.get(Slot::NwSrc) | reads.get(Slot::TpSrc), 0);
        }
    }
}

#[test]
fn bundles_take_the_first_live_port_or_none() {
    let key = key(&build(Kind::V4(UDP, 0, false), &[], &[7; 40], false), 1, 0);
    let bundle = |members: &[PortNo]| {
        Action::Bundle(Box::new(Bundle {
            fields: HashFields::EthSrc,
            basis: 0,
            algorithm: BundleAlgorithm::ActiveBackup,
            members: members.into(),
            destination: Some(bits("reg0", 0, 16)),
        }))
    };
    let (port, reads) = written(bundle(&[DOWN, PortNo(2), PortNo(1)]), &key);
    assert_eq!((port, reads.get(Slot::EthSrc)), (2, 0));
    assert_eq!(written(bundle(&[DOWN]), &key).0, 0xffff);
}
