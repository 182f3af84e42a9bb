//! `stp/…` and `rstp/…`.

use super::{Command, command};
use crate::config::desired::Protocol;
use crate::process::engine::Engine;
use crate::process::unixctl::Answer;

/// The commands of this family.
pub(super) const COMMANDS: &[Command] = &[
    command("rstp/show", "[bridge]", 0, 1, |engine, params| show(engine, Protocol::Rstp, params)),
    command("rstp/tcn", "[bridge]", 0, 1, |engine, params| tcn(engine, Protocol::Rstp, params)),
    command("stp/show", "[bridge]", 0, 1, |engine, params| show(engine, Protocol::Stp, params)),
    command("stp/tcn", "[bridge]", 0, 1, |engine, params| tcn(engine, Protocol::Stp, params)),
];

const fn nothing(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Stp => "no such stp object\n",
        Protocol::Rstp => "No such RSTP object\n",
    }
}

fn show(engine: &Engine, protocol: Protocol, params: &[String]) -> Answer {
    let mut trees = engine.spanning.trees(protocol);
    match params {
        [bridge, ..] => match trees.find(|(name, _)| name == bridge) {
            Some((_, tree)) => Ok(tree.show()),
            None => Err(nothing(protocol).to_owned()),
        },
        [] => Ok(trees.map(|(_, tree)| tree.show()).collect()),
    }
}

fn tcn(engine: &mut Engine, protocol: Protocol, params: &[String]) -> Answer {
    let bridge = params.first().map(String::as_str);
    if !engine.spanning.force_topology_change(protocol, bridge) && bridge.is_some() {
        return Err(nothing(protocol).to_owned());
    }
    Ok("OK\n".to_owned())
}
