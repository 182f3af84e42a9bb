//! A schema from its JSON.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::value::atom::{Atom, AtomType, is_id};
use crate::value::datum::Datum;
use crate::value::schema::{
    BaseType, ColumnSchema, ColumnType, Reference, Schema, SchemaError, TableSchema,
};

impl Schema {
    /// Reads a schema from text.
    ///
    /// # Errors
    /// [`SchemaError`] when the text is not JSON or not a schema.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        let json = serde_json::from_str(text)
            .map_err(|error| fault("", format!("is not JSON: {error}")))?;
        Self::from_json(json)
    }

    /// Reads a schema from JSON.
    ///
    /// # Errors
    /// [`SchemaError`] when it is not a schema.
    pub fn from_json(json: Value) -> Result<Self, SchemaError> {
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let name = text("name");
        if !is_id(&name) {
            return Err(fault(&name, "has no valid name"));
        }
        let (version, cksum) = (text("version"), text("cksum"));
        let Some(object) = json.get("tables").and_then(Value::as_object) else {
            return Err(fault(&name, "has no tables"));
        };
        let by_name: HashMap<String, usize> =
            object.keys().enumerate().map(|(index, table)| (table.clone(), index)).collect();
        let mut tables = Vec::with_capacity(object.len());
        for (table, body) in object {
            tables.push(table_from_json(&name, table, body, &by_name)?);
        }
        if !tables.iter().any(|table| table.is_root) {
            for table in &mut tables {
                table.is_root = true;
            }
        }
        Ok(Self { name, version, cksum, tables, by_name, json })
    }
}

fn fault(schema: &str, what: impl Into<String>) -> SchemaError {
    SchemaError { schema: schema.to_owned(), what: what.into() }
}

fn table_from_json(
    schema: &str,
    name: &str,
    json: &Value,
    tables: &HashMap<String, usize>,
) -> Result<TableSchema, SchemaError> {
    let path = format!("{schema}.{name}");
    let Some(object) = json.get("columns").and_then(Value::as_object) else {
        return Err(fault(&path, "has no columns"));
    };
    let mut columns = Vec::with_capacity(object.len());
    for (column, body) in object {
        columns.push(column_from_json(&path, column, body, tables)?);
    }
    let by_name: HashMap<String, usize> =
        object.keys().enumerate().map(|(index, column)| (column.clone(), index)).collect();
    let mut indexes = Vec::new();
    for index in json.get("indexes").and_then(Value::as_array).into_iter().flatten() {
        let names = index.as_array().map(Vec::as_slice).unwrap_or_default();
        let numbers: Option<Vec<usize>> =
            names.iter().map(|column| by_name.get(column.as_str()?).copied()).collect();
        indexes.push(numbers.ok_or_else(|| fault(&path, "indexes an unknown column"))?);
    }
    let max_rows = json.get("maxRows").and_then(Value::as_u64);
    Ok(TableSchema {
        name: Arc::from(name),
        columns,
        is_root: json.get("isRoot").and_then(Value::as_bool).unwrap_or(false),
        max_rows: max_rows.and_then(|rows| usize::try_from(rows).ok()).unwrap_or(usize::MAX),
        indexes,
        by_name,
    })
}

fn column_from_json(
    path: &str,
    name: &str,
    json: &Value,
    tables: &HashMap<String, usize>,
) -> Result<ColumnSchema, SchemaError> {
    let path = format!("{path}.{name}");
    if !is_id(name) || name.starts_with('_') {
        return Err(fault(&path, "is not a valid column name"));
    }
    let ty = json.get("type").ok_or_else(|| fault(&path, "has no type"))?;
    let ty = type_from_json(&path, ty, tables)?;
    let flag = |key: &str, default| json.get(key).and_then(Value::as_bool).unwrap_or(default);
    let default = ty.default_datum();
    Ok(ColumnSchema {
        name: Arc::from(name),
        mutable: flag("mutable", true),
        ephemeral: flag("ephemeral", false),
        default_error: ty.check(&default).err(),
        default: Arc::new(default),
        ty,
    })
}

fn type_from_json(
    path: &str,
    json: &Value,
    tables: &HashMap<String, usize>,
) -> Result<ColumnType, SchemaError> {
    let Value::Object(object) = json else {
        let key = base_from_json(path, json, tables)?;
        return Ok(ColumnType { key, value: None, min: 1, max: 1 });
    };
    let key = object.get("key").ok_or_else(|| fault(path, "has no key type"))?;
    let key = base_from_json(path, key, tables)?;
    let value = object.get("value").map(|value| base_from_json(path, value, tables)).transpose()?;
    let min = match object.get("min").map_or(Some(1), Value::as_u64) {
        Some(0) => 0,
        Some(1) => 1,
        _ => return Err(fault(path, "has a min that is neither 0 nor 1")),
    };
    let max = match object.get("max") {
        None => 1,
        Some(Value::String(text)) if text == "unlimited" => usize::MAX,
        Some(max) => max
            .as_u64()
            .and_then(|max| usize::try_from(max).ok())
            .filter(|max| *max >= 1)
            .ok_or_else(|| fault(path, "has an invalid max"))?,
    };
    Ok(ColumnType { key, value, min, max })
}

fn base_from_json(
    path: &str,
    json: &Value,
    tables: &HashMap<String, usize>,
) -> Result<BaseType, SchemaError> {
    let empty = Map::new();
    let (name, object) = match json {
        Value::String(name) => (Some(name.as_str()), &empty),
        Value::Object(object) => (object.get("type").and_then(Value::as_str), object),
        _ => (None, &empty),
    };
    let ty = name
        .and_then(AtomType::from_name)
        .ok_or_else(|| fault(path, "has an unknown atomic type"))?;
    let atom = |ty, key: &str| {
        object
            .get(key)
            .map(|json| Atom::from_json(ty, json, None))
            .transpose()
            .map_err(|error| fault(path, format!("{key}: {error}")))
    };
    let (min, max) = match ty {
        AtomType::Integer => (atom(ty, "minInteger")?, atom(ty, "maxInteger")?),
        AtomType::Real => (atom(ty, "minReal")?, atom(ty, "maxReal")?),
        AtomType::String => {
            (atom(AtomType::Integer, "minLength")?, atom(AtomType::Integer, "maxLength")?)
        }
        AtomType::Boolean | AtomType::Uuid => (None, None),
    };
    let allowed = object
        .get("enum")
        .map(|json| {
            let any = ColumnType { key: BaseType::plain(ty), value: None, min: 0, max: usize::MAX };
            Datum::from_json(&any, json, None)
        })
        .transpose()
        .map_err(|error| fault(path, format!("enum: {error}")))?;
    let reference = object
        .get("refTable")
        .map(|table| {
            let table = table.as_str().unwrap_or("");
            let table_index = *tables
                .get(table)
                .ok_or_else(|| fault(path, format!("refers to the unknown table \"{table}\"")))?;
            let strong = object.get("refType").and_then(Value::as_str) != Some("weak");
            Ok(Reference { table: table.to_owned(), table_index, strong })
        })
        .transpose()?;
    Ok(BaseType { ty, allowed, min, max, reference })
}
