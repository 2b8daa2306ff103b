//! The daemon as a whole process: file → synced ledger (records and bytes a second, CPU, peak
//! memory), start to ready, and what it costs to do nothing. Run with `cargo bench`.
//!
//! Beside it runs a floor that only reads, hashes, writes and syncs the same bytes, so that figures
//! of a noisy machine can be compared as ratios of one run. `VERITAIL_BENCH_RECORDS` names a file of
//! records to use instead of the generated ones, `VERITAIL_BENCH_COUNT` how many to generate.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark is a program of its own: it measures time, prints, and stops when it fails"
)]

mod paced;
mod records;

use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(300);
const RUNS: usize = 3;

fn main() {
    // `cargo test --benches` only asks whether this builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let dir = tempfile::Builder::new().prefix("veritail-bench").tempdir_in(target()).unwrap();
    let (records, count) = input(dir.path());
    let bytes = fs::metadata(&records).unwrap().len();
    println!("{count} records, {:.1} MB\n", bytes as f64 / 1e6);
    println!("run  what          wall s    CPU s  records/s     MB/s  peak MiB");
    for run in 1..=RUNS {
        let floor = floor(&records, dir.path());
        row(run, "floor", &floor, (count, bytes));
        for content in ["hash", "redacted"] {
            let sealed = sealing(&records, dir.path(), (content, count));
            row(run, content, &sealed, (count, bytes));
        }
    }
    start_and_idle(dir.path());
    paced::compare(dir.path());
}

/// What one run took.
struct Took {
    wall: Duration,
    cpu: f64,
    peak: Option<u64>,
}

fn row(run: usize, what: &str, took: &Took, (count, bytes): (u64, u64)) {
    let wall = took.wall.as_secs_f64();
    println!(
        "{run:3}  {what:10} {wall:9.2} {:8.2} {:10.0} {:8.1}  {}",
        took.cpu,
        count as f64 / wall,
        bytes as f64 / 1e6 / wall,
        took.peak.map_or("-".into(), |kib| format!("{:.1}", kib as f64 / 1024.0)),
    );
}

/// On the disk that builds go to: `/tmp` is memory on many machines, where a sync costs nothing.
fn target() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

fn input(dir: &Path) -> (PathBuf, u64) {
    if let Ok(path) = std::env::var("VERITAIL_BENCH_RECORDS") {
        let count = BufReader::new(File::open(&path).unwrap()).split(b'\n').count() as u64;
        return (path.into(), count);
    }
    let count = std::env::var("VERITAIL_BENCH_COUNT").map_or(200_000, |n| n.parse().unwrap());
    let path = dir.join("records.ndjson");
    let mut out = BufWriter::new(File::create(&path).unwrap());
    let mut generator = records::Generator::new(7);
    for n in 0..count {
        out.write_all(generator.record(n).as_bytes()).unwrap();
    }
    out.flush().unwrap();
    (path, count)
}

/// CPU seconds (user and system) and peak resident KiB of a process, as the kernel counts them.
fn usage(pid: u32) -> (f64, u64) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    // USER_HZ is 100 on every Linux that Rust supports.
    (ticks as f64 / 100.0, peak.trim().trim_end_matches(" kB").parse().unwrap())
}

fn floor(records: &Path, dir: &Path) -> Took {
    let me = std::process::id();
    let (before, began) = (usage(me).0, Instant::now());
    let path = dir.join("floor");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&path).unwrap());
    let mut reader = BufReader::with_capacity(1 << 20, File::open(records).unwrap());
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).unwrap() > 0 {
        let digest = Sha256::digest(&line);
        out.write_all(&line).unwrap();
        out.write_all(&digest).unwrap();
        line.clear();
    }
    out.into_inner().unwrap().sync_data().unwrap();
    let took = Took { wall: began.elapsed(), cpu: usage(me).0 - before, peak: None };
    fs::remove_file(path).unwrap();
    took
}

/// The daemon over a ledger of its own.
struct Daemon {
    child: Child,
    admin: SocketAddr,
}

impl Daemon {
    fn start(dir: &Path, paths: &Path, content: &str) -> Self {
        Self::start_with(dir, paths, content, "")
    }

    fn start_with(dir: &Path, paths: &Path, content: &str, more: &str) -> Self {
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = dir.join("veritail.toml");
        let text = format!(
            "version = 1\n[ledger]\ndir = {:?}\nservice = \"bench\"\n[[source]]\nname = \"app\"\n\
             type = \"file\"\npaths = [{paths:?}]\n[redact]\ncontent = \"{content}\"\n\
             [admin]\nlisten = \"{admin}\"\n{more}",
            dir.join("ledger")
        );
        fs::write(&config, text).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_veritail"))
            .args(["run", "-c"])
            .arg(&config)
            .env("BENCH_KEY", "sk-or-v1-bench")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Daemon { child, admin }
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.admin).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    }

    fn metric(&self, name: &str) -> Option<u64> {
        let answer = self.get("/metrics")?;
        answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Asks until it is so.
    fn until(&mut self, every: Duration, is_so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            assert!(self.child.try_wait().unwrap().is_none(), "the daemon ended");
            assert!(began.elapsed() < PATIENCE, "the daemon is too slow");
            std::thread::sleep(every);
        }
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

fn sealing(records: &Path, dir: &Path, (content, count): (&str, u64)) -> Took {
    let dir = tempfile::tempdir_in(dir).unwrap();
    let began = Instant::now();
    let mut daemon = Daemon::start(dir.path(), records, content);
    daemon.until(Duration::from_millis(20), |daemon| {
        daemon.metric("veritail_records_sealed_total ") == Some(count)
    });
    let wall = began.elapsed();
    let (cpu, peak) = usage(daemon.child.id());
    daemon.stop();
    Took { wall, cpu, peak: Some(peak) }
}

fn start_and_idle(dir: &Path) {
    let dir = tempfile::tempdir_in(dir).unwrap();
    let file = dir.path().join("empty.ndjson");
    File::create(&file).unwrap();
    let began = Instant::now();
    let mut daemon = Daemon::start(dir.path(), &file, "hash");
    daemon.until(Duration::from_millis(1), |daemon| daemon.get("/readyz").is_some());
    println!("\nstart to ready  {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    let (before, _) = usage(daemon.child.id());
    std::thread::sleep(Duration::from_secs(10));
    let (after, peak) = usage(daemon.child.id());
    println!(
        "idle for 10 s   {:.2} CPU s, {:.1} MiB peak resident",
        after - before,
        peak as f64 / 1024.0
    );
    daemon.stop();
}
