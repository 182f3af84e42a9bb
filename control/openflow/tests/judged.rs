//! Changed matches and instructions, and what Open vSwitch says of flows that have them.
#![expect(clippy::unwrap_used, reason = "a test")]

mod fixture;

use fixture::{bytes, version};
use weft_flow::request::Refusal;
use weft_flow::{Match, TableId, TlvMap, Version};
use weft_openflow::action::{Limits, check};
use weft_openflow::bytes::Reader;
use weft_openflow::{instruction, matching};

fn flow(bytes: &[u8], matching: &Match, version: Version) -> Result<(), Refusal> {
    let mut actions = instruction::decode(bytes, version, &TlvMap::new())?;
    let limits = Limits { version, port_end: 0xff00, table: TableId(0), tables: TableId::COUNT };
    check(&mut actions, matching, &limits)
}

fn verdict(kind: &str, bytes: &[u8], version: Version) -> Result<(), Refusal> {
    if kind == "flow" {
        return flow(bytes, &Match::any(), version);
    }
    let mut reader = Reader::new(bytes);
    let matching = matching::decode(version, &mut reader, &TlvMap::new())?;
    flow(reader.rest(), &matching, version)
}

#[test]
fn changed_flows_are_judged_as_open_vswitch_does() {
    let file = include_str!("fixtures/judged.txt");
    let lines = file.lines().filter(|line| !line.starts_with(';') && !line.is_empty());
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in lines {
        count += 1;
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap();
        let (name, kind, given, stock) = (word(), word(), word(), word());
        let ours = verdict(kind, &bytes(given), version(name));
        let ours = ours.map_or_else(Refusal::name, |()| "ok");
        if ours != stock {
            wrong.push(format!("{name} {kind} {given}\n  {stock}\n  {ours}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}
