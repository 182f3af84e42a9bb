//! The XDP programs: decide in the kernel which frames the datapath ever sees.
//!
//! What is redirected cannot be given back to the host, so every "not ours" is decided here, and in
//! doubt the host gets the frame. Each run counts exactly one [`Reason`].
//!
//! Ownership rules, which every `SAFETY` below names:
//!
//! 1. A frame is the bytes `[position, end)` that the kernel hands over; they stay where they are for as
//!    long as the program runs, since it calls no helper that moves them.
//! 2. A header is read only after `Frame::take` compared its end with `end`. That is also what the
//!    verifier demands: without the comparison the program does not load.
//! 3. Headers are arrays of bytes: any alignment and every bit pattern is good.
//! 4. A counter belongs to one CPU, and XDP runs there with preemption of its own kind switched off.
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
        TC_ACT_SHOT,
        xdp_action::{XDP_PASS, XDP_REDIRECT},
    },
    macros::{classifier, map, xdp},
    maps::{Array, HashMap, PerCpuArray, XskMap},
    programs::{TcContext, XdpContext},
};
use aya_log_ebpf::debug;
use core::net::Ipv6Addr;
use frame::{Frame, reason};
use weft_ebpf_abi::{PORT_WORDS, QUEUES_MAX, Reason, VTEPS_ENTRIES, VtepKey, port_bit};
use weft_wire::classify::classify;

/// AF_XDP sockets by RX queue.
#[map]
static XSKS: XskMap = XskMap::with_max_entries(QUEUES_MAX, 0);

/// The local VTEP addresses.
#[map]
static VTEPS: HashMap<VtepKey, u8> = HashMap::with_max_entries(VTEPS_ENTRIES, 0);

/// One bit for each UDP port, set where tunnels arrive: an array look-up is inlined by the verifier, so
/// the host's own UDP pays no hash for being looked at.
#[map]
static TUNNEL_PORTS: Array<u64> = Array::with_max_entries(PORT_WORDS, 0);

/// Frames by [`Reason`].
#[map]
static STATS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Reason::COUNT, 0);

/// A bridge port: every frame goes to userspace.
#[xdp]
pub fn weft_port(ctx: XdpContext) -> u32 {
    redirect(&ctx)
}

/// As [`weft_port`], for packets in several buffers.
#[xdp(frags)]
pub fn weft_port_sg(ctx: XdpContext) -> u32 {
    redirect(&ctx)
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

/// Redirects what is ours, passes the rest.
#[inline(always)]
fn steer(ctx: &XdpContext) -> u32 {
    match classify(&mut Frame::new(ctx), is_tunnel_port, is_vtep) {
        Ok(_) => redirect(ctx),
        Err(not_ours) => finish(ctx, reason(not_ours), XDP_PASS),
    }
}

/// Gives the frame to the socket of its queue, or to the host when there is none.
#[inline(always)]
fn redirect(ctx: &XdpContext) -> u32 {
    // SAFETY: the context is the kernel's own for this run (rule 1).
    let queue = unsafe { (*ctx.ctx).rx_queue_index };
    // The low bits of the flags are the action for a slot without socket.
    match XSKS.redirect(queue, u64::from(XDP_PASS)) {
        Ok(_) => finish(ctx, Reason::Redirected, XDP_REDIRECT),
        Err(_) => finish(ctx, Reason::NoSocket, XDP_PASS),
    }
}

/// Counts the reason and gives the action back.
#[inline(always)]
fn finish(ctx: &XdpContext, reason: Reason, action: u32) -> u32 {
    if let Some(counter) = STATS.get_ptr_mut(reason.index()) {
        // SAFETY: the map's own memory, and this CPU's alone (rule 4).
        unsafe { *counter += 1 };
    }
    // The verifier removes it unless the loader switched it on.
    debug!(ctx, "reason {} action {}", reason.index(), action);
    action
}

/// Whether tunnels arrive at this UDP port (host order).
#[inline(always)]
fn is_tunnel_port(port: u16) -> bool {
    let (word, bit) = port_bit(port);
    TUNNEL_PORTS.get(word).is_some_and(|bits| bits & bit != 0)
}

/// Whether the address is a VTEP of ours.
#[inline(always)]
fn is_vtep(address: Ipv6Addr) -> bool {
    VTEPS.get_ptr(VtepKey(address.octets())).is_some()
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
