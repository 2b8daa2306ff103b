//! Deciding what each path is: a file known already, one that moved, a new one, or gone.

use super::discover::{Dir, Listing};
use super::emit::Reading;
use super::identity::{self, Key, Mark, Stamp};
use super::tail::{Place, Tail};
use super::{Files, Gone, STEP, base_of, rotation};
use crate::record::{FileId, FileSpan, Position};
use crate::sources::{Closed, Output};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Forgotten files remembered.
const TOMBS: usize = 1024;

/// A file about to be read.
pub(super) struct Fresh {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    pub(super) reading: Reading,
}

impl Files {
    /// Looks at the directories if they changed, and brings the files being read up to date.
    pub(super) fn discover(&mut self, out: &mut impl Output) -> Result<(), Closed> {
        let moved = |(path, stamp): &(PathBuf, Option<Stamp>)| Stamp::at(path).ok() != *stamp;
        if self.waiting.iter().any(moved) {
            self.globs.force();
        }
        if !self.globs.is_stale() {
            return Ok(());
        }
        self.waiting.clear();
        let known = self.known.values().flatten().map(|position| Path::new(&*position.span.path));
        let paths = self.tails.values().map(|tail| tail.at.as_path()).chain(known);
        let gone = self.orphans.iter().map(|gone| Path::new(&*gone.name));
        let extra: BTreeSet<PathBuf> =
            paths.chain(gone).filter_map(|path| path.parent().map(Path::to_owned)).collect();
        let listing = self.globs.list(extra, &mut self.shared.warnings);
        let mut present = self.stat_matched(&listing);
        self.search_moved(&listing, &mut present);
        self.mark_missing(&listing, &present, out);
        let lost = self.adopt_archives(&listing);
        // Still known while the new files are compared with what was read.
        self.orphans.extend(lost.iter().cloned());
        let fresh = self.judge_matched(present);
        self.start_all(fresh);
        let fresh = self.judge_siblings(&listing, out);
        self.start_all(fresh);
        for gone in lost {
            self.forget_lost(&gone, out);
        }
        self.listed = true;
        Ok(())
    }

    /// Begins to read files, older rotations before newer ones.
    pub(super) fn start_all(&mut self, mut fresh: Vec<Fresh>) {
        fresh.sort_by_cached_key(|fresh| {
            let name = fresh.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (rotation::age_key(&name), fresh.stamp.mtime, name)
        });
        for file in fresh {
            self.start(file);
        }
    }

    /// The regular files that the globs match, each inode once, with all its paths.
    fn stat_matched(&mut self, listing: &Listing) -> HashMap<Key, (Stamp, Vec<PathBuf>)> {
        let mut present: HashMap<Key, (Stamp, Vec<PathBuf>)> = HashMap::new();
        for path in &listing.matched {
            let stamp = match Stamp::at(path) {
                Ok(stamp) => stamp,
                // Gone since the listing, or a link that leads nowhere.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.shared.warnings.unreadable(path, &error);
                    continue;
                }
            };
            if !stamp.regular {
                self.shared.warnings.not_a_file(path);
                continue;
            }
            // Sealed and searched for under the name of the file, not of a link that may move on.
            let linked = path.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
            let real = linked.then(|| path.canonicalize().ok()).flatten();
            let entry = present.entry(stamp.key).or_insert_with(|| (stamp, Vec::new()));
            entry.1.push(real.unwrap_or_else(|| path.clone()));
        }
        present
    }

    /// Finds files that are being read, or were before a restart, under names that no glob matches.
    fn search_moved(
        &mut self,
        listing: &Listing,
        present: &mut HashMap<Key, (Stamp, Vec<PathBuf>)>,
    ) {
        let wanted =
            self.index.keys().chain(self.known.keys()).filter(|key| !present.contains_key(key));
        let inodes: HashSet<u64> = wanted.map(|(_, inode)| *inode).collect();
        if inodes.is_empty() {
            return;
        }
        for dir in &listing.dirs {
            for (name, _) in dir.names.iter().filter(|(_, inode)| inodes.contains(inode)) {
                let path = dir.path.join(name);
                let Ok(stamp) = Stamp::at(&path) else { continue };
                let ours =
                    self.index.contains_key(&stamp.key) || self.known.contains_key(&stamp.key);
                if stamp.regular && ours {
                    present.entry(stamp.key).or_insert_with(|| (stamp, Vec::new())).1.push(path);
                }
            }
        }
    }

    /// Notes where the files being read are now, and which are gone.
    fn mark_missing(
        &mut self,
        listing: &Listing,
        present: &HashMap<Key, (Stamp, Vec<PathBuf>)>,
        out: &mut impl Output,
    ) {
        let now = self.shared.now;
        let mut ended = Vec::new();
        for (number, tail) in &mut self.tails {
            let place = match present.get(&tail.key) {
                // While it was closed, the inode was given to another file.
                Some((stamp, _)) if tail.was_reborn(stamp) => None,
                Some((_, paths)) => {
                    if let (false, Some(path)) = (paths.contains(&tail.at), paths.first()) {
                        tail.at.clone_from(path);
                        tail.changed = now;
                    }
                    Some(Place::Here)
                }
                None => match tail.is_nameless() {
                    Some(true) => Some(Place::Deleted),
                    Some(false) => Some(Place::Elsewhere),
                    None if is_gone(listing, &tail.at, tail.key) => None,
                    None => Some(tail.place),
                },
            };
            if place.is_some_and(|place| place != tail.place) {
                tail.changed = now;
            }
            match place {
                Some(place) => tail.place = place,
                None => ended.push(*number),
            }
        }
        for number in ended {
            self.bury(number, Some(now), out);
        }
        for (key, positions) in &mut self.known {
            let gone = |position: &mut Position| {
                !present.contains_key(key)
                    && is_gone(listing, Path::new(&*position.span.path), *key)
            };
            let orphans = positions.extract_if(.., gone);
            let missed = Some(now);
            self.orphans.extend(orphans.map(|position| Gone { missed, ..Gone::from(&position) }));
        }
        self.known.retain(|_, positions| !positions.is_empty());
    }

    /// Which of the files that are there are new, and where reading them begins.
    fn judge_matched(&mut self, present: HashMap<Key, (Stamp, Vec<PathBuf>)>) -> Vec<Fresh> {
        let mut fresh = Vec::new();
        let mut present: Vec<_> = present.into_iter().collect();
        // Known ones first: they show whose inode was given away, and archives are compared with
        // what is gone.
        present.sort_by_cached_key(|(key, (_, paths))| {
            (!self.known.contains_key(key), paths.first().cloned())
        });
        for (key, (stamp, paths)) in present {
            let Some(path) = paths.into_iter().next().filter(|_| !self.index.contains_key(&key))
            else {
                continue;
            };
            if let Some(positions) = self.known.remove(&key) {
                match self.resume(&path, key, &positions) {
                    // Another file has the inode, at a path that no glob wants: it was never ours,
                    // and is judged as any rotation is; or an archive, judged as any archive is.
                    Ok(reading)
                        if reading.mark.is_none()
                            && (!self.globs.matches(&path) || is_gzip(&path)) =>
                    {
                        let unlike = |gone: &Gone| self.orphans.iter().all(|o| o.id != gone.id);
                        let gone: Vec<Gone> =
                            positions.iter().map(Gone::from).filter(unlike).collect();
                        self.orphans.extend(gone);
                        self.globs.force();
                    }
                    Ok(reading) => fresh.push(Fresh { path, stamp, reading }),
                    Err(error) => {
                        self.shared.warnings.unreadable(&path, &error);
                        self.known.insert(key, positions);
                        self.waiting.push((path, None));
                    }
                }
            } else if is_gzip(&path) && self.is_known_archive(&path, &stamp) {
                self.waiting.push((path, Some(stamp)));
            } else {
                match self.exhume(&path, key) {
                    Ok(reading) => fresh.push(Fresh { path, stamp, reading }),
                    Err(_) => self.waiting.push((path, None)),
                }
            }
        }
        fresh
    }

    /// Goes on in a file that has positions, if it still is what it was. The positions that it
    /// disproves belong to files that are gone; with the same head it was rewritten in place.
    fn resume(&mut self, path: &Path, key: Key, positions: &[Position]) -> io::Result<Reading> {
        let mut archive = if is_gzip(path) { Some(super::archives::open(path)?) } else { None };
        let file = identity::open(path)?;
        let mut read = |into: &mut [u8], at| match &mut archive {
            Some(archive) => archive.read_at(into, at),
            None => identity::read_at(&file, into, at),
        };
        let head = identity::read_head(&mut read)?;
        identity::still_at(path, key)?;
        let mut reading = Reading::default();
        for position in positions {
            let mark = Mark::of(&position.span);
            // A torn only line gave its file a head although it has no LF.
            let same_head = head.map_or(mark.start == 0, |head| head == position.span.id.head);
            if same_head && mark.matches(&mut read)? {
                reading = Reading::after(position);
            } else if head == Some(position.span.id.head) && reading.mark.is_none() {
                reading.before = Some((position.span.id, mark));
            } else {
                self.orphans.push(Gone::from(position));
                self.globs.force();
            }
        }
        Ok(reading)
    }

    /// Where reading begins in a file that has no position: at its start, unless it was thought to be
    /// gone and is back.
    fn exhume(&mut self, path: &Path, key: Key) -> io::Result<Reading> {
        let gone = |gone: &&Gone| gone.key() == key;
        let Some(tomb) = self.orphans.iter().find(gone).or(self.tombs.iter().rev().find(gone))
        else {
            return Ok(Reading::default());
        };
        let file = identity::open(path)?;
        let read = |into: &mut [u8], at| identity::read_at(&file, into, at);
        let same = identity::read_head(read)? == Some(tomb.id.head) && tomb.mark.matches(read)?;
        identity::still_at(path, key)?;
        if !same {
            return Ok(Reading::default());
        }
        let (id, reading) = (tomb.id, tomb.reading());
        self.orphans.retain(|gone| gone.id != id);
        Ok(reading)
    }

    /// Begins to read a file, before the truncated one that it is a copy of.
    pub(super) fn start(&mut self, file: Fresh) {
        let key = file.stamp.key;
        if self.index.contains_key(&key) {
            return;
        }
        let mut tail = Tail::new(&file.path, key, file.reading, self.shared.now);
        if self.stopping && !tail.is_compressed() {
            tail.until = file.stamp.size;
        }
        let newer = self.tails.iter().find(|(_, other)| {
            tail.base == other.base && tail.base != tail.at && other.at == other.base
        });
        let before = newer.and_then(|(newer, _)| {
            (newer.saturating_sub(STEP - 1)..*newer).find(|free| !self.tails.contains_key(free))
        });
        let number = before.unwrap_or(self.next);
        self.next = self.next.max(number + STEP);
        self.index.insert(key, number);
        self.tails.insert(number, tail);
    }

    /// Ends the reading of a file that is gone. Its position is kept until it is sure that it will
    /// not come back compressed, nor was only `missed`.
    pub(super) fn bury(&mut self, number: u64, missed: Option<Duration>, out: &mut impl Output) {
        let Some(tail) = self.tails.remove(&number) else { return };
        self.index.remove(&tail.key);
        self.globs.force();
        let (Some(id), Some(mark)) = (tail.id(), tail.reading.mark) else { return };
        let size = if tail.has_rest() { tail.seen.map_or(0, |seen| seen.size) } else { mark.end };
        let gone = Gone { id, name: tail.name, base: tail.base, mark, size, missed };
        if tail.reading.stands_for.is_some() {
            self.forget(gone, out);
        } else {
            self.orphans.push(gone);
        }
    }

    /// Tells that a position need not be kept, and what was lost with its file.
    pub(super) fn forget(&mut self, gone: Gone, out: &mut impl Output) {
        if gone.size > gone.mark.end {
            let (path, id, start) = (gone.name.clone(), gone.id, gone.mark.end);
            out.gap("deleted", &FileSpan { path, id, start, end: gone.size, crc: 0 });
        }
        out.forget(&gone.id);
        self.tombs.push_back(gone);
        if self.tombs.len() > TOMBS {
            self.tombs.pop_front();
        }
    }
}

/// Whether a file that was not found is gone. It is only where its device is mounted and its
/// directory can be read: an absent volume comes back, with the files on it.
fn is_gone(listing: &Listing, path: &Path, key: Key) -> bool {
    let readable = |dir: &&std::rc::Rc<Dir>| {
        Some(dir.path.as_path()) == path.parent() && dir.dev == Some(key.0)
    };
    listing.dirs.iter().any(|dir| readable(&dir))
        && !Stamp::at(path).is_ok_and(|stamp| stamp.key == key)
}

/// Whether the name says gzip.
pub(super) fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

impl Gone {
    /// Where reading goes on in another file with the same content.
    pub(super) fn reading(&self) -> Reading {
        let (head, mark) = (Some(self.id.head), Some(self.mark));
        Reading { head, mark, offset: self.mark.end, ..Reading::default() }
    }

    /// The identity under which that reading goes on.
    pub(super) fn key(&self) -> Key {
        let FileId { dev, inode, .. } = self.id;
        (dev, inode)
    }
}

impl From<&Position> for Gone {
    fn from(position: &Position) -> Self {
        let name = position.span.path.clone();
        let base = base_of(Path::new(&*name));
        let (id, mark) = (position.span.id, Mark::of(&position.span));
        Gone { id, name, base, mark, size: mark.end, missed: None }
    }
}
