//! The walk along one file: every line once, in order, without looking at any other file.
//!
//! What depends on other files (whether the end is there, whether a key was announced earlier) is
//! left in [`Walked`] for the stitching.

use super::{
    Error,
    control::Control,
    finding::{At, Finding, Findings, Kind, Severity},
    keys::Keys,
    lines::{Lines, Raw},
    place::{Chain, FORK, Link, Place},
};
use crate::{
    ledger::{
        chain::MacKey,
        line::{self, Line},
    },
    record::Digest,
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Derived MAC keys kept; a file has one or two.
const MAC_KEYS: usize = 8;

/// What the walk along one file found.
pub(super) struct Walked {
    pub(super) path: PathBuf,
    pub(super) file: Arc<str>,
    pub(super) findings: Findings,
    pub(super) chain: Chain,
    pub(super) control: Control,
    pub(super) stream: Option<String>,
    pub(super) entries: u64,
    pub(super) bytes: u64,
    /// Where the last whole line stands.
    pub(super) end: At,
    /// Lines after the last entry, which were no entries.
    pub(super) unread_at_end: u64,
    /// A last line without its LF.
    pub(super) torn: Option<At>,
    /// What is wrong with the archive.
    pub(super) damage: Option<&'static str>,
    pub(super) first_time: String,
    pub(super) last_time: String,
    /// Sequence number that `last_time` belongs to.
    last_seq: Option<u64>,
}

/// Walks along the file at `path`.
///
/// # Errors
/// When the operating system cannot read it; damage is a finding, not an error.
pub(super) fn walk(path: &Path, keys: &Keys) -> Result<Walked, Error> {
    let failed = |error| Error::io(path, error);
    let mut lines = Lines::open(path).map_err(failed)?;
    let mut walk = Walk::new(path, keys);
    let mut number = 0;
    while let Some(raw) = lines.next().map_err(failed)? {
        number += 1;
        let at = At { line: number, offset: raw.offset, seq: None };
        if raw.terminated {
            walk.done.end = at;
            walk.line(&raw, at);
        } else {
            walk.done.torn = Some(at);
        }
    }
    walk.done.bytes = lines.offset();
    walk.done.damage = lines.damage();
    let mut done = walk.finish();
    tell_forks(&mut done).map_err(failed)?;
    Ok(done)
}

/// The walk in progress.
struct Walk<'k> {
    keys: &'k Keys,
    macs: Vec<(String, MacKey)>,
    done: Walked,
}

impl<'k> Walk<'k> {
    fn new(path: &Path, keys: &'k Keys) -> Self {
        let file: Arc<str> = path.to_string_lossy().into();
        // A key signs for the stream it is named after.
        let stream = keys.public.first().map(|(_, verifier)| verifier.name().to_owned());
        let done = Walked {
            path: path.to_owned(),
            findings: Findings::new(Arc::clone(&file)),
            file,
            chain: Chain::default(),
            control: Control::new(keys),
            stream,
            entries: 0,
            bytes: 0,
            end: At::default(),
            unread_at_end: 0,
            torn: None,
            damage: None,
            first_time: String::new(),
            last_time: String::new(),
            last_seq: None,
        };
        Walk { keys, macs: Vec::new(), done }
    }

    fn line(&mut self, raw: &Raw<'_>, mut at: At) {
        let parsed = if raw.too_long { Err("too long".into()) } else { read(raw.bytes) };
        let line = match parsed {
            Ok(line) => line,
            Err(why) => {
                let found = self.done.findings.tampered(Kind::Malformed, at, why, None);
                self.done.unread_at_end += 1;
                return self.done.chain.lost(found);
            }
        };
        at.seq = Some(line.seq);
        self.done.entries += 1;
        let stream = self.done.stream.get_or_insert_with(|| line.stream.to_owned());
        if stream != line.stream {
            let detail = "an entry of another stream";
            let found = self.done.findings.tampered(Kind::Spliced, at, detail, None);
            self.done.unread_at_end += 1;
            return self.done.chain.lost(found);
        }
        let hash = line.hash();
        let bad = self.content(&line, &hash, at);
        let (seq, stated, prev_hash) = (line.seq, line.chain_hash, line.prev_hash);
        let link = Link { seq, hash, stated, prev_hash, at, bad };
        if self.done.chain.place(link, &mut self.done.findings) == Place::Aside {
            self.done.unread_at_end += u64::from(bad.is_some());
            return;
        }
        self.done.unread_at_end = 0;
        if bad.is_none() {
            self.time(&line, at);
        }
        let Walked { control, chain, findings, .. } = &mut self.done;
        control.entry(&line, at, chain, findings);
    }

    /// Checks a line by itself: its hash, its key id, its MAC.
    fn content(&mut self, line: &Line<'_>, hash: &Digest, at: At) -> Option<usize> {
        let edited = *hash != line.chain_hash;
        let forged =
            self.mac(line).is_some_and(|mac| !mac.verify(&line.chain_hash, &line.signature));
        let known = edited || self.done.control.knows_key_id(line.key_id);
        let (kind, detail) = match (edited, known, forged) {
            (true, _, false) => (Kind::Edited, "its bytes are not those that were hashed"),
            (true, _, true) => (Kind::Edited, "neither its hash nor its MAC fits its bytes"),
            (_, false, false) => (Kind::UnknownKey, "key_id was never announced, or is retired"),
            (_, false, true) => {
                (Kind::UnknownKey, "key_id was never announced; its MAC is wrong too")
            }
            (_, true, true) => (Kind::Forged, "its MAC is not made with the stream's key"),
            (false, true, false) => return None,
        };
        let found = self.done.findings.tampered(kind, at, detail, None);
        self.done.chain.cause = Some(found);
        (edited || forged).then_some(found)
    }

    fn mac(&mut self, line: &Line<'_>) -> Option<&MacKey> {
        let master = self.keys.mac_master.as_ref()?;
        let at = match self.macs.iter().position(|(id, _)| id == line.key_id) {
            Some(at) => at,
            None => {
                if self.macs.len() == MAC_KEYS {
                    self.macs.clear();
                }
                let key = MacKey::derive(master, line.stream, line.key_id);
                self.macs.push((line.key_id.to_owned(), key));
                self.macs.len() - 1
            }
        };
        self.macs.get(at).map(|(_, key)| key)
    }

    /// Time may only go back where a `clock_step` says so, beside the entry that shows it.
    fn time(&mut self, line: &Line<'_>, at: At) {
        let Walked { control, findings, last_time, first_time, last_seq, .. } = &mut self.done;
        if first_time.is_empty() {
            first_time.push_str(line.recorded_at);
        }
        // Only from a lower number to a higher one: lines out of place have their own finding.
        let onward = last_seq.replace(line.seq).is_some_and(|last| last < line.seq);
        let back = onward && line.recorded_at < last_time.as_str();
        control.clock(line, back, at, findings);
        last_time.clear();
        last_time.push_str(line.recorded_at);
    }

    fn finish(mut self) -> Walked {
        self.done.chain.finish(&mut self.done.findings);
        self.done
    }
}

/// A line, or why it is none.
fn read(bytes: &[u8]) -> Result<Line<'_>, std::borrow::Cow<'static, str>> {
    line::parse(bytes).map_err(|why| why.to_string().into())
}

/// A second look, only where numbers went back: is it the same entry again, or another one?
fn tell_forks(walked: &mut Walked) -> std::io::Result<()> {
    if walked.chain.backward.is_empty() {
        return Ok(());
    }
    let mut firsts: HashMap<u64, Option<Digest>> =
        walked.chain.backward.iter().map(|line| (line.seq, None)).collect();
    let mut lines = Lines::open(&walked.path)?;
    while let Some(raw) = lines.next()? {
        let Ok(line) = line::parse(raw.bytes) else { continue };
        if let Some(first @ None) = firsts.get_mut(&line.seq) {
            *first = Some(line.hash());
        }
    }
    for line in &walked.chain.backward {
        let first = firsts.get(&line.seq).copied().flatten();
        let list: &[Finding] = &walked.findings.list;
        let is_duplicate = list.get(line.finding).is_some_and(|f| f.kind == Kind::Duplicate);
        if is_duplicate && first.is_some_and(|first| first != line.hash) {
            walked.findings.rename(line.finding, Kind::Fork, FORK);
        }
    }
    Ok(())
}

impl Walked {
    /// Whether nothing is wrong with the file by itself.
    pub(super) fn is_clean(&self) -> bool {
        let harmless = |f: &Finding| f.severity == Severity::Information;
        self.findings.list.iter().all(harmless) && self.torn.is_none() && self.damage.is_none()
    }
}
