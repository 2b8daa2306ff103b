use super::*;
use proptest::prelude::*;

fn kind(text: &str) -> Option<Kind> {
    check(text.as_bytes()).err().map(|e| e.kind)
}

#[test]
fn accepts_what_rfc_8259_accepts() {
    for good in [
        "0",
        "-0",
        "1.5e-05",
        "1E+9",
        "true",
        " null ",
        "\"\"",
        r#""\ud83d\u00e9\/""#,
        "[]",
        "{}",
        "[1,[2,{}]]",
        r#"{"a":{"a":1},"b":[{"a":2}]}"#,
        "\t{ \"a\" : 1 }\n",
    ] {
        assert_eq!(kind(good), None, "{good}");
        let value = Scanner::new(good.as_bytes()).value().unwrap();
        assert_eq!(value, good.trim().as_bytes());
    }
}

#[test]
fn refuses_what_it_refuses() {
    for (bad, why) in [
        ("", Kind::Truncated),
        ("01", Kind::Trailing),
        ("-", Kind::Truncated),
        ("1.", Kind::Truncated),
        (".5", Kind::Syntax),
        ("+1", Kind::Syntax),
        ("nul", Kind::Syntax),
        ("NaN", Kind::Syntax),
        ("\"a", Kind::Truncated),
        ("\"\\x\"", Kind::Escape),
        ("\"\\u12g4\"", Kind::Escape),
        ("\"a\tb\"", Kind::Control),
        ("[1,]", Kind::Syntax),
        ("[1 2]", Kind::Syntax),
        ("{\"a\":1,}", Kind::Syntax),
        ("{a:1}", Kind::Syntax),
        ("{\"a\" 1}", Kind::Syntax),
        ("{} x", Kind::Trailing),
        ("{\"a\":1,\"a\":2}", Kind::Duplicate),
        ("{\"a\":1,\"\\u0061\":2}", Kind::Duplicate),
        ("[{\"x\":{\"b\":1,\"b\":1}}]", Kind::Duplicate),
        ("{]", Kind::Syntax),
        ("[}", Kind::Syntax),
    ] {
        assert_eq!(kind(bad), Some(why), "{bad}");
    }
}

#[test]
fn depth_costs_no_stack() {
    let deep = "[".repeat(1 << 20) + &"]".repeat(1 << 20);
    assert_eq!(Scanner::new(deep.as_bytes()).value().unwrap().len(), deep.len());
    assert_eq!(kind(&deep), Some(Kind::Depth));
    let fine = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
    assert_eq!(kind(&fine), None);
}

#[test]
fn items_are_raw() {
    let object = br#" { "a" : 1.50 , "b":[1, 2] , "c" : "x\n" } "#;
    let all: Vec<_> = items(object).collect::<Result<_, _>>().unwrap();
    let raw: &[Item<'_>] = &[(b"\"a\"", b"1.50"), (b"\"b\"", b"[1, 2]"), (b"\"c\"", br#""x\n""#)];
    assert_eq!(all, raw);
    let elements: Vec<_> = items(b"[1,\"a\",{}]").map(|item| item.unwrap().1).collect();
    assert_eq!(elements, [&b"1"[..], b"\"a\"", b"{}"]);
    assert!(members(b"[1]").next().unwrap().is_err());
    assert!(items(b"{\"a\":1,}").any(|item| item.is_err()));
    assert!(items(b"{\"a\":1}x").any(|item| item.is_err()));
}

proptest! {
    #[test]
    fn agrees_with_serde_on_soup(text in r#"[\[\]{}",:0-9eE+.a\\u \-ntrfl]{0,40}"#) {
        // serde_json refuses lone surrogates and numbers out of range; the scanner judges grammar.
        let theirs = serde_json::from_str::<Box<serde_json::value::RawValue>>(&text).is_ok();
        let ours = match check(text.as_bytes()) {
            Ok(()) => true,
            Err(e) => e.kind == Kind::Duplicate,
        };
        prop_assert_eq!(ours, theirs, "{}", text);
        let mut scanner = Scanner::new(text.as_bytes());
        prop_assert_eq!(scanner.value().is_ok() && scanner.end().is_ok(), theirs);
    }
}
