//! Columns of Open vSwitch's schema that have no effect here: kept, shown, and named in the log.
//!
//! `columns.rs` says which they are.

use crate::config::columns::{self, Role};
use crate::config::desired::{Bridge, ConfigError, Interface, Kind, Port, Rows};
use uuid::Uuid;
use weft_ovsdb::Datum;

/// What a row asks for in vain, as `Port qos`.
#[must_use]
pub fn missed(rows: &impl Rows, table: &str, row: Uuid) -> Vec<String> {
    let missed = columns::of(table).iter().filter(|column| column.role == Role::Misses);
    let is_set = |name: &&str| rows.datum(table, row, name).and_then(meaning).is_some();
    let set = missed.map(|column| column.name).filter(is_set);
    set.map(|name| format!("{table} {name}")).collect()
}

/// The text for `Interface.error` of an interface that works, without what was asked for.
#[must_use]
pub fn error(bridge: &Bridge, interface: &Interface) -> Option<String> {
    let of_bridge = if interface.is_local(bridge) { &bridge.missed[..] } else { &[] };
    let all: Vec<&str> = interface.missed.iter().chain(of_bridge).map(String::as_str).collect();
    (!all.is_empty()).then(|| {
        format!(
            "{}: not supported yet, so not in force: {}; frames are forwarded without",
            interface.name,
            all.join(", ")
        )
    })
}

/// What is said of them.
const NO_EFFECT: &str = "has no effect yet; kept";

/// Names everything in a row that is set and has no effect.
pub fn note(rows: &impl Rows, table: &'static str, row: Uuid, problems: &mut Vec<ConfigError>) {
    for column in columns::of(table).iter().filter(|column| column.has_no_effect()) {
        if let Some(value) = rows.datum(table, row, column.name).and_then(meaning) {
            let name = name(rows, table, row);
            problems.push(problem(table, name, column.name, value, NO_EFFECT));
        }
    }
}

/// Names addresses of interfaces that are not given to them, of a port in `bridge`.
#[must_use]
pub fn addresses(bridge: &str, port: &Port) -> Vec<ConfigError> {
    let mut problems = Vec::new();
    for interface in &port.interfaces {
        let Some(mac) = interface.mac else { continue };
        let why = match interface.kind {
            _ if interface.name == bridge => {
                "has no effect: other_config:hwaddr of the bridge sets the LOCAL port's address"
            }
            Kind::Internal => continue,
            _ => "has no effect: only internal ports have an address of ours",
        };
        let name = interface.name.clone();
        problems.push(problem("Interface", name, "mac", mac.to_string(), why));
    }
    problems
}

fn name(rows: &impl Rows, table: &str, row: Uuid) -> String {
    let name = rows.datum(table, row, "name").and_then(Datum::as_str);
    name.unwrap_or(".").to_owned()
}

/// The value as text, unless it says nothing.
fn meaning(datum: &Datum) -> Option<String> {
    let is_nothing =
        datum.is_empty() || datum.as_int() == Some(0) || datum.as_bool() == Some(false);
    (!is_nothing).then(|| datum.to_string())
}

fn problem(
    table: &'static str,
    row: String,
    column: &str,
    value: String,
    problem: &'static str,
) -> ConfigError {
    ConfigError { table, row, column: column.to_owned(), value, problem }
}
