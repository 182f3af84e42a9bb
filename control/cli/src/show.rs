//! `weft show`: bridges, ports, tunnels, workers.

use std::fmt::Write as _;
use std::io::Write;

use serde_json::Value;

use crate::error::{EXIT_OK, Error};
use crate::json::{cell, count, items, member, members, text};
use crate::table::{Column, grouped, render, scaled};
use crate::unixctl::Daemon;

/// Asks and prints.
///
/// # Errors
/// The daemon does not answer, or the output cannot be written.
pub fn run(daemon: &Daemon, json: bool, out: &mut impl Write) -> Result<u8, Error> {
    let state = daemon.call("weft/show", &[])?;
    let page = if json { format!("{state:#}\n") } else { page(&state) };
    out.write_all(page.as_bytes()).map_err(Error::Output)?;
    Ok(EXIT_OK)
}

/// The whole page.
fn page(state: &Value) -> String {
    let mut page =
        format!("weftd {}, configuration {}\n", cell(state, "version"), cell(state, "epoch"));
    if let Value::String(fault) = member(state, "database_fault") {
        let _ = writeln!(page, "changes of the configuration are refused, {fault}");
    }
    let workers: Vec<_> = items(member(state, "workers")).map(worker_row).collect();
    page += &render(
        &[
            Column::Left("worker"),
            Column::Left("cpu"),
            Column::Right("busy"),
            Column::Right("rx frames"),
            Column::Right("sleeps"),
        ],
        workers,
        2,
    );
    for bridge in items(member(state, "bridges")) {
        page += "\n";
        page += &bridge_section(bridge);
    }
    for underlay in items(member(state, "underlays")) {
        page += "\n";
        page += &underlay_section(underlay);
    }
    page
}

fn worker_row(worker: &Value) -> Vec<String> {
    let busy = member(worker, "busy_percent").as_f64().unwrap_or(0.0);
    let cpu = match member(worker, "cpu") {
        Value::Null => "any".to_owned(),
        cpu => text(cpu),
    };
    vec![
        cell(worker, "id"),
        cpu,
        format!("{busy:.1}%"),
        grouped(count(worker, "rx_frames")),
        grouped(count(worker, "sleeps")),
    ]
}

fn bridge_section(bridge: &Value) -> String {
    let fdb = member(bridge, "fdb");
    let forwards = match member(bridge, "forwards") {
        Value::Bool(false) => "does not forward (fail_mode secure)",
        _ => "forwards",
    };
    let mut section = format!(
        "bridge {}: {forwards}, {} of {} addresses, datapath id {}\n",
        cell(bridge, "name"),
        grouped(count(fdb, "entries")),
        grouped(count(fdb, "max")),
        cell(bridge, "datapath_id"),
    );
    let snooping = member(bridge, "snooping");
    if snooping.is_object() {
        let _ = writeln!(
            section,
            "  multicast snooping: {} of {} groups, {} ways to a router",
            grouped(count(snooping, "groups")),
            grouped(count(snooping, "max")),
            grouped(count(snooping, "routers")),
        );
    }
    let ports: Vec<_> = items(member(bridge, "ports")).collect();
    section += &render(PORT_COLUMNS, ports.iter().map(|port| port_row(port)).collect(), 2);
    let tunnels: Vec<_> = ports
        .iter()
        .filter(|port| member(port, "tunnel").is_object())
        .map(|p| tunnel_row(p))
        .collect();
    if !tunnels.is_empty() {
        section += "  tunnels\n";
        section += &render(TUNNEL_COLUMNS, tunnels, 4);
    }
    for port in ports {
        if let Value::String(error) = member(port, "error")
            && !error.is_empty()
        {
            let _ = writeln!(section, "  error on {}: {error}", cell(port, "name"));
        }
        if let Value::String(reason) = member(port, "blocked") {
            let _ = writeln!(section, "  blocked {}: {reason}", cell(port, "port"));
        }
    }
    section
}

const PORT_COLUMNS: &[Column] = &[
    Column::Left("port"),
    Column::Right("ofport"),
    Column::Left("type"),
    Column::Left("link"),
    Column::Left("vlan"),
    Column::Right("mtu"),
    Column::Left("worker"),
    Column::Left("xdp"),
    Column::Left("af_xdp"),
    Column::Right("rx frames"),
    Column::Right("tx frames"),
    Column::Right("rx/s"),
    Column::Right("tx/s"),
    Column::Right("rx bit/s"),
    Column::Right("tx bit/s"),
    Column::Right("drops"),
];

fn port_row(port: &Value) -> Vec<String> {
    let kind = match member(port, "type") {
        Value::String(kind) if kind.is_empty() => "system".to_owned(),
        kind => text(kind),
    };
    let rate = |name| scaled(member(port, name).as_f64().unwrap_or(0.0));
    let xdp = match member(port, "xdp_frags") {
        Value::Bool(true) => cell(port, "xdp_mode") + "+frags",
        _ => cell(port, "xdp_mode"),
    };
    let af_xdp = match (member(port, "tapped"), member(port, "packet_socket")) {
        (Value::Bool(true), _) => "tapped".to_owned(),
        (_, Value::Bool(true)) => "packet".to_owned(),
        _ => cell(port, "af_xdp_mode"),
    };
    vec![
        names(port),
        cell(port, "ofport"),
        kind,
        link(port),
        vlan(port),
        cell(port, "mtu"),
        cell(port, "worker"),
        xdp,
        af_xdp,
        grouped(count(port, "rx_frames")),
        grouped(count(port, "tx_frames")),
        rate("rx_rate_fps"),
        rate("tx_rate_fps"),
        rate("rx_rate_bps"),
        rate("tx_rate_bps"),
        grouped(count(port, "rx_drops").saturating_add(count(port, "tx_drops"))),
    ]
}

/// The name of a port, and that of its interface when it is another.
fn names(interface: &Value) -> String {
    let (name, port) = (cell(interface, "name"), cell(interface, "port"));
    if name == port { port } else { format!("{port}/{name}") }
}

/// Link state; an interface that is set down by its administrator says so.
fn link(port: &Value) -> String {
    match (member(port, "admin_state").as_str(), member(port, "link_state").as_str()) {
        (Some("down"), _) => "disabled".to_owned(),
        _ => cell(port, "link_state"),
    }
}

/// Access VLAN, trunks, or both; `-` for a port that takes every VLAN.
fn vlan(port: &Value) -> String {
    let (tag, trunks) = (member(port, "tag"), cell(port, "trunks"));
    match (tag.is_null(), trunks.as_str()) {
        (true, "-") => "-".to_owned(),
        (true, _) => format!("trunk {trunks}"),
        (false, "-") => text(tag),
        (false, _) => format!("{} + {trunks}", text(tag)),
    }
}

const TUNNEL_COLUMNS: &[Column] = &[
    Column::Left("port"),
    Column::Left("remote"),
    Column::Left("local"),
    Column::Left("key"),
    Column::Left("through"),
    Column::Left("next hop"),
    Column::Left("next hop mac"),
    Column::Right("effective mtu"),
    Column::Left("state"),
];

fn tunnel_row(port: &Value) -> Vec<String> {
    let tunnel = member(port, "tunnel");
    let state = match member(tunnel, "reason").as_str() {
        Some(reason) if !reason.is_empty() => format!("{}: {reason}", cell(tunnel, "state")),
        _ => cell(tunnel, "state"),
    };
    vec![
        cell(port, "name"),
        cell(tunnel, "remote_ip"),
        cell(tunnel, "local_ip"),
        cell(tunnel, "key"),
        cell(tunnel, "egress_iface"),
        cell(tunnel, "next_hop"),
        cell(tunnel, "next_hop_mac"),
        cell(tunnel, "effective_mtu"),
        state,
    ]
}

fn underlay_section(underlay: &Value) -> String {
    let mut section = format!(
        "underlay {}: addresses {}, {} XDP, AF_XDP {}, {} tunnel frames in\n",
        cell(underlay, "name"),
        cell(underlay, "addresses"),
        cell(underlay, "xdp_mode"),
        cell(underlay, "af_xdp_mode"),
        grouped(count(underlay, "rx_frames")),
    );
    for (title, name) in [("XDP program", "xdp_counters"), ("dropped", "drops")] {
        let counted: Vec<_> = members(member(underlay, name))
            .filter(|(_, frames)| frames.as_u64() != Some(0))
            .map(|(reason, frames)| format!("{reason} {}", grouped(frames.as_u64().unwrap_or(0))))
            .collect();
        if !counted.is_empty() {
            let _ = writeln!(section, "  {title}: {}", counted.join(", "));
        }
    }
    section
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fake::FakeDaemon;

    fn state() -> Value {
        json!({
            "version": "0.1.0", "epoch": 7,
            "workers": [{"id": 0, "cpu": null, "busy_percent": 3.04, "rx_frames": 1234, "sleeps": 5}],
            "bridges": [{
                "name": "br0", "datapath_id": "0000020000000001", "forwards": true,
                "fdb": {"entries": 3, "max": 8192},
                "ports": [
                    {"name": "veth1", "port": "veth1", "ofport": 1, "type": "", "link_state": "up", "admin_state": "up",
                     "error": null, "tag": 10, "trunks": [], "worker": [0], "xdp_mode": "native",
                     "xdp_frags": true, "af_xdp_mode": "copy", "mtu": 1500, "tunnel": null,
                     "rx_frames": 1000, "tx_frames": 2, "rx_drops": 3, "tx_drops": 4,
                     "rx_rate_fps": 12.0, "rx_rate_bps": 1.5e9},
                    {"name": "gre1", "port": "gre1", "ofport": 2, "type": "gre", "link_state": "up", "worker": [],
                     "tunnel": {"type": "gre", "remote_ip": "2.2.2.2", "local_ip": "1.1.1.1",
                                "key": null, "egress_iface": "eth0", "next_hop": "1.1.1.254",
                                "next_hop_mac": null, "state": "unreachable", "reason": "no answer",
                                "effective_mtu": 1462},
                     "blocked": "loop guard: it hears its own probe"},
                    {"name": "veth2", "port": "uplink", "ofport": 3, "type": "", "link_state": "up", "admin_state": "up",
                     "error": null, "tag": null, "trunks": [], "worker": [0], "xdp_mode": "native",
                     "xdp_frags": false, "af_xdp_mode": "copy", "tapped": true, "mtu": 1500},
                    {"name": "vnet0", "port": "vnet0", "ofport": 4, "type": "", "link_state": "up", "admin_state": "up",
                     "error": null, "tag": null, "trunks": [], "worker": [0], "xdp_mode": null,
                     "xdp_frags": false, "af_xdp_mode": null, "packet_socket": true, "mtu": 1500},
                    {"name": "gone", "port": "gone", "ofport": -1, "type": "",
                     "error": "could not open network device gone (No such device)"},
                ]}],
            "underlays": [{"name": "eth0", "xdp_mode": "generic", "af_xdp_mode": "copy",
                           "addresses": ["1.1.1.1"], "xdp_counters": {"pass": 9, "redirect": 0},
                           "rx_frames": 4, "drops": {"key": 2}}],
        })
    }

    fn shown(state: &Value, json: bool) -> String {
        let fake = FakeDaemon::with_result("weft/show", state);
        let mut out = Vec::new();
        assert_eq!(run(&fake.daemon(), json, &mut out).unwrap(), EXIT_OK);
        String::from_utf8(out).unwrap()
    }

    #[track_caller]
    fn assert_line(page: &str, words: &[&str]) {
        let found = page.lines().any(|line| line.split_whitespace().eq(words.iter().copied()));
        assert!(found, "no line {words:?} in\n{page}");
    }

    #[test]
    fn the_page_says_what_matters() {
        let page = shown(&state(), false);
        assert_line(&page, &["0", "any", "3.0%", "1,234", "5"]);
        let veth1 = "veth1 1 system up 10 1500 0 native+frags copy 1,000 2 12 0 1.50G 0 7";
        assert_line(&page, &veth1.split(' ').collect::<Vec<_>>());
        let veth2 = "uplink/veth2 3 system up - 1500 0 native tapped 0 0 0 0 0 0 0";
        assert_line(&page, &veth2.split(' ').collect::<Vec<_>>());
        let vnet0 = "vnet0 4 system up - 1500 0 - packet 0 0 0 0 0 0 0";
        assert_line(&page, &vnet0.split(' ').collect::<Vec<_>>());
        let gre1 = "gre1 2.2.2.2 1.1.1.1 - eth0 1.1.1.254 - 1462 unreachable: no answer";
        assert_line(&page, &gre1.split(' ').collect::<Vec<_>>());
        assert!(page.contains("error on gone: could not open network device gone"), "{page}");
        assert!(page.contains("  blocked gre1: loop guard: it hears its own probe\n"), "{page}");
        assert!(page.contains("XDP program: pass 9\n"), "{page}");
        assert!(page.contains("dropped: key 2\n"), "{page}");
    }

    #[test]
    fn json_is_passed_on_whole() {
        let page = shown(&state(), true);
        assert_eq!(serde_json::from_str::<Value>(&page).unwrap(), state());
    }

    #[test]
    fn an_answer_of_another_shape_is_no_panic() {
        for odd in
            [json!({}), json!([]), json!({"bridges": 3}), json!({"bridges": [{"ports": [1]}]})]
        {
            shown(&odd, false);
        }
    }
}
