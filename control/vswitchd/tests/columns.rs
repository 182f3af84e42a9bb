//! The table of all columns in `control/README.md` says one thing of each, and nothing of others.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use weft_ovsdb::value::schema::{Schema, VSWITCH_SCHEMA};
use weft_vswitchd::config::columns::{self, Role, TABLES};

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

/// What weftd reads is said to act, what it writes to be filled, what it names in the log to be kept.
#[test]
fn the_table_in_the_code_says_the_same() {
    let documented = documented();
    for table in TABLES {
        for column in table.columns {
            let cell = match column.role {
                Role::Reads => 0,
                Role::Fills | Role::Both => 1,
                Role::Keeps | Role::Misses => 2,
            };
            let (table, column) = (table.name, column.name);
            assert!(documented[table][cell].contains(&column), "{table} {column}");
        }
    }
}

/// What a table says of tables that weftd monitors stands in the code, but for rows that only the
/// server of the database has to do with.
#[test]
fn the_code_has_what_the_table_says() {
    const OF_THE_SERVER: [&str; 2] = ["manager_options", "ssl"];
    let documented = documented();
    for table in TABLES {
        let acts_and_fills = documented[table.name].iter().take(2).flatten();
        for column in acts_and_fills.filter(|it| !it.is_empty() && !OF_THE_SERVER.contains(it)) {
            assert!(columns::column(table.name, column).is_some(), "{} {column}", table.name);
        }
    }
}
