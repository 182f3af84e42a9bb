//! What a reader asks of a JSON value, wherever the value is kept: in a tree of [`Value`]s or on a [tape](super::tape).

use std::borrow::Cow;

use serde_json::{Number, Value};
use uuid::Uuid;

use crate::value::atom::parse_uuid;

/// A JSON value that can be asked what it is. `'a` is how long its texts live.
pub trait Json<'a>: Copy {
    /// The same as a tree.
    fn to_value(self) -> Value;

    /// True for `null`.
    fn is_null(self) -> bool;

    /// The truth of `true` and `false`.
    fn as_bool(self) -> Option<bool>;

    /// The number that it is.
    fn as_number(self) -> Option<Number>;

    /// The text of a string.
    fn as_text(self) -> Option<Cow<'a, str>>;

    /// The elements of an array.
    fn elements(self) -> Option<impl ExactSizeIterator<Item = Self> + Clone>;

    /// The members of an object in the order of the text. When a name comes twice, its last value counts.
    fn members(self) -> Option<impl Iterator<Item = (Cow<'a, str>, Self)> + Clone>;

    /// The uuid of `["uuid", "<36 characters>"]`, the notation of OVSDB.
    fn as_uuid(self) -> Option<Uuid> {
        uuid_of(self.array()?)
    }

    /// The references in it, in the order of the text, when it is an element of an array and says what the element
    /// before it says but for them. None also when nobody has noticed.
    fn references_of_repetition(self) -> Option<&'a [Uuid]> {
        None
    }

    /// The references of a small object in the order of the text. None also when nobody has noted them.
    fn references(self) -> Option<&'a [Uuid]> {
        None
    }

    /// True for the string `text`.
    fn is_text(self, text: &str) -> bool {
        self.as_text().is_some_and(|mine| mine == text)
    }

    /// The elements of an array of exactly `N`.
    fn array<const N: usize>(self) -> Option<[Self; N]> {
        let mut elements = self.elements().filter(|elements| elements.len() == N)?;
        let mut array = [self; N];
        for slot in &mut array {
            *slot = elements.next()?;
        }
        Some(array)
    }

    /// The array behind `tag` in `[tag, […]]`.
    fn tagged(self, tag: &str) -> Option<impl ExactSizeIterator<Item = Self> + Clone> {
        let [first, second] = self.array()?;
        second.elements().filter(|_| first.is_text(tag))
    }

    /// True when it is an array that begins with the string `tag`.
    fn begins_with(self, tag: &str) -> bool {
        let first = self.elements().and_then(|mut elements| elements.next());
        first.is_some_and(|first| first.is_text(tag))
    }
}

/// The uuid of an array of two.
pub(super) fn uuid_of<'a, J: Json<'a>>([tag, text]: [J; 2]) -> Option<Uuid> {
    parse_uuid(&text.as_text().filter(|_| tag.is_text("uuid"))?)
}

impl<'a> Json<'a> for &'a Value {
    fn to_value(self) -> Value {
        self.clone()
    }

    fn is_null(self) -> bool {
        Value::is_null(self)
    }

    fn as_bool(self) -> Option<bool> {
        Value::as_bool(self)
    }

    fn as_number(self) -> Option<Number> {
        Value::as_number(self).cloned()
    }

    fn as_text(self) -> Option<Cow<'a, str>> {
        self.as_str().map(Cow::Borrowed)
    }

    fn elements(self) -> Option<impl ExactSizeIterator<Item = Self> + Clone> {
        self.as_array().map(|elements| elements.iter())
    }

    fn members(self) -> Option<impl Iterator<Item = (Cow<'a, str>, Self)> + Clone> {
        let members = self.as_object()?.iter();
        Some(members.map(|(name, value)| (Cow::Borrowed(name.as_str()), value)))
    }
}
