//! What a worker has learned and counted: everything that outlives a snapshot.

use crate::act::{Crossing, send_copy, send_tunnelled};
use crate::mcast::{Heard, Snooping};
use crate::pass::Pass;
use crate::view::sample::Sample;
use crate::view::{Effects, Journal, Ledger, Live};
use crate::{
    Announcement, BridgeId, Capture, Counters, Fdb, FrameBuf, FrameIo, IfaceId, Ingress, Meta,
    Move, Numbers, PortConf, PortId, Reach, Snapshot, Tick, pipeline,
};
use std::collections::BTreeSet;
use weft_wire::vid::Vid;

/// The state of one worker's half of the switch.
pub struct Datapath<F> {
    fdbs: Vec<Option<Fdb>>,
    /// Groups of bridges that snoop.
    pub snooping: Snooping,
    crossing: Crossing<F>,
    /// The time of the batch in hand.
    pub(crate) now: Tick,
    ledger: Ledger<F>,
    seed: u64,
}

impl<F: FrameBuf> Datapath<F> {
    /// An empty datapath.  `seed` scatters its hash tables; `announces` says whether other
    /// workers want to know what it learns; they draw from the same `numbers`.
    #[must_use]
    pub fn new(seed: u64, announces: bool, numbers: Numbers) -> Self {
        Self {
            fdbs: Vec::new(),
            snooping: Snooping::default(),
            crossing: Crossing::default(),
            now: Tick(0),
            ledger: Ledger::new(seed, announces, numbers),
            seed,
        }
    }

    /// A pass of frames whose effects take place.
    pub(crate) fn live<'a, I: FrameIo<Frame = F>>(
        &'a mut self,
        snapshot: &'a Snapshot,
        io: &'a mut I,
    ) -> Pass<'a, Live<'a, I>> {
        Pass {
            snapshot,
            fdbs: &mut self.fdbs,
            groups: &self.snooping,
            crossing: &mut self.crossing,
            now: self.now,
            effects: Live { io, ledger: &mut self.ledger },
        }
    }

    /// A pass of frames at `now` whose effects are written down.
    pub(crate) fn journal<'a, I: FrameIo<Frame = F>>(
        &'a mut self,
        snapshot: &'a Snapshot,
        now: Tick,
        learns: bool,
        io: &'a mut I,
    ) -> Pass<'a, Journal<'a, I>> {
        Pass {
            snapshot,
            fdbs: &mut self.fdbs,
            groups: &self.snooping,
            crossing: &mut self.crossing,
            now,
            effects: Journal { io, ledger: &mut self.ledger, learns, events: Vec::new() },
        }
    }

    /// Prepares for a snapshot, with `before` as the one in use: makes FDBs and counters for what
    /// is new, forgets addresses on ports that are gone, have left their VLAN, have other interfaces
    /// than before or a patch port with another peer, or are the output of a mirror now, and in VLANs
    /// where nothing is learned any more.
    pub fn adopt(&mut self, before: &Snapshot, next: &Snapshot) {
        self.ledger.counters.reserve(next.iface_slots(), next.link_slots());
        self.ledger.counters.reserve_mirrors(next.mirror_slots());
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
        self.ledger.announcer.refresh_secs = age_min_secs / 4;
        self.ledger.announcer.epoch = next.epoch;
        if next.changed_ports(before).any(|(_, _, is)| is.is_some_and(PortConf::crosses)) {
            self.crossing.reserve();
        }
        self.forget_departed(before, next);
    }

    fn forget_departed(&mut self, before: &Snapshot, next: &Snapshot) {
        // Most changes take no port out of any VLAN, and need no walk over the table.
        let departs = |was: &PortConf, is: Option<&PortConf>| {
            is.filter(|is| is.bridge == was.bridge).is_none_or(|is| {
                (&is.vlan, is.learns) != (&was.vlan, was.learns)
                    || !is.goes_on_from(was)
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
                    let goes_on =
                        |is: &PortConf| before.port(id).is_none_or(|was| is.goes_on_from(was));
                    has_stations(next, bridge, id, vid) && next.port(id).is_some_and(goes_on)
                });
            }
        }
    }

    /// Sends the frames whose tunnel has a next hop by now, and drops those that will never go.
    pub fn release_waiting<I: FrameIo<Frame = F>>(&mut self, snapshot: &Snapshot, io: &mut I) {
        let tunnel = |iface| snapshot.tunnel(iface);
        let is_over = |iface| tunnel(iface).is_none_or(|tunnel| tunnel.reach != Reach::Resolving);
        let released = self.ledger.waiting.take(is_over);
        let mut pass = self.live(snapshot, io);
        for (iface, meta, frame) in released {
            match tunnel(iface) {
                Some(tunnel) => send_tunnelled(frame, &meta, iface, tunnel, &mut pass),
                None => pass.effects.free(frame),
            }
        }
        pipeline::again(&mut pass);
    }

    /// The control frames that came in since the last call, and the interfaces they came in by.
    pub fn take_punted(&mut self) -> impl Iterator<Item = (IfaceId, Vec<u8>)> + '_ {
        self.ledger.punted.drain(..)
    }

    /// The copies of IGMP and MLD made since the last call.
    pub fn take_heard(&mut self) -> impl Iterator<Item = Heard> + '_ {
        self.ledger.heard.take()
    }

    /// Moves of stations since the last call, in bridges with a loop guard.  To be called about once
    /// a second.
    pub fn take_moves(&mut self) -> Vec<Move> {
        self.ledger.moves.take()
    }

    /// Sends a control frame, untagged, by an interface, whether its port forwards or not.
    pub fn transmit<I: FrameIo<Frame = F>>(
        &mut self,
        by: IfaceId,
        bytes: &[u8],
        snapshot: &Snapshot,
        io: &mut I,
    ) {
        let Some((_, port, iface)) = snapshot.iface(by) else { return };
        let mut pass = self.live(snapshot, io);
        send_copy(bytes, &Meta::new(Ingress::NONE), port, (by, iface), &mut pass);
        pipeline::again(&mut pass);
    }

    /// Frames and drops by interface, link and mirror.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.ledger.counters
    }

    /// The same, to count the fates of frames that other workers handed over, or to begin anew.
    pub const fn counters_mut(&mut self) -> &mut Counters {
        &mut self.ledger.counters
    }

    /// Frames that wait for a next hop now.
    #[must_use]
    pub const fn waiting_frames(&self) -> usize {
        self.ledger.waiting.len()
    }

    /// The tunnels that frames have waited on since the last call.
    pub fn take_wants_next_hop(&mut self) -> impl Iterator<Item = IfaceId> + '_ {
        self.ledger.waiting.take_wanted()
    }

    /// What was learned since the last call, for the other workers.
    pub fn take_announcements(&mut self) -> impl Iterator<Item = Announcement> + '_ {
        self.ledger.announcer.take()
    }

    /// Learns what another worker heard, unless this one knows better; then it may have something
    /// to announce itself.  What was announced before a change that `snapshot` brought counts only where
    /// it still can be true.
    pub fn hear(&mut self, announced: Announcement, snapshot: &Snapshot) {
        let Announcement { bridge, station, sighting, epoch } = announced;
        if epoch < snapshot.epoch && !has_stations(snapshot, bridge, sighting.port, station.vid()) {
            return;
        }
        let Some(fdb) = self.fdbs.get_mut(bridge.index()).and_then(Option::as_mut) else { return };
        if let Some(newer) = fdb.hear(station, fdb.hash(station), sighting) {
            self.ledger.announcer.announce(bridge, station, newer);
        }
    }

    /// Tells the time for [`Datapath::samples`], in milliseconds since the datapath started.
    pub const fn set_clock_ms(&mut self, now_ms: u64) {
        self.ledger.samples.now_ms = now_ms;
    }

    /// What came in during the last `age_max_ms` milliseconds, sampled (see [`crate::view::sample`]).
    #[must_use]
    pub fn samples(&self, age_max_ms: u64) -> Vec<Sample> {
        self.ledger.samples.list(age_max_ms)
    }

    /// Forgets what came in: [`Datapath::samples`] begins anew.
    pub fn forget_samples(&mut self) {
        self.ledger.samples.clear();
    }

    /// Frames that were flooded because their destination was not known.
    #[must_use]
    pub const fn unknown_frames(&self) -> u64 {
        self.ledger.unknown_frames
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
        std::mem::replace(&mut self.ledger.capture, capture)
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
