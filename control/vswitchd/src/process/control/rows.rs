//! Rows of the database in, and rows out; in between, what has changed is looked at.

use super::Control;
use crate::config::changed_rows::ChangedRows;
use crate::config::desired::Rows;
use crate::engine::Engine;
use crate::engine::change::Change;
use crate::netlink::kernel::{Changes, watched};
use crate::report::status::{LOCK, Wanted};
use anyhow::Context;
use std::time::{Duration, Instant};

/// Changes of the kernel come in swarms: so long one waits for the rest.
const SETTLE: Duration = Duration::from_millis(15);

/// How long the database may take to be there again.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// What is to be looked at, and when.
pub(super) struct Reconciliation {
    /// False while the database is out of reach; the switch goes on by what it knows.
    pub is_connected: bool,
    due: Option<Instant>,
    changed: ChangedRows,
    /// What is being done, and the rows that it is about.
    under_way: Option<(Change, ChangedRows)>,
}

impl Reconciliation {
    /// All is to be looked at, now.
    pub fn at_start() -> Self {
        Self {
            is_connected: true,
            due: Some(Instant::now()),
            changed: ChangedRows::anything(),
            under_way: None,
        }
    }

    /// When to look; not before what is under way is over.
    pub const fn due(&self) -> Option<Instant> {
        if self.under_way.is_some() { None } else { self.due }
    }

    /// True when the change that is under way waits for nobody.
    pub fn can_go_on(&self, engine: &Engine) -> bool {
        self.under_way.as_ref().is_some_and(|(change, _)| engine.can_go_on(change))
    }

    /// Looks soon at what has changed outside of the database.
    pub fn soon(&mut self, after: Duration) {
        let at = Instant::now() + after;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Looks now, if something failed that is to be tried again, or something was left undone.
    pub fn tend(&mut self, has_failures_due: bool, is_behind: bool) {
        self.changed.anything |= has_failures_due;
        if self.changed.anything || is_behind {
            self.soon(Duration::ZERO);
        }
    }
}

impl Control {
    /// Rows have changed, or the connection is gone.
    pub(super) async fn database(
        &mut self,
        change: Result<weft_ovsdb::Changes, weft_ovsdb::ClientError>,
    ) -> anyhow::Result<()> {
        let change = change.and_then(|changes| {
            if !self.store.note_answers(&changes)? {
                self.engine.reported.forget(&self.engine.config.desired);
            }
            Ok(changes)
        });
        match change {
            Ok(changes) if changes.is_unchanged() => return Ok(()),
            Ok(changes) => {
                self.store.note_controllers();
                self.reconciliation.changed.add_rows(changes.rows);
                if changes.stolen.iter().any(|lock| lock == LOCK) {
                    tracing::warn!("another switch has taken the database over");
                }
                if !changes.locked.is_empty() {
                    let introduced = self.store.introduce(&self.store_config).await;
                    introduced.context("writing the first rows")?;
                }
            }
            Err(error) => {
                tracing::warn!("{error}: connecting again");
                self.reconciliation.is_connected = false;
                self.store.note_loss();
                self.engine.reported.forget(&self.engine.config.desired);
            }
        }
        self.reconciliation.due = Some(Instant::now());
        Ok(())
    }

    /// The kernel's tables are other than they were.
    pub(super) fn note_changes(&mut self, changes: Changes) {
        if !changes.is_empty() {
            self.engine.note_changes(changes);
            self.reconciliation.soon(SETTLE);
        }
    }

    /// Begins to make what is there equal to what is wanted.
    pub(super) fn reconcile(&mut self) -> anyhow::Result<()> {
        self.reconciliation.due = None;
        if !self.store.is_active() || self.store.uuids("Open_vSwitch").is_empty() {
            return Ok(());
        }
        let changed = std::mem::take(&mut self.reconciliation.changed);
        let begun = self.engine.begin(&self.store, &changed);
        if self.engine.lower.take_restarted() {
            self.notices = watched(self.engine.lower.workers.notices()?)?;
        }
        match begun {
            Some(change) => {
                self.reconciliation.under_way = Some((change, changed));
                self.go_on_changing();
            }
            None => self.end_change(&changed),
        }
        Ok(())
    }

    /// Goes on with the change that is under way, and says so in rows when it is over.
    pub(super) fn go_on_changing(&mut self) {
        let Some((change, _)) = &mut self.reconciliation.under_way else { return };
        if !self.engine.go_on(&self.store, change) {
            return;
        }
        let Some((_, changed)) = self.reconciliation.under_way.take() else { return };
        // The devices that were just made or changed have their rows in this transaction.
        let noted = self.kernel.note_all(&mut self.engine.host.kernel);
        self.note_changes(noted);
        self.end_change(&changed);
    }

    fn end_change(&mut self, changed: &ChangedRows) {
        if self.engine.has_changes() {
            // What was read instead of heard of is looked at, too.
            self.reconciliation.soon(SETTLE);
        }
        self.statistics.shorten(self.statistics_interval());
        self.tell(changed);
    }

    /// Writes what has become of the configuration, unless a change is under way: its end does.
    pub(super) fn tell(&mut self, changed: &ChangedRows) {
        if self.reconciliation.under_way.is_some() {
            return;
        }
        let mut wanted = self.engine.statuses(changed);
        self.store.want_controllers(&mut wanted);
        self.write(wanted);
    }

    /// Has rows say what is wanted, as soon as the database can be reached.
    pub(super) fn write(&mut self, wanted: Wanted) {
        let is_lost = !self.reconciliation.is_connected;
        let outcome = if is_lost { Ok(()) } else { self.store.write(wanted) };
        if let Err(error) = &outcome {
            // The next wait for changes finds the connection gone.
            tracing::warn!("{error}");
        }
        if is_lost || outcome.is_err() {
            self.engine.reported.forget(&self.engine.config.desired);
        }
    }

    /// Writes what errands want to be written, one piece after the other: pieces that pile up while the
    /// database is busy would be one long turn.
    pub(super) fn write_for_errands(&mut self) {
        while self.store.is_idle() {
            let Some(mut write) = self.errands.take_write() else { return };
            self.write(std::mem::take(&mut write.wanted));
            self.errands.written(write);
        }
    }

    /// Tries to reach the database again.  Frames that workers hand up and the spanning trees are served
    /// meanwhile.
    pub(super) async fn connect(&mut self) {
        let Self { engine, store, notices, .. } = self;
        let mut attempt =
            std::pin::pin!(tokio::time::timeout(CONNECT_MAX, store.client.reconnect()));
        let turns = engine.views.turns.clone();
        let kind = turns.kind();
        let outcome = loop {
            turns.begin("wait");
            let spanning = &engine.protocols.spanning;
            let due = [spanning.due(), engine.lower.workers.due()].into_iter().flatten().min();
            let at = due.unwrap_or_else(|| Instant::now() + super::FAR);
            tokio::select! {
                biased;
                outcome = &mut attempt => break outcome,
                ready = notices.readable() => {
                    if let Ok(mut ready) = ready { ready.clear_ready(); }
                }
                () = tokio::time::sleep_until(at.into()) => {}
            }
            turns.begin("workers");
            engine.serve_workers();
        };
        turns.begin(kind);
        match outcome {
            Ok(Ok(())) => {
                tracing::info!("the database is back");
                self.reconciliation.is_connected = true;
                self.reconciliation.due = Some(Instant::now());
            }
            Ok(Err(error)) => tracing::debug!("{error}"),
            Err(_) => tracing::debug!("the database does not answer"),
        }
    }
}
