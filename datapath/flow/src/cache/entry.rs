//! An outcome that is kept, and its use.

use super::Moment;
use super::masks::MaskId;
use crate::Key;
use crate::classifier::Bucket;

/// Packets that an entry stood for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// How many.
    pub packets: u64,
    /// Their lengths.
    pub bytes: u64,
    /// When the last one came, in milliseconds.
    pub last_ms: u64,
}

/// What a walk came to, for keys that agree in a mask, or for one.
#[derive(Debug)]
pub(super) struct Entry<P> {
    pub(super) program: P,
    /// That of the packet that was walked.
    pub(super) key: Key,
    /// `None`: it is for its key only.
    pub(super) mask: Option<MaskId>,
    buckets: Box<[Bucket]>,
    sum: u64,
    /// The last epoch at which the sum was right.
    epoch: u64,
    total: Use,
    reported: Use,
}

impl<P> Entry<P> {
    pub(super) fn new(program: P, key: Key, buckets: Box<[Bucket]>, at: Moment<'_>) -> Self {
        Self {
            program,
            key,
            mask: None,
            sum: at.epochs.sum(&buckets),
            epoch: at.epochs.now(),
            buckets,
            total: Use { last_ms: at.now_ms, ..Use::default() },
            reported: Use::default(),
        }
    }

    /// True when nothing that its walk visited has changed.
    #[inline]
    pub(super) fn is_fresh(&mut self, at: Moment<'_>) -> bool {
        if self.epoch == at.epochs.now() {
            return true;
        }
        let is_same = self.sum == at.epochs.sum(&self.buckets);
        if is_same {
            self.epoch = at.epochs.now();
        }
        is_same
    }

    /// Holds again: another walk came to the same.
    pub(super) fn renew(&mut self, buckets: Box<[Bucket]>, at: Moment<'_>) {
        self.sum = at.epochs.sum(&buckets);
        self.epoch = at.epochs.now();
        self.buckets = buckets;
    }

    /// Notes a packet.
    #[inline]
    pub(super) fn touch(&mut self, bytes: u32, now_ms: u64) {
        self.total.packets += 1;
        self.total.bytes += u64::from(bytes);
        self.total.last_ms = now_ms;
    }

    /// True when it stands for more than one key.
    pub(super) fn is_shared(&self) -> bool {
        self.mask.is_some()
    }

    pub(super) fn total(&self) -> Use {
        self.total
    }

    /// What was not reported yet.
    pub(super) fn unreported(&self) -> Use {
        Use {
            packets: self.total.packets - self.reported.packets,
            bytes: self.total.bytes - self.reported.bytes,
            last_ms: self.total.last_ms,
        }
    }

    pub(super) fn report(&mut self) -> Use {
        let unreported = self.unreported();
        self.reported = self.total;
        unreported
    }
}
