//! The ledger's own count, streamed from its segments, plain and compressed.
//!
//! A stretch of time is read twice. The first time tells which ids it has and which of them were
//! answered; the second adds up, each call once: by its answer where there is one, else by its own
//! report. What is kept in between is a digest an id, at most [`MOST_IDS`]; a stretch with more is
//! halved.

use super::{
    Error,
    day::Day,
    ids::{self, Ids},
    line::{self, Identity, Kind},
    report::Draft,
};
use crate::{
    clock::Micros,
    ledger::{
        self,
        follow::{self, Follower, Place},
        segment,
    },
    stop::Stop,
};
use std::{
    io,
    path::{Path, PathBuf},
};
use tokio::sync::watch;

/// Ids kept at a time: some 10 MiB.
pub(super) const MOST_IDS: usize = 400_000;

/// Around a stretch of time, ids without a time of their own are looked for this far.
const MARGIN: Micros = 300_000_000;

/// A record is sealed after its call was made, give or take what two clocks are apart.
const CLOCKS_APART: Micros = 3_600_000_000;

/// A window is not halved below this.
const SHORTEST: Micros = 60_000_000;

/// Lines between two looks whether to stop.
const LOOK: u64 = 1024;

/// A stretch of time: from the first instant to before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Micros,
    pub(super) to: Micros,
}

impl Window {
    /// A whole day.
    pub(super) fn of(day: Day) -> Self {
        Window { from: day.start(), to: day.end() }
    }

    /// Two halves; `None` when it is too short.
    pub(super) fn halves(self) -> Option<(Window, Window)> {
        let length = self.to - self.from;
        // On a whole second, since ids know no less.
        let middle = self.from + length / 2 / 1_000_000 * 1_000_000;
        let halves = (Window { to: middle, ..self }, Window { from: middle, ..self });
        (length >= 2 * SHORTEST).then_some(halves)
    }

    /// Whether `at` is in it.
    pub(super) fn holds(self, at: Micros) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// The window and what is near it.
    pub(super) fn with_margin(self) -> Self {
        Window { from: self.from - MARGIN, to: self.to + MARGIN }
    }
}

/// Where the ledger is read from.
#[derive(Clone, Debug)]
pub struct Source {
    dir: PathBuf,
    head: watch::Receiver<Place>,
    most: usize,
}

impl Source {
    /// The ledger in `dir` that this process writes; `head` says how far it is durable.
    #[must_use]
    pub fn new(dir: &Path, head: watch::Receiver<Place>) -> Self {
        Source { dir: dir.to_owned(), head, most: MOST_IDS }
    }

    /// The ledger in `dir`, up to the last whole line that is there now. Another process may write
    /// it meanwhile.
    ///
    /// # Errors
    /// When there is no ledger or it cannot be read.
    pub fn of_dir(dir: &Path) -> Result<Self, ledger::Error> {
        let (plain, highest) = segment::list(dir)?;
        let newest = plain.last().filter(|(number, _)| *number == highest);
        let fail = |source| ledger::Error::Io {
            verb: "find a ledger's newest segment in",
            path: dir.to_owned(),
            source,
        };
        let (number, path) = newest.ok_or_else(|| fail(io::ErrorKind::NotFound.into()))?;
        let offset = whole_lines(path).map_err(fail)?;
        let (_, head) = watch::channel(Place { segment: *number, offset });
        Ok(Source::new(dir, head))
    }

    /// Where the ledger ends now.
    #[must_use]
    pub fn end(&self) -> Place {
        *self.head.borrow()
    }

    /// Sequence number of the first `reconciliation` after `from`, once it is durable; `None` when
    /// the ledger has stopped, or the segment cannot be read.
    pub async fn sealed_after(&self, from: Place) -> Option<u64> {
        let mut follower = Follower::new(&self.dir, from, self.head.clone());
        loop {
            match follower.advance() {
                Ok(Some((_, line))) => match line::reconciliation(line) {
                    None => {}
                    seq => return seq,
                },
                Ok(None) => {
                    if !follower.wait().await {
                        return None;
                    }
                }
                Err(_) => return None,
            }
        }
    }

    /// As [`Source::sealed_after`], of what is there now.
    #[must_use]
    pub fn found_after(&self, from: Place) -> Option<u64> {
        let mut follower = Follower::new(&self.dir, from, self.head.clone());
        while let Ok(Some((_, line))) = follower.advance() {
            if let Some(seq) = line::reconciliation(line) {
                return Some(seq);
            }
        }
        None
    }

    /// The first pass: which ids there are; `None` when there are too many.
    pub(super) fn identify(&self, window: Window, stop: &Stop) -> Result<Option<Ids>, Error> {
        let near = window.with_margin();
        let mut found = Ids::new(self.most);
        let mut full = false;
        self.each(near, stop, &mut |line| {
            let Some(Identity { kind, id: Some(id), at, dated, .. }) = line::identify(line) else {
                return true;
            };
            let kind = match kind {
                Kind::Call => ids::CALL,
                Kind::Answer => ids::ANSWER,
                Kind::Broadcast => ids::BROADCAST,
            };
            if kind != ids::CALL && !dated {
                // It belongs to the day of its call; alone it belongs to none.
                found.add(&id, kind);
            } else if near.holds(at) {
                let within = if window.holds(at) { ids::WITHIN } else { 0 };
                full = found.mark(&id, kind | within).is_err();
            }
            !full
        })?;
        Ok((!full).then_some(found))
    }

    /// The second pass: adds up.
    pub(super) fn count(
        &self,
        window: Window,
        ids: &mut Ids,
        draft: &mut Draft,
        stop: &Stop,
    ) -> Result<(), Error> {
        self.each(window.with_margin(), stop, &mut |line| {
            if let Some(identity) = line::identify(line) {
                count(line, &identity, window, (ids, draft));
            }
            true
        })
    }

    /// The newest day that the daemon itself compared, looking backwards through the segments.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub(super) fn last_compared(&self, stop: &Stop) -> Result<Option<Day>, Error> {
        let head = self.end();
        let lowest = lowest(&self.dir)?;
        for number in (lowest..=head.segment).rev() {
            let mut newest = None;
            let from = Place { segment: number, offset: 0 };
            let (_, end) = watch::channel(if number == head.segment {
                head
            } else {
                Place { segment: number + 1, offset: 0 }
            });
            self.walk((from, end), stop, &mut |line| {
                newest = newest.max(line::compared_by_timer(line));
                true
            })?;
            if newest.is_some() {
                return Ok(newest);
            }
        }
        Ok(None)
    }

    /// The day of the first entry that is still there.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn first_day(&self) -> Result<Option<Day>, Error> {
        let first = lowest(&self.dir)?;
        let line = follow::entry_at(&self.dir, Place { segment: first, offset: 0 })?;
        Ok(line::sealed_at(&line).map(Day::of))
    }

    /// Hands over every line that may tell of the window, until `each` has enough.
    fn each(
        &self,
        window: Window,
        stop: &Stop,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), Error> {
        let from = self.start(window.from - CLOCKS_APART)?;
        self.walk((from, self.head.clone()), stop, each)
    }

    fn walk(
        &self,
        (from, head): (Place, watch::Receiver<Place>),
        stop: &Stop,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), Error> {
        // What is sealed from now on is not waited for.
        let (_, until) = watch::channel(*head.borrow());
        let mut follower = Follower::new(&self.dir, from, until);
        let mut lines = 0u64;
        while let Some((_, line)) = follower.advance()? {
            lines += 1;
            if lines.is_multiple_of(LOOK) && stop.is_stopped() {
                return Err(Error::Stopped);
            }
            if !each(line) {
                break;
            }
        }
        Ok(())
    }

    /// The last segment that begins at or before `at`, or the first one there is.
    fn start(&self, at: Micros) -> Result<Place, ledger::Error> {
        let lowest = lowest(&self.dir)?;
        for number in (lowest..=self.end().segment).rev() {
            let place = Place { segment: number, offset: 0 };
            let first = follow::entry_at(&self.dir, place)?;
            if number == lowest || line::sealed_at(&first).is_some_and(|sealed| sealed <= at) {
                return Ok(place);
            }
        }
        Ok(Place { segment: lowest, offset: 0 })
    }
}

/// Takes one entry into account.
fn count(line: &[u8], identity: &Identity, window: Window, (ids, draft): (&mut Ids, &mut Draft)) {
    let Some(id) = &identity.id else {
        if identity.kind == Kind::Call && window.holds(identity.at) {
            draft.without_id(identity.foreign);
        }
        return;
    };
    let known = ids.get(id);
    if known & ids::WITHIN == 0 {
        return;
    }
    match identity.kind {
        Kind::Call if known & ids::COUNTED_CALL != 0 => draft.repeated(),
        Kind::Call => {
            ids.add(id, ids::COUNTED_CALL);
            draft.call(known & ids::ANSWER != 0);
            if known & ids::ANSWER == 0 {
                draft.used(line::used(line, Kind::Call));
            }
        }
        Kind::Answer if known & ids::COUNTED == 0 => {
            ids.add(id, ids::COUNTED);
            draft.used(line::used(line, Kind::Answer));
        }
        Kind::Broadcast if known & (ids::CALL | ids::ANSWER | ids::NAMED) == 0 => {
            ids.add(id, ids::NAMED);
            draft.only_broadcast(id);
        }
        Kind::Answer | Kind::Broadcast => {}
    }
    if identity.kind != Kind::Broadcast && known & (ids::LISTED | ids::NAMED) == 0 {
        ids.add(id, ids::NAMED);
        draft.not_listed(id);
    }
}

/// The lowest segment that is there, archived or not.
fn lowest(dir: &Path) -> Result<segment::Number, ledger::Error> {
    let mut lowest = None;
    for folder in [dir.to_owned(), dir.join("archive")] {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => {
                return Err(ledger::Error::Io { verb: "read", path: folder, source });
            }
        };
        let number =
            |entry: std::fs::DirEntry| segment::number_of(&entry.file_name().to_string_lossy());
        let found = entries.flatten().filter_map(number).min();
        lowest = lowest.into_iter().chain(found).min();
    }
    Ok(lowest.unwrap_or(1))
}

/// Offset after the last LF of a file.
fn whole_lines(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::FileExt;
    const CHUNK: u64 = 64 << 10;
    let file = std::fs::File::open(path)?;
    let mut end = file.metadata()?.len();
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        chunk.resize(usize::try_from(end - start).unwrap_or(0), 0);
        file.read_exact_at(&mut chunk, start)?;
        if let Some(at) = memchr::memrchr(b'\n', &chunk) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
