//! Matches that Open vSwitch was sent, and how it says them in each version.
#![expect(clippy::unwrap_used, reason = "a test")]

mod fixture;

use fixture::{blocks, options, version};
use weft_flow::Match;
use weft_openflow::bytes::Reader;
use weft_openflow::matching::{Cookie, decode, decode_nxm, encode, encode_nxm};

fn read(name: &str, bytes: &[u8]) -> Match {
    let mut reader = Reader::new(bytes);
    if name != "1.0n" {
        return decode(version(name), &mut reader, &options()).unwrap();
    }
    let padded = [bytes, &[0; 8]].concat();
    let (matching, cookie) =
        decode_nxm(&mut Reader::new(&padded), bytes.len(), &options()).unwrap();
    assert_eq!(cookie, Cookie::default());
    matching
}

fn say(name: &str, matching: &Match) -> Vec<u8> {
    let mut out = Vec::new();
    if name == "1.0n" {
        let len = encode_nxm(matching, Cookie::default(), &options(), &mut out);
        out.truncate(len);
    } else {
        encode(matching, version(name), &options(), &mut out);
    }
    out
}

#[test]
fn matches_are_read_and_said_as_open_vswitch_does() {
    let blocks = blocks(include_str!("fixtures/matches.txt"));
    assert!(blocks.len() > 60, "{} blocks", blocks.len());
    for block in blocks {
        let mut meant = None;
        for (name, words) in &block.requests {
            let matching = read(name, &words[0]);
            let meant = meant.get_or_insert_with(|| matching.clone());
            assert_eq!(*meant, matching, "{} in {name}", block.text);
        }
        let meant = meant.unwrap();
        for (name, words) in &block.replies {
            assert_eq!(say(name, &meant), words[0], "{} in {name}: {meant:?}", block.text);
            // The structure of 1.0 cannot say all, and OXM cannot say vlan_tci=0.
            if name != "1.0" {
                let again = read(name, &words[0]);
                assert_eq!(say(name, &again), words[0], "{} from {name}", block.text);
            }
        }
    }
}
