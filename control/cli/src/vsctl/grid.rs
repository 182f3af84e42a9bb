//! Tables of cells in the formats of ovs-vsctl: list, table, csv, html and json.

use super::text::{CellStyle, show};
use serde_json::{Value, json};
use std::fmt::Write as _;
use weft_ovsdb::Datum;
use weft_ovsdb::schema::ColumnType;

/// `--format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One column a line.
    #[default]
    List,
    /// Aligned columns.
    Table,
    /// Comma-separated values.
    Csv,
    /// A table of HTML.
    Html,
    /// An object with headings and data.
    Json,
}

/// `--format`, `--data`, `--no-headings`, `--pretty`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// The shape of the whole.
    pub format: Format,
    /// The shape of a cell.
    pub cells: CellStyle,
    /// Without headings.
    pub is_bald: bool,
    /// JSON in lines.
    pub is_pretty: bool,
}

/// Rows of one table.
#[derive(Debug)]
pub struct Grid {
    /// Names and types of its columns.
    pub columns: Vec<(String, ColumnType)>,
    /// A datum a column.
    pub rows: Vec<Vec<Datum>>,
}

impl Grid {
    /// The whole as text.
    #[must_use]
    pub fn show(&self, style: Style) -> String {
        match style.format {
            Format::List => self.list(style),
            Format::Table => self.table(style),
            Format::Csv => self.csv(style),
            Format::Html => self.html(style),
            Format::Json => self.json(style),
        }
    }

    fn cells(&self, style: Style) -> impl Iterator<Item = Vec<String>> + '_ {
        self.rows.iter().map(move |row| {
            let typed = row.iter().zip(&self.columns);
            typed.map(|(datum, (_, ty))| show(datum, ty, style.cells)).collect()
        })
    }

    fn headings(&self) -> Vec<String> {
        self.columns.iter().map(|(name, _)| name.clone()).collect()
    }

    fn list(&self, style: Style) -> String {
        let mut out = String::new();
        for (index, row) in self.cells(style).enumerate() {
            if index > 0 {
                out.push('\n');
            }
            for ((name, _), cell) in self.columns.iter().zip(row) {
                // Writing to a String never fails.
                let _ = if style.is_bald {
                    writeln!(out, "{cell}")
                } else {
                    writeln!(out, "{name:<20}: {cell}")
                };
            }
        }
        out
    }

    fn table(&self, style: Style) -> String {
        let mut lines: Vec<_> = self.cells(style).collect();
        let headings = self.headings();
        let width = |index: usize| {
            let head = headings.get(index).filter(|_| !style.is_bald).map_or(0, String::len);
            let cells = lines.iter().filter_map(|line| Some(line.get(index)?.chars().count()));
            cells.max().unwrap_or(0).max(head)
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        if !style.is_bald {
            lines.insert(0, widths.iter().map(|width| "-".repeat(*width)).collect());
            lines.insert(0, headings);
        }
        let mut out = String::new();
        for line in lines {
            let padded: Vec<_> =
                line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            out.push_str(padded.join(" ").trim_end());
            out.push('\n');
        }
        out
    }

    fn csv(&self, style: Style) -> String {
        let headings = (!style.is_bald).then(|| self.headings());
        let quote = |cell: &String| {
            if cell.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell.clone()
            }
        };
        let mut out = String::new();
        for line in headings.into_iter().chain(self.cells(style)) {
            out.push_str(&line.iter().map(quote).collect::<Vec<_>>().join(","));
            out.push('\n');
        }
        out
    }

    fn html(&self, style: Style) -> String {
        let mut out = String::from("<table border=1>\n");
        let headings = (!style.is_bald).then(|| self.headings());
        let heads = headings.into_iter().map(|line| ("th", line));
        for (tag, line) in heads.chain(self.cells(style).map(|line| ("td", line))) {
            out.push_str("  <tr>\n");
            for cell in line {
                let _ = writeln!(out, "    <{tag}>{}</{tag}>", escape(&cell));
            }
            out.push_str("  </tr>\n");
        }
        out.push_str("</table>\n");
        out
    }

    fn json(&self, style: Style) -> String {
        let data: Vec<Value> = self
            .rows
            .iter()
            .map(|row| Value::Array(row.iter().map(Datum::to_json).collect()))
            .collect();
        let whole = json!({"data": data, "headings": self.headings()});
        let text = if style.is_pretty {
            serde_json::to_string_pretty(&whole).unwrap_or_default()
        } else {
            whole.to_string()
        };
        text + "\n"
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
