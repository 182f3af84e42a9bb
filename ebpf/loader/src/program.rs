//! The programs in the object, and where they run.

use std::fmt;

use weft_ebpf_abi::program;

use crate::Role;

/// Where in the kernel the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// In the driver, before an skb is made.
    Native,
    /// In the network stack, on skbs: any device, slower.
    Generic,
}

impl Mode {
    /// The stable name, as users see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One of the programs in the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    /// What it is for.
    pub role: Role,
    /// Whether it takes packets in several buffers.
    pub frags: bool,
}

impl Program {
    /// Its name, in the object and in the kernel.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match (self.role, self.frags) {
            (Role::Port, false) => program::PORT,
            (Role::Port, true) => program::PORT_SG,
            (Role::Underlay, false) => program::STEER,
            (Role::Underlay, true) => program::STEER_SG,
            (Role::Pass, _) => program::PASS,
        }
    }
}
