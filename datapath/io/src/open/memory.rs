//! Memory that can be handed over.

use crate::sys;
use crate::xsk::umem::RegionConfig;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// A memfd of this size, in huge pages or not.
pub(crate) fn memory(name: &CStr, huge: bool, len_bytes: usize) -> io::Result<OwnedFd> {
    sys::memfd(name, if huge { libc::MFD_HUGETLB } else { 0 }, len_bytes)
}

/// The memory for the chunks of so many workers, for [`crate::Region::adopt`]; in huge pages or not.
///
/// # Errors
///
/// What `memfd_create` and `ftruncate` say.
pub fn region(config: RegionConfig, workers: usize, huge: bool) -> io::Result<OwnedFd> {
    memory(c"weft-umem", huge, config.chunk_bytes * config.chunks * workers)
}

/// Bytes of a memfd, and of one of its pages.
pub(crate) fn size_of_memfd(memfd: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let metadata = File::from(memfd.try_clone_to_owned()?).metadata()?;
    Ok((metadata.len(), metadata.blksize()))
}
