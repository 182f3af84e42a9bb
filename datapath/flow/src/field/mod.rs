//! Fields: what messages and texts name, and where their bits are.

mod header;
mod prerequisite;
mod slot;
mod table;

pub use header::{Class, Header};
pub use prerequisite::Prerequisite;
pub use slot::{Slot, ones};

use crate::Version;

/// A field that matches and actions can name.  `xreg0` and `reg0` are two fields over the same
/// bits, as are `in_port` (16 bits) and `in_port_oxm` (32 bits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Field(u16);

/// How a field is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// 42; a mask as hexadecimal numbers.
    Decimal,
    /// 0x2a.
    Hexadecimal,
    /// 02:00:00:00:00:01.
    Ethernet,
    /// 10.0.0.1/8.
    Ipv4,
    /// `fe80::1/64`.
    Ipv6,
    /// 1, LOCAL; 16 bits.
    Port,
    /// The same in 32 bits.
    PortWide,
    /// no, yes, first, later, `not_later`.
    Fragment,
    /// Names with + and -: `+oam`.
    TunnelFlags,
    /// Names with + and -: `+syn-ack`.
    TcpFlags,
    /// Names with + and -: `+trk+est`.
    CtState,
    /// (namespace,type).
    PacketType,
}

/// Bits of a slot that bits of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The slot.
    pub slot: Slot,
    /// The lowest bit in the slot.
    pub slot_bit: u32,
    /// The lowest bit in the field.
    pub field_bit: u32,
    /// How many bits.
    pub bits: u32,
}

/// What is the same for every use of a field.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its name in texts, and the other names that texts may have.
    pub(crate) names: &'static [&'static str],
    /// How wide it is on the wire, 1 to 128 bits; 992 for an option of a tunnel.
    pub(crate) bits: u32,
    /// Whether a match may have a mask.
    pub(crate) maskable: bool,
    /// Whether actions may set it.
    pub(crate) writable: bool,
    pub(crate) style: Style,
    pub(crate) prerequisite: Prerequisite,
    /// The header of `OpenFlow` 1.0's extended match.
    pub(crate) nxm: Option<Header>,
    /// The header of the Open Networking Foundation's extensions, and from which version on.
    pub(crate) onf: Option<(Header, Version)>,
    /// The header of OXM, and from which version on.
    pub(crate) oxm: Option<(Header, Version)>,
    pub(crate) places: &'static [Place],
}

impl Field {
    /// A register, 0 to 15.
    #[must_use]
    pub fn reg(number: u8) -> Option<Self> {
        Self::numbered("reg", number, 16)
    }

    /// A pair of registers, 0 to 7.
    #[must_use]
    pub fn xreg(number: u8) -> Option<Self> {
        Self::numbered("xreg", number, 8)
    }

    /// Four registers, 0 to 3.
    #[must_use]
    pub fn xxreg(number: u8) -> Option<Self> {
        Self::numbered("xxreg", number, 4)
    }

    /// An option of tunnels, 0 to 63.
    #[must_use]
    pub fn tun_metadata(number: u8) -> Option<Self> {
        Self::numbered("tun_metadata", number, 64)
    }

    fn numbered(prefix: &str, number: u8, count: u8) -> Option<Self> {
        if number >= count {
            return None;
        }
        Self::by_name(&format!("{prefix}{number}"))
    }

    /// All fields, in the order in which tables list them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0u16..).zip(table::rows()).map(|(number, _)| Self(number))
    }

    /// The field with a name of texts: `nw_src`, `ip_src`, `reg5`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        table::by_name(name).map(Self)
    }

    /// The field that a header on the wire names by class and number.
    #[must_use]
    pub fn by_header(class: Class, number: u8) -> Option<Self> {
        table::by_header(class, number).map(Self)
    }

    fn row(self) -> &'static Row {
        // A `Field` is made from numbers of rows only; the first row answers for no other.
        table::row_at(self.0).unwrap_or(&table::FIRST)
    }

    /// Its name in texts.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().names.first().copied().unwrap_or_default()
    }

    /// The other names that texts may have for it.
    #[must_use]
    pub fn other_names(self) -> &'static [&'static str] {
        self.row().names.get(1..).unwrap_or_default()
    }

    /// How wide it is, 1 to 128 bits; for an option of a tunnel 992, its widest.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.row().bits
    }

    /// How many bytes it has on the wire; an option of a tunnel has what the map of options says.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self.row().bits {
            // Labels of IPv6 and MPLS.
            20 => 4,
            bits => bits.div_ceil(8) as usize,
        }
    }

    /// Whether a match may have a mask for it.
    #[must_use]
    pub fn is_maskable(self) -> bool {
        self.row().maskable
    }

    /// Whether actions may change it.
    #[must_use]
    pub fn is_writable(self) -> bool {
        self.row().writable
    }

    /// How it is written as text.
    #[must_use]
    pub fn style(self) -> Style {
        self.row().style
    }

    /// What must be true for it to mean something.
    #[must_use]
    pub fn prerequisite(self) -> Prerequisite {
        self.row().prerequisite
    }

    /// Its header in 1.0's extended match.
    #[must_use]
    pub fn nxm(self) -> Option<Header> {
        self.row().nxm
    }

    /// Its header among the extensions of the Open Networking Foundation, and the version that brought it.
    #[must_use]
    pub fn onf(self) -> Option<(Header, Version)> {
        self.row().onf
    }

    /// Its header in OXM, and the version that brought it.
    #[must_use]
    pub fn oxm(self) -> Option<(Header, Version)> {
        self.row().oxm
    }

    /// The header that messages of a version name it by: the newest that the version has, or its
    /// first one if all are newer.  Version 1.0 has the header of NXM.
    #[must_use]
    pub fn header(self, version: Version) -> Option<Header> {
        let row = self.row();
        let mut chosen = row.nxm;
        for (header, since) in row.onf.into_iter().chain(row.oxm) {
            if chosen.is_none() || version >= since {
                chosen = Some(header);
            }
        }
        chosen
    }

    /// Where its bits are.  The places of a field cover all of its bits, once.
    #[must_use]
    pub fn places(self) -> &'static [Place] {
        self.row().places
    }

    /// The number of the tunnel option, 0 to 63, for a field that is one.
    #[must_use]
    pub fn tun_metadata_number(self) -> Option<u8> {
        match self.places().first()?.slot {
            Slot::TunMetadata(number, _) => Some(number),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Some bits of a field: `NXM_NX_REG5[8..15]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subfield {
    /// The field.
    pub field: Field,
    /// The lowest bit.
    pub offset: u16,
    /// How many bits, at least 1.
    pub bits: u16,
}

impl Subfield {
    /// All of a field.
    #[must_use]
    pub fn whole(field: Field) -> Self {
        Self { field, offset: 0, bits: u16::try_from(field.bits()).unwrap_or(u16::MAX) }
    }

    /// True when all its bits are in the field, and there is one at least.
    #[must_use]
    pub fn is_inside(self) -> bool {
        self.bits > 0 && u32::from(self.offset) + u32::from(self.bits) <= self.field.bits()
    }
}

#[cfg(test)]
mod tests;
