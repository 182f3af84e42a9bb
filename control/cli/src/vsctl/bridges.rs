//! Commands about bridges.

use super::command::{Call, Context, Outcome, Run, command};
use super::topology::Topology;
use super::{Failure, command::Command};
use uuid::Uuid;
use weft_ovsdb::Datum;

/// All of them.
pub const COMMANDS: &[Command] = &[
    command("add-br", "BRIDGE [PARENT VLAN]", 1, 3, "may-exist", add),
    command("del-br", "BRIDGE", 1, 1, "if-exists", delete),
    command("list-br", "", 0, 0, "real fake", list),
    command("br-exists", "BRIDGE", 1, 1, "", exists),
    command("br-to-vlan", "BRIDGE", 1, 1, "", to_vlan),
    command("br-to-parent", "BRIDGE", 1, 1, "", to_parent),
    command("br-set-external-id", "BRIDGE KEY [VALUE]", 2, 3, "", set_external_id),
    command("br-get-external-id", "BRIDGE [KEY]", 1, 2, "", get_external_id),
    command("get-fail-mode", "BRIDGE", 1, 1, "", get_fail_mode),
    command("del-fail-mode", "BRIDGE", 1, 1, "", delete_fail_mode),
    command("set-fail-mode", "BRIDGE MODE", 2, 2, "", set_fail_mode),
];

fn add(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let [name, place @ ..] = call.args.as_slice() else { return Outcome::silent() };
    let place = match place {
        [] => None,
        [parent, vlan] => match vlan.parse::<i64>() {
            Ok(vlan) if (0..=4095).contains(&vlan) => Some((parent, vlan)),
            _ => return Err(Failure::new("add-br: vlan must be between 0 and 4095")),
        },
        _ => return Err(Failure::new("'add-br' command takes exactly 1 or 3 arguments")),
    };
    let all = context.topology()?;
    if call.has("may-exist") && all.bridges.contains_key(name) {
        return is_as_wanted(&all, name, place).map(|()| Outcome::default());
    }
    all.refuse_taken(name, "bridge")?;
    let interface = context.model.make("Interface")?;
    context.model.set("Interface", interface, "name", Datum::string(name));
    context.model.set("Interface", interface, "type", Datum::string("internal"));
    let port = context.model.make("Port")?;
    context.model.set("Port", port, "name", Datum::string(name));
    context.model.set("Port", port, "interfaces", Datum::uuid(interface));
    context.expect_interface(name);
    if let Some((parent, vlan)) = place {
        let parent = fit_for_child(&all, parent, vlan)?;
        context.model.set("Port", port, "fake_bridge", Datum::boolean(true));
        context.model.set("Port", port, "tag", Datum::integer(vlan));
        context.model.refer("Bridge", parent, "ports", port);
    } else {
        let bridge = context.model.make("Bridge")?;
        context.model.set("Bridge", bridge, "name", Datum::string(name));
        context.model.set("Bridge", bridge, "ports", Datum::uuid(port));
        let root = context.model.root()?;
        context.model.refer("Open_vSwitch", root, "bridges", bridge);
    }
    Outcome::silent()
}

/// Whether the bridge that exists is the one that `--may-exist` asks for.
fn is_as_wanted(all: &Topology, name: &str, place: Option<(&String, i64)>) -> Result<(), Failure> {
    let fake = all.bridge(name)?.fake.as_ref();
    let wanted = place.map_or_else(
        || format!("\"--may-exist add-br {name}\""),
        |(parent, vlan)| format!("\"--may-exist add-br {name} {parent} {vlan}\""),
    );
    let but = |what: String| Err(Failure(format!("{wanted} but {name} {what}")));
    match (fake, place) {
        (Some(fake), None) => but(format!("is a VLAN bridge for VLAN {}", fake.vlan)),
        (None, Some(_)) => but("is not a VLAN bridge".to_owned()),
        (Some(fake), Some((parent, _))) if fake.parent != *parent => {
            but(format!("has the wrong parent {}", fake.parent))
        }
        (Some(fake), Some((_, vlan))) if fake.vlan != vlan => {
            but(format!("is a VLAN bridge for the wrong VLAN {}", fake.vlan))
        }
        _ => Ok(()),
    }
}

/// The row of a bridge that may get a fake child for a VLAN.
fn fit_for_child(all: &Topology, parent: &str, vlan: i64) -> Result<Uuid, Failure> {
    let found = all.bridges.get(parent);
    let found = found.ok_or_else(|| Failure(format!("parent bridge {parent} does not exist")))?;
    if found.fake.is_some() {
        return Err(Failure::new("cannot create bridge with fake bridge as parent"));
    }
    if let Some(child) = all.child(parent, vlan) {
        let name = &child.name;
        return Err(Failure(format!(
            "bridge {parent} already has a child VLAN bridge {name} on VLAN {vlan}"
        )));
    }
    Ok(found.row)
}

fn delete(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let name = call.arg(0);
    let all = context.topology()?;
    if call.has("if-exists") && !all.bridges.contains_key(name) {
        return Outcome::silent();
    }
    let bridge = all.bridge(name)?;
    if bridge.fake.is_some() {
        for (_, port) in all.ports.iter().filter(|(_, port)| port.bridge == *name) {
            context.delete_port(bridge.row, port.row);
        }
        return Outcome::silent();
    }
    let ports: Vec<_> = context.model.get("Bridge", bridge.row, "ports").uuids().collect();
    for port in ports {
        context.delete_port(bridge.row, port);
    }
    let root = context.model.root()?;
    context.model.unrefer("Open_vSwitch", root, "bridges", bridge.row);
    context.model.delete("Bridge", bridge.row);
    Outcome::silent()
}

fn list(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let (real, fake) = (call.has("real"), call.has("fake"));
    let all = context.topology()?;
    let wanted = all.bridges.values().filter(|bridge| match bridge.fake {
        None => real || !fake,
        Some(_) => fake || !real,
    });
    Outcome::lines(wanted.map(|bridge| bridge.name.as_str()))
}

fn exists(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let exists = context.topology()?.bridges.contains_key(call.arg(0));
    Ok(Outcome { exit_code: if exists { 0 } else { 2 }, ..Outcome::default() })
}

fn to_vlan(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let all = context.topology()?;
    let fake = all.bridge(call.arg(0))?.fake.as_ref();
    Outcome::lines([fake.map_or(0, |fake| fake.vlan).to_string()])
}

fn to_parent(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let all = context.topology()?;
    let bridge = all.bridge(call.arg(0))?;
    Outcome::lines([bridge.fake.as_ref().map_or(&bridge.name, |fake| &fake.parent)])
}

/// Where a bridge keeps its external ids: table, row, and what its keys begin with.
fn external_ids(all: &Topology, name: &str) -> Result<(&'static str, Uuid, &'static str), Failure> {
    let bridge = all.bridge(name)?;
    Ok(match &bridge.fake {
        None => ("Bridge", bridge.row, ""),
        Some(fake) => ("Port", fake.port, "fake-bridge-"),
    })
}

fn set_external_id(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let (table, row, prefix) = external_ids(&context.topology()?, call.arg(0))?;
    let key = format!("{prefix}{}", call.arg(1));
    let held = context.model.get(table, row, "external_ids");
    let others = held.string_pairs().filter(|(other, _)| *other != key);
    let new = call.args.get(2).map(|value| (key.as_str(), value.as_str()));
    let ids = Datum::map_of_strings(others.chain(new).collect::<Vec<_>>());
    context.model.set(table, row, "external_ids", ids);
    Outcome::silent()
}

fn get_external_id(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let (table, row, prefix) = external_ids(&context.topology()?, call.arg(0))?;
    let held = context.model.get(table, row, "external_ids");
    if let Some(key) = call.args.get(1) {
        return Outcome::lines(held.map_get(&format!("{prefix}{key}")));
    }
    let ours =
        held.string_pairs().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)));
    Outcome::lines(ours.map(|(key, value)| format!("{key}={value}")))
}

fn get_fail_mode(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let all = context.topology()?;
    let bridge = all.bridge(call.arg(0))?;
    Outcome::lines(context.model.get("Bridge", bridge.row, "fail_mode").as_str())
}

fn delete_fail_mode(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let row = context.topology()?.real_bridge(call.arg(0))?.row;
    context.model.set("Bridge", row, "fail_mode", Datum::empty());
    Outcome::silent()
}

fn set_fail_mode(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let row = context.topology()?.real_bridge(call.arg(0))?.row;
    let mode = call.arg(1);
    if !matches!(mode, "standalone" | "secure") {
        return Err(Failure::new("fail-mode must be \"standalone\" or \"secure\""));
    }
    context.model.set("Bridge", row, "fail_mode", Datum::string(mode));
    Outcome::silent()
}
