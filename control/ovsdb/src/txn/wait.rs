//! `wait`: rows that must be, or must not be, as the client says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::OvsdbError;
use crate::store::database::Row;
use crate::txn::condition::Condition;
use crate::txn::parser::{Member, Parser};
use crate::txn::{Run, Stop, columns_from_json};
use crate::value::datum::Datum;
use crate::value::json::Json;
use crate::value::schema::{ColumnRef, TableSchema};

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
        // The index first: it is smaller than the rows, for which the processor would wait.
        let is_in_index = condition.row().is_some_and(|uuid| {
            are_plainly(rows, table, &columns, |index, json| {
                let single = self.txn.single((number, uuid), index);
                single.is_some() && single == json.as_uuid()
            })
        });
        let is_met = || {
            let row = one_row(condition.matching(&self.txn, number, table));
            row.is_some_and(|row| {
                are_plainly(rows, table, &columns, |index, json| {
                    row.get(index).is_some_and(|datum| datum.is_plainly(json))
                })
            })
        };
        if equal && (is_in_index || is_met()) {
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
    is: impl Fn(usize, J) -> bool,
) -> bool {
    let Some(members) = rows.array().and_then(|[only]| only.members()) else { return false };
    let says = |column: &ColumnRef, name: &str, json: J| {
        let ColumnRef::Column(index) = column else { return false };
        name == table.column_name(*column) && is(*index, json)
    };
    // In the order of the columns, as clients write them.
    let mut columns = columns.iter();
    let mut pairs =
        members.map(|(name, json)| columns.next().is_some_and(|it| says(it, &name, json)));
    pairs.all(|says| says) && columns.next().is_none()
}
