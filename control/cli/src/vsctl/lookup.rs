//! What words stand for: tables, columns, keys and rows, by their names, uuids or beginnings of these.

use super::Failure;
use super::command::{Call, Context};
use super::symbols::Symbols;
use super::text;
use uuid::Uuid;
use weft_ovsdb::value::atom::parse_uuid;
use weft_ovsdb::value::schema::{ColumnRef, ColumnType, Schema, TableSchema};
use weft_ovsdb::{Atom, Datum};

/// How rows of a table are named besides by uuid: by a column of theirs, or by a column of the row
/// of another table that refers to them.
const NAMES: &[(&str, &str, &str, Option<&str>)] = &[
    ("Bridge", "Bridge", "name", None),
    ("Port", "Port", "name", None),
    ("Interface", "Interface", "name", None),
    ("Manager", "Manager", "target", None),
    ("Mirror", "Mirror", "name", None),
    ("Flow_Table", "Flow_Table", "name", None),
    ("Flow_Sample_Collector_Set", "Flow_Sample_Collector_Set", "id", None),
    ("AutoAttach", "Bridge", "name", Some("auto_attach")),
    ("Controller", "Bridge", "name", Some("controller")),
    ("IPFIX", "Bridge", "name", Some("ipfix")),
    ("NetFlow", "Bridge", "name", Some("netflow")),
    ("sFlow", "Bridge", "name", Some("sflow")),
    ("QoS", "Port", "name", Some("qos")),
];

/// Fewest hexadecimal digits that may stand for a uuid.
const ABBREVIATION_MIN: usize = 4;

/// Picks what a word abbreviates, whatever its case and whether it has `-` or `_`: an exact match
/// before others.
fn abbreviated<'a>(
    word: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<Option<&'a str>, Vec<&'a str>> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let wanted = plain(word);
    let mut matches: Vec<_> = names.filter(|name| plain(name).starts_with(&wanted)).collect();
    if let Some(exact) = matches.iter().find(|name| plain(name) == wanted) {
        return Ok(Some(exact));
    }
    matches.sort_unstable();
    match matches.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(matches),
    }
}

/// The table that a word names or abbreviates.
///
/// # Errors
/// None, or more than one.
pub fn table<'a>(schema: &'a Schema, word: &str) -> Result<&'a TableSchema, Failure> {
    let names = schema.tables.iter().map(|table| table.name.as_ref());
    let name = abbreviated(word, names).map_err(|all| {
        Failure(format!("\"{word}\" matches multiple table names: {}", all.join(", ")))
    })?;
    name.and_then(|name| schema.table(name))
        .ok_or_else(|| Failure(format!("unknown table \"{word}\"")))
}

/// A column by a word that names or abbreviates it.
pub struct Column<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub ty: &'a ColumnType,
    is_mutable: bool,
}

/// The column that a word names or abbreviates.
///
/// # Errors
/// None, or more than one.
pub fn column<'a>(table: &'a TableSchema, word: &str) -> Result<Column<'a>, Failure> {
    let names = table.columns.iter().map(|column| column.name.as_ref());
    let found = abbreviated(word, names).map_err(|all| {
        let (table, all) = (&table.name, all.join(", "));
        Failure(format!(
            "{table} contains more than one column whose name matches \"{word}\": {all}"
        ))
    })?;
    let found = found.and_then(|name| table.column(name)).ok_or_else(|| {
        let table = &table.name;
        Failure(format!("{table} does not contain a column whose name matches \"{word}\""))
    })?;
    Ok(Column { name: &found.name, ty: &found.ty, is_mutable: found.mutable })
}

/// A column that is only read: `_uuid`, too, which has no abbreviation.
///
/// # Errors
/// None, or more than one.
pub fn readable<'a>(table: &'a TableSchema, word: &str) -> Result<Column<'a>, Failure> {
    if word == "_uuid" {
        let ty = table.column_type(ColumnRef::Uuid);
        return Ok(Column { name: "_uuid", ty, is_mutable: false });
    }
    column(table, word)
}

/// What a column of a row holds, its uuid included.
pub fn held(context: &Context<'_, '_>, table: &TableSchema, row: Uuid, name: &str) -> Datum {
    if name == "_uuid" {
        return Datum::uuid(row);
    }
    context.model.get(&table.name, row, name).clone()
}

/// The row that a word stands for.
///
/// # Errors
/// More than one.
pub fn row(
    context: &mut Context<'_, '_>,
    table: &TableSchema,
    word: &str,
) -> Result<Option<Uuid>, Failure> {
    let name = table.name.as_ref();
    if word.starts_with('@') {
        let row = context.symbols.find(word);
        return Ok(context.model.has(name, row).then_some(row));
    }
    if let Some(row) = parse_uuid(word).filter(|row| context.model.has(name, *row)) {
        return Ok(Some(row));
    }
    if let (".", [row]) = (word, context.model.rows(name).as_slice()) {
        return Ok(Some(*row));
    }
    let mut found = named_rows(context, name, word);
    let is_hex =
        word.len() >= ABBREVIATION_MIN && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if found.is_empty() && is_hex {
        let rows = context.model.rows(name).into_iter();
        found = rows.filter(|uuid| uuid.to_string().starts_with(word)).collect();
    }
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        _ => Err(Failure(format!("multiple rows in {name} match \"{word}\""))),
    }
}

fn named_rows(context: &Context<'_, '_>, table: &str, word: &str) -> Vec<Uuid> {
    let mut found = Vec::new();
    for (_, holder, column, via) in NAMES.iter().filter(|(of, ..)| *of == table) {
        for row in context.model.rows(holder) {
            let name = context.model.get(holder, row, column).scalar();
            let is_it = name.is_some_and(|atom| match atom {
                Atom::String(text) => text.as_ref() == word,
                other => text::show_atom(other) == word,
            });
            match via {
                _ if !is_it => {}
                None => found.push(row),
                Some(via) => found.extend(context.model.get(holder, row, via).uuids()),
            }
        }
    }
    found.retain(|row| context.model.has(table, *row));
    found
}

/// The row that a word stands for; `None` when it does not exist and need not.
///
/// # Errors
/// None that may be missing, or more than one.
pub fn wanted_row(
    context: &mut Context<'_, '_>,
    call: &Call,
    table: &TableSchema,
    word: &str,
) -> Result<Option<Uuid>, Failure> {
    match row(context, table, word)? {
        Some(row) => Ok(Some(row)),
        None if call.has("if-exists") => Ok(None),
        None => Err(Failure(format!("no row \"{word}\" in table {}", table.name))),
    }
}

/// Refuses to change what never changes in a row that is there.
///
/// # Errors
/// The column is read only.
pub fn must_be_mutable(
    context: &Context<'_, '_>,
    table: &TableSchema,
    row: Uuid,
    column: &Column<'_>,
) -> Result<(), Failure> {
    if column.is_mutable || context.model.is_new(&table.name, row) {
        return Ok(());
    }
    let (name, table) = (column.name, &table.name);
    Err(Failure(format!("cannot modify read-only column {name} in table {table}")))
}

/// `COLUMN[:KEY]` and what follows.
pub struct Place<'a, 'b> {
    /// The column.
    pub column: Column<'a>,
    /// The key as it was written.
    pub key: Option<String>,
    /// What follows.
    pub rest: &'b str,
}

impl Place<'_, '_> {
    /// The key, when there is one; `purpose` is for the text when the column is no map.
    ///
    /// # Errors
    /// The column is no map, or the key does not fit.
    pub fn key(&self, symbols: &mut Symbols, purpose: &str) -> Result<Option<Atom>, Failure> {
        let (column, Some(key)) = (&self.column, &self.key) else { return Ok(None) };
        if !column.ty.is_map() {
            let name = column.name;
            return Err(Failure(format!(
                "cannot specify key to {purpose} for non-map column {name}"
            )));
        }
        text::atom(&column.ty.key, key, symbols).map(Some)
    }
}

/// Finds a column by a word.
pub type Find<'a> = fn(&'a TableSchema, &str) -> Result<Column<'a>, Failure>;

/// Reads `COLUMN[:KEY]` at the front of an argument.
///
/// # Errors
/// No such column, or a quotation without end.
pub fn place<'a, 'b>(
    table: &'a TableSchema,
    argument: &'b str,
    find: Find<'a>,
) -> Result<Place<'a, 'b>, Failure> {
    let mut rest = argument;
    let name = text::word(&mut rest)?;
    if name.is_empty() {
        return Err(Failure(format!("{argument}: missing column name")));
    }
    let column = find(table, &name)?;
    let mut key = None;
    if let Some(after) = rest.strip_prefix(':') {
        rest = after;
        key = Some(text::word(&mut rest)?);
    }
    Ok(Place { column, key, rest })
}
