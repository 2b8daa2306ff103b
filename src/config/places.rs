//! Where each key and value was written: in the file, or in a variable of the environment.

use super::problem::Part;
use std::collections::BTreeMap;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave it.
    Default,
    /// The config file.
    File {
        /// Line from 1.
        line: usize,
        /// Column from 1, in characters.
        column: usize,
    },
    /// The environment variable of that name.
    Environment(String),
}

/// A line and a column, both from 1; the column counts characters.
pub(super) type Spot = (usize, usize);

/// Where a key and its value start. For a table both are its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) key: Spot,
    pub(super) value: Spot,
}

/// The places of all keys, by path (`source[0].path`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) file: String,
    pub(super) marks: BTreeMap<String, Mark>,
    pub(super) variables: BTreeMap<String, String>,
}

impl Places {
    /// File, line and column of the key at `path`, or of the nearest table that would hold it.
    pub(super) fn locate(&self, path: &str, part: Part) -> (String, usize, usize) {
        if !self.marks.contains_key(path)
            && let Some(variable) = self.inside(path)
        {
            return (format!("environment variable {variable}"), 0, 0);
        }
        let mut at = Some(path);
        while let Some(path) = at {
            if let Some(variable) = self.variables.get(path) {
                return (format!("environment variable {variable}"), 0, 0);
            }
            if let Some(mark) = self.marks.get(path) {
                let (line, column) = match part {
                    Part::Key => mark.key,
                    Part::Value => mark.value,
                };
                return (self.file.clone(), line, column);
            }
            at = parent(path);
        }
        (self.file.clone(), 1, 1)
    }

    /// Where the value at `path` comes from.
    pub(super) fn origin(&self, path: &str) -> Origin {
        if let Some(variable) = self.variables.get(path) {
            return Origin::Environment(variable.clone());
        }
        if let Some(mark) = self.marks.get(path) {
            return Origin::File { line: mark.value.0, column: mark.value.1 };
        }
        Origin::Default
    }

    /// A variable that sets something in the table at `path`.
    fn inside(&self, path: &str) -> Option<&String> {
        let start = format!("{path}.");
        let first = self.variables.range(start.clone()..).next();
        first.filter(|(path, _)| path.starts_with(&start)).map(|(_, variable)| variable)
    }
}

/// `a.b[0]` of `a.b[0].c`, `a.b` of `a.b[0]`.
fn parent(path: &str) -> Option<&str> {
    path.rfind(['.', '[']).and_then(|end| path.get(..end))
}

/// The path of `key` in the table at `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Turns byte offsets of a text into lines and columns.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let after = |(at, byte): (usize, u8)| (byte == b'\n').then_some(at + 1);
        Lines {
            text,
            starts: [0].into_iter().chain(text.bytes().enumerate().filter_map(after)).collect(),
        }
    }

    pub(super) fn spot(&self, offset: usize) -> Spot {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.as_bytes().get(start..offset).unwrap_or_default();
        // Every byte but those that continue a character starts one.
        (line, 1 + before.iter().filter(|byte| **byte & 0xC0 != 0x80).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_missing_key_is_placed_at_its_table() {
        let mark = Mark { key: (3, 1), value: (3, 9) };
        let marks = [("source[0]".to_owned(), mark)].into();
        let places = Places { file: "f".into(), marks, ..Places::default() };
        assert_eq!(places.locate("source[0].paths[2]", Part::Value), ("f".into(), 3, 9));
        assert_eq!(places.locate("source[0].path", Part::Key), ("f".into(), 3, 1));
        assert_eq!(places.locate("ledger.dir", Part::Key), ("f".into(), 1, 1));
    }

    proptest! {
        #[test]
        fn a_spot_is_where_a_reader_counts_it(text in "[aé\n漢]{0,40}", at in 0usize..40) {
            let at = text.char_indices().nth(at).map_or(text.len(), |(offset, _)| offset);
            let before = &text[..at];
            let line = 1 + before.matches('\n').count();
            let column = 1 + before.rsplit('\n').next().unwrap().chars().count();
            prop_assert_eq!(Lines::of(&text).spot(at), (line, column));
        }
    }
}
