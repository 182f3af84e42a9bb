//! The way to a tunnel's remote end, as far as plans and snapshots need to know it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use weft_wire::mac::MacAddr;

/// How far the way to a tunnel's remote end is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The next hop answers at this address.
    Ready(MacAddr),
    /// The next hop is being asked for.
    Resolving,
    /// Nothing can be sent, because of this.
    Unreachable(String),
}

impl State {
    /// The word in `weft show`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ready(_) => "ready",
            Self::Resolving => "resolving",
            Self::Unreachable(_) => "unreachable",
        }
    }
}

/// The egress device of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Its name.
    pub name: String,
    /// Its number.
    pub ifindex: u32,
    /// Its own MAC address.
    pub mac: MacAddr,
    /// It has a carrier.
    pub is_running: bool,
}

/// A NIC: its name and number.
pub type Nic = (String, u32);

/// The way to a tunnel's remote end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// How far it is known.
    pub state: State,
    /// The device that packets leave by, when a route names one.
    pub egress: Option<Egress>,
    /// The neighbour that packets are sent to.
    pub next_hop: Option<IpAddr>,
    /// The outer source address.
    pub source: Option<IpAddr>,
    /// The largest outer packet, bytes; 0 when there is no route.
    pub mtu: u32,
    /// The neighbour to ask for, on the device with this number: the next hop, or the one that
    /// takes its place as soon as it answers.
    pub asked: Option<(u32, IpAddr)>,
    /// The next hop's address was not confirmed lately.
    pub is_stale: bool,
    /// The next hop serves only until the one that is asked for answers.
    pub is_held: bool,
    /// The NICs that packets of the remote end may come in by: that of the route, those of routes
    /// that cost the same, and those that were so lately.
    pub nics: BTreeSet<Nic>,
}

impl Path {
    /// No way, because of `reason`.
    #[must_use]
    pub fn none(reason: impl Into<String>) -> Self {
        Self {
            state: State::Unreachable(reason.into()),
            egress: None,
            next_hop: None,
            source: None,
            mtu: 0,
            asked: None,
            is_stale: false,
            is_held: false,
            nics: BTreeSet::new(),
        }
    }
}

impl Path {
    /// True when packets go as they do by `other`, whatever is asked of neighbours meanwhile.
    #[must_use]
    pub fn leads_as(&self, other: &Self) -> bool {
        let Self { state, egress, next_hop, source, mtu, is_held, nics, asked: _, is_stale: _ } =
            self;
        (state, egress, next_hop) == (&other.state, &other.egress, &other.next_hop)
            && (source, mtu, is_held) == (&other.source, &other.mtu, &other.is_held)
            && *nics == other.nics
    }
}
