//! The table of all columns in `control/README.md` says one thing of each, and nothing of others.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use weft_ovsdb::value::schema::{Schema, VSWITCH_SCHEMA};

const README: &str = include_str!("../../README.md");

/// For each table the cells of its line: acts, fills, keeps.
fn documented() -> BTreeMap<&'static str, Vec<Vec<&'static str>>> {
    let (_, table) = README.split_once("| table | acts | fills | keeps |").unwrap();
    table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            (cells.next().unwrap(), cells.map(|cell| cell.split(' ').collect()).collect())
        })
        .collect()
}

#[test]
fn every_column_is_documented_once() {
    let schema = Schema::parse(VSWITCH_SCHEMA).unwrap();
    let documented = documented();
    assert_eq!(documented.len(), schema.tables.len());
    for table in &schema.tables {
        let cells = &documented[table.name.as_ref()];
        let mut said: Vec<&str> =
            cells.iter().flatten().copied().filter(|c| !c.is_empty()).collect();
        said.sort_unstable();
        let mut there: Vec<&str> = table.columns.iter().map(|c| c.name.as_ref()).collect();
        there.sort_unstable();
        assert_eq!(said, there, "{}", table.name);
    }
}

/// What the log says has no effect is not said to act.
#[test]
fn what_has_no_effect_is_said_to_be_kept() {
    let documented = documented();
    for table in ["Bridge", "Port", "Interface"] {
        for column in weft_vswitchd::config::ignored::columns(table) {
            assert!(documented[table][2].contains(column), "{table} {column}");
        }
    }
}
