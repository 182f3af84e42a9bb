//! So many a second and no more, port by port.

use crate::{PortId, Tick};

/// A limit for each port.  Ports cost memory once they are asked about.
#[derive(Debug)]
pub(crate) struct PerSecond {
    max: u16,
    /// How many in the second that is named, by port number.
    counts: Vec<(Tick, u16)>,
}

impl PerSecond {
    /// At most `max` a second.
    #[must_use]
    pub(crate) const fn new(max: u16) -> Self {
        Self { max, counts: Vec::new() }
    }

    /// True when one more would be within the limit of this second.
    #[must_use]
    pub(crate) fn would_admit(&self, port: PortId, now: Tick) -> bool {
        let count = self.counts.get(port.index());
        count.is_none_or(|(second, count)| *second != now || *count < self.max)
    }

    /// True when one more is within the limit of this second; it counts.
    pub(crate) fn admits(&mut self, port: PortId, now: Tick) -> bool {
        if self.counts.len() <= port.index() {
            self.counts.resize(port.index() + 1, (Tick(0), 0));
        }
        let Some((second, count)) = self.counts.get_mut(port.index()) else { return false };
        if *second != now {
            (*second, *count) = (now, 0);
        }
        let is_within = *count < self.max;
        *count += u16::from(is_within);
        is_within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_has_its_own_second() {
        let mut limit = PerSecond::new(2);
        let admitted = |limit: &mut PerSecond, port, now| {
            (0..5).filter(|_| limit.admits(PortId(port), Tick(now))).count()
        };
        assert_eq!(admitted(&mut limit, 3, 0), 2);
        assert_eq!(admitted(&mut limit, 3, 0), 0);
        assert_eq!(admitted(&mut limit, 0, 0), 2);
        assert!(!limit.would_admit(PortId(3), Tick(0)) && limit.would_admit(PortId(1), Tick(0)));
        assert!(limit.would_admit(PortId(3), Tick(1)));
        assert_eq!(admitted(&mut limit, 3, 1), 2);
    }
}
