//! Operations in the plain form in which stock clients write those that come by the ten thousand.
//!
//! To add a port to a bridge of 10,000, `ovs-vsctl` sends a `wait` for each port there is, and the set of
//! all of them twice. Here their text becomes what it means without a tree of JSON in between. One form is
//! known: one row by its uuid, one column of references, no white space, no escapes; members in any order.
//! Whatever is written otherwise, or does not simply succeed, goes the general way, which alone knows errors.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::txn::integrity::{RowId, Txn};
use crate::txn::known::Known;
use crate::value::atom::{Atom, AtomType, Symbols};
use crate::value::datum::Datum;
use crate::value::schema::{ColumnType, Schema};

/// A request to `transact` with its operations.
#[derive(Debug)]
pub struct Request<'a> {
    /// Number of the request.
    pub id: u64,
    /// Name of the database.
    pub db: &'a str,
    /// What to do.
    pub operations: Vec<Operation<'a>>,
}

/// One operation of a transaction.
#[derive(Debug)]
pub enum Operation<'a> {
    /// Any, or what only claims to be one.
    Json(Value),
    /// One of the plain form.
    Plain(Plain<'a>),
    /// Several of the plain form at once.
    Held(Held<'a>),
}

/// Waits of the plain form that the database knows to hold.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// All of them, with commas between them.
    pub text: &'a [u8],
    /// How many.
    pub count: usize,
    /// What [`Known`] said then.
    pub(crate) stamp: Uuid,
}

/// A `wait` until one column of one row holds `references`, or an `update` that makes it so.
#[derive(Debug)]
pub struct Plain<'a> {
    /// All of it: valid JSON.
    text: &'a [u8],
    is_wait: bool,
    table: &'a str,
    uuid: Uuid,
    column: &'a str,
    references: References<'a>,
}

/// The value of a column of references.
#[derive(Debug)]
enum References<'a> {
    One(Uuid),
    Set {
        /// In order, each once.
        uuids: Vec<Uuid>,
        /// Rows that the transaction inserts.
        named: Vec<&'a str>,
    },
}

/// An operation as a transaction takes it.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Any.
    Json(&'a Value),
    /// One of the plain form.
    Plain(&'a Plain<'a>),
    /// Several of the plain form at once.
    Held(Held<'a>),
}

impl Step<'_> {
    /// How many operations it is.
    #[must_use]
    pub fn count(&self) -> usize {
        if let Self::Held(held) = self { held.count } else { 1 }
    }
}

impl<'a> From<&'a Value> for Step<'a> {
    fn from(json: &'a Value) -> Self {
        Self::Json(json)
    }
}

impl<'a> From<&'a Operation<'_>> for Step<'a> {
    fn from(operation: &'a Operation<'_>) -> Self {
        match operation {
            Operation::Json(json) => Self::Json(json),
            Operation::Plain(plain) => Self::Plain(plain),
            Operation::Held(held) => Self::Held(*held),
        }
    }
}

impl Operation<'_> {
    /// The same, as JSON that outlives the text: as many as it is.
    #[must_use]
    pub fn into_owned(self) -> Vec<Operation<'static>> {
        match self {
            Self::Json(json) => vec![Operation::Json(json)],
            Self::Plain(plain) => vec![Operation::Json(plain.to_json())],
            Self::Held(held) => held.waits().map(|it| Operation::Json(it.to_json())).collect(),
        }
    }
}

impl<'a> Held<'a> {
    /// Each of them.
    pub fn waits(self) -> impl Iterator<Item = Plain<'a>> {
        let mut reader = Reader::new(self.text);
        std::iter::from_fn(move || {
            let wait = reader.plain()?;
            // There is none behind the last.
            let _ = reader.eat(b",");
            Some(wait)
        })
    }
}

impl<'a> Request<'a> {
    /// Reads a whole message; None when it is something else, or not written as stock clients write it.
    /// `known` is what the database of that name knows; without that, nothing is.
    #[must_use]
    pub fn parse<'k>(
        message: &'a [u8],
        known: impl FnOnce(&str) -> Option<&'k Known>,
    ) -> Option<Self> {
        let mut reader = Reader::new(message);
        reader.eat(b"{\"id\":")?;
        let id = reader.number()?;
        reader.eat(b",\"method\":\"transact\",\"params\":[")?;
        let db = reader.name()?;
        let (known, mut next) = (known(db), 0);
        let mut operations = Vec::new();
        while reader.eat(b",").is_some() {
            operations.push(match known.and_then(|known| known.held(&mut next, reader.rest)) {
                Some(held) => {
                    reader.rest = reader.rest.get(held.text.len()..)?;
                    Operation::Held(held)
                }
                None => reader.operation()?,
            });
        }
        reader.eat(b"]}")?;
        reader.rest.is_empty().then_some(Self { id, db, operations })
    }
}

impl Plain<'_> {
    /// The operation as the general way takes it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::from_slice(self.text).unwrap_or_default()
    }

    /// For a wait: its text, and which column of which row it is about.
    pub(crate) fn wait(&self, schema: &Schema) -> Option<(&[u8], RowId, usize)> {
        let number = schema.table_index(self.table)?;
        let column = schema.tables.get(number)?.column_index(self.column)?;
        self.is_wait.then_some((self.text, (number, self.uuid), column))
    }

    /// True for a wait, false for an update.
    pub(crate) fn is_wait(&self) -> bool {
        self.is_wait
    }

    /// Does it; None when that takes the general way, and nothing is done.
    pub(crate) fn execute(&self, txn: &mut Txn<'_>, symbols: &mut Symbols) -> Option<Value> {
        let schema = std::sync::Arc::clone(txn.schema());
        let number = schema.table_index(self.table)?;
        let table = schema.tables.get(number)?;
        let index = table.column_index(self.column)?;
        let column = table.columns.get(index).filter(|column| self.references.fit(&column.ty))?;
        let id = (number, self.uuid);
        if self.is_wait {
            let holds = self.references.are(txn.row(id)?.get(index)?);
            return holds.then(|| json!({}));
        }
        if !column.mutable {
            return None;
        }
        let datum = self.references.to_datum(symbols)?;
        let row = txn.row_mut(id);
        let count = usize::from(row.is_some());
        if let Some(row) = row {
            row.set(table, index, datum);
        }
        Some(json!({ "count": count }))
    }
}

impl References<'_> {
    fn parts(&self) -> (&[Uuid], &[&str]) {
        match self {
            Self::One(uuid) => (std::slice::from_ref(uuid), &[]),
            Self::Set { uuids, named } => (uuids, named),
        }
    }

    /// True when a column of type `ty` takes such a value.
    fn fit(&self, ty: &ColumnType) -> bool {
        let (uuids, named) = self.parts();
        let counted = (ty.min..=ty.max).contains(&(uuids.len() + named.len()));
        counted && ty.key.ty == AtomType::Uuid && ty.key.allowed.is_none() && !ty.is_map()
    }

    /// True when `datum` holds just these.
    fn are(&self, datum: &Datum) -> bool {
        let (uuids, named) = self.parts();
        let is =
            |(mine, other): (&Uuid, &Atom)| matches!(other, Atom::Uuid(other) if other == mine);
        named.is_empty() && uuids.len() == datum.len() && uuids.iter().zip(datum.atoms()).all(is)
    }

    /// None when two are of one row.
    fn to_datum(&self, symbols: &mut Symbols) -> Option<Datum> {
        let (uuids, named) = self.parts();
        let mut atoms = Vec::with_capacity(uuids.len() + named.len());
        atoms.extend(uuids.iter().copied().map(Atom::Uuid));
        for name in named {
            let atom = Atom::Uuid(symbols.reference(name));
            let place = atoms.binary_search(&atom).err()?;
            atoms.insert(place, atom);
        }
        Some(Datum::Set(atoms))
    }
}

/// What there is of a plain operation so far.
#[derive(Default)]
struct Members<'a> {
    op: Option<&'a str>,
    table: Option<&'a str>,
    uuid: Option<Uuid>,
    column: Option<&'a str>,
    row: Option<(&'a str, References<'a>)>,
    rows: Option<(&'a str, References<'a>)>,
    until: Option<()>,
    timeout: Option<()>,
}

impl<'a> Members<'a> {
    /// The operation, when exactly its members are there.
    fn finish(self, text: &'a [u8]) -> Option<Plain<'a>> {
        let (is_wait, (column, references)) = match self {
            Members { op: Some("wait"), row: None, rows: Some(row), .. } => {
                self.until.and(self.timeout)?;
                (self.column? == row.0).then_some((true, row))?
            }
            Members { op: Some("update"), row: Some(row), rows: None, .. } => {
                let others = self.column.is_some() || self.until.or(self.timeout).is_some();
                (!others).then_some((false, row))?
            }
            _ => return None,
        };
        Some(Plain { text, is_wait, table: self.table?, uuid: self.uuid?, column, references })
    }
}

/// Fills a place that was empty.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// A reference as an element of a set, `["uuid","…"]`, and the comma or bracket behind it.
const ELEMENT_BYTES: usize = 48;

/// Reads text from its start. After None it may stand anywhere.
struct Reader<'a> {
    rest: &'a [u8],
    /// The references that the last set began with, as text: the next one often begins with the same.
    last_text: &'a [u8],
    last: Vec<Uuid>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { rest: text, last_text: &[], last: Vec::new() }
    }

    fn eat(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.rest.split_at_checked(digits)?;
        self.rest = rest;
        let number = std::str::from_utf8(number).ok()?;
        (number == "0" || !number.starts_with('0')).then(|| number.parse().ok())?
    }

    /// A string of letters, digits and underscores.
    fn name(&mut self) -> Option<&'a str> {
        self.eat(b"\"")?;
        let part_of_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        let (name, rest) =
            self.rest.split_at_checked(self.rest.iter().take_while(part_of_name).count())?;
        self.rest = rest;
        self.eat(b"\"")?;
        std::str::from_utf8(name).ok()
    }

    fn uuid(&mut self) -> Option<Uuid> {
        self.eat(b"[\"uuid\",\"")?;
        let (uuid, rest) = self.rest.split_at_checked(36)?;
        self.rest = rest;
        self.eat(b"\"]")?;
        Uuid::try_parse_ascii(uuid).ok()
    }

    fn references(&mut self) -> Option<References<'a>> {
        if self.eat(b"[\"set\",[").is_none() {
            return self.uuid().map(References::One);
        }
        let start = self.rest;
        let (mut uuids, mut named) = (self.begin_as_last(), Vec::new());
        let (mut leading, mut is_first) = (uuids.len(), uuids.is_empty());
        while self.eat(b"]]").is_none() {
            if !std::mem::take(&mut is_first) {
                self.eat(b",")?;
            }
            if self.eat(b"[\"named-uuid\",").is_some() {
                named.push(self.name()?);
                self.eat(b"]")?;
                continue;
            }
            let uuid = self.uuid()?;
            if uuids.last().is_some_and(|last| *last >= uuid) {
                return None;
            }
            uuids.push(uuid);
            if named.is_empty() {
                leading = uuids.len();
            }
        }
        self.last_text = start.get(..leading * ELEMENT_BYTES).unwrap_or_default();
        self.last = uuids.get(..leading).unwrap_or_default().to_vec();
        Some(References::Set { uuids, named })
    }

    /// Takes over the references with which this set begins as the last one did.
    fn begin_as_last(&mut self) -> Vec<Uuid> {
        let elements = |text: &'a [u8]| text.chunks_exact(ELEMENT_BYTES);
        let both = elements(self.rest).zip(elements(self.last_text));
        let same = both.take_while(|(one, other)| one == other).count();
        // What stands behind the last of them has still to be read.
        let behind = (same * ELEMENT_BYTES).saturating_sub(1);
        self.rest = self.rest.get(behind..).unwrap_or_default();
        self.last.get(..same).unwrap_or_default().to_vec()
    }

    fn column(&mut self) -> Option<(&'a str, References<'a>)> {
        let name = self.name()?;
        self.eat(b":")?;
        Some((name, self.references()?))
    }

    fn operation(&mut self) -> Option<Operation<'a>> {
        let start = self.rest;
        if let Some(plain) = self.plain() {
            return Some(Operation::Plain(plain));
        }
        let mut stream = serde_json::Deserializer::from_slice(start).into_iter::<Value>();
        let json = stream.next()?.ok()?;
        self.rest = start.get(stream.byte_offset()..)?;
        Some(Operation::Json(json))
    }

    fn plain(&mut self) -> Option<Plain<'a>> {
        let start = self.rest;
        let mut members = Members::default();
        self.eat(b"{")?;
        loop {
            self.member(&mut members)?;
            if self.eat(b",").is_none() {
                break;
            }
        }
        self.eat(b"}")?;
        members.finish(start.get(..start.len() - self.rest.len())?)
    }

    fn member(&mut self, members: &mut Members<'a>) -> Option<()> {
        let name = self.name()?;
        self.eat(b":")?;
        match name {
            "op" => once(&mut members.op, self.name()?),
            "table" => once(&mut members.table, self.name()?),
            "where" => {
                self.eat(b"[[\"_uuid\",\"==\",")?;
                once(&mut members.uuid, self.uuid()?)?;
                self.eat(b"]]")
            }
            "columns" => {
                self.eat(b"[")?;
                once(&mut members.column, self.name()?)?;
                self.eat(b"]")
            }
            "row" => {
                self.eat(b"{")?;
                once(&mut members.row, self.column()?)?;
                self.eat(b"}")
            }
            "rows" => {
                self.eat(b"[{")?;
                once(&mut members.rows, self.column()?)?;
                self.eat(b"}]")
            }
            "until" => once(&mut members.until, self.eat(b"\"==\"")?),
            "timeout" => once(&mut members.timeout, self.eat(b"0")?),
            _ => None,
        }
    }
}
