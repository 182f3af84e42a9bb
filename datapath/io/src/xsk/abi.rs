//! Kernel structures and constants of `linux/if_xdp.h` that `libc` lacks or leaves in awkward types.

use std::mem::{offset_of, size_of};

/// `setsockopt` at level `SOL_XDP`: how many descriptors one `sendto` sends in copy mode, 32 unless
/// told otherwise; at most the size of the TX ring (kernel 6.17 and later).
pub const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;

/// Bytes that the kernel keeps in front of every received frame, besides the UMEM's own headroom.
pub const XDP_PACKET_HEADROOM: usize = 256;

/// In `xdp_desc.options`: the packet goes on in the next descriptor.
pub const XDP_PKT_CONTD: u32 = libc::XDP_PKT_CONTD;

/// In `sockaddr_xdp.sxdp_flags`: packets may come and go in several descriptors (kernel 6.6).
pub const XDP_USE_SG: u16 = 1 << 4;

/// In the flags word of a ring: the kernel asks for a system call.
pub const XDP_RING_NEED_WAKEUP: u32 = libc::XDP_RING_NEED_WAKEUP;

/// Offset in the socket's file at which its RX ring is mapped.
pub const PGOFF_RX_RING: libc::off_t = 0;
/// Offset in the socket's file at which its TX ring is mapped.
pub const PGOFF_TX_RING: libc::off_t = 0x8000_0000;
/// Offset in the socket's file at which its fill ring is mapped.
pub const PGOFF_FILL_RING: libc::off_t = 0x1_0000_0000;
/// Offset in the socket's file at which its completion ring is mapped.
pub const PGOFF_COMPLETION_RING: libc::off_t = 0x1_8000_0000;

/// An entry of the RX and TX rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Descriptor {
    /// Byte offset of the packet in the UMEM.
    pub address: u64,
    /// Bytes of the packet.
    pub len_bytes: u32,
    /// Flags: [`XDP_PKT_CONTD`], TX metadata.
    pub options: u32,
}

const _: () = {
    assert!(size_of::<Descriptor>() == size_of::<libc::xdp_desc>());
    assert!(size_of::<Descriptor>() == 16);
    assert!(offset_of!(Descriptor, address) == offset_of!(libc::xdp_desc, addr));
    assert!(offset_of!(Descriptor, len_bytes) == offset_of!(libc::xdp_desc, len));
    assert!(offset_of!(Descriptor, options) == offset_of!(libc::xdp_desc, options));
    assert!(size_of::<libc::sockaddr_xdp>() == 16);
    assert!(size_of::<libc::xdp_umem_reg>() == 32);
    assert!(size_of::<libc::xdp_ring_offset>() == 32);
    assert!(size_of::<libc::xdp_mmap_offsets>() == 128);
    assert!(size_of::<libc::xdp_statistics>() == 48);
    assert!(size_of::<libc::xdp_options>() == 4);
};
