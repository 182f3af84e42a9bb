//! Requests for the part that a connection plays among the controllers of a bridge.

/// What a connection may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// All.
    #[default]
    Equal,
    /// All, and others that were this are slaves now.
    Master,
    /// It may read.
    Slave,
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoleRequest {
    /// The new role; nothing to ask which it is.
    pub role: Option<Role>,
    /// The number of the election that made it so; older ones are refused.
    pub generation: Option<u64>,
}
