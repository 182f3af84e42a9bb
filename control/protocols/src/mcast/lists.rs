//! Where frames to groups go: what workers are given.

use super::Mdb;
use crate::PortKey;
use std::collections::{BTreeMap, BTreeSet};
use weft_wire::Group;
use weft_wire::vid::Vid;

/// What a [`List`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Data for a group that has members.
    Group(Vid, Group),
    /// Data for a group without members: in a VLAN with a router, or in all other VLANs.
    Unregistered(Option<Vid>),
    /// Reports and leaves: in a VLAN with a router, or in all other VLANs.
    Reports(Option<Vid>),
}

/// The ports that some traffic goes to.  Traffic without a list goes to all ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// What goes there.
    pub traffic: Traffic,
    /// Where it goes.
    pub ports: BTreeSet<PortKey>,
}

impl Mdb {
    /// All lists of the bridge.
    pub fn lists(&self) -> impl Iterator<Item = List> + '_ {
        let flooded = self.ports_where(|port| port.floods);
        let reported = self.ports_where(|port| port.floods_reports);
        let mut routers: BTreeMap<Vid, BTreeSet<PortKey>> = BTreeMap::new();
        for (vid, port) in self.routers() {
            routers.entry(vid).or_default().insert(port);
        }
        let mut rest = lists_by_vlan(&routers, &reported, Traffic::Reports);
        if !self.settings().floods_unregistered {
            rest.extend(lists_by_vlan(&routers, &flooded, Traffic::Unregistered));
        }
        let groups = self.members().map(move |((vid, group), members)| {
            let mut ports: BTreeSet<_> = members.chain(flooded.iter().copied()).collect();
            ports.extend(routers.get(&vid).into_iter().flatten());
            List { traffic: Traffic::Group(vid, group), ports }
        });
        groups.chain(rest)
    }

    fn ports_where(&self, takes: impl Fn(&super::SnoopingPort) -> bool) -> BTreeSet<PortKey> {
        self.ports().filter(|(_, port)| takes(port)).map(|(id, _)| id).collect()
    }
}

/// `always` and the routers of each VLAN that has some; `always` alone for all other VLANs.
fn lists_by_vlan(
    routers: &BTreeMap<Vid, BTreeSet<PortKey>>,
    always: &BTreeSet<PortKey>,
    traffic: fn(Option<Vid>) -> Traffic,
) -> Vec<List> {
    let by_vlan = routers.iter().map(|(vid, routers)| {
        let ports = routers.union(always).copied().collect();
        List { traffic: traffic(Some(*vid)), ports }
    });
    let others = List { traffic: traffic(None), ports: always.clone() };
    by_vlan.chain([others]).collect()
}
