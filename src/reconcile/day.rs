//! A UTC day, and which ones OpenRouter still counts.

use crate::clock::{Date, Micros};

/// Length of a day: UTC as computers keep it has no other.
const DAY: Micros = 86_400_000_000;

/// Completed days that OpenRouter keeps a count of (API description of `/activity`).
pub(super) const KEPT: i64 = 30;

/// A UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

/// Why a text names no day that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not a date.
    #[error("not a day; expected YYYY-MM-DD, such as 2026-11-21")]
    Form,
    /// It has not ended.
    #[error("the day has not ended; name a completed UTC day")]
    NotEnded,
    /// It is too old.
    #[error("the day is too long ago; OpenRouter keeps the last {KEPT} completed UTC days")]
    TooOld,
}

impl Day {
    /// The day on which `at` falls.
    #[must_use]
    pub fn of(at: Micros) -> Self {
        Day(at.div_euclid(DAY))
    }

    /// Reads `YYYY-MM-DD`; nothing shorter, longer or impossible.
    ///
    /// # Errors
    /// [`Unfit::Form`].
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        let date: jiff::civil::Date = text.parse().map_err(|_| Unfit::Form)?;
        let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| Unfit::Form)?;
        let day = Day::of(midnight.timestamp().as_microsecond());
        if day.to_string() == text { Ok(day) } else { Err(Unfit::Form) }
    }

    /// The day as asked for at `now`: `text`, or yesterday without one.
    ///
    /// # Errors
    /// When it is no day, has not ended, or is older than OpenRouter's count.
    pub fn asked(text: Option<&str>, now: Micros) -> Result<Self, Unfit> {
        let today = Day::of(now);
        match text.map_or(Ok(today.before(1)), Day::parse)? {
            day if day >= today => Err(Unfit::NotEnded),
            day if day < today.before(KEPT) => Err(Unfit::TooOld),
            day => Ok(day),
        }
    }

    /// Its first instant.
    #[must_use]
    pub fn start(self) -> Micros {
        self.0.saturating_mul(DAY)
    }

    /// The first instant after it.
    #[must_use]
    pub fn end(self) -> Micros {
        self.start().saturating_add(DAY)
    }

    /// The day that many days earlier.
    #[must_use]
    pub fn before(self, days: i64) -> Self {
        Day(self.0.saturating_sub(days))
    }

    /// The day after.
    #[must_use]
    pub fn next(self) -> Self {
        self.before(-1)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Date::of(self.start()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-22T10:00:00Z
    const NOW: Micros = 1_795_341_600_000_000;

    #[test]
    fn only_completed_days_that_are_still_counted_can_be_asked_for() {
        let asked = |text| Day::asked(Some(text), NOW).map(|day| day.to_string());
        assert_eq!(Day::asked(None, NOW).map(|day| day.to_string()), Ok("2026-11-21".into()));
        assert_eq!(asked("2026-11-21"), Ok("2026-11-21".into()));
        assert_eq!(asked("2026-10-23"), Ok("2026-10-23".into()));
        assert_eq!(asked("2026-10-22"), Err(Unfit::TooOld));
        assert_eq!(asked("2026-11-22"), Err(Unfit::NotEnded));
        assert_eq!(asked("2027-01-01"), Err(Unfit::NotEnded));
        for form in ["", "yesterday", "2026-11-31", "2026-1-2", "20261121", "2026-11-21T00:00:00"] {
            assert_eq!(asked(form), Err(Unfit::Form), "{form:?}");
        }
    }

    proptest! {
        #[test]
        fn a_shown_day_parses_back(at in 0i64..4_102_444_800_000_000) {
            let day = Day::of(at);
            prop_assert!((day.start()..day.end()).contains(&at));
            prop_assert_eq!(Day::parse(&day.to_string()), Ok(day));
        }
    }
}
