//! One key at one server: which of its calls is next, and whether it may be asked for now. Pure.

use super::{
    breaker::{Breaker, Change, Why},
    schedule::Millis,
};
use std::collections::BTreeSet;

/// What a lane may do at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Questions under way at a time.
    pub concurrency: usize,
    /// Questions a second; as many may go out at once after a pause.
    pub rate: u32,
}

/// The longest that a server may tell us to wait, whatever it says.
const LONGEST_HOLD: Millis = 600_000;
/// The shortest: a server that says "now" to everybody means nobody.
const SHORTEST_HOLD: Millis = 1_000;
/// Thousandths of a question: the bucket counts in these, so that no fraction is lost.
const WHOLE: u64 = 1_000;

/// One key at one server.
#[derive(Clone, Debug)]
pub struct Lane {
    limits: Limits,
    due: BTreeSet<(Millis, u64)>,
    under_way: usize,
    /// The token bucket: thousandths of questions that may go out, as of `filled_at`.
    tokens: u64,
    filled_at: Millis,
    held_until: Millis,
    /// Times that the server said "too often" without saying for how long.
    held_times: u32,
    breaker: Breaker,
}

impl Lane {
    /// A lane with nothing in it.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Lane {
            limits,
            due: BTreeSet::new(),
            under_way: 0,
            tokens: u64::from(limits.rate) * WHOLE,
            filled_at: 0,
            held_until: 0,
            held_times: 0,
            breaker: Breaker::default(),
        }
    }

    /// Call `seq` is to be asked for at `at`.
    pub fn put(&mut self, at: Millis, seq: u64) {
        self.due.insert((at, seq));
    }

    /// Call `seq`, put at `at`, needs no asking any more.
    pub fn remove(&mut self, at: Millis, seq: u64) {
        self.due.remove(&(at, seq));
    }

    /// Why its breaker is shut, if it is.
    #[must_use]
    pub fn is_shut(&self) -> Option<Why> {
        self.breaker.is_shut()
    }

    /// The next call to ask for, if one may be asked for at `now`; counts as asked.
    pub fn next(&mut self, now: Millis) -> Option<u64> {
        if self.wakes_at(now)? > now {
            return None;
        }
        let (_, seq) = self.due.pop_first()?;
        self.tokens -= WHOLE;
        self.under_way += 1;
        self.breaker.ask();
        Some(seq)
    }

    /// When [`Lane::next`] may have one; `None` while only the end of a question can change that.
    pub fn wakes_at(&mut self, now: Millis) -> Option<Millis> {
        let (due, _) = *self.due.first()?;
        if self.under_way >= self.limits.concurrency {
            return None;
        }
        let open = self.breaker.opens_at()?;
        self.fill(now);
        let missing = WHOLE.saturating_sub(self.tokens);
        // A bucket gets `rate` thousandths of a question in a millisecond.
        let filled = now + missing.div_ceil(u64::from(self.limits.rate.max(1)));
        Some(due.max(open).max(self.held_until).max(if missing > 0 { filled } else { 0 }))
    }

    fn fill(&mut self, now: Millis) {
        let rate = u64::from(self.limits.rate.max(1));
        let more = now.saturating_sub(self.filled_at).saturating_mul(rate);
        self.tokens = self.tokens.saturating_add(more).min(rate * WHOLE);
        self.filled_at = now;
    }

    /// A question ended: server and key are fine.
    pub fn succeeded(&mut self) -> Change {
        self.ended();
        self.held_times = 0;
        self.breaker.succeed()
    }

    /// A question ended: it failed.
    pub fn failed(&mut self, why: Why, now: Millis, scaled: &dyn Fn(Millis) -> Millis) -> Change {
        self.ended();
        self.breaker.fail(why, now, scaled)
    }

    /// A question ended: too many of them. The lane rests for as long as the server says, or for
    /// longer and longer. Gives when it goes on.
    pub fn throttled(
        &mut self,
        wait: Option<Millis>,
        now: Millis,
        scaled: &dyn Fn(Millis) -> Millis,
    ) -> (Change, Millis) {
        self.ended();
        let wait = match wait {
            Some(told) => told.clamp(scaled(SHORTEST_HOLD), LONGEST_HOLD),
            None => scaled((SHORTEST_HOLD << self.held_times.min(6)).min(60_000)),
        };
        self.held_times = self.held_times.saturating_add(1);
        self.held_until = self.held_until.max(now.saturating_add(wait));
        // It answered, and it knows the key.
        (self.breaker.succeed(), self.held_until)
    }

    /// A question ended without anybody knowing how.
    pub fn dropped(&mut self) {
        self.ended();
        self.breaker.forget();
    }

    fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { concurrency: 8, rate: 20 };

    fn lane(limits: Limits, calls: u64) -> Lane {
        let mut lane = Lane::new(limits);
        (0..calls).for_each(|seq| lane.put(0, seq));
        lane
    }

    fn same(ms: Millis) -> Millis {
        ms
    }

    #[test]
    fn the_earliest_goes_first_and_not_before_its_time() {
        let mut lane = Lane::new(LIMITS);
        lane.put(50, 1);
        lane.put(40, 2);
        assert_eq!(lane.next(39), None);
        assert_eq!(lane.wakes_at(39), Some(40));
        assert_eq!((lane.next(60), lane.next(60), lane.next(60)), (Some(2), Some(1), None));
        assert_eq!(lane.wakes_at(60), None, "nothing to do");
    }

    #[test]
    fn no_more_are_under_way_than_allowed() {
        let mut lane = lane(LIMITS, 20);
        assert_eq!(std::iter::from_fn(|| lane.next(0)).count(), 8);
        assert_eq!(lane.wakes_at(0), None);
        lane.succeeded();
        assert_eq!((lane.next(0), lane.next(0)), (Some(8), None));
    }

    #[test]
    fn a_server_that_says_when_is_believed_within_reason() {
        for (told, goes_on) in [(2_000, 2_000), (0, 1_000), (999_999_999, 600_000)] {
            let mut lane = lane(LIMITS, 2);
            assert_eq!(lane.next(0), Some(0));
            assert_eq!(lane.throttled(Some(told), 0, &same).1, goes_on);
            assert_eq!(lane.next(goes_on - 1), None);
            assert_eq!(lane.wakes_at(5), Some(goes_on));
            assert_eq!(lane.next(goes_on), Some(1));
        }
        let mut lane = lane(LIMITS, 9);
        let rests: Vec<Millis> = (0..8)
            .map(|_| {
                let now = lane.wakes_at(0).unwrap();
                lane.next(now).unwrap();
                lane.throttled(None, now, &same).1 - now
            })
            .collect();
        assert_eq!(rests, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    }

    #[test]
    fn a_parked_key_sends_one_question_at_a_time() {
        let mut lane = lane(LIMITS, 5);
        assert_eq!(lane.next(0), Some(0));
        assert_eq!(lane.failed(Why::Key, 0, &same), Change::Shut(Why::Key));
        assert_eq!(lane.next(59_999), None);
        assert_eq!((lane.next(60_000), lane.next(60_000)), (Some(1), None));
        assert_eq!(lane.succeeded(), Change::Opened(Why::Key));
        assert_eq!(lane.next(60_000), Some(2));
    }

    proptest! {
        /// Whatever the ticks, no second and its burst have more questions than the rate allows.
        #[test]
        fn the_rate_is_kept(rate in 1u32..50, ticks in proptest::collection::vec(1u64..200, 1..300)) {
            let mut lane = lane(Limits { concurrency: 1, rate }, 100_000);
            let (mut now, mut asked) = (0, 0u64);
            for tick in ticks {
                now += tick;
                while lane.next(now).is_some() {
                    asked += 1;
                    lane.succeeded();
                }
                let wakes = lane.wakes_at(now).unwrap();
                prop_assert!(wakes > now && wakes <= now + 1_000);
            }
            let rate = u64::from(rate);
            prop_assert!(asked <= rate + now * rate / 1_000);
            prop_assert!(asked + 1 >= now * rate / 1_000 || asked >= rate);
        }
    }
}
