//! The table of kinds of tunnels.  A new kind is a variant, a row of it, and a file with what is its own.

use super::options::Options;
use super::{geneve, gre, vxlan};
use weft_switch::Encap;

/// `Interface.type` of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TunnelType {
    /// GRE over IPv4 or IPv6.
    Gre,
    /// The same on the wire: the addresses say which IP it is, as with Open vSwitch.
    Ip6Gre,
    /// Geneve.
    Geneve,
    /// VXLAN.
    Vxlan,
}

/// What is a kind's own.
pub(super) struct TunnelKind {
    /// As it is written in the database.
    pub(super) name: &'static str,
    /// Options besides those that all kinds have.
    pub(super) options: &'static [&'static str],
    /// The UDP port without `dst_port`; none for a kind that is not carried by UDP.
    pub(super) udp_port: Option<u16>,
    /// What the datapath is to do, at this UDP port.
    pub(super) encap: fn(u16) -> Encap,
    /// Refuses what its own options ask for and there is not; a text for `Interface.error`.
    pub(super) check: fn(&mut Options<'_>) -> Result<(), String>,
}

/// Options that all kinds have.
const COMMON_OPTIONS: [&str; 13] = [
    "remote_ip",
    "local_ip",
    "key",
    "in_key",
    "out_key",
    "csum",
    "tos",
    "ttl",
    "df_default",
    "egress_pkt_mark",
    "psk",
    "remote_cert",
    "remote_name",
];

impl TunnelType {
    /// All of them, by name.
    pub const ALL: [Self; 4] = [Self::Geneve, Self::Gre, Self::Ip6Gre, Self::Vxlan];

    pub(super) const fn kind(self) -> &'static TunnelKind {
        match self {
            Self::Gre => &gre::GRE,
            Self::Ip6Gre => &gre::IP6GRE,
            Self::Geneve => &geneve::GENEVE,
            Self::Vxlan => &vxlan::VXLAN,
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// As it is written in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.kind().name
    }

    /// The UDP port without `dst_port`; none for a kind that is not carried by UDP.
    #[must_use]
    pub const fn udp_port(self) -> Option<u16> {
        self.kind().udp_port
    }

    /// Options that this kind has.
    pub fn options(self) -> impl Iterator<Item = &'static str> {
        COMMON_OPTIONS.iter().chain(self.kind().options).copied()
    }

    /// True when this kind has the option.
    #[must_use]
    pub fn has_option(self, option: &str) -> bool {
        self.options().any(|it| it == option)
    }
}
