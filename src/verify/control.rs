//! What control entries say about their ledger: segments, checkpoints, keys, clock, retention.

use super::{
    finding::{At, Findings, Kind, Severity},
    keys::Keys,
    place::Chain,
};
use crate::{
    json,
    ledger::{
        line::Line,
        merkle::Frontier,
        note::{self, Checkpoint, NoteError, Verifier},
    },
    record::Digest,
};

/// Something that concerns the keys, in the order of the file.
#[derive(Debug)]
pub(super) enum KeyEvent {
    /// A segment says under which public key it is signed.
    Open { vkey: String, at: At },
    /// A `key_rotate`; `authentic` when its MAC was checked.
    Announced { vkey: String, at: At, authentic: bool },
    /// A run of checkpoints by one key; `size` is the last one's.
    Signed { vkey: String, at: At, size: u64 },
}

/// A checkpoint whose signature fits.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Sealed {
    /// Sequence number of the checkpoint's own entry.
    pub seq: u64,
    /// Entries it covers.
    pub size: u64,
    /// Root over them, hex.
    pub root: String,
}

/// What the control entries of one file said.
pub(super) struct Control {
    /// Number of the last segment opened in this file.
    pub(super) number: Option<u64>,
    /// Number of the first.
    pub(super) first_number: Option<u64>,
    /// Frontier that the file's first entry, a `segment_open`, states.
    pub(super) opening: Option<Frontier>,
    /// Whether the last entry is a `segment_close`.
    pub(super) closed: bool,
    pub(super) checkpoints: u64,
    pub(super) last_checkpoint: Option<Sealed>,
    /// Entries after the last good checkpoint.
    pub(super) tail: u64,
    pub(super) key_events: Vec<KeyEvent>,
    pub(super) first_key_id: Option<String>,
    pub(super) key_id: Option<String>,
    pub(super) next_key_id: Option<String>,
    /// Crashes recovered from; source bytes lost; records refused; clock steps.
    pub(super) counts: Counts,
    /// Last sequence number that a genuine `retention` entry says was deleted.
    pub(super) retired_to: Option<u64>,
    /// A `clock_step` is among the file's first entries.
    pub(super) steps_early: bool,
    verifiers: Vec<(String, Verifier)>,
    mac_checked: bool,
    was_step: bool,
    back: Option<usize>,
    seen: u64,
}

/// How many control entries of the kinds that a reader should know of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// `recovery`: a torn last line was cut after a crash.
    pub recoveries: u64,
    /// `gap`: source bytes known to be lost unread.
    pub gaps: u64,
    /// `quarantine`: records refused.
    pub quarantined: u64,
    /// `clock_step`: the wall clock jumped.
    pub clock_steps: u64,
}

impl Control {
    pub(super) fn new(keys: &Keys) -> Self {
        Control {
            number: None,
            first_number: None,
            opening: None,
            closed: false,
            checkpoints: 0,
            last_checkpoint: None,
            tail: 0,
            key_events: Vec::new(),
            first_key_id: None,
            key_id: None,
            next_key_id: None,
            counts: Counts::default(),
            retired_to: None,
            steps_early: false,
            verifiers: keys.public.clone(),
            mac_checked: keys.mac_master.is_some(),
            was_step: false,
            back: None,
            seen: 0,
        }
    }

    /// Whether `id` is in force: the file's first, or one announced since. Once the new one is used
    /// the old one is retired, so that an old key cannot sign new entries.
    pub(super) fn knows_key_id(&mut self, id: &str) -> bool {
        let current = self.key_id.get_or_insert_with(|| id.to_owned());
        if current == id {
            return true;
        }
        let announced = self.next_key_id.take_if(|next| next == id);
        let known = announced.is_some();
        self.key_id = announced.or(self.key_id.take());
        known
    }

    /// Takes note of an entry in its place.
    pub(super) fn entry(&mut self, line: &Line<'_>, at: At, chain: &mut Chain, f: &mut Findings) {
        self.seen += 1;
        self.tail += 1;
        self.first_key_id.get_or_insert_with(|| line.key_id.to_owned());
        if self.closed && line.event_type != "segment_open" {
            let detail = "entries follow its segment_close";
            chain.cause = Some(f.tampered(Kind::SegmentNotClosed, at, detail, chain.cause));
        }
        let was_closed = std::mem::take(&mut self.closed);
        let genuine = chain.last.is_some_and(|last| last.bad.is_none());
        match line.event_type {
            "segment_open" => self.open(line, (at, was_closed), chain, f),
            "checkpoint" => self.checkpoint(line, at, chain, f),
            "segment_close" => {
                self.checkpoint(line, at, chain, f);
                self.closed = true;
            }
            "key_rotate" if genuine => self.rotate(line, at),
            "retention" if genuine => self.retention(line),
            "recovery" => self.counts.recoveries += 1,
            "gap" => self.counts.gaps += 1,
            "quarantine" => self.counts.quarantined += 1,
            "clock_step" => self.counts.clock_steps += 1,
            _ => {}
        }
    }

    /// Judges a time that went back by the entries beside it.
    pub(super) fn clock(&mut self, line: &Line<'_>, back: bool, at: At, f: &mut Findings) {
        let step = line.event_type == "clock_step";
        self.steps_early |= step && self.seen < 3;
        if let Some(found) = self.back.take().filter(|_| step)
            && let Some(finding) = f.list.get_mut(found)
        {
            finding.severity = Severity::Information;
            finding.detail = ANNOUNCED.into();
        }
        if back && (step || self.was_step) {
            f.add(Severity::Information, Kind::ClockBack, at, (ANNOUNCED.into(), None));
        } else if back {
            let detail = "recorded_at goes back and no clock_step says why";
            let found = f.add(Severity::Inconclusive, Kind::ClockBack, at, (detail.into(), None));
            self.back = Some(found);
        }
        self.was_step = step;
    }

    fn open(
        &mut self,
        line: &Line<'_>,
        (at, was_closed): (At, bool),
        chain: &mut Chain,
        f: &mut Findings,
    ) {
        let stated = line.member("frontier").and_then(frontier);
        let fits = stated.as_ref().is_some_and(|stated| stated.size() == line.seq);
        let is_first = self.seen == 1;
        let number = line.member("segment").and_then(number);
        if is_first {
            self.first_number = number;
            self.opening.clone_from(&stated);
        } else {
            // Segments that somebody joined: nothing is lost if each is whole.
            if !was_closed {
                let detail = "another segment begins before its segment_close";
                f.tampered(Kind::SegmentNotClosed, at, detail, chain.cause);
            }
            if number != self.number.map(|number| number + 1) {
                f.tampered(
                    Kind::SegmentGap,
                    at,
                    "the segment's number does not follow",
                    chain.cause,
                );
            }
        }
        let agrees = chain.frontier.is_none() || chain.frontier == stated;
        if fits && agrees {
            chain.frontier = stated;
        } else {
            let detail = "its frontier is not that of the entries before";
            let found = f.tampered(Kind::CheckpointMismatch, at, detail, chain.cause);
            (chain.cause, chain.frontier) = (chain.cause.or(Some(found)), None);
        }
        self.number = number;
        let ids = line.member("key_ids").unwrap_or_default();
        let listed = json::items(ids).map_while(Result::ok);
        if !listed.map(|(_, id)| json::text::inner(id)).any(|id| id == line.key_id.as_bytes()) {
            f.tampered(Kind::UnknownKey, at, "its key_id is not among its key_ids", chain.cause);
        }
        if let Some(vkey) = text(line, "vkey") {
            self.add_verifier(&vkey);
            self.key_events.push(KeyEvent::Open { vkey, at });
        }
    }

    fn add_verifier(&mut self, vkey: &str) {
        if self.verifiers.iter().all(|(known, _)| known != vkey)
            && let Ok(verifier) = Verifier::parse(vkey)
        {
            self.verifiers.push((vkey.to_owned(), verifier));
        }
    }

    fn rotate(&mut self, line: &Line<'_>, at: At) {
        self.next_key_id = text(line, "new_key_id").or(self.next_key_id.take());
        if let Some(vkey) = text(line, "vkey") {
            self.add_verifier(&vkey);
            let authentic = self.mac_checked;
            self.key_events.push(KeyEvent::Announced { vkey, at, authentic });
        }
    }

    fn retention(&mut self, line: &Line<'_>) {
        let deleted = text(line, "action").is_none_or(|action| action.starts_with("delete"));
        if deleted {
            self.retired_to = self.retired_to.max(line.member("last_seq").and_then(number));
        }
    }

    fn checkpoint(&mut self, line: &Line<'_>, at: At, chain: &mut Chain, f: &mut Findings) {
        let signed = match self.signed(line) {
            Ok(signed) => signed,
            Err((kind, detail)) => {
                let found = f.tampered(kind, at, detail, chain.last.and_then(|last| last.bad));
                chain.cause = Some(found);
                return;
            }
        };
        let (vkey, checkpoint) = signed;
        let root = const_hex::encode(checkpoint.root);
        let same = checkpoint.origin == line.stream
            && checkpoint.size == line.seq
            && line.member("size").and_then(number) == Some(checkpoint.size)
            && line.member("root").map(json::text::inner) == Some(root.as_bytes());
        let tree = chain.frontier.as_ref().map(Frontier::root);
        if !same || tree.is_some_and(|tree| tree != checkpoint.root) {
            let detail = if same {
                "the entries before it do not give the signed root"
            } else {
                "its note speaks of another stream, size or root"
            };
            let found = f.tampered(Kind::CheckpointMismatch, at, detail, chain.cause);
            (chain.cause, chain.frontier) = (chain.cause.or(Some(found)), None);
            return;
        }
        if tree.is_some() {
            // All before it is as it was signed, or has its finding: nothing later follows from it.
            chain.cause = None;
        }
        self.checkpoints += 1;
        self.tail = 0;
        let size = checkpoint.size;
        self.last_checkpoint = Some(Sealed { seq: line.seq, size, root });
        match self.key_events.last_mut() {
            Some(KeyEvent::Signed { vkey: last, size: to, .. }) if *last == vkey => *to = size,
            _ => self.key_events.push(KeyEvent::Signed { vkey, at, size }),
        }
    }

    /// Who signed the note of a checkpoint entry, and what it states.
    fn signed(&self, line: &Line<'_>) -> Result<(String, Checkpoint), (Kind, &'static str)> {
        let bad = |detail| (Kind::BadCheckpointSig, detail);
        let note = text(line, "note").ok_or(bad("it has no note"))?;
        for (vkey, verifier) in &self.verifiers {
            match note::open(&note, std::slice::from_ref(verifier)) {
                Ok(text) => {
                    let checkpoint = Checkpoint::parse(text);
                    return checkpoint
                        .map(|checkpoint| (vkey.clone(), checkpoint))
                        .map_err(|_| bad("its note is no checkpoint"));
                }
                Err(NoteError::NoKnownKey) => {}
                Err(NoteError::BadSignature) => return Err(bad("its signature does not fit")),
                Err(NoteError::Malformed) => return Err(bad("its note is no signed note")),
            }
        }
        Err((Kind::UnknownKey, "its note is signed by a key that was never announced"))
    }
}

const ANNOUNCED: &str = "recorded_at goes back, as a clock_step says";

/// A non-negative integer member.
fn number(raw: &[u8]) -> Option<u64> {
    std::str::from_utf8(raw).ok()?.parse().ok()
}

/// A text member, out of its escapes.
fn text(line: &Line<'_>, name: &str) -> Option<String> {
    let raw = line.member(name).filter(|raw| json::Type::of(raw) == json::Type::String)?;
    let mut out = String::new();
    json::text::unescape(raw, &mut out);
    Some(out)
}

/// `[[level,"hex"],…]`
fn frontier(raw: &[u8]) -> Option<Frontier> {
    let part = |raw: &[u8]| -> Option<(u8, Digest)> {
        let mut items = json::items(raw).map_while(Result::ok).map(|(_, item)| item);
        let level = u8::try_from(number(items.next()?)?).ok()?;
        let hash = const_hex::decode_to_array(json::text::inner(items.next()?)).ok()?;
        items.next().is_none().then_some((level, hash))
    };
    let parts: Option<Vec<_>> = json::items(raw).map(|item| part(item.ok()?.1)).collect();
    Frontier::from_parts(parts?).ok()
}
