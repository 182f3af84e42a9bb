//! A JSON text that is read once: a flat list of where its values are, and no copy of them.
//!
//! A client may send tens of thousands of operations in one message. As a tree each of them would be a dozen
//! allocations; on the tape it is some entries of 16 bytes. What a string or number says is looked up in the text
//! when somebody asks. References, `["uuid", "…"]`, are one entry, and their uuids are decoded at once. An object that
//! differs from the element before it only in references is read by comparing the text between them, and is one entry
//! too: what is in it is looked up in the other one.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;

use serde::de::Error as _;
use serde_json::{Number, Value};
use uuid::Uuid;

use crate::value::json::{Json, uuid_of};
use crate::value::reader::Reader;

/// What the text of a reference starts with.
pub(super) const UUID_START: &[u8] = b"[\"uuid\",\"";

/// Where in the text of a reference its uuid ends.
pub(super) const UUID_END: usize = UUID_START.len() + 36;

/// A JSON text with the list of its values.
#[derive(Debug)]
pub struct Tape<'a> {
    text: Cow<'a, str>,
    lists: Lists,
}

/// The memory of a tape, which serves the next one as well.
#[derive(Default)]
pub struct Lists {
    /// Values in the order of the text; a container is followed by what it contains.
    pub(super) entries: Vec<Entry>,
    /// The uuids of the references.
    pub(super) uuids: Vec<Uuid>,
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values, {} uuids", self.entries.len(), self.uuids.len())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    /// A string without escapes: its text is what it says.
    Text,
    /// A string with escapes, with its quotes.
    Escaped,
    /// `["uuid","<36 characters>"]`.
    Reference,
    Array,
    Object,
    /// An element of an array: an object that differs from an earlier one, its pattern, only in its references.
    Repetition,
}

#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub kind: Kind,
    /// How many references a repetition has.
    pub references: u8,
    /// Where in the text it starts, in bytes.
    pub start: u32,
    /// Where a scalar ends, in bytes; how many elements or members a container has; which uuid a reference is, or the
    /// first one of a repetition.
    pub extent: u32,
    /// Number of the entry behind it and all that it contains; of a repetition, the pattern.
    pub next: u32,
}

impl Lists {
    /// Bytes of memory that they have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.uuids.capacity() * size_of::<Uuid>()
    }
}

impl<'a> Tape<'a> {
    /// Reads `text`, which is one JSON value; `lists` are overwritten.
    ///
    /// # Errors
    /// What `serde_json` says of a text that is no JSON.
    pub fn read(text: &'a [u8], lists: Lists) -> Result<Self, serde_json::Error> {
        if let Ok(text) = std::str::from_utf8(text)
            && u32::try_from(text.len()).is_ok()
            && let Some(lists) = Reader::new(text, lists).whole()
        {
            return Ok(Self { text: Cow::Borrowed(text), lists });
        }
        let error = serde_json::from_slice::<Value>(text).err();
        Err(error.unwrap_or_else(|| serde_json::Error::custom("larger or deeper than is read")))
    }

    /// The whole value.
    #[must_use]
    pub fn root(&self) -> TapeValue<'_> {
        TapeValue { tape: self, entry: 0, part: Part::Whole, repetition: None }
    }

    /// The same with a text of its own.
    #[must_use]
    pub fn into_owned(self) -> Tape<'static> {
        Tape { text: Cow::Owned(self.text.into_owned()), lists: self.lists }
    }

    /// Its memory, for the next tape.
    #[must_use]
    pub fn into_lists(self) -> Lists {
        self.lists
    }

    fn entry(&self, number: u32) -> Option<Entry> {
        self.lists.entries.get(number as usize).copied()
    }

    fn slice(&self, start: u32, end: u32) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }
}

/// Which part of an entry a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// The string `uuid` of a reference.
    Tag,
    /// The other string of a reference.
    Uuid,
}

/// A value on a tape.
#[derive(Clone, Copy, Debug)]
pub struct TapeValue<'t> {
    tape: &'t Tape<'t>,
    entry: u32,
    part: Part,
    /// The repetition that it is, or is in: what its entry says is moved there.
    repetition: Option<NonZeroU32>,
}

impl<'t> TapeValue<'t> {
    fn get(self) -> Option<Entry> {
        self.moved_entry().filter(|_| self.part == Part::Whole)
    }

    /// Its entry, as it were if no repetition was a single one. `next` stays in the pattern.
    fn moved_entry(self) -> Option<Entry> {
        let mut entry = self.tape.entry(self.entry)?;
        if let Some(repetition) = self.repetition {
            let repetition = self.tape.entry(repetition.get())?;
            let pattern = Self { entry: repetition.next, repetition: None, ..self };
            let by = repetition.start - self.tape.entry(pattern.entry)?.start;
            entry.start += by;
            entry.extent += match entry.kind {
                Kind::Array | Kind::Object | Kind::Repetition => 0,
                Kind::Reference => repetition.extent - pattern.noted_references()?.start,
                Kind::Null | Kind::Bool | Kind::Number | Kind::Text | Kind::Escaped => by,
            };
        }
        Some(entry)
    }

    /// Which uuids the references in an object are, if it has some and no repetitions.
    fn noted_references(self) -> Option<Range<u32>> {
        let entry = self.tape.entry(self.entry)?;
        let inside = self.tape.lists.entries.get(self.entry as usize..entry.next as usize)?;
        let (mut first, mut count) = (None, 0);
        for entry in inside {
            match entry.kind {
                Kind::Repetition => return None,
                Kind::Reference => {
                    first.get_or_insert(entry.extent);
                    count += 1;
                }
                _ => {}
            }
        }
        first.map(|first| first..first + count)
    }

    fn of_kind(self, kind: Kind) -> Option<Entry> {
        self.get().filter(|entry| entry.kind == kind)
    }

    /// The elements of an array; none of anything else.
    #[must_use]
    pub fn all_elements(self) -> Elements<'t> {
        let (next, left) = match self.get() {
            Some(Entry { kind: Kind::Array, extent, .. }) => {
                (Self { entry: self.entry + 1, ..self }, extent as usize)
            }
            Some(Entry { kind: Kind::Reference, .. }) => (Self { part: Part::Tag, ..self }, 2),
            _ => (self, 0),
        };
        Elements { next, left }
    }

    /// The text of a string that is part of a reference.
    fn part_text(self) -> Option<&'t str> {
        let start = self.moved_entry()?.start;
        let [quoted, end] = [UUID_START.len(), UUID_END].map(|it| u32::try_from(it).unwrap_or(0));
        match self.part {
            Part::Whole => None,
            Part::Tag => Some("uuid"),
            Part::Uuid => Some(self.tape.slice(start + quoted, start + end)),
        }
    }
}

impl<'t> Json<'t> for TapeValue<'t> {
    fn references_of_repetition(self) -> Option<&'t [Uuid]> {
        let entry = self.tape.entry(self.repetition?.get()).filter(|it| it.next == self.entry)?;
        let first = entry.extent as usize;
        self.tape.lists.uuids.get(first..first + usize::from(entry.references))
    }

    fn references(self) -> Option<&'t [Uuid]> {
        self.of_kind(Kind::Object)?;
        if self.repetition.is_some() {
            return self.references_of_repetition();
        }
        let Range { start, end } = self.noted_references()?;
        self.tape.lists.uuids.get(start as usize..end as usize)
    }

    fn to_value(self) -> Value {
        if let Some(text) = self.as_text() {
            return Value::from(text);
        }
        let text = self.get().and_then(|entry| self.tape.text.get(entry.start as usize..));
        let mut values = serde_json::Deserializer::from_str(text.unwrap_or_default()).into_iter();
        values.next().and_then(Result::ok).unwrap_or_default()
    }

    fn is_null(self) -> bool {
        self.of_kind(Kind::Null).is_some()
    }

    fn as_bool(self) -> Option<bool> {
        let entry = self.of_kind(Kind::Bool)?;
        Some(self.tape.slice(entry.start, entry.extent) == "true")
    }

    fn as_number(self) -> Option<Number> {
        let entry = self.of_kind(Kind::Number)?;
        let text = self.tape.slice(entry.start, entry.extent);
        match text.as_bytes() {
            [digit @ b'0'..=b'9'] => Some(Number::from(*digit - b'0')),
            _ => serde_json::from_str(text).ok(),
        }
    }

    fn as_text(self) -> Option<Cow<'t, str>> {
        let Some(entry) = self.get() else { return self.part_text().map(Cow::Borrowed) };
        match entry.kind {
            Kind::Text => Some(Cow::Borrowed(self.tape.slice(entry.start, entry.extent))),
            Kind::Escaped => {
                let text: String =
                    serde_json::from_str(self.tape.slice(entry.start, entry.extent)).ok()?;
                Some(Cow::Owned(text))
            }
            _ => None,
        }
    }

    fn elements(self) -> Option<impl ExactSizeIterator<Item = Self> + Clone> {
        let is_array = matches!(self.get()?.kind, Kind::Array | Kind::Reference);
        is_array.then(|| self.all_elements())
    }

    fn members(self) -> Option<impl Iterator<Item = (Cow<'t, str>, Self)> + Clone> {
        let entry = self.of_kind(Kind::Object)?;
        let names =
            Elements { next: Self { entry: self.entry + 1, ..self }, left: entry.extent as usize };
        Some(Members { names })
    }

    fn as_uuid(self) -> Option<Uuid> {
        let entry = self.get()?;
        match entry.kind {
            Kind::Reference => self.tape.lists.uuids.get(entry.extent as usize).copied(),
            // As somebody writes it who likes white space.
            Kind::Array => uuid_of(self.array()?),
            _ => None,
        }
    }
}

/// The elements of an array on a tape.
#[derive(Clone, Debug)]
pub struct Elements<'t> {
    next: TapeValue<'t>,
    left: usize,
}

impl<'t> Iterator for Elements<'t> {
    type Item = TapeValue<'t>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut value = self.next;
        match (value.part, value.tape.entry(value.entry)?) {
            (Part::Whole, Entry { kind: Kind::Repetition, next: pattern, .. }) => {
                self.next.entry += 1;
                value.repetition = NonZeroU32::new(value.entry);
                value.entry = pattern;
            }
            (Part::Whole, entry) => self.next.entry = entry.next,
            (Part::Tag | Part::Uuid, _) => self.next.part = Part::Uuid,
        }
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Elements<'_> {}

/// The members of an object: name, value, name, value.
#[derive(Clone)]
struct Members<'t> {
    names: Elements<'t>,
}

impl<'t> Iterator for Members<'t> {
    type Item = (Cow<'t, str>, TapeValue<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.names.next()?.as_text()?;
        let value = self.names.next;
        self.names.next.entry = value.tape.entry(value.entry)?.next;
        Some((name, value))
    }
}
