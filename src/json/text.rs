//! JSON strings: out of their escapes, and into the ledger's.

/// What unescaping met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unescaped {
    /// Every escape stood for a character.
    Whole,
    /// A `\uD800`–`\uDFFF` without its other half; U+FFFD stands in its place.
    LoneSurrogate,
}

/// Appends to `out` the characters of a raw string, its quotes optional. The raw string must come
/// from the scanner (its escapes are well formed); bytes that are not UTF-8 become U+FFFD.
pub fn unescape(raw: &[u8], out: &mut String) -> Unescaped {
    let mut rest = inner(raw);
    let mut met = Unescaped::Whole;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.push_str(&String::from_utf8_lossy(&rest[..at]));
        let (character, used) = escaped(&rest[at..]);
        if character.is_none() {
            met = Unescaped::LoneSurrogate;
        }
        out.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = rest.get(at + used..).unwrap_or_default();
    }
    out.push_str(&String::from_utf8_lossy(rest));
    met
}

/// A raw string without its quotes.
#[must_use]
pub fn inner(raw: &[u8]) -> &[u8] {
    raw.strip_prefix(b"\"").and_then(|r| r.strip_suffix(b"\"")).unwrap_or(raw)
}

/// The character that the escape at the start of `raw` stands for, and the bytes it takes.
fn escaped(raw: &[u8]) -> (Option<char>, usize) {
    let simple = match raw.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(raw),
        Some(other) => char::from(*other),
        None => return (None, 1),
    };
    (Some(simple), 2)
}

fn unicode(raw: &[u8]) -> (Option<char>, usize) {
    let unit = |at: usize| {
        let hex = raw.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
    };
    match (unit(0), unit(6)) {
        (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
            (char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)), 12)
        }
        (Some(code), _) => (char::from_u32(code), 6),
        (None, _) => (None, raw.len()),
    }
}

/// Appends `text` to `out` as a JSON string with quotes, escaped as the ledger wants it: besides
/// what JSON demands also U+0085, U+2028 and U+2029, so that no line splitter can disagree with LF.
pub fn write(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_inner(out, text);
    out.push(b'"');
}

/// [`write`] without the quotes.
pub fn write_inner(out: &mut Vec<u8>, text: &str) {
    let mut from = 0;
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let long = match byte {
            b'"' | b'\\' | 0..0x20 => 1,
            0xC2 if bytes.get(at + 1) == Some(&0x85) => 2,
            0xE2 if is_separator(&bytes[at..]) => 3,
            _ => {
                at += 1;
                continue;
            }
        };
        out.extend_from_slice(&bytes[from..at]);
        match (byte, long) {
            (b'"', _) => out.extend_from_slice(b"\\\""),
            (b'\\', _) => out.extend_from_slice(b"\\\\"),
            (b'\n', _) => out.extend_from_slice(b"\\n"),
            (b'\r', _) => out.extend_from_slice(b"\\r"),
            (b'\t', _) => out.extend_from_slice(b"\\t"),
            (control, 1) => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
            (_, 2) => out.extend_from_slice(b"\\u0085"),
            _ => out.extend_from_slice(if bytes[at + 2] == 0xA8 { b"\\u2028" } else { b"\\u2029" }),
        }
        at += long;
        from = at;
    }
    out.extend_from_slice(&bytes[from..]);
}

fn is_separator(bytes: &[u8]) -> bool {
    matches!(bytes, [0xE2, 0x80, 0xA8 | 0xA9, ..])
}

/// Whether a raw string's spelling (quotes optional) may stand in the ledger as it is.
#[must_use]
pub fn may_stand(raw: &[u8]) -> bool {
    raw.is_ascii()
        || !memchr::memchr2_iter(0xC2, 0xE2, raw)
            .any(|at| is_separator(&raw[at..]) || raw[at..].starts_with(&[0xC2, 0x85]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unescaped(raw: &str) -> (String, Unescaped) {
        let mut out = String::new();
        let met = unescape(raw.as_bytes(), &mut out);
        (out, met)
    }

    #[test]
    fn escapes_come_out() {
        let (text, met) = unescaped(r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude80é""#);
        assert_eq!(text, "a\"\\/\u{8}\u{c}\n\r\té🚀é");
        assert_eq!(met, Unescaped::Whole);
    }

    #[test]
    fn half_a_pair_is_replaced_and_told() {
        for raw in [r"\ud83d", r"\ude80x", r"\ud83d\u0041"] {
            let (text, met) = unescaped(raw);
            assert_eq!(met, Unescaped::LoneSurrogate, "{raw}");
            assert!(text.starts_with('\u{fffd}'), "{raw}");
        }
    }

    #[test]
    fn line_separators_are_escaped() {
        let mut out = Vec::new();
        write(&mut out, "a\u{85}b\u{2028}c\u{2029}d\u{1}e\u{2027}é");
        assert_eq!(out, "\"a\\u0085b\\u2028c\\u2029d\\u0001e\u{2027}é\"".as_bytes());
        assert!(!may_stand("x\u{2028}".as_bytes()));
        assert!(may_stand("x\u{2027}é\u{86}".as_bytes()));
    }

    proptest! {
        #[test]
        fn writes_what_serde_reads(text in any::<String>()) {
            let mut out = Vec::new();
            write(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text.clone());
            let mut back = String::new();
            prop_assert_eq!(unescape(&out, &mut back), Unescaped::Whole);
            prop_assert_eq!(back, text);
            prop_assert!(may_stand(&out));
        }
    }
}
