//! Splits a stream of bytes into lines at LF, with a limit on their length, in bounded memory.
//!
//! Pure: it knows neither files nor sockets. A line that lies in one chunk is handed on in place;
//! only a line that crosses a chunk is copied. A line past the limit is hashed and skipped up to
//! its LF, and the stream goes on. However a stream is cut into chunks, the items are the same.

use sha2::{Digest, Sha256};

/// What a stream consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A whole line within the limit.
    Line {
        /// Offset of its first byte.
        start: u64,
        /// Offset after its LF.
        end: u64,
        /// The line, LF excluded.
        bytes: &'a [u8],
    },
    /// A whole line past the limit; its bytes are gone.
    TooLong(Digested),
}

/// A range of the stream known by its digests only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digested {
    /// Offset of the first byte.
    pub start: u64,
    /// Offset after the last byte, LF included where there is one.
    pub end: u64,
    /// SHA-256 of the range, LF excluded.
    pub sha256: [u8; 32],
    /// CRC-32 (IEEE) of the range, LF excluded.
    pub crc: u32,
    /// Bytes in the range, LF excluded.
    pub len: u64,
}

/// The line splitter. Holds at most one unfinished line of `max` bytes.
#[derive(Debug)]
pub struct LineReader {
    max: usize,
    start: u64,
    partial: Vec<u8>,
    long: Option<Box<Hashes>>,
}

/// Running digests of a line whose bytes are not kept.
#[derive(Debug, Default)]
struct Hashes {
    sha: Sha256,
    crc: crc32fast::Hasher,
    len: u64,
}

impl Hashes {
    fn update(&mut self, bytes: &[u8]) {
        self.sha.update(bytes);
        self.crc.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// The digests of a line that began at `start` and whose terminator took `terminator` bytes.
    fn finish(self, start: u64, terminator: u64) -> Digested {
        Digested {
            start,
            end: start + self.len + terminator,
            sha256: self.sha.finalize().into(),
            crc: self.crc.finalize(),
            len: self.len,
        }
    }
}

impl LineReader {
    /// Starts at offset `start` of a stream, at the beginning of a line. Lines longer than `max`
    /// bytes (LF not counted) come out as [`Item::TooLong`].
    #[must_use]
    pub fn new(start: u64, max: usize) -> Self {
        LineReader { max, start, partial: Vec::new(), long: None }
    }

    /// Offset of the unfinished line's first byte: all before it was handed on.
    #[must_use]
    pub fn line_start(&self) -> u64 {
        self.start
    }

    /// Offset of the byte that [`LineReader::feed`] expects next.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.start + self.long.as_ref().map_or(self.partial.len() as u64, |long| long.len)
    }

    /// Whether the unfinished line is past the limit already, so that only its digests are held.
    #[must_use]
    pub fn in_long_line(&self) -> bool {
        self.long.is_some()
    }

    /// Leaves bytes of the stream out: the next line begins at `offset`. What is held is dropped.
    pub fn skip_to(&mut self, offset: u64) {
        *self = LineReader::new(offset, self.max);
    }

    /// Takes the next bytes of the stream and hands every line that ends in them to `take`.
    pub fn feed(&mut self, mut chunk: &[u8], mut take: impl FnMut(Item<'_>)) {
        while let Some(lf) = memchr::memchr(b'\n', chunk) {
            let (line, rest) = chunk.split_at(lf);
            self.end_line(line, &mut take);
            chunk = rest.get(1..).unwrap_or_default();
        }
        self.hold(chunk);
    }

    /// Ends the stream: the digests of the unfinished line, if there is one.
    #[must_use]
    pub fn finish(mut self) -> Option<Digested> {
        if self.next_offset() == self.start {
            return None;
        }
        Some(self.take_hashes().finish(self.start, 0))
    }

    /// Completes the current line with `rest`, hands it on, and starts the next.
    fn end_line(&mut self, rest: &[u8], take: &mut impl FnMut(Item<'_>)) {
        let start = self.start;
        let end = self.next_offset() + rest.len() as u64 + 1;
        if self.long.is_some() || self.partial.len() + rest.len() > self.max {
            let mut hashes = self.take_hashes();
            hashes.update(rest);
            take(Item::TooLong(hashes.finish(start, 1)));
        } else if self.partial.is_empty() {
            take(Item::Line { start, end, bytes: rest });
        } else {
            self.partial.extend_from_slice(rest);
            take(Item::Line { start, end, bytes: &self.partial });
            self.partial.clear();
        }
        self.start = end;
    }

    /// Keeps the beginning of a line, or only its digests once it is past the limit.
    fn hold(&mut self, rest: &[u8]) {
        if self.long.is_none() && self.partial.len() + rest.len() <= self.max {
            self.partial.extend_from_slice(rest);
            return;
        }
        let mut hashes = self.take_hashes();
        hashes.update(rest);
        self.long = Some(Box::new(hashes));
    }

    /// The digests of what is held; nothing is held afterwards.
    fn take_hashes(&mut self) -> Hashes {
        match self.long.take() {
            Some(long) => *long,
            None => {
                let mut hashes = Hashes::default();
                hashes.update(&self.partial);
                self.partial = Vec::new();
                hashes
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An item with its bytes owned, and the torn rest as the last one.
    #[derive(Debug, PartialEq)]
    enum Owned {
        Line(u64, u64, Vec<u8>),
        TooLong(Digested),
        Torn(Digested),
    }

    fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, start: u64, max: usize) -> Vec<Owned> {
        let mut reader = LineReader::new(start, max);
        let mut items = Vec::new();
        for chunk in chunks {
            reader.feed(chunk, |item| {
                items.push(match item {
                    Item::Line { start, end, bytes } => Owned::Line(start, end, bytes.to_vec()),
                    Item::TooLong(digested) => Owned::TooLong(digested),
                });
            });
            assert!(reader.partial.len() <= max, "memory is bounded by the limit");
        }
        items.extend(reader.finish().map(Owned::Torn));
        items
    }

    fn digested(bytes: &[u8], start: u64, end: u64) -> Digested {
        let (sha256, crc) = (Sha256::digest(bytes).into(), crc32fast::hash(bytes));
        Digested { start, end, sha256, crc, len: bytes.len() as u64 }
    }

    /// The obvious way, with the whole stream in memory.
    fn model(bytes: &[u8], start: u64, max: usize) -> Vec<Owned> {
        let mut at = start;
        let mut items = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let end = at + line.len() as u64;
            items.push(match line.strip_suffix(b"\n") {
                None => Owned::Torn(digested(line, at, end)),
                Some(body) if body.len() > max => Owned::TooLong(digested(body, at, end)),
                Some(body) => Owned::Line(at, end, body.to_vec()),
            });
            at = end;
        }
        items
    }

    #[test]
    fn a_line_at_the_limit_passes_and_one_past_it_does_not() {
        let items = split([&b"abcd\nabcde\n\nx"[..]], 10, 4);
        let want = vec![
            Owned::Line(10, 15, b"abcd".to_vec()),
            Owned::TooLong(digested(b"abcde", 15, 21)),
            Owned::Line(21, 22, Vec::new()),
            Owned::Torn(digested(b"x", 22, 23)),
        ];
        assert_eq!(items, want);
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_items(
            bytes in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'\n')], 0..300),
            cuts in proptest::collection::vec(0usize..300, 0..12),
            start in 0u64..1 << 40,
            max in 0usize..20,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let mut from = 0;
            let chunks = cuts.iter().map(|to| &bytes[std::mem::replace(&mut from, *to)..*to]);
            prop_assert_eq!(split(chunks, start, max), model(&bytes, start, max));
        }
    }
}
