//! The four rings of a socket, mapped.

use super::abi::{
    Descriptor, PGOFF_COMPLETION_RING, PGOFF_FILL_RING, PGOFF_RX_RING, PGOFF_TX_RING,
};
use super::config::RingSizes;
use super::ring::MappedRing;
use super::umem::ClosedFlag;
use crate::sys;
use libc::SOL_XDP;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The rings of one socket, where the kernel and this process see them.
pub(crate) struct Rings {
    pub(crate) rx: MappedRing<Descriptor>,
    pub(crate) tx: MappedRing<Descriptor>,
    pub(crate) fill: MappedRing<u64>,
    pub(crate) completion: MappedRing<u64>,
}

impl Rings {
    /// Maps the rings of a socket that has them, in these sizes.
    ///
    /// # Errors
    ///
    /// `Unsupported` before kernel 5.4, whose rings have no flags; what `getsockopt` and `mmap` say.  Kernels
    /// of 6.1 refuse with `EBUSY` once the socket is bound.
    pub(crate) fn map(fd: BorrowedFd<'_>, sizes: RingSizes) -> io::Result<Self> {
        let (offsets, length) =
            sys::get_option::<libc::xdp_mmap_offsets>(fd, SOL_XDP, libc::XDP_MMAP_OFFSETS)?;
        if length < size_of::<libc::xdp_mmap_offsets>() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Self {
            rx: map(fd, PGOFF_RX_RING, &offsets.rx, sizes.rx)?,
            tx: map(fd, PGOFF_TX_RING, &offsets.tx, sizes.tx)?,
            fill: map(fd, PGOFF_FILL_RING, &offsets.fr, sizes.fill)?,
            completion: map(fd, PGOFF_COMPLETION_RING, &offsets.cr, sizes.completion)?,
        })
    }
}

fn map<T: Copy>(
    fd: BorrowedFd<'_>,
    place: libc::off_t,
    offsets: &libc::xdp_ring_offset,
    entries: u32,
) -> io::Result<MappedRing<T>> {
    let len_bytes = usize::try_from(offsets.desc).unwrap_or(0) + entries as usize * size_of::<T>();
    let mapping = sys::Mapping::new(fd, place, len_bytes)?;
    MappedRing::new(mapping, offsets, entries).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A socket and the flag that says it is closed.
#[derive(Debug)]
pub(crate) struct Socket {
    // Dropped in this order (rule 5).
    pub(crate) fd: OwnedFd,
    pub(crate) closed: ClosedFlag,
}

impl Socket {
    /// `XDP_STATISTICS`.
    pub(crate) fn statistics(&self) -> io::Result<libc::xdp_statistics> {
        sys::get_option(self.fd.as_fd(), SOL_XDP, libc::XDP_STATISTICS).map(|(stats, _)| stats)
    }
}
