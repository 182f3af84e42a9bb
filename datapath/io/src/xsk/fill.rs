//! How many chunks each socket keeps with the kernel to receive into.
//!
//! A chunk in a fill ring comes back only as a received frame, or when the socket is closed: what an
//! idle socket was given, no other has.  So each starts with a few and gets more when frames wait for
//! the worker in its RX ring, out of a part of the memory that is for that; the rest stays free for
//! frames that are sent and copied.

/// Chunks of a socket that has received nothing, while there are few, if that is a twenty-fourth of
/// all: what comes in half a second at a frame a millisecond, for a worker may have to wait for its
/// processor.
const BASE_MAX: u32 = 512;

/// The same for up to some dozens of sockets, as long as an eighth of all chunks suffices for that: a
/// NAPI poll brings as many frames at most.
const BASE: u32 = 64;

/// The same for many sockets: the first flight of a TCP connection, and some.
const BASE_MIN: u32 = 16;

/// The chunks of a worker, shared among its sockets.
#[derive(Clone, Copy, Debug)]
pub(super) struct FillBudget {
    chunks: usize,
    sockets: usize,
    /// What each socket has, busy or not.
    base: u32,
    /// What all sockets together have at most, those apart that are below the base.
    ceiling: usize,
}

impl FillBudget {
    /// For this many chunks and sockets.
    pub(super) fn new(chunks: usize, sockets: usize) -> Self {
        let suffices = sockets * BASE as usize <= chunks / 8;
        let base_min = if suffices { BASE } else { BASE_MIN };
        let share = u32::try_from(chunks / 24 / sockets.max(1)).unwrap_or(u32::MAX);
        let base = share.clamp(base_min, BASE_MAX);
        let ceiling = (sockets * base as usize + chunks * 3 / 8).min(chunks * 7 / 8);
        Self { chunks, sockets, base, ceiling }
    }

    /// What a socket is to have at first.
    pub(super) const fn base(&self) -> u32 {
        self.base
    }

    /// What a socket is to have that had `target` when there were fewer sockets: no more than its
    /// equal share, until it needs more again.
    pub(super) fn fair(&self, target: u32) -> u32 {
        let share = u32::try_from(self.chunks * 3 / 8 / self.sockets.max(1)).unwrap_or(u32::MAX);
        target.min(share).max(self.base)
    }

    /// What a busy socket with `target` is to have instead: up to twice as many, as long as other
    /// sockets can still grow.  `lent` is what all sockets have now.
    pub(super) fn grown(&self, target: u32, lent: usize) -> u32 {
        let room = self.ceiling.saturating_sub(lent);
        let is_large = target as usize >= self.chunks / 32;
        if is_large && room < self.chunks / 8 {
            return target;
        }
        let step = u32::try_from(room / 2).unwrap_or(u32::MAX).min(target);
        target.saturating_add(step)
    }

    /// How many chunks a socket may get that has `receiving` of `target`, when all sockets have
    /// `lent` and `free` are nobody's.
    pub(super) fn lendable(&self, receiving: u32, target: u32, lent: usize, free: usize) -> u32 {
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let base = self.base.saturating_sub(receiving);
        let base = base.min(narrow(free.saturating_sub(self.chunks / 16)));
        let more = target.saturating_sub(receiving.max(self.base));
        let room = self.ceiling.saturating_sub(lent).min(free.saturating_sub(self.chunks / 8));
        base + more.min(narrow(room).saturating_sub(base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKS: usize = 16384;

    /// Sockets that come one by one, each at once as busy as can be.
    fn greedy(sockets: usize) -> (Vec<u32>, usize) {
        let mut has: Vec<u32> = Vec::new();
        for count in 1..=sockets {
            let budget = FillBudget::new(CHUNKS, count);
            has.push(0);
            let mut target = budget.base();
            for _ in 0..20 {
                let lent: usize = has.iter().map(|&chunks| chunks as usize).sum();
                let last = has.last_mut().unwrap();
                *last += budget.lendable(*last, target, lent, CHUNKS - lent);
                target = budget.grown(target, lent).min(4096);
            }
        }
        let lent = has.iter().map(|&chunks| chunks as usize).sum();
        (has, lent)
    }

    #[test]
    fn a_busy_socket_has_a_whole_ring_and_leaves_the_next_one_half() {
        assert_eq!(greedy(1).0, [4096]);
        let (has, _) = greedy(2);
        assert!(has[0] == 4096 && has[1] >= 2048, "{has:?}");
    }

    #[test]
    fn the_fewer_the_sockets_the_more_each_has_at_first() {
        let base = |sockets| FillBudget::new(CHUNKS, sockets).base();
        assert_eq!([1, 2, 4, 16, 32, 33, 512].map(base), [512, 341, 170, 64, 64, 20, 16]);
    }

    #[test]
    fn those_that_come_late_get_their_base_and_some_stays_free() {
        for sockets in [3, 12, 18, 40, 64, 128, 256, 400] {
            let (has, lent) = greedy(sockets);
            assert!(has.iter().all(|&chunks| chunks >= BASE_MIN), "{sockets}: {has:?}");
            assert!(lent <= CHUNKS * 15 / 16, "{sockets}: {lent}");
        }
    }

    #[test]
    fn past_the_bound_copies_still_have_chunks() {
        let (_, lent) = greedy(2000);
        assert!(lent <= CHUNKS * 15 / 16, "{lent}");
    }

    #[test]
    fn a_socket_shrinks_to_its_share_when_others_come() {
        let budget = FillBudget::new(CHUNKS, 40);
        assert_eq!(budget.fair(4096), 153);
        assert_eq!(budget.fair(8), 17);
        assert_eq!(FillBudget::new(CHUNKS, 500).fair(2048), 16);
    }
}
