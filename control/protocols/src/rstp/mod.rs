//! Rapid spanning tree, 802.1D-2004 section 17 (802.1w): the same tree as [`crate::stp`] makes,
//! but a port forwards as soon as its neighbour agrees, instead of after 30 s.
//!
//! [`Rstp`] is driven like [`crate::stp::Stp`]; see [`crate::tree`].  The state
//! machines of section 17 are functions that take one step and say whether anything changed;
//! they are run until nothing does.  Their names, in the order of the standard:
//!
//! | machine | where |
//! | --- | --- |
//! | port timers, port receive | `bridge.rs` |
//! | port protocol migration, bridge detection, port transmit | `transmit.rs` |
//! | port information | `information.rs` |
//! | port role selection | `selection.rs` |
//! | port role transitions, port state transition | `transitions.rs` |
//! | topology change | `topology.rs` |
//!
//! Where the printed standard has an error (`recordDispute`), 802.1Q is followed.  A port that
//! hears its own BPDU discards for as long as that goes on.

mod bridge;
mod config;
mod information;
mod port;
mod selection;
mod status;
mod topology;
mod transitions;
mod transmit;

pub use bridge::Rstp;
pub use config::{RstpPortSettings, RstpSettings, path_cost};
