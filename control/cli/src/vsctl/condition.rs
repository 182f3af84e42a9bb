//! Conditions of `find` and `wait-until`: `tag=5`, `trunks{>=}1,2`.

use super::Failure;
use super::symbols::Symbols;
use super::text;
use std::cmp::Ordering;
use weft_ovsdb::value::schema::ColumnType;
use weft_ovsdb::{Atom, Datum};

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// By the order of values; the list says which outcomes are true.
    Order(&'static [Ordering]),
    /// The sets are equal.
    SameSet,
    /// The sets differ.
    OtherSet,
    /// The column is a proper subset of the value.
    Within,
    /// The column is a proper superset of the value.
    Around,
    /// The column is a subset of the value.
    WithinOrSame,
    /// The column is a superset of the value.
    AroundOrSame,
    /// The column shares nothing with the value.
    Apart,
}

use Ordering::{Equal, Greater, Less};

/// All, in the order in which error texts list them.
const ALL: &[(&str, Operator)] = &[
    ("=", Operator::Order(&[Equal])),
    ("!=", Operator::Order(&[Less, Greater])),
    ("<", Operator::Order(&[Less])),
    (">", Operator::Order(&[Greater])),
    ("<=", Operator::Order(&[Less, Equal])),
    (">=", Operator::Order(&[Greater, Equal])),
    ("{=}", Operator::SameSet),
    ("{!=}", Operator::OtherSet),
    ("{<}", Operator::Within),
    ("{>}", Operator::Around),
    ("{<=}", Operator::WithinOrSame),
    ("{>=}", Operator::AroundOrSame),
    ("{in}", Operator::WithinOrSame),
    ("{not-in}", Operator::Apart),
];

impl Operator {
    /// The operator at the front, the longest that fits, and the value behind it.
    #[must_use]
    pub fn parse(text: &str) -> Option<(Self, &str)> {
        let fits = ALL.iter().filter(|(name, _)| text.starts_with(name));
        let (name, operator) = fits.max_by_key(|(name, _)| name.len())?;
        let value = text.get(name.len()..).filter(|value| !value.is_empty())?;
        Some((*operator, value))
    }

    /// All of them, for an error text.
    #[must_use]
    pub fn english() -> String {
        let quoted: Vec<_> = ALL.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let (last, others) = quoted.split_last().map_or(("", &[][..]), |(l, o)| (l.as_str(), o));
        format!("{}, or {last}", others.join(", "))
    }
}

/// One condition on a column.
#[derive(Debug)]
pub struct Condition {
    operator: Operator,
    key: Option<Atom>,
    value: Datum,
}

impl Condition {
    /// A condition on a column of type `ty`, or on one key of a map.
    ///
    /// # Errors
    /// The value does not fit.
    pub fn read(
        operator: Operator,
        ty: &ColumnType,
        key: Option<Atom>,
        value: &str,
        symbols: &mut Symbols,
    ) -> Result<Self, Failure> {
        // What one key has is compared with any number of values.
        let value = match (&key, &ty.value) {
            (Some(_), Some(of)) => {
                let ty = ColumnType { key: of.clone(), value: None, ..ty.clone() };
                text::datum(&ty, value, symbols)?
            }
            _ => text::datum(ty, value, symbols)?,
        };
        Ok(Self { operator, key, value })
    }

    /// True when what a column holds fulfils the condition.
    #[must_use]
    pub fn holds(&self, datum: &Datum) -> bool {
        let Some(key) = &self.key else { return self.compare(datum) };
        let found = datum.pairs().iter().find(|(other, _)| other == key);
        match (found, self.operator) {
            (None, Operator::Order(_)) => false,
            (found, _) => {
                self.compare(&Datum::set(found.map(|(_, v)| v.clone()).into_iter().collect()))
            }
        }
    }

    fn compare(&self, datum: &Datum) -> bool {
        let value = &self.value;
        match self.operator {
            Operator::Order(wanted) => wanted.contains(&order(datum, value)),
            Operator::SameSet => datum == value,
            Operator::OtherSet => datum != value,
            Operator::Within => value.includes(datum) && datum != value,
            Operator::Around => datum.includes(value) && datum != value,
            Operator::WithinOrSame => value.includes(datum),
            Operator::AroundOrSame => datum.includes(value),
            Operator::Apart => value.excludes(datum),
        }
    }
}

/// More elements are more; else the first difference decides, keys before values.
fn order(a: &Datum, b: &Datum) -> Ordering {
    let keys = |datum: &Datum| datum.pairs().iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    a.len().cmp(&b.len()).then_with(|| keys(a).cmp(&keys(b))).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_ovsdb::value::schema::{Schema, VSWITCH_SCHEMA};

    fn holds(held: &[i64], condition: &str) -> bool {
        let schema = Schema::parse(VSWITCH_SCHEMA).unwrap();
        let ty = &schema.table("Port").unwrap().column("trunks").unwrap().ty;
        let (operator, value) = Operator::parse(condition).unwrap();
        let condition = Condition::read(operator, ty, None, value, &mut Symbols::default());
        let held = Datum::set(held.iter().map(|number| Atom::Integer(*number)).collect());
        condition.unwrap().holds(&held)
    }

    #[test]
    fn sets_compare_as_documented() {
        assert!(holds(&[1, 2], "=1,2") && !holds(&[1], "=1,2"));
        assert!(holds(&[1, 2], ">9") && holds(&[1, 3], ">1,2") && !holds(&[1, 2], ">1,2"));
        assert!(holds(&[], "{<=}1,2") && holds(&[1, 2], "{<=}1,2") && !holds(&[3], "{<=}1,2"));
        assert!(holds(&[1], "{<}1,2") && !holds(&[1, 2], "{<}1,2"));
        assert!(holds(&[1, 2, 3], "{>=}1,2") && holds(&[1, 2, 3], "{>}1,2"));
        assert!(holds(&[3], "{not-in}1,2") && !holds(&[1, 3], "{not-in}1,2"));
        assert!(holds(&[1], "{in}1,2") && holds(&[1], "{!=}2") && holds(&[2], "!=1"));
    }

    #[test]
    fn an_operator_needs_a_value() {
        assert!(Operator::parse("=").is_none() && Operator::parse("tag").is_none());
        assert_eq!(Operator::parse("!=5").unwrap().1, "5");
    }
}
