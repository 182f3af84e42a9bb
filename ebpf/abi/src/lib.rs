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

/// Names of the maps in the object. All interfaces of a network namespace share them.
pub mod map {
    /// Interface index (u32) to [`super::Nic`], one for each CPU: which slots are those of its queues, and what was
    /// counted. An interface without an entry keeps its frames.
    pub const NICS: &str = "NICS";
    /// Slot to AF_XDP socket.
    pub const XSKS: &str = "XSKS";
    /// Set of local VTEP addresses: [`super::VtepKey`] to u8 (its value means nothing).
    pub const VTEPS: &str = "VTEPS";
    /// Set of UDP destination ports that carry tunnels: [`super::PortKey`] to u8 (its value means nothing).
    pub const TUNNEL_PORTS: &str = "TUNNEL_PORTS";
    /// All of them.
    pub const ALL: [&str; 4] = [NICS, XSKS, VTEPS, TUNNEL_PORTS];
}

/// Version of the maps' layouts and sizes: pinned maps of another version are not used. It goes up with every
/// change of what follows.
pub const LAYOUT: u32 = 1;

/// RX queues of one interface that can have a socket. Frames of a higher queue pass to the host and are counted
/// as [`Reason::NoSocket`].
pub const QUEUES_MAX: u32 = 256;

/// Slots, hence queues of all interfaces of a network namespace together: 64 NICs of [`QUEUES_MAX`] queues, or
/// 16,384 ports of containers with one. That is more sockets than such a machine has memory for (3.2 MiB each, see
/// README.md), and the maps take half a MiB for them.
pub const SLOTS_MAX: u32 = 16_384;

/// Local VTEP addresses of one interface.
pub const VTEPS_MAX: u32 = 512;

/// Entries of each of the maps [`map::VTEPS`] and [`map::TUNNEL_PORTS`], of all interfaces together; they take memory
/// when there are any. 16 interfaces can have [`VTEPS_MAX`] addresses, and room to change all of them.
pub const ENTRIES_MAX: u32 = 16 * 2 * VTEPS_MAX;

/// One interface, as one CPU sees it: the slot of its RX queue `n` is `first + n`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nic {
    /// The slot of queue 0; the same on all CPUs.
    pub first: u32,
    /// How many it has, at least 1; the same on all CPUs.
    pub queues: u32,
    /// Frames on this CPU by [`Reason::index`].
    pub counters: [u64; Reason::COUNT as usize],
}

/// A local VTEP address of an interface, as the key of the map [`map::VTEPS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VtepKey {
    /// The interface.
    pub ifindex: u32,
    /// In network order; IPv4 is v4-mapped, `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2).
    pub address: [u8; 16],
}

/// A UDP port of an interface where tunnels arrive, as the key of the map [`map::TUNNEL_PORTS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortKey {
    /// The interface.
    pub ifindex: u32,
    /// The port, in host order.
    pub port: u32,
}

// SAFETY: numbers and an array of them in repr(C) without padding or pointer; every bit pattern is a value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Nic {}

// SAFETY: a number and an array of bytes in repr(C) without padding or pointer; every bit pattern is a value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for VtepKey {}

// SAFETY: two numbers in repr(C) without padding or pointer, and every bit pattern is a value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for PortKey {}

/// What became of a frame, and the index of its counter in [`Nic::counters`]. Each run of `port` or `steer` for an
/// interface that has slots counts exactly one of them.
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

    /// How many there are.
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
const _: () = assert!(size_of::<Nic>() == 88 && align_of::<Nic>() == 8);
const _: () = assert!(size_of::<VtepKey>() == 20 && align_of::<VtepKey>() == 4);
const _: () = assert!(size_of::<PortKey>() == 8 && align_of::<PortKey>() == 4);
const _: () = assert!(size_of::<Reason>() == 4);
const _: () = assert!(Reason::ALL.len() == Reason::COUNT as usize);
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
    fn names_are_unique() {
        for (position, reason) in Reason::ALL.iter().enumerate() {
            assert!(
                Reason::ALL.iter().skip(position + 1).all(|other| other.name() != reason.name())
            );
        }
    }
}
