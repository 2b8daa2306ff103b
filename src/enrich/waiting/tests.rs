//! What becomes of calls, with time and chance in hand.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const HOUR: Millis = 3_600_000;
const SCHEDULE: Schedule = Schedule { first_try: 2_000, give_up_after: 24 * HOUR };
const LIMITS: Limits = Limits { concurrency: 8, rate: 1_000 };

fn at(ms: Millis) -> Now {
    Now { ms, wall: i64::try_from(ms).unwrap() * 1_000 }
}

fn newcomer(seq: u64, sealed_ms: i64) -> Newcomer {
    let place = Place { segment: 1, offset: seq * 100 };
    let generation_id = format!("gen-{seq}");
    Newcomer { seq, place, sealed_at: sealed_ms * 1_000, generation_id, lane: 0, late: false }
}

fn waiting(calls: u64) -> Waiting {
    let mut waiting = Waiting::new(SCHEDULE, (1, LIMITS), 10_000);
    (0..calls).for_each(|seq| waiting.add(newcomer(seq, 0), at(0)));
    waiting
}

/// The whole step: no luck with the dice.
fn longest(n: u64) -> u64 {
    n - 1
}

fn take(waiting: &mut Waiting, seq: u64, said: Said, status: u16, now: Now) -> Then {
    waiting.take((seq, 0), (said, status, "word"), now, &mut longest).1
}

#[test]
fn a_call_is_asked_for_after_two_seconds_and_sealed_with_its_attempts() {
    let mut waiting = waiting(1);
    assert_eq!(waiting.next(1_999), None);
    assert_eq!(waiting.wakes_at(0), Some(2_000));
    let ask = waiting.next(2_000).unwrap();
    assert_eq!((ask.seq, ask.generation_id.as_str(), ask.is_first), (0, "gen-0", true));
    assert_eq!(take(&mut waiting, 0, Said::NotYet, 404, at(2_100)), Then::Wait);
    assert_eq!(waiting.wakes_at(2_100), Some(4_100));
    assert!(!waiting.next(4_100).unwrap().is_first);
    let Then::Seal(tries) = take(&mut waiting, 0, Said::Answer, 200, at(4_200)) else {
        panic!("not sealed")
    };
    let seen: Vec<_> = tries.iter().map(|a| (a.status, a.age_ms)).collect();
    assert_eq!(seen, [(404, 2_100), (200, 4_200)]);
    assert_eq!(waiting.next(99_000_000), None, "it is never asked for again");
    assert_eq!(waiting.oldest().unwrap().0, 0, "and holds its place until it is durable");
    waiting.settle(0);
    assert!(waiting.is_empty() && waiting.oldest().is_none());
}

#[test]
fn a_call_that_never_appears_is_given_up_after_a_day() {
    let mut waiting = waiting(1);
    let mut asked = 0;
    loop {
        let now = waiting.wakes_at(0).unwrap();
        waiting.next(now).unwrap();
        asked += 1;
        match take(&mut waiting, 0, Said::NotYet, 404, at(now)) {
            Then::Wait => assert!(now < 24 * HOUR),
            Then::GiveUp(tries) => {
                assert!((24 * HOUR..25 * HOUR + 1).contains(&now));
                assert_eq!(tries.len(), REMEMBERED);
                assert_eq!((tries[0].age_ms, tries[REMEMBERED - 1].age_ms), (2_000, now));
                break;
            }
            Then::Seal(_) => panic!("sealed without an answer"),
        }
    }
    assert!((30..60).contains(&asked), "{asked}");
}

#[test]
fn an_outage_gives_up_nobody_and_ends_by_itself() {
    let mut waiting = waiting(20);
    let mut now = 2_000;
    while now < 48 * HOUR {
        while let Some(ask) = waiting.next(now) {
            let then = take(&mut waiting, ask.seq, Said::Failed, 0, at(now));
            assert_eq!(then, Then::Wait, "{} at {now}", ask.seq);
        }
        now = waiting.wakes_at(now).unwrap();
    }
    assert_eq!(waiting.shut().collect::<Vec<_>>(), [(0, Why::Server)]);
    let mut sealed = BTreeSet::new();
    while sealed.len() < 20 {
        now = waiting.wakes_at(now).unwrap().max(now);
        let ask = waiting.next(now).unwrap();
        let then = take(&mut waiting, ask.seq, Said::Answer, 200, at(now));
        assert!(matches!(then, Then::Seal(_)) && sealed.insert(ask.seq));
    }
    assert!(now < 50 * HOUR);
}

#[test]
fn a_call_that_alone_fails_is_given_up_all_the_same() {
    let mut waiting = waiting(1);
    for n in 1..200u64 {
        let now = waiting.wakes_at(n * 600_000).unwrap().max(n * 600_000);
        waiting.next(now).unwrap();
        match take(&mut waiting, 0, Said::Failed, 500, at(now)) {
            Then::Wait => {}
            then => panic!("{then:?} at {now}: nobody else was answered, so it is the server"),
        }
        // Somebody else's answer shows that the server works.
        waiting.add(newcomer(n, 0), at(now));
        waiting.lanes[0].remove(now, n);
        let state = waiting.calls.get_mut(&n).unwrap();
        state.state = State::Asked;
        take(&mut waiting, n, Said::Answer, 200, at(now));
        waiting.settle(n);
        if now > 23 * HOUR {
            break;
        }
    }
    let now = 25 * HOUR + 1;
    waiting.next(now).unwrap();
    assert!(matches!(take(&mut waiting, 0, Said::Failed, 500, at(now)), Then::GiveUp(_)));
}

#[test]
fn refusals_of_the_call_itself_end_within_the_hour_but_not_at_once() {
    let mut waiting = waiting(1);
    let mut asked = 0;
    let ended = loop {
        let now = waiting.wakes_at(0).unwrap();
        waiting.next(now).unwrap();
        asked += 1;
        if matches!(take(&mut waiting, 0, Said::Refused, 400, at(now)), Then::GiveUp(_)) {
            break now;
        }
    };
    assert!(asked > REFUSALS && (HOUR..=2 * HOUR).contains(&ended), "{asked} by {ended} ms");
}

#[test]
fn somebody_elses_call_does_not_keep_a_key_parked() {
    let mut waiting = waiting(3);
    assert_eq!(waiting.next(2_000).unwrap().seq, 0);
    let (change, then) =
        waiting.take((0, 0), (Said::KeyRefused, 403, "key_refused"), at(2_000), &mut longest);
    assert_eq!((change, then), (Change::Shut(Why::Key), Then::Wait));
    assert_eq!(waiting.next(61_999), None);
    assert_eq!(waiting.next(62_000).unwrap().seq, 1, "another one is the probe");
    let (change, _) =
        waiting.take((1, 0), (Said::NotYet, 404, "not_yet"), at(62_000), &mut longest);
    assert_eq!(change, Change::Opened(Why::Key));
    assert_eq!(waiting.next(62_000).unwrap().seq, 2);
}

#[test]
fn a_refused_key_costs_its_calls_nothing_but_time() {
    let mut waiting = waiting(1);
    for n in 0..2_000u64 {
        let now = 2_000 + n * 60_000;
        waiting.next(now).unwrap();
        let then = take(&mut waiting, 0, Said::KeyRefused, 401, at(now));
        assert_eq!(then, Then::Wait, "given up after {now} ms");
    }
    waiting.next(200_000_000).unwrap();
    assert!(matches!(take(&mut waiting, 0, Said::Answer, 200, at(200_000_000)), Then::Seal(_)));
}

#[test]
fn a_lane_that_rests_does_not_hold_up_another() {
    let mut waiting = Waiting::new(SCHEDULE, (2, LIMITS), 10);
    for seq in 0..4 {
        let lane = usize::try_from(seq % 2).unwrap();
        waiting.add(Newcomer { lane, ..newcomer(seq, 0) }, at(5_000));
    }
    let ask = waiting.next(5_000).unwrap();
    waiting.take(
        (ask.seq, ask.lane),
        (Said::Throttled(Some(30_000)), 429, "throttled"),
        at(5_000),
        &mut longest,
    );
    let others: Vec<u64> = std::iter::from_fn(|| waiting.next(5_000)).map(|a| a.seq).collect();
    assert_eq!(others, [1, 3]);
    assert_eq!(waiting.wakes_at(5_000), Some(35_000));
    let then: Vec<u64> = std::iter::from_fn(|| waiting.next(35_000)).map(|a| a.seq).collect();
    assert_eq!(then, [2, 0]);
}

#[test]
fn a_late_question_about_a_settled_call_changes_nothing() {
    let mut waiting = waiting(1);
    waiting.next(2_000).unwrap();
    waiting.settle(0);
    assert_eq!(take(&mut waiting, 0, Said::Answer, 200, at(2_000)), Then::Wait);
    waiting.add(newcomer(7, 0), at(3_000));
    let ask = waiting.next(3_000).unwrap();
    waiting.put_off((ask.seq, 0), 4_000);
    assert_eq!(waiting.wakes_at(3_000), Some(4_000));
}

proptest! {
    /// Whatever is said in whatever order: every call ends handed exactly once, no call is asked for
    /// twice at a time, and the oldest is the oldest.
    #[test]
    fn every_call_ends_once(says in proptest::collection::vec(0u8..8, 50..400), seed: u64) {
        let mut waiting = waiting(12);
        let mut handed = BTreeSet::new();
        let mut under_way = Vec::<Ask>::new();
        let mut state = seed;
        let mut now = 2_000;
        for say in says.into_iter().chain(std::iter::repeat_n(0, 2_000)) {
            while let Some(ask) = waiting.next(now) {
                prop_assert!(!under_way.iter().any(|other| other.seq == ask.seq));
                prop_assert!(!handed.contains(&ask.seq));
                under_way.push(ask);
            }
            prop_assert!(under_way.len() <= LIMITS.concurrency);
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if under_way.is_empty() {
                match waiting.wakes_at(now) {
                    Some(next) => now = next.max(now),
                    None => break,
                }
                continue;
            }
            let pick = usize::try_from(state >> 33).unwrap() % under_way.len();
            let ask = under_way.swap_remove(pick);
            let (said, status) = match say {
                0 | 1 => (Said::Answer, 200),
                2 => (Said::NotYet, 404),
                3 => (Said::Throttled(Some(2_000)), 429),
                4 => (Said::KeyRefused, 401),
                5 => (Said::KeyRefused, 403),
                6 => (Said::Failed, 500),
                _ => (Said::Refused, 200),
            };
            let mut draw = |n: u64| state % n;
            let told = (said, status, "word");
            match waiting.take((ask.seq, 0), told, at(now), &mut draw).1 {
                Then::Wait => {}
                Then::Seal(_) | Then::GiveUp(_) => prop_assert!(handed.insert(ask.seq)),
            }
        }
        prop_assert_eq!(handed.len(), 12);
        for seq in 0..12 {
            prop_assert_eq!(waiting.oldest().map(|oldest| oldest.0), Some(seq));
            waiting.settle(seq);
        }
        prop_assert!(waiting.is_empty());
    }
}
