//! Reads a JSON text to the lists of a [tape](super::tape), each byte once.

use std::ops::Range;

use serde_json::Number;
use uuid::Uuid;

use crate::value::tape::{Entry, Kind, Lists, UUID_END, UUID_START};

/// Deepest nesting that is read, as in `serde_json`.
const DEPTH_MAX: usize = 127;

/// A small object with references, as the next element of its array may repeat it.
struct Pattern {
    text: Range<usize>,
    entry: usize,
    /// Where its references start, in bytes from its own start.
    references: Vec<usize>,
}

/// Values in the largest object that is a pattern.
const PATTERN_MAX: usize = 64;

impl Pattern {
    /// The object whose entries end the lists, from `entry` on; None when it is none, or too large, or refers to
    /// nothing, or contains repetitions itself.
    fn new(lists: &Lists, text: Range<usize>, entry: usize) -> Option<Self> {
        let inside = lists.entries.get(entry..).filter(|all| all.len() <= PATTERN_MAX)?;
        inside.first().filter(|entry| entry.kind == Kind::Object)?;
        if inside.iter().any(|entry| entry.kind == Kind::Repetition) {
            return None;
        }
        let references = inside.iter().filter(|entry| entry.kind == Kind::Reference);
        let references: Vec<usize> =
            references.map(|entry| entry.start as usize - text.start).collect();
        (!references.is_empty()).then_some(Self { text, entry, references })
    }
}

/// Reads a text from its start. After None it may stand anywhere.
pub(super) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    lists: Lists,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str, mut lists: Lists) -> Self {
        lists.entries.clear();
        lists.uuids.clear();
        Self { text: text.as_bytes(), at: 0, depth: 0, lists }
    }

    /// Reads all of the text as one value; None when it is something else.
    pub fn whole(mut self) -> Option<Lists> {
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
        self.lists.entries.push(Entry { kind, references: 0, start, extent, next });
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
        let uuid = uuid_of_text(uuid)?;
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
        let mut before: Option<Pattern> = None;
        loop {
            self.skip_space();
            if before.as_ref().and_then(|pattern| self.repeat(pattern)).is_none() {
                let (start, entry) = (self.at, self.lists.entries.len());
                self.value()?;
                before = Pattern::new(&self.lists, start..self.at, entry);
            }
            count += 1;
            match self.take()? {
                b',' => {}
                b']' => return self.close(container, count),
                _ => return None,
            }
        }
    }

    /// Reads an object that says what the pattern says but for its references; after None nothing is passed.
    fn repeat(&mut self, pattern: &Pattern) -> Option<()> {
        let (model, here) = (self.text.get(pattern.text.clone())?, self.rest());
        let first_uuid = self.lists.uuids.len();
        let mut at = 0;
        let mut is_same = || {
            for start in &pattern.references {
                let uuid = start + UUID_START.len();
                if here.get(at..uuid)? != model.get(at..uuid)? {
                    return None;
                }
                at = uuid + 36;
                self.lists.uuids.push(uuid_of_text(here.get(uuid..at)?)?);
            }
            (here.get(at..model.len())? == model.get(at..)?).then_some(())
        };
        if is_same().is_none() {
            self.lists.uuids.truncate(first_uuid);
            return None;
        }
        self.lists.entries.push(Entry {
            kind: Kind::Repetition,
            references: u8::try_from(pattern.references.len()).ok()?,
            start: u32::try_from(self.at).ok()?,
            extent: u32::try_from(first_uuid).ok()?,
            next: u32::try_from(pattern.entry).ok()?,
        });
        self.at += model.len();
        Some(())
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

/// A uuid of 36 characters, as OVSDB writes it; the digits may be capitals. The way of the crate `uuid` takes three
/// times as long, and a message may have tens of thousands.
fn uuid_of_text(text: &[u8]) -> Option<Uuid> {
    let (first, rest) = text.split_first_chunk::<8>()?;
    let [b'-', b0, b1, b2, b3, b'-', c0, c1, c2, c3, b'-', d0, d1, d2, d3, b'-', rest @ ..] = rest
    else {
        return None;
    };
    let (&[e0, e1, e2, e3], rest) = rest.split_first_chunk::<4>()?;
    let last = rest.try_into().ok()?;
    let words = [
        *first,
        [*b0, *b1, *b2, *b3, *c0, *c1, *c2, *c3],
        [*d0, *d1, *d2, *d3, e0, e1, e2, e3],
        last,
    ];
    let mut uuid = [0; 16];
    for (bytes, word) in uuid.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *bytes = of_hex(u64::from_le_bytes(word))?;
    }
    Some(Uuid::from_bytes(uuid))
}

/// The four bytes that eight hexadecimal digits say, the first digit in the lowest bits.
fn of_hex(digits: u64) -> Option<[u8; 4]> {
    let letters = (digits >> 6) & ONES;
    let values = (digits & (ONES * 0x0f)) + letters * 9;
    // Written again they must be the same: the nine letters and digits that share their lowest bits are not.
    let above_nine = ((values + ONES * 6) >> 4) & ONES;
    let written = values + ONES * 0x30 + above_nine * 0x27;
    let small = digits | ((digits & (ONES * 0x40)) >> 1);
    if written != small || values & (ONES * 0xf0) != 0 {
        return None;
    }
    let [b0, _, b1, _, b2, _, b3, _] = (values << 4 | values >> 8).to_le_bytes();
    Some([b0, b1, b2, b3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_those_of_the_crate_uuid() {
        for text in ["01234567-89ab-cdef-0123-456789abcdef", "FFFFFFFF-0000-AAAA-9999-aaaaffff0000"]
        {
            for place in 0..36 {
                for byte in 0..=255 {
                    let mut text = text.as_bytes().to_vec();
                    text[place] = byte;
                    assert_eq!(uuid_of_text(&text), Uuid::try_parse_ascii(&text).ok(), "{text:?}");
                }
            }
        }
        assert_eq!(uuid_of_text(b"01234567-89ab-cdef-0123-456789abcde"), None);
    }
}
