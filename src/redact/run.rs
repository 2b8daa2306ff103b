//! A run: groups of digits with what separates them, as far as a number could reach.

use super::site::Site;

/// Groups in one run. The longest number (`+46 (0)8 928 571 38`) has seven.
const GROUPS: usize = 16;

/// Groups that a number can span, counted from its first; a cut run is taken up again this many
/// groups before its end.
const REACH: usize = 8;

/// What stands between a group and the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Gap {
    /// Nothing that could join two groups of one number.
    #[default]
    End,
    /// One space.
    Space,
    /// One `-`.
    Dash,
    /// One `.`.
    Dot,
    /// One `/`.
    Slash,
    /// `(`, with or without a space or dash before it.
    Open,
    /// `)`, with or without a space or dash after it.
    Close,
}

/// Digits without a break.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    /// Offset of the first digit.
    pub(super) start: usize,
    /// Offset after the last digit.
    pub(super) end: usize,
    /// What separates it from the next group.
    pub(super) gap: Gap,
}

impl Group {
    /// Number of digits.
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }
}

/// Groups of digits that follow each other.
#[derive(Debug)]
pub(super) struct Run {
    groups: [Group; GROUPS],
    len: usize,
}

impl Run {
    /// Collects the run that begins with the digit at `at`.
    pub(super) fn at(bytes: &[u8], at: usize) -> Run {
        let mut run = Run { groups: [Group::default(); GROUPS], len: 0 };
        let mut start = at;
        while let Some(group) = run.groups.get_mut(run.len) {
            let end = start + digits(bytes, start);
            let (gap, width) = gap(bytes.get(end..).unwrap_or_default());
            *group = Group { start, end, gap };
            run.len += 1;
            if gap == Gap::End {
                break;
            }
            start = end + width;
        }
        run
    }

    /// The groups.
    pub(super) fn groups(&self) -> &[Group] {
        self.groups.get(..self.len).unwrap_or_default()
    }

    /// The groups from number `from` on.
    pub(super) fn from(&self, from: usize) -> &[Group] {
        self.groups().get(from..).unwrap_or_default()
    }

    /// How many groups can be judged, because all that could belong to them is in the run; and the
    /// offset at which to go on when none of them is a hit.
    pub(super) fn judged(&self) -> (usize, usize) {
        match self.groups().last() {
            Some(last) if last.gap == Gap::End => (self.len, last.end),
            _ => {
                let judged = self.len.saturating_sub(REACH);
                (judged, self.groups.get(judged).map_or(usize::MAX, |group| group.start))
            }
        }
    }
}

/// Number of digits at `at`.
fn digits(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
}

/// What `rest` begins with, up to the next digit, and how many bytes that is.
fn gap(rest: &[u8]) -> (Gap, usize) {
    match *rest {
        [b' ', b'0'..=b'9', ..] => (Gap::Space, 1),
        [b'-', b'0'..=b'9', ..] => (Gap::Dash, 1),
        [b'.', b'0'..=b'9', ..] => (Gap::Dot, 1),
        [b'/', b'0'..=b'9', ..] => (Gap::Slash, 1),
        [b'(', b'0'..=b'9', ..] => (Gap::Open, 1),
        [b')', b'0'..=b'9', ..] => (Gap::Close, 1),
        [b' ' | b'-', b'(', b'0'..=b'9', ..] => (Gap::Open, 2),
        [b')', b' ' | b'-', b'0'..=b'9', ..] => (Gap::Close, 2),
        _ => (Gap::End, 0),
    }
}

/// Up to 19 digits of a number, without its separators.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Digits {
    values: [u8; 19],
    len: usize,
}

impl Digits {
    /// The digits of `groups`; `None` when there are more than 19.
    pub(super) fn of(site: &Site<'_>, groups: &[Group]) -> Option<Digits> {
        let mut digits = Digits::default();
        for group in groups {
            for byte in site.bytes.get(group.start..group.end)? {
                *digits.values.get_mut(digits.len)? = byte - b'0';
                digits.len += 1;
            }
        }
        Some(digits)
    }

    /// Their values, 0 to 9.
    pub(super) fn values(&self) -> &[u8] {
        self.values.get(..self.len).unwrap_or_default()
    }

    /// The number that the digits from `from` to before `to` make; digits that are missing count
    /// as absent.
    pub(super) fn number(&self, from: usize, to: usize) -> u32 {
        let part = self.values().iter().take(to).skip(from);
        part.fold(0, |sum, digit| sum * 10 + u32::from(*digit))
    }
}
