//! Outer headers, read: whose the packet is, and where the inner frame lies.  standards.md E1-E4.

use super::conf::{Encap, TunnelKey};
use crate::{DropReason, TunnelTable};
use std::net::IpAddr;
use weft_wire::checksum::{self, partial};
use weft_wire::classify::{self, NotOurs};
use weft_wire::geneve::Geneve;
use weft_wire::gre::Gre;
use weft_wire::ipv4::{Ipv4Header, verify_checksum};
use weft_wire::ipv6::Ipv6Header;
use weft_wire::udp::{self, UdpHeader};
use weft_wire::vxlan::{self, Vxlan};
use weft_wire::{EtherType, IpProtocol, ParseError, geneve};

/// The outer headers of one packet.
#[derive(Clone, Debug)]
pub(crate) struct Outer<'a> {
    /// Whose packet it is.
    pub key: TunnelKey,
    /// Where in the frame the inner frame starts, and how long it is.
    pub inner_at: usize,
    pub inner_bytes: usize,
    /// Outer ECN.
    pub ecn: u8,
    /// Geneve, and nothing for others: what the flow tables will read.
    pub geneve: Option<Geneve<'a>>,
    /// UDP without checksum over IPv6.
    pub lacks_checksum: bool,
    /// What is left to verify.
    pub check: Option<Check>,
}

/// A checksum over tunnel header and inner frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    /// What it covers of the frame.
    start: usize,
    end: usize,
    /// Partial sum of what else it covers.
    pseudo: u64,
    /// Where in the frame the field is.
    field_at: usize,
    reason: DropReason,
}

/// What the outer IP header says.
struct Ip<'a> {
    local: IpAddr,
    remote: IpAddr,
    protocol: IpProtocol,
    payload: &'a [u8],
    /// Where in the frame the payload starts.
    at: usize,
    ecn: u8,
    /// Partial sum of the pseudo-header for the payload, without its length.
    pseudo: u64,
}

/// Reads the outer headers of a frame of an underlay.
///
/// # Errors
///
/// Why the packet is not one of a tunnel, or malformed.
#[inline]
pub(crate) fn read<'a>(bytes: &'a [u8], tunnels: &TunnelTable) -> Result<Outer<'a>, DropReason> {
    let outer = classify::outer(&mut classify::Bytes(bytes)).map_err(reason)?;
    let ip = if outer.is_ipv6 { ipv6(bytes, &outer) } else { ipv4(bytes, &outer) }?;
    match ip.protocol {
        IpProtocol::GRE => gre(&ip),
        IpProtocol::UDP => udp(&ip, tunnels),
        _ => Err(DropReason::NotTunnel),
    }
}

/// The drop reason of a frame whose outer headers cannot be read.
#[cold]
const fn reason(not_ours: NotOurs) -> DropReason {
    match not_ours {
        NotOurs::ShortEthernet => DropReason::Truncated,
        NotOurs::ShortIp | NotOurs::BadIpv6 => DropReason::IpTruncated,
        NotOurs::BadIpv4 => DropReason::BadIhl,
        NotOurs::Extensions => DropReason::OuterExtensions,
        NotOurs::Fragment => DropReason::OuterFragment,
        NotOurs::GreVersion => DropReason::GreVersion,
        NotOurs::NotIp | NotOurs::NotTunnel | NotOurs::ShortTunnel | NotOurs::NotVtep => {
            DropReason::NotTunnel
        }
    }
}

#[inline]
fn ipv4<'a>(bytes: &'a [u8], outer: &classify::Outer) -> Result<Ip<'a>, DropReason> {
    let packet = bytes.get(outer.l3_at..).ok_or(DropReason::IpTruncated)?;
    let (ip, payload) = Ipv4Header::parse(packet).map_err(|error| match error {
        ParseError::Truncated { .. } => DropReason::IpTruncated,
        _ => DropReason::BadIhl,
    })?;
    verify_checksum(packet).map_err(|_| DropReason::IpChecksum)?;
    if outer.is_fragment {
        return Err(DropReason::OuterFragment);
    }
    let source = ip.source();
    // RFC 1122 section 3.2.1.3: nets 0 and 127 are never on a wire.
    if source.is_multicast() || source.is_broadcast() || matches!(source.octets()[0], 0 | 127) {
        return Err(DropReason::OuterSource);
    }
    Ok(Ip {
        local: IpAddr::V4(ip.target()),
        remote: IpAddr::V4(source),
        protocol: outer.protocol,
        payload,
        at: outer.l4_at,
        ecn: ip.tos & 3,
        pseudo: ip.pseudo_sum(outer.protocol, 0),
    })
}

#[inline]
fn ipv6<'a>(bytes: &'a [u8], outer: &classify::Outer) -> Result<Ip<'a>, DropReason> {
    let packet = bytes.get(outer.l3_at..).ok_or(DropReason::IpTruncated)?;
    let (ip, payload) = Ipv6Header::parse(packet).map_err(|_| DropReason::IpTruncated)?;
    // Extension headers may reach beyond the payload, into what pads the frame.
    let extensions_bytes = outer.l4_at - outer.l3_at - weft_wire::ipv6::LEN_BYTES;
    let payload = payload.get(extensions_bytes..).ok_or(DropReason::IpTruncated)?;
    if outer.is_fragment {
        return Err(DropReason::OuterFragment);
    }
    let source = ip.source();
    if source.is_multicast() || source.is_unspecified() || source.is_loopback() {
        return Err(DropReason::OuterSource);
    }
    Ok(Ip {
        local: IpAddr::V6(ip.target()),
        remote: IpAddr::V6(source),
        protocol: outer.protocol,
        payload,
        at: outer.l4_at,
        ecn: ip.traffic_class() & 3,
        pseudo: ip.pseudo_sum(outer.protocol, 0),
    })
}

impl Outer<'_> {
    /// What `ip` and a tunnel header of `header_bytes` in front of `inner` say.
    #[inline]
    fn new(ip: &Ip<'_>, encap: Encap, key: Option<u32>, header_bytes: usize, inner: &[u8]) -> Self {
        Self {
            key: TunnelKey { encap, local: ip.local, remote: ip.remote, key },
            inner_at: ip.at + header_bytes,
            inner_bytes: inner.len(),
            ecn: ip.ecn,
            geneve: None,
            lacks_checksum: false,
            check: None,
        }
    }
}

/// RFC 2784 and 2890.
#[inline]
fn gre<'a>(ip: &Ip<'a>) -> Result<Outer<'a>, DropReason> {
    let (gre, inner) = Gre::parse(ip.payload).map_err(|error| match error {
        ParseError::GreVersion { .. } => DropReason::GreVersion,
        ParseError::GreFlags { .. } => DropReason::GreFlags,
        _ => DropReason::GreShort,
    })?;
    if gre.protocol != EtherType::TEB {
        return Err(DropReason::GreProtocol);
    }
    let check = gre.checksum.map(|_| Check {
        start: ip.at,
        end: ip.at + ip.payload.len(),
        pseudo: 0,
        field_at: ip.at + weft_wire::gre::LEN_BYTES,
        reason: DropReason::GreChecksum,
    });
    Ok(Outer { check, ..Outer::new(ip, Encap::Gre, gre.key, gre.header_len_bytes(), inner) })
}

/// RFC 768, and what is inside by the destination port.
#[inline]
fn udp<'a>(ip: &Ip<'a>, tunnels: &TunnelTable) -> Result<Outer<'a>, DropReason> {
    let (header, datagram) = UdpHeader::parse(ip.payload).map_err(|_| DropReason::UdpLength)?;
    let encap = tunnels.at_udp_port(header.target_port()).ok_or(DropReason::NotTunnel)?;
    let mut outer = match encap {
        Encap::Geneve { .. } => geneve(ip, encap, datagram)?,
        _ => vxlan(ip, encap, datagram)?,
    };
    let udp_bytes = header.len_bytes();
    if header.checksum() == 0 {
        // RFC 8200 section 8.1 asks for one; RFC 6935 lets tunnels agree to do without.
        outer.lacks_checksum = ip.local.is_ipv6();
    } else {
        outer.check = Some(Check {
            start: ip.at,
            end: ip.at + usize::from(udp_bytes),
            pseudo: ip.pseudo + u64::from(udp_bytes),
            field_at: ip.at + udp::CHECKSUM_OFFSET,
            reason: DropReason::UdpChecksum,
        });
    }
    Ok(outer)
}

/// RFC 8926.  What its options mean is judged when it is known whose packet it is.
#[inline]
fn geneve<'a>(ip: &Ip<'a>, encap: Encap, datagram: &'a [u8]) -> Result<Outer<'a>, DropReason> {
    let (geneve, inner) = Geneve::parse(datagram).map_err(|error| match error {
        ParseError::UnsupportedVersion { .. } => DropReason::GeneveVersion,
        ParseError::OptionLength { .. } => DropReason::GeneveOptions,
        _ if datagram.len() < geneve::LEN_BYTES => DropReason::UdpLength,
        _ => DropReason::GeneveOptLen,
    })?;
    // Section 3.4: the payload of a control packet must not be forwarded.
    if geneve.is_control {
        return Err(DropReason::GeneveControl);
    }
    if geneve.protocol != EtherType::TEB {
        return Err(DropReason::GeneveProtocol);
    }
    let header_bytes = udp::LEN_BYTES + geneve.header_len_bytes();
    let key = Some(geneve.vni.get());
    Ok(Outer { geneve: Some(geneve), ..Outer::new(ip, encap, key, header_bytes, inner) })
}

/// RFC 7348.
#[inline]
fn vxlan<'a>(ip: &Ip<'a>, encap: Encap, datagram: &'a [u8]) -> Result<Outer<'a>, DropReason> {
    let (vxlan, inner) = Vxlan::parse(datagram).map_err(|error| match error {
        ParseError::VxlanFlags { .. } => DropReason::VxlanFlags,
        _ => DropReason::UdpLength,
    })?;
    let header_bytes = udp::LEN_BYTES + vxlan::LEN_BYTES;
    Ok(Outer::new(ip, encap, Some(vxlan.vni.get()), header_bytes, inner))
}

impl Check {
    /// Verifies the checksum.
    ///
    /// With `completes` the peer may have left checksums to its network card, the outer one or the
    /// inner one: an outer one that is partial is good, and an inner one is completed here when the
    /// outer one was made for it as it will be (standards.md E10).
    pub(crate) fn verify(
        &self,
        frame: &mut [u8],
        inner_at: usize,
        completes: bool,
    ) -> Result<(), DropReason> {
        if self.is_right(frame) {
            return Ok(());
        }
        if completes {
            let field = frame.get(self.field_at..).and_then(<[u8]>::first_chunk);
            let is_partial = self.reason == DropReason::UdpChecksum
                && field.is_some_and(|&f| u16::from_be_bytes(f) == checksum::fold(self.pseudo));
            let inner = frame.get_mut(inner_at..self.end).unwrap_or_default();
            if is_partial
                || (partial::complete(inner) == partial::Completion::Completed
                    && self.is_right(frame))
            {
                return Ok(());
            }
        }
        Err(self.reason)
    }

    fn is_right(&self, frame: &[u8]) -> bool {
        let covered = frame.get(self.start..self.end);
        covered.is_some_and(|bytes| checksum::finish(checksum::sum(bytes) + self.pseudo) == 0)
    }
}
