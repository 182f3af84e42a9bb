//! The poll loop: commands in, events out, frames through.
//!
//! A worker is a thread that owns everything it touches per frame: its queues, its frames, its
//! FDB replicas, its counters.  Control talks to it by [`Command`] and hears of it by [`Event`];
//! nothing is shared but the immutable [`Snapshot`].
#![forbid(unsafe_code)]

mod exchange;
mod fault;
mod lane;
mod peer;
mod poll;
mod pulse;
mod spawn;
mod talks;
mod waker;

pub use fault::Fault;
pub use peer::Peer;
pub use spawn::{Handle, SpawnConfig, spawn_again, spawn_all};
pub use talks::Talk;
pub use waker::Waker;

use std::sync::Arc;
use weft_switch::mcast::{Groups, Heard};
use weft_switch::trace::{self, Probe};
use weft_switch::{
    BridgeId, Capture, Counters, FdbRecord, FdbStats, FrameQueue, IfaceCounters, IfaceId, LinkId,
    MirrorId, Move, PortId, Sample, Snapshot, Station, WorkerId,
};
use weft_wire::{mac::MacAddr, vid::Vid};

/// Notices waiting for control, at most.  A worker never waits for room: a notice is sent only when
/// there is some.  Commands and answers have a channel each without such a limit, so that control
/// never waits for room and no answer is lost: there are as many as control asks for, and a worker
/// that takes none is replaced.
pub const NOTICES_MAX: usize = 256;

/// What control tells a worker.  `Q` is an open queue of the I/O back end.
pub enum Command<Q: FrameQueue> {
    /// Forward by this from the next batch on.  Answer: [`Event::Installed`].
    Install(Arc<Snapshot>),
    /// Take a queue into service.  No answer.
    AddQueue {
        /// The link it belongs to.
        link: LinkId,
        /// The open queue.
        queue: Q,
    },
    /// A queue of this link is on its way here: frames that are for it wait.  No answer.
    ExpectQueue {
        /// The link.
        link: LinkId,
    },
    /// Take the queues of a link out of service for another worker, as they are.  Answer:
    /// [`Event::QueuesRemoved`].
    TakeQueues {
        /// The link.
        link: LinkId,
    },
    /// Say which links sent to which lately.  Answer: [`Event::Talks`].
    ListTalks,
    /// Take all queues of a link out of service.  Answer: [`Event::QueuesRemoved`].
    RemoveQueues {
        /// The link.
        link: LinkId,
    },
    /// Take the queues out of service that stood in for others of a link.  Answer:
    /// [`Event::QueuesRemoved`].
    RemoveStandIns {
        /// The link.
        link: LinkId,
    },
    /// All queues that were given back are closed: take the frames back that the kernel held.
    Reclaim,
    /// Forget learned addresses.  Answer: [`Event::FdbFlushed`].
    FlushFdb {
        /// Of this bridge, or of all.
        bridge: Option<BridgeId>,
        /// Only those on this port.
        port: Option<PortId>,
        /// Only those in this VLAN.
        vid: Option<Vid>,
    },
    /// Add, replace or (with `port` absent) remove one static address.  No answer.
    SetStatic {
        /// Of this bridge.
        bridge: BridgeId,
        /// In this VLAN.
        vid: Vid,
        /// This address.
        mac: MacAddr,
        /// On this port.
        port: Option<PortId>,
    },
    /// Send frames to groups by these lists, or flood them.  Answer: [`Event::GroupsSet`].
    SetGroups {
        /// Of this bridge.
        bridge: BridgeId,
        /// The lists; absent when the bridge does not snoop.
        groups: Option<Arc<Groups>>,
    },
    /// Zero the statistics of a bridge's FDB.  No answer.
    ClearFdbStats {
        /// Of this bridge.
        bridge: BridgeId,
    },
    /// List a part of an FDB.  Answer: [`Event::Fdb`].
    DumpFdb {
        /// Of this bridge.
        bridge: BridgeId,
        /// Where the part begins: 0, then what the last answer says.
        from: usize,
    },
    /// Find one entry of an FDB.  Answer: [`Event::FdbEntry`].
    FindFdb {
        /// Of this bridge.
        bridge: BridgeId,
        /// Its address.
        station: Station,
    },
    /// Copy all counters into this box.  Answer: [`Event::Report`].
    Report(Box<Report>),
    /// The same without the counters of interfaces, which may be thousands.  Answer: [`Event::Report`].
    ReportFigures,
    /// Copy the counters of these interfaces.  Answer: [`Event::Ifaces`].
    ReportIfaces(Arc<[IfaceId]>),
    /// Zero the counters of these interfaces, because the numbers have new owners.  No answer.
    ClearIfaces(Arc<[IfaceId]>),
    /// Zero one mirror's counters, because the number has a new owner.  No answer.
    ClearMirror(MirrorId),
    /// Send frames to this sink as well, or no longer.  Answer: [`Event::CaptureRetired`] with
    /// the sink that was there, when one was.
    SetCapture(Option<Box<dyn Capture>>),
    /// Send a control frame, untagged, by an interface, whether its port forwards or not.  No answer.
    Transmit {
        /// By this interface.
        iface: IfaceId,
        /// From the destination address on, without FCS.
        frame: Vec<u8>,
    },
    /// Take these frames through the stages without side effects.  Answer: [`Event::Traced`].
    Trace(Vec<Probe>),
    /// List what came in during the last so many milliseconds.  Answer: [`Event::Samples`].
    DumpSamples {
        /// Milliseconds.
        age_max_ms: u64,
    },
    /// Forget what [`Command::DumpSamples`] lists.  No answer.
    ForgetSamples,
    /// Another worker was started anew: talk to it by these lanes from now on.  No answer.
    Meet(Box<Peer<Q::Frame>>),
    /// Say that you are there.  Answer: [`Event::Pong`].
    Ping,
    /// Fail in this way, for a test.  No answer.
    Fail(Fault),
    /// Stop.  The thread ends and drops its queues.
    Stop,
}

/// What a worker answers.
pub enum Event<Q> {
    /// It is there.
    Pong,
    /// A snapshot took effect.
    Installed {
        /// Epoch the worker now forwards by.
        epoch: u64,
        /// The snapshot it used before: a worker frees nothing.
        retired: Arc<Snapshot>,
    },
    /// The queues of a link are out of service.  Control drops them, then sends
    /// [`Command::Reclaim`].
    QueuesRemoved {
        /// The link.
        link: LinkId,
        /// Its queues.
        queues: Vec<Q>,
    },
    /// Which links sent to which lately.
    Talks(Vec<Talk>),
    /// Addresses were forgotten.
    FdbFlushed {
        /// How many.
        entries: usize,
    },
    /// A part of an FDB, unsorted; empty when there is no such bridge.
    Fdb {
        /// Which worker has it.
        worker: WorkerId,
        /// The entries of this part.
        records: Vec<FdbRecord>,
        /// Where the next part begins, if this is not the last.
        next: Option<usize>,
    },
    /// An entry of an FDB, if there is one.
    FdbEntry(Option<FdbRecord>),
    /// What the stages did with each probe; `None` for one that found no free frame.
    Traced(Vec<Option<Vec<trace::Event>>>),
    /// Recent traffic, unsorted.
    Samples {
        /// Which worker saw it.
        worker: WorkerId,
        /// One for each kind of frame.
        samples: Vec<Sample>,
        /// The clock of [`Sample::used_at_ms`].
        now_ms: u64,
    },
    /// Counters, as asked for.
    Report(Box<Report>),
    /// Counters of the interfaces that were asked for, as far as they have any.
    Ifaces(Vec<(IfaceId, IfaceCounters)>),
    /// Other lists of groups took effect.
    GroupsSet {
        /// Those used before: a worker frees nothing.
        retired: Option<Arc<Groups>>,
    },
    /// The sink of [`Command::SetCapture`] that is no longer used.
    CaptureRetired(Box<dyn Capture>),
}

/// What a worker says unasked, when there is room.
pub enum Notice {
    /// A control frame came in: spanning tree, on a bridge that takes BPDUs.
    Punted {
        /// By this interface.
        iface: IfaceId,
        /// From the destination address on, without FCS.
        frame: Vec<u8>,
    },
    /// Stations moved from port to port, in bridges with a loop guard; at most once a second.
    Moved(Vec<Move>),
    /// A copy of an IGMP or MLD frame that came in on a bridge that snoops; sent while there is room
    /// for others as well.
    Heard(Heard),
    /// A frame waits for the next hop of this tunnel; at most once a second for each.
    WantsNextHop(IfaceId),
}

/// The counters of one worker at one moment.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Which worker.
    pub worker: WorkerId,
    /// Counters of interfaces and links.
    pub counters: Counters,
    /// FDB statistics by bridge number.
    pub fdb: Vec<FdbStats>,
    /// Rounds of the poll loop that moved frames.
    pub busy_rounds: u64,
    /// Rounds that found nothing.
    pub idle_rounds: u64,
    /// Times the worker slept.
    pub sleeps: u64,
    /// TSC or clock nanoseconds spent in rounds that moved frames.
    pub busy_nanos: u64,
    /// Frames received by this worker.
    pub rx_frames: u64,
    /// Frames it flooded because their destination was not known.
    pub unknown_frames: u64,
    /// Seconds since the worker started, the clock of FDB ages.
    pub now_secs: u32,
}
