//! A disk that is full or fails: sources are held, nothing is lost or doubled, and it goes on by
//! itself. `VERITAIL_FAULT` makes the daemon's own calls fail; a small tmpfs is really full.

use crate::{
    client::Client,
    daemon::{Bench, Daemon, PATIENCE, Settings, ids, record, records, until},
    sealed,
};
use rustix::process::Signal;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

const ENOSPC: u32 = 28;
const EIO: u32 = 5;

/// A tmpfs of a few MiB; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it where the bench's ledger will be; `None` where this is not allowed.
    fn mount(at: &Path) -> Option<SmallDisk> {
        fs::create_dir(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(at)
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("SKIPPED: this test must mount a tmpfs, which takes root");
        }
        mounted.then(|| SmallDisk(at.to_owned()))
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = fs::File::create(&ballast).unwrap();
        let mut size = 64 << 10;
        while size > 0 {
            if file.write_all(&vec![0; size]).is_err() {
                size /= 2;
            }
        }
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

fn wait_refused(daemon: &Daemon) {
    until("the daemon is not ready", || (daemon.get("/readyz").0 == 503).then_some(()));
    let (_, why) = daemon.get("/readyz");
    assert!(why.contains("the disk refuses entries") && why.contains("sources are held"), "{why}");
    assert_eq!(daemon.get("/healthz").0, 200, "held is not hung");
    assert_eq!(daemon.metric("ledger_writable"), 0);
}

#[test]
fn a_full_disk_holds_the_sources_and_goes_on_by_itself() {
    let bench = Bench::new();
    let Some(disk) = SmallDisk::mount(&bench.ledger) else { return };
    let daemon = bench.start();
    bench.append(&records("before", 50));
    bench.wait_sealed(50);
    let ballast = disk.fill();
    bench.append(&records("during", 3000));
    let mut client = Client::connect(&bench.socket);
    for line in records("sent", 20) {
        client.send(&line).unwrap();
    }
    wait_refused(&daemon);
    fs::remove_file(ballast).unwrap();
    for _ in 0..20 {
        assert!(client.answer().unwrap()["ack"].is_string());
    }
    bench.wait_sealed(3070);
    until("the daemon is ready again", || (daemon.get("/readyz").0 == 200).then_some(()));
    let log = daemon.stop();
    assert_eq!(count(&log, "the disk refuses entries"), 1, "{log}");
    assert_eq!(count(&log, "the disk takes entries again"), 1, "{log}");
    bench.verify();
    let all = ids("before", 50).into_iter().chain(ids("during", 3000)).chain(ids("sent", 20));
    sealed::assert_once(&bench.ledger, all);
}

/// Runs over a fault, and looks that everything is there once.
fn survives(fault: &str, settings: &Settings<'_>) {
    let bench = Bench::with(settings);
    let daemon = bench.start_with(&[("VERITAIL_FAULT", fault)]);
    bench.append(&records("f", 100));
    let mut client = Client::connect(&bench.socket);
    for line in records("s", 40) {
        let answer = client.ask(&line);
        assert!(answer["ack"].is_string(), "{fault}: {answer}");
    }
    bench.wait_sealed(140);
    assert!(daemon.metric("disk_refusals_total") > 0, "{fault} never happened");
    let log = daemon.stop();
    assert!(log.contains("the disk takes entries again"), "{fault}:\n{log}");
    bench.verify();
    sealed::assert_once(&bench.ledger, ids("f", 100).into_iter().chain(ids("s", 40)));
    // And the next start finds nothing odd.
    bench.start().stop();
    bench.verify();
}

#[test]
fn no_space_on_write() {
    survives(&format!("write:6:3:{ENOSPC}"), &Settings::default());
}

#[test]
fn no_space_on_sync() {
    survives(&format!("sync:8:2:{ENOSPC}"), &Settings::default());
}

/// After a failed sync the kernel may have dropped the pages: the bytes are written again.
#[test]
fn input_output_error_on_sync() {
    survives(&format!("sync:8:2:{EIO}"), &Settings::default());
}

#[test]
fn no_space_for_the_next_segment() {
    let settings = Settings { ledger: "segment_size = \"8KiB\"", ..Settings::default() };
    survives(&format!("create:4:2:{ENOSPC}"), &settings);
}

const SHORT: &str = "[shutdown]\ndeadline = \"1s\"";

/// Stops a daemon whose disk refuses: it must give up soon after the deadline, and say so.
fn gives_up(daemon: Daemon) {
    let asked = Instant::now();
    let log = daemon.stop_with(1);
    let took = asked.elapsed();
    // The deadline of a second, three more for the last try; the rest is for a busy machine.
    assert!(took < Duration::from_secs(1 + 3) + PATIENCE / 6, "took {took:?}:\n{log}");
}

#[test]
fn stopped_while_the_disk_refuses_it_says_so_and_loses_nothing_acknowledged() {
    let bench = Bench::with(&Settings { rest: SHORT, ..Settings::default() });
    // The start writes five times: the keys, and the first group.
    let daemon = bench.start_with(&[("VERITAIL_FAULT", &format!("write:9:1000000:{ENOSPC}"))]);
    let mut client = Client::connect(&bench.socket);
    let mut acknowledged = Vec::new();
    client.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    for (id, line) in ids("s", 50).into_iter().zip(records("s", 50)) {
        client.send(&line).unwrap();
        match client.answer() {
            Ok(answer) => acknowledged.push((id, answer["seq"].clone())),
            Err(_) => break,
        }
    }
    assert!(!acknowledged.is_empty() && acknowledged.len() < 50);
    bench.append(&records("f", 30));
    wait_refused(&daemon);
    gives_up(daemon);
    let sealed = sealed::records(&bench.ledger);
    for (id, seq) in &acknowledged {
        assert!(sealed.iter().any(|e| e["id"] == **id && e["seq"] == *seq), "{id} is lost");
    }
    let daemon = bench.start();
    let mut client = Client::connect(&bench.socket);
    for line in records("s", 50) {
        client.ask(&line);
    }
    bench.wait_sealed(80);
    daemon.stop();
    bench.verify();
    sealed::assert_once(&bench.ledger, ids("s", 50).into_iter().chain(ids("f", 30)));
}

#[test]
fn a_start_on_a_full_disk_can_be_stopped() {
    let bench = Bench::with(&Settings { rest: SHORT, ..Settings::default() });
    bench.start().stop();
    let mut daemon = bench.spawn(&[("VERITAIL_FAULT", &format!("write:0:1000000:{ENOSPC}"))]);
    daemon.wait_log("the disk refuses entries");
    assert_eq!(daemon.get("/readyz").0, 503);
    gives_up(daemon);
    let daemon = bench.start();
    bench.append(&[record("after")]);
    bench.wait_sealed(1);
    daemon.stop();
    bench.verify();
}

#[test]
fn sigint_twice_ends_it_at_once_even_then() {
    let bench = Bench::new();
    let mut daemon = bench.start_with(&[("VERITAIL_FAULT", &format!("write:9:1000000:{EIO}"))]);
    bench.append(&records("f", 10));
    bench.append(&records("g", 10));
    until("the disk refuses", || {
        bench.append(&[record("more")]);
        (daemon.get("/readyz").0 == 503).then_some(())
    });
    daemon.signal(Signal::INT);
    daemon.wait_log("draining");
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait().code(), Some(130), "{}", daemon.log());
}
