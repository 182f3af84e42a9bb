//! Outer headers: a template per tunnel, copied in front of the frame, then patched.
//!
//! ```text
//! Ethernet 14 | IPv4 20 or IPv6 40 | GRE 4 to 16, or UDP 8 and Geneve 8 or VXLAN 8 | inner frame
//!               ^ L3                 ^ l4_at
//! ```
//!
//! Patched are lengths, what is inherited from the inner packet, the UDP source port, the GRE
//! sequence number and checksums.  Everything else, and the sums over it, are worked out when the
//! snapshot is built.  A frame of any length up to 65535 bytes fits, so one that is cut into
//! segments only afterwards could be wrapped the same way.

use super::conf::{Encap, OrInherit};
use super::inner::Inner;
use crate::view::Effects;
use crate::{DropReason, FrameBuf, IfaceId, NextHop, Reach, TunnelConf};
use std::net::IpAddr;
use weft_wire::checksum;
use weft_wire::{EtherType, IpProtocol, geneve, gre, udp, vxlan};

/// Ethernet, IPv6, and UDP with Geneve or GRE with all options: the longest there is.
const TEMPLATE_BYTES: usize = L3 + 40 + 16;
/// Where the L3 header starts in an untagged frame.
const L3: usize = 14;
const IPV4_DF: [u8; 2] = [0x40, 0x00];
const GRE_CSUM: u8 = 0x80;
const GRE_KEY: u8 = 0x20;
const GRE_SEQUENCE: u8 = 0x10;
/// What is sent when there is no TTL to inherit.
const TTL_DEFAULT: u8 = 64;

/// What follows the outer IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Udp,
    Gre { has_sequence: bool },
}

/// The outer headers of one tunnel with one next hop.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    bytes: [u8; TEMPLATE_BYTES],
    /// 0 without a next hop.
    len: u8,
    is_ipv4: bool,
    carrier: Carrier,
    /// IPv4 without DF: packets have an identification.
    is_numbered: bool,
    /// UDP source ports: the first, and how many.
    source_ports: (u16, u16),
    tos: OrInherit,
    ttl: OrInherit,
    /// IPv4: the header's sum with length, and what is inherited, as zero.
    ip_sum: u32,
    /// A checksum is wanted: the sum of what it covers of the template, with lengths, ports and
    /// sequence number as zero.
    covered_sum: Option<u32>,
    /// The internal interface by which the packets enter its bridge, when that is the way; else they
    /// leave by the link of the next hop.
    pub(crate) enters: Option<IfaceId>,
}

impl Default for Template {
    fn default() -> Self {
        Self {
            bytes: [0; TEMPLATE_BYTES],
            len: 0,
            is_ipv4: true,
            carrier: Carrier::Gre { has_sequence: false },
            is_numbered: false,
            source_ports: (0, 1),
            tos: OrInherit::Value(0),
            ttl: OrInherit::Value(TTL_DEFAULT),
            ip_sum: 0,
            covered_sum: None,
            enters: None,
        }
    }
}

/// Appends to a template; what does not fit is a mistake in `TEMPLATE_BYTES`.
struct Writer {
    bytes: [u8; TEMPLATE_BYTES],
    len: usize,
}

impl Writer {
    fn put(&mut self, part: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.len..self.len + part.len()) {
            room.copy_from_slice(part);
        }
        debug_assert!(self.len + part.len() <= TEMPLATE_BYTES, "template too long");
        self.len += part.len();
    }

    fn from(&self, at: usize) -> &[u8] {
        self.bytes.get(at..self.len).unwrap_or(&[])
    }
}

/// What one frame has of its own in the outer headers.
struct Patch {
    /// Length of the outer IP packet.
    ip_bytes: u16,
    /// TOS bits to set: ECN, and DSCP where it is inherited.
    tos: u8,
    /// TTL where it is inherited, else 0.
    ttl: u8,
    /// IPv4: identification.
    id: u16,
    source_port: u16,
    sequence: u32,
    inner_sum: Option<u64>,
}

impl Template {
    /// The template of a tunnel; empty while it has no next hop.
    pub(crate) fn new(tunnel: &TunnelConf) -> Self {
        let (Reach::Ready(next_hop), Some(remote)) = (tunnel.reach, tunnel.remote) else {
            return Self::default();
        };
        let mut out = Writer { bytes: [0; TEMPLATE_BYTES], len: 0 };
        out.put(&next_hop.target_mac.0);
        out.put(&next_hop.source_mac.0);
        let is_ipv4 = ip_header(&mut out, tunnel, &next_hop, remote);
        let ip_sum = if is_ipv4 { sum(out.from(L3)) } else { 0 };
        let l4_at = out.len;
        let addresses = checksum::sum(out.from(l4_at - if is_ipv4 { 8 } else { 32 }));
        match tunnel.encap {
            Encap::Gre => gre_header(&mut out, tunnel),
            Encap::Geneve { udp_port } | Encap::Vxlan { udp_port } => {
                udp_header(&mut out, tunnel, udp_port);
            }
        }
        let is_udp = tunnel.encap != Encap::Gre;
        let pseudo = if is_udp { addresses + u64::from(IpProtocol::UDP.get()) } else { 0 };
        let covered = u64::from(sum(out.from(l4_at))) + pseudo;
        let (first, last) = tunnel.source_ports;
        Self {
            bytes: out.bytes,
            len: u8::try_from(out.len).unwrap_or(0),
            is_ipv4,
            carrier: if is_udp {
                Carrier::Udp
            } else {
                Carrier::Gre { has_sequence: tunnel.has_sequence }
            },
            is_numbered: is_ipv4 && !tunnel.df,
            source_ports: (first, last.saturating_sub(first).saturating_add(1)),
            tos: tunnel.tos,
            ttl: tunnel.ttl,
            ip_sum,
            covered_sum: tunnel.sends_checksum().then(|| u32::from(checksum::fold(covered))),
            enters: None,
        }
    }

    /// Puts the outer headers in front of an inner frame of the tunnel `iface`.  `effects` draws the numbers in them.
    ///
    /// # Errors
    ///
    /// [`DropReason::ExceedsMtu`] when the outer IP packet would be longer than `mtu`,
    /// [`DropReason::NoHeadroom`]; the frame is unchanged then.
    pub(crate) fn push<E: Effects>(
        &self,
        frame: &mut E::Frame,
        iface: IfaceId,
        mtu: u32,
        effects: &mut E,
    ) -> Result<(), DropReason> {
        let len = usize::from(self.len);
        let inner = frame.bytes();
        let ip_bytes = len - L3 + inner.len();
        if ip_bytes > mtu as usize {
            return Err(DropReason::ExceedsMtu);
        }
        let ip_bytes = u16::try_from(ip_bytes).map_err(|_| DropReason::ExceedsMtu)?;
        let mut patch = self.patch(inner, ip_bytes);
        let front = frame.prepend(len).ok_or(DropReason::NoHeadroom)?;
        if self.is_numbered {
            patch.id = effects.identification();
        }
        if let Some(template) = self.bytes.get(..len) {
            front.copy_from_slice(template);
        }
        if self.is_ipv4 {
            self.patch_ipv4(front, &patch);
        } else {
            self.patch_ipv6(front, &patch);
        }
        if self.carrier == (Carrier::Gre { has_sequence: true }) {
            // Drawn when nothing can go wrong any more, so that none is missing.
            patch.sequence = effects.sequence(iface);
        }
        let l4_at = L3 + if self.is_ipv4 { 20 } else { 40 };
        if let Some(header) = front.get_mut(l4_at..) {
            if self.carrier == Carrier::Udp {
                self.patch_udp(header, &patch);
            } else {
                self.patch_gre(header, &patch);
            }
        }
        Ok(())
    }

    #[inline]
    fn patch(&self, frame: &[u8], ip_bytes: u16) -> Patch {
        let inner = Inner::read(frame);
        let tos = inner.tos().unwrap_or(0);
        let ttl = match self.ttl {
            OrInherit::Value(_) => 0,
            // A packet whose time is up must not leave with 0 (RFC 1122 section 3.2.1.7).
            OrInherit::Inherit => inner.ttl().unwrap_or(TTL_DEFAULT).max(1),
        };
        let source_port = if self.carrier == Carrier::Udp {
            let (first, count) = self.source_ports;
            let [_, _, high, low] =
                (((u64::from(inner.flow_hash()) * u64::from(count)) >> 32) as u32).to_be_bytes();
            first + u16::from_be_bytes([high, low])
        } else {
            0
        };
        Patch {
            ip_bytes,
            tos: if self.tos == OrInherit::Inherit { tos } else { tos & 3 },
            ttl,
            id: 0,
            source_port,
            sequence: 0,
            inner_sum: self.covered_sum.map(|_| inner.frame_sum(frame)),
        }
    }

    /// A byte of the L3 header, which is put together with what is inherited.  Not read back from the
    /// frame: what was just written may still wait for its cache line.
    fn l3_byte(&self, at: usize) -> u8 {
        self.bytes.get(L3 + at).copied().unwrap_or(0)
    }

    fn patch_ipv4(&self, front: &mut [u8], patch: &Patch) {
        if let Some([_, tos, len_hi, len_lo, id_hi, id_lo, _, _, ttl, _, sum_hi, sum_lo]) =
            front.get_mut(L3..).and_then(<[u8]>::first_chunk_mut)
        {
            *tos = self.l3_byte(1) | patch.tos;
            *ttl = self.l3_byte(8) | patch.ttl;
            [*len_hi, *len_lo] = patch.ip_bytes.to_be_bytes();
            [*id_hi, *id_lo] = patch.id.to_be_bytes();
            let sum = u64::from(self.ip_sum)
                + u64::from(patch.ip_bytes)
                + u64::from(patch.id)
                + u64::from(patch.tos)
                + (u64::from(patch.ttl) << 8);
            [*sum_hi, *sum_lo] = checksum::finish(sum).to_be_bytes();
        }
    }

    fn patch_ipv6(&self, front: &mut [u8], patch: &Patch) {
        if let Some([class_hi, class_lo, _, _, len_hi, len_lo, _, hops]) =
            front.get_mut(L3..).and_then(<[u8]>::first_chunk_mut)
        {
            // The traffic class straddles the first two bytes.
            *class_hi = self.l3_byte(0) | patch.tos >> 4;
            *class_lo = self.l3_byte(1) | patch.tos << 4;
            [*len_hi, *len_lo] = patch.ip_bytes.saturating_sub(40).to_be_bytes();
            *hops = self.l3_byte(7) | patch.ttl;
        }
    }

    fn patch_udp(&self, header: &mut [u8], patch: &Patch) {
        let ip_header_bytes = if self.is_ipv4 { 20 } else { 40 };
        let udp_bytes = patch.ip_bytes.saturating_sub(ip_header_bytes);
        if let Some([src_hi, src_lo, _, _, len_hi, len_lo, sum_hi, sum_lo]) =
            header.first_chunk_mut()
        {
            [*src_hi, *src_lo] = patch.source_port.to_be_bytes();
            [*len_hi, *len_lo] = udp_bytes.to_be_bytes();
            if let (Some(covered), Some(inner)) = (self.covered_sum, patch.inner_sum) {
                // The length is in the pseudo-header as well.
                let own = u64::from(patch.source_port) + 2 * u64::from(udp_bytes);
                let sum = u64::from(covered) + own + inner;
                [*sum_hi, *sum_lo] = checksum::finish_udp(sum).to_be_bytes();
            }
        }
    }

    fn patch_gre(&self, header: &mut [u8], patch: &Patch) {
        if self.carrier == (Carrier::Gre { has_sequence: true })
            && let Some(field) = header.last_chunk_mut()
        {
            *field = patch.sequence.to_be_bytes();
        }
        if let (Some(covered), Some(inner)) = (self.covered_sum, patch.inner_sum)
            && let Some([_, _, _, _, sum_hi, sum_lo]) = header.first_chunk_mut()
        {
            let sum = u64::from(covered) + u64::from(patch.sequence) + inner;
            [*sum_hi, *sum_lo] = checksum::finish(sum).to_be_bytes();
        }
    }
}

fn sum(bytes: &[u8]) -> u32 {
    u32::from(checksum::fold(checksum::sum(bytes)))
}

/// The outer IP header with lengths and checksum as zero; true when it is IPv4.
fn ip_header(out: &mut Writer, tunnel: &TunnelConf, hop: &NextHop, remote: IpAddr) -> bool {
    let tos = if let OrInherit::Value(tos) = tunnel.tos { tos & 0xfc } else { 0 };
    let ttl = if let OrInherit::Value(ttl) = tunnel.ttl { ttl } else { 0 };
    let protocol = if tunnel.encap == Encap::Gre { IpProtocol::GRE } else { IpProtocol::UDP };
    match (hop.source, remote) {
        (IpAddr::V4(source), IpAddr::V4(remote)) => {
            out.put(&EtherType::IPV4.0.to_be_bytes());
            out.put(&[0x45, tos, 0, 0, 0, 0]);
            out.put(if tunnel.df { &IPV4_DF } else { &[0, 0] });
            out.put(&[ttl, protocol.get(), 0, 0]);
            out.put(&source.octets());
            out.put(&remote.octets());
            true
        }
        (source, remote) => {
            out.put(&EtherType::IPV6.0.to_be_bytes());
            out.put(&[0x60 | tos >> 4, tos << 4, 0, 0, 0, 0, protocol.get(), ttl]);
            out.put(&to_v6(source));
            out.put(&to_v6(remote));
            false
        }
    }
}

fn to_v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// RFC 2784 and 2890, with checksum and sequence number as zero.
fn gre_header(out: &mut Writer, tunnel: &TunnelConf) {
    let bit = |is_on: bool, bit: u8| if is_on { bit } else { 0 };
    let csum = tunnel.sends_checksum();
    let flags = bit(csum, GRE_CSUM)
        | bit(tunnel.out_key.is_some(), GRE_KEY)
        | bit(tunnel.has_sequence, GRE_SEQUENCE);
    out.put(&[flags, 0]);
    out.put(&EtherType::TEB.0.to_be_bytes());
    if csum {
        out.put(&[0; 4]);
    }
    if let Some(key) = tunnel.out_key {
        out.put(&key.to_be_bytes());
    }
    if tunnel.has_sequence {
        out.put(&[0; 4]);
    }
    debug_assert!(out.len <= L3 + 40 + gre::LEN_MAX_BYTES);
}

/// UDP with source port, length and checksum as zero, and Geneve (RFC 8926) or VXLAN (RFC 7348).
fn udp_header(out: &mut Writer, tunnel: &TunnelConf, udp_port: u16) {
    let [high, low] = udp_port.to_be_bytes();
    out.put(&[0, 0, high, low, 0, 0, 0, 0]);
    let [_, v1, v2, v3] = tunnel.out_key.unwrap_or(0).to_be_bytes();
    let [proto_hi, proto_lo] = EtherType::TEB.0.to_be_bytes();
    out.put(&match tunnel.encap {
        Encap::Geneve { .. } => [0, 0, proto_hi, proto_lo, v1, v2, v3, 0],
        _ => [vxlan::HAS_VNI, 0, 0, 0, v1, v2, v3, 0],
    });
    const { assert!(udp::LEN_BYTES + geneve::LEN_BYTES == 16 && vxlan::LEN_BYTES == 8) };
}
