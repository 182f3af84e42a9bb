//! Where XDP links, programs and maps are pinned, and letting go of what earlier runs left.

use rustix::fs::{FlockOperation, flock, statfs};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use weft_ebpf::{AttachError, Object};

/// The folder for pins of this network namespace.
pub struct Pins {
    folder: PathBuf,
    /// Whose programs and maps ours are: those of another switch of this namespace are its own.
    owner: String,
    /// A lock on it: shared by all who pin there.
    lock: File,
    are_released: bool,
}

impl Pins {
    /// The folder, when `/sys/fs/bpf` is a bpffs that we may write to.  A switch is known by its run directory.
    #[must_use]
    pub fn open(rundir: &Path) -> Option<Self> {
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
                let owner = rundir.display().to_string();
                Some(Self { folder, owner, lock, are_released: false })
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

    /// Programs and maps for all NICs: those that an earlier run left, or new ones.
    ///
    /// # Errors
    /// See [`Object::open`].
    pub fn object(&self) -> Result<Object, AttachError> {
        Object::open(&self.folder, &self.owner)
    }

    /// Lets go, the first time, of all pins but those of these devices and of this object: ports were taken away, or
    /// went, while nobody was here.  Not while another switch of this namespace pins there, too.
    pub fn release_others(&mut self, keep: &[u32], object: Option<&Object>) {
        if std::mem::replace(&mut self.are_released, true) {
            return;
        }
        if let Some(object) = object {
            object.release(keep);
        }
        self.release(keep, object.and_then(Object::home));
    }

    /// Lets go of all pins, and of the folder, but not of another switch's.
    pub fn remove(&self, object: Option<&Object>) {
        if let Some(object) = object {
            object.unpin();
        }
        self.release(&[], None);
        // Not empty when another weftd of this namespace has pins of its own there.
        let _ = fs::remove_dir(&self.folder);
    }

    fn release(&self, keep: &[u32], home: Option<&Path>) {
        if flock(&self.lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            match weft_ebpf::release_pins(&self.folder, keep, home) {
                Ok(removed) if removed.is_empty() => {}
                Ok(removed) => tracing::info!("pins of an earlier run removed: {removed:?}"),
                Err(error) => tracing::warn!("{}: {error}", self.folder.display()),
            }
        }
        let _ = flock(&self.lock, FlockOperation::NonBlockingLockShared);
    }
}
