//! What is wrong with a config, and where.

use super::places::Places;
use serde::Serialize;
use std::{collections::BTreeSet, fmt};

/// How deep a check goes; each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Is it TOML, are the keys known, are the values of the right type?
    Syntax,
    /// Do the values make sense, alone and together?
    Semantics,
    /// Does this machine allow it: directories, sockets, keys, addresses?
    Environment,
    /// Do the services it names answer?
    Connectivity,
}

/// One mistake. Shown as `file:line:column: key: what is wrong, what is accepted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, or `environment variable NAME`.
    pub file: String,
    /// Line from 1; 0 where the place is not in a file.
    pub line: usize,
    /// Column from 1, in characters; 0 where the place is not in a file.
    pub column: usize,
    /// Path of the key, such as `source[0].path`; empty when it is about the file as a whole.
    pub key: String,
    /// What is wrong, what is accepted, and what may have been meant.
    pub message: String,
    /// The level of check that found it.
    pub level: Level,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Problems as a JSON array of objects, for programs.
#[must_use]
pub fn to_json(problems: &[Problem]) -> String {
    // Strings and numbers alone cannot fail to serialize.
    serde_json::to_string_pretty(problems).unwrap_or_else(|_| "[]".into())
}

/// Which part of a `key = value` a problem points at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Key,
    Value,
}

/// Collects problems, one a key: what follows from a mistake is not reported as another.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) places: Places,
    problems: Vec<Problem>,
    seen: BTreeSet<String>,
}

impl Report {
    pub(super) fn new(places: Places) -> Self {
        Report { places, problems: Vec::new(), seen: BTreeSet::new() }
    }

    /// Adds a problem with the key at `path`, unless that key has one already.
    pub(super) fn add(&mut self, level: Level, path: &str, part: Part, message: impl Into<String>) {
        if self.seen.insert(path.to_owned()) {
            let (file, line, column) = self.places.locate(path, part);
            let (key, message) = (path.to_owned(), message.into());
            self.problems.push(Problem { file, line, column, key, message, level });
        }
    }

    /// Whether something in the table at `path` has a problem.
    pub(super) fn has_inside(&self, path: &str) -> bool {
        let start = format!("{path}.");
        self.seen.range(start.clone()..).next().is_some_and(|first| first.starts_with(&start))
    }

    /// Adds a problem with the value at `path`.
    pub(super) fn value(&mut self, level: Level, path: &str, message: impl Into<String>) {
        self.add(level, path, Part::Value, message);
    }

    /// Adds a problem that has its own place.
    pub(super) fn push(&mut self, problem: Problem) {
        self.seen.insert(problem.key.clone());
        self.problems.push(problem);
    }

    /// The problems in the order of the file, those of the environment last.
    pub(super) fn finish(mut self) -> (Places, Vec<Problem>) {
        self.problems.sort_by(|a, b| {
            let order = |p: &Problem| (p.line == 0, p.line, p.column, p.file.clone());
            order(a).cmp(&order(b))
        });
        (self.places, self.problems)
    }
}

/// `, did you mean "…"?` when one of `accepted` is close to `given`; else nothing.
pub(super) fn did_you_mean(given: &str, accepted: &[&str]) -> String {
    let near = |candidate: &&&str| {
        let (one, other) = (given.to_lowercase(), candidate.to_lowercase());
        let edits = strsim::damerau_levenshtein(&one, &other);
        edits * 3 <= other.chars().count().max(3) || strsim::jaro_winkler(&one, &other) > 0.9
    };
    let distance = |candidate: &&&str| {
        strsim::damerau_levenshtein(&given.to_lowercase(), &candidate.to_lowercase())
    };
    match accepted.iter().filter(near).min_by_key(distance) {
        Some(candidate) => format!(", did you mean \"{candidate}\"?"),
        None => String::new(),
    }
}

/// Words of a key whose value may be a secret: no message may show such a value.
pub(super) fn may_be_secret(path: &str) -> bool {
    let path = path.to_lowercase();
    ["key", "token", "secret", "password", "passwd", "credential"]
        .iter()
        .any(|word| path.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_close() {
        let accepted = ["group", "each", "os"];
        assert_eq!(did_you_mean("gruop", &accepted), ", did you mean \"group\"?");
        assert_eq!(did_you_mean("GROUP", &accepted), ", did you mean \"group\"?");
        assert_eq!(did_you_mean("eech", &accepted), ", did you mean \"each\"?");
        assert_eq!(did_you_mean("fsync", &accepted), "");
        assert_eq!(did_you_mean("", &accepted), "");
        assert_eq!(did_you_mean("x", &[]), "");
    }

    #[test]
    fn json_escapes_and_keeps_every_part() {
        let problem = Problem {
            file: "a \"b\".toml".into(),
            line: 3,
            column: 7,
            key: "ledger.dir".into(),
            message: "is\nwrong".into(),
            level: Level::Semantics,
        };
        let back: serde_json::Value = serde_json::from_str(&to_json(&[problem])).unwrap();
        let expected = serde_json::json!([{ "file": "a \"b\".toml", "line": 3, "column": 7,
            "key": "ledger.dir", "message": "is\nwrong", "level": "semantics" }]);
        assert_eq!(back, expected);
        assert_eq!(to_json(&[]), "[]");
    }
}
