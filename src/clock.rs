//! The only door to the time.
//!
//! Wall time names things (entries, files); order comes from sequence numbers and waiting from the
//! monotonic clock, so a wall clock that jumps can mislead no decision.
#![expect(clippy::disallowed_methods, reason = "this module is the door the lint points to")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch, UTC.
pub type Micros = i64;

/// A source of wall time. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that stands where it is put; for tests.
    Manual(std::sync::Arc<std::sync::atomic::AtomicI64>),
}

impl Clock {
    /// A clock that shows `at` until [`Clock::set`] moves it.
    #[must_use]
    pub fn manual(at: Micros) -> Self {
        Clock::Manual(std::sync::Arc::new(std::sync::atomic::AtomicI64::new(at)))
    }

    /// Moves a manual clock; a system clock stays as it is.
    pub fn set(&self, at: Micros) {
        if let Clock::Manual(cell) = self {
            cell.store(at, std::sync::atomic::Ordering::SeqCst);
        }
    }

    /// The wall time now.
    #[must_use]
    pub fn now(&self) -> Micros {
        match self {
            Clock::System => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
                Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
            },
            Clock::Manual(cell) => cell.load(std::sync::atomic::Ordering::SeqCst),
        }
    }
}

/// The monotonic time now, for measuring how long something takes.
#[must_use]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Sleeps the calling thread.
pub fn sleep(how_long: Duration) {
    std::thread::sleep(how_long);
}

/// Writes `at` as `2026-11-21T10:01:22.123456Z`: UTC, always 27 bytes for years 0000–9999.
#[must_use]
pub fn rfc3339(at: Micros) -> String {
    let date = Date::of(at);
    let in_day = at.rem_euclid(86_400_000_000);
    let (second, micro) = (in_day / 1_000_000, in_day % 1_000_000);
    format!("{date}T{:02}:{:02}:{:02}.{micro:06}Z", second / 3600, second / 60 % 60, second % 60)
}

/// A UTC calendar date, in the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: i64,
    month: u8,
    day: u8,
}

impl Date {
    /// The date on which `at` falls in UTC.
    /// Algorithm: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    #[must_use]
    pub fn of(at: Micros) -> Self {
        let days = at.div_euclid(86_400_000_000) + 719_468;
        let era = days.div_euclid(146_097);
        let doe = days.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        Date { year, month: month as u8, day: day as u8 }
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_known_instants() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(951_827_696_123_456), "2000-02-29T12:34:56.123456Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999Z");
    }

    proptest! {
        #[test]
        fn agrees_with_jiff(at in 0i64..4_102_444_800_000_000) {
            let theirs = jiff::Timestamp::from_microsecond(at).unwrap();
            prop_assert_eq!(rfc3339(at).parse::<jiff::Timestamp>().unwrap(), theirs);
        }
    }
}
