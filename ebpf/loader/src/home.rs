//! Where the shared maps and the programs of one switch are pinned: they outlive its process, and the next one
//! takes them over as they are. It opens them by their names, which takes `CAP_BPF` alone.
//!
//! A home belongs to one process at a time, which holds its lock. Its name says the version of the maps' layout, and
//! whose it is: two switches of one network namespace share nothing.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use aya::{
    maps::{Map, MapData, MapError},
    programs::ProgramInfo,
};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use weft_ebpf_abi::LAYOUT;

use crate::{maps::LAYOUTS, object::OBJECT};

/// A folder of pins, ours as long as this lives.
#[derive(Debug)]
pub(crate) struct Home {
    folder: PathBuf,
    // Held, not used: whoever has it may change what is in the folder.
    _lock: File,
}

impl Home {
    /// Makes or takes the home of `owner` below `parent`, which is made, too.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(crate) fn open(parent: &Path, owner: &str) -> Result<Self, String> {
        let folder = parent.join(format!("v{LAYOUT}-{:016x}", fnv1a(owner.as_bytes())));
        let said = |error: io::Error| format!("{}: {error}", folder.display());
        fs::create_dir_all(parent).map_err(said)?;
        if !is_bpffs(parent) {
            return Err(NO_BPFFS.to_owned());
        }
        fs::create_dir_all(&folder).map_err(said)?;
        let lock = File::open(&folder).map_err(said)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { folder, _lock: lock }),
            Err(Errno::WOULDBLOCK) => Err(format!("{}: another process uses it", folder.display())),
            Err(error) => Err(said(error.into())),
        }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a map is pinned.
    pub(crate) fn map(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where a program is pinned. The name says which object it is from: that of another one is not ours to use.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}-{:016x}", fnv1a(OBJECT)))
    }

    /// The pinned maps, if all are there and as they should be.
    pub(crate) fn maps(&self) -> Option<BTreeMap<&'static str, Map>> {
        let open = |(name, key, value, entries): (&'static str, usize, usize, u32)| {
            let data = MapData::from_pin(self.map(name)).ok()?;
            let info = data.info().ok()?;
            let is_right = usize::try_from(info.key_size()) == Ok(key)
                && usize::try_from(info.value_size()) == Ok(value)
                && info.max_entries() == entries;
            let map: Result<Map, MapError> = Map::from_map_data(data);
            is_right.then_some((name, map.ok()?))
        };
        LAYOUTS.into_iter().map(open).collect()
    }

    /// Takes away what no version of ours would use, or all.
    pub(crate) fn clear(&self, keeps: impl Fn(&Path) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if !keeps(&path) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Whether a folder with this name is a home.
fn is_home(name: &str) -> bool {
    let layout = name.strip_prefix('v').and_then(|rest| rest.split_once('-'));
    layout.is_some_and(|(layout, owner)| layout.parse::<u32>().is_ok() && owner.len() == 16)
}

/// The homes below `parent`.
fn homes(parent: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let homes = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_home));
    homes.map(|entry| entry.path()).filter(|path| path.is_dir())
}

/// Removes the homes below `parent` but this one: nobody lives there.
///
/// # Errors
/// When something there cannot be removed.
pub(crate) fn remove_homes(parent: &Path, but: Option<&Path>) -> io::Result<Vec<String>> {
    let mut removed = Vec::new();
    for home in homes(parent).filter(|home| Some(home.as_path()) != but) {
        for entry in fs::read_dir(&home)? {
            fs::remove_file(entry?.path())?;
        }
        fs::remove_dir(&home)?;
        removed.extend(home.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    Ok(removed)
}

/// Whether the program with this number is that of another switch, which lives.
pub(crate) fn is_anothers(parent: &Path, ours: Option<&Path>, id: u32) -> bool {
    homes(parent).filter(|home| Some(home.as_path()) != ours).any(|home| {
        let is_held = File::open(&home).is_ok_and(|folder| {
            flock(&folder, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
        });
        let mut pins = fs::read_dir(&home).into_iter().flatten().flatten();
        is_held && pins.any(|pin| ProgramInfo::from_pin(pin.path()).is_ok_and(|it| it.id() == id))
    })
}

/// Why nothing is pinned on a machine without a bpffs.
pub(crate) const NO_BPFFS: &str =
    "not on a bpffs: `mount -t bpf bpf /sys/fs/bpf` makes the program survive a restart";

/// Whether the folder is on a bpffs.
pub(crate) fn is_bpffs(folder: &Path) -> bool {
    const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
    rustix::fs::statfs(folder).is_ok_and(|found| u64::try_from(found.f_type) == Ok(BPF_FS_MAGIC))
}

/// The FNV-1a hash: the same for the same bytes, on all machines.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_told_from_other_names() {
        assert!(is_home("v1-0123456789abcdef") && is_home("v20-0123456789abcdef"));
        for name in ["v1", "7", "v0.10", "vx-0123456789abcdef", "v1-0123", "else"] {
            assert!(!is_home(name), "{name}");
        }
    }

    #[test]
    fn hashes_are_those_of_the_algorithm() {
        assert_eq!((fnv1a(b""), fnv1a(b"a")), (0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c));
    }
}
