//! Which file is this: stat stamps, the head of a file, and the mark left where reading stopped.

use crate::record::FileSpan;
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Device and inode: names a file among those that exist at one time.
pub(super) type Key = (u64, u64);

/// First 8 bytes of the SHA-256 of a file's first line; see [`crate::record::FileId`].
pub(super) type Head = [u8; 8];

/// What one `stat` told. Two equal stamps mean that nothing need be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) key: Key,
    pub(super) size: u64,
    /// Nanoseconds since the epoch.
    pub(super) mtime: i128,
    ctime: i128,
    /// When the inode was made, where the file system tells: a reused inode has another.
    pub(super) born: Option<std::time::SystemTime>,
    pub(super) links: u64,
    pub(super) regular: bool,
}

impl Stamp {
    pub(super) fn of(meta: &Metadata) -> Self {
        let nanos =
            |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Stamp {
            key: (meta.dev(), meta.ino()),
            size: meta.size(),
            mtime: nanos(meta.mtime(), meta.mtime_nsec()),
            ctime: nanos(meta.ctime(), meta.ctime_nsec()),
            born: meta.created().ok(),
            links: meta.nlink(),
            regular: meta.is_file(),
        }
    }

    /// Follows symbolic links: a file's identity is the target's.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|meta| Stamp::of(&meta))
    }

    /// Whether the content may have changed since `earlier`. A rename or a link changes the ctime
    /// only and costs one re-read of the mark; nothing else does while the file rests.
    pub(super) fn differs_from(&self, earlier: &Stamp) -> bool {
        (self.key, self.size, self.mtime, self.ctime)
            != (earlier.key, earlier.size, earlier.mtime, earlier.ctime)
    }
}

/// Opens for reading without ever waiting, should a FIFO have taken the path.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Fails when another file has come to be at `path` than the one with that key: in a chain of renames
/// (`.1` to `.2` and so on) a name soon stands for the next file.
pub(super) fn still_at(path: &Path, key: Key) -> io::Result<()> {
    if Stamp::at(path)?.key == key {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "it was renamed meanwhile"))
}

/// The last span handed on: if its bytes are still there, the file only grew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) crc: u32,
}

impl Mark {
    pub(super) fn of(span: &FileSpan) -> Self {
        Mark { start: span.start, end: span.end, crc: span.crc }
    }

    /// Reads the span again and compares. A file too short for it does not match.
    pub(super) fn matches(
        &self,
        mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
    ) -> io::Result<bool> {
        let mut hasher = crc32fast::Hasher::new();
        let mut block = [0; 8192];
        let mut at = self.start;
        while at < self.end {
            let want = usize::try_from(self.end - at).unwrap_or(usize::MAX).min(block.len());
            let n = read(&mut block[..want], at)?;
            if n == 0 {
                return Ok(false);
            }
            at += n as u64;
            let whole = &block[..n];
            let ended = at == self.end;
            hasher.update(if ended { whole.strip_suffix(b"\n").unwrap_or(whole) } else { whole });
        }
        Ok(hasher.finalize() == self.crc)
    }
}

/// Reads at an offset, again when interrupted; 0 is the end of the file.
pub(super) fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        match file.read_at(into, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// The head that a first line gives.
pub(super) fn head_of(line: &[u8]) -> Head {
    head_of_sha256(&Sha256::digest(line).into())
}

/// The head, where the first line's digest is known already.
pub(super) fn head_of_sha256(sha256: &[u8; 32]) -> Head {
    let mut head = [0; 8];
    head.copy_from_slice(&sha256[..8]);
    head
}

/// Reads the head of a file; `None` while it has no whole line. Leading NULs are no part of the
/// first line: they are a hole that a writer with a stale offset left.
pub(super) fn read_head(
    mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
) -> io::Result<Option<Head>> {
    let mut sha = Sha256::new();
    let mut block = [0; 8192];
    let (mut at, mut begun) = (0, false);
    loop {
        let n = read(&mut block, at)?;
        if n == 0 {
            return Ok(None);
        }
        at += n as u64;
        let mut bytes = &block[..n];
        if !begun {
            bytes = bytes.trim_start_nuls();
            begun = !bytes.is_empty();
        }
        match memchr::memchr(b'\n', bytes) {
            Some(lf) => {
                sha.update(&bytes[..lf]);
                return Ok(Some(head_of_sha256(&sha.finalize().into())));
            }
            None => sha.update(bytes),
        }
    }
}

/// Dropping the NULs of a hole.
pub(super) trait TrimNuls {
    /// The bytes after the leading NULs.
    fn trim_start_nuls(&self) -> &Self;
}

impl TrimNuls for [u8] {
    fn trim_start_nuls(&self) -> &Self {
        let nuls = self.iter().take_while(|byte| **byte == 0).count();
        self.get(nuls..).unwrap_or_default()
    }
}

/// CRC-32 of `n` NULs, in time logarithmic in `n`: holes can be terabytes.
pub(super) fn crc_of_nuls(mut n: u64) -> u32 {
    let mut whole = crc32fast::Hasher::new();
    let mut block = crc32fast::Hasher::new();
    block.update(&[0]);
    while n > 0 {
        if n & 1 == 1 {
            whole.combine(&block);
        }
        let twice = block.clone();
        block.combine(&twice);
        n >>= 1;
    }
    whole.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn reads(file: &File) -> impl FnMut(&mut [u8], u64) -> io::Result<usize> + '_ {
        |into, at| read_at(file, into, at)
    }

    fn reader(bytes: &[u8]) -> impl FnMut(&mut [u8], u64) -> io::Result<usize> + '_ {
        |into, at| {
            let rest = &bytes[(at as usize).min(bytes.len())..];
            let n = rest.len().min(into.len()).min(7);
            into[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        }
    }

    #[test]
    fn the_head_is_the_first_line_without_holes() {
        assert_eq!(read_head(reader(b"first line\nsecond")).unwrap(), Some(head_of(b"first line")));
        assert_eq!(read_head(reader(b"\0\0\0\0\0\0\0\0\0x\0y\n")).unwrap(), Some(head_of(b"x\0y")));
        assert_eq!(read_head(reader(b"no end yet")).unwrap(), None);
        assert_eq!(read_head(reader(b"")).unwrap(), None);
    }

    #[test]
    fn a_mark_tells_a_grown_file_from_a_rewritten_one() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one\ntwo\nthree").unwrap();
        let mark = Mark { start: 4, end: 8, crc: crc32fast::hash(b"two") };
        assert!(mark.matches(reads(&file)).unwrap());
        let other = Mark { start: 0, ..mark };
        assert!(!other.matches(reads(&file)).unwrap());
        let past_the_end = Mark { start: 8, end: 14, crc: crc32fast::hash(b"three") };
        assert!(!past_the_end.matches(reads(&file)).unwrap());
    }

    proptest! {
        #[test]
        fn nuls_are_summed_without_reading_them(n in 0usize..5000) {
            prop_assert_eq!(crc_of_nuls(n as u64), crc32fast::hash(&vec![0; n]));
        }
    }
}
