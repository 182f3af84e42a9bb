//! Points in time, as whoever drives a bridge says them.

/// A point in time: milliseconds since a start that is the same for all that a bridge is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Time(pub u64);

impl Time {
    /// The point in time some seconds later.
    #[must_use]
    pub const fn after_secs(self, secs: u16) -> Self {
        // `From` is not const.
        Self(self.0.saturating_add(secs as u64 * 1000))
    }

    /// The point in time some milliseconds later.
    #[must_use]
    pub const fn after_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds since an earlier point in time; 0 if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
