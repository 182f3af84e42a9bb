use super::*;
use crate::config::desired::tests::Fake;
use crate::config::desired::{Desired, Rows, trees};
use crate::config::tunnel::TunnelType;
use std::cell::RefCell;
use std::collections::BTreeSet;
use uuid::Uuid;
use weft_ovsdb::Datum;

/// Rows that note which columns somebody asked for.
struct Watched {
    rows: Fake,
    asked: RefCell<BTreeSet<(String, String)>>,
}

impl Rows for Watched {
    fn uuids(&self, table: &str) -> Vec<Uuid> {
        self.rows.uuids(table)
    }

    fn datum(&self, table: &str, row: Uuid, column: &str) -> Option<&Datum> {
        self.asked.borrow_mut().insert((table.to_owned(), column.to_owned()));
        self.rows.datum(table, row, column)
    }
}

/// Read by others than the reader of rows: the daemon at start, and the plan (`ofport`).
const ELSEWHERE: [(&str, &str); 4] = [
    ("Controller", "target"),
    ("Open_vSwitch", "datapaths"),
    ("Open_vSwitch", "external_ids"),
    ("Interface", "ofport"),
];

#[test]
fn the_reader_asks_for_what_stands_in_the_table_and_for_nothing_else() {
    let mut rows = Fake::new();
    rows.set("Interface", 4, "type", Datum::string("gre"));
    rows.set("Bridge", 2, "mirrors", Datum::set_of_uuids([Uuid::from_u128(5)]));
    let output = Datum::set_of_uuids([Uuid::from_u128(3)]);
    rows.row("Mirror", 5, &[("name", Datum::string("m")), ("output_port", output)]);
    let watched = Watched { rows, asked: RefCell::default() };
    let _ = Desired::read(&watched);
    let is_wanted = |column: &Column| column.is_read() || column.has_no_effect();
    let wanted: BTreeSet<_> = TABLES
        .iter()
        .flat_map(|table| table.columns.iter().map(move |column| (table.name, column)))
        .filter(|(table, column)| is_wanted(column) && !ELSEWHERE.contains(&(*table, column.name)))
        .map(|(table, column)| (table.to_owned(), column.name.to_owned()))
        .collect();
    assert_eq!(*watched.asked.borrow(), wanted);
}

#[test]
fn keys_of_trees_and_tunnels_are_known() {
    for (table, keys) in [("Bridge", &trees::BRIDGE[..]), ("Port", &trees::PORT[..])] {
        for (key, ..) in keys {
            assert!(has_key(table, "other_config", key), "{table} {key}");
        }
    }
    for key in trees::ADDRESSES {
        assert!(has_key("Bridge", "other_config", key), "{key}");
    }
    assert!(TunnelType::ALL.iter().all(|kind| kind.options().any(|key| key == "remote_ip")));
}

#[test]
fn all_that_has_to_do_with_a_table_is_monitored_once() {
    let monitored = to_monitor();
    assert_eq!(monitored[0], ("Open_vSwitch", Vec::new()), "all of it");
    for (table, columns) in &monitored {
        let once: BTreeSet<_> = columns.iter().collect();
        assert_eq!(once.len(), columns.len(), "{table}");
    }
    let bridge = monitored.iter().find(|(table, _)| *table == "Bridge").unwrap();
    assert!(["name", "status", "netflow"].iter().all(|column| bridge.1.contains(column)));
}

/// The rows of the table in `README.md`.
fn readme_rows() -> Vec<String> {
    let mut rows = Vec::new();
    let name = |column: &&Column| match column.keys {
        [] => column.name.to_owned(),
        keys => format!("{} ({})", column.name, keys.join(", ")),
    };
    for table in TABLES {
        let of = |is_meant: fn(&Column) -> bool| -> String {
            let columns = table.columns.iter().filter(|column| is_meant(column));
            columns.collect::<Vec<_>>().iter().map(name).collect::<Vec<_>>().join(", ")
        };
        for (what, columns) in [
            ("read", of(Column::is_read)),
            ("filled", of(Column::is_filled)),
            ("kept, named in the log", of(|column| column.role == Role::Keeps)),
            ("kept, named in `Interface.error` too", of(|column| column.role == Role::Misses)),
        ] {
            if !columns.is_empty() {
                rows.push(format!("| {} | {what} | {columns} |", table.name));
            }
        }
    }
    for kind in TunnelType::ALL {
        let options: Vec<_> = kind.options().collect();
        rows.push(format!("| options of {} | read | {} |", kind.name(), options.join(", ")));
    }
    rows
}

#[test]
fn the_readme_has_the_table() {
    let readme = include_str!("../../../README.md");
    let table = readme.lines().skip_while(|line| *line != "| table | is | columns (keys) |");
    let table: Vec<_> = table.skip(2).take_while(|line| line.starts_with('|')).collect();
    let rows = readme_rows();
    assert_eq!(table, rows, "the table of README.md is to be\n{}", rows.join("\n"));
}
