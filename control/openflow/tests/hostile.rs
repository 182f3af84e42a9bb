//! Bytes that nobody should send: refused or read, never a panic, and what was read can be said.
#![expect(clippy::unwrap_used, reason = "a test")]

mod fixture;

use fixture::{blocks, options, version};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use weft_flow::request::Refusal;
use weft_flow::{Match, TableId, TlvMap, Version};
use weft_openflow::action::{Limits, check};
use weft_openflow::bytes::Reader;
use weft_openflow::matching::{Cookie, Form, Unknown};
use weft_openflow::{action, instruction, matching};

/// Reads bytes in every way; what was read is said in every version.
fn read(bytes: &[u8], version: Version, tlvs: &TlvMap) {
    let mut out = Vec::new();
    let limits = Limits { version, port_end: 0xff00, table: TableId(0), tables: 254 };
    let actions = action::decode(bytes, version, tlvs);
    for mut actions in instruction::decode(bytes, version, tlvs).into_iter().chain(actions) {
        let _ = check(&mut actions, &Match::any(), &limits);
        for version in Version::ALL {
            instruction::encode(&actions, version, tlvs, &mut out);
            action::encode(&actions, version, tlvs, &mut out);
        }
    }
    let any = matching::decode(version, &mut Reader::new(bytes), tlvs);
    let nxm = matching::decode_nxm(&mut Reader::new(bytes), bytes.len(), tlvs);
    let fields = matching::decode_fields(bytes, tlvs, Unknown::Skipped, None);
    for of in any.into_iter().chain(nxm.map(|(of, _)| of)).chain(fields) {
        matching::encode_nxm(&of, Cookie::default(), tlvs, &mut out);
        matching::encode_standard(&of, &mut out);
        for version in Version::ALL {
            matching::encode(&of, version, tlvs, &mut out);
            matching::encode_fields(&of, Form::Oxm(version), tlvs, &mut out);
        }
    }
}

/// The requests of the recorded flows: version, and bytes of match or actions.
static RECORDED: LazyLock<Vec<(Version, Vec<u8>)>> = LazyLock::new(|| {
    let files = [include_str!("fixtures/actions.txt"), include_str!("fixtures/matches.txt")];
    let blocks = files.into_iter().flat_map(blocks);
    let requests = blocks.flat_map(|block| block.requests);
    let all: BTreeSet<_> = requests
        .flat_map(|(name, words)| words.into_iter().map(move |word| (version(&name), word)))
        .collect();
    all.into_iter().collect()
});

#[test]
fn beginnings_of_recorded_bytes_are_read_or_refused() {
    let tlvs = options();
    for (version, bytes) in RECORDED.iter() {
        for len in (0..bytes.len()).step_by(1 + bytes.len() / 40) {
            read(&bytes[..len], *version, &tlvs);
        }
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let tlvs = options();
    for (version, bytes) in RECORDED.iter() {
        for at in (2..bytes.len().min(64)).step_by(4) {
            for lie in [0u16, 8, 0xfff8] {
                let mut bytes = bytes.clone();
                if let Some(place) = bytes.get_mut(at..at + 2) {
                    place.copy_from_slice(&lie.to_be_bytes());
                }
                read(&bytes, *version, &tlvs);
            }
        }
    }
}

#[test]
fn lists_nest_to_a_bound() {
    let nested = |depth: usize| {
        let mut bytes = Vec::new();
        for _ in 0..depth {
            let len = u16::try_from(bytes.len() + 16).unwrap();
            let head = [&[0xff, 0xff][..], &len.to_be_bytes(), &[0, 0, 0x23, 0x20, 0, 42]].concat();
            bytes = [head, vec![0; 6], bytes].concat();
        }
        action::decode(&bytes, Version::V13, &TlvMap::new()).map(drop)
    };
    assert_eq!(nested(64), Ok(()));
    assert_eq!(nested(65), Err(Refusal::TooMany));
    assert_eq!(nested(4000), Err(Refusal::TooMany));
}

fn any_version() -> impl Strategy<Value = Version> {
    prop::sample::select(Version::ALL.to_vec())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        version in any_version(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        read(&bytes, version, &options());
    }

    #[test]
    fn changed_bytes_are_read_or_refused(
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        version in any_version(),
    ) {
        let (own, mut bytes) = RECORDED.get(pick.index(RECORDED.len())).unwrap().clone();
        prop_assume!(!bytes.is_empty());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            *bytes.get_mut(at).unwrap() = byte;
        }
        read(&bytes, own, &options());
        read(&bytes, version, &options());
    }

    /// What is said of changed bytes is said of itself.
    #[test]
    fn what_was_read_is_read_again(
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let (version, mut bytes) = RECORDED.get(pick.index(RECORDED.len())).unwrap().clone();
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                *bytes.get_mut(at).unwrap() = byte;
            }
        }
        let tlvs = options();
        let said = |bytes: &[u8]| {
            let actions = instruction::decode(bytes, version, &tlvs).ok()?;
            let mut out = Vec::new();
            instruction::encode(&actions, version, &tlvs, &mut out);
            Some(out)
        };
        if let Some(again) = said(&bytes).as_deref().and_then(said) {
            prop_assert_eq!(said(&again), Some(again));
        }
        if let Ok((of, cookie)) = matching::decode_nxm(&mut Reader::new(&bytes), bytes.len(), &tlvs) {
            let mut out = Vec::new();
            let len = matching::encode_nxm(&of, cookie, &tlvs, &mut out);
            let again = matching::decode_nxm(&mut Reader::new(&out), len, &tlvs);
            prop_assert_eq!(again, Ok((of, cookie)));
        }
    }
}
