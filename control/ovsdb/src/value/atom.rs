//! Atoms: the scalar values of OVSDB (RFC 7047 section 5.1 `<atom>`).

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use crate::value::error::OvsdbError;
use crate::value::json::Json;

/// The type of an atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtomType {
    /// 64-bit signed integer.
    Integer,
    /// IEEE 754 double.
    Real,
    /// true or false.
    Boolean,
    /// UTF-8 text without NUL.
    String,
    /// 128-bit row name.
    Uuid,
}

impl AtomType {
    /// The name in a schema.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Uuid => "uuid",
        }
    }

    /// The type with that schema name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Integer, Self::Real, Self::Boolean, Self::String, Self::Uuid]
            .into_iter()
            .find(|ty| ty.name() == name)
    }

    /// The value a column has when nobody gave one.
    #[must_use]
    pub fn default_atom(self) -> Atom {
        match self {
            Self::Integer => Atom::Integer(0),
            Self::Real => Atom::Real(0.0),
            Self::Boolean => Atom::Boolean(false),
            Self::String => Atom::String(Arc::from("")),
            Self::Uuid => Atom::Uuid(Uuid::nil()),
        }
    }
}

/// One scalar value. Total order: by type, then by value, so that sets and maps have one canonical form.
#[derive(Clone, Debug)]
pub enum Atom {
    /// 64-bit signed integer.
    Integer(i64),
    /// IEEE 754 double, never NaN, never negative zero.
    Real(f64),
    /// true or false.
    Boolean(bool),
    /// UTF-8 text without NUL.
    String(Arc<str>),
    /// 128-bit row name.
    Uuid(Uuid),
}

impl Atom {
    /// A string atom.
    #[must_use]
    pub fn string(text: &str) -> Self {
        Self::String(Arc::from(text))
    }

    /// A real atom; negative zero becomes zero.
    #[must_use]
    pub fn real(value: f64) -> Self {
        Self::Real(if value == 0.0 { 0.0 } else { value })
    }

    /// The type of this atom.
    #[must_use]
    pub fn atom_type(&self) -> AtomType {
        match self {
            Self::Integer(_) => AtomType::Integer,
            Self::Real(_) => AtomType::Real,
            Self::Boolean(_) => AtomType::Boolean,
            Self::String(_) => AtomType::String,
            Self::Uuid(_) => AtomType::Uuid,
        }
    }

    /// The text, if this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The number, if this is an integer.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Integer(value) = self { Some(*value) } else { None }
    }

    /// The number, if this is a real.
    #[must_use]
    pub fn as_real(&self) -> Option<f64> {
        if let Self::Real(value) = self { Some(*value) } else { None }
    }

    /// The truth, if this is a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Boolean(value) = self { Some(*value) } else { None }
    }

    /// The row name, if this is a uuid.
    #[must_use]
    pub fn as_uuid(&self) -> Option<Uuid> {
        if let Self::Uuid(value) = self { Some(*value) } else { None }
    }

    /// Reads an atom of type `ty`. `symbols` resolves `["named-uuid", …]` where a transaction allows it.
    ///
    /// # Errors
    /// A `syntax error` when `json` is of another type.
    pub fn from_json<'a>(
        ty: AtomType,
        json: impl Json<'a>,
        symbols: Option<&mut Symbols>,
    ) -> Result<Self, OvsdbError> {
        let atom = match ty {
            AtomType::Integer => integer(json).map(Self::Integer),
            AtomType::Real => {
                let real = json.as_number().and_then(|number| number.as_f64());
                real.filter(|real| real.is_finite()).map(Self::real)
            }
            AtomType::Boolean => json.as_bool().map(Self::Boolean),
            AtomType::String => {
                let text = json.as_text().filter(|text| !text.contains('\0'));
                text.map(|text| Self::string(&text))
            }
            AtomType::Uuid => return uuid_from_json(json, symbols),
        };
        atom.ok_or_else(|| OvsdbError::syntax(json, format!("expected {}", ty.name())))
    }

    /// True when `json` plainly is this atom; false also when it takes more than a glance to see.
    pub(crate) fn is_plainly<'a>(&self, json: impl Json<'a>) -> bool {
        match self {
            Self::Integer(value) => integer(json) == Some(*value),
            Self::Real(_) => false,
            Self::Boolean(value) => json.as_bool() == Some(*value),
            Self::String(text) => json.is_text(text),
            Self::Uuid(uuid) => json.as_uuid() == Some(*uuid),
        }
    }

    /// The JSON form.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Integer(value) => Value::from(*value),
            Self::Real(value) => Value::from(*value),
            Self::Boolean(value) => Value::from(*value),
            Self::String(text) => Value::from(text.as_ref()),
            Self::Uuid(uuid) => {
                Value::Array(vec![Value::from("uuid"), Value::from(uuid.to_string())])
            }
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Integer(_) => 0,
            Self::Real(_) => 1,
            Self::Boolean(_) => 2,
            Self::String(_) => 3,
            Self::Uuid(_) => 4,
        }
    }
}

/// 2^63 as a double; every smaller integral double is an i64.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

#[expect(clippy::cast_possible_truncation, reason = "checked to be integral and in range")]
fn integral(real: f64) -> Option<i64> {
    (real.fract() == 0.0 && (-TWO_TO_63..TWO_TO_63).contains(&real)).then_some(real as i64)
}

/// The integer that a number is, be it written with a point.
fn integer<'a>(json: impl Json<'a>) -> Option<i64> {
    let number = json.as_number()?;
    number.as_i64().or_else(|| number.as_f64().and_then(integral))
}

fn uuid_from_json<'a>(
    json: impl Json<'a>,
    symbols: Option<&mut Symbols>,
) -> Result<Atom, OvsdbError> {
    if let Some(uuid) = json.as_uuid() {
        return Ok(Atom::Uuid(uuid));
    }
    let expected = || OvsdbError::syntax(json, "expected [\"uuid\", <string>]");
    let texts = json.array().and_then(|[tag, text]| Some((tag.as_text()?, text.as_text()?)));
    let (tag, text) = texts.ok_or_else(expected)?;
    match (&*tag, symbols) {
        ("uuid", _) => Err(OvsdbError::syntax(json, format!("\"{text}\" is not a valid UUID"))),
        ("named-uuid", Some(symbols)) => Ok(Atom::Uuid(symbols.reference(&text))),
        _ => Err(expected()),
    }
}

/// A uuid in the one form that OVSDB writes: 36 characters with hyphens.
#[must_use]
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

/// True for an `<id>` (RFC 7047 section 3.1): a letter or underscore, then letters, digits, underscores.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Atom {}

impl PartialOrd for Atom {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Atom {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::Uuid(a), Self::Uuid(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl Hash for Atom {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Self::Integer(value) => value.hash(state),
            Self::Real(value) => value.to_bits().hash(state),
            Self::Boolean(value) => value.hash(state),
            Self::String(text) => text.hash(state),
            Self::Uuid(uuid) => uuid.hash(state),
        }
    }
}

impl Serialize for Atom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Real(value) => serializer.serialize_f64(*value),
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::String(text) => serializer.serialize_str(text),
            Self::Uuid(uuid) => {
                let mut buffer = Uuid::encode_buffer();
                let text: &str = uuid.hyphenated().encode_lower(&mut buffer);
                ("uuid", text).serialize(serializer)
            }
        }
    }
}

/// The operator's form: strings are quoted only where they could be taken for something else.
impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::String(text) if needs_quotes(text) => {
                write!(f, "{}", Value::from(text.as_ref()))
            }
            Self::String(text) => write!(f, "{text}"),
            Self::Uuid(uuid) => write!(f, "{uuid}"),
        }
    }
}

fn needs_quotes(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        || !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        || matches!(text, "true" | "false")
        || parse_uuid(text).is_some()
}

/// The `uuid-name`s of one transaction and the rows they stand for.
#[derive(Debug, Default)]
pub struct Symbols {
    names: HashMap<String, Symbol>,
}

#[derive(Debug)]
struct Symbol {
    uuid: Uuid,
    created: bool,
}

impl Symbols {
    /// The uuid of a name that an insert has used or will use.
    pub fn reference(&mut self, name: &str) -> Uuid {
        if let Some(symbol) = self.names.get(name) {
            return symbol.uuid;
        }
        let uuid = Uuid::new_v4();
        self.names.insert(name.to_owned(), Symbol { uuid, created: false });
        uuid
    }

    /// The uuid of a name that an insert gives to its row now; None when another insert took it.
    /// `wanted` is the uuid that the insert itself asks for, honoured when the name is still unused.
    pub fn create(&mut self, name: &str, wanted: Option<Uuid>) -> Option<Uuid> {
        if let Some(symbol) = self.names.get_mut(name) {
            if symbol.created {
                return None;
            }
            symbol.created = true;
            return Some(symbol.uuid);
        }
        let uuid = wanted.unwrap_or_else(Uuid::new_v4);
        self.names.insert(name.to_owned(), Symbol { uuid, created: true });
        Some(uuid)
    }
}
