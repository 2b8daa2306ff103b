//! Telephone numbers: with `+` and a country code (ITU-T E.164), in the form of the North American
//! Numbering Plan, or in any national form where a word says what they are.

use super::{
    context::{OTHER_IDS, OTHER_NUMBERS, PHONE},
    run::{Digits, Gap, Group, Run},
    site::Site,
};
use std::ops::Range;

/// Groups a number is written in, at most: `+33 6 12 25 51 78` and one more.
const GROUPS: usize = 7;

/// Digits of a number in several groups, at most. E.164 allows 15; nobody writes so many in groups,
/// and the next group would be taken along.
const GROUPED_DIGITS: usize = 13;

/// A number in a national form that begins with group `first` of the run.
pub(super) fn find(site: &Site<'_>, run: &Run, first: usize) -> Option<Range<usize>> {
    let groups = run.from(first);
    if site.before(groups.first()?.start) == b'+' {
        return None;
    }
    let found = north_american(site, groups).or_else(|| national(site, groups));
    found.map(|range| range.start..extension(site.bytes, range.end))
}

/// `+` and a country code, up to 15 digits; a `(0)` after the country code is not dialled.
pub(super) fn international(site: &Site<'_>, run: &Run, first: usize) -> Option<Range<usize>> {
    let groups = run.from(first);
    if site.before(groups.first()?.start) != b'+' {
        return None;
    }
    let first = groups.first()?;
    let start = first.start - 1;
    if site.before(start).is_ascii_alphanumeric() && !site.escaped(start) {
        return None;
    }
    let most = (1..=groups.len().min(GROUPS)).rev();
    most.filter_map(|count| groups.get(..count)).find_map(|taken| {
        let end = taken.last()?.end;
        let joined = taken.len() == 1 || total(taken) <= GROUPED_DIGITS;
        (joined && joinable(taken) && closes(site, end) && dialable(&Digits::of(site, taken)?))
            .then(|| start..extension(site.bytes, end))
    })
}

/// Whether the digits begin with an assigned country code and are long enough.
fn dialable(digits: &Digits) -> bool {
    let len = digits.values().len();
    match digits.values() {
        [1, area, ..] => len == 11 && *area >= 2,
        _ => (8..=15).contains(&len) && is_country(digits),
    }
}

/// Whether a country code of two or three digits is assigned, or the code is Russia's 7
/// (ITU-T, "List of Recommendation E.164 assigned country codes").
fn is_country(digits: &Digits) -> bool {
    let (one, two, three) = (digits.number(0, 1), digits.number(0, 2), digits.number(0, 3));
    one == 7
        || matches!(two, 20 | 27 | 30..=34 | 36 | 39 | 40 | 41 | 43..=49 | 51..=58 | 60..=66)
        || matches!(two, 81 | 82 | 84 | 86 | 90..=95 | 98)
        || matches!(three, 211..=213 | 216 | 218 | 220..=258 | 260..=269 | 290 | 291 | 297..=299)
        || matches!(three, 350..=359 | 370..=389 | 420 | 421 | 423 | 500..=509 | 590..=599)
        || matches!(three, 670 | 672..=683 | 685..=692 | 800 | 808 | 850 | 852 | 853 | 855 | 856)
        || matches!(three, 870 | 878 | 880..=883 | 886 | 888 | 960..=968 | 970..=977 | 979)
        || matches!(three, 992..=996 | 998)
}

/// 3-3-4 digits with separators, area and exchange not below 200, perhaps after `1` or `001`.
fn north_american(site: &Site<'_>, groups: &[Group]) -> Option<Range<usize>> {
    let number = |digits: &[Group]| Digits::of(site, digits).map(|d| d.number(0, 3));
    let prefixed = groups.len() > 3 && matches!(number(groups.get(..1)?), Some(1));
    let skipped = usize::from(prefixed);
    let [area, exchange, line] = groups.get(skipped..skipped + 3)? else { return None };
    if (area.len(), exchange.len(), line.len()) != (3, 3, 4) {
        return None;
    }
    let first = groups.first()?;
    let paren = first.gap == Gap::Close && site.before(first.start) == b'(';
    let start = if paren { first.start - 1 } else { first.start };
    let spaced = area.gap == Gap::Space && exchange.gap == Gap::Space;
    let formatted = match (area.gap, exchange.gap) {
        (Gap::Close, Gap::Dash | Gap::Space | Gap::Dot) => paren || first.gap == Gap::Open,
        (Gap::Dash | Gap::Dot | Gap::Space | Gap::Slash, Gap::Dash) => true,
        (Gap::Dot, Gap::Dot) | (Gap::Space, Gap::Space) => true,
        _ => false,
    };
    let valid = number(&[*area]) >= Some(200) && number(&[*exchange]) >= Some(200);
    if !(formatted && valid && site.opens(start) && closes(site, line.end)) {
        return None;
    }
    let doubted =
        (spaced && site.follows_number(start)) || (!paren && site.denied(start, OTHER_NUMBERS));
    (!doubted || PHONE.near(site, start)).then_some(start..line.end)
}

/// Seven to thirteen digits in any groups, where a word says that they are a telephone number.
fn national(site: &Site<'_>, groups: &[Group]) -> Option<Range<usize>> {
    let first = groups.first()?;
    let paren = first.gap == Gap::Close && site.before(first.start) == b'(';
    let start = if paren { first.start - 1 } else { first.start };
    if !site.opens(start) || site.before(start) == b'-' || !site.opens(first.start) {
        return None;
    }
    let most = (1..=groups.len().min(GROUPS - 1)).rev();
    let taken = most.filter_map(|count| groups.get(..count)).find(|taken| {
        let end = taken.last().map_or(0, |group| group.end);
        (7..=GROUPED_DIGITS).contains(&total(taken))
            && joinable(taken)
            && closes(site, end)
            && !like_another(site, taken)
    })?;
    let end = taken.last()?.end;
    let bare = taken.len() == 1;
    // Seconds and milliseconds since 1970.
    let epoch = bare && matches!(first.len(), 10 | 13) && site.at(first.start) == b'1';
    if epoch || site.in_iban(start) || site.denied(start, OTHER_IDS) {
        return None;
    }
    // A bare number before a dash is part of an identifier, unless the word is behind the dash.
    let inside = bare && site.at(end) == b'-';
    let told = site.called_behind(end) || (!inside && PHONE.near(site, start));
    told.then_some(start..end)
}

/// `2026-11-22`, `22.11.2026`, `192.168.100.200`; and `95-6738472`, a US employer's number.
fn like_another(site: &Site<'_>, groups: &[Group]) -> bool {
    match groups {
        [a, b, c, ..] if (a.len(), b.len(), c.len()) == (4, 2, 2) && a.gap != Gap::Space => true,
        [a, b, c] if (a.len(), b.len(), c.len()) == (2, 2, 4) && a.gap != Gap::Space => true,
        [a, b] if (a.len(), b.len(), a.gap) == (2, 7, Gap::Dash) => site.at(a.start) != b'0',
        [a, b, c, _] => [a, b, c].iter().all(|group| group.gap == Gap::Dot),
        _ => false,
    }
}

/// Whether the gaps between the groups are those of one number.
fn joinable(groups: &[Group]) -> bool {
    groups.split_last().is_some_and(|(_, rest)| rest.iter().all(|group| group.gap != Gap::End))
}

fn total(groups: &[Group]) -> usize {
    groups.iter().map(Group::len).sum()
}

/// Whether a number may end before `at`; an extension (`x8017`) may follow it directly.
fn closes(site: &Site<'_>, at: usize) -> bool {
    site.closes(at) || extension(site.bytes, at) > at
}

/// The end of the extension that follows `end`, or `end`: `x123`, ` x 123`, ` ext. 123`.
fn extension(bytes: &[u8], end: usize) -> usize {
    let skip = |at: usize, byte: u8| at + usize::from(bytes.get(at) == Some(&byte));
    let at = skip(end, b' ');
    let word = ["ext", "x"].iter().find(|word| {
        bytes.get(at..at + word.len()).is_some_and(|b| b.eq_ignore_ascii_case(word.as_bytes()))
    });
    let Some(word) = word else { return end };
    let at = skip(skip(at + word.len(), b'.'), b' ');
    let rest = bytes.get(at..).unwrap_or_default();
    let digits = rest.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    let stops = !rest.get(digits).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    if (1..=5).contains(&digits) && stops { at + digits } else { end }
}
