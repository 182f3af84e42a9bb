//! `mdb/*`.

use super::fdb::{bridge, ofport};
use super::{Command, Family, command};
use crate::config::desired::Desired;
use crate::engine::parts::Needs;
use crate::lower::publish::Ids;
use crate::plan::installed::Installed;
use crate::plan::ofport::LOCAL;
use crate::protocols::port_of;
use crate::protocols::snooping::Snooping;
use crate::serve::unixctl::Answer;
use std::fmt::Write as _;
use std::time::Instant;
use weft_protocols::mcast::EntryKind;

/// The commands of this family.
pub(crate) enum Groups {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub desired: &'a Desired,
    pub plan: &'a Installed,
    pub ids: &'a Ids,
    pub snooping: &'a mut Snooping,
}

impl Needs for Groups {
    type Parts<'a> = Parts<'a>;
}

impl Family for Groups {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<Groups>] = &[
    command::<Groups>("mdb/flush", "[bridge]", 0, 1, flush),
    command::<Groups>("mdb/show", "bridge", 1, 1, show),
];

const DISABLED: &str = "multicast snooping is disabled\n";

fn show(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let name = args.first().map_or("", String::as_str);
    bridge(lent.desired, lent.ids, name)?;
    let table = lent.snooping.table(name).ok_or(DISABLED)?;
    let mut text = String::from(" port  VLAN  GROUP                Age\n");
    for entry in table.entries(lent.snooping.clock_secs(Instant::now())) {
        let port = match ofport(lent.plan, lent.ids, port_of(entry.port)) {
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

fn flush(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let names: Vec<String> = match args.first() {
        Some(name) => {
            bridge(lent.desired, lent.ids, name)?;
            lent.snooping.table(name).ok_or(DISABLED)?;
            vec![name.clone()]
        }
        None => lent.snooping.names().map(str::to_owned).collect(),
    };
    for name in names {
        lent.snooping.flush(&name);
    }
    Ok("table successfully flushed\n".to_owned())
}
