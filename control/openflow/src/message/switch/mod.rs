//! What a switch is: its features, its configuration, its ports and tables.

mod config;
mod features;
mod port;
mod port_mod;
mod table_mod;

pub use config::{Config, Fragments};
pub use features::{Features, capabilities};
pub use port::{PortChange, PortDesc, PortState, PortStatus};
