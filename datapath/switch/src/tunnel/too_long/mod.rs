//! Inner frames that are too long for their tunnel: fragmented, or their sender is told, where that may
//! be done (standards.md E6).  The slow path: once per path and conversation, and rate-limited.

mod fragment;
mod icmp;

use crate::act::{push_tags, send, send_tunnelled};
use crate::{Datapath, DropReason, FrameBuf, FrameIo, Meta, PortId, Snapshot, TunnelConf};
use weft_wire::{L2, parse_l2};

/// The longest answer or fragment that is made here: an answer quotes less, and a fragment is at most
/// about as long as an underlay of 9000 bytes allows.
const FRAME_MAX_BYTES: usize = 9216;

/// Does what can be done for a frame that was counted as dropped.
pub(crate) fn too_long<I: FrameIo>(
    frame: &I::Frame,
    meta: &Meta,
    port_id: PortId,
    tunnel: &TunnelConf,
    snapshot: &Snapshot,
    datapath: &mut Datapath<I::Frame>,
    io: &mut I,
) {
    let bytes = frame.bytes();
    let Ok(L2 { l3_offset: l2_bytes, .. }) = parse_l2(bytes) else { return };
    let Some(mtu) = tunnel.inner_mtu(l2_bytes) else { return };
    let mut room = [0; FRAME_MAX_BYTES];
    if bytes.get(l2_bytes..).is_some_and(|packet| fragment::may(packet, mtu)) {
        let mtu = mtu.min(u32::try_from(FRAME_MAX_BYTES - l2_bytes).unwrap_or(0));
        let mut next = Some(0);
        while let Some(offset) = next
            && let Some(part) = fragment::part(bytes, l2_bytes, mtu, offset, &mut room)
        {
            if offset == 0 {
                // What is sent now was counted as dropped, whole.
                datapath.counters.take_back_tx_drop(port_id, DropReason::ExceedsMtu);
            }
            next = part.next;
            match room.get(..part.len).and_then(|bytes| io.copy_from(bytes)) {
                Some(part) => send_tunnelled(part, meta, port_id, tunnel, snapshot, datapath, io),
                None => datapath.counters.tx_drop(port_id, DropReason::NoBuffer),
            }
        }
    } else if let Some(len) = icmp::answer(bytes, l2_bytes, mtu, &mut room)
        && let Some(port) = snapshot.port(meta.ingress)
        && datapath.may_answer(meta.ingress)
        && let Some(mut answer) = room.get(..len).and_then(|bytes| io.copy_from(bytes))
    {
        if !push_tags(&mut answer, meta) {
            return io.free(answer);
        }
        // No second answer to the answer, should it not fit either: it is an ICMP error.
        send(answer, meta, meta.ingress, port, snapshot, datapath, io);
    }
}
