//! The operations that read and change rows.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::store::database::Row;
use crate::txn::condition::Condition;
use crate::txn::mutate::Mutation;
use crate::txn::parser::{Member, Parser};
use crate::txn::{Run, Stop, columns_from_json};
use crate::value::atom::parse_uuid;
use crate::value::datum::Datum;
use crate::value::error::OvsdbError;
use crate::value::json::Json;
use crate::value::schema::{ColumnRef, TableSchema};

impl Run<'_, '_> {
    pub(super) fn insert<'j, J: Json<'j>>(
        &mut self,
        parser: &mut Parser<J>,
    ) -> Result<Value, Stop> {
        let table = parser.table(self.schema);
        let row_json = parser.object(Member::Row);
        let name = parser.optional_id(Member::UuidName);
        let wanted = parser.optional_text(Member::Uuid);
        parser.finish()?;
        let (Some((number, table)), Some(row_json)) = (table, row_json) else {
            return Ok(Value::Null);
        };
        let wanted = wanted.map(|text| {
            let bad = || OvsdbError::syntax(&Value::from(text.as_ref()), "bad uuid");
            parse_uuid(&text).ok_or_else(bad)
        });
        let wanted = wanted.transpose()?;
        if let Some(uuid) = wanted
            && self.txn.knows((number, uuid))
        {
            let text = "This UUID would duplicate a UUID already present within the table or \
                        deleted within the same transaction.";
            let json = Value::from(uuid.to_string());
            return Err(OvsdbError::new("duplicate uuid", text).about(&json).into());
        }
        let uuid = match name {
            None => wanted.unwrap_or_else(Uuid::new_v4),
            Some(name) => self.symbols.create(&name, wanted).ok_or_else(|| {
                let text = "This \"uuid-name\" appeared on an earlier \"insert\" operation.";
                OvsdbError::new("duplicate uuid-name", text).about(&Value::from(name.as_ref()))
            })?,
        };
        let mut row = Row::new(table);
        let given = self.row_from_json(table, row_json)?;
        let columns: BTreeSet<ColumnRef> = given.iter().map(|(column, _)| *column).collect();
        for (column, datum) in given {
            if let ColumnRef::Column(column) = column {
                row.share(table, column, datum);
            }
        }
        for (index, column) in table.columns.iter().enumerate() {
            if let Some(error) = &column.default_error
                && !columns.contains(&ColumnRef::Column(index))
            {
                return Err(error.clone().into());
            }
        }
        self.txn.put((number, uuid), Some(Arc::new(row)));
        Ok(json!({"uuid": ["uuid", uuid.to_string()]}))
    }

    pub(super) fn select<'j, J: Json<'j>>(
        &mut self,
        parser: &mut Parser<J>,
    ) -> Result<Value, Stop> {
        let table = parser.table(self.schema);
        let condition = parser.array(Member::Where);
        let columns = parser.optional_array(Member::Columns);
        let sort = parser.optional_array(Member::Sort);
        parser.finish()?;
        let (Some((number, table)), Some(condition)) = (table, condition) else {
            return Ok(Value::Null);
        };
        let condition = Condition::from_json(table, condition, Some(&mut self.symbols))?;
        let columns = match columns {
            None => every_column(table),
            Some(json) => columns_from_json(table, json)?,
        };
        let sort = sort.map_or(Ok(Vec::new()), |json| columns_from_json(table, json))?;
        let mut found: Vec<(Uuid, &Arc<Row>)> =
            condition.matching(&self.txn, number, table).collect();
        if !sort.is_empty() {
            found.sort_by(|a, b| compare_rows(&sort, a, b));
        }
        let distinct = columns.contains(&ColumnRef::Uuid);
        let mut seen: HashSet<Vec<Arc<Datum>>> = HashSet::new();
        let mut rows = Vec::new();
        for (uuid, row) in found {
            let values: Vec<Arc<Datum>> =
                columns.iter().map(|column| row.value(uuid, *column)).collect();
            let object: Map<String, Value> = columns
                .iter()
                .zip(&values)
                .map(|(column, datum)| (table.column_name(*column).to_owned(), datum.to_json()))
                .collect();
            if distinct || seen.insert(values) {
                rows.push(Value::Object(object));
            }
        }
        Ok(json!({ "rows": rows }))
    }

    pub(super) fn update<'j, J: Json<'j>>(
        &mut self,
        parser: &mut Parser<J>,
    ) -> Result<Value, Stop> {
        let table = parser.table(self.schema);
        let condition = parser.array(Member::Where);
        let row_json = parser.object(Member::Row);
        parser.finish()?;
        let (Some((number, table)), Some(condition), Some(row_json)) = (table, condition, row_json)
        else {
            return Ok(Value::Null);
        };
        let given = self.row_from_json(table, row_json)?;
        for (column, _) in &given {
            let mutable = matches!(column, ColumnRef::Column(index)
                if table.columns.get(*index).is_some_and(|column| column.mutable));
            if !mutable {
                let name = table.column_name(*column);
                let text =
                    format!("Cannot update immutable column {name} in table {}.", table.name);
                return Err(OvsdbError::constraint(text).about(parser.json).into());
            }
        }
        let condition = Condition::from_json(table, condition, Some(&mut self.symbols))?;
        self.change_rows((number, table), &condition, |row| {
            for (column, datum) in &given {
                if let ColumnRef::Column(column) = column {
                    row.share(table, *column, Arc::clone(datum));
                }
            }
            Ok(())
        })
    }

    pub(super) fn mutate<'j, J: Json<'j>>(
        &mut self,
        parser: &mut Parser<J>,
    ) -> Result<Value, Stop> {
        let table = parser.table(self.schema);
        let condition = parser.array(Member::Where);
        let mutations = parser.array(Member::Mutations);
        parser.finish()?;
        let (Some((number, table)), Some(condition), Some(mutations)) =
            (table, condition, mutations)
        else {
            return Ok(Value::Null);
        };
        let mutations = mutations
            .elements()
            .into_iter()
            .flatten()
            .map(|json| Mutation::from_json(table, json, &mut self.symbols))
            .collect::<Result<Vec<_>, _>>()?;
        let condition = Condition::from_json(table, condition, Some(&mut self.symbols))?;
        self.change_rows((number, table), &condition, |row| {
            mutations.iter().try_for_each(|mutation| mutation.apply(table, row))
        })
    }

    /// Changes every row for which `condition` holds and answers with their count.
    fn change_rows(
        &mut self,
        (number, table): (usize, &TableSchema),
        condition: &Condition,
        mut change: impl FnMut(&mut Row) -> Result<(), OvsdbError>,
    ) -> Result<Value, Stop> {
        let matching = uuids_of(condition.matching(&self.txn, number, table));
        for uuid in &matching {
            if let Some(row) = self.txn.row_mut((number, *uuid)) {
                change(row)?;
            }
        }
        Ok(json!({"count": matching.len()}))
    }

    pub(super) fn delete<'j, J: Json<'j>>(
        &mut self,
        parser: &mut Parser<J>,
    ) -> Result<Value, Stop> {
        let table = parser.table(self.schema);
        let condition = parser.array(Member::Where);
        parser.finish()?;
        let (Some((number, table)), Some(condition)) = (table, condition) else {
            return Ok(Value::Null);
        };
        let condition = Condition::from_json(table, condition, Some(&mut self.symbols))?;
        let matching = uuids_of(condition.matching(&self.txn, number, table));
        for uuid in &matching {
            self.txn.put((number, *uuid), None);
        }
        Ok(json!({"count": matching.len()}))
    }

    /// The columns that `json` gives, in the order of the text.
    pub(super) fn row_from_json<'j>(
        &mut self,
        table: &TableSchema,
        json: impl Json<'j>,
    ) -> Result<Vec<(ColumnRef, Arc<Datum>)>, OvsdbError> {
        let Some(mut members) = json.members() else {
            return Err(OvsdbError::syntax(json, "row must be JSON object"));
        };
        let mut columns = Vec::new();
        while let Some((name, value)) = members.next() {
            if members.clone().any(|(later, _)| later == name) {
                continue;
            }
            let column = table.column_ref(&name).ok_or_else(|| {
                let text = format!("No column {name} in table {}.", table.name);
                OvsdbError::new("unknown column", text).about(json)
            })?;
            let ty = table.column_type(column);
            let datum = Datum::from_json(ty, value, Some(&mut self.symbols))?;
            columns.push((column, Arc::new(datum)));
        }
        Ok(columns)
    }
}

/// The order of two rows by these columns.
fn compare_rows(columns: &[ColumnRef], a: &(Uuid, &Arc<Row>), b: &(Uuid, &Arc<Row>)) -> Ordering {
    let by_column = columns.iter().map(|column| {
        let [a, b] = [a, b].map(|(uuid, row)| row.value(*uuid, *column));
        a.compare(&b)
    });
    by_column.fold(Ordering::Equal, Ordering::then)
}

fn every_column(table: &TableSchema) -> Vec<ColumnRef> {
    let columns = (0..table.columns.len()).map(ColumnRef::Column);
    [ColumnRef::Uuid, ColumnRef::Version].into_iter().chain(columns).collect()
}

fn uuids_of<'r>(rows: impl Iterator<Item = (Uuid, &'r Arc<Row>)>) -> Vec<Uuid> {
    rows.map(|(uuid, _)| uuid).collect()
}
