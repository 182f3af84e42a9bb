//! Samples traffic, sampled: what `dpctl/dump-flows` is made from.
//!
//! Noting a frame is a look into a table, so noting every one of a full batch would show.  Small
//! batches, which come when there is time, are all noted; of fuller ones, one in [`SAMPLED_OF`] and
//! the first of each millisecond are, and their frames count for the batches that were passed over.
//! So the numbers are exact while a worker is far from its limits, and estimates under load.

use crate::{Batch, DropReason, FrameBuf, IfaceId, Ingress, Meta, Verdict};
use std::hash::BuildHasher;
use weft_wire::mac::MacAddr;
use weft_wire::{EtherType, parse_l2};

/// Frames up to which a batch is always noted.
const SMALL_FRAMES: usize = 4;

/// Of larger batches, one in so many is noted.
const SAMPLED_OF: u32 = 64;

/// Bytes kept of the newest frame of a sample: Ethernet, two tags, IPv6, and what NDP asks for.
pub const HEAD_BYTES: usize = 88;

/// Samples that one worker remembers.
pub const SAMPLES_MAX: usize = BUCKETS * BUCKET_SAMPLES;
const BUCKETS: usize = 512;
const BUCKET_SAMPLES: usize = 4;

/// What frames of one sample have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleKey {
    /// Interface they came in on.
    pub ingress: IfaceId,
    /// Destination.
    pub target: MacAddr,
    /// Source.
    pub source: MacAddr,
    /// TPID and TCI of the outermost tag.
    pub tag: Option<(u16, u16)>,
    /// The type behind all tags.
    pub ethertype: EtherType,
    /// Which piece of an IPv4 packet.
    pub fragment: Fragment,
    /// Operation, sender and target address of a broadcast ARP packet, which a learning bridge may
    /// treat by them.
    pub arp: Option<[u8; 10]>,
}

/// Pieces of IPv4 packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fragment {
    /// All of it, or no IPv4.
    #[default]
    Whole,
    /// The first of several.
    First,
    /// Another.
    Later,
}

/// Frames that were alike, lately.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// What they have in common.
    pub key: SampleKey,
    /// The start of the newest of them.
    pub head: [u8; HEAD_BYTES],
    /// Length of the newest frame, in bytes; what is beyond `head` is not kept.
    pub len: u16,
    /// Frames after the first, by the weight of their batches: where a flow is put into a cache, the
    /// first frame is what puts it there.
    pub frames: u64,
    /// Their bytes, in the same way.
    pub bytes: u64,
    /// When the newest came, milliseconds since the datapath started.
    pub used_at_ms: u64,
}

impl Sample {
    /// The newest frame, with zeros for what was not kept.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = self.head.to_vec();
        frame.resize(self.len.into(), 0);
        frame
    }
}

/// The samples that one worker saw.
pub(crate) struct Samples {
    buckets: Vec<[Option<Sample>; BUCKET_SAMPLES]>,
    hasher: foldhash::fast::FixedState,
    /// Full batches since the last that was noted.
    passed: u32,
    /// When that was.
    noted_at_ms: u64,
    /// The clock, set once a round.
    pub(crate) now_ms: u64,
}

impl Samples {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            buckets: vec![[None; BUCKET_SAMPLES]; BUCKETS],
            hasher: foldhash::fast::FixedState::with_seed(seed),
            passed: 0,
            noted_at_ms: 0,
            now_ms: 0,
        }
    }

    /// Notes a batch that was received, if it is its turn.
    pub(crate) fn sample<F: FrameBuf>(&mut self, batch: &Batch<F>) {
        let weight = if batch.frames.len() <= SMALL_FRAMES {
            1
        } else {
            self.passed += 1;
            if self.passed < SAMPLED_OF && self.noted_at_ms == self.now_ms {
                return;
            }
            self.noted_at_ms = self.now_ms;
            u64::from(std::mem::take(&mut self.passed))
        };
        for (frame, meta) in batch.frames.iter().zip(&batch.metas) {
            if is_sampled(meta)
                && let Some(key) = key(meta.ingress.iface, frame.bytes())
            {
                self.note(key, frame.bytes(), weight);
            }
        }
    }

    fn note(&mut self, key: SampleKey, bytes: &[u8], weight: u64) {
        let hash = self.hasher.hash_one(key);
        // The number of buckets is a power of two; the mask keeps what is cut off out of play.
        let at = usize::try_from(hash & (BUCKETS as u64 - 1)).unwrap_or(0);
        let Some(bucket) = self.buckets.get_mut(at) else { return };
        let known = bucket.iter().position(|sample| sample.is_some_and(|sample| sample.key == key));
        let oldest = || {
            let age = |sample: &Option<Sample>| sample.map_or(0, |sample| sample.used_at_ms);
            (0..BUCKET_SAMPLES).min_by_key(|at| bucket.get(*at).map_or(0, age)).unwrap_or(0)
        };
        let at = known.unwrap_or_else(oldest);
        let Some(slot) = bucket.get_mut(at) else { return };
        let empty =
            Sample { key, head: [0; HEAD_BYTES], len: 0, frames: 0, bytes: 0, used_at_ms: 0 };
        let (sample, counted) = match slot {
            Some(sample) if sample.key == key => (sample, weight),
            slot => (slot.insert(empty), weight.saturating_sub(1)),
        };
        sample.frames += counted;
        sample.bytes += counted * bytes.len() as u64;
        sample.used_at_ms = self.now_ms;
        sample.len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        sample.head.fill(0);
        sample.head.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.buckets.fill([None; BUCKET_SAMPLES]);
    }

    /// The samples that were used in the last `age_max_ms`.
    pub(crate) fn list(&self, age_max_ms: u64) -> Vec<Sample> {
        let all = self.buckets.iter().flatten().flatten();
        all.filter(|sample| self.now_ms.saturating_sub(sample.used_at_ms) < age_max_ms)
            .copied()
            .collect()
    }
}

/// A frame that came in somewhere, and a whole L2 header.
const fn is_sampled(meta: &Meta) -> bool {
    !matches!(meta.verdict, Verdict::Drop(DropReason::Truncated | DropReason::NoPort))
        && meta.ingress.iface.0 != Ingress::NONE.iface.0
}

/// The key of a frame that came in on `ingress`; `None` when its L2 header is cut short.
#[must_use]
pub fn key(ingress: IfaceId, bytes: &[u8]) -> Option<SampleKey> {
    let l2 = parse_l2(bytes).ok()?;
    let packet = bytes.get(l2.l3_offset..)?;
    let is_group_arp = l2.ethertype == EtherType::ARP && l2.target.is_group();
    Some(SampleKey {
        ingress,
        target: l2.target,
        source: l2.source,
        tag: l2.outer_tag.map(|tag| (tag.tpid.0, tag.tci.to_wire())),
        ethertype: l2.ethertype,
        fragment: if l2.ethertype == EtherType::IPV4 { fragment(packet) } else { Fragment::Whole },
        arp: if is_group_arp { arp(packet) } else { None },
    })
}

fn arp(packet: &[u8]) -> Option<[u8; 10]> {
    let mut fields = [0; 10];
    let words = packet.get(6..8)?.iter().chain(packet.get(14..18)?).chain(packet.get(24..28)?);
    fields.iter_mut().zip(words).for_each(|(to, from)| *to = *from);
    Some(fields)
}

fn fragment(packet: &[u8]) -> Fragment {
    let field = packet.get(6..8).and_then(|field| field.first_chunk::<2>());
    match field.map_or(0, |field| u16::from_be_bytes(*field) & 0x3fff) {
        0 => Fragment::Whole,
        0x2000 => Fragment::First,
        _ => Fragment::Later,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PortId;
    use weft_wire::vid::Vid;

    struct Bytes(Vec<u8>);

    impl FrameBuf for Bytes {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
        fn bytes_mut(&mut self) -> &mut [u8] {
            &mut self.0
        }
        fn prepend(&mut self, _: usize) -> Option<&mut [u8]> {
            None
        }
        fn trim_front(&mut self, _: usize) -> bool {
            false
        }
        fn truncate(&mut self, _: usize) {}
        fn pad_to(&mut self, _: usize) -> bool {
            false
        }
    }

    fn batch(frames: usize, source: u8) -> Batch<Bytes> {
        let mut batch = Batch::new();
        for _ in 0..frames {
            let mut bytes = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, source, 8, 0, 0x45];
            bytes.resize(100, 0);
            batch.frames.push(Bytes(bytes));
            batch.metas.push(Meta {
                vid: Vid::UNTAGGED,
                ..Meta::new(Ingress { iface: IfaceId(3), port: PortId(0) })
            });
        }
        batch
    }

    #[test]
    fn small_batches_are_counted_to_the_frame() {
        let mut recent = Samples::new(1);
        for _ in 0..7 {
            recent.sample(&batch(1, 1));
        }
        recent.sample(&batch(3, 2));
        let mut samples = recent.list(10_000);
        samples.sort_by_key(|sample| sample.key);
        let counts: Vec<_> = samples.iter().map(|sample| (sample.frames, sample.bytes)).collect();
        assert_eq!(counts, [(6, 600), (2, 200)], "without the first");
    }

    #[test]
    fn full_batches_are_estimated_without_bias() {
        let mut recent = Samples::new(1);
        for round in 0..64 * 10 {
            recent.now_ms = round / 40;
            recent.sample(&batch(32, 1));
        }
        let samples = recent.list(10_000);
        assert_eq!(samples.len(), 1);
        // All but the batches since the last that was noted.
        let frames = samples.first().map_or(0, |sample| sample.frames);
        assert!((64 * 9 * 32..=64 * 10 * 32).contains(&frames), "{frames}");
    }

    #[test]
    fn what_was_not_used_is_not_shown_and_makes_room() {
        let mut recent = Samples::new(1);
        recent.sample(&batch(1, 1));
        recent.now_ms = 10_000;
        assert_eq!(recent.list(10_000).len(), 0);
        for round in 0..20_u8 {
            for source in 0..=255 {
                let mut one = batch(1, source);
                one.frames[0].0[10] = round;
                recent.sample(&one);
            }
        }
        assert!(recent.list(10_000).len() <= SAMPLES_MAX);
        assert!(recent.list(10_000).len() > SAMPLES_MAX * 9 / 10);
    }

    #[test]
    fn tags_and_fragments_tell_flows_apart() {
        let plain = batch(1, 1).frames.remove(0).0;
        let mut tagged = plain.clone();
        tagged.splice(12..12, [0x81, 0, 0x60, 7]);
        let mut later = plain.clone();
        later[21] = 5;
        let keys: Vec<_> =
            [&plain, &tagged, &later].map(|bytes| key(IfaceId(1), bytes).unwrap()).to_vec();
        assert_eq!(keys.iter().map(|key| key.ethertype).collect::<Vec<_>>(), [EtherType::IPV4; 3]);
        assert_eq!((keys[0].tag, keys[1].tag), (None, Some((0x8100, 0x6007))));
        assert_eq!((keys[0].fragment, keys[2].fragment), (Fragment::Whole, Fragment::Later));
        assert!(key(IfaceId(1), &plain[..13]).is_none());
    }
}
