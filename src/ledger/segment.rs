//! Segment files: their names, and which ones a ledger has.

use super::Error;
use crate::clock::Date;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A segment's number, from 1.
pub type Number = u64;

/// `audit_<UTC date>.<number, 8 digits>.jsonl`
#[must_use]
pub fn file_name(date: Date, number: Number) -> String {
    format!("audit_{date}.{number:08}.jsonl")
}

/// The number in a well-formed name, compressed or not; `None` for any other name.
#[must_use]
pub fn number_of(name: &str) -> Option<Number> {
    let rest = name.strip_prefix("audit_")?;
    let rest = rest.strip_suffix(".gz").unwrap_or(rest).strip_suffix(".jsonl")?;
    let (date, number) = rest.split_once('.')?;
    let well_formed = date.len() == 10
        && date
            .bytes()
            .enumerate()
            .all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() })
        && number.len() >= 8
        && number.bytes().all(|b| b.is_ascii_digit());
    well_formed.then(|| number.parse().ok()).flatten()
}

/// The plain segments of a ledger's directory by number, oldest first, and the highest number in use
/// anywhere, archive included.
///
/// # Errors
/// When a directory cannot be read, or two plain segments have one number.
pub fn list(dir: &Path) -> Result<(Vec<(Number, PathBuf)>, Number), Error> {
    let mut plain = Vec::new();
    let mut highest = 0;
    for (folder, is_archive) in [(dir.to_owned(), false), (dir.join("archive"), true)] {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io("read", &folder, e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| Error::io("read", &folder, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(number) = number_of(&name) else { continue };
            highest = highest.max(number);
            if !is_archive && name.ends_with(".jsonl") {
                plain.push((number, entry.path()));
            }
        }
    }
    plain.sort();
    match plain.iter().zip(plain.iter().skip(1)).find(|(a, b)| a.0 == b.0) {
        Some((a, b)) => Err(Error::Tampered {
            path: b.1.clone(),
            line: 1,
            why: format!("{} has the same segment number", a.1.display()),
        }),
        None => Ok((plain, highest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_strict_and_come_back() {
        let name = file_name(Date::of(0), 7);
        assert_eq!(name, "audit_1970-01-01.00000007.jsonl");
        assert_eq!(number_of(&name), Some(7));
        assert_eq!(number_of("audit_1970-01-01.00000007.jsonl.gz"), Some(7));
        for other in [
            "audit_1970-01-01.jsonl",
            "audit_1970-01-01.7.jsonl",
            "audit_1970-1-01.00000007.jsonl",
            "audit_1970-01-01.00000007.jsonl.torn-1",
            "audit_1970-01-01.0000000x.jsonl",
            "xaudit_1970-01-01.00000007.jsonl",
        ] {
            assert_eq!(number_of(other), None, "{other}");
        }
    }
}
