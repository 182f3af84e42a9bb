//! Commands about ports, bonds and interfaces.

use super::command::{Call, Command, Context, Outcome, Run, command};
use super::topology::Topology;
use super::{Failure, database};
use std::collections::BTreeSet;
use uuid::Uuid;
use weft_ovsdb::Datum;

/// All of them.
pub const COMMANDS: &[Command] = &[
    command("list-ports", "BRIDGE", 1, 1, "", list),
    command("add-port", "BRIDGE PORT [COLUMN[:KEY]=VALUE]...", 2, usize::MAX, "may-exist", add),
    command(
        "add-bond",
        "BRIDGE PORT IFACE... [COLUMN[:KEY]=VALUE]...",
        4,
        usize::MAX,
        "may-exist fake-iface",
        add_bond,
    ),
    command("add-bond-iface", "BOND IFACE", 2, 2, "may-exist", add_bond_interface),
    command("del-bond-iface", "[BOND] IFACE", 1, 2, "if-exists", delete_bond_interface),
    command("del-port", "[BRIDGE] PORT|IFACE", 1, 2, "if-exists with-iface", delete),
    command("port-to-br", "PORT", 1, 1, "", to_bridge),
    command("list-ifaces", "BRIDGE", 1, 1, "", list_interfaces),
    command("iface-to-br", "IFACE", 1, 1, "", interface_to_bridge),
];

fn list(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let all = context.topology()?;
    let bridge = all.bridge(call.arg(0))?;
    Outcome::lines(all.ports_of(&bridge.name).map(|(name, _)| name))
}

fn list_interfaces(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let all = context.topology()?;
    let bridge = all.bridge(call.arg(0))?;
    let mut names: Vec<_> =
        all.ports_of(&bridge.name).flat_map(|(_, port)| &port.interfaces).collect();
    names.sort();
    Outcome::lines(names)
}

fn to_bridge(context: &mut Context<'_, '_>, call: &Call) -> Run {
    Outcome::lines([&context.topology()?.port(call.arg(0))?.bridge])
}

fn interface_to_bridge(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let all = context.topology()?;
    let interface = all.interface(call.arg(0))?;
    Outcome::lines(all.ports.get(&interface.port).map(|port| &port.bridge))
}

fn add(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let [bridge, port, settings @ ..] = call.args.as_slice() else { return Outcome::silent() };
    add_port(context, call, (bridge, port), std::slice::from_ref(port), settings)
}

fn add_bond(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let [bridge, port, rest @ ..] = call.args.as_slice() else { return Outcome::silent() };
    let count = rest.iter().take_while(|word| !word.contains('=')).count();
    let (interfaces, settings) = rest.split_at_checked(count).unwrap_or((rest, &[]));
    if interfaces.len() < 2 {
        let least = "add-bond requires at least 2 interfaces, but only";
        return Err(Failure(format!("{least} {} were specified", interfaces.len())));
    }
    add_port(context, call, (bridge, port), interfaces, settings)
}

fn add_port(
    context: &mut Context<'_, '_>,
    call: &Call,
    (bridge, name): (&str, &str),
    interfaces: &[String],
    settings: &[String],
) -> Run {
    let all = context.topology()?;
    if call.has("may-exist") && all.ports.contains_key(name) && !all.bridges.contains_key(name) {
        return is_as_wanted(&all, call, (bridge, name), interfaces).map(|()| Outcome::default());
    }
    all.refuse_taken(name, "port")?;
    for interface in interfaces {
        all.refuse_taken(interface, "interface")?;
    }
    let bridge = all.bridge(bridge)?;
    let rows: Vec<_> =
        interfaces.iter().map(|name| context.add_interface(name)).collect::<Result<_, _>>()?;
    let port = context.model.make("Port")?;
    context.model.set("Port", port, "name", Datum::string(name));
    context.model.set("Port", port, "interfaces", Datum::set_of_uuids(rows));
    context.model.set("Port", port, "bond_fake_iface", Datum::boolean(call.has("fake-iface")));
    if let Some(fake) = &bridge.fake {
        context.model.set("Port", port, "tag", Datum::integer(fake.vlan));
    }
    for setting in settings {
        database::assign(context, "Port", port, setting)?;
    }
    context.model.refer("Bridge", bridge.row, "ports", port);
    Outcome::silent()
}

/// Whether the port that exists is the one that `--may-exist` asks for.
fn is_as_wanted(
    all: &Topology,
    call: &Call,
    (bridge, name): (&str, &str),
    interfaces: &[String],
) -> Result<(), Failure> {
    let bridge = &all.bridge(bridge)?.name;
    let port = all.port(name)?;
    let wanted = || {
        let mut words = vec!["--may-exist", call.command.name, bridge, name];
        if call.command.name == "add-bond" {
            words.extend(interfaces.iter().map(String::as_str));
        }
        format!("\"{}\" but {name}", words.join(" "))
    };
    if port.bridge != *bridge {
        let actual = &port.bridge;
        return Err(Failure(format!("{} is actually attached to bridge {actual}", wanted())));
    }
    let have: BTreeSet<_> = port.interfaces.iter().collect();
    if have != interfaces.iter().collect() {
        let have: Vec<_> = have.into_iter().map(String::as_str).collect();
        return Err(Failure(format!("{} actually has interface(s) {}", wanted(), have.join(", "))));
    }
    Ok(())
}

fn add_bond_interface(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let (bond, name) = (call.arg(0), call.arg(1));
    let all = context.topology()?;
    let port = all.port(bond)?.row;
    if call.has("may-exist")
        && let Ok(interface) = all.interface(name)
    {
        if interface.port == bond {
            return Outcome::silent();
        }
        let actual = &interface.port;
        return Err(Failure(format!(
            "\"--may-exist add-bond-iface {bond} {name}\" but {name} is actually attached to port {actual}"
        )));
    }
    all.refuse_taken(name, "interface")?;
    let interface = context.add_interface(name)?;
    context.model.refer("Port", port, "interfaces", interface);
    Outcome::silent()
}

fn delete_bond_interface(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let all = context.topology()?;
    let name = call.args.last().map_or("", String::as_str);
    let may_lack = call.has("if-exists");
    let bond = if call.args.len() > 1 { Some(call.arg(0)) } else { None };
    if may_lack
        && (all.interface(name).is_err() || bond.is_some_and(|bond| all.port(bond).is_err()))
    {
        return Outcome::silent();
    }
    if let Some(bond) = bond {
        all.port(bond)?;
    }
    let interface = all.interface(name)?;
    if let Some(bond) = bond
        && interface.port != bond
    {
        return Err(Failure(format!("port {bond} does not have an interface {name}")));
    }
    let port = all.port(&interface.port)?;
    if port.interfaces.len() < 2 {
        let port = &interface.port;
        return Err(Failure(format!("cannot delete last interface from port {port}")));
    }
    context.model.unrefer("Port", port.row, "interfaces", interface.row);
    context.model.delete("Interface", interface.row);
    Outcome::silent()
}

fn delete(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let all = context.topology()?;
    let (target, with_interface) =
        (call.args.last().map_or("", String::as_str), call.has("with-iface"));
    let of_interface = || {
        let interface = all.interface(target).ok().filter(|_| with_interface)?;
        all.port(&interface.port).ok()
    };
    let Some(port) = all.port(target).ok().or_else(of_interface) else {
        if call.has("if-exists") {
            return Outcome::silent();
        }
        return Err(match (all.bridges.contains_key(target), with_interface) {
            (true, _) => Failure(format!(
                "cannot delete port {target} because it is the local port for bridge {target} (deleting this port requires deleting the entire bridge)"
            )),
            (false, true) => Failure(format!("no port or interface named {target}")),
            (false, false) => Failure(format!("no port named {target}")),
        });
    };
    if call.args.len() > 1 {
        let bridge = all.bridge(call.arg(0))?;
        belongs(&all, &bridge.name, &port.bridge, target)?;
    }
    let row = all.bridge(&port.bridge)?.row;
    context.delete_port(row, port.row);
    Outcome::silent()
}

/// Whether the port is on the bridge that was named.
fn belongs(all: &Topology, bridge: &str, actual: &str, port: &str) -> Result<(), Failure> {
    if bridge == actual {
        return Ok(());
    }
    let fake = all.bridges.get(actual).and_then(|bridge| bridge.fake.as_ref());
    let also = match fake {
        Some(fake) if fake.parent == bridge => {
            format!(" (although its child bridge {actual} does)")
        }
        _ => String::new(),
    };
    Err(Failure(format!("bridge {bridge} does not have a port {port}{also}")))
}

impl Context<'_, '_> {
    /// Makes the row of an interface.
    fn add_interface(&mut self, name: &str) -> Result<Uuid, Failure> {
        let row = self.model.make("Interface")?;
        self.model.set("Interface", row, "name", Datum::string(name));
        self.expect_interface(name);
        Ok(row)
    }

    /// Deletes a port and its interfaces.
    pub fn delete_port(&mut self, bridge: Uuid, port: Uuid) {
        let interfaces: Vec<_> = self.model.get("Port", port, "interfaces").uuids().collect();
        for interface in interfaces {
            self.model.delete("Interface", interface);
        }
        self.model.unrefer("Bridge", bridge, "ports", port);
        self.model.delete("Port", port);
    }
}
