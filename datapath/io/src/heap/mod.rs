//! Frames in plain memory: tests, fuzzing and benches without a kernel.
//!
//! Frames are boxes that go round between a free list, the receive queue of a link and what was
//! sent on a link; nothing is allocated per frame once as many exist as are in use at a time.

mod frame;
mod queue;

pub use frame::{FRAME_BYTES_MAX, HeapFrame};
pub use queue::{HeapQueue, HeapWire};

use crate::wait::Waiter;
use queue::Feed;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::Duration;
use weft_switch::{BATCH_MAX, FrameBuf, FrameIo, LinkId};

/// How often a back end with wired queues looks at them while it waits.
const WIRE_POLL: Duration = Duration::from_millis(1);

struct Serving {
    link: LinkId,
    queue: HeapQueue,
    received: VecDeque<HeapFrame>,
}

/// What was sent on a link, and how much may be.
#[derive(Default)]
struct Port {
    queues: u16,
    sent: VecDeque<HeapFrame>,
    /// Frames that may be sent until the next [`HeapIo::set_tx_room`].
    room: Option<usize>,
    sent_frames: u64,
}

/// Frames in and out of plain memory.
pub struct HeapIo {
    queues: Vec<Serving>,
    ports: Vec<Port>,
    free: Vec<HeapFrame>,
    /// Frames that exist.
    frames: usize,
    /// Which memory they are of.
    memory: u16,
    waiter: Option<Waiter>,
    discard: bool,
    freed_frames: u64,
}

impl HeapIo {
    /// A back end with this many frames and no queues.
    #[must_use]
    pub fn new(frames: usize) -> Self {
        Self {
            queues: Vec::new(),
            ports: Vec::new(),
            free: std::iter::repeat_with(HeapFrame::new).take(frames).collect(),
            frames,
            memory: 0,
            waiter: None,
            discard: false,
            freed_frames: 0,
        }
    }

    /// The same, woken from `wait` by `waker`.
    #[must_use]
    pub fn with_waker(frames: usize, waker: OwnedFd) -> Self {
        Self { waiter: Some(Waiter::new(waker)), ..Self::new(frames) }
    }

    /// The same with frames of other memory: another back end takes them over only when it has the same.  All have
    /// 0 unless told.
    #[must_use]
    pub fn with_memory(mut self, memory: u16) -> Self {
        self.memory = memory;
        self.free.iter_mut().for_each(|frame| frame.memory = memory);
        self
    }

    /// Adds a queue for each of `links` links, numbered from 0.
    #[must_use]
    pub fn with_links(mut self, links: u16) -> Self {
        for link in 0..links {
            self.add_queue(LinkId(link), HeapQueue::new());
        }
        self
    }

    /// Lets a frame arrive on the first queue of `link`.  False when there is no such queue, no
    /// free frame, or the frame is too long.
    pub fn inject(&mut self, link: LinkId, bytes: &[u8]) -> bool {
        let Some(position) = self.queues.iter().position(|serving| serving.link == link) else {
            return false;
        };
        let Some(frame) = self.copy_from(bytes) else { return false };
        if let Some(serving) = self.queues.get_mut(position) {
            serving.received.push_back(frame);
        }
        true
    }

    /// The next frame that was sent on `link`, oldest first; its memory is free again.
    pub fn take_sent(&mut self, link: LinkId) -> Option<Vec<u8>> {
        let frame = self.ports.get_mut(link.index())?.sent.pop_front()?;
        let bytes = frame.bytes().to_vec();
        self.free.push(frame);
        Some(bytes)
    }

    /// All frames that were sent on `link`, oldest first.
    pub fn take_all_sent(&mut self, link: LinkId) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.take_sent(link)).collect()
    }

    /// Frames that were sent on `link` so far.
    #[must_use]
    pub fn sent_frames(&self, link: LinkId) -> u64 {
        self.ports.get(link.index()).map_or(0, |port| port.sent_frames)
    }

    /// Frames that came back through `free` so far.
    #[must_use]
    pub const fn freed_frames(&self) -> u64 {
        self.freed_frames
    }

    /// Takes this many more frames for sending on `link`, then its ring is full; `None` takes all.
    pub fn set_tx_room(&mut self, link: LinkId, room: Option<usize>) {
        if let Some(port) = self.ports.get_mut(link.index()) {
            port.room = room;
        }
    }

    /// Frames in the free list, in receive queues, and sent but not taken.  With those that the
    /// caller holds they make up [`HeapIo::frame_count`].
    #[must_use]
    pub fn idle_frames(&self) -> usize {
        let received: usize = self.queues.iter().map(|serving| serving.received.len()).sum();
        let sent: usize = self.ports.iter().map(|port| port.sent.len()).sum();
        self.free.len() + received + sent
    }

    /// Frames that exist.
    #[must_use]
    pub const fn frame_count(&self) -> usize {
        self.frames
    }

    /// Bench mode: the memory of sent frames is free at once.
    pub fn set_bench_mode(&mut self, on: bool) {
        self.discard = on;
    }

    /// Lets received frames of a queue come in, as far as a batch has room.
    #[inline]
    fn feed(&mut self, queue: usize) {
        let Some(Serving { queue, received, .. }) = self.queues.get_mut(queue) else { return };
        match &mut queue.feed {
            Feed::Injected => {}
            Feed::Wire(_) => {
                let Some(mut cable) = queue.cable() else { return };
                while received.len() < BATCH_MAX
                    && let Some(bytes) = cable.to_switch.pop_front()
                {
                    receive(&mut self.free, received, &bytes);
                }
            }
            Feed::Source(frames, next) => {
                for _ in received.len()..BATCH_MAX {
                    let Some(bytes) = frames.get(*next) else { break };
                    receive(&mut self.free, received, bytes);
                    *next = if *next + 1 < frames.len() { *next + 1 } else { 0 };
                }
            }
        }
    }
}

/// A frame comes in, if there is memory for it and it is not too long.
#[inline]
fn receive(free: &mut Vec<HeapFrame>, received: &mut VecDeque<HeapFrame>, bytes: &[u8]) {
    if let Some(mut frame) = free.pop() {
        if frame.fill(bytes) {
            received.push_back(frame);
        } else {
            free.push(frame);
        }
    }
}

impl FrameIo for HeapIo {
    type Frame = HeapFrame;
    type Queue = HeapQueue;

    fn add_queue(&mut self, link: LinkId, queue: HeapQueue) {
        if self.ports.len() <= link.index() {
            self.ports.resize_with(link.index() + 1, Port::default);
        }
        if let Some(port) = self.ports.get_mut(link.index()) {
            port.queues += 1;
        }
        self.queues.push(Serving { link, queue, received: VecDeque::new() });
    }

    fn remove_queue(&mut self, link: LinkId) -> Option<HeapQueue> {
        let position = self.queues.iter().position(|serving| serving.link == link)?;
        let mut serving = self.queues.remove(position);
        self.free.extend(serving.received.drain(..));
        if let Some(port) = self.ports.get_mut(link.index()) {
            port.queues -= 1;
        }
        Some(serving.queue)
    }

    fn reclaim(&mut self) {}

    fn queue_count(&self) -> usize {
        self.queues.len()
    }

    #[inline]
    fn rx(&mut self, queue: usize, frames: &mut Vec<HeapFrame>) -> LinkId {
        self.feed(queue);
        let Some(serving) = self.queues.get_mut(queue) else { return LinkId::default() };
        let count = serving.received.len().min(BATCH_MAX);
        frames.extend(serving.received.drain(..count));
        serving.link
    }

    fn has_link(&self, link: LinkId) -> bool {
        self.ports.get(link.index()).is_some_and(|port| port.queues > 0)
    }

    #[inline]
    fn tx(&mut self, link: LinkId, frame: HeapFrame) -> bool {
        let Some(port) = self.ports.get_mut(link.index()).filter(|port| port.queues > 0) else {
            self.free(frame);
            return false;
        };
        if let Some(room) = &mut port.room {
            let Some(left) = room.checked_sub(1) else {
                self.free(frame);
                return false;
            };
            *room = left;
        }
        port.sent_frames += 1;
        if self.discard {
            self.free.push(frame);
        } else {
            port.sent.push_back(frame);
        }
        true
    }

    fn flush(&mut self) {
        for serving in &self.queues {
            let Some(mut cable) = serving.queue.cable() else { continue };
            let Some(port) = self.ports.get_mut(serving.link.index()) else { continue };
            for frame in port.sent.drain(..) {
                cable.from_switch.push_back(frame.bytes().to_vec());
                self.free.push(frame);
            }
        }
    }

    fn wait(&mut self, timeout: Duration) {
        let has_frames = |serving: &Serving| {
            let is_source = matches!(serving.queue.feed, Feed::Source(..));
            let has_wired = || serving.queue.cable().is_some_and(|it| !it.to_switch.is_empty());
            is_source || !serving.received.is_empty() || has_wired()
        };
        if self.queues.iter().any(has_frames) {
            return;
        }
        let wired = self.queues.iter().any(|serving| matches!(serving.queue.feed, Feed::Wire(_)));
        let timeout = if wired { timeout.min(WIRE_POLL) } else { timeout };
        match &mut self.waiter {
            Some(waiter) => waiter.wait(std::iter::empty(), timeout, |_| {}),
            None => std::thread::sleep(timeout),
        }
    }

    #[inline]
    fn copy_from(&mut self, bytes: &[u8]) -> Option<HeapFrame> {
        let mut frame = self.free.pop()?;
        if frame.fill(bytes) {
            return Some(frame);
        }
        self.free.push(frame);
        None
    }

    #[inline]
    fn part_with(&mut self, _frame: &HeapFrame) {
        self.frames -= 1;
    }

    #[inline]
    fn adopt(&mut self, frame: &HeapFrame) -> bool {
        let is_ours = frame.memory == self.memory;
        self.frames += usize::from(is_ours);
        is_ours
    }

    #[inline]
    fn free(&mut self, frame: HeapFrame) {
        self.freed_frames += 1;
        self.free.push(frame);
    }
}

#[cfg(test)]
mod tests;
