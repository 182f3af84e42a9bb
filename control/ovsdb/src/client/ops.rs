//! The JSON of operations, for [`Client::transact`](crate::Client::transact).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::value::datum::Datum;

/// A row or part of one: column names and their datums.
pub type Columns<'a> = &'a [(&'a str, Datum)];

fn row(columns: Columns<'_>) -> Value {
    let object: Map<String, Value> =
        columns.iter().map(|(name, datum)| ((*name).to_owned(), datum.to_json())).collect();
    Value::Object(object)
}

/// The condition that names one row.
#[must_use]
pub fn by_uuid(uuid: Uuid) -> Value {
    json!([["_uuid", "==", uuid_json(uuid)]])
}

/// The condition that a column holds exactly `datum`.
#[must_use]
pub fn by_column(column: &str, datum: &Datum) -> Value {
    json!([[column, "==", datum.to_json()]])
}

/// A uuid as an atom.
#[must_use]
pub fn uuid_json(uuid: Uuid) -> Value {
    json!(["uuid", uuid.to_string()])
}

/// A reference to a row that an insert of the same transaction called `name`.
#[must_use]
pub fn named_uuid(name: &str) -> Value {
    json!(["named-uuid", name])
}

/// Inserts a row; `name` lets other operations of the transaction refer to it.
#[must_use]
pub fn insert(table: &str, name: Option<&str>, columns: Columns<'_>) -> Value {
    let mut operation = json!({"op": "insert", "table": table, "row": row(columns)});
    if let (Some(name), Some(object)) = (name, operation.as_object_mut()) {
        object.insert("uuid-name".to_owned(), Value::from(name));
    }
    operation
}

/// Inserts a row under a uuid of the caller's choice.
#[must_use]
pub fn insert_as(table: &str, uuid: Uuid, columns: Columns<'_>) -> Value {
    json!({"op": "insert", "table": table, "uuid": uuid.to_string(), "row": row(columns)})
}

/// Replaces columns of one row.
#[must_use]
pub fn update(table: &str, uuid: Uuid, columns: Columns<'_>) -> Value {
    update_where(table, &by_uuid(uuid), columns)
}

/// Replaces columns of every row for which `condition` holds.
#[must_use]
pub fn update_where(table: &str, condition: &Value, columns: Columns<'_>) -> Value {
    json!({"op": "update", "table": table, "where": condition, "row": row(columns)})
}

/// Mutates one row; each mutation is `(column, mutator, argument)`.
#[must_use]
pub fn mutate(table: &str, uuid: Uuid, mutations: &[(&str, &str, Value)]) -> Value {
    mutate_where(table, &by_uuid(uuid), mutations)
}

/// Mutates every row for which `condition` holds.
#[must_use]
pub fn mutate_where(table: &str, condition: &Value, mutations: &[(&str, &str, Value)]) -> Value {
    let mutations: Vec<Value> = mutations
        .iter()
        .map(|(column, mutator, argument)| json!([column, mutator, argument]))
        .collect();
    json!({"op": "mutate", "table": table, "where": condition, "mutations": mutations})
}

/// Deletes one row.
#[must_use]
pub fn delete(table: &str, uuid: Uuid) -> Value {
    delete_where(table, &by_uuid(uuid))
}

/// Deletes every row for which `condition` holds.
#[must_use]
pub fn delete_where(table: &str, condition: &Value) -> Value {
    json!({"op": "delete", "table": table, "where": condition})
}

/// Reads columns of every row for which `condition` holds; no columns means all.
#[must_use]
pub fn select(table: &str, condition: &Value, columns: &[&str]) -> Value {
    let mut operation = json!({"op": "select", "table": table, "where": condition});
    if let (false, Some(object)) = (columns.is_empty(), operation.as_object_mut()) {
        object.insert("columns".to_owned(), json!(columns));
    }
    operation
}

/// Fails the transaction unless the client owns the lock.
#[must_use]
pub fn assert_lock(lock: &str) -> Value {
    json!({"op": "assert", "lock": lock})
}

/// A line of text for the file.
#[must_use]
pub fn comment(text: &str) -> Value {
    json!({"op": "comment", "comment": text})
}

/// Asks that the reply come after the data is on the disk.
#[must_use]
pub fn commit_durable() -> Value {
    json!({"op": "commit", "durable": true})
}
