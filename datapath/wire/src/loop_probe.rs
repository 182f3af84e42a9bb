//! Weft's loop probe: a frame that a bridge sends out of each port, and should never see again.
//!
//! ```text
//!  target 03:57:65:66:74:01 | source | EtherType 0x88b5 |
//!  "Weft" (4) | version 1 (1) | reserved (1) | port (2) | VLAN (2) | bridge (8) | nonce (8) | zeros
//! ```
//!
//! `EtherType` 0x88b5 is the first of two that IEEE 802 (section 9.2.3) leaves to experiments within
//! a network.  The target is a group address of local administration, which other bridges flood like
//! any other, so that a probe goes wherever a broadcast would.  The nonce tells the probes of one
//! bridge in one run of its daemon from all others.

use crate::{MacAddr, parse_l2};

/// Where probes go.
pub const PROBE_ADDRESS: MacAddr = MacAddr([0x03, 0x57, 0x65, 0x66, 0x74, 0x01]);

/// Length of a probe, in bytes: the least that Ethernet has.
pub const FRAME_LEN: usize = 60;

const ETHERTYPE: u16 = 0x88b5;
const MAGIC: [u8; 4] = *b"Weft";
const VERSION: u8 = 1;
const BODY_LEN: usize = 26;

/// What a probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopProbe {
    /// The bridge that sent it, for people who read a capture.
    pub bridge: u64,
    /// Random, the same for all probes of one bridge.
    pub nonce: u64,
    /// The port that sent it.
    pub port: u16,
    /// The VLAN that an untagged frame of that port belongs to, 0 for none.
    pub vid: u16,
}

impl LoopProbe {
    /// The whole frame, untagged.
    #[must_use]
    pub fn frame(&self, source: MacAddr) -> [u8; FRAME_LEN] {
        let mut frame = [0; FRAME_LEN];
        let parts: [&[u8]; 9] = [
            &PROBE_ADDRESS.octets(),
            &source.octets(),
            &ETHERTYPE.to_be_bytes(),
            &MAGIC,
            &[VERSION, 0],
            &self.port.to_be_bytes(),
            &self.vid.to_be_bytes(),
            &self.bridge.to_be_bytes(),
            &self.nonce.to_be_bytes(),
        ];
        for (place, byte) in frame.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *byte;
        }
        frame
    }

    /// Reads a frame, with up to two VLAN tags; none when it is no probe of this version.  The
    /// reserved byte is ignored.
    #[must_use]
    pub fn parse_frame(frame: &[u8]) -> Option<Self> {
        let l2 = parse_l2(frame).ok()?;
        let body = frame.get(l2.l3_offset..)?.first_chunk::<BODY_LEN>()?;
        let (magic, rest) = body.split_first_chunk()?;
        let ([version, _reserved], rest) = rest.split_first_chunk()?;
        let (port, rest) = rest.split_first_chunk()?;
        let (vid, rest) = rest.split_first_chunk()?;
        let (bridge, rest) = rest.split_first_chunk()?;
        let (nonce, _) = rest.split_first_chunk()?;
        let is_probe = l2.target == PROBE_ADDRESS
            && l2.ethertype.0 == ETHERTYPE
            && (*magic, *version) == (MAGIC, VERSION);
        is_probe.then(|| Self {
            bridge: u64::from_be_bytes(*bridge),
            nonce: u64::from_be_bytes(*nonce),
            port: u16::from_be_bytes(*port),
            vid: u16::from_be_bytes(*vid),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mac::generators::unicast_mac;
    use proptest::prelude::*;

    fn any_probe() -> impl Strategy<Value = LoopProbe> {
        any::<(u64, u64, u16, u16)>().prop_map(|(bridge, nonce, port, vid)| LoopProbe {
            bridge,
            nonce,
            port,
            vid,
        })
    }

    /// Puts tags in front of the `EtherType`.
    fn tagged(frame: &[u8], tags: &[u16]) -> Vec<u8> {
        let mut bytes = frame[..12].to_vec();
        for tci in tags {
            bytes.extend([0x81, 0x00]);
            bytes.extend(tci.to_be_bytes());
        }
        bytes.extend(&frame[12..]);
        bytes
    }

    proptest! {
        #[test]
        fn round_trips_through_tags_and_padding(
            probe in any_probe(), source in unicast_mac(),
            tags in prop::collection::vec(any::<u16>(), 0..3), padding: Vec<u8>,
        ) {
            let mut frame = tagged(&probe.frame(source), &tags);
            frame.extend(padding);
            prop_assert_eq!(LoopProbe::parse_frame(&frame), Some(probe));
            prop_assert_eq!(crate::parse_l2(&frame).unwrap().source, source);
        }

        #[test]
        fn refuses_every_truncation(probe in any_probe(), source in unicast_mac()) {
            let frame = probe.frame(source);
            for len in 0..14 + BODY_LEN {
                prop_assert_eq!(LoopProbe::parse_frame(&frame[..len]), None);
            }
        }

        #[test]
        fn takes_nothing_else_for_a_probe(
            probe in any_probe(), source in unicast_mac(), at in 0..19_usize, bit in 0..8_u32,
        ) {
            prop_assume!(!(6..12).contains(&at));
            let mut frame = probe.frame(source);
            frame[at] ^= 1_u8 << bit;
            prop_assert_eq!(LoopProbe::parse_frame(&frame), None);
        }

        #[test]
        fn survives_noise(noise: Vec<u8>) {
            let _ = LoopProbe::parse_frame(&noise);
        }
    }

    #[test]
    fn the_reserved_byte_is_ignored() {
        let probe = LoopProbe { bridge: 1, nonce: 2, port: 3, vid: 4 };
        let mut frame = probe.frame(MacAddr([2, 0, 0, 0, 0, 1]));
        frame[19] = 0xff;
        assert_eq!(LoopProbe::parse_frame(&frame), Some(probe));
    }
}
