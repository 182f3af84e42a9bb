//! What fields need of a packet.

use super::Slot;
use crate::Bits;

/// Tag present: bit 12 of the TCI in a key.
const TAG_PRESENT: u128 = 0x1000;

/// What must be in a match, or true of a packet, for a field to mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prerequisite {
    /// Nothing.
    None,
    /// A tag.
    Vlan,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// IPv4 or IPv6.
    Ip,
    /// ARP or RARP.
    Arp,
    /// MPLS.
    Mpls,
    /// TCP over either IP, not a later fragment.
    Tcp,
    /// UDP over either IP, not a later fragment.
    Udp,
    /// SCTP over either IP, not a later fragment.
    Sctp,
    /// ICMP over IPv4.
    Icmpv4,
    /// `ICMPv6`.
    Icmpv6,
    /// `ICMPv6` type 135 or 136, code 0.
    Nd,
    /// `ICMPv6` type 135, code 0.
    NdSolicit,
    /// `ICMPv6` type 136, code 0.
    NdAdvert,
    /// Tracked, with a valid connection, IPv4 or IPv6.
    Ct,
    /// Tracked, IPv4.
    CtIpv4,
    /// Tracked, IPv6.
    CtIpv6,
}

impl Prerequisite {
    /// The slots that say whether a packet has it.
    #[must_use]
    pub const fn slots(self) -> &'static [Slot] {
        use Slot::{CtState, EthType, NwFrag, NwProto, TpDst, TpSrc, VlanTci};
        match self {
            Self::None => &[],
            Self::Vlan => &[VlanTci],
            Self::Ipv4 | Self::Ipv6 | Self::Ip | Self::Arp | Self::Mpls => &[EthType],
            Self::Tcp | Self::Udp | Self::Sctp | Self::Icmpv4 | Self::Icmpv6 => {
                &[EthType, NwFrag, NwProto]
            }
            Self::Nd | Self::NdSolicit | Self::NdAdvert => {
                &[EthType, NwFrag, NwProto, TpSrc, TpDst]
            }
            Self::Ct | Self::CtIpv4 | Self::CtIpv6 => &[CtState, EthType],
        }
    }

    /// True when it holds for all that these bits of slots stand for; bits that do not count may be any.
    #[must_use]
    pub fn holds(self, bits_of: impl Fn(Slot) -> Bits) -> bool {
        let is = |slot: Slot, value: u128| {
            let bits = bits_of(slot);
            bits.mask == slot.ones() && bits.value == value
        };
        let ipv4 = || is(Slot::EthType, 0x0800);
        let ipv6 = || is(Slot::EthType, 0x86dd);
        let protocol = |number| is(Slot::NwProto, number);
        // A later fragment has no ports.
        let first = || bits_of(Slot::NwFrag).value & 2 == 0;
        // Type and code of ICMP are the low bytes of what has the ports of others.
        let byte = |slot: Slot, value: u128| {
            let bits = bits_of(slot);
            bits.mask & 0xff == 0xff && bits.value == value
        };
        let nd = |kind| byte(Slot::TpSrc, kind) && byte(Slot::TpDst, 0);
        let icmpv6 = || ipv6() && protocol(58) && first();
        match self {
            Self::None => true,
            Self::Vlan => {
                let tci = bits_of(Slot::VlanTci);
                tci.value & TAG_PRESENT != 0
            }
            Self::Ipv4 => ipv4(),
            Self::Ipv6 => ipv6(),
            Self::Ip => ipv4() || ipv6(),
            Self::Arp => is(Slot::EthType, 0x0806) || is(Slot::EthType, 0x8035),
            Self::Mpls => is(Slot::EthType, 0x8847) || is(Slot::EthType, 0x8848),
            Self::Tcp => (ipv4() || ipv6()) && protocol(6) && first(),
            Self::Udp => (ipv4() || ipv6()) && protocol(17) && first(),
            Self::Sctp => (ipv4() || ipv6()) && protocol(132) && first(),
            Self::Icmpv4 => ipv4() && protocol(1) && first(),
            Self::Icmpv6 => icmpv6(),
            Self::Nd => icmpv6() && (nd(135) || nd(136)),
            Self::NdSolicit => icmpv6() && nd(135),
            Self::NdAdvert => icmpv6() && nd(136),
            Self::Ct => (ipv4() || ipv6()) && has_connection(bits_of(Slot::CtState)),
            Self::CtIpv4 => ipv4() && has_connection(bits_of(Slot::CtState)),
            Self::CtIpv6 => ipv6() && has_connection(bits_of(Slot::CtState)),
        }
    }
}

/// True for states that have a connection, or say that they are valid.
const fn has_connection(state: Bits) -> bool {
    const NEW_TO_REPLY: u128 = 0x0f;
    const INVALID: u128 = 0x10;
    const TRACKED: u128 = 0x20;
    const TRANSLATED: u128 = 0xc0;
    let is_valid = state.mask & INVALID != 0 && state.value & INVALID == 0;
    state.value & (NEW_TO_REPLY | TRANSLATED) != 0 || (state.value & TRACKED != 0 && is_valid)
}
