//! Compressed rotations: what a gzip file holds, and reading on in the middle of it.
//!
//! A file is scanned whole before a byte of it is used, so that one that is still being written is
//! never clipped: only members whose CRC is right count. RFC 1952 lets members follow one another.

use super::identity::{self, Head};
use flate2::bufread::{GzDecoder, MultiGzDecoder};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

/// What a gzip file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// Head of the decompressed content, once it has a whole line.
    pub(super) head: Option<Head>,
    /// Decompressed bytes in the whole members.
    pub(super) len: u64,
    /// What follows the whole members.
    pub(super) rest: Rest,
}

/// What follows the last whole member of a gzip file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing, or the zero padding that tape and block devices leave.
    Clean,
    /// The beginning of a member: the file is still being written.
    Incomplete,
    /// Bytes that are no gzip, or a damaged member.
    Bad {
        /// SHA-256 of the compressed bytes.
        sha256: [u8; 32],
        /// Number of compressed bytes.
        len: u64,
    },
}

/// Decompresses all of `path` once.
///
/// # Errors
/// When it cannot be read; damage is part of the answer.
pub(super) fn scan(path: &Path) -> io::Result<Scan> {
    let mut raw = BufReader::with_capacity(1 << 16, identity::open(path)?);
    let mut len = 0;
    loop {
        let begin = raw.stream_position()?;
        if raw.fill_buf()?.is_empty() {
            return finish(path, len, Rest::Clean);
        }
        let mut member = GzDecoder::new(&mut raw);
        match io::copy(&mut member, &mut io::sink()) {
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let rest = rest_of(path, begin)?;
                let damaged = !matches!(rest, Rest::Clean) && !starts_a_member(path, begin)?;
                let rest = if damaged || rest == Rest::Clean { rest } else { Rest::Incomplete };
                return finish(path, len, rest);
            }
            Err(error) if is_damage(&error) => return finish(path, len, rest_of(path, begin)?),
            Err(error) => return Err(error),
        }
    }
}

/// Whether the data is at fault, not the disk.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
}

/// Whether the bytes at `begin` are, as far as they go, the magic of a gzip member.
fn starts_a_member(path: &Path, begin: u64) -> io::Result<bool> {
    let mut magic = [0; 2];
    let n = identity::read_at(&identity::open(path)?, &mut magic, begin)?;
    Ok(magic[..n] == [0x1f, 0x8b][..n])
}

/// Digests the compressed bytes from `begin` on.
fn rest_of(path: &Path, begin: u64) -> io::Result<Rest> {
    let mut file = identity::open(path)?;
    file.seek(io::SeekFrom::Start(begin))?;
    let (mut sha, mut len, mut zeros) = (Sha256::new(), 0, true);
    let mut raw = BufReader::new(file);
    loop {
        let bytes = raw.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        sha.update(bytes);
        zeros &= bytes.iter().all(|byte| *byte == 0);
        let n = bytes.len();
        len += n as u64;
        raw.consume(n);
    }
    Ok(if zeros { Rest::Clean } else { Rest::Bad { sha256: sha.finalize().into(), len } })
}

/// Adds the head to what was found.
fn finish(path: &Path, len: u64, rest: Rest) -> io::Result<Scan> {
    let mut archive = Archive::new(path.to_owned(), len, Rest::Clean);
    let head = identity::read_head(|into, at| archive.read_at(into, at))?;
    Ok(Scan { head, len, rest })
}

/// Reads the whole members of a scanned gzip file by decompressed offset. Going forward is cheap,
/// going back begins again.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    len: u64,
    rest: Rest,
    at: u64,
    decoder: Option<MultiGzDecoder<BufReader<File>>>,
}

impl Archive {
    /// Reads `path`, of which a scan found `len` decompressed bytes and then `rest`.
    pub(super) fn new(path: PathBuf, len: u64, rest: Rest) -> Self {
        Archive { path, len, rest, at: 0, decoder: None }
    }

    /// Decompressed length of what can be read.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What follows it.
    pub(super) fn rest(&self) -> &Rest {
        &self.rest
    }

    /// Reads at a decompressed offset; 0 is the end of the whole members.
    pub(super) fn read_at(&mut self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let room = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        if room == 0 {
            return Ok(0);
        }
        if at < self.at {
            self.decoder = None;
        }
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => {
                self.at = 0;
                none.insert(MultiGzDecoder::new(BufReader::new(identity::open(&self.path)?)))
            }
        };
        self.at += io::copy(&mut decoder.by_ref().take(at - self.at), &mut io::sink())?;
        let wanted = room.min(into.len());
        let n = decoder.read(into.get_mut(..wanted).unwrap_or_default())?;
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn scan_of(bytes: &[u8]) -> (tempfile::NamedTempFile, Scan) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let scan = scan(file.path()).unwrap();
        (file, scan)
    }

    #[test]
    fn counts_every_member_and_reads_on_in_the_middle() {
        let (file, scan) = scan_of(&[gzip(b"one\ntw"), gzip(b""), gzip(b"o\nthree\n")].concat());
        let head = Some(identity::head_of(b"one"));
        assert_eq!(scan, Scan { head, len: 14, rest: Rest::Clean });
        let mut archive = Archive::new(file.path().to_owned(), scan.len, scan.rest);
        for at in [8, 4, 4, 13] {
            let mut bytes = Vec::new();
            let mut block = [0; 3];
            loop {
                let n = archive.read_at(&mut block, at + bytes.len() as u64).unwrap();
                if n == 0 {
                    break;
                }
                bytes.extend_from_slice(&block[..n]);
            }
            assert_eq!(bytes, &b"one\ntwo\nthree\n"[at as usize..]);
        }
    }

    #[test]
    fn every_unfinished_file_is_incomplete_and_never_clipped() {
        let whole = [gzip(b"one\n"), gzip(b"two\n")].concat();
        let first = gzip(b"one\n").len();
        for cut in 1..whole.len() {
            let (_file, scan) = scan_of(&whole[..cut]);
            let want = if cut < first { (0, Rest::Incomplete) } else { (4, Rest::Incomplete) };
            let want = if cut == first { (4, Rest::Clean) } else { want };
            assert_eq!((scan.len, scan.rest), want, "cut at {cut}");
        }
    }

    #[test]
    fn garbage_is_told_from_padding() {
        let (_file, padded) = scan_of(&[gzip(b"one\n"), vec![0; 700]].concat());
        assert_eq!((padded.len, padded.rest), (4, Rest::Clean));
        for garbage in [&b"x"[..], b"no gzip at all, by no means"] {
            let (_file, scan) = scan_of(&[&gzip(b"one\n")[..], garbage].concat());
            let sha256 = Sha256::digest(garbage).into();
            assert_eq!(scan.rest, Rest::Bad { sha256, len: garbage.len() as u64 });
            assert_eq!(scan.len, 4);
        }
        let mut damaged = gzip(&[b'x'; 400]);
        let last = damaged.len() - 6;
        damaged[last] ^= 1;
        let (_file, scan) = scan_of(&damaged);
        assert_eq!(scan.len, 0, "a member with a wrong CRC does not count");
        assert!(matches!(scan.rest, Rest::Bad { .. }));
    }
}
