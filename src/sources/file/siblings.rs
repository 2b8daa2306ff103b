//! Rotations that no glob matches and that were never seen under their first name: new files that
//! were rotated before a round could see them, or copies of files that were read.

use super::discover::Listing;
use super::emit::Reading;
use super::identity::{self, Head, Mark, Stamp};
use super::search::{Fresh, is_gzip};
use super::{Files, base_of};
use crate::record::{FileId, FileSpan};
use crate::sources::Output;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

/// File systems take their time from a clock that stands still between ticks, so a file can seem
/// to be this many nanoseconds older than it is.
const TICK: i128 = 20_000_000;

/// What an unknown file turned out to be.
enum Judged {
    New,
    /// The beginning of it was read elsewhere: go on after the mark.
    Copy(Head, Mark),
    /// It may be a copy that is still being made, or of a file that is read where it is.
    Wait,
}

impl Files {
    /// Rotations of files that a glob wants which appeared, complete, between two listings or while
    /// we were down: no glob matches them, and they were never read.
    pub(super) fn judge_siblings(
        &mut self,
        listing: &Listing,
        out: &mut impl Output,
    ) -> Vec<Fresh> {
        let mut fresh = Vec::new();
        let mut present = HashSet::new();
        let mut since = HashMap::new();
        for dir in &listing.dirs {
            for (name, _) in &dir.names {
                let name = name.to_string_lossy();
                let path = dir.path.join(&*name);
                let base = base_of(&path);
                if base == path || self.globs.excludes(&path) || !self.globs.matches(&base) {
                    continue;
                }
                let wanted = self.globs.matches(&path) && !is_gzip(&path);
                let Ok(stamp) = Stamp::at(&path) else { continue };
                // One that is known but was renamed while it was looked at is found next time.
                let known = self.known.contains_key(&stamp.key);
                if !stamp.regular || known || self.index.contains_key(&stamp.key) || wanted {
                    continue;
                }
                present.insert(stamp.key);
                let later = self.listed
                    || *since
                        .entry(base.clone())
                        .or_insert_with(|| self.known_until(&base, listing))
                        .get_or_insert(i128::MAX)
                        < stamp.mtime;
                if !later {
                    self.old.insert(stamp.key, stamp.mtime);
                }
                // One that has changed since is another file under a reused inode, or written again.
                let old = self.old.get(&stamp.key) == Some(&stamp.mtime);
                if later && !old && !is_gzip(&path) {
                    fresh.extend(self.judge_sibling(path, stamp, (&base, out)));
                }
            }
        }
        self.old.retain(|key, _| present.contains(key));
        fresh
    }

    /// When we last knew all rotations under `base`, in nanoseconds since the epoch: what changed
    /// later we have not seen. Not simply the time of the last seal: sealing can lag behind the
    /// files, so that what was sealed last is older than rotations that were never reached.
    fn known_until(&self, base: &Path, listing: &Listing) -> Option<i128> {
        let Some((sealed, key)) = self.newest.get(base) else {
            return self.last_run.map(|micros| i128::from(micros) * 1000 - TICK);
        };
        let paths = listing
            .dirs
            .iter()
            .flat_map(|dir| dir.names.iter().map(|(name, _)| dir.path.join(name)));
        let changed = paths
            .filter(|path| base_of(path) == base)
            .filter_map(|path| Stamp::at(&path).ok())
            .find(|stamp| stamp.key == *key)
            .map_or(i128::MAX, |stamp| stamp.mtime - 1);
        Some((i128::from(*sealed) * 1000 - TICK).min(changed))
    }

    fn judge_sibling(
        &mut self,
        path: PathBuf,
        stamp: Stamp,
        (base, out): (&Path, &mut impl Output),
    ) -> Option<Fresh> {
        let judged = self.judge(&path, &stamp, base).unwrap_or(Judged::Wait);
        let reading = match judged {
            Judged::New => Reading::default(),
            Judged::Copy(head, mark) => {
                // Sealed, since after a restart nothing else may tell that it was read.
                let (name, (dev, inode)) = (path.to_string_lossy().into(), stamp.key);
                let Mark { start, end, crc } = mark;
                out.copied(&FileSpan {
                    path: name,
                    id: FileId { dev, inode, head },
                    start,
                    end,
                    crc,
                });
                Reading {
                    head: Some(head),
                    mark: Some(mark),
                    offset: mark.end,
                    ..Reading::default()
                }
            }
            Judged::Wait => {
                self.waiting.push((path, Some(stamp)));
                return None;
            }
        };
        Some(Fresh { path, stamp, reading })
    }

    /// Compares an unknown rotation with all that was read under the same base. Of several files
    /// that it could be a copy of, it is one of that which was read furthest.
    fn judge(&mut self, path: &Path, stamp: &Stamp, base: &Path) -> io::Result<Judged> {
        let file = identity::open(path)?;
        let read = |into: &mut [u8], at| identity::read_at(&file, into, at);
        let Some(head) = identity::read_head(read)? else { return Ok(Judged::Wait) };
        identity::still_at(path, stamp.key)?;
        let mut marks: Vec<(Mark, Option<u64>, bool)> = Vec::new();
        for (number, tail) in self.tails.iter().filter(|(_, tail)| tail.base == *base) {
            // One that was found but not read yet can be copied too.
            if tail.reading.head.is_none() && head_at(&tail.at) == Some(head) {
                return Ok(Judged::Wait);
            }
            let before = tail.reading.before.filter(|(id, _)| id.head == head);
            marks.extend(before.map(|(_, mark)| (mark, Some(*number), false)));
            let live = tail.reading.mark.filter(|_| tail.reading.head == Some(head));
            marks.extend(live.map(|mark| (mark, None, true)));
        }
        let gone = self.orphans.iter().chain(&self.tombs);
        let gone = gone.filter(|gone| gone.base == *base && gone.id.head == head);
        marks.extend(gone.map(|gone| (gone.mark, None, false)));
        // The furthest first; of two that are as far, the one that is being read.
        marks.sort_by_key(|(mark, _, live)| (std::cmp::Reverse(mark.end), !live));
        for (mark, before, live) in marks {
            if live && stamp.size < mark.end {
                return Ok(Judged::Wait);
            }
            if !mark.matches(read)? {
                continue;
            }
            if live {
                return Ok(Judged::Wait);
            }
            if let Some(tail) = before.and_then(|number| self.tails.get_mut(&number)) {
                tail.reading.before = None;
            }
            return Ok(Judged::Copy(head, mark));
        }
        Ok(Judged::New)
    }
}

/// Head of the file that is at `path` now.
fn head_at(path: &Path) -> Option<Head> {
    let file = identity::open(path).ok()?;
    identity::read_head(|into, at| identity::read_at(&file, into, at)).ok()?
}
