//! The outcome of a verification: for a person, for a program, and as an exit status.

use super::{
    Counts, Options, Sealed,
    finding::{At, Finding, Kind, Severity},
    keys::Origin,
    stitch::Stitched,
    walk::Walked,
};
use std::fmt::Write as _;

/// The outcome in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Exit 0: nothing is wrong with what is there.
    Intact,
    /// Exit 1: something cannot be innocent. Beats everything else.
    Tampered,
    /// Exit 2: cannot conclude.
    Inconclusive,
}

/// Whether what is there is what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// It is.
    Intact,
    /// It is not.
    Tampered,
    /// Cannot be told.
    Inconclusive,
}

/// Whether everything is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// Nothing is missing up to the newest entry; whether more followed, only a checkpoint held
    /// elsewhere could tell.
    UnprovenBeyondHead,
    /// Something is missing.
    Incomplete,
    /// Cannot be told.
    Inconclusive,
}

/// Which keys were used, and what they are worth.
#[derive(Clone, Debug, serde::Serialize)]
pub struct KeyUse {
    /// Public keys, as vkeys.
    pub public: Vec<String>,
    /// Where they came from.
    pub public_from: Origin,
    /// Where the MAC key came from.
    pub mac_from: Origin,
}

/// The outcome. Its JSON form is stable: members may be added, none changes its meaning.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    /// In one word.
    pub verdict: Verdict,
    /// The exit status that goes with it.
    pub exit: u8,
    /// Is it unaltered?
    pub integrity: Integrity,
    /// Is it all?
    pub completeness: Completeness,
    /// The stream.
    pub stream: Option<String>,
    /// Segment files that count.
    pub segments: u64,
    /// Lines that are entries.
    pub entries: u64,
    /// Bytes read, uncompressed.
    pub bytes: u64,
    /// Lowest sequence number.
    pub first_seq: Option<u64>,
    /// Highest sequence number.
    pub last_seq: Option<u64>,
    /// Chain hash of the newest entry, hex, recomputed.
    pub head: Option<String>,
    /// When the newest entry was sealed.
    pub newest: Option<String>,
    /// Checkpoints whose signature and root fit.
    pub checkpoints: u64,
    /// The last of them.
    pub last_checkpoint: Option<Sealed>,
    /// Entries after it.
    pub tail: u64,
    /// Control entries that a reader should know of.
    pub control: Counts,
    /// The keys.
    pub keys: KeyUse,
    /// What was found, in reading order.
    pub findings: Vec<Finding>,
    /// Further findings that were counted only.
    pub findings_not_listed: u64,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

impl Report {
    pub(super) fn new(mut all: Stitched, options: &Options) -> Self {
        let tail = tail(&all.files);
        let checkpoints: u64 = all.files.iter().map(|file| file.control.checkpoints).sum();
        judge_tail(&mut all, (tail, checkpoints));
        judge_age(&mut all, options);
        describe_keys(&mut all);
        let sum = |count: fn(&Walked) -> u64| all.files.iter().map(count).sum::<u64>();
        let last = all.files.iter().rev().find_map(|file| file.chain.last);
        let control = Counts {
            recoveries: sum(|file| file.control.counts.recoveries),
            gaps: sum(|file| file.control.counts.gaps),
            quarantined: sum(|file| file.control.counts.quarantined),
            clock_steps: sum(|file| file.control.counts.clock_steps),
        };
        let mut report = Report {
            verdict: Verdict::Intact,
            exit: 0,
            integrity: Integrity::Intact,
            completeness: Completeness::UnprovenBeyondHead,
            stream: all.files.iter().find_map(|file| file.stream.clone()),
            segments: all.files.len() as u64,
            entries: sum(|file| file.entries),
            bytes: sum(|file| file.bytes),
            first_seq: all.files.iter().find_map(|file| file.chain.first).map(|first| first.seq),
            last_seq: last.map(|last| last.seq),
            head: last.map(|last| const_hex::encode(last.hash)),
            newest: newest(&all.files).map(str::to_owned),
            checkpoints,
            last_checkpoint: all.files.iter().rev().find_map(|f| f.control.last_checkpoint.clone()),
            tail,
            control,
            keys: KeyUse {
                public: all.keys.public.iter().map(|(vkey, _)| vkey.clone()).collect(),
                public_from: all.keys.public_from,
                mac_from: all.keys.mac_from,
            },
            findings: all.findings,
            findings_not_listed: all.hidden,
            notes: all.notes,
        };
        report.conclude(all.worst_hidden);
        report
    }

    fn conclude(&mut self, worst_hidden: Severity) {
        let worst = |completeness: bool| {
            let about = |f: &&Finding| f.kind.is_about_completeness() == completeness;
            self.findings.iter().filter(about).map(|f| f.severity).max().unwrap_or_default()
        };
        let (altered, missing) = (worst(false).max(worst_hidden), worst(true));
        let nothing = self.entries == 0;
        self.integrity = match altered {
            Severity::Tampered => Integrity::Tampered,
            Severity::Inconclusive => Integrity::Inconclusive,
            Severity::Information if nothing => Integrity::Inconclusive,
            Severity::Information => Integrity::Intact,
        };
        self.completeness = match missing {
            Severity::Tampered => Completeness::Incomplete,
            Severity::Inconclusive => Completeness::Inconclusive,
            Severity::Information if nothing => Completeness::Inconclusive,
            Severity::Information => Completeness::UnprovenBeyondHead,
        };
        (self.verdict, self.exit) = match altered.max(missing) {
            Severity::Tampered => (Verdict::Tampered, 1),
            Severity::Inconclusive => (Verdict::Inconclusive, 2),
            Severity::Information if nothing => (Verdict::Inconclusive, 2),
            Severity::Information => (Verdict::Intact, 0),
        };
    }

    /// 0 intact, 1 tampered, 2 cannot conclude.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.exit
    }

    /// The report as one JSON object, without a final LF.
    ///
    /// # Errors
    /// None that can happen; what the serializer says is passed on.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// The report for a person.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let word = |value: &dyn std::fmt::Debug| words(&format!("{value:?}"));
        let seqs = match (self.first_seq, self.last_seq) {
            (Some(first), Some(last)) => format!(" (seq {first} to {last})"),
            _ => String::new(),
        };
        let checkpoint = self.last_checkpoint.as_ref();
        let covered = checkpoint.map_or(String::new(), |c| format!(", the last at seq {}", c.seq));
        let rows = [
            ("verdict", format!("{} (exit {})", word(&self.verdict).to_uppercase(), self.exit)),
            ("integrity", word(&self.integrity)),
            ("completeness", word(&self.completeness)),
            ("stream", self.stream.clone().unwrap_or_else(|| "-".into())),
            ("entries", format!("{} in {} segments{seqs}", self.entries, self.segments)),
            (
                "checkpoints",
                format!("{}{covered}; {} entries after it", self.checkpoints, self.tail),
            ),
            ("head", self.head.clone().unwrap_or_else(|| "-".into())),
            ("newest", self.newest.clone().unwrap_or_else(|| "-".into())),
            ("public key", word(&self.keys.public_from)),
            ("MAC key", word(&self.keys.mac_from)),
        ];
        for (name, value) in rows {
            let _ = writeln!(out, "{name:<13} {value}");
        }
        self.list_findings(&mut out);
        for note in &self.notes {
            let _ = writeln!(out, "note: {note}");
        }
        out
    }

    fn list_findings(&self, out: &mut String) {
        for (at, f) in self.findings.iter().enumerate().filter(|(_, f)| f.follows.is_empty()) {
            let seq = f.seq.map_or(String::new(), |seq| format!(", seq {seq}"));
            let lines = if f.lines > 1 {
                format!(" (and {} more lines)", f.lines - 1)
            } else {
                String::new()
            };
            let (kind, severity) = (f.kind.name(), words(&format!("{:?}", f.severity)));
            let _ = writeln!(
                out,
                "\n{kind} ({severity}) {}:{}, byte {}{seq}{lines}",
                f.file, f.line, f.offset
            );
            let _ = writeln!(out, "    {}", f.detail);
            for f in self.findings.iter().filter(|f| f.follows.contains(&at)) {
                let (kind, line) = (f.kind.name(), f.line);
                let _ = writeln!(out, "    follows: {kind} {}:{line}: {}", f.file, f.detail);
            }
        }
        if self.findings_not_listed > 0 {
            let _ = writeln!(out, "\n{} further findings are not listed", self.findings_not_listed);
        }
        if !self.notes.is_empty() {
            out.push('\n');
        }
    }
}

/// `UnprovenBeyondHead` → `unproven beyond head`
fn words(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.chars().enumerate() {
        if c.is_uppercase() && at > 0 {
            out.push(' ');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// Entries after the last good checkpoint of the ledger.
fn tail(files: &[Walked]) -> u64 {
    let mut tail = 0;
    for file in files.iter().rev() {
        tail += file.control.tail;
        if file.control.checkpoints > 0 {
            break;
        }
    }
    tail
}

fn newest(files: &[Walked]) -> Option<&str> {
    files.iter().rev().map(|file| file.last_time.as_str()).find(|time| !time.is_empty())
}

fn judge_tail(all: &mut Stitched, (tail, checkpoints): (u64, u64)) {
    let Some(at) = all.files.len().checked_sub(1) else { return };
    let end = all.files.get(at).map_or(At::default(), |file| file.end);
    let unsigned = (Severity::Inconclusive, Kind::UnsignedTail, end);
    let own_key = matches!(all.keys.public_from, Origin::Given | Origin::BesideLedger);
    let vouched = all.keys.mac_master.is_some();
    if all.files.iter().all(|file| file.entries == 0) {
        return;
    }
    if checkpoints == 0 {
        all.add(at, unsigned, "no signed checkpoint covers any of it", None);
    } else if tail > 0 && own_key && !vouched {
        let detail =
            "no signed checkpoint covers the end, and without the MAC key nothing else does";
        all.add(at, unsigned, detail, None);
    } else if tail > 0 {
        let by =
            if vouched { "their MACs alone vouch for them" } else { "nothing vouches for them" };
        all.notes.push(format!("{tail} entries after the last checkpoint: {by}"));
    }
}

fn judge_age(all: &mut Stitched, options: &Options) {
    let Some(max_age) = options.max_age else { return };
    let max_age = i64::try_from(max_age.as_micros()).unwrap_or(i64::MAX);
    let at = all.files.len().saturating_sub(1);
    let end = all.files.last().map_or(At::default(), |file| file.end);
    let newest = newest(&all.files).and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let detail = match newest {
        Some(time) if options.now.saturating_sub(time.as_microsecond()) <= max_age => return,
        Some(time) => format!("the newest entry is of {time}"),
        None => "there is no entry".into(),
    };
    all.add(at, (Severity::Inconclusive, Kind::Stale, end), detail, None);
}

fn describe_keys(all: &mut Stitched) {
    let mut note = |text: &str| all.notes.push(text.into());
    match all.keys.public_from {
        Origin::BesideLedger => note(
            "the public key was found beside the ledger: no independent evidence; give one that you \
             hold with --public-key",
        ),
        Origin::StatedByLedger => note(
            "no public key was given: signatures were checked with the key that the ledger itself \
             states, so a ledger that was signed anew passes",
        ),
        Origin::None => note("no public key: no signature was checked"),
        Origin::Given => {}
    }
    match all.keys.mac_from {
        Origin::BesideLedger => {
            note("the MAC key was found beside the ledger: whoever can read it can forge entries");
        }
        Origin::None | Origin::StatedByLedger => note("no MAC key: no entry's MAC was checked"),
        Origin::Given => {}
    }
    let forged = all.findings.iter().filter(|f| f.kind == Kind::Forged);
    let entries: u64 = all.files.iter().map(|file| file.entries).sum();
    if entries > 0 && forged.map(|f| f.lines).sum::<u64>() == entries {
        all.notes.push("not one MAC fits: is it the MAC key of this ledger?".into());
    }
}
