//! The plain form of a text, for searching only: without invisible characters, with full-width
//! letters and digits, odd dashes and odd spaces as their ASCII likes, and with the `\u002d` of
//! JSON inside a text as the character it stands for. Most texts need none of it and are searched
//! as they are.
//!
//! The ideographic space stays: it separates numbers rather than groups of one number. Letters of
//! other scripts stay too, alike as some may look.

use memchr::{memchr3_iter, memmem};
use std::ops::Range;

/// A plain copy of a text, and where each part of it came from.
#[derive(Debug)]
pub(super) struct Normal {
    text: String,
    parts: Vec<Part>,
}

/// A stretch of the copy, in which every byte stands for as many bytes of the original.
#[derive(Debug)]
struct Part {
    /// Where it begins in the copy.
    at: usize,
    /// Where it began in the original.
    origin: usize,
    /// Bytes of the original for each of its bytes; 1 where it was copied.
    step: usize,
}

impl Normal {
    /// The plain form of `text`; `None` when it is plain already.
    pub(super) fn of(text: &str) -> Option<Normal> {
        let bytes = text.as_bytes();
        let mut wide = memchr3_iter(0xC2, 0xE2, 0xEF, bytes).peekable();
        let mut escapes = memmem::find_iter(bytes, "\\u00").peekable();
        let mut normal = Normal { text: String::new(), parts: Vec::new() };
        let mut copied = 0;
        loop {
            let at = match (wide.peek(), escapes.peek()) {
                (Some(w), Some(e)) if w < e => wide.next(),
                (Some(_), None) => wide.next(),
                _ => escapes.next(),
            };
            let Some(at) = at else { break };
            let Some((len, plain)) = plain(bytes.get(at..).unwrap_or_default()) else { continue };
            normal.copy(text, copied..at);
            if let Some(plain) = plain {
                normal.part_from(at, len);
                normal.text.push(char::from(plain));
            }
            copied = at + len;
        }
        if copied == 0 {
            return None;
        }
        normal.copy(text, copied..text.len());
        Some(normal)
    }

    /// The copy.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where a non-empty `range` of the copy was in the original.
    pub(super) fn original(&self, range: Range<usize>) -> Range<usize> {
        let first = self.part(range.start);
        let last = self.part(range.end.saturating_sub(1));
        let start = first.origin + (range.start - first.at) * first.step;
        start..last.origin + (range.end - last.at) * last.step
    }

    /// The part that holds the byte `at` of the copy.
    fn part(&self, at: usize) -> &Part {
        const FIRST: Part = Part { at: 0, origin: 0, step: 1 };
        let after = self.parts.partition_point(|part| part.at <= at);
        self.parts.get(after.wrapping_sub(1)).unwrap_or(&FIRST)
    }

    /// Lets what is appended next come from `origin`, in steps of `step`. A part that goes on just
    /// so is continued: a text of full-width letters is one part.
    fn part_from(&mut self, origin: usize, step: usize) {
        let at = self.text.len();
        let goes_on =
            |last: &Part| last.step == step && last.origin + (at - last.at) * step == origin;
        if !self.parts.last().is_some_and(goes_on) {
            self.parts.push(Part { at, origin, step });
        }
    }

    fn copy(&mut self, text: &str, range: Range<usize>) {
        if !range.is_empty() {
            self.part_from(range.start, 1);
            self.text.push_str(text.get(range).unwrap_or_default());
        }
    }
}

/// How many bytes of `rest` are not plain, and what stands for them: a character, or nothing.
/// `None` when `rest` begins plainly.
fn plain(rest: &[u8]) -> Option<(usize, Option<u8>)> {
    Some(match *rest {
        // Soft hyphen; no-break space.
        [0xC2, 0xAD, ..] => (2, None),
        [0xC2, 0xA0, ..] => (2, Some(b' ')),
        // U+2000–200A spaces, U+200B–200F invisible, U+2010–2015 dashes, U+202A–202E directions,
        // U+202F narrow space.
        [0xE2, 0x80, last, ..] => match last {
            0x80..=0x8A | 0xAF => (3, Some(b' ')),
            0x8B..=0x8F | 0xAA..=0xAE => (3, None),
            0x90..=0x95 => (3, Some(b'-')),
            _ => return None,
        },
        // U+205F space, U+2060–2064 and U+2066–2069 invisible.
        [0xE2, 0x81, 0x9F, ..] => (3, Some(b' ')),
        [0xE2, 0x81, 0xA0..=0xA4 | 0xA6..=0xA9, ..] => (3, None),
        // Minus sign.
        [0xE2, 0x88, 0x92, ..] => (3, Some(b'-')),
        // Byte order mark; small and full-width forms.
        [0xEF, 0xBB, 0xBF, ..] => (3, None),
        [0xEF, 0xB9, 0xA3, ..] => (3, Some(b'-')),
        [0xEF, 0xB9, 0xAB, ..] => (3, Some(b'@')),
        [0xEF, 0xBC, last @ 0x81..=0xBF, ..] => (3, Some(full_width(last - 0x60)?)),
        [0xEF, 0xBD, last @ 0x80..=0x9E, ..] => (3, Some(full_width(last - 0x20)?)),
        [b'\\', b'u', b'0', b'0', high, low, ..] => {
            let (high, low) = (char::from(high).to_digit(16)?, char::from(low).to_digit(16)?);
            let byte = u8::try_from(high << 4 | low).ok()?;
            ((b' '..=b'~').contains(&byte) && byte != b'\\').then_some((6, Some(byte)))?
        }
        _ => return None,
    })
}

/// The ASCII like of a full-width character, where it can be part of what is searched for.
fn full_width(byte: u8) -> Option<u8> {
    (byte.is_ascii_alphanumeric() || b"@.-_+()".contains(&byte)).then_some(byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_text_is_left_alone() {
        for text in ["", "plain", "café 東京 🚀 “quoted” – no, – is a dash"] {
            assert_eq!(Normal::of(text).is_some(), text.contains('–'), "{text}");
        }
    }

    #[test]
    fn odd_characters_become_plain() {
        for (odd, want) in [
            ("４１５‑555−0100", "415-555-0100"),
            ("a\u{200b}b＠x\u{ad}.com", "ab@x.com"),
            ("1\u{a0}2\u{202f}3\u{2009}4", "1 2 3 4"),
            (r"809\u002d34\u002D5401", "809-34-5401"),
            (r"kept \u005c \u000a \u00zz", r"kept \u005c \u000a \u00zz"),
        ] {
            let plain = Normal::of(odd).map_or(odd.to_owned(), |normal| normal.text);
            assert_eq!(plain, want);
        }
    }

    proptest! {
        /// Every character of the copy comes from a character of the original, in order, and what
        /// was copied is the same there.
        #[test]
        fn ranges_lead_back(text in r"([a-z0-9@é東]|[\u{200b}\u{ad}\u{a0}\u{2011}＠４]|\\u002d){1,40}") {
            let Some(normal) = Normal::of(&text) else { return Ok(()) };
            let mut last = 0;
            for (at, c) in normal.text.char_indices() {
                let range = normal.original(at..at + c.len_utf8());
                prop_assert!(range.start >= last);
                let origin = &text[range.clone()];
                prop_assert!(origin == c.to_string() || origin.len() > 1);
                last = range.end;
            }
        }
    }
}
