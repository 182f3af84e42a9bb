//! Multicast snooping, as this daemon drives it: one state machine for each bridge that wants one.
//!
//! What workers hear goes in, lists of ports come out.  A change is published at once, and those that
//! follow it together: however many reports come in, making and publishing lists takes a tenth of
//! this thread's time at most.

use crate::config::desired::Desired;
use crate::config::names::PortName;
use crate::plan::installed::Ports;
use crate::protocols::settings::Keys;
use crate::protocols::{key_of, port_of};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;
use weft_protocols::mcast::{Mdb, Traffic};
use weft_switch::mcast::{Groups, Heard};
use weft_switch::{BridgeId, PortId};

/// Between two times that lists are published, at least.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// The pause is so many times as long as publishing took.
const PAUSE_FACTOR: u32 = 10;

/// How often what was heard is looked through for what is too old.
const EXPIRE: Duration = Duration::from_secs(1);

struct Table {
    id: BridgeId,
    mdb: Mdb,
    /// Its last change is not published.
    is_changed: bool,
    /// Ports whose link is down.
    down: BTreeSet<PortId>,
}

impl Table {
    fn note_change(&mut self) {
        self.is_changed |= self.mdb.take_changed();
    }
}

/// The lists of a bridge that have changed; none when it snoops no more.
pub type Changed = (BridgeId, Option<Arc<Groups>>);

/// Who is a member of which group, bridge by bridge.
pub struct Snooping {
    tables: BTreeMap<String, Table>,
    /// The bridge of each port.
    bridges: BTreeMap<PortId, String>,
    /// Bridges that snoop no more, which is not published.
    ended: Vec<BridgeId>,
    /// Where the clock of ages starts.
    started: Instant,
    /// When it was last looked for what is too old.
    expired: Instant,
    pause_until: Instant,
}

impl Snooping {
    /// No tables; the clock of ages starts at `now`.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self {
            tables: BTreeMap::new(),
            bridges: BTreeMap::new(),
            ended: Vec::new(),
            started: now,
            expired: now,
            pause_until: now,
        }
    }

    /// Makes the tables fit the configuration.  `bridge` gives numbers by row, `port` by name, `is_down`
    /// says of a port that its device is there and has no link.
    pub fn configure(
        &mut self,
        desired: &Desired,
        ports: &Ports,
        bridge: impl Fn(&Uuid) -> Option<BridgeId>,
        port: impl Fn(&PortName) -> Option<PortId>,
        is_down: impl Fn(&str) -> bool,
    ) {
        let snoops = |name: &String, id: BridgeId| {
            let wanted = desired.bridges.get(name).filter(|bridge| bridge.snooping.is_some());
            wanted.is_some_and(|wanted| bridge(&wanted.uuid) == Some(id))
        };
        let ended = self.tables.extract_if(.., |name, table| !snoops(name, table.id));
        self.ended.extend(ended.map(|(_, table)| table.id));
        self.bridges.clear();
        for (name, wanted) in &desired.bridges {
            let (Some(settings), Some(id)) = (wanted.snooping, bridge(&wanted.uuid)) else {
                continue;
            };
            let table = self.tables.entry(name.clone()).or_insert_with(|| {
                tracing::info!("{name}: multicast snooping starts");
                Table { id, mdb: Mdb::new(settings), is_changed: true, down: BTreeSet::new() }
            });
            table.mdb.configure(settings);
            let members: Vec<_> = ports
                .of_bridge(name)
                .filter_map(|planned| Some((port(&planned.port)?, planned)))
                .collect();
            self.bridges.extend(members.iter().map(|(id, _)| (*id, name.clone())));
            table.mdb.set_ports(
                members
                    .iter()
                    .map(|(id, planned)| {
                        let row = wanted.ports.get(&planned.port);
                        let settings = row.map(|row| Keys(&row.other_config).snooping_port());
                        (key_of(*id), settings.unwrap_or_default())
                    })
                    .collect(),
            );
            let down: BTreeSet<_> = members
                .iter()
                .filter(|(_, planned)| is_down(&planned.name))
                .map(|(id, _)| *id)
                .collect();
            for lost in down.difference(&table.down) {
                table.mdb.forget_port(key_of(*lost));
            }
            table.down = down;
            table.note_change();
        }
    }

    /// Takes a frame that a worker heard, at `now`.
    pub fn receive(&mut self, heard: &Heard, now: Instant) {
        let secs = self.clock_secs(now);
        let bridge = self.bridges.get(&heard.port);
        if let Some(table) = bridge.and_then(|bridge| self.tables.get_mut(bridge)) {
            table.mdb.receive(key_of(heard.port), heard.vid, &heard.frame, secs);
            table.note_change();
        }
    }

    /// Takes a turn: forgets what is too old, once a second, and returns what is to be published.
    pub fn turn(&mut self, now: Instant) -> Vec<Changed> {
        if now >= self.expired + EXPIRE {
            self.expire(now);
        }
        if now >= self.pause_until { self.take_changed() } else { Vec::new() }
    }

    fn expire(&mut self, now: Instant) {
        self.expired = now;
        let secs = self.clock_secs(now);
        for table in self.tables.values_mut() {
            table.mdb.expire(secs);
            table.note_change();
        }
    }

    /// Forgets all that one bridge has heard.
    pub fn flush(&mut self, bridge: &str) {
        if let Some(table) = self.tables.get_mut(bridge) {
            table.mdb.flush();
            table.note_change();
        }
    }

    /// Forgets what was heard on a port.
    pub fn forget_port(&mut self, port: PortId) {
        for table in self.tables.values_mut() {
            table.mdb.forget_port(key_of(port));
            table.note_change();
        }
    }

    /// The workers are new: all lists are to be published again.
    pub fn publish_again(&mut self) {
        for table in self.tables.values_mut() {
            table.is_changed = true;
        }
    }

    /// What is to be published, whatever the pause.
    pub fn take_changed(&mut self) -> Vec<Changed> {
        let ended = std::mem::take(&mut self.ended).into_iter().map(|id| (id, None));
        let changed = self.tables.values_mut().filter_map(|table| {
            let is_changed = std::mem::take(&mut table.is_changed);
            is_changed.then(|| (table.id, Some(Arc::new(groups_of(&table.mdb)))))
        });
        ended.chain(changed).collect()
    }

    /// The workers have the lists: making and publishing them took from `began` to `now`.
    pub fn published(&mut self, began: Instant, now: Instant) {
        let took = now.saturating_duration_since(began);
        self.pause_until = now + (took * PAUSE_FACTOR).max(PAUSE_MIN);
    }

    /// When the next turn is due, if one is.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        if !self.ended.is_empty() || self.tables.values().any(|table| table.is_changed) {
            return Some(self.pause_until);
        }
        let holds = |table: &Table| table.mdb.group_count() + table.mdb.router_count() > 0;
        self.tables.values().any(holds).then(|| self.expired + EXPIRE)
    }

    /// The table of a bridge, if it snoops.
    #[must_use]
    pub fn table(&self, bridge: &str) -> Option<&Mdb> {
        self.tables.get(bridge).map(|table| &table.mdb)
    }

    /// The bridges that snoop.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// What the clock of ages says at `now`, in seconds.
    #[must_use]
    pub fn clock_secs(&self, now: Instant) -> u32 {
        let elapsed = now.saturating_duration_since(self.started);
        u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX)
    }
}

/// The lists of a table as workers read them.
fn groups_of(mdb: &Mdb) -> Groups {
    let mut groups = Groups::default();
    for list in mdb.lists() {
        let ports = list.ports.into_iter().map(port_of);
        match list.traffic {
            Traffic::Group(vid, group) => groups.set_members(vid, group, ports),
            Traffic::Unregistered(vid) => groups.set_unregistered(vid, ports),
            Traffic::Reports(vid) => groups.set_reports(vid, ports),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_protocols::PortKey;
    use weft_protocols::mcast::{SnoopingPort, SnoopingSettings};
    use weft_wire::vid::Vid;

    /// IPv4, 20 bytes of header, and an `IGMPv2` report of 239.1.2.3.
    fn report() -> Vec<u8> {
        let mut report = vec![0x01, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, 1];
        report.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 1, 239, 1, 2, 3]);
        report.extend([0x16, 0, 0xf8, 0xfa, 239, 1, 2, 3]);
        report
    }

    #[test]
    fn changes_that_follow_wait_for_the_pause_and_members_go_with_age() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut snooping = Snooping::new(start);
        let mut mdb = Mdb::new(SnoopingSettings { age_secs: 300, ..SnoopingSettings::default() });
        mdb.set_ports([(PortKey(1), SnoopingPort::default())].into());
        let table = Table { id: BridgeId(0), mdb, is_changed: true, down: BTreeSet::new() };
        snooping.tables.insert("br0".to_owned(), table);
        snooping.bridges.insert(PortId(1), "br0".to_owned());
        assert_eq!(snooping.due(), Some(start));
        assert_eq!(snooping.turn(start).len(), 1);
        snooping.published(start, at(3));
        // Publishing took 3 ms, so the pause is ten times as long.
        let heard = Heard { port: PortId(1), vid: Vid::UNTAGGED, frame: report() };
        snooping.receive(&heard, at(5));
        assert_eq!(snooping.due(), Some(at(33)));
        assert!(snooping.turn(at(32)).is_empty());
        assert_eq!(snooping.turn(at(33)).len(), 1);
        snooping.published(at(33), at(33));
        assert_eq!(snooping.due(), Some(at(1000)), "somebody has to be looked after");
        assert!(snooping.turn(at(299_900)).is_empty());
        assert_eq!(snooping.turn(at(300_900)).len(), 1);
        assert_eq!(snooping.due(), None);
    }

    #[test]
    fn workers_get_what_the_table_says() {
        let settings =
            SnoopingSettings { floods_unregistered: false, ..SnoopingSettings::default() };
        let mut mdb = Mdb::new(settings);
        let port = |floods, floods_reports| SnoopingPort { floods, floods_reports };
        let ports = [port(false, false), port(true, false), port(false, true), port(false, false)];
        mdb.set_ports((1..).map(PortKey).zip(ports).collect());
        let report = report();
        // The same host asks in VLAN 5 as a router: a general query.
        let mut query = report.clone();
        query.splice(34.., [0x11, 0, 0xee, 0xff, 0, 0, 0, 0]);
        let vid = |raw| Vid::try_from(raw).unwrap_or(Vid::UNTAGGED);
        mdb.receive(PortKey(1), vid(5), &report, 0);
        mdb.receive(PortKey(4), vid(5), &query, 0);
        assert_eq!((mdb.group_count(), mdb.router_count()), (1, 1));

        let groups = groups_of(&mdb);
        let ports = |list| groups.list(list).iter().map(|port| port.0).collect::<Vec<_>>();
        let group = std::net::Ipv4Addr::new(239, 1, 2, 3).into();
        let other = std::net::Ipv4Addr::new(239, 9, 9, 9).into();
        assert_eq!(groups.data(vid(5), group).map(ports), Some(vec![1, 2, 4]), "members");
        assert_eq!(groups.data(vid(5), other).map(ports), Some(vec![2, 4]), "unregistered");
        assert_eq!(groups.data(vid(6), group).map(ports), Some(vec![2]), "another VLAN");
        assert_eq!(groups.reports(vid(5)).map(ports), Some(vec![3, 4]), "reports");
        assert_eq!(groups.reports(vid(6)).map(ports), Some(vec![3]), "reports of another VLAN");
    }
}
