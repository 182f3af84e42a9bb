//! What exporters of IPFIX did.

use crate::message::wire::{Done, Layout, Wire};

/// What an exporter of IPFIX did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpfixStats {
    /// The set of collectors that it sends to; 0 for the bridge's.
    pub collector_set: u32,
    /// Flows that it has seen, and those that it keeps now.
    pub flows: [u64; 2],
    /// Packets that it sampled: all, IPv4, IPv6.
    pub packets: [u64; 3],
    /// Packets that it could not sample: all, IPv4, IPv6.
    pub errors: [u64; 3],
    /// Messages that it sent.
    pub tx_packets: u64,
    /// Messages that it could not send.
    pub tx_errors: u64,
}

impl Layout for IpfixStats {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let numbers = self.flows.iter_mut().chain(&mut self.packets).chain(&mut self.errors);
        for number in numbers {
            wire.u64(number)?;
        }
        wire.u64(&mut self.tx_packets)?;
        wire.u64(&mut self.tx_errors)?;
        wire.u32(&mut self.collector_set)?;
        wire.pad(4)
    }
}
