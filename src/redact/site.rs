//! What a detector sees: the text, where it stands, and what was found before it.
//!
//! Looking back stops at, or steps over, the hits found so far as if they were already replaced by
//! their labels: that is what the same detector will see when the output is scrubbed again.

use super::{Hit, Named};

/// Bytes of text (labels counted as written) in which a context word must begin. About six words.
const WINDOW: usize = 40;

/// Countries with IBANs (ISO 13616 registry).
const IBAN: &[[u8; 2]] = &[
    *b"AD", *b"AE", *b"AL", *b"AT", *b"AZ", *b"BA", *b"BE", *b"BG", *b"BH", *b"BR", *b"BY", *b"CH",
    *b"CR", *b"CY", *b"CZ", *b"DE", *b"DK", *b"DO", *b"EE", *b"EG", *b"ES", *b"FI", *b"FO", *b"FR",
    *b"GB", *b"GE", *b"GI", *b"GL", *b"GR", *b"GT", *b"HR", *b"HU", *b"IE", *b"IL", *b"IQ", *b"IS",
    *b"IT", *b"JO", *b"KW", *b"KZ", *b"LB", *b"LC", *b"LI", *b"LT", *b"LU", *b"LV", *b"LY", *b"MC",
    *b"MD", *b"ME", *b"MK", *b"MR", *b"MT", *b"MU", *b"NI", *b"NL", *b"NO", *b"PK", *b"PL", *b"PS",
    *b"PT", *b"QA", *b"RO", *b"RS", *b"RU", *b"SA", *b"SC", *b"SD", *b"SE", *b"SI", *b"SK", *b"SM",
    *b"SN", *b"ST", *b"SV", *b"TL", *b"TN", *b"TR", *b"UA", *b"VA", *b"VG", *b"XK",
];

/// The surroundings of a candidate.
pub(super) struct Site<'t> {
    /// The text in its plain form.
    pub(super) bytes: &'t [u8],
    /// JSON member the text stands under.
    pub(super) key: Option<&'t str>,
    /// What was found so far, in order.
    pub(super) found: &'t [Hit],
    /// How rules are called, for the length of labels.
    pub(super) names: &'t [Named],
}

impl<'t> Site<'t> {
    /// Where the last hit ends: nothing may reach back beyond it.
    pub(super) fn floor(&self) -> usize {
        self.found.last().map_or(0, |hit| hit.end)
    }

    /// The byte at `at`, or 0 behind the end.
    pub(super) fn at(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// The byte before `at`, or 0 where the text, or the text since the last hit, begins.
    pub(super) fn before(&self, at: usize) -> u8 {
        if at <= self.floor() { 0 } else { self.at(at - 1) }
    }

    /// Whether the letter before `at` is the second half of an escape such as `\n`, as in JSON kept
    /// inside a text: then it belongs to no word.
    pub(super) fn escaped(&self, at: usize) -> bool {
        matches!(self.before(at), b'n' | b'r' | b't' | b'b' | b'f')
            && at >= 2
            && self.before(at - 1) == b'\\'
    }

    /// Whether a number may begin at `at`: not inside a word, a decimal, or a dashed identifier
    /// such as a UUID or `gen-1793000000-…`.
    pub(super) fn opens(&self, at: usize) -> bool {
        let before = self.before(at);
        match before {
            b'_' | b'%' => false,
            b'.' => !self.before(at - 1).is_ascii_digit(),
            b'-' => !self.dashed(at - 1),
            _ => !before.is_ascii_alphanumeric() || self.escaped(at),
        }
    }

    /// Whether what stands before the dash at `dash` makes a dashed identifier: something with a
    /// digit, or hexadecimal letters alone (`7f-`, `cafe-`), not a word (`tel-`, `ID-`).
    fn dashed(&self, dash: usize) -> bool {
        let mut start = dash;
        let mut word = false;
        while self.before(start).is_ascii_alphanumeric() && dash - start < 16 {
            start -= 1;
            let byte = self.at(start);
            if byte.is_ascii_digit() {
                return true;
            }
            word |= !byte.is_ascii_hexdigit();
        }
        start < dash && !word
    }

    /// Whether a number may end before `at`: not inside a word, a longer number or a UUID.
    pub(super) fn closes(&self, at: usize) -> bool {
        match self.at(at) {
            b'_' => false,
            b'.' => !self.at(at + 1).is_ascii_digit(),
            b'-' => !self.at(at + 1).is_ascii_digit() && !self.hex_follows(at + 1),
            byte => !byte.is_ascii_alphanumeric(),
        }
    }

    /// Whether a group of four or more hexadecimal digits stands at `at`.
    fn hex_follows(&self, at: usize) -> bool {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let run = rest.iter().take(33).take_while(|byte| byte.is_ascii_alphanumeric()).count();
        run >= 4 && rest.iter().take(run).all(u8::is_ascii_hexdigit)
    }

    /// Whether a single space and another number stand before `at`: part of a row of numbers.
    pub(super) fn follows_number(&self, at: usize) -> bool {
        self.before(at) == b' ' && self.before(at - 1).is_ascii_digit()
    }

    /// Whether groups of four, the first of them an IBAN's (`DE54`), lead to `at`. An IBAN's digits
    /// pass for cards and telephone numbers.
    pub(super) fn in_iban(&self, at: usize) -> bool {
        let mut start = at;
        // The longest IBAN has 34 characters: eight groups and two.
        for _ in 0..8 {
            if self.before(start) != b' ' || start < self.floor() + 5 {
                return false;
            }
            start -= 5;
            let Some([a, b, c, d]) = self.bytes.get(start..start + 4) else { return false };
            let begins = !self.before(start).is_ascii_alphanumeric();
            if begins && c.is_ascii_digit() && d.is_ascii_digit() && IBAN.contains(&[*a, *b]) {
                return true;
            }
            let body = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
            if !(begins && [a, b, c, d].into_iter().all(body)) {
                return false;
            }
        }
        false
    }

    /// The stretches of text, nearest first, that lie within [`WINDOW`] before `at`, hits left out.
    pub(super) fn stretches(&self, at: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
        let mut left = WINDOW;
        let mut end = at;
        let mut earlier = self.found.iter().rev();
        let mut done = false;
        std::iter::from_fn(move || {
            if done {
                return None;
            }
            let hit = earlier.next();
            let floor = hit.map_or(0, |hit| hit.end);
            let start = end.saturating_sub(left).max(floor);
            let stretch = start..end;
            let label = hit.and_then(|hit| self.names.get(hit.rule.index()));
            let used = end - start + label.map_or(0, |named| named.label.len());
            done = hit.is_none() || start > floor || used >= left;
            left = left.saturating_sub(used);
            end = hit.map_or(0, |hit| hit.start);
            Some(stretch)
        })
    }
}
