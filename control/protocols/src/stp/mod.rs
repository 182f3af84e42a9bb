//! Spanning tree: the bridges of a network agree on which ports must not forward, so that no
//! loop remains.
//!
//! This module holds 802.1D-1998 STP ([`Stp`]) and what it has in common with its successor in
//! [`crate::rstp`].  Both are pure state machines.  A control thread owns one per bridge and
//!
//! - calls [`SpanningTree::receive`] with each frame for 01:80:c2:00:00:00 that a worker hands
//!   up, and [`SpanningTree::tick`] every 100 ms or so;
//! - then takes the [`Action`]s and carries them out in their order: frames go out as they are,
//!   past VLAN rules and past blocked ports; states go into the next snapshot as
//!   `PortConf::{forwards, learns}`; flushes and ageing go to the workers.
//!
//! A port that the tree does not know (an internal port, one with `stp-enable=false`) forwards:
//! [`SpanningTree::gate`] says so.  When the protocol is switched off, the state machine is
//! dropped and with it every block: all ports of the bridge are [`Gate::OPEN`] again.
//!
//! Where this differs from 802.1D and from OVS: a bridge that has nothing but a root port notifies
//! of a change, too (its internal ports take no part, and the stations behind them moved); timers
//! of a root that are out of their range are brought into it; and a port that hears *its own* BPDU
//! (a cable or tunnel that reflects) does not forward for as long as that goes on: two such ports
//! would make a loop that the standard's STP does not see.

mod bridge;
mod config;
mod port;
mod show;
mod timer;

pub use bridge::Stp;
pub use config::{BridgeSettings, NumberError, PortSettings, assign_numbers, path_cost};
pub use port::{PortRole, PortState};

pub(crate) use config::{flag, in_range, number};
pub(crate) use port::Claim;
pub(crate) use show::{bridge_lines, table_row};

use crate::PortKey;
use weft_wire::MacAddr;
use weft_wire::stp::{Bpdu, FRAME_LEN_MAX};

/// What a port may do with data frames.  BPDUs pass always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Data frames may enter and leave by the port.
    pub forwards: bool,
    /// Sources of frames that arrive are put into the FDB.
    pub learns: bool,
}

impl Gate {
    /// Forwards and learns.
    pub const OPEN: Self = Self { forwards: true, learns: true };
    /// Learns, so that there is less to flood when it forwards.
    pub const LEARNING: Self = Self { forwards: false, learns: true };
    /// Neither.
    pub const CLOSED: Self = Self { forwards: false, learns: false };
}

/// Something that the owner of a spanning tree has to do for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send `frame`, a whole untagged Ethernet frame, out of `port`, whatever its gate.
    Send {
        /// Port to send by.
        port: PortKey,
        /// At most [`FRAME_LEN_MAX`] bytes; a physical port pads it.
        frame: Vec<u8>,
    },
    /// `port` changed its state: publish `gate`, log the names.
    State {
        /// Port that changed.
        port: PortKey,
        /// What it may do from now on.
        gate: Gate,
        /// Name of the former state, as OVS logs it.
        from: &'static str,
        /// Name of the new state.
        to: &'static str,
    },
    /// Forget all stations that the bridge learned.
    FlushBridge,
    /// Forget the stations that were learned on `port`.
    FlushPort {
        /// That port.
        port: PortKey,
    },
    /// Age stations of the bridge after `secs` seconds, or as configured again when there are
    /// none (802.1D-1998 section 8.3.5).
    Aging {
        /// Seconds.
        secs: Option<u32>,
    },
}

/// One bridge's part in a spanning tree, whichever protocol it speaks.
pub trait SpanningTree {
    /// Takes a frame for the bridge group address that arrived on `port`.  A frame that is no
    /// valid BPDU is counted as an error of that port; one on a port that the tree does not know
    /// is dropped.
    fn receive(&mut self, port: PortKey, frame: &[u8]);

    /// Lets `elapsed_ms` milliseconds pass.
    fn tick(&mut self, elapsed_ms: u32);

    /// Takes what is to be done, oldest first.
    fn take_actions(&mut self) -> Vec<Action>;

    /// The link of `port` came up or went away (or the operator's administrative state did).
    fn set_link(&mut self, port: PortKey, is_up: bool);

    /// `port` left the bridge, or takes part no more; its gate is open from now on.
    fn remove_port(&mut self, port: PortKey);

    /// What `port` may do now.  Open for a port that the tree does not know.
    fn gate(&self, port: PortKey) -> Gate;

    /// `stp/tcn`, `rstp/tcn`: acts as if the topology had changed.
    fn force_topology_change(&mut self);

    /// The text of `stp/show` or `rstp/show` for this bridge, with the empty line at its end.
    fn show(&self) -> String;

    /// Keys and values of the database's Bridge.status or `Bridge.rstp_status`.
    fn bridge_status(&self) -> Vec<(&'static str, String)>;

    /// Keys and values of Port.status or `Port.rstp_status`; none for a port that takes no part.
    fn port_status(&self, port: PortKey) -> Vec<(&'static str, String)>;

    /// Keys and values of Port.statistics or `Port.rstp_statistics`; none for a port that takes no
    /// part.
    fn port_statistics(&self, port: PortKey) -> Vec<(&'static str, u64)>;
}

/// The frame that carries `bpdu` from `source` out of `port`.
pub(crate) fn send(port: PortKey, source: MacAddr, bpdu: &Bpdu) -> Action {
    let mut frame = vec![0; FRAME_LEN_MAX];
    // There is room for the longest, so this does not fail.
    let len = bpdu.write_frame(source, &mut frame).unwrap_or(0);
    frame.truncate(len);
    Action::Send { port, frame }
}

/// How many milliseconds one step of virtual time has at most.
pub(crate) const STEP_MAX_MS: u32 = 250;

/// More time than this in one tick (a suspended machine) counts as this much.
pub(crate) const TICK_MAX_MS: u32 = 3_600_000;
