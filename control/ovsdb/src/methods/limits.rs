//! What clients can make the server hold, at most.

use crate::jsonrpc::MESSAGE_BYTES_MAX;

/// Limits on what clients can make the server hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Clients at a time.
    pub sessions_max: usize,
    /// Clients at a time through one remote: the others keep room.
    pub sessions_per_remote_max: usize,
    /// Monitors of one client.
    pub monitors_max: usize,
    /// Locks that one client owns or awaits.
    pub locks_max: usize,
    /// Transactions of one client in a `wait`.
    pub pending_max: usize,
    /// Operations of one transaction. Stock clients send a `wait` for each port of a bridge.
    pub operations_max: usize,
    /// Bytes of one message from a client.
    pub message_bytes_max: usize,
    /// Bytes of unfinished messages of all clients; above it those with the largest are disconnected.
    pub input_bytes_max: usize,
    /// Rows remembered for all clients that do not read their updates; above it such clients are
    /// disconnected.
    pub missed_rows_max: usize,
    /// Transactions of a database that a client may have missed and still resume after.
    pub history_max: usize,
    /// Atoms of changed columns that this history may keep alive.
    pub history_atoms_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_max: 16_384,
            sessions_per_remote_max: 12_288,
            monitors_max: 64,
            locks_max: 64,
            pending_max: 64,
            operations_max: 1 << 18,
            message_bytes_max: MESSAGE_BYTES_MAX,
            input_bytes_max: 256 << 20,
            missed_rows_max: 1_000_000,
            history_max: 1000,
            history_atoms_max: 1 << 20,
        }
    }
}

impl Limits {
    /// The same, for a process that may open `files` files at a time: clients may take five eighths of them,
    /// those of one remote five sixths of that, for the rest of the process has to go on.
    #[must_use]
    pub fn within_open_files(mut self, files: usize) -> Self {
        let most = files / 8 * 5;
        if self.sessions_max > most {
            self.sessions_max = most;
            self.sessions_per_remote_max = self.sessions_per_remote_max.min(most / 6 * 5);
        }
        self
    }
}
