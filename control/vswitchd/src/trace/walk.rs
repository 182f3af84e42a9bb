//! What a trace says, put in order: bridge by bridge, port by port.

use weft_switch::trace::Event;
use weft_switch::{
    DropReason, FdbRecord, IfaceId, Learned, LinkId, Meta, MirrorId, PortId, Verdict,
};
use weft_wire::stp::BRIDGE_GROUP_ADDRESS;

/// The way of one frame through one bridge.
#[derive(Clone, Debug)]
pub struct Hop {
    /// What the stages knew in the end: where it came in, VLAN, verdict.
    pub meta: Meta,
    /// The frame as it came in, without the headers of a tunnel.
    pub frame: Vec<u8>,
    /// What was known of its source.
    pub source: Option<FdbRecord>,
    /// What was known of its destination.
    pub target: Option<FdbRecord>,
    /// What its source address taught; nothing when it was dropped before.
    pub learned: Option<Learned>,
    /// The ports that multicast snooping has for it.
    pub members: Vec<PortId>,
    /// The mirror whose copies are being made.
    copying: Option<MirrorId>,
    /// The copies, in the order in which they were made.
    pub outputs: Vec<Output>,
    /// Why there was none.
    pub dropped: Option<DropReason>,
    /// It went to the control thread.
    pub is_punted: bool,
}

/// One copy.
#[derive(Clone, Debug)]
pub struct Output {
    /// The interface that it was meant for.
    pub iface: IfaceId,
    /// The mirror that wants it; none for the frame itself.
    pub mirror: Option<MirrorId>,
    /// With the tags of its port; absent when it was dropped before it had them.
    pub frame: Option<Vec<u8>>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It leaves by this link, in this form.
    Sent(LinkId, Vec<u8>),
    /// It goes on as the hop of this number.
    Crossed(usize),
    /// It would wait for the next hop of its tunnel.
    Waits,
    /// It goes in fragments, which follow.
    Fragmented,
    /// It was not sent.
    Dropped(DropReason),
}

/// Puts the events of one frame in order.  The first hop is where it came in.
#[must_use]
pub fn hops(events: Vec<Event>) -> Vec<Hop> {
    let mut hops: Vec<Hop> = Vec::new();
    let mut crossed = 0;
    for event in events {
        if let Event::Entered { meta, frame, source, target } = event {
            hops.push(Hop {
                meta,
                frame,
                source,
                target,
                learned: None,
                members: Vec::new(),
                copying: None,
                outputs: Vec::new(),
                dropped: None,
                is_punted: false,
            });
        } else if let Some(hop) = hops.last_mut() {
            hop.take(event, &mut crossed);
        }
    }
    hops
}

/// Why the control thread gets the frame, if it does, in Open vSwitch's word for it.
#[must_use]
pub fn slow_path(hops: &[Hop]) -> Option<&'static str> {
    let hop = hops.iter().find(|hop| hop.is_punted)?;
    let is_bpdu = hop.meta.target == BRIDGE_GROUP_ADDRESS.to_u64();
    Some(if is_bpdu { "stp" } else { "action" })
}

impl Hop {
    fn take(&mut self, event: Event, crossed: &mut usize) {
        match event {
            Event::Entered { .. } => {}
            Event::Learned { outcome, .. } => self.learned = Some(outcome),
            Event::Decided(meta) => self.meta = meta,
            Event::Members(members) => self.members = members,
            Event::Copying(mirror) => self.copying = mirror,
            Event::Sent { iface, frame } => {
                // Until it turns out that it leaves by a link, it goes through a patch port.
                *crossed += 1;
                self.push(iface, Some(frame), Fate::Crossed(*crossed));
            }
            Event::Wire { link, frame } => {
                if let Some(output) = self.under_way() {
                    output.fate = Fate::Sent(link, frame);
                    *crossed -= 1;
                }
            }
            Event::Waits(iface) => self.push(iface, None, Fate::Waits),
            Event::TxDropped(iface, reason) => match self.under_way() {
                Some(output) if output.iface == iface => {
                    output.fate = Fate::Dropped(reason);
                    *crossed -= 1;
                }
                _ => self.push(iface, None, Fate::Dropped(reason)),
            },
            Event::Fragmented(iface) => {
                if let Some(output) = self.under_way().filter(|output| output.iface == iface) {
                    output.fate = Fate::Fragmented;
                    *crossed -= 1;
                }
            }
            Event::Punted => self.is_punted = true,
            Event::RxDropped(_, reason) | Event::LinkDropped(_, reason) => {
                self.dropped = Some(reason);
            }
        }
    }

    fn push(&mut self, iface: IfaceId, frame: Option<Vec<u8>>, fate: Fate) {
        self.outputs.push(Output { iface, mirror: self.copying, frame, fate });
    }

    /// The copy of which it is not known yet how it leaves.
    fn under_way(&mut self) -> Option<&mut Output> {
        self.outputs.last_mut().filter(|output| matches!(output.fate, Fate::Crossed(_)))
    }

    /// True when the frame goes to all ports of its VLAN, or of its group.
    #[must_use]
    pub fn is_for_many(&self) -> bool {
        matches!(self.meta.verdict, Verdict::Flood | Verdict::Multicast(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_switch::Ingress;

    fn entered(port: u16) -> Event {
        let meta = Meta::new(Ingress { iface: IfaceId(port), port: PortId(port + 1000) });
        Event::Entered { meta, frame: vec![port.to_be_bytes()[1]], source: None, target: None }
    }

    fn sent(iface: u16) -> Event {
        Event::Sent { iface: IfaceId(iface), frame: vec![1] }
    }

    fn wire(link: u16) -> Event {
        Event::Wire { link: LinkId(link), frame: vec![1] }
    }

    /// Port 1 is a link, 2 and 3 are patch ports, 4 is a tunnel that is too small.
    #[test]
    fn copies_are_told_apart() {
        let hops = hops(vec![
            entered(0),
            sent(1),
            wire(1),
            sent(2),
            sent(4),
            Event::TxDropped(IfaceId(4), DropReason::ExceedsMtu),
            sent(3),
            Event::TxDropped(IfaceId(5), DropReason::NoRoute),
            Event::Waits(IfaceId(6)),
            entered(20),
            Event::RxDropped(IfaceId(20), DropReason::NoMember),
            entered(30),
            sent(31),
            wire(31),
        ]);
        let fates = |hop: usize| -> Vec<_> {
            hops[hop].outputs.iter().map(|output| (output.iface.0, output.fate.clone())).collect()
        };
        assert_eq!(
            fates(0),
            [
                (1, Fate::Sent(LinkId(1), vec![1])),
                (2, Fate::Crossed(1)),
                (4, Fate::Dropped(DropReason::ExceedsMtu)),
                (3, Fate::Crossed(2)),
                (5, Fate::Dropped(DropReason::NoRoute)),
                (6, Fate::Waits),
            ]
        );
        assert_eq!(
            (hops[1].meta.ingress.iface, hops[1].dropped),
            (IfaceId(20), Some(DropReason::NoMember))
        );
        assert_eq!(fates(2), [(31, Fate::Sent(LinkId(31), vec![1]))]);
    }

    #[test]
    fn copies_of_mirrors_are_told_from_the_frame() {
        let hops = hops(vec![
            entered(0),
            Event::Copying(Some(MirrorId(7))),
            sent(4),
            wire(4),
            Event::Copying(None),
            sent(4),
            wire(4),
        ]);
        let mirrors: Vec<_> = hops[0].outputs.iter().map(|output| output.mirror).collect();
        assert_eq!(mirrors, [Some(MirrorId(7)), None]);
    }

    #[test]
    fn fragments_replace_what_was_too_long() {
        let hops = hops(vec![
            entered(0),
            sent(4),
            Event::Fragmented(IfaceId(4)),
            sent(4),
            wire(9),
            sent(4),
            wire(9),
        ]);
        let fates: Vec<_> = hops[0].outputs.iter().map(|output| output.fate.clone()).collect();
        let fragment = Fate::Sent(LinkId(9), vec![1]);
        assert_eq!(fates, [Fate::Fragmented, fragment.clone(), fragment]);
    }
}
