//! Underlay packets: off with the outer headers, each check with its drop reason.

use super::parse::l2;
use crate::{Batch, DropReason, FrameBuf, Meta, PortId, Snapshot, TunnelKey};
use std::net::IpAddr;
use weft_wire::checksum::{self, partial};
use weft_wire::gre::Gre;
use weft_wire::ipv4::{Ipv4Header, verify_checksum};
use weft_wire::ipv6::Ipv6Header;
use weft_wire::{EtherType, IpProtocol, ParseError, ethernet, parse_l2};

/// ECN codepoints, RFC 3168 section 5.
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// Strips the outer headers of every frame of an underlay link, and reads the L2 header of what
/// was inside.  A frame that no tunnel takes is dropped: the XDP program let it through because it
/// is addressed to a VTEP, and it cannot be given back to the kernel.
pub(crate) fn decap<F: FrameBuf>(batch: &mut Batch<F>, snapshot: &Snapshot, completes: bool) {
    let Batch { frames, metas } = batch;
    metas.extend(frames.iter_mut().map(|frame| match strip(frame, snapshot, completes) {
        Ok(port) => l2(frame.bytes(), port),
        Err(reason) => Meta::dropped(Meta::NO_PORT, reason),
    }));
}

/// The outer headers, read.
struct Outer {
    key: TunnelKey,
    /// Where the inner frame is.
    inner_at: usize,
    inner_bytes: usize,
    ecn: u8,
}

/// Leaves the inner frame in `frame`, and says which tunnel port it came in on.
fn strip<F: FrameBuf>(
    frame: &mut F,
    snapshot: &Snapshot,
    completes: bool,
) -> Result<PortId, DropReason> {
    let outer = read(frame.bytes())?;
    let port = snapshot.tunnels.find(outer.key)?;
    if outer.inner_bytes < ethernet::LEN_BYTES {
        return Err(DropReason::InnerShort);
    }
    if !frame.trim_front(outer.inner_at) {
        return Err(DropReason::IpTruncated);
    }
    // Padding of the underlay ends here.
    frame.truncate(outer.inner_bytes);
    if outer.ecn != 0 {
        combine_ecn(frame.bytes_mut(), outer.ecn)?;
    }
    if completes {
        // Whether there was one to complete makes no difference.
        let _ = partial::complete(frame.bytes_mut());
    }
    Ok(port)
}

fn read(bytes: &[u8]) -> Result<Outer, DropReason> {
    let outer = parse_l2(bytes).map_err(|_| DropReason::Truncated)?;
    let packet = bytes.get(outer.l3_offset..).ok_or(DropReason::Truncated)?;
    match outer.ethertype {
        EtherType::IPV4 => read_ipv4(packet, outer.l3_offset),
        EtherType::IPV6 => read_ipv6(packet, outer.l3_offset),
        _ => Err(DropReason::NotTunnel),
    }
}

fn read_ipv4(packet: &[u8], l3_offset: usize) -> Result<Outer, DropReason> {
    let (ip, payload) = Ipv4Header::parse(packet).map_err(|error| match error {
        ParseError::Truncated { .. } => DropReason::IpTruncated,
        _ => DropReason::BadIhl,
    })?;
    verify_checksum(packet).map_err(|_| DropReason::IpChecksum)?;
    if ip.is_fragment() {
        return Err(DropReason::OuterFragment);
    }
    let (local, remote) = (IpAddr::V4(ip.target()), IpAddr::V4(ip.source()));
    let at = l3_offset + ip.header_len_bytes();
    read_payload(ip.protocol, payload, local, remote, at, ip.tos & 3)
}

fn read_ipv6(packet: &[u8], l3_offset: usize) -> Result<Outer, DropReason> {
    let (ip, payload) = Ipv6Header::parse(packet).map_err(|_| DropReason::IpTruncated)?;
    let walk = ip.walk(payload).map_err(|_| DropReason::IpTruncated)?;
    if walk.is_fragment() {
        return Err(DropReason::OuterFragment);
    }
    let (local, remote) = (IpAddr::V6(ip.target()), IpAddr::V6(ip.source()));
    let at = l3_offset + 40 + (payload.len() - walk.payload.len());
    read_payload(walk.protocol, walk.payload, local, remote, at, ip.traffic_class() & 3)
}

/// RFC 2784 and 2890; standards.md E2.
fn read_payload(
    protocol: IpProtocol,
    payload: &[u8],
    local: IpAddr,
    remote: IpAddr,
    at: usize,
    ecn: u8,
) -> Result<Outer, DropReason> {
    if protocol != IpProtocol::GRE {
        return Err(DropReason::NotTunnel);
    }
    let (gre, inner) = Gre::parse(payload).map_err(|error| match error {
        ParseError::GreVersion { .. } => DropReason::GreVersion,
        ParseError::GreFlags { .. } => DropReason::GreFlags,
        _ => DropReason::GreShort,
    })?;
    gre.verify_checksum(payload).map_err(|_| DropReason::GreChecksum)?;
    if gre.protocol != EtherType::TEB {
        return Err(DropReason::GreProtocol);
    }
    Ok(Outer {
        key: TunnelKey { local, remote, key: gre.key },
        inner_at: at + gre.header_len_bytes(),
        inner_bytes: inner.len(),
        ecn,
    })
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
