//! What a detector sees: the text, where it stands, and what was found before it.
//!
//! Looking back stops at, or steps over, the hits found so far as if they were already replaced by
//! their labels: that is what the same detector will see when the output is scrubbed again.

use super::{Hit, Named};

/// Bytes of text (labels counted as written) in which a context word must begin. About six words.
const WINDOW: usize = 40;

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
