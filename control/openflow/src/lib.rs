//! The messages of `OpenFlow` 1.0 to 1.5, between bytes and values.  This crate knows no switch.
#![forbid(unsafe_code)]

pub mod action;
pub mod bytes;
pub mod error;
pub mod frame;
#[cfg(feature = "fuzz-targets")]
pub mod fuzz_targets;
pub mod hello;
pub mod instruction;
pub mod matching;
pub mod message;
pub mod oxm;
