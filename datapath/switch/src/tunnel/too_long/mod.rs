//! Inner frames that are too long for their tunnel: fragmented, or their sender is told, where that may
//! be done (standards.md E6).  The slow path: once per path and conversation, and rate-limited.

mod fragment;
mod icmp;

use crate::act::{push_tags, send, send_tunnelled};
use crate::pass::Pass;
use crate::trace::Event;
use crate::view::Effects;
use crate::{DropReason, FrameBuf, IfaceId, Meta, TunnelConf};
use weft_wire::{L2, parse_l2};

/// The longest answer or fragment that is made here: an answer quotes less, and a fragment is at most
/// about as long as an underlay of 9000 bytes allows.
const FRAME_MAX_BYTES: usize = 9216;

/// An inner frame that is too long.
struct Oversized<'a> {
    bytes: &'a [u8],
    /// Of its Ethernet header and tags.
    l2_bytes: usize,
    /// The largest L3 packet behind so long a header.
    mtu: u32,
}

impl<'a> Oversized<'a> {
    /// None when its headers cannot be read.
    fn read(bytes: &'a [u8], tunnel: &TunnelConf) -> Option<Self> {
        let L2 { l3_offset: l2_bytes, .. } = parse_l2(bytes).ok()?;
        Some(Self { bytes, l2_bytes, mtu: tunnel.inner_mtu(l2_bytes)? })
    }

    fn may_be_cut(&self) -> bool {
        self.bytes.get(self.l2_bytes..).is_some_and(|packet| fragment::may(packet, self.mtu))
    }
}

/// Sends a frame that does not fit into its tunnel in fragments, or drops it and answers.
pub(crate) fn too_long<E: Effects>(
    frame: E::Frame,
    meta: &Meta,
    iface: IfaceId,
    tunnel: &TunnelConf,
    pass: &mut Pass<'_, E>,
) {
    match Oversized::read(frame.bytes(), tunnel) {
        Some(whole) if whole.may_be_cut() => {
            if !in_fragments(&whole, meta, iface, tunnel, pass) {
                pass.effects.tx_drop(iface, DropReason::ExceedsMtu);
            }
        }
        whole => {
            pass.effects.tx_drop(iface, DropReason::ExceedsMtu);
            if let Some(whole) = &whole {
                answer(whole, meta, pass);
            }
        }
    }
    pass.effects.free(frame);
}

/// Sends a frame in fragments; false, and nothing sent, when it cannot be cut.
fn in_fragments<E: Effects>(
    whole: &Oversized<'_>,
    meta: &Meta,
    iface: IfaceId,
    tunnel: &TunnelConf,
    pass: &mut Pass<'_, E>,
) -> bool {
    let Oversized { bytes, l2_bytes, mtu } = *whole;
    let mtu = mtu.min(u32::try_from(FRAME_MAX_BYTES - l2_bytes).unwrap_or(0));
    let mut room = [0; FRAME_MAX_BYTES];
    let mut next = Some(0);
    let mut is_cut = false;
    while let Some(offset) = next
        && let Some(part) = fragment::part(bytes, l2_bytes, mtu, offset, &mut room)
    {
        if !is_cut {
            is_cut = true;
            pass.effects.note(|| Event::Fragmented(iface));
        }
        next = part.next;
        match room.get(..part.len).and_then(|bytes| pass.effects.copy_from(bytes)) {
            Some(part) => send_tunnelled(part, meta, iface, tunnel, pass),
            None => pass.effects.tx_drop(iface, DropReason::NoBuffer),
        }
    }
    is_cut
}

/// Tells the sender of a frame how long it may be, where it came in.
fn answer<E: Effects>(whole: &Oversized<'_>, meta: &Meta, pass: &mut Pass<'_, E>) {
    let mut room = [0; FRAME_MAX_BYTES];
    if let Some(len) = icmp::answer(whole.bytes, whole.l2_bytes, whole.mtu, &mut room)
        && let Some(port) = pass.snapshot.port(meta.ingress.port)
        && pass.effects.may_answer(meta.ingress.port, pass.now)
        && let Some(mut answer) = room.get(..len).and_then(|bytes| pass.effects.copy_from(bytes))
    {
        if !push_tags(&mut answer, meta) {
            return pass.effects.free(answer);
        }
        // No second answer to the answer, should it not fit either: it is an ICMP error.
        send(answer, meta, port, pass);
    }
}
