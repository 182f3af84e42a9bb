//! The versions of `OpenFlow`.

/// A version of the protocol, by its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Version {
    /// `OpenFlow` 1.0, with the extensions of Nicira.
    V10 = 1,
    /// `OpenFlow` 1.1.
    V11 = 2,
    /// `OpenFlow` 1.2: OXM.
    V12 = 3,
    /// `OpenFlow` 1.3: meters.
    V13 = 4,
    /// `OpenFlow` 1.4: bundles, properties.
    V14 = 5,
    /// `OpenFlow` 1.5: OXS, masked `set_field`.
    V15 = 6,
}

impl Version {
    /// All, the oldest first.
    pub const ALL: [Self; 6] = [Self::V10, Self::V11, Self::V12, Self::V13, Self::V14, Self::V15];

    /// The version with a number on the wire.
    #[must_use]
    pub fn from_wire(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|version| *version as u8 == number)
    }
}
