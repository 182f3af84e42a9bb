//! What the kernel says of its tables, and what is read when it could not be heard.

use crate::netlink::kernel::{Changes, Kernel, Monitor};
use std::io;

/// Notifications of the kernel.
pub struct KernelEvents {
    monitor: Monitor,
    /// The tables could not be read, or notifications not be heard: to be tried again.
    is_deaf: bool,
}

/// A datagram of notifications; none when some were lost.
pub type KernelEvent = io::Result<Option<Vec<u8>>>;

impl KernelEvents {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the kernel refuses the socket.
    pub fn open() -> io::Result<Self> {
        Ok(Self { monitor: Monitor::open()?, is_deaf: false })
    }

    /// True while nothing is heard: [`KernelEvents::listen_again`] tries to.
    #[must_use]
    pub const fn is_deaf(&self) -> bool {
        self.is_deaf
    }

    /// Waits for notifications.  Loses nothing when it is dropped while it waits.
    ///
    /// # Errors
    /// When the socket fails: [`KernelEvents::note`] says so.
    pub async fn next(&self) -> KernelEvent {
        self.monitor.next().await
    }

    /// Takes in what was heard; what of the tables is other than before.
    pub fn note(&mut self, event: KernelEvent, kernel: &mut Kernel) -> Changes {
        match event {
            Ok(Some(bytes)) => kernel.note_bytes(&bytes),
            Ok(None) => {
                tracing::warn!("news of the kernel were lost: reading everything anew");
                self.read_tables(kernel)
            }
            Err(error) => {
                tracing::warn!("news of the kernel: {error}: listening again");
                self.is_deaf = true;
                Changes::default()
            }
        }
    }

    /// Takes in all that the kernel has said so far.
    pub fn note_all(&mut self, kernel: &mut Kernel) -> Changes {
        let mut changes = Changes::default();
        while !self.is_deaf {
            match self.monitor.take() {
                Ok(Some(bytes)) if bytes.is_empty() => break,
                event => changes.add(self.note(event, kernel)),
            }
        }
        changes
    }

    /// Reads the kernel's tables anew; when that does not work, it is tried again.
    fn read_tables(&mut self, kernel: &mut Kernel) -> Changes {
        kernel.refresh().unwrap_or_else(|error| {
            tracing::warn!("the kernel's tables: {error}: reading them again");
            self.is_deaf = true;
            Changes::default()
        })
    }

    /// Listens to the kernel anew, and reads what was missed.
    pub fn listen_again(&mut self, kernel: &mut Kernel) -> Changes {
        match Monitor::open() {
            Ok(monitor) => {
                (self.monitor, self.is_deaf) = (monitor, false);
                self.read_tables(kernel)
            }
            Err(error) => {
                tracing::warn!("news of the kernel: {error}: trying again");
                Changes::default()
            }
        }
    }
}
