//! Reads a segment as lines: plain or gzip, streaming, with a bound on a line's length.
//!
//! Lines end at the byte 0x0A and nowhere else. An archive is one gzip member: what follows its end
//! is reported, since other readers would take a second member for more lines.

use flate2::bufread::GzDecoder;
use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Seek as _},
    path::Path,
};

/// A longer line is malformed; bounds the memory of a walk.
pub(super) const LINE_BYTES: usize = 64 << 20;
const CHUNK: usize = 256 << 10;

/// The bytes of a segment.
enum Source {
    Plain(File),
    Gzip(Box<GzDecoder<BufReader<File>>>),
}

/// One line as it stands in the file.
pub(super) struct Raw<'a> {
    /// Its bytes without LF; the beginning only, where `too_long`.
    pub(super) bytes: &'a [u8],
    /// Offset of its first byte, uncompressed.
    pub(super) offset: u64,
    /// Whether an LF ends it.
    pub(super) terminated: bool,
    /// Longer than [`LINE_BYTES`].
    pub(super) too_long: bool,
}

/// A segment's lines.
pub(super) struct Lines {
    source: Source,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `buffer[start]`.
    offset: u64,
    eof: bool,
    /// What is wrong with the archive as such.
    damage: Option<&'static str>,
}

impl Lines {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        // By content, not by name: a renamed file is the same evidence.
        let mut magic = [0; 2];
        let gzip = read_some(&mut file, &mut magic)? == 2 && magic == [0x1f, 0x8b];
        file.rewind()?;
        let source = if gzip {
            Source::Gzip(Box::new(GzDecoder::new(BufReader::with_capacity(CHUNK, file))))
        } else {
            Source::Plain(file)
        };
        let buffer = vec![0; CHUNK];
        Ok(Lines { source, buffer, start: 0, end: 0, offset: 0, eof: false, damage: None })
    }

    /// What is wrong with the archive, once all lines were read.
    pub(super) fn damage(&self) -> Option<&'static str> {
        self.damage
    }

    /// Offset after the last line that was given.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Raw<'_>>> {
        let mut searched = 0;
        loop {
            let held = &self.buffer[self.start..self.end];
            if let Some(found) = memchr::memchr(b'\n', &held[searched..]) {
                return Ok(Some(self.give(searched + found, true, false)));
            }
            searched = held.len();
            if searched >= LINE_BYTES {
                return self.skip_long_line();
            }
            if self.eof {
                return Ok((searched > 0).then(|| self.give(searched, false, false)));
            }
            self.fill()?;
        }
    }

    fn give(&mut self, length: usize, terminated: bool, too_long: bool) -> Raw<'_> {
        let (from, offset) = (self.start, self.offset);
        let taken = length + usize::from(terminated);
        self.start += taken;
        self.offset += taken as u64;
        Raw { bytes: &self.buffer[from..from + length], offset, terminated, too_long }
    }

    /// Drops the rest of a line that is too long to hold.
    fn skip_long_line(&mut self) -> io::Result<Option<Raw<'_>>> {
        let offset = self.offset;
        loop {
            let held = &self.buffer[self.start..self.end];
            let found = memchr::memchr(b'\n', held);
            let dropped = found.map_or(held.len(), |at| at + 1);
            self.start += dropped;
            self.offset += dropped as u64;
            if found.is_some() || self.eof {
                let terminated = found.is_some();
                return Ok(Some(Raw { bytes: &[], offset, terminated, too_long: true }));
            }
            self.fill()?;
        }
    }

    /// Reads more behind what is held, making room first.
    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let room = &mut self.buffer[self.end..];
        let read = match &mut self.source {
            Source::Plain(file) => read_some(file, room),
            Source::Gzip(gzip) => read_some(gzip, room),
        };
        match read {
            Ok(0) => {
                self.eof = true;
                self.after_member()?;
            }
            Ok(read) => self.end += read,
            // The decoder's own complaints carry no error number of the system.
            Err(error) if error.raw_os_error().is_none() => {
                self.eof = true;
                self.damage = Some("the archive is cut off or damaged");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn after_member(&mut self) -> io::Result<()> {
        if let Source::Gzip(gzip) = &mut self.source
            && !gzip.get_mut().fill_buf()?.is_empty()
        {
            self.damage = Some("bytes follow the end of the archive");
        }
        Ok(())
    }
}

fn read_some(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
