//! Where the links of interfaces are pinned, and letting go of those that nobody wants any more.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use aya::programs::links::LinkInfo;
use weft_ebpf_abi::program::PREFIX;

use crate::{
    AttachError, Mode, XdpState,
    home::remove_homes,
    running::{self, pinned},
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
/// the names removed. A name that is no number was given by a version that pinned by the interface's name: it goes
/// too, when it is a link of ours. So do maps and programs of other switches and versions: all but those in `home`
/// (see [`Object::home`](crate::Object::home)). No directory is no error.
///
/// # Errors
/// When a pin cannot be removed.
pub fn release_pins(
    directory: &Path,
    keep: &[u32],
    home: Option<&Path>,
) -> io::Result<Vec<String>> {
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
            Err(_) => pinned(&entry.path()).is_some_and(|link| is_ours(link.program_id())),
        };
        if goes {
            fs::remove_file(entry.path())?;
            removed.push(name);
        }
    }
    removed.extend(remove_homes(directory, home)?);
    removed.sort_unstable();
    Ok(removed)
}

/// Whether the pin's link is on this interface: then the mode it is attached in. A stale pin is removed; a pin
/// of this interface by a name (an earlier version made it) in the same directory is moved to `pin`.
pub(crate) fn usable_pin(
    pin: &Path,
    ifindex: u32,
    state: &XdpState,
) -> Result<Option<Mode>, AttachError> {
    if fs::symlink_metadata(pin).is_ok() {
        if let Some(mode) = pinned(pin).and_then(|link| mode_of(&link, state)) {
            return Ok(Some(mode));
        }
        tracing::info!(pin = %pin.display(), "removing a stale XDP link");
        fs::remove_file(pin)
            .map_err(|source| AttachError::Pin { path: pin.to_path_buf(), source })?;
    }
    if state.programs().next().is_none() {
        return Ok(None);
    }
    let siblings = pin.parent().and_then(|parent| fs::read_dir(parent).ok());
    for sibling in siblings.into_iter().flatten().flatten() {
        let is_number = |name: &str| name.parse::<u32>().is_ok();
        if sibling.file_name().to_str().is_some_and(is_number) {
            continue;
        }
        let Some(link) = pinned(&sibling.path()) else { continue };
        let Some(mode) = mode_of(&link, state) else { continue };
        if running::device_of(&sibling.path()) != Some(ifindex) {
            continue;
        }
        match fs::rename(sibling.path(), pin) {
            Ok(()) => return Ok(Some(mode)),
            // Whoever attaches to another interface took it for a stale one of his.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(AttachError::Pin { path: sibling.path(), source }),
        }
    }
    Ok(None)
}

/// The mode in which the interface runs the program of the link, if it does and the program is ours.
fn mode_of(link: &LinkInfo, state: &XdpState) -> Option<Mode> {
    let id = link.program_id();
    let (_, mode) = state.programs().find(|(running, _)| *running == id)?;
    is_ours(id).then_some(mode)
}

/// Whether the program is ours. Who may not ask for its name (that takes `CAP_SYS_ADMIN`) believes the place: nobody
/// else pins in this folder.
fn is_ours(id: u32) -> bool {
    running::name(id).is_none_or(|name| name.starts_with(PREFIX))
}
