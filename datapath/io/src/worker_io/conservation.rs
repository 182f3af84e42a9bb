//! Where the chunks of a worker are.

/// Where all chunks of a worker are.  `free + fill + rx + in_flight + tx + completion + retired ==
/// chunks` always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conservation {
    /// All of them.
    pub chunks: usize,
    /// In the free list.
    pub free: usize,
    /// In fill rings.
    pub fill: usize,
    /// Between there and the worker: with drivers, and in RX rings.
    pub rx: usize,
    /// Out as frames: with the worker, or segments of a super-frame that wait in a queue.
    pub in_flight: usize,
    /// Of those, the segments that wait.
    pub pending: usize,
    /// In TX rings.
    pub tx: usize,
    /// Between there and the worker: being sent, and in completion rings.
    pub completion: usize,
    /// With the kernel for queues that were taken out of service.
    pub retired: usize,
}

impl Conservation {
    /// The sum of all places, to be compared with `chunks`.
    #[must_use]
    pub const fn sum(&self) -> usize {
        self.free + self.fill + self.rx + self.in_flight + self.tx + self.completion + self.retired
    }
}
