//! Walks a packet through tables and says what is to be done with it.
//!
//! [`translate`] starts at table 0 with the key of a packet and does the actions of the rules that
//! take it, one after the other, on the key.  What comes of it is a [`Program`], and a [`Mask`] of
//! all that decided: every packet that agrees in these bits gets the same program.
//!
//! Nothing here recurses: what is still to be done lies on a list.  Its rest is the value that a
//! packet which is set aside takes along ([`crate::program::Continuation`]).  Edits of headers wait
//! until somebody needs the packet; then those bits are set that are not what they are to be, for
//! every packet of the program.
//!
//! - `act` does one action after the other; `write` reads and writes fields and knows which bits
//!   decided; `scope` has copies, and the rest that is set aside.
//! - A bound for all of it: 64 tables deep, 4096 look-ups, 64 KiB of stack, and a length of
//!   programs.  Beyond it the packet is dropped, whatever was to be done before.

mod act;
mod bridge;
mod scope;
mod sink;
mod state;
mod write;

pub use act::symmetric_hash;
pub use bridge::{Fact, FlowBridge, PortFacts};
pub use sink::{Event, Note, Sink};

use crate::classifier::{Bucket, Visited};
use crate::program::{Builder, Context, Continuation, Program, Reason, Refused};
use crate::{Action, Key, Mask, PortNo, Slot, TableId};
use state::{List, State, Work};

/// Look-ups in an earlier table or the same, inside one another.
const DEPTH_MAX: u16 = 64;
/// Look-ups in all.
const LOOKUPS_MAX: u32 = 64 * 64;
/// Bytes on the stack.
const STACK_MAX: usize = 64 * 1024;
/// Copies inside one another, and branches, in all.
const SCOPES_MAX: usize = 256;
const BRANCHES_MAX: u16 = 64;

/// What a walk came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// What is to be done.
    pub program: Program,
    /// The bits of the key that decided.
    pub reads: Mask,
    /// Whose changes may change it.
    pub buckets: Box<[Bucket]>,
    /// What the packet was for tables at the end.
    pub key: Key,
}

/// Walks a packet through the tables of a bridge, from table 0.
pub fn translate<S: Sink>(tables: &dyn FlowBridge, key: &Key, sink: &mut S) -> Walked {
    let mut walk = Walk::new(tables, key, sink);
    let port = walk.port(walk.state.in_port());
    if !port.is_some_and(|port| port.no_receive) {
        let context = outside(Reason::Action);
        walk.work.push(Work::ActionSet { depth: 0 });
        walk.work.push(Work::Lookup { table: TableId(0), honors_miss: true, context });
    }
    walk.run()
}

/// Does the actions of a packet-out.
pub fn execute<S: Sink>(
    tables: &dyn FlowBridge,
    key: &Key,
    actions: &[Action],
    sink: &mut S,
) -> Walked {
    let mut walk = Walk::new(tables, key, sink);
    walk.work.push(Work::ActionSet { depth: 0 });
    walk.work.push(Work::Actions(List::Slice(actions), outside(Reason::PacketOut)));
    walk.run()
}

/// Goes on where a packet was set aside; `tables` are those of its bridge, and `key` has been read
/// anew.
pub fn resume<S: Sink>(
    tables: &dyn FlowBridge,
    key: &Key,
    continuation: &Continuation,
    sink: &mut S,
) -> Walked {
    let mut walk = Walk::new(tables, key, sink);
    walk.restore(continuation);
    walk.run()
}

/// Outside of tables.
fn outside(reason: Reason) -> Context {
    Context { table: TableId(0), cookie: u64::MAX, rule: None, is_miss: false, reason, depth: 0 }
}

/// A walk under way.
struct Walk<'a, S> {
    state: State<'a>,
    /// What is to be done, the next last.
    work: Vec<Work<'a>>,
    /// Other sides of branches.
    branches: Vec<Branch<'a>>,
    /// What decided, of the packet.
    mask: Mask,
    /// What was looked at since the last write, of the key.
    reads: Mask,
    visited: Visited,
    builder: Builder,
    lookups: u32,
    buckets: u32,
    sink: &'a mut S,
}

/// The other side of a branch: where it began, with what.
struct Branch<'a> {
    at: usize,
    destination: crate::Subfield,
    state: State<'a>,
    work: Vec<Work<'a>>,
}

impl<'a, S: Sink> Walk<'a, S> {
    fn new(tables: &'a dyn FlowBridge, key: &Key, sink: &'a mut S) -> Self {
        let mut mask = Mask::default();
        for slot in [Slot::RecircId, Slot::InPort, Slot::PacketType, Slot::EthType] {
            mask.cover_all(slot);
        }
        Self {
            state: State::new(tables, key),
            work: Vec::new(),
            branches: Vec::new(),
            mask,
            reads: Mask::default(),
            visited: Visited::default(),
            builder: Builder::default(),
            lookups: 0,
            buckets: 0,
            sink,
        }
    }

    fn run(mut self) -> Walked {
        self.event(|walk| Event::Bridge(walk.state.tables.bridge()));
        loop {
            while let Some(work) = self.work.pop() {
                self.step(work);
                if self.builder.is_too_long() {
                    self.fail(Refused::TooLong);
                }
            }
            let Some(branch) = self.branches.pop() else { break };
            self.flush_reads();
            self.builder.otherwise(branch.at);
            (self.state, self.work) = (branch.state, branch.work);
            self.write_bits(branch.destination, 0);
        }
        self.flush_reads();
        Walked {
            program: self.builder.finish(),
            reads: self.mask,
            buckets: self.visited.buckets(),
            key: self.state.key,
        }
    }

    fn step(&mut self, work: Work<'a>) {
        match work {
            Work::Actions(list, context) => self.next_action(list, context),
            Work::Lookup { table, honors_miss, context } => {
                self.lookup(table, honors_miss, context);
            }
            Work::Group(group, context) => self.group(group, context),
            Work::Bucket { group, bucket, actions, context } => {
                self.bucket(group, bucket, actions, context);
            }
            Work::ActionSet { depth } => self.do_action_set(depth),
            Work::Peer { port, queue, max_len, context } => {
                if self.arrive(port, context.depth + 1) {
                    (self.state.queue, self.state.max_len) = (queue, max_len);
                }
            }
            Work::EndScope(state, at) => self.end_scope(*state, at),
        }
    }

    /// The walk depends on this.
    fn depends_on(&mut self, fact: Fact) {
        self.visited.note(fact.bucket(self.state.tables.bridge()));
    }

    fn port(&mut self, port: PortNo) -> Option<PortFacts> {
        self.depends_on(Fact::Port(port));
        self.state.tables.port(port)
    }

    /// The packet is dropped, whatever was to be done with it.
    fn fail(&mut self, reason: Refused) {
        self.note(Note::Refused(reason));
        self.work.clear();
        self.branches.clear();
        self.builder.fail(reason);
    }

    /// Tells the sink.
    fn event<'e>(&mut self, event: impl FnOnce(&Self) -> Event<'e>)
    where
        'a: 'e,
    {
        if S::LISTENS {
            let is_open = |work: &&Work<'_>| matches!(work, Work::Actions(..));
            let depth = self.work.iter().filter(is_open).count();
            let event = event(self);
            self.sink.event(depth, &self.state.key, event);
        }
    }

    fn note(&mut self, note: Note) {
        self.event(|_| Event::Note(note));
    }
}

#[cfg(test)]
mod tests;
