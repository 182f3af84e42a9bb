//! Tunnels as the datapath sees them: how to recognise one, and the header to put in front.

use crate::stage::Template;
use crate::{DropReason, LinkId, PortId};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use weft_wire::mac::MacAddr;

/// Bytes that the largest outer header takes: Ethernet with a tag, IPv6, GRE with all options or
/// Geneve with some.  What a [`crate::FrameBuf`] should offer as headroom.
pub const HEADROOM_BYTES: usize = 192;

/// Which GRE options a tunnel sends (RFC 2784, 2890).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GreConf {
    /// `options:csum`: send a checksum.  One that is received is always verified.
    pub csum: bool,
}

/// `options:key` and `options:in_key` on receive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InKey {
    /// No key, or key 0.
    #[default]
    None,
    /// This key.
    Exact(u32),
    /// Any key, or none (`flow`).
    Any,
}

/// Where to send the packets of a tunnel: the answer of route and neighbour tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The underlay link.
    pub link: LinkId,
    /// The outer source address, as the route says, unless `options:local_ip` does.
    pub source: IpAddr,
    /// The MAC address of the underlay link.
    pub source_mac: MacAddr,
    /// The MAC address of the next hop.
    pub target_mac: MacAddr,
    /// The largest outer IP packet that the route takes, in bytes.
    pub mtu: u32,
}

/// Whether packets of a tunnel can be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// There is a next hop.
    Ready(NextHop),
    /// The neighbour is being asked for: frames wait, a bounded number of them.
    Resolving,
    /// No route, or the neighbour does not answer: frames are dropped.
    #[default]
    Unreachable,
}

/// One tunnel, as configured.
#[derive(Clone, Debug)]
pub struct TunnelConf {
    /// `options:remote_ip`.
    pub remote: IpAddr,
    /// `options:local_ip`; `None` accepts packets to any local VTEP address.
    pub local: Option<IpAddr>,
    /// Keys to accept.
    pub in_key: InKey,
    /// Key to send.
    pub out_key: Option<u32>,
    /// GRE options.
    pub gre: GreConf,
    /// `options:ttl`, 1 to 255.
    pub ttl: u8,
    /// `options:tos`: the outer TOS or traffic class; its ECN bits come from the inner frame.
    pub tos: u8,
    /// `options:df_default`: set Don't Fragment in the outer IPv4 header.
    pub df: bool,
    /// Whether, and where to, packets can be sent.
    pub reach: Reach,
    /// The outer headers, worked out when the snapshot is built.
    pub(crate) template: Template,
}

impl TunnelConf {
    /// A GRE tunnel with the defaults of Open vSwitch: no key, no checksum, TTL 64, TOS 0, DF.
    #[must_use]
    pub fn gre(remote: IpAddr) -> Self {
        Self {
            remote,
            local: None,
            in_key: InKey::None,
            out_key: None,
            gre: GreConf::default(),
            ttl: 64,
            tos: 0,
            df: true,
            reach: Reach::Unreachable,
            template: Template::default(),
        }
    }

    /// Bytes that this tunnel adds inside the underlay's MTU: outer IP header, GRE header and the
    /// inner Ethernet header.  The largest inner IP packet is the underlay's MTU less this.
    #[must_use]
    pub const fn overhead_bytes(&self) -> usize {
        let ip = if self.remote.is_ipv4() { 20 } else { 40 };
        let key = if self.out_key.is_some() { 4 } else { 0 };
        let csum = if self.gre.csum { 4 } else { 0 };
        ip + 4 + key + csum + 14
    }

    /// The largest inner L3 packet that this tunnel takes now, with `l2_bytes` of inner Ethernet
    /// header and tags in front of it; `None` without a next hop.
    #[must_use]
    pub fn inner_mtu(&self, l2_bytes: usize) -> Option<u32> {
        let Reach::Ready(next_hop) = self.reach else { return None };
        let overhead = u32::try_from(self.overhead_bytes() - 14 + l2_bytes).ok()?;
        next_hop.mtu.checked_sub(overhead)
    }
}

/// What a received packet says of the tunnel it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TunnelKey {
    /// The outer destination: our own address.
    pub local: IpAddr,
    /// The outer source.
    pub remote: IpAddr,
    /// The key, if there is one.
    pub key: Option<u32>,
}

/// What a tunnel accepts.  Addresses as numbers, IPv4 as mapped, hash in a few instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pattern {
    remote: u128,
    /// [`ANY_LOCAL`] for any.
    local: u128,
    in_key: InKey,
}

/// The unspecified address, which no packet is for.
const ANY_LOCAL: u128 = 0;

const fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Which tunnel port a received packet belongs to.  Look-up costs at most four probes, however
/// many tunnels there are.
#[derive(Debug, Default)]
pub struct TunnelTable {
    ports: HashMap<Pattern, PortId, foldhash::fast::RandomState>,
    /// Pairs of remote and local address that have some tunnel, to tell a wrong key from a wrong
    /// address.
    pairs: HashSet<(u128, u128), foldhash::fast::RandomState>,
}

impl TunnelTable {
    /// The table of these tunnels.  Of two with equal patterns the first wins; control refuses
    /// the second.
    pub fn new<'a>(tunnels: impl IntoIterator<Item = (PortId, &'a TunnelConf)>) -> Self {
        let mut table = Self::default();
        for (port, tunnel) in tunnels {
            let (remote, in_key) = (number(tunnel.remote), tunnel.in_key);
            let local = tunnel.local.map_or(ANY_LOCAL, number);
            table.ports.entry(Pattern { remote, local, in_key }).or_insert(port);
            table.pairs.insert((remote, local));
        }
        table
    }

    /// The port that takes a packet, most specific pattern first: a key that is named before any
    /// key, a local address that is named before any.
    ///
    /// # Errors
    ///
    /// [`DropReason::Key`] when only the key is wrong, [`DropReason::NoTunnel`] otherwise.
    pub fn find(&self, packet: TunnelKey) -> Result<PortId, DropReason> {
        let (remote, local) = (number(packet.remote), number(packet.local));
        // No key and key 0 are the same to a tunnel without a key.
        let in_key = packet.key.filter(|&key| key != 0).map_or(InKey::None, InKey::Exact);
        for in_key in [in_key, InKey::Any] {
            for local in [local, ANY_LOCAL] {
                if let Some(&port) = self.ports.get(&Pattern { remote, local, in_key }) {
                    return Ok(port);
                }
            }
        }
        let knows = |local| self.pairs.contains(&(remote, local));
        Err(if knows(local) || knows(ANY_LOCAL) { DropReason::Key } else { DropReason::NoTunnel })
    }
}
