//! Which tunnel port a received packet belongs to.

use crate::tunnel::{Encap, InKey, Local, TunnelConf, TunnelKey};
use crate::{DropReason, PortId};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

/// What a tunnel names, and what it leaves open.
///
/// The order is that of look-ups, most specific first, as Open vSwitch 3.1 has it: the key weighs
/// more than the remote address, and that more than the local one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Shape {
    any_key: bool,
    any_remote: bool,
    local: Locality,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Locality {
    Address,
    Any,
    Flow,
}

impl Shape {
    fn of(tunnel: &TunnelConf) -> Self {
        Self {
            any_key: tunnel.in_key == InKey::Any,
            any_remote: tunnel.remote.is_none(),
            local: match tunnel.local {
                Local::Address(_) => Locality::Address,
                Local::Any => Locality::Any,
                Local::Flow => Locality::Flow,
            },
        }
    }

    /// Distinct for each shape, 0 to 15.
    const fn code(self) -> u64 {
        self.any_key as u64 | (self.any_remote as u64) << 1 | (self.local as u64) << 2
    }

    /// What a tunnel of this shape looks like to which the packet belongs.
    fn pattern(self, encap: Encap, remote: u128, local: u128, key: u32) -> Pattern {
        let (kind, udp_port) = match encap {
            Encap::Gre => (0, 0),
            Encap::Geneve { udp_port } => (1, udp_port),
            Encap::Vxlan { udp_port } => (2, udp_port),
        };
        let key = if self.any_key { 0 } else { key };
        Pattern {
            remote: if self.any_remote { 0 } else { remote },
            local: if self.local == Locality::Address { local } else { 0 },
            rest: u64::from(key) | u64::from(udp_port) << 32 | kind << 48 | self.code() << 56,
        }
    }
}

/// What a tunnel accepts, as numbers that hash in a few instructions: addresses, IPv4 as mapped
/// and 0 for any; key, UDP port, encapsulation and shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pattern {
    remote: u128,
    local: u128,
    rest: u64,
}

impl Hash for Pattern {
    /// One word instead of five.  Only what is configured is ever in the table, so nobody can fill
    /// it with patterns that collide.
    #[expect(clippy::cast_possible_truncation, reason = "each half is taken")]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mixed = (self.remote as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ ((self.remote >> 64) as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
            ^ (self.local as u64).wrapping_mul(0x1656_67b1_9e37_79f9)
            ^ ((self.local >> 64) as u64).wrapping_mul(0xd6e8_feb8_6659_fd93)
            ^ self.rest.wrapping_mul(0xa076_1d64_78bd_642f);
        state.write_u64(mixed);
    }
}

const fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Which tunnel port a received packet belongs to.  A look-up costs one probe for each shape of
/// tunnel in use, mostly one and at most twelve, however many tunnels there are.
#[derive(Debug, Default)]
pub struct TunnelTable {
    ports: HashMap<Pattern, PortId, foldhash::fast::RandomState>,
    /// The patterns with their keys left open, to tell a wrong key from a wrong address.
    ends: HashSet<Pattern, foldhash::fast::RandomState>,
    /// In use, most specific first.
    shapes: Vec<Shape>,
    /// UDP ports that tunnels listen on, in order: mostly one or two.
    udp_ports: Vec<(u16, Encap)>,
    clamps_mss: bool,
}

impl TunnelTable {
    /// The table of these tunnels.  Of two with equal patterns, or with one UDP port for different
    /// encapsulations, the first wins; control refuses the second.
    pub fn new<'a>(tunnels: impl IntoIterator<Item = (PortId, &'a TunnelConf)>) -> Self {
        let mut table = Self::default();
        let mut udp_ports = BTreeMap::new();
        for (port, tunnel) in tunnels {
            let shape = Shape::of(tunnel);
            let remote = tunnel.remote.map_or(0, number);
            let local = tunnel.local.address().map_or(0, number);
            let key = if let InKey::Exact(key) = tunnel.in_key { key } else { 0 };
            let pattern = shape.pattern(tunnel.encap, remote, local, key);
            table.ports.entry(pattern).or_insert(port);
            let keyless = Shape { any_key: true, ..shape };
            table.ends.insert(keyless.pattern(tunnel.encap, remote, local, 0));
            if !table.shapes.contains(&shape) {
                table.shapes.push(shape);
            }
            table.clamps_mss |= tunnel.clamps_mss;
            if let Some(udp_port) = tunnel.encap.udp_port() {
                udp_ports.entry(udp_port).or_insert(tunnel.encap);
            }
        }
        table.shapes.sort_unstable();
        table.udp_ports = udp_ports.into_iter().collect();
        table
    }

    /// True when some tunnel lowers the MSS of TCP.
    #[must_use]
    #[inline]
    pub const fn clamps_mss(&self) -> bool {
        self.clamps_mss
    }

    /// What arrives at a UDP port, if tunnels listen there.
    #[must_use]
    #[inline]
    pub fn at_udp_port(&self, udp_port: u16) -> Option<Encap> {
        let found = self.udp_ports.binary_search_by_key(&udp_port, |(port, _)| *port).ok()?;
        self.udp_ports.get(found).map(|(_, encap)| *encap)
    }

    /// The port that takes a packet, most specific tunnel first.
    ///
    /// # Errors
    ///
    /// [`DropReason::Key`] or [`DropReason::Vni`] when only the key is wrong,
    /// [`DropReason::NoTunnel`] otherwise.
    #[inline]
    pub fn find(&self, packet: TunnelKey) -> Result<PortId, DropReason> {
        let (remote, local) = (number(packet.remote), number(packet.local));
        let key = packet.key.unwrap_or(0);
        for shape in &self.shapes {
            if let Some(&port) = self.ports.get(&shape.pattern(packet.encap, remote, local, key)) {
                return Ok(port);
            }
        }
        Err(self.why_not(packet))
    }

    #[cold]
    fn why_not(&self, packet: TunnelKey) -> DropReason {
        let (remote, local) = (number(packet.remote), number(packet.local));
        let knows = self.shapes.iter().any(|shape| {
            let keyless = Shape { any_key: true, ..*shape };
            self.ends.contains(&keyless.pattern(packet.encap, remote, local, 0))
        });
        match (knows, packet.encap) {
            (false, _) => DropReason::NoTunnel,
            (true, Encap::Gre) => DropReason::Key,
            (true, Encap::Geneve { .. } | Encap::Vxlan { .. }) => DropReason::Vni,
        }
    }
}
