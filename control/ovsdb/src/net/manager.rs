//! `db:` remotes: the managers that rows of the database ask for, and their status in those rows.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::methods::state::State;
use crate::net::endpoint::{Endpoint, Phase, start};
use crate::net::remote::Remote;
use crate::net::server::Inner;
use crate::net::tls::TlsFiles;
use crate::store::database::{Database, Row};
use crate::value::datum::Datum;
use crate::value::schema::TableSchema;

/// How often the times in a manager's status are brought up to date.
pub(crate) const REFRESH: Duration = Duration::from_millis(2500);

/// A remote that a row asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    probe: Option<i64>,
    backoff_max: Option<i64>,
    /// Where its status belongs: the database, the table, the row.
    place: Option<(usize, String, Uuid)>,
}

impl Inner {
    /// Brings what is served in line with what the databases' `db:` remotes say.
    pub(crate) fn follow_managers(self: &Rc<Self>) {
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        for place in self.remotes.borrow().values() {
            if let Remote::Db { db, table, column } = &place.endpoint.remote {
                wanted.extend(targets(&self.state.borrow(), db, table, column));
            }
        }
        let mut managers = std::mem::take(&mut *self.managers.borrow_mut());
        let before = managers.len();
        managers.retain(|target, _| wanted.contains_key(target));
        let mut changed = managers.len() != before;
        for (target, wanted) in wanted {
            if let Some((current, place)) = managers.get_mut(&target) {
                if let Some(place) = place {
                    place.endpoint.tune(wanted.probe, wanted.backoff_max);
                }
                *current = wanted;
                continue;
            }
            changed = true;
            let endpoint = match Remote::parse(&target) {
                Ok(Remote::Db { .. }) => Err(format!("{target}: a manager cannot be a db: remote")),
                Ok(remote) => Ok(Rc::new(Endpoint::new(remote))),
                Err(error) => Err(error.to_string()),
            };
            let place = match endpoint {
                Ok(endpoint) => {
                    endpoint.tune(wanted.probe, wanted.backoff_max);
                    // What cannot be bound yet is tried again by its task.
                    let listener = endpoint.bind().ok().flatten();
                    tracing::info!(target, "serving a manager");
                    Some(start(self, endpoint, listener))
                }
                Err(error) => {
                    tracing::warn!(target, "manager cannot be served: {error}");
                    None
                }
            };
            managers.insert(target, (wanted, place));
        }
        *self.managers.borrow_mut() = managers;
        if changed {
            self.status_changed();
        }
    }

    /// Writes into the managers' rows how they are doing.
    pub(crate) fn report_managers(&self) {
        let mut operations: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
        for (target, (wanted, place)) in &*self.managers.borrow() {
            let Some((db, table, uuid)) = &wanted.place else { continue };
            let (is_connected, status) = if let Some(place) = place {
                status(&self.state.borrow(), &place.endpoint)
            } else {
                let error = Remote::parse(target).err().map(|error| error.to_string());
                let error = error.unwrap_or_else(|| "not a valid manager".to_owned());
                (false, vec![("last_error", error), ("state", "VOID".to_owned())])
            };
            operations.entry(*db).or_default().push(json!({
                "op": "update", "table": table, "where": [["_uuid", "==", ["uuid", uuid.to_string()]]],
                "row": {"is_connected": is_connected,
                    "status": Datum::map_of_strings(status).to_json()}}));
        }
        for (db, operations) in operations {
            self.state.borrow_mut().transact_internal(db, &operations);
        }
    }
}

/// `is_connected` and `status` of an endpoint, with the keys that ovs-vswitchd.conf.db(5) names.
fn status(state: &State, endpoint: &Endpoint) -> (bool, Vec<(&'static str, String)>) {
    let sessions = endpoint.sessions.borrow();
    let mut status = Vec::new();
    let mut add = |key, value: String| status.push((key, value));
    if let Some(port) = endpoint.bound_port.get() {
        add("bound_port", port.to_string());
    }
    if endpoint.connects() {
        let state = match endpoint.phase.get() {
            Phase::Connecting => "CONNECTING",
            Phase::Active => "ACTIVE",
            Phase::Backoff => "BACKOFF",
        };
        add("state", state.to_owned());
    } else if sessions.len() > 1 {
        add("n_connections", sessions.len().to_string());
    }
    let since = |at: Option<Instant>| at.map(|at| at.elapsed().as_secs().to_string());
    if let Some(seconds) = since(endpoint.last_connect.get()) {
        add("sec_since_connect", seconds);
    }
    if let Some(seconds) = since(endpoint.last_disconnect.get()) {
        add("sec_since_disconnect", seconds);
    }
    if let Some(error) = &*endpoint.last_error.borrow() {
        add("last_error", error.clone());
    }
    if let Some(session) = sessions.keys().next() {
        for (key, names) in [
            ("locks_held", state.locks.owned_by(*session)),
            ("locks_waiting", state.locks.awaited_by(*session)),
        ] {
            if !names.is_empty() {
                add(key, names.join(" "));
            }
        }
    }
    (!sessions.is_empty(), status)
}

/// What a `db:` remote names: each target, and what the row says that it stands in.
fn targets(
    state: &State,
    db_name: &str,
    table_name: &str,
    column_name: &str,
) -> BTreeMap<String, Wanted> {
    let mut targets = BTreeMap::new();
    let Some((number, db)) = state.find_db(db_name).and_then(|db| Some((db, state.database(db)?)))
    else {
        return targets;
    };
    let schema = db.schema();
    let Some((table, body)) = schema.table(table_name).zip(db.table_by_name(table_name)) else {
        return targets;
    };
    let Some((index, column)) = table.column_index(column_name).zip(table.column(column_name))
    else {
        return targets;
    };
    for datum in body.rows().values().filter_map(|row| row.get(index)) {
        let Some(reference) = &column.ty.key.reference else {
            targets.extend(datum.strings().map(|target| (target.to_owned(), Wanted::default())));
            continue;
        };
        let Some(managers) = schema.tables.get(reference.table_index) else { continue };
        for uuid in datum.uuids() {
            let Some(row) = db.row(reference.table_index, uuid) else { continue };
            let Some(target) = get(managers, row, "target").and_then(Datum::as_str) else {
                continue;
            };
            let number_of = |name| get(managers, row, name).and_then(Datum::as_int);
            let wanted = Wanted {
                probe: number_of("inactivity_probe"),
                backoff_max: number_of("max_backoff"),
                place: has_status(managers).then(|| (number, reference.table.clone(), uuid)),
            };
            targets.insert(target.to_owned(), wanted);
        }
    }
    targets
}

fn has_status(table: &TableSchema) -> bool {
    table.column("status").is_some_and(|column| column.ty.is_map())
        && table.column("is_connected").is_some()
}

fn get<'a>(table: &TableSchema, row: &'a Row, column: &str) -> Option<&'a Datum> {
    row.get(table.column_index(column)?).map(AsRef::as_ref)
}

/// The files that the first row of `table` names: key, certificate and CA of TLS.
pub(crate) fn tls_files(db: &Database, table: &str) -> Option<TlsFiles> {
    let (schema, body) = (db.schema().table(table)?, db.table_by_name(table)?);
    let row = body.rows().values().next()?;
    let text = |column| get(schema, row, column).and_then(Datum::as_str).unwrap_or_default();
    Some(TlsFiles {
        private_key: text("private_key").into(),
        certificate: text("certificate").into(),
        ca_cert: text("ca_cert").into(),
        protocols: text("ssl_protocols").to_owned(),
        ciphers: text("ssl_ciphers").to_owned(),
        bootstrap: get(schema, row, "bootstrap_ca_cert").and_then(Datum::as_bool) == Some(true),
    })
}
