//! Reads single rows: what a column holds, and what is wrong with it.

use super::{ConfigError, Desired, Rows};
use crate::config::columns;
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_ovsdb::Datum;

const DEFAULT_STATS_MILLIS: u64 = 5_000;

/// Reads rows, and notes what of them cannot be used.
pub(super) struct Reader<'a, R> {
    pub(super) rows: &'a R,
    pub(super) problems: Vec<ConfigError>,
}

impl<R: Rows> Reader<'_, R> {
    pub(super) fn text(&self, table: &str, row: Uuid, column: &str) -> String {
        let datum = self.rows.datum(table, row, column);
        datum.and_then(Datum::as_str).unwrap_or_default().to_owned()
    }

    pub(super) fn number(&self, table: &str, row: Uuid, column: &str) -> Option<i64> {
        self.rows.datum(table, row, column)?.as_int()
    }

    pub(super) fn key(&self, table: &str, row: Uuid, column: &str, key: &str) -> Option<String> {
        debug_assert!(columns::has_key(table, column, key), "{table} {column}:{key} is read");
        self.rows.datum(table, row, column)?.map_get(key).map(str::to_owned)
    }

    pub(super) fn flag(&self, table: &str, row: Uuid, column: &str) -> bool {
        self.rows.datum(table, row, column).and_then(Datum::as_bool).unwrap_or_default()
    }

    pub(super) fn map(&self, table: &str, row: Uuid, column: &str) -> BTreeMap<String, String> {
        let datum = self.rows.datum(table, row, column);
        let pairs = datum.into_iter().flat_map(Datum::string_pairs);
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    pub(super) fn references(&self, table: &str, row: Uuid, column: &str) -> Vec<Uuid> {
        let datum = self.rows.datum(table, row, column);
        datum.map(|datum| datum.uuids().collect()).unwrap_or_default()
    }

    pub(super) fn problem(
        &mut self,
        (table, row): (&'static str, &str),
        column: &str,
        value: &str,
        problem: &'static str,
    ) {
        self.problems.push(ConfigError {
            table,
            row: row.to_owned(),
            column: column.to_owned(),
            value: value.to_owned(),
            problem,
        });
    }

    /// The one row of `Open_vSwitch`, and the bridges that it lists.
    pub(super) fn root(&mut self) -> (Desired, Vec<Uuid>) {
        const TABLE: &str = "Open_vSwitch";
        let mut desired =
            Desired { stats_interval_millis: DEFAULT_STATS_MILLIS, ..Desired::default() };
        let Some(root) = self.rows.uuids(TABLE).first().copied() else {
            return (desired, Vec::new());
        };
        desired.root = Some(root);
        desired.next_cfg = self.number(TABLE, root, "next_cfg").unwrap_or_default();
        if let Some(mask) = self.key(TABLE, root, "other_config", "pmd-cpu-mask") {
            match cpus(&mask) {
                Some(cpus) => desired.worker_cpus = cpus,
                None => self.problem(
                    (TABLE, "."),
                    "other_config:pmd-cpu-mask",
                    &mask,
                    "not a hexadecimal mask; one worker is used",
                ),
            }
        }
        let auto = self.key(TABLE, root, "other_config", "pmd-auto-lb");
        desired.rebalances = auto.is_none_or(|text| text != "false");
        if let Some(text) = self.key(TABLE, root, "other_config", "stats-update-interval") {
            let millis = text.parse().unwrap_or(DEFAULT_STATS_MILLIS);
            desired.stats_interval_millis = millis.max(DEFAULT_STATS_MILLIS);
        }
        desired.reads_inner_tags = self.reads_inner_tags(root);
        (desired, self.references(TABLE, root, "bridges"))
    }
}

/// A column of an interface that holds a port number.
pub fn port_number(rows: &impl Rows, interface: Uuid, column: &str) -> Option<u16> {
    let number = rows.datum("Interface", interface, column)?.as_int()?;
    u16::try_from(number).ok().filter(|number| *number != 0)
}

/// The CPUs of a hexadecimal mask; `None` when it is none or is empty.
pub(super) fn cpus(mask: &str) -> Option<Vec<usize>> {
    let digits = mask.strip_prefix("0x").or_else(|| mask.strip_prefix("0X")).unwrap_or(mask);
    let mut cpus = Vec::new();
    for (place, digit) in digits.chars().rev().enumerate() {
        let digit = digit.to_digit(16)?;
        cpus.extend((0..4).filter(|bit| digit >> bit & 1 == 1).map(|bit| place * 4 + bit));
    }
    (!cpus.is_empty()).then_some(cpus)
}
