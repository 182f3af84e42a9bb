//! Path MTUs: what routers of the underlay say by ICMP, believed only when it quotes a packet that
//! one of our tunnels may have sent.  Pure; RFC 1191, RFC 8201.

use crate::plan::path::Path;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use weft_switch::{Encap, TunnelConf};
use weft_wire::{EtherType, IcmpHeader, IpProtocol, Layer};

/// A path may have become wider again after so long (RFC 1191 section 6.3).
pub const AGE_MAX: Duration = Duration::from_mins(10);

/// No path over IPv4 is taken to be narrower, whatever a router says (RFC 791: what every host
/// takes).
const IPV4_MIN: u32 = 576;

/// No path over IPv6 is narrower (RFC 8200 section 5): a report that says so is not believed.
const IPV6_MIN: u32 = 1280;

/// What became of a packet of the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was too big for a router that can forward so many bytes.
    TooBig(u32),
    /// It led nowhere, because of this.
    Unreachable(&'static str),
}

/// What a router, or the remote host, says of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// What became of it.
    pub fate: Fate,
    /// Who had sent the packet.
    pub source: IpAddr,
    /// Where to.
    pub target: IpAddr,
    /// What is quoted of its payload.
    pub quote: Quote,
}

/// The tunnel header in a quoted packet.  A router need not quote more than eight bytes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// GRE with an Ethernet payload.
    Gre {
        /// The key, or that there is none; absent when it is not quoted.
        key: Option<Option<u32>>,
    },
    /// UDP.
    Udp {
        /// The port that it was sent from.
        source: u16,
        /// The port that it was sent to.
        target: u16,
        /// Where Geneve and VXLAN have their VNI; absent when it is not quoted.
        vni: Option<u32>,
    },
}

impl Report {
    /// Reads an IPv4 packet with "destination unreachable" in it, as a raw socket hands it over: its
    /// checksum is not verified yet.  `None` when it is anything else, or quotes no tunnel packet.
    #[must_use]
    pub fn read_v4(packet: &[u8]) -> Option<Self> {
        let (message, _) = split_v4(packet)?;
        IcmpHeader::verify_checksum(Layer::Icmpv4, message.rest, 0).ok()?;
        let (icmp, quoted) = IcmpHeader::parse(Layer::Icmpv4, message.rest).ok()?;
        let too_big = icmp.next_hop_mtu_v4().map(|mtu| Fate::TooBig(u32::from(mtu)));
        let fate = too_big.or_else(|| icmp.unreachable_v4().map(Fate::Unreachable))?;
        let (quoted, [source, target]) = split_v4(quoted)?;
        let quote = Quote::read(quoted.protocol, quoted.rest)?;
        Some(Self { fate, source, target, quote })
    }

    /// Reads an `ICMPv6` message with "packet too big" or "destination unreachable", as a raw socket hands it over: the kernel has
    /// verified its checksum.  `None` as above.
    #[must_use]
    pub fn read_v6(message: &[u8]) -> Option<Self> {
        let (icmp, quoted) = IcmpHeader::parse(Layer::Icmpv6, message).ok()?;
        let too_big = icmp.next_hop_mtu_v6().map(Fate::TooBig);
        let fate = too_big.or_else(|| icmp.unreachable_v6().map(Fate::Unreachable))?;
        let (header, rest) = quoted.split_first_chunk::<40>()?;
        let [_, _, _, _, _, _, protocol, _, addresses @ ..] = header;
        let (source, target) = addresses.split_first_chunk::<16>()?;
        let quote = Quote::read(IpProtocol(*protocol), rest)?;
        let target = IpAddr::from(*target.first_chunk::<16>()?);
        Some(Self { fate, source: IpAddr::from(*source), target, quote })
    }

    /// True when `tunnel` may have sent the quoted packet, from `source`.
    #[must_use]
    pub fn is_of(&self, tunnel: &TunnelConf, source: IpAddr) -> bool {
        if tunnel.remote != Some(self.target) || source != self.source {
            return false;
        }
        match (self.quote, tunnel.encap) {
            (Quote::Gre { key }, Encap::Gre) => key.is_none_or(|key| key == tunnel.out_key),
            (Quote::Udp { source, target, vni }, encap) => {
                let (first, last) = tunnel.source_ports;
                encap.udp_port() == Some(target)
                    && (first..=last).contains(&source)
                    && vni.is_none_or(|vni| vni == tunnel.out_key.unwrap_or(0))
            }
            (Quote::Gre { .. }, _) => false,
        }
    }
}

/// What follows an IPv4 header.
struct Payload<'a> {
    protocol: IpProtocol,
    rest: &'a [u8],
}

/// An IPv4 packet, of which the end may be missing.
fn split_v4(packet: &[u8]) -> Option<(Payload<'_>, [IpAddr; 2])> {
    let [first, _, _, _, _, _, frag_hi, frag_lo, _, protocol, _, _, addresses @ ..] =
        packet.first_chunk::<20>()?;
    // A later fragment does not start with the header of its protocol.
    let is_later = u16::from_be_bytes([*frag_hi, *frag_lo]) & 0x1fff != 0;
    let header_bytes = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || header_bytes < 20 || is_later {
        return None;
    }
    let (source, target) = addresses.split_first_chunk::<4>()?;
    let ends = [IpAddr::from(*source), IpAddr::from(*target.first_chunk::<4>()?)];
    let rest = packet.get(header_bytes..)?;
    Some((Payload { protocol: IpProtocol(*protocol), rest }, ends))
}

impl Quote {
    fn read(protocol: IpProtocol, bytes: &[u8]) -> Option<Self> {
        match protocol {
            IpProtocol::GRE => {
                let (&[flags, _, proto_hi, proto_lo], options) = bytes.split_first_chunk()?;
                if u16::from_be_bytes([proto_hi, proto_lo]) != EtherType::TEB.0 {
                    return None;
                }
                let key_at = if flags & 0x80 == 0 { 0 } else { 4 };
                let quoted = options.get(key_at..).and_then(<[u8]>::first_chunk);
                let key = match flags & 0x20 {
                    0 => Some(None),
                    _ => quoted.map(|key| Some(u32::from_be_bytes(*key))),
                };
                Some(Self::Gre { key })
            }
            IpProtocol::UDP => {
                let (&[src_hi, src_lo, dst_hi, dst_lo, ..], rest) =
                    bytes.split_first_chunk::<8>()?;
                let vni = rest.first_chunk::<8>();
                Some(Self::Udp {
                    source: u16::from_be_bytes([src_hi, src_lo]),
                    target: u16::from_be_bytes([dst_hi, dst_lo]),
                    vni: vni.map(|&[_, _, _, _, a, b, c, _]| u32::from_be_bytes([0, a, b, c])),
                })
            }
            _ => None,
        }
    }
}

/// What is believed of paths, by source and target.
#[derive(Debug, Default)]
pub struct PathMtus {
    believed: BTreeMap<(IpAddr, IpAddr), (u32, Instant)>,
}

impl PathMtus {
    /// Takes it over that a packet which some tunnel may have sent was larger than `mtu`, while its
    /// path takes `before` bytes by now; true when that changes anything.
    pub fn note(&mut self, report: &Report, mtu: u32, before: u32, now: Instant) -> bool {
        let mtu = match report.target {
            IpAddr::V4(_) => mtu.max(IPV4_MIN),
            IpAddr::V6(_) if mtu < IPV6_MIN => return false,
            IpAddr::V6(_) => mtu,
        };
        if mtu >= before {
            return false;
        }
        self.believed.insert((report.source, report.target), (mtu, now));
        true
    }

    /// Makes the path to `remote` as narrow as is believed of it.
    pub fn lower(&self, path: &mut Path, remote: Option<IpAddr>) {
        let ends = path.source.zip(remote);
        if let Some((mtu, _)) = ends.and_then(|ends| self.believed.get(&ends)) {
            path.mtu = path.mtu.min(*mtu);
        }
    }

    /// Forgets what is too old; true when there was such.
    pub fn expire(&mut self, now: Instant) -> bool {
        let before = self.believed.len();
        self.believed.retain(|_, (_, at)| now.saturating_duration_since(*at) < AGE_MAX);
        self.believed.len() < before
    }
}

#[cfg(test)]
mod tests;
