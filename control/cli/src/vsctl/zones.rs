//! Commands about datapaths: timeouts of conntrack zones, and capabilities.
//!
//! Where ovs-vsctl takes a zone or a timeout that is no number for some number, this is an error.

use super::Failure;
use super::command::{Call, Command, Context, Outcome, Run, command};
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_ovsdb::{Atom, Datum};

/// Most policies of one command, as with ovs-vsctl.
const POLICIES_MAX: usize = 16;

/// All of them.
pub const COMMANDS: &[Command] = &[
    command(
        "add-zone-tp",
        "DATAPATH zone=ZONE POLICY=SECS...",
        3,
        2 + POLICIES_MAX,
        "may-exist",
        add_policy,
    ),
    command("del-zone-tp", "DATAPATH zone=ZONE", 2, 2, "if-exists", delete_policy),
    command("list-zone-tp", "DATAPATH", 1, 1, "", list_policies),
    command("list-dp-cap", "DATAPATH", 1, 1, "", list_capabilities),
];

impl Context<'_, '_> {
    /// The row of a datapath, which goes by its type.
    fn datapath(&self, name: &str) -> Result<Option<Uuid>, Failure> {
        let all = self.model.get("Open_vSwitch", self.model.root()?, "datapaths");
        let found = all.pairs().iter().find(|(key, _)| key.as_str() == Some(name));
        Ok(found.and_then(|(_, row)| row.as_uuid()))
    }

    fn datapath_to_change(&self, name: &str) -> Result<Uuid, Failure> {
        let row = self.datapath(name)?;
        row.ok_or_else(|| Failure(format!("datapath {name} does not exist")))
    }

    /// Rows of the zones of a datapath, by their number.
    fn zones(&self, datapath: Uuid) -> BTreeMap<i64, Uuid> {
        let zones = self.model.get("Datapath", datapath, "ct_zones").pairs().iter();
        zones.filter_map(|(zone, row)| Some((zone.as_int()?, row.as_uuid()?))).collect()
    }

    fn set_zones(&mut self, datapath: Uuid, zones: BTreeMap<i64, Uuid>) {
        let pairs = zones.into_iter().map(|(zone, row)| (Atom::Integer(zone), Atom::Uuid(row)));
        self.model.set("Datapath", datapath, "ct_zones", Datum::map(pairs.collect()));
    }

    /// The row of these timeouts; zones share one when they are equal.
    fn policy(&mut self, timeouts: Datum) -> Result<Uuid, Failure> {
        let table = "CT_Timeout_Policy";
        let rows = self.model.rows(table);
        let same = |row: &Uuid| *self.model.get(table, *row, "timeouts") == timeouts;
        if let Some(row) = rows.into_iter().find(same) {
            return Ok(row);
        }
        let row = self.model.make(table)?;
        self.model.set(table, row, "timeouts", timeouts);
        Ok(row)
    }
}

fn zone_number(text: &str) -> Result<i64, Failure> {
    let number = text.strip_prefix("zone=").and_then(|number| number.parse().ok());
    number.ok_or_else(|| Failure(format!("{text}: zone=ZONE expected, ZONE a number")))
}

fn timeouts(words: &[String]) -> Result<Datum, Failure> {
    let mut timeouts = BTreeMap::new();
    for word in words {
        let pair = word.split_once('=').and_then(|(key, secs)| Some((key, secs.parse().ok()?)));
        let (key, secs) =
            pair.ok_or_else(|| Failure(format!("{word}: POLICY=SECS expected, SECS a number")))?;
        timeouts.entry(key).or_insert(secs);
    }
    Ok(Datum::map_of_integers(timeouts))
}

fn add_policy(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let datapath = context.datapath_to_change(call.arg(0))?;
    let number = zone_number(call.arg(1))?;
    let timeouts = timeouts(call.args.get(2..).unwrap_or_default())?;
    let mut zones = context.zones(datapath);
    let known = zones.get(&number).copied();
    if known.is_some() && !call.has("may-exist") {
        return Err(Failure(format!("zone id {number} already exists")));
    }
    let policy = context.policy(timeouts)?;
    let zone = match known {
        Some(zone) => zone,
        None => context.model.make("CT_Zone")?,
    };
    context.model.set("CT_Zone", zone, "timeout_policy", Datum::uuid(policy));
    zones.insert(number, zone);
    context.set_zones(datapath, zones);
    Outcome::silent()
}

fn delete_policy(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let datapath = context.datapath_to_change(call.arg(0))?;
    let number = zone_number(call.arg(1))?;
    let mut zones = context.zones(datapath);
    match zones.remove(&number) {
        Some(zone) => context.model.delete("CT_Zone", zone),
        None if call.has("if-exists") => return Outcome::silent(),
        None => return Err(Failure(format!("zone id {number} does not exist"))),
    }
    context.set_zones(datapath, zones);
    Outcome::silent()
}

fn list_policies(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let name = call.arg(0);
    let datapath = context.datapath(name)?;
    let datapath = datapath.ok_or_else(|| Failure(format!("datapath: {name} record not found")))?;
    let zones = context.zones(datapath).into_iter();
    Outcome::lines(zones.map(|(number, zone)| {
        let policy = context.model.get("CT_Zone", zone, "timeout_policy").as_uuid();
        let timeouts = policy.map(|row| context.model.get("CT_Timeout_Policy", row, "timeouts"));
        let mut line = format!("Zone:{number}, Timeout Policies:");
        if timeouts.is_none() {
            line.push_str(" system default");
        }
        for (key, secs) in timeouts.map_or(&[][..], Datum::pairs) {
            let (key, secs) = (key.as_str().unwrap_or(""), secs.as_int().unwrap_or(0));
            line = format!("{line} {key}={secs}");
        }
        line
    }))
}

fn list_capabilities(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let name = call.arg(0);
    let datapath = context.datapath(name)?;
    let datapath =
        datapath.ok_or_else(|| Failure(format!("datapath \"{name}\" record not found")))?;
    let pairs = context.model.get("Datapath", datapath, "capabilities").string_pairs();
    let words: Vec<_> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
    Outcome::lines([words.join(" ")])
}
