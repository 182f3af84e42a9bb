//! Mirrors on their way into the snapshot, and what they have copied on its way back.

use crate::config::desired::mirror::{Output, Selection};
use crate::config::desired::{Bridge, Desired, Port};
use crate::lower::publish::Ids;
use crate::workers::Workers;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;
use weft_switch::{MirrorConf, MirrorId, MirrorOutput, MirroredPorts, PortId};

/// The mirrors of a bridge.  One whose output port does not run is left out.
#[must_use]
pub fn confs(bridge: &Bridge, ids: &Ids) -> Vec<MirrorConf> {
    if bridge.mirrors.is_empty() {
        return Vec::new();
    }
    let by_row: BTreeMap<Uuid, &Port> =
        bridge.ports.values().map(|port| (port.uuid, &**port)).collect();
    let running = |row: &Uuid| -> Option<PortId> { ids.port(&by_row.get(row)?.name) };
    let ports = |selection: &Selection| match selection {
        Selection::All => MirroredPorts::All,
        Selection::Ports(rows) => MirroredPorts::Only(rows.iter().filter_map(running).collect()),
    };
    let mirrors = bridge.mirrors.iter().filter_map(|mirror| {
        Some(MirrorConf {
            id: MirrorId(ids.mirrors.get(&mirror.uuid)?),
            sources: ports(&mirror.sources),
            targets: ports(&mirror.targets),
            vlans: mirror.vlans.clone().map(Box::new),
            output: match &mirror.output {
                Output::Port(row) => MirrorOutput::Port(running(row)?),
                Output::Vlan(vid) => MirrorOutput::Vlan(*vid),
            },
            snaplen: mirror.snaplen,
        })
    });
    mirrors.collect()
}

/// Mirrors of all bridges: those that have a number.
const MIRRORS_MAX: u16 = u16::MAX;

/// Gives every mirror its number, and fresh counters to new ones.
pub fn number(desired: &Desired, ids: &mut Ids, workers: &Workers) {
    let bridges = desired.bridges.values();
    let rows: BTreeSet<Uuid> =
        bridges.flat_map(|bridge| &bridge.mirrors).map(|mirror| mirror.uuid).collect();
    ids.mirrors.keep_only(|row| rows.contains(row));
    for row in &rows {
        match ids.mirrors.give(row) {
            Some((number, true)) => workers.clear_mirror(MirrorId(number)),
            Some((_, false)) => {}
            None => tracing::warn!("mirror {row}: there are {MIRRORS_MAX} already; ignored"),
        }
    }
}
