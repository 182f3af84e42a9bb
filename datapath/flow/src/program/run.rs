//! Does the steps of a program with a frame.

use super::{Continuation, Program, Punt, Refused, Step, Target};
use crate::action::FinTimeout;
use crate::request::FlowMod;
use crate::rewrite::{Frame, Layout, pop_mpls, pop_vlan, push_mpls, push_vlan};
use crate::{Bits, MeterId, RuleId, Slot};
use std::sync::Arc;

/// Tags that are looked behind: those that keys show, and those that were put on since.
const TAGS_MAX: u8 = 8;

/// What a program asks of who runs it.
pub trait Effects<F: Frame> {
    /// Sets what goes along with the packet: slots of tunnels, and the mark.
    fn set(&mut self, slot: Slot, bits: Bits);

    /// Nothing goes along any more in the slots of tunnels.
    fn clear_tunnel(&mut self);

    /// Outputs that follow go by this queue, or by that of the packet.
    fn set_queue(&mut self, queue: Option<u32>);

    /// Sends the frame, at most `max_len` bytes of it.  With `is_last` it may be taken away.
    fn send(&mut self, frame: &mut F, target: Target, max_len: u32, is_last: bool);

    /// Sends the frame to controllers.
    fn punt(&mut self, frame: &F, punt: &Punt);

    /// Reads the frame anew and does with it what its program says; the key has a hash if a basis is
    /// given.  With `is_last` the frame may be taken away.
    fn resume(
        &mut self,
        frame: &mut F,
        continuation: &Arc<Continuation>,
        hash_basis: Option<u32>,
        is_last: bool,
    );

    /// True below the rate of a meter; the frame counts.
    fn passes(&mut self, frame: &F, meter: MeterId) -> bool;

    /// Adds or refreshes a flow.
    fn learn(&mut self, flow: &Arc<FlowMod>);

    /// Shortens the timeouts of a rule.
    fn shorten(&mut self, rule: RuleId, timeout: FinTimeout);

    /// True when the frame, or each of the frames that it will be cut into, is longer than that.
    fn is_longer(&self, frame: &F, bytes: u16) -> bool {
        frame.bytes().len() > bytes.into()
    }

    /// What follows is done with a copy, if `copies`.  False when there is no memory for one: it is
    /// left out.  What goes along with the packet, the queue too, is to be kept in either case.
    fn begin_clone(&mut self, frame: &mut F, copies: bool) -> bool;

    /// Back to the frame, and to what went along, at the `begin_clone` that was not ended yet.
    fn end_clone(&mut self, frame: &mut F);

    /// The packet or the copy is dropped.
    fn drop(&mut self, reason: Refused);
}

impl Program {
    /// Does the steps.
    pub fn run<F: Frame, E: Effects<F>>(&self, frame: &mut F, effects: &mut E) {
        Runner { program: self, frame, effects, at: 0, layout: None, clones: 0 }.run();
    }
}

struct Runner<'a, F, E> {
    program: &'a Program,
    frame: &'a mut F,
    effects: &'a mut E,
    at: usize,
    /// Where the headers are, until they move.
    layout: Option<Layout>,
    /// Clones that have not ended.
    clones: usize,
}

impl<F: Frame, E: Effects<F>> Runner<'_, F, E> {
    fn run(&mut self) {
        while let Some(step) = self.program.steps.get(self.at) {
            self.at += 1;
            match *step {
                Step::Set { slot, value, mask } => {
                    self.set(slot, Bits { value: value.into(), mask: mask.into() });
                }
                Step::SetWide { slot, at } => self.set(slot, self.program.wide(at)),
                Step::Send { target, max_len, is_last } => {
                    self.effects.send(self.frame, target, max_len, is_last);
                }
                Step::End => return,
                ref headers @ (Step::PushVlan { .. }
                | Step::PopVlan
                | Step::PushMpls { .. }
                | Step::PopMpls { .. }) => self.headers(headers),
                Step::Clone { copies } => self.begin_clone(copies),
                Step::EndClone => self.end_clone(),
                Step::Longer { bytes, otherwise } => {
                    if !self.effects.is_longer(self.frame, bytes) {
                        self.at = otherwise as usize;
                    }
                }
                Step::Meter(meter) => {
                    if !self.effects.passes(self.frame, meter) {
                        self.skip_scope();
                    }
                }
                Step::Drop(reason) => {
                    self.effects.drop(reason);
                    self.skip_scope();
                }
                _ => self.side_effect(step),
            }
        }
    }

    fn set(&mut self, slot: Slot, bits: Bits) {
        if slot.is_header() {
            let frame = self.frame.bytes_mut();
            let layout = *self.layout.get_or_insert_with(|| Layout::of(frame, TAGS_MAX));
            layout.set(frame, slot, bits);
        } else {
            self.effects.set(slot, bits);
        }
    }

    /// What does not fit, or is not there, leaves the frame as it is.
    fn headers(&mut self, step: &Step) {
        self.layout = None;
        let _is_done = match *step {
            Step::PushVlan { ethertype, tci } => push_vlan(self.frame, ethertype, tci),
            Step::PopVlan => pop_vlan(self.frame),
            Step::PushMpls { ethertype, entry } => {
                push_mpls(self.frame, TAGS_MAX, ethertype, entry)
            }
            Step::PopMpls { ethertype } => pop_mpls(self.frame, TAGS_MAX, ethertype),
            _ => false,
        };
    }

    fn begin_clone(&mut self, copies: bool) {
        self.clones += 1;
        if !self.effects.begin_clone(self.frame, copies) {
            self.clones -= 1;
            self.skip_to_end();
            self.at += 1;
        }
    }

    fn end_clone(&mut self) {
        self.clones = self.clones.saturating_sub(1);
        self.layout = None;
        self.effects.end_clone(self.frame);
    }

    /// The copy, or the packet, ends here.
    fn skip_scope(&mut self) {
        if self.clones == 0 {
            self.at = usize::MAX;
        } else {
            self.skip_to_end();
        }
    }

    /// To the `EndClone` of the clone that this is in.  Either way of a `Longer` has one.
    fn skip_to_end(&mut self) {
        let mut depth = 0;
        while let Some(step) = self.program.steps.get(self.at) {
            match step {
                Step::EndClone if depth == 0 => return,
                Step::EndClone => depth -= 1,
                Step::Clone { .. } => depth += 1,
                _ => {}
            }
            self.at += 1;
        }
    }

    fn side_effect(&mut self, step: &Step) {
        match *step {
            Step::ClearTunnel => self.effects.clear_tunnel(),
            Step::Queue(queue) => self.effects.set_queue(queue),
            Step::Punt(at) => {
                if let Some(punt) = self.program.punt(at) {
                    self.effects.punt(self.frame, punt);
                }
            }
            Step::Resume { at, hash_basis, is_last } => {
                if let Some(continuation) = self.program.continuation(at) {
                    self.effects.resume(self.frame, continuation, hash_basis, is_last);
                    self.layout = None;
                }
            }
            Step::Learn(at) => {
                if let Some(flow) = self.program.learn(at) {
                    self.effects.learn(flow);
                }
            }
            Step::Shorten { rule, idle, hard } => {
                self.effects.shorten(rule, FinTimeout { idle, hard });
            }
            _ => {}
        }
    }
}
