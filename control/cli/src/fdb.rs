//! `weft fdb`: which address is behind which port.

use std::io::Write;

use serde_json::Value;

use crate::args::FdbPart;
use crate::error::{EXIT_OK, Error};
use crate::json::{cell, items, member, text};
use crate::table::{Column, render};
use crate::unixctl::Daemon;

/// Prints the addresses of one bridge, or of all.
///
/// # Errors
/// The daemon does not answer or knows no such bridge, or the output cannot be written.
pub fn run(
    daemon: &Daemon,
    json: bool,
    bridge: Option<&str>,
    out: &mut impl Write,
) -> Result<u8, Error> {
    let params: Vec<&str> = bridge.into_iter().collect();
    let list = daemon.call("weft/fdb", &params)?;
    let page = if json { format!("{list:#}\n") } else { table(&list) };
    out.write_all(page.as_bytes()).map_err(Error::Output)?;
    Ok(EXIT_OK)
}

/// Forgets learned addresses, and says how many.
///
/// # Errors
/// The daemon does not answer or knows no such bridge or port, or the output cannot be written.
pub fn flush(
    daemon: &Daemon,
    json: bool,
    what: &FdbPart,
    out: &mut impl Write,
) -> Result<u8, Error> {
    let params: Vec<String> = [
        what.bridge.as_ref().map(|name| format!("bridge={name}")),
        what.port.as_ref().map(|name| format!("port={name}")),
        what.vlan.map(|number| format!("vlan={number}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let params: Vec<&str> = params.iter().map(String::as_str).collect();
    let entries = daemon.call("weft/fdb-flush", &params)?;
    let page = if json {
        format!("{:#}\n", serde_json::json!({ "entries": entries }))
    } else {
        format!("{entries} addresses forgotten\n")
    };
    out.write_all(page.as_bytes()).map_err(Error::Output)?;
    Ok(EXIT_OK)
}

fn table(list: &Value) -> String {
    let rows: Vec<_> = items(list).map(row).collect();
    if rows.is_empty() {
        return "no address is known\n".to_owned();
    }
    let columns = [
        Column::Left("bridge"),
        Column::Left("port"),
        Column::Right("ofport"),
        Column::Right("vlan"),
        Column::Left("mac"),
        Column::Right("age s"),
    ];
    render(&columns, rows, 0)
}

fn row(entry: &Value) -> Vec<String> {
    let age = match member(entry, "static") {
        Value::Bool(true) => "static".to_owned(),
        _ => text(member(entry, "age_secs")),
    };
    let mut row: Vec<_> =
        ["bridge", "port", "ofport", "vlan", "mac"].iter().map(|name| cell(entry, name)).collect();
    row.push(age);
    row
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::EXIT_FINDING;
    use crate::fake::FakeDaemon;

    #[test]
    fn learned_and_static_addresses() {
        let list = json!([
            {"bridge": "br0", "port": "br0", "ofport": 65534, "vlan": 0,
             "mac": "02:00:00:00:00:01", "age_secs": 12, "static": false},
            {"bridge": "br0", "port": "p1", "ofport": 1, "vlan": 5,
             "mac": "02:00:00:00:00:02", "age_secs": null, "static": true},
        ]);
        let fake = FakeDaemon::with_result("weft/fdb", &list);
        let mut out = Vec::new();
        run(&fake.daemon(), false, None, &mut out).unwrap();
        let page = String::from_utf8(out).unwrap();
        let ages: Vec<_> = page.lines().filter_map(|line| line.split_whitespace().last()).collect();
        assert_eq!(ages, ["s", "12", "static"], "{page}");
    }

    #[test]
    fn a_flush_says_what_and_how_many() {
        let fake = FakeDaemon::answering(|method, params| {
            assert_eq!(method, "weft/fdb-flush");
            assert_eq!(params, &json!(["port=p1", "vlan=0"]));
            json!({"result": "17\n"})
        });
        let what = FdbPart { bridge: None, port: Some("p1".to_owned()), vlan: Some(0) };
        let mut out = Vec::new();
        flush(&fake.daemon(), false, &what, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "17 addresses forgotten\n");
    }

    #[test]
    fn an_unknown_bridge_is_a_finding() {
        let fake = FakeDaemon::answering(|_, params| {
            assert_eq!(params, &json!(["br9"]));
            json!({"error": "no such bridge\n"})
        });
        let error = run(&fake.daemon(), false, Some("br9"), &mut Vec::new()).unwrap_err();
        assert_eq!(
            (error.exit_code(), error.to_string().as_str()),
            (EXIT_FINDING, "no such bridge")
        );
    }
}
