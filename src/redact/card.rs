//! Payment cards: an issuer's range, its lengths, and the Luhn check (ISO/IEC 7812-1, annex B).
//!
//! Luhn alone passes every tenth number, so it decides only where a word says "card".

use super::{
    context::CARD,
    run::{Digits, Gap, Group, Run},
    site::Site,
};
use std::ops::Range;

/// A card number that begins with group `first` of the run.
pub(super) fn find(site: &Site<'_>, run: &Run, first: usize) -> Option<Range<usize>> {
    let groups = run.from(first);
    let start = groups.first()?.start;
    if !site.opens(start) || site.in_iban(start) {
        return None;
    }
    // The longest first: 19 digits may begin with 16 that pass, but not the other way round.
    [5, 4, 3, 2, 1].into_iter().find_map(|count| {
        let groups = groups.get(..count)?;
        let end = groups.last()?.end;
        (grouped_like_a_card(groups) && site.closes(end) && is_card(site, groups, start))
            .then_some(start..end)
    })
}

/// Whether the groups are of the sizes cards are printed in, all with the same separator.
fn grouped_like_a_card(groups: &[Group]) -> bool {
    let Some((last, rest)) = groups.split_last() else { return false };
    let gap = groups.first().map_or(Gap::End, |group| group.gap);
    let same = rest.iter().all(|group| group.gap == gap);
    let mut sizes = [0; 5];
    for (size, group) in sizes.iter_mut().zip(groups) {
        *size = group.len();
    }
    match sizes {
        [12..=19, 0, ..] => true,
        _ if !same || !matches!(gap, Gap::Space | Gap::Dash) => false,
        [6, 13, 0, ..] | [8, 8, 0, ..] | [4, 6, 4 | 5, 0, ..] => true,
        [4, 4, 4, 1..=4, 0] | [4, 4, 4, 4, 1..=3] => last.len() > 0,
        _ => false,
    }
}

fn is_card(site: &Site<'_>, groups: &[Group], start: usize) -> bool {
    let Some(digits) = Digits::of(site, groups) else { return false };
    if !luhn(digits.values()) {
        return false;
    }
    // Bare numbers of 17 to 19 digits are mostly counters and nanoseconds.
    let plain = groups.len() > 1 || digits.values().len() <= 16;
    (plain && issued(&digits)) || CARD.near(site, start)
}

/// The Luhn check.
fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| u32::from(if i % 2 == 1 { doubled(*digit) } else { *digit }))
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}

/// Whether a scheme issues numbers with this beginning and this length.
fn issued(digits: &Digits) -> bool {
    let (two, three) = (digits.number(0, 2), digits.number(0, 3));
    let (four, six) = (digits.number(0, 4), digits.number(0, 6));
    match digits.values().len() {
        13 => two / 10 == 4,
        // Diners Club, and JCB's 308 and 309.
        14 => matches!(two, 30 | 36 | 38 | 39),
        // American Express, JCB's oldest.
        15 => matches!(two, 34 | 37) || matches!(four, 2131 | 1800),
        16 => {
            two / 10 == 4
                || matches!(two, 51..=55 | 62)
                || matches!(four, 2221..=2720 | 2200..=2204)
                || long_issuer(two, three, four, six)
        }
        19 if two / 10 == 4 => true,
        17..=19 => two == 62 || long_issuer(two, three, four, six),
        _ => false,
    }
}

/// Discover and JCB, which issue 16 to 19 digits.
fn long_issuer(two: u32, three: u32, four: u32, six: u32) -> bool {
    matches!(four, 6011 | 3528..=3589)
        || matches!(three, 644..=649)
        || two == 65
        || matches!(six, 622_126..=622_925)
}
