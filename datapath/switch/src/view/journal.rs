//! Effects that are written down instead of taking place: what a trace is made of.

use super::Ledger;
use super::effects::{Effects, Heard};
use crate::{
    Batch, Charge, DropReason, Fdb, FdbRecord, FrameBuf, FrameIo, IfaceId, Learned, LinkId, Meta,
    MirrorId, PortId, Tick,
};
use weft_wire::mac::MacAddr;
use weft_wire::vid::Vid;

/// One step of a traced frame, in the order in which the stages took them.
#[derive(Clone, Debug)]
pub enum Event {
    /// The L2 header was read, outer headers are off, and the frame is in its VLAN.
    Entered {
        /// What is known of it: where it came in, VLAN, a verdict if it is dropped already.
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
    /// The frame as it leaves by an interface, inside its tunnel.  [`Event::TxDropped`] or
    /// [`Event::Fragmented`] for the same interface right after it says that it does not.
    Sent {
        /// The interface.
        iface: IfaceId,
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
    /// The frame is too long for this tunnel, and goes in fragments, which follow.
    Fragmented(IfaceId),
    /// The copy for this tunnel would wait for the address of the next hop.
    Waits(IfaceId),
    /// The frame, or a copy of it, would go to the control thread.
    Punted,
    /// A frame that came in on this interface was dropped.
    RxDropped(IfaceId, DropReason),
    /// A copy meant for this interface was dropped.
    TxDropped(IfaceId, DropReason),
    /// A frame that no tunnel took was dropped.
    LinkDropped(LinkId, DropReason),
}

/// Writes down what would be done.  Nothing is counted, sent, captured, sampled or handed on; a source
/// address is learned only where the trace asks for it.
pub(crate) struct Journal<'a, I: FrameIo> {
    /// Lends frames.
    pub(crate) io: &'a mut I,
    /// Where learning leaves its mark, and how much of each limit is used up.
    pub(crate) ledger: &'a mut Ledger<I::Frame>,
    /// Source addresses are really learned.
    pub(crate) learns: bool,
    /// What was written down.
    pub(crate) events: Vec<Event>,
}

impl<I: FrameIo> Effects for Journal<'_, I> {
    type Frame = I::Frame;

    fn note(&mut self, event: impl FnOnce() -> Event) {
        self.events.push(event());
    }

    fn copy_from(&mut self, bytes: &[u8]) -> Option<I::Frame> {
        self.io.copy_from(bytes)
    }

    fn free(&mut self, frame: I::Frame) {
        self.io.free(frame);
    }

    fn link_received(&mut self, _link: LinkId, _frames: usize) {}

    fn received(&mut self, _iface: IfaceId, _frames: usize, _bytes: usize, _group_frames: usize) {}

    fn took_udp6_zero(&mut self, _iface: IfaceId) {}

    fn sample(&mut self, _batch: &Batch<I::Frame>) {}

    fn decided(&mut self, batch: &Batch<I::Frame>) {
        self.events.extend(batch.metas.iter().map(|meta| Event::Decided(*meta)));
    }

    fn learn(&mut self, fdb: &mut Fdb, hash: u64, heard: Heard) {
        let Heard { station, port, now, .. } = heard;
        let outcome = if self.learns {
            fdb.learn(station, hash, port, now)
        } else {
            fdb.foresee(station, hash, port, now)
        };
        let (vid, mac) = (station.vid(), station.mac());
        self.events.push(Event::Learned { vid, mac, port, outcome });
        if self.learns {
            self.ledger.learned(outcome, fdb, hash, heard);
        }
    }

    fn punt(&mut self, _iface: IfaceId, _bytes: &[u8]) {
        self.events.push(Event::Punted);
    }

    fn hear(&mut self, _port: PortId, _vid: Vid, _bytes: &[u8], _now: Tick) {
        self.events.push(Event::Punted);
    }

    fn link_drop(&mut self, link: LinkId, reason: DropReason) {
        self.events.push(Event::LinkDropped(link, reason));
    }

    fn rx_drop(&mut self, iface: IfaceId, reason: DropReason) {
        self.events.push(Event::RxDropped(iface, reason));
    }

    fn tx_drop(&mut self, iface: IfaceId, reason: DropReason) {
        self.events.push(Event::TxDropped(iface, reason));
    }

    fn flooded_unknown(&mut self) {}

    fn mirrored(&mut self, _mirror: MirrorId, _bytes: usize) {}

    fn leaves(&mut self, iface: IfaceId, bytes: &[u8]) -> Charge {
        self.events.push(Event::Sent { iface, frame: bytes.to_vec() });
        Charge { iface, bytes: bytes.len() as u64 }
    }

    fn send(&mut self, link: LinkId, frame: I::Frame, _charge: Charge) {
        self.events.push(Event::Wire { link, frame: frame.bytes().to_vec() });
        self.io.free(frame);
    }

    fn crossed(&mut self, _charge: Charge) {}

    fn wait(&mut self, iface: IfaceId, _meta: &Meta, frame: I::Frame) {
        self.events.push(Event::Waits(iface));
        self.io.free(frame);
    }

    fn may_answer(&mut self, port: PortId, now: Tick) -> bool {
        self.ledger.answers.would_admit(port, now)
    }

    fn sequence(&mut self, iface: IfaceId) -> u32 {
        self.ledger.numbers.upcoming_sequence(iface)
    }

    fn identification(&mut self) -> u16 {
        self.ledger.numbers.upcoming_identification()
    }
}
