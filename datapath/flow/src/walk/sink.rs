//! What a walk tells whoever traces it.

use crate::program::{BridgeId, Refused};
use crate::request::BucketId;
use crate::{Action, GroupId, Key, PortNo, Rule, TableId};

/// Listens to a walk.
pub trait Sink {
    /// False when nobody listens: events are not even made.
    const LISTENS: bool = true;

    /// Something happened: so many lists deep that have more to do afterwards, with this key.
    fn event(&mut self, depth: usize, key: &Key, event: Event<'_>);
}

/// Nobody.
impl Sink for () {
    const LISTENS: bool = false;

    fn event(&mut self, _depth: usize, _key: &Key, _event: Event<'_>) {}
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'e> {
    /// The packet came into a bridge.
    Bridge(BridgeId),
    /// A table was looked at.
    Table {
        /// Which.
        table: TableId,
        /// The rule that takes the packet.
        rule: Option<&'e Rule>,
    },
    /// An action begins.
    Action(&'e Action),
    /// A bucket's actions begin.
    Bucket(GroupId, BucketId),
    /// The action set is done.
    ActionSet,
    /// Something that the last action did, or why it did nothing.
    Note(Note),
}

/// What an action did, or why it did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The packet lacks what the field needs.
    Prerequisite,
    /// The packet is not sent back to where it came from.
    Ingress,
    /// There is no such port.
    NoPort(PortNo),
    /// The port is not to be sent to.
    NotForwarded(PortNo),
    /// The port cannot be sent a part of a packet.
    NotTruncated(PortNo),
    /// There is no such group.
    NoGroup(GroupId),
    /// No bucket of the group is live.
    NoBucket(GroupId),
    /// There is no such meter.
    NoMeter,
    /// The stack is empty.
    StackEmpty,
    /// The TTL is 0 or 1.
    TtlExpired,
    /// `resubmit` by connection, of a packet that has none.
    NotTracked,
    /// The headers are read anew, and the walk goes on afterwards.
    Resumes,
    /// The packet waits for a controller.
    Pauses,
    /// The value that was written, or pushed, or popped.
    Value(u128),
    /// The packet, or all that was done with it, is dropped.
    Refused(Refused),
}
