//! A JSON text that is read once: a flat list of where its values are, and no copy of them.
//!
//! A client may send tens of thousands of operations in one message. As a tree each of them would be a dozen
//! allocations; on the tape it is some entries of 16 bytes. What a string or number says is looked up in the text
//! when somebody asks. References, `["uuid", "…"]`, are one entry, and their uuids are decoded at once.

use std::borrow::Cow;
use std::fmt;

use serde::de::Error as _;
use serde_json::{Number, Value};
use uuid::Uuid;

use crate::value::json::{Json, uuid_of};

/// Deepest nesting that is read, as in `serde_json`.
const DEPTH_MAX: usize = 127;

/// What the text of a reference starts with.
const UUID_START: &[u8] = b"[\"uuid\",\"";

/// Where in the text of a reference its uuid ends.
const UUID_END: usize = UUID_START.len() + 36;

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
    entries: Vec<Entry>,
    /// The uuids of the references.
    uuids: Vec<Uuid>,
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values, {} uuids", self.entries.len(), self.uuids.len())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
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
}

#[derive(Clone, Copy)]
struct Entry {
    kind: Kind,
    /// Where in the text it starts, in bytes.
    start: u32,
    /// Where a scalar ends, in bytes; how many elements or members a container has; which uuid a reference is.
    extent: u32,
    /// Number of the entry behind it and all that it contains.
    next: u32,
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
        TapeValue { tape: self, entry: 0, part: Part::Whole }
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
}

impl<'t> TapeValue<'t> {
    fn get(self) -> Option<Entry> {
        self.tape.entry(self.entry).filter(|_| self.part == Part::Whole)
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
        let start = self.tape.entry(self.entry)?.start;
        let [quoted, end] = [UUID_START.len(), UUID_END].map(|it| u32::try_from(it).unwrap_or(0));
        match self.part {
            Part::Whole => None,
            Part::Tag => Some("uuid"),
            Part::Uuid => Some(self.tape.slice(start + quoted, start + end)),
        }
    }
}

impl<'t> Json<'t> for TapeValue<'t> {
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
        let value = self.next;
        match value.part {
            Part::Whole => self.next.entry = value.tape.entry(value.entry)?.next,
            Part::Tag | Part::Uuid => self.next.part = Part::Uuid,
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

/// Reads a text from its start. After None it may stand anywhere.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    lists: Lists,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, mut lists: Lists) -> Self {
        lists.entries.clear();
        lists.uuids.clear();
        Self { text: text.as_bytes(), at: 0, depth: 0, lists }
    }

    fn whole(mut self) -> Option<Lists> {
        self.skip_space();
        self.value()?;
        self.skip_space();
        (self.at == self.text.len()).then_some(self.lists)
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is no white space, which is passed.
    fn take(&mut self) -> Option<u8> {
        self.skip_space();
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn push(&mut self, kind: Kind, start: usize, extent: usize) -> Option<()> {
        let next = u32::try_from(self.lists.entries.len() + 1).ok()?;
        let [start, extent] = [u32::try_from(start).ok()?, u32::try_from(extent).ok()?];
        self.lists.entries.push(Entry { kind, start, extent, next });
        Some(())
    }

    fn value(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string(),
            b'[' => match self.reference() {
                Some(()) => Some(()),
                None => self.array(),
            },
            b'{' => self.object(),
            b't' => self.word(b"true", Kind::Bool),
            b'f' => self.word(b"false", Kind::Bool),
            b'n' => self.word(b"null", Kind::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Option<()> {
        self.rest().strip_prefix(word)?;
        self.push(kind, self.at, self.at + word.len())?;
        self.at += word.len();
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let part_of_number =
            |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let length = self.rest().iter().take_while(part_of_number).count();
        let text = self.rest().get(..length)?;
        // One digit is a number for sure, and the most frequent one.
        if !matches!(text, [b'0'..=b'9']) {
            serde_json::from_slice::<Number>(text).ok()?;
        }
        self.push(Kind::Number, self.at, self.at + length)?;
        self.at += length;
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            let rest = self.text.get(at..)?;
            if let Some(eight) = rest.first_chunk() {
                let special = special(u64::from_le_bytes(*eight));
                if special == 0 {
                    at += 8;
                    continue;
                }
                at += special.trailing_zeros() as usize / 8;
            }
            match self.text.get(at)? {
                b'"' => break,
                b'\\' => return self.escaped(at),
                0..0x20 => return None,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        self.push(Kind::Text, start, at)
    }

    /// A string whose first escape is at `at`.
    fn escaped(&mut self, mut at: usize) -> Option<()> {
        loop {
            match self.text.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        let start = std::mem::replace(&mut self.at, at + 1);
        serde_json::from_slice::<String>(self.text.get(start..=at)?).ok()?;
        self.push(Kind::Escaped, start, at + 1)
    }

    /// A reference without white space; after None nothing is passed.
    fn reference(&mut self) -> Option<()> {
        let (uuid, behind) = self.rest().strip_prefix(UUID_START)?.split_at_checked(36)?;
        behind.strip_prefix(b"\"]")?;
        let uuid = Uuid::try_parse_ascii(uuid).ok()?;
        self.push(Kind::Reference, self.at, self.lists.uuids.len())?;
        self.lists.uuids.push(uuid);
        self.at += UUID_END + 2;
        Some(())
    }

    fn array(&mut self) -> Option<()> {
        let container = self.open(Kind::Array)?;
        let mut count = 0;
        self.skip_space();
        if self.peek()? == b']' {
            self.at += 1;
            return self.close(container, count);
        }
        loop {
            self.skip_space();
            self.value()?;
            count += 1;
            match self.take()? {
                b',' => {}
                b']' => return self.close(container, count),
                _ => return None,
            }
        }
    }

    fn object(&mut self) -> Option<()> {
        let container = self.open(Kind::Object)?;
        let mut count = 0;
        self.skip_space();
        if self.peek()? == b'}' {
            self.at += 1;
            return self.close(container, count);
        }
        loop {
            self.skip_space();
            if self.peek()? != b'"' {
                return None;
            }
            self.string()?;
            if self.take()? != b':' {
                return None;
            }
            self.skip_space();
            self.value()?;
            count += 1;
            match self.take()? {
                b',' => {}
                b'}' => return self.close(container, count),
                _ => return None,
            }
        }
    }

    /// Begins a container and passes its bracket: the number of its entry.
    fn open(&mut self, kind: Kind) -> Option<usize> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let container = self.lists.entries.len();
        self.push(kind, self.at, 0)?;
        self.at += 1;
        Some(container)
    }

    fn close(&mut self, container: usize, count: u32) -> Option<()> {
        self.depth -= 1;
        let next = u32::try_from(self.lists.entries.len()).ok()?;
        let entry = self.lists.entries.get_mut(container)?;
        (entry.extent, entry.next) = (count, next);
        Some(())
    }
}

/// A one in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// The highest bit of the first byte that a string cannot hold as it is, a quote, backslash or control character,
/// is set; bits above it may be.
fn special(eight: u64) -> u64 {
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let is = |byte: u8| below(eight ^ (ONES * u64::from(byte)), 1);
    (is(b'"') | is(b'\\') | below(eight, 0x20)) & (ONES * 0x80)
}
