//! Copies of the packet, branches, and what is set aside.

use super::state::{State, Work};
use super::{BRANCHES_MAX, Branch, Note, SCOPES_MAX, Sink, Walk};
use crate::program::{Continuation, Pending, Refused, Step};
use crate::{Bits, Slot, Subfield};

impl<'a, S: Sink> Walk<'a, S> {
    /// What is pushed next is done with a copy.  False when there are too many.
    pub(super) fn begin_scope(&mut self) -> bool {
        let is_end = |work: &&Work<'_>| matches!(work, Work::EndScope(..));
        if self.work.iter().filter(is_end).count() >= SCOPES_MAX {
            self.fail(Refused::TooDeep);
            return false;
        }
        self.flush_reads();
        let at = self.builder.begin_clone();
        self.work.push(Work::EndScope(Box::new(self.state.clone()), at));
        true
    }

    pub(super) fn end_scope(&mut self, mut state: State<'a>, at: usize) {
        self.flush_reads();
        // What was found of the length of the same frame stays so.
        if state.resizes == self.state.resizes {
            state.length = self.state.length;
        }
        self.state = state;
        self.builder.end_clone(at);
    }

    /// Where the work of this scope begins.
    fn scope_start(&self) -> usize {
        let last = self.work.iter().rposition(|work| matches!(work, Work::EndScope(..)));
        last.map_or(0, |at| at + 1)
    }

    /// This packet or copy has no more actions but those of its action set.
    pub(super) fn exit(&mut self) {
        let start = self.scope_start();
        let has_set = matches!(self.work.get(start), Some(Work::ActionSet { .. }));
        self.work.truncate(start + usize::from(has_set));
    }

    /// This packet or copy is dropped: something is not built yet.
    pub(super) fn refuse(&mut self, reason: Refused) {
        self.note(Note::Refused(reason));
        self.builder.push(Step::Drop(reason));
        self.work.truncate(self.scope_start());
    }

    /// Both ways are gone, one after the other, to the end of everything; one only if an earlier
    /// branch says which.
    pub(super) fn branch(&mut self, bytes: u16, destination: Subfield) {
        let (longer, not_longer) = self.state.length;
        if longer.is_some_and(|known| bytes <= known) {
            self.write_bits(destination, 1);
        } else if not_longer.is_some_and(|known| bytes >= known) {
            self.write_bits(destination, 0);
        } else if self.builder.branches() >= BRANCHES_MAX {
            self.fail(Refused::TooLong);
        } else {
            self.flush_reads();
            let at = self.builder.branch(bytes);
            let (mut state, work) = (self.state.clone(), self.work.clone());
            state.length.1 = Some(bytes);
            self.branches.push(Branch { at, destination, state, work });
            self.state.length.0 = Some(bytes);
            self.write_bits(destination, 1);
        }
    }

    /// What this packet or copy would still do, as a value; it does nothing more.
    pub(super) fn set_aside(&mut self, first: Option<Pending>) -> Continuation {
        self.commit();
        let rest = self.work.split_off(self.scope_start());
        let mut pending: Vec<Pending> = rest.iter().filter_map(Work::to_pending).collect();
        pending.extend(first);
        let set = &self.state.action_set;
        Continuation {
            bridge: self.state.tables.bridge(),
            metadata: self.metadata(),
            stack: self.state.stack().into(),
            pending: pending.into(),
            action_set: set.iter().copied().cloned().collect(),
            queue: self.state.queue,
            max_len: self.state.max_len,
        }
    }

    /// The headers are read anew before this is done, and the rest.
    pub(super) fn resume_later(&mut self, first: Pending, hash_basis: Option<u32>) {
        self.note(Note::Resumes);
        let continuation = self.set_aside(Some(first));
        self.builder.resume(continuation, hash_basis);
    }

    /// What was written besides headers.
    pub(super) fn metadata(&self) -> Box<[(Slot, Bits)]> {
        let written = self.state.written.to_match(&self.state.key);
        let besides = |slot: Slot| !slot.is_header() && slot != Slot::RecircId;
        written.iter().filter(|(slot, _)| besides(*slot)).collect()
    }

    /// Goes on where a packet was set aside.
    pub(super) fn restore(&mut self, continuation: &'a Continuation) {
        for (slot, bits) in &continuation.metadata {
            let old = self.state.key.get(*slot);
            self.state.key.set(*slot, old & !bits.mask | bits.value);
            self.state.written.cover(*slot, bits.mask);
        }
        // Steps before the resumption have set what goes along with the packet.
        self.state.sent = self.state.key.clone();
        self.state.committed = self.state.written.clone();
        self.state.set_stack(&continuation.stack);
        self.state.action_set = continuation.action_set.iter().collect();
        self.state.queue = continuation.queue;
        self.state.sent_queue = continuation.queue;
        self.state.max_len = continuation.max_len;
        self.work = continuation.pending.iter().map(Work::from_pending).collect();
    }
}
