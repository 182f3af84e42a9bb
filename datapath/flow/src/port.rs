//! Port numbers of `OpenFlow`, in their form of 32 bits.

/// A port number.  The reserved ones are those of version 1.1 and later; the codec translates the
/// 16-bit numbers of 1.0 (0xff00 and above) to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct PortNo(pub u32);

impl PortNo {
    /// Where numbers of ports end in the 16-bit form: ports have 1 to 0xfeff.
    pub const MAX: u32 = 0xff00;
    /// Unset in an action set (`actset_output`).
    pub const UNSET: Self = Self(0xffff_fff7);
    /// The port that the packet came in on.
    pub const IN_PORT: Self = Self(0xffff_fff8);
    /// The tables, from the first: in packet-outs only.
    pub const TABLE: Self = Self(0xffff_fff9);
    /// What a learning bridge does.
    pub const NORMAL: Self = Self(0xffff_fffa);
    /// All ports but the ingress port and those with `no-flood`.
    pub const FLOOD: Self = Self(0xffff_fffb);
    /// All ports but the ingress port.
    pub const ALL: Self = Self(0xffff_fffc);
    /// The controllers.
    pub const CONTROLLER: Self = Self(0xffff_fffd);
    /// The bridge's own internal port.
    pub const LOCAL: Self = Self(0xffff_fffe);
    /// None, or any; `NONE` in 1.0, `ANY` later.
    pub const ANY: Self = Self(0xffff_ffff);

    /// The number in 1.0's form, where there is one.
    #[must_use]
    pub fn to_u16(self) -> Option<u16> {
        match self.0 {
            0xffff_ff00.. => u16::try_from(self.0 & 0xffff).ok(),
            number if number < Self::MAX => u16::try_from(number).ok(),
            _ => None,
        }
    }

    /// The number that 1.0 writes in 16 bits.
    #[must_use]
    pub const fn from_u16(number: u16) -> Self {
        // `From` is not const.
        let wide = number as u32;
        if wide < Self::MAX { Self(wide) } else { Self(wide | 0xffff_0000) }
    }

    /// True for the numbers that stand for something else than one port of the bridge; `LOCAL` is
    /// a port of the bridge.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        self.0 >= Self::MAX && self.0 != Self::LOCAL.0
    }
}

#[cfg(test)]
mod tests {
    use super::PortNo;

    #[test]
    fn numbers_of_both_forms_are_the_same() {
        for (narrow, wide) in [
            (1, PortNo(1)),
            (0xfeff, PortNo(0xfeff)),
            (0xfffe, PortNo::LOCAL),
            (0xffff, PortNo::ANY),
        ] {
            assert_eq!(PortNo::from_u16(narrow), wide);
            assert_eq!(wide.to_u16(), Some(narrow));
        }
        assert_eq!(PortNo(0xff00).to_u16(), None);
        assert_eq!(PortNo(0x1_0000).to_u16(), None);
    }
}
