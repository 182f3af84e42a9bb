//! `wait`: rows that must be, or must not be, as the client says.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::store::database::Row;
use crate::txn::condition::Condition;
use crate::txn::integrity::Txn;
use crate::txn::parser::{Member, Parser};
use crate::txn::{Run, Stop, columns_from_json};
use crate::value::datum::Datum;
use crate::value::error::OvsdbError;
use crate::value::json::Json;
use crate::value::schema::{ColumnRef, TableSchema};

/// Operations of a transaction for which looking at a whole index pays.
const WARMED_MIN: usize = 1000;

impl Run<'_, '_> {
    pub(super) fn wait<'j, J: Json<'j>>(&mut self, parser: &mut Parser<J>) -> Result<Value, Stop> {
        let timeout = parser.optional_number(Member::Timeout);
        let table = parser.table(self.schema);
        let condition = parser.array(Member::Where);
        let columns = parser.optional_array(Member::Columns);
        let until = parser.text(Member::Until);
        let rows = parser.array(Member::Rows);
        parser.finish()?;
        let (Some((number, table)), Some(condition), Some(rows)) = (table, condition, rows) else {
            return Ok(Value::Null);
        };
        let equal = match until.as_deref() {
            Some("==") => true,
            Some("!=") => false,
            other => {
                let json = Value::from(other);
                return Err(OvsdbError::syntax(&json, "\"until\" must be \"==\" or \"!=\"").into());
            }
        };
        let condition = Condition::from_json(table, condition, Some(&mut self.symbols))?;
        let columns = match columns {
            Some(json) => columns_from_json(table, json)?,
            None => (0..table.columns.len()).map(ColumnRef::Column).collect(),
        };
        if equal && let Some(uuid) = condition.row() {
            // The index first: it is smaller than the rows, for which the processor would wait.
            let mut indexed = None;
            let is_in_index = are_plainly(rows, table, &columns, |index, json| {
                let single = self.txn.single((number, uuid), index);
                indexed = single.map(|single| ((number, index), [uuid, single]));
                single.is_some() && single == json.as_uuid()
            });
            if is_in_index {
                self.warm(indexed.map(|(column, _)| column));
                let references = parser.json.references();
                self.indexed = indexed.zip(references).and_then(|((column, uuids), references)| {
                    IndexedWait::new(column, uuids, references)
                });
                return Ok(json!({}));
            }
        }
        let is_met = || {
            let row = one_row(condition.matching(&self.txn, number, table));
            row.is_some_and(|row| {
                are_plainly(rows, table, &columns, |index, json| {
                    row.get(index).is_some_and(|datum| datum.is_plainly(json))
                })
            })
        };
        if equal && is_met() {
            return Ok(json!({}));
        }
        let mut expected: BTreeSet<Vec<Arc<Datum>>> = BTreeSet::new();
        for row in rows.elements().into_iter().flatten() {
            expected.insert(self.expected_row(table, row, &columns)?);
        }
        let found: BTreeSet<Vec<Arc<Datum>>> = condition
            .matching(&self.txn, number, table)
            .map(|(uuid, row)| columns.iter().map(|column| row.value(uuid, *column)).collect())
            .collect();
        if (found == expected) == equal {
            return Ok(json!({}));
        }
        self.unsatisfied(timeout)
    }

    /// When thousands of waits may follow, looks at the whole index once, in the order of its memory: the processor
    /// fetches that ahead, and would wait for each of the places where the waits look.
    fn warm(&mut self, column: Option<(usize, usize)>) {
        if self.total < WARMED_MIN || self.warm == column {
            return;
        }
        self.warm = column;
        black_box(column.map(|(table, column)| self.txn.singles(table, column).count()));
    }

    fn unsatisfied(&self, timeout: Option<u64>) -> Result<Value, Stop> {
        let waited = self.context.waited;
        let timeout = timeout.map(Duration::from_millis);
        match timeout {
            Some(timeout) if timeout.is_zero() => {
                Err(OvsdbError::new("timed out", "\"where\" clause test failed").into())
            }
            Some(timeout) if waited >= timeout => {
                let text = format!("\"wait\" timed out after {} ms", waited.as_millis());
                Err(OvsdbError::new("timed out", text).into())
            }
            _ => Err(Stop::Wait(timeout)),
        }
    }

    fn expected_row<'j>(
        &mut self,
        table: &TableSchema,
        json: impl Json<'j>,
        columns: &[ColumnRef],
    ) -> Result<Vec<Arc<Datum>>, OvsdbError> {
        let given = self.row_from_json(table, json)?;
        Ok(columns
            .iter()
            .map(|column| {
                let found = given.iter().find(|(candidate, _)| candidate == column);
                found.map_or_else(
                    || Arc::new(table.column_type(*column).default_datum()),
                    |(_, datum)| Arc::clone(datum),
                )
            })
            .collect())
    }
}

/// A wait for one row whose only column holds one reference: what it takes to answer the next one, which differs
/// in the two uuids alone. `ovs-vsctl` sends one for each port of a bridge.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexedWait {
    table: usize,
    column: usize,
    /// Where among the references of the operation the row and what it refers to are.
    row: usize,
    reference: usize,
}

impl IndexedWait {
    /// None when it does not show which reference is which.
    fn new(
        (table, column): (usize, usize),
        [uuid, single]: [Uuid; 2],
        references: &[Uuid],
    ) -> Option<Self> {
        let (row, reference) = match references {
            [first, second] if first == second => return None,
            [first, second] if (*first, *second) == (uuid, single) => (0, 1),
            [first, second] if (*first, *second) == (single, uuid) => (1, 0),
            _ => return None,
        };
        Some(Self { table, column, row, reference })
    }

    /// True when the same wait with these references holds; false also when the index does not show it.
    pub(super) fn holds_of(&self, txn: &Txn<'_>, references: &[Uuid]) -> bool {
        let Some(row) = references.get(self.row) else { return false };
        let single = txn.single((self.table, *row), self.column);
        single.is_some() && single.as_ref() == references.get(self.reference)
    }
}

/// The only one of some rows.
fn one_row<'r, U>(mut rows: impl Iterator<Item = (U, &'r Arc<Row>)>) -> Option<&'r Row> {
    let (_, row) = rows.next()?;
    rows.next().is_none().then_some(row)
}

/// True when `rows` is one row with just these columns, of each of which `is` holds; false also when it takes more
/// than a glance to see. `ovs-vsctl` sends thousands of such waits, and what equals a stored value breaks no constraint.
fn are_plainly<'j, J: Json<'j>>(
    rows: J,
    table: &TableSchema,
    columns: &[ColumnRef],
    mut is: impl FnMut(usize, J) -> bool,
) -> bool {
    let Some(members) = rows.array().and_then(|[only]| only.members()) else { return false };
    let mut says = |column: &ColumnRef, name: &str, json: J| {
        let ColumnRef::Column(index) = column else { return false };
        name == table.column_name(*column) && is(*index, json)
    };
    // In the order of the columns, as clients write them.
    let mut columns = columns.iter();
    let mut pairs =
        members.map(|(name, json)| columns.next().is_some_and(|it| says(it, &name, json)));
    pairs.all(|says| says) && columns.next().is_none()
}
