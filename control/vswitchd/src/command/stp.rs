//! `stp/…` and `rstp/…`.

use super::{Command, Family, command};
use crate::config::desired::Protocol;
use crate::engine::parts::Needs;
use crate::protocols::spanning::Spanning;
use crate::serve::unixctl::Answer;

/// The commands of this family.
pub(crate) enum Trees {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub spanning: &'a mut Spanning,
}

impl Needs for Trees {
    type Parts<'a> = Parts<'a>;
}

impl Family for Trees {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<Trees>] = &[
    command::<Trees>("rstp/show", "[bridge]", 0, 1, |lent, params| {
        show(lent, Protocol::Rstp, params)
    }),
    command::<Trees>("rstp/tcn", "[bridge]", 0, 1, |lent, params| {
        tcn(lent, Protocol::Rstp, params)
    }),
    command::<Trees>("stp/show", "[bridge]", 0, 1, |lent, params| {
        show(lent, Protocol::Stp, params)
    }),
    command::<Trees>("stp/tcn", "[bridge]", 0, 1, |lent, params| tcn(lent, Protocol::Stp, params)),
];

const fn nothing(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Stp => "no such stp object\n",
        Protocol::Rstp => "No such RSTP object\n",
    }
}

fn show(lent: &Parts<'_>, protocol: Protocol, params: &[String]) -> Answer {
    let mut trees = lent.spanning.trees(protocol);
    match params {
        [bridge, ..] => match trees.find(|(name, _)| name == bridge) {
            Some((_, tree)) => Ok(tree.show()),
            None => Err(nothing(protocol).to_owned()),
        },
        [] => Ok(trees.map(|(_, tree)| tree.show()).collect()),
    }
}

fn tcn(lent: &mut Parts<'_>, protocol: Protocol, params: &[String]) -> Answer {
    let bridge = params.first().map(String::as_str);
    if !lent.spanning.force_topology_change(protocol, bridge) && bridge.is_some() {
        return Err(nothing(protocol).to_owned());
    }
    Ok("OK\n".to_owned())
}
