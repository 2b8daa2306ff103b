//! Files that are gone and came back compressed: the archive is read on where the file was left,
//! under the file's identity, so nothing is read twice and a restart finds its way.

use super::discover::Listing;
use super::gzip::{self, Archive, Rest, Scan};
use super::identity::{Head, Mark, Stamp};
use super::search::{Fresh, is_gzip};
use super::{Files, Gone, base_of};
use crate::sources::Output;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a file is looked for before it counts as gone.
const GRACE: Duration = Duration::from_secs(5);

/// Opens a complete archive.
///
/// # Errors
/// When it cannot be read, or is still being written.
pub(super) fn open(path: &Path) -> io::Result<Archive> {
    let scan = gzip::scan(path)?;
    if scan.rest == Rest::Incomplete {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the gzip file is incomplete"));
    }
    Ok(Archive::new(path.to_owned(), scan.len, scan.rest))
}

impl Files {
    /// Looks for an archive of each file that is gone. Returns those that have none; where one is
    /// being written, the decision waits.
    #[must_use]
    pub(super) fn adopt_archives(&mut self, listing: &Listing) -> Vec<Gone> {
        let archives = self.archives(listing);
        let here: HashSet<_> = archives.iter().map(|(_, stamp)| stamp.key).collect();
        self.scans.retain(|key, _| here.contains(key));
        let mut orphans = std::mem::take(&mut self.orphans);
        // Of several that an archive could hold, it belongs to the one that was read furthest.
        orphans.sort_by_key(|gone| std::cmp::Reverse(gone.mark.end));
        let mut lost = Vec::new();
        for gone in orphans {
            match self.archive_of(&gone, &archives) {
                Found::Yes(path, stamp) => {
                    let mut reading = gone.reading();
                    reading.stands_for = Some(gone.key());
                    self.drop_reader_of(&stamp);
                    self.start(Fresh { path, stamp, reading });
                }
                Found::Perhaps(path, stamp) => {
                    self.waiting.push((path, Some(stamp)));
                    self.orphans.push(gone);
                }
                Found::No => lost.push(gone),
            }
        }
        lost
    }

    /// Forgets a file that is gone for good: not found for so long that no listing can have missed
    /// it, and not found again under another name meanwhile.
    pub(super) fn forget_lost(&mut self, gone: &Gone, out: &mut impl Output) {
        let now = self.shared.now;
        if gone.missed.is_some_and(|missed| now.saturating_sub(missed) < GRACE) {
            return;
        }
        if let Some(at) = self.orphans.iter().position(|other| other.id == gone.id) {
            let gone = self.orphans.swap_remove(at);
            self.forget(gone, out);
        }
    }

    /// Whether a new archive holds what was read, or is being read, out of a plain file. One that
    /// is still being written may turn out to.
    pub(super) fn is_known_archive(&mut self, path: &Path, stamp: &Stamp) -> bool {
        let base = base_of(path);
        let live = self.tails.values().filter(|tail| tail.base == base);
        let mut marks: Vec<(Head, Mark)> =
            live.filter_map(|tail| tail.reading.head.zip(tail.reading.mark)).collect();
        let gone = self.orphans.iter().chain(&self.tombs).filter(|gone| gone.base == base);
        marks.extend(gone.map(|gone| (gone.id.head, gone.mark)));
        if marks.is_empty() {
            return false;
        }
        let Some(scan) = self.scan(path, stamp) else { return true };
        let holds = |(head, mark): &(Head, Mark)| {
            scan.head == Some(*head) && holds_mark(path, &scan, mark).unwrap_or(false)
        };
        scan.rest == Rest::Incomplete || marks.iter().any(holds)
    }

    /// The archives beside what is gone.
    fn archives(&self, listing: &Listing) -> Vec<(PathBuf, Stamp)> {
        if self.orphans.is_empty() {
            return Vec::new();
        }
        let bases: HashSet<&Path> = self.orphans.iter().map(|gone| gone.base.as_path()).collect();
        let paths = listing
            .dirs
            .iter()
            .flat_map(|dir| dir.names.iter().map(|(name, _)| dir.path.join(name)));
        paths
            .filter(|path| is_gzip(path) && bases.contains(base_of(path).as_path()))
            .filter_map(|path| Stamp::at(&path).ok().map(|stamp| (path, stamp)))
            .filter(|(_, stamp)| stamp.regular)
            .collect()
    }

    fn archive_of(&mut self, gone: &Gone, archives: &[(PathBuf, Stamp)]) -> Found {
        let mut perhaps = Found::No;
        for (path, stamp) in archives.iter().filter(|(path, _)| base_of(path) == gone.base) {
            let taken = self.index.get(&stamp.key).and_then(|number| self.tails.get(number));
            if taken.is_some_and(|tail| tail.reading.head.is_some()) {
                continue;
            }
            match self.scan(path, stamp) {
                Some(scan) if scan.head == Some(gone.id.head) => {
                    match holds_mark(path, &scan, &gone.mark) {
                        Ok(true) if self.is_read_further(gone, path, &scan) => {}
                        Ok(true) => return Found::Yes(path.clone(), *stamp),
                        Ok(false) if scan.rest != Rest::Incomplete => {}
                        _ => perhaps = Found::Perhaps(path.clone(), *stamp),
                    }
                }
                Some(scan) if scan.rest != Rest::Incomplete => {}
                _ => perhaps = Found::Perhaps(path.clone(), *stamp),
            }
        }
        perhaps
    }

    /// Whether the archive is of a file that is being read, and further than what is gone was: the
    /// latter was a copy, or what the former was copied from.
    fn is_read_further(&self, gone: &Gone, path: &Path, scan: &Scan) -> bool {
        let same =
            |tail: &&super::Tail| tail.base == gone.base && tail.reading.head == Some(gone.id.head);
        let mut marks = self.tails.values().filter(same).filter_map(|tail| tail.reading.mark);
        marks
            .any(|mark| mark.end >= gone.mark.end && holds_mark(path, scan, &mark).unwrap_or(false))
    }

    /// What an archive holds; each version of it is decompressed for this once.
    fn scan(&mut self, path: &Path, stamp: &Stamp) -> Option<Scan> {
        if let Some((at, scan)) = self.scans.get(&stamp.key)
            && !at.differs_from(stamp)
        {
            return Some(scan.clone());
        }
        match gzip::scan(path) {
            Ok(scan) => {
                self.scans.insert(stamp.key, (*stamp, scan.clone()));
                Some(scan)
            }
            Err(error) => {
                self.shared.warnings.unreadable(path, &error);
                None
            }
        }
    }

    /// An archive that was met before it could be told whose it is gives up its own reading, of
    /// which nothing was handed on yet.
    fn drop_reader_of(&mut self, stamp: &Stamp) {
        if let Some(number) = self.index.remove(&stamp.key) {
            self.tails.remove(&number);
        }
    }
}

/// Whether a file that is gone lives on in an archive.
enum Found {
    Yes(PathBuf, Stamp),
    /// It is still being written, or cannot be read now.
    Perhaps(PathBuf, Stamp),
    No,
}

fn holds_mark(path: &Path, scan: &Scan, mark: &Mark) -> io::Result<bool> {
    let mut archive = Archive::new(path.to_owned(), scan.len, Rest::Clean);
    mark.matches(|into, at| archive.read_at(into, at))
}
