//! A unix stream socket of NDJSON records.
//!
//! # Protocol
//! One record a line. A client whose first line is `{"type":"hello","ack":true}` is told of each of
//! its lines once the entry is synced: `{"ack":"<id>","n":<line>,"seq":N,"chain_hash":"…"}` or
//! `{"quarantined":"<reason>","n":<line>,"seq":N}`, in any order. `n` counts the lines of the
//! connection from 1, the hello included. Up to [`IN_FLIGHT`] lines may be unanswered; then reading
//! stops until answers have gone out. A client that says no hello is read all the same. A record
//! sent again under its `id` (after a crash on either side) is answered with its first seal.
//!
//! The end of the stream ends its last line, LF or not.

use super::{
    Closed,
    config::Unix,
    lines::{Item, LineReader},
    reply,
};
use crate::{
    intake::Intake,
    json::{self, text},
    record::{Origin, Replies},
};
use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream, unix::UCred},
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// Unanswered lines of one connection; at some 2 KB a line this is what one client may hold of the
/// ledger's queue.
pub const IN_FLIGHT: usize = 4096;
/// Bytes of answers that a client may leave unread before no more is read from it.
const UNREAD: usize = 256 << 10;
/// Bytes read at a time.
const CHUNK: usize = 64 << 10;
/// Bytes still read from a connection after the daemon was told to stop.
const LAST_BYTES: usize = 4 << 20;

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody is listening there.
    #[error("{0} is in use: another process is listening on it; stop it, or choose another path")]
    Live(PathBuf),
    /// Something else has the name.
    #[error("{0} exists and is no socket; choose another path, or remove it")]
    NotASocket(PathBuf),
    /// The operating system refused.
    #[error("cannot {verb} {path}: {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A bound socket.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    config: Unix,
    /// Device and inode of the socket's file, so that only our own is removed in the end.
    identity: (u64, u64),
}

impl Socket {
    /// Binds the socket. Its mode and owner are set before its path becomes visible; a stale one of
    /// that name is replaced, a live one refused. Must be called within the runtime.
    ///
    /// # Errors
    /// When the path is taken or the operating system refuses.
    pub fn new(config: &Unix) -> Result<Self, Error> {
        let path = &config.path;
        let fail = |verb| move |source| Error::Io { verb, path: path.clone(), source };
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(fail("create the directory of"))?;
        }
        make_way(path)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let hidden = path.with_file_name(name);
        match fs::remove_file(&hidden) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(fail("replace")(e)),
            _ => {}
        }
        let listener = UnixListener::bind(&hidden).map_err(fail("bind"))?;
        let set = |hidden: &Path| {
            fs::set_permissions(hidden, fs::Permissions::from_mode(config.mode.0))?;
            if config.owner.is_some() || config.group.is_some() {
                chown(hidden, config.owner, config.group)?;
            }
            let metadata = fs::symlink_metadata(hidden)?;
            #[expect(
                clippy::disallowed_methods,
                reason = "a socket's name need not survive a crash"
            )]
            fs::rename(hidden, path)?;
            Ok((metadata.dev(), metadata.ino()))
        };
        let identity = set(&hidden).map_err(fail("set mode and owner of"))?;
        Ok(Socket { listener, config: config.clone(), identity })
    }

    /// Serves connections until `stop`, then reads what is already there, answers what is in flight,
    /// and removes the socket.
    ///
    /// # Errors
    /// [`Closed`] when the ledger has stopped.
    pub async fn run(
        self,
        intake: impl Fn() -> Intake,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Closed> {
        let places = Arc::new(Semaphore::new(self.config.max_connections));
        let mut connections = JoinSet::new();
        while !*stop.borrow() {
            tokio::select! {
                // The permit comes before the work: a connection too many waits in the kernel.
                accepted = accept(&self.listener, &places) => match accepted {
                    Ok((stream, permit)) => {
                        let Some(peer) = self.welcome(&stream) else { continue };
                        let limit = usize::try_from(self.config.max_record.0).unwrap_or(usize::MAX);
                        let connection = Connection::new(intake(), limit, &peer);
                        let stop = stop.clone();
                        connections.spawn(async move {
                            let done = connection.serve(stream, stop).await;
                            drop(permit);
                            done
                        });
                    }
                    Err(e) => {
                        // Out of descriptors, most likely: a connection that ends frees one.
                        tracing::warn!(path = %self.config.path.display(), error = %e, "accept failed");
                        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
        while connections.join_next().await.is_some() {}
        self.remove();
        Ok(())
    }

    /// Who connects, if he may.
    fn welcome(&self, stream: &UnixStream) -> Option<UCred> {
        let path = self.config.path.display();
        let peer = stream
            .peer_cred()
            .inspect_err(|e| tracing::warn!(%path, error = %e, "a peer without credentials"))
            .ok()?;
        let allowed = &self.config.allow_uids;
        if allowed.as_ref().is_some_and(|uids| !uids.contains(&peer.uid())) {
            tracing::warn!(%path, uid = peer.uid(), "refused: the uid is not in allow_uids");
            return None;
        }
        Some(peer)
    }

    fn remove(&self) {
        let ours = fs::symlink_metadata(&self.config.path)
            .is_ok_and(|m| (m.dev(), m.ino()) == self.identity);
        if ours {
            // Left behind, it is recognised as stale at the next start.
            let _ = fs::remove_file(&self.config.path);
        }
    }
}

async fn accept(
    listener: &UnixListener,
    places: &Arc<Semaphore>,
) -> io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    Ok((listener.accept().await?.0, permit))
}

/// Refuses a path that is alive or no socket. A stale socket may stay: the rename replaces it.
fn make_way(path: &Path) -> Result<(), Error> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(Error::NotASocket(path.to_owned()));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(Error::Live(path.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(source) => Err(Error::Io { verb: "probe", path: path.to_owned(), source }),
    }
}

/// One client.
struct Connection {
    intake: Intake,
    lines: LineReader,
    origin: Origin,
    replies: Arc<Replies>,
    acknowledge: bool,
    line: u64,
    in_flight: usize,
    out: Vec<u8>,
}

impl Connection {
    fn new(mut intake: Intake, limit: usize, peer: &UCred) -> Self {
        let replies = Arc::new(Replies::default());
        intake.answer_to(replies.clone());
        let origin = Origin::Peer { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() };
        Connection {
            intake,
            lines: LineReader::new(0, limit),
            origin,
            replies,
            acknowledge: false,
            line: 0,
            in_flight: 0,
            out: Vec::new(),
        }
    }

    async fn serve(
        mut self,
        mut stream: UnixStream,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Closed> {
        let (mut reader, mut writer) = stream.split();
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut open = true;
        while open || self.in_flight > 0 || !self.out.is_empty() {
            if open && *stop.borrow() {
                self.last_words(&mut reader).await?;
                open = false;
                continue;
            }
            let may_read = open && self.in_flight < IN_FLIGHT && self.out.len() < UNREAD;
            tokio::select! {
                read = reader.read_buf(&mut chunk), if may_read => {
                    open = matches!(read, Ok(1..));
                    self.take(&chunk, !open).await?;
                    chunk.clear();
                }
                () = self.replies.ready(), if self.in_flight > 0 => self.collect(),
                written = writer.write(&self.out), if !self.out.is_empty() => match written {
                    Ok(bytes) => drop(self.out.drain(..bytes)),
                    // The client has gone; what it sent is sealed all the same.
                    Err(_) => return Ok(()),
                },
                changed = stop.changed(), if open => if changed.is_err() { open = false },
            }
        }
        Ok(())
    }

    /// Reads what the client sent before the stop, without waiting for more.
    async fn last_words(
        &mut self,
        reader: &mut tokio::net::unix::ReadHalf<'_>,
    ) -> Result<(), Closed> {
        let mut chunk = vec![0; CHUNK];
        let mut left = LAST_BYTES;
        while let Ok(read @ 1..) = reader.try_read(&mut chunk) {
            self.take(chunk.get(..read).unwrap_or_default(), false).await?;
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
        // A line without its end stays with the client, which was not told of it.
        Ok(())
    }

    async fn take(&mut self, chunk: &[u8], end: bool) -> Result<(), Closed> {
        let Connection { intake, lines, origin, acknowledge, line, in_flight, .. } = self;
        let mut each = |item: Item<'_>| {
            *line += 1;
            let asked = acknowledge.then_some(*line);
            match item {
                Item::Line { bytes, .. } if *line == 1 && is_hello(bytes) => {
                    *acknowledge = wants_acknowledgement(bytes);
                    return;
                }
                Item::Line { bytes, .. } if bytes.trim_ascii().is_empty() => return,
                Item::Line { bytes, .. } => intake.record(bytes, origin, asked),
                Item::TooLong(long) => {
                    let told = ("too_long", "longer than max_record");
                    intake.refuse(told, (long.sha256, long.len), (origin, asked));
                }
            }
            *in_flight += usize::from(asked.is_some());
        };
        lines.feed(chunk, &mut each);
        if end && lines.next_offset() > lines.line_start() {
            lines.feed(b"\n", &mut each);
        }
        intake.send().await
    }

    fn collect(&mut self) {
        for reply in self.replies.take() {
            self.in_flight = self.in_flight.saturating_sub(1);
            reply::write(&mut self.out, &reply);
            self.out.push(b'\n');
        }
    }
}

fn is_hello(line: &[u8]) -> bool {
    member(line, b"type").is_some_and(|raw| text::inner(raw) == b"hello")
}

fn wants_acknowledgement(line: &[u8]) -> bool {
    member(line, b"ack") == Some(b"true")
}

fn member<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    json::members(line).map_while(Result::ok).find(|(raw, _)| text::inner(raw) == name).map(|m| m.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_told_from_a_record() {
        assert!(is_hello(br#"{"type":"hello","ack":true}"#));
        assert!(wants_acknowledgement(br#"{ "ack" : true , "type":"hello" }"#));
        assert!(!wants_acknowledgement(br#"{"type":"hello","ack":false}"#));
        for record in [&br#"{"user_id":"hello"}"#[..], b"hello", b"", br#"{"type":"x"}"#] {
            assert!(!is_hello(record));
        }
    }
}
