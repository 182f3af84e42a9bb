//! What the engine knows, as the values of rows.

use crate::config::desired::{Bridge, Interface, Protocol};
use crate::config::news::News;
use crate::config::tunnel_options::Tunnel;
use crate::host::kernel::Link as Device;
use crate::host::links::Link;
use crate::lower::workers::reports;
use crate::plan::{Carrier, PlannedPort};
use crate::process::engine::{Engine, traffic};
use crate::process::errand::{ByPort, Step};
use crate::protocols::TreeView;
use crate::report::status::{
    InterfaceStatus, Wanted, link_statistics, traffic_statistics, udp6_statistics,
};
use crate::underlay::tunnels::{Path, State};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;
use weft_io::Queue;
use weft_ovsdb::Datum;
use weft_switch::{Counters, PortCounters, PortId};
use weft_wire::mac::MacAddr;
use weft_worker::{Command, Event};

/// Types of interface that can be set up, for `Open_vSwitch.iface_types`.
const INTERFACE_TYPES: [&str; 8] =
    ["geneve", "gre", "internal", "ip6gre", "patch", "system", "tap", "vxlan"];

/// Where the states of each protocol stand, in Bridge and in Port.
const COLUMNS_OF_TREES: [(Protocol, &str); 2] =
    [(Protocol::Stp, "status"), (Protocol::Rstp, "rstp_status")];

/// The numbers in `statistics` as they were told last, by interface.
pub(crate) type ToldCounters = HashMap<Uuid, Box<[i64]>>;

/// Counters on their way into rows.
#[derive(Default)]
struct Count {
    /// Those of mirrors.
    counters: Counters,
    wanted: Wanted,
    traffic: HashMap<Uuid, [u64; 4]>,
}

impl Count {
    fn take_wanted(&mut self) -> Option<Wanted> {
        (!self.wanted.is_empty()).then(|| std::mem::take(&mut self.wanted))
    }
}

impl Engine {
    /// The values that rows are to have, but for counters: what is not as it was told last, and all
    /// of the rows that changed since.
    #[must_use]
    pub fn statuses(&mut self, news: &News) -> Wanted {
        let mut wanted = Wanted::default();
        if let Some(root) = self.desired.root {
            let mut set = |column, datum| wanted.set("Open_vSwitch", root, column, datum);
            set("datapath_types", Datum::set_of_strings(["netdev", "system"]));
            set("iface_types", Datum::set_of_strings(INTERFACE_TYPES));
            set("dpdk_initialized", Datum::boolean(false));
            set("dpdk_version", Datum::string("none"));
            set("cur_cfg", Datum::integer(self.desired.next_cfg));
        }
        for bridge in self.desired.bridges.values() {
            let version = if bridge.fault().is_none() { "<built-in>" } else { "" };
            wanted.set("Bridge", bridge.uuid, "datapath_version", Datum::string(version));
            if let Some(id) = self.datapath_id(bridge) {
                wanted.set("Bridge", bridge.uuid, "datapath_id", Datum::string(&id));
            }
            if self.spanning.is_active() || self.told_trees {
                self.want_tree_states(bridge, &mut wanted);
            }
        }
        if !self.spanning.is_active() {
            for (table, row) in ["Bridge", "Port"]
                .iter()
                .flat_map(|table| news.of(table).map(move |row| (*table, row)))
            {
                for (_, column) in COLUMNS_OF_TREES {
                    wanted.set(table, row, column, Datum::map_of_strings::<&str, &str>([]));
                }
            }
        }
        let mut rows = std::mem::take(&mut self.untold);
        rows.extend(news.of("Interface"));
        for row in rows {
            if news.has("Interface", &row) {
                self.told_counters.remove(&row);
            }
            let Some((_, _, interface)) = self.desired.interface(&row) else {
                self.told.remove(&row);
                self.told_counters.remove(&row);
                continue;
            };
            let status = if let Some(port) = self.plan.ports.get(&row) {
                self.interface_status(interface, port)
            } else {
                let text = self.plan.failures.get(&row);
                InterfaceStatus::failed(text.map_or("not set up yet", String::as_str))
            };
            if self.told.get(&row) != Some(&status) || news.has("Interface", &row) {
                status.want(row, &mut wanted);
                self.told.insert(row, status);
            }
        }
        self.told_trees = self.spanning.is_active();
        wanted
    }

    /// What was told did not reach the rows: all of it is to be told again.
    pub fn forget_told(&mut self) {
        self.told.clear();
        self.told_counters.clear();
        self.untold = self.desired.interfaces().map(|(_, _, interface)| interface.uuid).collect();
        self.told_trees = true;
    }

    /// `status` and `rstp_status` of a bridge and its ports; empty without a spanning tree, but for
    /// what the loop guard says of a port that it blocks.
    fn want_tree_states(&self, bridge: &Bridge, wanted: &mut Wanted) {
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

    fn want_tree_statistics(&self, bridge: &Bridge, wanted: &mut Wanted) {
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

    fn tree_of(&self, bridge: &Bridge, protocol: Protocol) -> Option<TreeView<'_>> {
        self.spanning.trees(protocol).find(|(name, _)| *name == bridge.name).map(|(_, tree)| tree)
    }

    /// Reads the counters of all ports, and writes those that have moved.
    pub(crate) fn count_all(&mut self) -> Step {
        self.is_counting = true;
        let question = self.workers.ask(|_| Command::ReportFigures);
        let resume = |engine: &mut Self, answers| {
            let mut counters = Counters::default();
            for report in reports(answers) {
                counters.add(&report.counters);
            }
            let rows = engine.plan.ports.iter().map(|port| port.interface).collect();
            let count = Count { counters, ..Count::default() };
            ByPort::writing(
                engine,
                rows,
                count,
                Self::count_port,
                Count::take_wanted,
                Self::counted,
            )
        };
        Step::Ask(question, Box::new(resume))
    }

    /// Reads the counters of interfaces that forward since a moment ago, and writes them.
    pub(crate) fn count_fresh(&mut self) -> Step {
        let rows = std::mem::take(&mut self.fresh).into_iter().collect();
        let (each, piece) = (Self::count_port, Count::take_wanted);
        ByPort::writing(self, rows, Count::default(), each, piece, |_, _| {
            Step::Done(Ok(String::new()))
        })
    }

    fn count_port(&mut self, count: &mut Count, row: &Uuid, counted: &PortCounters) {
        let Some(port) = self.plan.ports.get(row) else { return };
        count.traffic.insert(*row, traffic(counted));
        let mut told = std::mem::take(&mut self.told_counters);
        self.want_counters(port, counted, &mut told, &mut count.wanted);
        self.told_counters = told;
    }

    /// All ports are done: what is left.
    fn counted(&mut self, count: Count) -> Step {
        let Count { mut wanted, traffic, counters } = count;
        self.rates.note(traffic);
        for interface in self.plan.failures.keys() {
            self.told_counters.remove(interface);
            let none = Datum::map_of_integers::<&str>([]);
            wanted.set("Interface", *interface, "statistics", none);
        }
        for bridge in self.desired.bridges.values() {
            self.want_mirror_statistics(bridge, &counters, &mut wanted);
            self.want_tree_statistics(bridge, &mut wanted);
            if self.spanning.is_active() {
                self.want_tree_states(bridge, &mut wanted);
            }
        }
        let end = |engine: &mut Self, _: Vec<Event<Queue>>| {
            engine.is_counting = false;
            Step::Done(Ok(String::new()))
        };
        Step::Write(wanted, Box::new(end))
    }

    /// `statistics` of one interface, unless they are as they were told last.
    fn want_counters(
        &self,
        port: &PlannedPort,
        counted: &PortCounters,
        told: &mut ToldCounters,
        wanted: &mut Wanted,
    ) {
        let mut want = |figures: &[(&'static str, i64)]| {
            let numbers = figures.iter().map(|(_, number)| *number);
            let before = told.get(&port.interface);
            if before.is_some_and(|before| before.iter().copied().eq(numbers.clone())) {
                return;
            }
            told.insert(port.interface, numbers.collect());
            let datum = Datum::map_of_integers(figures.iter().copied());
            wanted.set("Interface", port.interface, "statistics", datum);
        };
        match &port.carrier {
            Carrier::Tunnel(tunnel, _) if tunnel.takes_udp6() => want(&udp6_statistics(counted)),
            Carrier::Tunnel(..) | Carrier::Patch { .. } => want(&traffic_statistics(counted)),
            Carrier::Link => {
                let missed = self.links.get(&port.name).map(Link::missed_frames);
                let missed = missed.unwrap_or_default().values().sum();
                want(&link_statistics(counted, self.device(&port.name), missed));
            }
        }
    }

    /// The text for `Interface.error`: why an interface does not work, or not as it was asked to.
    #[must_use]
    pub fn error(&self, interface: &Interface) -> Option<String> {
        let mtu_refused = || {
            let (mtu, why) = self.links.get(&interface.name)?.mtu_refused.as_ref()?;
            let is_asked = interface.mtu_request == Some(*mtu);
            is_asked.then(|| {
                format!("{}: the device does not take mtu_request={mtu} ({why})", interface.name)
            })
        };
        self.plan.error(&interface.uuid).cloned().or_else(mtu_refused)
    }

    /// The device of an open link, unless it is out of sight.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&Device> {
        let link = self.links.get(name)?;
        self.kernel.link(link.ifindex).filter(|device| device.name == name)
    }

    /// `datapath_id` of a bridge: what was configured, or the address of its LOCAL port.
    #[must_use]
    pub fn datapath_id(&self, bridge: &Bridge) -> Option<String> {
        if let Some(id) = &bridge.datapath_id {
            return Some(id.clone());
        }
        let mac = MacAddr(self.device(&bridge.name)?.mac);
        Some(format!("{:016x}", mac.to_u64()))
    }

    /// The values of one interface that forwards.
    #[must_use]
    pub fn interface_status(&self, interface: &Interface, port: &PlannedPort) -> InterfaceStatus {
        let mut status = InterfaceStatus {
            ofport: i64::from(port.ofport),
            error: self.error(interface),
            ..InterfaceStatus::default()
        };
        match &port.carrier {
            Carrier::Tunnel(tunnel, path) => {
                tunnel_status(&mut status, interface.uuid, tunnel, path);
                let dead_end = self.dead_ends.text(&interface.uuid);
                if let (State::Ready(_), Some(text)) = (&path.state, dead_end) {
                    status.status.insert("tunnel_unreachable".to_owned(), text);
                }
            }
            Carrier::Link => self.link_status(&mut status, &interface.name),
            Carrier::Patch { .. } => deviceless_status(&mut status, interface.uuid),
        }
        status
    }

    fn link_status(&self, status: &mut InterfaceStatus, name: &str) {
        let Some(link) = self.links.get(name) else { return };
        status.link_resets = Some(link.resets);
        status.status = device_status(link);
        if let Some(device) = self.device(name) {
            status.is_admin_up = Some(device.is_admin_up);
            status.is_running = Some(device.is_running);
            status.mac = Some(MacAddr(device.mac).to_string());
            status.mtu = Some(device.mtu);
            status.ifindex = Some(device.ifindex);
            status.speed = link.medium.speed_mbps.and_then(bits_per_second);
            status.is_full_duplex = link.medium.is_full_duplex;
        } else {
            // Moved into another namespace: it works on, out of our sight.
            status.is_admin_up = Some(false);
            status.is_running = Some(false);
            status.ifindex = Some(0);
        }
    }
}

/// What holds for an interface without a device of its own.
fn deviceless_status(status: &mut InterfaceStatus, row: Uuid) {
    status.is_admin_up = Some(true);
    status.is_running = Some(true);
    status.link_resets = Some(0);
    status.ifindex = Some(0);
    // An address that means nothing, as stock has it: local, and the same for as long as the row.
    let mut mac = row.as_bytes().first_chunk::<6>().copied().unwrap_or_default();
    if let Some(first) = mac.first_mut() {
        *first = *first & 0xfc | 0x02;
    }
    status.mac = Some(MacAddr(mac).to_string());
}

fn tunnel_status(status: &mut InterfaceStatus, row: Uuid, tunnel: &Tunnel, path: &Path) {
    deviceless_status(status, row);
    if let Some(egress) = &path.egress {
        let carrier = if egress.is_running { "up" } else { "down" };
        status.status.insert("tunnel_egress_iface".to_owned(), egress.name.clone());
        status.status.insert("tunnel_egress_iface_carrier".to_owned(), carrier.to_owned());
    }
    if path.mtu > 0 {
        let mtu = tunnel.effective_mtu(path.mtu).to_string();
        status.status.insert("tunnel_mtu".to_owned(), mtu);
    }
    if let State::Unreachable(reason) = &path.state {
        status.status.insert("tunnel_unreachable".to_owned(), reason.clone());
    }
    if let Some(text) = tunnel.awaits_flows() {
        status.status.insert("tunnel_flow".to_owned(), text.to_owned());
    }
}

fn device_status(link: &Link) -> BTreeMap<String, String> {
    let driver = link.driver.clone();
    let mut status = BTreeMap::from([
        ("driver_name".to_owned(), driver.name),
        ("driver_version".to_owned(), driver.version),
        ("firmware_version".to_owned(), driver.firmware),
    ]);
    if let Some(attached) = &link.attached {
        status.insert("xdp_mode".to_owned(), attached.mode().to_string());
    }
    if link.is_guest() {
        status.insert("io".to_owned(), "packet-socket".to_owned());
    }
    if let Some(mode) = link.af_xdp_mode {
        status.insert("af_xdp_mode".to_owned(), mode.to_owned());
    }
    status
}

fn bits_per_second(mbps: u64) -> Option<i64> {
    i64::try_from(mbps * 1_000_000).ok()
}
