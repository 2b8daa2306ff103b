//! Attacks by somebody who has today's keys or some of them, and mistakes that other projects made.
use super::{super::verify, attacks::maker, maker::STREAM, *};
use crate::ledger::note::Signer;

#[test]
fn a_bad_signature_is_not_an_unknown_key() {
    let mut maker = maker();
    // The MAC key alone makes entries, not checkpoints.
    maker.calls(1);
    let forged = Signer::new(STREAM, [9; 32]);
    let real = std::mem::replace(&mut maker.signer, forged);
    maker.checkpoint("checkpoint");
    expect(&maker.verify(), 1, &[(Kind::UnknownKey, 3, 10, Some(29))]);
    maker.lines(3).pop();
    (maker.seq, maker.signer) = (29, real);
    let before = crate::ledger::line::parse(maker.line(3, 9).trim_ascii_end()).unwrap().chain_hash;
    maker.prev = before;
    let note = maker.signer.sign("teller-7f3a9c21\n29\nAAAA\n").replace("29", "30");
    let note = serde_json::to_string(&note).unwrap();
    maker.entry(&format!(r#""event_type":"checkpoint","size":29,"root":"00","note":{note}"#));
    expect(&maker.verify(), 1, &[(Kind::BadCheckpointSig, 3, 10, Some(29))]);
}

#[test]
fn an_unknown_key_hides_no_later_forgery() {
    let mut maker = maker();
    maker.key_id = "stolen".into();
    maker.calls(2);
    maker.key_id = "m1".into();
    maker.calls(1);
    maker.edit(3, 11, ("Zoë", "Zoé"));
    let want = [(Kind::UnknownKey, 3, 9, Some(28)), (Kind::Edited, 3, 11, Some(30))];
    let report = maker.verify();
    expect(&report, 1, &want);
    assert_eq!(report.findings[0].lines, 2);
}

#[test]
fn rotating_to_an_attackers_key_is_unknown() {
    let mut maker = maker();
    maker.checkpoint("segment_close");
    maker.signer = Signer::new(STREAM, [9; 32]);
    maker.open();
    maker.calls(2);
    maker.checkpoint("checkpoint");
    expect(&maker.verify(), 1, &[(Kind::UnknownKey, 4, 1, Some(29))]);
    // Announced by himself, with no MAC key at hand and nothing signed by the old key after it.
    let mut own = self::maker();
    let key = Signer::new(STREAM, [9; 32]);
    own.entry(&format!(r#""event_type":"key_rotate","vkey":"{}""#, key.vkey()));
    own.signer = key;
    own.checkpoint("segment_close");
    expect(&own.verify_public(), 1, &[(Kind::UnknownKey, 3, 10, Some(29))]);
}

#[test]
fn another_public_key_than_the_genesis_pins_is_tampering() {
    let maker = maker();
    let dir = tempfile::tempdir().unwrap();
    maker.write(dir.path());
    let mut options = maker.options(dir.path());
    options.public_keys = vec![Signer::new(STREAM, [9; 32]).vkey()];
    let report = verify(&options).unwrap();
    assert_eq!(report.exit_code(), 1);
    assert!(has(&report, Kind::UnknownKey) && has(&report, Kind::LinkBroken));
}

#[test]
fn two_histories_are_a_fork() {
    // Two writers: the same place taken twice, both with the key.
    let mut maker = maker();
    let (seq, prev, frontier) = (maker.seq, maker.prev, maker.frontier.clone());
    maker.calls(2);
    (maker.seq, maker.prev, maker.frontier) = (seq, prev, frontier);
    maker.time += 5_000_000;
    maker.calls(2);
    let report = maker.verify();
    assert_eq!(roots(&report)[0], (Kind::Fork, 3, 11, Some(28)), "{}", report.to_text());
    let mut near = self::maker();
    let (seq, prev) = (near.seq, near.prev);
    near.calls(1);
    (near.seq, near.prev) = (seq, prev);
    near.calls(1);
    expect(&near.verify(), 1, &[(Kind::Fork, 3, 10, Some(28))]);
    // Two files for one segment.
    let mut files = self::maker();
    let mut copy = files.segments[1].clone();
    copy.1.truncate(8);
    copy.0 = "copy.jsonl".into();
    files.segments.push(copy);
    assert!(has(&files.verify(), Kind::Fork));
}

/// The hash of the last line is recomputed, never taken from the line.
#[test]
fn a_stored_hash_is_never_trusted() {
    let mut maker = maker();
    let line = maker.lines(3).len();
    maker.edit(3, line - 1, ("daemon_stop", "daemon_step"));
    let report = maker.verify();
    expect(&report, 1, &[(Kind::Edited, 3, 7, Some(26))]);
    maker.lines(3).truncate(line - 1);
    let report = maker.verify();
    expect(&report, 1, &[(Kind::Edited, 3, 7, Some(26))]);
    let stated = crate::ledger::line::parse(maker.line(3, 7).trim_ascii_end()).unwrap().chain_hash;
    assert_ne!(report.head, Some(const_hex::encode(stated)));
}

/// A tail that parses and links but has no MAC is not a head.
#[test]
fn a_garbage_tail_that_parses_is_forged() {
    let mut maker = maker();
    maker.master = [0; 32];
    maker.calls(2);
    let report = maker.verify();
    expect(&report, 1, &[(Kind::Forged, 3, 9, Some(28))]);
    expect(&maker.verify_public(), 2, &[(Kind::UnsignedTail, 3, 10, None)]);
}
