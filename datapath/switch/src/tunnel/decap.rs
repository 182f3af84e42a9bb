//! Underlay packets: off with the outer headers, each check with its drop reason.

use super::outer::{self, Outer};
use crate::frame::l2;
use crate::pass::Pass;
use crate::view::Effects;
use crate::{Batch, Csum, DropReason, FrameBuf, IfaceId, Ingress, Meta, Snapshot};
use weft_wire::checksum::{self, partial};
use weft_wire::{EtherType, ethernet, parse_l2};

/// ECN codepoints, RFC 3168 section 5.
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// Strips the outer headers of every frame of an underlay link, and reads the L2 header of what
/// was inside.  A frame that no tunnel takes is dropped: the XDP program let it through because it
/// is addressed to a VTEP, and it cannot be given back to the kernel.
pub(crate) fn decap<E: Effects>(
    batch: &mut Batch<E::Frame>,
    completes: bool,
    pass: &mut Pass<'_, E>,
) {
    let Batch { frames, metas } = batch;
    metas.extend(frames.iter_mut().map(|frame| match strip(frame, completes, pass) {
        Ok(tunnel) => l2(frame.bytes(), pass.snapshot.ingress(tunnel)),
        Err(reason) => Meta::dropped(Ingress::NONE, reason),
    }));
}

/// Leaves the inner frame in `frame`, and says which tunnel it came in by.
#[inline]
pub(crate) fn strip<E: Effects>(
    frame: &mut E::Frame,
    completes: bool,
    pass: &mut Pass<'_, E>,
) -> Result<IfaceId, DropReason> {
    let Inner { iface, at, bytes, lacks_checksum } =
        open(frame.bytes_mut(), pass.snapshot, completes)?;
    if !frame.trim_front(at) {
        return Err(DropReason::IpTruncated);
    }
    // Padding of the underlay ends here.
    frame.truncate(bytes);
    if lacks_checksum {
        pass.effects.took_udp6_zero(iface);
    }
    Ok(iface)
}

/// The inner frame of an underlay packet.
struct Inner {
    /// The tunnel it came in by.
    iface: IfaceId,
    /// Where in the packet it starts.
    at: usize,
    /// How long it is.
    bytes: usize,
    /// The packet was UDP over IPv6 without a checksum.
    lacks_checksum: bool,
}

/// Reads and checks the outer headers of an underlay packet, and finishes the inner frame in its place.
///
/// It takes bytes, and neither frames nor effects: there is one copy of it for live frames and for traces.  With
/// two the compiler puts the parser and the look-up of the tunnel into neither, and a small frame costs 1.2 times
/// as many cycles.
fn open(packet: &mut [u8], snapshot: &Snapshot, completes: bool) -> Result<Inner, DropReason> {
    let outer = outer::read(packet, &snapshot.tunnels)?;
    let iface = snapshot.tunnels.find(outer.key)?;
    if outer.lacks_checksum && !accepts_no_checksum(snapshot, iface) {
        return Err(DropReason::Udp6Zero);
    }
    if let Some(geneve) = &outer.geneve {
        // No flow table knows any option yet.
        geneve.refuse_critical(|_| false).map_err(|_| DropReason::GeneveCritical)?;
    }
    if outer.inner_bytes < ethernet::LEN_BYTES {
        return Err(DropReason::InnerShort);
    }
    let Outer { inner_at: at, inner_bytes: bytes, ecn, check, lacks_checksum, .. } = outer;
    if let Some(check) = check {
        check.verify(packet, at, completes)?;
    }
    let inner = packet.get_mut(at..at + bytes).ok_or(DropReason::IpTruncated)?;
    if ecn != 0 {
        combine_ecn(inner, ecn)?;
    }
    if completes {
        // Whether there was one to complete makes no difference.
        let _ = partial::complete(inner);
    }
    if snapshot.tunnels.clamps_mss()
        && let Some(tunnel) = snapshot.tunnel(iface)
    {
        tunnel.clamp_mss(inner);
    }
    Ok(Inner { iface, at, bytes, lacks_checksum })
}

/// True for a tunnel that takes UDP over IPv6 without a checksum.  RFC 6936 section 5 wants that
/// to be configured for each pair of ends (rules 5 and 6), and whoever names a tunnel's remote end
/// does so; from any other end it must be asked for.
fn accepts_no_checksum(snapshot: &Snapshot, iface: IfaceId) -> bool {
    let tunnel = snapshot.tunnel(iface);
    tunnel.is_some_and(|tunnel| tunnel.remote.is_some() || tunnel.csum == Csum::Off)
}

/// RFC 6040 section 4.2: what the underlay marked goes into the inner packet.
fn combine_ecn(inner: &mut [u8], outer: u8) -> Result<(), DropReason> {
    let Ok(l2) = parse_l2(inner) else { return Ok(()) };
    let Some(packet) = inner.get_mut(l2.l3_offset..) else { return Ok(()) };
    let (is_ipv4, was) = match (l2.ethertype, packet.first_chunk()) {
        (EtherType::IPV4, Some(&[_, tos])) => (true, tos & 3),
        (EtherType::IPV6, Some(&[_, class])) => (false, class >> 4 & 3),
        _ => return Ok(()),
    };
    let becomes = match (was, outer) {
        (0, CE) => return Err(DropReason::Ecn),
        (ECT_0 | ECT_1, CE) => CE,
        (ECT_0, ECT_1) => ECT_1,
        _ => return Ok(()),
    };
    if is_ipv4 {
        set_ipv4_ecn(packet, becomes);
    } else if let Some(class) = packet.get_mut(1) {
        *class = *class & 0xcf | becomes << 4;
    }
    Ok(())
}

fn set_ipv4_ecn(packet: &mut [u8], ecn: u8) {
    let Some([version, tos, _, _, _, _, _, _, _, _, sum @ ..]) = packet.first_chunk_mut::<12>()
    else {
        return;
    };
    let before = u16::from_be_bytes([*version, *tos]);
    *tos = *tos & 0xfc | ecn;
    let after = u16::from_be_bytes([*version, *tos]);
    *sum = checksum::update_u16(u16::from_be_bytes(*sum), before, after).to_be_bytes();
}
