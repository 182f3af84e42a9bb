//! Groups as workers read them, and copies of frames for whoever makes the lists.

use crate::act::PerSecond;
use crate::{BridgeId, PortId, Tick};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use weft_wire::Group;
use weft_wire::vid::Vid;

/// Copies that wait for the control thread, at most: those of one batch.
const HEARD_MAX: usize = 16;

/// Copies of frames from one port in one second, at most.  What is lost is said again: hosts report
/// twice, and answer queries.
const HEARD_PER_SECOND_MAX: u16 = 1000;

/// A list of ports in [`Groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListId(u32);

type Random = foldhash::fast::RandomState;

/// Where frames to groups go: lists of ports, each in order and without repetition.
///
/// A port in a list may have become unable to take the frame: whoever sends looks at it.
#[derive(Debug, Default)]
pub struct Groups {
    ports: Vec<PortId>,
    lists: Vec<Range<usize>>,
    by_group: HashMap<(Vid, Group), ListId, Random>,
    /// Of single VLANs; the others have the list in the field below.
    unregistered: HashMap<Vid, ListId, Random>,
    unregistered_rest: Option<ListId>,
    reports: HashMap<Vid, ListId, Random>,
    reports_rest: Option<ListId>,
}

impl Groups {
    /// The ports of a list.
    #[must_use]
    pub fn list(&self, list: ListId) -> &[PortId] {
        let range = usize::try_from(list.0).ok().and_then(|index| self.lists.get(index));
        range.and_then(|range| self.ports.get(range.clone())).unwrap_or_default()
    }

    /// Where data for a group goes; `None` is everywhere.
    #[must_use]
    pub fn data(&self, vid: Vid, group: Group) -> Option<ListId> {
        let list = self.by_group.get(&(vid, group)).or_else(|| self.unregistered.get(&vid));
        list.copied().or(self.unregistered_rest)
    }

    /// Where reports go; `None` is everywhere.
    #[must_use]
    pub fn reports(&self, vid: Vid) -> Option<ListId> {
        self.reports.get(&vid).copied().or(self.reports_rest)
    }

    /// Sends data for a group in a VLAN to these ports, which are in order and without repetition.
    pub fn set_members(&mut self, vid: Vid, group: Group, ports: impl IntoIterator<Item = PortId>) {
        let list = self.push(ports);
        self.by_group.extend(list.map(|list| ((vid, group), list)));
    }

    /// Sends data for groups without members to these ports: in one VLAN, or in all others.
    pub fn set_unregistered(&mut self, vid: Option<Vid>, ports: impl IntoIterator<Item = PortId>) {
        let list = self.push(ports);
        match vid {
            Some(vid) => self.unregistered.extend(list.map(|list| (vid, list))),
            None => self.unregistered_rest = list,
        }
    }

    /// Sends reports to these ports: in one VLAN, or in all others.
    pub fn set_reports(&mut self, vid: Option<Vid>, ports: impl IntoIterator<Item = PortId>) {
        let list = self.push(ports);
        match vid {
            Some(vid) => self.reports.extend(list.map(|list| (vid, list))),
            None => self.reports_rest = list,
        }
    }

    fn push(&mut self, ports: impl IntoIterator<Item = PortId>) -> Option<ListId> {
        let id = ListId(u32::try_from(self.lists.len()).ok()?);
        let start = self.ports.len();
        self.ports.extend(ports);
        self.lists.push(start..self.ports.len());
        Some(id)
    }
}

/// A copy of a frame that a state machine wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The port it came in on.
    pub port: PortId,
    /// The VLAN it belongs to.
    pub vid: Vid,
    /// From the destination address on, without FCS.
    pub frame: Vec<u8>,
}

/// Copies of frames for the state machines of control, as many as may be.
#[derive(Debug)]
pub(crate) struct HeardFrames {
    frames: Vec<Heard>,
    limit: PerSecond,
}

impl Default for HeardFrames {
    fn default() -> Self {
        let limit = PerSecond::new(HEARD_PER_SECOND_MAX);
        Self { frames: Vec::with_capacity(HEARD_MAX), limit }
    }
}

impl HeardFrames {
    /// Keeps a copy of a frame, unless there are too many.
    pub(crate) fn keep(&mut self, port: PortId, vid: Vid, frame: &[u8], now: Tick) {
        if self.frames.len() < HEARD_MAX && self.limit.admits(port, now) {
            self.frames.push(Heard { port, vid, frame: frame.to_vec() });
        }
    }

    /// The copies made since the last call.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Heard> + '_ {
        self.frames.drain(..)
    }
}

/// The lists of all bridges that snoop.
#[derive(Debug, Default)]
pub struct Snooping {
    groups: Vec<Option<Arc<Groups>>>,
    is_on: bool,
}

impl Snooping {
    /// Uses other lists for a bridge, or, with `None`, lets it snoop no more.  Returns the old ones,
    /// which a worker does not free.
    pub fn set(&mut self, bridge: BridgeId, groups: Option<Arc<Groups>>) -> Option<Arc<Groups>> {
        if self.groups.len() <= bridge.index() {
            self.groups.resize(bridge.index() + 1, None);
        }
        let slot = self.groups.get_mut(bridge.index())?;
        let retired = std::mem::replace(slot, groups);
        self.is_on = self.groups.iter().any(Option::is_some);
        retired
    }

    /// True when some bridge snoops.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.is_on
    }

    /// The lists of a bridge that snoops.
    #[must_use]
    pub fn groups(&self, bridge: BridgeId) -> Option<&Groups> {
        self.groups.get(bridge.index())?.as_deref()
    }
}
