//! `ct(…)` and `nat(…)`.

use super::{action, subfield_text};
use crate::Names;
use std::net::{Ipv4Addr, Ipv6Addr};
use weft_flow::Action;
use weft_flow::action::{Ct, Nat, NatAddresses, ZoneSource};

/// `ct(commit,zone=5,exec(…))`.
pub(super) fn text(ct: &Ct, names: &dyn Names) -> String {
    let mut parts = Vec::new();
    if ct.commits {
        parts.push("commit".to_owned());
    }
    if ct.forces {
        parts.push("force".to_owned());
    }
    if let Some(table) = ct.table {
        let name = names.table(table).map_or_else(|| table.0.to_string(), str::to_owned);
        parts.push(format!("table={name}"));
    }
    match ct.zone {
        ZoneSource::Field(bits) => parts.push(format!("zone={}", subfield_text(bits))),
        ZoneSource::Value(0) => {}
        ZoneSource::Value(zone) => parts.push(format!("zone={zone}")),
    }
    // nat comes first, then what sets mark and label.
    let is_nat = |action: &&Action| matches!(action, Action::Nat(_));
    for inner in ct.actions.iter().filter(is_nat) {
        if let Action::Nat(nat) = inner {
            parts.push(self::nat(nat));
        }
    }
    let sets: Vec<Action> = ct.actions.iter().filter(|inner| !is_nat(inner)).cloned().collect();
    if !sets.is_empty() {
        parts.push(action::nested("exec", &sets, names));
    }
    match ct.helper {
        0 => {}
        21 => parts.push("alg=ftp".to_owned()),
        69 => parts.push("alg=tftp".to_owned()),
        port => parts.push(format!("alg={port}")),
    }
    format!("ct({})", parts.join(","))
}

/// `nat(src=10.0.0.1-10.0.0.9:1000-2000,random)`.
pub(super) fn nat(nat: &Nat) -> String {
    let flags = nat.flags;
    if !flags.source && !flags.destination {
        return "nat".to_owned();
    }
    let side = if flags.source { "src" } else { "dst" };
    let addresses = addresses(nat);
    let ports =
        nat.ports.map_or_else(String::new, |(first, last)| format!(":{}", range(first, last)));
    let equals = if addresses.is_empty() && ports.is_empty() { "" } else { "=" };
    let mut words = vec![format!("{side}{equals}{addresses}{ports}")];
    for (is_set, name) in [
        (flags.persistent, "persistent"),
        (flags.hashes_ports, "hash"),
        (flags.random_ports, "random"),
    ] {
        if is_set {
            words.push(name.to_owned());
        }
    }
    format!("nat({})", words.join(","))
}

/// The addresses; IPv6 ones in brackets before ports.
fn addresses(nat: &Nat) -> String {
    match nat.addresses {
        NatAddresses::None => String::new(),
        NatAddresses::V4(first, last) => range(Ipv4Addr::from(first), last.map(Ipv4Addr::from)),
        NatAddresses::V6(first, last) => {
            let text = |address: [u8; 16]| {
                let address = Ipv6Addr::from(address);
                if nat.ports.is_some() { format!("[{address}]") } else { address.to_string() }
            };
            range(text(first), last.map(text))
        }
    }
}

fn range<T: std::fmt::Display>(first: T, last: Option<T>) -> String {
    last.map_or_else(|| first.to_string(), |last| format!("{first}-{last}"))
}
