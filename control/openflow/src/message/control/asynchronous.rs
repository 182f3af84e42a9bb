//! Which asynchronous messages a connection wants, by its role.

use crate::message::wire::{Done, Layout, Wire};
use weft_flow::Version;
use weft_flow::request::Refusal;

/// A kind of asynchronous messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AsyncKind {
    /// Packets; a bit for each reason.
    PacketIn,
    /// Ports; a bit for each change.
    PortStatus,
    /// Flows that go; a bit for each reason.
    FlowRemoved,
    /// Roles: 1.4 and later.
    RoleStatus,
    /// Tables: 1.4 and later.
    TableStatus,
    /// Requests of other connections: 1.4 and later.
    RequestForward,
}

impl AsyncKind {
    /// All of them, in the order of the protocol.
    pub const ALL: [Self; 6] = [
        Self::PacketIn,
        Self::PortStatus,
        Self::FlowRemoved,
        Self::RoleStatus,
        Self::TableStatus,
        Self::RequestForward,
    ];

    /// The bits that mean something, in this version.
    #[must_use]
    pub const fn bits(self, version: Version) -> u32 {
        match self {
            Self::PacketIn | Self::FlowRemoved
                if matches!(version, Version::V14 | Version::V15) =>
            {
                0x3f
            }
            Self::FlowRemoved => 0xf,
            Self::PacketIn | Self::PortStatus | Self::RoleStatus => 7,
            Self::TableStatus => 0x18,
            Self::RequestForward => 3,
        }
    }
}

/// Which messages of a kind a connection wants, while it has a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsyncMask {
    /// The kind.
    pub kind: AsyncKind,
    /// True for masters and equals, false for slaves.
    pub is_master: bool,
    /// A bit for each reason that is wanted.
    pub mask: u32,
}

impl Layout for AsyncMask {
    fn blank() -> Self {
        Self { kind: AsyncKind::PacketIn, is_master: false, mask: 0 }
    }

    /// A property: twice the number of the kind, one more for masters.
    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let at = AsyncKind::ALL.iter().position(|kind| *kind == self.kind).unwrap_or_default();
        let mut number = u16::try_from(at).unwrap_or_default() * 2 + u16::from(self.is_master);
        wire.block(2, |wire| {
            wire.u16(&mut number)?;
            wire.length()?;
            wire.u32(&mut self.mask)
        })
        .map_err(|refusal| {
            if refusal == Refusal::BadLen { Refusal::PropBadLen } else { refusal }
        })?;
        self.is_master = number % 2 == 1;
        let kind = AsyncKind::ALL.get(usize::from(number / 2));
        self.kind = *kind.ok_or(Refusal::PropBadType)?;
        Ok(())
    }
}

/// The form of 1.4 and later, which says only what is to change.
pub(crate) fn masks(wire: &mut Wire<'_>, masks: &mut Vec<AsyncMask>, is_request: bool) -> Done {
    wire.list(masks).map_err(|refusal| match refusal {
        Refusal::PropBadType if is_request => Refusal::AsyncUnsupported,
        other => other,
    })?;
    // Nicira's form has the bits of 1.4 in all versions.
    let version = wire.version().max(Version::V14);
    let is_bad = |mask: &AsyncMask| mask.mask & !mask.kind.bits(version) != 0;
    if is_request && wire.is_reading() && masks.iter().any(is_bad) {
        return Err(Refusal::AsyncInvalid);
    }
    Ok(())
}

/// The form of 1.3 and Nicira's: a word for masters, one for slaves, of each of three kinds.
pub(crate) fn words(wire: &mut Wire<'_>, masks: &mut Vec<AsyncMask>) -> Done {
    let was = std::mem::take(masks);
    for kind in AsyncKind::ALL.into_iter().take(3) {
        for is_master in [true, false] {
            let found = was.iter().find(|mask| mask.kind == kind && mask.is_master == is_master);
            let mut mask = found.map_or(0, |found| found.mask);
            wire.u32(&mut mask)?;
            mask &= kind.bits(Version::V14);
            masks.push(AsyncMask { kind, is_master, mask });
        }
    }
    Ok(())
}

/// True when words can say these: all of three kinds, for both roles, in the order of words.
pub(crate) fn are_words(masks: &[AsyncMask]) -> bool {
    let kinds = AsyncKind::ALL.into_iter().take(3);
    let all = kinds.flat_map(|kind| [(kind, true), (kind, false)]);
    masks.iter().map(|mask| (mask.kind, mask.is_master)).eq(all)
}
