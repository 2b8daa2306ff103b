//! What hurt users of other log shippers, as tests of the daemon from outside.
//!
//! | pain | where |
//! |---|---|
//! | 1 rotated while down, 3 same header, 4 copytruncate, 5 inotify exhausted, 6 record in many writes, 7 compressed rotation, 9 corrupt state, 10 lost metadata, 18 memory, 20 shutdown, 21 stop and kill in a loop, 22 stale socket, 23 old timestamps | here |
//! | 2 inode reuse, 8 rewritten faster than a poll | unit tests of the file source, which can arrange them exactly |
//! | 11 power loss between write, sync and rename | there is no state but the ledger: `crash.rs`, `disk.rs` |
//! | 12–17 sinks: refused, retried, stalled, hung, partial, too large | there are no sinks yet |
//! | 19 disk full | `disk.rs` |
//! | 21 SIGKILL at random | `crash.rs` |
//! | 23 clock steps and time zones | unit tests of the ledger, which can set the clock |
//! | 24 config | golden files of the config |

use crate::{
    client::Client,
    daemon::{Bench, Settings, append, ids, record, records, until},
    sealed,
};
use flate2::{Compression, write::GzEncoder};
use rustix::process::Signal;
use std::{
    fs,
    io::Write,
    os::unix::net::UnixListener,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

fn rotated(bench: &Bench, n: usize) -> PathBuf {
    bench.file.with_file_name(format!("app.ndjson.{n}"))
}

#[test]
fn pain_01_rotated_while_down() {
    let bench = Bench::new();
    let daemon = bench.start();
    bench.append(&records("a", 800));
    bench.wait_sealed(800);
    daemon.kill();
    bench.append(&records("b", 400));
    fs::rename(&bench.file, rotated(&bench, 1)).unwrap();
    bench.append(&records("c", 400));
    fs::rename(rotated(&bench, 1), rotated(&bench, 2)).unwrap();
    fs::rename(&bench.file, rotated(&bench, 1)).unwrap();
    bench.append(&records("d", 400));
    let daemon = bench.start();
    bench.wait_sealed(2000);
    daemon.stop();
    let expected: Vec<String> = [("a", 800), ("b", 400), ("c", 400), ("d", 400)]
        .iter()
        .flat_map(|p| ids(p.0, p.1))
        .collect();
    assert!(sealed::ids(&bench.ledger) == expected, "not each once and in order");
    bench.verify();
}

#[test]
fn pain_03_same_header() {
    let bench = Bench::new();
    let header = format!("{{\"id\":\"header\",\"prompt\":\"{}\"}}", "x".repeat(4096));
    let other = bench.file.with_file_name("other.ndjson");
    fs::write(&bench.file, format!("{header}\n{}\n", record("one"))).unwrap();
    fs::write(&other, format!("{header}\n{}\n", record("two"))).unwrap();
    fs::write(bench.file.with_file_name("empty.ndjson"), "").unwrap();
    fs::write(bench.file.with_file_name("byte.ndjson"), "\n").unwrap();
    let daemon = bench.start();
    bench.wait_sealed(4);
    // Rewritten with the same first line, and past where it was read to.
    let more = records("more", 20).join("\n");
    fs::write(&bench.file, format!("{header}\n{more}\n")).unwrap();
    bench.wait_sealed(25);
    daemon.stop();
    let all = sealed::ids(&bench.ledger);
    let times = |id: &str| all.iter().filter(|other| *other == id).count();
    assert_eq!((times("one"), times("two"), times("header"), times("more-19")), (1, 1, 3, 1));
    bench.verify();
}

#[test]
fn pain_04_copytruncate() {
    let bench = Bench::new();
    let daemon = bench.start();
    let mut written = Vec::new();
    for round in 0..6 {
        let prefix = format!("r{round}");
        for line in records(&prefix, 100) {
            bench.append(&[line]);
        }
        written.extend(ids(&prefix, 100));
        fs::copy(&bench.file, rotated(&bench, round + 1)).unwrap();
        fs::File::options().write(true).open(&bench.file).unwrap().set_len(0).unwrap();
    }
    bench.append(&[record("end")]);
    until("the last record is sealed", || {
        sealed::ids(&bench.ledger).contains(&"end".to_owned()).then_some(())
    });
    daemon.stop();
    bench.verify();
    let sealed: Vec<String> = sealed::ids(&bench.ledger);
    let unique: std::collections::BTreeSet<_> = sealed.iter().collect();
    assert_eq!(unique.len(), sealed.len(), "a record was doubled");
    let lost = written.iter().filter(|id| !unique.contains(id)).count();
    let told = sealed::of_type(&bench.ledger, "gap").len();
    assert!(lost == 0 || told > 0, "{lost} records are lost, and nothing tells");
    assert!(sealed::of_type(&bench.ledger, "quarantine").is_empty(), "read from mid-record");
}

/// In a user namespace of its own, which may have no inotify instance at all.
#[test]
fn pain_05_inotify_exhausted() {
    let limit = "echo 0 > /proc/sys/user/max_inotify_instances";
    let allowed = Command::new("unshare")
        .args(["-U", "-r", "sh", "-c", limit])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !allowed {
        eprintln!("SKIPPED: this test must limit inotify in a user namespace of its own");
        return;
    }
    let bench = Bench::new();
    let script = format!("{limit} && exec \"$0\" run -c veritail.toml");
    let mut command = Command::new("unshare");
    command.args(["-U", "-r", "sh", "-c", &script, crate::daemon::PROGRAM]).current_dir(&bench.dir);
    let mut daemon = bench.launch(command);
    daemon.wait_ready();
    for n in 0..20 {
        bench.append(&records(&format!("p{n}"), 10));
        // Once something is sealed: what was rotated before the first look is not the daemon's.
        if n > 0 && n % 5 == 0 {
            bench.wait_sealed(n * 10);
            fs::rename(&bench.file, rotated(&bench, n + 1)).unwrap();
        }
    }
    bench.wait_sealed(200);
    let log = daemon.stop();
    assert_eq!(log.matches("files are polled").count(), 1, "it must say so once:\n{log}");
    sealed::assert_once(&bench.ledger, (0..20).flat_map(|n| ids(&format!("p{n}"), 10)));
    bench.verify();
}

/// Each record in up to seven writes, rotation between any two, the writer keeping its descriptor.
#[test]
fn pain_06_record_in_many_writes() {
    let bench = Bench::with(&Settings { file: "poll_interval = \"10ms\"", ..Settings::default() });
    let daemon = bench.start();
    let mut rotations = 0;
    for (n, line) in records("w", 400).into_iter().enumerate() {
        let line = line + "\n";
        let mut file = fs::File::options().create(true).append(true).open(&bench.file).unwrap();
        for (part, piece) in line.as_bytes().chunks(line.len() / (1 + n % 7) + 1).enumerate() {
            file.write_all(piece).unwrap();
            if n % 20 == 19 && part == n / 20 % 3 && bench.file.exists() {
                rotations += 1;
                fs::rename(&bench.file, rotated(&bench, 1000 - rotations)).unwrap();
            }
        }
    }
    bench.wait_sealed(400);
    daemon.stop();
    assert!(rotations > 10);
    sealed::assert_once(&bench.ledger, ids("w", 400));
    assert!(sealed::of_type(&bench.ledger, "quarantine").is_empty());
    bench.verify();
}

#[test]
fn pain_07_compressed_while_down() {
    let bench = Bench::new();
    let daemon = bench.start();
    bench.append(&records("a", 300));
    bench.wait_sealed(300);
    daemon.kill();
    bench.append(&records("b", 300));
    let bytes = fs::read(&bench.file).unwrap();
    fs::remove_file(&bench.file).unwrap();
    // Two members, as appending to a compressed file makes them.
    let mut packed = Vec::new();
    for part in bytes.chunks(bytes.len() / 2 + 1) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(part).unwrap();
        packed.extend(encoder.finish().unwrap());
    }
    fs::write(bench.file.with_file_name("app.ndjson.1.gz"), packed).unwrap();
    bench.append(&records("c", 50));
    let daemon = bench.start();
    bench.wait_sealed(650);
    daemon.stop();
    let all = [("a", 300), ("b", 300), ("c", 50)];
    sealed::assert_once(&bench.ledger, all.iter().flat_map(|(prefix, n)| ids(prefix, *n)));
    bench.verify();
}

/// A ledger that was tampered with is refused with the place and the remedy, at once and every time;
/// it is never "repaired", and there is no panic, whichever byte it is.
#[test]
fn pain_09_corrupt_state_no_crash_loop() {
    let bench = Bench::new();
    let daemon = bench.start();
    bench.append(&records("a", 20));
    bench.wait_sealed(20);
    daemon.stop();
    let segment = sealed::segments(&bench.ledger).pop().unwrap();
    let good = fs::read(&segment).unwrap();
    let last_line = good[..good.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    let places = (0..good.len()).step_by(good.len() / 25).chain([last_line, good.len() - 2]);
    for at in places {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&segment, &bad).unwrap();
        let mut daemon = bench.spawn(&[]);
        let code = daemon.wait().code();
        let log = daemon.log();
        let refused = code == Some(1) && log.contains("veritail verify") || code == Some(78);
        assert!(refused, "byte {at}: {code:?}\n{log}");
        assert!(fs::read(&segment).unwrap() == bad, "byte {at}: the evidence was changed");
    }
    fs::write(&segment, &good).unwrap();
    // What does not belong there does not matter.
    for name in ["audit_junk.jsonl", "notes.txt", "audit_2026-01-01.00000009.jsonl.torn-1"] {
        fs::write(bench.ledger.join(name), "junk").unwrap();
    }
    let daemon = bench.start();
    bench.append(&records("b", 5));
    bench.wait_sealed(25);
    daemon.stop();
    sealed::assert_once(&bench.ledger, ids("a", 20).into_iter().chain(ids("b", 5)));
}

#[test]
fn pain_10_metadata_lost() {
    let bench = Bench::with(&Settings { ledger: "segment_size = \"8KiB\"", ..Settings::default() });
    let daemon = bench.start();
    bench.append(&records("a", 60));
    bench.wait_sealed(60);
    daemon.kill();
    fs::remove_file(bench.ledger.join("ledger.lock")).unwrap();
    // What a crash in a roll leaves: the next segment's file, with nothing in it.
    let count = sealed::segments(&bench.ledger).len();
    let newest = sealed::segments(&bench.ledger).pop().unwrap();
    let name = newest.file_name().unwrap().to_str().unwrap();
    let next = name.replace(&format!("{count:08}"), &format!("{:08}", count + 1));
    assert_ne!(name, next);
    fs::write(bench.ledger.join(next), "").unwrap();
    let daemon = bench.start();
    bench.append(&records("b", 10));
    bench.wait_sealed(70);
    daemon.stop();
    sealed::assert_once(&bench.ledger, ids("a", 60).into_iter().chain(ids("b", 10)));
    bench.verify();
    // Without its key it must not go on under another.
    fs::remove_file(bench.ledger.join("keys/signing.key")).unwrap();
    let mut daemon = bench.spawn(&[]);
    assert_eq!(daemon.wait().code(), Some(78), "{}", daemon.log());
    assert!(!bench.ledger.join("keys/signing.key").exists(), "no key is made up");
}

/// A backlog far larger than the memory it may take.
#[test]
fn pain_18_memory() {
    let bench = Bench::new();
    let filler = "word ".repeat(3000);
    let mut bytes = Vec::new();
    for n in 0..6000 {
        writeln!(bytes, "{{\"id\":\"m-{n}\",\"user_id\":\"u\",\"prompt\":\"{filler}\"}}").unwrap();
    }
    assert!(bytes.len() > 80 << 20);
    append(&bench.file, &bytes);
    drop(bytes);
    let daemon = bench.start();
    until("the backlog is sealed", || {
        (daemon.metric("records_sealed_total") == 6000).then_some(())
    });
    let (_, peak) = daemon.memory();
    assert!(peak < 64 << 10, "{peak} KiB at the peak");
    daemon.stop();
    sealed::assert_once(&bench.ledger, ids("m", 6000));
}

#[test]
fn pain_20_shutdown_drains() {
    let bench = Bench::new();
    let daemon = bench.start();
    bench.append(&records("early", 3000));
    let file = bench.file.clone();
    let over = std::sync::atomic::AtomicBool::new(false);
    let late = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut count = 0;
            while !over.load(std::sync::atomic::Ordering::SeqCst) {
                append(&file, (record(&format!("late-{count}")) + "\n").as_bytes());
                count += 1;
                thread::sleep(Duration::from_millis(1));
            }
            count
        });
        daemon.stop();
        over.store(true, std::sync::atomic::Ordering::SeqCst);
        writer.join().unwrap()
    });
    let sealed = sealed::ids(&bench.ledger);
    let early = sealed.iter().filter(|id| id.starts_with("early-")).count();
    assert_eq!(early, 3000, "what was written before the signal is sealed at the end");
    bench.verify();
    assert_eq!(sealed::of_type(&bench.ledger, "daemon_stop").len(), 1);
    let daemon = bench.start();
    bench.wait_sealed(3000 + late);
    daemon.stop();
    sealed::assert_once(&bench.ledger, ids("early", 3000).into_iter().chain(ids("late", late)));
}

/// Stopped by SIGTERM and by SIGKILL in turn over one long file.
#[test]
fn pain_21_stopped_in_a_loop() {
    let bench =
        Bench::with(&Settings { ledger: "segment_size = \"256KiB\"", ..Settings::default() });
    bench.append(&records("l", 8000));
    let mut sealed = 0;
    for round in 0..12 {
        let daemon = bench.start();
        until("it makes progress", || {
            (sealed == 8000 || daemon.metric("records_sealed_total") > 0).then_some(())
        });
        if round % 2 == 0 {
            daemon.kill();
        } else {
            daemon.signal(Signal::TERM);
            drop(daemon);
        }
        sealed = sealed::records(&bench.ledger).len();
    }
    let daemon = bench.start();
    bench.wait_sealed(8000);
    daemon.stop();
    assert!(sealed::ids(&bench.ledger) == ids("l", 8000), "not each once and in order");
    bench.verify();
}

#[test]
fn pain_22_socket_stale_live_mode() {
    let bench = Bench::with(&Settings { unix: "mode = \"0640\"", ..Settings::default() });
    bench.start().kill();
    assert!(bench.socket.exists(), "a killed daemon leaves its socket");
    let daemon = bench.start();
    assert_eq!(Client::connect(&bench.socket).ask(&record("a"))["ack"], "a");
    daemon.stop();
    // Somebody else listens there.
    let theirs = UnixListener::bind(&bench.socket).unwrap();
    let mut refused = bench.spawn(&[]);
    assert_eq!(refused.wait().code(), Some(1));
    assert!(refused.log().contains("is in use"), "{}", refused.log());
    assert!(bench.socket.exists(), "theirs is left alone");
    drop(theirs);
    fs::remove_file(&bench.socket).unwrap();
    fs::write(&bench.socket, "a file").unwrap();
    let mut refused = bench.spawn(&[]);
    assert_eq!(refused.wait().code(), Some(1));
    assert!(refused.log().contains("is no socket"), "{}", refused.log());
    assert_eq!(fs::read(&bench.socket).unwrap(), b"a file");
    bench.verify();
}

/// What was late keeps its own time; the ledger's time is its own and only grows.
#[test]
fn pain_23_old_and_odd_timestamps() {
    let bench = Bench::new();
    let daemon = bench.start();
    let times = ["2020-02-29T23:59:59Z", "2026-03-29T02:30:00+02:00", "2099-01-01T00:00:00Z"];
    for (n, time) in times.iter().enumerate() {
        bench.append(&[format!("{{\"id\":\"t-{n}\",\"timestamp\":\"{time}\",\"prompt\":\"x\"}}")]);
    }
    bench.wait_sealed(3);
    daemon.stop();
    for (entry, time) in sealed::records(&bench.ledger).iter().zip(times) {
        assert_eq!(entry["timestamp"], time);
    }
    let all = sealed::entries(&bench.ledger);
    let at: Vec<&str> = all.iter().map(|entry| entry["recorded_at"].as_str().unwrap()).collect();
    assert!(at.is_sorted(), "{at:?}");
    assert_eq!(sealed::segments(&bench.ledger).len(), 1, "a record's time rolls nothing");
    bench.verify();
}
