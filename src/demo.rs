//! `veritail demo`: the whole thing on one machine. An "application" reports calls through a socket
//! and a file, the real daemon (this program, run again as `veritail run`) seals them, asks a stand-in
//! for OpenRouter what it knows of each, compares yesterday with OpenRouter's own count, is stopped,
//! and its ledger is verified.

mod calls;
mod costs;
mod openrouter;

use crate::{
    clock::{self, Clock},
    config, json,
    reconcile::{self, Day},
    shutdown::Deadline,
    verify,
};
use calls::{Calls, FORGOTTEN};
use costs::Costs;
use indicatif::{ProgressBar, ProgressStyle};
use openrouter::OpenRouter;
use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::{fs::OpenOptionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Calls a second; a busy application's share of one sidecar, and readable in a terminal.
const RATE: u64 = 200;
/// Longest wait for the daemon to come up or go down.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the demo is told.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How long the application reports calls
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// Where everything is left to look at
    #[arg(long, default_value = "veritail-demo")]
    pub dir: PathBuf,
}

/// Why the demo could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {0}: {1}")]
    System(&'static str, io::Error),
    /// The daemon did not do its part.
    #[error("the daemon {0}; its log is {1}")]
    Daemon(&'static str, String),
    /// No day was compared.
    #[error("the daemon did not reconcile: {0}; its log is {1}")]
    Reconcile(String, String),
    /// The ledger could not be read.
    #[error(transparent)]
    Verify(#[from] verify::Error),
}

fn system(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |e| Error::System(what, e)
}

/// What the application did.
#[derive(Debug, Default)]
struct Reported {
    /// Those that are no calls left out.
    calls: u64,
    through_file: u64,
    through_socket: u64,
    acknowledged: u64,
    slowest: Duration,
}

/// Runs the demo and tells what it does line by line; returns the exit code of `verify`.
///
/// # Errors
/// When the daemon cannot be run on this machine.
pub fn run(options: &Options, tell: &mut dyn FnMut(&str)) -> Result<u8, Error> {
    let dir = &options.dir;
    let openrouter = OpenRouter::start().map_err(system("start the stand-in for OpenRouter"))?;
    // Once and for all: midnight may pass while the demo runs.
    let yesterday = Day::of(Clock::System.now()).before(1);
    let places = Places::prepare(dir, &openrouter.base_url())?;
    let before = costs(&places)?.settled;
    tell(&format!("veritail demo: everything it makes is in {}", dir.display()));
    let mut daemon = Daemon::start(&places)?;
    let calls = Calls::new(7, yesterday);
    let reported = application(&places, (calls, options.seconds), (&daemon, &openrouter))?;
    let costs = answered(&places, before + reported.calls)?;
    let reconciled = reconciled(&places, yesterday)?;
    daemon.stop()?;
    tell(&format!(
        "\nthe application reported {} calls through the socket ({} acknowledged, slowest after \
         {} ms) and {} through a file, one of them broken on purpose",
        reported.through_socket,
        reported.acknowledged,
        reported.slowest.as_millis(),
        reported.through_file
    ));
    summary(&places, tell)?;
    tell(&format!("\n{}", costs.to_text()));
    tell(&reconciled);
    let report = verify::verify(&verify::Options {
        paths: vec![places.ledger.clone()],
        now: Clock::System.now(),
        ..verify::Options::default()
    })?;
    tell(&format!("\n{}", report.to_text()));
    let (ledger, config) = (places.ledger.display(), places.config.display());
    let name = std::env::args().next().unwrap_or_else(|| "veritail".into());
    tell(&format!(
        "try next\n  \
         look at an entry         tail -n 3 {ledger}/audit_*.jsonl | head -n 1\n  \
         verify it yourself       {name} verify {ledger}\n  \
         see it noticed           sed -i '9s/success/SUCCESS/' {ledger}/audit_*.jsonl; {name} verify {ledger}\n  \
         what redaction does      echo '\"mail ana@example.com\"' | {name} redact --explain\n  \
         run it as a daemon       {name} run -c {config}"
    ));
    Ok(report.exit_code())
}

/// Where the demo keeps what.
struct Places {
    config: PathBuf,
    ledger: PathBuf,
    requests: PathBuf,
    socket: PathBuf,
    log: PathBuf,
}

impl Places {
    fn prepare(dir: &Path, base_url: &str) -> Result<Self, Error> {
        fs::create_dir_all(dir.join("requests")).map_err(system("create the demo's directory"))?;
        let dir = &fs::canonicalize(dir).map_err(system("find the demo's directory"))?;
        let places = Places {
            config: dir.join("veritail.toml"),
            ledger: dir.join("ledger"),
            requests: dir.join("requests/app.ndjson"),
            socket: dir.join("ingest.sock"),
            log: dir.join("daemon.log"),
        };
        let text = config::demo(dir, base_url);
        for (path, text) in [
            (&places.config, text.as_str()),
            (&dir.join("openrouter.key"), openrouter::KEY),
            (&dir.join("management.key"), openrouter::MANAGEMENT_KEY),
        ] {
            OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(true)
                .mode(0o600)
                .open(path)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .map_err(system("write the demo's config"))?;
        }
        Ok(places)
    }
}

/// The real daemon as a child process.
struct Daemon {
    child: Child,
    log: String,
}

impl Daemon {
    fn start(places: &Places) -> Result<Self, Error> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&places.log)
            .map_err(system("write the daemon's log"))?;
        let program = std::env::current_exe().map_err(system("find this program"))?;
        let child = Command::new(program)
            .args(["run", "-c"])
            .arg(&places.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(system("run the daemon"))?;
        let mut daemon = Daemon { child, log: places.log.display().to_string() };
        let deadline = Deadline::after(PATIENCE);
        while UnixStream::connect(&places.socket).is_err() {
            if daemon.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Err(Error::Daemon("did not start", daemon.log.clone()));
            }
            if deadline.left().is_zero() {
                return Err(Error::Daemon("did not open its socket", daemon.log.clone()));
            }
            clock::sleep(Duration::from_millis(10));
        }
        Ok(daemon)
    }

    fn stop(&mut self) -> Result<(), Error> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)
                .map_err(|e| Error::System("stop the daemon", e.into()))?;
        }
        let deadline = Deadline::after(PATIENCE);
        while !deadline.left().is_zero() {
            match self.child.try_wait().map_err(system("wait for the daemon"))? {
                Some(status) if status.success() => return Ok(()),
                Some(_) => return Err(Error::Daemon("did not end well", self.log.clone())),
                None => clock::sleep(Duration::from_millis(10)),
            }
        }
        Err(Error::Daemon("did not end in time", self.log.clone()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only reached alive when the demo itself failed; then nothing must be left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reports calls, half through the socket (each acknowledged before the next), half through a file.
fn application(
    places: &Places,
    (mut calls, seconds): (Calls, u64),
    (daemon, openrouter): (&Daemon, &OpenRouter),
) -> Result<Reported, Error> {
    let lost = |_: io::Error| Error::Daemon("closed its socket", daemon.log.clone());
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&places.requests)
        .map_err(system("write the application's file"))?;
    let socket = UnixStream::connect(&places.socket).map_err(lost)?;
    let mut answers = BufReader::new(socket.try_clone().map_err(lost)?);
    let mut socket = socket;
    socket.write_all(b"{\"type\":\"hello\",\"ack\":true}\n").map_err(lost)?;
    let total = seconds.max(1) * RATE;
    let bar = ProgressBar::new(total).with_style(
        ProgressStyle::with_template("calls  {bar:40} {pos}/{len}  {per_sec}  {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let run = Clock::System.now();
    let mut reported = Reported::default();
    let began = clock::monotonic();
    for n in 0..total {
        let call = calls.next(&format!("demo-{run}"), Clock::System.now());
        let line = format!("{call}\n");
        openrouter.prepare(n, &call);
        if n == FORGOTTEN {
            bar.inc(1);
            continue;
        }
        reported.calls += 1;
        if n % 2 == 0 {
            let sent = clock::monotonic();
            socket.write_all(line.as_bytes()).map_err(lost)?;
            let mut answer = String::new();
            answers.read_line(&mut answer).map_err(lost)?;
            reported.through_socket += 1;
            reported.acknowledged += u64::from(answer.starts_with("{\"ack\""));
            reported.slowest = reported.slowest.max(sent.elapsed());
        } else {
            let broken = n == 1;
            reported.calls -= u64::from(broken);
            let line = if broken { "{\"user_id\": \"u-1001\", broken\n" } else { &line };
            file.write_all(line.as_bytes()).map_err(system("write the application's file"))?;
            reported.through_file += 1;
        }
        bar.inc(1);
        let next = Duration::from_millis((n + 1) * 1000 / RATE);
        clock::sleep(next.saturating_sub(began.elapsed()));
    }
    bar.finish();
    Ok(reported)
}

fn costs(places: &Places) -> Result<Costs, Error> {
    if places.ledger.exists() {
        return Costs::read(&places.ledger).map_err(system("read the ledger"));
    }
    Ok(Costs::default())
}

/// Waits until so many calls have their answer, or the word that there is none.
fn answered(places: &Places, calls: u64) -> Result<Costs, Error> {
    let bar = ProgressBar::new(calls).with_style(
        ProgressStyle::with_template("costs  {bar:40} {pos}/{len}  {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let deadline = Deadline::after(PATIENCE);
    loop {
        let costs = costs(places)?;
        bar.set_position(costs.settled);
        if costs.settled >= calls || deadline.left().is_zero() {
            bar.finish();
            return Ok(costs);
        }
        clock::sleep(Duration::from_millis(200));
    }
}

/// Has the daemon compare the day and seal what came out, as `veritail reconcile` does beside a
/// running daemon, and says what it found.
fn reconciled(places: &Places, day: Day) -> Result<String, Error> {
    let failed = |why: String| Error::Reconcile(why, places.log.display().to_string());
    let answer = reconcile::ask_daemon(&places.ledger, day)
        .map_err(system("ask the daemon to reconcile"))?
        .ok_or_else(|| failed("it does not listen beside its ledger".into()))?;
    let (report, seq) = answer.map_err(failed)?;
    let lacks = &report.by_id.ledger_lacks;
    Ok(format!(
        "reconciliation of yesterday, sealed as entry {seq}\n{}missing from the ledger, made and \
         never reported: {} ({})",
        report.to_text(),
        lacks.count,
        lacks.ids.join(", ")
    ))
}

/// What is in the ledger, by event type, and what was scrubbed.
fn summary(places: &Places, tell: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let mut types = BTreeMap::<String, u64>::new();
    let mut scrubbed = BTreeMap::<String, u64>::new();
    let (segments, _) = crate::ledger::segment::list(&places.ledger)
        .map_err(|e| Error::System("read the ledger", io::Error::other(e)))?;
    for (_, path) in segments {
        let file = fs::File::open(path).map_err(system("read the ledger"))?;
        for line in BufReader::new(file).lines() {
            let line = line.map_err(system("read the ledger"))?;
            for (name, value) in json::members(line.as_bytes()).flatten() {
                match json::text::inner(name) {
                    b"event_type" => {
                        let kind = String::from_utf8_lossy(json::text::inner(value));
                        *types.entry(kind.into_owned()).or_default() += 1;
                    }
                    b"redactions" => {
                        let counts: BTreeMap<String, u64> =
                            serde_json::from_slice(value).unwrap_or_default();
                        for (kind, count) in counts {
                            *scrubbed.entry(kind).or_default() += count;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    let list = |of: &BTreeMap<String, u64>| {
        of.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
    };
    tell(&format!("sealed     {}", list(&types)));
    tell(&format!("scrubbed   {}", list(&scrubbed)));
    Ok(())
}
