//! What one bridge has heard of groups and routers.

use crate::PortKey;
use std::collections::BTreeMap;
use weft_wire::Group;
use weft_wire::vid::Vid;

/// A router is forgotten so long after its last query, in seconds, as in Open vSwitch: longer than
/// the 125 s between two queries (RFC 3376 section 8.2).
pub const ROUTER_AGE_SECS: u32 = 180;

/// What is set for a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnoopingSettings {
    /// Groups of all VLANs that are kept, 10 to 1,000,000.
    pub groups_max: usize,
    /// Seconds after which a membership that is not heard again is forgotten, 15 to 3600.
    pub age_secs: u32,
    /// Data for a group without members goes to all ports.
    pub floods_unregistered: bool,
}

impl Default for SnoopingSettings {
    fn default() -> Self {
        Self { groups_max: 2048, age_secs: 300, floods_unregistered: true }
    }
}

/// What is set for a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnoopingPort {
    /// Data of all groups goes there.
    pub floods: bool,
    /// Reports go there; the port leaves no group at once, for
    /// others behind it may stay.
    pub floods_reports: bool,
}

/// What an [`Entry`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A member of this group.
    Member(Group),
    /// A router.
    Router,
}

/// A member or a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub port: PortKey,
    /// In this VLAN.
    pub vid: Vid,
    /// What is there.
    pub kind: EntryKind,
    /// Seconds since it was last heard of.
    pub age_secs: u32,
}

pub(super) type Key = (Vid, Group);

/// When something was last heard of: in which order, and at what time.
#[derive(Clone, Copy, Debug)]
struct Hearing {
    order: u64,
    at_secs: u32,
}

#[derive(Debug, Default)]
struct Members {
    /// The order of the last join.
    used: u64,
    by_port: BTreeMap<PortKey, Hearing>,
}

/// The groups and routers of one bridge.  Time is seconds since any start and must not go backwards.
#[derive(Debug, Default)]
pub struct Mdb {
    settings: SnoopingSettings,
    ports: BTreeMap<PortKey, SnoopingPort>,
    groups: BTreeMap<Key, Members>,
    /// Groups in the order of their last join: the first is evicted.
    by_use: BTreeMap<u64, Key>,
    /// Memberships in the order in which they were last heard: the first is the oldest.
    by_hearing: BTreeMap<u64, (Key, PortKey)>,
    routers: BTreeMap<(Vid, PortKey), Hearing>,
    order: u64,
    changed: bool,
}

impl Mdb {
    /// Nothing heard, no ports.
    #[must_use]
    pub fn new(settings: SnoopingSettings) -> Self {
        Self { settings, changed: true, ..Self::default() }
    }

    /// Uses other settings from now on; groups that are too many by them are evicted.
    pub fn configure(&mut self, settings: SnoopingSettings) {
        self.changed |= settings.floods_unregistered != self.settings.floods_unregistered;
        self.settings = settings;
        while self.groups.len() > settings.groups_max {
            self.evict();
        }
    }

    /// These are the ports now; what was heard on others is forgotten.
    pub fn set_ports(&mut self, ports: BTreeMap<PortKey, SnoopingPort>) {
        let gone: Vec<_> =
            self.ports.keys().filter(|port| !ports.contains_key(*port)).copied().collect();
        for port in gone {
            self.forget_port(port);
        }
        self.changed |= self.ports != ports;
        self.ports = ports;
    }

    /// True when what comes in on this port is learned.
    pub(super) fn learns_from(&self, port: PortKey) -> bool {
        self.ports.get(&port).is_some_and(|settings| !settings.floods)
    }

    /// A member of `group` was heard.  Behind a router's port nobody is learned: it gets all groups.
    pub(super) fn join(&mut self, vid: Vid, group: Group, port: PortKey, now_secs: u32) {
        let key = (vid, group);
        if !group.is_multicast() || self.routers.contains_key(&(vid, port)) {
            return;
        }
        if !self.groups.contains_key(&key) && self.groups.len() >= self.settings.groups_max {
            self.evict();
        }
        self.order += 1;
        let hearing = Hearing { order: self.order, at_secs: now_secs };
        let members = self.groups.entry(key).or_default();
        self.by_use.remove(&members.used);
        members.used = self.order;
        self.by_use.insert(self.order, key);
        match members.by_port.insert(port, hearing) {
            Some(before) => drop(self.by_hearing.remove(&before.order)),
            None => self.changed = true,
        }
        self.by_hearing.insert(self.order, (key, port));
    }

    /// A member of `group` is none any more.
    pub(super) fn leave(&mut self, vid: Vid, group: Group, port: PortKey) {
        if self.ports.get(&port).is_none_or(|settings| !settings.floods_reports) {
            self.remove((vid, group), port);
        }
    }

    /// A router was heard.
    pub(super) fn note_router(&mut self, vid: Vid, port: PortKey, now_secs: u32) {
        self.order += 1;
        let hearing = Hearing { order: self.order, at_secs: now_secs };
        self.changed |= self.routers.insert((vid, port), hearing).is_none();
    }

    /// Forgets what is too old.
    pub fn expire(&mut self, now_secs: u32) {
        while let Some((_, &(key, port))) = self.by_hearing.first_key_value() {
            let heard = self.groups.get(&key).and_then(|members| members.by_port.get(&port));
            if heard.is_some_and(|heard| {
                now_secs.saturating_sub(heard.at_secs) < self.settings.age_secs
            }) {
                break;
            }
            self.remove(key, port);
        }
        let before = self.routers.len();
        self.routers.retain(|_, heard| now_secs.saturating_sub(heard.at_secs) < ROUTER_AGE_SECS);
        self.changed |= before != self.routers.len();
    }

    /// Forgets everything.
    pub fn flush(&mut self) {
        self.changed |= !(self.groups.is_empty() && self.routers.is_empty());
        self.groups.clear();
        self.by_use.clear();
        self.by_hearing.clear();
        self.routers.clear();
    }

    /// Forgets what was heard on one port.
    pub fn forget_port(&mut self, port: PortKey) {
        let of_port: Vec<_> = self
            .groups
            .iter()
            .filter(|(_, members)| members.by_port.contains_key(&port))
            .map(|(key, _)| *key)
            .collect();
        for key in of_port {
            self.remove(key, port);
        }
        let before = self.routers.len();
        self.routers.retain(|(_, of), _| *of != port);
        self.changed |= before != self.routers.len();
    }

    /// True, once, after lists of ports have changed: [`Mdb::groups`] is due.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// How many groups have members, over all VLANs.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// How many ports lead to a router, by VLAN.
    #[must_use]
    pub fn router_count(&self) -> usize {
        self.routers.len()
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> SnoopingSettings {
        self.settings
    }

    /// All there is, in the order of Open vSwitch: groups as they were last joined, the longest ago
    /// first, members within a group likewise, then routers.
    pub fn entries(&self, now_secs: u32) -> impl Iterator<Item = Entry> + '_ {
        let groups = self.by_use.values().filter_map(|key| Some((*key, self.groups.get(key)?)));
        let members = groups.flat_map(move |((vid, group), members)| {
            let mut by_age: Vec<_> = members.by_port.iter().collect();
            by_age.sort_by_key(|(_, heard)| heard.order);
            by_age.into_iter().map(move |(port, heard)| Entry {
                port: *port,
                vid,
                kind: EntryKind::Member(group),
                age_secs: now_secs.saturating_sub(heard.at_secs),
            })
        });
        let mut routers: Vec<_> = self.routers.iter().collect();
        routers.sort_by_key(|(_, heard)| heard.order);
        members.chain(routers.into_iter().map(move |(&(vid, port), heard)| Entry {
            port,
            vid,
            kind: EntryKind::Router,
            age_secs: now_secs.saturating_sub(heard.at_secs),
        }))
    }

    /// The members of each group.
    pub(super) fn members(&self) -> impl Iterator<Item = (Key, impl Iterator<Item = PortKey>)> {
        self.groups.iter().map(|(key, members)| (*key, members.by_port.keys().copied()))
    }

    /// Where routers are.
    pub(super) fn routers(&self) -> impl Iterator<Item = (Vid, PortKey)> {
        self.routers.keys().copied()
    }

    /// The ports with their settings.
    pub fn ports(&self) -> impl Iterator<Item = (PortKey, SnoopingPort)> {
        self.ports.iter().map(|(port, settings)| (*port, *settings))
    }

    /// Takes one port out of a group, and the group away with its last.
    fn remove(&mut self, key: Key, port: PortKey) {
        let Some(members) = self.groups.get_mut(&key) else { return };
        let Some(heard) = members.by_port.remove(&port) else { return };
        self.changed = true;
        self.by_hearing.remove(&heard.order);
        if members.by_port.is_empty() {
            self.by_use.remove(&members.used);
            self.groups.remove(&key);
        }
    }

    /// Forgets the group that was joined longest ago.
    fn evict(&mut self) {
        let Some((_, key)) = self.by_use.pop_first() else { return };
        for heard in self.groups.remove(&key).into_iter().flat_map(|group| group.by_port) {
            self.by_hearing.remove(&heard.1.order);
        }
        self.changed = true;
    }
}
