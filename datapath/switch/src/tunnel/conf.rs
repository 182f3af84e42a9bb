//! Tunnels as the datapath sees them: how to recognise one, and the header to put in front.

use super::{Template, mss};
use crate::LinkId;
use std::net::IpAddr;
use weft_wire::mac::MacAddr;
use weft_wire::overhead::{self, OuterIp};

/// UDP source ports that tunnels send from unless configured otherwise, as Open vSwitch's
/// `tnl/egress_port_range`.
pub const SOURCE_PORTS: (u16, u16) = (32_768, 61_000);

/// How frames are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encap {
    /// GRE with an Ethernet payload, RFC 2784 and 2890.
    Gre,
    /// Geneve, RFC 8926, to this UDP port.
    Geneve {
        /// `options:dst_port`.
        udp_port: u16,
    },
    /// VXLAN, RFC 7348, to this UDP port.
    Vxlan {
        /// `options:dst_port`.
        udp_port: u16,
    },
}

impl Encap {
    /// The UDP port that its packets are sent to; `None` for GRE.
    #[must_use]
    pub const fn udp_port(self) -> Option<u16> {
        match self {
            Self::Gre => None,
            Self::Geneve { udp_port } | Self::Vxlan { udp_port } => Some(udp_port),
        }
    }
}

/// `options:csum`: whether a checksum is sent.  One that is received is always verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Csum {
    /// Not configured: none, but for UDP over IPv6, which must have one (RFC 8200 section 8.1).
    #[default]
    Auto,
    /// Always.
    On,
    /// Never: UDP over IPv6 goes without as well (RFC 6935), and such packets are accepted from
    /// remote ends that nobody named.
    Off,
}

/// `options:key` and `options:in_key` on receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InKey {
    /// This key, or VNI.  0 is also what a GRE packet without a key has.
    Exact(u32),
    /// Any key, or none (`flow`).
    Any,
}

impl Default for InKey {
    fn default() -> Self {
        Self::Exact(0)
    }
}

/// `options:local_ip`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Local {
    /// Absent: packets to any local VTEP address are accepted, and the route says what to send
    /// from.
    #[default]
    Any,
    /// This one.
    Address(IpAddr),
    /// As [`Local::Any`], but less specific; flows choose what to send from.
    Flow,
}

impl Local {
    /// The address, if one is named.
    #[must_use]
    pub const fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address),
            Self::Any | Self::Flow => None,
        }
    }
}

/// `options:tos` or `options:ttl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrInherit {
    /// This value.
    Value(u8),
    /// That of the inner packet, if it is IP; the default otherwise.
    Inherit,
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
#[derive(Clone, Debug, PartialEq)]
pub struct TunnelConf {
    /// How frames are wrapped.
    pub encap: Encap,
    /// `options:remote_ip`; `None` is `flow`: any sender is accepted, and flows would say where
    /// to send to.
    pub remote: Option<IpAddr>,
    /// `options:local_ip`.
    pub local: Local,
    /// Keys to accept.
    pub in_key: InKey,
    /// Key or VNI to send; a GRE tunnel without one sends no key field.
    pub out_key: Option<u32>,
    /// Whether to send a checksum.
    pub csum: Csum,
    /// GRE: packets carry sequence numbers.
    pub has_sequence: bool,
    /// `options:ttl`, 1 to 255; 64 where there is nothing to inherit from.
    pub ttl: OrInherit,
    /// `options:tos`: the outer DSCP, upper six bits; ECN always comes from the inner frame.
    pub tos: OrInherit,
    /// `options:df_default`: set Don't Fragment in the outer IPv4 header.
    pub df: bool,
    /// UDP source ports to send from, first and last; the inner flow picks one.
    pub source_ports: (u16, u16),
    /// `other_config:tunnel-mss-clamp` of its bridge: the MSS of TCP is lowered to what fits.
    pub clamps_mss: bool,
    /// Whether, and where to, packets can be sent.
    pub reach: Reach,
    /// The outer headers, worked out when the snapshot is built.
    pub(crate) template: Template,
}

impl TunnelConf {
    /// A tunnel with the defaults of Open vSwitch: key 0, TTL 64, TOS 0, DF.
    #[must_use]
    pub fn new(encap: Encap, remote: Option<IpAddr>) -> Self {
        Self {
            encap,
            remote,
            local: Local::Any,
            in_key: InKey::default(),
            out_key: None,
            csum: Csum::Auto,
            has_sequence: false,
            ttl: OrInherit::Value(64),
            tos: OrInherit::Value(0),
            df: true,
            source_ports: SOURCE_PORTS,
            clamps_mss: false,
            reach: Reach::Unreachable,
            template: Template::default(),
        }
    }

    /// A GRE tunnel with default options.
    #[must_use]
    pub fn gre(remote: IpAddr) -> Self {
        Self::new(Encap::Gre, Some(remote))
    }

    /// Lowers the MSS of a TCP SYN to what this tunnel takes, if that is configured.
    #[inline]
    pub(crate) fn clamp_mss(&self, inner: &mut [u8]) {
        if self.clamps_mss {
            // Whether there was a SYN makes no difference.
            let _ = mss::clamp(inner, |l2_bytes| self.inner_mtu(l2_bytes));
        }
    }

    /// True when packets are sent with a checksum of the tunnel header and all behind it.
    #[must_use]
    pub fn sends_checksum(&self) -> bool {
        match self.csum {
            Csum::On => true,
            Csum::Off => false,
            Csum::Auto => {
                self.encap != Encap::Gre && self.remote.is_some_and(|remote| remote.is_ipv6())
            }
        }
    }

    /// Bytes that this tunnel adds inside the underlay's MTU: outer IP header, tunnel header and
    /// the inner Ethernet header.  The largest inner IP packet is the underlay's MTU less this.
    #[must_use]
    pub fn overhead_bytes(&self) -> usize {
        let is_v6 = self.remote.is_some_and(|remote| remote.is_ipv6());
        let ip = if is_v6 { OuterIp::V6 } else { OuterIp::V4 };
        match self.encap {
            Encap::Gre => {
                let options = [self.sends_checksum(), self.out_key.is_some(), self.has_sequence];
                overhead::gre(ip, options.into_iter().filter(|option| *option).count())
            }
            Encap::Geneve { .. } => overhead::geneve(ip, 0),
            Encap::Vxlan { .. } => overhead::vxlan(ip),
        }
    }

    /// The largest inner L3 packet that this tunnel takes now, with `l2_bytes` of inner Ethernet
    /// header and tags in front of it; `None` without a next hop.
    #[must_use]
    pub fn inner_mtu(&self, l2_bytes: usize) -> Option<u32> {
        let Reach::Ready(next_hop) = self.reach else { return None };
        let overhead =
            u32::try_from(self.overhead_bytes() - overhead::ETHERNET_BYTES + l2_bytes).ok()?;
        next_hop.mtu.checked_sub(overhead)
    }
}

/// What a received packet says of the tunnel it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TunnelKey {
    /// How it is wrapped.
    pub encap: Encap,
    /// The outer destination: our own address.
    pub local: IpAddr,
    /// The outer source.
    pub remote: IpAddr,
    /// The key, if there is one.
    pub key: Option<u32>,
}
