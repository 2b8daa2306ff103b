//! The kernel's hint that something changed: one inotify instance, watching directories.
//!
//! Only a hint: polling finds the same a little later, so every failure here is said once and
//! forgiven (instances and watches are few on some machines, and queues overflow).

use crate::stop::Stop;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Watches directories and wakes the source.
#[derive(Debug)]
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    watched: HashSet<PathBuf>,
}

impl Watch {
    /// Starts watching nothing yet; polls alone where the kernel refuses.
    pub(super) fn new(stop: &Stop) -> Self {
        let bell = stop.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| tells_of_change(&event.kind)) {
                bell.wake();
            }
        });
        let watcher = watcher.map_err(|error| refused(&error)).ok();
        Watch { watcher, watched: HashSet::new() }
    }

    /// Watches these directories and no others.
    pub(super) fn follow<'a>(&mut self, dirs: impl Iterator<Item = &'a Path>) {
        let Some(watcher) = &mut self.watcher else { return };
        let dirs: HashSet<&Path> = dirs.collect();
        let known = |path: &PathBuf| dirs.contains(path.as_path());
        for gone in self.watched.iter().filter(|path| !known(path)) {
            // The kernel has dropped it already where the directory is gone.
            let _ = watcher.unwatch(gone);
        }
        self.watched.retain(known);
        for dir in dirs {
            if self.watched.contains(dir) {
                continue;
            }
            match watcher.watch(dir, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(dir.to_owned());
                }
                // It went away meanwhile; the next listing knows.
                Err(_) if !dir.exists() => {}
                Err(error) => {
                    refused(&error);
                    self.watcher = None;
                    return;
                }
            }
        }
    }

    /// Whether there are hints at all.
    #[cfg(test)]
    pub(super) fn is_on(&self) -> bool {
        self.watcher.is_some()
    }
}

/// Our own reading is an event too, and must not wake us.
fn tells_of_change(kind: &EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if *access != AccessKind::Close(AccessMode::Write))
}

fn refused(error: &notify::Error) {
    tracing::warn!(
        "no hints from the kernel ({error}): files are polled; raise fs.inotify.max_user_instances \
         and fs.inotify.max_user_watches for faster pick-up"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Duration;

    #[test]
    fn a_write_wakes_and_a_read_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let stop = Stop::default();
        let mut watch = Watch::new(&stop);
        watch.follow([dir.path()].into_iter());
        if !watch.is_on() {
            return;
        }
        let path = dir.path().join("a");
        let mut file = std::fs::File::options().create(true).append(true).open(&path).unwrap();
        file.write_all(b"x").unwrap();
        assert!(stop.wait(Duration::from_secs(10)));
        assert!(!tells_of_change(&EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(tells_of_change(&EventKind::Any));
    }

    #[test]
    fn directories_come_and_go() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut watch = Watch::new(&Stop::default());
        if !watch.is_on() {
            return;
        }
        watch.follow([one.path(), Path::new("/no/such/directory")].into_iter());
        assert_eq!(watch.watched.iter().collect::<Vec<_>>(), [one.path()]);
        watch.follow([two.path()].into_iter());
        assert_eq!(watch.watched.iter().collect::<Vec<_>>(), [two.path()]);
        assert!(watch.is_on());
    }
}
