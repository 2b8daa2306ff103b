//! From bytes to spans: how far a file was handed on, and the handing on itself.

use super::body::Body;
use super::identity::{self, Head, Key, Mark};
use crate::record::{FileId, FileSpan, Position};
use crate::sources::Output;
use crate::sources::lines::{Digested, Item, LineReader};
use std::sync::Arc;

/// Reason of a refused line past the limit.
pub(super) const TOO_LONG: &str = "too_long";
/// Reason of a refused last line without its LF, in a file that will not grow.
pub(super) const TORN: &str = "torn";
/// Reason of refused bytes in an archive that are no gzip.
pub(super) const BAD_GZIP: &str = "bad_gzip";
/// Reason of a gap of NULs, which a writer with a stale offset leaves after a truncation.
pub(super) const HOLE: &str = "hole";

/// How far one file was handed on.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Head, once a first whole line is there.
    pub(super) head: Option<Head>,
    /// Inode under which it is sealed where that is not the file's own: an archive goes on for a
    /// file that is gone.
    pub(super) stands_for: Option<Key>,
    /// First byte not handed on.
    pub(super) offset: u64,
    /// The last span handed on.
    pub(super) mark: Option<Mark>,
    /// Start of the hole before the line being read.
    pub(super) hole: Option<u64>,
    /// The line being read, where reading it again is no way.
    pub(super) reader: Option<LineReader>,
    /// What the file was before it was last truncated or rewritten.
    pub(super) before: Option<(FileId, Mark)>,
}

impl Reading {
    /// Goes on after a sealed position.
    pub(super) fn after(position: &Position) -> Self {
        let mark = Some(Mark::of(&position.span));
        let head = Some(position.span.id.head);
        Reading { head, offset: position.span.end, mark, ..Reading::default() }
    }

    /// The identity under which spans are sealed.
    pub(super) fn id(&self, key: Key) -> Option<FileId> {
        let (dev, inode) = self.stands_for.unwrap_or(key);
        self.head.map(|head| FileId { dev, inode, head })
    }

    /// The same, with a head for a file that has none yet.
    pub(super) fn id_or(&mut self, key: Key, head: Head) -> FileId {
        let (dev, inode) = self.stands_for.unwrap_or(key);
        FileId { dev, inode, head: *self.head.get_or_insert(head) }
    }

    /// First byte not looked at.
    pub(super) fn reached(&self) -> u64 {
        self.reader.as_ref().map_or(self.offset, LineReader::next_offset)
    }

    /// Notes a span as handed on.
    pub(super) fn passed(&mut self, span: &FileSpan) {
        self.offset = span.end;
        self.mark = Some(Mark::of(span));
    }

    /// Begins again at the start of the file, remembering what it was.
    pub(super) fn rewind(&mut self, key: Key) {
        let before = self.id(key).zip(self.mark).or(self.before);
        *self = Reading { before, ..Reading::default() };
    }
}

/// Hands one file's bytes on.
pub(super) struct Emit<'a, O> {
    pub(super) name: &'a Arc<str>,
    pub(super) key: Key,
    pub(super) reading: &'a mut Reading,
    pub(super) out: &'a mut O,
}

impl<O: Output> Emit<'_, O> {
    /// Hands on the lines that end in `bytes`, which `reader` expects next. A run of NULs at the
    /// start of a line is a hole, whatever its size, and no part of the line.
    pub(super) fn feed(&mut self, reader: &mut LineReader, mut bytes: &[u8], body: &Body) {
        while !bytes.is_empty() {
            let at = reader.next_offset();
            if at == reader.line_start() && bytes.first() == Some(&0) {
                let nuls = bytes.iter().take_while(|byte| **byte == 0).count();
                bytes = bytes.get(nuls..).unwrap_or_default();
                self.reading.hole.get_or_insert(at);
                let mut past = at + nuls as u64;
                if bytes.is_empty() {
                    past = past.max(body.next_data(past).unwrap_or(0));
                }
                reader.skip_to(past);
                continue;
            }
            let cut = memchr::memmem::find(bytes, b"\n\0").map_or(bytes.len(), |lf| lf + 1);
            let (lines, rest) = bytes.split_at(cut);
            reader.feed(lines, |item| self.item(item));
            bytes = rest;
        }
    }

    fn item(&mut self, item: Item<'_>) {
        match item {
            Item::Line { start, end, bytes } => {
                let head = self.reading.head.unwrap_or_else(|| identity::head_of(bytes));
                let id = self.begin(head, start);
                let span = self.span(id, start, end, crc32fast::hash(bytes));
                self.out.record(bytes, &span);
                self.reading.passed(&span);
            }
            Item::TooLong(range) => self.refuse(TOO_LONG, &range),
        }
    }

    /// Ends a file that will not grow: what the reader holds is torn.
    pub(super) fn torn(&mut self, reader: LineReader) {
        let end = reader.line_start();
        match (reader.finish(), self.reading.head) {
            (Some(range), _) => self.refuse(TORN, &range),
            (None, Some(head)) => {
                self.begin(head, end);
            }
            (None, None) => {}
        }
    }

    fn refuse(&mut self, reason: &str, range: &Digested) {
        let id = self.begin(identity::head_of_sha256(&range.sha256), range.start);
        let span = self.span(id, range.start, range.end, range.crc);
        self.out.refuse(reason, range.sha256, range.len, &span);
        self.reading.passed(&span);
    }

    /// The identity of the file whose line at `start` has this head if it is the first; tells of
    /// the hole before it, and of an earlier identity that this line has ended.
    fn begin(&mut self, head: Head, start: u64) -> FileId {
        let known = self.reading.head.is_some();
        let id = self.reading.id_or(self.key, head);
        if let (false, Some((before, _))) = (known, self.reading.before)
            && before != id
        {
            self.out.forget(&before);
        }
        if let Some(hole) = self.reading.hole.take().filter(|hole| *hole < start) {
            let span = self.span(id, hole, start, identity::crc_of_nuls(start - hole));
            self.out.gap(HOLE, &span);
            self.reading.passed(&span);
        }
        id
    }

    fn span(&self, id: FileId, start: u64, end: u64, crc: u32) -> FileSpan {
        FileSpan { path: self.name.clone(), id, start, end, crc }
    }
}
