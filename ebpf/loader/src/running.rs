//! What the kernel tells of programs and links that it has.

use std::{fs, path::Path};

use aya::programs::{
    links::{FdLink, LinkInfo, PinnedLink},
    loaded_programs,
};

/// The name of the program with this number. The kernel tells who has `CAP_SYS_ADMIN`, one by one.
pub(crate) fn name(id: u32) -> Option<String> {
    let found = loaded_programs().flatten().find(|program| program.id() == id)?;
    Some(found.name_as_str()?.to_owned())
}

/// What the kernel says of the link that is pinned here, if one is.
pub(crate) fn pinned(pin: &Path) -> Option<LinkInfo> {
    FdLink::from(PinnedLink::from_pin(pin).ok()?).info().ok()
}

/// The interface that the link pinned here is on; `None` when there is none, or it is gone.
pub(crate) fn device_of(pin: &Path) -> Option<u32> {
    // Open while we look: only what a descriptor stands for has the interface's number.
    let link = FdLink::from(PinnedLink::from_pin(pin).ok()?);
    let id = link.info().ok()?.id();
    let mut descriptors = fs::read_dir("/proc/self/fdinfo").ok()?.flatten();
    descriptors.find_map(|descriptor| {
        let text = fs::read_to_string(descriptor.path()).ok()?;
        let number = |field: &str| {
            let value = text.lines().find_map(|row| row.strip_prefix(field))?;
            value.trim_start_matches(':').trim().parse::<u32>().ok()
        };
        (number("link_id")? == id).then(|| number("ifindex"))?
    })
}
