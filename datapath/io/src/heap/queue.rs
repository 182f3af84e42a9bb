//! Where the frames of a queue come from and go.

use super::frame::HeapFrame;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use weft_switch::FrameQueue;

/// The two directions of a wired queue, as the switch sees them.
#[derive(Debug, Default)]
pub(super) struct Cable {
    pub(super) to_switch: VecDeque<Vec<u8>>,
    pub(super) from_switch: VecDeque<Vec<u8>>,
}

/// Where received frames come from.
#[derive(Debug, Default)]
pub(super) enum Feed {
    /// From [`super::HeapIo::inject`].
    #[default]
    Injected,
    Wire(Arc<Mutex<Cable>>),
    /// The same ones for ever, and the number of the next.
    Source(Box<[Vec<u8>]>, usize),
}

/// A queue of a [`super::HeapIo`].
#[derive(Debug, Default)]
pub struct HeapQueue {
    pub(super) feed: Feed,
}

impl FrameQueue for HeapQueue {
    type Frame = HeapFrame;
}

impl HeapQueue {
    /// A queue that is fed with [`super::HeapIo::inject`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A queue with a host at its other end, for tests in which a worker thread has the back end.
    #[must_use]
    pub fn wired() -> (Self, HeapWire) {
        let cable = Arc::<Mutex<Cable>>::default();
        (Self { feed: Feed::Wire(Arc::clone(&cable)) }, HeapWire(cable))
    }

    /// A queue on which these frames come in over and over, as fast as they are taken and as long as there is
    /// memory for them; for benches.
    #[must_use]
    pub fn source(frames: Vec<Vec<u8>>) -> Self {
        Self { feed: Feed::Source(frames.into(), 0) }
    }

    /// Both directions of its wire, if it has one.
    pub(super) fn cable(&self) -> Option<MutexGuard<'_, Cable>> {
        match &self.feed {
            Feed::Wire(cable) => Some(lock(cable)),
            Feed::Injected | Feed::Source(..) => None,
        }
    }
}

fn lock(cable: &Mutex<Cable>) -> MutexGuard<'_, Cable> {
    cable.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The other end of [`HeapQueue::wired`].
#[derive(Clone, Debug)]
pub struct HeapWire(Arc<Mutex<Cable>>);

impl HeapWire {
    fn cable(&self) -> MutexGuard<'_, Cable> {
        lock(&self.0)
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
