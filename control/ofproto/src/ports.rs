//! Ports: what controllers have forbidden them, and which of them are live.

use crate::bridge::Edit;
use std::collections::BTreeMap;
use weft_flow::PortNo;
use weft_flow::request::{PortConfig, PortMod, Refusal};

/// What a bridge knows of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortEntry {
    /// Its address.
    pub hw_addr: [u8; 6],
    /// Its link is up.
    pub link_up: bool,
    /// What controllers have forbidden it.
    pub config: PortConfig,
}

impl PortEntry {
    /// True when groups may send to it.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.link_up && !self.config.down
    }
}

/// The ports of a bridge.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    ports: BTreeMap<PortNo, PortEntry>,
}

impl Ports {
    pub(crate) fn get(&self, port: PortNo) -> Option<&PortEntry> {
        self.ports.get(&port)
    }

    /// A port is there, or what is not up to controllers has changed; true if this is so.
    pub(crate) fn set(&mut self, port: PortNo, hw_addr: [u8; 6], link_up: bool) -> bool {
        let state = self.ports.entry(port).or_default();
        let old = *state;
        *state = PortEntry { hw_addr, link_up, ..old };
        *state != old
    }

    /// A port is gone.
    pub(crate) fn remove(&mut self, port: PortNo) {
        self.ports.remove(&port);
    }

    pub(crate) fn config(&self, port: PortNo) -> Option<PortConfig> {
        self.get(port).map(|state| state.config)
    }

    /// Forbids a port something; returns what it was before.
    pub(crate) fn set_config(&mut self, port: PortNo, config: PortConfig) -> Option<PortConfig> {
        let state = self.ports.get_mut(&port)?;
        Some(std::mem::replace(&mut state.config, config))
    }
}

impl Edit<'_> {
    /// Does what a request says.
    pub(crate) fn port_mod(&mut self, request: &PortMod) -> Result<(), Refusal> {
        let state = self.state.ports.get(request.port).ok_or(Refusal::PortModBadPort)?;
        if request.hw_addr != [0; 6] && request.hw_addr != state.hw_addr {
            return Err(Refusal::BadHwAddr);
        }
        let old = state.config;
        let new = old.with(request.config, request.mask);
        if new != old {
            self.set_port(request.port, new);
        }
        Ok(())
    }
}
