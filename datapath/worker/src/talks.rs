//! Which links send to which, and how much: what control needs to put links that talk to each other
//! on one worker.

use weft_switch::LinkId;

/// Pairs that a worker keeps count of, at most; a power of two.  Of more, the busy ones stay.
const PAIRS_MAX: usize = 512;

/// Places where a pair may be.
const PROBES: usize = 4;

/// How much one link sent to another lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Talk {
    /// Frames came in here,
    pub from: LinkId,
    /// and left there.
    pub to: LinkId,
    /// About so many in the last four seconds.
    pub frames: u64,
}

/// The pairs of one worker.  Each batch counts for the link that its first frame leaves by.
pub(crate) struct Talks {
    pairs: Box<[Talk]>,
    from: LinkId,
    /// Frames of the batch in hand, until one of them leaves.
    frames: usize,
}

impl Talks {
    pub(crate) fn new() -> Self {
        let pairs = vec![Talk::default(); PAIRS_MAX].into();
        Self { pairs, from: LinkId(0), frames: 0 }
    }

    /// So many frames came in.
    #[inline]
    pub(crate) const fn received(&mut self, from: LinkId, frames: usize) {
        (self.from, self.frames) = (from, frames);
    }

    /// One of them leaves.
    #[inline]
    pub(crate) fn sent(&mut self, to: LinkId) {
        if self.frames > 0 {
            self.note(to);
        }
    }

    fn note(&mut self, to: LinkId) {
        let frames = std::mem::take(&mut self.frames) as u64;
        let from = self.from;
        let first = from.index().wrapping_mul(31).wrapping_add(to.index()) % PAIRS_MAX;
        let places = (0..PROBES).map(|probe| (first + probe) % PAIRS_MAX);
        let count = |place: usize| self.pairs.get(place).map_or(0, |talk| talk.frames);
        let is_it = |place: usize| {
            let talk = self.pairs.get(place);
            talk.is_some_and(|talk| talk.frames > 0 && (talk.from, talk.to) == (from, to))
        };
        let known = places.clone().find(|place| is_it(*place));
        let place = known.or_else(|| places.min_by_key(|place| count(*place))).unwrap_or(first);
        if let Some(talk) = self.pairs.get_mut(place) {
            // Who takes another's place takes over its count no more than its place.
            let before = if known.is_some() { talk.frames } else { 0 };
            *talk = Talk { from, to, frames: before + frames };
        }
    }

    /// A second has passed.
    pub(crate) fn age(&mut self) {
        for talk in &mut self.pairs {
            talk.frames -= talk.frames.div_ceil(4);
        }
    }

    /// Those that have anything to say.
    pub(crate) fn list(&self) -> Vec<Talk> {
        self.pairs.iter().filter(|talk| talk.frames > 0).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(talks: &mut Talks, from: u16, to: u16, frames: usize) {
        talks.received(LinkId(from), frames);
        talks.sent(LinkId(to));
        // Copies of a flood do not count again.
        talks.sent(LinkId(to + 1));
    }

    fn sorted(talks: &Talks) -> Vec<(u16, u16, u64)> {
        let mut list: Vec<_> =
            talks.list().iter().map(|talk| (talk.from.0, talk.to.0, talk.frames)).collect();
        list.sort_unstable();
        list
    }

    #[test]
    fn pairs_are_counted_by_direction_and_forgotten() {
        let mut talks = Talks::new();
        for _ in 0..3 {
            noted(&mut talks, 1, 2, 32);
            noted(&mut talks, 2, 1, 4);
        }
        talks.received(LinkId(5), 0);
        talks.sent(LinkId(6));
        assert_eq!(sorted(&talks), [(1, 2, 96), (2, 1, 12)]);
        talks.age();
        assert_eq!(sorted(&talks), [(1, 2, 72), (2, 1, 9)]);
        (0..20).for_each(|_| talks.age());
        assert_eq!(sorted(&talks), []);
    }

    #[test]
    fn busy_pairs_stay_among_many() {
        let mut talks = Talks::new();
        for round in 0..200u16 {
            noted(&mut talks, 7, 9, 32);
            (0..100).for_each(|other| noted(&mut talks, 100 + round, 1000 + 10 * other, 1));
        }
        assert!(talks.list().contains(&Talk { from: LinkId(7), to: LinkId(9), frames: 6400 }));
    }
}
