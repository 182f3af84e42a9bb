//! `mdb/*`.

use super::fdb::{bridge, ofport};
use super::{Command, command};
use crate::plan::ofport::LOCAL;
use crate::process::engine::Engine;
use crate::process::unixctl::Answer;
use crate::protocols::port_of;
use std::fmt::Write as _;
use weft_protocols::mcast::EntryKind;

pub(super) const COMMANDS: &[Command] =
    &[command("mdb/flush", "[bridge]", 0, 1, flush), command("mdb/show", "bridge", 1, 1, show)];

const DISABLED: &str = "multicast snooping is disabled\n";

fn show(engine: &mut Engine, args: &[String]) -> Answer {
    let name = args.first().map_or("", String::as_str);
    bridge(engine, name)?;
    let table = engine.snooping.table(name).ok_or(DISABLED)?;
    let mut text = String::from(" port  VLAN  GROUP                Age\n");
    for entry in table.entries(engine.snooping.now_secs()) {
        let port = match ofport(engine, port_of(entry.port)) {
            Some(LOCAL) => "LOCAL".to_owned(),
            Some(number) => number.to_string(),
            None => continue,
        };
        let (vid, age) = (entry.vid.get(), entry.age_secs);
        let _ = match entry.kind {
            EntryKind::Member(group) => {
                writeln!(text, "{port:>5}  {vid:>4}  {group}         {age:>3}")
            }
            EntryKind::Router => {
                writeln!(text, "{port:>5}  {vid:>4}  querier             {age:>3}")
            }
        };
    }
    Ok(text)
}

fn flush(engine: &mut Engine, args: &[String]) -> Answer {
    let names: Vec<String> = match args.first() {
        Some(name) => {
            bridge(engine, name)?;
            engine.snooping.table(name).ok_or(DISABLED)?;
            vec![name.clone()]
        }
        None => engine.snooping.names().map(str::to_owned).collect(),
    };
    for name in names {
        engine.snooping.flush(&name);
    }
    Ok("table successfully flushed\n".to_owned())
}
