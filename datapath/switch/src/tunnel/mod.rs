//! Tunnels: outer headers on and off, and which tunnel a received packet belongs to.

mod conf;
mod decap;
mod inner;
mod mss;
mod numbers;
mod outer;
mod table;
mod template;
mod too_long;
mod vtep;

pub use conf::{
    Csum, Encap, InKey, Local, NextHop, OrInherit, Reach, SOURCE_PORTS, TunnelConf, TunnelKey,
};
pub(crate) use decap::decap;
pub use numbers::Numbers;
pub(crate) use table::Entry;
pub use table::TunnelTable;
pub(crate) use template::Template;
pub(crate) use too_long::too_long;
pub(crate) use vtep::{is_tunnelled, receive};
