//! `convert`: the rows of a database under another schema of the same name.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::methods::lock::SessionId;
use crate::methods::state::{Answer, State};
use crate::monitor::history::History;
use crate::store::database::{Database, Row};
use crate::txn::integrity::Txn;
use crate::value::datum::Datum;
use crate::value::error::OvsdbError;
use crate::value::schema::{Schema, TableSchema};

/// The rows of `old` under `schema`. Tables and columns that it lacks go, new columns get their default, and
/// what it makes garbage of is collected.
///
/// # Errors
/// A value that does not fit its column any more, or a default that the new column does not allow.
pub fn convert(old: &Database, schema: &Arc<Schema>) -> Result<Database, OvsdbError> {
    let mut db = Database::new(Arc::clone(schema));
    let mut txn = Txn::new(&mut db);
    for (number, table) in schema.tables.iter().enumerate() {
        let source = old.schema().table(&table.name).zip(old.table_by_name(&table.name));
        let Some((old_table, rows)) = source else { continue };
        for (uuid, row) in rows.rows() {
            let row = convert_row(old_table, table, *uuid, row)?;
            txn.put((number, *uuid), Some(Arc::new(row)));
        }
    }
    let changes = txn.precommit()?;
    txn.commit(&changes);
    Ok(db)
}

fn convert_row(
    from: &TableSchema,
    to: &TableSchema,
    uuid: Uuid,
    old: &Row,
) -> Result<Row, OvsdbError> {
    let mut row = Row::new(to);
    for (index, column) in to.columns.iter().enumerate() {
        let source = from.column_index(&column.name);
        match source.and_then(|source| Some((from.columns.get(source)?, old.get(source)?))) {
            Some((was, datum)) if was.ty == column.ty => row.set(to, index, (**datum).clone()),
            Some((_, datum)) => {
                let datum = Datum::from_json(&column.ty, &datum.to_json(), None);
                let datum = datum.map_err(|mut error| {
                    let text = error.details.unwrap_or_default();
                    let place = format!("table {} row {uuid} column {}", to.name, column.name);
                    error.details = Some(format!("{place}: {text}"));
                    error
                })?;
                row.set(to, index, datum);
            }
            None => column.default_error.clone().map_or(Ok(()), Err)?,
        }
    }
    Ok(row)
}

impl State {
    pub(crate) fn convert(&mut self, params: Vec<Value>) -> Answer {
        let params = Value::Array(params);
        let number = self.db_param("convert", &params)?;
        let Some([_, schema]) = params.as_array().map(Vec::as_slice) else {
            return Err(OvsdbError::syntax(&params, "array expected").to_json());
        };
        self.convert_to(number, schema).map_err(|error| error.to_json())?;
        Ok(json!({}))
    }

    fn convert_to(&mut self, number: usize, json: &Value) -> Result<(), OvsdbError> {
        let schema = Schema::from_json(json.clone()).map_err(|error| {
            let text = format!("Parsing database schema failed: {}.", error.what);
            OvsdbError::syntax(json, text)
        })?;
        let Some(entry) = self.databases.get_mut(number) else { return Ok(()) };
        let name = &entry.db.schema().name;
        if schema.name != *name {
            let text =
                format!("new schema name ({}) does not match database name ({name})", schema.name);
            return Err(OvsdbError::new("invalid parameters", text));
        }
        let Some(log) = &mut entry.log else {
            let text = format!("{name} database is read-only");
            return Err(OvsdbError::new("not allowed", text));
        };
        let db = convert(&entry.db, &Arc::new(schema))?;
        log.replace_with(&db, "converted by ovsdb-server")
            .map_err(|fault| fault.answer(log.path()))?;
        entry.db = db;
        entry.history = History::new(self.limits.history_max, self.limits.history_atoms_max);
        self.commits += 1;
        self.end_monitors(number, "its database has another schema now");
        // Whoever has to come back hears no more.
        let sessions = &self.sessions;
        let is_aware = |id: SessionId| sessions.get(&id).is_some_and(|it| it.change_aware);
        self.pending.retain(|pending| pending.db != number || is_aware(pending.session));
        self.cancel(|pending| pending.db == number);
        self.describe_databases();
        Ok(())
    }

    /// Monitors of a database that is another one now: clients that know of such changes are told, the
    /// others have to come back.
    fn end_monitors(&mut self, number: usize, why: &str) {
        for session in self.sessions.values_mut() {
            if !session.change_aware {
                session.outbox.close(why);
                continue;
            }
            let ended = session.monitors.extract_if(.., |_, monitor| monitor.db == number);
            for (_, monitor) in ended {
                self.missed_rows -= monitor.missed_rows();
                let note =
                    json!({"id": null, "method": "monitor_canceled", "params": [monitor.id]});
                session.outbox.reply(note.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"name":"F","version":"1.0.0","tables":{
        "T":{"isRoot":true,"columns":{"n":{"type":"integer"},"gone":{"type":"string"},
            "r":{"type":{"key":{"type":"uuid","refTable":"C"},"min":0,"max":"unlimited"}}}},
        "C":{"columns":{"n":{"type":"integer"}}}}}"#;

    fn filled() -> Database {
        let mut db = Database::new(Arc::new(Schema::parse(OLD).unwrap()));
        let operations = [
            json!({"op": "insert", "table": "C", "uuid-name": "c", "row": {"n": 3}}),
            json!({"op": "insert", "table": "T", "row":
                {"n": 7, "gone": "x", "r": ["named-uuid", "c"]}}),
        ];
        let context =
            crate::txn::Context { owns_lock: &|_| false, waited: std::time::Duration::ZERO };
        let done = crate::txn::execute(&mut db, &operations, &context, &mut |_| Ok(()));
        assert!(matches!(done, crate::txn::Execution::Done { commit: Some(_), .. }));
        db
    }

    #[test]
    fn columns_come_go_and_change_their_type() {
        let new = OLD.replace(r#""gone":{"type":"string"}"#, r#""new":{"type":"string"}"#).replace(
            r#""n":{"type":"integer"},"new""#,
            r#""n":{"type":{"key":"integer","min":0,"max":"unlimited"}},"new""#,
        );
        let db = convert(&filled(), &Arc::new(Schema::parse(&new).unwrap())).unwrap();
        let row = db.table_by_name("T").unwrap().rows().values().next().unwrap().clone();
        let table = db.schema().table("T").unwrap();
        let get = |name| (**row.get(table.column_index(name).unwrap()).unwrap()).clone();
        assert_eq!(get("n"), Datum::integer(7));
        assert_eq!(get("new"), Datum::string(""));
        assert_eq!(db.row_count(), 2, "the reference still keeps its row");
    }

    #[test]
    fn rows_that_nobody_refers_to_any_more_go() {
        const NEW: &str = r#"{"name":"F","version":"2.0.0","tables":{
            "T":{"isRoot":true,"columns":{"n":{"type":"integer"}}},
            "C":{"columns":{"n":{"type":"integer"}}}}}"#;
        let db = convert(&filled(), &Arc::new(Schema::parse(NEW).unwrap())).unwrap();
        assert_eq!(db.row_count(), 1);
    }

    #[test]
    fn a_value_that_does_not_fit_names_its_place() {
        let new = OLD.replace(
            r#""T":{"isRoot":true,"columns":{"n":{"type":"integer"}"#,
            r#""T":{"isRoot":true,"columns":{"n":{"type":{"key":{"type":"integer","maxInteger":5}}}"#,
        );
        let error = convert(&filled(), &Arc::new(Schema::parse(&new).unwrap())).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("table T row") && text.contains("column n: 7 is greater"), "{text}");
    }
}
