//! What the two spanning tree protocols share: states, roles, and how a tree is driven.
//!
//! Both are pure state machines.  A control thread owns one per bridge and
//!
//! - calls [`SpanningTree::receive`] with each frame for 01:80:c2:00:00:00 that a worker hands
//!   up, and [`SpanningTree::tick`] every 100 ms or so;
//! - then takes the [`Action`]s and carries them out in their order: frames go out as they are,
//!   past VLAN rules and past blocked ports; gates of states go into the next snapshot; flushes and
//!   ageing go to the workers.
//!
//! A port that the tree does not know (an internal port, one that takes no part) forwards:
//! [`SpanningTree::gate`] says so.  When the protocol is switched off, the state machine is
//! dropped and with it every block: all ports of the bridge are [`Gate::OPEN`] again.

mod claim;
mod numbers;
mod status;

pub(crate) use claim::Claim;
pub use numbers::{NumberError, assign_numbers};
pub use status::{BridgeStatus, PortCounts, PortStatus, TreeTimes};

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

/// The state of a port: 802.1D-1998 section 8.4, 802.1D-2004 section 7.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortState {
    /// Its link is down.
    Disabled,
    /// STP: kept out of the tree.
    Blocking,
    /// STP: on its way into the tree, waits whether a better port is heard.
    Listening,
    /// RSTP: neither learns nor forwards.
    Discarding,
    /// Learns stations but does not forward yet.
    Learning,
    /// Part of the tree.
    Forwarding,
}

impl PortState {
    /// What a port in this state may do.
    #[must_use]
    pub const fn gate(self) -> Gate {
        match self {
            Self::Disabled | Self::Blocking | Self::Listening | Self::Discarding => Gate::CLOSED,
            Self::Learning => Gate::LEARNING,
            Self::Forwarding => Gate::OPEN,
        }
    }
}

/// The role of a port in the tree, 802.1D-2004 section 17.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortRole {
    /// Leads towards the root.
    Root,
    /// Leads a LAN towards the root.
    Designated,
    /// Another way to the root, for when the root port fails; STP: neither of the above.
    Alternate,
    /// RSTP: another way to a LAN that this bridge leads already.
    Backup,
    /// Its link is down.
    Disabled,
}

impl PortRole {
    /// Part of the active topology.
    pub(crate) const fn is_active(self) -> bool {
        matches!(self, Self::Root | Self::Designated)
    }
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
    /// `port` changed its state: publish the gate of the new one, log both.
    State {
        /// Port that changed.
        port: PortKey,
        /// The former state.
        from: PortState,
        /// The new state.
        to: PortState,
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

impl Action {
    /// True when it names `gone`, a port that has left: nothing more is to be sent or said of it.
    pub(crate) fn is_of(&self, gone: PortKey) -> bool {
        matches!(self, Self::State { port, .. } | Self::Send { port, .. } if *port == gone)
    }
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

    /// Acts as if the topology had changed, for the operator.
    fn force_topology_change(&mut self);

    /// Who is the root, and how far away.
    fn bridge_status(&self) -> BridgeStatus;

    /// The ports that take part, in the order of their numbers.
    fn ports(&self) -> Vec<PortKey>;

    /// What `port` is in the tree; none for a port that takes no part.
    fn port_status(&self, port: PortKey) -> Option<PortStatus>;

    /// What `port` has sent and received; none for a port that takes no part.
    fn port_counts(&self, port: PortKey) -> Option<PortCounts>;
}

/// The frame that carries `bpdu` from `source` out of `port`.
pub(crate) fn send(port: PortKey, source: MacAddr, bpdu: &Bpdu) -> Action {
    let mut frame = vec![0; FRAME_LEN_MAX];
    // There is room for the longest, so this does not fail.
    let len = bpdu.write_frame(source, &mut frame).unwrap_or(0);
    frame.truncate(len);
    Action::Send { port, frame }
}

/// More time than this in one tick (a suspended machine) counts as this much, in milliseconds.
pub(crate) const TICK_MAX_MS: u32 = 3_600_000;
