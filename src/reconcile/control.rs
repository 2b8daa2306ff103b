//! How the command reaches a daemon that writes the ledger: a socket in the ledger's directory that
//! only the daemon's user can use.
//!
//! The command may ask for a day and is told what came out. It hands over no result: what is sealed
//! is what the daemon found with its own key, so nobody can have a comparison sealed that was never
//! made. One JSON object a line, one question a connection:
//! `{"reconcile":"2026-11-21"}` → `{"report":{…},"seq":4711}` or `{"error":"…"}`.

use super::{Report, day::Day};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

/// Longest question.
const LONGEST_QUESTION: u64 = 1024;
/// Longest answer: a report with all its lists full has some 200 KiB.
const LONGEST_ANSWER: u64 = 16 << 20;
/// Longest time for a question to arrive, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the socket of the ledger in `dir` is.
#[must_use]
pub fn socket_path(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    reconcile: String,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Answer {
    Done { report: Box<Report>, seq: u64 },
    Failed { error: String },
}

/// The daemon's end.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Listens beside the ledger in `dir`, which this process must hold the lock of: a socket that
    /// is there already is then nobody's. Must be called within the runtime.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn bind(dir: &Path) -> io::Result<Self> {
        let path = socket_path(dir);
        let hidden = path.with_extension("sock.new");
        for stale in [&path, &hidden] {
            match fs::remove_file(stale) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        let listener = UnixListener::bind(&hidden)?;
        // Its mode is set before anybody can find it.
        fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600))?;
        #[expect(clippy::disallowed_methods, reason = "a socket's name need not survive a crash")]
        fs::rename(&hidden, &path)?;
        Ok(Listener { listener, path })
    }

    /// Waits for a question that can be understood; others are answered right away.
    pub async fn accept(&self) -> Request {
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // Out of descriptors, most likely.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            match tokio::time::timeout(PATIENCE, question(stream)).await {
                Ok(Ok((stream, Some(day)))) => return Request { day, stream },
                Ok(Ok((stream, None))) => {
                    let error = "not understood; is the command of another version?".into();
                    answer(stream, &Answer::Failed { error }).await;
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may be gone; a stale one is replaced at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

async fn question(stream: UnixStream) -> io::Result<(UnixStream, Option<Day>)> {
    let mut line = Vec::new();
    let mut reader = tokio::io::BufReader::new(stream).take(LONGEST_QUESTION);
    reader.read_until(b'\n', &mut line).await?;
    let day = serde_json::from_slice::<Question>(&line)
        .ok()
        .and_then(|question| Day::parse(&question.reconcile).ok());
    Ok((reader.into_inner().into_inner(), day))
}

async fn answer(mut stream: UnixStream, answer: &Answer) {
    let Ok(mut line) = serde_json::to_vec(answer) else { return };
    line.push(b'\n');
    // Whoever asked may have left.
    let _ = tokio::time::timeout(PATIENCE, stream.write_all(&line)).await;
}

/// A day that somebody wants compared.
#[derive(Debug)]
pub struct Request {
    /// The day.
    pub day: Day,
    stream: UnixStream,
}

impl Request {
    /// Tells what came out: the report and its entry's sequence number, or why there is none.
    pub async fn answer(self, outcome: Result<(Report, u64), String>) {
        let told = match outcome {
            Ok((report, seq)) => Answer::Done { report: Box::new(report), seq },
            Err(error) => Answer::Failed { error },
        };
        answer(self.stream, &told).await;
    }
}

/// Asks the daemon that writes the ledger in `dir` to compare `day`, and waits for what it says;
/// `None` when no daemon listens there.
///
/// # Errors
/// When the socket may not be used or breaks off.
pub fn ask_daemon(dir: &Path, day: Day) -> io::Result<Option<Result<(Report, u64), String>>> {
    let mut stream = match std::os::unix::net::UnixStream::connect(socket_path(dir)) {
        Ok(stream) => stream,
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::InvalidInput
            ) =>
        {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let mut question = serde_json::to_vec(&Question { reconcile: day.to_string() })?;
    question.push(b'\n');
    stream.write_all(&question)?;
    let mut line = Vec::new();
    BufReader::new(stream).take(LONGEST_ANSWER).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(match serde_json::from_slice(&line)? {
        Answer::Done { report, seq } => Ok((*report, seq)),
        Answer::Failed { error } => Err(error),
    }))
}
