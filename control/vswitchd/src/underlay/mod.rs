//! The underlay: where packets of tunnels go, and what is heard of it.

pub mod dead_ends;
pub(crate) mod icmp_errors;
pub mod path_mtu;
pub mod silence;
pub mod tunnels;
pub mod ways;
