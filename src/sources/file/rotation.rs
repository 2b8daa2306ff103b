//! What rotation does to names: which file a rotated name once was, and which of two is older.
//!
//! Pure, on names only. Known forms: `<name>.<digits>`, `<name>-<date>…`, `<stem>-<date>.<ext>`,
//! each with or without `.gz`. A date is `YYYYMMDD` or `YYYY-MM-DD`, with whatever time follows.

/// A name taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rotated<'a> {
    /// The name before rotation; the whole name where it is no rotation.
    pub(super) base: String,
    /// What rotation added, compression suffix excluded; empty where it is no rotation.
    pub(super) suffix: &'a str,
}

/// Takes `name` (a file name without its directory) apart.
pub(super) fn parse(name: &str) -> Rotated<'_> {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    numbered(name).or_else(|| dated(name)).unwrap_or(Rotated { base: name.into(), suffix: "" })
}

/// A key that sorts rotations of one base from the oldest to the live file: dates first, in order,
/// then numbers from the highest down (`.3` is older than `.1`), then the file itself.
pub(super) fn age_key(name: &str) -> (u8, u64, String) {
    let suffix = parse(name).suffix;
    match suffix.parse::<u64>() {
        _ if suffix.is_empty() => (2, 0, String::new()),
        Ok(number) if suffix.len() < 8 => (1, u64::MAX - number, String::new()),
        _ => (0, 0, suffix.to_owned()),
    }
}

/// `requests.ndjson.3`
fn numbered(name: &str) -> Option<Rotated<'_>> {
    let (base, digits) = name.rsplit_once('.')?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (all_digits && !base.is_empty()).then(|| Rotated { base: base.into(), suffix: digits })
}

/// `requests.ndjson-20261121`, `requests-20261121.ndjson`
fn dated(name: &str) -> Option<Rotated<'_>> {
    let dash = name
        .match_indices('-')
        .map(|(at, _)| at)
        .find(|at| *at > 0 && name.get(at + 1..).is_some_and(starts_with_date))?;
    let (before, after) = (name.get(..dash)?, name.get(dash + 1..)?);
    match after.rsplit_once('.') {
        Some((suffix, extension)) if !before.contains('.') => {
            Some(Rotated { base: format!("{before}.{extension}"), suffix })
        }
        _ => Some(Rotated { base: before.into(), suffix: after }),
    }
}

/// `YYYYMMDD` or `YYYY-MM-DD` at the start, with a year of this or the last century.
fn starts_with_date(text: &str) -> bool {
    let shape = |pattern: &[u8]| {
        text.len() >= pattern.len()
            && text.bytes().zip(pattern).all(|(byte, want)| match want {
                b'd' => byte.is_ascii_digit(),
                other => byte == *other,
            })
    };
    (text.starts_with("19") || text.starts_with("20"))
        && (shape(b"dddddddd") || shape(b"dddd-dd-dd"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_known_forms_apart() {
        for (name, base, suffix) in [
            ("requests.ndjson", "requests.ndjson", ""),
            ("requests.ndjson.1", "requests.ndjson", "1"),
            ("requests.ndjson.12.gz", "requests.ndjson", "12"),
            ("requests.ndjson-20261121", "requests.ndjson", "20261121"),
            ("requests.ndjson-2026-11-21.gz", "requests.ndjson", "2026-11-21"),
            ("requests-20261121.ndjson", "requests.ndjson", "20261121"),
            ("requests-2026-11-21T10-01.ndjson", "requests.ndjson", "2026-11-21T10-01"),
            ("app-7.ndjson", "app-7.ndjson", ""),
            ("requests-00000042.ndjson", "requests-00000042.ndjson", ""),
            (".1", ".1", ""),
            ("-20261121", "-20261121", ""),
            ("", "", ""),
        ] {
            assert_eq!(parse(name), Rotated { base: base.into(), suffix }, "{name}");
        }
    }

    #[test]
    fn sorts_the_oldest_first() {
        let mut names = ["a.ndjson", "a.ndjson.1", "a.ndjson.10", "a.ndjson.2"];
        names.sort_by_key(|name| age_key(name));
        assert_eq!(names, ["a.ndjson.10", "a.ndjson.2", "a.ndjson.1", "a.ndjson"]);
        let mut names = ["a.ndjson", "a-20261122.ndjson", "a-20261121.ndjson"];
        names.sort_by_key(|name| age_key(name));
        assert_eq!(names, ["a-20261121.ndjson", "a-20261122.ndjson", "a.ndjson"]);
    }
}
