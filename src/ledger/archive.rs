//! Closed segments → `archive/*.jsonl.gz`, in the background.
//!
//! For each: compress under a temporary name, sync, read the copy back and compare it with the
//! original byte for byte (by SHA-256), rename, sync the directory, and only then unlink the plain
//! file. A crash leaves the plain file, or both; never neither. The newest segment always stays
//! plain: a start continues it. Hashes are over uncompressed bytes, so the seals do not change.

use super::{Error, segment};
use crate::{
    clock::{Clock, Micros},
    crash,
    disk::{Disk, File},
    record::Digest,
    stop::Stop,
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Bytes read at a time; between two reads a stop is noticed.
const CHUNK: usize = 256 << 10;
/// Time between two looks for segments to compress.
const LOOK: Duration = Duration::from_secs(60);
const SUFFIX: &str = ".new";

/// Compresses the closed segments of one ledger.
#[derive(Debug)]
pub struct Archiver {
    dir: PathBuf,
    after: Duration,
    disk: Disk,
    clock: Clock,
}

impl Archiver {
    /// Compresses segments in `dir` that were closed at least `after` ago.
    #[must_use]
    pub fn new(dir: &Path, after: Duration, (disk, clock): (Disk, Clock)) -> Self {
        Archiver { dir: dir.to_owned(), after, disk, clock }
    }

    /// Looks again and again until `stop`. What cannot be compressed now stays plain and is tried
    /// again later.
    pub fn run(&self, stop: &Stop) {
        while !stop.is_stopped() {
            if let Err(e) = self.round(stop) {
                tracing::warn!(error = %e, "segments stay plain for now");
            }
            let _ = stop.wait(LOOK.min(self.after.max(Duration::from_millis(200))));
        }
    }

    /// Compresses what is due; returns how many segments that were.
    ///
    /// # Errors
    /// As the file system says; whatever was done is whole.
    pub fn round(&self, stop: &Stop) -> Result<usize, Error> {
        let (mut plain, _) = segment::list(&self.dir)?;
        // Only the newest can be open, whatever modes a volume's owner has given the files.
        plain.pop();
        let mut done = 0;
        for (_, path) in plain {
            if stop.is_stopped() {
                break;
            }
            let fail = |e| Error::io("compress", &path, e);
            let metadata = fs::metadata(&path).map_err(fail)?;
            let age: Micros = self.clock.now() - metadata.mtime() * 1_000_000;
            if i128::from(age) >= self.after.as_micros() as i128 {
                done += usize::from(self.compress(&path, stop).map_err(fail)?);
            }
        }
        Ok(done)
    }

    /// `false` when it was stopped in the middle.
    fn compress(&self, path: &Path, stop: &Stop) -> io::Result<bool> {
        let archive = self.dir.join("archive");
        self.disk.create_dir(&archive, 0o750)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned() + ".gz";
        let (target, temporary) = (archive.join(&name), archive.join(name + SUFFIX));
        if !target.exists() {
            match fs::remove_file(&temporary) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let file = Sink(self.disk.create(&temporary, 0o440)?);
            let mut encoder = GzEncoder::new(file, Compression::default());
            if copy(fs::File::open(path)?, &mut encoder, stop)?.is_none() {
                return Ok(false);
            }
            encoder.finish()?.0.sync()?;
        }
        let copy_at = if target.exists() { &target } else { &temporary };
        let unpacked = copy(GzDecoder::new(fs::File::open(copy_at)?), &mut io::sink(), stop)?;
        let plain = copy(fs::File::open(path)?, &mut io::sink(), stop)?;
        match (unpacked, plain) {
            (Some(unpacked), Some(plain)) if unpacked == plain => {}
            (Some(_), Some(_)) => {
                return Err(io::Error::other(format!(
                    "{} does not hold what the segment holds; move it away",
                    copy_at.display()
                )));
            }
            _ => return Ok(false),
        }
        if !target.exists() {
            self.disk.rename(&temporary, &target)?;
        }
        crash::point(crash::COMPRESS_COPIED);
        self.disk.remove(path)?;
        tracing::debug!(segment = %path.display(), "compressed");
        Ok(true)
    }
}

/// Copies all of `from` and returns the SHA-256 of what went through; `None` when stopped.
fn copy(mut from: impl Read, to: &mut impl Write, stop: &Stop) -> io::Result<Option<Digest>> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        if stop.is_stopped() {
            return Ok(None);
        }
        let read = from.read(&mut chunk)?;
        let bytes = chunk.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(Some(hash.finalize().into()));
        }
        hash.update(bytes);
        to.write_all(bytes)?;
    }
}

/// A file of the disk's as what the encoder writes to.
struct Sink(File);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Fault, Operation};

    fn ledger() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        for (number, mode) in [(1, 0o440), (2, 0o440), (3, 0o640)] {
            let path = dir.path().join(format!("audit_2026-11-22.{number:08}.jsonl"));
            disk.write_new(&path, "line\n".repeat(100 * number).as_bytes(), mode).unwrap();
        }
        dir
    }

    fn archiver(dir: &Path, after: u64, disk: Disk) -> Archiver {
        Archiver::new(dir, Duration::from_secs(after), (disk, Clock::System))
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_file())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn closed_segments_are_compressed_and_the_newest_stays() {
        let dir = ledger();
        assert_eq!(archiver(dir.path(), 3600, Disk::default()).round(&Stop::default()).unwrap(), 0);
        assert_eq!(archiver(dir.path(), 0, Disk::default()).round(&Stop::default()).unwrap(), 2);
        assert_eq!(names(dir.path()), ["audit_2026-11-22.00000003.jsonl"]);
        let archive = dir.path().join("archive");
        assert_eq!(
            names(&archive),
            ["audit_2026-11-22.00000001.jsonl.gz", "audit_2026-11-22.00000002.jsonl.gz"]
        );
        let mut text = String::new();
        let first = fs::File::open(archive.join("audit_2026-11-22.00000001.jsonl.gz")).unwrap();
        GzDecoder::new(first).read_to_string(&mut text).unwrap();
        assert_eq!(text, "line\n".repeat(100));
    }

    #[test]
    fn at_every_failure_the_segment_is_still_there() {
        for operation in [Operation::Write, Operation::Sync, Operation::Create] {
            for after in 0..3 {
                let dir = ledger();
                let fault = Fault { operation, after, times: 1, errno: 28 };
                let disk = Disk::faulty(vec![fault]);
                let failed = archiver(dir.path(), 0, disk).round(&Stop::default()).is_err();
                let plain = names(dir.path());
                let gone = 3 - plain.len();
                let whole = names(&dir.path().join("archive"));
                let archived = whole.iter().filter(|name| name.ends_with(".gz")).count();
                assert!(archived >= gone, "{operation:?} {after}: {plain:?} {whole:?}");
                archiver(dir.path(), 0, Disk::default()).round(&Stop::default()).unwrap();
                assert_eq!(names(dir.path()).len(), 1, "failed first: {failed}");
            }
        }
    }

    #[test]
    fn a_copy_that_holds_something_else_is_never_trusted() {
        let dir = ledger();
        let archive = dir.path().join("archive");
        Disk::default().create_dir(&archive, 0o750).unwrap();
        let other = archive.join("audit_2026-11-22.00000001.jsonl.gz");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"something else\n").unwrap();
        Disk::default().write_new(&other, &encoder.finish().unwrap(), 0o440).unwrap();
        assert!(archiver(dir.path(), 0, Disk::default()).round(&Stop::default()).is_err());
        assert!(dir.path().join("audit_2026-11-22.00000001.jsonl").exists());
    }
}
