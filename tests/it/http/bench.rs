//! A daemon with HTTP sources in a directory that outlives it, and a client that speaks HTTP itself.

use crate::running::{PATIENCE, PROGRAM, entries, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
};

/// The directory, its config and the daemon in it.
pub(crate) struct Bench {
    child: Option<Child>,
    dir: tempfile::TempDir,
    runs: u32,
}

/// Any secret of these tests; nothing may show it.
pub(crate) const SECRET: &str = "hunter2-hunter2-hunter2";

impl Bench {
    /// Starts a daemon with these sections; `DIR` in them is the directory, which has a file
    /// `secret`.
    pub(crate) fn start(sections: &str) -> Self {
        Bench::start_with(sections, &[])
    }

    /// [`Bench::start`] with variables of the environment.
    pub(crate) fn start_with(sections: &str, variables: &[(&str, &str)]) -> Self {
        let mut bench = Bench { child: None, dir: tempfile::tempdir().unwrap(), runs: 0 };
        bench.private("secret", SECRET);
        bench.configure(sections);
        bench.launch(variables);
        bench
    }

    /// A directory without a daemon yet.
    pub(crate) fn empty() -> Self {
        Bench { child: None, dir: tempfile::tempdir().unwrap(), runs: 0 }
    }

    /// Writes a file that only its owner can read.
    pub(crate) fn private(&self, name: &str, content: &str) {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).mode(0o600).open(self.path(name)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    /// Writes the config.
    pub(crate) fn configure(&self, sections: &str) {
        let text = format!(
            "version = 1\n[ledger]\ndir = \"DIR/ledger\"\nservice = \"test\"\n{sections}\n"
        );
        let text = text.replace("DIR", self.dir.path().to_str().unwrap());
        fs::write(self.path("veritail.toml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts the daemon and waits until it takes records.
    pub(crate) fn launch(&mut self, variables: &[(&str, &str)]) {
        self.runs += 1;
        let log = fs::File::create(self.path(&format!("log{}", self.runs))).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("run").arg("-c").arg(self.path("veritail.toml"));
        command.env_remove("NOTIFY_SOCKET").env_remove("VERITAIL_LOG");
        command.envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        until("the daemon to be ready", || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "ended with {ended:?}: {}", self.log());
            self.log().contains(" ready sources=")
        });
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path(&format!("log{}", self.runs))).unwrap_or_default()
    }

    /// The address of a source.
    pub(crate) fn address(&self, source: &str) -> SocketAddr {
        let log = self.log();
        let told = log.split(&format!("listening source=\"{source}\" address=")).nth(1);
        told.unwrap_or_else(|| panic!("no address of {source} in {log}"))
            .split_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// A client of a source.
    pub(crate) fn client(&self, source: &str) -> Client {
        Client { address: self.address(source), tls: None, headers: String::new() }
    }

    fn wait(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let mut status = None;
        until("the daemon's end", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// `kill -9`, also of one that is dead by then.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.as_mut().unwrap().kill();
        self.wait();
    }

    /// Drains it; then the ledger must be intact, and nothing in the directory may hold the secret.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.stop_sent();
    }

    /// [`Bench::stop`] for one that was told to already.
    pub(crate) fn stop_sent(&mut self) {
        assert_eq!(self.wait(), Some(0), "{}", self.log());
        self.verify();
        for name in ["ledger", "log1", "log2"] {
            self.holds_no_secret(&self.path(name));
        }
    }

    fn holds_no_secret(&self, path: &std::path::Path) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                self.holds_no_secret(&entry.unwrap().path());
            }
        } else if let Ok(bytes) = fs::read(path) {
            let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
            assert!(!found, "{} holds the secret", path.display());
        }
    }

    pub(crate) fn verify(&self) {
        let done = Command::new(PROGRAM).arg("verify").arg(self.path("ledger")).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    }

    pub(crate) fn entries(&self) -> Vec<Value> {
        entries(&self.path("ledger"))
    }

    /// The entries that are no control entries.
    pub(crate) fn sealed(&self) -> Vec<Value> {
        self.entries().into_iter().filter(|entry| entry["origin"].is_object()).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Somebody who posts.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    tls: Option<Arc<rustls::ClientConfig>>,
    headers: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}\n{}", self.head, self.text()))
    }

    /// The body's lines as JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Client {
    /// Adds a header to every request.
    pub(crate) fn with(mut self, header: &str) -> Self {
        self.headers.push_str(header);
        self.headers.push_str("\r\n");
        self
    }

    /// Speaks TLS and trusts this certificate alone.
    pub(crate) fn trusting(mut self, cert: rustls::pki_types::CertificateDer<'static>) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(cert).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        self.tls = Some(Arc::new(config));
        self
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The head of a request, with a length when one is given.
    pub(crate) fn head(&self, method: &str, path: &str, length: Option<usize>) -> String {
        let length = length.map(|length| format!("Content-Length: {length}\r\n"));
        format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{}{}\r\n",
            self.headers,
            length.unwrap_or_default()
        )
    }

    /// Sends bytes as they are and reads the answer.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        let Some(tls) = &self.tls else {
            return exchange(&mut stream, bytes);
        };
        let name = "localhost".try_into().unwrap();
        let connection = rustls::ClientConnection::new(tls.clone(), name).unwrap();
        exchange(&mut rustls::StreamOwned::new(connection, stream), bytes)
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let head = self.head(method, path, Some(body.len()));
        self.raw(&[head.as_bytes(), body].concat())
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.send("POST", path, body)
    }
}

fn exchange(stream: &mut (impl Read + Write), bytes: &[u8]) -> Answer {
    stream.write_all(bytes).unwrap();
    stream.flush().unwrap();
    answer(stream)
}

/// Reads an answer to the end of the connection.
pub(crate) fn answer(stream: &mut impl Read) -> Answer {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let end = all.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer");
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: all[end + 4..].to_vec() }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}
