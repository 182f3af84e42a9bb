//! Mutations: arithmetic and set operations on a column (RFC 7047 section 5.1 `<mutation>`).

use std::sync::Arc;

use crate::store::database::Row;
use crate::value::atom::{Atom, AtomType, Symbols};
use crate::value::datum::Datum;
use crate::value::error::OvsdbError;
use crate::value::json::Json;
use crate::value::schema::{BaseType, ColumnRef, ColumnType, TableSchema};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutator {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Insert,
    Delete,
}

impl Mutator {
    const ALL: [(&'static str, Self); 7] = [
        ("+=", Self::Add),
        ("-=", Self::Sub),
        ("*=", Self::Mul),
        ("/=", Self::Div),
        ("%=", Self::Mod),
        ("insert", Self::Insert),
        ("delete", Self::Delete),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, mutator)| *mutator == self).map_or("", |(name, _)| name)
    }
}

/// One mutation of one column.
#[derive(Clone, Debug)]
pub struct Mutation {
    column: usize,
    mutator: Mutator,
    argument: Datum,
}

impl Mutation {
    /// Reads a mutation of rows of `table`.
    ///
    /// # Errors
    /// Unknown column or mutator, immutable column, type mismatch.
    pub fn from_json<'a>(
        table: &TableSchema,
        json: impl Json<'a>,
        symbols: &mut Symbols,
    ) -> Result<Self, OvsdbError> {
        let parts = json.array().and_then(|[name, mutator, argument]| {
            Some((name.as_text()?, mutator.as_text()?, argument))
        });
        let Some((name, mutator_name, argument)) = parts else {
            return Err(OvsdbError::syntax(json, "Parse error in mutation."));
        };
        let column = table.column_ref(&name).ok_or_else(|| {
            let text = format!("No column {name} in table {}.", table.name);
            OvsdbError::new("unknown column", text).about(json)
        })?;
        let description = match column {
            ColumnRef::Column(index) => {
                table.columns.get(index).filter(|column| column.mutable).map(|c| (index, c))
            }
            ColumnRef::Uuid | ColumnRef::Version => None,
        };
        let Some((column, description)) = description else {
            let text = format!("Cannot mutate immutable column {name} in table {}.", table.name);
            return Err(OvsdbError::constraint(text).about(json));
        };
        let mutator = Mutator::ALL
            .iter()
            .find(|(candidate, _)| *candidate == mutator_name)
            .map(|(_, mutator)| *mutator)
            .ok_or_else(|| {
                OvsdbError::new("unknown mutator", format!("No mutator named {mutator_name}."))
            })?;
        let ty = argument_type(&description.ty, mutator, argument).ok_or_else(|| {
            OvsdbError::syntax(
                json,
                format!(
                    "Type mismatch: \"{mutator_name}\" operator may not be applied to column \
                     {name} of type {}.",
                    description.ty.english()
                ),
            )
        })?;
        let argument = Datum::from_json(&ty, argument, Some(symbols))?;
        Ok(Self { column, mutator, argument })
    }

    /// Applies the mutation to `row`.
    ///
    /// # Errors
    /// `domain error`, `range error` or `constraint violation`.
    pub fn apply(&self, table: &TableSchema, row: &mut Row) -> Result<(), OvsdbError> {
        let (Some(column), Some(slot)) =
            (table.columns.get(self.column), row.columns.get_mut(self.column))
        else {
            return Ok(());
        };
        // In place when an earlier operation of the transaction has copied it already.
        match self.mutator {
            Mutator::Insert => insert(Arc::make_mut(slot), &self.argument),
            Mutator::Delete => delete(Arc::make_mut(slot), &self.argument),
            _ => *slot = Arc::new(self.arithmetic(&column.ty, slot)?),
        }
        if !(column.ty.min..=column.ty.max).contains(&slot.len()) {
            return Err(OvsdbError::constraint(format!(
                "Attempted to store {} elements in {}.",
                slot.len(),
                column.ty.english()
            )));
        }
        if *slot == column.default {
            *slot = Arc::clone(&column.default);
        }
        Ok(())
    }

    fn arithmetic(&self, ty: &ColumnType, old: &Datum) -> Result<Datum, OvsdbError> {
        let Some(argument) = self.argument.scalar() else { return Ok(old.clone()) };
        let mut atoms = Vec::with_capacity(old.len());
        for atom in old.atoms() {
            let result = self.compute(atom, argument)?;
            ty.key.check(&result)?;
            atoms.push(result);
        }
        let new = Datum::set(atoms);
        if new.len() != old.len() {
            return Err(OvsdbError::constraint(format!(
                "Result of \"{}\" operation contains duplicates.",
                self.mutator.name()
            )));
        }
        Ok(new)
    }

    fn compute(&self, left: &Atom, right: &Atom) -> Result<Atom, OvsdbError> {
        let by_zero = || OvsdbError::new("domain error", "Division by zero.");
        let range = || {
            let text = format!("Result of \"{}\" operation is out of range.", self.mutator.name());
            OvsdbError::new("range error", text)
        };
        match (left, right) {
            (Atom::Integer(left), Atom::Integer(right)) => {
                let divides = matches!(self.mutator, Mutator::Div | Mutator::Mod);
                if divides && *right == 0 {
                    return Err(by_zero());
                }
                let result = match self.mutator {
                    Mutator::Add => left.checked_add(*right),
                    Mutator::Sub => left.checked_sub(*right),
                    Mutator::Mul => left.checked_mul(*right),
                    Mutator::Div => left.checked_div(*right),
                    _ => left.checked_rem(*right),
                };
                result.map(Atom::Integer).ok_or_else(range)
            }
            (Atom::Real(left), Atom::Real(right)) => {
                if self.mutator == Mutator::Div && *right == 0.0 {
                    return Err(by_zero());
                }
                let result = match self.mutator {
                    Mutator::Add => left + right,
                    Mutator::Sub => left - right,
                    Mutator::Mul => left * right,
                    _ => left / right,
                };
                if result.is_finite() { Ok(Atom::real(result)) } else { Err(range()) }
            }
            _ => Ok(left.clone()),
        }
    }
}

/// The type that the argument must have; None when the mutator does not fit the column.
fn argument_type<'a>(
    column: &ColumnType,
    mutator: Mutator,
    argument: impl Json<'a>,
) -> Option<ColumnType> {
    match mutator {
        Mutator::Insert | Mutator::Delete => {
            if column.is_scalar() {
                return None;
            }
            let mut ty = column.clone();
            ty.min = 0;
            if mutator == Mutator::Delete {
                ty.max = usize::MAX;
            }
            if mutator == Mutator::Delete && !argument.begins_with("map") {
                ty.value = None;
            }
            Some(ty)
        }
        _ => {
            let numeric = match column.key.ty {
                AtomType::Integer => true,
                AtomType::Real => mutator != Mutator::Mod,
                _ => false,
            };
            let key = BaseType::plain(column.key.ty);
            (numeric && !column.is_map()).then_some(ColumnType { key, value: None, min: 1, max: 1 })
        }
    }
}

/// Changes of at most so many elements are made one by one; more of them in one pass.
const FEW: usize = 8;

fn insert(datum: &mut Datum, new: &Datum) {
    match (datum, new) {
        (Datum::Set(atoms), Datum::Set(new)) if new.len() <= FEW => {
            for atom in new {
                if let Err(place) = atoms.binary_search(atom) {
                    atoms.insert(place, atom.clone());
                }
            }
        }
        (Datum::Set(atoms), Datum::Set(new)) => {
            atoms.extend_from_slice(new);
            atoms.sort();
            atoms.dedup();
        }
        (Datum::Map(pairs), Datum::Map(new)) => {
            for pair in new {
                // A key that is there keeps its value.
                if let Err(place) = pairs.binary_search_by(|(key, _)| key.cmp(&pair.0)) {
                    pairs.insert(place, pair.clone());
                }
            }
        }
        _ => {}
    }
}

fn delete(datum: &mut Datum, unwanted: &Datum) {
    match (datum, unwanted) {
        (Datum::Set(atoms), Datum::Set(keys)) if keys.len() <= FEW => {
            for key in keys {
                if let Ok(place) = atoms.binary_search(key) {
                    atoms.remove(place);
                }
            }
        }
        (Datum::Set(atoms), Datum::Set(keys)) => {
            atoms.retain(|atom| keys.binary_search(atom).is_err());
        }
        (Datum::Map(pairs), Datum::Map(gone)) => {
            pairs.retain(|pair| gone.binary_search(pair).is_err());
        }
        (Datum::Map(pairs), Datum::Set(keys)) => {
            pairs.retain(|(key, _)| keys.binary_search(key).is_err());
        }
        (Datum::Set(_), Datum::Map(_)) => {}
    }
}
