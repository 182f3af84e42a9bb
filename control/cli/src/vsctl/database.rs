//! Commands about tables, rows and columns of any kind.

use super::Failure;
use super::command::{Call, Command, Context, Outcome, Run, command};
use super::condition::{Condition, Operator};
use super::grid::Grid;
use super::text::{self, CellStyle};
use uuid::Uuid;
use weft_ovsdb::schema::{ColumnRef, ColumnType, Schema, TableSchema};
use weft_ovsdb::value::parse_uuid;
use weft_ovsdb::{Atom, Datum};

/// All of them.
pub const COMMANDS: &[Command] = &[
    command("list", "TBL [REC]...", 1, usize::MAX, "if-exists columns=", list),
    command("find", "TBL [CONDITION]...", 1, usize::MAX, "columns=", find),
    command("get", "TBL REC [COL[:KEY]]...", 2, usize::MAX, "if-exists id=", get),
    command("set", "TBL REC COL[:KEY]=VALUE...", 3, usize::MAX, "if-exists", set),
    command("add", "TBL REC COL [KEY=]VALUE...", 4, usize::MAX, "if-exists", add),
    command("remove", "TBL REC COL KEY|VALUE|KEY=VALUE...", 4, usize::MAX, "if-exists", remove),
    command("clear", "TBL REC COL...", 3, usize::MAX, "if-exists", clear),
    command("create", "TBL COL[:KEY]=VALUE...", 2, usize::MAX, "id=", create),
    command("destroy", "TBL [REC]...", 1, usize::MAX, "if-exists all", destroy),
    command("wait-until", "TBL REC [COL[:KEY]=VALUE]...", 2, usize::MAX, "", wait_until),
    command("comment", "ARG...", 0, usize::MAX, "", |_, _| Outcome::silent()),
];

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

fn table<'a>(schema: &'a Schema, word: &str) -> Result<&'a TableSchema, Failure> {
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

fn column<'a>(table: &'a TableSchema, word: &str) -> Result<Column<'a>, Failure> {
    let names = table.columns.iter().map(|column| column.name.as_ref());
    let found = abbreviated(word, names.chain(["_uuid"])).map_err(|all| {
        let (table, all) = (&table.name, all.join(", "));
        Failure(format!(
            "{table} contains more than one column whose name matches \"{word}\": {all}"
        ))
    })?;
    let none = || {
        let table = &table.name;
        Failure(format!("{table} does not contain a column whose name matches \"{word}\""))
    };
    let name = found.ok_or_else(none)?;
    match table.column(name) {
        Some(column) => {
            Ok(Column { name: &column.name, ty: &column.ty, is_mutable: column.mutable })
        }
        None => {
            Ok(Column { name: "_uuid", ty: table.column_type(ColumnRef::Uuid), is_mutable: false })
        }
    }
}

/// What a column of a row holds, its uuid included.
fn held(context: &Context<'_, '_>, table: &TableSchema, row: Uuid, name: &str) -> Datum {
    if name == "_uuid" {
        return Datum::uuid(row);
    }
    context.model.get(&table.name, row, name).clone()
}

/// The row that a word stands for.
fn row(
    context: &mut Context<'_, '_>,
    table: &TableSchema,
    word: &str,
) -> Result<Option<Uuid>, Failure> {
    let name = table.name.as_ref();
    if word.starts_with('@') {
        let row = context.symbols.refer(word);
        return Ok(context.model.has(name, row).then_some(row));
    }
    if let Some(uuid) = parse_uuid(word) {
        return Ok(context.model.has(name, uuid).then_some(uuid));
    }
    if word == "." && table.max_rows == 1 {
        return Ok(context.model.rows(name).first().copied());
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
    found
}

/// The row that a word stands for; `None` when it does not exist and need not.
fn wanted_row(
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

fn must_be_mutable(
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
struct Place<'a, 'b> {
    column: Column<'a>,
    key: Option<&'b str>,
    rest: &'b str,
}

impl Place<'_, '_> {
    /// The key, when there is one; `purpose` is for the text when the column is no map.
    fn key(&self, context: &mut Context<'_, '_>, purpose: &str) -> Result<Option<Atom>, Failure> {
        let (column, Some(key)) = (&self.column, self.key) else { return Ok(None) };
        if !column.ty.is_map() {
            let name = column.name;
            return Err(Failure(format!(
                "cannot specify key to {purpose} for non-map column {name}"
            )));
        }
        text::atom(&column.ty.key, key, &mut |name| Ok(context.symbols.refer(name))).map(Some)
    }
}

fn place<'a, 'b>(table: &'a TableSchema, argument: &'b str) -> Result<Place<'a, 'b>, Failure> {
    let mut rest = argument;
    let name = text::word(&mut rest)?;
    if name.is_empty() {
        return Err(Failure(format!("{argument}: missing column name")));
    }
    let column = column(table, name)?;
    let Some(mut after) = rest.strip_prefix(':') else {
        return Ok(Place { column, key: None, rest });
    };
    let key = text::word(&mut after)?;
    if key.is_empty() {
        return Err(Failure(format!("{argument}: missing key name")));
    }
    Ok(Place { column, key: Some(key), rest: after })
}

/// Carries out `COLUMN[:KEY]=VALUE` on a row.
///
/// # Errors
/// What is wrong with it.
pub fn assign(
    context: &mut Context<'_, '_>,
    table_name: &str,
    row: Uuid,
    argument: &str,
) -> Result<(), Failure> {
    let schema = context.model.schema;
    let table = table(schema, table_name)?;
    let place = place(table, argument)?;
    let column = &place.column;
    let value =
        place.rest.strip_prefix('=').filter(|value| !value.is_empty()).ok_or_else(|| {
            Failure(format!("{argument}: argument does not end in \"=\" followed by a value."))
        })?;
    must_be_mutable(context, table, row, column)?;
    let key = place.key(context, "set")?;
    let mut symbols = |name: &str| Ok(context.symbols.refer(name));
    let datum = match (key, &column.ty.value) {
        (None, _) | (_, None) => text::datum(column.ty, value, &mut symbols)?,
        (Some(key), Some(ty)) => {
            let value = text::atom(ty, value, &mut symbols)?;
            let old = context.model.get(&table.name, row, column.name);
            let others = old.pairs().iter().filter(|(other, _)| *other != key).cloned();
            Datum::map(others.chain([(key.clone(), value)]).collect())
        }
    };
    context.model.set(&table.name, row, column.name, datum);
    Ok(())
}

fn grid(
    context: &Context<'_, '_>,
    call: &Call,
    table: &TableSchema,
    rows: &[Uuid],
) -> Result<Outcome, Failure> {
    let columns: Vec<Column<'_>> = if let Some(words) = call.value("columns") {
        let words = words.split([',', ' ']).filter(|word| !word.is_empty());
        words.map(|word| column(table, word)).collect::<Result<_, _>>()?
    } else {
        let mut names: Vec<_> = table.columns.iter().map(|column| column.name.as_ref()).collect();
        names.sort_unstable();
        ["_uuid"]
            .into_iter()
            .chain(names)
            .map(|name| column(table, name))
            .collect::<Result<_, _>>()?
    };
    let mut cells: Vec<Vec<Datum>> = rows
        .iter()
        .map(|row| columns.iter().map(|column| held(context, table, *row, column.name)).collect())
        .collect();
    cells.sort();
    let columns = columns.iter().map(|c| (c.name.to_owned(), c.ty.clone())).collect();
    Ok(Outcome { grid: Some(Grid { columns, rows: cells }), ..Outcome::default() })
}

fn list(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let schema = context.model.schema;
    let table = table(schema, call.arg(0))?;
    let words = call.args.get(1..).unwrap_or(&[]);
    let mut rows = Vec::new();
    for word in words {
        rows.extend(wanted_row(context, call, table, word)?);
    }
    if words.is_empty() {
        rows = context.model.rows(&table.name);
    }
    grid(context, call, table, &rows)
}

/// True when all conditions hold for a row.
fn holds(
    context: &mut Context<'_, '_>,
    table: &TableSchema,
    row: Uuid,
    conditions: &[String],
) -> Result<bool, Failure> {
    for text in conditions {
        let place = place(table, text)?;
        let Some((operator, value)) = Operator::parse(place.rest) else {
            return Err(Failure(format!(
                "{text}: argument does not end in {} followed by a value.",
                Operator::english()
            )));
        };
        let (column, key) = (&place.column, place.key(context, "check")?);
        let mut symbols = |name: &str| Ok(context.symbols.refer(name));
        let condition = Condition::read(operator, column.ty, key, value, &mut symbols)?;
        if !condition.holds(&held(context, table, row, column.name)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn find(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let schema = context.model.schema;
    let table = table(schema, call.arg(0))?;
    let mut rows = Vec::new();
    for row in context.model.rows(&table.name) {
        if holds(context, table, row, call.args.get(1..).unwrap_or(&[]))? {
            rows.push(row);
        }
    }
    grid(context, call, table, &rows)
}

fn get(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let schema = context.model.schema;
    let table = table(schema, call.arg(0))?;
    if call.has("if-exists") && call.has("id") {
        return Err(Failure::new("--if-exists and --id may not be specified together"));
    }
    let Some(row) = wanted_row(context, call, table, call.arg(1))? else {
        return Outcome::silent();
    };
    if let Some(id) = call.value("id") {
        context.symbols.give(id, Some(row))?;
    }
    let mut lines = Vec::new();
    for argument in call.args.get(2..).unwrap_or(&[]) {
        let place = place(table, argument)?;
        let (column, rest) = (&place.column, place.rest);
        if !rest.is_empty() {
            return Err(Failure(format!("{argument}: trailing garbage \"{rest}\" in argument")));
        }
        let datum = held(context, table, row, column.name);
        let Some(key) = place.key(context, "get")? else {
            lines.push(text::show(&datum, column.ty, CellStyle::String));
            continue;
        };
        match datum.pairs().iter().find(|(other, _)| *other == key) {
            Some((_, value)) => lines.push(text::show_atom(value)),
            None if call.has("if-exists") => lines.push(String::new()),
            None => {
                return Err(Failure(format!(
                    "no key {} in {} record \"{}\" column {}",
                    serde_json::Value::from(key.as_str().unwrap_or_default()),
                    table.name,
                    call.arg(1),
                    column.name
                )));
            }
        }
    }
    Outcome::lines(lines)
}

fn set(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let schema = context.model.schema;
    let table = table(schema, call.arg(0))?;
    if let Some(row) = wanted_row(context, call, table, call.arg(1))? {
        for argument in call.args.get(2..).unwrap_or(&[]) {
            assign(context, &table.name, row, argument)?;
        }
    }
    Outcome::silent()
}

/// The type of a column without its bounds: what is added or removed may be any number.
fn unbounded(ty: &ColumnType) -> ColumnType {
    ColumnType { min: 0, max: usize::MAX, ..ty.clone() }
}

fn add(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let schema = context.model.schema;
    let table = table(schema, call.arg(0))?;
    let Some(row) = wanted_row(context, call, table, call.arg(1))? else {
        return Outcome::silent();
    };
    let column = column(table, call.arg(2))?;
    must_be_mutable(context, table, row, &column)?;
    let ty = unbounded(column.ty);
    for argument in call.args.get(3..).unwrap_or(&[]) {
        let new = text::datum(&ty, argument, &mut |name| Ok(context.symbols.refer(name)))?;
        let old = context.model.get(&table.name, row, column.name);
        let union = match (old, new) {
            (Datum::Set(old), Datum::Set(new)) => {
                Datum::set(old.iter().cloned().chain(new).collect())
            }
            // Of two pairs with one key the first stays: what is there is replaced, whatever the
            // manual of ovs-vsctl says.
            (old, new) => Datum::map(new.pairs().iter().chain(old.pairs()).cloned().collect()),
        };
        context.model.set(&table.name, row, column.name, union);
    }
    Outcome::silent()
}

fn remove(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let schema = context.model.schema;
    let table = table(schema, call.arg(0))?;
    let Some(row) = wanted_row(context, call, table, call.arg(1))? else {
        return Outcome::silent();
    };
    let column = column(table, call.arg(2))?;
    must_be_mutable(context, table, row, &column)?;
    let ty = unbounded(column.ty);
    let keys = ColumnType { value: None, ..ty.clone() };
    for argument in call.args.get(3..).unwrap_or(&[]) {
        let mut symbols = |name: &str| Ok(context.symbols.refer(name));
        // For a map: pairs, or else keys alone.
        let gone = match text::datum(&ty, argument, &mut symbols) {
            Err(_) if ty.is_map() => text::datum(&keys, argument, &mut symbols)?,
            result => result?,
        };
        let rest = match context.model.get(&table.name, row, column.name) {
            Datum::Set(old) => Datum::set(
                old.iter().filter(|atom| !gone.atoms().contains(atom)).cloned().collect(),
            ),
            Datum::Map(old) => {
                let stays = |pair: &&(Atom, Atom)| {
                    !gone.pairs().contains(pair) && !gone.atoms().contains(&pair.0)
                };
                Datum::map(old.iter().filter(stays).cloned().collect())
            }
        };
        context.model.set(&table.name, row, column.name, rest);
    }
    Outcome::silent()
}

fn clear(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let schema = context.model.schema;
    let table = table(schema, call.arg(0))?;
    let Some(row) = wanted_row(context, call, table, call.arg(1))? else {
        return Outcome::silent();
    };
    for word in call.args.get(2..).unwrap_or(&[]) {
        let column = column(table, word)?;
        must_be_mutable(context, table, row, &column)?;
        if column.ty.min > 0 {
            let (name, table) = (column.name, &table.name);
            return Err(Failure(format!(
                "\"clear\" operation cannot be applied to column {name} of table {table}, which is not allowed to be empty"
            )));
        }
        let empty = if column.ty.is_map() { Datum::map(Vec::new()) } else { Datum::empty() };
        context.model.set(&table.name, row, column.name, empty);
    }
    Outcome::silent()
}

fn create(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let schema = context.model.schema;
    let table = table(schema, call.arg(0))?;
    let id = call.value("id");
    let wanted = id.and_then(parse_uuid);
    let row = match (wanted, id) {
        (Some(uuid), _) => uuid,
        (None, Some(id)) => context.symbols.give(id, None)?,
        (None, None) => Uuid::new_v4(),
    };
    if id.is_none() && !table.is_root {
        let name = &table.name;
        context.warn(format!(
            "applying \"create\" command to table {name} without --id option will have no effect"
        ));
    }
    context.model.insert(table, row, wanted.is_some());
    for argument in call.args.get(1..).unwrap_or(&[]) {
        assign(context, &table.name, row, argument)?;
    }
    Ok(Outcome { created: Some(row), ..Outcome::default() })
}

fn destroy(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let schema = context.model.schema;
    let table = table(schema, call.arg(0))?;
    let words = call.args.get(1..).unwrap_or(&[]);
    if call.has("all") {
        if !words.is_empty() || call.has("if-exists") {
            return Err(Failure::new(
                "--all and records argument or --if-exists should not be specified together",
            ));
        }
        for row in context.model.rows(&table.name) {
            context.model.delete(&table.name, row);
        }
        return Outcome::silent();
    }
    for word in words {
        if let Some(row) = wanted_row(context, call, table, word)? {
            context.model.delete(&table.name, row);
        }
    }
    Outcome::silent()
}

fn wait_until(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let schema = context.model.schema;
    let table = table(schema, call.arg(0))?;
    let conditions = call.args.get(2..).unwrap_or(&[]);
    let waits = match row(context, table, call.arg(1))? {
        Some(row) => !holds(context, table, row, conditions)?,
        None => !call.has("if-exists"),
    };
    Ok(Outcome { waits, ..Outcome::default() })
}
