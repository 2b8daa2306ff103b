//! The bytes of a tailed file: read in place, or out of a gzip archive.

use super::gzip::Archive;
use super::identity;
use std::fs::File;
use std::io;

/// An open file.
#[derive(Debug)]
pub(super) enum Body {
    /// Bytes as they lie on disk.
    Plain(File),
    /// Bytes as they were before gzip; offsets count decompressed bytes.
    Gzip(Box<Archive>),
}

impl Body {
    /// Reads at an offset; 0 is the end, of the readable part where an archive is damaged.
    ///
    /// # Errors
    /// As the system reports them.
    pub(super) fn read_at(&mut self, into: &mut [u8], at: u64) -> io::Result<usize> {
        match self {
            Body::Plain(file) => identity::read_at(file, into, at),
            Body::Gzip(archive) => archive.read_at(into, at),
        }
    }

    /// Where the next byte of data is at or after `at`: leaps over the hole of a sparse file.
    pub(super) fn next_data(&self, at: u64) -> Option<u64> {
        match self {
            Body::Plain(file) => rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)).ok(),
            Body::Gzip(_) => None,
        }
    }
}
