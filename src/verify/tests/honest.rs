//! What must pass, and what must be "cannot conclude" rather than an accusation.
use super::super::{Completeness, Options, Origin, verify};
use super::maker::{MASTER, Maker, STREAM, gzip, put};
use super::*;
use std::time::Duration;

#[test]
fn an_honest_ledger_is_intact_with_any_set_of_keys() {
    let maker = Maker::honest(2, 5);
    let report = maker.verify();
    expect(&report, 0, &[]);
    assert!(report.findings.is_empty(), "{}", report.to_text());
    assert_eq!((report.segments, report.entries, report.last_seq), (3, 28, Some(27)));
    assert_eq!((report.first_seq, report.checkpoints, report.tail), (Some(0), 5, 0));
    assert_eq!(report.head, Some(const_hex::encode(maker.prev)));
    assert_eq!(report.completeness, Completeness::UnprovenBeyondHead);
    expect(&maker.verify_public(), 0, &[]);
    let dir = tempfile::tempdir().unwrap();
    maker.write(dir.path());
    let bare = verify(&Options { paths: vec![dir.path().into()], ..Options::default() }).unwrap();
    expect(&bare, 0, &[]);
    assert_eq!(bare.keys.public_from, Origin::StatedByLedger);
    assert!(std::fs::read_dir(dir.path()).unwrap().count() == 3, "verify creates nothing");
}

#[test]
fn keys_beside_the_ledger_are_used_and_called_what_they_are() {
    let mut maker = Maker::honest(1, 3);
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("keys/public.vkey"), format!("{}\n", maker.first_vkey).as_bytes());
    put(&dir.path().join("keys/mac.key"), const_hex::encode(MASTER).as_bytes());
    maker.write(dir.path());
    let options = Options { paths: vec![dir.path().into()], ..Options::default() };
    let report = verify(&options).unwrap();
    expect(&report, 0, &[]);
    assert_eq!(report.keys.mac_from, Origin::BesideLedger);
    assert!(report.to_text().contains("no independent evidence"));
    maker.edit(1, 3, ("Zoë", "Zoé"));
    maker.rehash(1, 3);
    maker.write(dir.path());
    expect(&verify(&options).unwrap(), 1, &[(Kind::Forged, 1, 3, Some(2))]);
}

#[test]
fn one_file_verifies_by_itself() {
    let maker = Maker::honest(2, 5);
    let dir = tempfile::tempdir().unwrap();
    maker.write(dir.path());
    let report = verify(&maker.options(&dir.path().join(&maker.segments[1].0))).unwrap();
    expect(&report, 0, &[]);
    assert!(report.notes.iter().any(|note| note.contains("one file was given")));
    assert_eq!((report.first_seq, report.checkpoints), (Some(10), 2));
}

#[test]
fn archives_copies_and_renames_are_clean() {
    let maker = Maker::honest(2, 5);
    let dir = tempfile::tempdir().unwrap();
    let bytes = |n: usize| maker.segments[n].1.concat();
    put(&dir.path().join("archive/audit_2026-11-21.00000001.jsonl.gz"), &gzip(&bytes(0)));
    put(&dir.path().join("audit_2026-11-21.00000002.jsonl"), &bytes(1));
    put(&dir.path().join("archive/audit_2026-11-21.00000002.jsonl.gz"), &gzip(&bytes(1)));
    put(&dir.path().join("a-copy-from-the-auditor.jsonl"), &bytes(2));
    let report = verify(&maker.options(dir.path())).unwrap();
    expect(&report, 0, &[]);
    assert_eq!((report.segments, report.entries), (3, 28), "a copy counts once");
}

#[test]
fn segments_joined_into_one_file_are_clean() {
    let mut maker = Maker::honest(2, 5);
    let rest: Vec<_> = maker.segments.drain(1..).flat_map(|(_, lines)| lines).collect();
    maker.lines(1).extend(rest);
    expect(&maker.verify(), 0, &[]);
}

#[test]
fn an_unsigned_end_is_no_accusation() {
    let mut maker = Maker::honest(1, 3);
    maker.calls(4);
    let report = maker.verify();
    expect(&report, 0, &[]);
    assert_eq!(report.tail, 4);
    let line = maker.segments[1].1.len() as u64;
    expect(&maker.verify_public(), 2, &[(Kind::UnsignedTail, 2, line, None)]);
    let mut fresh = Maker::new(STREAM, 1);
    fresh.open();
    fresh.calls(2);
    expect(&fresh.verify(), 2, &[(Kind::UnsignedTail, 1, 3, None)]);
}

#[test]
fn a_torn_end_is_cannot_conclude_until_it_is_recovered() {
    let mut maker = Maker::honest(1, 3);
    let next = maker.lines(2).len() as u64 + 1;
    maker.lines(2).push(br#"{"v":1,"stream":"teller-"#.to_vec());
    expect(&maker.verify(), 2, &[(Kind::Torn, 2, next, None)]);
    maker.lines(2).pop();
    maker.entry(r#""event_type":"recovery","torn_bytes":23,"torn_sha256":"00","torn_file":"x""#);
    maker.checkpoint("checkpoint");
    let report = maker.verify();
    expect(&report, 0, &[]);
    assert_eq!(report.control.recoveries, 1);
    // A daemon that is writing: the line is whole but for its LF, and is not counted yet.
    let cut = maker.lines(2).last_mut().unwrap();
    cut.pop();
    assert_eq!(maker.verify().exit_code(), 2);
}

/// What a crash leaves while a segment is being opened.
#[test]
fn a_segment_that_was_just_created_is_no_accusation() {
    let mut maker = Maker::honest(1, 3);
    maker.checkpoint("segment_close");
    maker.open();
    let first = maker.lines(3).remove(0);
    expect(&maker.verify(), 0, &[]);
    maker.lines(3).push(first[..50].to_vec());
    expect(&maker.verify(), 2, &[(Kind::Torn, 3, 1, None)]);
    assert_eq!(maker.verify_public().exit_code(), 2);
}

#[test]
fn time_going_back_needs_a_reason() {
    let mut maker = Maker::honest(0, 3);
    maker.time -= 60_000_000;
    maker.entry(r#""event_type":"clock_step","micros":-60000000"#);
    maker.checkpoint("checkpoint");
    let report = maker.verify();
    expect(&report, 0, &[]);
    assert!(has(&report, Kind::ClockBack));
    maker.time -= 60_000_000;
    maker.calls(1);
    maker.entry(r#""event_type":"clock_step""#);
    maker.checkpoint("checkpoint");
    expect(&maker.verify(), 0, &[]);
    let line = maker.lines(1).len() as u64 + 1;
    let seq = Some(maker.seq);
    maker.time -= 60_000_000;
    maker.calls(1);
    maker.checkpoint("checkpoint");
    expect(&maker.verify(), 2, &[(Kind::ClockBack, 1, line, seq)]);
}

#[test]
fn age_is_judged_when_asked() {
    let maker = Maker::honest(0, 3);
    let dir = tempfile::tempdir().unwrap();
    maker.write(dir.path());
    let aged = |seconds: i64| {
        let max_age = Some(Duration::from_secs(60));
        let now = maker.time + seconds * 1_000_000;
        verify(&Options { max_age, now, ..maker.options(dir.path()) }).unwrap()
    };
    expect(&aged(60), 0, &[]);
    expect(&aged(61), 2, &[(Kind::Stale, 1, 6, None)]);
}

#[test]
fn nothing_there_is_no_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let options = Maker::new(STREAM, 1).options(dir.path());
    assert_eq!(verify(&options).unwrap().exit_code(), 2);
    let gone = Options { paths: vec![dir.path().join("gone")], ..Options::default() };
    assert_eq!(verify(&gone).unwrap_err().exit_code(), 4);
    let bad = Options { public_keys: vec!["no key".into()], ..options };
    assert_eq!(verify(&bad).unwrap_err().exit_code(), 3);
}

#[test]
fn announced_rotations_are_followed() {
    let mut maker = Maker::honest(1, 3);
    let next = crate::ledger::note::Signer::new(STREAM, [2; 32]);
    maker
        .entry(&format!(r#""event_type":"key_rotate","vkey":"{}","new_key_id":"m2""#, next.vkey()));
    maker.checkpoint("segment_close");
    (maker.signer, maker.key_id) = (next, "m2".into());
    maker.open();
    maker.calls(2);
    maker.checkpoint("checkpoint");
    expect(&maker.verify(), 0, &[]);
    expect(&maker.verify_public(), 0, &[]);
    let (seq, line) = (Some(maker.seq), maker.lines(3).len() as u64 + 1);
    maker.key_id = "m1".into();
    maker.calls(1);
    maker.checkpoint("checkpoint");
    expect(&maker.verify(), 1, &[(Kind::UnknownKey, 3, line, seq)]);
}

#[test]
fn old_segments_may_go_when_a_retention_entry_says_so() {
    let mut maker = Maker::honest(2, 3);
    let whole = maker.segments.clone();
    maker.segments.remove(0);
    expect(&maker.verify(), 1, &[(Kind::HeadMissing, 2, 1, None)]);
    maker.segments = whole;
    maker.entry(r#""event_type":"retention","action":"delete","first_seq":0,"last_seq":7"#);
    maker.checkpoint("checkpoint");
    maker.segments.remove(0);
    expect(&maker.verify(), 0, &[]);
}

#[test]
fn the_json_report_is_stable() {
    let report = Maker::honest(1, 2).verify();
    let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    for member in [
        "verdict",
        "exit",
        "integrity",
        "completeness",
        "stream",
        "segments",
        "entries",
        "first_seq",
        "last_seq",
        "head",
        "checkpoints",
        "last_checkpoint",
        "keys",
        "findings",
        "notes",
    ] {
        assert!(json.get(member).is_some(), "{member} is missing");
    }
    assert_eq!((&json["verdict"], &json["exit"]), (&"intact".into(), &0.into()));
    let mut maker = Maker::honest(1, 2);
    maker.edit(1, 2, ("Zoë", "Zoé"));
    let json: serde_json::Value = serde_json::from_str(&maker.verify().to_json().unwrap()).unwrap();
    let finding = &json["findings"][0];
    assert_eq!((&finding["finding"], &finding["severity"]), (&"EDITED".into(), &"tampered".into()));
    assert_eq!((&finding["line"], &finding["seq"]), (&2.into(), &1.into()));
    assert!(finding["offset"].as_u64().unwrap() > 0 && finding["follows"] == serde_json::json!([]));
}
