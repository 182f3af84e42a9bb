//! An I/O back end for tests: frames are vectors, every frame is accounted for.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;
use weft_switch::trace::{self, Event, Origin, Probe};
use weft_switch::{
    Batch, Datapath, FrameBuf, FrameIo, FrameQueue, IfaceCounters, IfaceId, LinkId, Numbers,
    Snapshot, Station, Tick, pipeline,
};
use weft_wire::mac::MacAddr;
use weft_wire::vid::Vid;

/// Bytes in front of every frame.
pub const HEADROOM_BYTES: usize = 192;

/// A frame in a vector.
#[derive(Debug)]
pub struct TestFrame {
    bytes: Vec<u8>,
    start: usize,
}

impl FrameBuf for TestFrame {
    fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    fn prepend(&mut self, len_bytes: usize) -> Option<&mut [u8]> {
        self.start = self.start.checked_sub(len_bytes)?;
        Some(&mut self.bytes[self.start..][..len_bytes])
    }

    fn trim_front(&mut self, len_bytes: usize) -> bool {
        let fits = len_bytes <= self.bytes().len();
        if fits {
            self.start += len_bytes;
        }
        fits
    }

    fn truncate(&mut self, len_bytes: usize) {
        self.bytes.truncate(self.start + len_bytes);
    }

    fn pad_to(&mut self, len_bytes: usize) -> bool {
        let end = self.bytes.len().max(self.start + len_bytes);
        self.bytes.resize(end, 0);
        true
    }
}

/// Frames that wait to be received, and frames that were sent.
#[derive(Debug, Default)]
pub struct TestIo {
    pub rx: VecDeque<TestFrame>,
    pub rx_link: LinkId,
    pub sent: Vec<(LinkId, Vec<u8>)>,
    /// Frames that exist now.
    pub live: usize,
}

impl TestIo {
    fn frame(&mut self, bytes: &[u8]) -> TestFrame {
        // Room in front is old rubbish, as in a UMEM chunk.
        let mut all = vec![0xa5; HEADROOM_BYTES];
        all.extend_from_slice(bytes);
        self.live += 1;
        TestFrame { bytes: all, start: HEADROOM_BYTES }
    }
}

/// There are none: frames are put into `rx`.
pub struct NoQueue;

impl FrameQueue for NoQueue {
    type Frame = TestFrame;
}

impl FrameIo for TestIo {
    type Frame = TestFrame;
    type Queue = NoQueue;

    fn add_queue(&mut self, _link: LinkId, _queue: NoQueue) {}

    fn remove_queue(&mut self, _link: LinkId) -> Option<NoQueue> {
        None
    }

    fn reclaim(&mut self) {}

    fn queue_count(&self) -> usize {
        1
    }

    fn rx(&mut self, _queue: usize, frames: &mut Vec<TestFrame>) -> LinkId {
        frames.extend(self.rx.drain(..));
        self.rx_link
    }

    fn has_link(&self, _link: LinkId) -> bool {
        true
    }

    fn tx(&mut self, link: LinkId, frame: TestFrame) -> bool {
        self.sent.push((link, frame.bytes().to_vec()));
        self.free(frame);
        true
    }

    fn flush(&mut self) {}

    fn wait(&mut self, _timeout: Duration) {}

    fn copy_from(&mut self, bytes: &[u8]) -> Option<TestFrame> {
        Some(self.frame(bytes))
    }

    fn free(&mut self, frame: TestFrame) {
        drop(frame);
        self.live -= 1;
    }
}

/// One switch with its configuration.
pub struct Switch {
    pub datapath: Datapath<TestFrame>,
    pub snapshot: Snapshot,
    pub io: TestIo,
    batch: Batch<TestFrame>,
}

impl Switch {
    pub fn new(snapshot: Snapshot) -> Self {
        let mut switch = Self {
            datapath: Datapath::new(7, false, Numbers::default()),
            snapshot: Snapshot::default(),
            io: TestIo::default(),
            batch: Batch::new(),
        };
        switch.install(snapshot);
        switch
    }

    /// Changes the configuration, as a worker does.
    pub fn install(&mut self, snapshot: Snapshot) {
        self.datapath.adopt(&self.snapshot, &snapshot);
        self.snapshot = snapshot;
        self.datapath.release_waiting(&self.snapshot, &mut self.io);
    }

    /// Receives a batch on `link` and returns what was sent since the last call.  Every frame is
    /// sent, freed or waiting afterwards.
    pub fn receive(
        &mut self,
        link: LinkId,
        frames: &[Vec<u8>],
        now: Tick,
    ) -> Vec<(LinkId, Vec<u8>)> {
        let foretold = self.foretell(link, frames, now);
        for bytes in frames {
            let frame = self.io.frame(bytes);
            self.io.rx.push_back(frame);
        }
        self.io.rx_link = link;
        self.io.rx(0, &mut self.batch.frames);
        let Self { datapath, snapshot, io, batch } = self;
        pipeline::run(batch, link, datapath, snapshot, now, io);
        assert!(self.batch.frames.is_empty() && self.batch.metas.is_empty(), "a batch left over");
        assert_eq!(self.io.live, self.datapath.waiting_frames(), "frames lost or made");
        let sent = std::mem::take(&mut self.io.sent);
        if let Some(foretold) = foretold {
            assert_eq!(foretold, sent, "a trace says something else than what happens");
        }
        sent
    }

    /// Traces every frame first, in every test: that must change nothing, and say what will be
    /// sent (of a frame that comes alone; others may profit from what their batch taught).
    fn foretell(
        &mut self,
        link: LinkId,
        frames: &[Vec<u8>],
        now: Tick,
    ) -> Option<Vec<(LinkId, Vec<u8>)>> {
        let before = self.state(frames, now);
        let mut foretold = Vec::new();
        for bytes in frames {
            let probe = Probe { origin: Origin::Link(link), frame: bytes.clone(), learns: false };
            let Self { datapath, snapshot, io, .. } = self;
            let events = trace::run(&probe, datapath, snapshot, now, io).unwrap();
            foretold.extend(events.into_iter().filter_map(|event| match event {
                Event::Wire { link, frame } => Some((link, frame)),
                _ => None,
            }));
        }
        assert_eq!(self.state(frames, now), before, "a trace leaves something behind");
        // A frame to its own sender is looked up with what it just taught, which a trace does not.
        let is_to_itself = frames.iter().any(|frame| frame.get(..6) == frame.get(6..12));
        (frames.len() == 1 && !is_to_itself).then_some(foretold)
    }

    /// All that a frame may change.
    fn state(&mut self, frames: &[Vec<u8>], now: Tick) -> String {
        let Self { datapath, snapshot, io, .. } = self;
        let ifaces: Vec<_> = (0u16..)
            .take(snapshot.iface_slots())
            .filter_map(|id| Some((id, datapath.counters().iface(IfaceId(id))?)))
            .filter(|(_, counters)| **counters != IfaceCounters::default())
            .collect();
        let links: Vec<_> = (0u16..)
            .take(snapshot.link_slots())
            .map(|id| datapath.counters().link(LinkId(id)))
            .collect();
        let mut state = format!(
            "{ifaces:?} {links:?} {} {} {}",
            datapath.waiting_frames(),
            datapath.unknown_frames(),
            io.live
        );
        // All records would be a walk over the table for each frame: the counters tell of what is
        // new or moved, the entries of the senders of what is refreshed.
        let sources = frames.iter().filter_map(|frame| frame.get(6..)?.first_chunk::<6>());
        let vids = || (0..64).filter_map(Vid::new);
        let stations: Vec<_> = sources
            .flat_map(|mac| vids().map(|vid| Station::new(vid, MacAddr(*mac).to_u64())))
            .collect();
        for (_, fdb) in datapath.fdbs_mut() {
            let records: Vec<_> =
                stations.iter().filter_map(|station| fdb.record(*station, now)).collect();
            let _ = write!(state, " {records:?} {:?}", fdb.stats());
        }
        state
    }
}
