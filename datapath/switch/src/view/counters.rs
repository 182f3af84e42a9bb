//! Counters that a worker owns: plain integers, copied out when control asks.

use crate::{Charge, DropReason, Fate, IfaceId, LinkId, MirrorId};

/// What one interface has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfaceCounters {
    /// Frames received, dropped ones included.
    pub rx_frames: u64,
    /// Their bytes, without FCS and without outer headers.
    pub rx_bytes: u64,
    /// Received frames with a group destination.
    pub rx_group_frames: u64,
    /// Packets of a tunnel that came by UDP over IPv6 without a checksum, and were taken.
    pub rx_udp6_zero_frames: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Their bytes, without FCS and without outer headers.
    pub tx_bytes: u64,
    /// Frames that came in here and were dropped, by [`DropReason`].
    pub rx_drops: [u64; DropReason::COUNT],
    /// Copies meant for this interface that were not sent, by [`DropReason`].
    pub tx_drops: [u64; DropReason::COUNT],
}

impl Default for IfaceCounters {
    fn default() -> Self {
        Self {
            rx_frames: 0,
            rx_bytes: 0,
            rx_group_frames: 0,
            rx_udp6_zero_frames: 0,
            tx_frames: 0,
            tx_bytes: 0,
            rx_drops: [0; DropReason::COUNT],
            tx_drops: [0; DropReason::COUNT],
        }
    }
}

/// Adds `from` to `to`, element by element.
fn add_all(to: &mut [u64], from: &[u64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

impl IfaceCounters {
    /// Adds the counters of another worker for the same interface.
    pub fn add(&mut self, other: &Self) {
        self.rx_frames += other.rx_frames;
        self.rx_bytes += other.rx_bytes;
        self.rx_group_frames += other.rx_group_frames;
        self.rx_udp6_zero_frames += other.rx_udp6_zero_frames;
        self.tx_frames += other.tx_frames;
        self.tx_bytes += other.tx_bytes;
        add_all(&mut self.rx_drops, &other.rx_drops);
        add_all(&mut self.tx_drops, &other.tx_drops);
    }

    /// All frames that came in here and were dropped.
    #[must_use]
    pub fn rx_dropped_frames(&self) -> u64 {
        self.rx_drops.iter().sum()
    }

    /// All copies meant for this interface that were not sent.
    #[must_use]
    pub fn tx_dropped_frames(&self) -> u64 {
        self.tx_drops.iter().sum()
    }
}

/// What one underlay link has seen, before a frame is known to belong to a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCounters {
    /// Frames received.
    pub rx_frames: u64,
    /// Frames that no tunnel took, by [`DropReason`].
    pub rx_drops: [u64; DropReason::COUNT],
}

impl Default for LinkCounters {
    fn default() -> Self {
        Self { rx_frames: 0, rx_drops: [0; DropReason::COUNT] }
    }
}

impl LinkCounters {
    /// Adds the counters of another worker for the same link.
    pub fn add(&mut self, other: &Self) {
        self.rx_frames += other.rx_frames;
        add_all(&mut self.rx_drops, &other.rx_drops);
    }
}

/// What one mirror has copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorCounters {
    /// Frames, each counted once, however many ports of a VLAN its copies went to.
    pub frames: u64,
    /// Their bytes, as they came in: before `snaplen`, and with the tag that they had then.
    pub bytes: u64,
}

/// All counters of one worker.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    ifaces: Vec<IfaceCounters>,
    links: Vec<LinkCounters>,
    mirrors: Vec<MirrorCounters>,
}

impl Counters {
    /// The same without the interfaces, which may be thousands.
    #[must_use]
    pub fn without_ifaces(&self) -> Self {
        let (links, mirrors) = (self.links.clone(), self.mirrors.clone());
        Self { links, mirrors, ..Self::default() }
    }

    /// Makes room for `ifaces` interfaces and `links` links; never shrinks.
    pub fn reserve(&mut self, ifaces: usize, links: usize) {
        self.ifaces.resize_with(self.ifaces.len().max(ifaces), IfaceCounters::default);
        self.links.resize_with(self.links.len().max(links), LinkCounters::default);
    }

    /// Makes room for `mirrors` mirrors; never shrinks.
    pub fn reserve_mirrors(&mut self, mirrors: usize) {
        self.mirrors.resize_with(self.mirrors.len().max(mirrors), MirrorCounters::default);
    }

    /// Zeroes one mirror's counters, for a new mirror that takes over the number.
    pub fn clear_mirror(&mut self, mirror: MirrorId) {
        if let Some(counters) = self.mirrors.get_mut(mirror.index()) {
            *counters = MirrorCounters::default();
        }
    }

    /// The counters of `mirror`, if it was ever configured.
    #[must_use]
    pub fn mirror(&self, mirror: MirrorId) -> Option<MirrorCounters> {
        self.mirrors.get(mirror.index()).copied()
    }

    pub(crate) fn mirrored(&mut self, mirror: MirrorId, bytes: usize) {
        if let Some(counters) = self.mirrors.get_mut(mirror.index()) {
            counters.frames += 1;
            counters.bytes += bytes as u64;
        }
    }

    /// Zeroes one interface's counters, for a new interface that takes over the number.
    pub fn clear_iface(&mut self, iface: IfaceId) {
        if let Some(counters) = self.ifaces.get_mut(iface.index()) {
            *counters = IfaceCounters::default();
        }
    }

    /// The counters of `iface`, if it was ever configured.
    #[must_use]
    pub fn iface(&self, iface: IfaceId) -> Option<&IfaceCounters> {
        self.ifaces.get(iface.index())
    }

    /// The counters of `link`, if it was ever configured.
    #[must_use]
    pub fn link(&self, link: LinkId) -> Option<&LinkCounters> {
        self.links.get(link.index())
    }

    fn iface_mut(&mut self, iface: IfaceId) -> Option<&mut IfaceCounters> {
        self.ifaces.get_mut(iface.index())
    }

    /// Frames came in on an interface, some of them to group addresses.
    #[inline]
    pub(crate) fn rx(&mut self, iface: IfaceId, frames: usize, bytes: usize, group_frames: usize) {
        if let Some(iface) = self.iface_mut(iface) {
            iface.rx_frames += frames as u64;
            iface.rx_bytes += bytes as u64;
            iface.rx_group_frames += group_frames as u64;
        }
    }

    /// A frame was sent.
    #[inline]
    pub(crate) fn sent(&mut self, charge: Charge) {
        if let Some(iface) = self.iface_mut(charge.iface) {
            iface.tx_frames += 1;
            iface.tx_bytes += charge.bytes;
        }
    }

    pub(crate) fn rx_udp6_zero(&mut self, iface: IfaceId) {
        if let Some(iface) = self.iface_mut(iface) {
            iface.rx_udp6_zero_frames += 1;
        }
    }

    pub(crate) fn link_rx(&mut self, link: LinkId, frames: usize) {
        if let Some(link) = self.links.get_mut(link.index()) {
            link.rx_frames += frames as u64;
        }
    }

    pub(crate) fn rx_drop(&mut self, iface: IfaceId, reason: DropReason) {
        let drops = self.iface_mut(iface).and_then(|iface| iface.rx_drops.get_mut(reason as usize));
        if let Some(count) = drops {
            *count += 1;
        }
    }

    pub(crate) fn tx_drop(&mut self, iface: IfaceId, reason: DropReason) {
        let drops = self.iface_mut(iface).and_then(|iface| iface.tx_drops.get_mut(reason as usize));
        if let Some(count) = drops {
            *count += 1;
        }
    }

    pub(crate) fn link_drop(&mut self, link: LinkId, reason: DropReason) {
        let counters = self.links.get_mut(link.index());
        let drops = counters.and_then(|link| link.rx_drops.get_mut(reason as usize));
        if let Some(count) = drops {
            *count += 1;
        }
    }

    /// Counts the fate of a frame that another worker handed over.
    pub fn count_handed_over(&mut self, charge: Charge, fate: Fate) {
        if charge.iface.index() >= self.ifaces.len() {
            // The other worker heard of the interface first.
            self.reserve(charge.iface.index() + 1, 0);
        }
        match fate {
            Fate::Sent => self.sent(charge),
            // Once more: whoever has it now counts it.
            Fate::HandedOver => {}
            Fate::Refused(reason) => self.tx_drop(charge.iface, reason),
        }
    }

    /// Adds the counters of another worker.
    pub fn add(&mut self, other: &Self) {
        self.reserve(other.ifaces.len(), other.links.len());
        self.reserve_mirrors(other.mirrors.len());
        for (to, from) in self.mirrors.iter_mut().zip(&other.mirrors) {
            to.frames += from.frames;
            to.bytes += from.bytes;
        }
        for (to, from) in self.ifaces.iter_mut().zip(&other.ifaces) {
            to.add(from);
        }
        for (to, from) in self.links.iter_mut().zip(&other.links) {
            to.add(from);
        }
    }
}
