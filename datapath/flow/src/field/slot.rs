//! Where the bits of fields are: the members of a packet's key.

/// A member of the key of a packet: the canonical place of what one or several fields name.
/// `tcp_src`, `udp_src` and `icmp_type` are all [`Slot::TpSrc`]; `xreg0` is two registers.
///
/// Values are unsigned numbers in the low bits of a `u128`, as wide as [`Slot::bits`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// What resumed this packet: 0, or the number of a continuation.
    RecircId,
    /// The hash that a select group drew.
    DpHash,
    /// The tunnel's key, network order.
    TunId,
    /// Outer IPv4 source.
    TunSrc,
    /// Outer IPv4 destination.
    TunDst,
    /// Outer IPv6 source.
    TunIpv6Src,
    /// Outer IPv6 destination.
    TunIpv6Dst,
    /// Flags of the tunnel: bit 0 is OAM.
    TunFlags,
    /// Outer TOS.
    TunTos,
    /// Outer TTL.
    TunTtl,
    /// VXLAN group policy id.
    TunGbpId,
    /// VXLAN group policy flags.
    TunGbpFlags,
    /// ERSPAN index: 20 bits of it are used.
    TunErspanIdx,
    /// ERSPAN version.
    TunErspanVer,
    /// ERSPAN direction.
    TunErspanDir,
    /// ERSPAN hardware id.
    TunErspanHwid,
    /// GTP-U flags.
    TunGtpuFlags,
    /// GTP-U message type.
    TunGtpuMsgtype,
    /// Which options the tunnel has, one bit for each number of a field, 0 to 63.  Whoever matches
    /// an option, even with no bit of it, asks for its bit here.
    TunPresent,
    /// 128 bits of a tunnel option: the field's number (0 to 63), and which word of it, counted
    /// from its last bytes (0 to 7).
    TunMetadata(u8, u8),
    /// The metadata that tables hand on.
    Metadata,
    /// A register, 0 to 15.
    Reg(u8),
    /// The mark that goes with the packet.
    PktMark,
    /// State of connection tracking.
    CtState,
    /// Zone of connection tracking.
    CtZone,
    /// Mark of the connection.
    CtMark,
    /// Label of the connection.
    CtLabel,
    /// Protocol of the connection's original direction.
    CtNwProto,
    /// IPv4 source of the connection's original direction.
    CtNwSrc,
    /// IPv4 destination of the connection's original direction.
    CtNwDst,
    /// IPv6 source of the connection's original direction.
    CtIpv6Src,
    /// IPv6 destination of the connection's original direction.
    CtIpv6Dst,
    /// Source port of the connection's original direction.
    CtTpSrc,
    /// Destination port of the connection's original direction.
    CtTpDst,
    /// The id of a conjunction.
    ConjId,
    /// Where the action set's output goes.
    ActsetOutput,
    /// The port that the packet came in on, 32 bits.
    InPort,
    /// Namespace (high 16 bits) and type: 0 is Ethernet.
    PacketType,
    /// Ethernet destination.
    EthDst,
    /// Ethernet source.
    EthSrc,
    /// The `EtherType` behind tags; 0x05ff for LLC.
    EthType,
    /// The outer tag with bit 12 set, or 0 without one.
    VlanTci,
    /// The tag behind that one, in the same form, where two are looked at.  No field names it.
    InnerTci,
    /// The outer MPLS label stack entry.
    MplsLse,
    /// IPv4 source; the sender's address of ARP.
    NwSrc,
    /// IPv4 destination; the target's address of ARP.
    NwDst,
    /// IPv6 source.
    Ipv6Src,
    /// IPv6 destination.
    Ipv6Dst,
    /// IPv6 flow label, 20 bits.
    Ipv6Label,
    /// DSCP (high 6 bits) and ECN.
    NwTos,
    /// TTL, hop limit.
    NwTtl,
    /// Fragments: bit 0 is one, bit 1 is a later one.
    NwFrag,
    /// IP protocol; the opcode of ARP.
    NwProto,
    /// Sender's MAC of ARP; source link-layer address of neighbour discovery.
    ArpSha,
    /// Target's MAC of ARP; target link-layer address of neighbour discovery.
    ArpTha,
    /// Target of neighbour discovery.
    NdTarget,
    /// The reserved field of neighbour discovery.
    NdReserved,
    /// The type of the first option of neighbour discovery.
    NdOptionsType,
    /// TCP flags, 12 bits.
    TcpFlags,
    /// Source port; type of ICMP.
    TpSrc,
    /// Destination port; code of ICMP.
    TpDst,
}

impl Slot {
    /// What says something of tunnels, besides options.
    pub const TUNNEL: [Self; 17] = [
        Self::TunId,
        Self::TunSrc,
        Self::TunDst,
        Self::TunIpv6Src,
        Self::TunIpv6Dst,
        Self::TunFlags,
        Self::TunTos,
        Self::TunTtl,
        Self::TunGbpId,
        Self::TunGbpFlags,
        Self::TunErspanIdx,
        Self::TunErspanVer,
        Self::TunErspanDir,
        Self::TunErspanHwid,
        Self::TunGtpuFlags,
        Self::TunGtpuMsgtype,
        Self::TunPresent,
    ];

    /// What is in the network header or behind it: not there behind an MPLS entry.
    pub const BEHIND_TAGS: [Self; 17] = [
        Self::NwSrc,
        Self::NwDst,
        Self::Ipv6Src,
        Self::Ipv6Dst,
        Self::Ipv6Label,
        Self::NwTos,
        Self::NwTtl,
        Self::NwFrag,
        Self::NwProto,
        Self::ArpSha,
        Self::ArpTha,
        Self::NdTarget,
        Self::NdReserved,
        Self::NdOptionsType,
        Self::TcpFlags,
        Self::TpSrc,
        Self::TpDst,
    ];

    /// How wide it is, 1 to 128 bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::TunErspanVer
            | Self::TunErspanDir
            | Self::TunErspanHwid
            | Self::NwFrag
            | Self::TunTos
            | Self::TunTtl
            | Self::TunGbpFlags
            | Self::TunGtpuFlags
            | Self::TunGtpuMsgtype
            | Self::CtNwProto
            | Self::NwTos
            | Self::NwTtl
            | Self::NwProto
            | Self::NdOptionsType => 8,
            Self::TcpFlags => 12,
            Self::TunFlags
            | Self::TunGbpId
            | Self::CtZone
            | Self::CtTpSrc
            | Self::CtTpDst
            | Self::EthType
            | Self::VlanTci
            | Self::InnerTci
            | Self::TpSrc
            | Self::TpDst => 16,
            Self::Ipv6Label => 20,
            Self::RecircId
            | Self::TunErspanIdx
            | Self::DpHash
            | Self::TunSrc
            | Self::TunDst
            | Self::Reg(_)
            | Self::PktMark
            | Self::CtState
            | Self::CtMark
            | Self::CtNwSrc
            | Self::CtNwDst
            | Self::ConjId
            | Self::ActsetOutput
            | Self::InPort
            | Self::PacketType
            | Self::MplsLse
            | Self::NwSrc
            | Self::NwDst
            | Self::NdReserved => 32,
            Self::EthDst | Self::EthSrc | Self::ArpSha | Self::ArpTha => 48,
            Self::TunId | Self::TunPresent | Self::Metadata => 64,
            Self::TunIpv6Src
            | Self::TunIpv6Dst
            | Self::TunMetadata(..)
            | Self::CtLabel
            | Self::CtIpv6Src
            | Self::CtIpv6Dst
            | Self::Ipv6Src
            | Self::Ipv6Dst
            | Self::NdTarget => 128,
        }
    }

    /// True for what is in the headers of a frame; the other slots go along with it.
    #[must_use]
    pub fn is_header(self) -> bool {
        matches!(
            self,
            Self::EthDst
                | Self::EthSrc
                | Self::EthType
                | Self::VlanTci
                | Self::InnerTci
                | Self::MplsLse
        ) || self.is_behind_tags()
    }

    /// True for what is in the network header or behind it.
    #[must_use]
    pub fn is_behind_tags(self) -> bool {
        Self::BEHIND_TAGS.contains(&self)
    }

    /// All its bits set.
    #[must_use]
    pub const fn ones(self) -> u128 {
        ones(self.bits())
    }
}

/// The low `bits` bits set; 0 to 128.
#[must_use]
pub const fn ones(bits: u32) -> u128 {
    match 128u32.checked_sub(bits) {
        Some(128) => 0,
        Some(left) => u128::MAX >> left,
        None => u128::MAX,
    }
}
