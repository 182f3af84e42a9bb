//! What a connection says of itself, and what does not fit elsewhere: roles, asynchronous messages,
//! bundles, options of tunnels, connections that are tracked.

mod asynchronous;
mod bundle;
mod ct_flush;
mod role;
mod status;
mod tlv;

pub use asynchronous::{AsyncKind, AsyncMask};
pub use bundle::{BundleAdd, BundleControl, BundleKind};
pub use ct_flush::{CtFlush, CtTuple};
pub use role::{RoleReply, RoleStatus, RoleStatusReason};
pub use status::{RequestForward, TableReason, TableStatus};
pub use tlv::{TlvMod, TlvReply};

pub(super) use asynchronous::{are_words, masks, words};
pub(super) use role::{nicira_reply as nicira_role_reply, nicira_request as nicira_role_request};
