//! The name of a port, which its interface, and so its device, need not have.

use std::fmt;

/// The name of a row of Port: what VLANs, addresses, spanning trees and mirrors belong to.
///
/// Names of interfaces, which are those of their devices, are plain text; nothing is looked up by the
/// one where the other is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortName(String);

impl PortName {
    /// As the database has it.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The text, to be shown or compared with what somebody typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
