//! The headers that name fields in NXM and OXM.

/// The class of a header: who gave out the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// 0x0000, `NXM_OF_`: fields of `OpenFlow` 1.0.
    Nxm0,
    /// 0x0001, `NXM_NX_`: extensions of Nicira.
    Nxm1,
    /// 0x8000, `OXM_OF_`.
    Basic,
    /// 0x8001, `OXM_OF_PKT_REG`.
    PacketRegisters,
    /// 0x1000, `ERICOXM_OF_`.
    Ericsson,
    /// 0xffff with the experimenter 0x4f4e4600, `ONFOXM_ET_`.
    Onf,
    /// 0xffff with the experimenter 0x00002320, `NXOXM_ET_`.
    Nicira,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 7] = [
        Self::Nxm0,
        Self::Nxm1,
        Self::Basic,
        Self::PacketRegisters,
        Self::Ericsson,
        Self::Onf,
        Self::Nicira,
    ];

    /// The class on the wire, and the experimenter that follows the header for class 0xffff.
    #[must_use]
    pub const fn wire(self) -> (u16, Option<u32>) {
        match self {
            Self::Nxm0 => (0x0000, None),
            Self::Nxm1 => (0x0001, None),
            Self::Basic => (0x8000, None),
            Self::PacketRegisters => (0x8001, None),
            Self::Ericsson => (0x1000, None),
            Self::Onf => (0xffff, Some(0x4f4e_4600)),
            Self::Nicira => (0xffff, Some(0x0000_2320)),
        }
    }

    /// The class with a number and an experimenter.
    #[must_use]
    pub fn from_wire(class: u16, experimenter: Option<u32>) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.wire() == (class, experimenter))
    }

    /// What its names begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Nxm0 => "NXM_OF_",
            Self::Nxm1 => "NXM_NX_",
            Self::Basic => "OXM_OF_",
            Self::PacketRegisters => "OXM_OF_PKT_REG",
            Self::Ericsson => "ERICOXM_OF_",
            Self::Onf => "ONFOXM_ET_",
            Self::Nicira => "NXOXM_ET_",
        }
    }
}

/// What names a field on the wire, without length and mask bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Header {
    /// Who gave out the number.
    pub class: Class,
    /// The number, 0 to 127.
    pub number: u8,
    /// Its name in texts behind the prefix of its class: `REG5`, `ETH_SRC`.
    pub name: &'static str,
}
