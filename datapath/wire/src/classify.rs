//! Is it a tunnel packet for us?  The outer headers, read just far enough to know.
//!
//! One parser answers in the kernel (the XDP program of a NIC that the host keeps) and in userspace (VTEP
//! addresses on internal ports, and the stage that takes outer headers off): what one of them takes, none of
//! the others leaves to the host.  It reads through a [`Reader`], since the kernel's verifier wants to see each byte
//! compared with the end of the frame.
#![expect(
    clippy::inline_always,
    reason = "a BPF program without calls: the verifier follows a header's bounds through all of it"
)]

use crate::ethernet::EthernetHeader;
use crate::gre::VERSION_MASK;
use crate::ipv4::{self, Ipv4Header};
use crate::ipv6::{self, Ipv6Header};
use crate::{EtherType, IpProtocol, Tag, ethernet, gre, udp};
use core::net::Ipv6Addr;

/// VLAN tags (C-tag or S-tag) that are looked behind.
pub const TAGS_MAX: usize = 2;

/// IPv6 extension headers (hop-by-hop and destination options) that are walked.
pub const EXTENSIONS_MAX: usize = 4;

/// Bytes of the shortest IPv6 extension header, in units of which each says its length.
const EXTENSION_BYTES: usize = 8;

/// The bytes of a frame, from its first one on.
pub trait Reader {
    /// The next `N` bytes, and steps behind them; `None` when the frame ends before.
    fn take<const N: usize>(&mut self) -> Option<[u8; N]>;

    /// Steps over bytes, also beyond the end: what follows them is compared with it by its own `take`.
    fn skip(&mut self, bytes: usize);
}

/// A frame in memory.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Reader for Bytes<'_> {
    #[inline(always)]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (header, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*header)
    }

    #[inline(always)]
    fn skip(&mut self, bytes: usize) {
        self.0 = self.0.get(bytes..).unwrap_or_default();
    }
}

/// Why a frame is no tunnel packet for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotOurs {
    /// It ends before the `EtherType` behind its tags does.
    ShortEthernet,
    /// Neither IPv4 nor IPv6 behind at most [`TAGS_MAX`] tags.
    NotIp,
    /// It ends inside an IP header or an extension header.
    ShortIp,
    /// The version is not 4, or the header length below 20 bytes.
    BadIpv4,
    /// The version is not 6.
    BadIpv6,
    /// More than [`EXTENSIONS_MAX`] extension headers.
    Extensions,
    /// Neither GRE nor UDP to a tunnel port.
    NotTunnel,
    /// It ends inside the header of GRE or UDP.
    ShortTunnel,
    /// GRE, but not version 0: 1 is PPTP (RFC 2637).
    GreVersion,
    /// A tunnel packet for another address.
    NotVtep,
    /// A fragment of GRE or UDP for us: the host may put it together.
    Fragment,
}

/// What the outer headers up to IP say, and where they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// IPv6; IPv4 else.
    pub is_ipv6: bool,
    /// Where in the frame the IP header starts.
    pub l3_at: usize,
    /// Where what follows IP starts, if the frame is that long.
    pub l4_at: usize,
    /// What follows IP.
    pub protocol: IpProtocol,
    /// Any fragment, also the first one, and over IPv6 a whole packet with a fragment header (RFC 6946).
    pub is_fragment: bool,
    /// The destination address; that of IPv4 is mapped, `::ffff:a.b.c.d`.
    pub target: Ipv6Addr,
}

/// Reads the outer headers up to IP.
///
/// # Errors
///
/// [`NotOurs`] up to [`NotOurs::Extensions`].
#[inline(always)]
pub fn outer(frame: &mut impl Reader) -> Result<Outer, NotOurs> {
    let (ethertype, l3_at) = ethernet(frame)?;
    match ethertype {
        EtherType::IPV4 => ipv4(frame, l3_at),
        EtherType::IPV6 => ipv6(frame, l3_at),
        _ => Err(NotOurs::NotIp),
    }
}

/// Whether the frame is a tunnel packet for us: its outer headers, or why not.
///
/// The protocol is looked at before the address: the host's own traffic costs no look-up of that.
///
/// # Errors
///
/// [`NotOurs`].
#[inline(always)]
pub fn classify(
    frame: &mut impl Reader,
    is_tunnel_port: impl FnOnce(u16) -> bool,
    is_vtep: impl FnOnce(Ipv6Addr) -> bool,
) -> Result<Outer, NotOurs> {
    let outer = outer(frame)?;
    match outer.protocol {
        // Only the first fragment has their headers, and none is ours.
        IpProtocol::GRE | IpProtocol::UDP if outer.is_fragment => {}
        IpProtocol::GRE => gre(frame)?,
        IpProtocol::UDP => udp(frame, is_tunnel_port)?,
        _ => return Err(NotOurs::NotTunnel),
    }
    if !is_vtep(outer.target) {
        return Err(NotOurs::NotVtep);
    }
    if outer.is_fragment { Err(NotOurs::Fragment) } else { Ok(outer) }
}

/// The `EtherType` behind the addresses and at most [`TAGS_MAX`] tags, and where its payload starts.
#[inline(always)]
fn ethernet(frame: &mut impl Reader) -> Result<(EtherType, usize), NotOurs> {
    let header = frame.take::<{ ethernet::LEN_BYTES }>().ok_or(NotOurs::ShortEthernet)?;
    let header: EthernetHeader = zerocopy::transmute!(header);
    let (mut ethertype, mut l3_at) = (header.ethertype(), ethernet::LEN_BYTES);
    for _ in 0..TAGS_MAX {
        if !ethertype.is_tag() {
            break;
        }
        let [_, _, high, low] = frame.take().ok_or(NotOurs::ShortEthernet)?;
        ethertype = EtherType(u16::from_be_bytes([high, low]));
        l3_at += Tag::LEN_BYTES;
    }
    Ok((ethertype, l3_at))
}

/// IPv4 (RFC 791), behind its options.
#[inline(always)]
fn ipv4(frame: &mut impl Reader, l3_at: usize) -> Result<Outer, NotOurs> {
    let header = frame.take::<{ ipv4::LEN_BYTES }>().ok_or(NotOurs::ShortIp)?;
    let header: Ipv4Header = zerocopy::transmute!(header);
    let header_bytes = header.header_len_bytes();
    if header.version() != 4 || header_bytes < ipv4::LEN_BYTES {
        return Err(NotOurs::BadIpv4);
    }
    frame.skip(header_bytes - ipv4::LEN_BYTES);
    Ok(Outer {
        is_ipv6: false,
        l3_at,
        l4_at: l3_at + header_bytes,
        protocol: header.protocol,
        is_fragment: header.is_fragment(),
        target: header.target().to_ipv6_mapped(),
    })
}

/// IPv6 (RFC 8200), behind its options headers.  A fragment header ends the walk.
#[inline(always)]
fn ipv6(frame: &mut impl Reader, l3_at: usize) -> Result<Outer, NotOurs> {
    let header = frame.take::<{ ipv6::LEN_BYTES }>().ok_or(NotOurs::ShortIp)?;
    let header: Ipv6Header = zerocopy::transmute!(header);
    if header.version() != 6 {
        return Err(NotOurs::BadIpv6);
    }
    let (mut protocol, mut l4_at) = (header.next_header, l3_at + ipv6::LEN_BYTES);
    for _ in 0..EXTENSIONS_MAX {
        if !is_options(protocol) {
            break;
        }
        let [next, units, ..] = frame.take::<EXTENSION_BYTES>().ok_or(NotOurs::ShortIp)?;
        // The first unit is not counted.
        let rest = usize::from(units) * EXTENSION_BYTES;
        frame.skip(rest);
        l4_at += EXTENSION_BYTES + rest;
        protocol = IpProtocol(next);
    }
    if is_options(protocol) {
        return Err(NotOurs::Extensions);
    }
    let is_fragment = protocol == IpProtocol::FRAGMENT;
    if is_fragment {
        let [next, ..] = frame.take::<EXTENSION_BYTES>().ok_or(NotOurs::ShortIp)?;
        l4_at += EXTENSION_BYTES;
        protocol = IpProtocol(next);
    }
    Ok(Outer { is_ipv6: true, l3_at, l4_at, protocol, is_fragment, target: header.target() })
}

/// Whether hop-by-hop or destination options follow.
#[inline(always)]
const fn is_options(protocol: IpProtocol) -> bool {
    matches!(protocol, IpProtocol::HOP_BY_HOP | IpProtocol::DESTINATION_OPTIONS)
}

/// GRE (RFC 2784): version 0.
#[inline(always)]
fn gre(frame: &mut impl Reader) -> Result<(), NotOurs> {
    let [_, flags, ..] = frame.take::<{ gre::LEN_BYTES }>().ok_or(NotOurs::ShortTunnel)?;
    if flags & VERSION_MASK == 0 { Ok(()) } else { Err(NotOurs::GreVersion) }
}

/// UDP (RFC 768): the destination port.
#[inline(always)]
fn udp(frame: &mut impl Reader, is_tunnel_port: impl FnOnce(u16) -> bool) -> Result<(), NotOurs> {
    let [_, _, high, low, ..] = frame.take::<{ udp::LEN_BYTES }>().ok_or(NotOurs::ShortTunnel)?;
    let is_ours = is_tunnel_port(u16::from_be_bytes([high, low]));
    if is_ours { Ok(()) } else { Err(NotOurs::NotTunnel) }
}
