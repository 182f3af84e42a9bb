//! The XDP programs: decide in the kernel which frames the datapath ever sees.
//!
//! What is redirected cannot be given back to the host, so every "not ours" is decided here, and in
//! doubt the host gets the frame. Each run for an interface that has slots counts exactly one [`Reason`].
//!
//! Ownership rules, which every `SAFETY` below names:
//!
//! 1. A frame is the bytes `[position, end)` that the kernel hands over; they stay where they are for as
//!    long as the program runs, since it calls no helper that moves them.
//! 2. A header is read only after `Frame::take` compared its end with `end`. That is also what the
//!    verifier demands: without the comparison the program does not load.
//! 3. Headers are arrays of bytes: any alignment and every bit pattern is good.
//! 4. An interface's entry belongs to one CPU, and XDP runs there with preemption of its own kind switched off. It
//!    stays until the program has run, also when its key is removed (RCU).
#![no_std]
#![no_main]
#![expect(
    clippy::inline_always,
    reason = "one program without calls: the verifier follows a header's bounds through all of it"
)]
#![expect(clippy::needless_pass_by_value, reason = "the xdp macro wants the context by value")]

mod frame;

use aya_ebpf::{
    bindings::{
        BPF_F_NO_PREALLOC, TC_ACT_SHOT,
        xdp_action::{XDP_PASS, XDP_REDIRECT},
    },
    macros::{classifier, map, xdp},
    maps::{HashMap, PerCpuHashMap, XskMap},
    programs::{TcContext, XdpContext},
};
use aya_log_ebpf::debug;
use core::net::Ipv6Addr;
use frame::{Frame, reason};
use weft_ebpf_abi::{ENTRIES_MAX, Nic, PortKey, Reason, SLOTS_MAX, VtepKey};
use weft_wire::classify::classify;

/// Interfaces whose queues have slots, with their counters.
#[map]
static NICS: PerCpuHashMap<u32, Nic> =
    PerCpuHashMap::with_max_entries(SLOTS_MAX, BPF_F_NO_PREALLOC);

/// AF_XDP sockets by slot.
#[map]
static XSKS: XskMap = XskMap::with_max_entries(SLOTS_MAX, 0);

/// The local VTEP addresses of each underlay.
#[map]
static VTEPS: HashMap<VtepKey, u8> = HashMap::with_max_entries(ENTRIES_MAX, BPF_F_NO_PREALLOC);

/// The UDP ports of each underlay where tunnels arrive.
#[map]
static TUNNEL_PORTS: HashMap<PortKey, u8> =
    HashMap::with_max_entries(ENTRIES_MAX, BPF_F_NO_PREALLOC);

/// A bridge port: every frame goes to userspace.
#[xdp]
pub fn weft_port(ctx: XdpContext) -> u32 {
    port(&ctx)
}

/// As [`weft_port`], for packets in several buffers.
#[xdp(frags)]
pub fn weft_port_sg(ctx: XdpContext) -> u32 {
    port(&ctx)
}

/// An underlay NIC: tunnel packets for a local VTEP go to userspace, the host keeps the rest.
#[xdp]
pub fn weft_steer(ctx: XdpContext) -> u32 {
    steer(&ctx)
}

/// As [`weft_steer`], for packets in several buffers (the headers are in the first).
#[xdp(frags)]
pub fn weft_steer_sg(ctx: XdpContext) -> u32 {
    steer(&ctx)
}

/// The peer of a veth in tests: an XDP program there makes the kernel poll it.
#[xdp(frags)]
pub fn weft_pass(_ctx: XdpContext) -> u32 {
    XDP_PASS
}

/// Behind the packet taps of a bridge port, on its tc ingress hook: the host's stack never sees the frame.
#[classifier]
pub fn weft_drop(_ctx: TcContext) -> i32 {
    TC_ACT_SHOT
}

/// The interface that a frame came in by.
#[inline(always)]
fn ifindex(ctx: &XdpContext) -> u32 {
    // SAFETY: the context is the kernel's own for this run (rule 1).
    unsafe { (*ctx.ctx).ingress_ifindex }
}

/// Its entry; `None` for an interface that is not, or no longer, ours.
#[inline(always)]
fn nic(ctx: &XdpContext) -> Option<&'static mut Nic> {
    let entry = NICS.get_ptr_mut(ifindex(ctx))?;
    // SAFETY: the map's own memory, this CPU's alone, and there until the program has run (rule 4).
    Some(unsafe { &mut *entry })
}

/// Redirects what is ours, passes the rest.
#[inline(always)]
fn steer(ctx: &XdpContext) -> u32 {
    let Some(nic) = nic(ctx) else { return XDP_PASS };
    let ifindex = ifindex(ctx);
    let is_tunnel_port =
        |port| TUNNEL_PORTS.get_ptr(PortKey { ifindex, port: u32::from(port) }).is_some();
    let is_vtep =
        |address: Ipv6Addr| VTEPS.get_ptr(VtepKey { ifindex, address: address.octets() }).is_some();
    match classify(&mut Frame::new(ctx), is_tunnel_port, is_vtep) {
        Ok(_) => redirect(ctx, nic),
        Err(not_ours) => finish(ctx, nic, reason(not_ours), XDP_PASS),
    }
}

/// Gives the frame to the socket of its queue, or to the host when there is none.
#[inline(always)]
fn redirect(ctx: &XdpContext, nic: &mut Nic) -> u32 {
    // SAFETY: the context is the kernel's own for this run (rule 1).
    let queue = unsafe { (*ctx.ctx).rx_queue_index };
    // The low bits of the flags are the action for a slot without socket.
    if queue < nic.queues && XSKS.redirect(nic.first + queue, u64::from(XDP_PASS)).is_ok() {
        finish(ctx, nic, Reason::Redirected, XDP_REDIRECT)
    } else {
        finish(ctx, nic, Reason::NoSocket, XDP_PASS)
    }
}

/// A frame of a bridge port.
#[inline(always)]
fn port(ctx: &XdpContext) -> u32 {
    nic(ctx).map_or(XDP_PASS, |nic| redirect(ctx, nic))
}

/// Counts the reason and gives the action back.
#[inline(always)]
fn finish(ctx: &XdpContext, nic: &mut Nic, reason: Reason, action: u32) -> u32 {
    if let Some(counter) = nic.counters.get_mut(reason.index() as usize) {
        *counter += 1;
    }
    // The verifier removes it unless the loader switched it on.
    debug!(ctx, "reason {} action {}", reason.index(), action);
    action
}

/// Nothing here can panic; the compiler wants one all the same, and the linker drops it.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// Helpers that only GPL programs may call need it.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
