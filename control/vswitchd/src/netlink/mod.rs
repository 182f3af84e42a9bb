//! The kernel's tables, and what it says when they change.

pub mod events;
pub mod kernel;
