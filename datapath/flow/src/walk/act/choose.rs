//! Choices by hash: `multipath`, `bundle`, select groups.

use crate::action::{Bundle, BundleAlgorithm, HashFields, Multipath, MultipathAlgorithm};
use crate::field::Prerequisite;
use crate::program::Context;
use crate::walk::{Fact, Note, Sink, Walk};
use crate::{Key, PortNo, Slot};

/// Stirs a number into a hash.
pub(in crate::walk) fn stir(hash: u64, number: u128) -> u64 {
    let halves = [number >> 64, number & u128::from(u64::MAX)];
    halves.into_iter().fold(hash, |hash, half| {
        let word = u64::try_from(half).unwrap_or_default();
        let mut mixed = hash ^ word.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    })
}

/// 32 bits of a hash.
pub(in crate::walk) fn finish(hash: u64) -> u32 {
    let [.., a, b, c, d] = (hash ^ hash >> 32).to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// What a hash is made of: values of slots, and pairs of which the sum counts and not the order.
const L2: &[(Slot, Slot)] = &[(Slot::EthSrc, Slot::EthDst)];
const V4: &[(Slot, Slot)] = &[(Slot::NwSrc, Slot::NwDst)];
const V6: &[(Slot, Slot)] = &[(Slot::Ipv6Src, Slot::Ipv6Dst)];
const PORTS: &[(Slot, Slot)] = &[(Slot::TpSrc, Slot::TpDst)];

/// Takes slots into a hash, and says which.
struct Hasher<'k> {
    key: &'k Key,
    hash: u64,
    read: Vec<(Slot, u128)>,
}

impl Hasher<'_> {
    fn one(&mut self, slot: Slot, mask: u128) {
        self.read.push((slot, mask));
        self.hash = stir(self.hash, self.key.get(slot) & mask);
    }

    fn pairs(&mut self, pairs: &[(Slot, Slot)]) {
        for (one, other) in pairs {
            self.read.extend([*one, *other].map(|slot| (slot, slot.ones())));
            let both = self.key.get(*one) ^ self.key.get(*other);
            self.hash = stir(self.hash, both);
        }
    }

    fn addresses(&mut self) {
        self.one(Slot::EthType, Slot::EthType.ones());
        if self.key.has(Prerequisite::Ipv4) {
            self.pairs(V4);
        } else if self.key.has(Prerequisite::Ipv6) {
            self.pairs(V6);
        }
    }

    /// Protocol and ports of TCP and SCTP; of UDP too if asked for.
    fn upper(&mut self, with_udp: bool) {
        if !self.key.has(Prerequisite::Ip) {
            return;
        }
        self.one(Slot::NwProto, Slot::NwProto.ones());
        self.read.push((Slot::NwFrag, Slot::NwFrag.ones()));
        let has_ports = [Prerequisite::Tcp, Prerequisite::Sctp].map(|needed| self.key.has(needed));
        if has_ports.contains(&true) || (with_udp && self.key.has(Prerequisite::Udp)) {
            self.pairs(PORTS);
        }
    }

    fn fields(&mut self, fields: HashFields) {
        let is_ipv6 = self.key.has(Prerequisite::Ipv6);
        match fields {
            HashFields::EthSrc => self.one(Slot::EthSrc, Slot::EthSrc.ones()),
            HashFields::SymmetricL4 => {
                self.pairs(L2);
                self.one(Slot::VlanTci, 0x0fff);
                self.addresses();
                self.upper(false);
            }
            HashFields::SymmetricL3L4 | HashFields::SymmetricL3L4Udp => {
                self.addresses();
                self.upper(fields == HashFields::SymmetricL3L4Udp);
            }
            HashFields::SymmetricL3 => self.addresses(),
            HashFields::NwSrc | HashFields::NwDst => {
                self.one(Slot::EthType, Slot::EthType.ones());
                let slot = match (fields, is_ipv6) {
                    (HashFields::NwSrc, true) => Slot::Ipv6Src,
                    (HashFields::NwSrc, false) => Slot::NwSrc,
                    (_, true) => Slot::Ipv6Dst,
                    (_, false) => Slot::NwDst,
                };
                if self.key.has(Prerequisite::Ip) {
                    self.one(slot, slot.ones());
                }
            }
        }
    }
}

/// The hash that a select group asks for: both ends of L2 to L4, the same for both directions, with
/// ports of TCP and SCTP.  Never 0, which is none.
#[must_use]
pub fn symmetric_hash(key: &Key, basis: u32) -> u32 {
    let mut hasher = Hasher { key, hash: basis.into(), read: Vec::new() };
    hasher.fields(HashFields::SymmetricL4);
    finish(hasher.hash).max(1)
}

impl<S: Sink> Walk<'_, S> {
    fn hash(&mut self, fields: HashFields, basis: u16) -> u32 {
        let mut hasher = Hasher { key: &self.state.key, hash: basis.into(), read: Vec::new() };
        hasher.fields(fields);
        let hash = finish(hasher.hash);
        for (slot, mask) in hasher.read {
            self.reads.cover(slot, mask);
        }
        hash
    }

    pub(in crate::walk) fn multipath(&mut self, multipath: &Multipath) {
        let hash = self.hash(multipath.fields, multipath.basis);
        let links = u32::from(multipath.max_link) + 1;
        let link = match multipath.algorithm {
            MultipathAlgorithm::ModuloN => hash % links,
            MultipathAlgorithm::HashThreshold if links == 1 => 0,
            MultipathAlgorithm::HashThreshold => hash / (u32::MAX / links + 1),
            MultipathAlgorithm::Hrw => highest(hash, 0..links).unwrap_or_default(),
            MultipathAlgorithm::IterHash => iterated(hash, links, multipath.argument),
        };
        self.write_bits(multipath.destination, link.into());
        self.note(Note::Value(link.into()));
    }

    pub(in crate::walk) fn bundle(&mut self, bundle: &Bundle, context: Context) {
        let tables = self.state.tables;
        for port in &bundle.members {
            self.depends_on(Fact::Port(*port));
        }
        let is_live = |port: PortNo| tables.port(port).is_some_and(|facts| facts.is_live);
        let live = bundle.members.iter().copied().filter(|port| is_live(*port));
        let chosen = match bundle.algorithm {
            BundleAlgorithm::ActiveBackup => live.map(|port| port.0).next(),
            BundleAlgorithm::Hrw => {
                let hash = self.hash(bundle.fields, bundle.basis);
                highest(hash, live.map(|port| port.0))
            }
        };
        let port = chosen.map_or(PortNo::ANY, PortNo);
        match bundle.destination {
            Some(destination) => {
                // The number of 16 bits, as it is on the wire.
                let number = port.to_u16().map_or(port.0, u32::from);
                self.write_bits(destination, number.into());
                self.note(Note::Value(number.into()));
            }
            None => self.output(port, 0, context),
        }
    }
}

/// Highest random weight: few others move when a number comes or goes.
fn highest(hash: u32, numbers: impl Iterator<Item = u32>) -> Option<u32> {
    numbers.max_by_key(|number| finish(stir(hash.into(), (*number).into())))
}

/// Draws until a link comes up that exists, from a space that `argument` bounds from below.
fn iterated(hash: u32, links: u32, argument: u32) -> u32 {
    let space = links.max(argument.min(0x1_0000)).next_power_of_two();
    let draws = (0u32..1024).map(|draw| finish(stir(hash.into(), draw.into())) & (space - 1));
    draws.into_iter().find(|link| *link < links).unwrap_or_default()
}
