//! Queues, and the use of them.

use crate::message::wire::{Done, Layout, Wire};
use std::time::Duration;
use weft_flow::{PortNo, Version};

/// The use of a queue.  A counter that nobody knows is all ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Of which port.
    pub port: PortNo,
    /// Which queue.
    pub queue: u32,
    /// Bytes out.
    pub tx_bytes: u64,
    /// Packets out.
    pub tx_packets: u64,
    /// Packets for which there was no room.
    pub tx_errors: u64,
    /// How long it is there, if anybody knows: 1.3 and later.
    pub duration: Option<Duration>,
}

impl QueueStats {
    fn counters(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.port(&mut self.port)?;
        if wire.version() == Version::V10 {
            wire.pad(2)?;
        }
        wire.u32(&mut self.queue)?;
        wire.u64(&mut self.tx_bytes)?;
        wire.u64(&mut self.tx_packets)?;
        wire.u64(&mut self.tx_errors)?;
        if wire.version() < Version::V13 {
            return Ok(());
        }
        wire.maybe_duration(&mut self.duration)
    }
}

impl Layout for QueueStats {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        if wire.version() < Version::V14 {
            return self.counters(wire);
        }
        wire.block(0, |wire| {
            wire.length()?;
            wire.pad(6)?;
            self.counters(wire)
        })
    }
}

/// A queue.  Rates are in tenths of a percent of the port's; more than 1000 says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDesc {
    /// Of which port: 1.2 and later say it.
    pub port: PortNo,
    /// Which queue.
    pub queue: u32,
    /// What it gets at least.
    pub min_rate: Option<u16>,
    /// What it gets at most: 1.2 and later say it.
    pub max_rate: Option<u16>,
}

const MIN_RATE: u16 = 1;
const MAX_RATE: u16 = 2;

impl QueueDesc {
    fn rate(&mut self, wire: &mut Wire<'_>, mut kind: u16) -> Done {
        let is_old = wire.version() < Version::V14;
        wire.block(2, |wire| {
            wire.u16(&mut kind)?;
            wire.length()?;
            if is_old {
                wire.pad(4)?;
            }
            match kind {
                MIN_RATE => wire.u16(self.min_rate.get_or_insert_default())?,
                MAX_RATE => wire.u16(self.max_rate.get_or_insert_default())?,
                _ => return wire.rest(&mut Box::default()),
            }
            wire.pad(if is_old { 6 } else { 2 })
        })
    }

    fn rates(&mut self, wire: &mut Wire<'_>) -> Done {
        if wire.is_reading() {
            while let [high, low, ..] = *wire.left() {
                self.rate(wire, u16::from_be_bytes([high, low]))?;
            }
            return wire.end();
        }
        if self.min_rate.is_some() {
            self.rate(wire, MIN_RATE)?;
        }
        if self.max_rate.is_some() && wire.version() > Version::V11 {
            self.rate(wire, MAX_RATE)?;
        }
        Ok(())
    }
}

impl Layout for QueueDesc {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        match wire.version() {
            Version::V10 | Version::V11 => wire.block(4, |wire| {
                wire.u32(&mut self.queue)?;
                wire.length()?;
                wire.pad(2)?;
                self.rates(wire)
            }),
            Version::V12 | Version::V13 => wire.block(8, |wire| {
                wire.u32(&mut self.queue)?;
                wire.port(&mut self.port)?;
                wire.length()?;
                wire.pad(6)?;
                self.rates(wire)
            }),
            Version::V14 | Version::V15 => wire.block(8, |wire| {
                wire.port(&mut self.port)?;
                wire.u32(&mut self.queue)?;
                wire.length()?;
                wire.pad(6)?;
                self.rates(wire)
            }),
        }
    }
}

/// The queues of a port, in the message that 1.0 to 1.3 have for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueConfig {
    /// The port, as it was asked for.
    pub port: PortNo,
    /// Its queues.
    pub queues: Vec<QueueDesc>,
}

impl Layout for QueueConfig {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.port(&mut self.port)?;
        wire.pad(if wire.version() == Version::V10 { 6 } else { 4 })?;
        wire.list(&mut self.queues)?;
        if wire.is_reading() && wire.version() < Version::V12 {
            for queue in &mut self.queues {
                queue.port = self.port;
            }
        }
        Ok(())
    }
}
