//! Which worker has which link: those that talk to each other together, and none has much more to do than
//! another.  Pure.

use std::collections::{BTreeMap, BTreeSet};
use weft_switch::{LinkId, WorkerId};
use weft_worker::Talk;

/// Fewer frames than these in four seconds are no reason to move anything.
const FRAMES_MIN: u64 = 4000;

/// What a frame costs its worker from end to end; what it costs the one that receives it when another sends
/// it, and that one.  In halves of what receiving or sending alone costs, more or less.
const LOCAL: u64 = 4;
const HANDED_OVER: u64 = 5;
const TAKEN_OVER: u64 = 3;

/// A part of what there is, as a fraction.
const QUARTER: u64 = 4;

/// Where links are: those that one worker alone has.
pub type Places = BTreeMap<LinkId, WorkerId>;

/// What workers would have to do.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    /// The one that has most.
    most: u64,
    /// Frames that one receives and another sends.
    handed_over: u64,
}

/// The links that are to move, and where to.  Unless `is_asked_for`, only when much is won: a quarter of the work of
/// the worker that has most, or half of what is handed over.
#[must_use]
pub fn moves(talks: &[Talk], at: &Places, workers: usize, is_asked_for: bool) -> Places {
    let frames: u64 = talks.iter().map(|talk| talk.frames).sum();
    if workers < 2 || (frames < FRAMES_MIN && !is_asked_for) {
        return Places::new();
    }
    let next = deal(clusters(talks, at, workers), at, workers);
    let (now, then) = (cost(talks, at, workers), cost(talks, &next, workers));
    let lightens = then.most <= now.most - now.most / QUARTER;
    let joins = then.most <= now.most
        && now.handed_over > frames / QUARTER / 2
        && then.handed_over <= now.handed_over / 2;
    let is_better = (then.most, then.handed_over) < (now.most, now.handed_over);
    if !(lightens || joins || (is_asked_for && is_better)) {
        return Places::new();
    }
    next.into_iter().filter(|(link, worker)| at.get(link) != Some(worker)).collect()
}

/// What it costs when links are `at` these places.  A link that several workers have costs each the same.
fn cost(talks: &[Talk], at: &Places, workers: usize) -> Cost {
    let mut work = vec![0; workers];
    let mut handed_over = 0;
    let mut add = |worker: Option<&WorkerId>, cost: u64| {
        if let Some(work) = worker.and_then(|worker| work.get_mut(worker.index())) {
            *work += cost;
        }
    };
    for Talk { from, to, frames } in talks {
        match (at.get(from), at.get(to)) {
            (Some(from), Some(to)) if from != to => {
                add(Some(from), frames * HANDED_OVER);
                add(Some(to), frames * TAKEN_OVER);
                handed_over += frames;
            }
            (Some(worker), _) => add(Some(worker), frames * LOCAL),
            (None, to) => add(to, frames * TAKEN_OVER),
        }
    }
    Cost { most: work.into_iter().max().unwrap_or(0), handed_over }
}

/// Links that belong together, and how much they have to do.
#[derive(Clone, Debug, Default)]
struct Cluster {
    links: BTreeSet<LinkId>,
    load: u64,
}

/// Joins the links that talk most to each other, as long as no cluster has more to do than a worker's equal part, or
/// than the busiest pair.
fn clusters(talks: &[Talk], at: &Places, workers: usize) -> Vec<Cluster> {
    let mut load: BTreeMap<LinkId, u64> = BTreeMap::new();
    let mut pairs: BTreeMap<(LinkId, LinkId), u64> = BTreeMap::new();
    for Talk { from, to, frames } in talks {
        for link in [from, to].into_iter().filter(|link| at.contains_key(link)) {
            *load.entry(*link).or_default() += frames;
        }
        if at.contains_key(from) && at.contains_key(to) && from != to {
            *pairs.entry((*from.min(to), *from.max(to))).or_default() += frames;
        }
    }
    let of = |link: &LinkId| load.get(link).copied().unwrap_or(0);
    let share = load.values().sum::<u64>() / workers as u64;
    let busiest = pairs.iter().max_by_key(|(_, frames)| **frames);
    let most = busiest.map_or(0, |((a, b), _)| of(a) + of(b)).max(share);
    let mut clusters: Vec<Cluster> = load
        .iter()
        .map(|(link, load)| Cluster { links: BTreeSet::from([*link]), load: *load })
        .collect();
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_by_key(|(pair, frames)| (std::cmp::Reverse(*frames), *pair));
    for ((a, b), _) in pairs {
        join(&mut clusters, a, b, most);
    }
    clusters
}

/// Makes one cluster of those of two links, unless it would have more to do than `most`.
fn join(clusters: &mut Vec<Cluster>, a: LinkId, b: LinkId, most: u64) {
    let place = |link| clusters.iter().position(|cluster| cluster.links.contains(&link));
    let (Some(first), Some(second)) = (place(a), place(b)) else { return };
    let load = |place: usize| clusters.get(place).map_or(0, |cluster| cluster.load);
    if first == second || load(first) + load(second) > most {
        return;
    }
    let gone = clusters.swap_remove(first.max(second));
    if let Some(cluster) = clusters.get_mut(first.min(second)) {
        cluster.links.extend(gone.links);
        cluster.load += gone.load;
    }
}

/// Gives each cluster to the worker that has least to do, the largest first; to one that has little more if most of it
/// is there already.  Links that have nothing to do stay.
fn deal(mut clusters: Vec<Cluster>, at: &Places, workers: usize) -> Places {
    clusters.sort_by_key(|cluster| std::cmp::Reverse(cluster.load));
    let mut loads = vec![0; workers];
    let mut next = at.clone();
    for cluster in clusters {
        let least = loads.iter().copied().min().unwrap_or(0) + cluster.load / QUARTER;
        let is_at = |worker: usize| {
            let there = |link: &&LinkId| at.get(link).is_some_and(|at| at.index() == worker);
            cluster.links.iter().filter(there).count()
        };
        let candidates = loads.iter().enumerate().filter(|(_, load)| **load <= least);
        let best = candidates.max_by_key(|(worker, load)| {
            (is_at(*worker), std::cmp::Reverse(**load), std::cmp::Reverse(*worker))
        });
        let Some((worker, _)) = best else { continue };
        let number = WorkerId(u16::try_from(worker).unwrap_or_default());
        next.extend(cluster.links.iter().map(|link| (*link, number)));
        if let Some(load) = loads.get_mut(worker) {
            *load += cluster.load;
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Links by number, each on the worker named.
    fn places(at: &[u16]) -> Places {
        (0u16..).zip(at).map(|(link, worker)| (LinkId(link), WorkerId(*worker))).collect()
    }

    /// Frames from one link to another, and a tenth of them back.
    fn talks(pairs: &[(u16, u16, u64)]) -> Vec<Talk> {
        let both = |(from, to, frames): &(u16, u16, u64)| {
            let (from, to) = (LinkId(*from), LinkId(*to));
            [Talk { from, to, frames: *frames }, Talk { from: to, to: from, frames: frames / 10 }]
        };
        pairs.iter().flat_map(both).collect()
    }

    fn after(talks: &[Talk], at: &Places, workers: usize) -> Places {
        let mut next = at.clone();
        next.extend(moves(talks, at, workers, false));
        next
    }

    fn same(at: &Places, a: u16, b: u16) -> bool {
        at[&LinkId(a)] == at[&LinkId(b)]
    }

    #[test]
    fn two_pairs_that_were_torn_apart_come_together() {
        let (talks, at) = (talks(&[(0, 1, 100_000), (2, 3, 90_000)]), places(&[0, 1, 0, 1]));
        let next = after(&talks, &at, 2);
        assert!(same(&next, 0, 1) && same(&next, 2, 3) && !same(&next, 0, 2), "{next:?}");
        assert_eq!(moves(&talks, &at, 2, false).len(), 2, "no more than needed");
        assert_eq!(moves(&talks, &next, 2, false), Places::new(), "they stay");
    }

    #[test]
    fn a_single_pair_is_on_one_worker() {
        let talks = talks(&[(0, 1, 100_000)]);
        let next = after(&talks, &places(&[0, 1, 0, 1]), 2);
        assert!(same(&next, 0, 1));
        assert_eq!(moves(&talks, &next, 2, false), Places::new());
    }

    #[test]
    fn what_one_worker_has_is_shared() {
        let pairs: Vec<_> = (0..4).map(|pair| (2 * pair, 2 * pair + 1, 50_000)).collect();
        let next = after(&talks(&pairs), &places(&[0; 8]), 2);
        assert!((0..4).all(|pair| same(&next, 2 * pair, 2 * pair + 1)), "{next:?}");
        assert_eq!(next.values().filter(|worker| worker.0 == 0).count(), 4, "{next:?}");
    }

    /// All its frames come in at one worker, wherever they leave.
    #[test]
    fn an_uplink_keeps_its_guests() {
        let pairs: Vec<_> = (1..=6).map(|guest| (0, guest, 10_000)).collect();
        assert_eq!(moves(&talks(&pairs), &places(&[0; 7]), 2, false), Places::new());
    }

    #[test]
    fn little_traffic_and_little_gain_move_nothing() {
        let at = places(&[0, 1, 0, 1]);
        assert_eq!(moves(&talks(&[(0, 1, 1000)]), &at, 2, false), Places::new());
        assert_eq!(moves(&talks(&[(0, 1, 1000)]), &at, 2, true).len(), 1, "unless asked for");
        let together = places(&[0, 0, 1, 1]);
        let uneven = talks(&[(0, 1, 100_000), (2, 3, 70_000)]);
        assert_eq!(moves(&uneven, &together, 2, false), Places::new());
        assert_eq!(moves(&uneven, &at, 1, true), Places::new(), "there is but one");
    }

    /// Whatever comes, a second look moves nothing more.
    #[test]
    fn it_comes_to_rest() {
        let mut state = 1u64;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for round in 0..500 {
            let workers = 2 + usize::try_from(random(3)).unwrap();
            let at: Vec<u16> =
                (0..12).map(|_| u16::try_from(random(workers as u64)).unwrap()).collect();
            let mut link = || u16::try_from(random(12)).unwrap();
            let pairs: Vec<_> = (0..10).map(|pair| (link(), link(), 1000 * (pair + 1))).collect();
            let (talks, mut at) = (talks(&pairs), places(&at));
            for _ in 0..4 {
                at = after(&talks, &at, workers);
            }
            assert_eq!(moves(&talks, &at, workers, false), Places::new(), "round {round}");
        }
    }
}
