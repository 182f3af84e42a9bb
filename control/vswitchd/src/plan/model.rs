//! What plans are made of: what is observed, what is dirty, and what is to be done.

use super::facts::NicFacts;
use super::installed::Installed;
use crate::config::desired::Desired;
use crate::config::desired::cache::Changed;
use crate::config::names::PortName;
use crate::config::tunnel::Tunnel;
use crate::plan::path::Path;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use uuid::Uuid;
use weft_switch::{VlanConf, Vtep};
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
    pub(super) fn opens_or_closes(&self) -> Option<&String> {
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
    pub fn of(changed: &Changed, desired: &Desired) -> Self {
        let mut interfaces = changed.interfaces.clone();
        interfaces.extend(changed.peers.iter().filter_map(|peer| desired.patch(peer)));
        Self { all: changed.shared, interfaces }
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
