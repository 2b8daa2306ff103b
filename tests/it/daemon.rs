//! A bench with its own directory, and the daemon on it: started, waited for by condition, signalled,
//! killed, and never left running.

use crate::sealed;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// How long anything may take on a busy machine before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_veritail");

/// Looks until `seen` shows something; fails, naming `what`, when it never does.
pub(crate) fn until<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = seen() {
            return value;
        }
        assert!(Instant::now() < deadline, "in {PATIENCE:?} never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a test wants in its config beyond the default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings<'a> {
    /// More lines of `[ledger]`.
    pub(crate) ledger: &'a str,
    /// More lines of the unix source.
    pub(crate) unix: &'a str,
    /// The glob of the file source, within `in/`; `*.ndjson` when empty.
    pub(crate) glob: &'a str,
    /// More lines of the file source.
    pub(crate) file: &'a str,
    /// Lines of `[redact]`, and further sections.
    pub(crate) rest: &'a str,
}

/// A directory of its own, short enough for a socket's path.
pub(crate) struct Bench {
    /// The directory.
    pub(crate) dir: PathBuf,
    /// The ledger.
    pub(crate) ledger: PathBuf,
    /// The socket of source `ingest`.
    pub(crate) socket: PathBuf,
    /// The file that source `app` reads; its siblings match the glob too when they end in `.ndjson`.
    pub(crate) file: PathBuf,
    /// The config.
    pub(crate) config: PathBuf,
    runs: AtomicU32,
    kept: Option<tempfile::TempDir>,
}

impl Bench {
    /// With the default config: one file source, one unix source, an admin address.
    pub(crate) fn new() -> Self {
        Bench::with(&Settings::default())
    }

    /// With a config of its own.
    pub(crate) fn with(settings: &Settings<'_>) -> Self {
        let keep = tempfile::Builder::new().prefix("vt").tempdir_in("/tmp").unwrap();
        let dir = keep.path().to_owned();
        fs::create_dir(dir.join("in")).unwrap();
        fs::create_dir(dir.join("logs")).unwrap();
        let bench = Bench {
            ledger: dir.join("ledger"),
            socket: dir.join("s"),
            file: dir.join("in/app.ndjson"),
            config: dir.join("veritail.toml"),
            runs: AtomicU32::new(0),
            dir,
            kept: Some(keep),
        };
        bench.configure(settings);
        bench
    }

    /// Writes the config anew.
    pub(crate) fn configure(&self, settings: &Settings<'_>) {
        let Settings { ledger, unix, glob, file, rest } = settings;
        let glob = if glob.is_empty() { "*.ndjson" } else { glob };
        let dir = self.dir.display();
        let text = format!(
            "version = 1\n[ledger]\ndir = \"{dir}/ledger\"\nservice = \"bench\"\n{ledger}\n\
             [[source]]\nname = \"app\"\ntype = \"file\"\npaths = [\"{dir}/in/{glob}\"]\n{file}\n\
             [[source]]\nname = \"ingest\"\ntype = \"unix\"\npath = \"{dir}/s\"\n{unix}\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n{rest}\n"
        );
        fs::write(&self.config, text).unwrap();
    }

    /// The program with arguments, in the bench's directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(&self.dir).env_remove("VERITAIL_LOG");
        command
    }

    /// Runs a command to its end: exit code, standard output, standard error.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let done = self.command(arguments).stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code().unwrap_or(-1), text(&done.stdout), text(&done.stderr))
    }

    /// Starts the daemon and waits until it is ready.
    pub(crate) fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// [`Bench::start`] with variables of the environment.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)]) -> Daemon {
        let mut daemon = self.spawn(variables);
        daemon.wait_ready();
        daemon
    }

    /// Starts the daemon without waiting.
    pub(crate) fn spawn(&self, variables: &[(&str, &str)]) -> Daemon {
        let mut command = self.command(&["run", "-c"]);
        command.arg(&self.config).envs(variables.iter().copied());
        self.launch(command)
    }

    /// Starts a command as the bench's daemon; its output goes to a log of its own.
    pub(crate) fn launch(&self, mut command: Command) -> Daemon {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let (log, out) = (format!("logs/{run:04}.log"), format!("logs/{run:04}.out"));
        let (log, out) = (self.dir.join(log), self.dir.join(out));
        command.stderr(File::create(&log).unwrap()).stdout(File::create(&out).unwrap());
        Daemon { child: command.stdin(Stdio::null()).spawn().unwrap(), log, out }
    }

    /// Appends lines to the file that source `app` reads.
    pub(crate) fn append(&self, lines: &[String]) {
        append(&self.file, (lines.join("\n") + "\n").as_bytes());
    }

    /// `veritail verify` must find the ledger intact.
    pub(crate) fn verify(&self) {
        let ledger = self.ledger.display().to_string();
        let (code, out, err) = self.run(&["verify", &ledger]);
        assert_eq!(code, 0, "verify says:\n{out}{err}");
    }

    /// Waits until `count` records are sealed.
    pub(crate) fn wait_sealed(&self, count: usize) {
        until(&format!("{count} records sealed"), || {
            (sealed::records(&self.ledger).len() >= count).then_some(())
        });
    }
}

impl Drop for Bench {
    /// What a failed test leaves is worth a look.
    fn drop(&mut self) {
        if let Some(dir) = self.kept.take().filter(|_| std::thread::panicking()) {
            eprintln!("left to look at: {}", dir.keep().display());
        }
    }
}

/// A record with an id, as an application writes it.
pub(crate) fn record(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","timestamp":"2026-11-22T10:00:00Z","user_id":"u-1","model":"openai/gpt-4o","prompt":"say {id}","response":"{id}","status":"success","usage":{{"prompt_tokens":3,"completion_tokens":5,"cost":0.00012}}}}"#
    )
}

/// Records with ids `<prefix>-0` …
pub(crate) fn records(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| record(&format!("{prefix}-{n}"))).collect()
}

/// Their ids.
pub(crate) fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}-{n}")).collect()
}

/// Appends bytes in one write.
pub(crate) fn append(path: &Path, bytes: &[u8]) {
    File::options().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// A running daemon; killed when it is dropped.
pub(crate) struct Daemon {
    /// The process.
    pub(crate) child: Child,
    log: PathBuf,
    out: PathBuf,
}

impl Daemon {
    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// What it has printed so far.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.out).unwrap_or_default()).into_owned()
    }

    /// Waits until records are accepted.
    pub(crate) fn wait_ready(&mut self) {
        self.wait_log(" ready sources=");
    }

    /// Waits for a text in the log; fails when the process ends without it.
    pub(crate) fn wait_log(&mut self, text: &str) {
        until(&format!("{text:?} in the log"), || {
            let ended = self.child.try_wait().unwrap();
            let found = self.log().contains(text);
            assert!(found || ended.is_none(), "ended with {ended:?}; its log:\n{}", self.log());
            found.then_some(())
        });
    }

    /// Sends a signal; a process that has ended already gets none.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        let _ = kill_process(pid, signal);
    }

    /// Whether it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        until("the daemon ends", || self.ended())
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.wait().signal(), Some(9), "log:\n{}", self.log());
    }

    /// SIGTERM; it must drain and end with 0.
    pub(crate) fn stop(self) -> String {
        self.stop_with(0)
    }

    /// SIGTERM; it must end with `code`. Returns its log.
    pub(crate) fn stop_with(mut self, code: i32) -> String {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(code), "ended with {status}; log:\n{}", self.log());
        self.log()
    }

    /// Status and body of a page of the admin address.
    pub(crate) fn get(&self, page: &str) -> (u16, String) {
        let log = self.log();
        let (_, address) = log.split_once("admin address address=").expect("an admin address");
        let mut stream = TcpStream::connect(address.split_whitespace().next().unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {page} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    /// The value of a metric.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let (status, page) = self.get("/metrics");
        assert_eq!(status, 200);
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("veritail_{name} ")));
        line.unwrap_or_else(|| panic!("no metric {name} in\n{page}")).parse().unwrap()
    }

    /// Resident memory and its peak, in KiB.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        (of("VmRSS:"), of("VmHWM:"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
