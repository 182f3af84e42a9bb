//! Puts programs together.

use super::{Continuation, Program, Punt, Refused, Step};
use crate::request::{BucketId, FlowMod};
use crate::{Bits, GroupId, RuleId, Slot};
use std::sync::Arc;

/// Steps that a program has at most.
const STEPS_MAX: usize = 8192;

/// A program that grows.
#[derive(Default)]
pub(crate) struct Builder {
    steps: Vec<Step>,
    wide: Vec<Bits>,
    punts: Vec<Punt>,
    continuations: Vec<Arc<Continuation>>,
    learns: Vec<Arc<FlowMod>>,
    rules: Vec<RuleId>,
    buckets: Vec<(GroupId, BucketId)>,
    branches: u16,
}

/// The next place in a side list.
fn next<T>(list: &[T]) -> u16 {
    u16::try_from(list.len()).unwrap_or(u16::MAX)
}

impl Builder {
    pub(crate) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    pub(crate) fn is_too_long(&self) -> bool {
        self.steps.len() >= STEPS_MAX
    }

    pub(crate) fn set(&mut self, slot: Slot, bits: Bits) {
        let narrow = |bits| u64::try_from(bits).ok();
        if let (Some(value), Some(mask)) = (narrow(bits.value), narrow(bits.mask)) {
            self.push(Step::Set { slot, value, mask });
        } else {
            let at = next(&self.wide);
            self.wide.push(bits);
            self.push(Step::SetWide { slot, at });
        }
    }

    pub(crate) fn punt(&mut self, punt: Punt) {
        let at = next(&self.punts);
        self.punts.push(punt);
        self.push(Step::Punt(at));
    }

    pub(crate) fn resume(&mut self, continuation: Continuation, hash_basis: Option<u32>) {
        let at = next(&self.continuations);
        self.continuations.push(Arc::new(continuation));
        self.push(Step::Resume { at, hash_basis, is_last: false });
    }

    pub(crate) fn learn(&mut self, flow: FlowMod) {
        let at = next(&self.learns);
        self.learns.push(Arc::new(flow));
        self.push(Step::Learn(at));
    }

    pub(crate) fn count_rule(&mut self, rule: RuleId) {
        self.rules.push(rule);
    }

    pub(crate) fn count_bucket(&mut self, group: GroupId, bucket: BucketId) {
        self.buckets.push((group, bucket));
    }

    /// How many branches there were.
    pub(crate) fn branches(&self) -> u16 {
        self.branches
    }

    /// Begins a branch; says where.
    pub(crate) fn branch(&mut self, bytes: u16) -> usize {
        let at = self.steps.len();
        self.branches += 1;
        self.push(Step::Longer { bytes, otherwise: 0 });
        at
    }

    /// The other side of a branch begins here.
    pub(crate) fn otherwise(&mut self, at: usize) {
        self.push(Step::End);
        let here = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        if let Some(Step::Longer { otherwise, .. }) = self.steps.get_mut(at) {
            *otherwise = here;
        }
    }

    /// Begins a clone; says where.
    pub(crate) fn begin_clone(&mut self) -> usize {
        let at = self.steps.len();
        self.push(Step::Clone { copies: false });
        at
    }

    /// Ends the clone that began at `at`.  One that nothing tells from the rest is no clone.
    pub(crate) fn end_clone(&mut self, at: usize) {
        let inside = self.steps.get(at + 1..).unwrap_or_default();
        let changes = inside.iter().any(changes_packet);
        let changes_frame = inside.iter().any(changes_frame);
        let ends =
            |step: &Step| matches!(step, Step::Meter(_) | Step::Drop(_) | Step::Longer { .. });
        if !changes && !inside.iter().any(ends) {
            self.steps.remove(at);
            return;
        }
        if let Some(Step::Clone { copies }) = self.steps.get_mut(at) {
            *copies |= changes_frame;
        }
        self.push(Step::EndClone);
    }

    /// Nothing but a drop.
    pub(crate) fn fail(&mut self, reason: Refused) {
        let rules = std::mem::take(&mut self.rules);
        *self = Self { steps: vec![Step::Drop(reason)], rules, ..Self::default() };
    }

    pub(crate) fn finish(mut self) -> Program {
        if self.branches == 0 {
            trim(&mut self.steps);
        }
        Program {
            steps: self.steps.into(),
            wide: self.wide.into(),
            punts: self.punts.into(),
            continuations: self.continuations.into(),
            learns: self.learns.into(),
            rules: self.rules.into(),
            buckets: self.buckets.into(),
        }
    }
}

/// True for steps after which the packet is not what it was.
fn changes_packet(step: &Step) -> bool {
    matches!(
        step,
        Step::Set { .. }
            | Step::SetWide { .. }
            | Step::PushVlan { .. }
            | Step::PopVlan
            | Step::PushMpls { .. }
            | Step::PopMpls { .. }
            | Step::ClearTunnel
            | Step::Queue(_)
            | Step::Resume { .. }
    )
}

/// True for steps after which the frame is not what it was.
fn changes_frame(step: &Step) -> bool {
    match step {
        Step::Set { slot, .. } | Step::SetWide { slot, .. } => slot.is_header(),
        Step::ClearTunnel | Step::Queue(_) => false,
        step => changes_packet(step),
    }
}

/// From the end: takes out changes that nobody sees, and says which step is the last to need the
/// frame.
fn trim(steps: &mut Vec<Step>) {
    // Whether somebody needs the packet behind this step: in this scope, then in outer ones.
    let mut needs = vec![false];
    for at in (0..steps.len()).rev() {
        let (Some(step), Some(needed)) = (steps.get_mut(at), needs.last().copied()) else { break };
        let mut is_needed = needed;
        match step {
            Step::Send { is_last, .. } | Step::Resume { is_last, .. } => {
                *is_last = !needs.contains(&true);
                is_needed = true;
            }
            Step::Punt(_) | Step::Meter(_) => is_needed = true,
            Step::EndClone => {
                needs.push(false);
                continue;
            }
            Step::Clone { copies } => {
                let inner = needs.pop().unwrap_or_default();
                let outer = needs.last().copied().unwrap_or_default();
                *copies &= outer;
                is_needed = inner || outer;
            }
            step if changes_packet(step) && !needed => {
                steps.remove(at);
            }
            _ => {}
        }
        if let Some(needed) = needs.last_mut() {
            *needed = is_needed;
        }
    }
}
