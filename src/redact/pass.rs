//! The pass over a text: from trigger to trigger, and at each one the rules it wakes.

use super::{
    Hit, Named, RuleId, Scope,
    key::{Key, head, pack},
    rules::{Detect, RULES, Rule},
    run::Run,
    site::Site,
};
use memchr::memmem::Finder;
use std::ops::Range;

/// Bytes that wake rules in text, and in identifiers.
const TEXT: [bool; 256] = classes(true);
const IDENTIFIER: [bool; 256] = classes(false);

/// Longest run of letters and digits before the separator of a key's prefix.
const HEAD: usize = 7;

const fn classes(digits: bool) -> [bool; 256] {
    let mut classes = [false; 256];
    classes[b'@' as usize] = true;
    classes[b'-' as usize] = true;
    classes[b'_' as usize] = true;
    let mut digit = b'0';
    while digits && digit <= b'9' {
        classes[digit as usize] = true;
        digit += 1;
    }
    classes
}

/// A text and what is known about it.
#[derive(Clone, Copy)]
pub(super) struct Input<'t> {
    /// The text in its plain form.
    pub(super) text: &'t str,
    /// JSON member it stands under.
    pub(super) key: Option<&'t str>,
    /// What kind of text it is.
    pub(super) scope: Scope,
    /// How rules are called.
    pub(super) names: &'t [Named],
}

type FindAt = fn(&Site<'_>, usize) -> Option<Range<usize>>;
type FindNumber = fn(&Site<'_>, &Run, usize) -> Option<Range<usize>>;

/// The enabled built-in rules, by what wakes them.
pub(super) struct Triggers {
    at: Vec<(RuleId, FindAt)>,
    numbers: Vec<(RuleId, FindNumber)>,
    /// Keys with a separator in their prefix, under its packed head.
    heads: Vec<(u64, RuleId, &'static Key)>,
    /// Keys without one: searched for as a whole.
    literals: Vec<(Finder<'static>, RuleId, &'static Key)>,
}

impl std::fmt::Debug for Triggers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Triggers").finish_non_exhaustive()
    }
}

impl Triggers {
    /// Sorts the rules that are `enabled` by their triggers.
    pub(super) fn new(enabled: impl Fn(&Rule) -> bool) -> Triggers {
        let mut triggers =
            Triggers { at: vec![], numbers: vec![], heads: vec![], literals: vec![] };
        for (id, rule) in (0..).map(RuleId).zip(RULES).filter(|(_, rule)| enabled(rule)) {
            match &rule.detect {
                Detect::At(find) => triggers.at.push((id, *find)),
                Detect::Number(find) => triggers.numbers.push((id, *find)),
                Detect::Key(key) => match head(key.prefix) {
                    Some(head) => triggers.heads.push((head, id, key)),
                    None => triggers.literals.push((Finder::new(key.prefix), id, key)),
                },
            }
        }
        triggers
    }

    /// Whether anything is found in `text`.
    pub(super) fn finds(&self, text: &str, names: &[Named]) -> bool {
        let mut hits = Vec::new();
        self.run(Input { text, key: None, scope: Scope::Text, names }, &mut hits);
        !hits.is_empty()
    }

    /// Finds everything in the text, in order.
    pub(super) fn run(&self, input: Input<'_>, hits: &mut Vec<Hit>) {
        let bytes = input.text.as_bytes();
        let mut pass = Pass { triggers: self, input, bytes, hits };
        let mut literals = Literals::new(self, bytes);
        let wakes = match input.scope {
            Scope::Text => &TEXT,
            Scope::Identifier => &IDENTIFIER,
        };
        let mut at = 0;
        while at < bytes.len() {
            let limit = literals.next;
            at = match next(wakes, bytes, at, limit) {
                Some(trigger) => pass.wake(trigger),
                None if limit < bytes.len() => {
                    let went = pass.literal(limit, &literals);
                    literals.advance(bytes, went);
                    went
                }
                None => return,
            };
            if at > literals.next {
                literals.advance(bytes, at);
            }
        }
    }
}

/// The next byte from `at` on, before `limit`, that wakes a rule.
fn next(wakes: &[bool; 256], bytes: &[u8], at: usize, limit: usize) -> Option<usize> {
    let rest = bytes.get(at..limit)?;
    let wake = |byte: &u8| wakes.get(usize::from(*byte)).is_some_and(|wakes| *wakes);
    // Eight at a time, since most bytes wake nothing.
    let blocks = rest.chunks_exact(8);
    let skipped = blocks.take_while(|block| !block.iter().fold(false, |any, b| any | wake(b)));
    let from = skipped.count() * 8;
    rest.get(from..)?.iter().position(wake).map(|found| at + from + found)
}

/// Where the prefixes without a separator occur next.
struct Literals<'t> {
    triggers: &'t Triggers,
    /// Next offset of each, the text's length when there is none; `None` before the first search.
    each: Vec<Option<usize>>,
    /// The nearest of them.
    next: usize,
}

impl<'t> Literals<'t> {
    fn new(triggers: &'t Triggers, bytes: &[u8]) -> Literals<'t> {
        let mut literals = Literals { triggers, each: Vec::new(), next: bytes.len() };
        let shortest = triggers.literals.iter().map(|(_, _, key)| key.prefix.len() + key.min).min();
        if shortest.is_some_and(|shortest| bytes.len() >= shortest) {
            literals.each = vec![None; triggers.literals.len()];
            literals.advance(bytes, 0);
        }
        literals
    }

    /// Moves all to their next occurrence at `from` or after it.
    fn advance(&mut self, bytes: &[u8], from: usize) {
        let rest = bytes.get(from..).unwrap_or_default();
        self.next = bytes.len();
        for (at, (finder, _, _)) in self.each.iter_mut().zip(&self.triggers.literals) {
            // One that is still ahead is not searched for again: this keeps the search linear.
            if at.is_none_or(|at| at < from) {
                *at = Some(finder.find(rest).map_or(bytes.len(), |found| from + found));
            }
            self.next = self.next.min(at.unwrap_or(bytes.len()));
        }
    }
}

/// A text being searched.
struct Pass<'t, 'h> {
    triggers: &'t Triggers,
    input: Input<'t>,
    bytes: &'t [u8],
    hits: &'h mut Vec<Hit>,
}

impl Pass<'_, '_> {
    fn site(&self) -> Site<'_> {
        Site { bytes: self.bytes, key: self.input.key, found: self.hits, names: self.input.names }
    }

    /// Asks the rules that the byte at `at` wakes; where to go on.
    fn wake(&mut self, at: usize) -> usize {
        match self.bytes.get(at) {
            Some(b'@') => self.mail(at),
            Some(b'-' | b'_') => self.separator(at),
            _ => self.number(at),
        }
    }

    fn found(&mut self, rule: RuleId, range: Range<usize>) -> usize {
        self.hits.push(Hit { start: range.start, end: range.end, rule });
        range.end
    }

    fn mail(&mut self, at: usize) -> usize {
        let site = self.site();
        let hit = self.triggers.at.iter().find_map(|(id, find)| Some((*id, find(&site, at)?)));
        hit.map_or(at + 1, |(rule, range)| self.found(rule, range))
    }

    /// A key whose prefix has its first separator at `at`.
    fn separator(&mut self, at: usize) -> usize {
        let site = self.site();
        let mut start = at;
        while site.before(start).is_ascii_alphanumeric() && at - start <= HEAD {
            start -= 1;
        }
        if start == at || at - start > HEAD + 1 {
            return at + 1;
        }
        let escape = usize::from(site.escaped(start + 1));
        start += escape;
        let Some(head) = site.bytes.get(start..=at).and_then(pack) else { return at + 1 };
        let mut woken = self.triggers.heads.iter().filter(|(known, ..)| *known == head);
        let hit = woken.find_map(|(_, id, key)| Some((*id, key.find(&site, start)?)));
        hit.map_or(at + 1, |(rule, range)| self.found(rule, range))
    }

    /// A key whose prefix is at `at`.
    fn literal(&mut self, at: usize, literals: &Literals<'_>) -> usize {
        let site = self.site();
        let known = literals.each.iter().zip(&self.triggers.literals);
        let hit = known
            .filter(|(offset, _)| **offset == Some(at))
            .find_map(|(_, (_, id, key))| Some((*id, key.find(&site, at)?)));
        hit.map_or(at + 1, |(rule, range)| self.found(rule, range))
    }

    /// The run of digits at `at`.
    fn number(&mut self, at: usize) -> usize {
        let site = self.site();
        let before = site.before(at);
        if before == b'_' || (before.is_ascii_alphanumeric() && !site.escaped(at)) {
            // Inside a word: no number begins before the word ends.
            let rest = self.bytes.get(at..).unwrap_or_default();
            let word = rest.iter().position(|byte| !byte.is_ascii_alphanumeric());
            return word.map_or(self.bytes.len(), |len| at + len);
        }
        let run = Run::at(self.bytes, at);
        let (judged, on) = run.judged();
        for group in 0..judged {
            let mut numbers = self.triggers.numbers.iter();
            let hit = numbers.find_map(|(id, find)| Some((*id, find(&site, &run, group)?)));
            if let Some((rule, range)) = hit {
                let (rule, range) = self.mail_around(&site, &range).unwrap_or((rule, range));
                return self.found(rule, range);
            }
        }
        on
    }

    /// The address that begins no later than `range` and takes it in, if there is one. It is found
    /// at once: were it left to its `@`, a key on the way there could cut it.
    fn mail_around(&self, site: &Site<'_>, range: &Range<usize>) -> Option<(RuleId, Range<usize>)> {
        let local = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'')
        };
        let rest = site.bytes.get(range.end..)?;
        let at = range.end + rest.iter().take(64).take_while(|byte| local(byte)).count();
        if site.at(at) != b'@' {
            return None;
        }
        let mut found = self.triggers.at.iter();
        found.find_map(|(id, find)| {
            let mail = find(site, at).filter(|mail| mail.start <= range.start)?;
            Some((*id, mail))
        })
    }
}
