//! Where slots are in the words of a key.

use super::words::WORDS;
use crate::Slot;

/// A place of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// In one word, this far from its low end.
    Bits {
        /// Which word.
        word: usize,
        /// The lowest bit.
        shift: u32,
    },
    /// Two words, the high half first.
    Wide {
        /// The first of them.
        word: usize,
    },
    /// Among the options that have no word.
    Option(u16),
}

const TUNNEL: usize = 22;
const L2: usize = 35;
const L3: usize = 38;
const L4: usize = 44;

/// A part of a key.  A lookup reads them in this order and stops where nothing can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Ingress port, metadata, registers, connection tracking.
    Metadata,
    /// What the tunnel header said.
    Tunnel,
    /// Ethernet, tags, MPLS.
    L2,
    /// IP, and the addresses of ARP.
    L3,
    /// Ports, types, neighbour discovery.
    L4,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Metadata, Self::Tunnel, Self::L2, Self::L3, Self::L4];

    /// The words of it, as a set of bits; bit 63 is the options that have no word.
    #[must_use]
    pub(crate) const fn words(self) -> u64 {
        match self {
            Self::Metadata => below(TUNNEL),
            Self::Tunnel => below(L2) & !below(TUNNEL) | super::words::OPTIONS,
            Self::L2 => below(L3) & !below(L2),
            Self::L3 => below(L4) & !below(L3),
            Self::L4 => below(WORDS) & !below(L4),
        }
    }
}

/// The set of all words below one.
const fn below(word: usize) -> u64 {
    (1 << word) - 1
}

const fn bits(word: usize, shift: u32) -> Spot {
    Spot::Bits { word, shift }
}

const fn wide(word: usize) -> Spot {
    Spot::Wide { word }
}

/// Where a slot is.
#[inline]
pub(super) const fn spot(slot: Slot) -> Spot {
    match slot {
        Slot::InPort => bits(0, 0),
        Slot::RecircId => bits(0, 32),
        Slot::Metadata => bits(1, 0),
        // Two to a word, the even one in the high half: a word is an xreg.
        Slot::Reg(number) => {
            let number = (number & 15) as usize;
            bits(2 + number / 2, if number.is_multiple_of(2) { 32 } else { 0 })
        }
        Slot::PktMark => bits(10, 0),
        Slot::DpHash => bits(10, 32),
        Slot::CtState => bits(11, 0),
        Slot::CtMark => bits(11, 32),
        Slot::ConjId => bits(12, 0),
        Slot::ActsetOutput => bits(12, 32),
        Slot::CtZone => bits(13, 0),
        Slot::CtNwProto => bits(13, 16),
        Slot::CtTpSrc => bits(13, 32),
        Slot::CtTpDst => bits(13, 48),
        Slot::CtNwSrc => bits(14, 0),
        Slot::CtNwDst => bits(14, 32),
        Slot::CtLabel => wide(15),
        Slot::CtIpv6Src => wide(17),
        Slot::CtIpv6Dst => wide(19),
        Slot::PacketType => bits(21, 0),
        _ => tunnel_spot(slot),
    }
}

const fn tunnel_spot(slot: Slot) -> Spot {
    match slot {
        Slot::TunId => bits(TUNNEL, 0),
        Slot::TunSrc => bits(TUNNEL + 1, 0),
        Slot::TunDst => bits(TUNNEL + 1, 32),
        Slot::TunIpv6Src => wide(TUNNEL + 2),
        Slot::TunIpv6Dst => wide(TUNNEL + 4),
        Slot::TunFlags => bits(TUNNEL + 6, 0),
        Slot::TunTos => bits(TUNNEL + 6, 16),
        Slot::TunTtl => bits(TUNNEL + 6, 24),
        Slot::TunGbpId => bits(TUNNEL + 6, 32),
        Slot::TunGbpFlags => bits(TUNNEL + 6, 48),
        Slot::TunGtpuFlags => bits(TUNNEL + 6, 56),
        Slot::TunErspanIdx => bits(TUNNEL + 7, 0),
        Slot::TunErspanVer => bits(TUNNEL + 7, 32),
        Slot::TunErspanDir => bits(TUNNEL + 7, 40),
        Slot::TunErspanHwid => bits(TUNNEL + 7, 48),
        Slot::TunGtpuMsgtype => bits(TUNNEL + 7, 56),
        Slot::TunPresent => bits(TUNNEL + 12, 0),
        Slot::TunMetadata(0, 0) => wide(TUNNEL + 8),
        Slot::TunMetadata(1, 0) => wide(TUNNEL + 10),
        Slot::TunMetadata(number, word) => Spot::Option((number as u16) << 8 | word as u16),
        _ => header_spot(slot),
    }
}

const fn header_spot(slot: Slot) -> Spot {
    match slot {
        Slot::EthDst => bits(L2, 0),
        Slot::VlanTci => bits(L2, 48),
        Slot::EthSrc => bits(L2 + 1, 0),
        Slot::EthType => bits(L2 + 1, 48),
        Slot::MplsLse => bits(L2 + 2, 0),
        Slot::InnerTci => bits(L2 + 2, 32),
        Slot::NwSrc => bits(L3, 0),
        Slot::NwDst => bits(L3, 32),
        Slot::Ipv6Label => bits(L3 + 1, 0),
        Slot::NwTos => bits(L3 + 1, 32),
        Slot::NwTtl => bits(L3 + 1, 40),
        Slot::NwFrag => bits(L3 + 1, 48),
        Slot::NwProto => bits(L3 + 1, 56),
        Slot::Ipv6Src => wide(L3 + 2),
        Slot::Ipv6Dst => wide(L3 + 4),
        Slot::TpSrc => bits(L4, 0),
        Slot::TpDst => bits(L4, 16),
        Slot::TcpFlags => bits(L4, 32),
        Slot::NdOptionsType => bits(L4, 48),
        Slot::ArpSha => bits(L4 + 1, 0),
        Slot::ArpTha => bits(L4 + 2, 0),
        Slot::NdReserved => bits(L4 + 3, 0),
        // `spot` has named all the others.
        _ => wide(L4 + 4),
    }
}

/// All slots that have a word.
pub(super) fn slots() -> impl Iterator<Item = Slot> {
    let registers = (0..16).map(Slot::Reg);
    OTHERS.into_iter().chain(Slot::TUNNEL).chain(Slot::BEHIND_TAGS).chain(registers)
}

/// What has a word, but for what tunnels say, headers behind tags, and registers.
const OTHERS: [Slot; 27] = [
    Slot::RecircId,
    Slot::DpHash,
    Slot::TunMetadata(0, 0),
    Slot::TunMetadata(1, 0),
    Slot::Metadata,
    Slot::PktMark,
    Slot::CtState,
    Slot::CtZone,
    Slot::CtMark,
    Slot::CtLabel,
    Slot::CtNwProto,
    Slot::CtNwSrc,
    Slot::CtNwDst,
    Slot::CtIpv6Src,
    Slot::CtIpv6Dst,
    Slot::CtTpSrc,
    Slot::CtTpDst,
    Slot::ConjId,
    Slot::ActsetOutput,
    Slot::InPort,
    Slot::PacketType,
    Slot::EthDst,
    Slot::EthSrc,
    Slot::EthType,
    Slot::VlanTci,
    Slot::InnerTci,
    Slot::MplsLse,
];
