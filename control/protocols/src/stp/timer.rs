//! A timer that counts up, as those of 802.1D-1998 section 8.5.6 do.

/// Runs or not; how far it came, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timer(Option<u32>);

impl Timer {
    /// Starts at `ms`.
    pub(super) const fn start(&mut self, ms: u32) {
        self.0 = Some(ms);
    }

    pub(super) const fn stop(&mut self) {
        self.0 = None;
    }

    pub(super) const fn is_running(self) -> bool {
        self.0.is_some()
    }

    /// How far it came; 0 when it does not run.
    pub(super) const fn value(self) -> u32 {
        match self.0 {
            Some(ms) => ms,
            None => 0,
        }
    }

    /// Lets time pass.  True, once, when the timer reaches `limit_ms`; it stops then.
    pub(super) fn advance(&mut self, ms: u32, limit_ms: u32) -> bool {
        let Some(value) = self.0 else { return false };
        let value = value.saturating_add(ms);
        let is_over = value >= limit_ms;
        self.0 = if is_over { None } else { Some(value) };
        is_over
    }
}
