//! Tables of cells in the formats of ovs-vsctl: list, table, csv, html and json.

use super::text::{CellStyle, show};
use serde_json::{Value, json};
use std::fmt::Write as _;
use weft_ovsdb::Datum;
use weft_ovsdb::value::atom::parse_uuid;
use weft_ovsdb::value::schema::ColumnType;

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
    /// Most bytes of a cell in a table, unless its heading has more; 0 for no limit.
    pub width_max: usize,
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
    /// The whole as text; `is_next` when others were shown before.
    #[must_use]
    pub fn show(&self, style: Style, is_next: bool) -> String {
        let text = match style.format {
            Format::List => self.list(style),
            Format::Table => self.table(style),
            Format::Csv => self.csv(style),
            Format::Html => return self.html(style),
            Format::Json => return self.json(style),
        };
        if is_next { format!("\n{text}") } else { text }
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
        // Widths are in bytes, as with ovs-vsctl, and so are limits.
        for (cell, heading) in lines.iter_mut().flat_map(|line| line.iter_mut().zip(&headings)) {
            if style.width_max > 0 {
                cut(cell, style.width_max.max(heading.len()));
            }
        }
        let width = |index: usize| {
            let head = headings.get(index).filter(|_| !style.is_bald).map_or(0, String::len);
            let cells = lines.iter().filter_map(|line| line.get(index).map(String::len));
            cells.max().unwrap_or(0).max(head)
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        if !style.is_bald {
            lines.insert(0, widths.iter().map(|width| "-".repeat(*width)).collect());
            lines.insert(0, headings);
        }
        let mut out = String::new();
        for line in lines {
            let padded = |(cell, width): (&String, &usize)| {
                format!("{cell}{}", " ".repeat(width.saturating_sub(cell.len())))
            };
            let padded: Vec<_> = line.iter().zip(&widths).map(padded).collect();
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
        if !style.is_bald {
            let headings = self.headings();
            push_html_row(&mut out, "th", headings.iter().map(|heading| escape(heading)));
        }
        for line in self.cells(style) {
            let cells = line.iter().zip(&self.columns).map(|(cell, (name, _))| {
                if name == "_uuid" { anchor(cell) } else { with_links(cell) }
            });
            push_html_row(&mut out, "td", cells);
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
        let mut text = String::new();
        if style.is_pretty {
            push_pretty(&mut text, &whole, 0);
        } else {
            text = whole.to_string();
        }
        text + "\n"
    }
}

/// Takes off what is longer than so many bytes.
fn cut(text: &mut String, bytes_max: usize) {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

fn push_html_row(out: &mut String, tag: &str, cells: impl Iterator<Item = String>) {
    out.push_str("  <tr>\n");
    for cell in cells {
        // Writing to a String never fails.
        let _ = writeln!(out, "    <{tag}>{cell}</{tag}>");
    }
    out.push_str("  </tr>\n");
}

/// Characters of a uuid that a link shows.
const LINK_CHARS: usize = 8;

/// Characters of a uuid.
const UUID_CHARS: usize = 36;

/// A place that links lead to: the row of this uuid.
fn anchor(cell: &str) -> String {
    let shown: String = cell.chars().take(LINK_CHARS).collect();
    format!("<a name=\"{}\">{}</a>", escape(cell), escape(&shown))
}

/// The text, in which each uuid is a link to its row.
fn with_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let split = rest.split_at_checked(UUID_CHARS);
        let uuid = split.filter(|(word, _)| parse_uuid(word).is_some());
        let next = rest.split_at_checked(c.len_utf8()).unwrap_or((rest, ""));
        if let Some((uuid, _)) = uuid {
            let shown: String = uuid.chars().take(LINK_CHARS).collect();
            let _ = write!(out, "<a href=\"#{uuid}\">{shown}</a>");
        } else {
            out.push_str(&escape(next.0));
        }
        rest = uuid.unwrap_or(next).1;
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// JSON with one element a line.
fn push_pretty(out: &mut String, json: &Value, depth: usize) {
    let elements: Vec<(String, &Value)> = match json {
        Value::Array(elements) => elements.iter().map(|value| (String::new(), value)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (format!("{}: ", json!(name)), value)).collect()
        }
        scalar => {
            out.push_str(&scalar.to_string());
            return;
        }
    };
    let (open, close) = if json.is_object() { ('{', '}') } else { ('[', ']') };
    out.push(open);
    for (index, (name, value)) in elements.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\n{}{name}", "  ".repeat(depth + 1));
        push_pretty(out, value, depth + 1);
    }
    out.push(close);
}
