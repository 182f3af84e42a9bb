//! Outer headers: a template per tunnel, copied in front of the frame, then patched.

use crate::{DropReason, FrameBuf, NextHop, Reach, TunnelConf};
use std::net::IpAddr;
use weft_wire::checksum;

/// Ethernet, IPv6 and GRE with key and checksum: the longest there is.
const TEMPLATE_BYTES: usize = 14 + 40 + 12;

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const PROTOCOL_GRE: u8 = 47;
/// Transparent Ethernet bridging, RFC 1701.
const GRE_PROTOCOL_TEB: [u8; 2] = [0x65, 0x58];
const GRE_CSUM: u8 = 0x80;
const GRE_KEY: u8 = 0x20;
const IPV4_DF: [u8; 2] = [0x40, 0x00];
/// Where the L3 header starts in an untagged frame.
const L3: usize = 14;

/// The outer headers of one tunnel with one next hop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Template {
    bytes: [u8; TEMPLATE_BYTES],
    len: u8,
    is_ipv4: bool,
    /// IPv4: the header's sum with length and ECN as zero.
    ip_sum: u32,
    /// GRE checksum wanted: the sum of the GRE header.
    gre_sum: Option<u32>,
}

impl Default for Template {
    fn default() -> Self {
        Self { bytes: [0; TEMPLATE_BYTES], len: 0, is_ipv4: true, ip_sum: 0, gre_sum: None }
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

impl Template {
    /// The template of a tunnel; empty while it has no next hop.
    pub(crate) fn new(tunnel: &TunnelConf) -> Self {
        let Reach::Ready(next_hop) = tunnel.reach else { return Self::default() };
        let mut out = Writer { bytes: [0; TEMPLATE_BYTES], len: 0 };
        out.put(&next_hop.target_mac.0);
        out.put(&next_hop.source_mac.0);
        let is_ipv4 = ip_header(&mut out, tunnel, &next_hop);
        let ip_sum = if is_ipv4 { sum(out.from(L3)) } else { 0 };
        let gre_at = out.len;
        gre_header(&mut out, tunnel);
        let gre_sum = tunnel.gre.csum.then(|| sum(out.from(gre_at)));
        let len = u8::try_from(out.len).unwrap_or(0);
        Self { bytes: out.bytes, len, is_ipv4, ip_sum, gre_sum }
    }

    /// Puts the outer headers in front of an inner frame.
    ///
    /// # Errors
    ///
    /// [`DropReason::ExceedsMtu`] when the outer IP packet would be longer than `mtu`,
    /// [`DropReason::NoHeadroom`]; the frame is unchanged then.
    pub(crate) fn push<F: FrameBuf>(&self, frame: &mut F, mtu: u32) -> Result<(), DropReason> {
        let len = usize::from(self.len);
        let inner = frame.bytes();
        let ip_bytes = len - L3 + inner.len();
        let ip_length = u16::try_from(ip_bytes).map_err(|_| DropReason::ExceedsMtu)?;
        if ip_bytes > mtu as usize {
            return Err(DropReason::ExceedsMtu);
        }
        let ecn = inner_ecn(inner);
        let gre_sum = self.gre_sum.map(|header| u64::from(header) + u64::from(sum(inner)));
        let front = frame.prepend(len).ok_or(DropReason::NoHeadroom)?;
        if let Some(template) = self.bytes.get(..len) {
            front.copy_from_slice(template);
        }
        if self.is_ipv4 {
            self.patch_ipv4(front, ip_length, ecn);
        } else {
            patch_ipv6(front, ip_length - 40, ecn);
        }
        if let Some(gre_sum) = gre_sum {
            let at = L3 + if self.is_ipv4 { 20 } else { 40 } + 4;
            put_u16(front, at, !checksum::fold(gre_sum));
        }
        Ok(())
    }

    fn patch_ipv4(&self, front: &mut [u8], total_length: u16, ecn: u8) {
        if let Some(tos) = front.get_mut(L3 + 1) {
            *tos |= ecn;
        }
        put_u16(front, L3 + 2, total_length);
        let sum = u64::from(self.ip_sum) + u64::from(total_length) + u64::from(ecn);
        put_u16(front, L3 + 10, !checksum::fold(sum));
    }
}

fn patch_ipv6(front: &mut [u8], payload_length: u16, ecn: u8) {
    // The traffic class straddles the first two bytes: ECN is bits 5 and 4 of the second.
    if let Some(class) = front.get_mut(L3 + 1) {
        *class |= ecn << 4;
    }
    put_u16(front, L3 + 4, payload_length);
}

fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

fn sum(bytes: &[u8]) -> u32 {
    u32::from(checksum::fold(checksum::sum(bytes)))
}

/// The outer IP header with lengths and checksum as zero; true when it is IPv4.
fn ip_header(out: &mut Writer, tunnel: &TunnelConf, next_hop: &NextHop) -> bool {
    match (next_hop.source, tunnel.remote) {
        (IpAddr::V4(source), IpAddr::V4(remote)) => {
            out.put(&ETHERTYPE_IPV4);
            out.put(&[0x45, tunnel.tos & 0xfc, 0, 0, 0, 0]);
            out.put(if tunnel.df { &IPV4_DF } else { &[0, 0] });
            out.put(&[tunnel.ttl, PROTOCOL_GRE, 0, 0]);
            out.put(&source.octets());
            out.put(&remote.octets());
            true
        }
        (source, remote) => {
            let class = tunnel.tos & 0xfc;
            out.put(&ETHERTYPE_IPV6);
            out.put(&[0x60 | class >> 4, class << 4, 0, 0, 0, 0, PROTOCOL_GRE, tunnel.ttl]);
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

/// RFC 2784 and 2890, with the checksum as zero.
fn gre_header(out: &mut Writer, tunnel: &TunnelConf) {
    let csum = if tunnel.gre.csum { GRE_CSUM } else { 0 };
    let key = if tunnel.out_key.is_some() { GRE_KEY } else { 0 };
    out.put(&[csum | key, 0]);
    out.put(&GRE_PROTOCOL_TEB);
    if tunnel.gre.csum {
        out.put(&[0; 4]);
    }
    if let Some(key) = tunnel.out_key {
        out.put(&key.to_be_bytes());
    }
}

/// The ECN bits of an inner IP packet, behind at most one VLAN tag, which go into the outer header
/// (RFC 6040 section 4.1); 0 for anything else.
fn inner_ecn(inner: &[u8]) -> u8 {
    let is_tagged = matches!(inner.get(12..14), Some([0x81, 0x00] | [0x88, 0xa8]));
    let ethertype_at = if is_tagged { 16 } else { 12 };
    match inner.get(ethertype_at..).and_then(|rest| rest.first_chunk()) {
        Some(&[0x08, 0x00, _, tos]) => tos & 3,
        Some(&[0x86, 0xdd, _, class]) => class >> 4 & 3,
        _ => 0,
    }
}
