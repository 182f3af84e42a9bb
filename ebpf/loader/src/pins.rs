//! Where the links of interfaces are pinned, and letting go of those that nobody wants any more.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

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
/// the indices removed; files whose names are no numbers are not touched, and no directory is no error.
///
/// # Errors
/// When a pin cannot be removed.
pub fn release_pins(directory: &Path, keep: &[u32]) -> io::Result<Vec<u32>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut removed = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(ifindex) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if !keep.contains(&ifindex) {
            fs::remove_file(entry.path())?;
            removed.push(ifindex);
        }
    }
    removed.sort_unstable();
    Ok(removed)
}
