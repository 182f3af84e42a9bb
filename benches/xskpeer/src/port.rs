//! One interface as this peer uses it: an AF_XDP socket on queue 0 in copy mode, and the XDP program that
//! leads to it.

use std::{
    num::NonZeroU32,
    os::fd::{AsRawFd, BorrowedFd},
    sync::Arc,
};

use anyhow::{Context, anyhow};
use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use weft_ebpf::{AttachConfig, Attached, Object, Role};
use xsk_rs::{
    CompQueue, FillQueue, FrameDesc, RxQueue, Socket, TxQueue, Umem,
    config::{BindFlags, FrameSize, Interface, LibxdpFlags, QueueSize, SocketConfig, UmemConfig},
};

/// Frames taken in one go.
pub const BATCH: usize = 64;
/// Slots of each ring, and frames that each port starts with, unless told otherwise.
pub const RING: u32 = 2048;
/// Bytes of a frame's place: the smallest that there is, good for an MTU of 1500.
const FRAME_BYTES: u32 = 2048;
/// What one `sendto` may send in copy mode; kernels before 6.17 know only 32 and refuse.
const TX_BUDGET: u32 = 256;
/// `XDP_MAX_TX_SKB_BUDGET`.
const MAX_TX_SKB_BUDGET: libc::c_int = 9;

/// An open port. Frames are those of the UMEM it was opened with.
#[derive(Debug)]
pub struct Port {
    /// Received frames.
    pub rx: RxQueue,
    /// Frames to send.
    pub tx: TxQueue,
    /// Empty frames for the kernel to receive into.
    pub fill: FillQueue,
    /// Frames that were sent.
    pub comp: CompQueue,
    /// Detaches when it goes.
    _program: Attached,
}

impl Port {
    /// Binds the socket, attaches the program and joins them.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn open(name: &str, umem: &Umem, ring: u32) -> anyhow::Result<Self> {
        let interface: Interface = name.parse()?;
        let config = SocketConfig::builder()
            .rx_queue_size(QueueSize::new(ring)?)
            .tx_queue_size(QueueSize::new(ring)?)
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
            .bind_flags(BindFlags::XDP_COPY | BindFlags::XDP_USE_NEED_WAKEUP)
            .build();
        // SAFETY: programs are not loaded by libxdp, and each (interface, queue) is bound once.
        let opened = unsafe { Socket::new(config, umem, &interface, 0) };
        let (tx, rx, rings) = opened.with_context(|| format!("AF_XDP socket on {name}"))?;
        let (fill, comp) = rings.ok_or_else(|| anyhow!("{name} is opened twice"))?;
        allow_budget(&tx);

        let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        let ifindex = netdevice::name_to_index(&any, name).with_context(|| name.to_owned())?;
        let role = Role::Port;
        let mut program = Attached::attach(&AttachConfig {
            object: &Arc::new(Object::load(false)?),
            queues: 1,
            ifindex,
            ifname: name,
            role,
            pin: None,
            frags_first: false,
        })?;
        // SAFETY: the descriptor lives as long as `tx`, which outlives this call.
        let fd = unsafe { BorrowedFd::borrow_raw(tx.fd().as_raw_fd()) };
        program.set_socket(0, fd)?;
        eprintln!("{name}: XDP {}, AF_XDP copy mode", program.mode());
        Ok(Self { rx, tx, fill, comp, _program: program })
    }

    /// Has the kernel send what is in the TX ring, if it wants to be asked.
    ///
    /// # Errors
    /// What `sendto` says, but for "again".
    pub fn kick(&mut self) -> anyhow::Result<()> {
        if self.tx.needs_wakeup() {
            self.tx.wakeup()?;
        }
        Ok(())
    }
}

/// Memory for so many ports with rings of so many slots, and its frames.
///
/// # Errors
/// What the kernel refuses.
pub fn umem(ports: u32, ring: u32) -> anyhow::Result<(Umem, Vec<FrameDesc>)> {
    let config = UmemConfig::builder()
        .frame_size(FrameSize::new(FRAME_BYTES)?)
        .fill_queue_size(QueueSize::new(ring)?)
        .comp_queue_size(QueueSize::new(ring)?)
        .build()?;
    let frames = NonZeroU32::new(ports * ring).ok_or_else(|| anyhow!("no ports"))?;
    Ok(Umem::new(config, frames, false)?)
}

/// Lets one `sendto` send a whole batch; older kernels refuse, and then it takes a few.
fn allow_budget(tx: &TxQueue) {
    let budget = TX_BUDGET;
    // SAFETY: the option value is a u32 of that length, and lives over the call.
    let refused = unsafe {
        libc::setsockopt(
            tx.fd().as_raw_fd(),
            libc::SOL_XDP,
            MAX_TX_SKB_BUDGET,
            (&raw const budget).cast(),
            4,
        )
    };
    if refused != 0 {
        eprintln!("one kick sends 32 frames: {}", std::io::Error::last_os_error());
    }
}
