//! The facts that ports share: a change of one port is a change of all when it changes one of these.
//!
//! A tunnel needs NICs that steer its packets to us, at addresses and UDP ports; it leaves an MTU to
//! its bridge.  A NIC gives its bridge an address and an MTU.  Mostly many ports say the same, so that
//! one more, or one less, changes nothing for the others.  [`SharedFacts`] counts who says what.

use crate::config::tunnel::{Identity, Tunnel};
use crate::plan::path::{Nic, Path};
use crate::plan::{Carrier, PlannedPort};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use uuid::Uuid;
use weft_switch::{Encap, Local};
use weft_wire::mac::MacAddr;

/// No internal port gets a smaller MTU from us, however narrow its tunnels are (RFC 791: what every
/// device must take).
const MTU_MIN: u32 = 68;

/// Something that a tunnel says, and that other ports act on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// Packets leave by the device of this name.
    Egress(String),
    /// Packets may come in by this NIC.
    Nic(Nic),
    /// The tunnel has no way: its packets may come in anywhere.
    Lost,
    /// Packets are taken from anybody, at these addresses.
    Anybody(Local),
    /// The address that packets are sent from, and so sent to.
    Vtep(IpAddr),
    /// Packets are taken at all addresses of the device of this name; of every device without one.
    AllAddresses(Option<String>),
    /// Packets are taken at this UDP port.
    UdpPort(u16, Encap),
    /// On this bridge is a tunnel by this device, of this MTU; none while it is not known.
    Mtu(String, Option<String>, Option<u32>),
}

/// How many ports say each thing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counted<K: Ord>(BTreeMap<K, usize>);

impl<K: Ord> Default for Counted<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Counted<K> {
    fn add(&mut self, key: K) {
        *self.0.entry(key).or_default() += 1;
    }

    fn take(&mut self, key: &K) {
        if let Some(count) = self.0.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(key);
            }
        }
    }

    fn has(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// True when somebody says so still after those that say `less` were replaced by those that say
    /// `more`.
    fn has_after(&self, less: &Self, more: &Self, key: &K) -> bool {
        more.has(key) || self.0.get(key) > Some(less.0.get(key).unwrap_or(&0))
    }

    /// True when the same things are said after that, by whomever.
    fn outlasts(&self, less: &Self, more: &Self) -> bool {
        more.0.keys().all(|key| self.has(key))
            && less.0.keys().all(|key| self.has_after(less, more, key))
    }
}

/// The address and the MTU that a NIC gives its bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NicFacts {
    /// Its address, if that is the address of one station.
    pub mac: Option<MacAddr>,
    /// Its MTU.
    pub mtu: u32,
}

/// What the NICs of a bridge say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NicCounts {
    macs: Counted<MacAddr>,
    mtus: Counted<u32>,
}

impl NicCounts {
    fn smallest(&self) -> (Option<MacAddr>, Option<u32>) {
        (self.macs.0.keys().next().copied(), self.mtus.0.keys().next().copied())
    }

    /// What is the smallest after those of `less` were replaced by those of `more`.
    fn smallest_after(&self, less: &Self, more: &Self) -> (Option<MacAddr>, Option<u32>) {
        fn smallest<K: Ord + Copy>([all, less, more]: [&Counted<K>; 3]) -> Option<K> {
            let stay = all.0.keys().find(|key| all.has_after(less, more, key));
            stay.into_iter().chain(more.0.keys().next()).min().copied()
        }
        (
            smallest([&self.macs, &less.macs, &more.macs]),
            smallest([&self.mtus, &less.mtus, &more.mtus]),
        )
    }

    fn is_empty(&self) -> bool {
        self.mtus.0.is_empty()
    }
}

/// All that ports share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedFacts {
    tunnels: Counted<Fact>,
    /// By bridge.
    nics: BTreeMap<String, NicCounts>,
    /// Tunnels by what tells them apart.
    owners: HashMap<Identity, Uuid>,
}

impl SharedFacts {
    /// What all these ports say.
    pub fn of<'a>(ports: impl IntoIterator<Item = &'a PlannedPort>) -> Self {
        let mut facts = Self::default();
        ports.into_iter().for_each(|port| facts.add(port));
        facts
    }

    /// Counts a port in.
    pub fn add(&mut self, port: &PlannedPort) {
        each_fact(port, |fact| self.tunnels.add(fact));
        if let Some(nic) = &port.nic {
            let counts = self.nics.entry(port.bridge.clone()).or_default();
            counts.mtus.add(nic.mtu);
            nic.mac.into_iter().for_each(|mac| counts.macs.add(mac));
        }
        if let Carrier::Tunnel(tunnel, _) = &port.carrier {
            self.owners.insert(tunnel.identity(), port.interface);
        }
    }

    /// Counts a port out that was counted in.
    pub fn take(&mut self, port: &PlannedPort) {
        each_fact(port, |fact| self.tunnels.take(&fact));
        if let Some(nic) = &port.nic
            && let Some(counts) = self.nics.get_mut(&port.bridge)
        {
            counts.mtus.take(&nic.mtu);
            nic.mac.iter().for_each(|mac| counts.macs.take(mac));
            if counts.is_empty() {
                self.nics.remove(&port.bridge);
            }
        }
        if let Carrier::Tunnel(tunnel, _) = &port.carrier
            && self.owner(&tunnel.identity()) == Some(&port.interface)
        {
            self.owners.remove(&tunnel.identity());
        }
    }

    /// True when nothing changes for other ports if those that `go` are replaced by those that `come`:
    /// tunnels need and leave the same, NICs give their bridges the same, no tunnel has to do with a
    /// device that comes or goes, and no two tunnels would be the same.
    #[must_use]
    pub fn outlast(&self, go: &[&PlannedPort], come: &[&PlannedPort]) -> bool {
        let less = Self::of(go.iter().copied());
        let more = Self::of(come.iter().copied());
        let bridges: BTreeSet<_> = less.nics.keys().chain(more.nics.keys()).collect();
        let none = NicCounts::default();
        let same_nics = |bridge: &String| {
            let [all, less, more] =
                [self, &less, &more].map(|facts| facts.nics.get(bridge).unwrap_or(&none));
            all.smallest() == all.smallest_after(less, more)
        };
        self.tunnels.outlasts(&less.tunnels, &more.tunnels)
            && bridges.into_iter().all(same_nics)
            && more.owners.keys().all(|identity| {
                self.owner(identity).is_none() || less.owners.contains_key(identity)
            })
            && !go.iter().chain(come).any(|port| self.concerns_device(port))
    }

    /// True when tunnels have to do with the device of this port.
    fn concerns_device(&self, port: &PlannedPort) -> bool {
        port.carrier == Carrier::Link
            && (self.uses(&port.name) || port.nic.is_some() && self.is_open_to_all())
    }

    /// The row of the tunnel that the datapath takes for this one.
    #[must_use]
    pub fn owner(&self, identity: &Identity) -> Option<&Uuid> {
        self.owners.get(identity)
    }

    /// The smallest address of a bridge's NICs.
    #[must_use]
    pub fn nic_mac(&self, bridge: &str) -> Option<MacAddr> {
        self.nics.get(bridge)?.smallest().0
    }

    /// The smallest MTU of a bridge's NICs.
    #[must_use]
    pub fn nic_mtu(&self, bridge: &str) -> Option<u32> {
        self.nics.get(bridge)?.smallest().1
    }

    /// True when some tunnel has to do with the device of this name.
    #[must_use]
    pub fn uses(&self, name: &str) -> bool {
        self.tunnels.0.keys().any(|fact| match fact {
            Fact::Egress(of) | Fact::Nic((of, _)) | Fact::AllAddresses(Some(of)) => of == name,
            _ => false,
        })
    }

    /// True when packets leave by the device of this name.
    #[must_use]
    pub fn leaves_by(&self, name: &str) -> bool {
        self.tunnels.has(&Fact::Egress(name.to_owned()))
    }

    /// True when any device might be one that packets come in by.
    #[must_use]
    pub fn is_open_to_all(&self) -> bool {
        self.tunnels.0.keys().any(|fact| matches!(fact, Fact::Lost | Fact::Anybody(_)))
    }

    /// True when there is no tunnel.
    #[must_use]
    pub fn has_no_tunnels(&self) -> bool {
        self.tunnels.0.is_empty()
    }

    /// Addresses that remote ends may send to by the device of this name, which has those of `here`:
    /// what tunnels use as source, and, where a tunnel does not say which, all of the device.
    pub fn vteps(&self, name: &str, here: impl Iterator<Item = IpAddr>) -> BTreeSet<IpAddr> {
        let vteps = self.tunnels.0.keys().filter_map(|fact| match fact {
            Fact::Vtep(address) => Some(*address),
            _ => None,
        });
        let takes_all =
            |device: Option<&str>| self.tunnels.has(&Fact::AllAddresses(device.map(str::to_owned)));
        // A tunnel without a way may come back by any NIC: its packets are still awaited.
        let takes_all = takes_all(None) || takes_all(Some(name));
        vteps.chain(here.filter(|_| takes_all)).collect()
    }

    /// The UDP ports at which tunnels listen, in order.
    #[must_use]
    pub fn udp_ports(&self) -> Vec<u16> {
        let ports = self.tunnels.0.keys().filter_map(|fact| match fact {
            Fact::UdpPort(port, _) => Some(*port),
            _ => None,
        });
        ports.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The MTUs that the tunnels of a bridge leave, with the device that each leaves by.
    pub fn mtus<'a>(
        &'a self,
        bridge: &'a str,
    ) -> impl Iterator<Item = (Option<&'a str>, Option<u32>)> {
        self.tunnels.0.keys().filter_map(move |fact| match fact {
            Fact::Mtu(of, device, mtu) if of == bridge => Some((device.as_deref(), *mtu)),
            _ => None,
        })
    }
}

fn each_fact(port: &PlannedPort, mut say: impl FnMut(Fact)) {
    let Carrier::Tunnel(tunnel, path) = &port.carrier else { return };
    let egress = path.egress.as_ref().map(|egress| &egress.name);
    if let Some(name) = egress {
        say(Fact::Egress(name.clone()));
    }
    path.nics.iter().for_each(|nic| say(Fact::Nic(nic.clone())));
    if tunnel.remote.is_none() {
        say(Fact::Anybody(tunnel.local));
    } else if egress.is_none() {
        say(Fact::Lost);
    }
    say_addresses(tunnel, path, &mut say);
    if let Some(port) = tunnel.encap.udp_port() {
        say(Fact::UdpPort(port, tunnel.encap));
    }
    let mtu = (path.mtu > 0).then(|| tunnel.effective_mtu(path.mtu).max(MTU_MIN));
    if mtu.is_some() || tunnel.remote.is_some() {
        say(Fact::Mtu(port.bridge.clone(), egress.cloned(), mtu));
    }
}

fn say_addresses(tunnel: &Tunnel, path: &Path, say: &mut impl FnMut(Fact)) {
    let local = tunnel.local.address();
    if let Some(address) = local.or(path.source) {
        say(Fact::Vtep(address));
    }
    if local.is_some() {
        return;
    }
    let devices: BTreeSet<Option<&String>> = match &path.egress {
        None => BTreeSet::from([None]),
        Some(egress) => std::iter::once(&egress.name)
            .chain(path.nics.iter().map(|(name, _)| name))
            .map(Some)
            .collect(),
    };
    for device in devices {
        say(Fact::AllAddresses(device.cloned()));
    }
}
