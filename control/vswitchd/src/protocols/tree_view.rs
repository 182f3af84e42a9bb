//! A spanning tree in words: `stp/show`, `rstp/show`, and the status columns of the database.

use super::key_of;
use crate::config::desired::Protocol;
use std::collections::BTreeMap;
use std::fmt::Write;
use weft_protocols::PortKey;
use weft_protocols::tree::{PortRole, PortState, PortStatus, SpanningTree, TreeTimes};
use weft_switch::PortId;
use weft_wire::stp::BridgeIdentifier;

/// The tree of one bridge, to be shown.
#[derive(Clone, Copy)]
pub struct TreeView<'a> {
    pub(super) protocol: Protocol,
    /// The name of the bridge.
    pub(super) bridge: &'a str,
    pub(super) tree: &'a dyn SpanningTree,
    /// The names of the interfaces of ports that take part.
    pub(super) interfaces: &'a BTreeMap<PortKey, String>,
}

/// The name of a state as OVS writes it.
pub(super) const fn state_name(protocol: Protocol, state: PortState) -> &'static str {
    match (protocol, state) {
        (Protocol::Stp, PortState::Disabled) => "disabled",
        (Protocol::Stp, PortState::Blocking | PortState::Discarding) => "blocking",
        (Protocol::Stp, PortState::Listening) => "listening",
        (Protocol::Stp, PortState::Learning) => "learning",
        (Protocol::Stp, PortState::Forwarding) => "forwarding",
        (Protocol::Rstp, PortState::Disabled) => "Disabled",
        (Protocol::Rstp, PortState::Blocking | PortState::Listening | PortState::Discarding) => {
            "Discarding"
        }
        (Protocol::Rstp, PortState::Learning) => "Learning",
        (Protocol::Rstp, PortState::Forwarding) => "Forwarding",
    }
}

/// The name of a role as OVS writes it.
const fn role_name(protocol: Protocol, role: PortRole) -> &'static str {
    match (protocol, role) {
        (Protocol::Stp, PortRole::Root) => "root",
        (Protocol::Stp, PortRole::Designated) => "designated",
        (Protocol::Stp, PortRole::Alternate | PortRole::Backup) => "alternate",
        (Protocol::Stp, PortRole::Disabled) => "disabled",
        (Protocol::Rstp, PortRole::Root) => "Root",
        (Protocol::Rstp, PortRole::Designated) => "Designated",
        (Protocol::Rstp, PortRole::Alternate) => "Alternate",
        (Protocol::Rstp, PortRole::Backup) => "Backup",
        (Protocol::Rstp, PortRole::Disabled) => "Disabled",
    }
}

/// Where the texts of the two protocols differ in width.
struct Widths {
    /// What stands between `stp-priority` and its value.
    gap: &'static str,
    /// The column of costs.
    cost: usize,
}

const fn widths(protocol: Protocol) -> Widths {
    match protocol {
        Protocol::Stp => Widths { gap: "  ", cost: 5 },
        Protocol::Rstp => Widths { gap: "    ", cost: 8 },
    }
}

/// The five lines about one bridge: identifier and times in seconds.
fn bridge_lines(id: BridgeIdentifier, gap: &str, times: TreeTimes) -> String {
    let TreeTimes { hello_secs, max_age_secs, forward_delay_secs } = times;
    format!(
        "  stp-priority{gap}{}\n  stp-system-id   {}\n  stp-hello-time  {hello_secs}s\n  \
         stp-max-age     {max_age_secs}s\n  stp-fwd-delay   {forward_delay_secs}s\n",
        id.priority(),
        id.address(),
    )
}

/// `8.000.0123456789ab`: priority, system id extension and address in hex.
fn split(id: BridgeIdentifier) -> String {
    let priority = id.priority();
    format!("{:x}.{:03x}.{:012x}", priority >> 12, priority & 0xfff, id.address().to_u64())
}

impl TreeView<'_> {
    fn interface(&self, port: PortKey) -> &str {
        self.interfaces.get(&port).map_or("", String::as_str)
    }

    /// The text of `stp/show` or `rstp/show` for this bridge, with the empty line at its end.
    #[must_use]
    pub fn show(self) -> String {
        let Widths { gap, cost } = widths(self.protocol);
        let status = self.tree.bridge_status();
        let mut text = format!("---- {} ----\nRoot ID:\n", self.bridge);
        text += &bridge_lines(status.root, gap, status.root_times);
        match status.root_port {
            None => text += "  This bridge is the root\n",
            Some((port, _)) => {
                let (name, cost) = (self.interface(port), status.root_path_cost);
                // Writing to a string does not fail.
                let _ = writeln!(text, "  root-port       {name}\n  root-path-cost  {cost}");
            }
        }
        text += "\nBridge ID:\n";
        text += &bridge_lines(status.identifier, gap, status.own_times);
        let title = "Cost";
        let _ = writeln!(text, "\n  Interface  Role       State      {title:<cost$} Pri.Nbr ");
        let _ = writeln!(text, "  ---------- ---------- ---------- {:-<cost$} -------", "");
        for port in self.tree.ports() {
            if let Some(status) = self.tree.port_status(port)
                && status.state != PortState::Disabled
            {
                text += &self.row(port, &status);
            }
        }
        text + "\n"
    }

    /// A line of the table of ports: names are cut, or filled up, to their width.
    fn row(self, port: PortKey, status: &PortStatus) -> String {
        let width = widths(self.protocol).cost;
        let name = self.interface(port);
        let role = role_name(self.protocol, status.role);
        let state = state_name(self.protocol, status.state);
        let PortStatus { path_cost: cost, priority, number, .. } = status;
        format!("  {name:<10.10} {role:<10.10} {state:<10.10} {cost:<width$} {priority}.{number}\n")
    }

    /// Keys and values of `Bridge.status` or `Bridge.rstp_status`.
    #[must_use]
    pub fn bridge_status(self) -> Vec<(&'static str, String)> {
        let status = self.tree.bridge_status();
        match self.protocol {
            Protocol::Stp => vec![
                ("stp_bridge_id", status.identifier.to_string()),
                ("stp_designated_root", status.root.to_string()),
                ("stp_root_path_cost", status.root_path_cost.to_string()),
            ],
            Protocol::Rstp => {
                let root_port = status.root_port.map_or(0, |(_, identifier)| identifier.0);
                vec![
                    ("rstp_bridge_id", split(status.identifier)),
                    ("rstp_bridge_port_id", format!("{root_port:04x}")),
                    ("rstp_designated_id", split(status.designated_bridge)),
                    ("rstp_designated_port_id", format!("{:04x}", status.designated_port.0)),
                    ("rstp_root_id", split(status.root)),
                    ("rstp_root_path_cost", status.root_path_cost.to_string()),
                ]
            }
        }
    }

    /// Keys and values of `Port.status` or `Port.rstp_status`; none for a port that takes no part.
    #[must_use]
    pub fn port_status(self, port: PortId) -> Vec<(&'static str, String)> {
        let Some(status) = self.tree.port_status(key_of(port)) else { return Vec::new() };
        let role = role_name(self.protocol, status.role).to_owned();
        let state = state_name(self.protocol, status.state).to_owned();
        match self.protocol {
            Protocol::Stp => vec![
                ("stp_port_id", status.identifier.0.to_string()),
                ("stp_role", role),
                ("stp_sec_in_state", status.secs_in_state.unwrap_or(0).to_string()),
                ("stp_state", state),
            ],
            Protocol::Rstp => vec![
                ("rstp_designated_bridge_id", split(status.designated_bridge)),
                ("rstp_designated_path_cost", status.designated_cost.to_string()),
                ("rstp_designated_port_id", format!("{:04x}", status.designated_port.0)),
                ("rstp_port_id", format!("{:04x}", status.identifier.0)),
                ("rstp_port_role", role),
                ("rstp_port_state", state),
            ],
        }
    }

    /// Keys and values of `Port.statistics` or `Port.rstp_statistics`; none for a port that takes no
    /// part.
    #[must_use]
    pub fn port_statistics(self, port: PortId) -> Vec<(&'static str, u64)> {
        let Some(counts) = self.tree.port_counts(key_of(port)) else { return Vec::new() };
        match self.protocol {
            Protocol::Stp => vec![
                ("stp_error_count", counts.error),
                ("stp_rx_count", counts.rx),
                ("stp_tx_count", counts.tx),
            ],
            Protocol::Rstp => vec![
                ("rstp_error_count", counts.error),
                ("rstp_rx_count", counts.rx),
                ("rstp_tx_count", counts.tx),
                ("rstp_uptime", counts.uptime_secs),
            ],
        }
    }
}

#[cfg(test)]
#[path = "tree_view_tests.rs"]
mod tests;
