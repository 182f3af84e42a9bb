//! What a VLAN tag carries: VID, PCP and DEI, IEEE 802.1Q section 9.6.

use core::fmt;

/// A VLAN identifier, 0 to 4095.
///
/// 0 stands for "no VLAN": a frame that is untagged or priority-tagged, on a trunk port.  4095 is
/// reserved by IEEE 802.1Q table 9-2; it is a VLAN like any other here, as with Open vSwitch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Vid(u16);

/// A number that is no [`Vid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a VLAN identifier (0 to 4095)")]
pub struct VidOutOfRange(pub u16);

impl Vid {
    /// VLAN 0, that of untagged frames on a trunk port.
    pub const UNTAGGED: Self = Self(0);
    /// The largest VLAN identifier.
    pub const MAX: Self = Self(4095);

    /// The number, 0 to 4095.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The VLAN numbered `raw`; `None` above 4095.
    #[must_use]
    pub const fn new(raw: u16) -> Option<Self> {
        if raw <= Self::MAX.0 { Some(Self(raw)) } else { None }
    }

    /// True for VLAN 0.
    #[must_use]
    pub const fn is_untagged(self) -> bool {
        self.0 == 0
    }
}

impl TryFrom<u16> for Vid {
    type Error = VidOutOfRange;

    fn try_from(raw: u16) -> Result<Self, Self::Error> {
        Self::new(raw).ok_or(VidOutOfRange(raw))
    }
}

impl From<Vid> for u16 {
    fn from(vid: Vid) -> Self {
        vid.0
    }
}

impl fmt::Display for Vid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Vid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vid({})", self.0)
    }
}

/// A priority code point, 0 to 7; 0 is best effort (IEEE 802.1Q section 6.9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Pcp(u8);

/// A number that is no [`Pcp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a priority (0 to 7)")]
pub struct PcpOutOfRange(pub u8);

impl Pcp {
    /// Priority 0, which pushed tags get.
    pub const BEST_EFFORT: Self = Self(0);

    /// The number, 0 to 7.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Pcp {
    type Error = PcpOutOfRange;

    fn try_from(raw: u8) -> Result<Self, Self::Error> {
        if raw <= 7 { Ok(Self(raw)) } else { Err(PcpOutOfRange(raw)) }
    }
}

/// Tag control information: the 16 bits behind a TPID.  Any 16 bits are one.
///
/// ```text
///  0                   1
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
/// |PCP  |D|          VID          |
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Tci(u16);

impl Tci {
    /// Puts the three fields together.
    #[must_use]
    pub const fn new(pcp: Pcp, dei: bool, vid: Vid) -> Self {
        Self((pcp.0 as u16) << 13 | (dei as u16) << 12 | vid.0)
    }

    /// The bits as they are on the wire, in host order.
    #[must_use]
    pub const fn from_wire(raw: u16) -> Self {
        Self(raw)
    }

    /// The bits as they go on the wire, in host order.
    #[must_use]
    pub const fn to_wire(self) -> u16 {
        self.0
    }

    /// The priority.
    #[must_use]
    pub const fn pcp(self) -> Pcp {
        let [high, _] = self.0.to_be_bytes();
        Pcp(high >> 5)
    }

    /// Drop eligible (CFI before 802.1Q-2011).
    #[must_use]
    pub const fn dei(self) -> bool {
        self.0 & 0x1000 != 0
    }

    /// The VLAN.
    #[must_use]
    pub const fn vid(self) -> Vid {
        Vid(self.0 & Vid::MAX.0)
    }

    /// The same priority and DEI in another VLAN.
    #[must_use]
    pub const fn with_vid(self, vid: Vid) -> Self {
        Self(self.0 & 0xf000 | vid.0)
    }
}

impl fmt::Debug for Tci {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pcp, dei) = (self.pcp().get(), u8::from(self.dei()));
        write!(f, "Tci(vid {}, pcp {pcp}, dei {dei})", self.vid())
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::{Pcp, Tci, Vid};
    use proptest::prelude::*;

    /// Any VLAN, 0 included.
    pub fn any_vid() -> impl Strategy<Value = Vid> {
        (0..=Vid::MAX.0).prop_map(Vid)
    }

    /// Any priority.
    pub fn any_pcp() -> impl Strategy<Value = Pcp> {
        (0u8..8).prop_map(Pcp)
    }

    /// Any tag control information.
    pub fn any_tci() -> impl Strategy<Value = Tci> {
        (any_pcp(), any::<bool>(), any_vid()).prop_map(|(pcp, dei, vid)| Tci::new(pcp, dei, vid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_vid_is_at_most_4095(raw: u16) {
            match Vid::try_from(raw) {
                Ok(vid) => prop_assert!(raw <= 4095 && vid.get() == raw),
                Err(VidOutOfRange(named)) => prop_assert!(raw > 4095 && named == raw),
            }
        }

        #[test]
        fn fields_round_trip(pcp in generators::any_pcp(), dei: bool, vid in generators::any_vid()) {
            let tci = Tci::new(pcp, dei, vid);
            prop_assert_eq!((tci.pcp(), tci.dei(), tci.vid()), (pcp, dei, vid));
        }

        #[test]
        fn every_bit_is_kept(raw: u16, vid in generators::any_vid()) {
            let tci = Tci::from_wire(raw);
            prop_assert_eq!(tci.to_wire(), raw);
            let again = u16::from(tci.pcp().get()) << 13 | u16::from(tci.dei()) << 12 | tci.vid().get();
            prop_assert_eq!(again, raw);
            let moved = tci.with_vid(vid);
            prop_assert_eq!((moved.pcp(), moved.dei(), moved.vid()), (tci.pcp(), tci.dei(), vid));
        }
    }

    #[test]
    fn twelve_bits_are_a_vlan() {
        assert_eq!(Tci::from_wire(0xffff).vid(), Vid::MAX);
        assert_eq!(Pcp::try_from(8), Err(PcpOutOfRange(8)));
        assert_eq!(
            Vid::try_from(4096).unwrap_err().to_string(),
            "4096 is not a VLAN identifier (0 to 4095)"
        );
    }
}
