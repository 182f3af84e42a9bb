//! The host: the kernel's tables, and the devices, programs and sockets that are opened.

pub(crate) mod descriptors;
pub mod failures;
pub mod links;
pub(crate) mod nic;
pub(crate) mod parallel;
pub(crate) mod pins;
pub mod taps;
pub mod threads;

use crate::netlink::kernel::{Changes, Kernel};
use failures::Failures;
use links::Links;
use pins::Pins;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use taps::Taps;
use threads::Threads;
use weft_io::ethtool::medium;

/// What there is on the host, as far as we know and hold it.
pub struct Host {
    /// The kernel's tables.
    pub kernel: Kernel,
    /// Open links.
    pub links: Links,
    /// What opens and closes links.
    pub threads: Threads,
    /// Links that cannot be opened.
    pub failures: Failures,
    /// Who listens on ports.
    pub taps: Taps,
    /// What of the kernel's tables was not looked at yet.
    changes: Changes,
    /// NICs that were not promiscuous before they were ports.
    pub(crate) promiscuous: BTreeSet<String>,
    /// NICs whose sockets a worker has that hangs.
    pub(crate) stuck_nics: BTreeSet<String>,
}

impl Host {
    /// Reads the kernel's tables; no link is open.  What is pinned for `rundir` is ours.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn open(rundir: &Path) -> io::Result<Self> {
        Ok(Self {
            kernel: Kernel::open()?,
            links: Links::new(Pins::open(rundir)),
            threads: Threads::default(),
            failures: Failures::default(),
            taps: Taps::default(),
            changes: Changes::default(),
            promiscuous: BTreeSet::new(),
            stuck_nics: BTreeSet::new(),
        })
    }

    /// The device of an open link, unless it is out of sight.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&crate::netlink::kernel::Link> {
        self.links.device(name, &self.kernel)
    }

    /// Takes in that the kernel's tables are other than they were.  Returns the links that have lost
    /// their carrier: who was behind them may be elsewhere by now.
    #[must_use]
    pub fn note_changes(&mut self, changes: Changes) -> Vec<String> {
        let names: BTreeSet<String> = if changes.is_all {
            self.links.iter().map(|(name, _)| name.clone()).collect()
        } else {
            changes.links().map(|(_, name)| name.clone()).collect()
        };
        self.changes.add(changes);
        names.into_iter().filter(|name| self.note_carrier(name)).collect()
    }

    /// Devices are to be looked at as if the kernel had told of them.
    pub fn note_devices(&mut self, changes: Changes) {
        self.changes.add(changes);
    }

    /// True when something has changed in the kernel that was not looked at yet.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// What has changed in the kernel since this was asked last.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Notes that the carrier of a device came or went; true when it went.
    fn note_carrier(&mut self, name: &str) -> bool {
        let before = self.links.get(name).and_then(|link| link.is_running);
        self.look_at_carrier(name);
        let Some(link) = self.links.get_mut(name) else { return false };
        if before.is_none() || before == link.is_running {
            return false;
        }
        link.resets += 1;
        link.medium = medium(name);
        link.is_running == Some(false)
    }

    /// Takes over whether the device of a link runs.
    pub fn look_at_carrier(&mut self, name: &str) {
        let Some(link) = self.links.get_mut(name) else { return };
        let now = self.kernel.link(link.ifindex).filter(|now| now.name == *name);
        link.is_running = Some(now.is_some_and(|now| now.is_running));
    }

    /// Takes over the MTU that a device has now.
    pub fn sync_link(&mut self, name: &str) {
        if let Some(mtu) = self.device(name).map(|device| device.mtu) {
            self.links.set_mtu(name, mtu);
        }
    }

    /// A worker that hangs keeps the sockets of this NIC.
    pub fn note_stuck(&mut self, name: &str) {
        self.stuck_nics.insert(name.to_owned());
    }

    /// No worker hangs any more.
    pub fn forget_stuck(&mut self) {
        self.stuck_nics.clear();
    }
}
