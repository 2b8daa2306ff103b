#![expect(clippy::disallowed_methods, reason = "the tests damage files on purpose")]
use super::*;
use crate::{
    disk::{Fault, Operation},
    queue::{self, Batch, Item, Message, Queue, Ticket},
    record::{FileId, FileSpan, Replies},
    units::ByteSize,
};
use std::sync::mpsc::Receiver;

/// A ledger in a directory of its own, run on a thread while `feed` sends to it.
struct Bench {
    dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    config: Config,
    disk: Disk,
    clock: Clock,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("dir = {:?}\nservice = \"orders\"", dir.path().join("ledger"));
        Bench {
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap(),
            config: toml::from_str(&text).unwrap(),
            disk: Disk::default(),
            clock: Clock::System,
            dir,
        }
    }

    fn open(&self) -> Result<(Ledger, Recovered), Error> {
        Ledger::open(&self.config, &Given::default(), (self.disk.clone(), self.clock.clone()))
    }

    /// Opens, feeds, stops cleanly.
    fn session(&self, feed: impl FnOnce(&Queue)) -> (Recovered, Result<(), Error>) {
        let (ledger, recovered) = self.open().unwrap();
        let (queue, messages): (Queue, Receiver<Message>) =
            queue::bounded(1 << 20, self.runtime.handle().clone());
        let start = Start { config_hash: "c".into(), policy_hash: "p".into() };
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let own = queue.clone();
        let thread = std::thread::spawn(move || ledger.run(&start, (own, &messages), ready));
        if is_ready.blocking_recv().is_ok() {
            feed(&queue);
        }
        let _ = queue.tell(Message::Stop);
        (recovered, thread.join().unwrap())
    }

    /// Every line of every segment, checked for form, hash, link, MAC and Merkle roots.
    fn check(&self) -> Vec<String> {
        let (segments, _) = segment::list(&self.config.dir).unwrap();
        let keys = self.config.dir.join("keys/mac.key");
        let master = keys::read(&keys).unwrap();
        let vkey = std::fs::read_to_string(keys::public_path(&self.config.dir)).unwrap();
        let verifier = note::Verifier::parse(vkey.trim()).unwrap();
        let mut previous = chain::genesis(verifier.name(), vkey.trim());
        let mac = MacKey::derive(&master, verifier.name(), "m1");
        let mut frontier = Frontier::new();
        let mut lines = Vec::new();
        for (_, path) in segments {
            for text in std::fs::read_to_string(path).unwrap().lines() {
                let line = line::parse(text.as_bytes()).unwrap();
                assert_eq!(line.seq, lines.len() as u64);
                assert_eq!(line.prev_hash, previous);
                assert_eq!(line.hash(), line.chain_hash);
                assert!(mac.verify(&line.chain_hash, &line.signature));
                if let Some(raw) = line.member("note") {
                    let signed: String = serde_json::from_slice(raw).unwrap();
                    let text = note::open(&signed, &[note::Verifier::parse(vkey.trim()).unwrap()]);
                    let checkpoint = note::Checkpoint::parse(text.unwrap()).unwrap();
                    assert_eq!(
                        (checkpoint.size, checkpoint.root),
                        (frontier.size(), frontier.root())
                    );
                }
                frontier.push(merkle::leaf(&line.chain_hash));
                previous = line.chain_hash;
                lines.push(text.to_owned());
            }
        }
        lines
    }
}

fn batch(bodies: &[&str]) -> Batch {
    let mut batch = Batch::default();
    for body in bodies {
        let start = batch.bytes.len();
        batch.bytes.extend_from_slice(format!("\"event_type\":\"t\",\"x\":\"{body}\"").as_bytes());
        let range = start..batch.bytes.len();
        batch.items.push(Item { range, kind: Kind::Record, ticket: None });
    }
    batch
}

fn types(lines: &[String]) -> Vec<String> {
    lines.iter().map(|text| line::parse(text.as_bytes()).unwrap().event_type.to_owned()).collect()
}

#[test]
fn a_session_is_sealed_and_the_next_one_goes_on() {
    let bench = Bench::new();
    for round in 0..2 {
        let (recovered, done) = bench.session(|queue| {
            queue.send_blocking(batch(&["a", "b"])).unwrap();
        });
        done.unwrap();
        assert_eq!(recovered.is_new, round == 0);
    }
    let lines = bench.check();
    let session = ["daemon_start", "checkpoint", "t", "t", "daemon_stop", "checkpoint"];
    let expected: Vec<&str> = ["segment_open"].into_iter().chain(session).chain(session).collect();
    assert_eq!(types(&lines), expected);
    assert!(lines[1].contains("\"clean\":true") && lines[7].contains("\"clean\":true"));
}

#[test]
fn rolls_by_size_and_keeps_one_chain() {
    let mut bench = Bench::new();
    bench.config.segment_size = ByteSize(4096);
    let (_, done) = bench.session(|queue| {
        for _ in 0..40 {
            queue.send_blocking(batch(&["some text to fill the segment"])).unwrap();
        }
    });
    done.unwrap();
    let (segments, highest) = segment::list(&bench.config.dir).unwrap();
    assert!(segments.len() > 2, "{} segments", segments.len());
    assert_eq!(highest, segments.len() as u64);
    let lines = bench.check();
    assert_eq!(types(&lines).iter().filter(|t| *t == "t").count(), 40);
    let (ledger, _) = bench.open().unwrap();
    assert_eq!(ledger.seq, lines.len() as u64);
}

#[test]
fn a_second_writer_is_refused() {
    let bench = Bench::new();
    let held = bench.open().unwrap();
    assert!(matches!(bench.open(), Err(Error::InUse(_))));
    drop(held);
    bench.open().unwrap();
}

#[test]
fn a_torn_tail_is_copied_cut_and_sealed_as_evidence() {
    let bench = Bench::new();
    bench.session(|queue| queue.send_blocking(batch(&["a"])).unwrap()).1.unwrap();
    let (segments, _) = segment::list(&bench.config.dir).unwrap();
    let path = &segments[0].1;
    let mut bytes = std::fs::read(path).unwrap();
    bytes.extend_from_slice(b"{\"v\":1,\"stream\":\"torn");
    std::fs::write(path, &bytes).unwrap();
    let (recovered, done) = bench.session(|_| {});
    done.unwrap();
    let torn = recovered.torn.unwrap();
    assert_eq!(torn.bytes, 21);
    let copy = std::fs::read(path.with_file_name(&torn.file)).unwrap();
    assert_eq!(copy, b"{\"v\":1,\"stream\":\"torn");
    let lines = bench.check();
    assert_eq!(types(&lines)[6..9], ["recovery", "daemon_start", "checkpoint"]);
}

#[test]
fn a_tail_that_is_no_crash_stops_the_start() {
    let bench = Bench::new();
    bench.session(|queue| queue.send_blocking(batch(&["a"])).unwrap()).1.unwrap();
    let (segments, _) = segment::list(&bench.config.dir).unwrap();
    let text = std::fs::read_to_string(&segments[0].1).unwrap();
    let last = text.lines().last().unwrap();
    for tail in [
        last.to_owned(),
        last.replace("\"size\":5", "\"size\":4"),
        "garbage".to_owned(),
        last.replacen(&last[last.len() - 20..last.len() - 10], "0000000000", 1),
    ] {
        std::fs::write(&segments[0].1, format!("{text}{tail}\n")).unwrap();
        assert!(matches!(bench.open(), Err(Error::Tampered { line: 7 | 8, .. })), "{tail}");
    }
}

#[test]
fn an_empty_next_segment_left_by_a_crash_is_opened_anew() {
    let mut bench = Bench::new();
    bench.session(|_| {}).1.unwrap();
    let (segments, _) = segment::list(&bench.config.dir).unwrap();
    let next = segments[0].1.to_string_lossy().replace("00000001", "00000002");
    std::fs::write(&next, b"").unwrap();
    bench.config.segment_size = ByteSize(1);
    bench.session(|_| {}).1.unwrap();
    bench.check();
}

#[test]
fn missing_keys_are_never_made_again() {
    let bench = Bench::new();
    bench.session(|_| {}).1.unwrap();
    std::fs::remove_file(bench.config.dir.join("keys/mac.key")).unwrap();
    assert!(matches!(bench.open(), Err(Error::Key(_))));
    assert!(!bench.config.dir.join("keys/mac.key").exists());
}

fn ticket(n: u64, id: &str) -> Option<Ticket> {
    Some(Ticket { n, id: id.into(), key: queue::id_key("ingest", id) })
}

#[test]
fn a_record_sent_again_is_acknowledged_and_not_doubled() {
    let bench = Bench::new();
    let send = |queue: &Queue| {
        let replies = Arc::new(Replies::default());
        let body =
            "\"event_type\":\"t\",\"id\":\"r1\",\"origin\":{\"source\":\"ingest\",\"uid\":0}";
        for n in 1..=2 {
            let mut batch = Batch::default();
            batch.bytes.extend_from_slice(body.as_bytes());
            let range = 0..body.len();
            batch.items.push(Item { range, kind: Kind::Record, ticket: ticket(n, "r1") });
            batch.replies = Some(replies.clone());
            queue.send_blocking(batch).unwrap();
        }
        let mut told = Vec::new();
        while told.len() < 2 {
            bench.runtime.block_on(replies.ready());
            told.extend(replies.take());
        }
        assert_eq!(told[0].outcome, told[1].outcome);
        told[0].outcome.clone()
    };
    let mut first = None;
    bench.session(|queue| first = Some(send(queue))).1.unwrap();
    bench.session(|queue| assert_eq!(Some(send(queue)), first, "after a restart")).1.unwrap();
    assert_eq!(types(&bench.check()).iter().filter(|t| *t == "t").count(), 1);
}

#[test]
fn positions_come_back_from_entries_and_from_segment_open() {
    let mut bench = Bench::new();
    bench.config.segment_size = ByteSize(4096);
    let span = |end: u64| FileSpan {
        path: "/log/a".into(),
        id: FileId { dev: 1, inode: 2, head: [3; 8] },
        start: end - 10,
        end,
        crc: 7,
    };
    bench
        .session(|queue| {
            for n in 1..=30u64 {
                let mut batch = batch(&["x"]);
                let span = span(n * 10);
                let position = Position { source: "app".into(), span, sealed_at: 0 };
                batch.positions.push(position);
                queue.send_blocking(batch).unwrap();
            }
        })
        .1
        .unwrap();
    let (recovered, _) = bench.session(|_| {});
    // The bodies here carry no origin, so what comes back is what the last segment_open said.
    let end = recovered.positions[0].span.end;
    assert!(end > 10 && end <= 300 && recovered.positions[0].span == span(end), "{end}");
}

#[test]
fn a_full_disk_holds_the_sources_and_nothing_is_lost() {
    for (operation, errno) in [
        (Operation::Write, 28),
        (Operation::Sync, 28),
        (Operation::Sync, 5),
        (Operation::Create, 28),
    ] {
        let mut bench = Bench::new();
        bench.config.segment_size = ByteSize(4096);
        bench.session(|_| {}).1.unwrap();
        bench.disk = Disk::faulty(vec![Fault { operation, after: 3, times: 2, errno }]);
        if operation == Operation::Create {
            bench.disk = Disk::faulty(vec![Fault { operation, after: 0, times: 2, errno }]);
        }
        let (_, done) = bench.session(|queue| {
            for n in 0..20 {
                queue.send_blocking(batch(&[&format!("record {n} {}", "x".repeat(400))])).unwrap();
            }
        });
        done.unwrap();
        let lines = bench.check();
        assert_eq!(types(&lines).iter().filter(|t| *t == "t").count(), 20, "{operation:?} {errno}");
        drop(bench.dir);
    }
}

#[test]
fn a_clock_set_back_is_sealed_as_a_step() {
    let mut bench = Bench::new();
    bench.clock = Clock::manual(1_793_000_000_000_000);
    bench.session(|_| {}).1.unwrap();
    bench.clock.set(1_793_000_000_000_000 - 7_200_000_000);
    bench.session(|queue| queue.send_blocking(batch(&["a"])).unwrap()).1.unwrap();
    let lines = bench.check();
    let step = types(&lines).iter().position(|t| t == "clock_step").unwrap();
    assert!(lines[step].contains("\"step_us\":-7200000000"));
    assert_eq!(types(&lines).iter().filter(|t| *t == "segment_open").count(), 1);
    for pair in lines.windows(2) {
        let time = |l: &str| line::parse(l.as_bytes()).unwrap().recorded_at.to_owned();
        assert!(time(&pair[0]) <= time(&pair[1]) || pair[1].contains("\"clock_step\""));
    }
}

#[test]
fn a_follower_sees_every_durable_entry_once_and_nothing_more() {
    let mut bench = Bench::new();
    bench.config.segment_size = ByteSize(4096);
    let (ledger, _) = bench.open().unwrap();
    let head = ledger.head();
    let dir = bench.config.dir.clone();
    let (queue, messages) = queue::bounded(1 << 20, bench.runtime.handle().clone());
    let start = Start { config_hash: "c".into(), policy_hash: "p".into() };
    let (ready, _is_ready) = tokio::sync::oneshot::channel();
    let own = queue.clone();
    let thread = std::thread::spawn(move || ledger.run(&start, (own, &messages), ready));
    let mut follower = follow::Follower::new(&dir, Place { segment: 1, offset: 0 }, head.clone());
    let (mut seen, mut places) = (Vec::new(), Vec::new());
    let mut drain = |follower: &mut follow::Follower| {
        while let Some((place, bytes)) = follower.advance().unwrap() {
            places.push(place);
            seen.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
    };
    for round in 0..60 {
        queue.send_blocking(batch(&["some text to fill the segment"])).unwrap();
        if round == 30 {
            let archiver = archive::Archiver::new(
                &dir,
                std::time::Duration::ZERO,
                (Disk::default(), Clock::System),
            );
            archiver.round(&crate::stop::Stop::default()).unwrap();
        }
        if round % 7 == 0 {
            drain(&mut follower);
        }
    }
    queue.tell(Message::Stop).unwrap();
    thread.join().unwrap().unwrap();
    drain(&mut follower);
    for (at, text) in seen.iter().enumerate() {
        assert_eq!(line::parse(text.as_bytes()).unwrap().seq, at as u64);
    }
    assert_eq!(types(&seen).iter().filter(|t| *t == "t").count(), 60);
    assert_eq!(types(&seen).last().unwrap(), "checkpoint");
    for (place, text) in places.iter().zip(&seen).step_by(9) {
        assert_eq!(follow::entry_at(&dir, *place).unwrap(), text.as_bytes());
        let seq = line::parse(text.as_bytes()).unwrap().seq;
        assert_eq!(follow::segment_of(&dir, seq).unwrap().unwrap().segment, place.segment);
    }
}

#[test]
fn every_durability_seals_the_same() {
    for durability in [config::Durability::Group, config::Durability::Each, config::Durability::Os]
    {
        let mut bench = Bench::new();
        bench.config.durability = durability;
        bench.session(|queue| queue.send_blocking(batch(&["a", "b", "c"])).unwrap()).1.unwrap();
        assert_eq!(types(&bench.check()).iter().filter(|t| *t == "t").count(), 3, "{durability:?}");
    }
}

/// The `x` of every record, in the order of the ledger.
fn records(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .filter_map(|text| {
            let raw = line::parse(text.as_bytes()).unwrap().member("x")?.to_vec();
            Some(serde_json::from_slice(&raw).unwrap())
        })
        .collect()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    /// However much of what was not yet promised a crash takes, going on from there gives the
    /// ledger that there would have been: every record once, in order, on one chain.
    #[test]
    fn crash_recover_continue_equals_never_having_crashed(
        total in 1usize..40, cuts in proptest::collection::vec(0.0f64..1.0, 1..4), small: bool,
    ) {
        let mut bench = Bench::new();
        bench.config.segment_size = ByteSize(if small { 4096 } else { 1 << 20 });
        let wanted: Vec<String> = (0..total).map(|n| format!("record {n}")).collect();
        let feed = |bench: &Bench, from: usize| {
            bench
                .session(|queue| {
                    for text in &wanted[from..] {
                        queue.send_blocking(batch(&[text])).unwrap();
                    }
                })
                .1
                .unwrap();
        };
        feed(&bench, 0);
        for cut in cuts {
            let (segments, _) = segment::list(&bench.config.dir).unwrap();
            let path = &segments.last().unwrap().1;
            let bytes = std::fs::read(path).unwrap();
            let first = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
            let keep = first + ((bytes.len() - first) as f64 * cut) as usize;
            std::fs::write(path, &bytes[..keep]).unwrap();
            let (_, done) = bench.session(|_| {});
            done.unwrap();
            let there = records(&bench.check());
            proptest::prop_assert_eq!(&there[..], &wanted[..there.len()]);
            feed(&bench, there.len());
            proptest::prop_assert_eq!(records(&bench.check()), wanted.clone());
        }
    }
}
