//! Schemas: tables, column types and constraints (RFC 7047 section 3.2).

mod parse;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::value::atom::{Atom, AtomType};
use crate::value::datum::Datum;
use crate::value::error::OvsdbError;

/// The `Open_vSwitch` schema, version 8.3.1, as text.
pub const VSWITCH_SCHEMA: &str = include_str!("../../../schema/vswitch.ovsschema");

/// The version of Open vSwitch that has this schema, and that clients are told.
pub const OVS_VERSION: &str = "3.1.0";

/// The schema of the `_Server` database, version 1.2.0, as text.
pub const SERVER_SCHEMA: &str = include_str!("../../../schema/_server.ovsschema");

/// A schema that does not parse.
#[derive(Debug, thiserror::Error)]
#[error("schema {schema}: {what}")]
pub struct SchemaError {
    /// Path to the fault, such as `Open_vSwitch.Bridge.name`.
    pub schema: String,
    /// The fault.
    pub what: String,
}

/// A database schema.
#[derive(Debug)]
pub struct Schema {
    /// Name of the database.
    pub name: String,
    /// Version, three numbers with dots.
    pub version: String,
    /// Checksum as the file states it.
    pub cksum: String,
    /// Tables in the order of the file.
    pub tables: Vec<TableSchema>,
    by_name: HashMap<String, usize>,
    json: Value,
}

/// A table of a schema.
#[derive(Debug)]
pub struct TableSchema {
    /// Name.
    pub name: Arc<str>,
    /// Columns in the order of the file, without `_uuid` and `_version`.
    pub columns: Vec<ColumnSchema>,
    /// Rows stay without being referenced.
    pub is_root: bool,
    /// Most rows allowed after a transaction.
    pub max_rows: usize,
    /// Sets of columns whose values are unique together, as column numbers.
    pub indexes: Vec<Vec<usize>>,
    by_name: HashMap<String, usize>,
}

/// A column of a table.
#[derive(Debug)]
pub struct ColumnSchema {
    /// Name.
    pub name: Arc<str>,
    /// Type and constraints.
    pub ty: ColumnType,
    /// May change after insert.
    pub mutable: bool,
    /// Kept in memory only.
    pub ephemeral: bool,
    /// Value when none is given; shared by all rows that have it.
    pub default: Arc<Datum>,
    /// Why the default breaks the column's own constraints, when it does.
    pub default_error: Option<OvsdbError>,
}

/// Type of a column: key, value for maps, and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnType {
    /// Type of the elements or keys.
    pub key: BaseType,
    /// Type of the values of a map.
    pub value: Option<BaseType>,
    /// Fewest elements, 0 or 1.
    pub min: usize,
    /// Most elements; `usize::MAX` for unlimited.
    pub max: usize,
}

/// Type of an atom with its constraints.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseType {
    /// Type of the atom.
    pub ty: AtomType,
    /// The only values allowed, if given.
    pub allowed: Option<Datum>,
    /// Smallest value: an integer, a real, or the length of a string in characters.
    pub min: Option<Atom>,
    /// Largest value, likewise.
    pub max: Option<Atom>,
    /// The table that a uuid names a row of.
    pub reference: Option<Reference>,
}

/// A reference of a uuid column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Name of the table.
    pub table: String,
    /// Its number in the schema.
    pub table_index: usize,
    /// Keeps the row alive and must exist; a weak one vanishes with the row.
    pub strong: bool,
}

/// A column as an operation may name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColumnRef {
    /// The `_uuid` pseudo-column.
    Uuid,
    /// The `_version` pseudo-column.
    Version,
    /// Column number of the table.
    Column(usize),
}

impl Schema {
    /// The JSON that the schema was read from, members in their order.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Number of the table called `name`.
    #[must_use]
    pub fn table_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The table called `name`.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&TableSchema> {
        self.tables.get(self.table_index(name)?)
    }
}

impl TableSchema {
    /// Number of the column called `name`.
    #[must_use]
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The column called `name`.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnSchema> {
        self.columns.get(self.column_index(name)?)
    }

    /// The column or pseudo-column called `name`.
    #[must_use]
    pub fn column_ref(&self, name: &str) -> Option<ColumnRef> {
        match name {
            "_uuid" => Some(ColumnRef::Uuid),
            "_version" => Some(ColumnRef::Version),
            _ => self.column_index(name).map(ColumnRef::Column),
        }
    }

    /// Name of a column.
    #[must_use]
    pub fn column_name(&self, column: ColumnRef) -> &str {
        match column {
            ColumnRef::Uuid => "_uuid",
            ColumnRef::Version => "_version",
            ColumnRef::Column(index) => {
                self.columns.get(index).map_or("", |column| column.name.as_ref())
            }
        }
    }

    /// Type of a column.
    #[must_use]
    pub fn column_type(&self, column: ColumnRef) -> &ColumnType {
        match column {
            ColumnRef::Uuid | ColumnRef::Version => &UUID_TYPE,
            ColumnRef::Column(index) => {
                self.columns.get(index).map_or(&UUID_TYPE, |column| &column.ty)
            }
        }
    }
}

static UUID_TYPE: ColumnType =
    ColumnType { key: BaseType::plain(AtomType::Uuid), value: None, min: 1, max: 1 };

impl ColumnType {
    /// Exactly one atom.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        self.value.is_none() && self.min == 1 && self.max == 1
    }

    /// None or one atom.
    #[must_use]
    pub fn is_optional_scalar(&self) -> bool {
        self.value.is_none() && self.min == 0 && self.max == 1
    }

    /// A map.
    #[must_use]
    pub fn is_map(&self) -> bool {
        self.value.is_some()
    }

    /// True when an element may be a weak reference.
    #[must_use]
    pub fn has_weak_reference(&self) -> bool {
        let weak = |base: &BaseType| base.reference.as_ref().is_some_and(|it| !it.strong);
        weak(&self.key) || self.value.as_ref().is_some_and(weak)
    }

    /// The value of a column of this type when none is given.
    #[must_use]
    pub fn default_datum(&self) -> Datum {
        match (&self.value, self.min) {
            (None, 0) => Datum::Set(Vec::new()),
            (Some(_), 0) => Datum::Map(Vec::new()),
            (None, _) => Datum::Set(vec![self.key.ty.default_atom()]),
            (Some(value), _) => {
                Datum::Map(vec![(self.key.ty.default_atom(), value.ty.default_atom())])
            }
        }
    }

    /// Checks every atom of `datum` against the constraints of its base type.
    ///
    /// # Errors
    /// `constraint violation` about the first atom that breaks one.
    pub fn check(&self, datum: &Datum) -> Result<(), OvsdbError> {
        datum.atoms().iter().try_for_each(|atom| self.key.check(atom))?;
        for (key, value) in datum.pairs() {
            self.key.check(key)?;
            if let Some(ty) = &self.value {
                ty.check(value)?;
            }
        }
        Ok(())
    }

    /// The type in words, as error texts use it: `set of up to 1 strings`.
    #[must_use]
    pub fn english(&self) -> String {
        if self.is_scalar() {
            return self.key.ty.name().to_owned();
        }
        let count = match (self.min, self.max) {
            (0, usize::MAX) => String::new(),
            (min, usize::MAX) => format!("{min} or more "),
            (0, max) => format!("up to {max} "),
            (min, max) => format!("{min} to {max} "),
        };
        match &self.value {
            None => format!("set of {count}{}s", self.key.ty.name()),
            Some(value) => {
                format!("map of {count}({}, {}) pairs", self.key.ty.name(), value.ty.name())
            }
        }
    }
}

impl BaseType {
    /// A type without constraints.
    #[must_use]
    pub const fn plain(ty: AtomType) -> Self {
        Self { ty, allowed: None, min: None, max: None, reference: None }
    }

    /// Checks one atom.
    ///
    /// # Errors
    /// `constraint violation`.
    pub fn check(&self, atom: &Atom) -> Result<(), OvsdbError> {
        if let Some(allowed) = &self.allowed {
            if allowed.atoms().binary_search(atom).is_err() {
                return Err(OvsdbError::constraint(format!(
                    "{atom} is not one of the allowed values ({allowed})"
                )));
            }
            return Ok(());
        }
        if self.min.is_none() && self.max.is_none() {
            return Ok(());
        }
        match atom {
            Atom::String(text) => self.check_length(text),
            _ => self.check_range(atom),
        }
    }

    fn check_range(&self, atom: &Atom) -> Result<(), OvsdbError> {
        let below = self.min.as_ref().is_some_and(|min| atom < min);
        let above = self.max.as_ref().is_some_and(|max| atom > max);
        if !below && !above {
            return Ok(());
        }
        let text = match (&self.min, &self.max) {
            (Some(min), Some(max)) => {
                format!("{atom} is not in the valid range {min} to {max} (inclusive)")
            }
            (Some(min), None) => format!("{atom} is less than minimum allowed value {min}"),
            (_, max) => format!(
                "{atom} is greater than maximum allowed value {}",
                max.as_ref().map(ToString::to_string).unwrap_or_default()
            ),
        };
        Err(OvsdbError::constraint(text))
    }

    fn check_length(&self, text: &str) -> Result<(), OvsdbError> {
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        let bound = |atom: &Option<Atom>| atom.as_ref().and_then(Atom::as_int);
        if let Some(min) = bound(&self.min).filter(|min| length < *min) {
            return Err(OvsdbError::constraint(format!(
                "\"{text}\" length {length} is less than minimum allowed length {min}"
            )));
        }
        if let Some(max) = bound(&self.max).filter(|max| length > *max) {
            return Err(OvsdbError::constraint(format!(
                "\"{text}\" length {length} is greater than maximum allowed length {max}"
            )));
        }
        Ok(())
    }
}
