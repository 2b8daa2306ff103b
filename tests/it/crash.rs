//! The crash campaign: `kill -9` at random moments and at every named point, while an application
//! writes to a rotated file and another sends over the socket. After each crash: every record that
//! was acknowledged or written to the file is sealed exactly once, and the ledger verifies.
//!
//! Chapters take turns in how files are rotated: dated names, numbered names (a chain of renames, as
//! logrotate does it) under a glob that matches them, and numbered names that no glob matches.
//!
//! `VERITAIL_CRASH_ROUNDS=200 cargo test crash_campaign` runs the long one;
//! `VERITAIL_CRASH_SEED=<n>` repeats a schedule.

use crate::{
    client::Client,
    daemon::{Bench, Daemon, PATIENCE, Settings, append, record, until},
    sealed,
};
use rustix::process::Signal;
use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, File},
    io::Write,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Rounds that share a ledger; then a new one begins, so that checking stays cheap.
const CHAPTER: usize = 8;
/// Points that a running daemon passes, and up to which passage a round waits for.
const POINTS: &[(&str, u64)] = &[
    ("mid_append", 12),
    ("after_append", 12),
    ("after_sync", 12),
    ("before_ack", 12),
    ("roll_closed", 3),
    ("roll_created", 3),
    ("compress_copied", 3),
];
/// Points that a daemon passes when it starts after a torn write.
const RECOVERY_POINTS: &[&str] = &["recovery_copied", "recovery_cut"];

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators").
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    fn fork(&mut self) -> Random {
        Random((self.below(u64::MAX >> 1) << 1) | 1)
    }

    /// Lets up to `micros` pass: the schedule, not a wait for anything.
    fn pause(&mut self, micros: u64) {
        thread::sleep(Duration::from_micros(self.below(micros)));
    }
}

/// How a file is rotated, and what the glob is.
#[derive(Clone, Copy, Debug)]
enum Rotation {
    Dated,
    Numbered,
    /// Numbered, and no glob matches what was rotated.
    OutOfSight,
}

const ROTATIONS: &[Rotation] = &[Rotation::Dated, Rotation::Numbered, Rotation::OutOfSight];

/// An application that writes to a file and rotates it by renaming.
struct Writer {
    path: PathBuf,
    rotation: Rotation,
    prefix: String,
    written: usize,
    rotations: usize,
}

impl Writer {
    /// One record, in one to three writes; now and then the file is rotated in the middle of it, as
    /// a writer that keeps its descriptor sees it.
    fn write(&mut self, random: &mut Random) {
        let line = record(&self.id(self.written)) + "\n";
        let mut file = File::options().create(true).append(true).open(&self.path).unwrap();
        let cut = match random.below(4) {
            0 => usize::try_from(random.below(line.len() as u64)).unwrap(),
            _ => line.len(),
        };
        file.write_all(&line.as_bytes()[..cut]).unwrap();
        if random.below(25) == 0 {
            self.rotate();
        }
        file.write_all(&line.as_bytes()[cut..]).unwrap();
        self.written += 1;
    }

    fn rotate(&mut self) {
        let rename = |from: &PathBuf, to: &PathBuf| fs::rename(from, to).unwrap();
        match self.rotation {
            Rotation::Dated => {
                let name = format!("app.ndjson-20261122-{:06}", self.rotations);
                rename(&self.path, &self.path.with_file_name(name));
            }
            Rotation::Numbered | Rotation::OutOfSight => {
                let numbered = |n| self.path.with_file_name(format!("app.ndjson.{n}"));
                for n in (1..=self.rotations).rev() {
                    rename(&numbered(n), &numbered(n + 1));
                }
                rename(&self.path, &numbered(1));
            }
        }
        self.rotations += 1;
    }

    fn id(&self, n: usize) -> String {
        format!("{}-{n}", self.prefix)
    }
}

/// An application that sends over the socket and sends again what was not acknowledged.
#[derive(Default)]
struct Sender {
    prefix: String,
    count: usize,
    pending: VecDeque<String>,
    acknowledged: BTreeMap<String, (u64, String)>,
}

impl Sender {
    /// Sends until the connection breaks or `over`; what was not acknowledged stays pending.
    fn send_until(&mut self, bench: &Bench, over: &AtomicBool, random: &mut Random) {
        while !over.load(Ordering::SeqCst) {
            if let Ok(mut client) = Client::try_connect(&bench.socket) {
                let _ = self.talk(&mut client, over, random);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn talk(
        &mut self,
        client: &mut Client,
        over: &AtomicBool,
        random: &mut Random,
    ) -> std::io::Result<()> {
        let window = 1 + usize::try_from(random.below(40)).unwrap();
        for id in &self.pending {
            client.send(&record(id))?;
        }
        while !over.load(Ordering::SeqCst) {
            while self.pending.len() > window {
                self.hear(client)?;
            }
            let id = format!("{}-{}", self.prefix, self.count);
            self.count += 1;
            self.pending.push_back(id.clone());
            client.send(&record(&id))?;
            random.pause(1500);
        }
        Ok(())
    }

    fn hear(&mut self, client: &mut Client) -> std::io::Result<()> {
        let answer = client.answer()?;
        let id = answer["ack"].as_str().unwrap_or_else(|| panic!("no ack: {answer}")).to_owned();
        let at = self.pending.iter().position(|waiting| *waiting == id);
        self.pending.remove(at.unwrap_or_else(|| panic!("{id} was acknowledged twice")));
        let seal = (answer["seq"].as_u64().unwrap(), answer["chain_hash"].as_str().unwrap().into());
        self.acknowledged.insert(id, seal);
        Ok(())
    }

    /// Sends again what is pending, and waits until all of it is acknowledged.
    fn settle(&mut self, bench: &Bench) {
        let mut client = Client::connect(&bench.socket);
        for id in &self.pending {
            client.send(&record(id)).unwrap();
        }
        while !self.pending.is_empty() {
            self.hear(&mut client).unwrap();
        }
    }
}

/// How a round's daemon is to die.
#[derive(Debug)]
enum Death {
    After(Duration),
    At(String),
    /// Torn first, then again at this point of the recovery.
    Recovering(&'static str),
}

/// A ledger, and the two applications that feed it.
struct Chapter {
    bench: Bench,
    writer: Writer,
    sender: Sender,
}

impl Chapter {
    fn new(number: usize) -> Self {
        let ledger = "segment_size = \"16KiB\"\ngroup_wait = \"1ms\"\ncheckpoint_entries = 40\n\
                      compress_after = \"1s\"";
        let file = "poll_interval = \"10ms\"";
        let rotation = ROTATIONS[number % ROTATIONS.len()];
        let glob =
            if matches!(rotation, Rotation::OutOfSight) { "app.ndjson" } else { "app.ndjson*" };
        let bench = Bench::with(&Settings { ledger, file, glob, ..Settings::default() });
        eprintln!("chapter {number}: {rotation:?}");
        // What was rotated before the first start is not looked for outside the glob.
        bench.start().stop();
        let writer = Writer {
            path: bench.file.clone(),
            rotation,
            prefix: format!("f{number}"),
            written: 0,
            rotations: 0,
        };
        let sender = Sender { prefix: format!("s{number}"), ..Sender::default() };
        Chapter { bench, writer, sender }
    }

    fn round(&mut self, death: &Death, random: &mut Random) {
        let point = match death {
            Death::After(_) => None,
            Death::At(point) => Some(point.clone()),
            Death::Recovering(_) => Some("mid_append:5".to_owned()),
        };
        let variables: Vec<_> = point.iter().map(|p| ("VERITAIL_CRASH", p.as_str())).collect();
        let daemon = self.bench.spawn(&variables);
        self.feed_until_dead(daemon, death, random);
        for _ in 0..random.below(20) {
            self.writer.write(random);
        }
        if let Death::Recovering(point) = death {
            let mut daemon = self.bench.spawn(&[("VERITAIL_CRASH", &format!("{point}:1"))]);
            assert_eq!(daemon.wait().signal(), Some(9), "{point}: {}", daemon.log());
        }
        let ledger = self.bench.ledger.display().to_string();
        let (code, out, _) = self.bench.run(&["verify", &ledger]);
        // 2: torn, or no entry yet; 4: no segment yet. Never does a crash look like tampering.
        assert_ne!(code, 1, "after {death:?}:\n{out}");
        let daemon = self.bench.start();
        self.sender.settle(&self.bench);
        daemon.stop();
        self.check();
    }

    fn feed_until_dead(&mut self, mut daemon: Daemon, death: &Death, random: &mut Random) {
        let (over, bench) = (&AtomicBool::new(false), &self.bench);
        let (writer, sender) = (&mut self.writer, &mut self.sender);
        let (mut of_writer, mut of_sender) = (random.fork(), random.fork());
        let ended = thread::scope(|scope| {
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    writer.write(&mut of_writer);
                    of_writer.pause(1500);
                }
            });
            scope.spawn(move || sender.send_until(bench, over, &mut of_sender));
            if let Death::After(time) = death {
                thread::sleep(*time);
                daemon.signal(Signal::KILL);
            }
            let deadline = Instant::now() + PATIENCE;
            let ended = loop {
                match daemon.ended() {
                    None if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
                    other => break other,
                }
            };
            over.store(true, Ordering::SeqCst);
            // A point that was never passed must not leave the sender waiting for answers.
            daemon.signal(Signal::KILL);
            ended
        });
        let ended = ended.unwrap_or_else(|| panic!("{death:?} was never reached"));
        assert_eq!(ended.signal(), Some(9), "{death:?}: {ended}; log:\n{}", daemon.log());
    }

    fn check(&self) {
        let Chapter { bench, writer, sender } = self;
        bench.verify();
        let files = (0..writer.written).map(|n| writer.id(n));
        sealed::assert_once(&bench.ledger, files.chain(sender.acknowledged.keys().cloned()));
        sealed::assert_file_order(&bench.ledger);
        for kind in ["quarantine", "gap"] {
            let wrong = sealed::of_type(&bench.ledger, kind);
            assert!(wrong.is_empty(), "nothing was broken or lost, but: {wrong:?}");
        }
        for entry in sealed::records(&bench.ledger) {
            let Some((seq, hash)) = sender.acknowledged.get(&sealed::id(&entry)) else { continue };
            let sealed = (entry["seq"].as_u64(), entry["chain_hash"].as_str());
            assert_eq!(sealed, (Some(*seq), Some(hash.as_str())), "acknowledged as something else");
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Named points come first, each at least once a campaign; then chance.
fn death(round: usize, random: &mut Random) -> Death {
    if let Some(point) = RECOVERY_POINTS.get(round) {
        return Death::Recovering(point);
    }
    let of_points = round - RECOVERY_POINTS.len();
    let named = match (POINTS.get(of_points), random.below(3)) {
        (Some(named), _) => Some(named),
        (None, 0) => POINTS.get(usize::try_from(random.below(POINTS.len() as u64)).unwrap()),
        (None, 1) if random.below(4) == 0 => return Death::Recovering(RECOVERY_POINTS[0]),
        _ => None,
    };
    match named {
        Some((point, most)) => Death::At(format!("{point}:{}", 1 + random.below(*most))),
        None => Death::After(Duration::from_micros(random.below(250_000))),
    }
}

/// Pain 21 as well: SIGKILL at random times, over and over, loses nothing and doubles nothing.
#[test]
fn crash_campaign() {
    let rounds = usize::try_from(number("VERITAIL_CRASH_ROUNDS").unwrap_or(25)).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("VERITAIL_CRASH_SEED").unwrap_or(u64::from(now.subsec_nanos()) | 1);
    eprintln!("crash campaign: {rounds} rounds, VERITAIL_CRASH_SEED={seed}");
    let mut random = Random(seed.max(1));
    let mut chapter = Chapter::new(0);
    for round in 0..rounds {
        if round > 0 && round % CHAPTER == 0 {
            chapter = Chapter::new(round / CHAPTER);
        }
        let death = death(round, &mut random);
        eprintln!("round {round}: {death:?}");
        chapter.round(&death, &mut random);
    }
}

/// A record acknowledged in one segment and sent again after the next one began is recognised.
#[test]
fn ids_are_recognised_across_segments_and_restarts() {
    let ledger = "segment_size = \"4KiB\"";
    let bench = Bench::with(&Settings { ledger, ..Settings::default() });
    let daemon = bench.start();
    let mut client = Client::connect(&bench.socket);
    let first = client.ask(&record("a"));
    for n in 0..40 {
        client.ask(&record(&format!("b-{n}")));
    }
    until("several segments", || (sealed::segments(&bench.ledger).len() > 3).then_some(()));
    daemon.kill();
    let daemon = bench.start();
    let again = Client::connect(&bench.socket).ask(&record("a"));
    assert_eq!((&again["seq"], &again["chain_hash"]), (&first["seq"], &first["chain_hash"]));
    daemon.stop();
    bench.verify();
    let expected = (0..40).map(|n| format!("b-{n}")).chain(["a".to_owned()]);
    sealed::assert_once(&bench.ledger, expected);
}

/// A torn last line is cut, kept aside, sealed as `recovery`, and the ledger goes on.
#[test]
fn a_torn_tail_is_kept_and_told() {
    let bench = Bench::new();
    bench.start().stop();
    let segment = sealed::segments(&bench.ledger).pop().unwrap();
    append(&segment, b"{\"v\":1,\"stream\":\"bench");
    let daemon = bench.start();
    bench.append(&[record("after")]);
    bench.wait_sealed(1);
    let log = daemon.stop();
    assert!(log.contains("middle of a line"), "{log}");
    let told = sealed::of_type(&bench.ledger, "recovery");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["torn_bytes"], 22);
    let copy = bench.ledger.join(told[0]["torn_file"].as_str().unwrap());
    assert_eq!(fs::read(copy).unwrap(), b"{\"v\":1,\"stream\":\"bench");
    bench.verify();
}
