//! Roles of connections, as messages.

use crate::message::wire::{Done, Layout, Width, Wire};
use weft_flow::request::{Refusal, Role, RoleRequest};

/// No generation was set.
const NO_GENERATION: u64 = u64::MAX;

const ROLES: [(u32, Option<Role>); 4] =
    [(0, None), (1, Some(Role::Equal)), (2, Some(Role::Master)), (3, Some(Role::Slave))];
/// Nicira's numbers.
const NICIRA: [(u32, Option<Role>); 3] =
    [(0, Some(Role::Equal)), (1, Some(Role::Master)), (2, Some(Role::Slave))];

impl Layout for RoleRequest {
    fn blank() -> Self {
        Self { role: None, generation: None }
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.choice(Width::U32, &mut self.role, &ROLES, Refusal::BadRole)?;
        wire.pad(4)?;
        let mut generation = self.generation.unwrap_or_default();
        wire.u64(&mut generation)?;
        // A generation decides who may be master or slave; for other roles it says nothing.
        let counts = matches!(self.role, Some(Role::Master | Role::Slave));
        self.generation = counts.then_some(generation);
        Ok(())
    }
}

/// Nicira's form, which has no generation.
pub(crate) fn nicira_request(wire: &mut Wire<'_>, request: &mut RoleRequest) -> Done {
    wire.choice(Width::U32, &mut request.role, &NICIRA, Refusal::BadRole)
}

/// Nicira's form of a reply.
pub(crate) fn nicira_reply(wire: &mut Wire<'_>, reply: &mut RoleReply) -> Done {
    let mut role = Some(reply.role);
    wire.choice(Width::U32, &mut role, &NICIRA, Refusal::BadRole)?;
    reply.role = role.unwrap_or_default();
    Ok(())
}

/// Which role a connection has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoleReply {
    /// The role.
    pub role: Role,
    /// The generation of the last election, if there was one.
    pub generation: Option<u64>,
}

fn generation(wire: &mut Wire<'_>, generation: &mut Option<u64>) -> Done {
    let mut number = generation.unwrap_or(NO_GENERATION);
    wire.u64(&mut number)?;
    *generation = (number != NO_GENERATION).then_some(number);
    Ok(())
}

impl Layout for RoleReply {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let mut role = Some(self.role);
        wire.choice(Width::U32, &mut role, &ROLES, Refusal::BadRole)?;
        self.role = role.unwrap_or_default();
        wire.pad(4)?;
        generation(wire, &mut self.generation)
    }
}

/// Why a role changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RoleStatusReason {
    /// Another connection became the master.
    #[default]
    MasterRequest,
    /// The switch was set so.
    Config,
    /// An experimenter's reason.
    Experimenter,
}

/// Says that the role of a connection changed without its doing: 1.4 and later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoleStatus {
    /// The new role.
    pub role: Role,
    /// Why.
    pub reason: RoleStatusReason,
    /// The generation of the last election, if there was one.
    pub generation: Option<u64>,
}

impl Layout for RoleStatus {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        use RoleStatusReason::{Config, Experimenter, MasterRequest};
        let mut role = Some(self.role);
        wire.choice(Width::U32, &mut role, &ROLES, Refusal::BadRole)?;
        self.role = role.unwrap_or_default();
        let rows = [(0, MasterRequest), (1, Config), (2, Experimenter)];
        wire.choice(Width::U8, &mut self.reason, &rows, Refusal::BadReason)?;
        wire.pad(3)?;
        generation(wire, &mut self.generation)
    }
}
