//! The database: the embedded server, our client of it, and what a first start writes.
//!
//! There is one code path: weftd is a client of its own server through its socket, exactly as of
//! a foreign one.

pub mod database;
pub mod purge;

use crate::config::columns;
use crate::config::desired::Rows;
use crate::disk_fault::is_disk_fault;
use crate::report::status::{LOCK, Wanted};
use crate::store::database::Database;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use uuid::Uuid;
use weft_ovsdb::store::log::LogError;
pub use weft_ovsdb::value::schema::OVS_VERSION;
use weft_ovsdb::{Changes, Client, ClientError, Datum, ServerConfig, ServerError};

/// The database.
pub const DATABASE: &str = "Open_vSwitch";

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The embedded server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The connection.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Files.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl StoreError {
    /// True when the database, or the disk, did not take what was to be written, and may later.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Server(_) => false,
            Self::Client(error) => is_refusal(error),
            Self::Io { source, .. } => is_disk_fault(source),
        }
    }
}

/// The database answered, with an error.
fn is_refusal(error: &ClientError) -> bool {
    matches!(error, ClientError::Transaction { .. } | ClientError::Remote { .. })
}

/// How long a predecessor that was killed may take to be gone.
const PREDECESSOR_MAX: Duration = Duration::from_secs(3);

/// How long the last words may take.
const SETTLE_MAX: Duration = Duration::from_secs(1);

/// Where the database is.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The file of the embedded server.
    pub db_path: PathBuf,
    /// Where the embedded server listens, besides `manager_options`.
    pub remotes: Vec<String>,
    /// A foreign server instead.
    pub external: Option<String>,
    /// Where the embedded server's own socket is.
    pub rundir: PathBuf,
}

/// The database, open.
pub struct Store {
    /// The embedded server, unless there is a foreign one.
    pub server: Option<Database>,
    /// Our connection.
    pub client: Client,
    /// Controllers that were spoken of already.
    controllers: BTreeSet<String>,
    /// The first rows are written, or are not ours to write.
    is_introduced: bool,
    /// Why the database refused to be written last, until it takes something.
    refusal: Option<String>,
    /// The transaction that has no answer yet.
    on_its_way: Option<u64>,
    /// What rows are to have after that.
    next: Wanted,
}

impl Store {
    /// Starts the embedded server, connects, asks for the lock and reads everything.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let (server, target) = if let Some(target) = &config.external {
            (None, target.clone())
        } else {
            if let Some(folder) = config.db_path.parent() {
                make_folder(folder)?;
            }
            (Some(start_server(config).await?), own_target(config))
        };
        let mut client = Client::connect(&target).await?;
        client.lock(LOCK).await?;
        let tables = columns::to_monitor();
        let tables: Vec<_> = tables.iter().map(|(table, all)| (*table, all.as_slice())).collect();
        client.monitor_all(DATABASE, &tables).await?;
        let mut store = Self {
            server,
            client,
            controllers: BTreeSet::new(),
            is_introduced: true,
            refusal: None,
            on_its_way: None,
            next: Wanted::default(),
        };
        store.note_controllers();
        Ok(store)
    }

    /// True while this process is the one that switches for this database.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.client.has_lock(LOCK)
    }

    /// Says once of each controller that nobody will connect to it: without OpenFlow its row is kept,
    /// `is_connected` stays false, and `status` has the reason.
    pub fn note_controllers(&mut self) {
        for (_, row) in self.client.replica().rows("Controller") {
            let Some(target) = row.get("target").as_str() else { continue };
            if self.controllers.insert(target.to_owned()) {
                tracing::warn!(
                    "controller {target}: OpenFlow is not there yet, the row is only kept"
                );
            }
        }
    }

    /// Wants each controller's row to say why nobody is connected to it.
    pub fn want_controllers(&self, wanted: &mut Wanted) {
        let status = [("last_error", "OpenFlow is not supported yet"), ("state", "VOID")];
        for (row, _) in self.client.replica().rows("Controller") {
            wanted.set("Controller", row, "status", Datum::map_of_strings(status));
        }
    }

    /// Writes what `ovs-ctl` writes for a stock switch: the row, versions, and who this system
    /// is.  Only with the embedded server; with a foreign one that is ovs-ctl's business.  A disk that
    /// does not take it keeps nobody from forwarding: [`Store::tend`] tries again.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn introduce(&mut self, config: &StoreConfig) -> Result<(), StoreError> {
        let outcome = self.try_introduce(config).await;
        let was_introduced = self.is_introduced;
        self.is_introduced = outcome.is_ok();
        match outcome {
            Err(error) if error.is_refusal() => {
                if was_introduced {
                    tracing::warn!(
                        "the first rows cannot be written, which is tried again: {error}"
                    );
                }
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Writes the first rows if they could not be written before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn tend(&mut self, config: &StoreConfig) -> Result<(), StoreError> {
        if self.is_introduced || !self.is_active() { Ok(()) } else { self.introduce(config).await }
    }

    async fn try_introduce(&mut self, config: &StoreConfig) -> Result<(), StoreError> {
        if self.server.is_none() {
            return Ok(());
        }
        if self.uuids("Open_vSwitch").is_empty() {
            let insert = json!({"op": "insert", "table": "Open_vSwitch", "row": {}});
            self.client.transact(vec![insert]).await?;
        }
        let Some(root) = self.uuids("Open_vSwitch").first().copied() else { return Ok(()) };
        let schema = self.client.schema().map(|schema| schema.version.clone());
        let mut wanted = Wanted::default();
        let mut set = |column, datum| wanted.set("Open_vSwitch", root, column, datum);
        set("db_version", schema.as_deref().map_or_else(Datum::empty, Datum::string));
        set("ovs_version", Datum::string(OVS_VERSION));
        let (kind, version) =
            os_release(&std::fs::read_to_string("/etc/os-release").unwrap_or_default());
        set("system_type", Datum::string(&kind));
        set("system_version", Datum::string(&version));
        set("external_ids", self.external_ids(root, config)?);
        let mut operations = wanted.operations(self);
        if !operations.is_empty() {
            operations.push(json!({"op": "commit", "durable": true}));
            self.client.transact(operations).await?;
        }
        Ok(())
    }

    fn external_ids(&self, root: Uuid, config: &StoreConfig) -> Result<Datum, StoreError> {
        let mut ids: std::collections::BTreeMap<String, String> = self
            .datum("Open_vSwitch", root, "external_ids")
            .map(|ids| ids.string_pairs().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
            .unwrap_or_default();
        ids.insert("weft-version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        ids.insert("rundir".to_owned(), config.rundir.display().to_string());
        if !ids.contains_key("system-id") {
            let folder = config.db_path.parent().unwrap_or_else(|| Path::new("."));
            ids.insert("system-id".to_owned(), system_id(folder)?);
        }
        ids.entry("hostname".to_owned()).or_insert_with(hostname);
        Ok(Datum::map_of_strings(&ids))
    }

    /// Runs operations at start; logs a refusal.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn run(&mut self, operations: Vec<Value>) -> Result<(), ClientError> {
        match self.client.transact(crate::report::status::guarded(operations)).await {
            Err(error) if is_refusal(&error) => {
                tracing::warn!("the database refused our operations: {error}");
                Ok(())
            }
            outcome => outcome.map(|_| ()),
        }
    }

    /// Has rows say what is wanted. Nobody waits for the database, which may be busy with somebody else:
    /// one transaction is on its way at a time, and what is wanted meanwhile goes with the next one.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn write(&mut self, wanted: Wanted) -> Result<(), ClientError> {
        self.next.merge(wanted);
        if self.on_its_way.is_some() {
            return Ok(());
        }
        let operations = std::mem::take(&mut self.next).operations(self);
        if !operations.is_empty() {
            let operations = crate::report::status::guarded(operations);
            self.on_its_way = Some(self.client.start_transact(operations)?);
        }
        Ok(())
    }

    /// Takes in the answer to what was written, and sends what waited for it. False when the database
    /// refused something; that is logged once.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn note_answers(&mut self, changes: &Changes) -> Result<bool, ClientError> {
        let mut is_taken = true;
        for answer in &changes.answers {
            if self.on_its_way == Some(answer.id) {
                self.on_its_way = None;
            }
            is_taken &= answer.refusal.is_none();
            if answer.refusal.is_some() && self.refusal != answer.refusal {
                let text = answer.refusal.as_deref().unwrap_or_default();
                tracing::warn!("the database refused our status: {text}");
            }
            self.refusal.clone_from(&answer.refusal);
        }
        self.write(Wanted::default())?;
        Ok(is_taken)
    }

    /// True when nothing is on its way.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.on_its_way.is_none()
    }

    /// The connection is gone, and with it what was on its way.
    pub fn note_loss(&mut self) {
        self.on_its_way = None;
        self.next = Wanted::default();
    }

    /// Waits a moment for what is on its way.
    pub async fn settle(&mut self) {
        let settled = async {
            while self.on_its_way.is_some() {
                let changes = self.client.next_change().await?;
                self.note_answers(&changes)?;
            }
            Ok::<_, ClientError>(())
        };
        // The next start writes it in any case.
        let _ = tokio::time::timeout(SETTLE_MAX, settled).await;
    }

    /// True when the database did not take what it was told last.
    #[must_use]
    pub fn has_refused(&self) -> bool {
        self.refusal.is_some()
    }
}

impl Rows for Store {
    fn uuids(&self, table: &str) -> Vec<Uuid> {
        self.client.replica().rows(table).map(|(uuid, _)| uuid).collect()
    }

    fn datum(&self, table: &str, row: Uuid, column: &str) -> Option<&Datum> {
        self.client.replica().row(table, row)?.try_get(column)
    }
}

/// Starts the embedded server.  A predecessor that was killed may still be on its way out, which
/// takes the kernel a moment when it had packet memory locked: its sockets and locks are waited for.
async fn start_server(config: &StoreConfig) -> Result<Database, ServerError> {
    let until = Instant::now() + PREDECESSOR_MAX;
    loop {
        let mut conf = ServerConfig::new(&config.db_path);
        for remote in &config.remotes {
            conf = conf.remote(remote);
        }
        match Database::start(conf).await {
            Err(error) if is_held(&error) && Instant::now() < until => {
                tracing::debug!("{error}: trying again");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            outcome => return outcome,
        }
    }
}

/// Somebody holds a socket or the file.
fn is_held(error: &ServerError) -> bool {
    match error {
        ServerError::Listen { source, .. } => source.kind() == std::io::ErrorKind::AddrInUse,
        ServerError::Log(error) => matches!(error, LogError::Locked { .. }),
        _ => false,
    }
}

/// The first remote that is a unix socket of the embedded server.
fn own_target(config: &StoreConfig) -> String {
    let path = config.remotes.iter().find_map(|remote| remote.strip_prefix("punix:"));
    let default = || config.rundir.join("db.sock").display().to_string();
    format!("unix:{}", path.map_or_else(default, str::to_owned))
}

fn make_folder(path: &Path) -> Result<(), StoreError> {
    std::fs::create_dir_all(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })
}

/// The content of `system-id.conf`, which is made when it is not there.
fn system_id(folder: &Path) -> Result<String, StoreError> {
    let path = folder.join("system-id.conf");
    if let Ok(text) = std::fs::read_to_string(&path)
        && !text.trim().is_empty()
    {
        return Ok(text.trim().to_owned());
    }
    let id = Uuid::new_v4().to_string();
    match std::fs::write(&path, format!("{id}\n")) {
        Ok(()) => Ok(id),
        Err(source) => Err(StoreError::Io { path, source }),
    }
}

fn hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// `ID` and `VERSION_ID` of os-release.
fn os_release(text: &str) -> (String, String) {
    let get = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.map_or_else(|| "unknown".to_owned(), |value| value.trim_matches('"').to_owned())
    };
    (get("ID"), get("VERSION_ID"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read_with_and_without_quotes() {
        let text = "PRETTY_NAME=\"Debian\"\nVERSION_ID=\"12\"\nID=debian\nID_LIKE=x\n";
        assert_eq!(os_release(text), ("debian".to_owned(), "12".to_owned()));
        assert_eq!(os_release(""), ("unknown".to_owned(), "unknown".to_owned()));
    }

    #[test]
    fn the_system_id_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let id = system_id(folder.path()).unwrap();
        assert_eq!(system_id(folder.path()).unwrap(), id);
        std::fs::write(folder.path().join("system-id.conf"), "mine\n").unwrap();
        assert_eq!(system_id(folder.path()).unwrap(), "mine");
    }
}
