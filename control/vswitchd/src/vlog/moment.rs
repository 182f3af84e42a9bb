//! Times as log lines have them.

use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment in UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Since 1970.
    secs: u64,
    millis: u32,
    /// Year, month from 1, day from 1.
    date: (u64, u64, u64),
}

impl Moment {
    /// Now.
    pub(super) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::new(since.as_secs(), since.subsec_millis())
    }

    /// From seconds since 1970 (Howard Hinnant's civil-from-days algorithm).
    fn new(secs: u64, millis: u32) -> Self {
        let days = secs / 86_400 + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        Self { secs, millis, date: (year, month, day) }
    }

    fn clock(self) -> String {
        let secs = self.secs;
        format!("{:02}:{:02}:{:02}", secs / 3600 % 24, secs / 60 % 60, secs % 60)
    }

    /// As `2026-11-20T12:05:23.868Z`.
    pub(super) fn timestamp(self) -> String {
        let (year, month, day) = self.date;
        format!("{year:04}-{month:02}-{day:02}T{}.{:03}Z", self.clock(), self.millis)
    }

    /// As `Nov 20 12:05:23` (RFC 3164).
    pub(super) fn syslog_date(self) -> String {
        let (_, month, day) = self.date;
        let month = usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index));
        format!("{} {day:>2} {}", month.copied().unwrap_or_default(), self.clock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        let stamp = |secs, millis| Moment::new(secs, millis).timestamp();
        assert_eq!(stamp(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(stamp(951_782_400, 5), "2000-02-29T00:00:00.005Z");
        assert_eq!(stamp(1_795_176_323, 868), "2026-11-20T12:05:23.868Z");
        assert_eq!(Moment::new(1_795_176_323, 868).syslog_date(), "Nov 20 12:05:23");
        assert_eq!(Moment::new(951_868_800, 0).syslog_date(), "Mar  1 00:00:00");
    }
}
