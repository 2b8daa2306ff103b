//! Which files there are: the globs, and the directories in which rotation leaves files.
//!
//! A directory is read again only when its stamp has moved, so an idle round costs one `stat` for
//! each. A stamp that was young when the directory was read cannot be trusted (the next change may
//! fall into the same tick of the file system's clock): such a directory is read once more.

use super::identity::{Key, Stamp};
use super::warn::Warnings;
use crate::clock;
use glob::{MatchOptions, Pattern, PatternError};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::os::unix::fs::DirEntryExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

/// A stamp younger than this when it was taken may hide a change. The coarsest file systems in use
/// keep whole seconds.
const YOUNG: i128 = 1_100_000_000;
/// Listing takes at most one part in this of the time, once the names are many.
const SHARE: u32 = 10;
/// Fewer names than this are listed as often as asked.
const MANY: usize = 10_000;
/// A dot file is matched only by a dot, and `*` stays within its directory, as in a shell.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// What a listing found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Paths that a glob matches and none excludes, in no order.
    pub(super) matched: BTreeSet<PathBuf>,
    /// The directories read, each once.
    pub(super) dirs: Vec<Rc<Dir>>,
}

/// A directory's names.
#[derive(Debug)]
pub(super) struct Dir {
    pub(super) path: PathBuf,
    /// Device it lies on; `None` when its names cannot be read.
    pub(super) dev: Option<u64>,
    /// Names and inode numbers.
    pub(super) names: Vec<(OsString, u64)>,
}

/// The globs, taken apart, and the stamps of the directories they lead through.
#[derive(Debug)]
pub(super) struct Globs {
    paths: Vec<(Pattern, Vec<Part>)>,
    exclude: Vec<Pattern>,
    stamps: HashMap<PathBuf, Option<Shape>>,
    forced: bool,
    not_before: Option<Instant>,
}

/// What shows that a directory changed.
type Shape = (Key, i128);

/// A component of a glob.
#[derive(Clone, Debug)]
enum Part {
    Literal(OsString),
    Wild(Pattern),
    /// `**`: any directories, or none.
    Deep,
}

impl Globs {
    /// Takes the globs apart.
    ///
    /// # Errors
    /// With the glob that is none.
    pub(super) fn new(
        paths: &[String],
        exclude: &[String],
    ) -> Result<Self, (String, PatternError)> {
        let compile = |text: &String| Pattern::new(text).map_err(|error| (text.clone(), error));
        let paths = paths
            .iter()
            .map(|text| {
                let parts = parts(text).map_err(|error| (text.clone(), error))?;
                let tidy: PathBuf = Path::new(text).components().collect();
                Ok((compile(&tidy.to_string_lossy().into_owned())?, parts))
            })
            .collect::<Result<_, _>>()?;
        let exclude = exclude.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Globs { paths, exclude, stamps: HashMap::new(), forced: true, not_before: None })
    }

    /// Asks for a listing in the next round, whatever the stamps say.
    pub(super) fn force(&mut self) {
        self.forced = true;
    }

    /// The same, however long the last listing took.
    pub(super) fn force_now(&mut self) {
        self.forced = true;
        self.not_before = None;
    }

    /// Whether a glob wants `path`.
    pub(super) fn matches(&self, path: &Path) -> bool {
        self.paths.iter().any(|(glob, _)| glob.matches_path_with(path, OPTIONS))
            && !self.excludes(path)
    }

    /// Whether `path` is to be left alone.
    pub(super) fn excludes(&self, path: &Path) -> bool {
        self.exclude.iter().any(|glob| glob.matches_path_with(path, OPTIONS))
    }

    /// Whether a listing would find anything new.
    pub(super) fn is_stale(&self) -> bool {
        if self.not_before.is_some_and(|at| clock::monotonic() < at) {
            return false;
        }
        self.forced || self.stamps.iter().any(|(path, shape)| *shape != shape_of(path))
    }

    /// Lists what the globs match, and the directories in `extra` beside those they lead through.
    pub(super) fn list(&mut self, extra: BTreeSet<PathBuf>, warnings: &mut Warnings) -> Listing {
        let begun = clock::monotonic();
        let wall = i128::from(clock::Clock::System.now()) * 1000;
        let mut walk = Walk { dirs: HashMap::new(), matched: BTreeSet::new(), warnings };
        for (_, parts) in &self.paths {
            walk.expand(PathBuf::new(), parts);
        }
        for dir in extra {
            walk.read(&dir);
        }
        let Walk { dirs, mut matched, .. } = walk;
        matched.retain(|path| !self.excludes(path));
        self.forced = false;
        self.stamps.clear();
        let mut listing = Listing { matched, dirs: Vec::with_capacity(dirs.len()) };
        for (path, (shape, dir)) in dirs {
            self.forced |= shape.is_some_and(|(_, mtime)| mtime > wall - YOUNG);
            self.stamps.insert(path, shape);
            listing.dirs.push(dir);
        }
        let took = clock::monotonic().duration_since(begun);
        let names: usize = listing.dirs.iter().map(|dir| dir.names.len()).sum();
        self.not_before = (names > MANY).then(|| clock::monotonic() + took * SHARE);
        listing
    }

    /// The directories that the last listing read.
    pub(super) fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.stamps.iter().filter(|(_, shape)| shape.is_some()).map(|(path, _)| path.as_path())
    }
}

fn shape_of(dir: &Path) -> Option<Shape> {
    Stamp::at(dir).ok().map(|stamp| (stamp.key, stamp.mtime))
}

fn parts(glob: &str) -> Result<Vec<Part>, PatternError> {
    Path::new(glob)
        .components()
        .map(|component| match component {
            Component::Normal(name) if name == "**" => Ok(Part::Deep),
            Component::Normal(name) if name.to_string_lossy().contains(['*', '?', '[']) => {
                Pattern::new(&name.to_string_lossy()).map(Part::Wild)
            }
            other => Ok(Part::Literal(other.as_os_str().to_owned())),
        })
        .collect()
}

/// One walk through the directories; each is read once.
struct Walk<'a> {
    dirs: HashMap<PathBuf, (Option<Shape>, Rc<Dir>)>,
    matched: BTreeSet<PathBuf>,
    warnings: &'a mut Warnings,
}

impl Walk<'_> {
    fn expand(&mut self, base: PathBuf, parts: &[Part]) {
        let Some((part, rest)) = parts.split_first() else {
            self.matched.insert(base);
            return;
        };
        match part {
            Part::Literal(name) if rest.is_empty() => {
                self.read(&base);
                let path = base.join(name);
                if path.symlink_metadata().is_ok() {
                    self.matched.insert(path);
                }
            }
            Part::Literal(name) => self.expand(base.join(name), rest),
            Part::Wild(glob) => {
                let dir = self.read(&base);
                for (name, _) in &dir.names {
                    if glob.matches_with(&name.to_string_lossy(), OPTIONS) {
                        self.descend(base.join(name), rest);
                    }
                }
            }
            Part::Deep => {
                self.expand(base.clone(), rest);
                let dir = self.read(&base);
                for (name, _) in &dir.names {
                    let path = base.join(name);
                    // Links are not followed here: they may lead in circles.
                    if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
                        self.expand(path, parts);
                    }
                }
            }
        }
    }

    fn descend(&mut self, path: PathBuf, rest: &[Part]) {
        if rest.is_empty() || path.is_dir() {
            self.expand(path, rest);
        }
    }

    fn read(&mut self, path: &Path) -> Rc<Dir> {
        if let Some((_, dir)) = self.dirs.get(path) {
            return dir.clone();
        }
        let real = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        // The stamp before the names: a change in between is seen as a change.
        let shape = shape_of(real);
        let mut names = Vec::new();
        let mut dev = None;
        match std::fs::read_dir(real) {
            Ok(entries) => {
                dev = shape.map(|((dev, _), _)| dev);
                names.extend(entries.flatten().map(|entry| (entry.file_name(), entry.ino())));
                self.warnings.settled(real);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                self.warnings.unreadable(real, &error);
            }
        }
        let dir = Rc::new(Dir { path: path.to_owned(), dev, names });
        self.dirs.insert(real.to_owned(), (shape, dir.clone()));
        dir
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn globs(dir: &Path, paths: &[&str], exclude: &[&str]) -> Globs {
        let full = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| format!("{}/{text}", dir.display())).collect()
        };
        Globs::new(&full(paths), &full(exclude)).unwrap()
    }

    fn list(globs: &mut Globs, dir: &Path) -> Vec<String> {
        let listing = globs.list(BTreeSet::new(), &mut Warnings::default());
        let short = |path: &PathBuf| path.strip_prefix(dir).unwrap().display().to_string();
        listing.matched.iter().map(short).collect()
    }

    #[test]
    fn expands_as_a_shell_does() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("one/two")).unwrap();
        for name in ["a.log", "b.log", ".hidden.log", "one/c.log", "one/two/d.log", "e.txt"] {
            fs::File::options().create(true).append(true).open(dir.path().join(name)).unwrap();
        }
        for (paths, exclude, want) in [
            (&["*.log"][..], &[][..], &["a.log", "b.log"][..]),
            (&["a.log", "?.log"], &["b.*"], &["a.log"]),
            (&["**/*.log"], &[], &["a.log", "b.log", "one/c.log", "one/two/d.log"]),
            (&["*/*.log", "one/two/d.log"], &[], &["one/c.log", "one/two/d.log"]),
            (&["[ae].*"], &[], &["a.log", "e.txt"]),
            (&["none/*.log", "none.log"], &[], &[]),
        ] {
            let mut globs = globs(dir.path(), paths, exclude);
            assert_eq!(list(&mut globs, dir.path()), want, "{paths:?} without {exclude:?}");
            let agrees = |name: &&str| globs.matches(&dir.path().join(name));
            assert!(want.iter().all(agrees), "{paths:?} matches what it lists");
        }
    }

    #[test]
    fn an_old_directory_is_read_again_only_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let old = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
        let mut globs = globs(dir.path(), &["sub/*.log"], &[]);
        assert!(globs.is_stale(), "nothing was listed yet");
        assert!(list(&mut globs, dir.path()).is_empty());
        assert!(!globs.is_stale(), "a directory that is not there costs a stat");
        fs::create_dir(dir.path().join("sub")).unwrap();
        assert!(globs.is_stale(), "it came into being");
        list(&mut globs, dir.path());
        assert!(globs.is_stale(), "a young stamp is not trusted");
        fs::File::open(dir.path().join("sub")).unwrap().set_times(old).unwrap();
        list(&mut globs, dir.path());
        assert!(!globs.is_stale());
        fs::File::options().create(true).append(true).open(dir.path().join("sub/a.log")).unwrap();
        assert!(globs.is_stale());
        assert_eq!(list(&mut globs, dir.path()), ["sub/a.log"]);
    }

    #[test]
    fn names_the_glob_that_is_none() {
        let (text, _) = Globs::new(&["/x/[".to_owned()], &[]).unwrap_err();
        assert_eq!(text, "/x/[");
    }
}
