//! One frame's walk through the stages, without side effects: what `weft trace` and
//! `ofproto/trace` show.
//!
//! There is no second forwarder.  The real stages run over the frame; while they do, what they
//! would count, learn, send or hand on goes into a [`Journal`] instead.

use crate::{
    Batch, Counters, Datapath, DropReason, Fdb, FdbRecord, FrameBuf, FrameIo, Learned, LinkId,
    LinkRole, Meta, MirrorId, PortConf, PortId, Snapshot, Station, Tick, bridge, frame, pipeline,
};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use weft_wire::mac::MacAddr;
use weft_wire::vid::Vid;

/// Where a traced frame comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// On a port: as it looks inside the tunnel, for a tunnel port.
    Port(PortId),
    /// On a link: a tunnel packet, for an underlay link.
    Link(LinkId),
}

/// A frame to trace.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Where it comes in.
    pub ingress: Ingress,
    /// From the destination address on, without FCS.
    pub frame: Vec<u8>,
    /// The source address is really learned.
    pub learns: bool,
}

/// One step of a traced frame, in the order in which the stages took them.
#[derive(Clone, Debug)]
pub enum Event {
    /// The L2 header was read, outer headers are off, and the frame is in its VLAN.
    Entered {
        /// What is known of it: ingress port, VLAN, a verdict if it is dropped already.
        meta: Meta,
        /// The frame, as it came out of its tunnel.
        frame: Vec<u8>,
        /// What the FDB had of its source address.
        source: Option<FdbRecord>,
        /// What the FDB had of its destination address.
        target: Option<FdbRecord>,
    },
    /// The source address was offered to the FDB.
    Learned {
        /// In this VLAN,
        vid: Vid,
        /// this address
        mac: MacAddr,
        /// on this port;
        port: PortId,
        /// what came of it (or would, for a probe that does not learn).
        outcome: Learned,
    },
    /// Where the frame goes.
    Decided(Meta),
    /// The ports that multicast snooping has for the frame, whether or not they can take it.
    Members(Vec<PortId>),
    /// The copies that follow are of this mirror; with `None`, they are of the frame itself again.
    Copying(Option<MirrorId>),
    /// The frame as it leaves a port, inside its tunnel.  [`Event::TxDropped`] for the same port
    /// right after it takes this back.
    Sent {
        /// The port.
        port: PortId,
        /// With the tags that the port wants.
        frame: Vec<u8>,
    },
    /// What goes out of a link, with the headers of its tunnel.
    Wire {
        /// The link.
        link: LinkId,
        /// From the outer destination address on.
        frame: Vec<u8>,
    },
    /// The copy for this tunnel port would wait for the address of the next hop.
    Waits(PortId),
    /// The frame would go to the control thread.
    Punted(PortId),
    /// A frame that came in on this port was dropped.
    RxDropped(PortId, DropReason),
    /// A copy meant for this port was dropped.
    TxDropped(PortId, DropReason),
    /// A frame that no tunnel port took was dropped.
    LinkDropped(LinkId, DropReason),
    /// A copy counted as dropped goes in another form: in fragments.
    TakenBack(PortId, DropReason),
}

/// Where stages note what they do with a traced frame; silent while none is traced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal(Option<Sender<Event>>);

impl Journal {
    /// Notes an event, if a frame is traced.
    pub(crate) fn note(&self, event: impl FnOnce() -> Event) {
        if let Some(events) = &self.0 {
            // The reader is further up in the same call stack.
            let _ = events.send(event());
        }
    }

    /// True while a frame is traced.
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }
}

/// Runs the stages over one frame and says what they did.  `None` when no free frame was left, or
/// when the probe is longer than one.
///
/// Nothing is counted, sent, captured or handed on; a source address is learned only where the
/// probe says so.  (So a frame to its own sender floods here, and is a reflection in real life.)
pub fn run<I: FrameIo>(
    probe: &Probe,
    datapath: &mut Datapath<I::Frame>,
    snapshot: &Snapshot,
    now: Tick,
    io: &mut I,
) -> Option<Vec<Event>> {
    let frame = io.copy_from(&probe.frame)?;
    let (sender, events) = channel();
    let journal = Journal(Some(sender));
    let mut batch = Batch::new();
    batch.frames.push(frame);
    let kept = datapath.begin_trace(&journal, probe.learns);
    let mut io = Recorder { io, journal };
    let link = match probe.ingress {
        Ingress::Link(link) => {
            pipeline::enter(&mut batch, link, datapath, snapshot, now);
            link
        }
        Ingress::Port(port) => {
            datapath.now = now;
            frame::parse(&mut batch, port, completes(snapshot, port));
            Meta::NO_LINK
        }
    };
    pipeline::bridge(&mut batch, link, datapath, snapshot, &mut io);
    cross(datapath, snapshot, &mut io);
    datapath.end_trace(kept);
    drop(io);
    Some(events.into_iter().collect())
}

/// As the pipeline's, but frame by frame, so that the events of one follow each other: the frames
/// come in in the order in which they left by patch ports.
fn cross<I: FrameIo>(datapath: &mut Datapath<I::Frame>, snapshot: &Snapshot, io: &mut I) {
    while let Some(mut crossed) = datapath.crossing.take() {
        for (frame, meta) in crossed.frames.drain(..).zip(crossed.metas.drain(..)) {
            let mut batch = Batch::new();
            batch.frames.push(frame);
            batch.metas.push(meta);
            pipeline::bridge(&mut batch, Meta::NO_LINK, datapath, snapshot, io);
        }
        datapath.crossing.give_back(crossed);
    }
}

/// Why a frame that came in on `ingress` and is flooded does not leave by `port`, given
/// its VLAN and inner tag; `None` when it does.
#[must_use]
pub fn why_not(ingress: &PortConf, port: &PortConf, meta: &Meta) -> Option<DropReason> {
    if !port.forwards {
        Some(DropReason::PortBlocked)
    } else if port.mirrors.is_output {
        Some(DropReason::MirrorPort)
    } else if !port.vlan.carries(meta.vid) || !port.vlan.takes_inner(meta.inner) {
        Some(DropReason::EgressVlan)
    } else if bridge::same_group(ingress, port) {
        Some(DropReason::SplitHorizon)
    } else {
        None
    }
}

/// Whether frames of a port may come with partial checksums.
fn completes(snapshot: &Snapshot, port: PortId) -> bool {
    (0u16..)
        .take(snapshot.link_slots())
        .filter_map(|link| snapshot.link(LinkId(link)))
        .any(|link| link.role == LinkRole::Port(port) && link.completes_checksums)
}

/// Notes that frames have entered a bridge, with what the FDB has of their addresses.
pub(crate) fn entered<F: FrameBuf>(batch: &Batch<F>, snapshot: &Snapshot, datapath: &Datapath<F>) {
    if !datapath.journal.is_on() {
        return;
    }
    for (frame, meta) in batch.frames.iter().zip(&batch.metas) {
        let fdb = snapshot.port(meta.ingress).and_then(|port| datapath.fdb(port.bridge));
        let record = |mac| fdb?.record(Station::new(meta.vid, mac), datapath.now);
        datapath.journal.note(|| Event::Entered {
            meta: *meta,
            frame: frame.bytes().to_vec(),
            source: record(meta.source),
            target: record(meta.target),
        });
    }
}

/// What a trace sets aside.
pub(crate) struct Kept {
    counters: Counters,
    capture: Option<Box<dyn crate::Capture>>,
    announces: [bool; 2],
}

impl<F: FrameBuf> Datapath<F> {
    fn begin_trace(&mut self, journal: &Journal, learns: bool) -> Kept {
        self.journal = journal.clone();
        self.fdbs.iter_mut().flatten().for_each(|fdb| fdb.freeze(!learns));
        Kept {
            // Without ports there is nothing to count in, and the journal is told instead.
            counters: std::mem::replace(&mut self.counters, Counters::of_trace(journal)),
            capture: self.capture.take(),
            announces: self.announcer.begin_trace(journal, learns),
        }
    }

    fn end_trace(&mut self, kept: Kept) {
        self.journal = Journal::default();
        self.fdbs.iter_mut().flatten().for_each(|fdb: &mut Fdb| fdb.freeze(false));
        self.counters = kept.counters;
        self.capture = kept.capture;
        self.announcer.end_trace(kept.announces);
    }
}

/// Takes what is sent into the journal.
struct Recorder<'a, I> {
    io: &'a mut I,
    journal: Journal,
}

impl<I: FrameIo> FrameIo for Recorder<'_, I> {
    type Frame = I::Frame;
    type Queue = I::Queue;

    fn add_queue(&mut self, link: LinkId, queue: Self::Queue) {
        self.io.add_queue(link, queue);
    }

    fn remove_queue(&mut self, link: LinkId) -> Option<Self::Queue> {
        self.io.remove_queue(link)
    }

    fn reclaim(&mut self) {
        self.io.reclaim();
    }

    fn queue_count(&self) -> usize {
        self.io.queue_count()
    }

    fn rx(&mut self, queue: usize, frames: &mut Vec<Self::Frame>) -> LinkId {
        self.io.rx(queue, frames)
    }

    fn has_link(&self, link: LinkId) -> bool {
        self.io.has_link(link)
    }

    fn tx(&mut self, link: LinkId, frame: Self::Frame) -> bool {
        self.journal.note(|| Event::Wire { link, frame: frame.bytes().to_vec() });
        self.io.free(frame);
        true
    }

    fn flush(&mut self) {}

    fn wait(&mut self, timeout: Duration) {
        self.io.wait(timeout);
    }

    fn copy_from(&mut self, bytes: &[u8]) -> Option<Self::Frame> {
        self.io.copy_from(bytes)
    }

    fn free(&mut self, frame: Self::Frame) {
        self.io.free(frame);
    }
}
