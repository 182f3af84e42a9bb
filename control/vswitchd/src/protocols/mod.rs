//! The drivers of control protocols: time and frames in, gates and flushes out.
//!
//! A driver reads no clock.  It has `configure`, which makes its machines fit the rows; `receive`,
//! for what workers hand up; `due`, which says when its next turn is; and `turn`, which lets time
//! pass and returns what is to be done.  [`Protocols`] has the clock and carries that out.  A new
//! protocol is a folder in `control/protocols`, a driver here, and a family of commands.

pub mod guards;
pub mod members;
mod settings;
pub mod snooping;
pub mod spanning;
mod tree_view;

pub use tree_view::TreeView;

use crate::config::desired::Desired;
use crate::lower::Lower;
use crate::plan::installed::Installed;
use members::Members;
use snooping::{Changed, Snooping};
use spanning::Spanning;
use std::time::Instant;
use weft_protocols::PortKey;
use weft_switch::PortId;

/// What the state machines call a port.
pub(crate) const fn key_of(port: PortId) -> PortKey {
    PortKey(port.0)
}

/// The port that the state machines call so.
pub(crate) const fn port_of(key: PortKey) -> PortId {
    PortId(key.0)
}

/// What a machine wants done outside of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Send a frame out of a port.
    Send(PortId, Vec<u8>),
    /// Forget what a bridge has learned, on all ports or one.
    Flush(String, Option<PortId>),
}

/// What came of a turn.
pub struct Turn {
    /// What is to be done, oldest first, once gates are in force.
    pub errands: Vec<Errand>,
    /// Gates or ageing changed: a snapshot is due.
    pub gates_changed: bool,
}

/// The state of control protocols.
pub struct Protocols {
    /// Spanning trees and loop guards.
    pub spanning: Spanning,
    /// Multicast snooping.
    pub snooping: Snooping,
    states_changed: bool,
    /// What is to be done once gates are in force.
    errands: Vec<Errand>,
}

impl Default for Protocols {
    fn default() -> Self {
        let snooping = Snooping::new(Instant::now());
        Self { spanning: Spanning::default(), snooping, states_changed: false, errands: Vec::new() }
    }
}

impl Protocols {
    /// Makes the protocols fit what is wanted and planned.
    pub fn configure(&mut self, desired: &Desired, lower: &mut Lower, members: &Members<'_>) {
        let ids = &lower.ids;
        let member = |bridge: &_, port: &_| members.member(ids, bridge, port);
        let now = Instant::now();
        self.spanning.configure(desired, now, |bridge| members.address(bridge), member);
        let (bridge, port) = (|row: &_| ids.bridge(row), |name: &_| ids.port(name));
        let is_down = |name: &str| members.is_down(name);
        self.snooping.configure(desired, &members.plan.ports, bridge, port, is_down);
        // The gates of ports that take part in something may be others now.
        lower.mark(self.spanning.all_members());
    }

    /// Hands the trees and guards what came in.
    pub fn hear(&mut self, desired: &Desired, plan: &Installed, lower: &mut Lower) {
        for (iface, frame) in lower.workers.take_punted() {
            let planned = lower.ids.row(iface).and_then(|row| plan.ports.get(row));
            if let Some(planned) = planned
                && let Some(port) = lower.ids.port(&planned.port)
            {
                self.spanning.receive(&planned.bridge, port, &frame);
            }
        }
        for moved in lower.workers.take_moves() {
            let row = lower.ids.bridges.key(moved.bridge.0);
            let named = desired.bridges.values().find(|bridge| Some(&bridge.uuid) == row);
            if let Some(bridge) = named {
                self.spanning.guards.moved(&bridge.name, &moved);
            }
        }
    }

    /// Lets time pass for the trees and guards.  [`Protocols::run`] does what they want done.
    pub fn tick(&mut self, lower: &mut Lower) {
        let Turn { errands, gates_changed } = self.spanning.turn(Instant::now());
        if gates_changed {
            lower.mark(self.spanning.all_members());
        }
        self.states_changed |= gates_changed;
        self.errands.extend(errands);
    }

    /// Does what the trees and guards want done, once gates are in force: what is sent afterwards may open
    /// those of a neighbour.
    pub fn run(&mut self, desired: &Desired, lower: &mut Lower) {
        if !lower.is_in_force() {
            return;
        }
        for errand in std::mem::take(&mut self.errands) {
            match errand {
                Errand::Send(port, frame) => {
                    if let Some(iface) = lower.snapshot.exit(port) {
                        lower.workers.transmit(iface, frame);
                    }
                }
                Errand::Flush(name, port) => {
                    self.snooping.flush(&name);
                    let bridge = desired.bridges.get(&name);
                    let id = bridge.and_then(|bridge| lower.ids.bridge(&bridge.uuid));
                    if let Some(id) = id {
                        lower.workers.forget_fdb(Some(id), port);
                    }
                }
            }
        }
    }

    /// True, once, after a spanning tree or a guard changed the state of a port.
    pub fn take_states_changed(&mut self) -> bool {
        std::mem::take(&mut self.states_changed)
    }

    /// Hands snooping what was heard, and gives workers the lists that follow.
    pub fn turn_snooping(&mut self, lower: &mut Lower) {
        let now = Instant::now();
        for heard in lower.workers.take_heard() {
            self.snooping.receive(&heard, now);
        }
        let changed = self.snooping.turn(now);
        self.set_groups(changed, now, lower);
    }

    /// Gives the workers the lists that have changed, without a pause.
    pub fn publish_groups(&mut self, lower: &mut Lower) {
        let now = Instant::now();
        let changed = self.snooping.take_changed();
        self.set_groups(changed, now, lower);
    }

    fn set_groups(&mut self, changed: Vec<Changed>, began: Instant, lower: &mut Lower) {
        if changed.is_empty() {
            return;
        }
        for (bridge, groups) in changed {
            lower.workers.set_groups(bridge, groups.as_ref());
        }
        self.snooping.published(began, Instant::now());
    }
}
