//! Tunnels as the datapath sees them: how to recognise one, and the header to put in front.

use crate::{LinkId, PortId};
use std::collections::HashMap;
use std::net::IpAddr;
use weft_wire::mac::MacAddr;

/// Bytes that the largest outer header takes: Ethernet with a tag, IPv6, GRE with all options or
/// Geneve with some.  What a [`crate::FrameBuf`] should offer as headroom.
pub const HEADROOM_BYTES: usize = 192;

const TEMPLATE_BYTES: usize = 96;

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
        }
    }
}
