//! Multicast snooping, as this daemon drives it: one state machine for each bridge that wants one.
//!
//! What workers hear goes in, lists of ports come out.  A change is told to the workers at once, and
//! those that follow it together: however many reports come in, making and telling lists takes a
//! tenth of this thread's time at most.

use crate::config::desired::Desired;
use crate::plan::planned::Ports;
use crate::protocols::settings::Keys;
use crate::protocols::{key_of, port_of};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;
use weft_protocols::mcast::{Mdb, Traffic};
use weft_switch::mcast::{Groups, Heard};
use weft_switch::{BridgeId, PortId};

/// Between two changes that workers are told of, at least.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// The pause is so many times as long as telling took.
const PAUSE_FACTOR: u32 = 10;

/// How often what was heard is looked through for what is too old.
const EXPIRE: Duration = Duration::from_secs(1);

struct Table {
    id: BridgeId,
    mdb: Mdb,
    /// The workers have not been told of its last change.
    is_news: bool,
    /// Ports whose link is down.
    down: BTreeSet<PortId>,
}

impl Table {
    fn note_news(&mut self) {
        self.is_news |= self.mdb.take_changed();
    }
}

/// What is known of groups, bridge by bridge.
pub struct Snooping {
    tables: BTreeMap<String, Table>,
    /// The bridge of each port.
    bridges: BTreeMap<PortId, String>,
    /// Bridges that snoop no more, of which the workers have not been told.
    ended: Vec<BridgeId>,
    started: Instant,
    expired: Instant,
    pause_until: Instant,
}

impl Default for Snooping {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            tables: BTreeMap::new(),
            bridges: BTreeMap::new(),
            ended: Vec::new(),
            started: now,
            expired: now,
            pause_until: now,
        }
    }
}

impl Snooping {
    /// Makes the tables fit the configuration.  `bridge` and `port` give numbers by row, `is_down`
    /// says of a port that its device is there and has no link.
    pub fn configure(
        &mut self,
        desired: &Desired,
        ports: &Ports,
        bridge: impl Fn(&Uuid) -> Option<BridgeId>,
        port: impl Fn(&Uuid) -> Option<PortId>,
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
                Table { id, mdb: Mdb::new(settings), is_news: true, down: BTreeSet::new() }
            });
            table.mdb.configure(settings);
            let members: Vec<_> = ports
                .of_bridge(name)
                .filter_map(|planned| Some((port(&planned.interface)?, planned)))
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
            table.note_news();
        }
    }

    /// Takes a frame that a worker heard.
    pub fn receive(&mut self, heard: &Heard) {
        let now = self.now_secs();
        let bridge = self.bridges.get(&heard.port);
        if let Some(table) = bridge.and_then(|bridge| self.tables.get_mut(bridge)) {
            table.mdb.receive(key_of(heard.port), heard.vid, &heard.frame, now);
            table.note_news();
        }
    }

    /// Forgets what is too old, once a second.
    pub fn expire(&mut self) {
        if self.expired.elapsed() < EXPIRE {
            return;
        }
        self.expired = Instant::now();
        let now = self.now_secs();
        for table in self.tables.values_mut() {
            table.mdb.expire(now);
            table.note_news();
        }
    }

    /// Forgets all that one bridge has heard.
    pub fn flush(&mut self, bridge: &str) {
        if let Some(table) = self.tables.get_mut(bridge) {
            table.mdb.flush();
            table.note_news();
        }
    }

    /// Forgets what was heard on a port.
    pub fn forget_port(&mut self, port: PortId) {
        for table in self.tables.values_mut() {
            table.mdb.forget_port(key_of(port));
            table.note_news();
        }
    }

    /// The workers are new and know nothing.
    pub fn tell_again(&mut self) {
        for table in self.tables.values_mut() {
            table.is_news = true;
        }
    }

    /// True when enough time has passed since the workers were told of a change.
    #[must_use]
    pub fn may_tell(&self) -> bool {
        Instant::now() >= self.pause_until
    }

    /// The lists that have changed; those of a bridge that snoops no more are absent.
    pub fn take_news(&mut self) -> Vec<(BridgeId, Option<Arc<Groups>>)> {
        let ended = std::mem::take(&mut self.ended).into_iter().map(|id| (id, None));
        let changed = self.tables.values_mut().filter_map(|table| {
            let is_news = std::mem::take(&mut table.is_news);
            is_news.then(|| (table.id, Some(Arc::new(groups_of(&table.mdb)))))
        });
        ended.chain(changed).collect()
    }

    /// The workers have been told; that began when `began` says.
    pub fn told(&mut self, began: Instant) {
        let pause = (began.elapsed() * PAUSE_FACTOR).max(PAUSE_MIN);
        self.pause_until = Instant::now() + pause;
    }

    /// When the next turn is due, if one is.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        if !self.ended.is_empty() || self.tables.values().any(|table| table.is_news) {
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

    /// The clock of ages, in seconds.
    #[must_use]
    pub fn now_secs(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_secs()).unwrap_or(u32::MAX)
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

    #[test]
    fn workers_get_what_the_table_says() {
        let settings =
            SnoopingSettings { floods_unregistered: false, ..SnoopingSettings::default() };
        let mut mdb = Mdb::new(settings);
        let port = |floods, floods_reports| SnoopingPort { floods, floods_reports };
        let ports = [port(false, false), port(true, false), port(false, true), port(false, false)];
        mdb.set_ports((1..).map(PortKey).zip(ports).collect());
        // IPv4, 20 bytes of header, and an IGMPv2 report of 239.1.2.3.
        let mut report = vec![0x01, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, 1];
        report.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 1, 239, 1, 2, 3]);
        report.extend([0x16, 0, 0xf8, 0xfa, 239, 1, 2, 3]);
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
