//! Reads durable entries in order, from any place in the ledger up to its head, and waits for more.
//! This is what stands behind everything that comes after sealing: the ledger is the queue.
//!
//! Nothing beyond the head that the writer published is ever handed on: an entry is seen by others
//! only when it would survive a crash.

use super::{Error, line, segment};
use flate2::read::GzDecoder;
use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};
use tokio::sync::watch;

/// A place between two entries: the segment's number, and the offset in its uncompressed bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the segment.
    pub segment: segment::Number,
    /// Bytes before this place.
    pub offset: u64,
}

const BUFFER: usize = 64 << 10;

/// A segment's uncompressed bytes.
type Segment = BufReader<Box<dyn Read + Send>>;

/// A reader of durable entries.
pub struct Follower {
    dir: PathBuf,
    place: Place,
    head: watch::Receiver<Place>,
    open: Option<Segment>,
    line: Vec<u8>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Follower({:?})", self.place)
    }
}

impl Follower {
    /// Starts at `place`; `head` says how far the ledger is durable.
    #[must_use]
    pub fn new(dir: &Path, place: Place, head: watch::Receiver<Place>) -> Self {
        Follower { dir: dir.to_owned(), place, head, open: None, line: Vec::new() }
    }

    /// The place before the entry that comes next.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// The next durable entry's place and bytes (LF excluded); `None` at the head.
    ///
    /// # Errors
    /// When a segment is missing, unreadable or shorter than the writer left it.
    pub fn advance(&mut self) -> Result<Option<(Place, &[u8])>, Error> {
        loop {
            let head = *self.head.borrow();
            if self.place >= head {
                return Ok(None);
            }
            let here = self.place;
            let (file, path) = match self.open.take() {
                Some(file) => (self.open.insert(file), self.dir.clone()),
                None => {
                    let (file, path) = open(&self.dir, here)?;
                    (self.open.insert(file), path)
                }
            };
            self.line.clear();
            let read =
                file.read_until(b'\n', &mut self.line).map_err(|e| Error::io("read", &path, e))?;
            if read == 0 && here.segment < head.segment {
                self.open = None;
                self.place = Place { segment: here.segment + 1, offset: 0 };
                continue;
            }
            if self.line.pop() != Some(b'\n') {
                let short = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(Error::io("read on in", &path, short));
            }
            self.place.offset += read as u64;
            return Ok(Some((here, &self.line)));
        }
    }

    /// Waits until there may be more. Returns `false` when the ledger has stopped.
    pub async fn wait(&mut self) -> bool {
        self.head.changed().await.is_ok()
    }
}

/// Reads single entries. Going on in the segment that was read last is cheap, an archived one too,
/// so entries are best asked for in their order.
pub struct Reader {
    dir: PathBuf,
    /// Where it stands, whether in an archived segment, and the segment.
    open: Option<(Place, bool, Segment)>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader({:?})", self.open.as_ref().map(|(place, ..)| place))
    }
}

impl Reader {
    /// A reader of the ledger in `dir`.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Reader { dir: dir.to_owned(), open: None }
    }

    /// The bytes (LF excluded) of the durable entry at a place that a [`Follower`] told.
    ///
    /// # Errors
    /// When the segment is gone, unreadable or too short.
    pub fn entry(&mut self, place: Place) -> Result<Vec<u8>, Error> {
        let (is_archived, mut file) = match self.open.take() {
            Some((at, is_archived, mut file)) if can_go_on(at, place, is_archived) => {
                let between = place.offset - at.offset;
                let skipped = io::copy(&mut file.by_ref().take(between), &mut io::sink());
                skipped.map_err(|e| Error::io("read", &self.dir, e))?;
                (is_archived, file)
            }
            _ => {
                let (file, path) = open(&self.dir, place)?;
                (path.extension().is_some_and(|extension| extension == "gz"), file)
            }
        };
        let mut line = Vec::new();
        let read =
            file.read_until(b'\n', &mut line).map_err(|e| Error::io("read", &self.dir, e))?;
        if line.pop() != Some(b'\n') {
            let short = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(Error::io("read an entry of", &self.dir, short));
        }
        let offset = place.offset + read as u64;
        self.open = Some((Place { offset, ..place }, is_archived, file));
        Ok(line)
    }
}

/// Whether reading on from `at` is cheaper than opening anew: always in an archived segment, which is
/// unpacked from its beginning; in a plain one when it is near.
fn can_go_on(at: Place, place: Place, is_archived: bool) -> bool {
    at.segment == place.segment
        && place.offset.checked_sub(at.offset).is_some_and(|gap| is_archived || gap < BUFFER as u64)
}

/// One entry's bytes (LF excluded) at a place that a [`Follower`] told.
///
/// # Errors
/// When the segment is gone or unreadable.
pub fn entry_at(dir: &Path, place: Place) -> Result<Vec<u8>, Error> {
    let (mut file, path) = open(dir, place)?;
    let mut line = Vec::new();
    file.read_until(b'\n', &mut line).map_err(|e| Error::io("read", &path, e))?;
    line.pop();
    Ok(line)
}

/// The start of the segment that holds entry `seq`: the last one that begins at or before it.
///
/// # Errors
/// When segments cannot be read.
pub fn segment_of(dir: &Path, seq: u64) -> Result<Option<Place>, Error> {
    let (_, highest) = segment::list(dir)?;
    for number in (1..=highest).rev() {
        let place = Place { segment: number, offset: 0 };
        let Ok(first) = entry_at(dir, place) else { return Ok(None) };
        if line::parse(&first).is_ok_and(|line| line.seq <= seq) {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Opens a segment, plain or archived, at a place.
fn open(dir: &Path, place: Place) -> Result<(Segment, PathBuf), Error> {
    // The archiver unlinks the plain file only after the archived one is in place, so looking in
    // this order finds one of the two.
    for folder in [dir.to_owned(), dir.join("archive")] {
        let Some(path) = find(&folder, place.segment)? else { continue };
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io("open", &path, e)),
        };
        let reader = at(file, &path, place.offset).map_err(|e| Error::io("read", &path, e))?;
        return Ok((BufReader::with_capacity(BUFFER, reader), path));
    }
    let missing = io::Error::from(io::ErrorKind::NotFound);
    Err(Error::io("find a segment in", &dir.join(format!("*.{:08}.jsonl", place.segment)), missing))
}

fn at(mut file: fs::File, path: &Path, offset: u64) -> io::Result<Box<dyn Read + Send>> {
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut reader = GzDecoder::new(file);
        io::copy(&mut reader.by_ref().take(offset), &mut io::sink())?;
        return Ok(Box::new(reader));
    }
    file.seek(SeekFrom::Start(offset))?;
    Ok(Box::new(file))
}

fn find(folder: &Path, number: segment::Number) -> Result<Option<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read", folder, e)),
    };
    let has_number =
        |name: &std::ffi::OsStr| segment::number_of(&name.to_string_lossy()) == Some(number);
    Ok(entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(has_number)))
}
