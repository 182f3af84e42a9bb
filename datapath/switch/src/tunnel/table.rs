//! Which tunnel a received packet belongs to.

use super::conf::{Encap, InKey, Local, TunnelConf, TunnelKey};
use crate::{DropReason, IfaceId};
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

/// What a tunnel names, and what it leaves open.
///
/// The order is that of look-ups, most specific first, as Open vSwitch 3.1 has it: the key weighs
/// more than the remote address, and that more than the local one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Shape {
    any_key: bool,
    any_remote: bool,
    local: Locality,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Locality {
    Address,
    Any,
    Flow,
}

impl Shape {
    fn of(tunnel: &TunnelConf) -> Self {
        Self {
            any_key: tunnel.in_key == InKey::Any,
            any_remote: tunnel.remote.is_none(),
            local: match tunnel.local {
                Local::Address(_) => Locality::Address,
                Local::Any => Locality::Any,
                Local::Flow => Locality::Flow,
            },
        }
    }

    /// Distinct for each shape, 0 to 15.
    const fn code(self) -> u64 {
        self.any_key as u64 | (self.any_remote as u64) << 1 | (self.local as u64) << 2
    }

    /// What a tunnel of this shape looks like to which the packet belongs.
    fn pattern(self, encap: Encap, remote: u128, local: u128, key: u32) -> Pattern {
        let (kind, udp_port) = match encap {
            Encap::Gre => (0, 0),
            Encap::Geneve { udp_port } => (1, udp_port),
            Encap::Vxlan { udp_port } => (2, udp_port),
        };
        let key = if self.any_key { 0 } else { key };
        Pattern {
            remote: if self.any_remote { 0 } else { remote },
            local: if self.local == Locality::Address { local } else { 0 },
            rest: u64::from(key) | u64::from(udp_port) << 32 | kind << 48 | self.code() << 56,
        }
    }
}

/// What a tunnel accepts, as numbers that hash in a few instructions: addresses, IPv4 as mapped
/// and 0 for any; key, UDP port, encapsulation and shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pattern {
    remote: u128,
    local: u128,
    rest: u64,
}

impl Hash for Pattern {
    /// One word instead of five.  Only what is configured is ever in the table, so nobody can fill
    /// it with patterns that collide.
    #[expect(clippy::cast_possible_truncation, reason = "each half is taken")]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mixed = (self.remote as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ ((self.remote >> 64) as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
            ^ (self.local as u64).wrapping_mul(0x1656_67b1_9e37_79f9)
            ^ ((self.local >> 64) as u64).wrapping_mul(0xd6e8_feb8_6659_fd93)
            ^ self.rest.wrapping_mul(0xa076_1d64_78bd_642f);
        state.write_u64(mixed);
    }
}

/// How many parts a table has.
const PARTS: usize = 64;

type Part<V> = HashMap<Pattern, V, foldhash::fast::RandomState>;

/// Values by pattern, in parts that are shared by tables which differ little: a change copies one
/// part, however many tunnels there are.
#[derive(Clone, Debug, PartialEq)]
struct Patterns<V>([Arc<Part<V>>; PARTS]);

impl<V> Default for Patterns<V> {
    fn default() -> Self {
        let empty = Arc::default();
        Self(std::array::from_fn(|_| Arc::clone(&empty)))
    }
}

impl<V> Patterns<V> {
    /// The part of a pattern.  Few tunnels have all of this in common, and it is ready before the
    /// hash is.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the halves are taken; it is less than 64")]
    const fn place(pattern: &Pattern) -> usize {
        let all = pattern.remote as u64 ^ (pattern.remote >> 64) as u64 ^ pattern.rest;
        (all.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PARTS.ilog2())) as usize
    }

    #[inline]
    fn get(&self, pattern: &Pattern) -> Option<&V> {
        self.0.get(Self::place(pattern))?.get(pattern)
    }
}

impl<V: Clone> Patterns<V> {
    /// Puts in the place of what a pattern has, if anything, what `edit` makes of it.
    fn edit(&mut self, pattern: Pattern, edit: impl FnOnce(Option<V>) -> Option<V>) {
        let Some(part) = self.0.get_mut(Self::place(&pattern)).map(Arc::make_mut) else { return };
        let before = part.remove(&pattern);
        if let Some(after) = edit(before) {
            part.insert(pattern, after);
        }
    }
}

const fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Which tunnel a received packet belongs to.  A look-up costs one probe for each shape of
/// tunnel in use, mostly one and at most twelve, however many tunnels there are.
#[derive(Clone, Debug, Default)]
pub struct TunnelTable {
    ifaces: Patterns<IfaceId>,
    /// The patterns with their keys left open, to tell a wrong key from a wrong address; and how many
    /// tunnels have each.
    ends: Patterns<usize>,
    /// In use, most specific first.
    shapes: Vec<Shape>,
    /// How many tunnels have each shape.
    shape_counts: BTreeMap<Shape, usize>,
    /// UDP ports that tunnels listen on, in order: mostly one or two.
    udp_ports: Vec<(u16, Encap)>,
    /// How many tunnels listen on each.
    udp_counts: BTreeMap<u16, (Encap, usize)>,
    /// How many tunnels lower the MSS of TCP.
    clamping: usize,
}

/// All that the table knows of one tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    iface: IfaceId,
    pattern: Pattern,
    keyless: Pattern,
    shape: Shape,
    encap: Encap,
    clamps_mss: bool,
}

impl Entry {
    pub(crate) fn of(iface: IfaceId, tunnel: &TunnelConf) -> Self {
        let shape = Shape::of(tunnel);
        let remote = tunnel.remote.map_or(0, number);
        let local = tunnel.local.address().map_or(0, number);
        let key = if let InKey::Exact(key) = tunnel.in_key { key } else { 0 };
        let keyless = Shape { any_key: true, ..shape };
        Self {
            iface,
            pattern: shape.pattern(tunnel.encap, remote, local, key),
            keyless: keyless.pattern(tunnel.encap, remote, local, 0),
            shape,
            encap: tunnel.encap,
            clamps_mss: tunnel.clamps_mss,
        }
    }
}

/// Counts one less; true when that was the last.
fn take_one(count: Option<&mut usize>) -> bool {
    let Some(count) = count else { return false };
    *count = count.saturating_sub(1);
    *count == 0
}

impl TunnelTable {
    /// The table of these tunnels.  Of two with equal patterns, or with one UDP port for different
    /// encapsulations, the first wins; control refuses the second.
    pub fn new<'a>(tunnels: impl IntoIterator<Item = (IfaceId, &'a TunnelConf)>) -> Self {
        let mut table = Self::default();
        table.edit([], tunnels.into_iter().map(|(iface, tunnel)| Entry::of(iface, tunnel)));
        table
    }

    /// Takes tunnels out that are there, then puts others in.
    pub(crate) fn edit(
        &mut self,
        gone: impl IntoIterator<Item = Entry>,
        come: impl IntoIterator<Item = Entry>,
    ) {
        gone.into_iter().for_each(|entry| self.take(&entry));
        come.into_iter().for_each(|entry| self.put(&entry));
        self.shapes = self.shape_counts.keys().copied().collect();
        let udp_ports = self.udp_counts.iter();
        self.udp_ports = udp_ports.map(|(port, (encap, _))| (*port, *encap)).collect();
    }

    fn put(&mut self, entry: &Entry) {
        self.ifaces.edit(entry.pattern, |first| first.or(Some(entry.iface)));
        self.ends.edit(entry.keyless, |count| Some(count.unwrap_or(0) + 1));
        *self.shape_counts.entry(entry.shape).or_default() += 1;
        self.clamping += usize::from(entry.clamps_mss);
        if let Some(udp_port) = entry.encap.udp_port() {
            self.udp_counts.entry(udp_port).or_insert((entry.encap, 0)).1 += 1;
        }
    }

    fn take(&mut self, entry: &Entry) {
        self.ifaces.edit(entry.pattern, |iface| iface.filter(|iface| *iface != entry.iface));
        self.ends.edit(entry.keyless, |count| count?.checked_sub(1).filter(|left| *left > 0));
        if take_one(self.shape_counts.get_mut(&entry.shape)) {
            self.shape_counts.remove(&entry.shape);
        }
        self.clamping = self.clamping.saturating_sub(usize::from(entry.clamps_mss));
        if let Some(udp_port) = entry.encap.udp_port()
            && take_one(self.udp_counts.get_mut(&udp_port).map(|(_, count)| count))
        {
            self.udp_counts.remove(&udp_port);
        }
    }

    /// True when some tunnel lowers the MSS of TCP.
    #[must_use]
    #[inline]
    pub const fn clamps_mss(&self) -> bool {
        self.clamping > 0
    }

    /// What arrives at a UDP port, if tunnels listen there.
    #[must_use]
    #[inline]
    pub fn at_udp_port(&self, udp_port: u16) -> Option<Encap> {
        let found = self.udp_ports.binary_search_by_key(&udp_port, |(port, _)| *port).ok()?;
        self.udp_ports.get(found).map(|(_, encap)| *encap)
    }

    /// The tunnel that takes a packet, most specific tunnel first.
    ///
    /// # Errors
    ///
    /// [`DropReason::Key`] or [`DropReason::Vni`] when only the key is wrong,
    /// [`DropReason::NoTunnel`] otherwise.
    #[inline]
    pub fn find(&self, packet: TunnelKey) -> Result<IfaceId, DropReason> {
        let (remote, local) = (number(packet.remote), number(packet.local));
        let key = packet.key.unwrap_or(0);
        for shape in &self.shapes {
            if let Some(&iface) = self.ifaces.get(&shape.pattern(packet.encap, remote, local, key))
            {
                return Ok(iface);
            }
        }
        Err(self.why_not(packet))
    }

    #[cold]
    fn why_not(&self, packet: TunnelKey) -> DropReason {
        let (remote, local) = (number(packet.remote), number(packet.local));
        let knows = self.shapes.iter().any(|shape| {
            let keyless = Shape { any_key: true, ..*shape };
            self.ends.get(&keyless.pattern(packet.encap, remote, local, 0)).is_some()
        });
        match (knows, packet.encap) {
            (false, _) => DropReason::NoTunnel,
            (true, Encap::Gre) => DropReason::Key,
            (true, Encap::Geneve { .. } | Encap::Vxlan { .. }) => DropReason::Vni,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One tunnel of few: many of them are alike in all but one thing.
    fn tunnel(choice: u8) -> TunnelConf {
        let encaps =
            [Encap::Gre, Encap::Geneve { udp_port: 6081 }, Encap::Vxlan { udp_port: 4789 }];
        let bit = |bit: u8| choice >> bit & 1 == 1;
        let encap = encaps.get(usize::from(choice & 3)).copied().unwrap_or(Encap::Gre);
        let mut conf = TunnelConf::new(encap, bit(2).then(|| IpAddr::from([10, 0, 0, 1])));
        conf.local = if bit(3) { Local::Address(IpAddr::from([10, 0, 0, 9])) } else { Local::Any };
        conf.in_key = if bit(4) { InKey::Any } else { InKey::Exact(u32::from(choice >> 6)) };
        conf.clamps_mss = bit(5);
        conf
    }

    proptest! {
        /// A table that was edited is that of the tunnels that are left.
        #[test]
        fn edits_lead_to_the_table_of_what_is_left(
            edits in prop::collection::vec(
                prop::collection::vec((0u16..12, prop::option::of(any::<u8>())), 1..4),
                1..20,
            )
        ) {
            let mut table = TunnelTable::default();
            let mut tunnels: BTreeMap<IfaceId, TunnelConf> = BTreeMap::new();
            for edits in edits {
                let (mut gone, mut come) = (BTreeMap::new(), BTreeMap::new());
                for (iface, choice) in edits {
                    let iface = IfaceId(iface);
                    come.remove(&iface);
                    if let Some(old) = tunnels.remove(&iface) {
                        gone.entry(iface).or_insert_with(|| Entry::of(iface, &old));
                    }
                    // Control sees to it that no two are the same.
                    let new = choice.map(|choice| (choice, Entry::of(iface, &tunnel(choice))));
                    let free = new.filter(|(_, new)| {
                        let mut others = tunnels.iter().map(|(id, conf)| Entry::of(*id, conf));
                        others.all(|other| other.pattern != new.pattern)
                    });
                    if let Some((choice, new)) = free {
                        tunnels.insert(iface, tunnel(choice));
                        come.insert(iface, new);
                    }
                }
                // What came and went again meanwhile was never there.
                gone.retain(|_, old| table.ifaces.get(&old.pattern) == Some(&old.iface));
                table.edit(gone.into_values(), come.into_values());
                let anew = TunnelTable::new(tunnels.iter().map(|(iface, conf)| (*iface, conf)));
                prop_assert_eq!(&table.ifaces, &anew.ifaces);
                prop_assert_eq!(&table.ends, &anew.ends);
                prop_assert_eq!(&table.shapes, &anew.shapes);
                prop_assert_eq!(&table.udp_ports, &anew.udp_ports);
                prop_assert_eq!(table.clamping, anew.clamping);
            }
        }
    }
}
