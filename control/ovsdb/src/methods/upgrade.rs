//! A file of an older release gets the schema of this one when it is opened, as `ovs-ctl` sees to it
//! before it starts a stock server; the file as it was stays beside it. A disk that has no room for that is
//! tried again while the rows are served.
//!
//! A newer file is served as it is: newer schemas add columns, and an older one would lose them.

use std::sync::Arc;

use crate::methods::convert::convert;
use crate::store::database::Database;
use crate::store::files::with_suffix;
use crate::store::log::{Log, LogError};
use crate::value::schema::Schema;

/// The rows of an open file under `schema`, when that is newer than the file's own.
///
/// # Errors
/// [`LogError`], when the rows do not fit; the file is as before.
pub(crate) fn upgrade(log: &mut Log, db: Database, schema: &str) -> Result<Database, LogError> {
    let path = log.path().to_owned();
    let schema =
        Schema::parse(schema).map_err(|source| LogError::Schema { path: path.clone(), source })?;
    let old = db.schema();
    if old.name != schema.name {
        let (found, wanted) = (old.name.clone(), schema.name.clone());
        return Err(LogError::OtherDatabase { path, found, wanted });
    }
    if numbers(&old.version) >= numbers(&schema.version) {
        return Ok(db);
    }
    let (from, to) = (old.version.clone(), schema.version.clone());
    let converted = convert(&db, &Arc::new(schema)).map_err(|fault| LogError::Upgrade {
        path: path.clone(),
        from: from.clone(),
        to: to.clone(),
        what: fault.details.unwrap_or_default(),
    })?;
    let backup = with_suffix(&path, &format!(".backup{from}-{}", checksum(old)));
    let comment = format!("converted from schema {from} to {to}");
    tracing::info!(file = %path.display(), backup = %backup.display(), "database {comment}");
    log.convert_to(&converted, backup, &comment);
    Ok(converted)
}

/// `MAJOR.MINOR.PATCH`, to be compared.
fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// The first number of a schema's checksum; nothing when it has none.
fn checksum(schema: &Schema) -> String {
    let text = schema.json().get("cksum").and_then(serde_json::Value::as_str).unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_are_numbers() {
        assert!(numbers("7.15.1") < numbers("8.3.1"));
        assert!(numbers("8.3.1") < numbers("8.10.0"));
        assert!(numbers("8.3.1") < numbers("8.3.1.1"));
    }
}
