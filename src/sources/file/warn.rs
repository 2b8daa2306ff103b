//! Complaints about files, each made once until it is settled.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Paths remembered at most: a broken directory must not cost memory without end.
const MOST: usize = 4096;

/// What was complained about already.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    said: HashSet<PathBuf>,
}

impl Warnings {
    /// Whether `path` is new here.
    fn first(&mut self, path: &Path) -> bool {
        if self.said.contains(path) {
            return false;
        }
        if self.said.len() >= MOST {
            self.said.clear();
        }
        self.said.insert(path.to_owned())
    }

    /// A file or directory cannot be read; it is tried again later. Returns the text, once.
    pub(super) fn unreadable(&mut self, path: &Path, error: &io::Error) -> Option<String> {
        if !self.first(path) {
            return None;
        }
        let text = if error.kind() == io::ErrorKind::PermissionDenied {
            denied(path)
        } else {
            format!("cannot read {}: {error}; it is tried again", path.display())
        };
        tracing::warn!("{text}");
        Some(text)
    }

    /// Something matched that is no regular file. Returns whether it was said now.
    pub(super) fn not_a_file(&mut self, path: &Path) -> bool {
        let first = self.first(path);
        if first {
            tracing::warn!("{} is no regular file and is left alone", path.display());
        }
        first
    }

    /// The path can be read again: the next trouble is news.
    pub(super) fn settled(&mut self, path: &Path) {
        if !self.said.is_empty() {
            self.said.remove(path);
        }
    }
}

/// Who owns what, and who we are: what an operator needs to mend it.
fn denied(path: &Path) -> String {
    let us = rustix::process::geteuid().as_raw();
    let owner = std::fs::metadata(path).map_or_else(
        |_| String::new(),
        |meta| format!("mode {:04o} owner {}, ", meta.mode() & 0o7777, meta.uid()),
    );
    format!(
        "permission denied reading {} ({owner}we are {us}): let this user or its groups read it; \
         it is tried again",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_once_who_owns_the_file_and_who_we_are() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let mut warnings = Warnings::default();
        let text = warnings.unreadable(file.path(), &denied).unwrap();
        let us = rustix::process::geteuid().as_raw();
        assert!(text.contains(&format!("mode 0600 owner {us}, we are {us}")), "{text}");
        assert_eq!(warnings.unreadable(file.path(), &denied), None);
        warnings.settled(file.path());
        assert!(warnings.unreadable(file.path(), &denied).is_some());
    }
}
