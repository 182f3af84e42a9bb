//! `show`: the configuration as a tree.

use super::command::{Call, Context, Outcome, Run};
use super::model::Model;
use super::text::{CellStyle, show_atom};
use uuid::Uuid;
use weft_ovsdb::Atom;

/// What is shown of a table: its name, the column that names its rows, and columns in order.
struct Part {
    table: &'static str,
    name: &'static str,
    columns: &'static [&'static str],
}

const PARTS: &[Part] = &[
    Part {
        table: "Open_vSwitch",
        name: "",
        columns: &["manager_options", "bridges", "ovs_version"],
    },
    Part {
        table: "Bridge",
        name: "name",
        columns: &["controller", "fail_mode", "datapath_type", "ports"],
    },
    Part { table: "Port", name: "name", columns: &["tag", "trunks", "interfaces"] },
    Part { table: "Interface", name: "name", columns: &["type", "options", "error"] },
    Part { table: "Controller", name: "target", columns: &["is_connected"] },
    Part { table: "Manager", name: "target", columns: &["is_connected"] },
];

/// The command.
pub fn run(context: &mut Context<'_, '_>, _: &Call) -> Run {
    let mut lines = Vec::new();
    for row in context.model.rows("Open_vSwitch") {
        if let Some(part) = PARTS.first() {
            show(&context.model, part, row, 0, &mut lines);
        }
    }
    Outcome::lines(lines)
}

fn show(model: &Model, part: &Part, row: Uuid, depth: usize, lines: &mut Vec<String>) {
    let indent = "    ".repeat(depth);
    lines.push(if part.name.is_empty() {
        row.to_string()
    } else {
        let name = show_atom(&Atom::string(model.text(part.table, row, part.name)));
        format!("{indent}{} {name}", part.table)
    });
    for name in part.columns {
        let schema = model.schema.table(part.table).and_then(|table| table.column(name));
        let Some(column) = schema else { continue };
        let datum = model.get(part.table, row, name);
        let target = column.ty.key.reference.as_ref().map(|reference| reference.table.as_str());
        if let Some(inner) =
            target.and_then(|target| PARTS.iter().find(|part| part.table == target))
        {
            for row in datum.uuids().filter(|row| model.has(inner.table, *row)) {
                show(model, inner, row, depth + 1, lines);
            }
        } else if datum != column.default.as_ref() {
            let text = super::text::show(datum, &column.ty, CellStyle::String);
            lines.push(format!("{indent}    {name}: {text}"));
        }
    }
}
