//! How a bridge's tree is shown: `rstp/show` and the database's status columns.

use super::bridge::Rstp;
use super::port::PortState;
use crate::PortKey;
use crate::stp::{bridge_lines, table_row};
use std::fmt::Write;
use weft_wire::stp::BridgeIdentifier;

/// `8.000.0123456789ab`: priority, system id extension and address in hex.
fn split(id: BridgeIdentifier) -> String {
    let priority = id.priority();
    format!("{:x}.{:03x}.{:012x}", priority >> 12, priority & 0xfff, id.address().to_u64())
}

impl Rstp {
    pub(super) fn show_text(&self) -> String {
        let secs = |times: super::port::Times| {
            [times.hello, times.max_age, times.forward_delay].map(u32::from)
        };
        let path = &self.root_path;
        let mut text = format!("---- {} ----\nRoot ID:\n", self.name);
        text += &bridge_lines(path.vector.root, "    ", secs(path.times));
        match path.port.and_then(|(id, _)| self.port(id)) {
            None => text += "  This bridge is the root\n",
            Some(port) => {
                let (name, cost) = (&port.settings.name, path.vector.cost);
                // Writing to a string does not fail.
                let _ = writeln!(text, "  root-port       {name}\n  root-path-cost  {cost}");
            }
        }
        text += "\nBridge ID:\n";
        text += &bridge_lines(self.settings.identifier, "    ", secs(self.bridge_times()));
        text += "\n  Interface  Role       State      Cost     Pri.Nbr \n";
        text += "  ---------- ---------- ---------- -------- -------\n";
        for port in self.ports.iter().filter(|port| port.state() != PortState::Disabled) {
            let cost = port.settings.path_cost.to_string();
            let (role, state) = (port.role.name(), port.state().name());
            let number = format!("{}.{}", port.settings.priority, port.settings.number);
            text += &table_row([&port.settings.name, role, state, &cost], 8, &number);
        }
        text + "\n"
    }

    pub(super) fn bridge_map(&self) -> Vec<(&'static str, String)> {
        let path = &self.root_path;
        let root_port = path.port.map_or(0, |(_, identifier)| identifier.0);
        vec![
            ("rstp_bridge_id", split(self.settings.identifier)),
            ("rstp_bridge_port_id", format!("{root_port:04x}")),
            ("rstp_designated_id", split(path.vector.bridge)),
            ("rstp_designated_port_id", format!("{:04x}", path.vector.port.0)),
            ("rstp_root_id", split(path.vector.root)),
            ("rstp_root_path_cost", path.vector.cost.to_string()),
        ]
    }

    pub(super) fn port_map(&self, port: PortKey) -> Vec<(&'static str, String)> {
        let Some(port) = self.port(port) else { return Vec::new() };
        let claim = port.held_priority;
        vec![
            ("rstp_designated_bridge_id", split(claim.bridge)),
            ("rstp_designated_path_cost", claim.cost.to_string()),
            ("rstp_designated_port_id", format!("{:04x}", claim.port.0)),
            ("rstp_port_id", format!("{:04x}", port.identifier.0)),
            ("rstp_port_role", port.role.name().to_owned()),
            ("rstp_port_state", port.state().name().to_owned()),
        ]
    }

    pub(super) fn count_map(&self, port: PortKey) -> Vec<(&'static str, u64)> {
        let Some(port) = self.port(port) else { return Vec::new() };
        vec![
            ("rstp_error_count", port.counts.error),
            ("rstp_rx_count", port.counts.rx),
            ("rstp_tx_count", port.counts.tx),
            ("rstp_uptime", port.counts.uptime_secs),
        ]
    }
}
