//! Roles: which of a bridge's controllers may change it.

use crate::ConnectionId;
use std::collections::BTreeMap;
use weft_flow::request::{Refusal, Role, RoleRequest};

/// The roles of the controllers of a bridge; service connections have none, and may do all.
#[derive(Debug, Default)]
pub struct Roles {
    roles: BTreeMap<ConnectionId, Role>,
    generation: Option<u64>,
}

/// What came of a request for a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleOutcome {
    /// The role that the connection has now.
    pub role: Role,
    /// The number of the last election; nothing while there was none.
    pub generation: Option<u64>,
    /// Connections that are slaves now because another is master.
    pub demoted: Vec<ConnectionId>,
}

impl Roles {
    /// The role of a connection.
    #[must_use]
    pub fn get(&self, connection: ConnectionId) -> Role {
        self.roles.get(&connection).copied().unwrap_or_default()
    }

    /// True when there is a master.
    #[must_use]
    pub fn has_master(&self) -> bool {
        self.roles.values().any(|role| *role == Role::Master)
    }

    /// Checks that a connection may change something.
    ///
    /// # Errors
    /// [`Refusal::IsSlave`].
    pub fn check_write(&self, connection: ConnectionId) -> Result<(), Refusal> {
        if self.get(connection) == Role::Slave { Err(Refusal::IsSlave) } else { Ok(()) }
    }

    /// A connection asks for a role, or which it has.
    ///
    /// # Errors
    /// [`Refusal::Stale`] when the number of the election is before the last one.
    pub fn request(
        &mut self,
        connection: ConnectionId,
        request: RoleRequest,
    ) -> Result<RoleOutcome, Refusal> {
        let mut demoted = Vec::new();
        if let Some(role) = request.role {
            self.elect(role, request.generation)?;
            if role == Role::Master {
                demoted = self.demote_others(connection);
            }
            self.roles.insert(connection, role);
        }
        Ok(RoleOutcome { role: self.get(connection), generation: self.generation, demoted })
    }

    /// A connection is gone, and its role with it.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.roles.remove(&connection);
    }

    fn elect(&mut self, role: Role, generation: Option<u64>) -> Result<(), Refusal> {
        let Some(generation) = generation.filter(|_| role != Role::Equal) else { return Ok(()) };
        // Numbers wrap: the older one is the one that is less than half the circle behind.
        let is_old = |last: u64| generation.wrapping_sub(last) > u64::MAX / 2;
        if self.generation.is_some_and(is_old) {
            return Err(Refusal::Stale);
        }
        self.generation = Some(generation);
        Ok(())
    }

    fn demote_others(&mut self, connection: ConnectionId) -> Vec<ConnectionId> {
        let mut demoted = Vec::new();
        for (other, role) in &mut self.roles {
            if *other != connection && *role == Role::Master {
                *role = Role::Slave;
                demoted.push(*other);
            }
        }
        demoted
    }
}
