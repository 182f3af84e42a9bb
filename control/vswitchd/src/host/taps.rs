//! Packet taps: while somebody listens on a bridge port (`tcpdump -i PORT`), its frames go where the
//! kernel's taps see them.
//!
//! `AF_XDP` passes by the taps in both directions.  So a port with a listener is served by packet
//! sockets meanwhile: what they send is seen by all taps, and what comes in is passed to the stack,
//! where taps and our own socket get it and the shield behind them keeps it from the host.
//!
//! The order of things loses nothing, and keeps frames in order: a socket that takes over is held until the one before it
//! is empty, and what comes in meanwhile waits there.  On the way in: shield, packet sockets, and only then is the
//! `AF_XDP` socket taken out of the program's map; when what it holds by then has been read, the packet sockets are.  On
//! the way back the `AF_XDP` socket is held, then put into the map; it is read when the packet sockets are empty, and
//! then these go.  More than a socket holds is lost if it comes within the few milliseconds that this takes: 2048 frames
//! with `AF_XDP`, about 8000 small ones with packet sockets.
//!
//! The TAP of a guest is served by a packet socket anyway, and its taps see all.
//!
//! Nothing tells of packet sockets unasked, so `/proc/net/packet` is read several times a second while
//! there are ports; the workers know nothing of that.  A socket on all devices (`-i any`) does not
//! count: it would slow every port down, for what may be of no port at all.

use crate::host::links::{Link, LinkError, Links};
use crate::host::threads::Threads;
use crate::plan::Held;
use crate::workers::Workers;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::time::{Duration, Instant};
use weft_io::{QueueWatch, packet_queue};

/// How often listeners are looked for.
const LOOK: Duration = Duration::from_millis(200);

/// A socket that takes over is held for so long at least: what the kernel had in its hands when the map was changed has
/// arrived by then.
const SETTLE: Duration = Duration::from_millis(2);

/// The protocol of a socket that sees all frames (`ETH_P_ALL`), as the kernel prints it.
const ALL_PROTOCOLS: &str = "0003";

/// What becomes of a port's frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TapState {
    /// Nobody listens, or nobody did at the last look: `AF_XDP`.
    #[default]
    Untapped,
    /// Somebody listens: packet sockets take over, when what `AF_XDP` holds has been read.
    Arriving(Instant),
    /// Somebody listens: packet sockets.
    Tapped,
    /// `AF_XDP` takes over again, when what the packet sockets hold has been read.
    Leaving(Instant),
    /// Somebody listens in vain: it did not work, and is tried again for the next listener.
    Refused,
}

/// How a link is tapped.
#[derive(Debug, Default)]
pub struct LinkTap {
    /// What becomes of its frames.
    pub state: TapState,
    /// The packet sockets that stand in for its `AF_XDP` sockets.
    pub watches: Vec<QueueWatch>,
    /// Frames that earlier packet sockets missed.
    pub missed_frames: u64,
}

/// Who listens.
#[derive(Debug, Default)]
pub struct Listeners {
    table: Option<File>,
    text: String,
}

impl Listeners {
    /// The devices, by number, that others than `own` (inodes) listen on.
    ///
    /// # Errors
    /// There is no procfs.
    fn look(&mut self, own: &BTreeSet<u64>) -> io::Result<BTreeSet<u32>> {
        let table = match &mut self.table {
            Some(table) => table,
            table => table.insert(File::open("/proc/thread-self/net/packet")?),
        };
        self.text.clear();
        table.rewind()?;
        table.read_to_string(&mut self.text)?;
        Ok(listened(&self.text, own))
    }
}

/// Reads the kernel's table: `sk RefCnt Type Proto Iface R Rmem User Inode`.
fn listened(table: &str, own: &BTreeSet<u64>) -> BTreeSet<u32> {
    let device = |line: &str| {
        let mut words = line.split_whitespace().skip(3);
        let (protocol, device) = (words.next()?, words.next()?.parse().ok()?);
        let inode: u64 = words.nth(3)?.parse().ok()?;
        let counts = protocol == ALL_PROTOCOLS && device != 0 && !own.contains(&inode);
        counts.then_some(device)
    };
    table.lines().skip(1).filter_map(device).collect()
}

impl Link {
    /// From now on the packet taps see its frames.
    fn tap(
        &mut self,
        name: &str,
        threads: &mut Threads,
        workers: &mut Workers,
    ) -> Result<(), LinkError> {
        if let Err(error) = self.stand_in(name, workers) {
            self.put_sockets_in(name);
            self.retire_stand_ins(threads, workers);
            return Err(error);
        }
        Ok(())
    }

    fn stand_in(&mut self, name: &str, workers: &Workers) -> Result<(), LinkError> {
        if let Some(attached) = &mut self.attached {
            attached.shield_host(name)?;
        }
        let holders: BTreeSet<_> = self.workers.iter().copied().collect();
        for worker in holders {
            // One of them receives what all queues get; each sends what its worker has.
            let queue = packet_queue(self.ifindex, name, self.tap.watches.is_empty())?;
            let watch = queue.watch();
            watch.hold();
            self.tap.watches.push(watch);
            workers.add_queue(usize::from(worker.0), self.id, queue.into())?;
        }
        let Some(attached) = &mut self.attached else { return Ok(()) };
        for queue in (0u32..).take(self.watches.len()) {
            attached.clear_socket(queue)?;
        }
        Ok(())
    }

    /// The program gives frames to `AF_XDP` again.
    fn put_sockets_in(&mut self, name: &str) {
        let Some(attached) = &mut self.attached else { return };
        for (queue, watch) in (0u32..).zip(&self.watches) {
            if let Some(Err(error)) = watch.with_socket(|socket| attached.set_socket(queue, socket))
            {
                tracing::error!("{name}: queue {queue}: {error}");
            }
        }
    }

    /// The packet sockets go, and the host's stack has no shield any more.
    fn retire_stand_ins(&mut self, threads: &mut Threads, workers: &mut Workers) {
        self.watches.iter().for_each(QueueWatch::release);
        self.tap.missed_frames += self.tap.missed_now();
        self.tap.watches.clear();
        threads.close_stand_ins(self.id, workers);
        if let Some(attached) = &mut self.attached {
            attached.unshield_host();
        }
    }

    /// Goes one step towards what the listeners want.
    fn follow(
        &mut self,
        name: &str,
        is_listened: bool,
        threads: &mut Threads,
        workers: &mut Workers,
    ) {
        let (done, next) = match (self.tap.state, is_listened) {
            (TapState::Untapped, true) => {
                tracing::info!("{name}: somebody listens: packet sockets in place of AF_XDP");
                (self.tap(name, threads, workers), TapState::Arriving(Instant::now()))
            }
            (TapState::Arriving(since), _) => {
                if since.elapsed() < SETTLE || has_waiting(&self.watches) {
                    return;
                }
                self.tap.watches.iter().for_each(QueueWatch::release);
                (Ok(()), TapState::Tapped)
            }
            (TapState::Tapped, false) => {
                self.watches.iter().for_each(QueueWatch::hold);
                self.put_sockets_in(name);
                (Ok(()), TapState::Leaving(Instant::now()))
            }
            (TapState::Leaving(since), _) => {
                // A worker that is late may still have to read.
                if since.elapsed() < SETTLE || has_waiting(&self.tap.watches) {
                    return;
                }
                tracing::info!("{name}: nobody listens any more: AF_XDP again");
                self.retire_stand_ins(threads, workers);
                (Ok(()), TapState::Untapped)
            }
            (TapState::Refused, false) => (Ok(()), TapState::Untapped),
            (TapState::Tapped | TapState::Refused, true) | (TapState::Untapped, false) => return,
        };
        self.tap.state = match done {
            Ok(()) => next,
            Err(error) => {
                tracing::warn!("{name}: listeners do not see its frames: {error}");
                TapState::Refused
            }
        };
    }
}

fn has_waiting(watches: &[QueueWatch]) -> bool {
    watches.iter().any(QueueWatch::has_waiting)
}

impl LinkTap {
    const fn is_switching(&self) -> bool {
        matches!(self.state, TapState::Arriving(_) | TapState::Leaving(_))
    }

    fn missed_now(&self) -> u64 {
        self.watches.iter().flat_map(QueueWatch::missed_frames).map(|(_, frames)| frames).sum()
    }

    /// Frames that packet sockets had no room for, ever.
    #[must_use]
    pub fn missed_frames(&self) -> u64 {
        self.missed_frames + self.missed_now()
    }
}

/// Who listens on ports, and when to look for that.
#[derive(Debug, Default)]
pub struct Taps {
    listeners: Listeners,
    looked_at: Option<Instant>,
}

impl Taps {
    /// When to look who listens next: soon while a socket takes over.  `None` while nobody could tap anything.
    #[must_use]
    pub fn due(&self, links: &Links) -> Option<Instant> {
        if !links.has_nic_ports() {
            return None;
        }
        let is_switching = links.iter().any(|(_, link)| link.tap.is_switching());
        let pause = if is_switching { SETTLE } else { LOOK };
        Some(self.looked_at.map_or_else(Instant::now, |at| at + pause))
    }

    /// Looks who listens on which port, and sees to it that they have something to hear.
    pub fn turn(&mut self, links: &mut Links, threads: &mut Threads, workers: &mut Workers) {
        let watches = links.iter().flat_map(|(_, link)| &link.tap.watches);
        let own = watches.filter_map(QueueWatch::packet_socket_inode).collect();
        match self.listeners.look(&own) {
            Ok(listened) => {
                for (name, link) in links.iter_mut() {
                    if link.held == Held::Port && !link.is_guest() {
                        let is_listened = listened.contains(&link.ifindex);
                        link.follow(name, is_listened, threads, workers);
                    }
                }
            }
            Err(error) => tracing::debug!("/proc/net/packet: {error}"),
        }
        self.looked_at = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_those_of_others_on_one_device() {
        let table = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n\
            0000000000000000 3      3    0003   7     1 0      0      100\n\
            0000000000000000 3      3    0003   8     1 0      0      101\n\
            0000000000000000 3      3    88cc   9     1 0      0      102\n\
            0000000000000000 3      3    0003   0     1 0      0      103\n\
            0000000000000000 3      2    0003   10    1 0      1000   104\n\
            cut off\n";
        let own = BTreeSet::from([101]);
        assert_eq!(listened(table, &own), BTreeSet::from([7, 10]));
        assert_eq!(listened("", &own), BTreeSet::new());
    }
}
