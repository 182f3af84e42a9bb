//! How a bridge's tree is shown: `stp/show` and the database's status columns.

use super::{PortState, Stp};
use crate::PortKey;
use std::fmt::Write;
use weft_wire::stp::BridgeIdentifier;

/// The five lines about one bridge: identifier and timers in seconds.  `gap` is what stands
/// between `stp-priority` and its value, in which `stp/show` and `rstp/show` differ.
pub(crate) fn bridge_lines(id: BridgeIdentifier, gap: &str, secs: [u32; 3]) -> String {
    let [hello, max_age, forward_delay] = secs;
    format!(
        "  stp-priority{gap}{}\n  stp-system-id   {}\n  stp-hello-time  {hello}s\n  \
         stp-max-age     {max_age}s\n  stp-fwd-delay   {forward_delay}s\n",
        id.priority(),
        id.address(),
    )
}

/// A line of the table of ports: every column is cut, or filled up, to its width.
pub(crate) fn table_row(columns: [&str; 4], cost_width: usize, port: &str) -> String {
    let [name, role, state, cost] = columns;
    format!("  {name:<10.10} {role:<10.10} {state:<10.10} {cost:<cost_width$} {port}\n")
}

impl Stp {
    pub(super) fn show_text(&self) -> String {
        let [hello, max_age, delay] = self.current_ms().map(|ms| ms / 1000);
        let mut text = format!("---- {} ----\nRoot ID:\n", self.name());
        text += &bridge_lines(self.designated_root(), "  ", [hello, max_age, delay]);
        match self.root_port() {
            None => text += "  This bridge is the root\n",
            Some(port) => {
                let (name, cost) = (&port.settings.name, self.root_path_cost());
                // Writing to a string does not fail.
                let _ = writeln!(text, "  root-port       {name}\n  root-path-cost  {cost}");
            }
        }
        let own = self.settings();
        let secs = [own.hello_time_secs, own.max_age_secs, own.forward_delay_secs].map(u32::from);
        text += "\nBridge ID:\n";
        text += &bridge_lines(own.identifier, "  ", secs);
        text += "\n  Interface  Role       State      Cost  Pri.Nbr \n";
        text += "  ---------- ---------- ---------- ----- -------\n";
        for port in self.ports().iter().filter(|port| port.state != PortState::Disabled) {
            let cost = port.settings.path_cost.to_string();
            let (role, state) = (self.role_of(port).name(), port.state.name());
            let number = format!("{}.{}", port.settings.priority, port.settings.number);
            text += &table_row([&port.settings.name, role, state, &cost], 5, &number);
        }
        text + "\n"
    }

    pub(super) fn bridge_map(&self) -> Vec<(&'static str, String)> {
        vec![
            ("stp_bridge_id", self.settings().identifier.to_string()),
            ("stp_designated_root", self.designated_root().to_string()),
            ("stp_root_path_cost", self.root_path_cost().to_string()),
        ]
    }

    pub(super) fn port_map(&self, port: PortKey) -> Vec<(&'static str, String)> {
        let Some(port) = self.port(port) else { return Vec::new() };
        let secs = self.now_ms().saturating_sub(port.changed_ms) / 1000;
        vec![
            ("stp_port_id", port.identifier.0.to_string()),
            ("stp_role", self.role_of(port).name().to_owned()),
            ("stp_sec_in_state", secs.to_string()),
            ("stp_state", port.state.name().to_owned()),
        ]
    }

    pub(super) fn count_map(&self, port: PortKey) -> Vec<(&'static str, u64)> {
        let Some(port) = self.port(port) else { return Vec::new() };
        vec![
            ("stp_error_count", port.counts.error),
            ("stp_rx_count", port.counts.rx),
            ("stp_tx_count", port.counts.tx),
        ]
    }
}
