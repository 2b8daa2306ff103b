//! A line reads back as written, and nothing else reads as a line.
use super::*;
use proptest::prelude::*;

const BODY: &str = r#""event_type":"chat_completion","id":"1","metadata":{"a":{"b":1.50}}"#;

fn mac() -> MacKey {
    MacKey::derive(&[1; 32], "teller-1", "m1")
}

fn envelope_of(seq: u64) -> Envelope<'static> {
    let recorded_at = "2026-11-21T10:01:22.123456Z";
    Envelope { stream: "teller-1", seq, prev_hash: [0xab; 32], recorded_at, key_id: "m1" }
}

fn line(seq: u64, body: &str) -> String {
    let mut out = Vec::new();
    write(&mut out, &envelope_of(seq), body.as_bytes(), &mac());
    let mut text = String::from_utf8(out).unwrap();
    assert_eq!(text.pop(), Some('\n'));
    text
}

/// A line with another beginning, rehashed so that only the form is wrong.
fn why(from: &str, to: &str) -> Option<Malformed> {
    let line = line(81, BODY);
    assert!(line.contains(from), "{from} stands in no line");
    parse(line.replacen(from, to, 1).as_bytes()).err()
}

#[test]
fn has_the_documented_bytes() {
    let text = line(81, BODY);
    let start = "{\"v\":1,\"stream\":\"teller-1\",\"seq\":81,\"prev_hash\":\"abababab";
    assert!(text.starts_with(start), "{text}");
    let middle =
        "ab\",\"recorded_at\":\"2026-11-21T10:01:22.123456Z\",\"key_id\":\"m1\",\"event_type\":";
    assert!(text.contains(middle), "{text}");
    let (core, trailer) = text.split_at(text.len() - TRAILER);
    let hash: Digest = Sha256::digest(core).into();
    assert_eq!(&trailer[..15], ",\"chain_hash\":\"");
    assert_eq!(trailer[15..79], const_hex::encode(hash));
    assert_eq!(&trailer[79..94], "\",\"signature\":\"");
    assert_eq!(trailer[94..158], const_hex::encode(mac().sign(&hash)));
}

#[test]
fn members_are_raw_and_top_level() {
    let text = line(0, BODY);
    let line = parse(text.as_bytes()).unwrap();
    assert_eq!(line.member("metadata"), Some(&br#"{"a":{"b":1.50}}"#[..]));
    assert_eq!(line.member("seq"), Some(&b"0"[..]));
    assert_eq!(line.member("b"), None);
    assert_eq!(line.event_type, "chat_completion");
}

#[test]
fn only_the_one_form_is_a_line() {
    use Malformed::*;
    for (from, to, want) in [
        ("{\"v\":1", "{\"v\":2", Envelope),
        ("{\"v\":1", "\u{feff}{\"v\":1", Bom),
        ("{\"v\":1,", "{\"v\":1, ", Envelope),
        ("{\"v\"", "\t{\"v\"", Control),
        ("{\"v\"", "\0{\"v\"", Control),
        ("teller-1", "", Envelope),
        ("teller-1", "tell\\u0065r-1", Envelope),
        (":81", ":081", Envelope),
        (":81", ":81.0", Envelope),
        (":81", ":-1", Envelope),
        (":81", ":", Envelope),
        (":81", ":9007199254740992", Envelope),
        (":81", ":99999999999999999999", Envelope),
        ("abab", "ABab", Envelope),
        ("abab", "0xab", Envelope),
        ("abab", "aba", Envelope),
        ("22.123456Z", "22.123Z", Envelope),
        ("22.123456Z", "22,123456Z", Envelope),
        ("\"m1\"", "\"m 1\"", Envelope),
        ("\"event_type\"", "\"type\"", Envelope),
        ("\"chat_completion\"", "\"\"", Envelope),
        ("\"chain_hash\"", "\"chain_hush\"", Trailer),
        ("\"signature\":", "\"signature\" :", Trailer),
        ("\"id\":\"1\"", "\"id\":\"1\",\"id\":\"1\"", Duplicate),
        ("\"id\"", "\"\\u0073eq\"", Duplicate),
        ("\"id\"", "\"signature\"", Duplicate),
        ("{\"b\":1.50", "{\"b\":1.50,\"b\":1.50", Duplicate),
        ("1.50", "1.", Json),
        ("\"1\"", "\"1", Json),
        ("1.50}}", "1.50}", Json),
        ("\"1\"", "\"\u{2028}\"", Separator),
        ("\"1\"", "\"\u{2029}\"", Separator),
        ("\"1\"", "\"\u{85}\"", Separator),
        ("\"1\"", "\"\r\"", CarriageReturn),
    ] {
        assert_eq!(why(from, to), Some(want), "{from} → {to:?}");
    }
    let text = line(81, BODY);
    assert_eq!(parse(format!("{text}\r").as_bytes()), Err(CarriageReturn));
    assert_eq!(parse(format!("{text} ").as_bytes()), Err(Trailer));
    assert_eq!(parse(b""), Err(Empty));
    assert_eq!(parse(b"{}"), Err(Trailer));
    assert_eq!(parse(&text.as_bytes()[..text.len() - TRAILER]), Err(Trailer));
    let upper = text[text.len() - TRAILER..].to_uppercase();
    let shouted = format!("{}{upper}", &text[..text.len() - TRAILER]);
    assert_eq!(parse(shouted.as_bytes()), Err(Trailer));
    let mut latin = text.into_bytes();
    let at = latin.windows(3).position(|w| w == b"\"1\"").unwrap() + 1;
    latin[at] = 0xe9;
    assert_eq!(parse(&latin), Err(Utf8));
}

proptest! {
    #[test]
    fn reads_back_what_was_written(seq in 0..=MAX_SEQ, prev: [u8; 32], text in any::<String>()) {
        let mut body = b"\"event_type\":\"generation\",\"id\":".to_vec();
        json::text::write(&mut body, &text);
        let envelope = Envelope { prev_hash: prev, ..envelope_of(seq) };
        let mut out = b"earlier\n".to_vec();
        let hash = write(&mut out, &envelope, &body, &mac());
        prop_assert_eq!(out.last(), Some(&b'\n'));
        let line = parse(&out[8..out.len() - 1]).unwrap();
        prop_assert_eq!((line.chain_hash, line.hash(), line.seq), (hash, hash, seq));
        prop_assert_eq!((line.prev_hash, line.stream, line.key_id), (prev, "teller-1", "m1"));
        prop_assert_eq!(line.recorded_at, envelope.recorded_at);
        prop_assert_eq!((line.body, line.event_type), (&body[..], "generation"));
        prop_assert!(mac().verify(&line.chain_hash, &line.signature));
    }

    #[test]
    fn any_changed_byte_is_malformed_or_shows_in_hash_or_mac(at in 0usize..1000, to: u8) {
        let mut bytes = line(81, BODY).into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != to && to != b'\n');
        bytes[at] = to;
        if let Ok(line) = parse(&bytes) {
            let intact = line.hash() == line.chain_hash
                && mac().verify(&line.chain_hash, &line.signature);
            prop_assert!(!intact, "byte {} changed unseen", at);
        }
    }
}
