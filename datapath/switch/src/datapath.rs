//! What a worker has learned and counted: everything that outlives a snapshot.

use crate::act::{Crossing, PerSecond, send, send_tunnelled};
use crate::bridge::{Moves, TURN_MAX};
use crate::mcast::Snooping;
use crate::trace::{self, Journal};
use crate::view::sample::{Flow, Recent};
use crate::{
    BridgeId, Capture, Counters, DropReason, Fdb, FrameBuf, FrameIo, Learned, Meta, Move, PortConf,
    PortId, PortKind, Reach, Sighting, Snapshot, Station, Tick, pipeline,
};
use std::collections::BTreeSet;
use weft_wire::vid::Vid;

/// Frames that wait for the next hop of one tunnel, at most.  As the kernel's
/// `net.ipv4.neigh.*.unres_qlen`, it is enough for the first packets of a conversation.
pub const WAITING_PER_TUNNEL_MAX: usize = 16;

/// Frames that wait for next hops, at most, over all tunnels.
pub const WAITING_MAX: usize = 256;

/// ICMP answers out of one port in one second, at most (RFC 1812 section 4.3.2.8).
const ANSWERS_PER_SECOND_MAX: u16 = 100;

/// Control frames that one batch hands to the control thread, at most.
const PUNTED_MAX: usize = 16;

/// Announcements that one batch may make: each of its frames may be news, on a few bridges that
/// patch ports join.
const ANNOUNCEMENTS_MAX: usize = crate::BATCH_MAX * 8;

/// Something one worker learned that the others should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// In the FDB of this bridge.
    pub bridge: BridgeId,
    /// This station
    pub station: Station,
    /// was heard there,
    pub sighting: Sighting,
    /// while this snapshot was in use.
    pub epoch: u64,
}

/// Collects announcements, if anybody listens.
#[derive(Debug, Default)]
pub(crate) struct Announcer {
    /// Somebody wants to know: another worker, or a journal.
    is_on: bool,
    /// Other workers want to know.
    announces: bool,
    journal: Journal,
    news: Vec<Announcement>,
    refresh_secs: u32,
    epoch: u64,
}

impl Announcer {
    /// Notes what `learn` did.  News is always announced; that a station is still there only when
    /// the quarter of the aging time has changed since it was last heard, so that replicas agree
    /// on ages without a message per frame.
    pub(crate) fn note(
        &mut self,
        learned: Learned,
        bridge: BridgeId,
        station: Station,
        port: PortId,
        sighting: impl FnOnce() -> Option<Sighting>,
    ) {
        if !self.is_on {
            return;
        }
        let (vid, mac) = (station.vid(), station.mac());
        self.journal.note(|| trace::Event::Learned { vid, mac, port, outcome: learned });
        if !self.announces {
            return;
        }
        let Some(sighting) = sighting() else { return };
        let quarter = |at: Tick| at.0 / self.refresh_secs.max(1);
        let is_news = match learned {
            Learned::Unchanged => false,
            Learned::New | Learned::Moved(_) => true,
            Learned::Refreshed(before) => {
                // Nor did moves beyond count leave anybody sure of where it is.
                quarter(before.heard_at) != quarter(sighting.heard_at) || before.turn == TURN_MAX
            }
        };
        if is_news {
            self.announce(bridge, station, sighting);
        }
    }

    fn announce(&mut self, bridge: BridgeId, station: Station, sighting: Sighting) {
        if self.news.len() < ANNOUNCEMENTS_MAX {
            self.news.push(Announcement { bridge, station, sighting, epoch: self.epoch });
        }
    }
}

impl Announcer {
    /// Tells a journal too, and other workers only what is really learned; returns what
    /// [`Announcer::end_trace`] restores.
    pub(crate) fn begin_trace(&mut self, journal: &Journal, learns: bool) -> [bool; 2] {
        let kept = [self.is_on, self.announces];
        self.journal = journal.clone();
        self.is_on = true;
        self.announces &= learns;
        kept
    }

    pub(crate) fn end_trace(&mut self, kept: [bool; 2]) {
        self.journal = Journal::default();
        [self.is_on, self.announces] = kept;
    }
}

/// The state of one worker's half of the switch.
pub struct Datapath<F> {
    pub(crate) fdbs: Vec<Option<Fdb>>,
    /// Frames and drops by port.
    pub counters: Counters,
    pub(crate) announcer: Announcer,
    /// Groups of bridges that snoop, and what was heard of them.
    pub snooping: Snooping,
    pub(crate) capture: Option<Box<dyn Capture>>,
    pub(crate) crossing: Crossing<F>,
    /// What came in lately.
    pub(crate) recent: Recent,
    /// Frames flooded because their destination was not known.
    pub(crate) unknown_frames: u64,
    /// On while a frame is traced.
    pub(crate) journal: Journal,
    waiting: Vec<(PortId, Meta, F)>,
    /// The time of the batch in hand.
    pub(crate) now: Tick,
    answers: PerSecond,
    wants_next_hop: Vec<PortId>,
    punted: Vec<(PortId, Vec<u8>)>,
    pub(crate) moves: Moves,
    seed: u64,
}

impl<F: FrameBuf> Datapath<F> {
    /// An empty datapath.  `seed` scatters its hash tables; `announces` says whether other
    /// workers want to know what it learns.
    #[must_use]
    pub fn new(seed: u64, announces: bool) -> Self {
        let news = Vec::with_capacity(if announces { ANNOUNCEMENTS_MAX } else { 0 });
        Self {
            fdbs: Vec::new(),
            counters: Counters::default(),
            announcer: Announcer {
                is_on: announces,
                announces,
                journal: Journal::default(),
                news,
                refresh_secs: 75,
                epoch: 0,
            },
            snooping: Snooping::default(),
            capture: None,
            crossing: Crossing::default(),
            recent: Recent::new(seed),
            unknown_frames: 0,
            journal: Journal::default(),
            waiting: Vec::with_capacity(WAITING_MAX),
            now: Tick(0),
            answers: PerSecond::new(ANSWERS_PER_SECOND_MAX),
            wants_next_hop: Vec::with_capacity(WAITING_MAX),
            punted: Vec::new(),
            moves: Moves::default(),
            seed,
        }
    }

    /// Prepares for a snapshot, with `before` as the one in use: makes FDBs and counters for what
    /// is new, forgets addresses on ports that are gone, have left their VLAN, are patch ports with
    /// another peer, or are the output of a mirror now, and in VLANs where nothing is learned any
    /// more.
    pub fn adopt(&mut self, before: &Snapshot, next: &Snapshot) {
        self.counters.reserve(next.port_slots(), next.link_slots());
        self.counters.reserve_mirrors(next.mirror_slots());
        self.fdbs.resize_with(self.fdbs.len().max(next.bridge_slots()), || None);
        let mut age_min_secs = u32::MAX;
        for (index, slot) in (0u16..).zip(&mut self.fdbs) {
            let Some(bridge) = next.bridge(BridgeId(index)) else {
                *slot = None;
                self.snooping.set(BridgeId(index), None);
                continue;
            };
            age_min_secs = age_min_secs.min(bridge.fdb_age_secs);
            let seed = self.seed ^ u64::from(index);
            match slot {
                None => *slot = Some(Fdb::new(bridge.fdb_entries_max, bridge.fdb_age_secs, seed)),
                Some(fdb) => fdb.resize(bridge.fdb_entries_max, bridge.fdb_age_secs, seed),
            }
        }
        self.announcer.refresh_secs = age_min_secs / 4;
        self.announcer.epoch = next.epoch;
        if next.changed_ports(before).any(|(_, _, is)| is.is_some_and(PortConf::crosses)) {
            self.crossing.reserve();
        }
        self.forget_departed(before, next);
    }

    fn forget_departed(&mut self, before: &Snapshot, next: &Snapshot) {
        // Most changes take no port out of any VLAN, and need no walk over the table.
        let departs = |was: &PortConf, is: Option<&PortConf>| {
            is.filter(|is| is.bridge == was.bridge).is_none_or(|is| {
                (&is.vlan, is.learns, is.peer()) != (&was.vlan, was.learns, was.peer())
                    || (is.mirrors.is_output && !was.mirrors.is_output)
            })
        };
        let departed = next.changed_ports(before).filter_map(|(_, was, is)| {
            let was = was.filter(|was| departs(was, is))?;
            Some(was.bridge)
        });
        let departed: BTreeSet<BridgeId> = departed.collect();
        for (index, fdb) in (0u16..).zip(&mut self.fdbs) {
            let bridge = BridgeId(index);
            let flooded = |of: &Snapshot| of.bridge(bridge)?.flood_vlans.clone();
            if let Some(fdb) = fdb
                && (departed.contains(&bridge) || flooded(before) != flooded(next))
            {
                fdb.retain_ports(|id, vid| {
                    let peer = |of: &Snapshot| of.port(id).and_then(PortConf::peer);
                    has_stations(next, bridge, id, vid) && peer(before) == peer(next)
                });
            }
        }
    }

    /// Sends the frames whose tunnel has a next hop by now, and drops those that will never go.
    pub fn release_waiting<I: FrameIo<Frame = F>>(&mut self, snapshot: &Snapshot, io: &mut I) {
        for (port, meta, frame) in std::mem::take(&mut self.waiting) {
            match snapshot.port(port).map(|port| &port.kind) {
                Some(PortKind::Tunnel(tunnel)) if tunnel.reach == Reach::Resolving => {
                    self.waiting.push((port, meta, frame));
                }
                Some(PortKind::Tunnel(tunnel)) => {
                    send_tunnelled(frame, &meta, port, tunnel, snapshot, self, io);
                }
                _ => io.free(frame),
            }
        }
        pipeline::cross(self, snapshot, io);
    }

    /// Keeps a frame until its tunnel has a next hop.
    pub(crate) fn wait<I: FrameIo<Frame = F>>(
        &mut self,
        port: PortId,
        meta: Meta,
        frame: F,
        io: &mut I,
    ) {
        if self.journal.is_on() {
            self.journal.note(|| trace::Event::Waits(port));
            return io.free(frame);
        }
        if !self.wants_next_hop.contains(&port) && self.wants_next_hop.len() < WAITING_MAX {
            self.wants_next_hop.push(port);
        }
        let of_port = self.waiting.iter().filter(|(other, ..)| *other == port).count();
        if of_port < WAITING_PER_TUNNEL_MAX && self.waiting.len() < WAITING_MAX {
            self.waiting.push((port, meta, frame));
        } else {
            self.counters.tx_drop(port, DropReason::WaitFull);
            io.free(frame);
        }
    }

    /// Keeps a copy of a control frame for the control thread; more than a few in one batch are
    /// noise.
    pub(crate) fn punt(&mut self, port: PortId, bytes: &[u8]) {
        if self.journal.is_on() {
            self.journal.note(|| trace::Event::Punted(port));
        } else if self.punted.len() < PUNTED_MAX {
            self.punted.push((port, bytes.to_vec()));
        }
    }

    /// The control frames that came in since the last call.
    pub fn take_punted(&mut self) -> impl Iterator<Item = (PortId, Vec<u8>)> + '_ {
        self.punted.drain(..)
    }

    /// Moves of stations since the last call, in bridges with a loop guard.  To be called about once
    /// a second.
    pub fn take_moves(&mut self) -> Vec<Move> {
        self.moves.take()
    }

    /// Sends a control frame, untagged, out of a port, whether it forwards or not.
    pub fn transmit<I: FrameIo<Frame = F>>(
        &mut self,
        port_id: PortId,
        bytes: &[u8],
        snapshot: &Snapshot,
        io: &mut I,
    ) {
        let Some(port) = snapshot.port(port_id) else { return };
        match io.copy_from(bytes) {
            Some(frame) => {
                let meta = Meta::new(Meta::NO_PORT);
                send(frame, &meta, port_id, port, snapshot, self, io);
                pipeline::cross(self, snapshot, io);
            }
            None => self.counters.tx_drop(port_id, DropReason::NoBuffer),
        }
    }

    /// True when one more ICMP answer may go out of `port` in this second.
    pub(crate) fn may_answer(&mut self, port: PortId) -> bool {
        if self.journal.is_on() {
            return self.answers.would_admit(port, self.now);
        }
        self.answers.admits(port, self.now)
    }

    /// Frames that wait for a next hop now.
    #[must_use]
    pub const fn waiting_frames(&self) -> usize {
        self.waiting.len()
    }

    /// The tunnel ports that frames have waited on since the last call.
    pub fn take_wants_next_hop(&mut self) -> impl Iterator<Item = PortId> + '_ {
        self.wants_next_hop.drain(..)
    }

    /// What was learned since the last call, for the other workers.
    pub fn take_announcements(&mut self) -> impl Iterator<Item = Announcement> + '_ {
        self.announcer.news.drain(..)
    }

    /// Learns what another worker heard, unless this one knows better; then it may have something
    /// to announce itself.  News from before a change that `snapshot` brought counts only where it
    /// still can be true.
    pub fn hear(&mut self, news: Announcement, snapshot: &Snapshot) {
        let Announcement { bridge, station, sighting, epoch } = news;
        if epoch < snapshot.epoch && !has_stations(snapshot, bridge, sighting.port, station.vid()) {
            return;
        }
        let Some(fdb) = self.fdb_mut(bridge) else { return };
        if let Some(newer) = fdb.hear(station, fdb.hash(station), sighting) {
            self.announcer.announce(bridge, station, newer);
        }
    }

    /// Tells the time for [`Datapath::recent_flows`], in milliseconds since the datapath started.
    pub const fn set_clock_ms(&mut self, now_ms: u64) {
        self.recent.now_ms = now_ms;
    }

    /// What came in during the last `age_max_ms` milliseconds, sampled (see [`crate::view::sample`]).
    #[must_use]
    pub fn recent_flows(&self, age_max_ms: u64) -> Vec<Flow> {
        self.recent.flows(age_max_ms)
    }

    /// Forgets what came in: [`Datapath::recent_flows`] begins anew.
    pub fn forget_recent_flows(&mut self) {
        self.recent.clear();
    }

    /// Frames that were flooded because their destination was not known.
    #[must_use]
    pub const fn unknown_frames(&self) -> u64 {
        self.unknown_frames
    }

    /// The FDB of a bridge.
    #[must_use]
    pub fn fdb(&self, bridge: BridgeId) -> Option<&Fdb> {
        self.fdbs.get(bridge.index())?.as_ref()
    }

    /// The FDB of a bridge, to flush or to set static entries.
    pub fn fdb_mut(&mut self, bridge: BridgeId) -> Option<&mut Fdb> {
        self.fdbs.get_mut(bridge.index())?.as_mut()
    }

    /// All FDBs with their numbers.
    pub fn fdbs_mut(&mut self) -> impl Iterator<Item = (BridgeId, &mut Fdb)> {
        (0u16..).zip(&mut self.fdbs).filter_map(|(id, fdb)| Some((BridgeId(id), fdb.as_mut()?)))
    }

    /// Forgets what is too old.  To be called about once a second.
    pub fn expire(&mut self, now: Tick) {
        for fdb in self.fdbs.iter_mut().flatten() {
            fdb.expire(now);
        }
    }

    /// Uses another capture sink, or none, and returns the one that was there.
    pub fn set_capture(&mut self, capture: Option<Box<dyn Capture>>) -> Option<Box<dyn Capture>> {
        std::mem::replace(&mut self.capture, capture)
    }
}

/// Whether stations of a VLAN may be behind a port of a bridge.
fn has_stations(snapshot: &Snapshot, bridge: BridgeId, port: PortId, vid: Vid) -> bool {
    let floods = snapshot.bridge(bridge).is_none_or(|conf| conf.floods(vid));
    !floods
        && snapshot.port(port).is_some_and(|port| {
            let is_in = port.bridge == bridge && port.vlan.carries(vid);
            is_in && port.learns && !port.mirrors.is_output
        })
}

impl<F> std::fmt::Debug for Datapath<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datapath").field("fdbs", &self.fdbs).finish_non_exhaustive()
    }
}
