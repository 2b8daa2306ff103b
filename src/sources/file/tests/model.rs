//! Random things done to files, against a model that only counts what was written.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::time::SystemTime;

/// What an application, a rotation or an operator does.
#[derive(Clone, Debug)]
enum Action {
    /// Writes part of a line, without its LF.
    WritePart(usize),
    /// Ends the line.
    WriteLine(usize),
    /// Renames `name` to `name.1`, and that to `name.2`, and so on; the writer goes on in the
    /// renamed file or opens a new one.
    Rotate {
        reopen: bool,
    },
    /// Copies, truncates, and writes on.
    CopyTruncate {
        copy: bool,
    },
    /// Deletes the live file once it was seen; the writer opens a new one.
    Recreate,
    /// A rotated file is compressed after it was seen.
    Compress,
    Round,
    Settle,
    Crash,
}

fn actions(truncation: bool) -> impl Strategy<Value = Vec<Action>> {
    let truncate = if truncation { 2 } else { 0 };
    // A copy that is compressed after a restart is no longer known as one, when its original is gone
    // too: it is read again rather than lost.
    let compress = if truncation { 0 } else { 1 };
    let action = prop_oneof![
        4 => (1usize..40).prop_map(Action::WritePart),
        6 => (1usize..40).prop_map(Action::WriteLine),
        3 => any::<bool>().prop_map(|reopen| Action::Rotate { reopen }),
        truncate => any::<bool>().prop_map(|copy| Action::CopyTruncate { copy }),
        1 => Just(Action::Recreate),
        compress => Just(Action::Compress),
        4 => Just(Action::Round),
        2 => Just(Action::Settle),
        2 => Just(Action::Crash),
    ];
    proptest::collection::vec(action, 1..60)
}

/// The application: it writes numbered lines, each belonging to one life of the file.
struct Writer {
    file: File,
    /// Whether a line is begun.
    open_line: bool,
    life: usize,
    next: usize,
    /// Ended lines, by life.
    written: HashMap<usize, Vec<String>>,
    current: String,
}

impl Writer {
    fn write(&mut self, filler: usize, end: bool) {
        let mut text = String::new();
        if !self.open_line {
            text = format!("{}:{}:", self.life, self.next);
            self.next += 1;
        }
        text.push_str(&"x".repeat(filler));
        self.current.push_str(&text);
        if end {
            text.push('\n');
            let line = std::mem::take(&mut self.current);
            self.written.entry(self.life).or_default().push(line);
        }
        self.open_line = !end;
        self.file.write_all(text.as_bytes()).unwrap();
    }

    /// Begins a new life in `file`; a begun line stays torn in the old one.
    fn reopen(&mut self, file: File) {
        self.file = file;
        self.life += 1;
        self.open_line = false;
        self.current.clear();
    }
}

struct World {
    bench: Bench,
    writer: Writer,
    rotations: usize,
    /// When this world began.
    began: SystemTime,
    /// Seconds that have passed in it.
    tick: u64,
}

const NAME: &str = "requests.ndjson";

impl World {
    fn new(glob: &str) -> Self {
        let bench = Bench::new(&[glob]);
        let file = bench.open(NAME);
        let writer = Writer {
            file,
            open_line: false,
            life: 0,
            next: 0,
            written: HashMap::new(),
            current: String::new(),
        };
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let mut world = World { bench, writer, rotations: 0, began, tick: 0 };
        world.writer.write(1, true);
        world.spread_times();
        world.bench.settle();
        world
    }

    fn act(&mut self, action: &Action) {
        self.do_it(action);
        self.spread_times();
    }

    /// Everything here happens within a tick of the file system's clock. Puts a second between what
    /// was changed by one action and by the next, the live file last, as a slower world would.
    fn spread_times(&mut self) {
        let entries = fs::read_dir(self.bench.dir.path()).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort_by_key(|path| path.ends_with(NAME));
        for path in paths {
            let changed = fs::metadata(&path).unwrap().modified().unwrap();
            if path.is_file() && changed > self.began + Duration::from_secs(1_000_000) {
                self.tick += 1;
                let file = File::options().append(true).open(&path).unwrap();
                file.set_modified(self.now()).unwrap();
            }
        }
        self.tick += 1;
        let since = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        self.bench.sink.now = Some(i64::try_from(since.as_micros()).unwrap());
    }

    /// The world's time: long ago, so that the real one is never in it.
    fn now(&self) -> SystemTime {
        self.began + Duration::from_secs(self.tick)
    }

    fn do_it(&mut self, action: &Action) {
        match action {
            Action::WritePart(n) => self.writer.write(*n, false),
            Action::WriteLine(n) => self.writer.write(*n, true),
            Action::Rotate { reopen } => self.rotate(*reopen),
            Action::CopyTruncate { copy } => self.copy_truncate(*copy),
            Action::Recreate => {
                if self.bench.path(NAME).exists() {
                    self.bench.settle();
                    self.bench.remove(NAME);
                    self.bench.settle();
                }
                self.writer.reopen(self.bench.open(NAME));
            }
            Action::Compress => self.compress(),
            Action::Round => {
                self.bench.round();
            }
            Action::Settle => self.bench.settle(),
            // Without any position a start is a first start, which leaves old rotations alone.
            Action::Crash if self.bench.sink.positions().is_empty() => {}
            Action::Crash => self.bench.crash(),
        }
    }

    fn rotate(&mut self, reopen: bool) {
        if self.bench.path(NAME).exists() {
            for n in (1..=self.rotations).rev() {
                for suffix in ["", ".gz"] {
                    let from = format!("{NAME}.{n}{suffix}");
                    if self.bench.path(&from).exists() {
                        self.bench.rename(&from, &format!("{NAME}.{}{suffix}", n + 1));
                    }
                }
            }
            self.bench.rename(NAME, &format!("{NAME}.1"));
            self.rotations += 1;
        }
        if reopen {
            self.writer.reopen(self.bench.open(NAME));
        }
    }

    fn copy_truncate(&mut self, copy: bool) {
        if !self.bench.path(NAME).exists() {
            return;
        }
        if copy {
            let bytes = fs::read(self.bench.path(NAME)).unwrap();
            self.rotate(false);
            self.bench.rename(&format!("{NAME}.1"), NAME);
            self.bench.open(&format!("{NAME}.1")).write_all(&bytes).unwrap();
        }
        self.bench.open(NAME).set_len(0).unwrap();
        self.writer.reopen(self.bench.open(NAME));
    }

    fn compress(&mut self) {
        let name = format!("{NAME}.{}", self.rotations);
        // Only a file that nobody writes to is compressed, as logrotate's delaycompress has it.
        if self.rotations < 2 || !self.bench.path(&name).exists() {
            return;
        }
        self.bench.settle();
        self.bench.gzip(&name, &format!("{name}.gz"));
        self.bench.remove(&name);
    }

    /// Lines handed on, by the life of the file that they were written in.
    fn read(&self) -> HashMap<usize, Vec<String>> {
        let mut read: HashMap<usize, Vec<String>> = HashMap::new();
        for line in self.bench.lines() {
            let life = line.split(':').next().unwrap().parse().unwrap();
            read.entry(life).or_default().push(line.to_owned());
        }
        read
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Without truncation every line comes exactly once, in the order of its file.
    #[test]
    fn every_line_once(actions in actions(false), wide in any::<bool>()) {
        let mut world = World::new(if wide { "requests*" } else { NAME });
        for action in &actions {
            world.act(action);
        }
        world.bench.settle();
        prop_assert_eq!(world.read(), world.writer.written);
    }

    /// With truncation lines can be lost before they were seen; none comes twice, none is made up.
    #[test]
    fn no_line_twice(actions in actions(true)) {
        let mut world = World::new(NAME);
        for action in &actions {
            world.act(action);
        }
        world.bench.settle();
        for (life, read) in world.read() {
            let written = world.writer.written.get(&life).cloned().unwrap_or_default();
            let mut rest = written.iter();
            let in_order = read.iter().all(|line| rest.any(|other| other == line));
            prop_assert!(in_order, "life {}: read {:?} of {:?}", life, read, written);
        }
    }
}

#[test]
fn an_archive_under_a_reused_inode_is_not_read_again() {
    let mut world = World::new("requests*");
    for action in [
        Action::Rotate { reopen: true },
        Action::WriteLine(1),
        Action::Recreate,
        Action::Crash,
        Action::Rotate { reopen: false },
        Action::Compress,
        Action::Crash,
        Action::Rotate { reopen: true },
    ] {
        world.act(&action);
    }
    world.bench.settle();
    assert_eq!(world.read(), world.writer.written);
}
