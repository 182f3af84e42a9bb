//! Whole frames for tests: TCP and UDP in IPv4 and IPv6, with VLAN tags and extension headers.
//!
//! The checksums here are computed from a pseudo-header that is written out and summed word by
//! word, not by [`crate::checksum`]: this is what the fast code is compared with.

use crate::tcp::TcpFlags;
use crate::vlan::generators::any_tag;
use crate::{IpProtocol, Ipv4Header, Ipv6Header, Tag, TcpHeader, UdpHeader};
use proptest::prelude::*;

/// What to build a frame from.
#[derive(Clone, Debug)]
pub struct Spec {
    /// 0 to 2 VLAN tags.
    pub tags: Vec<Tag>,
    /// IPv6 rather than IPv4.
    pub is_v6: bool,
    /// TCP rather than UDP.
    pub is_tcp: bool,
    /// IPv4 identification.
    pub id: u16,
    /// First bytes of the addresses, then the ports.
    pub seed: u32,
    /// TCP sequence number.
    pub sequence: u32,
    /// TCP flags.
    pub flags: u16,
    /// 32-bit words of TCP options, 0 to 10.
    pub option_words: u8,
    /// IPv4 option words, or IPv6 extension headers of 8 bytes, 0 to 3.
    pub ip_options: u8,
    /// The payload of TCP or UDP.
    pub payload: Vec<u8>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            tags: Vec::new(),
            is_v6: false,
            is_tcp: true,
            id: 7,
            seed: 0x0a00_0001,
            sequence: 1000,
            flags: TcpFlags::ACK.0,
            option_words: 0,
            ip_options: 0,
            payload: Vec::new(),
        }
    }
}

/// The internet checksum of `parts`, one after the other, as RFC 1071 defines it.
#[must_use]
pub fn plain_checksum(parts: &[&[u8]]) -> u16 {
    let mut bytes = parts.concat();
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    let mut sum = 0u64;
    for pair in bytes.as_chunks::<2>().0 {
        sum += u64::from(u16::from_be_bytes(*pair));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).map_or(0, |sum| !sum)
}

/// A header's bytes, as a `write` writes them.
fn bytes<E: core::fmt::Debug>(
    len: usize,
    write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Vec<u8> {
    let mut out = vec![0; len];
    assert!(write(&mut out).is_ok(), "a header does not fit in {len} bytes");
    out
}

impl Spec {
    fn addresses(&self) -> (Vec<u8>, Vec<u8>) {
        let len = if self.is_v6 { 16 } else { 4 };
        let byte =
            |at: usize| self.seed.rotate_left(u32::try_from(at * 5).unwrap_or(0)).to_be_bytes();
        let address = |from: usize| (from..from + len).map(|at| byte(at)[1]).collect();
        (address(0), address(31))
    }

    /// The TCP or UDP segment, its checksum left 0.
    fn segment(&self) -> Vec<u8> {
        let [a, b, c, d] = self.seed.to_be_bytes();
        let (source, target) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let mut segment = if self.is_tcp {
            let mut header = TcpHeader::new(source, target, self.sequence);
            header.set_flags(TcpFlags(self.flags));
            let mut out = bytes(20, |out| header.write(out));
            if let Some(offset) = out.get_mut(12) {
                *offset += self.option_words << 4;
            }
            out.resize(20 + usize::from(self.option_words) * 4, 1);
            out
        } else {
            bytes(8, |out| UdpHeader::new(source, target).write(out, self.payload.len()))
        };
        segment.extend(&self.payload);
        segment
    }

    /// The frame, all its lengths and checksums right.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let protocol = if self.is_tcp { IpProtocol::TCP } else { IpProtocol::UDP };
        let mut segment = self.segment();
        let (source, target) = self.addresses();
        let len = u32::try_from(segment.len()).unwrap_or(0).to_be_bytes();
        let protocol_word = [0, 0, 0, protocol.0];
        let mut checksum = plain_checksum(&[&source, &target, &len, &protocol_word, &segment]);
        if checksum == 0 && !self.is_tcp {
            checksum = 0xffff;
        }
        let at = if self.is_tcp { 16 } else { 6 };
        if let Some(field) = segment.get_mut(at..at + 2) {
            field.copy_from_slice(&checksum.to_be_bytes());
        }
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        frame.extend(self.tags.iter().flat_map(|tag| tag.to_bytes()));
        frame.extend(if self.is_v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
        frame.extend(if self.is_v6 {
            self.ipv6(&source, &target, protocol, segment.len())
        } else {
            self.ipv4(&source, &target, protocol, segment.len())
        });
        frame.extend(segment);
        frame
    }

    fn ipv4(&self, source: &[u8], target: &[u8], protocol: IpProtocol, len: usize) -> Vec<u8> {
        let address = |octets: &[u8]| <[u8; 4]>::try_from(octets).unwrap_or_default().into();
        let mut header = Ipv4Header::new(address(source), address(target), protocol);
        header.set_id(self.id);
        header.set_dont_fragment(true);
        let options_len = usize::from(self.ip_options) * 4;
        let mut out = bytes(20, |out| header.write(out, options_len + len));
        out.resize(20 + options_len, 1);
        let (Some(first), options) = (out.first_mut(), self.ip_options) else { return out };
        *first += options;
        if let Some(field) = out.get_mut(10..12) {
            field.fill(0);
        }
        let checksum = plain_checksum(&[&out]).to_be_bytes();
        if let Some(field) = out.get_mut(10..12) {
            field.copy_from_slice(&checksum);
        }
        out
    }

    fn ipv6(&self, source: &[u8], target: &[u8], protocol: IpProtocol, len: usize) -> Vec<u8> {
        let address = |octets: &[u8]| <[u8; 16]>::try_from(octets).unwrap_or_default().into();
        let mut extensions = Vec::new();
        let mut next = protocol;
        for _ in 0..self.ip_options {
            extensions.splice(0..0, [next.0, 0, 1, 4, 0, 0, 0, 0]);
            next = IpProtocol::DESTINATION_OPTIONS;
        }
        let header = Ipv6Header::new(address(source), address(target), next);
        let mut out = bytes(40, |out| header.write(out, extensions.len() + len));
        out.extend(extensions);
        out
    }
}

/// Any frame with up to 300 bytes of payload.
pub fn any_spec() -> impl Strategy<Value = Spec> {
    let shape = (proptest::collection::vec(any_tag(), 0..=2), any::<bool>(), any::<bool>());
    let numbers = (any::<u16>(), any::<u32>(), any::<u32>(), 0u16..0x200, 0u8..=10, 0u8..=3);
    let payload = proptest::collection::vec(any::<u8>(), 0..300);
    (shape, numbers, payload).prop_map(|((tags, is_v6, is_tcp), numbers, payload)| {
        let (id, seed, sequence, flags, option_words, ip_options) = numbers;
        Spec { tags, is_v6, is_tcp, id, seed, sequence, flags, option_words, ip_options, payload }
    })
}
