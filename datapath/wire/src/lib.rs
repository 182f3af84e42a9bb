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

pub mod checksum;
pub mod error;
pub mod ethernet;
pub mod ethertype;
pub mod mac;
pub mod vid;
pub mod vlan;
pub mod vni;

pub use error::{Layer, ParseError, ShortBuffer};
pub use ethernet::{L2, parse_l2};
pub use ethertype::EtherType;
pub use mac::MacAddr;
pub use vid::{Pcp, Tci, Vid};
pub use vlan::Tag;
pub use vni::Vni;
