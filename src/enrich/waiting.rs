//! The calls that wait for their answer, and what becomes of each. Pure: time and chance come in.
//!
//! A call is *due* (in its lane, at its time), *asked* (a question is under way) or *handed* (its
//! entry is on the way to the disk). It leaves when its entry is durable, not before: until then it
//! holds back the place at which a restart begins, and is never asked for again.

use super::{
    answer::Attempt,
    breaker::{Change, Why},
    lane::{Lane, Limits},
    schedule::{Millis, Schedule, Tried},
};
use crate::{clock::Micros, ledger::follow::Place};
use std::collections::BTreeMap;

/// Attempts that are remembered of one call: the first ones tell how late the record was, the last
/// ones how it ended.
const FIRST: usize = 8;
const REMEMBERED: usize = 24;
/// Refusals of one call after which it is given up before its time, and the least age for it: within
/// minutes it could still be the server that is confused.
const REFUSALS: u8 = 5;
const REFUSED_FOR: Millis = 3_600_000;
/// Time until a call is asked for again that the key may not see (403): it may be somebody else's
/// (then the key is fine), and must not park the key again and again.
const AFTER_FORBIDDEN: Millis = 3_600_000;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the start, monotonic: when things are due.
    pub ms: Millis,
    /// Wall time: how old entries are.
    pub wall: Micros,
}

/// A call as it joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// Sequence number of its entry.
    pub seq: u64,
    /// Where its entry is.
    pub place: Place,
    /// When that was sealed.
    pub sealed_at: Micros,
    /// What to ask for.
    pub generation_id: String,
    /// With which key, where.
    pub lane: usize,
    /// Whether its record is known to come late.
    pub late: bool,
}

/// What a question brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The answer.
    Answer,
    /// Nothing yet.
    NotYet,
    /// Too many questions; go on after so long.
    Throttled(Option<Millis>),
    /// The key is refused.
    KeyRefused,
    /// The server or the way there failed.
    Failed,
    /// Something that cannot be the answer, or a refusal of this one question.
    Refused,
}

/// A question to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The call.
    pub seq: u64,
    /// Where its entry is.
    pub place: Place,
    /// With which key, where.
    pub lane: usize,
    /// For what.
    pub generation_id: String,
    /// Whether it is the call's first since the start.
    pub is_first: bool,
}

/// What is to be done after a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing; it is asked again later, or it has left meanwhile.
    Wait,
    /// Seal the answer, with these attempts.
    Seal(Vec<Attempt>),
    /// Seal that it stays unresolved, with these attempts.
    GiveUp(Vec<Attempt>),
}

/// An attempt in eight bytes; `what` is a number in [`Waiting::words`].
#[derive(Clone, Copy, Debug)]
struct Packed {
    status: u16,
    what: u8,
    /// Seven weeks fit, then it stands still.
    age_ms: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Due(Millis),
    Asked,
    Handed,
}

#[derive(Debug)]
struct Call {
    generation_id: Box<str>,
    place: Place,
    sealed_at: Micros,
    lane: u16,
    late: bool,
    state: State,
    /// Attempts as the schedule counts them, those before a restart included.
    times: u32,
    refusals: u8,
    tries: Vec<Packed>,
}

impl Call {
    fn age(&self, wall: Micros) -> Millis {
        u64::try_from(wall.saturating_sub(self.sealed_at)).unwrap_or(0) / 1_000
    }
}

/// All calls that wait.
#[derive(Debug)]
pub struct Waiting {
    calls: BTreeMap<u64, Call>,
    lanes: Vec<Lane>,
    /// The lane to be looked at first, so that none is starved.
    turn: usize,
    schedule: Schedule,
    most: usize,
    words: Vec<&'static str>,
}

impl Waiting {
    /// Room for `most` calls in `lanes` lanes.
    #[must_use]
    pub fn new(schedule: Schedule, (lanes, limits): (usize, Limits), most: usize) -> Self {
        Waiting {
            calls: BTreeMap::new(),
            lanes: vec![Lane::new(limits); lanes],
            turn: 0,
            schedule,
            most,
            words: Vec::new(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether no more may join.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.calls.len() >= self.most
    }

    /// Sequence number, place and time of the oldest that has not left.
    #[must_use]
    pub fn oldest(&self) -> Option<(u64, Place, Micros)> {
        self.calls.first_key_value().map(|(seq, call)| (*seq, call.place, call.sealed_at))
    }

    /// Why each lane is shut that is.
    pub fn shut(&self) -> impl Iterator<Item = (usize, Why)> {
        self.lanes.iter().enumerate().filter_map(|(at, lane)| Some((at, lane.is_shut()?)))
    }

    /// A call joins; one that is here already stays as it is.
    pub fn add(&mut self, new: Newcomer, now: Now) {
        let Some(lane) = self.lanes.get_mut(new.lane) else { return };
        let std::collections::btree_map::Entry::Vacant(free) = self.calls.entry(new.seq) else {
            return;
        };
        let mut call = Call {
            generation_id: new.generation_id.into(),
            place: new.place,
            sealed_at: new.sealed_at,
            lane: u16::try_from(new.lane).unwrap_or_default(),
            late: new.late,
            state: State::Asked,
            times: 0,
            refusals: 0,
            tries: Vec::new(),
        };
        let age = call.age(now.wall);
        call.times = self.schedule.times_at(age, call.late);
        let at = now.ms + self.schedule.first_try.saturating_sub(age);
        call.state = State::Due(at);
        lane.put(at, new.seq);
        free.insert(call);
    }

    /// The entry that settles a call is durable: it leaves, whatever it was doing.
    pub fn settle(&mut self, seq: u64) {
        let Some(call) = self.calls.remove(&seq) else { return };
        let lane = self.lanes.get_mut(usize::from(call.lane));
        if let (State::Due(at), Some(lane)) = (call.state, lane) {
            lane.remove(at, seq);
        }
    }

    /// The next question, if one may go out now.
    pub fn next(&mut self, now: Millis) -> Option<Ask> {
        let lanes = self.lanes.len();
        for step in 0..lanes {
            let at = (self.turn + step) % lanes;
            let Some(seq) = self.lanes.get_mut(at).and_then(|lane| lane.next(now)) else {
                continue;
            };
            self.turn = at + 1;
            let call = self.calls.get_mut(&seq)?;
            call.state = State::Asked;
            return Some(Ask {
                seq,
                place: call.place,
                lane: at,
                generation_id: call.generation_id.to_string(),
                is_first: call.tries.is_empty(),
            });
        }
        None
    }

    /// When the next question may go out; `None` when only something else can change that.
    pub fn wakes_at(&mut self, now: Millis) -> Option<Millis> {
        self.lanes.iter_mut().filter_map(|lane| lane.wakes_at(now)).min()
    }

    /// A question about `seq` in `lane` ended; `below(n)` draws from `0..n`.
    pub fn take(
        &mut self,
        (seq, lane): (u64, usize),
        (said, status, what): (Said, u16, &'static str),
        now: Now,
        below: &mut dyn FnMut(u64) -> u64,
    ) -> (Change, Then) {
        let (change, held_until) = self.tell(lane, said, now.ms);
        let shut = self.lanes.get(lane).and_then(Lane::is_shut);
        let word = self.word(what);
        let schedule = self.schedule;
        let Some(call) = self.calls.get_mut(&seq).filter(|call| call.state == State::Asked) else {
            return (change, Then::Wait);
        };
        let age = call.age(now.wall);
        if call.tries.len() >= REMEMBERED {
            call.tries.remove(FIRST);
        }
        let age_ms = u32::try_from(age).unwrap_or(u32::MAX);
        call.tries.push(Packed { status, what: word, age_ms });
        call.refusals = call.refusals.saturating_add(u8::from(said == Said::Refused));
        let over = match said {
            Said::Answer => false,
            Said::Refused => {
                let enough = call.refusals >= REFUSALS && age >= schedule.scaled(REFUSED_FOR);
                enough || schedule.is_over(age, false)
            }
            Said::NotYet => schedule.is_over(age, false),
            Said::Failed => schedule.is_over(age, shut == Some(Why::Server)),
            // About the key or the lane, not about the call.
            Said::Throttled(_) | Said::KeyRefused => schedule.is_over(age, true),
        };
        if said == Said::Answer || over {
            call.state = State::Handed;
            let tries = self.unpack(seq);
            return (change, if over { Then::GiveUp(tries) } else { Then::Seal(tries) });
        }
        if !matches!(said, Said::Throttled(_) | Said::KeyRefused) {
            call.times = call.times.saturating_add(1);
        }
        let tried = Tried { times: call.times, age, late: call.late };
        let at = match said {
            Said::Throttled(_) => held_until,
            Said::KeyRefused if status == 403 => now.ms + schedule.scaled(AFTER_FORBIDDEN),
            // As soon as the key is accepted again: the breaker says when that is tried.
            Said::KeyRefused => now.ms,
            _ => now.ms + schedule.delay(tried, below),
        };
        call.state = State::Due(at);
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.put(at, seq);
        }
        (change, Then::Wait)
    }

    /// A question about `seq` in `lane` was not asked after all: it is due again at `at`.
    pub fn put_off(&mut self, (seq, lane): (u64, usize), at: Millis) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        lane.dropped();
        if let Some(call) = self.calls.get_mut(&seq).filter(|call| call.state == State::Asked) {
            call.state = State::Due(at);
            lane.put(at, seq);
        }
    }

    /// The entry of `seq` could not be made after all: it is due again at `at`.
    pub fn take_back(&mut self, seq: u64, at: Millis) {
        let Some(call) = self.calls.get_mut(&seq).filter(|c| c.state == State::Handed) else {
            return;
        };
        call.state = State::Due(at);
        if let Some(lane) = self.lanes.get_mut(usize::from(call.lane)) {
            lane.put(at, seq);
        }
    }

    /// Where the entry of `seq` is.
    #[must_use]
    pub fn place(&self, seq: u64) -> Option<Place> {
        self.calls.get(&seq).map(|call| call.place)
    }

    fn tell(&mut self, lane: usize, said: Said, now: Millis) -> (Change, Millis) {
        let schedule = self.schedule;
        let scaled = |usual| schedule.scaled(usual);
        let Some(lane) = self.lanes.get_mut(lane) else { return (Change::Same, now) };
        match said {
            Said::Answer | Said::NotYet | Said::Refused => (lane.succeeded(), now),
            Said::Throttled(wait) => lane.throttled(wait, now, &scaled),
            Said::KeyRefused => (lane.failed(Why::Key, now, &scaled), now),
            Said::Failed => (lane.failed(Why::Server, now, &scaled), now),
        }
    }

    /// The number of a word; there are a dozen.
    fn word(&mut self, what: &'static str) -> u8 {
        let at = self.words.iter().position(|known| *known == what).unwrap_or_else(|| {
            self.words.push(what);
            self.words.len() - 1
        });
        u8::try_from(at).unwrap_or(u8::MAX)
    }

    fn unpack(&self, seq: u64) -> Vec<Attempt> {
        let tries = self.calls.get(&seq).map(|call| call.tries.as_slice()).unwrap_or_default();
        tries
            .iter()
            .map(|packed| Attempt {
                status: packed.status,
                what: self.words.get(usize::from(packed.what)).copied().unwrap_or_default(),
                age_ms: packed.age_ms.into(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
