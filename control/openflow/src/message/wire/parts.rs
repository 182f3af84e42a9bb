//! Parts of layouts that other modules read and write: matches, actions, instructions, durations.

use super::{Done, Side, Wire};
use crate::bytes::Writer;
use crate::matching::{self, Cookie, Form, Unknown};
use crate::{action, instruction};
use std::time::Duration;
use weft_flow::action::Actions;
use weft_flow::request::Refusal;
use weft_flow::{Match, Version};

/// Says of what the length cannot be.
fn long(refusal: Refusal, of: Refusal) -> Refusal {
    if refusal == Refusal::BadLen { of } else { refusal }
}

impl Wire<'_> {
    /// Bytes of no meaning until there is a multiple of `unit` since the mark; the last thing in a
    /// message may go without them.
    pub(crate) fn align_short(&mut self, unit: usize, mark: usize) -> Done {
        let len = self.since(mark);
        let missing = len.next_multiple_of(unit.max(1)).saturating_sub(len);
        let is_last = self.is_reading() && self.left().len() < missing;
        self.pad(if is_last { self.left().len() } else { missing })
    }

    /// A number of 64 bits.
    pub(crate) fn number64(&mut self) -> Result<u64, Refusal> {
        let mut number = 0;
        self.u64(&mut number)?;
        Ok(number)
    }

    /// Seconds and nanoseconds, 32 bits each.
    pub(crate) fn duration(&mut self, duration: &mut Duration) -> Done {
        let mut seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        let mut nanoseconds = duration.subsec_nanos();
        self.u32(&mut seconds)?;
        self.u32(&mut nanoseconds)?;
        *duration = Duration::new(seconds.into(), nanoseconds);
        Ok(())
    }

    /// The same; all ones for nothing.
    pub(crate) fn maybe_duration(&mut self, duration: &mut Option<Duration>) -> Done {
        let split = |duration: Duration| {
            let seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
            (seconds, duration.subsec_nanos())
        };
        let (mut seconds, mut nanoseconds) = duration.map_or((u32::MAX, u32::MAX), split);
        self.u32(&mut seconds)?;
        self.u32(&mut nanoseconds)?;
        let is_there = (seconds, nanoseconds) != (u32::MAX, u32::MAX);
        *duration = is_there.then(|| Duration::new(seconds.into(), nanoseconds));
        Ok(())
    }

    /// The length of a list of actions, in bytes: the number that was read, or where it is to be
    /// written.  Goes to [`Wire::part_of_len`].
    pub(crate) fn actions_len(&mut self) -> Result<usize, Refusal> {
        let at = self.mark();
        let mut len = 0;
        self.u16(&mut len)?;
        Ok(if self.is_reading() { len.into() } else { at })
    }

    /// A part whose length [`Wire::actions_len`] had.
    pub(crate) fn part_of_len(&mut self, len: usize, body: impl FnOnce(&mut Self) -> Done) -> Done {
        if self.is_reading() {
            return self.within(len, body);
        }
        let mark = self.mark();
        body(self)?;
        if self.since(mark) > usize::from(u16::MAX) {
            return Err(Refusal::BadLen);
        }
        self.patch(len, mark);
        Ok(())
    }

    /// Actions whose length [`Wire::actions_len`] had.
    pub(crate) fn actions_of_len(&mut self, len: usize, actions: &mut Actions) -> Done {
        self.part_of_len(len, |wire| wire.actions(actions))
    }

    /// Actions, to the end.
    pub(crate) fn actions(&mut self, actions: &mut Actions) -> Done {
        let (version, map) = (self.version(), self.session.map);
        match &mut self.side {
            Side::Reading(reader) => *actions = action::decode(reader.rest(), version, map)?,
            Side::Writing(out) => action::encode(actions, version, map, out),
        }
        Ok(())
    }

    /// What a flow does where there are no instructions, to the end.
    pub(crate) fn flow_actions(&mut self, actions: &mut Actions) -> Done {
        let is_first = self.version() == Version::V10;
        if is_first { self.instructions(actions) } else { self.actions(actions) }
    }

    /// Instructions, to the end.
    pub(crate) fn instructions(&mut self, actions: &mut Actions) -> Done {
        let (version, map) = (self.version(), self.session.map);
        match &mut self.side {
            Side::Reading(reader) => {
                let decoded = instruction::decode(reader.rest(), version, map);
                let refusal = if version == Version::V10 {
                    Refusal::ActionBadLen
                } else {
                    Refusal::InstBadLen
                };
                *actions = decoded.map_err(|other| long(other, refusal))?;
            }
            Side::Writing(out) => instruction::encode(actions, version, map, out),
        }
        Ok(())
    }

    /// The match of a version: the structures of 1.0 and 1.1, OXM later.
    pub(crate) fn matching(&mut self, value: &mut Match) -> Done {
        let (version, map) = (self.version(), self.session.map);
        match &mut self.side {
            Side::Reading(reader) => {
                let decoded = matching::decode(version, reader, map);
                *value = decoded.map_err(|refusal| long(refusal, Refusal::MatchBadLen))?;
            }
            Side::Writing(out) if version == Version::V11 => matching::encode_standard(value, out),
            Side::Writing(out) => matching::encode(value, version, map, out),
        }
        Ok(())
    }

    /// The same in statistics of flows: in 1.1 that is an extended match too.
    pub(crate) fn wide_match(&mut self, value: &mut Match) -> Done {
        let (version, map) = (self.version(), self.session.map);
        match &mut self.side {
            Side::Reading(_) => self.matching(value)?,
            Side::Writing(out) => matching::encode(value, version, map, out),
        }
        Ok(())
    }

    /// A match of 1.1 and later whose length was said before, by [`Wire::nx_match_len`].
    pub(crate) fn match_of_len(&mut self, len: usize, value: &mut Match) -> Done {
        let at = self.mark();
        self.matching(value)?;
        if let Side::Writing(out) = &mut self.side {
            let own = out.get(at.saturating_add(2)..).and_then(<[u8]>::first_chunk);
            let own = own.map_or(0, |bytes| u16::from_be_bytes(*bytes));
            out.patch_u16(len, own);
        }
        Ok(())
    }

    /// The length of an extended match: the number that was read, or where it is to be written.
    pub(crate) fn nx_match_len(&mut self) -> Result<usize, Refusal> {
        self.actions_len()
    }

    /// An extended match whose length [`Wire::nx_match_len`] had, with zeros up to 8 bytes.  It may
    /// ask for a cookie where there is a place for it: value and mask.
    pub(crate) fn nx_match_body(
        &mut self,
        len: usize,
        value: &mut Match,
        cookie: Option<&mut (u64, u64)>,
    ) -> Done {
        let map = self.session.map;
        match &mut self.side {
            Side::Reading(reader) => {
                let (read, asked) = matching::decode_nxm(reader, len, map)?;
                match cookie {
                    Some(cookie) => *cookie = (asked.value, asked.mask),
                    None if asked.mask != 0 => return Err(Refusal::NxmInvalid),
                    None => {}
                }
                *value = read;
            }
            Side::Writing(out) => {
                let (wanted, mask) = cookie.map_or((0, 0), |cookie| *cookie);
                let cookie = Cookie { value: wanted, mask };
                let bytes = matching::encode_nxm(value, cookie, map, out);
                out.patch_u16(len, u16::try_from(bytes).map_err(|_| Refusal::BadLen)?);
            }
        }
        Ok(())
    }

    /// A length, `padding` bytes of nothing, and the extended match of this length.
    pub(crate) fn nx_match(
        &mut self,
        padding: usize,
        value: &mut Match,
        cookie: Option<&mut (u64, u64)>,
    ) -> Done {
        let len = self.nx_match_len()?;
        self.pad(padding)?;
        self.nx_match_body(len, value, cookie)
    }

    /// Fields of a match, to the end, without a header: what a packet has beside its bytes.
    pub(crate) fn fields(&mut self, value: &mut Match) -> Done {
        let (version, map) = (self.version(), self.session.map);
        match &mut self.side {
            Side::Reading(reader) => {
                *value = matching::decode_fields(reader.rest(), map, Unknown::Skipped, None)?;
            }
            Side::Writing(out) => {
                // The stock switch writes OXM to connections of all versions.
                let form = Form::Oxm(version.max(Version::V12));
                matching::encode_fields(value, form, map, out);
            }
        }
        Ok(())
    }
}
