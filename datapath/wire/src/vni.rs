//! The 24-bit virtual network identifier of Geneve and VXLAN.

use core::fmt;

/// Which overlay network a tunnelled frame belongs to: 0 to 2²⁴-1, all of them legal
/// (RFC 7348 section 5, RFC 8926 section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Vni(u32);

/// A number that takes more than 24 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a VNI (0 to 16777215)")]
pub struct VniOutOfRange(pub u32);

impl Vni {
    /// The largest one.
    pub const MAX: Self = Self((1 << 24) - 1);

    /// The number, 0 to 2²⁴-1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// From the three bytes on the wire.
    #[must_use]
    pub const fn from_wire(octets: [u8; 3]) -> Self {
        let [high, middle, low] = octets;
        Self(u32::from_be_bytes([0, high, middle, low]))
    }

    /// The three bytes for the wire.
    #[must_use]
    pub const fn to_wire(self) -> [u8; 3] {
        let [_, high, middle, low] = self.0.to_be_bytes();
        [high, middle, low]
    }
}

impl TryFrom<u32> for Vni {
    type Error = VniOutOfRange;

    fn try_from(raw: u32) -> Result<Self, Self::Error> {
        if raw > Self::MAX.0 {
            return Err(VniOutOfRange(raw));
        }
        Ok(Self(raw))
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::Vni;
    use proptest::prelude::*;

    /// Any VNI.
    pub fn any_vni() -> impl Strategy<Value = Vni> {
        any::<[u8; 3]>().prop_map(Vni::from_wire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_and_number_agree(octets: [u8; 3]) {
            let vni = Vni::from_wire(octets);
            prop_assert_eq!(vni.to_wire(), octets);
            prop_assert_eq!(Vni::try_from(vni.get()), Ok(vni));
        }

        #[test]
        fn larger_numbers_are_refused(raw in (1u32 << 24)..) {
            prop_assert_eq!(Vni::try_from(raw), Err(VniOutOfRange(raw)));
        }
    }

    #[test]
    fn the_first_byte_is_the_most_significant() {
        assert_eq!(Vni::from_wire([1, 2, 3]).get(), 0x01_02_03);
        assert_eq!(Vni::MAX.get(), 0xff_ffff);
    }
}
