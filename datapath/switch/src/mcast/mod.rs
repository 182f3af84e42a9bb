//! Multicast snooping: frames for a group go to those who asked for it (RFC 4541).
//!
//! [`Mdb`] is what one bridge has heard: who is a member of which group, and where routers are.
//! It is a pure state machine.  A control thread owns one per bridge and
//!
//! - calls [`Mdb::receive`] with each copy that a worker hands up ([`Heard`]), [`Mdb::expire`] about
//!   once a second, and [`Mdb::flush`] or [`Mdb::forget_port`] when what was learned is void;
//! - gives [`Mdb::groups`] to all workers when [`Mdb::take_changed`] says so.
//!
//! [`Groups`] is that state as workers read it: for each (VLAN, group) the list of ports.  It is
//! learned, not configured, so it is no part of a snapshot and is swapped alone.  A bridge without
//! `Groups` does not snoop.
//!
//! The rules are those of Open vSwitch 3.1.  An IP packet to a group address on a bridge that snoops
//! goes
//!
//! | what | to |
//! | --- | --- |
//! | IGMP reports and leaves, MLD reports and dones | routers of the VLAN, ports with `mcast-snooping-flood-reports` |
//! | other IGMP, MLD queries, 224.0.0.0/24, `ff02::1` | all |
//! | a group with members | these, routers of the VLAN, ports with `mcast-snooping-flood` |
//! | any other | all, or routers of the VLAN and ports with `mcast-snooping-flood` |
//!
//! The group is the IP destination; 32 groups share one address of Ethernet.  Broadcasts, and group
//! addresses of other protocols, are flooded as ever.
//!
//! Where this differs from Open vSwitch: a membership ages by itself, and not only when its group is
//! the one heard of longest ago; a report is taken whole or not at all, and the auxiliary data of its
//! records has the unit of RFC 3376; a group that is no group address is not learned; what is known
//! of a port goes with its link; and a port never gets frames of a VLAN that it does not carry.

mod groups;
mod mdb;
mod message;

pub use groups::{Groups, Heard, ListId, Snooping};
pub use mdb::{BridgeSettings, Entry, EntryKind, Mdb, PortSettings, ROUTER_AGE_SECS};
pub(crate) use message::{Class, classify};

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An IP multicast group; one of IPv4 is kept as the IPv6 address that it is mapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(u128);

impl Group {
    /// Stands for the group of a packet that cannot be read; nobody is a member.
    pub(crate) const NONE: Self = Self(0);

    /// True when this is a multicast address.
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        let address = Ipv6Addr::from_bits(self.0);
        match address.to_ipv4_mapped() {
            Some(v4) => v4.is_multicast(),
            None => address.is_multicast(),
        }
    }

    /// True for 224.0.0.0/24 and `ff02::1`, which everybody hears always (RFC 4541 2.1.2 and 3).
    #[must_use]
    pub const fn is_local(self) -> bool {
        const ALL_NODES: u128 = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).to_bits();
        match Ipv6Addr::from_bits(self.0).to_ipv4_mapped() {
            Some(v4) => matches!(v4.octets(), [224, 0, 0, _]),
            None => self.0 == ALL_NODES,
        }
    }
}

impl From<Ipv4Addr> for Group {
    fn from(address: Ipv4Addr) -> Self {
        Self(address.to_ipv6_mapped().to_bits())
    }
}

impl From<Ipv6Addr> for Group {
    fn from(address: Ipv6Addr) -> Self {
        Self(address.to_bits())
    }
}

impl fmt::Display for Group {
    /// As people write it: `239.1.2.3`, `ff05::1:3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from_bits(self.0);
        match address.to_ipv4_mapped() {
            Some(v4) => v4.fmt(f),
            None => address.fmt(f),
        }
    }
}
