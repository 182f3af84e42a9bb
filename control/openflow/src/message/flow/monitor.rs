//! Flow monitors: what is asked for, and what is told.

use crate::message::wire::{Done, Layout, Width, Wire};
use weft_flow::action::Actions;
use weft_flow::request::{MonitorCommand, MonitorFlags, MonitorRequest, Refusal};
use weft_flow::{GroupId, Match, PortNo, TableId, Version};

/// 1.4's flag for monitors that hear of own changes only; ovs-ofctl sets it for "own ones too".
const ONLY_OWN: u32 = 1 << 6;

fn flags(wire: &mut Wire<'_>, flags: &mut MonitorFlags) -> Done {
    let is_new = wire.version() >= Version::V14;
    let own = flags.own_in_full;
    let (mut in_full, mut only_own) = (own && !is_new, own && is_new);
    let mut rows = [
        (1, &mut flags.initial),
        (1 << 1, &mut flags.added),
        (1 << 2, &mut flags.removed),
        (1 << 3, &mut flags.modified),
        (1 << 4, &mut flags.actions),
        (1 << 5, &mut in_full),
        (ONLY_OWN, &mut only_own),
    ];
    let count = if is_new { 7 } else { 6 };
    let rows = rows.get_mut(..count).unwrap_or_default();
    wire.flags(Width::U16, rows, None)?;
    flags.own_in_full = in_full || only_own;
    Ok(())
}

impl Layout for MonitorRequest {
    fn blank() -> Self {
        Self {
            command: MonitorCommand::Add,
            id: 0,
            flags: MonitorFlags::default(),
            table: TableId::ALL,
            matching: Match::any(),
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
        }
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.u32(&mut self.id)?;
        match wire.version() {
            Version::V10 | Version::V11 | Version::V12 => {
                flags(wire, &mut self.flags)?;
                wire.port16(&mut self.out_port)?;
                let len = wire.nx_match_len()?;
                wire.u8(&mut self.table.0)?;
                wire.pad(5)?;
                wire.nx_match_body(len, &mut self.matching, None)
            }
            Version::V13 => {
                flags(wire, &mut self.flags)?;
                let len = wire.nx_match_len()?;
                wire.u32(&mut self.out_port.0)?;
                wire.u8(&mut self.table.0)?;
                wire.pad(3)?;
                wire.match_of_len(len, &mut self.matching)
            }
            Version::V14 | Version::V15 => {
                use MonitorCommand::{Add, Delete, Modify};
                wire.u32(&mut self.out_port.0)?;
                wire.u32(&mut self.out_group.0)?;
                flags(wire, &mut self.flags)?;
                wire.u8(&mut self.table.0)?;
                let rows = [(0, Add), (1, Modify), (2, Delete)];
                let refusal = Refusal::MonitorBadCommand;
                wire.choice(Width::U8, &mut self.command, &rows, refusal)?;
                wire.matching(&mut self.matching)
            }
        }
    }
}

/// What happened to a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FlowEvent {
    /// It was there when the monitor began; before 1.4 this is said as an addition.
    Initial,
    /// It came.
    #[default]
    Added,
    /// It went, for a reason as [`weft_flow::request::RemovedReason`] numbers them.
    Removed(u8),
    /// It was changed.
    Modified,
}

/// What a flow monitor tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowUpdate {
    /// What happened to a flow.
    Full {
        /// What happened.
        event: FlowEvent,
        /// Where it is.
        table: TableId,
        /// 0 to 65535.
        priority: u16,
        /// Seconds; 0: none.
        idle_timeout: u16,
        /// Seconds; 0: none.
        hard_timeout: u16,
        /// What its controller calls it.
        cookie: u64,
        /// Which packets it takes.
        matching: Match,
        /// What it does with them; empty if the monitor does not want to hear it.
        actions: Actions,
    },
    /// The connection's own request did something.
    Abbreviated {
        /// The transaction id of the request.
        xid: u32,
    },
    /// Nothing more is told until the receiver caught up: 1.4 and later.
    Paused,
    /// What happened meanwhile was told; from here on all is told: 1.4 and later.
    Resumed,
}

/// A [`FlowUpdate`] on the wire.
pub(crate) struct Update(pub(crate) FlowUpdate);

const ABBREVIATED: u16 = 0xff00;
const PAUSED: u16 = 0xff01;
const RESUMED: u16 = 0xff02;
/// Numbers before 1.4, and what they are here: a number of 1.4, or one of those above.
const OLD: [(u32, u16); 4] = [(0, 1), (1, 2), (2, 3), (3, ABBREVIATED)];
/// Numbers since 1.4.
const NEW: [(u32, u16); 7] =
    [(0, 0), (1, 1), (2, 2), (3, 3), (4, ABBREVIATED), (5, PAUSED), (6, RESUMED)];

impl Update {
    /// The number of the event, and the reason.
    fn event(&self) -> (u16, u8) {
        match &self.0 {
            FlowUpdate::Full { event, .. } => match event {
                FlowEvent::Initial => (0, 0),
                FlowEvent::Added => (1, 0),
                FlowEvent::Removed(reason) => (2, *reason),
                FlowEvent::Modified => (3, 0),
            },
            FlowUpdate::Abbreviated { .. } => (ABBREVIATED, 0),
            FlowUpdate::Paused => (PAUSED, 0),
            FlowUpdate::Resumed => (RESUMED, 0),
        }
    }

    fn body(&mut self, wire: &mut Wire<'_>) -> Done {
        let is_new = wire.version() >= Version::V14;
        let (mut number, reason) = self.event();
        if !is_new && number == 0 {
            number = 1;
        }
        let rows: &[(u32, u16)] = if is_new { &NEW } else { &OLD };
        wire.choice(Width::U16, &mut number, rows, Refusal::FmBadEvent)?;
        if wire.is_reading() {
            self.0 = match number {
                ABBREVIATED => FlowUpdate::Abbreviated { xid: 0 },
                PAUSED => FlowUpdate::Paused,
                RESUMED => FlowUpdate::Resumed,
                _ => Self::blank().0,
            };
        }
        match &mut self.0 {
            FlowUpdate::Full { .. } => self.full(wire, number, reason),
            FlowUpdate::Abbreviated { xid } => wire.u32(xid),
            FlowUpdate::Paused | FlowUpdate::Resumed => wire.pad(4),
        }
    }

    fn full(&mut self, wire: &mut Wire<'_>, number: u16, reason: u8) -> Done {
        let FlowUpdate::Full {
            event,
            table,
            priority,
            idle_timeout,
            hard_timeout,
            cookie,
            matching,
            actions,
        } = &mut self.0
        else {
            return Ok(());
        };
        let (mut reason, mut len) = (u16::from(reason), 0);
        let version = wire.version();
        if version >= Version::V14 {
            let mut narrow = u8::try_from(reason).unwrap_or_default();
            wire.u8(&mut table.0)?;
            wire.u8(&mut narrow)?;
            wire.u16(idle_timeout)?;
            wire.u16(hard_timeout)?;
            wire.u16(priority)?;
            wire.pad(4)?;
            reason = narrow.into();
        } else {
            wire.u16(&mut reason)?;
            wire.u16(priority)?;
            wire.u16(idle_timeout)?;
            wire.u16(hard_timeout)?;
            len = wire.nx_match_len()?;
            wire.u8(&mut table.0)?;
            wire.pad(1)?;
        }
        *event = match number {
            0 => FlowEvent::Initial,
            2 => FlowEvent::Removed(u8::try_from(reason).unwrap_or_default()),
            3 => FlowEvent::Modified,
            _ => FlowEvent::Added,
        };
        wire.u64(cookie)?;
        match version {
            Version::V10 | Version::V11 | Version::V12 => {
                wire.nx_match_body(len, matching, None)?;
                wire.flow_actions(actions)
            }
            Version::V13 => {
                wire.match_of_len(len, matching)?;
                wire.instructions(actions)
            }
            Version::V14 | Version::V15 => {
                wire.matching(matching)?;
                wire.instructions(actions)
            }
        }
    }
}

impl Layout for Update {
    fn blank() -> Self {
        Self(FlowUpdate::Full {
            event: FlowEvent::Added,
            table: TableId(0),
            priority: 0,
            idle_timeout: 0,
            hard_timeout: 0,
            cookie: 0,
            matching: Match::any(),
            actions: Box::default(),
        })
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.block(0, |wire| {
            wire.length()?;
            self.body(wire)
        })
    }
}
