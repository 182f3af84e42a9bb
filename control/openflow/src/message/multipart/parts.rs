//! Answers that are longer than a message: parts, of which all but the last say that more follow.

use super::kind::MORE;
use crate::bytes::Writer;
use crate::frame::MESSAGE_MAX_BYTES;
use crate::message::Session;
use crate::message::wire::{Done, Layout, Wire};
use weft_flow::request::Refusal;

/// Where flags are in every part.
const FLAGS_AT: usize = 10;

/// Writes entries into parts.
pub(super) struct Parts<'o> {
    out: &'o mut Vec<u8>,
    /// What each part begins with.
    head: Box<[u8]>,
    /// Where the last part begins.
    start: usize,
}

impl<'o> Parts<'o> {
    /// Goes on with the message that begins at `start`: up to now its header.
    pub(super) fn new(out: &'o mut Vec<u8>, start: usize) -> Self {
        let head = out.get(start..).unwrap_or_default().into();
        Self { out, head, start }
    }

    /// Adds an entry, to another part if it has no room in this one.
    pub(super) fn entry(&mut self, session: Session<'_>, item: &mut impl Layout) -> Done {
        let before = self.out.len();
        item.layout(&mut Wire::writing(session, self.out))?;
        if self.out.len().saturating_sub(self.start) <= MESSAGE_MAX_BYTES {
            return Ok(());
        }
        let entry = self.out.split_off(before);
        if self.head.len().saturating_add(entry.len()) > MESSAGE_MAX_BYTES {
            return Err(Refusal::BadLen);
        }
        self.out.patch_u16(self.start.saturating_add(FLAGS_AT), MORE);
        self.finish();
        self.start = self.out.len();
        self.out.bytes(&self.head);
        self.out.bytes(&entry);
        Ok(())
    }

    /// Says how long the last part is.
    pub(super) fn finish(&mut self) {
        self.out.patch_len(self.start.saturating_add(2), self.start);
    }
}
