//! BPDUs, there and back, and what is refused.

use super::generators::any_bpdu;
use super::*;
use crate::mac::generators::{any_mac, unicast_mac};
use proptest::prelude::*;

fn frame_of(bpdu: &Bpdu, source: MacAddr) -> Vec<u8> {
    let mut bytes = vec![0xee; FRAME_LEN_MAX];
    let len = bpdu.write_frame(source, &mut bytes).unwrap();
    assert!(bytes[len..].iter().all(|&b| b == 0xee));
    bytes.truncate(len);
    bytes
}

proptest! {
    #[test]
    fn round_trips_with_padding(
        bpdu in any_bpdu(), source in unicast_mac(), padding: Vec<u8>,
    ) {
        let mut frame = frame_of(&bpdu, source);
        prop_assert_eq!(Bpdu::parse(&frame[FRAME_HEADER_LEN..]), Ok(bpdu));
        frame.extend(&padding);
        prop_assert_eq!(Bpdu::parse_frame(&frame), Ok((source, bpdu)));
    }

    /// 802.1D section 9.3.4: what a later version adds behind the BPDU is no matter of ours.
    #[test]
    fn ignores_what_later_versions_add(bpdu in any_bpdu(), version in 2u8.., more: Vec<u8>) {
        let mut bytes = vec![0; RST_LEN];
        let len = bpdu.write(&mut bytes).unwrap();
        bytes.truncate(len);
        bytes[2] = version;
        bytes.extend(&more);
        prop_assert_eq!(Bpdu::parse(&bytes), Ok(bpdu));
    }

    #[test]
    fn refuses_every_truncation(bpdu in any_bpdu(), source in any_mac()) {
        let frame = frame_of(&bpdu, source);
        for len in 0..frame.len() {
            let have_bytes = len;
            let error = Bpdu::parse_frame(&frame[..len]).unwrap_err();
            prop_assert!(
                matches!(error, BpduError::Truncated { have_bytes: h, .. } if h == have_bytes),
                "{error} at {len}"
            );
            // The same with a length field that agrees with the cut.
            if len >= FRAME_HEADER_LEN {
                let mut cut = frame[..len].to_vec();
                cut[13] = u8::try_from(len - 14).unwrap();
                let error = Bpdu::parse_frame(&cut).unwrap_err();
                prop_assert!(matches!(error, BpduError::Truncated { .. }), "{error} at {len}");
            }
            prop_assert!(bpdu.write_frame(source, &mut vec![0; len]).is_err());
        }
    }

    #[test]
    fn survives_noise(bytes: Vec<u8>, mut frame: [u8; FRAME_LEN_MAX], flips: [bool; 4]) {
        if let Ok(bpdu) = Bpdu::parse(&bytes) {
            prop_assert!(bytes.len() >= bpdu.len_bytes());
        }
        // Steer the noise past the first checks, one more each time.
        for (flip, (start, good)) in flips.into_iter().zip([
            (0, &BRIDGE_GROUP_ADDRESS.0[..]), (12, &[0, 39]), (14, &LLC), (17, &[0, 0, 2]),
        ]) {
            if flip { frame[start..start + good.len()].copy_from_slice(good); }
        }
        if let Ok((source, bpdu)) = Bpdu::parse_frame(&frame) {
            prop_assert_eq!(&frame[6..12], &source.0[..]);
            // What is accepted says the same when it is written again.
            prop_assert_eq!(Bpdu::parse_frame(&frame_of(&bpdu, source)), Ok((source, bpdu)));
        }
    }

    /// One flipped bit either changes the meaning or is refused, but for the fields that
    /// 802.1D has a receiver ignore.
    #[test]
    fn every_bit_counts(bpdu in any_bpdu(), source in unicast_mac(), at: prop::sample::Index) {
        let good = frame_of(&bpdu, source);
        let bit = at.index(good.len() * 8);
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let ignored = match (bit / 8, bpdu) {
            (19, _) | (52, Bpdu::Rst { .. }) => true,
            (21, Bpdu::Config { .. }) => bad[21] & 0x81 == good[21] & 0x81,
            (21, Bpdu::Rst { .. }) => bit % 8 == 7,
            _ => false,
        };
        let same = Bpdu::parse_frame(&bad) == Ok((source, bpdu));
        prop_assert!(!same || ignored, "bit {bit} is not read");
    }

    #[test]
    fn times_convert(secs: u8, units: u16) {
        let time = WireTime::from_secs(secs);
        prop_assert_eq!(time.ms(), u32::from(secs) * 1000);
        prop_assert_eq!(time.secs_rounded(), u16::from(secs));
        let time = WireTime(units);
        prop_assert!(WireTime::from_ms(time.ms()) == time);
        prop_assert!(u32::from(time.secs_rounded()) * 1000 <= time.ms() + 500);
        prop_assert!(u32::from(time.secs_rounded()) * 1000 + 500 >= time.ms());
    }
}

/// A Config BPDU as a bridge of priority 0x8000 sends it, written down field by field.
const CONFIG: [u8; 52] = [
    0x01, 0x80, 0xc2, 0, 0, 0, 0x02, 0, 0, 0, 0, 0x0a, 0, 38, 0x42, 0x42, 0x03, // frame
    0, 0, 0, 0, 0x81, // header, flags
    0x80, 0, 0x32, 0x10, 0xdc, 0x95, 0x7a, 0x4e, 0, 0, 0, 2, // root, cost
    0x80, 0, 0xc2, 0x08, 0x69, 0xb2, 0xbe, 0x46, 0x80, 0x02, // bridge, port
    1, 0, 20, 0, 2, 0, 15, 0,
];

#[test]
fn reads_a_config_bpdu() {
    let (source, bpdu) = Bpdu::parse_frame(&CONFIG).unwrap();
    assert_eq!(source, MacAddr([2, 0, 0, 0, 0, 10]));
    let root = BridgeIdentifier::new(0x8000, "32:10:dc:95:7a:4e".parse().unwrap());
    assert_eq!(root.to_string(), "8000.3210dc957a4e");
    assert_eq!((root.priority(), root.address().0[0]), (0x8000, 0x32));
    let info = BpduInfo {
        root,
        root_path_cost: 2,
        bridge: BridgeIdentifier::new(0x8000, "c2:08:69:b2:be:46".parse().unwrap()),
        port: PortIdentifier(0x8002),
        message_age: WireTime::from_secs(1),
        max_age: WireTime::from_secs(20),
        hello_time: WireTime::from_secs(2),
        forward_delay: WireTime::from_secs(15),
    };
    let want = Bpdu::Config { info, topology_change: true, topology_change_ack: true };
    assert_eq!(bpdu, want);
    assert_eq!(frame_of(&bpdu, source), CONFIG);
}

#[test]
fn says_what_is_wrong() {
    let change = |at: usize, bytes: &[u8]| {
        let mut frame = CONFIG.to_vec();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        Bpdu::parse_frame(&frame)
    };
    let other = MacAddr([1, 0x80, 0xc2, 0, 0, 2]);
    assert_eq!(change(5, &[2]), Err(BpduError::Target(other)));
    assert_eq!(change(12, &[8, 0]), Err(BpduError::LengthField(0x800)));
    assert_eq!(change(12, &[0, 2]), Err(BpduError::LengthField(2)));
    assert_eq!(change(16, &[0xf3]), Err(BpduError::Llc));
    assert_eq!(change(17, &[1, 2]), Err(BpduError::Protocol(0x102)));
    assert_eq!(change(20, &[1]), Err(BpduError::Kind(1)));
    assert_eq!(change(19, &[1, 2]), Err(BpduError::Version { version: 1, kind: 2 }));
    // 35 bytes are enough for Config, not for RST.
    let short = BpduError::Truncated { need_bytes: 36, have_bytes: 35 };
    assert_eq!(change(19, &[2, 2]), Err(short));
    let old = |age| BpduError::Expired { message_age: age, max_age: WireTime::from_secs(20) };
    assert_eq!(change(44, &[20]), Err(old(WireTime::from_secs(20))));
    assert_eq!(change(44, &[255, 255]), Err(old(WireTime(u16::MAX))));
    assert!(change(44, &[19, 255]).is_ok());
    assert!(change(44, &[255, 255]).unwrap_err().to_string().contains("message age"));
}
