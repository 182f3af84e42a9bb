//! What the programs log when they are loaded with debugging on.

use std::os::fd::{AsFd, BorrowedFd};

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

/// The log of one loaded object. Poll its descriptor for reading, then [`DebugLog::flush`].
pub struct DebugLog(EbpfLogger<ToTracing>);

impl DebugLog {
    pub(crate) fn new(ebpf: &mut Ebpf) -> Option<Self> {
        match EbpfLogger::init_with_logger(ebpf, ToTracing) {
            Ok(logger) => Some(Self(logger)),
            Err(error) => {
                tracing::warn!(%error, "the eBPF object logs nothing");
                None
            }
        }
    }

    /// Writes what has been logged since the last time, as `tracing` events of level debug, target "xdp".
    pub fn flush(&mut self) {
        self.0.flush();
    }
}

impl AsFd for DebugLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A logger of crate `log` (which aya wants) that hands over to `tracing`.
struct ToTracing;

impl Log for ToTracing {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        tracing::debug!(target: "xdp", "{}", record.args());
    }

    fn flush(&self) {}
}
