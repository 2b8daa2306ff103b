//! Counting over segments as the ledger leaves them. Lines are not sealed: what is counted is not
//! what is verified.

use super::*;
use crate::{reconcile::Figures, reconcile::report::AskedBy, secret::SecretRef, units::Span};
use flate2::{Compression, write::GzEncoder};
use std::{fs, io::Write, time::Duration};

/// 2026-11-21T00:00:00Z
const MIDNIGHT: i64 = 1_795_219_200;

fn day() -> Day {
    Day::parse("2026-11-21").unwrap()
}

/// A line sealed at a second, with members after its kind.
fn line(sealed: i64, kind: &str, members: &str) -> String {
    let at = crate::clock::rfc3339(sealed * 1_000_000);
    format!(
        "{{\"v\":1,\"stream\":\"s\",\"seq\":7,\"prev_hash\":\"\",\"recorded_at\":\"{at}\",\"key_id\":\"k\",\"event_type\":\"{kind}\"{members},\"chain_hash\":\"\",\"signature\":\"\"}}\n"
    )
}

fn id(second: i64, n: u32) -> String {
    format!("gen-{second}-{n:020}")
}

/// A call made at a second and sealed a second later.
fn call(second: i64, n: u32) -> String {
    let members = format!(
        ",\"generation_id\":\"{}\",\"model_used\":\"a/m\",\"provider\":\"P\",\"prompt_tokens\":1,\"completion_tokens\":2,\"total_cost\":0.5",
        id(second, n)
    );
    line(second + 1, "chat_completion", &members)
}

fn answer(second: i64, n: u32, sealed: i64) -> String {
    let members = format!(
        ",\"generation_id\":\"{}\",\"model_permaslug\":\"a/m-1\",\"provider\":\"P\",\"native_tokens_prompt\":10,\"native_tokens_completion\":20,\"total_cost\":0.25",
        id(second, n)
    );
    line(sealed, "generation", &members)
}

/// A ledger of these segments, all but the newest two compressed.
fn ledger(segments: &[String]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("archive")).unwrap();
    for (n, text) in segments.iter().enumerate() {
        let name = format!("audit_2026-11-21.{:08}.jsonl", n + 1);
        if n + 2 < segments.len() {
            let path = dir.path().join("archive").join(name + ".gz");
            let mut file = GzEncoder::new(fs::File::create_new(path).unwrap(), Compression::fast());
            file.write_all(text.as_bytes()).unwrap();
            file.finish().unwrap();
        } else {
            let mut file = fs::File::create_new(dir.path().join(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
    }
    dir
}

fn config() -> crate::reconcile::config::Config {
    crate::reconcile::config::Config {
        management_key: SecretRef::Env("K".into()),
        base_url: "http://127.0.0.1:1".into(),
        every: None,
        settle: Span(Duration::ZERO),
        timeout: Span(Duration::ZERO),
        api_key_hashes: Vec::new(),
        workspace_id: None,
    }
}

/// Counts a day as the whole does, with ids of `listed` on the other side; returns what came out and
/// how many windows it took.
fn count_day(source: &Source, listed: &[String]) -> (crate::reconcile::Report, usize) {
    let stop = Stop::default();
    let mut draft = Draft::new(day(), AskedBy::Command, &config());
    let (mut windows, mut counted) = (vec![Window::of(day())], 0);
    while let Some(window) = windows.pop() {
        let Some(mut ids) = source.identify(window, &stop).unwrap() else {
            let (first, second) = window.halves().unwrap();
            windows.extend([second, first]);
            continue;
        };
        counted += 1;
        listed.iter().for_each(|id| draft.listed(id, window, &mut ids));
        source.count(window, &mut ids, &mut draft, &stop).unwrap();
    }
    (draft.finish(&[]), counted)
}

#[test]
fn a_day_is_its_calls_each_once_by_its_answer_or_its_own_report() {
    let noon = MIDNIGHT + 43_200;
    let segments = [
        line(MIDNIGHT - 7200, "segment_open", "") + &call(MIDNIGHT - 1, 1),
        line(MIDNIGHT - 3, "segment_open", "") + &call(MIDNIGHT, 2) + &call(noon, 3),
        line(noon + 9, "segment_open", "")
            + &answer(noon, 3, noon + 10)
            + &answer(noon, 3, noon + 11)
            + &call(noon, 3)
            + &line(noon, "chat_completion", ",\"status\":\"error\"")
            + &line(noon, "chat_completion", ",\"generation_id\":\"chatcmpl-1\"")
            + &line(noon, "checkpoint", "")
            + &call(MIDNIGHT + 86_400, 4),
        // Answered the day after, in a ledger that was written on.
        line(MIDNIGHT + 90_000, "segment_open", "")
            + &answer(MIDNIGHT, 2, MIDNIGHT + 90_001)
            + &call(MIDNIGHT + 86_399, 5)
            + "{\"v\":1,\"torn",
    ];
    let dir = ledger(&segments);
    let source = Source::of_dir(dir.path()).unwrap();
    let listed = [id(MIDNIGHT, 2), id(noon, 3), id(MIDNIGHT + 86_400, 4), id(noon + 5, 6)];
    let (report, windows) = count_day(&source, &listed);
    assert_eq!(windows, 1);
    let calls = report.calls;
    assert_eq!((calls.reported, calls.answered, calls.repeated), (3, 2, 1));
    assert_eq!((calls.without_id, calls.elsewhere), (1, 1));
    let expected = Figures {
        requests: 3,
        prompt_tokens: 21,
        completion_tokens: 42,
        usd: rust_decimal::Decimal::ONE,
        ..Figures::default()
    };
    assert_eq!(report.ledger, expected);
    assert_eq!(report.by_id.ledger_lacks.ids, [id(noon + 5, 6)]);
    assert_eq!(report.by_id.openrouter_lacks.ids, [id(MIDNIGHT + 86_399, 5)]);
}

#[test]
fn a_day_that_does_not_fit_is_counted_in_windows_to_the_same_result() {
    let mut text = line(MIDNIGHT - 9, "segment_open", "");
    let mut listed = Vec::new();
    for n in 0..200 {
        let second = MIDNIGHT + i64::from(n) * 431;
        text += &call(second, n);
        if n % 3 == 0 {
            text += &answer(second, n, second + 7);
        }
        if n % 10 != 0 {
            listed.push(id(second, n));
        }
    }
    let dir = ledger(&[text]);
    let mut source = Source::of_dir(dir.path()).unwrap();
    let (whole, windows) = count_day(&source, &listed);
    assert_eq!(windows, 1);
    source.most = 30;
    let (parts, windows) = count_day(&source, &listed);
    assert!(windows >= 8, "{windows}");
    assert_eq!(parts, whole);
    assert_eq!(whole.by_id.openrouter_lacks.count, 20);
}

#[test]
fn calls_without_a_second_in_their_id_belong_to_the_day_of_their_record() {
    let legacy = |name: &str, at: &str| {
        let members = format!(",\"timestamp\":\"{at}\",\"generation_id\":\"gen-{name}\"");
        line(MIDNIGHT + 100, "chat_completion", &members)
    };
    // The answer repeats no time of its own: it goes with its call, or nowhere.
    let undated = |name: &str| {
        line(MIDNIGHT + 90_000, "generation", &format!(",\"generation_id\":\"gen-{name}\""))
    };
    let text = line(MIDNIGHT - 9, "segment_open", "")
        + &legacy("legacyinside", "2026-11-21T10:00:00Z")
        + &legacy("legacyoutside", "2026-11-20T23:59:00Z")
        + &undated("legacyinside")
        + &undated("legacyunknown");
    let dir = ledger(&[text]);
    let source = Source::of_dir(dir.path()).unwrap();
    let listed = ["gen-legacyinside", "gen-legacyoutside"].map(str::to_owned);
    let (report, _) = count_day(&source, &listed);
    assert_eq!((report.calls.reported, report.calls.answered), (1, 1));
    assert_eq!(report.ledger.requests, 1);
    // Just before midnight: whoever lists it for this day is not told that it is missing.
    assert_eq!(report.by_id.ledger_lacks.count, 0);
}

#[test]
fn what_only_broadcast_saw_is_named() {
    let seen = |second| format!(",\"generation_id\":\"{}\"", id(second, 1));
    let text = line(MIDNIGHT - 9, "segment_open", "")
        + &call(MIDNIGHT + 1, 1)
        + &line(MIDNIGHT + 2, "broadcast", &seen(MIDNIGHT + 1))
        + &line(MIDNIGHT + 3, "broadcast", &seen(MIDNIGHT + 2))
        + &line(MIDNIGHT + 4, "broadcast", &seen(MIDNIGHT + 2));
    let dir = ledger(&[text]);
    let (report, _) = count_day(&Source::of_dir(dir.path()).unwrap(), &[id(MIDNIGHT + 1, 1)]);
    assert_eq!(report.by_id.only_broadcast.ids, [id(MIDNIGHT + 2, 1)]);
    assert_eq!((report.ledger.requests, report.by_id.openrouter_lacks.count), (1, 0));
}

#[test]
fn what_the_timer_did_is_read_back_from_the_newest_segment_that_tells() {
    let done = |day: &str, by: &str| {
        line(MIDNIGHT, "reconciliation", &format!(",\"asked_by\":\"{by}\",\"day\":\"{day}\""))
    };
    let dir = ledger(&[
        line(MIDNIGHT, "segment_open", "") + &done("2026-11-01", "timer"),
        done("2026-11-18", "timer") + &done("2026-11-17", "timer"),
        done("2026-11-20", "command"),
        line(MIDNIGHT, "checkpoint", ""),
    ]);
    let source = Source::of_dir(dir.path()).unwrap();
    let last = source.last_compared(&Stop::default()).unwrap();
    assert_eq!(last.map(|day| day.to_string()).as_deref(), Some("2026-11-18"));
    assert_eq!(source.first_day().unwrap(), Some(day()));
    assert_eq!(source.found_after(Place { segment: 3, offset: 0 }), Some(7));
    assert_eq!(source.found_after(Place { segment: 4, offset: 0 }), None);
}

#[test]
fn it_stops_when_it_is_told_and_says_what_is_missing() {
    let many = line(MIDNIGHT, "checkpoint", "").repeat(3000);
    let dir = ledger(&[many]);
    let source = Source::of_dir(dir.path()).unwrap();
    let stop = Stop::default();
    stop.stop();
    assert!(matches!(source.identify(Window::of(day()), &stop), Err(Error::Stopped)));
    let nothing = tempfile::tempdir().unwrap();
    assert!(Source::of_dir(nothing.path()).unwrap_err().to_string().contains("newest segment"));
    assert!(Source::of_dir(&nothing.path().join("no")).is_err());
}
