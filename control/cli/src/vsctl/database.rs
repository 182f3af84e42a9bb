//! Commands about tables, rows and columns of any kind.

use super::Failure;
use super::command::{Call, Command, Context, Outcome, Run, command};
use super::condition::{Condition, Operator};
use super::grid::Grid;
use super::lookup::{
    Column, column, held, must_be_mutable, place, readable, row, table, wanted_row,
};
use super::text::{self, CellStyle};
use uuid::Uuid;
use weft_ovsdb::value::atom::parse_uuid;
use weft_ovsdb::value::schema::{ColumnType, Schema, TableSchema};
use weft_ovsdb::{Atom, Datum};

/// All of them.
pub const COMMANDS: &[Command] = &[
    command("list", "TBL [REC]...", 1, usize::MAX, "if-exists columns=", list).checked(check_list),
    command("find", "TBL [CONDITION]...", 1, usize::MAX, "columns=", find).checked(check_find),
    command("get", "TBL REC [COL[:KEY]]...", 2, usize::MAX, "if-exists id=", get)
        .checked(check_places),
    command("set", "TBL REC COL[:KEY]=VALUE...", 3, usize::MAX, "if-exists", set)
        .checked(check_places),
    command("add", "TBL REC COL [KEY=]VALUE...", 4, usize::MAX, "if-exists", add)
        .checked(check_column),
    command("remove", "TBL REC COL KEY|VALUE|KEY=VALUE...", 4, usize::MAX, "if-exists", remove)
        .checked(check_column),
    command("clear", "TBL REC COL...", 3, usize::MAX, "if-exists", clear).checked(check_columns),
    command("create", "TBL COL[:KEY]=VALUE...", 2, usize::MAX, "id=", create).checked(check_table),
    command("destroy", "TBL [REC]...", 1, usize::MAX, "if-exists all", destroy)
        .checked(check_table),
    command("wait-until", "TBL REC [COL[:KEY]=VALUE]...", 2, usize::MAX, "", wait_until)
        .checked(check_places),
    command("comment", "ARG...", 0, usize::MAX, "", |_, _| Outcome::silent()),
];

fn check_table(schema: &Schema, call: &Call) -> Result<(), Failure> {
    table(schema, call.arg(0)).map(drop)
}

fn check_list(schema: &Schema, call: &Call) -> Result<(), Failure> {
    columns(table(schema, call.arg(0))?, call).map(drop)
}

fn check_find(schema: &Schema, call: &Call) -> Result<(), Failure> {
    let table = table(schema, call.arg(0))?;
    columns(table, call)?;
    let mut conditions = call.args.iter().skip(1);
    conditions.try_for_each(|condition| place(table, condition, column).map(drop))
}

fn check_places(schema: &Schema, call: &Call) -> Result<(), Failure> {
    let table = table(schema, call.arg(0))?;
    let find = if call.command.name == "get" { readable } else { column };
    call.args.iter().skip(2).try_for_each(|argument| place(table, argument, find).map(drop))
}

fn check_column(schema: &Schema, call: &Call) -> Result<(), Failure> {
    column(table(schema, call.arg(0))?, call.arg(2)).map(drop)
}

fn check_columns(schema: &Schema, call: &Call) -> Result<(), Failure> {
    let table = table(schema, call.arg(0))?;
    call.args.iter().skip(2).try_for_each(|word| column(table, word).map(drop))
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
    let place = place(table, argument, column)?;
    let column = &place.column;
    let value =
        place.rest.strip_prefix('=').filter(|value| !value.is_empty()).ok_or_else(|| {
            Failure(format!("{argument}: argument does not end in \"=\" followed by a value."))
        })?;
    must_be_mutable(context, table, row, column)?;
    let key = place.key(context.symbols, "set")?;
    let datum = match (key, &column.ty.value) {
        (None, _) | (_, None) => text::datum(column.ty, value, context.symbols)?,
        (Some(key), Some(ty)) => {
            let value = text::atom(ty, value, context.symbols)?;
            let old = context.model.get(&table.name, row, column.name);
            let others = old.pairs().iter().filter(|(other, _)| *other != key).cloned();
            Datum::map(others.chain([(key.clone(), value)]).collect())
        }
    };
    context.model.set(&table.name, row, column.name, datum);
    Ok(())
}

/// The columns that `--columns` names, or all.
fn columns<'a>(table: &'a TableSchema, call: &Call) -> Result<Vec<Column<'a>>, Failure> {
    let Some(words) = call.value("columns") else {
        let mut names: Vec<_> = table.columns.iter().map(|column| column.name.as_ref()).collect();
        names.sort_unstable();
        return ["_uuid"].into_iter().chain(names).map(|name| readable(table, name)).collect();
    };
    let words = words.split([',', ' ']).filter(|word| !word.is_empty());
    let columns: Vec<_> = words.map(|word| readable(table, word)).collect::<Result<_, _>>()?;
    if columns.is_empty() {
        return Err(Failure::new("must specify at least one column name"));
    }
    Ok(columns)
}

fn grid(
    context: &Context<'_, '_>,
    call: &Call,
    table: &TableSchema,
    rows: &[Uuid],
) -> Result<Grid, Failure> {
    let columns = columns(table, call)?;
    let cells = |row: &Uuid| {
        columns.iter().map(|column| held(context, table, *row, column.name)).collect::<Vec<_>>()
    };
    let rows = rows.iter().map(cells).collect();
    let columns = columns.iter().map(|c| (c.name.to_owned(), c.ty.clone())).collect();
    Ok(Grid { columns, rows })
}

/// Rows that nobody has put in an order, in that of their cells.
fn sorted_grid(context: &Context<'_, '_>, call: &Call, table: &TableSchema, rows: &[Uuid]) -> Run {
    let mut grid = grid(context, call, table, rows)?;
    grid.rows.sort();
    Ok(Outcome { grid: Some(grid), ..Outcome::default() })
}

fn list(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let schema = context.model.schema;
    let table = table(schema, call.arg(0))?;
    let words = call.args.get(1..).unwrap_or(&[]);
    if words.is_empty() {
        return sorted_grid(context, call, table, &context.model.rows(&table.name));
    }
    let mut rows = Vec::new();
    for word in words {
        rows.extend(wanted_row(context, call, table, word)?);
    }
    Ok(Outcome { grid: Some(grid(context, call, table, &rows)?), ..Outcome::default() })
}

/// True when all conditions hold for a row.
fn holds(
    context: &mut Context<'_, '_>,
    table: &TableSchema,
    row: Uuid,
    conditions: &[String],
) -> Result<bool, Failure> {
    for text in conditions {
        let place = place(table, text, column)?;
        let Some((operator, value)) = Operator::parse(place.rest) else {
            return Err(Failure(format!(
                "{text}: argument does not end in {} followed by a value.",
                Operator::english()
            )));
        };
        let (column, key) = (&place.column, place.key(context.symbols, "check")?);
        let condition = Condition::read(operator, column.ty, key, value, context.symbols)?;
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
    sorted_grid(context, call, table, &rows)
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
        context.symbols.name(id, row)?;
    }
    let mut lines = Vec::new();
    for argument in call.args.get(2..).unwrap_or(&[]) {
        let place = place(table, argument, readable)?;
        let (column, rest) = (&place.column, place.rest);
        if !rest.is_empty() {
            return Err(Failure(format!("{argument}: trailing garbage \"{rest}\" in argument")));
        }
        let datum = held(context, table, row, column.name);
        let Some(key) = place.key(context.symbols, "get")? else {
            lines.push(text::show(&datum, column.ty, CellStyle::String));
            continue;
        };
        match datum.pairs().iter().find(|(other, _)| *other == key) {
            Some((_, value)) => lines.push(text::show_atom(value)),
            None if call.has("if-exists") => lines.push(String::new()),
            None => {
                return Err(Failure(format!(
                    "no key \"{}\" in {} record \"{}\" column {}",
                    place.key.unwrap_or_default(),
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

/// The type of what is added to or removed from a column: any number of values, but not none.
fn some(ty: &ColumnType) -> ColumnType {
    ColumnType { min: 1, max: usize::MAX, ..ty.clone() }
}

fn add(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let schema = context.model.schema;
    let table = table(schema, call.arg(0))?;
    let Some(row) = wanted_row(context, call, table, call.arg(1))? else {
        return Outcome::silent();
    };
    let column = column(table, call.arg(2))?;
    must_be_mutable(context, table, row, &column)?;
    let ty = some(column.ty);
    for argument in call.args.get(3..).unwrap_or(&[]) {
        let new = text::datum(&ty, argument, context.symbols)?;
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
    let ty = some(column.ty);
    let keys = ColumnType { value: None, ..ty.clone() };
    for argument in call.args.get(3..).unwrap_or(&[]) {
        // For a map: pairs, or else keys alone.
        let gone = match text::datum(&ty, argument, context.symbols) {
            Err(_) if ty.is_map() => text::datum(&keys, argument, context.symbols)?,
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
        let (count, min) = (rest.len(), column.ty.min);
        if count < min {
            let (column, table) = (column.name, &table.name);
            return Err(Failure(format!(
                "\"remove\" operation would put {count} values in column {column} of table {table} but the minimum number is {min}"
            )));
        }
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
        (None, Some(id)) => context.symbols.create(id, table.is_root)?,
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
    let all = call.has("all");
    if all && !words.is_empty() {
        let text = "--all and records argument should not be specified together";
        return Err(Failure::new(text));
    }
    if all && call.has("if-exists") {
        return Err(Failure::new("--all and --if-exists should not be specified together"));
    }
    if all {
        for row in context.model.rows(&table.name) {
            context.model.delete(&table.name, row);
        }
    } else if words.is_empty() {
        context.warn("either --all or records argument should be specified".to_owned());
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
