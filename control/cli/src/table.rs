//! Tables for people: no frames, two spaces between columns, numbers to the right.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    /// Words, to the left.
    Left(&'static str),
    /// Numbers, to the right.
    Right(&'static str),
}

/// Renders rows under their headings, each line indented by `indent` spaces.
#[must_use]
pub fn render(columns: &[Column], rows: Vec<Vec<String>>, indent: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| match column {
        Column::Left(title) | Column::Right(title) => *title,
    }));
    table.add_rows(rows);
    for (index, column) in columns.iter().enumerate() {
        if let Some(shape) = table.column_mut(index) {
            shape.set_padding((0, 2));
            if let Column::Right(_) = column {
                shape.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let margin = " ".repeat(indent);
    table.lines().fold(String::new(), |all, line| all + &margin + line.trim_end() + "\n")
}

/// A whole number with commas: 1234567 reads as `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate with three digits and a prefix: 12345678 reads as `12.3M`; 0 as `0`.
#[must_use]
pub fn scaled(rate: f64) -> String {
    let mut value = rate.max(0.0);
    let mut prefixes = ["", "k", "M", "G", "T"].iter();
    let mut prefix = prefixes.next().unwrap_or(&"");
    while value >= 999.5 {
        let Some(next) = prefixes.next() else { break };
        prefix = next;
        value /= 1000.0;
    }
    let decimals = match value {
        v if v == 0.0 || (prefix.is_empty() && v >= 9.95) || v >= 99.5 => 0,
        v if v >= 9.95 => 1,
        _ if prefix.is_empty() => 1,
        _ => 2,
    };
    format!("{value:.decimals$}{prefix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_easily() {
        assert_eq!(
            [0, 12, 999, 1000, 1_234_567].map(grouped),
            ["0", "12", "999", "1,000", "1,234,567"]
        );
        let rates = [0.0, 0.25, 7.0, 12.0, 999.0, 1000.0, 12_345.0, 999_999.0, 1.5e9].map(scaled);
        assert_eq!(rates, ["0", "0.2", "7.0", "12", "999", "1.00k", "12.3k", "1.00M", "1.50G"]);
    }

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["a".into(), "1".into()], vec!["longer".into(), "1,000".into()]];
        let text = render(&[Column::Left("PORT"), Column::Right("RX")], rows, 2);
        assert_eq!(text, "  PORT       RX\n  a           1\n  longer  1,000\n");
    }
}
