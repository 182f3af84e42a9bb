//! Wraps any back end and makes the network worse, the same way for the same seed.

use std::time::Duration;
use weft_switch::{DropReason, FrameBuf, FrameIo, LinkId};

/// How bad.  Rates are in frames per thousand, applied to each received frame in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultConf {
    /// Equal seeds give equal faults.
    pub seed: u64,
    /// Lost.
    pub drop_per_mille: u16,
    /// One bit flipped.
    pub corrupt_per_mille: u16,
    /// Cut to a random shorter length.
    pub truncate_per_mille: u16,
    /// Received twice, as far as there are free frames.
    pub duplicate_per_mille: u16,
    /// Swapped with the frame before it in the batch.
    pub reorder_per_mille: u16,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultStats {
    /// Frames lost.
    pub dropped: u64,
    /// Frames with a flipped bit.
    pub corrupted: u64,
    /// Frames cut.
    pub truncated: u64,
    /// Frames doubled.
    pub duplicated: u64,
    /// Frames that overtook the one before.
    pub reordered: u64,
}

/// A back end with faults on receive.  A batch may be twice as long as usual when frames are
/// duplicated.
pub struct FaultIo<I: FrameIo> {
    inner: I,
    conf: FaultConf,
    state: u64,
    stats: FaultStats,
    batch: Vec<I::Frame>,
}

impl<I: FrameIo> FaultIo<I> {
    /// Wraps `inner`.
    pub fn new(inner: I, conf: FaultConf) -> Self {
        Self { inner, conf, state: conf.seed, stats: FaultStats::default(), batch: Vec::new() }
    }

    /// The back end.
    pub const fn inner_mut(&mut self) -> &mut I {
        &mut self.inner
    }

    /// What was done so far.
    pub const fn stats(&self) -> FaultStats {
        self.stats
    }

    /// The next random number: splitmix64, which passes its tests and fits five lines.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn strikes(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.random() % 1000 < u64::from(per_mille)
    }

    fn below(&mut self, bound: usize) -> usize {
        let random = usize::try_from(self.random() >> 33).unwrap_or(0);
        random.checked_rem(bound).unwrap_or(0)
    }

    fn pass(&mut self, mut frame: I::Frame, frames: &mut Vec<I::Frame>, before: usize) {
        if self.strikes(self.conf.drop_per_mille) {
            self.stats.dropped += 1;
            self.inner.free(frame);
            return;
        }
        if self.strikes(self.conf.corrupt_per_mille) {
            let bit = self.below(frame.bytes().len() * 8);
            if let Some(byte) = frame.bytes_mut().get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
                self.stats.corrupted += 1;
            }
        }
        if self.strikes(self.conf.truncate_per_mille) {
            let len = self.below(frame.bytes().len());
            frame.truncate(len);
            self.stats.truncated += 1;
        }
        if self.strikes(self.conf.duplicate_per_mille)
            && let Some(copy) = self.inner.copy_from(frame.bytes())
        {
            self.stats.duplicated += 1;
            frames.push(copy);
        }
        let overtakes = self.strikes(self.conf.reorder_per_mille) && frames.len() > before;
        frames.push(frame);
        if overtakes {
            self.stats.reordered += 1;
            let last = frames.len() - 1;
            frames.swap(last - 1, last);
        }
    }
}

impl<I: FrameIo> FrameIo for FaultIo<I> {
    type Frame = I::Frame;
    type Queue = I::Queue;

    fn add_queue(&mut self, link: LinkId, queue: I::Queue) {
        self.inner.add_queue(link, queue);
    }

    fn remove_queue(&mut self, link: LinkId) -> Option<I::Queue> {
        self.inner.remove_queue(link)
    }

    fn take_queue(&mut self, link: LinkId) -> Option<I::Queue> {
        self.inner.take_queue(link)
    }

    fn remove_stand_in(&mut self, link: LinkId) -> Option<I::Queue> {
        self.inner.remove_stand_in(link)
    }

    fn reclaim(&mut self) {
        self.inner.reclaim();
    }

    fn queue_count(&self) -> usize {
        self.inner.queue_count()
    }

    fn ready(&mut self, list: &mut Vec<usize>) {
        self.inner.ready(list);
    }

    fn rx(&mut self, queue: usize, frames: &mut Vec<I::Frame>) -> LinkId {
        let before = frames.len();
        let mut batch = std::mem::take(&mut self.batch);
        let link = self.inner.rx(queue, &mut batch);
        for frame in batch.drain(..) {
            self.pass(frame, frames, before);
        }
        self.batch = batch;
        link
    }

    fn has_link(&self, link: LinkId) -> bool {
        self.inner.has_link(link)
    }

    fn refusal(&self) -> DropReason {
        self.inner.refusal()
    }

    fn tx(&mut self, link: LinkId, frame: I::Frame) -> bool {
        self.inner.tx(link, frame)
    }

    fn flush(&mut self) {
        self.inner.flush();
    }

    fn wait(&mut self, timeout: Duration) {
        self.inner.wait(timeout);
    }

    fn copy_from(&mut self, bytes: &[u8]) -> Option<I::Frame> {
        self.inner.copy_from(bytes)
    }

    fn part_with(&mut self, frame: &I::Frame) {
        self.inner.part_with(frame);
    }

    fn adopt(&mut self, frame: &I::Frame) -> bool {
        self.inner.adopt(frame)
    }

    fn free(&mut self, frame: I::Frame) {
        self.inner.free(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HeapIo;
    use proptest::prelude::*;

    const LINK: LinkId = LinkId(0);

    fn run(conf: FaultConf, count: usize) -> (Vec<Vec<u8>>, FaultStats, HeapIo) {
        let mut io = FaultIo::new(HeapIo::new(2 * count + 2).with_links(1), conf);
        for number in 0..count {
            assert!(io.inner_mut().inject(LINK, &[u8::try_from(number % 256).unwrap(); 20]));
        }
        let (mut seen, mut frames) = (Vec::new(), Vec::new());
        while io.inner.idle_frames() > 0 && seen.len() < 3 * count {
            io.rx(0, &mut frames);
            if frames.is_empty() {
                break;
            }
            for frame in frames.drain(..) {
                seen.push(frame.bytes().to_vec());
                io.free(frame);
            }
        }
        (seen, io.stats, io.inner)
    }

    proptest! {
        #[test]
        fn frames_are_conserved_and_faults_counted(
            seed: u64, drop in 0u16..200, corrupt in 0u16..200, truncate in 0u16..200,
            duplicate in 0u16..200, reorder in 0u16..200,
        ) {
            let conf = FaultConf {
                seed,
                drop_per_mille: drop,
                corrupt_per_mille: corrupt,
                truncate_per_mille: truncate,
                duplicate_per_mille: duplicate,
                reorder_per_mille: reorder,
            };
            let (seen, stats, io) = run(conf, 100);
            prop_assert_eq!(io.idle_frames(), io.frame_count());
            prop_assert_eq!(seen.len() as u64, 100 - stats.dropped + stats.duplicated);
            prop_assert_eq!((seen, stats), { let again = run(conf, 100); (again.0, again.1) });
        }
    }

    #[test]
    fn no_faults_change_nothing_and_all_faults_everything() {
        let (seen, stats, _) = run(FaultConf::default(), 50);
        let expected: Vec<Vec<u8>> = (0..50u8).map(|number| vec![number; 20]).collect();
        assert_eq!(seen, expected);
        assert_eq!(stats, FaultStats::default());
        let all = FaultConf { drop_per_mille: 1000, ..FaultConf::default() };
        assert_eq!(run(all, 50).0.len(), 0);
        let all = FaultConf { corrupt_per_mille: 1000, ..FaultConf::default() };
        for (number, frame) in run(all, 50).0.iter().enumerate() {
            let flipped: u32 =
                frame.iter().map(|byte| (usize::from(*byte) ^ number).count_ones()).sum();
            assert_eq!(flipped, 1);
        }
        let all = FaultConf { truncate_per_mille: 1000, ..FaultConf::default() };
        assert!(run(all, 50).0.iter().all(|frame| frame.len() < 20));
        let some = FaultConf { reorder_per_mille: 300, ..FaultConf::default() };
        let (seen, stats, _) = run(some, 50);
        assert!(stats.reordered > 0);
        assert_ne!(seen, expected);
    }
}
