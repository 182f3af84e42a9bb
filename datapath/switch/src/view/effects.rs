//! What the stages do with frames besides deciding: for real, or into a journal.
//!
//! A stage calls these and never asks which of the two it is.  The choice is made once for a pass, by
//! type: [`Live`] counts, sends and learns, [`crate::view::Journal`] writes down what would be done.

use super::Ledger;
use super::journal::Event;
use crate::{
    Batch, BridgeId, Charge, Direction, DropReason, Fate, Fdb, FrameBuf, FrameIo, IfaceId, LinkId,
    Meta, MirrorId, PortId, Station, Tick, Verdict,
};
use weft_wire::vid::Vid;

/// A source address that was heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    /// In this bridge,
    pub(crate) bridge: BridgeId,
    /// this station
    pub(crate) station: Station,
    /// on this port
    pub(crate) port: PortId,
    /// at this time.
    pub(crate) now: Tick,
    /// The bridge has a loop guard, which wants to know of moves.
    pub(crate) is_guarded: bool,
}

/// All that a frame causes.
pub(crate) trait Effects {
    /// A frame of the back end.
    type Frame: FrameBuf;

    /// Writes an event down, where events are written down.
    fn note(&mut self, event: impl FnOnce() -> Event);

    /// A fresh frame holding a copy of `bytes`; `None` when all are out or it does not fit.
    fn copy_from(&mut self, bytes: &[u8]) -> Option<Self::Frame>;
    /// Gives a frame back unsent.
    fn free(&mut self, frame: Self::Frame);

    /// Frames came in on an underlay link.
    fn link_received(&mut self, link: LinkId, frames: usize);
    /// Frames came in on an interface: so many, their bytes, and how many of them to group addresses.
    fn received(&mut self, iface: IfaceId, frames: usize, bytes: usize, group_frames: usize);
    /// A packet by UDP over IPv6 without a checksum was taken from this tunnel.
    fn took_udp6_zero(&mut self, iface: IfaceId);
    /// These frames were received, and their headers are read: they may be sampled.
    fn sample(&mut self, batch: &Batch<Self::Frame>);
    /// These frames have their verdicts, and go their way now.
    fn decided(&mut self, batch: &Batch<Self::Frame>);
    /// A source address is to be learned.
    fn learn(&mut self, fdb: &mut Fdb, hash: u64, heard: Heard);
    /// A frame that came in on this interface goes to the control thread.
    fn punt(&mut self, iface: IfaceId, bytes: &[u8]);
    /// A copy of a frame of IGMP or MLD that came in on this port goes to the control thread.
    fn hear(&mut self, port: PortId, vid: Vid, bytes: &[u8], now: Tick);

    /// A frame that no tunnel took is dropped.
    fn link_drop(&mut self, link: LinkId, reason: DropReason);
    /// A frame that came in on this interface is dropped.
    fn rx_drop(&mut self, iface: IfaceId, reason: DropReason);
    /// A copy meant for this interface is dropped.
    fn tx_drop(&mut self, iface: IfaceId, reason: DropReason);
    /// A frame is flooded because its destination is not known.
    fn flooded_unknown(&mut self);
    /// A mirror copies a frame of so many bytes.
    fn mirrored(&mut self, mirror: MirrorId, bytes: usize);

    /// A frame is about to leave by an interface, inside its tunnel if that is one.  Says what it counts as,
    /// once its fate is known.
    fn leaves(&mut self, iface: IfaceId, bytes: &[u8]) -> Charge;
    /// Sends a frame on a link, and counts its fate.
    fn send(&mut self, link: LinkId, frame: Self::Frame, charge: Charge);
    /// A frame has left and comes in elsewhere in this switch.
    fn crossed(&mut self, charge: Charge);
    /// A frame waits for the next hop of its tunnel.
    fn wait(&mut self, iface: IfaceId, meta: &Meta, frame: Self::Frame);
    /// True when one more ICMP answer may go out of `port` in this second; it counts.
    fn may_answer(&mut self, port: PortId, now: Tick) -> bool;
    /// The sequence number of the next packet of a tunnel.
    fn sequence(&mut self, iface: IfaceId) -> u32;
    /// The identification of the next outer IPv4 packet that routers may fragment.
    fn identification(&mut self) -> u16;
}

/// Effects that take place.
pub(crate) struct Live<'a, I: FrameIo> {
    pub(crate) io: &'a mut I,
    pub(crate) ledger: &'a mut Ledger<I::Frame>,
}

impl<I: FrameIo> Effects for Live<'_, I> {
    type Frame = I::Frame;

    #[inline]
    fn note(&mut self, _event: impl FnOnce() -> Event) {}

    #[inline]
    fn copy_from(&mut self, bytes: &[u8]) -> Option<I::Frame> {
        self.io.copy_from(bytes)
    }

    #[inline]
    fn free(&mut self, frame: I::Frame) {
        self.io.free(frame);
    }

    fn link_received(&mut self, link: LinkId, frames: usize) {
        self.ledger.counters.link_rx(link, frames);
    }

    #[inline]
    fn received(&mut self, iface: IfaceId, frames: usize, bytes: usize, group_frames: usize) {
        self.ledger.counters.rx(iface, frames, bytes, group_frames);
    }

    fn took_udp6_zero(&mut self, iface: IfaceId) {
        self.ledger.counters.rx_udp6_zero(iface);
    }

    #[inline]
    fn sample(&mut self, batch: &Batch<I::Frame>) {
        self.ledger.samples.sample(batch);
    }

    #[inline]
    fn decided(&mut self, batch: &Batch<I::Frame>) {
        let Some(capture) = &mut self.ledger.capture else { return };
        for (frame, meta) in batch.frames.iter().zip(&batch.metas) {
            if capture.wants(meta.ingress.iface) {
                let dropped = match meta.verdict {
                    Verdict::Drop(reason) => Some(reason),
                    _ => None,
                };
                capture.record(meta.ingress.iface, Direction::Rx, frame.bytes(), dropped);
            }
        }
    }

    #[inline]
    fn learn(&mut self, fdb: &mut Fdb, hash: u64, heard: Heard) {
        let learned = fdb.learn(heard.station, hash, heard.port, heard.now);
        self.ledger.learned(learned, fdb, hash, heard);
    }

    fn punt(&mut self, iface: IfaceId, bytes: &[u8]) {
        self.ledger.punt(iface, bytes);
    }

    fn hear(&mut self, port: PortId, vid: Vid, bytes: &[u8], now: Tick) {
        self.ledger.heard.keep(port, vid, bytes, now);
    }

    fn link_drop(&mut self, link: LinkId, reason: DropReason) {
        self.ledger.counters.link_drop(link, reason);
    }

    #[inline]
    fn rx_drop(&mut self, iface: IfaceId, reason: DropReason) {
        self.ledger.counters.rx_drop(iface, reason);
    }

    #[inline]
    fn tx_drop(&mut self, iface: IfaceId, reason: DropReason) {
        self.ledger.counters.tx_drop(iface, reason);
    }

    #[inline]
    fn flooded_unknown(&mut self) {
        self.ledger.unknown_frames += 1;
    }

    fn mirrored(&mut self, mirror: MirrorId, bytes: usize) {
        self.ledger.counters.mirrored(mirror, bytes);
    }

    #[expect(clippy::inline_always, reason = "a call costs as much as what is done")]
    #[inline(always)]
    fn leaves(&mut self, iface: IfaceId, bytes: &[u8]) -> Charge {
        if let Some(capture) = &mut self.ledger.capture
            && capture.wants(iface)
        {
            capture.record(iface, Direction::Tx, bytes, None);
        }
        Charge { iface, bytes: bytes.len() as u64 }
    }

    #[expect(clippy::inline_always, reason = "a call costs as much as the counting")]
    #[inline(always)]
    fn send(&mut self, link: LinkId, frame: I::Frame, charge: Charge) {
        match self.io.send(link, frame, charge) {
            Fate::Sent => self.ledger.counters.sent(charge),
            // Whoever has it now counts it.
            Fate::HandedOver => {}
            Fate::Refused(reason) => self.ledger.counters.tx_drop(charge.iface, reason),
        }
    }

    #[inline]
    fn crossed(&mut self, charge: Charge) {
        self.ledger.counters.sent(charge);
    }

    fn wait(&mut self, iface: IfaceId, meta: &Meta, frame: I::Frame) {
        if let Err(frame) = self.ledger.waiting.keep(iface, meta, frame) {
            self.ledger.counters.tx_drop(iface, DropReason::WaitFull);
            self.io.free(frame);
        }
    }

    fn may_answer(&mut self, port: PortId, now: Tick) -> bool {
        self.ledger.answers.admits(port, now)
    }

    fn sequence(&mut self, iface: IfaceId) -> u32 {
        self.ledger.numbers.sequence(iface)
    }

    fn identification(&mut self) -> u16 {
        self.ledger.numbers.identification()
    }
}
