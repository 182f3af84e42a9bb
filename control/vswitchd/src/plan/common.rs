//! What ports have in common with others: the reason why a change of one may be a change of all.
//!
//! A tunnel needs NICs that steer its packets to us, at addresses and UDP ports, and leaves room for
//! so much on its bridge.  Mostly many tunnels need the same, so that one more, or one less, changes
//! nothing but itself; [`Common`] counts, to see when it does.

use crate::config::tunnel_options::Tunnel;
use crate::plan::{Carrier, PlannedPort};
use crate::underlay::tunnels::{Nic, Path};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use weft_switch::{Encap, Local};

/// No internal port gets a smaller MTU from us, however narrow its tunnels are (RFC 791: what every
/// device must take).
const MTU_MIN: u32 = 68;

/// Something that a tunnel needs, or leaves, and others may as well.
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

/// How many ports each fact is true of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common(BTreeMap<Fact, usize>);

impl Common {
    /// That of all these ports.
    pub fn of<'a>(ports: impl IntoIterator<Item = &'a PlannedPort>) -> Self {
        let mut common = Self::default();
        ports.into_iter().for_each(|port| common.add(port));
        common
    }

    /// Counts a port in.
    pub fn add(&mut self, port: &PlannedPort) {
        each_fact(port, |fact| *self.0.entry(fact).or_default() += 1);
    }

    /// Counts a port out that was counted in.
    pub fn take(&mut self, port: &PlannedPort) {
        each_fact(port, |fact| {
            if let Some(count) = self.0.get_mut(&fact) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(&fact);
                }
            }
        });
    }

    /// True when the same would be true of some port if those that `go` were replaced by those that
    /// `come`.
    pub fn outlasts<'a>(
        &self,
        go: impl Iterator<Item = &'a PlannedPort>,
        come: impl Iterator<Item = &'a PlannedPort>,
    ) -> bool {
        let (mut less, mut more): (BTreeMap<_, usize>, BTreeSet<_>) = Default::default();
        go.for_each(|port| each_fact(port, |fact| *less.entry(fact).or_default() += 1));
        come.for_each(|port| each_fact(port, |fact| more.extend([fact])));
        more.iter().all(|fact| self.0.contains_key(fact))
            && less
                .iter()
                .all(|(fact, count)| more.contains(fact) || self.0.get(fact) > Some(count))
    }

    /// True when some tunnel has to do with the device of this name.
    #[must_use]
    pub fn uses(&self, name: &str) -> bool {
        self.0.keys().any(|fact| match fact {
            Fact::Egress(of) | Fact::Nic((of, _)) | Fact::AllAddresses(Some(of)) => of == name,
            _ => false,
        })
    }

    /// True when packets leave by the device of this name.
    #[must_use]
    pub fn leaves_by(&self, name: &str) -> bool {
        self.0.contains_key(&Fact::Egress(name.to_owned()))
    }

    /// True when any device might be one that packets come in by.
    #[must_use]
    pub fn is_open_to_all(&self) -> bool {
        self.0.keys().any(|fact| matches!(fact, Fact::Lost | Fact::Anybody(_)))
    }

    /// True when there is no tunnel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Addresses that remote ends may send to by the device of this name, which has those of `here`:
    /// what tunnels use as source, and, where a tunnel does not say which, all of the device.
    pub fn vteps(&self, name: &str, here: impl Iterator<Item = IpAddr>) -> BTreeSet<IpAddr> {
        let vteps = self.0.keys().filter_map(|fact| match fact {
            Fact::Vtep(address) => Some(*address),
            _ => None,
        });
        let takes_all = |device: Option<&str>| {
            self.0.contains_key(&Fact::AllAddresses(device.map(str::to_owned)))
        };
        // A tunnel without a way may come back by any NIC: its packets are still awaited.
        let takes_all = takes_all(None) || takes_all(Some(name));
        vteps.chain(here.filter(|_| takes_all)).collect()
    }

    /// The UDP ports at which tunnels listen, in order.
    #[must_use]
    pub fn udp_ports(&self) -> Vec<u16> {
        let ports = self.0.keys().filter_map(|fact| match fact {
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
        self.0.keys().filter_map(move |fact| match fact {
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
