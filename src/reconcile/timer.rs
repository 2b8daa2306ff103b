//! Which completed days the daemon still owes a comparison. What was done is read from the ledger,
//! so there is no second truth, and days that passed while the daemon was down are caught up with:
//! calls may have been made without it.

use super::{
    Error,
    count::Source,
    day::{Day, KEPT},
};
use crate::{clock::Micros, stop::Stop};
use std::{collections::BTreeSet, time::Duration};

/// The days that are owed.
#[derive(Debug)]
pub struct Timer {
    /// Up to here days are done or owed.
    known: Option<Day>,
    /// The ledger's first whole day; of the day on which it began it cannot have all calls.
    first: Option<Day>,
    owed: BTreeSet<Day>,
}

impl Timer {
    /// Reads from the ledger what was done.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn new(source: &Source, stop: &Stop) -> Result<Self, Error> {
        let first = source.first_day()?.map(Day::next);
        Ok(Timer { known: source.last_compared(stop)?, first, owed: BTreeSet::new() })
    }

    /// The days to compare at `now`, oldest first. One that fails stays owed until OpenRouter keeps
    /// no count of it any more.
    pub fn due(&mut self, now: Micros, settle: Duration) -> Vec<Day> {
        let settle = Micros::try_from(settle.as_micros()).unwrap_or(Micros::MAX);
        let newest = Day::of(now.saturating_sub(settle)).before(1);
        let oldest = Day::of(now).before(KEPT).max(self.first.unwrap_or(newest));
        let mut day = self.known.map_or(newest, Day::next).max(oldest);
        while day <= newest {
            self.owed.insert(day);
            day = day.next();
        }
        self.known = self.known.max(Some(newest));
        let kept = self.owed.split_off(&oldest);
        for lost in std::mem::replace(&mut self.owed, kept) {
            tracing::error!(day = %lost, "never compared; OpenRouter keeps no count of it any more");
        }
        self.owed.iter().copied().collect()
    }

    /// A day was compared.
    pub fn done(&mut self, day: Day) {
        self.owed.remove(&day);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Micros = 3_600_000_000;

    fn timer(known: Option<&str>, first: &str) -> Timer {
        let day = |text| Day::parse(text).unwrap();
        Timer { known: known.map(day), first: Some(day(first)), owed: BTreeSet::new() }
    }

    fn due(timer: &mut Timer, day: &str, hour: i64) -> Vec<String> {
        let now = Day::parse(day).unwrap().start() + hour * HOUR;
        timer.due(now, Duration::from_secs(3600)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_day_is_due_once_it_has_settled_and_stays_due_until_it_is_done() {
        let mut timer = timer(Some("2026-11-19"), "2026-01-01");
        assert!(due(&mut timer, "2026-11-21", 0).is_empty(), "the 20th has not settled");
        assert_eq!(due(&mut timer, "2026-11-21", 1), ["2026-11-20"]);
        assert_eq!(due(&mut timer, "2026-11-22", 2), ["2026-11-20", "2026-11-21"]);
        timer.done(Day::parse("2026-11-20").unwrap());
        assert_eq!(due(&mut timer, "2026-11-22", 3), ["2026-11-21"]);
        timer.done(Day::parse("2026-11-21").unwrap());
        assert!(due(&mut timer, "2026-11-22", 23).is_empty());
    }

    #[test]
    fn days_without_a_daemon_are_caught_up_with_as_far_as_they_are_kept() {
        let mut timer = timer(Some("2026-08-01"), "2026-01-01");
        let days = due(&mut timer, "2026-11-22", 12);
        assert_eq!((days.len(), days[0].as_str()), (30, "2026-10-23"));
        assert_eq!(days[29], "2026-11-21");
        // Nobody answers for a day: the oldest is given up, with a word.
        let days = due(&mut timer, "2026-11-23", 12);
        assert_eq!((days.len(), days[0].as_str()), (30, "2026-10-24"));
    }

    #[test]
    fn a_new_ledger_owes_its_first_whole_day_first() {
        let mut new = timer(None, "2026-11-23");
        assert!(due(&mut new, "2026-11-22", 12).is_empty());
        assert!(due(&mut new, "2026-11-23", 12).is_empty());
        assert_eq!(due(&mut new, "2026-11-24", 12), ["2026-11-23"]);
        let mut old = timer(None, "2026-01-01");
        assert_eq!(due(&mut old, "2026-11-22", 12), ["2026-11-21"], "only yesterday");
    }
}
