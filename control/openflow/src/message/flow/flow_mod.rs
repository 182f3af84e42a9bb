//! Requests that add, change and delete flows, as messages.

use super::flags::flags;
use crate::action::{self, Limits};
use crate::message::wire::{Done, Layout, Width, Wire};
use weft_flow::request::{FlowCommand, FlowMod, Refusal};
use weft_flow::{GroupId, PortNo, TableId, Version};

const COMMANDS: [(u32, FlowCommand); 5] = [
    (0, FlowCommand::Add),
    (1, FlowCommand::Modify),
    (2, FlowCommand::ModifyStrict),
    (3, FlowCommand::Delete),
    (4, FlowCommand::DeleteStrict),
];

/// No buffered packet.
const NO_BUFFER: u32 = 0xffff_ffff;
/// A cookie that changes no cookie, in Nicira's form.
const KEEPS_COOKIE: u64 = u64::MAX;
/// The bits of 1.0's wildcards that mean something: none of them set is an exact match.
const WILDCARDS: u32 = 0x003f_ffff;

/// The number of a buffered packet.
pub(crate) fn buffer(wire: &mut Wire<'_>, buffer: &mut Option<u32>) -> Done {
    let mut number = buffer.unwrap_or(NO_BUFFER);
    wire.u32(&mut number)?;
    *buffer = (number != NO_BUFFER).then_some(number);
    Ok(())
}

const fn is_deletion(command: FlowCommand) -> bool {
    matches!(command, FlowCommand::Delete | FlowCommand::DeleteStrict)
}

const fn is_change(command: FlowCommand) -> bool {
    matches!(command, FlowCommand::Modify | FlowCommand::ModifyStrict)
}

/// The command of 1.0, with the number of a table in its high byte where both sides agreed on it.
fn command10(wire: &mut Wire<'_>, request: &mut FlowMod) -> Done {
    let has_table = wire.session.has_table_ids;
    if !has_table {
        request.table = TableId::ALL;
        let refusal = Refusal::FlowModBadCommand;
        return wire.choice(Width::U16, &mut request.command, &COMMANDS, refusal);
    }
    wire.u8(&mut request.table.0)?;
    wire.choice(Width::U8, &mut request.command, &COMMANDS, Refusal::FlowModBadCommand)
}

fn numbers(wire: &mut Wire<'_>, request: &mut FlowMod) -> Done {
    wire.u16(&mut request.idle_timeout)?;
    wire.u16(&mut request.hard_timeout)?;
    wire.u16(&mut request.priority)?;
    buffer(wire, &mut request.buffer)
}

/// What 1.0 means beside what it says.
fn imply10(request: &mut FlowMod) {
    request.out_group = GroupId::ANY;
    request.modifies_cookie = request.cookie != KEEPS_COOKIE;
    request.modify_adds =
        is_change(request.command) && request.cookie_mask == 0 && request.modifies_cookie;
    request.flags.resets_counts = request.command == FlowCommand::Add;
}

/// 1.0's own form.
fn standard10(wire: &mut Wire<'_>, request: &mut FlowMod) -> Done {
    let wildcards = wire.left().first_chunk().map_or(WILDCARDS, |word| u32::from_be_bytes(*word));
    wire.matching(&mut request.matching)?;
    wire.u64(&mut request.cookie)?;
    command10(wire, request)?;
    numbers(wire, request)?;
    wire.port16(&mut request.out_port)?;
    flags(wire, &mut request.flags)?;
    wire.flow_actions(&mut request.actions)?;
    if wire.is_reading() {
        imply10(request);
        if wildcards & WILDCARDS == 0 {
            request.priority = u16::MAX;
        }
    }
    Ok(())
}

/// Nicira's form: with an extended match, which may ask for a cookie too.
pub(crate) fn nicira(wire: &mut Wire<'_>, request: &mut FlowMod) -> Done {
    wire.u64(&mut request.cookie)?;
    command10(wire, request)?;
    numbers(wire, request)?;
    wire.port16(&mut request.out_port)?;
    flags(wire, &mut request.flags)?;
    let mut cookie = (request.cookie_filter, request.cookie_mask);
    wire.nx_match(6, &mut request.matching, Some(&mut cookie))?;
    (request.cookie_filter, request.cookie_mask) = cookie;
    wire.flow_actions(&mut request.actions)?;
    if wire.is_reading() {
        // An addition has a cookie; it cannot ask for one.
        if request.command == FlowCommand::Add && request.cookie_mask != 0 {
            return Err(Refusal::NxmInvalid);
        }
        imply10(request);
    }
    check_actions(wire, request)
}

/// Refuses actions that do not fit the packets that the flow takes, whatever the bridge has.
fn check_actions(wire: &Wire<'_>, request: &mut FlowMod) -> Done {
    if !wire.is_reading() {
        return Ok(());
    }
    let limits = Limits {
        version: wire.version(),
        port_end: PortNo::MAX,
        table: request.table,
        tables: TableId::COUNT,
    };
    action::check(&mut request.actions, &request.matching, &limits)
}

/// The form of 1.1 and later.
fn standard11(wire: &mut Wire<'_>, request: &mut FlowMod) -> Done {
    let version = wire.version();
    // 1.1 alone: a change that asks for no cookie adds a flow where there is none.
    let has_cookie = |command, mask| {
        command == FlowCommand::Add || version == Version::V11 && is_change(command) && mask == 0
    };
    let (mut cookie, mut mask) = (request.cookie_filter, request.cookie_mask);
    if has_cookie(request.command, request.cookie_mask) {
        (cookie, mask) = (request.cookie, 0);
    }
    wire.u64(&mut cookie)?;
    wire.u64(&mut mask)?;
    wire.u8(&mut request.table.0)?;
    wire.choice(Width::U8, &mut request.command, &COMMANDS, Refusal::FlowModBadCommand)?;
    numbers(wire, request)?;
    wire.port32(&mut request.out_port)?;
    wire.u32(&mut request.out_group.0)?;
    let implied = version < Version::V12 && request.command == FlowCommand::Add;
    if implied && !wire.is_reading() {
        request.flags.resets_counts = false;
    }
    flags(wire, &mut request.flags)?;
    request.flags.resets_counts |= implied;
    if version >= Version::V14 {
        wire.u16(&mut request.importance)?;
    } else {
        wire.pad(2)?;
    }
    wire.matching(&mut request.matching)?;
    wire.instructions(&mut request.actions)?;
    if wire.is_reading() {
        if request.table == TableId::ALL
            && (version == Version::V11 || !is_deletion(request.command))
        {
            return Err(Refusal::FlowModBadTableId);
        }
        if has_cookie(request.command, mask) {
            request.cookie = cookie;
            request.modify_adds = is_change(request.command);
        } else {
            (request.cookie_filter, request.cookie_mask) = (cookie, mask);
        }
    }
    Ok(())
}

impl Layout for FlowMod {
    fn blank() -> Self {
        Self::new(FlowCommand::Add)
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        if wire.version() == Version::V10 {
            standard10(wire, self)?;
        } else {
            standard11(wire, self)?;
        }
        check_actions(wire, self)
    }
}
