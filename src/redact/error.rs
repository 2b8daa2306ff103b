//! What can be wrong with the settings of redaction.

use super::{Named, config::Rule, rules::RULES};

/// Length of a label without its brackets, at most.
pub(super) const LABEL: usize = 32;

/// One mistake: where it is, what is wrong, and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}; {accepted}", self.place())]
pub struct Error {
    /// Number of the custom rule, from 0, or of the entry in `disable`.
    pub index: usize,
    /// Name of the custom rule; `None` for an entry in `disable`.
    pub rule: Option<String>,
    /// The setting: `pattern`, `label`, `name` or `disable`.
    pub key: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What would be accepted.
    pub accepted: String,
}

impl Error {
    fn place(&self) -> String {
        let Error { index, key, .. } = self;
        match &self.rule {
            Some(name) => format!("redact.rule[{index}] {name:?}, {key}"),
            None => format!("redact.{key}[{index}]"),
        }
    }

    fn of(index: usize, rule: &Rule, key: &'static str, say: (String, &str)) -> Error {
        let (problem, accepted) = say;
        Error { index, rule: Some(rule.name.clone()), key, problem, accepted: accepted.to_owned() }
    }
}

/// Entries of `disable` that name no built-in label.
pub(super) fn disable(entries: &[String]) -> Vec<Error> {
    let mut kinds: Vec<&str> = RULES.iter().map(|rule| rule.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let unknown = entries.iter().enumerate().filter(|(_, entry)| !kinds.contains(&entry.as_str()));
    unknown
        .map(|(index, entry)| {
            let near = kinds
                .iter()
                .find(|kind| strsim::damerau_levenshtein(kind, &entry.to_ascii_uppercase()) <= 2);
            let guess = near.map_or(String::new(), |kind| format!("; did you mean {kind:?}?"));
            Error {
                index,
                rule: None,
                key: "disable",
                problem: format!("no built-in rule has the label {entry:?}"),
                accepted: format!("use {}{guess}", kinds.join(", ")),
            }
        })
        .collect()
}

/// What is wrong with a rule's name, given the rules before it.
pub(super) fn name(index: usize, rule: &Rule, before: &[Named]) -> Option<Error> {
    let accepted = "use a unique name of 1 to 64 letters, digits, \"-\", \"_\" and \".\"";
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let problem = if rule.name.is_empty() {
        "the name is empty".to_owned()
    } else if rule.name.len() > 64 || !rule.name.chars().all(letter) {
        "the name is too long or has other characters".to_owned()
    } else if before.iter().any(|named| named.name == rule.name) {
        "another rule has this name".to_owned()
    } else {
        return None;
    };
    Some(Error::of(index, rule, "name", (problem, accepted)))
}

/// What is wrong with a rule's label. `is_hit` tells whether a built-in rule would find it.
pub(super) fn label(index: usize, rule: &Rule, is_hit: impl FnOnce() -> bool) -> Option<Error> {
    let accepted = "use up to 32 upper-case letters, digits and \"_\", beginning with a letter, \
                    such as \"EMPLOYEE_ID\"";
    let letter = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let begins = rule.label.starts_with(|c: char| c.is_ascii_uppercase());
    let problem = if !begins || rule.label.len() > LABEL || !rule.label.chars().all(letter) {
        format!("{:?} is no label", rule.label)
    } else if is_hit() {
        "the label looks like a secret itself and would be redacted again".to_owned()
    } else {
        return None;
    };
    Some(Error::of(index, rule, "label", (problem, accepted)))
}

/// A pattern that does not compile.
pub(super) fn pattern(index: usize, rule: &Rule, why: &regex::Error) -> Error {
    let say = match why {
        regex::Error::CompiledTooBig(limit) => (
            format!("the compiled pattern is larger than {limit} bytes"),
            "use smaller repetitions, or (?-u) where Unicode classes are not needed",
        ),
        other => {
            // The crate draws the pattern over several lines; the last one has the reason.
            let drawn = other.to_string();
            let reason = drawn.lines().last().unwrap_or_default();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason).to_owned();
            (reason, "use the syntax of the regex crate, without look-around and back-references")
        }
    };
    Error::of(index, rule, "pattern", say)
}

/// A pattern that matches nothing at all.
pub(super) fn empty(index: usize, rule: &Rule) -> Error {
    let say =
        ("the pattern matches the empty text".to_owned(), "use a pattern that needs a character");
    Error::of(index, rule, "pattern", say)
}

/// More rules than can be counted.
pub(super) fn too_many(index: usize, rule: &Rule) -> Error {
    Error::of(index, rule, "name", ("there are too many rules".to_owned(), "use fewer than 65000"))
}
