//! Frames in and out, as the datapath asks for them.

use super::{NO_QUEUE, Queue, Serving, UNSENT_MIN, WorkerIo};
use crate::xsk::umem::Chunk;
use std::time::Duration;
use weft_switch::{DropReason, FrameIo, LinkId};

/// Notes that a queue of the host's stack is to be flushed.
pub(super) fn touch(serving: &mut Serving, place: u16, touched: &mut Vec<u16>) {
    if !std::mem::replace(&mut serving.touched, true) {
        touched.push(place);
    }
}

impl FrameIo for WorkerIo {
    type Frame = Chunk;
    type Queue = Queue;

    fn add_queue(&mut self, link: LinkId, mut queue: Queue) {
        if !queue.enter(&mut self.pool) {
            self.refused += 1;
            return;
        }
        let is_socket = matches!(queue, Queue::Xsk(_));
        if let (Some(readiness), Queue::Stack(queue)) = (&self.readiness, &queue) {
            readiness.add(queue.fd(), link);
        }
        self.queues.push(Serving { link, queue, failed: false, touched: false });
        if is_socket {
            self.rearrange();
        } else {
            self.arrange(self.queues.len() - 1);
            self.follow_many();
        }
    }

    fn remove_queue(&mut self, link: LinkId) -> Option<Queue> {
        self.take_out(|serving| serving.link == link, Queue::leave)
    }

    fn take_queue(&mut self, link: LinkId) -> Option<Queue> {
        self.take_out(|serving| serving.link == link, Queue::depart)
    }

    fn remove_stand_in(&mut self, link: LinkId) -> Option<Queue> {
        self.take_out(|it| it.link == link && it.queue.is_stand_in(), Queue::leave)
    }

    fn reclaim(&mut self) {
        self.pool.reclaim();
    }

    fn queue_count(&self) -> usize {
        self.queues.len()
    }

    fn ready(&mut self, list: &mut Vec<usize>) {
        let Some(readiness) = &self.readiness else {
            list.extend(0..self.queues.len());
            return;
        };
        let known = self.sockets.iter().chain(&self.failed).chain(&self.pending);
        list.extend(known.map(|place| usize::from(*place)));
        let mut failed = NO_QUEUE;
        readiness.look(|link, is_failed| {
            let place = self.links.get(link.index()).copied().unwrap_or(NO_QUEUE);
            list.push(usize::from(place));
            if is_failed {
                // If there are more, they are found next time.
                failed = place;
            }
        });
        self.fail(failed);
    }

    #[inline]
    fn rx(&mut self, queue: usize, frames: &mut Vec<Chunk>) -> LinkId {
        let Some(serving) = self.queues.get_mut(queue) else { return LinkId::default() };
        let before = frames.len();
        match &mut serving.queue {
            Queue::Xsk(queue) => queue.rx(&mut self.pool, frames),
            Queue::Stack(stack) => {
                stack.rx(&mut self.pool, &mut self.scratch, frames);
                let place = u16::try_from(queue).unwrap_or(NO_QUEUE);
                match (stack.has_pending(), self.pending.iter().position(|it| *it == place)) {
                    (true, None) => self.pending.push(place),
                    (false, Some(index)) => {
                        self.pending.swap_remove(index);
                    }
                    _ => {}
                }
                touch(serving, place, &mut self.touched);
            }
        }
        let link = serving.link;
        if frames.len() > before && serving.failed {
            self.recover(queue);
        }
        link
    }

    fn has_link(&self, link: LinkId) -> bool {
        self.links.get(link.index()).is_some_and(|&position| position != NO_QUEUE)
    }

    #[inline]
    fn tx(&mut self, link: LinkId, frame: Chunk) -> bool {
        let position = self.links.get(link.index()).copied().unwrap_or(NO_QUEUE);
        let Some(serving) = self.queues.get_mut(usize::from(position)) else {
            self.no_link += 1;
            self.refusal = DropReason::TxRing;
            self.pool.free(frame);
            return false;
        };
        let sent = match &mut serving.queue {
            Queue::Xsk(queue) => queue.tx(&mut self.pool, frame),
            Queue::Stack(queue) => {
                let sent = queue.tx(&mut self.pool, frame);
                touch(serving, position, &mut self.touched);
                sent
            }
        };
        if !sent {
            self.refusal = match &serving.queue {
                Queue::Xsk(queue) => queue.refusal(),
                Queue::Stack(queue) => queue.refusal(),
            };
            return false;
        }
        self.unsent += 1;
        true
    }

    fn refusal(&self) -> DropReason {
        self.refusal
    }

    fn flush(&mut self) {
        self.unsent = 0;
        for place in self.sockets.iter().copied().chain(self.touched.drain(..)) {
            let Some(serving) = self.queues.get_mut(usize::from(place)) else { continue };
            serving.touched = false;
            match &mut serving.queue {
                Queue::Xsk(queue) => queue.flush(&mut self.pool),
                Queue::Stack(queue) => queue.flush(&mut self.pool),
            }
        }
        if self.pool.has_retired() {
            self.pool.reclaim();
        }
    }

    fn wait(&mut self, timeout: Duration) {
        let timeout = self.settle(timeout);
        let mut failed = [NO_QUEUE; 8];
        let mut free = failed.iter_mut();
        let fd = |serving: &Serving| (!serving.failed).then(|| serving.queue.raw_fd());
        // More than eight at once: the others are found next time.
        if let Some(readiness) = &self.readiness {
            let sockets = self.sockets.iter().map(|place| self.queues.get(usize::from(*place)));
            let sockets = sockets.map(|serving| serving.and_then(fd));
            let fds = sockets.chain(std::iter::once(Some(readiness.raw_fd())));
            self.waiter.wait(fds, timeout, |index| {
                if let (Some(place), Some(entry)) = (self.sockets.get(index), free.next()) {
                    *entry = *place;
                }
            });
        } else {
            self.waiter.wait(self.queues.iter().map(fd), timeout, |position| {
                if let (Some(entry), Ok(position)) = (free.next(), u16::try_from(position)) {
                    *entry = position;
                }
            });
        }
        for place in failed.into_iter().filter(|place| *place != NO_QUEUE) {
            self.fail(place);
        }
    }

    #[inline]
    fn copy_from(&mut self, bytes: &[u8]) -> Option<Chunk> {
        if self.pool.free_chunks() == 0 && self.unsent >= UNSENT_MIN {
            // A flood to hundreds of ports: what was copied so far is sent, and comes back.
            self.flush();
        }
        self.pool.copy_from(bytes)
    }

    #[inline]
    fn part_with(&mut self, frame: &Chunk) {
        self.pool.part_with(frame);
    }

    #[inline]
    fn adopt(&mut self, frame: &Chunk) -> bool {
        self.pool.adopt(frame)
    }

    #[inline]
    fn free(&mut self, frame: Chunk) {
        self.pool.free(frame);
    }
}
