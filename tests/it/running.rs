//! The daemon as a child process, for tests that look at it from outside.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test's helper: a failure here is a failed test"
)]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_veritail");
/// Nothing here takes this long on a machine that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running daemon in a directory of its own.
pub(crate) struct Running {
    child: Child,
    dir: tempfile::TempDir,
}

impl Running {
    /// Starts `veritail run` with a socket, a file source and `more` at the end of the config.
    pub(crate) fn start(more: &str, environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        let config = format!(
            "version = 1\n[ledger]\ndir = \"{at}/ledger\"\nservice = \"test\"\n\
             [[source]]\nname = \"ingest\"\ntype = \"unix\"\npath = \"{at}/ingest.sock\"\n\
             [[source]]\nname = \"app\"\ntype = \"file\"\npaths = [\"{at}/app*.ndjson\"]\n{more}"
        );
        let file = dir.path().join("veritail.toml");
        std::fs::write(&file, config).unwrap();
        Running::with(dir, &file, environment)
    }

    /// Starts `veritail run -c CONFIG`; the log and, for `ready`, the socket are in `dir`.
    pub(crate) fn with(
        dir: tempfile::TempDir,
        config: &Path,
        environment: &[(&str, &str)],
    ) -> Self {
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["run", "-c"]).arg(config);
        command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Running { child: command.spawn().unwrap(), dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Waits until the socket takes connections.
    pub(crate) fn ready(mut self) -> Self {
        let socket = self.path("ingest.sock");
        until("the socket", || {
            if let Some(ended) = self.child.try_wait().unwrap() {
                panic!("the daemon ended with {ended}: {}", self.log());
            }
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        self
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the daemon's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Stops it and waits.
    pub(crate) fn stop(&mut self) {
        self.signal(rustix::process::Signal::TERM);
        assert!(self.wait().success(), "{}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Every entry of the ledger, in order.
    pub(crate) fn entries(&self) -> Vec<serde_json::Value> {
        entries(&self.path("ledger"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Alive only when the test failed; then nothing must be left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The entries of a ledger's plain segments, in order.
pub(crate) fn entries(ledger: &Path) -> Vec<serde_json::Value> {
    let files = std::fs::read_dir(ledger).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
    files.sort();
    let lines = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    let lines: Vec<String> = lines.collect();
    // What stands after the last LF is being written at this moment.
    let whole = lines.iter().filter_map(|text| text.rsplit_once('\n').map(|(whole, _)| whole));
    whole.flat_map(str::lines).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Polls until `done`.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a helper program answers to `--version`; says loudly when a test is left out for it.
pub(crate) fn have(program: &str, test: &str) -> bool {
    let mut asked = Command::new(program);
    asked.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let found = asked.status().is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED: {test}: {program} is not installed");
    }
    found
}
