//! The file source against real directories, round by round, without waiting.

mod archives;
mod model;
mod pains;
mod rotations;

use super::*;
use crate::units::{ByteSize, Span};
use std::fs::{self, File};
use std::io::Write;
use tempfile::TempDir;

/// What was handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Record(String, FileSpan),
    Refused(String, u64, FileSpan),
    Gap(String, FileSpan),
    Copied(FileSpan),
    Forgot(FileId),
}

/// An output that remembers, and checks what must always hold.
#[derive(Debug, Default)]
struct Sink {
    events: Vec<Event>,
    /// When each was sealed.
    sealed: Vec<i64>,
    /// The wall time, where it is not the real one.
    now: Option<i64>,
    flushes: usize,
    closed: bool,
}

impl Output for Sink {
    fn record(&mut self, line: &[u8], at: &FileSpan) {
        assert_eq!((at.end - at.start, at.crc), (line.len() as u64 + 1, crc32fast::hash(line)));
        self.seal(Event::Record(String::from_utf8(line.to_vec()).unwrap(), at.clone()));
    }
    fn refuse(&mut self, reason: &str, _sha256: [u8; 32], len: u64, at: &FileSpan) {
        self.seal(Event::Refused(reason.to_owned(), len, at.clone()));
    }
    fn gap(&mut self, reason: &str, at: &FileSpan) {
        assert!(at.start < at.end);
        self.seal(Event::Gap(reason.to_owned(), at.clone()));
    }
    fn copied(&mut self, at: &FileSpan) {
        self.seal(Event::Copied(at.clone()));
    }
    fn forget(&mut self, id: &FileId) {
        self.seal(Event::Forgot(*id));
    }
    fn flush(&mut self) -> Result<(), Closed> {
        self.flushes += 1;
        if self.closed { Err(Closed) } else { Ok(()) }
    }
}

impl Sink {
    fn seal(&mut self, event: Event) {
        self.events.push(event);
        self.sealed.push(self.now.unwrap_or_else(|| clock::Clock::System.now()));
    }

    fn lines(&self) -> Vec<&str> {
        let mut lines = Vec::new();
        for event in &self.events {
            if let Event::Record(line, _) = event {
                lines.push(line.as_str());
            }
        }
        lines
    }

    /// Everything but records, in short.
    fn others(&self) -> Vec<String> {
        let text = |event: &Event| match event {
            Event::Record(..) | Event::Copied(_) => None,
            Event::Refused(reason, len, at) => {
                Some(format!("refuse {reason} {len} at {}", at.start))
            }
            Event::Gap(reason, at) => Some(format!("gap {reason} {}..{}", at.start, at.end)),
            Event::Forgot(_) => Some("forget".to_owned()),
        };
        self.events.iter().filter_map(text).collect()
    }

    /// What the ledger would hand back: the last span of each file not forgotten.
    fn positions(&self) -> Vec<Position> {
        let mut last: Vec<Position> = Vec::new();
        for (event, sealed_at) in self.events.iter().zip(&self.sealed) {
            let (id, span) = match event {
                Event::Record(_, at)
                | Event::Refused(_, _, at)
                | Event::Gap(_, at)
                | Event::Copied(at) => (at.id, Some(at.clone())),
                Event::Forgot(id) => (*id, None),
            };
            last.retain(|position| position.span.id != id);
            let position = |span| Position { source: "app".into(), span, sealed_at: *sealed_at };
            last.extend(span.map(position));
        }
        last
    }
}

/// A directory, the source that reads it, and what it has handed on.
struct Bench {
    dir: TempDir,
    paths: Vec<String>,
    max: u64,
    now: Duration,
    patience: Patience,
    /// By how much, in microseconds, sealing is dated ahead.
    ahead: i64,
    files: Files,
    sink: Sink,
}

impl Bench {
    fn new(globs: &[&str]) -> Self {
        Bench::within(TempDir::new().unwrap(), globs, 1 << 20)
    }

    fn within(dir: TempDir, globs: &[&str], max: u64) -> Self {
        let paths: Vec<String> =
            globs.iter().map(|glob| dir.path().join(glob).display().to_string()).collect();
        let files = Files::new("app", &settings(&paths, max), Vec::new()).unwrap();
        let (now, patience) = (Duration::ZERO, Patience::default());
        Bench { dir, paths, max, now, patience, ahead: 0, files, sink: Sink::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Opens for appending, as a careful writer does.
    fn open(&self, name: &str) -> File {
        File::options().create(true).append(true).open(self.path(name)).unwrap()
    }

    fn append(&self, name: &str, text: &str) {
        self.open(name).write_all(text.as_bytes()).unwrap();
    }

    /// Replaces the content in place.
    fn rewrite(&self, name: &str, text: &str) {
        let mut file = File::options().write(true).truncate(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        self.move_to(from, &self.path(to));
    }

    #[expect(clippy::disallowed_methods, reason = "rotation, done to the source")]
    fn move_to(&self, from: &str, to: &Path) {
        fs::rename(self.path(from), to).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn gzip(&self, from: &str, to: &str) {
        let bytes = fs::read(self.path(from)).unwrap();
        self.open(to).write_all(&compressed(&bytes)).unwrap();
    }

    fn round(&mut self) -> bool {
        self.files.round_at(self.now, &mut self.sink).unwrap()
    }

    /// Rounds until nothing more comes.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let events = self.sink.events.len();
            if !self.round() && events == self.sink.events.len() {
                return;
            }
        }
        panic!("the source never came to rest");
    }

    /// Lets monotonic time pass, and looks.
    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.settle();
    }

    /// A crash: what was handed on is in the ledger, all else is gone.
    fn crash(&mut self) {
        let mut positions = self.sink.positions();
        positions.iter_mut().for_each(|position| position.sealed_at += self.ahead);
        let config = settings(&self.paths, self.max);
        self.files = Files::new("app", &config, positions).unwrap().with_patience(self.patience);
        self.now = Duration::ZERO;
    }

    fn lines(&self) -> Vec<&str> {
        self.sink.lines()
    }

    /// Compares long lists, and shows only where they part.
    #[track_caller]
    fn expect(&self, lines: &[String]) {
        let ours = self.lines();
        let part = ours.iter().zip(lines).position(|(ours, theirs)| ours != theirs);
        let at = part.unwrap_or(ours.len().min(lines.len()));
        let show = (ours.len(), lines.len(), ours.get(at), lines.get(at));
        assert!(ours == lines, "lines differ from {at}: {show:?}");
    }
}

fn settings(paths: &[String], max: u64) -> config::File {
    config::File {
        paths: paths.to_vec(),
        exclude: Vec::new(),
        poll_interval: Span(Duration::from_millis(20)),
        max_record: ByteSize(max),
    }
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Lines `from..to`, each with its LF.
fn numbered(from: usize, to: usize) -> String {
    (from..to).map(|n| format!("line {n}\n")).collect()
}

/// The same without.
fn expected(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("line {n}")).collect()
}
