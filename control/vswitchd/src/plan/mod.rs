//! What is wanted, less what is there: the steps that make them equal.  Pure.
//!
//! Steps touch the kernel and the rings: devices, XDP programs, queues.  All else (VLANs, FDB
//! limits, tunnels, next hops) is data, which [`Plan::ports`] lists and `publish.rs` turns
//! into the next snapshot; there is no step for it, so none can be forgotten.

pub mod facts;
pub mod installed;
pub mod ofport;

use crate::config::desired::known::Touched;
use crate::config::desired::{Bridge, Desired, Interface, Kind, Port};
use crate::config::ignored;
use crate::config::names::PortName;
use crate::config::tunnel_options::{Identity, Tunnel};
use crate::host::kernel::addresses_of;
use crate::plan::facts::{NicFacts, SharedFacts};
use crate::plan::installed::Installed;
use crate::underlay::tunnels::{Nic, Path};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use uuid::Uuid;
use weft_switch::VlanConf;
use weft_switch::{Encap, Local, Vtep};
use weft_wire::mac::MacAddr;

/// The MTU of an internal port when nothing else decides.
pub const MTU_DEFAULT: u32 = 1500;

/// A network device of the host, as far as plans care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The kernel's number.
    pub ifindex: u32,
    /// Its address.
    pub mac: MacAddr,
    /// Its MTU.
    pub mtu: u32,
    /// It is the loopback device.
    pub is_loopback: bool,
}

/// What a link that we hold open is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// An internal port.
    Tap,
    /// A NIC that is a bridge port.
    Port,
    /// A NIC that the host keeps, and that tunnels use.
    Underlay,
}

/// A link that we hold open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenLink {
    /// What it is.
    pub held: Held,
    /// The device's number when it was opened.
    pub ifindex: u32,
}

/// What there is, as far as it concerns what is dirty.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The host's devices, by name.
    pub devices: BTreeMap<String, Device>,
    /// Links that we hold open, by name.
    pub open: BTreeMap<String, OpenLink>,
    /// Open links whose device has a larger MTU by now than their queues take.
    pub outgrown: BTreeSet<String>,
    /// The way of each tunnel interface.
    pub paths: BTreeMap<Uuid, Path>,
    /// The host's addresses, by device number.
    pub addresses: BTreeSet<(u32, IpAddr)>,
    /// The number that each interface has, or that its row holds from an earlier run.
    pub ofports: HashMap<Uuid, u16>,
    /// Links that could not be opened: the device's number then, and why.
    pub failed: BTreeMap<String, (u32, String)>,
    /// The MTU that the internal ports of each bridge got last.
    pub bridge_mtus: BTreeMap<String, u32>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Let go of a link.  `removes_device` is for a TAP that is no longer wanted.
    Close {
        /// Its name.
        name: String,
        /// The device itself goes, too.
        removes_device: bool,
    },
    /// Make, or adopt, a TAP.
    OpenTap {
        /// Its name.
        name: String,
        /// Its address; none leaves it as it is, or makes one up.
        mac: Option<MacAddr>,
    },
    /// Take a NIC as bridge port.
    OpenPort {
        /// Its name.
        name: String,
        /// Its number.
        ifindex: u32,
    },
    /// Steer the tunnel packets of a NIC.
    OpenUnderlay {
        /// Its name.
        name: String,
        /// Its number.
        ifindex: u32,
    },
    /// Change a device's address.
    SetMac {
        /// Its name.
        name: String,
        /// Its new address.
        mac: MacAddr,
    },
    /// Change a device's MTU.
    SetMtu {
        /// Its name.
        name: String,
        /// Its new MTU.
        mtu: u32,
    },
    /// What an underlay steers to the datapath.
    SetVteps {
        /// The underlay.
        name: String,
        /// The local addresses whose tunnel packets are meant, in order.
        addresses: Vec<IpAddr>,
        /// The UDP ports at which tunnels listen, in order.
        udp_ports: Vec<u16>,
    },
}

impl Step {
    /// The link that comes or goes.
    fn opens_or_closes(&self) -> Option<&String> {
        match self {
            Self::Close { name, .. }
            | Self::OpenTap { name, .. }
            | Self::OpenPort { name, .. }
            | Self::OpenUnderlay { name, .. } => Some(name),
            Self::SetMac { .. } | Self::SetMtu { .. } | Self::SetVteps { .. } => None,
        }
    }
}

/// What carries a planned port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// The link of the interface's name.
    Link,
    /// A tunnel.
    Tunnel(Tunnel, Path),
    /// A patch port.
    Patch {
        /// The name that it has for its other end.
        peer: String,
        /// The interface of that name, when it is a patch port that names this one.
        other: Option<Uuid>,
    },
}

/// One interface that is to forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedPort {
    /// Its row.
    pub interface: Uuid,
    /// Its bridge.
    pub bridge: String,
    /// The name of its port: what spanning trees, mirrors and addresses belong to.
    pub port: PortName,
    /// The name of the interface, and of the device that it may have.
    pub name: String,
    /// Its number on the bridge.
    pub ofport: u16,
    /// What carries it.
    pub carrier: Carrier,
    /// Its VLANs.
    pub vlan: VlanConf,
    /// `other_config:split-horizon`.
    pub split_horizon: Option<String>,
    /// What of an internal port is for tunnels, when some of their packets may come to it.
    pub vtep: Option<Vtep>,
    /// What it gives its bridge, when it is a NIC.
    pub nic: Option<NicFacts>,
}

impl PlannedPort {
    /// A tunnel that leaves by one of `underlays` has no way any more.
    pub fn leave_underlays(&mut self, underlays: &BTreeSet<&String>) {
        if let Carrier::Tunnel(_, path) = &mut self.carrier
            && path.egress.as_ref().is_some_and(|egress| underlays.contains(&egress.name))
        {
            *path = Path::none("the device is on its way out");
        }
    }
}

/// What is to be planned anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    /// All interfaces but patch ports, since something has changed that they share.
    pub all: bool,
    /// These interfaces, whether they are wanted still or not.
    pub interfaces: BTreeSet<Uuid>,
}

impl Dirty {
    /// What has to do with these changes of the configuration.
    #[must_use]
    pub fn of(changed: &Touched, desired: &Desired) -> Self {
        let mut interfaces = changed.interfaces.clone();
        interfaces.extend(changed.peers.iter().filter_map(|peer| desired.patch(peer)));
        Self { all: changed.is_elsewhere, interfaces }
    }

    /// Everything.
    #[must_use]
    pub fn everything(desired: &Desired, installed: &Installed) -> Self {
        let wanted = desired.interfaces().map(|(_, _, interface)| interface.uuid);
        let planned = installed.ports.iter().map(|port| port.interface);
        let failed = installed.failures.keys().copied();
        Self { all: true, interfaces: wanted.chain(planned).chain(failed).collect() }
    }
}

/// The way from [`Observed`] to [`Desired`], as far as something is [`Dirty`].
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The interfaces that were planned anew; those that stand nowhere below are not wanted.
    pub planned: BTreeSet<Uuid>,
    /// How many interfaces were looked at, those that are as they were included.
    pub looked_at: usize,
    /// Links to let go of, after they carry nothing any more.
    pub close: Vec<Step>,
    /// The rest, in order.
    pub open: Vec<Step>,
    /// Interfaces that are to forward.
    pub ports: Vec<PlannedPort>,
    /// Interfaces that cannot: the text for `Interface.error`.
    pub failures: BTreeMap<Uuid, String>,
    /// Interfaces that can, but lead nowhere or lack what they ask for: the text for
    /// `Interface.error`.
    pub complaints: BTreeMap<Uuid, String>,
    /// The MTU that each bridge's internal ports get unless they ask for another; none when they
    /// were not looked at.
    pub bridge_mtus: Option<BTreeMap<String, u32>>,
    /// `mtu_request` of those of the interfaces looked at that have one.
    pub requested_mtus: BTreeMap<Uuid, u32>,
}

/// Works out the plan of what is dirty; all else stays as installed.  None when more is dirty than
/// that, since a fact changes that ports share: then plan with [`Dirty::all`].
#[must_use]
pub fn plan(
    desired: &Desired,
    observed: &Observed,
    installed: &Installed,
    dirty: &Dirty,
) -> Option<Plan> {
    plan_for(numbers::NUMBERS_MAX, desired, observed, installed, dirty)
}

/// The same, for a datapath that has `numbers_max` numbers for interfaces, and as many for bridges.
fn plan_for(
    numbers_max: usize,
    desired: &Desired,
    observed: &Observed,
    installed: &Installed,
    dirty: &Dirty,
) -> Option<Plan> {
    let mut planner = Planner::new(numbers_max, desired, observed, installed, dirty);
    planner.keep_open();
    planner.refuse();
    planner.links();
    planner.tunnels();
    planner.patches();
    planner.limit();
    if !dirty.all && planner.changes_shared_facts() {
        return None;
    }
    if dirty.all {
        planner.facts = Cow::Owned(SharedFacts::of(&planner.plan.ports));
    }
    planner.closing();
    planner.opening();
    planner.adjust();
    planner.number();
    planner.leave_out_what_stays();
    Some(planner.plan)
}

struct Planner<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    installed: &'a Installed,
    dirty: &'a Dirty,
    /// Numbers that the datapath has for interfaces, and as many for bridges.
    numbers_max: usize,
    /// The first bridge by name that gets no number.
    unnumbered: Option<&'a str>,
    /// All dirty interfaces that are wanted, but patch ports.
    looked: Vec<(&'a Bridge, &'a Port, &'a Interface)>,
    /// What ports share: as installed, or of all ports of this plan.
    facts: Cow<'a, SharedFacts>,
    plan: Plan,
    /// Links that are to be open.
    wanted: BTreeMap<String, OpenLink>,
}

/// What tunnels have claimed so far: the datapath must be able to tell whose a packet is.
#[derive(Default)]
struct Taken<'a> {
    identities: BTreeSet<Identity>,
    udp_ports: BTreeMap<u16, (Encap, &'a str)>,
}

impl<'a> Taken<'a> {
    /// Claims what a tunnel needs for itself; an error says who has it.
    fn take(&mut self, name: &'a str, tunnel: &Tunnel) -> Result<(), String> {
        if let Some(port) = tunnel.encap.udp_port() {
            let (encap, other) = self.udp_ports.entry(port).or_insert((tunnel.encap, name));
            if *encap != tunnel.encap {
                return Err(format!(
                    "{name}: packets to UDP port {port} are those of {other}, which is no {} \
                     tunnel: give one of them another dst_port",
                    tunnel.kind.name()
                ));
            }
        }
        if self.identities.insert(tunnel.identity()) {
            Ok(())
        } else {
            Err(format!("could not add network device {name} to ofproto (File exists)"))
        }
    }
}

impl<'a> Planner<'a> {
    fn new(
        numbers_max: usize,
        desired: &'a Desired,
        observed: &'a Observed,
        installed: &'a Installed,
        dirty: &'a Dirty,
    ) -> Self {
        let mut planned = dirty.interfaces.clone();
        let looked: Vec<_> = if dirty.all {
            planned.extend(desired.linked().map(|(_, _, interface)| interface.uuid));
            planned.extend(installed.ports.linked());
            planned.extend(installed.failures.keys());
            desired.linked().collect()
        } else {
            let wanted = planned.iter().filter_map(|row| desired.interface(row));
            wanted.filter(|(.., interface)| !matches!(interface.kind, Kind::Patch(_))).collect()
        };
        Self {
            desired,
            observed,
            installed,
            dirty,
            numbers_max,
            unnumbered: numbers::first_without_number(desired, numbers_max),
            looked,
            facts: Cow::Borrowed(installed.ports.facts()),
            plan: Plan { looked_at: planned.len(), planned, ..Plan::default() },
            wanted: BTreeMap::new(),
        }
    }

    fn fail(&mut self, interface: &Interface, text: String) {
        self.plan.failures.insert(interface.uuid, text);
    }

    fn push_port(&mut self, bridge: &Bridge, port: &Port, interface: &Interface, carrier: Carrier) {
        if let Some(text) = ignored::error(bridge, interface) {
            self.plan.complaints.entry(interface.uuid).or_insert(text);
        }
        self.plan.ports.push(PlannedPort {
            interface: interface.uuid,
            bridge: bridge.name.clone(),
            port: port.name.clone(),
            name: interface.name.clone(),
            ofport: 0,
            carrier,
            vlan: port.vlan.clone(),
            split_horizon: port.split_horizon.clone(),
            vtep: None,
            nic: self.nic_facts(interface),
        });
    }

    fn nic_facts(&self, interface: &Interface) -> Option<NicFacts> {
        if interface.kind != Kind::System {
            return None;
        }
        let device = self.observed.devices.get(&interface.name)?;
        let mac = Some(device.mac).filter(|mac| !mac.is_group() && !mac.is_zero());
        Some(NicFacts { mac, mtu: device.mtu })
    }

    /// The links of ports that are not dirty stay open, and all that only tunnels have to do with.
    fn keep_open(&mut self) {
        if self.dirty.all {
            return;
        }
        let of_ports = |link: &OpenLink| link.held != Held::Underlay;
        let installed = self.installed_ports().filter(|port| port.carrier == Carrier::Link);
        let mut own: BTreeSet<&str> = installed.map(|port| port.name.as_str()).collect();
        let has_link = |kind: &Kind| matches!(kind, Kind::Internal | Kind::System);
        let links = self.looked.iter().filter(|(.., interface)| has_link(&interface.kind));
        own.extend(links.map(|(.., interface)| interface.name.as_str()));
        let open = self.observed.open.iter();
        let stay = open.filter(|(name, link)| !(of_ports(link) && own.contains(name.as_str())));
        self.wanted = stay.map(|(name, link)| (name.clone(), *link)).collect();
    }

    /// What the dirty interfaces have been so far.
    fn installed_ports(&self) -> impl Iterator<Item = &'a PlannedPort> + use<'a, '_> {
        let installed = self.installed;
        self.plan.planned.iter().filter_map(|row| installed.ports.get(row))
    }

    /// Fails what is in bridges that cannot be, and looks at it no more.
    fn refuse(&mut self) {
        let looked = std::mem::take(&mut self.looked);
        for (bridge, port, interface) in looked {
            match self.fault(bridge) {
                Some(text) => self.fail(interface, text),
                None => self.looked.push((bridge, port, interface)),
            }
        }
    }

    /// Devices and TAPs that are ports.
    fn links(&mut self) {
        for (bridge, port, interface) in self.looked.clone() {
            let name = &interface.name;
            let link = match &interface.kind {
                Kind::Internal => {
                    let ifindex = self.observed.open.get(name).map_or(0, |open| open.ifindex);
                    OpenLink { held: Held::Tap, ifindex }
                }
                Kind::System => match self.foreign_device(name) {
                    Some(device) if device.is_loopback => {
                        let text = format!(
                            "could not add network device {name} to ofproto (Invalid argument)"
                        );
                        self.fail(interface, text);
                        continue;
                    }
                    Some(device) => OpenLink { held: Held::Port, ifindex: device.ifindex },
                    None => {
                        let text = format!("could not open network device {name} (No such device)");
                        self.fail(interface, text);
                        continue;
                    }
                },
                Kind::Tunnel(_) | Kind::Patch(_) => continue,
                Kind::Unusable(text) => {
                    self.fail(interface, text.clone());
                    continue;
                }
            };
            if let Some((ifindex, text)) = self.observed.failed.get(name)
                && *ifindex == link.ifindex
            {
                self.fail(interface, text.clone());
                continue;
            }
            self.wanted.insert(name.clone(), link);
            self.push_port(bridge, port, interface, Carrier::Link);
        }
    }

    /// A device of the host that is no TAP of ours: such a one is on its way out when its name is
    /// wanted for another kind of interface.
    fn foreign_device(&self, name: &str) -> Option<&Device> {
        let device = self.observed.devices.get(name)?;
        let open = self.observed.open.get(name);
        let is_tap =
            open.is_some_and(|open| open.held == Held::Tap && open.ifindex == device.ifindex);
        (!is_tap).then_some(device)
    }

    /// Tunnels, and the NICs that they use.
    fn tunnels(&mut self) {
        let looked = self.looked.iter();
        let mut all: Vec<_> = looked
            .filter_map(|(bridge, port, interface)| match &interface.kind {
                Kind::Tunnel(tunnel) => Some((*bridge, *port, *interface, tunnel)),
                _ => None,
            })
            .collect();
        // Whoever runs already stays; of two new ones the first by name wins.
        all.sort_by_key(|(bridge, _, interface, _)| {
            (self.number_before(bridge, &interface.uuid).is_none(), &interface.name)
        });
        let mut taken = Taken::default();
        let mut lost = false;
        for (bridge, port, interface, tunnel) in all {
            if let Err(text) = taken.take(&interface.name, tunnel) {
                self.fail(interface, text);
                continue;
            }
            let path = self.observed.paths.get(&interface.uuid).cloned();
            let mut path = path.unwrap_or_else(|| Path::none("the route is not known yet"));
            if tunnel.remote.is_none() {
                self.listen(tunnel.local);
            } else {
                match self.underlay(&path) {
                    Ok(Some((name, link))) => {
                        self.wanted.entry(name).or_insert(link);
                        self.listen_on(&path.nics);
                    }
                    Ok(None) => lost = true,
                    Err(reason) => path = Path { egress: path.egress, ..Path::none(reason) },
                }
            }
            self.push_port(bridge, port, interface, Carrier::Tunnel(tunnel.clone(), path));
        }
        // A route that flaps must not tear down the sockets of the NIC it used.
        if lost {
            for (name, open) in &self.observed.open {
                let device = self.observed.devices.get(name).map(|device| device.ifindex);
                if open.held == Held::Underlay && device == Some(open.ifindex) {
                    self.wanted.entry(name.clone()).or_insert(*open);
                }
            }
        }
    }

    /// Patch ports.  One whose other end is not there, or names another, is a port all the same.
    fn patches(&mut self) {
        let desired = self.desired;
        for row in self.plan.planned.clone() {
            let Some((bridge, port, interface)) = desired.interface(&row) else { continue };
            let Kind::Patch(peer) = &interface.kind else { continue };
            if let Some(text) = self.fault(bridge) {
                self.fail(interface, text);
                continue;
            }
            let other = desired.patch(peer).filter(|other| {
                let other = desired.interface(other);
                other.is_some_and(|(bridge, _, other)| {
                    self.fault(bridge).is_none()
                        && other.kind == Kind::Patch(interface.name.clone())
                })
            });
            if other.is_none() {
                let datapath = &bridge.datapath_type;
                let text = format!("No usable peer '{peer}' exists in '{datapath}' datapath.");
                self.plan.complaints.insert(interface.uuid, text);
            }
            self.push_port(bridge, port, interface, Carrier::Patch { peer: peer.clone(), other });
        }
    }

    /// Packets of a tunnel that takes them from anywhere come in by any NIC that has its address.
    fn listen(&mut self, local: Local) {
        if !self.dirty.all {
            // It is one of several, or a new fact.
            return;
        }
        let is_meant = |address| local.address().is_none_or(|local| local == address);
        for (name, device) in &self.observed.devices {
            if addresses_of(&self.observed.addresses, device.ifindex).any(is_meant) {
                self.steer(name, device.ifindex);
            }
        }
    }

    /// Packets of a tunnel may come in by any of these NICs.
    fn listen_on(&mut self, nics: &BTreeSet<Nic>) {
        for (name, ifindex) in nics {
            self.steer(name, *ifindex);
        }
    }

    /// Wants tunnel packets of a NIC, unless it is none, or is wanted for something else.
    fn steer(&mut self, name: &str, ifindex: u32) {
        let Some(device) = self.foreign_device(name).filter(|it| it.ifindex == ifindex) else {
            return;
        };
        let has_failed = self.observed.failed.get(name).is_some_and(|(at, _)| *at == ifindex);
        if !device.is_loopback && !device.mac.is_zero() && !has_failed {
            let link = OpenLink { held: Held::Underlay, ifindex };
            self.wanted.entry(name.to_owned()).or_insert(link);
        }
    }

    /// The NIC that a tunnel needs; an error when it cannot be had.
    fn underlay(&self, path: &Path) -> Result<Option<(String, OpenLink)>, String> {
        let Some(egress) = &path.egress else { return Ok(None) };
        let name = &egress.name;
        if let Some(link) = self.wanted.get(name)
            && link.held != Held::Underlay
        {
            if link.held == Held::Tap {
                return Ok(Some((name.clone(), *link)));
            }
            return Err(format!(
                "the route leaves by {name}, which is a port of a bridge: give its addresses to an \
                 internal port of that bridge"
            ));
        }
        if let Some((ifindex, text)) = self.observed.failed.get(name)
            && *ifindex == egress.ifindex
        {
            return Err(text.clone());
        }
        Ok(Some((name.clone(), OpenLink { held: Held::Underlay, ifindex: egress.ifindex })))
    }

    /// Links that are not wanted any more, or not as they are.
    fn closing(&mut self) {
        for (name, open) in &self.observed.open {
            if self.wanted.get(name) != Some(open) || self.observed.outgrown.contains(name) {
                let removes_device = open.held == Held::Tap;
                self.plan.close.push(Step::Close { name: name.clone(), removes_device });
            }
        }
    }

    /// Links that are wanted and not open.
    fn opening(&mut self) {
        let macs = self.wanted_macs();
        for (name, link) in &self.wanted {
            let is_open = self.observed.open.get(name) == Some(link);
            if is_open && !self.observed.outgrown.contains(name) {
                continue;
            }
            let (name, ifindex) = (name.clone(), link.ifindex);
            self.plan.open.push(match link.held {
                Held::Tap => Step::OpenTap { mac: macs.get(&name).copied(), name },
                Held::Port => Step::OpenPort { name, ifindex },
                Held::Underlay => Step::OpenUnderlay { name, ifindex },
            });
        }
    }

    /// The addresses that internal ports are to have, where something decides that.
    fn wanted_macs(&self) -> BTreeMap<String, MacAddr> {
        let mut macs = BTreeMap::new();
        for (bridge, _, interface) in &self.looked {
            if interface.kind != Kind::Internal {
                continue;
            }
            let mac = if interface.is_local(bridge) {
                bridge.hwaddr.or_else(|| self.facts.nic_mac(&bridge.name))
            } else {
                interface.mac
            };
            macs.extend(mac.map(|mac| (interface.name.clone(), mac)));
        }
        macs
    }

    /// Addresses, MTUs and VTEPs of links that are, or will be, open.
    fn adjust(&mut self) {
        let macs = self.wanted_macs();
        let mtus = self.dirty.all.then(|| {
            let bridges = self.desired.bridges.values();
            bridges.map(|bridge| (bridge.name.clone(), self.bridge_mtu(bridge))).collect()
        });
        let mtu_of = |bridge: &Bridge| {
            mtus.as_ref().unwrap_or(&self.installed.bridge_mtus).get(&bridge.name).copied()
        };
        let mut steps = Vec::new();
        let mut requested = BTreeMap::new();
        for (bridge, _, interface) in &self.looked {
            if !matches!(interface.kind, Kind::Tunnel(_)) {
                let mtu = mtu_of(bridge).unwrap_or(MTU_DEFAULT);
                requested.extend(interface.mtu_request.map(|mtu| (interface.uuid, mtu)));
                steps.extend(self.set_mac(interface, macs.get(&interface.name)));
                steps.extend(self.set_mtu(bridge, interface, mtu));
            }
        }
        self.plan.bridge_mtus = mtus;
        self.plan.requested_mtus = requested;
        if self.dirty.all {
            let udp_ports = self.facts.udp_ports();
            let links = self.wanted.iter().filter(|(_, link)| link.held == Held::Underlay);
            steps.extend(links.map(|(name, link)| Step::SetVteps {
                name: name.clone(),
                addresses: self.vteps(name, link.ifindex).into_iter().collect(),
                udp_ports: udp_ports.clone(),
            }));
        }
        self.plan.open.extend(steps);
        self.mark_vteps();
    }

    /// The device of an open TAP that is still in sight.
    fn tap_device(&self, name: &str) -> Option<&Device> {
        let open = self.observed.open.get(name).filter(|open| open.held == Held::Tap)?;
        self.observed.devices.get(name).filter(|device| device.ifindex == open.ifindex)
    }

    fn set_mac(&self, interface: &Interface, mac: Option<&MacAddr>) -> Option<Step> {
        let mac = *mac?;
        let device = self.tap_device(&interface.name)?;
        (device.mac != mac).then(|| Step::SetMac { name: interface.name.clone(), mac })
    }

    /// `mtu_request` always wins.  Otherwise an internal port follows its bridge, also when it has
    /// just been taken back; but an MTU that the operator gave the device himself stays, unless it is
    /// too large.
    fn set_mtu(&self, bridge: &Bridge, interface: &Interface, bridge_mtu: u32) -> Option<Step> {
        let name = &interface.name;
        let link = self.wanted.get(name)?;
        let device = match link.held {
            Held::Tap => self.tap_device(name),
            Held::Port => self.observed.devices.get(name),
            Held::Underlay => None,
        };
        // A TAP that is made by this very plan has no device yet and is born with the default.
        let now = device.map_or(MTU_DEFAULT, |device| device.mtu);
        let wanted = match interface.mtu_request {
            Some(mtu) => mtu,
            None if link.held == Held::Tap => {
                let last = self.observed.bridge_mtus.get(&bridge.name).copied();
                let follows = now == last.unwrap_or(MTU_DEFAULT)
                    || self.installed.requested_mtus.get(&interface.uuid) == Some(&now);
                if now > bridge_mtu || follows { bridge_mtu } else { now }
            }
            None => now,
        };
        (wanted != now).then(|| Step::SetMtu { name: name.clone(), mtu: wanted })
    }

    /// Addresses of a device that remote ends may send to.
    fn vteps(&self, name: &str, ifindex: u32) -> BTreeSet<IpAddr> {
        self.facts.vteps(name, addresses_of(&self.observed.addresses, ifindex))
    }

    /// What was looked at only because something else changed, and is as it was, needs nothing.
    fn leave_out_what_stays(&mut self) {
        let steps = self.plan.close.iter().chain(&self.plan.open);
        let moving: BTreeSet<&String> = steps.filter_map(Step::opens_or_closes).collect();
        let moves = |port: &PlannedPort| match &port.carrier {
            Carrier::Link => moving.contains(&port.name),
            Carrier::Tunnel(_, path) => {
                path.egress.as_ref().is_some_and(|egress| moving.contains(&egress.name))
            }
            Carrier::Patch { .. } => false,
        };
        let stays = |port: &PlannedPort| {
            let row = &port.interface;
            !self.dirty.interfaces.contains(row)
                && !moves(port)
                && self.installed.ports.get(row) == Some(port)
                && self.installed.error(row) == self.plan.complaints.get(row)
        };
        let staying: BTreeSet<Uuid> =
            self.plan.ports.iter().filter(|port| stays(port)).map(|port| port.interface).collect();
        self.plan.ports.retain(|port| !staying.contains(&port.interface));
        self.plan.planned.retain(|row| !staying.contains(row));
        self.plan.complaints.retain(|row, _| !staying.contains(row));
    }
}

mod shared;

#[cfg(test)]
mod change_tests;

mod numbers;
pub use numbers::NUMBERS_MAX;

mod underlay;

#[cfg(test)]
mod tests;
