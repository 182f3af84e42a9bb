//! The name of a port.

/// A port, by the number that the owner of a machine gives it.  Machines compare it and give it
/// back; the loop guard writes it into its probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortKey(pub u16);
