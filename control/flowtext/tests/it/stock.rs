//! What is printed here is what `ovs-ofctl` prints: it reads our text and prints it again.

use crate::generate;
use std::process::Command;
use weft_flow::{Action, Match};
use weft_flowtext::{Numbers, print};

/// Whether `ovs-ofctl` is there; fails when `WEFT_REQUIRE_STOCK` is set and it is not.
fn has_stock() -> bool {
    let found = Command::new("ovs-ofctl").arg("--version").output().is_ok();
    if !found {
        assert!(std::env::var_os("WEFT_REQUIRE_STOCK").is_none(), "ovs-ofctl is not installed");
        eprintln!("SKIPPED: ovs-ofctl is not installed");
    }
    found
}

/// What stock prints of flows, by their form on the wire.
fn stock(flows: &[String], version: &str, form: &str) -> Vec<String> {
    let file = std::env::temp_dir().join(format!("weft-flowtext-{}-{form}", std::process::id()));
    std::fs::write(&file, flows.join("\n")).expect("written");
    let output = Command::new("ovs-ofctl")
        .args(["-O", version, "-F", form, "parse-flows"])
        .arg(&file)
        .output()
        .expect("run");
    let _ = std::fs::remove_file(&file);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}{flows:#?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter_map(|line| Some(line.split_once(": ADD ")?.1.to_owned()));
    lines.collect()
}

fn compare(flows: &[(Match, Vec<Action>)], version: &str, form: &str) {
    let ours: Vec<String> = flows
        .iter()
        .map(|(matching, actions)| {
            let matching = print::match_text(matching, &Numbers);
            let space = if matching.is_empty() { "" } else { " " };
            format!("{matching}{space}actions={}", print::actions_text(actions, &Numbers))
        })
        .collect();
    // A few at a time: stock stops at the first that it does not take.
    for ours in ours.chunks(20) {
        assert_eq!(ours, stock(ours, version, form));
    }
}

#[test]
fn matches_are_printed_as_by_stock() {
    if has_stock() {
        let flows: Vec<_> = generate::matches(400).into_iter().map(|it| (it, Vec::new())).collect();
        compare(&flows, "OpenFlow10", "NXM");
    }
}

#[test]
fn actions_are_printed_as_by_stock() {
    if has_stock() {
        compare(&generate::flows(400), "OpenFlow15", "OXM-OpenFlow15");
    }
}

#[test]
fn loads_are_printed_as_by_stock() {
    if has_stock() {
        compare(&generate::loads(400), "OpenFlow10", "NXM");
    }
}
