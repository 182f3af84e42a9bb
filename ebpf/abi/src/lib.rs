//! What the XDP programs and their loader must agree on: names, keys, values and limits.
//!
//! Everything that crosses the border is here and nowhere else; sizes are asserted at compile time, in
//! both workspaces. Changing a name, a number or a layout means building the object anew
//! (`ebpf/build.sh`) and committing both together.
#![no_std]

/// Names of the programs in the object. The kernel keeps 15 bytes of a name, so they are short.
pub mod program {
    /// Every frame of a bridge port goes to the AF_XDP socket of its queue.
    pub const PORT: &str = "weft_port";
    /// As [`PORT`], for packets in several buffers (large MTU).
    pub const PORT_SG: &str = "weft_port_sg";
    /// Tunnel packets for a local VTEP go to the AF_XDP socket of their queue; the host keeps the rest.
    pub const STEER: &str = "weft_steer";
    /// As [`STEER`], for packets in several buffers (large MTU).
    pub const STEER_SG: &str = "weft_steer_sg";
    /// Passes everything: it only has to be there (the peer of a veth in tests).
    pub const PASS: &str = "weft_pass";
    /// Behind the packet taps of a bridge port that has any: what passed them goes no further.
    pub const DROP: &str = "weft_drop";
    /// What the name of each of our programs begins with: how a left-over is told from a foreign one.
    pub const PREFIX: &str = "weft_";
}

/// Names of the maps in the object.
pub mod map {
    /// RX queue index (u32) to AF_XDP socket.
    pub const XSKS: &str = "XSKS";
    /// Set of local VTEP addresses: [`super::VtepKey`] to u8 (its value means nothing).
    pub const VTEPS: &str = "VTEPS";
    /// Bit map of UDP destination ports that carry tunnels: [`super::PORT_WORDS`] words of 64 bits.
    pub const TUNNEL_PORTS: &str = "TUNNEL_PORTS";
    /// Per-CPU counters, indexed by [`super::Reason`].
    pub const STATS: &str = "STATS";
}

/// Entries of the map [`map::XSKS`]: RX queues that can have a socket. Frames of a higher queue pass to
/// the host and are counted as [`Reason::NoSocket`].
pub const QUEUES_MAX: u32 = 256;

/// Local VTEP addresses of one interface.
pub const VTEPS_MAX: u32 = 512;

/// Entries of the map [`map::VTEPS`]: new addresses go in before old ones go out, so both sets must fit.
pub const VTEPS_ENTRIES: u32 = 2 * VTEPS_MAX;

/// 64-bit words of the bit map [`map::TUNNEL_PORTS`]; one bit for each UDP port.
pub const PORT_WORDS: u32 = 65_536 / 64;

/// Word and bit of the UDP `port` (host order) in the map [`map::TUNNEL_PORTS`].
#[must_use]
#[inline]
pub const fn port_bit(port: u16) -> (u32, u64) {
    // A cast, since From is not const; it widens.
    ((port >> 6) as u32, 1 << (port & 63))
}

/// A local VTEP address, as the key of the map [`map::VTEPS`]: 16 bytes in network order; IPv4 is
/// v4-mapped, `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VtepKey(pub [u8; 16]);

impl VtepKey {
    /// The key of an IPv4 address, given in network order.
    #[must_use]
    #[inline]
    pub const fn from_ipv4(address: [u8; 4]) -> Self {
        let [a, b, c, d] = address;
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    }

    /// The key of an IPv6 address, given in network order.
    #[must_use]
    #[inline]
    pub const fn from_ipv6(address: [u8; 16]) -> Self {
        Self(address)
    }
}

// SAFETY: one array of bytes in repr(C): no padding, no pointer, and every bit pattern is a value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for VtepKey {}

/// What became of a frame, and the index of its counter in the map [`map::STATS`]. Each run of `port` or
/// `steer` counts exactly one of them.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Given to the AF_XDP socket of the queue. Whether that had room is in the socket's statistics.
    Redirected = 0,
    /// It was for us, but the queue has no socket: passed to the host.
    NoSocket = 1,
    /// Neither IPv4 nor IPv6 behind at most two tags.
    PassNotIp = 2,
    /// Ends before the headers that the decision needs.
    PassShort = 3,
    /// IP version or header length contradict themselves.
    PassBadIp = 4,
    /// IPv6 with more than four extension headers.
    PassExtensions = 5,
    /// Neither GRE nor UDP to a tunnel port.
    PassNotTunnel = 6,
    /// GRE, but not of version 0 (PPTP, for one).
    PassGreVersion = 7,
    /// A tunnel packet for an address that is no VTEP of ours.
    PassNotVtep = 8,
    /// A fragment of GRE or UDP for a VTEP of ours: the host may reassemble it. The tunnel's MTU is larger
    /// than the underlay carries.
    OuterFrag = 9,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Redirected,
        Self::NoSocket,
        Self::PassNotIp,
        Self::PassShort,
        Self::PassBadIp,
        Self::PassExtensions,
        Self::PassNotTunnel,
        Self::PassGreVersion,
        Self::PassNotVtep,
        Self::OuterFrag,
    ];

    /// Entries of the map [`map::STATS`].
    pub const COUNT: u32 = Self::OuterFrag.index() + 1;

    /// Index of the counter.
    #[must_use]
    #[inline]
    pub const fn index(self) -> u32 {
        self as u32
    }

    /// The stable name, as users see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redirected => "redirected",
            Self::NoSocket => "no_socket",
            Self::PassNotIp => "pass_not_ip",
            Self::PassShort => "pass_short",
            Self::PassBadIp => "pass_bad_ip",
            Self::PassExtensions => "pass_extensions",
            Self::PassNotTunnel => "pass_not_tunnel",
            Self::PassGreVersion => "pass_gre_version",
            Self::PassNotVtep => "pass_not_vtep",
            Self::OuterFrag => "outer_frag",
        }
    }
}

// The layout that the kernel's maps have: a change here is a change of the object.
const _: () = assert!(size_of::<VtepKey>() == 16 && align_of::<VtepKey>() == 1);
const _: () = assert!(size_of::<Reason>() == 4);
const _: () = assert!(Reason::ALL.len() == Reason::COUNT as usize);
const _: () = assert!(PORT_WORDS == 1024);
const _: () = {
    let mut rest: &[Reason] = &Reason::ALL;
    let mut number = 0;
    while let [first, tail @ ..] = rest {
        assert!(first.index() == number, "Reason::ALL is in the order of the numbers");
        number += 1;
        rest = tail;
    }
};
// BPF_OBJ_NAME_LEN is 16 with its terminator.
const _: () = assert!(program::STEER_SG.len() <= 15 && program::PORT_SG.len() <= 15);
const _: () = assert!(map::TUNNEL_PORTS.len() <= 15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_has_its_own_bit() {
        assert_eq!(port_bit(0), (0, 1));
        assert_eq!(port_bit(4789), (74, 1 << 53));
        assert_eq!(port_bit(6081), (95, 1 << 1));
        assert_eq!(port_bit(u16::MAX), (PORT_WORDS - 1, 1 << 63));
    }

    #[test]
    fn an_ipv4_key_is_the_mapped_address() {
        let mapped = core::net::Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped();
        assert_eq!(VtepKey::from_ipv4([192, 0, 2, 1]), VtepKey::from_ipv6(mapped.octets()));
    }

    #[test]
    fn names_are_unique() {
        for (position, reason) in Reason::ALL.iter().enumerate() {
            assert!(
                Reason::ALL.iter().skip(position + 1).all(|other| other.name() != reason.name())
            );
        }
    }
}
