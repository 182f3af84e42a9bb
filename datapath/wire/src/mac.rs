//! The 48-bit Ethernet address, IEEE 802 section 8.

use core::fmt;
use core::str::FromStr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A MAC address.  Any 48 bits are one.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(transparent)]
pub struct MacAddr(pub [u8; 6]);

/// 01:80:c2:00:00:0x, IEEE 802.1Q table 8-1: never forwarded by a bridge.
const RESERVED_8021D: u64 = 0x0180_c200_0000;
/// 01:00:0c:cc:cc:cX: CDP, VTP, DTP (`cc`), PVST+ (`cd`) and their relatives.
const RESERVED_CISCO: u64 = 0x0100_0ccc_ccc0;
/// Other addresses that Open vSwitch never forwards: EDP and EAPS of Extreme Networks, then
/// uplink-fast and ISL of Cisco.
const RESERVED_OTHERS: [u64; 5] =
    [0x00e0_2b00_0000, 0x00e0_2b00_0004, 0x00e0_2b00_0006, 0x0100_0ccd_cdcd, 0x0100_0c00_0000];

impl MacAddr {
    /// ff:ff:ff:ff:ff:ff, every station.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// 00:00:00:00:00:00, used for "none".
    pub const ZERO: Self = Self([0; 6]);

    /// The bytes in the order in which they are sent.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// The I/G bit: a multicast address, or broadcast.
    #[must_use]
    pub const fn is_group(self) -> bool {
        let [first, ..] = self.0;
        first & 1 != 0
    }

    /// True for ff:ff:ff:ff:ff:ff alone.
    #[must_use]
    pub const fn is_broadcast(self) -> bool {
        self.to_u64() == 0xffff_ffff_ffff
    }

    /// True for 00:00:00:00:00:00 alone.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.to_u64() == 0
    }

    /// The U/L bit: not from a vendor's range.
    #[must_use]
    pub const fn is_local(self) -> bool {
        let [first, ..] = self.0;
        first & 2 != 0
    }

    /// The address as a number: the first byte sent is the most significant of the low 48 bits.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        let [o1, o2, o3, o4, o5, o6] = self.0;
        u64::from_be_bytes([0, 0, o1, o2, o3, o4, o5, o6])
    }

    /// The address whose number is `raw`; the upper 16 bits are ignored.
    #[must_use]
    pub const fn from_u64(raw: u64) -> Self {
        let [_, _, octets @ ..] = raw.to_be_bytes();
        Self(octets)
    }

    /// True for the link-local control addresses that a bridge never forwards, unless it is told
    /// to (`other_config:forward-bpdu`): IEEE 802.1D section 7.12.6 and the vendors' own.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        let raw = self.to_u64();
        let block = raw & !0xf;
        let [edp, eaps, eaps_too, uplink, isl] = RESERVED_OTHERS;
        block == RESERVED_8021D
            || block == RESERVED_CISCO
            || raw == edp
            || raw == eaps
            || raw == eaps_too
            || raw == uplink
            || raw == isl
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [o1, o2, o3, o4, o5, o6] = self.0;
        write!(out, "{o1:02x}:{o2:02x}:{o3:02x}:{o4:02x}:{o5:02x}:{o6:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// How much of a text that is no MAC address an error keeps, in bytes.
const QUOTED_MAX: usize = 32;

/// A text that is no MAC address; it keeps the start of that text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InvalidMacAddr {
    quoted: [u8; QUOTED_MAX],
    len: usize,
    is_cut: bool,
}

impl InvalidMacAddr {
    fn new(text: &str) -> Self {
        let mut quoted = [0; QUOTED_MAX];
        let mut len = 0;
        for c in text.chars() {
            let Some(room) = quoted.get_mut(len..len + c.len_utf8()) else { break };
            c.encode_utf8(room);
            len += c.len_utf8();
        }
        Self { quoted, len, is_cut: len < text.len() }
    }

    /// The text, or its start when it is longer than 32 bytes.
    #[must_use]
    pub fn text(&self) -> &str {
        let bytes = self.quoted.get(..self.len).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for InvalidMacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.is_cut { "..." } else { "" };
        write!(
            f,
            "\"{}{more}\" is not a MAC address (want xx:xx:xx:xx:xx:xx)",
            self.text().escape_debug()
        )
    }
}

impl fmt::Debug for InvalidMacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvalidMacAddr({self})")
    }
}

impl core::error::Error for InvalidMacAddr {}

/// One or two hexadecimal digits and nothing else.
fn hex_byte(text: &str) -> Option<u8> {
    let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hex && (1..=2).contains(&text.len()) { u8::from_str_radix(text, 16).ok() } else { None }
}

impl FromStr for MacAddr {
    type Err = InvalidMacAddr;

    /// Six groups of one or two hexadecimal digits of either case, with colons between.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut octets = [0; 6];
        let mut groups = text.split(':');
        for octet in &mut octets {
            *octet = groups.next().and_then(hex_byte).ok_or_else(|| InvalidMacAddr::new(text))?;
        }
        match groups.next() {
            None => Ok(Self(octets)),
            Some(_) => Err(InvalidMacAddr::new(text)),
        }
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::MacAddr;
    use proptest::prelude::*;

    /// Any address at all.
    pub fn any_mac() -> impl Strategy<Value = MacAddr> {
        any::<[u8; 6]>().prop_map(MacAddr)
    }

    /// An address of one station, as a source must be.
    pub fn unicast_mac() -> impl Strategy<Value = MacAddr> {
        any::<[u8; 6]>().prop_map(|mut octets| {
            if let Some(first) = octets.first_mut() {
                *first &= !1;
            }
            MacAddr(octets)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn number_and_text_round_trip(mac in generators::any_mac()) {
            prop_assert_eq!(MacAddr::from_u64(mac.to_u64()), mac);
            prop_assert_eq!(mac.to_string().parse::<MacAddr>(), Ok(mac));
            prop_assert_eq!(mac.to_string().to_uppercase().parse::<MacAddr>(), Ok(mac));
        }

        #[test]
        fn the_number_orders_like_the_address(a in generators::any_mac(), b in generators::any_mac()) {
            prop_assert_eq!(a.cmp(&b), a.to_u64().cmp(&b.to_u64()));
        }

        /// Whatever the text, there is no panic, and an error quotes its start.
        #[test]
        fn survives_any_text(text: String) {
            if let Err(error) = text.parse::<MacAddr>() {
                prop_assert!(text.starts_with(error.text()));
                prop_assert!(!error.text().is_empty() || text.is_empty());
            }
        }
    }

    #[test]
    fn reads_what_ovs_writes() {
        assert_eq!("0a:00:00:00:00:0f".parse(), Ok(MacAddr([0x0a, 0, 0, 0, 0, 0x0f])));
        assert_eq!("a:0:0:0:0:f".parse(), Ok(MacAddr([0x0a, 0, 0, 0, 0, 0x0f])));
    }

    #[test]
    fn refuses_what_is_no_address_and_names_it() {
        for text in [
            "",
            "00:11:22:33:44",
            "00:11:22:33:44:55:66",
            "00:11:22:33:44:5g",
            "001122334455",
            "00:11:22:33:44:+5",
            "000:1:2:3:4:5",
            ":::::",
            "00-11-22-33-44-55",
        ] {
            let error = text.parse::<MacAddr>().unwrap_err();
            assert_eq!(error.text(), text);
            assert!(error.to_string().contains(text), "{error}");
        }
        let error = "x".repeat(40).parse::<MacAddr>().unwrap_err();
        assert!(error.to_string().contains("xxx..."), "{error}");
    }

    #[test]
    fn knows_its_bits() {
        assert!(MacAddr::BROADCAST.is_group() && MacAddr::BROADCAST.is_broadcast());
        let multicast = MacAddr([1, 0, 0x5e, 0, 0, 1]);
        assert!(multicast.is_group() && !multicast.is_broadcast() && !multicast.is_local());
        assert!(!MacAddr([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff]).is_group());
        assert!(MacAddr([2, 0, 0, 0, 0, 0]).is_local());
        assert!(MacAddr::ZERO.is_zero() && !multicast.is_zero());
    }

    #[test]
    fn knows_the_reserved_addresses() {
        let reserved = |text: &str| text.parse::<MacAddr>().unwrap().is_reserved();
        for last in 0..=0xffu8 {
            assert_eq!(MacAddr([1, 0x80, 0xc2, 0, 0, last]).is_reserved(), last < 0x10);
            let cisco = MacAddr([1, 0, 0x0c, 0xcc, 0xcc, last]);
            assert_eq!(cisco.is_reserved(), (0xc0..=0xcf).contains(&last));
            let extreme = MacAddr([0, 0xe0, 0x2b, 0, 0, last]);
            assert_eq!(extreme.is_reserved(), [0, 4, 6].contains(&last));
        }
        assert!(reserved("01:00:0c:cd:cd:cd") && reserved("01:00:0c:00:00:00"));
        assert!(!reserved("ff:ff:ff:ff:ff:ff") && !reserved("00:80:c2:00:00:00"));
        assert!(!reserved("01:80:c2:00:01:00") && !reserved("01:00:0c:cd:cd:ce"));
    }
}
