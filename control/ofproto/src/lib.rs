//! Flow tables, groups and meters: what requests make of them.  This crate knows no socket.
#![forbid(unsafe_code)]
