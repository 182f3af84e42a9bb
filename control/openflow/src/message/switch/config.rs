//! What a connection sets: how fragments are treated, how much of a packet it gets.

use crate::message::wire::{Done, Layout, Wire};
use weft_flow::Version;
use weft_flow::request::Refusal;

/// How fragments of IP are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fragments {
    /// They go through the tables, without ports.
    #[default]
    Normal,
    /// They are dropped.
    Drop,
    /// They are put together.
    Reassemble,
    /// They go through the tables; the first of them has its ports.
    NxMatch,
}

/// What a connection sets, and reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Config {
    /// How fragments are treated.
    pub fragments: Fragments,
    /// Packets whose TTL is used up go to the controller: 1.0 to 1.2.
    pub sends_invalid_ttl: bool,
    /// Bytes of a packet that no flow takes; 0: no asynchronous messages on service connections.
    pub miss_send_len: u16,
}

/// The flag of 1.0 to 1.2.
const INVALID_TTL: u16 = 4;

impl Layout for Config {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        const NAMES: [Fragments; 4] =
            [Fragments::Normal, Fragments::Drop, Fragments::Reassemble, Fragments::NxMatch];
        let has_ttl = wire.version() < Version::V13;
        let at = NAMES.iter().position(|name| *name == self.fragments).unwrap_or_default();
        let mut flags = u16::try_from(at).unwrap_or_default();
        if has_ttl && self.sends_invalid_ttl {
            flags |= INVALID_TTL;
        }
        wire.u16(&mut flags)?;
        wire.u16(&mut self.miss_send_len)?;
        self.sends_invalid_ttl = has_ttl && flags & INVALID_TTL != 0;
        let rest = if has_ttl { flags & !INVALID_TTL } else { flags };
        let name = NAMES.get(usize::from(rest));
        self.fragments = *name.ok_or(Refusal::SwitchBadFlags)?;
        Ok(())
    }
}
