//! Conditions: the `where` of operations and of conditional monitors (RFC 7047 section 5.1 `<condition>`).

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::store::database::{Row, Table};
use crate::txn::integrity::Txn;
use crate::value::atom::{AtomType, Symbols};
use crate::value::datum::Datum;
use crate::value::error::OvsdbError;
use crate::value::json::Json;
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
    /// `_uuid` is this one.
    Row(Uuid),
    Test {
        column: ColumnRef,
        function: Function,
        argument: Datum,
    },
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
    pub fn from_json<'a>(
        table: &TableSchema,
        json: impl Json<'a>,
        mut symbols: Option<&mut Symbols>,
    ) -> Result<Self, OvsdbError> {
        let Some(elements) = json.elements() else {
            return Err(OvsdbError::syntax(json, "array expected"));
        };
        let clauses = elements
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

    /// The row that it names, when it is `_uuid == …` and nothing else.
    pub(crate) fn row(&self) -> Option<Uuid> {
        match self.clauses.as_slice() {
            [Clause::Row(uuid)] => Some(*uuid),
            _ => None,
        }
    }

    /// The rows of table number `index` for which every clause holds, in order of uuid. A clause on `_uuid` or on
    /// a column with an index of its own saves the walk over the table.
    pub(crate) fn matching<'t>(
        &'t self,
        txn: &'t Txn<'_>,
        index: usize,
        table: &TableSchema,
    ) -> impl Iterator<Item = (Uuid, &'t Arc<Row>)> {
        let candidates = self.candidates(txn, index, table);
        let (one, several, all) = match candidates {
            Candidates::One(uuid) => (Some(uuid), BTreeSet::new(), None),
            Candidates::Several(uuids) => (None, uuids, None),
            Candidates::All => (None, BTreeSet::new(), txn.db().table(index)),
        };
        let named = one.into_iter().chain(several);
        let named = named.filter_map(move |uuid| Some((uuid, txn.row((index, uuid))?)));
        let all = all.into_iter().flat_map(Table::rows).map(|(uuid, row)| (*uuid, row));
        named.chain(all).filter(|(uuid, row)| self.all(*uuid, row))
    }

    fn candidates(&self, txn: &Txn<'_>, table_index: usize, table: &TableSchema) -> Candidates {
        for clause in &self.clauses {
            let (column, argument) = match clause {
                Clause::Row(uuid) => return Candidates::One(*uuid),
                Clause::Test { column: ColumnRef::Uuid, function: Function::Eq, argument } => {
                    return Candidates::Several(argument.as_uuid().into_iter().collect());
                }
                Clause::Test { column: ColumnRef::Column(column), function, argument }
                    if *function == Function::Eq =>
                {
                    (*column, argument)
                }
                _ => continue,
            };
            let Some(number) = table.indexes.iter().position(|columns| *columns == [column]) else {
                continue;
            };
            let key = vec![Arc::new(argument.clone())];
            let index = txn.db().table(table_index).and_then(|table| table.indexes.get(number));
            let indexed = index.and_then(|index| index.get(&key));
            // The index knows the rows as they were before the transaction.
            let touched = txn.touched_rows(table_index);
            return Candidates::Several(indexed.copied().into_iter().chain(touched).collect());
        }
        Candidates::All
    }
}

/// The rows that a condition may hold for.
enum Candidates {
    One(Uuid),
    Several(BTreeSet<Uuid>),
    All,
}

impl Clause {
    fn holds(&self, uuid: Uuid, row: &Row) -> bool {
        let (column, function, argument) = match self {
            Self::Constant(value) => return *value,
            Self::Row(wanted) => return *wanted == uuid,
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

fn clause_from_json<'a>(
    table: &TableSchema,
    json: impl Json<'a>,
    symbols: Option<&mut Symbols>,
) -> Result<Clause, OvsdbError> {
    if let Some(value) = json.as_bool() {
        return Ok(Clause::Constant(value));
    }
    let parts = json.array().and_then(|[name, function, argument]| {
        Some((name.as_text()?, function.as_text()?, argument))
    });
    let Some((name, function_name, argument)) = parts else {
        return Err(OvsdbError::syntax(json, "Parse error in condition."));
    };
    let column = table.column_ref(&name).ok_or_else(|| {
        let text = format!("No column {name} in table {}.", table.name);
        OvsdbError::new("unknown column", text).about(json)
    })?;
    let function = Function::from_name(&function_name).ok_or_else(|| {
        OvsdbError::new("unknown function", format!("No function named {function_name}."))
    })?;
    if (column, function) == (ColumnRef::Uuid, Function::Eq)
        && let Some(uuid) = argument.as_uuid()
    {
        return Ok(Clause::Row(uuid));
    }
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
