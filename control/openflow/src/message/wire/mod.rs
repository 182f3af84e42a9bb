//! Layouts that go both ways: one function says where the parts of a message are, and either reads
//! them from bytes or writes them.  So what is written is what is read.

mod parts;

use super::Session;
use crate::bytes::{Reader, Writer};
use weft_flow::request::Refusal;
use weft_flow::{PortNo, Version};

/// What a layout comes to: nothing, or why it cannot be read or said.
pub(crate) type Done = Result<(), Refusal>;

/// A value with a layout.
pub(crate) trait Layout {
    /// What is read into.
    fn blank() -> Self;

    /// Reads or writes all of it.
    fn layout(&mut self, wire: &mut Wire<'_>) -> Done;
}

enum Side<'a> {
    Reading(Reader<'a>),
    Writing(&'a mut Vec<u8>),
}

/// How many bytes a number has.
#[derive(Clone, Copy)]
pub(crate) enum Width {
    /// One.
    U8,
    /// Two.
    U16,
    /// Four.
    U32,
}

/// Where a layout reads from or writes to.
pub(crate) struct Wire<'a> {
    /// What both sides agreed on.
    pub(crate) session: Session<'a>,
    side: Side<'a>,
}

macro_rules! numbers {
    ($($name:ident: $kind:ty),*) => {
        $(pub(crate) fn $name(&mut self, value: &mut $kind) -> Done {
            match &mut self.side {
                Side::Reading(reader) => *value = reader.$name()?,
                Side::Writing(out) => out.$name(*value),
            }
            Ok(())
        })*
    };
}

impl<'a> Wire<'a> {
    /// Reads from these bytes.
    pub(crate) const fn reading(session: Session<'a>, reader: Reader<'a>) -> Self {
        Self { session, side: Side::Reading(reader) }
    }

    /// Writes behind what is there.
    pub(crate) const fn writing(session: Session<'a>, out: &'a mut Vec<u8>) -> Self {
        Self { session, side: Side::Writing(out) }
    }

    /// The version of the connection.
    pub(crate) const fn version(&self) -> Version {
        self.session.version
    }

    /// True when this reads.
    pub(crate) const fn is_reading(&self) -> bool {
        matches!(self.side, Side::Reading(_))
    }

    /// The bytes that are left to read; none when this writes.
    pub(crate) const fn left(&self) -> &'a [u8] {
        match &self.side {
            Side::Reading(reader) => reader.peek(),
            Side::Writing(_) => &[],
        }
    }

    /// Fails when bytes are left to read.
    pub(crate) const fn end(&self) -> Done {
        if self.left().is_empty() { Ok(()) } else { Err(Refusal::BadLen) }
    }

    numbers!(u8: u8, u16: u16, u32: u32, u64: u64);

    /// Bytes of no meaning.
    pub(crate) fn pad(&mut self, count: usize) -> Done {
        match &mut self.side {
            Side::Reading(reader) => reader.skip(count),
            Side::Writing(out) => {
                out.zeros(count);
                Ok(())
            }
        }
    }

    /// Bytes that must be zero.
    pub(crate) fn zeros(&mut self, count: usize) -> Done {
        match &mut self.side {
            Side::Reading(reader) => reader.zeros(count, Refusal::MustBeZero),
            Side::Writing(out) => {
                out.zeros(count);
                Ok(())
            }
        }
    }

    /// Leaves out all that is left to read.
    pub(crate) const fn skip_rest(&mut self) {
        if let Side::Reading(reader) = &mut self.side {
            reader.rest();
        }
    }

    /// So many bytes.
    pub(crate) fn array<const N: usize>(&mut self, value: &mut [u8; N]) -> Done {
        match &mut self.side {
            Side::Reading(reader) => *value = reader.array()?,
            Side::Writing(out) => out.bytes(value),
        }
        Ok(())
    }

    /// All bytes that are left.
    #[expect(clippy::unnecessary_wraps, reason = "layouts end with it")]
    pub(crate) fn rest(&mut self, value: &mut Box<[u8]>) -> Done {
        match &mut self.side {
            Side::Reading(reader) => *value = reader.rest().into(),
            Side::Writing(out) => out.bytes(value),
        }
        Ok(())
    }

    /// A text in `count` bytes, with zeros behind it.  A longer one is cut, so that a zero is left.
    pub(crate) fn text(&mut self, count: usize, value: &mut String) -> Done {
        match &mut self.side {
            Side::Reading(reader) => {
                let bytes = reader.take(count)?;
                let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
                *value = String::from_utf8_lossy(text).into_owned();
            }
            Side::Writing(out) => {
                let len = value.floor_char_boundary(count.saturating_sub(1));
                out.bytes(value.as_bytes().get(..len).unwrap_or_default());
                out.zeros(count.saturating_sub(len));
            }
        }
        Ok(())
    }

    fn number(&mut self, width: Width, value: &mut u32) -> Done {
        let narrow = |_| Refusal::BadLen;
        match width {
            Width::U8 => {
                let mut byte = u8::try_from(*value).map_err(narrow)?;
                self.u8(&mut byte)?;
                *value = byte.into();
            }
            Width::U16 => {
                let mut short = u16::try_from(*value).map_err(narrow)?;
                self.u16(&mut short)?;
                *value = short.into();
            }
            Width::U32 => self.u32(value)?,
        }
        Ok(())
    }

    /// One of several values, by number; another number, or a value without one: `refusal`.
    pub(crate) fn choice<T: Copy + PartialEq>(
        &mut self,
        width: Width,
        value: &mut T,
        rows: &[(u32, T)],
        refusal: Refusal,
    ) -> Done {
        let mut number = 0;
        if !self.is_reading() {
            number = rows.iter().find(|row| row.1 == *value).ok_or(refusal)?.0;
        }
        self.number(width, &mut number)?;
        *value = rows.iter().find(|row| row.0 == number).ok_or(refusal)?.1;
        Ok(())
    }

    /// Flags, each with its bit.  Other bits are refused, or left out where nothing is given.
    pub(crate) fn flags(
        &mut self,
        width: Width,
        flags: &mut [(u32, &mut bool)],
        others: Option<Refusal>,
    ) -> Done {
        let mut number = 0;
        if !self.is_reading() {
            number = flags.iter().filter(|row| *row.1).fold(0, |all, row| all | row.0);
        }
        self.number(width, &mut number)?;
        let known = flags.iter().fold(0, |all, row| all | row.0);
        for (bit, flag) in flags {
            **flag = number & *bit != 0;
        }
        match others {
            Some(refusal) if number & !known != 0 => Err(refusal),
            _ => Ok(()),
        }
    }

    /// The number of a port: 16 bits in 1.0, 32 later.
    pub(crate) fn port(&mut self, port: &mut PortNo) -> Done {
        if self.version() == Version::V10 { self.port16(port) } else { self.port32(port) }
    }

    /// The number of a port in 16 bits.
    pub(crate) fn port16(&mut self, port: &mut PortNo) -> Done {
        let mut number = 0;
        if !self.is_reading() {
            number = port.to_u16().ok_or(Refusal::BadOutPort)?;
        }
        self.u16(&mut number)?;
        *port = PortNo::from_u16(number);
        Ok(())
    }

    /// The number of a port in 32 bits: what is between ports and reserved numbers is refused.
    pub(crate) fn port32(&mut self, port: &mut PortNo) -> Done {
        self.u32(&mut port.0)?;
        if port.to_u16().is_none() { Err(Refusal::BadOutPort) } else { Ok(()) }
    }

    /// How far this is: what [`Wire::align`] counts from.
    pub(crate) const fn mark(&self) -> usize {
        match &self.side {
            Side::Reading(reader) => reader.remaining(),
            Side::Writing(out) => out.len(),
        }
    }

    /// How many bytes there are since the mark.
    pub(crate) const fn since(&self, mark: usize) -> usize {
        self.mark().abs_diff(mark)
    }

    /// Bytes of no meaning, until there is a multiple of `unit` since the mark.
    pub(crate) fn align(&mut self, unit: usize, mark: usize) -> Done {
        let len = self.since(mark);
        self.pad(len.next_multiple_of(unit.max(1)).saturating_sub(len))
    }

    /// Reads or writes within the next `len` bytes; whoever writes says as many.
    pub(crate) fn within<T>(
        &mut self,
        len: usize,
        body: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let Side::Reading(reader) = &mut self.side else { return body(self) };
        let part = reader.part(len)?;
        let outer = *reader;
        self.side = Side::Reading(part);
        let result = body(self);
        let end = self.end();
        self.side = Side::Reading(outer);
        let value = result?;
        end.map(|()| value)
    }

    /// A block that says its own length in the 2 bytes at `length_at`, for which `body` calls
    /// [`Wire::length`].
    pub(crate) fn block(&mut self, length_at: usize, body: impl FnOnce(&mut Self) -> Done) -> Done {
        match &mut self.side {
            Side::Reading(reader) => {
                let mut ahead = *reader;
                ahead.skip(length_at)?;
                let len = usize::from(ahead.u16()?);
                if len < length_at.saturating_add(2) {
                    return Err(Refusal::BadLen);
                }
                self.within(len, body)
            }
            Side::Writing(out) => {
                let start = out.len();
                body(self)?;
                if let Side::Writing(out) = &mut self.side {
                    if out.len().saturating_sub(start) > usize::from(u16::MAX) {
                        return Err(Refusal::BadLen);
                    }
                    out.patch_len(start.saturating_add(length_at), start);
                }
                Ok(())
            }
        }
    }

    /// The place of a block's length.
    pub(crate) fn length(&mut self) -> Done {
        self.pad(2)
    }

    /// Writes how many bytes there are since the mark over the two bytes at `at`.
    pub(crate) fn patch(&mut self, at: usize, mark: usize) {
        if let Side::Writing(out) = &mut self.side {
            out.patch_len(at, mark);
        }
    }

    /// Values, one behind the other, to the end.
    pub(crate) fn list<T: Layout>(&mut self, items: &mut Vec<T>) -> Done {
        if !self.is_reading() {
            return items.iter_mut().try_for_each(|item| item.layout(self));
        }
        while !self.left().is_empty() {
            let before = self.left().len();
            let mut item = T::blank();
            item.layout(self)?;
            if self.left().len() == before {
                return Err(Refusal::BadLen);
            }
            items.push(item);
        }
        Ok(())
    }

    /// The same in a box.
    pub(crate) fn boxed<T: Layout>(&mut self, items: &mut Box<[T]>) -> Done {
        let mut list = std::mem::take(items).into_vec();
        let done = self.list(&mut list);
        *items = list.into_boxed_slice();
        done
    }

    /// A value that is there or not: when reading, if bytes are left.
    pub(crate) fn value<T: Layout>(&mut self) -> Result<T, Refusal> {
        let mut value = T::blank();
        value.layout(self)?;
        Ok(value)
    }
}
