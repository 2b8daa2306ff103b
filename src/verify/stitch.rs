//! Puts the files of a ledger in order and checks what only several of them together can show.

use super::{
    Options,
    finding::{At, Finding, Kind, Severity},
    keys::{Keys, Origin},
    place::{self, Link},
    trust,
    walk::Walked,
};
use crate::ledger::{chain::genesis, merkle};
use std::{borrow::Cow, sync::Arc};

/// The files in order, and everything found so far.
pub(super) struct Stitched {
    pub(super) files: Vec<Walked>,
    pub(super) findings: Vec<Finding>,
    pub(super) notes: Vec<String>,
    pub(super) hidden: u64,
    /// The worst of the findings that were not kept.
    pub(super) worst_hidden: Severity,
    pub(super) keys: Keys,
    /// Position in `files` that each finding belongs to.
    owners: Vec<usize>,
    /// Where each file's own findings begin in `findings`.
    bases: Vec<usize>,
}

/// Joins the walked files.
pub(super) fn stitch(walked: Vec<Walked>, keys: Keys, options: &Options) -> Stitched {
    let several = walked.len() > 1 || options.paths.iter().any(|path| path.is_dir());
    let mut notes = Vec::new();
    let files = without_copies(in_order(walked), &mut notes);
    let mut all = Stitched {
        files,
        findings: Vec::new(),
        notes,
        hidden: 0,
        worst_hidden: Severity::default(),
        keys,
        owners: Vec::new(),
        bases: Vec::new(),
    };
    all.collect();
    all.foreign();
    all.exchanged_names();
    all.head(several);
    all.joints();
    trust::check(&mut all);
    all.sort();
    all
}

/// By segment number: the one inside, else the one in the name, else after the file that holds
/// earlier entries.
fn in_order(mut files: Vec<Walked>) -> Vec<Walked> {
    let known: Vec<(u64, u64)> = files
        .iter()
        .filter_map(|file| Some((file.chain.first?.seq, file.control.first_number?)))
        .collect();
    files.sort_by_cached_key(|file| {
        let seq = file.chain.first.map(|first| first.seq);
        let before = |seq| known.iter().filter(|(s, _)| *s < seq).map(|(_, number)| *number).max();
        let inner = file.control.first_number.or(super::files::number_in_name(&file.path));
        (inner.or(seq.and_then(before)).unwrap_or(u64::MAX), seq, file.path.clone())
    });
    files
}

/// A crash between compressing a segment and removing the plain file leaves both: the same
/// entries, both whole. They count once. Anything less than that stays, and is judged.
fn without_copies(files: Vec<Walked>, notes: &mut Vec<String>) -> Vec<Walked> {
    let mut kept: Vec<Walked> = Vec::with_capacity(files.len());
    for file in files {
        let same = |other: &Walked| {
            let ends = |walked: &Walked| Some((walked.chain.first?.hash, walked.chain.last?.hash));
            ends(other).is_some() && ends(other) == ends(&file) && other.entries == file.entries
        };
        match kept.last() {
            Some(last) if last.is_clean() && file.is_clean() && same(last) => {
                notes.push(format!("{} is a whole copy of {}", file.file, last.file));
            }
            _ => kept.push(file),
        }
    }
    kept
}

impl Stitched {
    /// Takes over the files' own findings.
    fn collect(&mut self) {
        for (at, file) in self.files.iter_mut().enumerate() {
            let base = self.findings.len();
            self.bases.push(base);
            self.hidden += file.findings.hidden;
            self.worst_hidden = self.worst_hidden.max(file.findings.worst_hidden);
            for mut finding in file.findings.list.drain(..) {
                finding.follows.iter_mut().for_each(|position| *position += base);
                self.findings.push(finding);
                self.owners.push(at);
            }
        }
    }

    /// Adds a finding to file `at`, and gives its position.
    pub(super) fn add(
        &mut self,
        at: usize,
        what: (Severity, Kind, At),
        detail: impl Into<Cow<'static, str>>,
        follows: Option<usize>,
    ) -> usize {
        let (severity, kind, place) = what;
        let root = |position| {
            let finding: Option<&Finding> = self.findings.get(position);
            finding.and_then(|f| f.follows.first().copied()).unwrap_or(position)
        };
        let finding = Finding {
            kind,
            severity,
            file: self.files.get(at).map_or_else(|| Arc::from(""), |file| Arc::clone(&file.file)),
            line: place.line,
            offset: place.offset,
            seq: place.seq,
            lines: 1,
            detail: detail.into(),
            follows: follows.map(root).into_iter().collect(),
        };
        self.findings.push(finding);
        self.owners.push(at);
        self.findings.len() - 1
    }

    pub(super) fn tampered(
        &mut self,
        at: usize,
        (kind, place): (Kind, At),
        detail: impl Into<Cow<'static, str>>,
        follows: Option<usize>,
    ) -> usize {
        self.add(at, (Severity::Tampered, kind, place), detail, follows)
    }

    /// The open cause of file `at`: the finding that others may follow from.
    fn cause(&self, at: usize) -> Option<usize> {
        Some(self.bases.get(at)? + self.files.get(at)?.chain.cause?)
    }

    /// The finding about the line that `file`'s first entry is preceded by.
    fn cause_at_start(&self, at: usize) -> Option<usize> {
        let first = self.files.get(at)?.chain.first.map_or(u64::MAX, |first| first.at.line);
        let here = |p: &usize| self.owners.get(*p) == Some(&at);
        let early = |p: &usize| self.findings.get(*p).is_some_and(|f| f.line < first && f.line > 0);
        (0..self.findings.len()).find(|p| here(p) && early(p))
    }

    /// Whole files of another stream: one finding each, and no part in the chain.
    fn foreign(&mut self) {
        let ours = self.files.iter().find_map(|file| file.stream.clone());
        for at in 0..self.files.len() {
            let stream = self.files.get(at).and_then(|file| file.stream.clone());
            if stream.is_some() && stream != ours {
                let place = At { line: 1, ..At::default() };
                self.tampered(at, (Kind::Spliced, place), "a file of another stream", None);
            }
        }
    }

    /// Two files that bear each other's names.
    fn exchanged_names(&mut self) {
        let numbers: Vec<(Option<u64>, Option<u64>)> = self
            .files
            .iter()
            .map(|file| (super::files::number_in_name(&file.path), file.control.first_number))
            .collect();
        for (at, &(name, inner)) in numbers.iter().enumerate() {
            let (Some(name), Some(inner)) = (name, inner) else { continue };
            if name == inner {
                continue;
            }
            let partner = numbers.contains(&(Some(inner), Some(name)));
            if partner {
                let place = At { line: 1, ..At::default() };
                let detail =
                    format!("named as segment {name}, holds segment {inner}, and vice versa");
                self.tampered(at, (Kind::SegmentGap, place), detail, None);
            } else {
                self.notes.push(format!("a file named as segment {name} holds segment {inner}"));
            }
        }
    }

    /// The beginning: genesis, or a reason why it is not there.
    fn head(&mut self, several: bool) {
        let Some(first) = self.files.first().and_then(|file| file.chain.first) else { return };
        if first.seq == 0 {
            return self.genesis(&first);
        }
        let (at, stated) = (At { line: 1, ..At::default() }, self.cause_at_start(0));
        let retired = self.files.iter().filter_map(|file| file.control.retired_to).max();
        if retired.is_some_and(|to| to + 1 >= first.seq) {
            let seq = first.seq;
            self.notes
                .push(format!("entries before {seq} were deleted, as a retention entry says"));
        } else if several {
            let detail = format!("the ledger begins at entry {}", first.seq);
            self.tampered(0, (Kind::HeadMissing, at), detail, stated);
        } else {
            let seq = first.seq;
            self.notes.push(format!("one file was given: entries before {seq} were not looked at"));
        }
        let opened = self.files.first().is_some_and(|file| file.control.opening.is_some());
        if !opened && !several && first.bad.is_none() {
            let detail = "the file does not begin with its segment_open";
            self.tampered(0, (Kind::HeadMissing, at), detail, stated);
        }
    }

    fn genesis(&mut self, first: &Link) {
        let Some(stream) = self.files.first().and_then(|file| file.stream.clone()) else { return };
        let stated = self.files.first().and_then(trust::stated_key);
        let keys: Vec<String> = match self.keys.public_from {
            Origin::None => stated.into_iter().collect(),
            _ => self.keys.public.iter().map(|(vkey, _)| vkey.clone()).collect(),
        };
        let pinned = keys.iter().any(|vkey| genesis(&stream, vkey) == first.prev_hash);
        if !pinned && first.bad.is_none() {
            let detail = "does not begin with the genesis of its stream and public key";
            self.tampered(0, (Kind::LinkBroken, first.at), detail, None);
        }
    }

    /// All ends and joints. A file without an entry of this stream is passed over, and is the reason
    /// for what is missing there.
    fn joints(&mut self) {
        let ours = self.files.iter().find_map(|file| file.stream.clone());
        let mut before: Option<usize> = None;
        let mut cause = None;
        for at in 0..self.files.len() {
            let Some(file) = self.files.get(at) else { continue };
            let is_foreign = file.stream != ours && file.stream.is_some();
            let is_part = !is_foreign && file.chain.first.is_some();
            let own = (0..self.findings.len()).find(|p| self.owners.get(*p) == Some(&at));
            if let (true, Some(a)) = (is_part, before) {
                self.joint((a, at), cause);
            }
            let ending = if is_foreign { own } else { self.ending(at) };
            cause = if is_part { ending } else { cause.or(own).or(ending) };
            before = if is_part { Some(at) } else { before };
        }
    }

    /// How file `at` ends. Gives the finding that what follows may follow from.
    fn ending(&mut self, at: usize) -> Option<usize> {
        let newest = at + 1 == self.files.len();
        let file = self.files.get(at)?;
        let (closed, torn, damage, end) = (file.control.closed, file.torn, file.damage, file.end);
        let unread =
            file.unread_at_end > 0 || file.chain.last.is_none_or(|last| last.bad.is_some());
        let mut cause = self.cause(at).filter(|_| unread);
        let innocent = newest && !closed && damage.is_none();
        if let Some(detail) = damage {
            cause = Some(self.tampered(at, (Kind::Torn, torn.unwrap_or(end)), detail, None));
        } else if let Some(place) = torn {
            let (severity, detail) = if innocent {
                let detail = "the last line breaks off: a crash, or a daemon that is writing";
                (Severity::Inconclusive, detail)
            } else {
                (Severity::Tampered, "a line breaks off where no crash can have left it")
            };
            cause = Some(self.add(at, (severity, Kind::Torn, place), detail, cause));
        }
        // An archive is made of a closed segment, so even the newest must be one.
        let empty_and_new = newest && end.line == 0;
        let must_close = !newest || damage.is_some() || (closed && torn.is_some());
        if must_close && (!closed || cause.is_some() && (damage.is_some() || torn.is_some())) {
            let detail = "does not end in a segment_close";
            cause = Some(self.tampered(at, (Kind::SegmentNotClosed, end), detail, cause));
        } else if empty_and_new {
            self.notes.push("the newest file is empty".into());
        }
        cause
    }

    /// Between two files that follow each other.
    fn joint(&mut self, (at, next): (usize, usize), ending: Option<usize>) {
        let (Some(a), Some(b)) = (self.files.get(at), self.files.get(next)) else { return };
        let (numbers, lost) = ((a.control.number, b.control.first_number), a.unread_at_end);
        let (Some(last), Some(first)) = (a.chain.last, b.chain.first) else { return };
        let lost = lost + first.at.line.saturating_sub(1);
        let opened = b.control.opening.is_some();
        let start = At { seq: Some(first.seq), ..first.at };
        let mut cause = ending.or(self.cause_at_start(next));
        if first.seq > last.seq + 1 {
            if first.seq - last.seq - 1 > lost || cause.is_none() {
                let detail = place::missing(last.seq + 1, first.seq - 1);
                let found = self.tampered(next, (Kind::Missing, start), detail, cause);
                cause = cause.or(Some(found));
            }
        } else if first.seq <= last.seq {
            let detail = "begins at an entry that an earlier file holds: two histories";
            cause = Some(self.tampered(next, (Kind::Fork, start), detail, cause));
        } else if !place::follows(&last, &first) && first.bad.is_none() {
            let detail = "does not follow from the last entry of the file before";
            let found = self.tampered(next, (Kind::LinkBroken, start), detail, cause);
            cause = cause.or(Some(found));
        } else {
            self.same_tree((at, next), &first);
        }
        if let (Some(a), Some(b)) = numbers
            && b != a + 1
            && cause.is_none_or(|cause| self.findings[cause].kind != Kind::Fork)
        {
            let detail = format!("segment {b} follows segment {a}");
            self.tampered(next, (Kind::SegmentGap, start), detail, cause);
        } else if !opened && cause.is_none() && first.bad.is_none() {
            let detail = "the file does not begin with its segment_open";
            self.tampered(next, (Kind::HeadMissing, start), detail, None);
        }
        self.clock((at, next), start);
    }

    /// The tree that the next file states it begins with.
    fn same_tree(&mut self, (at, next): (usize, usize), first: &Link) {
        let (Some(a), Some(b)) = (self.files.get(at), self.files.get(next)) else { return };
        let (Some(before), Some(stated)) = (&a.chain.frontier, &b.control.opening) else { return };
        let mut frontier = before.clone();
        frontier.push(merkle::leaf(&first.prev_hash));
        if frontier != *stated && frontier.size() == first.seq {
            let detail = "its frontier is not that of the file before";
            let follows = first.bad.and_then(|bad| Some(self.bases.get(next)? + bad));
            let follows = follows.or(self.cause(at));
            self.tampered(next, (Kind::CheckpointMismatch, first.at), detail, follows);
        }
    }

    fn clock(&mut self, (at, next): (usize, usize), start: At) {
        let (Some(a), Some(b)) = (self.files.get(at), self.files.get(next)) else { return };
        if b.first_time < a.last_time {
            let severity =
                if b.control.steps_early { Severity::Information } else { Severity::Inconclusive };
            let detail = "recorded_at goes back between two files";
            self.add(next, (severity, Kind::ClockBack, start), detail, None);
        }
    }

    /// In reading order: by file, then by line, then as found; positions in `follows` move along.
    fn sort(&mut self) {
        let mut order: Vec<usize> = (0..self.findings.len()).collect();
        order.sort_by_key(|at| (self.owners[*at], self.findings[*at].line, *at));
        let mut moved = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, from)| moved[*from] = to);
        let mut sorted: Vec<Finding> =
            order.iter().map(|from| self.findings[*from].clone()).collect();
        for finding in &mut sorted {
            finding.follows.iter_mut().for_each(|position| *position = moved[*position]);
        }
        self.findings = sorted;
    }
}
