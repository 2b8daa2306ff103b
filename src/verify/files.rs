//! Which files a verification is about.

use super::Error;
use std::path::{Path, PathBuf};

/// All segments that `paths` name: files as they are, directories as their `*.jsonl` and
/// `*.jsonl.gz`, and those in `archive/`. Sorted, each once.
///
/// # Errors
/// A path that does not exist or cannot be listed.
pub(super) fn gather(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for path in paths {
        let kind = std::fs::metadata(path).map_err(|error| Error::io(path, error))?;
        if !kind.is_dir() {
            files.push(path.clone());
            continue;
        }
        list(path, &mut files)?;
        let archive = path.join("archive");
        if archive.is_dir() {
            list(&archive, &mut files)?;
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn list(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |error| Error::io(dir, error);
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let is_segment = name.is_some_and(|n| n.ends_with(".jsonl") || n.ends_with(".jsonl.gz"));
        if is_segment && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// The segment number in a well-formed name, `audit_<date>.<8 digits>.jsonl[.gz]`.
pub(super) fn number_in_name(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let (date, number) = name.strip_prefix("audit_")?.strip_suffix(".jsonl")?.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_date = date.len() == 10 && date.split('-').all(|part| !part.is_empty() && digits(part));
    (is_date && number.len() == 8 && digits(number)).then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_name_has_a_number() {
        let number = |name: &str| number_in_name(Path::new(name));
        assert_eq!(number("/x/audit_2026-11-21.00000012.jsonl"), Some(12));
        assert_eq!(number("audit_2026-11-21.00000012.jsonl.gz"), Some(12));
        for other in [
            "audit_2026-11-21.12.jsonl",
            "audit_2026-11-21.0000001x.jsonl",
            "audit_20261121xx.00000012.jsonl",
            "copy.jsonl",
            "audit_2026-11-21.00000012.jsonl.torn-1",
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
