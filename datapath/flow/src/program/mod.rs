//! What a walk through tables comes to: steps that do it again for every packet like the first.
//!
//! A [`Program`] is a flat list that never changes; a cache keeps it behind an `Arc`.  It names what
//! larger steps need by place in side lists.  [`Program::run`] does the steps with a frame; what is
//! not a matter of bytes it asks of [`Effects`].

mod builder;
mod continuation;
mod run;
mod step;

pub(crate) use builder::Builder;
pub use continuation::{BridgeId, Context, Continuation, Pending, StackItem};
pub use run::Effects;
pub use step::{Punt, Reason, Refused, Step, Target};

use crate::request::{BucketId, FlowMod};
use crate::{Bits, GroupId, RuleId};
use std::sync::Arc;

/// What is done with a packet, and with all that its mask says are like it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    steps: Box<[Step]>,
    wide: Box<[Bits]>,
    punts: Box<[Punt]>,
    continuations: Box<[Arc<Continuation>]>,
    learns: Box<[Arc<FlowMod>]>,
    rules: Box<[RuleId]>,
    buckets: Box<[(GroupId, BucketId)]>,
}

impl Program {
    /// What is done, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The rules that the packet met, each as often as it did: a packet counts in all of them.
    #[must_use]
    pub fn rules(&self) -> &[RuleId] {
        &self.rules
    }

    /// The buckets of groups that the packet met.
    #[must_use]
    pub fn buckets(&self) -> &[(GroupId, BucketId)] {
        &self.buckets
    }

    /// The bits of a [`Step::SetWide`].
    #[must_use]
    pub fn wide(&self, at: u16) -> Bits {
        self.wide.get(usize::from(at)).copied().unwrap_or_default()
    }

    /// What a [`Step::Punt`] sends.
    #[must_use]
    pub fn punt(&self, at: u16) -> Option<&Punt> {
        self.punts.get(usize::from(at))
    }

    /// Where a [`Step::Resume`] goes on.
    #[must_use]
    pub fn continuation(&self, at: u16) -> Option<&Arc<Continuation>> {
        self.continuations.get(usize::from(at))
    }

    /// The request of a [`Step::Learn`].
    #[must_use]
    pub fn learn(&self, at: u16) -> Option<&Arc<FlowMod>> {
        self.learns.get(usize::from(at))
    }
}
