//! The operator's own rules: regular expressions, matched on the text as it came.
//!
//! Where rules overlap, a built-in one keeps what it found, then the match that begins first, then
//! the longest. A match that lost a part to another keeps the rest: what one rule found is hidden,
//! whoever else found something there. Labels already in the text are never matched again.
//!
//! One search is linear in the text; a pattern that looks far ahead for each match (`.*x|.`) can
//! make all searches together quadratic, which the `regex` crate documents and nobody can bound.

use super::{Error, Hit, Named, RuleId, Scope, config::Rule, error, rules::RULES};
use regex::{Regex, RegexBuilder};
use std::{cmp::Reverse, ops::Range};

/// Bytes a compiled pattern may take, and its lazily built automaton.
const SIZE: usize = 1 << 20;

/// A compiled rule.
#[derive(Debug)]
pub(super) struct Custom {
    id: RuleId,
    regex: Regex,
    identifiers: bool,
}

/// A text and what is known about it.
#[derive(Clone, Copy)]
pub(super) struct Input<'t> {
    /// The text as it came.
    pub(super) text: &'t str,
    /// What kind of text it is.
    pub(super) scope: Scope,
    /// How rules are called.
    pub(super) names: &'t [Named],
}

impl Custom {
    /// Compiles custom rule number `index`.
    pub(super) fn compile(index: usize, rule: &Rule) -> Result<Custom, Error> {
        let id = u16::try_from(RULES.len() + index).map(RuleId);
        let id = id.map_err(|_| error::too_many(index, rule))?;
        let regex = RegexBuilder::new(&rule.pattern).size_limit(SIZE).dfa_size_limit(SIZE).build();
        let regex = regex.map_err(|why| error::pattern(index, rule, &why))?;
        if regex.is_match("") {
            return Err(error::empty(index, rule));
        }
        Ok(Custom { id, regex, identifiers: rule.identifiers })
    }
}

/// Adds what `rules` find to `hits`.
pub(super) fn add(rules: &[Custom], input: Input<'_>, hits: &mut Vec<Hit>) {
    let mut matches: Vec<Hit> = Vec::new();
    for rule in rules.iter().filter(|rule| rule.identifiers || input.scope == Scope::Text) {
        let found = rule.regex.find_iter(input.text).filter(|found| !found.is_empty());
        matches.extend(found.map(|m| Hit { start: m.start(), end: m.end(), rule: rule.id }));
    }
    if matches.is_empty() {
        return;
    }
    matches.sort_unstable_by_key(|hit| (hit.start, Reverse(hit.end), hit.rule));
    let mut taken: Vec<Range<usize>> = hits.iter().map(|hit| hit.start..hit.end).collect();
    taken.extend(labels(input));
    taken.sort_unstable_by_key(|range| range.start);
    let mut at = 0;
    for found in matches {
        for part in remains(found.start.max(at)..found.end, &taken) {
            let whole = part == (found.start..found.end);
            let text = input.text.get(part.clone()).unwrap_or_default();
            if whole || text.contains(char::is_alphanumeric) {
                hits.push(Hit { start: part.start, end: part.end, rule: found.rule });
            }
        }
        at = at.max(found.end);
    }
    hits.sort_unstable_by_key(|hit| hit.start);
}

/// What of `range` is left without the sorted ranges `taken`, which do not overlap.
fn remains(range: Range<usize>, taken: &[Range<usize>]) -> Vec<Range<usize>> {
    let first = taken.partition_point(|taken| taken.end <= range.start);
    let mut left = Vec::new();
    let mut at = range.start;
    for taken in taken.get(first..).unwrap_or_default() {
        if taken.start >= range.end {
            break;
        }
        if at < taken.start {
            left.push(at..taken.start);
        }
        at = taken.end;
    }
    if at < range.end {
        left.push(at..range.end);
    }
    left
}

/// Where labels stand in the text already.
fn labels(input: Input<'_>) -> impl Iterator<Item = Range<usize>> {
    let Input { text, names, .. } = input;
    memchr::memchr_iter(b'[', text.as_bytes()).filter_map(move |at| {
        let rest = text.get(at..)?;
        let name = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        let len = rest.bytes().skip(1).take(error::LABEL + 1).take_while(name).count();
        let label = rest.get(..len + 2).filter(|label| label.ends_with(']'))?;
        names.iter().any(|named| named.label == label).then_some(at..at + label.len())
    })
}
