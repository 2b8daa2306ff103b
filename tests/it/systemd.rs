//! What the daemon tells systemd (sd_notify(3)), and what the unit that is shipped asks of it.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test helpers: a failure here is a failed test"
)]

use crate::running::{PATIENCE, PROGRAM, Running, have, until};
use rustix::process::Signal;
use std::{
    os::{linux::net::SocketAddrExt, unix::net::UnixDatagram},
    path::Path,
    process::{Command, Output},
};

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/veritail.service");

/// systemd's end of the notification socket.
struct Notified(UnixDatagram);

impl Notified {
    fn new(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Notified(socket)
    }

    fn next(&self) -> String {
        let mut heard = [0; 1024];
        let length = self.0.recv(&mut heard).unwrap();
        String::from_utf8(heard[..length].to_vec()).unwrap()
    }

    /// The next message that says `state`; those before it must be the watchdog's food.
    fn expect(&self, state: &str) -> String {
        loop {
            let told = self.next();
            if told.lines().any(|line| line == state) {
                return told;
            }
            assert_eq!(told, "WATCHDOG=1", "while waiting for {state}");
        }
    }
}

fn monotonic_micros() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

#[test]
fn ready_watchdog_reload_stop() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let systemd = Notified::new(UnixDatagram::bind(&path).unwrap());
    let socket = path.display().to_string();
    let environment = [("NOTIFY_SOCKET", socket.as_str()), ("WATCHDOG_USEC", "200000")];
    let mut daemon = Running::start("", &environment);

    systemd.expect("READY=1");
    // Ready means that a record can be sent, now.
    std::os::unix::net::UnixStream::connect(daemon.path("ingest.sock")).unwrap();
    systemd.expect("WATCHDOG=1");
    systemd.expect("WATCHDOG=1");

    let before = monotonic_micros();
    daemon.signal(Signal::HUP);
    let told = systemd.expect("RELOADING=1");
    let micros = told.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    let micros: i64 = micros.parse().unwrap();
    assert!((before..=monotonic_micros()).contains(&micros), "{told}");
    systemd.expect("READY=1");

    daemon.signal(Signal::TERM);
    systemd.expect("STOPPING=1");
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    let types: Vec<_> = daemon.entries().iter().map(|e| e["event_type"].clone()).collect();
    assert!(types.contains(&"config_reload".into()), "{types:?}");
}

#[test]
fn a_reload_that_is_refused_ends_ready_too() {
    let name = format!("veritail-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let systemd = Notified::new(UnixDatagram::bind_addr(&address).unwrap());
    let mut daemon = Running::start("", &[("NOTIFY_SOCKET", &format!("@{name}"))]);
    systemd.expect("READY=1");
    std::fs::write(daemon.path("veritail.toml"), "version = 1\n[ledgre]\n").unwrap();
    daemon.signal(Signal::HUP);
    systemd.expect("RELOADING=1");
    systemd.expect("READY=1");
    until("the refusal in the log", || daemon.log().contains("config refused"));
    std::os::unix::net::UnixStream::connect(daemon.path("ingest.sock")).unwrap();
    daemon.stop();
    systemd.expect("STOPPING=1");
}

fn analyze(arguments: &[&str], unit: &Path) -> Output {
    Command::new("systemd-analyze").args(arguments).arg(unit).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn the_unit_is_hardened() {
    if !have("systemd-analyze", "the_unit_is_hardened") {
        return;
    }
    let scored =
        analyze(&["security", "--offline=yes", "--threshold=20", "--no-pager"], Path::new(UNIT));
    let said = text(&scored);
    if said.contains("unrecognized option") {
        eprintln!("SKIPPED: the_unit_is_hardened: this systemd-analyze cannot score offline");
        return;
    }
    assert!(scored.status.success(), "{said}");
    assert!(said.contains("Overall exposure level"), "{said}");
}

#[test]
fn systemd_understands_the_unit_and_its_drop_in() {
    if !have("systemd-analyze", "systemd_understands_the_unit_and_its_drop_in") {
        return;
    }
    let unit = std::fs::read_to_string(UNIT).unwrap();
    assert!(unit.contains("/usr/local/bin/veritail run"), "the test below looks for it");
    let dir = tempfile::tempdir().unwrap();
    let installed = dir.path().join("veritail.service");
    // Where the program is belongs to the machine; everything else is checked as shipped.
    std::fs::write(&installed, unit.replace("/usr/local/bin/veritail", PROGRAM)).unwrap();
    let drop_in = dir.path().join("veritail.service.d");
    std::fs::create_dir(&drop_in).unwrap();
    let credentials = Path::new(UNIT).with_file_name("credentials.conf");
    std::fs::copy(credentials, drop_in.join("credentials.conf")).unwrap();
    let verified = analyze(&["verify", "--man=no"], &installed);
    let complaints: String =
        text(&verified).lines().filter(|line| line.contains("veritail")).collect();
    assert!(verified.status.success() && complaints.is_empty(), "{}", text(&verified));
}

/// The unit gives the daemon more time than it takes: a promise between two files.
#[test]
fn the_unit_waits_longer_than_the_daemon_drains() {
    let unit = std::fs::read_to_string(UNIT).unwrap();
    let stop = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    let shown = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/veritail.toml");
    let config = std::fs::read_to_string(shown).unwrap();
    let deadline = config.lines().find_map(|line| line.strip_prefix("# deadline = \"")).unwrap();
    let deadline: u64 = deadline.trim_end_matches("s\"").parse().unwrap();
    // After the deadline the ledger has two more seconds to let go.
    assert!(stop.parse::<u64>().unwrap() > deadline + 2, "{stop} against {deadline}");
}
