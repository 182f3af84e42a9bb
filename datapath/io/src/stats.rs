//! What a queue counts, and how others read it while the worker runs.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one queue since it was opened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct QueueStats { $($(#[$doc])* pub $name: u64,)* }

        /// The same, published by the worker for others to read.
        #[derive(Debug, Default)]
        pub(crate) struct SharedStats { $($name: AtomicU64,)* }

        impl QueueStats {
            /// Names and values, in a fixed order.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            /// Adds the counters of another queue.
            pub fn add(&mut self, other: &Self) {
                $(self.$name = self.$name.wrapping_add(other.$name);)*
            }
        }

        impl SharedStats {
            /// Publishes `stats`.
            pub(crate) fn publish(&self, stats: &QueueStats) {
                // Relaxed: each counter stands for itself; there is no partner but `read`.
                $(self.$name.store(stats.$name, Ordering::Relaxed);)*
            }

            /// What was published last.
            pub(crate) fn read(&self) -> QueueStats {
                // Relaxed: as in `publish`.
                QueueStats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Frames received and handed to the worker.
    rx_frames,
    /// Frames put on the TX ring, or written to the TAP.
    tx_frames,
    /// RX descriptors that named memory this queue does not own, or more than one chunk; dropped.
    rx_bad_descriptors,
    /// Completions that named memory this queue did not send; ignored.
    tx_bad_completions,
    /// Times that a ring index of the kernel made no sense; the ring was taken as empty.
    bad_indices,
    /// Frames freed because the TX ring or the TAP's queue was full.
    tx_ring_full,
    /// Frames freed because the interface is down.
    tx_link_down,
    /// Frames freed because no device takes them: shorter than an Ethernet header, or refused.
    tx_invalid,
    /// System calls that asked the kernel to send.
    tx_kicks,
    /// Those that the kernel answered with "again", "busy" or "no memory".
    tx_retries,
    /// System calls that asked the driver to look at the fill ring.
    rx_kicks,
    /// Times that there was no free chunk: for the fill ring, or for a frame of a TAP.
    no_chunk,
    /// Frames from a TAP that do not fit a chunk, are cut short, or have a bad offload header.
    rx_invalid,
    /// Partial checksums completed.
    rx_checksums,
    /// Super-frames cut into segments.
    rx_superframes,
    /// Segments made of them.
    rx_segments,
    /// Super-frames that TCP segments were joined to on their way to the kernel's stack.
    tx_superframes,
    /// Segments in them.
    tx_segments,
    /// Super-frames of a kind that cannot be cut, or of too many segments; dropped.
    rx_gso_refused,
    /// Reads and polls that ended with an error.
    errors,
}

impl QueueStats {
    /// Counts so many frames by the kernel's answer to a write; whether it took them.
    fn count_sent(&mut self, frames: u64, written: &io::Result<usize>) -> bool {
        let counter = match written.as_ref().map_err(io::Error::raw_os_error) {
            Ok(_) => &mut self.tx_frames,
            Err(Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM)) => &mut self.tx_ring_full,
            // The kernel's answers for a TAP that is down, and for a NIC.
            Err(Some(libc::EIO | libc::ENETDOWN | libc::ENXIO)) => &mut self.tx_link_down,
            Err(Some(libc::EINVAL | libc::EMSGSIZE)) => &mut self.tx_invalid,
            Err(_) => &mut self.errors,
        };
        *counter += frames;
        written.is_ok()
    }

    /// Counts the segments of a run that was written as one frame; whether the kernel took it.
    pub(crate) fn count_run(&mut self, segments: u64, written: &io::Result<usize>) -> bool {
        let taken = self.count_sent(segments, written);
        if taken && segments > 1 {
            self.tx_superframes += 1;
            self.tx_segments += segments;
        }
        taken
    }
}

/// Whether a queue may be read, and whether all that it gave was taken: how control switches a link from one queue to
/// another without putting frames out of order.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_held: AtomicBool,
    is_reading: AtomicBool,
}

impl Gate {
    /// Control: what comes in from now on is not read; what is there by now may be.
    pub(crate) fn hold(&self) {
        // Partner: `is_held`.
        self.is_held.store(true, Ordering::SeqCst);
    }

    /// Control: what waits is read.
    pub(crate) fn release(&self) {
        self.is_held.store(false, Ordering::SeqCst);
    }

    /// Worker: asked *after* it looked what waits. If the answer is no, all that was there had come before
    /// [`Gate::hold`], whatever comes later.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held.load(Ordering::SeqCst)
    }

    /// Worker: begins to read, or ended with nothing left in its hands.
    pub(crate) fn set_reading(&self, is_reading: bool) {
        // Partner: `is_reading`, which is asked after the kernel said that nothing waits.
        self.is_reading.store(is_reading, Ordering::SeqCst);
    }

    /// Control: whether the worker may have frames in its hands that the kernel does not count any more.
    pub(crate) fn is_reading(&self) -> bool {
        self.is_reading.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read() {
        let shared = SharedStats::default();
        let stats = QueueStats { rx_frames: 1, errors: 7, ..QueueStats::default() };
        shared.publish(&stats);
        assert_eq!(shared.read(), stats);
        let mut sum = stats;
        sum.add(&stats);
        assert_eq!((sum.rx_frames, sum.errors, sum.tx_frames), (2, 14, 0));
        assert_eq!(stats.named().filter(|(_, value)| *value > 0).count(), 2);
    }
}
