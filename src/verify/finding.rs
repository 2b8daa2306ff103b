//! What the verifier can say is wrong, where, and how much it matters.

use std::{borrow::Cow, sync::Arc};

/// A name for one way in which a ledger is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// The line's hash is not that of its bytes.
    Edited,
    /// The hash fits, the MAC does not: written by somebody without the key.
    Forged,
    /// Sequence numbers are missing.
    Missing,
    /// A line that the sequence has no place for, and that is not genuine.
    Inserted,
    /// A genuine line stands twice.
    Duplicate,
    /// A genuine line stands in the wrong place.
    Reordered,
    /// A line or file of another stream.
    Spliced,
    /// Two genuine entries with one sequence number: two histories.
    Fork,
    /// The line does not follow from the one before it.
    LinkBroken,
    /// Not a line of a ledger.
    Malformed,
    /// A line or an archive that breaks off.
    Torn,
    /// A segment's number does not follow, or file names were exchanged.
    SegmentGap,
    /// A segment that is not the newest does not end in `segment_close`.
    SegmentNotClosed,
    /// The beginning is not there.
    HeadMissing,
    /// Shorter than a checkpoint held elsewhere.
    Truncated,
    /// Contradicts a checkpoint held elsewhere.
    HistoryRewritten,
    /// A checkpoint's signature does not fit.
    BadCheckpointSig,
    /// A checkpoint states another tree than the entries give.
    CheckpointMismatch,
    /// A key that was never announced, or is no longer in force.
    UnknownKey,
    /// Time went back.
    ClockBack,
    /// The newest entry is older than allowed.
    Stale,
    /// No signed checkpoint covers the end.
    UnsignedTail,
}

impl Kind {
    /// The name that reports and documentation use: `LINK_BROKEN`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Edited => "EDITED",
            Kind::Forged => "FORGED",
            Kind::Missing => "MISSING",
            Kind::Inserted => "INSERTED",
            Kind::Duplicate => "DUPLICATE",
            Kind::Reordered => "REORDERED",
            Kind::Spliced => "SPLICED",
            Kind::Fork => "FORK",
            Kind::LinkBroken => "LINK_BROKEN",
            Kind::Malformed => "MALFORMED",
            Kind::Torn => "TORN",
            Kind::SegmentGap => "SEGMENT_GAP",
            Kind::SegmentNotClosed => "SEGMENT_NOT_CLOSED",
            Kind::HeadMissing => "HEAD_MISSING",
            Kind::Truncated => "TRUNCATED",
            Kind::HistoryRewritten => "HISTORY_REWRITTEN",
            Kind::BadCheckpointSig => "BAD_CHECKPOINT_SIG",
            Kind::CheckpointMismatch => "CHECKPOINT_MISMATCH",
            Kind::UnknownKey => "UNKNOWN_KEY",
            Kind::ClockBack => "CLOCK_BACK",
            Kind::Stale => "STALE",
            Kind::UnsignedTail => "UNSIGNED_TAIL",
        }
    }

    /// Whether it speaks of what is not there, rather than of what is there and altered.
    #[must_use]
    pub fn is_about_completeness(self) -> bool {
        use Kind::{HeadMissing, Missing, SegmentGap, SegmentNotClosed};
        use Kind::{Stale, Torn, Truncated, UnsignedTail};
        matches!(
            self,
            Missing | HeadMissing | SegmentGap | SegmentNotClosed | Torn | Truncated | Stale
        ) || self == UnsignedTail
    }
}

/// How much a finding matters. Ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; changes no verdict.
    #[default]
    Information,
    /// May be innocent: the verdict cannot be "intact".
    Inconclusive,
    /// Cannot be innocent.
    Tampered,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    /// Line, from 1; 0 for the file as a whole.
    pub line: u64,
    /// Offset of the line's first byte, uncompressed.
    pub offset: u64,
    /// Sequence number, where the line has one.
    pub seq: Option<u64>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What it is.
    #[serde(rename = "finding")]
    pub kind: Kind,
    /// How much it matters.
    pub severity: Severity,
    /// The file.
    pub file: Arc<str>,
    /// Line, from 1; 0 for the file as a whole.
    pub line: u64,
    /// Offset of the line's first byte, uncompressed.
    pub offset: u64,
    /// Sequence number.
    pub seq: Option<u64>,
    /// How many lines in a row it is about.
    pub lines: u64,
    /// In words.
    pub detail: Cow<'static, str>,
    /// Positions in the report's list of the findings that this one merely follows from.
    pub follows: Vec<usize>,
}

/// Findings kept for one file; more are counted only.
const KEPT: usize = 10_000;

/// The findings of one file, in the order in which they were made.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) list: Vec<Finding>,
    /// How many were not kept.
    pub(super) hidden: u64,
    /// The worst of those.
    pub(super) worst_hidden: Severity,
    file: Arc<str>,
}

impl Findings {
    pub(super) fn new(file: Arc<str>) -> Self {
        Findings { list: Vec::new(), hidden: 0, worst_hidden: Severity::default(), file }
    }

    /// Adds what cannot be innocent.
    pub(super) fn tampered(
        &mut self,
        kind: Kind,
        at: At,
        detail: impl Into<Cow<'static, str>>,
        follows: Option<usize>,
    ) -> usize {
        self.add(Severity::Tampered, kind, at, (detail.into(), follows))
    }

    /// Adds a finding, and gives its position. The same thing on the next line is the same finding.
    pub(super) fn add(
        &mut self,
        severity: Severity,
        kind: Kind,
        at: At,
        (detail, follows): (Cow<'static, str>, Option<usize>),
    ) -> usize {
        // Always the root: a reader wants the cause, not the chain of consequences.
        let root =
            follows.map(|at| self.list.get(at).and_then(|f| f.follows.first()).map_or(at, |f| *f));
        let follows: Vec<usize> = root.into_iter().collect();
        let position = self.list.len();
        if let Some(last) = self.list.last_mut() {
            let same = last.kind == kind && last.severity == severity && last.detail == detail;
            let same_cause = last.follows == follows || root == Some(position - 1);
            if same && same_cause && last.line + last.lines == at.line {
                last.lines += 1;
                return position - 1;
            }
        }
        if position >= KEPT {
            self.hidden += 1;
            self.worst_hidden = self.worst_hidden.max(severity);
            return position - 1;
        }
        let At { line, offset, seq } = at;
        let file = Arc::clone(&self.file);
        let finding =
            Finding { kind, severity, file, line, offset, seq, lines: 1, detail, follows };
        self.list.push(finding);
        position
    }

    /// Says what a finding turned out to be.
    pub(super) fn rename(
        &mut self,
        position: usize,
        kind: Kind,
        detail: impl Into<Cow<'static, str>>,
    ) {
        if let Some(finding) = self.list.get_mut(position) {
            finding.kind = kind;
            finding.detail = detail.into();
        }
    }
}
