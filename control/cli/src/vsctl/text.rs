//! Values as the command line writes and shows them: `tag=5`, `{a=b, c="d e"}`, `[1, 2, 5-7]`.

use super::Failure;
use std::fmt::Write as _;
use uuid::Uuid;
use weft_ovsdb::schema::{BaseType, ColumnType};
use weft_ovsdb::value::{AtomType, parse_uuid};
use weft_ovsdb::{Atom, Datum};

/// Longest range of integers that a set may be given as.
const RANGE_MAX: i64 = 4096;

/// Resolves `@name`, which another command of the same line creates.
pub type Symbols<'a> = &'a mut dyn FnMut(&str) -> Result<Uuid, Failure>;

/// True when a character ends a word that is not quoted.
const fn is_delimiter(c: char) -> bool {
    matches!(c, ':' | '=' | ',' | ' ' | '[' | ']' | '{' | '}' | '!' | '<' | '>')
}

/// Takes one word off the front; a quoted part keeps its quotes and may hold anything.
///
/// # Errors
/// A quotation without end.
pub fn word<'a>(text: &mut &'a str) -> Result<&'a str, Failure> {
    let whole = *text;
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut end = whole.len();
    for (at, c) in whole.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            c if !is_quoted && is_delimiter(c) => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    if is_quoted {
        return Err(Failure::new("missing closing quote"));
    }
    let (word, rest) = whole.split_at_checked(end).unwrap_or((whole, ""));
    *text = rest;
    Ok(word)
}

/// Reads one atom of a type.
///
/// # Errors
/// What is wrong with it, in the words of ovs-vsctl.
pub fn atom(ty: &BaseType, text: &str, symbols: Symbols<'_>) -> Result<Atom, Failure> {
    let atom = match ty.ty {
        AtomType::Integer => text
            .parse()
            .map(Atom::Integer)
            .map_err(|_| Failure(format!("\"{text}\" is not a valid integer")))?,
        AtomType::Real => match text.parse::<f64>() {
            Ok(real) if real.is_finite() => Atom::real(real),
            _ => return Err(Failure(format!("\"{text}\" is not a valid real number"))),
        },
        AtomType::Boolean => match text {
            "true" | "yes" | "on" | "1" => Atom::Boolean(true),
            "false" | "no" | "off" | "0" => Atom::Boolean(false),
            _ => {
                return Err(Failure(format!(
                    "\"{text}\" is not a valid boolean (use \"true\" or \"false\")"
                )));
            }
        },
        AtomType::String => string(text)?,
        AtomType::Uuid if text.starts_with('@') => Atom::Uuid(symbols(text)?),
        AtomType::Uuid => Atom::Uuid(
            parse_uuid(text).ok_or_else(|| Failure(format!("\"{text}\" is not a valid UUID")))?,
        ),
    };
    ty.check(&atom).map_err(|error| Failure(error.to_string()))?;
    Ok(atom)
}

fn string(text: &str) -> Result<Atom, Failure> {
    if text.is_empty() {
        let hint = "An empty string is not valid as input; use \"\" to represent the empty string";
        return Err(Failure::new(hint));
    }
    if !text.starts_with('"') {
        return Ok(Atom::string(text));
    }
    if text.len() < 2 || !text.ends_with('"') {
        return Err(Failure(format!("{text}: missing quote at end of quoted string")));
    }
    serde_json::from_str::<String>(text)
        .map(|text| Atom::string(&text))
        .map_err(|error| Failure(format!("{text}: {error}")))
}

/// Reads a set or a map, with or without brackets around it.
///
/// # Errors
/// What is wrong with it.
pub fn datum(ty: &ColumnType, text: &str, symbols: Symbols<'_>) -> Result<Datum, Failure> {
    let (open, close) = if ty.is_map() { ('{', '}') } else { ('[', ']') };
    let mut rest = skip(text, is_space);
    let is_bracketed = rest.starts_with(open);
    if is_bracketed {
        rest = skip(rest.strip_prefix(open).unwrap_or(rest), is_space);
    }
    let mut datum = Collector::default();
    while !(rest.is_empty() || is_bracketed && rest.starts_with(close)) {
        datum.take(ty, text, &mut rest, symbols)?;
        rest = skip(rest, |c| c == ',' || is_space(c));
    }
    if is_bracketed {
        rest = match rest.strip_prefix(close) {
            Some(rest) => skip(rest, is_space),
            None => return Err(Failure(format!("{text}: missing \"{close}\" at end of data"))),
        };
        if !rest.is_empty() {
            return Err(Failure(format!("{text}: trailing garbage after \"{close}\"")));
        }
    }
    datum.finish(ty, text)
}

const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n')
}

fn skip(text: &str, what: impl Fn(char) -> bool) -> &str {
    text.trim_start_matches(what)
}

#[derive(Default)]
struct Collector {
    atoms: Vec<Atom>,
    pairs: Vec<(Atom, Atom)>,
}

impl Collector {
    fn take(
        &mut self,
        ty: &ColumnType,
        text: &str,
        rest: &mut &str,
        symbols: Symbols<'_>,
    ) -> Result<(), Failure> {
        let bad = |rest: &str| {
            let at: String = rest.chars().take(1).collect();
            Failure(format!("{text}: syntax error at \"{at}\""))
        };
        let key = word(rest)?;
        if key.is_empty() {
            return Err(bad(rest));
        }
        let Some(value_type) = &ty.value else {
            return self.take_element(ty, key, symbols);
        };
        *rest = rest.strip_prefix('=').ok_or_else(|| bad(rest))?;
        let value = word(rest)?;
        if value.is_empty() {
            return Err(bad(rest));
        }
        self.pairs.push((atom(&ty.key, key, symbols)?, atom(value_type, value, symbols)?));
        Ok(())
    }

    /// An element of a set; integers may come as a range.
    fn take_element(
        &mut self,
        ty: &ColumnType,
        text: &str,
        symbols: Symbols<'_>,
    ) -> Result<(), Failure> {
        if ty.key.ty != AtomType::Integer || text.parse::<i64>().is_ok() {
            self.atoms.push(atom(&ty.key, text, symbols)?);
            return Ok(());
        }
        let bad = || Failure(format!("\"{text}\" is not a valid integer or range"));
        let (first, last) = text.split_once('-').ok_or_else(bad)?;
        let first: i64 = first.parse().map_err(|_| bad())?;
        let last: i64 = last.parse().map_err(|_| bad())?;
        if last < first {
            return Err(Failure(format!(
                "\"{text}\" is not a valid range. Range end cannot be before start."
            )));
        }
        if last - first >= RANGE_MAX {
            return Err(Failure(format!(
                "\"{text}\" is not a valid range. Range size must be smaller than {RANGE_MAX}."
            )));
        }
        for number in first..=last {
            self.atoms.push(atom(&ty.key, &number.to_string(), symbols)?);
        }
        Ok(())
    }

    fn finish(self, ty: &ColumnType, text: &str) -> Result<Datum, Failure> {
        let given = self.atoms.len() + self.pairs.len();
        let datum = if ty.is_map() { Datum::map(self.pairs) } else { Datum::set(self.atoms) };
        let (what, one) = if ty.is_map() {
            ("pair(s)", "map contains duplicate key")
        } else {
            ("value(s)", "set contains duplicate value")
        };
        if datum.len() != given {
            return Err(Failure(format!("{text}: {one}")));
        }
        if given > ty.max {
            let max = ty.max;
            return Err(Failure(format!(
                "{text}: {given} {what} specified but the maximum number is {max}"
            )));
        }
        if given < ty.min {
            let min = ty.min;
            return Err(Failure(format!(
                "{text}: {given} {what} specified but the minimum number is {min}"
            )));
        }
        Ok(datum)
    }
}

/// How cells are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CellStyle {
    /// As the command line reads them.
    #[default]
    String,
    /// Without brackets and quotes.
    Bare,
    /// As the protocol has them.
    Json,
}

/// A datum as text.
#[must_use]
pub fn show(datum: &Datum, ty: &ColumnType, style: CellStyle) -> String {
    match style {
        CellStyle::Json => datum.to_json().to_string(),
        CellStyle::String => show_as_string(datum, ty),
        CellStyle::Bare => {
            let atoms = datum.atoms().iter().map(show_atom_bare);
            let pairs = datum
                .pairs()
                .iter()
                .map(|(key, value)| format!("{}={}", show_atom_bare(key), show_atom_bare(value)));
            atoms.chain(pairs).collect::<Vec<_>>().join(" ")
        }
    }
}

fn show_as_string(datum: &Datum, ty: &ColumnType) -> String {
    if let ([atom], 1) = (datum.atoms(), ty.max) {
        return show_atom(atom);
    }
    let (open, close) = if ty.is_map() { ('{', '}') } else { ('[', ']') };
    let mut out = String::from(open);
    for (index, atom) in datum.atoms().iter().enumerate() {
        // Writing to a String never fails.
        let _ = write!(out, "{}{}", if index == 0 { "" } else { ", " }, show_atom(atom));
    }
    for (index, (key, value)) in datum.pairs().iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let _ = write!(out, "{comma}{}={}", show_atom(key), show_atom(value));
    }
    out.push(close);
    out
}

fn show_atom_bare(atom: &Atom) -> String {
    atom.as_str().map_or_else(|| show_atom(atom), str::to_owned)
}

/// One atom, quoted where it must be so that it can be read again.
#[must_use]
pub fn show_atom(atom: &Atom) -> String {
    match atom {
        Atom::Integer(value) => value.to_string(),
        Atom::Real(value) => value.to_string(),
        Atom::Boolean(value) => value.to_string(),
        Atom::Uuid(uuid) => uuid.to_string(),
        Atom::String(text) if needs_quotes(text) => {
            serde_json::Value::from(text.as_ref()).to_string()
        }
        Atom::String(text) => text.to_string(),
    }
}

fn needs_quotes(text: &str) -> bool {
    let mut chars = text.chars();
    let starts = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let goes_on = chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    !starts || !goes_on || matches!(text, "true" | "false") || parse_uuid(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_ovsdb::schema::{Schema, VSWITCH_SCHEMA};

    fn read(table: &str, column: &str, text: &str) -> Result<String, String> {
        let schema = Schema::parse(VSWITCH_SCHEMA).unwrap();
        let ty = schema.table(table).unwrap().column(column).unwrap().ty.clone();
        let mut none = |name: &str| Err(Failure(format!("no {name}")));
        datum(&ty, text, &mut none)
            .map(|datum| show(&datum, &ty, CellStyle::String))
            .map_err(|failure| failure.0)
    }

    #[test]
    fn sets_and_maps_are_read_as_they_are_shown() {
        for (table, column, text) in [
            ("Port", "trunks", "[1, 2, 5]"),
            ("Port", "trunks", "[]"),
            ("Port", "tag", "7"),
            ("Port", "other_config", "{a=\"1\", b=\"x y\", c-d=e_f.g}"),
            ("Bridge", "stp_enable", "true"),
            ("Interface", "options", "{remote_ip=\"fd00::1\", t=\"true\"}"),
        ] {
            assert_eq!(read(table, column, text).as_deref(), Ok(text));
        }
        assert_eq!(read("Port", "trunks", "1,2 5-7").as_deref(), Ok("[1, 2, 5, 6, 7]"));
    }

    #[test]
    fn mistakes_are_named() {
        for (column, text, words) in [
            ("tag", "abc", "\"abc\" is not a valid integer or range"),
            ("tag", "1,2", "1,2: 2 value(s) specified but the maximum number is 1"),
            ("trunks", "7-5", "\"7-5\" is not a valid range. Range end cannot be before start."),
            (
                "trunks",
                "1-9999",
                "\"1-9999\" is not a valid range. Range size must be smaller than 4096.",
            ),
            ("trunks", "1,1", "1,1: set contains duplicate value"),
            (
                "tag",
                "5000",
                "constraint violation: 5000 is not in the valid range 0 to 4095 (inclusive)",
            ),
            ("other_config", "y", "y: syntax error at \"\""),
            ("other_config", "{a=b", "{a=b: missing \"}\" at end of data"),
            ("name", "\"x", "missing closing quote"),
            ("interfaces", "abc", "\"abc\" is not a valid UUID"),
        ] {
            assert_eq!(read("Port", column, text), Err(words.to_owned()), "{column}={text}");
        }
    }
}
