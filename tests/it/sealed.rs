//! What is sealed in a ledger, read as any JSON reader would.

use flate2::read::GzDecoder;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// The plain segments, oldest first. A ledger that is not there yet has none.
pub(crate) fn segments(ledger: &Path) -> Vec<PathBuf> {
    named(ledger, "jsonl")
}

fn named(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut all: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == extension))
        .collect();
    all.sort();
    all
}

/// All segments' bytes by name, compressed ones unpacked, oldest first. One that is in both forms
/// must be the same in both.
fn contents(ledger: &Path) -> BTreeMap<String, Vec<u8>> {
    // Plain ones first: what is compressed meanwhile is then found twice rather than not at all.
    let mut all = BTreeMap::new();
    for path in segments(ledger) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Ok(bytes) = fs::read(&path) {
            all.insert(name, bytes);
        }
    }
    for path in named(&ledger.join("archive"), "gz") {
        let mut bytes = Vec::new();
        GzDecoder::new(fs::File::open(&path).unwrap()).read_to_end(&mut bytes).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if let Some(plain) = all.insert(name, bytes.clone()) {
            assert!(plain == bytes, "{} holds something else", path.display());
        }
    }
    all
}

/// Every whole line's entry, in order. A line that is being written is left out.
pub(crate) fn entries(ledger: &Path) -> Vec<Value> {
    let mut all = Vec::new();
    for (name, bytes) in contents(ledger) {
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        for line in bytes[..whole].split_inclusive(|b| *b == b'\n') {
            let entry = serde_json::from_slice(line);
            all.push(entry.unwrap_or_else(|e| panic!("{name}: {e}")));
        }
    }
    all
}

/// The entries of one event type.
pub(crate) fn of_type(ledger: &Path, event_type: &str) -> Vec<Value> {
    entries(ledger).into_iter().filter(|entry| entry["event_type"] == event_type).collect()
}

/// The records.
pub(crate) fn records(ledger: &Path) -> Vec<Value> {
    of_type(ledger, "chat_completion")
}

/// A record's own id.
pub(crate) fn id(entry: &Value) -> String {
    entry["id"].as_str().unwrap_or_default().to_owned()
}

/// The records' ids, in the ledger's order.
pub(crate) fn ids(ledger: &Path) -> Vec<String> {
    records(ledger).iter().map(id).collect()
}

/// Each of `expected` must be sealed exactly once, and nothing else.
pub(crate) fn assert_once(ledger: &Path, expected: impl IntoIterator<Item = impl Into<String>>) {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for id in ids(ledger) {
        *counts.entry(id).or_default() += 1;
    }
    let mut wrong = Vec::new();
    for id in expected {
        let id = id.into();
        match counts.remove(&id) {
            Some(1) => {}
            Some(times) => wrong.push(format!("{id}: {times} times")),
            None => wrong.push(format!("{id}: missing")),
        }
    }
    wrong.extend(counts.into_iter().map(|(id, times)| format!("{id}: unexpected, {times} times")));
    let shown: Vec<_> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} records are wrong, first {shown:#?}", wrong.len());
}

/// Within each file the records' spans must follow one another.
pub(crate) fn assert_file_order(ledger: &Path) {
    let mut ends: BTreeMap<(u64, u64, String), u64> = BTreeMap::new();
    for entry in records(ledger) {
        let origin = &entry["origin"];
        let (Some(dev), Some(inode)) = (origin["dev"].as_u64(), origin["inode"].as_u64()) else {
            continue;
        };
        let file = (dev, inode, origin["head"].to_string());
        let (start, end) = (origin["start"].as_u64().unwrap(), origin["end"].as_u64().unwrap());
        let before = ends.insert(file, end).unwrap_or(0);
        assert!(before <= start && start < end, "out of order: {entry}");
    }
}
