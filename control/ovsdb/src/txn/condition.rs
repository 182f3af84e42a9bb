//! Conditions: the `where` of operations and of conditional monitors (RFC 7047 section 5.1 `<condition>`).

use std::collections::BTreeSet;

use serde_json::Value;
use uuid::Uuid;

use crate::error::OvsdbError;
use crate::store::database::Row;
use crate::txn::integrity::Txn;
use crate::value::atom::{AtomType, Symbols};
use crate::value::datum::Datum;
use crate::value::schema::{ColumnRef, TableSchema};

/// The functions of RFC 7047 section 5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
    Ne,
    Includes,
    Excludes,
}

impl Function {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "<" => Self::Lt,
            "<=" => Self::Le,
            "==" => Self::Eq,
            ">=" => Self::Ge,
            ">" => Self::Gt,
            "!=" => Self::Ne,
            "includes" => Self::Includes,
            "excludes" => Self::Excludes,
            _ => return None,
        })
    }

    fn is_order(self) -> bool {
        matches!(self, Self::Lt | Self::Le | Self::Ge | Self::Gt)
    }
}

#[derive(Clone, Debug)]
enum Clause {
    Constant(bool),
    Test { column: ColumnRef, function: Function, argument: Datum },
}

/// A list of clauses on the columns of one table.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    clauses: Vec<Clause>,
}

impl Condition {
    /// Reads a condition on rows of `table`.
    ///
    /// # Errors
    /// The errors of RFC 7047: unknown column, unknown function, type mismatch.
    pub fn from_json(
        table: &TableSchema,
        json: &Value,
        mut symbols: Option<&mut Symbols>,
    ) -> Result<Self, OvsdbError> {
        let Value::Array(elements) = json else {
            return Err(OvsdbError::syntax(json, "array expected"));
        };
        let clauses = elements
            .iter()
            .map(|element| clause_from_json(table, element, symbols.as_deref_mut()))
            .collect::<Result<_, _>>()?;
        Ok(Self { clauses })
    }

    /// True when every clause holds, as the operations of a transaction have it.
    #[must_use]
    pub fn all(&self, uuid: Uuid, row: &Row) -> bool {
        self.clauses.iter().all(|clause| clause.holds(uuid, row))
    }

    /// True when some clause holds or there is none, as conditional monitors have it.
    #[must_use]
    pub fn any(&self, uuid: Uuid, row: &Row) -> bool {
        self.clauses.is_empty() || self.clauses.iter().any(|clause| clause.holds(uuid, row))
    }

    /// Names of the rows of table number `index` for which every clause holds. A clause on `_uuid` or on
    /// a column with an index of its own saves the walk over the table.
    pub(crate) fn matching(&self, txn: &Txn<'_>, index: usize, table: &TableSchema) -> Vec<Uuid> {
        let Some(body) = txn.db().table(index) else { return Vec::new() };
        if let Some(candidates) = self.candidates(txn, index, table) {
            return candidates
                .into_iter()
                .filter(|uuid| body.row(*uuid).is_some_and(|row| self.all(*uuid, row)))
                .collect();
        }
        let rows = body.rows().iter();
        rows.filter(|(uuid, row)| self.all(**uuid, row)).map(|(uuid, _)| *uuid).collect()
    }

    fn candidates(
        &self,
        txn: &Txn<'_>,
        table_index: usize,
        table: &TableSchema,
    ) -> Option<BTreeSet<Uuid>> {
        for clause in &self.clauses {
            let Clause::Test { column, function: Function::Eq, argument } = clause else {
                continue;
            };
            match column {
                ColumnRef::Uuid => return Some(argument.as_uuid().into_iter().collect()),
                ColumnRef::Version => {}
                ColumnRef::Column(column) => {
                    let Some(number) =
                        table.indexes.iter().position(|columns| columns.as_slice() == [*column])
                    else {
                        continue;
                    };
                    let key = vec![std::sync::Arc::new(argument.clone())];
                    let indexed = txn.db().table(table_index)?.indexes.get(number)?.get(&key);
                    // The index knows the rows as they were before the transaction.
                    let touched = txn.touched_rows(table_index);
                    return Some(indexed.copied().into_iter().chain(touched).collect());
                }
            }
        }
        None
    }
}

impl Clause {
    fn holds(&self, uuid: Uuid, row: &Row) -> bool {
        let (column, function, argument) = match self {
            Self::Constant(value) => return *value,
            Self::Test { column, function, argument } => (*column, *function, argument),
        };
        let value = row.value(uuid, column);
        if function.is_order() {
            let (Some(value), Some(argument)) = (value.scalar(), argument.scalar()) else {
                return false;
            };
            return match function {
                Function::Lt => value < argument,
                Function::Le => value <= argument,
                Function::Ge => value >= argument,
                _ => value > argument,
            };
        }
        match function {
            Function::Ne => *value != *argument,
            Function::Includes => value.includes(argument),
            Function::Excludes => value.excludes(argument),
            _ => *value == *argument,
        }
    }
}

fn clause_from_json(
    table: &TableSchema,
    json: &Value,
    symbols: Option<&mut Symbols>,
) -> Result<Clause, OvsdbError> {
    if let Value::Bool(value) = json {
        return Ok(Clause::Constant(*value));
    }
    let Some([Value::String(name), Value::String(function_name), argument]) =
        json.as_array().map(Vec::as_slice)
    else {
        return Err(OvsdbError::syntax(json, "Parse error in condition."));
    };
    let column = table.column_ref(name).ok_or_else(|| {
        let text = format!("No column {name} in table {}.", table.name);
        OvsdbError::new("unknown column", text).about(json)
    })?;
    let function = Function::from_name(function_name).ok_or_else(|| {
        OvsdbError::new("unknown function", format!("No function named {function_name}."))
    })?;
    let mut ty = table.column_type(column).clone();
    if function.is_order() {
        let numeric = matches!(ty.key.ty, AtomType::Integer | AtomType::Real);
        if !numeric || !(ty.is_scalar() || ty.is_optional_scalar()) {
            return Err(OvsdbError::syntax(
                json,
                format!(
                    "Type mismatch: \"{function_name}\" operator may not be applied to column \
                     {name} of type {}.",
                    ty.english()
                ),
            ));
        }
    }
    if matches!(function, Function::Includes | Function::Excludes) {
        if function == Function::Excludes && !ty.is_scalar() {
            ty.max = usize::MAX;
        }
        ty.min = 0;
    }
    let argument = Datum::from_json(&ty, argument, symbols)?;
    Ok(Clause::Test { column, function, argument })
}
