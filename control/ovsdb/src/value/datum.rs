//! Datums: what a column holds, a set of atoms or a map from atoms to atoms.

use std::cmp::Ordering;
use std::fmt;

use serde::ser::{SerializeSeq, SerializeTuple};
use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use crate::value::atom::{Atom, Symbols};
use crate::value::error::OvsdbError;
use crate::value::json::Json;
use crate::value::schema::ColumnType;

/// A column's value. A scalar is a set of one, an empty optional a set of none.
///
/// Both vectors are sorted and free of duplicates (map keys); [`Datum::set`] and [`Datum::map`] see to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Datum {
    /// A set, sorted.
    Set(Vec<Atom>),
    /// A map, sorted by key.
    Map(Vec<(Atom, Atom)>),
}

impl Default for Datum {
    fn default() -> Self {
        Self::Set(Vec::new())
    }
}

impl Datum {
    /// The order of two values of one column: the one with fewer elements first, then by keys, then by values.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        let by_content = || match (self, other) {
            (Self::Map(a), Self::Map(b)) => {
                let keys = a.iter().map(|pair| &pair.0).cmp(b.iter().map(|pair| &pair.0));
                keys.then_with(|| a.cmp(b))
            }
            _ => self.cmp(other),
        };
        self.len().cmp(&other.len()).then_with(by_content)
    }

    /// The set of `atoms`.
    #[must_use]
    pub fn set(mut atoms: Vec<Atom>) -> Self {
        // Large sets come in order but for a few: this sort makes use of that.
        atoms.sort();
        atoms.dedup();
        Self::Set(atoms)
    }

    /// The map of `pairs`; of two pairs with one key the first stays.
    #[must_use]
    pub fn map(mut pairs: Vec<(Atom, Atom)>) -> Self {
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|later, earlier| later.0 == earlier.0);
        Self::Map(pairs)
    }

    /// The empty set.
    #[must_use]
    pub fn empty() -> Self {
        Self::Set(Vec::new())
    }

    /// One string.
    #[must_use]
    pub fn string(text: &str) -> Self {
        Self::Set(vec![Atom::string(text)])
    }

    /// One integer.
    #[must_use]
    pub fn integer(value: i64) -> Self {
        Self::Set(vec![Atom::Integer(value)])
    }

    /// One boolean.
    #[must_use]
    pub fn boolean(value: bool) -> Self {
        Self::Set(vec![Atom::Boolean(value)])
    }

    /// One uuid.
    #[must_use]
    pub fn uuid(uuid: Uuid) -> Self {
        Self::Set(vec![Atom::Uuid(uuid)])
    }

    /// A set of strings.
    #[must_use]
    pub fn set_of_strings<T: AsRef<str>>(strings: impl IntoIterator<Item = T>) -> Self {
        Self::set(strings.into_iter().map(|text| Atom::string(text.as_ref())).collect())
    }

    /// A set of uuids.
    #[must_use]
    pub fn set_of_uuids(uuids: impl IntoIterator<Item = Uuid>) -> Self {
        Self::set(uuids.into_iter().map(Atom::Uuid).collect())
    }

    /// A map from strings to strings.
    #[must_use]
    pub fn map_of_strings<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self::map(
            pairs
                .into_iter()
                .map(|(key, value)| (Atom::string(key.as_ref()), Atom::string(value.as_ref())))
                .collect(),
        )
    }

    /// A map from strings to integers, as the statistics columns are.
    #[must_use]
    pub fn map_of_integers<K: AsRef<str>>(pairs: impl IntoIterator<Item = (K, i64)>) -> Self {
        Self::map(
            pairs
                .into_iter()
                .map(|(key, value)| (Atom::string(key.as_ref()), Atom::Integer(value)))
                .collect(),
        )
    }

    /// How many atoms or pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Set(atoms) => atoms.len(),
            Self::Map(pairs) => pairs.len(),
        }
    }

    /// True when there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The only atom of a set of one.
    #[must_use]
    pub fn scalar(&self) -> Option<&Atom> {
        match self {
            Self::Set(atoms) => match atoms.as_slice() {
                [atom] => Some(atom),
                _ => None,
            },
            Self::Map(_) => None,
        }
    }

    /// The text of a string column or a set optional string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.scalar().and_then(Atom::as_str)
    }

    /// The number of an integer column or a set optional integer.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        self.scalar().and_then(Atom::as_int)
    }

    /// The number of a real column.
    #[must_use]
    pub fn as_real(&self) -> Option<f64> {
        self.scalar().and_then(Atom::as_real)
    }

    /// The truth of a boolean column or a set optional boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        self.scalar().and_then(Atom::as_bool)
    }

    /// The uuid of a reference column or a set optional reference.
    #[must_use]
    pub fn as_uuid(&self) -> Option<Uuid> {
        self.scalar().and_then(Atom::as_uuid)
    }

    /// The atoms of a set; none for a map.
    #[must_use]
    pub fn atoms(&self) -> &[Atom] {
        match self {
            Self::Set(atoms) => atoms,
            Self::Map(_) => &[],
        }
    }

    /// The pairs of a map; none for a set.
    #[must_use]
    pub fn pairs(&self) -> &[(Atom, Atom)] {
        match self {
            Self::Set(_) => &[],
            Self::Map(pairs) => pairs,
        }
    }

    /// The uuids of a set of references, in order.
    pub fn uuids(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.atoms().iter().filter_map(Atom::as_uuid)
    }

    /// The texts of a set of strings, in order.
    pub fn strings(&self) -> impl Iterator<Item = &str> + '_ {
        self.atoms().iter().filter_map(Atom::as_str)
    }

    /// The numbers of a set of integers, in order.
    pub fn integers(&self) -> impl Iterator<Item = i64> + '_ {
        self.atoms().iter().filter_map(Atom::as_int)
    }

    /// The text under `key` of a map from strings to strings.
    #[must_use]
    pub fn map_get(&self, key: &str) -> Option<&str> {
        self.map_atom(key).and_then(Atom::as_str)
    }

    /// The atom under a string `key`.
    #[must_use]
    pub fn map_atom(&self, key: &str) -> Option<&Atom> {
        let pairs = self.pairs();
        let index = pairs
            .binary_search_by(|(candidate, _)| match candidate {
                Atom::String(text) => text.as_ref().cmp(key),
                _ => Ordering::Less,
            })
            .ok()?;
        pairs.get(index).map(|(_, value)| value)
    }

    /// The pairs of a map from strings to strings.
    pub fn string_pairs(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.pairs().iter().filter_map(|(key, value)| Some((key.as_str()?, value.as_str()?)))
    }

    /// Reads a datum of type `ty` and checks every constraint of the type.
    ///
    /// # Errors
    /// `syntax error` or `constraint violation`.
    pub fn from_json<'a>(
        ty: &ColumnType,
        json: impl Json<'a>,
        mut symbols: Option<&mut Symbols>,
    ) -> Result<Self, OvsdbError> {
        let datum = if ty.value.is_some() {
            map_from_json(ty, json, symbols)?
        } else if let Some(elements) = json.tagged("set") {
            count_in_bounds(ty, "set", elements.len(), json)?;
            let mut atoms = Vec::with_capacity(elements.len());
            for element in elements {
                let atom = Atom::from_json(ty.key.ty, element, symbols.as_deref_mut())?;
                ty.key.check(&atom)?;
                atoms.push(atom);
            }
            let count = atoms.len();
            let set = Self::set(atoms);
            if set.len() != count {
                return Err(OvsdbError::new("ovsdb error", "set contains duplicate"));
            }
            set
        } else if json.begins_with("set") {
            return Err(OvsdbError::syntax(json, "expected [\"set\", <array>]"));
        } else {
            let atom = Atom::from_json(ty.key.ty, json, symbols)?;
            ty.key.check(&atom)?;
            Self::Set(vec![atom])
        };
        Ok(datum)
    }

    /// True when `json` plainly is this datum, with the elements of a set in order; false also when it takes more
    /// than a glance to see.
    pub(crate) fn is_plainly<'a>(&self, json: impl Json<'a>) -> bool {
        match self {
            Self::Set(atoms) => match atoms.as_slice() {
                [atom] => atom.is_plainly(json),
                atoms => json.tagged("set").is_some_and(|elements| {
                    atoms.len() == elements.len()
                        && atoms.iter().zip(elements).all(|(atom, json)| atom.is_plainly(json))
                }),
            },
            Self::Map(_) => false,
        }
    }

    /// The JSON form: a bare atom for a set of one.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Set(atoms) => match atoms.as_slice() {
                [atom] => atom.to_json(),
                _ => tag("set", atoms.iter().map(Atom::to_json).collect()),
            },
            Self::Map(pairs) => tag(
                "map",
                pairs
                    .iter()
                    .map(|(key, value)| Value::Array(vec![key.to_json(), value.to_json()]))
                    .collect(),
            ),
        }
    }

    /// True when every element of `other` is in `self`.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Set(all), Self::Set(some)) => {
                some.iter().all(|atom| all.binary_search(atom).is_ok())
            }
            (Self::Map(all), Self::Map(some)) => {
                some.iter().all(|pair| all.binary_search(pair).is_ok())
            }
            _ => false,
        }
    }

    /// True when no element of `other` is in `self`.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Set(all), Self::Set(some)) => {
                some.iter().all(|atom| all.binary_search(atom).is_err())
            }
            (Self::Map(all), Self::Map(some)) => {
                some.iter().all(|pair| all.binary_search(pair).is_err())
            }
            _ => true,
        }
    }
}

impl Serialize for Datum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Set(atoms) => {
                if let [atom] = atoms.as_slice() {
                    return atom.serialize(serializer);
                }
                let mut tuple = serializer.serialize_tuple(2)?;
                tuple.serialize_element("set")?;
                tuple.serialize_element(atoms)?;
                tuple.end()
            }
            Self::Map(pairs) => {
                let mut sequence = serializer.serialize_seq(Some(2))?;
                sequence.serialize_element("map")?;
                sequence.serialize_element(pairs)?;
                sequence.end()
            }
        }
    }
}

/// The form used in error texts: a bare atom, `[a, b]` or `{k=v}`.
impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(atom) = self.scalar() {
            return write!(f, "{atom}");
        }
        let (open, close) = if matches!(self, Self::Set(_)) { ("[", "]") } else { ("{", "}") };
        f.write_str(open)?;
        for (index, atom) in self.atoms().iter().enumerate() {
            write!(f, "{}{atom}", if index == 0 { "" } else { ", " })?;
        }
        for (index, (key, value)) in self.pairs().iter().enumerate() {
            write!(f, "{}{key}={value}", if index == 0 { "" } else { ", " })?;
        }
        f.write_str(close)
    }
}

fn map_from_json<'a>(
    ty: &ColumnType,
    json: impl Json<'a>,
    mut symbols: Option<&mut Symbols>,
) -> Result<Datum, OvsdbError> {
    let Some(value_type) = &ty.value else { return Ok(Datum::Map(Vec::new())) };
    let elements = json
        .tagged("map")
        .ok_or_else(|| OvsdbError::syntax(json, "expected [\"map\", <array>]"))?;
    count_in_bounds(ty, "map", elements.len(), json)?;
    let mut pairs = Vec::with_capacity(elements.len());
    for element in elements {
        let Some([key, value]) = element.array() else {
            return Err(OvsdbError::syntax(element, "expected 2-element array"));
        };
        let key = Atom::from_json(ty.key.ty, key, symbols.as_deref_mut())?;
        let value = Atom::from_json(value_type.ty, value, symbols.as_deref_mut())?;
        ty.key.check(&key)?;
        value_type.check(&value)?;
        pairs.push((key, value));
    }
    let count = pairs.len();
    let map = Datum::map(pairs);
    if map.len() != count {
        return Err(OvsdbError::new("ovsdb error", "map contains duplicate key"));
    }
    Ok(map)
}

fn count_in_bounds<'a>(
    ty: &ColumnType,
    class: &str,
    count: usize,
    json: impl Json<'a>,
) -> Result<(), OvsdbError> {
    if (ty.min..=ty.max).contains(&count) {
        return Ok(());
    }
    let max = ty.max.min(u32::MAX as usize);
    Err(OvsdbError::syntax(
        json,
        format!("{class} must have {} to {max} members but {count} are present", ty.min),
    ))
}

fn tag(name: &str, elements: Vec<Value>) -> Value {
    Value::Array(vec![Value::from(name), Value::Array(elements)])
}
