//! Frames in plain memory: tests, fuzzing and benches without a kernel.
//!
//! Frames are boxes that go round between a free list, the receive queue of a link and what was
//! sent on a link; nothing is allocated per frame once as many exist as are in use at a time.

use crate::wait::Waiter;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use weft_switch::tunnel::HEADROOM_BYTES;
use weft_switch::{BATCH_MAX, FrameBuf, FrameIo, LinkId};

/// Bytes of memory of one frame: headroom, frame and tailroom.
pub const FRAME_MEMORY_BYTES: usize = 2048;

/// Bytes of the longest frame.
pub const FRAME_BYTES_MAX: usize = FRAME_MEMORY_BYTES - HEADROOM_BYTES;

/// How often a back end with wired queues looks at them while it waits.
const WIRE_POLL: Duration = Duration::from_millis(1);

/// Not prepared by [`HeapIo::prepare`].
const NO_HOME: u16 = u16::MAX;

const HEADROOM: u16 = 192;
const _: () = assert!(HEADROOM as usize == HEADROOM_BYTES);

/// One frame in plain memory.  To be handed to `tx` or `free`, as any frame.
#[derive(Debug)]
pub struct HeapFrame {
    memory: Box<[u8; FRAME_MEMORY_BYTES]>,
    start: u16,
    len: u16,
    /// Where it comes back to, in bench mode: position of a queue, and its length as prepared.
    home: u16,
    home_len: u16,
}

impl HeapFrame {
    fn new() -> Self {
        let memory = Box::new([0; FRAME_MEMORY_BYTES]);
        Self { memory, start: HEADROOM, len: 0, home: NO_HOME, home_len: 0 }
    }

    fn fill(&mut self, bytes: &[u8]) -> bool {
        let Some(len) = u16::try_from(bytes.len()).ok() else { return false };
        let start = HEADROOM_BYTES;
        let Some(place) = self.memory.get_mut(start..start + bytes.len()) else { return false };
        place.copy_from_slice(bytes);
        (self.start, self.len, self.home) = (HEADROOM, len, NO_HOME);
        true
    }
}

impl FrameBuf for HeapFrame {
    #[inline]
    fn bytes(&self) -> &[u8] {
        let start = usize::from(self.start);
        self.memory.get(start..start + usize::from(self.len)).unwrap_or_default()
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let start = usize::from(self.start);
        self.memory.get_mut(start..start + usize::from(self.len)).unwrap_or_default()
    }

    #[inline]
    fn prepend(&mut self, len_bytes: usize) -> Option<&mut [u8]> {
        let grown = u16::try_from(len_bytes).ok()?;
        self.start = self.start.checked_sub(grown)?;
        self.len += grown;
        self.bytes_mut().get_mut(..len_bytes)
    }

    #[inline]
    fn trim_front(&mut self, len_bytes: usize) -> bool {
        let Ok(cut) = u16::try_from(len_bytes) else { return false };
        let Some(rest) = self.len.checked_sub(cut) else { return false };
        self.len = rest;
        self.start += cut;
        true
    }

    #[inline]
    fn truncate(&mut self, len_bytes: usize) {
        if let Ok(len) = u16::try_from(len_bytes) {
            self.len = self.len.min(len);
        }
    }

    #[inline]
    fn pad_to(&mut self, len_bytes: usize) -> bool {
        let old = usize::from(self.len);
        if len_bytes <= old {
            return true;
        }
        let start = usize::from(self.start);
        let Some(padding) =
            self.memory.get_mut(start + old..).and_then(|tail| tail.get_mut(..len_bytes - old))
        else {
            return false;
        };
        padding.fill(0);
        self.len = u16::try_from(len_bytes).unwrap_or(self.len);
        true
    }
}

/// The two directions of a wired queue, as the switch sees them.
#[derive(Debug, Default)]
struct Cable {
    to_switch: VecDeque<Vec<u8>>,
    from_switch: VecDeque<Vec<u8>>,
}

/// A queue of a [`HeapIo`].
#[derive(Debug, Default)]
pub struct HeapQueue {
    cable: Option<Arc<Mutex<Cable>>>,
}

impl HeapQueue {
    /// A queue that is fed with [`HeapIo::inject`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A queue with a host at its other end, for tests in which a worker thread has the back end.
    #[must_use]
    pub fn wired() -> (Self, HeapWire) {
        let cable = Arc::<Mutex<Cable>>::default();
        (Self { cable: Some(Arc::clone(&cable)) }, HeapWire(cable))
    }
}

/// The other end of [`HeapQueue::wired`].
#[derive(Clone, Debug)]
pub struct HeapWire(Arc<Mutex<Cable>>);

impl HeapWire {
    fn cable(&self) -> std::sync::MutexGuard<'_, Cable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a frame to the switch.
    pub fn send(&self, bytes: &[u8]) {
        self.cable().to_switch.push_back(bytes.to_vec());
    }

    /// The next frame that the switch sent.
    #[must_use]
    pub fn receive(&self) -> Option<Vec<u8>> {
        self.cable().from_switch.pop_front()
    }

    /// The next frame that the switch sends within `timeout`.
    #[must_use]
    pub fn receive_within(&self, timeout: Duration) -> Option<Vec<u8>> {
        let end = std::time::Instant::now() + timeout;
        loop {
            let frame = self.receive();
            if frame.is_some() || std::time::Instant::now() >= end {
                return frame;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

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

    /// Bench mode: sent frames are not kept, and a frame from [`HeapIo::prepare`] goes back to the
    /// receive queue it was prepared for, with its old start and length, when it was sent or freed.
    /// Bytes are not restored: good for everything that changes headers only in front of what was
    /// received.
    pub fn set_bench_mode(&mut self, on: bool) {
        self.discard = on;
    }

    /// Puts a frame into the receive queue at `position`, to come back there for ever in bench
    /// mode.  False as for [`HeapIo::inject`].
    pub fn prepare(&mut self, position: usize, bytes: &[u8]) -> bool {
        let Ok(home) = u16::try_from(position) else { return false };
        if position >= self.queues.len() {
            return false;
        }
        let Some(mut frame) = self.copy_from(bytes) else { return false };
        (frame.home, frame.home_len) = (home, frame.len);
        if let Some(serving) = self.queues.get_mut(position) {
            serving.received.push_back(frame);
            // So that no queue grows while it is measured.
            let frames = self.frames.saturating_sub(serving.received.len());
            serving.received.reserve(frames);
        }
        true
    }

    #[inline]
    fn recycle(&mut self, mut frame: HeapFrame) {
        match self.queues.get_mut(usize::from(frame.home)) {
            Some(serving) => {
                (frame.start, frame.len) = (HEADROOM, frame.home_len);
                serving.received.push_back(frame);
            }
            None => self.free.push(frame),
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
        for mut frame in serving.received.drain(..) {
            frame.home = NO_HOME;
            self.free.push(frame);
        }
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
        let Some(serving) = self.queues.get_mut(queue) else { return LinkId::default() };
        if let Some(cable) = &serving.queue.cable {
            let mut cable = cable.lock().unwrap_or_else(PoisonError::into_inner);
            while serving.received.len() < BATCH_MAX
                && let Some(bytes) = cable.to_switch.pop_front()
            {
                if let Some(mut frame) = self.free.pop() {
                    if frame.fill(&bytes) {
                        serving.received.push_back(frame);
                    } else {
                        self.free.push(frame);
                    }
                }
            }
        }
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
            self.recycle(frame);
        } else {
            port.sent.push_back(frame);
        }
        true
    }

    fn flush(&mut self) {
        for serving in &self.queues {
            let Some(cable) = &serving.queue.cable else { continue };
            let Some(port) = self.ports.get_mut(serving.link.index()) else { continue };
            let mut cable = cable.lock().unwrap_or_else(PoisonError::into_inner);
            for frame in port.sent.drain(..) {
                cable.from_switch.push_back(frame.bytes().to_vec());
                self.free.push(frame);
            }
        }
    }

    fn wait(&mut self, timeout: Duration) {
        let has_frames = |serving: &Serving| {
            let cabled = |cable: &Arc<Mutex<Cable>>| {
                !cable.lock().unwrap_or_else(PoisonError::into_inner).to_switch.is_empty()
            };
            !serving.received.is_empty() || serving.queue.cable.as_ref().is_some_and(cabled)
        };
        if self.queues.iter().any(has_frames) {
            return;
        }
        let wired = self.queues.iter().any(|serving| serving.queue.cable.is_some());
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

    fn part_with(&mut self, _frame: &HeapFrame) {
        self.frames -= 1;
    }

    fn adopt(&mut self, _frame: &HeapFrame) -> bool {
        self.frames += 1;
        true
    }

    #[inline]
    fn free(&mut self, frame: HeapFrame) {
        self.freed_frames += 1;
        self.recycle(frame);
    }
}

#[cfg(test)]
#[path = "heap_tests.rs"]
mod tests;
