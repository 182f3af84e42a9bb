//! Work for the kernel that mostly waits, done many at a time.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Threads for one batch, at most.
pub const THREADS_MAX: usize = 32;

/// Does `work` for each item, up to [`THREADS_MAX`] at a time; the results are in the order of the items.  `work` is
/// told how many are worked on at a time.
pub fn each<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T, usize) -> R + Sync) -> Vec<R> {
    let threads = items.len().min(THREADS_MAX);
    if threads <= 1 {
        return items.into_iter().map(|item| work(item, 1)).collect();
    }
    let waiting = Mutex::new(items.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let serve = || {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((place, item)) = next else { return };
            let result = work(item, threads);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Those that there are do the work of those that cannot be had.
            let _ = thread::Builder::new().name("weft-links".to_owned()).spawn_scoped(scope, serve);
        }
        serve();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn each_is_done_once_and_many_at_a_time() {
        assert!(each(Vec::<u8>::new(), |item, _| item).is_empty());
        // Nobody gets through before all have come.
        let barrier = Barrier::new(THREADS_MAX);
        let results = each((0..THREADS_MAX * 3).collect(), |item, at_once| {
            barrier.wait();
            (item * 2, at_once)
        });
        let expected: Vec<_> = (0..THREADS_MAX * 3).map(|item| (item * 2, THREADS_MAX)).collect();
        assert_eq!(results, expected);
    }
}
