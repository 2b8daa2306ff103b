//! Where each line belongs: sequence, links, and what a break in them means.
//!
//! A break is told from its neighbourhood, never from one line alone: a number that jumps is a
//! deletion if the next line goes on from there, and a line out of place if the next line goes on
//! from before. So a finding is made at once and renamed when more is known. The walk goes on after
//! everything; what follows from an earlier finding names it.

use super::finding::{At, Findings, Kind};
use crate::{ledger::merkle, ledger::merkle::Frontier, record::Digest};

/// Out-of-place lines remembered for a second look; more stay `DUPLICATE`.
const REMEMBERED: usize = 4096;

/// One entry, as far as its place is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) seq: u64,
    /// Recomputed from the line's bytes.
    pub(super) hash: Digest,
    /// What the line says its hash is.
    pub(super) stated: Digest,
    pub(super) prev_hash: Digest,
    pub(super) at: At,
    /// The finding that its own bytes gave, if any.
    pub(super) bad: Option<usize>,
}

/// Whether an entry belongs to the history or stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Main,
    Aside,
}

/// Sequence numbers that have not been seen.
#[derive(Debug)]
struct Hole {
    from: u64,
    to: u64,
    finding: usize,
    /// As it was found: `from` and `to` shrink when entries turn up elsewhere.
    whole: bool,
}

/// The state before a jump, in case the jump was one line out of place.
#[derive(Debug)]
struct Stray {
    before: Link,
    frontier: Option<Frontier>,
    jumped_to: u64,
    finding: usize,
}

/// A line with an earlier number, to be compared with the one that had it first.
#[derive(Debug)]
pub(super) struct Backward {
    pub(super) seq: u64,
    pub(super) hash: Digest,
    pub(super) finding: usize,
}

/// The walk along one file.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) first: Option<Link>,
    pub(super) last: Option<Link>,
    /// All entries before `last`; none where entries are missing whose hashes nothing tells.
    pub(super) frontier: Option<Frontier>,
    /// The finding that later ones may follow from.
    pub(super) cause: Option<usize>,
    pub(super) backward: Vec<Backward>,
    /// Lines since `last` that could not be placed: each may be an entry of the sequence.
    lost: u64,
    odd: Option<Link>,
    holes: Vec<Hole>,
    early: Vec<u64>,
    stray: Option<Stray>,
}

impl Chain {
    /// Notes a line that is no entry of this stream.
    pub(super) fn lost(&mut self, finding: usize) {
        self.lost += 1;
        self.cause = Some(finding);
    }

    /// Finds an entry's place.
    pub(super) fn place(&mut self, entry: Link, findings: &mut Findings) -> Place {
        if let Some(bad) = entry.bad {
            self.cause = Some(bad);
        }
        let Some(last) = self.last else {
            (self.first, self.last) = (Some(entry), Some(entry));
            (self.lost, self.odd) = (0, None);
            return Place::Main;
        };
        let same_slot = entry.seq == last.seq && entry.prev_hash == last.prev_hash;
        if entry.bad.is_some() && entry.seq != last.seq + 1 && !same_slot {
            // Neither its number nor anything else in it can be believed.
            (self.lost, self.odd) = (self.lost + 1, Some(entry));
            return Place::Aside;
        }
        match entry.seq {
            seq if seq == last.seq + 1 => self.next(&last, entry, findings),
            seq if seq > last.seq => self.jump(&last, entry, findings),
            _ if same_slot => self.rival(&last, entry, findings),
            _ => self.back(&last, entry, findings),
        }
    }

    /// The expected number.
    fn next(&mut self, last: &Link, entry: Link, findings: &mut Findings) -> Place {
        let linked = follows(last, &entry);
        if linked {
            if let Some(odd) = self.odd {
                findings.tampered(Kind::Inserted, odd.at, "no place in the sequence", odd.bad);
            }
        } else if entry.bad.is_none() {
            let lost = self.cause.filter(|_| self.lost > 0);
            let detail = "prev_hash is not the hash of the line before";
            let found = findings.tampered(Kind::LinkBroken, entry.at, detail, last.bad.or(lost));
            self.cause = last.bad.or(lost).or(Some(found));
        }
        self.stray = None;
        self.advance(entry)
    }

    /// A number too high: entries are missing, or this line stands too early.
    fn jump(&mut self, last: &Link, entry: Link, findings: &mut Findings) -> Place {
        let (from, to) = (last.seq + 1, entry.seq - 1);
        let before = Stray {
            before: *last,
            frontier: self.frontier.clone(),
            jumped_to: entry.seq,
            finding: 0,
        };
        let absent = to - from + 1;
        let seen = self.early.iter().filter(|seq| (from..=to).contains(seq)).count() as u64;
        if seen + self.lost < absent {
            let follows = self.cause.filter(|_| self.lost > 0);
            let found = findings.tampered(Kind::Missing, entry.at, missing(from, to), follows);
            self.cause = follows.or(Some(found));
            self.holes.push(Hole { from, to, finding: found, whole: true });
            self.stray = Some(Stray { finding: found, ..before });
        } else {
            self.stray = None;
        }
        self.heal(last, &entry);
        self.advance(entry)
    }

    /// Claims the place of the line before it.
    fn rival(&mut self, last: &Link, entry: Link, findings: &mut Findings) -> Place {
        if let (Some(bad), None) = (last.bad, entry.bad) {
            findings.tampered(
                Kind::Inserted,
                last.at,
                "stands before the genuine entry",
                Some(bad),
            );
            (self.last, self.lost, self.odd) = (Some(entry), 0, None);
            return Place::Main;
        }
        let found = if let Some(bad) = entry.bad {
            findings.tampered(Kind::Inserted, entry.at, "no place in the sequence", Some(bad))
        } else if entry.hash == last.hash {
            findings.tampered(Kind::Duplicate, entry.at, DUPLICATE, None)
        } else {
            findings.tampered(Kind::Fork, entry.at, FORK, None)
        };
        self.cause = entry.bad.or(Some(found));
        Place::Aside
    }

    /// A number that has passed.
    fn back(&mut self, last: &Link, entry: Link, findings: &mut Findings) -> Place {
        if let Some(stray) = self.stray.take_if(|stray| stray.explains(last, &entry)) {
            return self.return_from(stray, entry, findings);
        }
        let holed = |hole: &Hole| (hole.from..=hole.to).contains(&entry.seq);
        if let Some(at) = self.holes.iter().position(holed) {
            let hole = self.holes.swap_remove(at);
            let (finding, seq) = (hole.finding, entry.seq);
            findings.tampered(Kind::Reordered, entry.at, "stands too late", Some(finding));
            let halves = [(hole.from, seq), (seq + 1, hole.to + 1)];
            for (from, end) in halves.into_iter().filter(|(from, end)| from < end) {
                self.holes.push(Hole { from, to: end - 1, finding, whole: false });
            }
            if !self.holes.iter().any(|hole| hole.finding == finding) {
                findings.rename(finding, Kind::Reordered, "stands before earlier entries");
            }
            return Place::Aside;
        }
        let found = findings.tampered(Kind::Duplicate, entry.at, DUPLICATE, None);
        self.cause = Some(found);
        if self.backward.len() < REMEMBERED {
            self.backward.push(Backward { seq: entry.seq, hash: entry.hash, finding: found });
        }
        Place::Aside
    }

    /// The last jump was one line out of place: the history goes on from before it.
    fn return_from(&mut self, stray: Stray, entry: Link, findings: &mut Findings) -> Place {
        findings.rename(stray.finding, Kind::Reordered, "stands before earlier entries");
        self.holes.retain(|hole| hole.finding != stray.finding);
        if self.early.len() < REMEMBERED {
            self.early.push(stray.jumped_to);
        }
        let slot = stray.before.seq + 1;
        self.frontier = stray.frontier;
        if entry.seq > slot {
            // The place it took; its own entry may come later.
            let hole = Hole { from: slot, to: slot, finding: stray.finding, whole: true };
            self.holes.push(hole);
            self.heal(&stray.before, &entry);
        }
        self.advance(entry)
    }

    /// Over a single absent entry the tree can be continued: the next line states its hash, and the
    /// next signed root tells whether that is true.
    fn heal(&mut self, last: &Link, entry: &Link) {
        if entry.seq == last.seq + 2
            && let Some(frontier) = &mut self.frontier
        {
            let hash = if last.bad.is_some() { last.stated } else { last.hash };
            frontier.push(merkle::leaf(&hash));
        }
    }

    /// Goes on from `entry`: its `prev_hash` is the leaf before it.
    fn advance(&mut self, entry: Link) -> Place {
        if let Some(frontier) = &mut self.frontier {
            frontier.push(merkle::leaf(&entry.prev_hash));
        }
        self.frontier.take_if(|frontier| frontier.size() != entry.seq);
        (self.last, self.lost, self.odd) = (Some(entry), 0, None);
        Place::Main
    }

    /// At the end: a bad line that nothing followed, and holes that were partly filled.
    pub(super) fn finish(&mut self, findings: &mut Findings) {
        if let Some(odd) = self.odd.take() {
            findings.tampered(Kind::Inserted, odd.at, "no place in the sequence", odd.bad);
        }
        self.holes.sort_by_key(|hole| hole.from);
        for hole in self.holes.iter().filter(|hole| !hole.whole) {
            findings.rename(hole.finding, Kind::Missing, missing(hole.from, hole.to));
        }
    }
}

impl Stray {
    /// Whether `entry`, right after the jump, goes on from before it.
    fn explains(&self, last: &Link, entry: &Link) -> bool {
        let slot = self.before.seq + 1;
        let extra = entry.seq == slot && follows(&self.before, entry);
        last.seq == self.jumped_to && (extra || entry.seq == slot + 1)
    }
}

const DUPLICATE: &str = "the same entry stands earlier";
pub(super) const FORK: &str = "another entry with this seq stands earlier: two histories";

/// Whether `entry` links to `last`. After an edited line the stated hash counts too: the edit has its
/// finding, and the rest of the chain is unharmed.
pub(super) fn follows(last: &Link, entry: &Link) -> bool {
    entry.prev_hash == last.hash || (last.bad.is_some() && entry.prev_hash == last.stated)
}

/// In words.
pub(super) fn missing(from: u64, to: u64) -> String {
    if from == to {
        format!("entry {from} is missing")
    } else {
        format!("entries {from} to {to} are missing")
    }
}
