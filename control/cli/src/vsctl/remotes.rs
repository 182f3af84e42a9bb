//! Commands about controllers, managers and TLS, and `emer-reset`.

use super::Failure;
use super::command::{Call, Command, Context, Outcome, Run, command};
use uuid::Uuid;
use weft_ovsdb::Datum;

/// All of them.
pub const COMMANDS: &[Command] = &[
    command("get-controller", "BRIDGE", 1, 1, "", get_controller),
    command("del-controller", "BRIDGE", 1, 1, "", delete_controller),
    command(
        "set-controller",
        "BRIDGE TARGET...",
        1,
        usize::MAX,
        "inactivity-probe=",
        set_controller,
    ),
    command("get-manager", "", 0, 0, "", get_manager),
    command("del-manager", "", 0, 0, "", delete_manager),
    command("set-manager", "TARGET...", 1, usize::MAX, "inactivity-probe=", set_manager),
    command("get-ssl", "", 0, 0, "", get_ssl),
    command("del-ssl", "", 0, 0, "", delete_ssl),
    command("set-ssl", "PRIV-KEY CERT CA-CERT", 3, 3, "bootstrap", set_ssl),
    command("emer-reset", "", 0, 0, "", emergency_reset),
];

/// A column that refers to rows which are of no use without it.
#[derive(Clone, Copy)]
struct Place {
    table: &'static str,
    row: Uuid,
    column: &'static str,
    target: &'static str,
}

impl Context<'_, '_> {
    fn managers(&self) -> Result<Place, Failure> {
        let row = self.model.root()?;
        Ok(Place { table: "Open_vSwitch", row, column: "manager_options", target: "Manager" })
    }

    fn ssl(&self) -> Result<Place, Failure> {
        Ok(Place { table: "Open_vSwitch", row: self.model.root()?, column: "ssl", target: "SSL" })
    }

    /// Controllers of a real or fake bridge.
    fn controllers(&mut self, bridge: &str, may_be_fake: bool) -> Result<Place, Failure> {
        let all = self.topology()?;
        let bridge = if may_be_fake { all.bridge(bridge) } else { all.real_bridge(bridge) }?;
        let row = bridge.row;
        Ok(Place { table: "Bridge", row, column: "controller", target: "Controller" })
    }

    fn targets(&self, place: Place) -> Vec<String> {
        let rows = self.model.get(place.table, place.row, place.column).uuids();
        let mut targets: Vec<_> =
            rows.map(|row| self.model.text(place.target, row, "target").to_owned()).collect();
        targets.sort();
        targets
    }

    fn clear(&mut self, place: Place) {
        let rows: Vec<_> = self.model.get(place.table, place.row, place.column).uuids().collect();
        for row in rows {
            self.model.delete(place.target, row);
        }
        self.model.set(place.table, place.row, place.column, Datum::empty());
    }

    fn replace(&mut self, place: Place, call: &Call, targets: &[String]) -> Result<(), Failure> {
        self.clear(place);
        for target in targets {
            if !is_remote(target) {
                self.warn(format!("target type \"{target}\" is possibly erroneous"));
            }
            let row = self.model.make(place.target)?;
            self.model.set(place.target, row, "target", Datum::string(target));
            if let Some(probe) = call.value("inactivity-probe") {
                // As ovs-vsctl: what is no number counts as none.
                let probe = Datum::integer(number_in_front(probe));
                self.model.set(place.target, row, "inactivity_probe", probe);
            }
            self.model.refer(place.table, place.row, place.column, row);
        }
        Ok(())
    }
}

/// The number that a text begins with, or 0.
fn number_in_front(text: &str) -> i64 {
    let end = text.char_indices().skip(1).find(|(_, c)| !c.is_ascii_digit());
    let number = end.and_then(|(at, _)| text.get(..at)).unwrap_or(text);
    number.parse().unwrap_or(0)
}

/// A way to connect or to be connected to.
fn is_remote(target: &str) -> bool {
    ["tcp:", "ssl:", "unix:", "ptcp:", "pssl:", "punix:"].iter().any(|way| target.starts_with(way))
}

fn get_controller(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let place = context.controllers(call.arg(0), true)?;
    Outcome::lines(context.targets(place))
}

fn delete_controller(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let place = context.controllers(call.arg(0), false)?;
    context.clear(place);
    Outcome::silent()
}

fn set_controller(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let place = context.controllers(call.arg(0), false)?;
    context.replace(place, call, call.args.get(1..).unwrap_or(&[]))?;
    Outcome::silent()
}

fn get_manager(context: &mut Context<'_, '_>, _: &Call) -> Run {
    Outcome::lines(context.targets(context.managers()?))
}

fn delete_manager(context: &mut Context<'_, '_>, _: &Call) -> Run {
    context.clear(context.managers()?);
    Outcome::silent()
}

fn set_manager(context: &mut Context<'_, '_>, call: &Call) -> Run {
    context.replace(context.managers()?, call, &call.args)?;
    Outcome::silent()
}

fn get_ssl(context: &mut Context<'_, '_>, _: &Call) -> Run {
    let place = context.ssl()?;
    let Some(row) = context.model.get(place.table, place.row, place.column).as_uuid() else {
        return Outcome::silent();
    };
    let text = |column| context.model.text("SSL", row, column);
    let bootstrap = context.model.get("SSL", row, "bootstrap_ca_cert").as_bool() == Some(true);
    Outcome::lines([
        format!("Private key: {}", text("private_key")),
        format!("Certificate: {}", text("certificate")),
        format!("CA Certificate: {}", text("ca_cert")),
        format!("Bootstrap: {bootstrap}"),
    ])
}

fn delete_ssl(context: &mut Context<'_, '_>, _: &Call) -> Run {
    context.clear(context.ssl()?);
    Outcome::silent()
}

fn set_ssl(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let place = context.ssl()?;
    context.clear(place);
    let row = context.model.make("SSL")?;
    for (column, value) in ["private_key", "certificate", "ca_cert"].into_iter().zip(&call.args) {
        context.model.set("SSL", row, column, Datum::string(value));
    }
    let bootstrap = Datum::boolean(call.has("bootstrap"));
    context.model.set("SSL", row, "bootstrap_ca_cert", bootstrap);
    context.model.set(place.table, place.row, place.column, Datum::uuid(row));
    Outcome::silent()
}

/// Takes the switch back to a plain state: no managers, controllers, TLS, mirrors, fail modes, flow
/// exports, flooded VLANs and policing, and no `other_config` of bridges and ports but the bridges'
/// `hwaddr`.
fn emergency_reset(context: &mut Context<'_, '_>, _: &Call) -> Run {
    context.clear(context.managers()?);
    context.clear(context.ssl()?);
    for row in context.model.rows("Bridge") {
        context.clear(Place { table: "Bridge", row, column: "controller", target: "Controller" });
        for column in ["fail_mode", "mirrors", "netflow", "sflow", "ipfix", "flood_vlans"] {
            context.model.set("Bridge", row, column, Datum::empty());
        }
        let hwaddr = context.model.get("Bridge", row, "other_config").map_get("hwaddr");
        let kept = Datum::map_of_strings(hwaddr.map(|hwaddr| ("hwaddr", hwaddr)));
        context.model.set("Bridge", row, "other_config", kept);
    }
    for row in context.model.rows("Port") {
        let nothing = Datum::map_of_strings::<&str, &str>([]);
        context.model.set("Port", row, "other_config", nothing);
    }
    for row in context.model.rows("Interface") {
        context.model.set("Interface", row, "ingress_policing_rate", Datum::integer(0));
        context.model.set("Interface", row, "ingress_policing_burst", Datum::integer(0));
    }
    for table in ["Mirror", "NetFlow", "sFlow", "IPFIX"] {
        for row in context.model.rows(table) {
            context.model.delete(table, row);
        }
    }
    Outcome::silent()
}
