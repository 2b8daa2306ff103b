//! One test a row of the attack table: somebody without keys who can write the store.
use super::super::{Options, verify};
use super::maker::{Maker, STREAM, gzip, put};
use super::*;

/// Segments 1 and 2: line 1 `segment_open`, 2–6 calls, 7 checkpoint, 8–9 calls, 10
/// `segment_close`; seq 0–9 and 10–19. Segment 3: seq 20 `segment_open`, 21–25 calls, 26
/// `daemon_stop`, 27 checkpoint.
pub(super) fn maker() -> Maker {
    Maker::honest(2, 5)
}

#[test]
fn editing_shows_at_that_line_only() {
    for change in [
        ("Zoë", "Zoé"),
        ("Zoë", "Zoe\u{308}"),
        ("Zoë", "Zo\\u00eb"),
        ("0.00140", "0.0014"),
        ("0.00140", "1.40e-3"),
        (",\"user_id\"", ", \"user_id\""),
        ("\"m1\"", "\"m2\""),
    ] {
        let mut maker = maker();
        maker.edit(1, 4, change);
        expect(&maker.verify(), 1, &[(Kind::Edited, 1, 4, Some(3))]);
        let report = maker.verify_public();
        expect(&report, 1, &[(Kind::Edited, 1, 4, Some(3))]);
        assert_eq!(report.findings.len(), 1, "{}", report.to_text());
    }
}

#[test]
fn editing_and_rehashing_is_forging() {
    let mut maker = maker();
    maker.edit(2, 4, ("Zoë", "Zoé"));
    maker.rehash(2, 4);
    let report = maker.verify();
    expect(&report, 1, &[(Kind::Forged, 2, 4, Some(13))]);
    assert_eq!(report.findings.len(), 2, "{}", report.to_text());
    assert_eq!((report.findings[1].kind, report.findings[1].line), (Kind::LinkBroken, 5));
    expect(&maker.verify_public(), 1, &[(Kind::LinkBroken, 2, 5, Some(14))]);
}

/// Everything after the edit re-hashed and re-linked, MACs left: without the MAC key, the next
/// checkpoint shows it.
#[test]
fn rehashing_the_whole_rest_does_not_survive_the_next_checkpoint() {
    let mut honest = maker();
    let mut forged = Maker::new(STREAM, 1);
    forged.master = [0; 32];
    forged.open();
    forged.calls(3);
    forged.entry(r#""event_type":"chat_completion","id":"invented""#);
    forged.calls(1);
    // He cannot sign, so he keeps the checkpoint that was there.
    let text = String::from_utf8(honest.line(1, 7).clone()).unwrap();
    let body = text.find("\"event_type\"").unwrap()..text.find(",\"chain_hash\"").unwrap();
    forged.entry(&text[body]);
    let report = forged.verify_public();
    assert_eq!(roots(&report)[0], (Kind::CheckpointMismatch, 1, 7, Some(6)));
    assert_eq!(report.exit_code(), 1);
}

#[test]
fn deleting_in_the_middle_is_missing() {
    let mut one = maker();
    one.lines(1).remove(3);
    let report = one.verify();
    expect(&report, 1, &[(Kind::Missing, 1, 4, Some(4))]);
    assert_eq!(report.findings.len(), 1, "later checkpoints still fit: {}", report.to_text());
    assert_eq!(report.findings[0].detail, "entry 3 is missing");
    let mut many = maker();
    many.lines(1).drain(2..5);
    let report = many.verify();
    expect(&report, 1, &[(Kind::Missing, 1, 3, Some(5))]);
    assert_eq!(report.findings[0].detail, "entries 2 to 4 are missing");
    let mut checkpoint = maker();
    checkpoint.lines(2).remove(6);
    expect(&checkpoint.verify(), 1, &[(Kind::Missing, 2, 7, Some(17))]);
    let mut first = maker();
    first.lines(2).remove(0);
    expect(&first.verify(), 1, &[(Kind::Missing, 2, 1, Some(11))]);
}

#[test]
fn cutting_the_newest_file_at_a_line_is_seen_by_age_only() {
    let mut maker = maker();
    maker.lines(3).truncate(4);
    let report = maker.verify();
    expect(&report, 0, &[]);
    assert_eq!(report.tail, 4, "said, though it proves nothing: {}", report.to_text());
    assert_eq!(maker.verify_public().exit_code(), 2);
    maker.segments.pop();
    expect(&maker.verify(), 0, &[]);
    let dir = tempfile::tempdir().unwrap();
    maker.write(dir.path());
    let (now, max_age) = (maker.time + 1_000_000_000, Some(std::time::Duration::from_secs(60)));
    let report = verify(&Options { now, max_age, ..maker.options(dir.path()) }).unwrap();
    expect(&report, 2, &[(Kind::Stale, 2, 10, None)]);
}

#[test]
fn cutting_an_older_file_is_not_closed() {
    let mut maker = maker();
    maker.lines(1).truncate(6);
    let report = maker.verify();
    expect(&report, 1, &[(Kind::SegmentNotClosed, 1, 6, None)]);
    assert!(has(&report, Kind::Missing));
    maker.lines(1).truncate(0);
    let report = maker.verify();
    assert_eq!(report.exit_code(), 1, "{}", report.to_text());
    assert!(has(&report, Kind::SegmentNotClosed), "{}", report.to_text());
}

#[test]
fn deleting_files() {
    let mut middle = maker();
    middle.segments.remove(1);
    let report = middle.verify();
    expect(&report, 1, &[(Kind::Missing, 3, 1, Some(20))]);
    assert!(has(&report, Kind::SegmentGap));
    let mut oldest = maker();
    oldest.segments.remove(0);
    expect(&oldest.verify(), 1, &[(Kind::HeadMissing, 2, 1, None)]);
}

#[test]
fn moving_and_repeating_lines() {
    let mut near = maker();
    near.lines(1).swap(2, 3);
    expect(&near.verify(), 1, &[(Kind::Reordered, 1, 3, Some(3))]);
    let mut far = maker();
    far.lines(1).swap(1, 4);
    expect(&far.verify(), 1, &[(Kind::Reordered, 1, 2, Some(4))]);
    let mut down = maker();
    let moved = down.lines(1).remove(1);
    down.lines(1).insert(4, moved);
    expect(&down.verify(), 1, &[(Kind::Reordered, 1, 2, Some(2))]);
    let mut twice = maker();
    let line = twice.line(1, 3).clone();
    twice.lines(1).insert(3, line.clone());
    expect(&twice.verify(), 1, &[(Kind::Duplicate, 1, 4, Some(2))]);
    let mut replayed = maker();
    replayed.lines(1).insert(8, line.clone());
    expect(&replayed.verify(), 1, &[(Kind::Duplicate, 1, 9, Some(2))]);
    let mut elsewhere = maker();
    elsewhere.lines(2).insert(3, line.clone());
    expect(&elsewhere.verify(), 1, &[(Kind::Duplicate, 2, 4, Some(2))]);
    let mut at_end = maker();
    at_end.lines(3).push(line);
    expect(&at_end.verify(), 1, &[(Kind::Duplicate, 3, 9, Some(2))]);
}

/// A line as somebody without the key would make it: everything right but the MAC.
fn invented(maker: &mut Maker, seq: u64, body: &str) -> Vec<u8> {
    let mut forger = Maker::new(STREAM, 1);
    let before = crate::ledger::line::parse(maker.line(1, seq as usize).trim_ascii_end()).unwrap();
    (forger.seq, forger.prev, forger.master) = (seq, before.chain_hash, [0; 32]);
    forger.segments.push((String::new(), Vec::new()));
    forger.entry(body);
    forger.segments.remove(0).1.remove(0)
}

#[test]
fn an_invented_line_is_forged_and_inserted() {
    let body = r#""event_type":"chat_completion","id":"invented""#;
    let mut fitting = maker();
    let line = invented(&mut fitting, 3, body);
    fitting.lines(1).insert(3, line.clone());
    let report = fitting.verify();
    expect(&report, 1, &[(Kind::Forged, 1, 4, Some(3))]);
    assert!(has(&report, Kind::Inserted), "{}", report.to_text());
    assert_eq!(report.findings.len(), 2, "{}", report.to_text());
    let mut after = maker();
    after.lines(1).insert(4, line.clone());
    let report = after.verify();
    expect(&report, 1, &[(Kind::Forged, 1, 5, Some(3))]);
    assert!(has(&report, Kind::Inserted), "{}", report.to_text());
    let mut anywhere = maker();
    anywhere.lines(1).insert(7, line);
    anywhere.edit(1, 8, ("invented", "re-edited"));
    let report = anywhere.verify();
    expect(&report, 1, &[(Kind::Edited, 1, 8, Some(3))]);
    assert!(has(&report, Kind::Inserted), "{}", report.to_text());
}

#[test]
fn lines_of_another_stream_are_spliced() {
    let mut other = Maker::new("other-00000000", 9);
    other.open();
    other.calls(3);
    let mut maker = maker();
    let line = other.line(1, 3).clone();
    maker.lines(1).insert(4, line.clone());
    expect(&maker.verify(), 1, &[(Kind::Spliced, 1, 5, Some(2))]);
    let mut replaced = self::maker();
    *replaced.line(1, 5) = line;
    expect(&replaced.verify(), 1, &[(Kind::Spliced, 1, 5, Some(2))]);
    let mut file = self::maker();
    *file.lines(2) = other.segments.remove(0).1;
    let report = file.verify();
    expect(&report, 1, &[(Kind::Spliced, 2, 1, Some(0))]);
    assert!(has(&report, Kind::Missing), "{}", report.to_text());
}

#[test]
fn exchanged_files_are_named() {
    let mut maker = maker();
    let second = maker.segments[1].1.clone();
    maker.segments[1].1 = std::mem::replace(&mut maker.segments[0].1, second);
    let report = maker.verify();
    let gap = |name| (Kind::SegmentGap, name, 1, None);
    expect(&report, 1, &[gap(2), gap(1)]);
}

#[test]
fn damaged_archives_are_torn() {
    let maker = maker();
    let plain = maker.segments[0].1.concat();
    let whole = gzip(&plain);
    let damaged = [
        whole[..whole.len() / 2].to_vec(),
        whole[..whole.len() - 3].to_vec(),
        [&whole[..], b"garbage"].concat(),
        [&whole[..], &gzip(b"{}\n")[..]].concat(),
    ];
    for bytes in damaged {
        let dir = tempfile::tempdir().unwrap();
        maker.write(dir.path());
        std::fs::remove_file(dir.path().join(&maker.segments[0].0)).unwrap();
        put(&dir.path().join("archive/audit_2026-11-21.00000001.jsonl.gz"), &bytes);
        let report = verify(&maker.options(dir.path())).unwrap();
        let root = roots(&report);
        assert_eq!((root.len(), root[0].0, root[0].1), (1, Kind::Torn, 1), "{}", report.to_text());
        assert!(has(&report, Kind::SegmentNotClosed), "{}", report.to_text());
        assert_eq!(report.exit_code(), 1);
    }
}

#[test]
fn what_is_no_line_is_malformed_there() {
    let at = [(Kind::Malformed, 1, 4, None)];
    for change in [
        (",\"user_id\"", ",\"user_id\":\"x\",\"user_id\""),
        ("\"seq\":3", "\"seq\":03"),
        ("\"seq\":3", "\"seq\":3.0"),
        ("{\"v\"", "\u{feff}{\"v\""),
        ("Zoë", "Zo\0"),
        ("Zoë", "Zo\u{2028}"),
        (",\"chain_hash\"", ",\"chain_hush\""),
    ] {
        let mut maker = maker();
        maker.edit(1, 4, change);
        let report = maker.verify();
        expect(&report, 1, &at);
        assert_eq!(report.findings.len(), 1, "{}", report.to_text());
    }
    for garbage in [&b"\n"[..], b"\0\n", b"garbage\n", b"{\"v\":1}\n"] {
        let mut maker = maker();
        maker.lines(1).insert(3, garbage.to_vec());
        let report = maker.verify();
        expect(&report, 1, &at);
        assert_eq!(report.findings.len(), 1, "{}", report.to_text());
    }
    let mut bom = maker();
    bom.edit(2, 1, ("{\"v\"", "\u{feff}{\"v\""));
    expect(&bom.verify(), 1, &[(Kind::Malformed, 2, 1, None)]);
}

#[test]
fn converted_line_ends_are_said_once() {
    let mut maker = maker();
    for line in maker.lines(2) {
        line.insert(line.len() - 1, b'\r');
    }
    let report = maker.verify();
    expect(&report, 1, &[(Kind::Malformed, 2, 1, None)]);
    let finding = report.findings.iter().find(|f| f.kind == Kind::Malformed).unwrap();
    assert_eq!(finding.lines, 10);
    assert!(finding.detail.contains("line ends"));
}

#[test]
fn a_forged_frontier() {
    let mut edited = maker();
    let root = edited.line(2, 1).windows(3).position(|w| w == b"[[3").unwrap() + 5;
    let digit = &mut edited.line(2, 1)[root];
    *digit = if *digit == b'0' { b'1' } else { b'0' };
    expect(&edited.verify(), 1, &[(Kind::Edited, 2, 1, Some(10))]);
    // Re-hashed, and alone: the file's own next checkpoint gives it away.
    edited.rehash(2, 1);
    let dir = tempfile::tempdir().unwrap();
    edited.write(dir.path());
    let one = dir.path().join(&edited.segments[1].0);
    let options = Options { mac_master: None, ..edited.options(&one) };
    let report = verify(&options).unwrap();
    assert_eq!(report.exit_code(), 1);
    assert!(has(&report, Kind::CheckpointMismatch), "{}", report.to_text());
    // Without any checkpoint: nobody can say.
    edited.lines(2).truncate(1);
    edited.write(dir.path());
    expect(&verify(&options).unwrap(), 2, &[(Kind::UnsignedTail, 2, 1, None)]);
}

#[test]
fn stripping_all_seals_is_malformed() {
    let mut maker = maker();
    for line in maker.segments.iter_mut().flat_map(|(_, lines)| lines) {
        let core = line.len() - 1 - crate::ledger::line::TRAILER;
        line.truncate(core);
        line.extend_from_slice(b"}\n");
    }
    let report = maker.verify();
    assert_eq!(report.exit_code(), 1);
    assert_eq!(roots(&report)[0], (Kind::Malformed, 1, 1, None), "{}", report.to_text());
}

#[test]
fn a_torn_line_elsewhere_is_tampering() {
    let mut maker = maker();
    maker.lines(1).last_mut().unwrap().truncate(100);
    let report = maker.verify();
    expect(&report, 1, &[(Kind::Torn, 1, 10, None)]);
    assert!(has(&report, Kind::SegmentNotClosed));
    // Two entries fused: what a writer does that appends after an unterminated line.
    let mut fused = self::maker();
    fused.line(3, 3).truncate(100);
    expect(&fused.verify(), 1, &[(Kind::Malformed, 3, 3, None)]);
    let mut after = self::maker();
    after.lines(2).push(b"{\"v\":1".to_vec());
    expect(&after.verify(), 1, &[(Kind::Torn, 2, 11, None)]);
}
