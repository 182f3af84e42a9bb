//! Values as the command line writes and shows them: `tag=5`, `{a=b, c="d e"}`, `[1, 2, 5-7]`.

use super::symbols::Symbols;
use super::{Failure, quoted};
use std::fmt::Write as _;
use weft_ovsdb::value::atom::{AtomType, parse_uuid};
use weft_ovsdb::value::schema::{BaseType, ColumnType};
use weft_ovsdb::{Atom, Datum};

/// Longest range of integers that a set may be given as.
const RANGE_MAX: i128 = 4096;

/// True when a character ends a word that is not quoted.
const fn is_delimiter(c: char) -> bool {
    matches!(c, ':' | '=' | ',' | ' ' | '[' | ']' | '{' | '}' | '!' | '<' | '>')
}

/// Takes one word off the front.  A part in quotes keeps them and may hold anything; outside of quotes
/// a backslash takes the meaning from the character behind it.
///
/// # Errors
/// A quotation without end, or nothing behind a backslash.
pub fn word(text: &mut &str) -> Result<String, Failure> {
    let whole = *text;
    let mut word = String::new();
    let mut is_quoted = false;
    let mut chars = whole.char_indices();
    let mut end = whole.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                let (_, next) = chars
                    .next()
                    .ok_or_else(|| Failure(format!("{whole}: backslash at end of argument")))?;
                if is_quoted {
                    word.push('\\');
                }
                word.push(next);
            }
            c if !is_quoted && is_delimiter(c) => {
                end = at;
                break;
            }
            c => {
                is_quoted ^= c == '"';
                word.push(c);
            }
        }
    }
    if is_quoted {
        return Err(Failure(format!("{whole}: quoted string extends past end of argument")));
    }
    *text = whole.split_at_checked(end).map_or("", |(_, rest)| rest);
    Ok(word)
}

/// Reads one atom of a type.
///
/// # Errors
/// What is wrong with it, in the words of ovs-vsctl.
pub fn atom(ty: &BaseType, text: &str, symbols: &mut Symbols) -> Result<Atom, Failure> {
    let atom = match ty.ty {
        AtomType::Integer => integer(text)
            .map(Atom::Integer)
            .ok_or_else(|| Failure(format!("\"{text}\" is not a valid integer or range")))?,
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
        AtomType::Uuid if text.starts_with('@') => Atom::Uuid(symbols.refer(text, ty)),
        AtomType::Uuid => Atom::Uuid(
            parse_uuid(text).ok_or_else(|| Failure(format!("\"{text}\" is not a valid UUID")))?,
        ),
    };
    ty.check(&atom).map_err(|error| Failure(error.to_string()))?;
    Ok(atom)
}

/// An integer, with space in front of it or not.
fn integer(text: &str) -> Option<i64> {
    text.trim_start().parse().ok()
}

fn string(text: &str) -> Result<Atom, Failure> {
    if text.is_empty() {
        let hint = "An empty string is not valid as input; use \"\" to represent the empty string";
        return Err(Failure::new(hint));
    }
    let Some(rest) = text.strip_prefix('"') else { return Ok(Atom::string(text)) };
    let Some(inner) = rest.strip_suffix('"') else {
        return Err(Failure(format!("{text}: missing quote at end of quoted string")));
    };
    quoted::unescape(inner)
        .map(|text| Atom::string(&text))
        .map_err(|problem| Failure(format!("{text}: {problem}")))
}

/// Reads a set or a map, with or without brackets around it.
///
/// # Errors
/// What is wrong with it.
pub fn datum(ty: &ColumnType, text: &str, symbols: &mut Symbols) -> Result<Datum, Failure> {
    let (open, close) = brackets(ty);
    let mut rest = skip(text);
    if rest.is_empty() {
        let what = if ty.is_map() { "map" } else { "set" };
        return Err(Failure(format!("use \"{open}{close}\" to specify the empty {what}")));
    }
    let is_bracketed = rest.starts_with(open);
    if is_bracketed {
        rest = skip(rest.strip_prefix(open).unwrap_or(rest));
    }
    let mut datum = Collector::default();
    while let Some(c) = rest.chars().next().filter(|c| !(is_bracketed && *c == close)) {
        if is_delimiter(c) {
            let ty = english(ty);
            return Err(Failure(format!("{text}: unexpected \"{c}\" parsing {ty}")));
        }
        datum.take(ty, &mut rest, symbols)?;
        rest = skip(rest);
        rest = skip(rest.strip_prefix(',').unwrap_or(rest));
    }
    if is_bracketed {
        rest = match rest.strip_prefix(close) {
            Some(rest) => skip(rest),
            None => return Err(Failure(format!("{text}: missing \"{close}\" at end of data"))),
        };
        if !rest.is_empty() {
            return Err(Failure(format!("{text}: trailing garbage after \"{close}\"")));
        }
    }
    datum.finish(ty, text)
}

fn brackets(ty: &ColumnType) -> (char, char) {
    if ty.is_map() { ('{', '}') } else { ('[', ']') }
}

fn skip(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n'])
}

/// What a column holds, for error texts.
fn english(ty: &ColumnType) -> String {
    let key = ty.key.ty.name();
    if ty.value.is_none() && (ty.min, ty.max) == (1, 1) {
        return key.to_owned();
    }
    let count = match (ty.min, ty.max) {
        (0, usize::MAX) => String::new(),
        (min, usize::MAX) => format!(" {min} or more"),
        (0, max) => format!(" up to {max}"),
        (min, max) => format!(" {min} to {max}"),
    };
    match &ty.value {
        Some(value) => format!("map of{count} ({key}, {}) pairs", value.ty.name()),
        None => format!("set of{count} {key}s"),
    }
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
        rest: &mut &str,
        symbols: &mut Symbols,
    ) -> Result<(), Failure> {
        let whole = *rest;
        let key = word(rest)?;
        let Some(value_type) = &ty.value else {
            return self.take_element(ty, &key, symbols);
        };
        let key = atom(&ty.key, &key, symbols)?;
        *rest = rest.strip_prefix('=').ok_or_else(|| {
            let at: String = rest.chars().take(1).collect();
            Failure(format!("{whole}: syntax error at \"{at}\" expecting \"=\""))
        })?;
        let value = word(rest)?;
        self.pairs.push((key, atom(value_type, &value, symbols)?));
        Ok(())
    }

    /// An element of a set; integers may come as a range.
    fn take_element(
        &mut self,
        ty: &ColumnType,
        text: &str,
        symbols: &mut Symbols,
    ) -> Result<(), Failure> {
        let Some((first, last)) = range(text).filter(|_| ty.key.ty == AtomType::Integer) else {
            self.atoms.push(atom(&ty.key, text, symbols)?);
            return Ok(());
        };
        if last < first {
            return Err(Failure(format!(
                "\"{text}\" is not a valid range. Range end cannot be before start."
            )));
        }
        for end in [first, last] {
            atom(&ty.key, &end.to_string(), symbols)?;
        }
        if i128::from(last) - i128::from(first) >= RANGE_MAX {
            return Err(Failure(format!(
                "constraint violation: Range \"{text}\" is too big. Maximum allowed size is {RANGE_MAX}."
            )));
        }
        self.atoms.extend((first..=last).map(Atom::Integer));
        Ok(())
    }

    fn finish(self, ty: &ColumnType, text: &str) -> Result<Datum, Failure> {
        let given = self.atoms.len() + self.pairs.len();
        let (what, bound) = (if ty.is_map() { "pair(s)" } else { "value(s)" }, |word, number| {
            format!("specified but the {word} number is {number}")
        });
        let problem = if given < ty.min {
            format!("{given} {what} {}", bound("minimum", ty.min))
        } else if given > ty.max {
            format!("{given} {what} {}", bound("maximum", ty.max))
        } else {
            let datum = if ty.is_map() { Datum::map(self.pairs) } else { Datum::set(self.atoms) };
            match (datum.len() == given, ty.is_map()) {
                (true, _) => return Ok(datum),
                (false, true) => "map contains duplicate key".to_owned(),
                (false, false) => "set contains duplicate value".to_owned(),
            }
        };
        Err(Failure(format!("{text}: {problem}")))
    }
}

/// `FIRST-LAST`, both of which may be negative.
fn range(text: &str) -> Option<(i64, i64)> {
    let hyphen = text.char_indices().skip(1).find(|(_, c)| *c == '-')?.0;
    let (first, last) = text.split_at_checked(hyphen)?;
    Some((integer(first)?, integer(last.strip_prefix('-')?)?))
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
    use weft_ovsdb::value::schema::{Schema, VSWITCH_SCHEMA};

    fn read(table: &str, column: &str, text: &str) -> Result<String, String> {
        let schema = Schema::parse(VSWITCH_SCHEMA).unwrap();
        let ty = schema.table(table).unwrap().column(column).unwrap().ty.clone();
        datum(&ty, text, &mut Symbols::default())
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
                "constraint violation: 9999 is not in the valid range 0 to 4095 (inclusive)",
            ),
            ("trunks", "1,1", "1,1: set contains duplicate value"),
            (
                "tag",
                "5000",
                "constraint violation: 5000 is not in the valid range 0 to 4095 (inclusive)",
            ),
            ("other_config", "y", "y: syntax error at \"\" expecting \"=\""),
            ("other_config", "{a=b", "{a=b: missing \"}\" at end of data"),
            ("name", "\"x", "\"x: quoted string extends past end of argument"),
            ("interfaces", "abc", "\"abc\" is not a valid UUID"),
        ] {
            assert_eq!(read("Port", column, text), Err(words.to_owned()), "{column}={text}");
        }
    }
}
