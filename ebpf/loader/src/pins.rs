//! Where the links of interfaces are pinned, and letting go of those that nobody wants any more.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use aya::programs::links::{FdLink, PinnedLink};
use weft_ebpf_abi::program::PREFIX;

use crate::running::Running;

/// Where a bpffs is mounted, by convention and by systemd.
const BPFFS: &str = "/sys/fs/bpf";

/// The directory for the pins of this network namespace (of the calling thread):
/// `/sys/fs/bpf/weft/<inode of the namespace>`. One bpffs may be seen from several namespaces, and the same
/// interface index exists in each.
///
/// # Errors
/// When `/proc` is not there.
pub fn pin_directory() -> io::Result<PathBuf> {
    let namespace = fs::metadata("/proc/thread-self/ns/net")?.ino();
    Ok(Path::new(BPFFS).join("weft").join(namespace.to_string()))
}

/// The pin of an interface: its index in [`pin_directory`]. Not its name, which may change, and may contain
/// a dot, which a bpffs refuses.
///
/// # Errors
/// When `/proc` is not there.
pub fn pin_path(ifindex: u32) -> io::Result<PathBuf> {
    Ok(pin_directory()?.join(ifindex.to_string()))
}

/// Removes the pins in the directory whose interface is not to be kept: ports that were taken away, or whose
/// device went, while no process of ours ran. A program that nothing else holds is thereby detached. Gives
/// the names removed. A name that is no number was given by a version that pinned by the interface's name: it goes
/// too, when it is a link of ours. No directory is no error.
///
/// # Errors
/// When a pin cannot be removed.
pub fn release_pins(directory: &Path, keep: &[u32]) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut removed = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let goes = match name.parse() {
            Ok(ifindex) => !keep.contains(&ifindex),
            Err(_) => is_link_of_ours(&entry.path()),
        };
        if goes {
            fs::remove_file(entry.path())?;
            removed.push(name);
        }
    }
    removed.sort_unstable();
    Ok(removed)
}

fn is_link_of_ours(pin: &Path) -> bool {
    let Some(id) = pinned_program(pin) else { return false };
    Running::find(id).is_none_or(|running| running.name.starts_with(PREFIX))
}

/// The number of the program whose link is pinned here.
pub(crate) fn pinned_program(pin: &Path) -> Option<u32> {
    Some(FdLink::from(PinnedLink::from_pin(pin).ok()?).info().ok()?.program_id())
}
