//! The server's sockets: remotes, sessions, TLS, and the tasks around the disk.

pub mod ciphers;
pub mod config;
pub(crate) mod disk;
pub(crate) mod endpoint;
pub(crate) mod manager;
pub mod remote;
pub mod server;
pub(crate) mod session;
pub(crate) mod tls;
