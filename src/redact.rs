//! The redactor: text in, findings out. Pure: no I/O, no clock, no state between texts.
//!
//! One pass from left to right stops at the few bytes that can belong to personal data or to a
//! secret (a digit, `@`, `-`, `_`, and the beginnings of keys that have none of these) and asks the
//! rules of that trigger ([`rules`]). Each rule checks what it found (Luhn, issuer, area, prefix):
//! shape alone is never enough for a number. Every look to the left or right is bounded, so the
//! time is linear in the text, whatever the text.
//!
//! A decision looks back only at what the output will say there (a hit is its label, [`site`]) and
//! ahead only at bytes that no later hit begins with. Therefore scrubbing a second time changes
//! nothing: what was refused once is refused again.
//!
//! Text with invisible characters, full-width forms or odd dashes is searched in a plain copy
//! ([`normal`]); hits are always told as ranges of the text as it came.

pub mod config;

mod card;
mod context;
mod custom;
mod email;
mod error;
mod key;
mod normal;
mod pass;
mod phone;
mod policy;
mod rules;
mod run;
mod site;
mod ssn;
#[cfg(test)]
mod tests;

pub use error::Error;

use crate::record::Digest;
use pass::Triggers;
use std::borrow::Cow;

/// Which rule fired: an index into the redactor's rules, built-in ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(u16);

impl RuleId {
    /// The index, from 0 to [`Redactor::rules`] - 1; for counters kept in a slice.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Something that must not be kept: a byte range of the scanned text, on character boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
    /// The rule that fired.
    pub rule: RuleId,
}

/// What kind of text is scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What people or models wrote: every rule is tried.
    Text,
    /// An identifier, model name, timestamp or status. Rules about numbers are not tried, since an
    /// identifier is allowed to look like one.
    Identifier,
}

/// How one rule is called.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    kind: String,
    label: String,
}

/// Finds personal data and secrets, by the built-in rules and the operator's own.
#[derive(Debug)]
pub struct Redactor {
    names: Vec<Named>,
    triggers: Triggers,
    custom: Vec<custom::Custom>,
    policy: Digest,
}

impl Redactor {
    /// Prepares the rules.
    ///
    /// # Errors
    /// Everything wrong with the custom rules and the list of disabled ones, at once.
    pub fn new(config: &config::Config) -> Result<Redactor, Vec<Error>> {
        let mut errors = error::disable(&config.disable);
        let enabled = |rule: &rules::Rule| !config.disable.iter().any(|kind| kind == rule.kind);
        let mut names: Vec<Named> = rules::RULES
            .iter()
            .map(|rule| Named {
                name: rule.name.to_owned(),
                kind: rule.kind.to_owned(),
                label: format!("[{}]", rule.kind),
            })
            .collect();
        // Labels are tried against every built-in rule, so that disabling one and enabling it
        // later cannot turn a harmless label into a hit.
        let all = Triggers::new(|_| true);
        let mut custom = Vec::new();
        for (index, rule) in config.rule.iter().enumerate() {
            let label = format!("[{}]", rule.label);
            let found = errors.len();
            errors.extend(error::name(index, rule, &names));
            errors.extend(error::label(index, rule, || all.finds(&label, &names)));
            match custom::Custom::compile(index, rule) {
                Err(error) => errors.push(error),
                Ok(compiled) if errors.len() == found => custom.push(compiled),
                Ok(_) => {}
            }
            names.push(Named { name: rule.name.clone(), kind: rule.label.clone(), label });
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let policy = policy::digest(config);
        Ok(Redactor { names, triggers: Triggers::new(enabled), custom, policy })
    }

    /// Finds what must not be kept in `text`, leaving it in `hits` (cleared first), sorted and
    /// without overlaps. `key` is the name of the JSON member the text stands under, if any: it
    /// counts as a word before the text.
    pub fn scan(&self, text: &str, key: Option<&str>, scope: Scope, hits: &mut Vec<Hit>) {
        hits.clear();
        match normal::Normal::of(text) {
            None => self.triggers.run(pass::Input { text, key, scope, names: &self.names }, hits),
            Some(normal) => {
                let input = pass::Input { text: normal.text(), key, scope, names: &self.names };
                self.triggers.run(input, hits);
                for hit in hits.iter_mut() {
                    let range = normal.original(hit.start..hit.end);
                    (hit.start, hit.end) = (range.start, range.end);
                }
            }
        }
        if !self.custom.is_empty() {
            custom::add(&self.custom, custom::Input { text, scope, names: &self.names }, hits);
        }
    }

    /// `text` with every hit replaced by its label.
    #[must_use]
    pub fn scrub<'t>(&self, text: &'t str, key: Option<&str>, scope: Scope) -> Cow<'t, str> {
        let mut hits = Vec::new();
        self.scan(text, key, scope, &mut hits);
        self.replace(text, &hits)
    }

    /// `text` with `hits`, as [`Redactor::scan`] found them in it, replaced by their labels.
    #[must_use]
    pub fn replace<'t>(&self, text: &'t str, hits: &[Hit]) -> Cow<'t, str> {
        if hits.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for hit in hits {
            out.push_str(text.get(at..hit.start).unwrap_or_default());
            out.push_str(self.label(hit.rule));
            at = hit.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// What is written in place of a hit: `[EMAIL]`.
    #[must_use]
    pub fn label(&self, rule: RuleId) -> &str {
        self.names.get(rule.index()).map_or("", |named| &named.label)
    }

    /// [`Redactor::kind`] of the rule with that number; empty for a number that no rule has.
    #[must_use]
    pub fn kind_at(&self, rule: usize) -> &str {
        u16::try_from(rule).map_or("", |rule| self.kind(RuleId(rule)))
    }

    /// What a hit counts as: `EMAIL`. Several rules may share a kind.
    #[must_use]
    pub fn kind(&self, rule: RuleId) -> &str {
        self.names.get(rule.index()).map_or("", |named| &named.kind)
    }

    /// The rule's own name, unique: `anthropic-key`.
    #[must_use]
    pub fn name(&self, rule: RuleId) -> &str {
        self.names.get(rule.index()).map_or("", |named| &named.name)
    }

    /// How many rules there are, disabled ones included.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.names.len()
    }

    /// SHA-256 over everything that decides what is kept: two redactors with the same digest treat
    /// every text alike. [`policy`] has the bytes.
    #[must_use]
    pub fn policy(&self) -> Digest {
        self.policy
    }
}
