//! The drivers of control protocols: time and frames in, gates and flushes out.

pub mod guards;
pub mod members;
mod settings;
pub mod snooping;
pub mod spanning;
mod tree_view;

pub use tree_view::TreeView;

use crate::config::desired::Desired;
use crate::lower::Lower;
use crate::plan::planned::Standing;
use members::Members;
use snooping::Snooping;
use spanning::{Errand, Spanning};
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

/// The state of control protocols.
#[derive(Default)]
pub struct Protocols {
    /// Spanning trees and loop guards.
    pub spanning: Spanning,
    /// Multicast snooping.
    pub snooping: Snooping,
    states_changed: bool,
}

impl Protocols {
    /// Makes the protocols fit what is wanted and planned.
    pub fn configure(&mut self, desired: &Desired, lower: &mut Lower, members: &Members<'_>) {
        let ids = &lower.ids;
        let member = |bridge: &_, port: &_| members.member(ids, bridge, port);
        self.spanning.configure(desired, |bridge| members.address(bridge), member);
        let (bridge, port) = (|row: &_| ids.bridge(row), |row: &_| ids.port(row));
        let is_down = |name: &str| members.is_down(name);
        self.snooping.configure(desired, &members.plan.ports, bridge, port, is_down);
        // The gates of ports that take part in something may be others now.
        lower.mark(self.spanning.all_members());
    }

    /// Hands the trees and guards what came in.
    pub fn hear(&mut self, desired: &Desired, plan: &Standing, lower: &mut Lower) {
        for (port, frame) in lower.workers.take_punted() {
            let row = lower.ids.ports.key(port.0);
            if let Some(planned) = row.and_then(|row| plan.ports.get(row)) {
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

    /// Lets time pass for the trees and guards; what they want done, once gates are in force.
    #[must_use]
    pub fn tick(&mut self, lower: &mut Lower) -> Vec<Errand> {
        self.spanning.tick();
        let (errands, changed) = self.spanning.take_errands();
        if changed {
            lower.mark(self.spanning.all_members());
        }
        self.states_changed |= changed;
        errands
    }

    /// Does what the trees and guards want done.
    pub fn run(&mut self, errands: Vec<Errand>, desired: &Desired, lower: &mut Lower) {
        for errand in errands {
            match errand {
                Errand::Send(port, frame) => lower.workers.transmit(port, frame),
                Errand::Flush(name, port) => {
                    self.snooping.flush(&name);
                    let bridge = desired.bridges.get(&name);
                    let id = bridge.and_then(|bridge| lower.ids.bridge(&bridge.uuid));
                    if let Some(id) = id {
                        lower.workers.flush_fdb(Some(id), port, None);
                    }
                }
            }
        }
    }

    /// True, once, after a spanning tree or a guard changed the state of a port.
    pub fn take_states_changed(&mut self) -> bool {
        std::mem::take(&mut self.states_changed)
    }

    /// Hands snooping what was heard, and workers what has become of it.
    pub fn turn_snooping(&mut self, lower: &mut Lower) {
        for heard in lower.workers.take_heard() {
            self.snooping.receive(&heard);
        }
        self.snooping.expire();
        if self.snooping.may_tell() {
            self.tell_groups(lower);
        }
    }

    /// Gives the workers the lists that have changed.
    pub fn tell_groups(&mut self, lower: &mut Lower) {
        let began = Instant::now();
        for (bridge, groups) in self.snooping.take_news() {
            lower.workers.set_groups(bridge, groups.as_ref());
        }
        self.snooping.told(began);
    }
}
