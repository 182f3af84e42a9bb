//! Loads the XDP programs, attaches them to interfaces, and keeps or releases them.
//!
//! The object is committed (`object/weft.bpf.o`) and part of this crate; `aya` lives here only. It is loaded once
//! for a network namespace ([`Object`]): all interfaces run the same programs and share maps, in which each has its
//! own entries ([`NicEntry`]), so that its queues, VTEPs and counters are its own. [`Attached`] is a program on an
//! interface.
//!
//! Native XDP is tried first, without support for packets in several buffers ("frags"): then each frame is
//! one descriptor, and sockets need no `XDP_USE_SG`; then with it, for a large MTU; then generic XDP.
//! Which one it became, and why, is in [`Attached::mode`], [`Attached::has_frags`] and
//! [`Attached::fallback_reason`].
#![forbid(unsafe_code)]

mod attach;
mod debug;
mod error;
mod held;
mod home;
mod maps;
mod netlink;
mod nic;
mod object;
mod pins;
mod program;
mod refusal;
mod running;
mod shield;
mod slots;

pub use attach::{AttachConfig, Attached};
pub use debug::DebugLog;
pub use error::{AttachError, MapError};
pub use netlink::{XdpState, xdp_state};
pub use nic::NicEntry;
pub use object::Object;
pub use pins::{pin_directory, pin_path, release_pins};
pub use program::{Mode, Program};
pub use shield::Shield;
pub use weft_ebpf_abi::{QUEUES_MAX, Reason, SLOTS_MAX, VTEPS_MAX};

/// What an interface is to the switch, and so which program it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A bridge port: every frame goes to the AF_XDP socket of its queue.
    Port,
    /// A NIC that the host keeps: only tunnel packets for a local VTEP go to AF_XDP.
    Underlay,
    /// Passes everything to the host: the peer of a veth, in tests.
    Pass,
}
