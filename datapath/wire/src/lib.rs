//! Wire formats: bytes in, meaning out, and back again.
//!
//! This crate knows what a frame *says* and nothing of what the switch does about it.  It is
//! `no_std`, allocates nothing and forbids `unsafe`.  A header is either a view that lies over
//! the bytes of the frame (zerocopy, network-endian fields, no alignment) or a small value; its
//! `parse` returns it with the bytes that follow, or says why not with a [`ParseError`].
//!
//! No parser indexes or panics: what a frame claims about itself is only ever used to ask for a
//! sub-slice that may not be there.
#![cfg_attr(not(any(test, feature = "generators")), no_std)]
#![forbid(unsafe_code)]
#![deny(clippy::cast_possible_truncation)]

pub mod arp;
pub mod checksum;
pub mod classify;
pub mod coalesce;
pub mod error;
pub mod ethernet;
pub mod ethertype;
#[cfg(any(test, feature = "generators"))]
pub mod frames;
#[cfg(feature = "fuzz-targets")]
pub mod fuzz_targets;
pub mod geneve;
pub mod gre;
pub mod group;
pub mod group_record;
pub mod icmp;
pub mod igmp;
pub mod ip_protocol;
pub mod ipv4;
pub mod ipv6;
pub mod l4;
pub mod loop_probe;
pub mod mac;
pub mod mld;
pub mod overhead;
pub mod segment;
pub mod show;
pub mod stp;
pub mod tcp;
pub mod tlv;
pub mod udp;
pub mod vid;
pub mod vlan;
pub mod vni;
pub mod vxlan;

pub use arp::ArpPacket;
pub use error::{Layer, ParseError, WriteError};
pub use ethernet::{EthernetHeader, L2, parse_l2};
pub use ethertype::EtherType;
pub use geneve::Geneve;
pub use gre::Gre;
pub use group::Group;
pub use icmp::IcmpHeader;
pub use igmp::Igmp;
pub use ip_protocol::IpProtocol;
pub use ipv4::Ipv4Header;
pub use ipv6::Ipv6Header;
pub use loop_probe::LoopProbe;
pub use mac::MacAddr;
pub use mld::Mld;
pub use show::Show;
pub use tcp::TcpHeader;
pub use udp::UdpHeader;
pub use vid::{Pcp, Tci, Vid};
pub use vlan::Tag;
pub use vni::Vni;
pub use vxlan::Vxlan;
