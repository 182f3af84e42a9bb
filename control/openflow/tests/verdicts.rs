//! Changed actions, and what Open vSwitch says of them: why it refuses them, or how it says them.
#![expect(clippy::unwrap_used, reason = "a test")]

mod fixture;

use fixture::{bytes, version};
use weft_flow::TlvMap;
use weft_flow::tlv::TlvOption;
use weft_openflow::action;

/// ovs-ofctl has no map of options: all are as long as they can be.
fn longest() -> TlvMap {
    let option = |kind| TlvOption { class: 1, kind, bytes: 124 };
    TlvMap::new().with(&[(0, option(0)), (1, option(1))]).unwrap()
}

fn verdict(name: &str, given: &[u8]) -> String {
    let actions = match action::decode(given, version(name), &longest()) {
        Ok(actions) => actions,
        Err(refusal) => return refusal.name().to_owned(),
    };
    let mut out = Vec::new();
    action::encode(&actions, version(name), &longest(), &mut out);
    let digits: Vec<String> = out.iter().map(|byte| format!("{byte:02x}")).collect();
    if digits.is_empty() { "-".to_owned() } else { digits.concat() }
}

#[test]
fn changed_actions_are_judged_as_open_vswitch_does() {
    let file = include_str!("fixtures/verdicts.txt");
    let lines = file.lines().filter(|line| !line.starts_with(';') && !line.is_empty());
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in lines {
        count += 1;
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap();
        let (name, given, stock) = (word(), word(), word());
        let ours = verdict(name, &bytes(given));
        if ours != stock {
            wrong.push(format!("{name} {given}\n  {stock}\n  {ours}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}
