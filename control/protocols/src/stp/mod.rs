//! Spanning tree: the bridges of a network agree on which ports must not forward, so that no
//! loop remains.  802.1D-1998 STP; its successor is in [`crate::rstp`].
//!
//! [`Stp`] is driven as [`crate::tree`] says.  A procedure is called what it is called in the
//! standard:
//!
//! | section | where |
//! | --- | --- |
//! | 8.6, procedures | `procedures.rs` |
//! | 8.7, what BPDUs and timers cause | `events.rs` |
//! | 8.8, what the operator changes | `bridge.rs` |
//!
//! Where this differs from 802.1D and from OVS: a bridge that has nothing but a root port notifies
//! of a change, too (its internal ports take no part, and the stations behind them moved); timers
//! of a root that are out of their range are brought into it; and a port that hears *its own* BPDU
//! (a cable or tunnel that reflects) does not forward for as long as that goes on: two such ports
//! would make a loop that the standard's STP does not see.

mod bridge;
mod config;
mod events;
mod port;
mod procedures;
mod timer;

pub use bridge::Stp;
pub use config::{StpPortSettings, StpSettings, path_cost};
