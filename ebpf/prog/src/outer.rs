//! The outer headers, read just far enough to know whose the frame is.

use aya_ebpf::programs::XdpContext;
use weft_ebpf_abi::{IPV6_EXTENSIONS_MAX, Reason, VLAN_TAGS_MAX, VtepKey};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;

const PROTOCOL_HOP_BY_HOP: u8 = 0;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_FRAGMENT: u8 = 44;
const PROTOCOL_GRE: u8 = 47;
const PROTOCOL_OPTIONS: u8 = 60;

/// Bytes of an IPv4 header without options.
const IPV4_HEADER_BYTES: usize = 20;

/// What is left of the frame to look at.
pub struct Frame {
    position: usize,
    end: usize,
}

impl Frame {
    /// The whole frame (of a packet in several buffers: the first one).
    #[inline(always)]
    pub fn new(ctx: &XdpContext) -> Self {
        Self { position: ctx.data(), end: ctx.data_end() }
    }

    /// The next `N` bytes, and steps behind them.
    #[inline(always)]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let next = self.position + N;
        if next > self.end {
            return Err(Reason::PassShort);
        }
        // SAFETY: `[position, next)` lies in the frame (rules 1 and 2); bytes need no alignment (rule 3).
        let header = unsafe { *(self.position as *const [u8; N]) };
        self.position = next;
        Ok(header)
    }

    /// Steps over bytes of no interest. What follows them is compared with the end by its own `take`.
    #[inline(always)]
    fn skip(&mut self, bytes: usize) {
        self.position += bytes;
    }
}

/// What the IP header says.
struct Outer {
    protocol: u8,
    fragment: bool,
    target: VtepKey,
}

/// Whether the frame is a tunnel packet for us: `Ok`, or why not.
///
/// The protocol is looked at before the address: the host's TCP costs no hash look-up.
#[inline(always)]
pub fn classify(
    frame: &mut Frame,
    is_tunnel_port: impl FnOnce(u16) -> bool,
    is_vtep: impl FnOnce(&VtepKey) -> bool,
) -> Result<(), Reason> {
    let outer = match ethertype(frame)? {
        ETHERTYPE_IPV4 => ipv4(frame)?,
        ETHERTYPE_IPV6 => ipv6(frame)?,
        _ => return Err(Reason::PassNotIp),
    };
    match outer.protocol {
        // Only the first fragment has them, and none is ours.
        PROTOCOL_GRE | PROTOCOL_UDP if outer.fragment => {}
        PROTOCOL_GRE => gre(frame)?,
        PROTOCOL_UDP => udp(frame, is_tunnel_port)?,
        _ => return Err(Reason::PassNotTunnel),
    }
    if !is_vtep(&outer.target) {
        return Err(Reason::PassNotVtep);
    }
    if outer.fragment { Err(Reason::OuterFrag) } else { Ok(()) }
}

/// The EtherType behind the addresses and at most [`VLAN_TAGS_MAX`] tags (IEEE 802.1Q, 802.1ad).
#[inline(always)]
fn ethertype(frame: &mut Frame) -> Result<u16, Reason> {
    let [_, _, _, _, _, _, _, _, _, _, _, _, high, low] = frame.take::<14>()?;
    let mut found = u16::from_be_bytes([high, low]);
    for _ in 0..VLAN_TAGS_MAX {
        if found != ETHERTYPE_VLAN && found != ETHERTYPE_QINQ {
            break;
        }
        let [_, _, high, low] = frame.take::<4>()?;
        found = u16::from_be_bytes([high, low]);
    }
    Ok(found)
}

/// IPv4 (RFC 791), behind its options.
#[inline(always)]
fn ipv4(frame: &mut Frame) -> Result<Outer, Reason> {
    let [
        start,
        _,
        _,
        _,
        _,
        _,
        fragment_high,
        fragment_low,
        _,
        protocol,
        _,
        _,
        _,
        _,
        _,
        _,
        a,
        b,
        c,
        d,
    ] = frame.take::<IPV4_HEADER_BYTES>()?;
    let header_bytes = usize::from(start & 0x0f) * 4;
    if start >> 4 != 4 || header_bytes < IPV4_HEADER_BYTES {
        return Err(Reason::PassBadIp);
    }
    frame.skip(header_bytes - IPV4_HEADER_BYTES);
    // "More fragments" or an offset; "don't fragment" and the reserved bit say nothing.
    let fragment = u16::from_be_bytes([fragment_high, fragment_low]) & 0x3fff != 0;
    Ok(Outer { protocol, fragment, target: VtepKey::from_ipv4([a, b, c, d]) })
}

/// IPv6 (RFC 8200), behind its options headers. A fragment header ends the walk, also that of an atomic
/// fragment (RFC 6946): the host reassembles.
#[inline(always)]
fn ipv6(frame: &mut Frame) -> Result<Outer, Reason> {
    let [start, _, _, _, _, _, mut protocol, _] = frame.take::<8>()?;
    if start >> 4 != 6 {
        return Err(Reason::PassBadIp);
    }
    let _source = frame.take::<16>()?;
    let target = VtepKey::from_ipv6(frame.take::<16>()?);
    for _ in 0..IPV6_EXTENSIONS_MAX {
        if protocol != PROTOCOL_HOP_BY_HOP && protocol != PROTOCOL_OPTIONS {
            break;
        }
        let [next, length_words, _, _, _, _, _, _] = frame.take::<8>()?;
        // In units of 8 bytes, the first not counted.
        frame.skip(usize::from(length_words) * 8);
        protocol = next;
    }
    match protocol {
        PROTOCOL_HOP_BY_HOP | PROTOCOL_OPTIONS => Err(Reason::PassExtensions),
        PROTOCOL_FRAGMENT => {
            let [next, _, _, _, _, _, _, _] = frame.take::<8>()?;
            Ok(Outer { protocol: next, fragment: true, target })
        }
        protocol => Ok(Outer { protocol, fragment: false, target }),
    }
}

/// GRE (RFC 2784 section 2.1): the version is the last three bits of the first two bytes.
#[inline(always)]
fn gre(frame: &mut Frame) -> Result<(), Reason> {
    let [_, version, _, _] = frame.take::<4>()?;
    match version & 0x07 {
        0 => Ok(()),
        _ => Err(Reason::PassGreVersion),
    }
}

/// UDP (RFC 768): the destination port.
#[inline(always)]
fn udp(frame: &mut Frame, is_tunnel_port: impl FnOnce(u16) -> bool) -> Result<(), Reason> {
    let [_, _, high, low, _, _, _, _] = frame.take::<8>()?;
    if is_tunnel_port(u16::from_be_bytes([high, low])) {
        Ok(())
    } else {
        Err(Reason::PassNotTunnel)
    }
}
