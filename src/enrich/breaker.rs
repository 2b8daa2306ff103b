//! Whether a key may be used at the moment. Pure.
//!
//! Two things shut it: the key itself is refused (401, 402, 403), or the server fails several times
//! in a row. Either way it opens by itself: after a while one question goes out, and what becomes of
//! it decides (the circuit breaker of M. Nygard, "Release It!").

use super::schedule::Millis;

/// Failures in a row that mean the server has trouble, not the call.
const FAILURES: u32 = 5;
/// Time until the first probe of a server that fails; doubled with each probe that fails too.
const COOLDOWN: Millis = 5_000;
/// The longest time between two probes, and the time between two of a key that is refused.
pub const RECHECK: Millis = 60_000;

/// Why it is shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The key is not accepted, out of credit, or not allowed.
    Key,
    /// The server fails.
    Server,
}

/// What a result changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that anybody has to be told.
    Same,
    /// It shut.
    Shut(Why),
    /// It opened again.
    Opened(Why),
}

/// The state of one key at one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { why: Why, until: Millis, times: u32, probing: bool },
}

impl Default for Breaker {
    fn default() -> Self {
        Breaker { state: State::Closed { failures: 0 } }
    }
}

impl Breaker {
    /// When the next question may go out; `None` while a probe is under way.
    #[must_use]
    pub fn opens_at(&self) -> Option<Millis> {
        match self.state {
            State::Closed { .. } => Some(0),
            State::Open { until, probing, .. } => (!probing).then_some(until),
        }
    }

    /// Why it is shut, if it is.
    #[must_use]
    pub fn is_shut(&self) -> Option<Why> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { why, .. } => Some(why),
        }
    }

    /// A question goes out.
    pub fn ask(&mut self) {
        if let State::Open { probing, .. } = &mut self.state {
            *probing = true;
        }
    }

    /// The server and the key are fine, whatever the answer was.
    pub fn succeed(&mut self) -> Change {
        let change = self.is_shut().map_or(Change::Same, Change::Opened);
        self.state = State::Closed { failures: 0 };
        change
    }

    /// A question that tells nothing about server or key, such as one that was dropped.
    pub fn forget(&mut self) {
        if let State::Open { probing, .. } = &mut self.state {
            *probing = false;
        }
    }

    /// The question failed for that reason at `now`; `scaled` turns a usual duration into one of
    /// the schedule's.
    pub fn fail(&mut self, why: Why, now: Millis, scaled: &dyn Fn(Millis) -> Millis) -> Change {
        match &mut self.state {
            // A straggler from before it shut: known already.
            State::Open { probing: false, .. } => Change::Same,
            State::Open { why: before, until, times, probing } => {
                let changed = *before != why;
                (*before, *probing) = (why, false);
                *times = if changed { 0 } else { times.saturating_add(1) };
                *until = now.saturating_add(scaled(pause(why, *times)));
                if changed { Change::Shut(why) } else { Change::Same }
            }
            State::Closed { failures } => {
                *failures += 1;
                if why == Why::Server && *failures < FAILURES {
                    return Change::Same;
                }
                let until = now.saturating_add(scaled(pause(why, 0)));
                self.state = State::Open { why, until, times: 0, probing: false };
                Change::Shut(why)
            }
        }
    }
}

fn pause(why: Why, times: u32) -> Millis {
    match why {
        Why::Key => RECHECK,
        Why::Server => (COOLDOWN << times.min(8)).min(RECHECK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(ms: Millis) -> Millis {
        ms
    }

    #[test]
    fn a_refused_key_is_parked_at_once_and_rechecked_every_minute_by_one_question() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.fail(Why::Key, 1_000, &same), Change::Shut(Why::Key));
        assert_eq!(breaker.opens_at(), Some(61_000));
        breaker.ask();
        assert_eq!(breaker.opens_at(), None, "one question at a time");
        assert_eq!(breaker.fail(Why::Key, 61_500, &same), Change::Same, "told once");
        assert_eq!(breaker.opens_at(), Some(121_500));
        breaker.ask();
        assert_eq!(breaker.succeed(), Change::Opened(Why::Key));
        assert_eq!((breaker.opens_at(), breaker.is_shut()), (Some(0), None));
    }

    #[test]
    fn a_server_is_left_alone_after_five_failures_in_a_row() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            assert_eq!(breaker.fail(Why::Server, 0, &same), Change::Same);
        }
        assert_eq!(breaker.succeed(), Change::Same, "a success starts the count anew");
        for _ in 0..4 {
            assert_eq!(breaker.fail(Why::Server, 0, &same), Change::Same);
        }
        assert_eq!(breaker.fail(Why::Server, 0, &same), Change::Shut(Why::Server));
        assert_eq!(breaker.fail(Why::Server, 10, &same), Change::Same, "a straggler");
        assert_eq!(breaker.opens_at(), Some(COOLDOWN));
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..5 {
            let at = breaker.opens_at().unwrap();
            pauses.push(at - now);
            now = at;
            breaker.ask();
            assert_eq!(breaker.fail(Why::Server, now, &same), Change::Same);
        }
        assert_eq!(pauses, [5_000, 10_000, 20_000, 40_000, 60_000]);
    }

    #[test]
    fn a_server_that_comes_back_may_refuse_the_key() {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            breaker.fail(Why::Server, 0, &same);
        }
        breaker.ask();
        assert_eq!(breaker.fail(Why::Key, 9_000, &same), Change::Shut(Why::Key));
        assert_eq!(breaker.is_shut(), Some(Why::Key));
        breaker.ask();
        breaker.forget();
        assert_eq!(breaker.opens_at(), Some(69_000), "a dropped probe is made again");
    }
}
