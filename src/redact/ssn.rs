//! Numbers of the US Social Security Administration: area, group, serial. Never issued are the
//! areas 000, 666 and 900 to 999, the group 00 and the serial 0000 (SSA, "Social Security Number
//! Randomization", 2011).

use super::{
    context::{OTHER_IDS, OTHER_NUMBERS, SSN},
    run::{Digits, Gap, Run},
    site::Site,
};
use std::ops::Range;

/// A number that begins with group `first` of the run: 3-2-4 digits with the same separator twice,
/// or nine digits where a word says what they are.
pub(super) fn find(site: &Site<'_>, run: &Run, first: usize) -> Option<Range<usize>> {
    let groups = run.from(first);
    let (count, gap) = match groups {
        [a, b, c, ..] if (a.len(), b.len(), c.len()) == (3, 2, 4) && a.gap == b.gap => (3, a.gap),
        [a, ..] if a.len() == 9 => (1, Gap::End),
        _ => return None,
    };
    let groups = groups.get(..count)?;
    let range = groups.first()?.start..groups.last()?.end;
    if !site.opens(range.start) || !site.closes(range.end) || !issued(&Digits::of(site, groups)?) {
        return None;
    }
    let told = || SSN.near(site, range.start);
    let sure = match gap {
        Gap::Dash => true,
        Gap::Space | Gap::Dot => {
            !(site.follows_number(range.start) || site.denied(range.start, OTHER_NUMBERS)) || told()
        }
        Gap::End => told() && !site.denied(range.start, OTHER_IDS),
        Gap::Slash | Gap::Open | Gap::Close => false,
    };
    sure.then_some(range)
}

fn issued(digits: &Digits) -> bool {
    let (area, group, serial) = (digits.number(0, 3), digits.number(3, 5), digits.number(5, 9));
    !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0
}
