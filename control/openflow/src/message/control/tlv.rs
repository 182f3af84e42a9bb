//! The map of tunnel options, as messages.

use crate::message::wire::{Done, Layout, Width, Wire};
use weft_flow::TlvMap;
use weft_flow::request::Refusal;
use weft_flow::tlv::TlvOption;

/// A change of the map of tunnel options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlvMod {
    /// Fields stand for these options too: number of the field, option.
    Add(Vec<(u8, TlvOption)>),
    /// These fields stand for nothing any more.
    Delete(Vec<(u8, TlvOption)>),
    /// No field stands for anything any more.
    Clear,
}

/// The map of tunnel options, and how large it may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlvReply {
    /// Bytes that all options may have together.
    pub max_bytes: u32,
    /// How many fields there are.
    pub max_fields: u16,
    /// The options: number of the field, option.
    pub options: Vec<(u8, TlvOption)>,
}

/// An entry of the map on the wire.
struct Entry(u8, TlvOption);

impl Layout for Entry {
    fn blank() -> Self {
        Self(0, TlvOption { class: 0, kind: 0, bytes: 0 })
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.u16(&mut self.1.class)?;
        wire.u8(&mut self.1.kind)?;
        wire.u8(&mut self.1.bytes)?;
        let mut number = self.0.into();
        wire.u16(&mut number)?;
        wire.pad(2)?;
        if !self.1.bytes.is_multiple_of(4) || self.1.bytes > TlvMap::MAX_OPTION_BYTES {
            return Err(Refusal::TlvBadOptLen);
        }
        self.0 = u8::try_from(number).map_err(|_| Refusal::TlvBadFieldIdx)?;
        if self.0 >= TlvMap::FIELDS { Err(Refusal::TlvBadFieldIdx) } else { Ok(()) }
    }
}

fn entries(wire: &mut Wire<'_>, options: &mut Vec<(u8, TlvOption)>) -> Done {
    let mut entries: Vec<_> =
        options.drain(..).map(|(number, option)| Entry(number, option)).collect();
    wire.list(&mut entries)?;
    options.extend(entries.into_iter().map(|entry| (entry.0, entry.1)));
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Command {
    Add,
    Delete,
    Clear,
}

impl Layout for TlvMod {
    fn blank() -> Self {
        Self::Clear
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let (mut command, mut options) = match self {
            Self::Add(options) => (Command::Add, std::mem::take(options)),
            Self::Delete(options) => (Command::Delete, std::mem::take(options)),
            Self::Clear => (Command::Clear, Vec::new()),
        };
        let rows = [(0, Command::Add), (1, Command::Delete), (2, Command::Clear)];
        wire.choice(Width::U16, &mut command, &rows, Refusal::TlvBadCommand)?;
        wire.pad(6)?;
        entries(wire, &mut options)?;
        *self = match command {
            Command::Add => Self::Add(options),
            Command::Delete => Self::Delete(options),
            Command::Clear => Self::Clear,
        };
        Ok(())
    }
}

impl Layout for TlvReply {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.u32(&mut self.max_bytes)?;
        wire.u16(&mut self.max_fields)?;
        wire.pad(10)?;
        entries(wire, &mut self.options)
    }
}
