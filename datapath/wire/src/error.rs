//! Why a frame could not be read, or a header not be written.

use core::fmt;

/// The header that was being read when parsing stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Ethernet II, IEEE 802.3.
    Ethernet,
    /// A VLAN tag, IEEE 802.1Q and 802.1ad.
    Vlan,
    /// Address resolution, RFC 826.
    Arp,
    /// IPv4, RFC 791.
    Ipv4,
    /// IPv6 and its extension headers, RFC 8200.
    Ipv6,
    /// UDP, RFC 768.
    Udp,
    /// TCP, RFC 9293.
    Tcp,
    /// `ICMPv4`, RFC 792.
    Icmpv4,
    /// `ICMPv6`, RFC 4443.
    Icmpv6,
    /// IGMP, RFC 1112, 2236 and 3376.
    Igmp,
    /// MLD, RFC 2710 and 3810.
    Mld,
    /// A group record of IGMP or MLD.
    GroupRecord,
    /// GRE, RFC 2784 and 2890.
    Gre,
    /// Geneve, RFC 8926.
    Geneve,
    /// VXLAN, RFC 7348.
    Vxlan,
    /// A list of type-length-value options.
    Tlv,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ethernet => "Ethernet",
            Self::Vlan => "VLAN",
            Self::Arp => "ARP",
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Icmpv4 => "ICMP",
            Self::Icmpv6 => "ICMPv6",
            Self::Igmp => "IGMP",
            Self::Mld => "MLD",
            Self::GroupRecord => "group record",
            Self::Gre => "GRE",
            Self::Geneve => "Geneve",
            Self::Vxlan => "VXLAN",
            Self::Tlv => "option",
        })
    }
}

/// Why a header was refused.
///
/// Small, `Copy` and free of strings: it is made on the fast path, where it is counted rather
/// than printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ParseError {
    /// The bytes end before the header, or what the header claims, does.
    #[error("{layer}: need {need_bytes} bytes, have {have_bytes}")]
    Truncated {
        /// Header being read.
        layer: Layer,
        /// Bytes needed, counted from the start of that header.
        need_bytes: usize,
        /// Bytes there are, counted from the start of that header.
        have_bytes: usize,
    },
    /// A length field is smaller than the header that it stands in (IHL, total length, data
    /// offset, UDP length), or not what the protocol fixes it to.
    #[error("{layer}: length field says {claimed_bytes} bytes, which cannot be")]
    BadLength {
        /// Header being read.
        layer: Layer,
        /// What the field says, in bytes.
        claimed_bytes: usize,
    },
    /// The header's version field names a version that we do not speak.
    #[error("{layer}: version {version} is not supported")]
    UnsupportedVersion {
        /// Header being read.
        layer: Layer,
        /// Version found on the wire.
        version: u8,
    },
    /// The checksum does not match the bytes that it covers.
    #[error("{layer}: bad checksum")]
    BadChecksum {
        /// Header being read.
        layer: Layer,
    },
    /// ARP for other than Ethernet and IPv4.
    #[error("ARP: hardware type {hardware}, protocol {protocol:#06x} is not IPv4 over Ethernet")]
    ArpKind {
        /// Hardware type; Ethernet is 1.
        hardware: u16,
        /// Protocol type, an `EtherType`.
        protocol: u16,
    },
    /// More IPv6 extension headers than we walk.
    #[error("IPv6: more than {max} extension headers")]
    TooManyExtensions {
        /// The limit.
        max: u8,
    },
    /// A GRE bit of Reserved0 1-5 that RFC 2784 section 2.3 has a receiver discard for.
    #[error("GRE: reserved flags {flags:#06x}")]
    GreFlags {
        /// The first 16 bits of the header.
        flags: u16,
    },
    /// A GRE version other than 0 (1 is PPTP, RFC 2637).
    #[error("GRE: version {version}")]
    GreVersion {
        /// Version found, 1 to 7.
        version: u8,
    },
    /// The VXLAN I bit is 0, so that there is no VNI (RFC 7348 section 5).
    #[error("VXLAN: flags {flags:#04x} without the I bit")]
    VxlanFlags {
        /// The flags byte.
        flags: u8,
    },
    /// An option that we do not understand is marked critical (RFC 8926 section 3.4).
    #[error("Geneve: critical option not understood")]
    CriticalOption,
    /// The options do not fill the space that the header says they take.
    #[error("{layer}: options do not fill their space")]
    OptionLength {
        /// Header that holds the options.
        layer: Layer,
    },
}

impl ParseError {
    /// Shorthand for [`ParseError::Truncated`].
    #[must_use]
    pub const fn truncated(layer: Layer, need_bytes: usize, have_bytes: usize) -> Self {
        Self::Truncated { layer, need_bytes, have_bytes }
    }
}

/// Why a header or a frame was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum WriteError {
    /// The buffer given is too short.
    #[error("need room for {need_bytes} bytes, have {have_bytes}")]
    ShortBuffer {
        /// Bytes to write.
        need_bytes: usize,
        /// Bytes there are.
        have_bytes: usize,
    },
    /// What the header is to announce does not fit in its length field.
    #[error("{layer}: {len_bytes} bytes are more than the length field can say")]
    TooLong {
        /// Header to write.
        layer: Layer,
        /// Length to announce, in bytes.
        len_bytes: usize,
    },
}

/// The first `N` bytes of `out`, to be written.
///
/// # Errors
///
/// [`WriteError::ShortBuffer`] when there are fewer.
pub(crate) fn room<const N: usize>(out: &mut [u8]) -> Result<&mut [u8; N], WriteError> {
    let have_bytes = out.len();
    out.first_chunk_mut::<N>().ok_or(WriteError::ShortBuffer { need_bytes: N, have_bytes })
}

/// `len_bytes` as a 16-bit length field.
///
/// # Errors
///
/// [`WriteError::TooLong`] above 65535.
pub(crate) fn length_field(layer: Layer, len_bytes: usize) -> Result<u16, WriteError> {
    u16::try_from(len_bytes).map_err(|_| WriteError::TooLong { layer, len_bytes })
}
