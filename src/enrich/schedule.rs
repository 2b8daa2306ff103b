//! When to ask again. Pure.
//!
//! OpenRouter promises no time at which a generation can be looked up: half a second to a minute is
//! usual, minutes to hours after a cancelled stream, and some never appear. So: 2 s, then 2, 4, 8,
//! 15, 30, 60 s, then every 5 minutes until the call is an hour old, then hourly, until it is given
//! up. Each step is drawn anew between nothing and itself ("full jitter", M. Brooker, "Exponential
//! Backoff And Jitter", 2015), so that calls that failed together do not come back together.

/// Milliseconds, of a duration or since some beginning.
pub type Millis = u64;

/// The first try, for which every other time stands as it is. A shorter one shrinks them all alike.
const USUAL_FIRST: Millis = 2_000;
/// Steps before the slow ones.
const STEPS: &[Millis] = &[2_000, 4_000, 8_000, 15_000, 30_000, 60_000];
/// Steps of a call whose record is known to come late: asking within seconds is pointless.
const STEPS_WHEN_LATE: &[Millis] = &[30_000, 60_000];
/// The step until a call is [`HOUR`] old; from then on it is an hour.
const MINUTES: Millis = 300_000;
const HOUR: Millis = 3_600_000;
/// While the endpoint fails as a whole a call is not given up before so many times the usual: with
/// the default of a day that is a month, after which OpenRouter may have forgotten it anyway.
const OUTAGE: Millis = 30;

/// When calls are asked for, and when they are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Age at which a call is first asked for.
    pub first_try: Millis,
    /// Age at which a failed attempt was the last.
    pub give_up_after: Millis,
}

/// What the schedule has to know of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Attempts so far.
    pub times: u32,
    /// Age of its entry.
    pub age: Millis,
    /// Whether its record is known to come late: it was cancelled, or it timed out.
    pub late: bool,
}

impl Schedule {
    /// A duration in the measure of this schedule: itself, unless the first try is earlier than
    /// usual; then it is shorter by as much, and at least a millisecond.
    #[must_use]
    pub fn scaled(&self, usual: Millis) -> Millis {
        if self.first_try >= USUAL_FIRST {
            return usual;
        }
        (usual.saturating_mul(self.first_try) / USUAL_FIRST).max(1)
    }

    /// Time until the next attempt; `below(n)` draws from `0..n`.
    pub fn delay(&self, tried: Tried, below: &mut dyn FnMut(u64) -> u64) -> Millis {
        below(self.step(tried).saturating_add(1))
    }

    /// The longest that [`Schedule::delay`] may give.
    #[must_use]
    pub fn step(&self, tried: Tried) -> Millis {
        let steps = if tried.late { STEPS_WHEN_LATE } else { STEPS };
        let after = usize::try_from(tried.times.max(1) - 1).unwrap_or(usize::MAX);
        let usual = match steps.get(after) {
            Some(step) => *step,
            None if tried.age < self.scaled(HOUR) => MINUTES,
            None => HOUR,
        };
        self.scaled(usual)
    }

    /// How many attempts a call of that age would have seen: a restart goes on from there instead of
    /// hurrying after old calls as after new ones.
    #[must_use]
    pub fn times_at(&self, age: Millis, late: bool) -> u32 {
        let steps = if late { STEPS_WHEN_LATE } else { STEPS };
        let mut at = self.first_try;
        let mut times = 0;
        for step in steps {
            if age < at {
                break;
            }
            times += 1;
            at = at.saturating_add(self.scaled(*step));
        }
        times
    }

    /// Whether a failed attempt at that age was the last. `outage`: the endpoint fails as a whole,
    /// so the failure says nothing about this call.
    #[must_use]
    pub fn is_over(&self, age: Millis, outage: bool) -> bool {
        let patience = if outage { OUTAGE } else { 1 };
        age >= self.give_up_after.saturating_mul(patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const USUAL: Schedule = Schedule { first_try: 2_000, give_up_after: 24 * HOUR };

    fn tried(times: u32, age: Millis) -> Tried {
        Tried { times, age, late: false }
    }

    #[test]
    fn steps_grow_from_seconds_to_hours() {
        let steps: Vec<Millis> = (1..=6).map(|times| USUAL.step(tried(times, 1))).collect();
        assert_eq!(steps, STEPS);
        assert_eq!(USUAL.step(tried(7, 120_000)), MINUTES);
        assert_eq!(USUAL.step(tried(40, HOUR - 1)), MINUTES);
        assert_eq!(USUAL.step(tried(40, HOUR)), HOUR);
        let late = |times| USUAL.step(Tried { times, age: 1, late: true });
        assert_eq!([late(1), late(2), late(3)], [30_000, 60_000, MINUTES]);
    }

    #[test]
    fn a_day_is_enough_and_an_outage_gets_a_month() {
        assert!(!USUAL.is_over(24 * HOUR - 1, false));
        assert!(USUAL.is_over(24 * HOUR, false));
        assert!(!USUAL.is_over(24 * HOUR, true));
        assert!(USUAL.is_over(30 * 24 * HOUR, true));
    }

    #[test]
    fn an_early_first_try_compresses_everything_but_a_late_one_stretches_nothing() {
        let fast = Schedule { first_try: 20, give_up_after: 5_000 };
        assert_eq!(fast.step(tried(1, 1)), 20);
        assert_eq!(fast.step(tried(9, 36_000)), 36_000);
        assert_eq!(fast.scaled(1), 1, "nothing is ever at once for ever");
        let slow = Schedule { first_try: 60_000, ..USUAL };
        assert_eq!(slow.step(tried(1, 1)), 2_000);
    }

    #[test]
    fn a_restart_goes_on_where_the_age_says() {
        let ages = [0, 1_999, 2_000, 4_000, 8_000, 120_000, 24 * HOUR];
        let times = ages.map(|age| USUAL.times_at(age, false));
        assert_eq!(times, [0, 0, 1, 2, 3, 6, 6]);
        assert_eq!(USUAL.times_at(40_000, true), 2);
    }

    proptest! {
        #[test]
        fn jitter_stays_within_the_step(times in 0u32..99, age in 0u64..200_000_000, draw: u64) {
            let tried = tried(times, age);
            let delay = USUAL.delay(tried, &mut |n| draw % n);
            prop_assert!(delay <= USUAL.step(tried));
        }
    }
}
