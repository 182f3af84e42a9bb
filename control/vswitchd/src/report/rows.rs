//! What was written to rows, and what is to be written now.

use crate::config::changed_rows::ChangedRows;
use crate::config::desired::{Bridge, Desired, Protocol};
use crate::protocols::TreeView;
use crate::report::counters::Written;
use crate::report::seen::Seen;
use crate::report::status::{InterfaceStatus, Wanted};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;
use weft_ovsdb::Datum;
use weft_switch::PortId;

/// Types of interface that can be set up, for `Open_vSwitch.iface_types`.
const INTERFACE_TYPES: [&str; 8] =
    ["geneve", "gre", "internal", "ip6gre", "patch", "system", "tap", "vxlan"];

/// Where the states of each protocol stand, in Bridge and in Port.
const COLUMNS_OF_TREES: [(Protocol, &str); 2] =
    [(Protocol::Stp, "status"), (Protocol::Rstp, "rstp_status")];

/// What was reported to rows.
#[derive(Default)]
pub struct Reported {
    /// What rows of Interface have.
    interfaces: HashMap<Uuid, InterfaceStatus>,
    /// Interfaces that may be other than their rows say.
    dirty: BTreeSet<Uuid>,
    /// A spanning tree or a loop guard was at work when rows were written last.
    trees: bool,
    /// The numbers in `statistics`, and those that are on their way there.
    pub(crate) counters: Written,
}

impl Reported {
    /// Interfaces may be other than their rows say.
    pub fn mark(&mut self, interfaces: impl IntoIterator<Item = Uuid>) {
        self.dirty.extend(interfaces);
    }

    /// The values that rows are to have, but for counters: what is not as it was written last, and all
    /// of the rows that changed since.
    #[must_use]
    pub fn statuses(&mut self, seen: Seen<'_>, changed: &ChangedRows) -> Wanted {
        let mut wanted = Wanted::default();
        self.want_bridges(seen, changed, &mut wanted);
        let mut rows = std::mem::take(&mut self.dirty);
        rows.extend(changed.of("Interface"));
        for row in rows {
            if changed.has("Interface", &row) {
                self.counters.forget(&row);
            }
            let Some((_, _, interface)) = seen.desired.interface(&row) else {
                self.interfaces.remove(&row);
                self.counters.forget(&row);
                continue;
            };
            let status = if let Some(port) = seen.plan.ports.get(&row) {
                seen.interface_status(interface, port)
            } else {
                let text = seen.plan.failures.get(&row);
                InterfaceStatus::failed(text.map_or("not set up yet", String::as_str))
            };
            if self.interfaces.get(&row) != Some(&status) || changed.has("Interface", &row) {
                status.want(row, &mut wanted);
                self.interfaces.insert(row, status);
            }
        }
        self.trees = seen.spanning.is_active();
        wanted
    }

    /// The rows of the switch and of bridges, and the states of spanning trees.
    fn want_bridges(&self, seen: Seen<'_>, changed: &ChangedRows, wanted: &mut Wanted) {
        if let Some(root) = seen.desired.root {
            let mut set = |column, datum| wanted.set("Open_vSwitch", root, column, datum);
            set("datapath_types", Datum::set_of_strings(["netdev", "system"]));
            set("iface_types", Datum::set_of_strings(INTERFACE_TYPES));
            set("dpdk_initialized", Datum::boolean(false));
            set("dpdk_version", Datum::string("none"));
            set("cur_cfg", Datum::integer(seen.desired.next_cfg));
        }
        for bridge in seen.desired.bridges.values() {
            let version = if bridge.fault().is_none() { "<built-in>" } else { "" };
            wanted.set("Bridge", bridge.uuid, "datapath_version", Datum::string(version));
            if let Some(id) = seen.datapath_id(bridge) {
                wanted.set("Bridge", bridge.uuid, "datapath_id", Datum::string(&id));
            }
            if seen.spanning.is_active() || self.trees {
                seen.want_tree_states(bridge, wanted);
            }
        }
        if !seen.spanning.is_active() {
            for (table, row) in ["Bridge", "Port"]
                .iter()
                .flat_map(|table| changed.of(table).map(move |row| (*table, row)))
            {
                for (_, column) in COLUMNS_OF_TREES {
                    wanted.set(table, row, column, Datum::map_of_strings::<&str, &str>([]));
                }
            }
        }
    }

    /// What was written did not reach the rows: all of it is to be written again.
    pub fn forget(&mut self, desired: &Desired) {
        self.interfaces.clear();
        self.counters.forget_all();
        self.dirty = desired.interfaces().map(|(_, _, interface)| interface.uuid).collect();
        self.trees = true;
    }
}

impl Seen<'_> {
    /// `status` and `rstp_status` of a bridge and its ports; empty without a spanning tree, but for
    /// what the loop guard says of a port that it blocks.
    pub fn want_tree_states(&self, bridge: &Bridge, wanted: &mut Wanted) {
        let guarded: BTreeMap<_, _> = self.spanning.guards.statuses(&bridge.name).collect();
        for (protocol, column) in COLUMNS_OF_TREES {
            let tree = self.tree_of(bridge, protocol);
            let of_bridge = tree.map(TreeView::bridge_status).unwrap_or_default();
            wanted.set("Bridge", bridge.uuid, column, Datum::map_of_strings(of_bridge));
            let ids: BTreeMap<Uuid, PortId> =
                self.spanning.members(&bridge.name).map(|(id, row)| (row, id)).collect();
            for port in bridge.ports.values() {
                let status = tree.zip(ids.get(&port.uuid)).map(|(tree, id)| tree.port_status(*id));
                let mut status = status.unwrap_or_default();
                if protocol == Protocol::Stp {
                    status.extend(guarded.get(&port.uuid).into_iter().flatten().cloned());
                }
                let status = Datum::map_of_strings(status);
                wanted.set("Port", port.uuid, column, status);
            }
        }
    }

    /// `statistics` and `rstp_statistics` of the ports of a bridge with a spanning tree.
    pub fn want_tree_statistics(&self, bridge: &Bridge, wanted: &mut Wanted) {
        for (protocol, column) in
            [(Protocol::Stp, "statistics"), (Protocol::Rstp, "rstp_statistics")]
        {
            let Some(tree) = self.tree_of(bridge, protocol) else { continue };
            for (id, row) in self.spanning.members(&bridge.name) {
                let counts = tree.port_statistics(id).into_iter();
                let counts = counts.map(|(key, n)| (key, i64::try_from(n).unwrap_or(i64::MAX)));
                wanted.set("Port", row, column, Datum::map_of_integers(counts));
            }
        }
    }
}
