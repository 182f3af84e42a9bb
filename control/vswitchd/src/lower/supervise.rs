//! Puts a new worker in the place of one that is lost.
//!
//! A thread cannot be ended from outside without leaving what it holds in no state at all.  So one that
//! hangs is left alone: a new one takes its place, TAPs go over to that one at once (both read the same
//! file), and NICs have an error until the old thread moves on, ends and so closes its sockets.

use crate::host::Host;
use crate::lower::Lower;
use crate::netlink::kernel::Changes;
use crate::plan::Held;
use crate::workers::Workers;
use weft_switch::WorkerId;

/// What became of workers that were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// How many have a successor, which knows nothing yet.
    pub workers: u64,
    /// Some were lost, with a successor or without.
    pub has_lost: bool,
    /// Links are to be opened again.
    pub has_closed_links: bool,
}

/// Puts a new worker in the place of each that has ended or hangs.
pub fn replace_lost(lower: &mut Lower, host: &mut Host) -> Replaced {
    let lost = lower.workers.lost();
    let mut replaced = Replaced { has_lost: !lost.is_empty(), ..Replaced::default() };
    for (id, what) in &lost {
        tracing::error!("worker {} {what}: a new one takes its place", id.0);
        let before = lower.workers.hanging();
        if let Err(error) = lower.workers.replace(*id) {
            tracing::error!("worker {}: {error}: trying again", id.0);
            continue;
        }
        replaced.workers += 1;
        lower.workers.install_on(*id, &lower.snapshot);
        let is_hanging = lower.workers.hanging() > before;
        move_links(*id, is_hanging, host, &mut lower.workers);
    }
    let is_free = lower.workers.bury();
    if is_free {
        tracing::info!("a worker that hung has ended: its links are opened again");
        if lower.workers.hanging() == 0 {
            host.forget_stuck();
        }
        host.failures.retry_now();
    }
    replaced.has_closed_links = is_free || replaced.has_lost;
    replaced
}

/// Gives the links of a worker that was replaced to the new one.
fn move_links(id: WorkerId, is_hanging: bool, host: &mut Host, workers: &mut Workers) {
    let theirs = host.links.iter().filter(|(_, link)| link.workers.contains(&id));
    let names: Vec<_> = theirs.map(|(name, link)| (name.clone(), link.ifindex)).collect();
    for (name, ifindex) in names {
        let Some(link) = host.links.get(&name) else { continue };
        if let (Held::Tap, Some(tap)) = (link.held, &link.tap_device) {
            let queue = tap.queue().into();
            if let Err(error) = workers.add_queue(id.index(), link.id, queue) {
                tracing::error!("{name}: {error}");
            }
            continue;
        }
        let leaving = host.links.leave(&name, false);
        host.threads.close(leaving, workers);
        if is_hanging {
            host.note_stuck(&name);
        }
        let device = (ifindex, name);
        host.note_devices(Changes { devices: [device].into(), ..Changes::default() });
    }
}
