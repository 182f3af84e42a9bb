//! The cache of what was read: a change is read by its rows, all else stays.
//!
//! Reading everything is the same thing, with an empty cache.

use super::{Bridge, ConfigError, Desired, Kind, Port, Reader, Rows};
use crate::config::changed_rows::ChangedRows;
use crate::config::{duplicates, ignored};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;
use weft_ovsdb::{Atom, Datum};

/// What of the configuration changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Interfaces that are new, gone or different, or in a bridge that is.
    pub interfaces: BTreeSet<Uuid>,
    /// Names that patch ports among them have for their other ends.
    pub peers: BTreeSet<String>,
    /// Anything that interfaces share: settings of bridges, mirrors, settings of all.
    pub shared: bool,
}

impl Changed {
    fn port(&mut self, port: &Port) {
        for interface in &port.interfaces {
            self.interfaces.insert(interface.uuid);
            if let Kind::Patch(peer) = &interface.kind {
                self.peers.insert(peer.clone());
            }
        }
    }

    /// True when nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.interfaces.is_empty() && !self.shared
    }
}

/// All ports that were read, and who has them.
#[derive(Debug, Default)]
pub struct Cache {
    ports: HashMap<Uuid, Arc<Port>>,
    /// What is wrong with a port; nothing for most.
    faults: BTreeMap<Uuid, Vec<ConfigError>>,
    /// What is wrong with a bridge.
    bridge_faults: BTreeMap<Uuid, Vec<ConfigError>>,
    /// The ports of each bridge, in order.
    lists: HashMap<Uuid, Vec<Uuid>>,
    /// The bridges that each port is in.
    homes: Owners,
    /// The ports that each interface is in.
    users: Owners,
    /// Something was in two places last time.
    had_two_places: bool,
    /// Ports that were read since somebody asked.
    ports_read: u64,
}

/// Who has a row; and how many rows have several owners.
#[derive(Debug, Default)]
struct Owners {
    owners: HashMap<Uuid, BTreeSet<Uuid>>,
    doubled: usize,
}

impl Owners {
    fn add(&mut self, row: Uuid, owner: Uuid) {
        let owners = self.owners.entry(row).or_default();
        self.doubled += usize::from(owners.insert(owner) && owners.len() == 2);
    }

    fn remove(&mut self, row: Uuid, owner: Uuid) {
        let Some(owners) = self.owners.get_mut(&row) else { return };
        self.doubled -= usize::from(owners.remove(&owner) && owners.len() == 1);
        if owners.is_empty() {
            self.owners.remove(&row);
        }
    }

    fn of(&self, row: Uuid) -> impl Iterator<Item = Uuid> + '_ {
        self.owners.get(&row).into_iter().flatten().copied()
    }
}

/// What is to be done with one bridge.
struct Edit {
    /// Read anew, without ports and mirrors; none when its row has not changed.
    bridge: Option<Bridge>,
    name: String,
    gone: Vec<Arc<Port>>,
    put: Vec<Uuid>,
}

impl Cache {
    /// Makes `desired` what the rows say, given that `rows_changed` names all rows that changed.
    pub fn update(
        &mut self,
        rows: &impl Rows,
        rows_changed: &ChangedRows,
        desired: &mut Desired,
    ) -> Changed {
        if self.had_two_places {
            return self.settle(rows, desired);
        }
        match self.follow(rows, rows_changed, desired, false) {
            Some(changed) => changed,
            None => self.settle(rows, desired),
        }
    }

    /// How many ports were read since this was asked last.
    pub fn take_read(&mut self) -> u64 {
        std::mem::take(&mut self.ports_read)
    }

    /// None, and nothing done, when something is in two places and must not be.
    pub(super) fn follow(
        &mut self,
        rows: &impl Rows,
        rows_changed: &ChangedRows,
        desired: &mut Desired,
        may_share: bool,
    ) -> Option<Changed> {
        let mut reader = Reader { rows, problems: Vec::new() };
        let (root, bridges) = reader.root();
        let root_faults = std::mem::take(&mut reader.problems);
        let stale = self.forget(rows_changed);
        let edits: Vec<_> = bridges
            .iter()
            .filter_map(|row| self.edit(&mut reader, rows_changed, &stale, *row))
            .collect();
        self.had_two_places = self.homes.doubled + self.users.doubled > 0;
        if self.had_two_places && !may_share {
            return None;
        }
        let mut changed = self.leave_bridges(&bridges, desired);
        changed.shared |= desired.take_scalars(root);
        for edit in edits {
            self.apply(&mut reader, edit, &stale, desired, &mut changed);
        }
        let faults = bridges.iter().filter_map(|row| self.bridge_faults.get(row));
        let faults = faults.chain(self.faults.values()).flatten().cloned();
        desired.problems = root_faults.into_iter().chain(faults).collect();
        Some(changed)
    }

    /// The rare case: something is in two places, or was.  All is read anew, and settled.
    fn settle(&mut self, rows: &impl Rows, desired: &mut Desired) -> Changed {
        let mut fresh = Self { ports_read: self.ports_read, ..Self::default() };
        let mut now = Desired::default();
        fresh.follow(rows, &ChangedRows::default(), &mut now, true);
        duplicates::settle(&mut now, desired);
        let mut changed = Changed { shared: true, ..Changed::default() };
        for (_, port, _) in desired.interfaces().chain(now.interfaces()) {
            changed.port(port);
        }
        (*self, *desired) = (fresh, now);
        changed
    }

    /// Forgets the ports that changed rows have a part in; returns them.
    fn forget(&mut self, rows_changed: &ChangedRows) -> HashMap<Uuid, Arc<Port>> {
        let mut rows: BTreeSet<Uuid> = rows_changed.of("Port").collect();
        rows.extend(rows_changed.of("Interface").flat_map(|row| self.users.of(row)));
        rows.into_iter().filter_map(|row| Some((row, self.drop_port(row)?))).collect()
    }

    fn drop_port(&mut self, row: Uuid) -> Option<Arc<Port>> {
        let port = self.ports.remove(&row)?;
        for interface in &port.interfaces {
            self.users.remove(interface.uuid, row);
        }
        self.faults.remove(&row);
        Some(port)
    }

    /// What of a bridge has changed; none when nothing has.
    fn edit<R: Rows>(
        &mut self,
        reader: &mut Reader<'_, R>,
        rows_changed: &ChangedRows,
        stale: &HashMap<Uuid, Arc<Port>>,
        row: Uuid,
    ) -> Option<Edit> {
        if self.lists.contains_key(&row) && !rows_changed.has("Bridge", &row) {
            let mut put: Vec<Uuid> = stale.keys().copied().collect();
            put.retain(|port| self.homes.of(*port).any(|home| home == row));
            self.read_ports(reader, &put);
            let concerns_mirrors = rows_changed.of("Mirror").next().is_some();
            let name = reader.text("Bridge", row, "name");
            return (!put.is_empty() || concerns_mirrors).then_some(Edit {
                bridge: None,
                name,
                gone: Vec::new(),
                put,
            });
        }
        reader.problems.clear();
        let bridge = reader.bridge(row);
        reader.name_bad_tree_settings(&bridge);
        ignored::note(reader.rows, "Bridge", row, &mut reader.problems);
        self.bridge_faults.insert(row, std::mem::take(&mut reader.problems));
        let now = reader.rows.datum("Bridge", row, "ports").map_or(&[][..], Datum::atoms);
        let list = self.lists.entry(row).or_default();
        let (left, joined) = follow_list(list, now);
        let mut put: Vec<Uuid> = stale.keys().copied().collect();
        put.retain(|port| list.binary_search(port).is_ok());
        put.extend(&joined);
        put.sort_unstable();
        put.dedup();
        let mut gone = Vec::new();
        for port in &left {
            self.homes.remove(*port, row);
            let has_another = self.homes.of(*port).next().is_some();
            let known =
                if has_another { self.ports.get(port).cloned() } else { self.drop_port(*port) };
            gone.extend(known.or_else(|| stale.get(port).cloned()));
        }
        for port in &joined {
            self.homes.add(*port, row);
        }
        self.read_ports(reader, &put);
        Some(Edit { name: bridge.name.clone(), bridge: Some(bridge), gone, put })
    }

    /// Reads those of these ports that are not in the cache.
    fn read_ports<R: Rows>(&mut self, reader: &mut Reader<'_, R>, rows: &[Uuid]) {
        for row in rows {
            if self.ports.contains_key(row) {
                continue;
            }
            self.ports_read += 1;
            reader.problems.clear();
            let port = Arc::new(reader.port(*row));
            reader.name_bad_port_settings(&port);
            ignored::note(reader.rows, "Port", *row, &mut reader.problems);
            for interface in &port.interfaces {
                self.users.add(interface.uuid, *row);
                ignored::note(reader.rows, "Interface", interface.uuid, &mut reader.problems);
            }
            if !reader.problems.is_empty() {
                self.faults.insert(*row, std::mem::take(&mut reader.problems));
            }
            self.ports.insert(*row, port);
        }
    }

    /// Takes out the bridges that are not listed any more.
    fn leave_bridges(&mut self, listed: &[Uuid], desired: &mut Desired) -> Changed {
        let mut changed = Changed::default();
        let gone: Vec<_> = desired
            .bridges
            .values()
            .filter(|bridge| !listed.contains(&bridge.uuid))
            .map(|bridge| (bridge.uuid, bridge.name.clone()))
            .collect();
        for (row, name) in gone {
            changed.shared = true;
            for port in desired.take_bridge(&name) {
                changed.port(&port);
            }
            self.bridge_faults.remove(&row);
            for port in self.lists.remove(&row).unwrap_or_default() {
                self.homes.remove(port, row);
                if self.homes.of(port).next().is_none() {
                    self.drop_port(port);
                }
            }
        }
        changed
    }

    fn apply<R: Rows>(
        &mut self,
        reader: &mut Reader<'_, R>,
        edit: Edit,
        stale: &HashMap<Uuid, Arc<Port>>,
        desired: &mut Desired,
        changed: &mut Changed,
    ) {
        let Edit { bridge, name, gone, put } = edit;
        if let Some(bridge) = bridge {
            desired.put_bridge(bridge, changed);
        }
        for port in gone {
            desired.take_port(&name, &port.name);
            changed.port(&port);
        }
        for row in &put {
            let Some(port) = self.ports.get(row) else { continue };
            let problems = ignored::addresses(&name, port);
            if !problems.is_empty() {
                self.faults.entry(*row).or_default().extend(problems);
            }
            let there = desired.bridges.get(&name).and_then(|bridge| bridge.ports.get(&port.name));
            if there == Some(port) {
                continue;
            }
            if let Some(before) = stale.get(row) {
                desired.take_port(&name, &before.name);
                changed.port(before);
            }
            changed.port(port);
            desired.put_port(&name, Arc::clone(port));
        }
        if let Some(bridge) = desired.bridges.get_mut(&name) {
            reader.problems.clear();
            let mirrors = reader.mirrors(bridge.uuid, &bridge.ports);
            if mirrors != bridge.mirrors {
                bridge.mirrors = mirrors;
                changed.shared = true;
            }
            let faults = self.bridge_faults.entry(bridge.uuid).or_default();
            faults.retain(|fault| fault.table != super::mirror::TABLE);
            faults.append(&mut reader.problems);
        }
    }
}

/// Makes `list` equal to `now`, both in order: what left it, and what joined it.  Of thousands few
/// differ, so that the two ends, which are alike, are most of it.
fn follow_list(list: &mut Vec<Uuid>, now: &[Atom]) -> (Vec<Uuid>, Vec<Uuid>) {
    let is_same = |(old, new): &(&Uuid, &Atom)| matches!(new, Atom::Uuid(new) if new == *old);
    let start = list.iter().zip(now).take_while(is_same).count();
    let (was, is) = (list.get(start..), now.get(start..));
    let (was, is) = (was.unwrap_or_default(), is.unwrap_or_default());
    let end = was.iter().rev().zip(is.iter().rev()).take_while(is_same).count();
    let was: BTreeSet<Uuid> = was.iter().take(was.len() - end).copied().collect();
    let is: BTreeSet<Uuid> = is.iter().take(is.len() - end).filter_map(Atom::as_uuid).collect();
    let left: Vec<Uuid> = was.difference(&is).copied().collect();
    let joined: Vec<Uuid> = is.difference(&was).copied().collect();
    for port in &left {
        if let Ok(place) = list.binary_search(port) {
            list.remove(place);
        }
    }
    for port in &joined {
        if let Err(place) = list.binary_search(port) {
            list.insert(place, *port);
        }
    }
    (left, joined)
}

impl Desired {
    /// Takes over all but bridges and problems; true when something that acts has changed.
    fn take_scalars(&mut self, new: Self) -> bool {
        let acts = |of: &Self| {
            let Self { root, worker_cpus, stats_interval_millis, reads_inner_tags, .. } = of;
            (*root, worker_cpus.clone(), *stats_interval_millis, *reads_inner_tags)
        };
        let has_changed = acts(self) != acts(&new);
        let kept = std::mem::replace(self, new);
        (self.bridges, self.index) = (kept.bridges, kept.index);
        has_changed
    }

    /// Adds or replaces a bridge, which keeps its ports and mirrors.
    fn put_bridge(&mut self, mut bridge: Bridge, changed: &mut Changed) {
        let name = bridge.name.clone();
        let Some(old) = self.bridges.get_mut(&name) else {
            changed.shared = true;
            self.bridges.insert(name, bridge);
            return;
        };
        let ports = std::mem::take(&mut old.ports);
        let mirrors = std::mem::take(&mut old.mirrors);
        if *old != bridge {
            changed.shared = true;
            for port in ports.values() {
                changed.port(port);
            }
        }
        (bridge.ports, bridge.mirrors) = (ports, mirrors);
        *old = bridge;
    }
}
