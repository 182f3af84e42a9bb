//! Where XDP links are pinned, and letting go of what earlier runs left.

use rustix::fs::{FlockOperation, flock, statfs};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The folder for pins of this network namespace.
pub struct Pins {
    folder: PathBuf,
    /// A lock on it: shared by all who pin there.
    lock: File,
    are_released: bool,
}

impl Pins {
    /// The folder, when `/sys/fs/bpf` is a bpffs that we may write to.
    #[must_use]
    pub fn open() -> Option<Self> {
        const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
        let kind = statfs("/sys/fs/bpf").ok()?.f_type;
        if kind & 0xffff_ffff != BPF_FS_MAGIC {
            return None;
        }
        let folder = weft_ebpf::pin_directory().ok()?;
        let lock = fs::create_dir_all(&folder).and_then(|()| File::open(&folder));
        match lock {
            Ok(lock) => {
                // It is there for others, who go by it when they can.
                let _ = flock(&lock, FlockOperation::NonBlockingLockShared);
                Some(Self { folder, lock, are_released: false })
            }
            Err(error) => {
                tracing::info!("{}: {error}: XDP links are not pinned", folder.display());
                None
            }
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets go, the first time, of all pins but those of these devices: ports were taken away, or went, while
    /// nobody was here.  Not while another switch of this namespace pins there, too.
    pub fn release_others(&mut self, keep: &[u32]) {
        if std::mem::replace(&mut self.are_released, true) {
            return;
        }
        if flock(&self.lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            match weft_ebpf::release_pins(&self.folder, keep) {
                Ok(removed) if removed.is_empty() => {}
                Ok(removed) => tracing::info!("pins of an earlier run removed: {removed:?}"),
                Err(error) => tracing::warn!("{}: {error}", self.folder.display()),
            }
        }
        let _ = flock(&self.lock, FlockOperation::NonBlockingLockShared);
    }
}
