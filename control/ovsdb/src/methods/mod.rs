//! What each method of the protocol does, without sockets.

pub(crate) mod commits;
pub mod convert;
mod file;
pub mod limits;
pub mod lock;
pub(crate) mod state;
pub(crate) mod subscriptions;
pub(crate) mod upgrade;
