//! Flows that Open vSwitch was sent, and how it says their actions in each version.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod fixture;

use fixture::{Block, blocks, options, version};
use weft_flow::action::Actions;
use weft_flow::{Match, TableId};
use weft_openflow::action::{Limits, check};
use weft_openflow::bytes::Reader;
use weft_openflow::{instruction, matching};

fn match_of(name: &str, bytes: &[u8]) -> Match {
    let padded = [bytes, &[0; 8]].concat();
    let mut reader = Reader::new(&padded);
    if name == "1.0n" {
        return matching::decode_nxm(&mut reader, bytes.len(), &options()).unwrap().0;
    }
    matching::decode(version(name), &mut reader, &options()).unwrap()
}

/// What the switch makes of a request.
fn meant(block: &Block) -> Actions {
    let [(name, words)] = &block.requests[..] else { panic!("one request: {}", block.text) };
    let matching = match_of(name, &words[0]);
    let mut actions = instruction::decode(&words[1], version(name), &options())
        .unwrap_or_else(|refusal| panic!("{refusal}: {} in {name}", block.text));
    let limits = Limits {
        version: version(name),
        port_end: 0xff00,
        table: TableId(0),
        tables: TableId::COUNT,
    };
    check(&mut actions, &matching, &limits)
        .unwrap_or_else(|refusal| panic!("{refusal}: {} in {name}", block.text));
    actions
}

#[test]
fn actions_are_read_and_said_as_open_vswitch_does() {
    let blocks = blocks(include_str!("fixtures/actions.txt"));
    assert!(blocks.len() > 300, "{} blocks", blocks.len());
    let mut wrong = Vec::new();
    for block in blocks {
        let actions = meant(&block);
        for (name, words) in &block.replies {
            let mut out = Vec::new();
            instruction::encode(&actions, version(name), &options(), &mut out);
            if out != words[0] {
                wrong.push(format!(
                    "{} from {} in {name}:\n  {:02x?}\n  {:02x?}",
                    block.text, block.requests[0].0, words[0], out
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
