//! The file of a database: whether it can be written, and its compaction.

use crate::methods::state::State;
use crate::store::log::{Compacted, Compaction, Fault, FaultHandle, Log};

impl State {
    /// Why the file of a database cannot be written, if so.
    pub fn fault(&self, db: usize) -> Option<Fault> {
        self.databases.get(db)?.log.as_ref()?.fault()
    }

    /// Checks that the file of a database may be written.
    pub fn check_ready(&self, db: usize) -> Result<(), Fault> {
        let log = self.databases.get(db).and_then(|entry| entry.log.as_ref());
        log.map_or(Ok(()), Log::check_ready)
    }

    /// Why the file of the first database cannot be written, for other threads.
    pub fn fault_handle(&self) -> FaultHandle {
        let log = self.databases.first().and_then(|entry| entry.log.as_ref());
        log.map(Log::fault_handle).unwrap_or_default()
    }

    /// Tries to write again what could not be written.
    pub fn mend(&mut self) {
        for entry in &mut self.databases {
            if let Some(log) = entry.log.as_mut().filter(|log| log.fault().is_some()) {
                log.mend(&entry.db);
            }
        }
    }

    fn log(&mut self, db: usize) -> Option<&mut Log> {
        self.databases.get_mut(db)?.log.as_mut()
    }

    /// True when the file of the first database has grown enough.
    pub fn wants_compaction(&self) -> bool {
        let log = self.databases.first().and_then(|entry| entry.log.as_ref());
        log.is_some_and(Log::wants_compaction)
    }

    /// True while a file is compacted.
    pub fn is_compacting(&self) -> bool {
        self.databases.iter().flat_map(|entry| &entry.log).any(Log::is_compacting)
    }

    pub fn start_compaction(&mut self, db: usize) -> Option<Compaction> {
        let entry = self.databases.get_mut(db)?;
        entry.log.as_mut()?.start_compaction(&entry.db)
    }

    pub fn take_tail(&mut self, db: usize) -> Vec<u8> {
        self.log(db).map(Log::take_tail).unwrap_or_default()
    }

    pub fn put_in_place(&mut self, db: usize, new: Compacted) -> std::io::Result<()> {
        self.log(db).map_or(Ok(()), |log| log.put_in_place(new))
    }

    pub fn give_up_compaction(&mut self, db: usize) {
        if let Some(log) = self.log(db) {
            log.give_up_compaction();
        }
    }
}
