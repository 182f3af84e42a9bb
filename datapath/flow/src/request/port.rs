//! Requests that change ports.

use crate::PortNo;

/// What controllers have forbidden a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "bits of the protocol")]
pub struct PortConfig {
    /// It is down.
    pub down: bool,
    /// Packets that come in are dropped, but those of spanning trees.
    pub no_recv: bool,
    /// Nothing is sent.
    pub no_fwd: bool,
    /// Floods leave it out.
    pub no_flood: bool,
    /// Packets that come in go to no controller.
    pub no_packet_in: bool,
}

impl PortConfig {
    /// This one, with the bits of `mask` as in `bits`.
    #[must_use]
    pub const fn with(self, bits: Self, mask: Self) -> Self {
        const fn choose(was: bool, bit: bool, mask: bool) -> bool {
            if mask { bit } else { was }
        }
        Self {
            down: choose(self.down, bits.down, mask.down),
            no_recv: choose(self.no_recv, bits.no_recv, mask.no_recv),
            no_fwd: choose(self.no_fwd, bits.no_fwd, mask.no_fwd),
            no_flood: choose(self.no_flood, bits.no_flood, mask.no_flood),
            no_packet_in: choose(self.no_packet_in, bits.no_packet_in, mask.no_packet_in),
        }
    }
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortMod {
    /// Which port.
    pub port: PortNo,
    /// Its address, as a check; all zero: none.
    pub hw_addr: [u8; 6],
    /// What is forbidden, or no longer.
    pub config: PortConfig,
    /// Which bits of it count.
    pub mask: PortConfig,
    /// What the port is to offer its peer, as on the wire; nobody reads it here.
    pub advertise: u32,
}
