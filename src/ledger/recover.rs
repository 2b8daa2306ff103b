//! What the newest segment tells a starting daemon.
//!
//! One segment is read, whatever the ledger's size: its first line carries what older ones would
//! tell. Every line is checked (form, hash, link, MAC, checkpoint root). Only bytes after the last
//! LF may be cut, and the cut is itself sealed as evidence; anything else that is wrong is tampering
//! and stops the start. Nothing is searched backwards for something that fits.

use super::{
    Error, chain::MacKey, config::Config, ids::Ids, keys::Keys, line, merkle, note, segment,
};
use crate::{
    clock, crash,
    disk::Disk,
    json::{self, text},
    queue,
    record::{Digest, FileId, FileSpan, Position},
};
use sha2::{Digest as _, Sha256};
use std::{
    borrow::Cow,
    collections::HashMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Positions by source and file.
pub(super) type Positions = HashMap<(Arc<str>, FileId), Position>;

/// A tail that was copied aside and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// How many bytes.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: Digest,
    /// Name of the copy.
    pub file: String,
}

/// The state at the end of the newest segment.
pub(super) struct Tail {
    pub stream: String,
    pub keys: Keys,
    pub mac: MacKey,
    pub path: PathBuf,
    pub segment: segment::Number,
    pub length: u64,
    pub next_seq: u64,
    pub prev_hash: Digest,
    pub frontier: merkle::Frontier,
    pub recorded_at: String,
    pub closed: bool,
    pub clean: bool,
    pub unsigned: u64,
    pub positions: Positions,
    pub ids: Ids,
}

/// Finds the newest segment that has a whole line; a file with none is what a crash left between
/// creating it and sealing its first line, and goes.
pub(super) fn newest(disk: &Disk, dir: &Path) -> Result<(Option<PathBuf>, Option<Torn>), Error> {
    let (mut plain, _) = segment::list(dir)?;
    let mut torn = None;
    while let Some((_, path)) = plain.pop() {
        let cut = cut_tail(disk, &path)?;
        torn = cut.or(torn);
        let length = fs::metadata(&path).map_err(|e| Error::io("read", &path, e))?.len();
        if length > 0 {
            return Ok((Some(path), torn));
        }
        disk.remove(&path).map_err(|e| Error::io("remove", &path, e))?;
    }
    Ok((None, torn))
}

/// Cuts what stands after the last LF, after a durable copy of it.
fn cut_tail(disk: &Disk, path: &Path) -> Result<Option<Torn>, Error> {
    let fail = |verb| move |e| Error::io(verb, path, e);
    let bytes = tail(path).map_err(fail("read"))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let name = format!(
        "{}.torn-{}",
        path.file_name().unwrap_or_default().to_string_lossy(),
        clock::Clock::System.now()
    );
    disk.write_new(&path.with_file_name(&name), &bytes, 0o400).map_err(fail("copy the tail of"))?;
    crash::point(crash::RECOVERY_COPIED);
    // The file may be closed and read-only for its owner; its end is torn all the same.
    disk.chmod(path, 0o640).map_err(fail("change"))?;
    let file = disk.open(path).map_err(fail("open"))?;
    let length = file.length().map_err(fail("read"))? - bytes.len() as u64;
    file.cut(length).and_then(|()| file.sync()).map_err(fail("cut"))?;
    crash::point(crash::RECOVERY_CUT);
    Ok(Some(Torn { bytes: bytes.len() as u64, sha256: Sha256::digest(&bytes).into(), file: name }))
}

/// The bytes after a file's last LF.
fn tail(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let file = fs::File::open(path)?;
    let mut from = file.metadata()?.len();
    let mut tail = Vec::new();
    while from > 0 {
        let size = from.min(64 << 10);
        from -= size;
        let mut chunk = vec![0; usize::try_from(size).unwrap_or_default()];
        file.read_exact_at(&mut chunk, from)?;
        let lf = memchr::memrchr(b'\n', &chunk);
        chunk.drain(..lf.map_or(0, |at| at + 1));
        chunk.append(&mut tail);
        tail = chunk;
        if lf.is_some() {
            break;
        }
    }
    Ok(tail)
}

/// Reads the segment at `path` whole and checks every line.
pub(super) fn read(
    path: &Path,
    config: &Config,
    given: &super::keys::Given,
) -> Result<Tail, Error> {
    let file = fs::File::open(path).map_err(|e| Error::io("read", path, e))?;
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let mut bytes = Vec::new();
    let mut tail: Option<Tail> = None;
    let mut number = 0;
    loop {
        bytes.clear();
        reader.read_until(b'\n', &mut bytes).map_err(|e| Error::io("read", path, e))?;
        let Some((_, whole)) = bytes.split_last() else { break };
        number += 1;
        let tampered = |why: String| Error::Tampered { path: path.to_owned(), line: number, why };
        let line = line::parse(whole).map_err(|e| tampered(e.to_string()))?;
        let state = match &mut tail {
            Some(state) => state,
            None => tail.insert(start(path, &line, config, given, &tampered)?),
        };
        state.length += bytes.len() as u64;
        state.take(&line).map_err(tampered)?;
    }
    tail.ok_or_else(|| Error::Tampered {
        path: path.to_owned(),
        line: 1,
        why: "the segment is empty".into(),
    })
}

/// State before the segment's first line, as that line tells it.
fn start(
    path: &Path,
    line: &line::Line<'_>,
    config: &Config,
    given: &super::keys::Given,
    tampered: &impl Fn(String) -> Error,
) -> Result<Tail, Error> {
    if line.event_type != "segment_open" {
        return Err(tampered("a segment's first line must be its segment_open".into()));
    }
    let stream = line.stream.to_owned();
    if stream.rsplit_once('-').map(|(service, _)| service) != Some(config.service.as_str()) {
        return Err(Error::Config(format!(
            "{} holds stream {stream}, but ledger.service is \"{}\": a stream keeps its name; \
             give the new service a directory of its own",
            config.dir.display(),
            config.service
        )));
    }
    let keys = Keys::load(&config.dir, &stream, given)?;
    let member = |name| line.member(name).and_then(|raw| serde_json::from_slice(raw).ok());
    let frontier = parts(line.member("frontier"))
        .and_then(|parts| merkle::Frontier::from_parts(parts).ok())
        .ok_or_else(|| tampered("its frontier cannot be read".into()))?;
    if frontier.size() != line.seq {
        return Err(tampered("its frontier does not fit its sequence number".into()));
    }
    let segment = member("segment").and_then(|v: serde_json::Value| v.as_u64());
    if member("vkey").as_ref().and_then(serde_json::Value::as_str) != Some(keys.vkey.as_str()) {
        return Err(Error::Key(format!(
            "the signing key at hand is not the one that {} was opened with; restore the ledger's \
             own key",
            path.display()
        )));
    }
    if line.seq == 0 && line.prev_hash != super::chain::genesis(&stream, &keys.vkey) {
        return Err(tampered("the stream does not begin with its genesis".into()));
    }
    let mut positions = Positions::new();
    let raw = line.member("positions").unwrap_or(b"[]");
    for (_, raw) in json::items(raw).flatten() {
        let position = stated(raw)
            .and_then(|position| position.position(None))
            .ok_or_else(|| tampered("a position cannot be read".into()))?;
        positions.insert((position.source.clone(), position.span.id), position);
    }
    Ok(Tail {
        mac: MacKey::derive(&keys.master, &stream, line.key_id),
        keys,
        stream,
        path: path.to_owned(),
        segment: segment.ok_or_else(|| tampered("it has no segment number".into()))?,
        length: 0,
        next_seq: line.seq,
        prev_hash: line.prev_hash,
        frontier,
        recorded_at: line.recorded_at.to_owned(),
        closed: false,
        clean: false,
        unsigned: 0,
        positions,
        ids: Ids::new(config.remember_ids),
    })
}

impl Tail {
    /// Goes one line on.
    fn take(&mut self, line: &line::Line<'_>) -> Result<(), String> {
        let hash = line.hash();
        if line.chain_hash != hash {
            return Err("its bytes do not have the hash it states: it was edited".into());
        }
        if !self.mac.verify(&hash, &line.signature) {
            return Err("its MAC is not this ledger's: forged, or the wrong MAC key".into());
        }
        if line.stream != self.stream
            || line.seq != self.next_seq
            || line.prev_hash != self.prev_hash
        {
            return Err("it does not follow from the line before it".into());
        }
        self.unsigned += 1;
        self.closed = line.event_type == "segment_close";
        match line.event_type {
            "checkpoint" | "segment_close" => self.check_root(line)?,
            "daemon_stop" => self.clean = true,
            _ => self.clean = false,
        }
        if let Some(origin) = line.member("origin") {
            self.origin(line, origin, hash);
        }
        self.frontier.push(merkle::leaf(&hash));
        self.prev_hash = hash;
        self.next_seq += 1;
        line.recorded_at.clone_into(&mut self.recorded_at);
        Ok(())
    }

    fn check_root(&mut self, line: &line::Line<'_>) -> Result<(), String> {
        let mut signed = String::new();
        text::unescape(line.member("note").unwrap_or_default(), &mut signed);
        let verifier = note::Verifier::parse(&self.keys.vkey).map_err(|e| e.to_string())?;
        let checkpoint = note::open(&signed, &[verifier])
            .map_err(|e| e.to_string())
            .and_then(|text| note::Checkpoint::parse(text).map_err(|e| e.to_string()))?;
        if checkpoint.size != self.frontier.size() || checkpoint.root != self.frontier.root() {
            return Err("its checkpoint does not hold the entries before it".into());
        }
        self.unsigned = 0;
        Ok(())
    }

    fn origin(&mut self, line: &line::Line<'_>, origin: &[u8], hash: Digest) {
        let sealed_at = micros(line.recorded_at);
        if let Some(position) = stated(origin).and_then(|origin| origin.position(Some(sealed_at))) {
            self.positions.insert((position.source.clone(), position.span.id), position);
        } else if let Some(key) = told_id(line) {
            self.ids.put(key, (line.seq, hash));
        }
    }
}

/// What a record that came from a sender who could be told of it is recognised by.
pub(super) fn told_id(line: &line::Line<'_>) -> Option<queue::IdKey> {
    let (origin, id) = (line.member("origin")?, line.member("id")?);
    let origin = stated(origin).filter(|origin| origin.path.is_none())?;
    let mut plain = String::new();
    text::unescape(id, &mut plain);
    Some(queue::id_key(&origin.source, &plain))
}

/// An `origin`, or a position of a `segment_open`: what either may hold.
#[derive(serde::Deserialize)]
struct Stated<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    path: Option<Cow<'a, str>>,
    dev: Option<u64>,
    inode: Option<u64>,
    start: Option<u64>,
    end: Option<u64>,
    head: Option<&'a str>,
    crc: Option<&'a str>,
    sealed_at: Option<i64>,
}

impl Stated<'_> {
    /// The position that it states, sealed at `sealed_at`; `None` for an origin that is no file.
    fn position(&self, sealed_at: Option<i64>) -> Option<Position> {
        let crc: [u8; 4] = const_hex::decode_to_array(self.crc?).ok()?;
        let head = const_hex::decode_to_array(self.head?).ok()?;
        Some(Position {
            source: self.source.as_ref().into(),
            span: FileSpan {
                path: self.path.as_deref()?.into(),
                id: FileId { dev: self.dev?, inode: self.inode?, head },
                start: self.start?,
                end: self.end?,
                crc: u32::from_be_bytes(crc),
            },
            sealed_at: sealed_at.or(self.sealed_at)?,
        })
    }
}

fn stated(raw: &[u8]) -> Option<Stated<'_>> {
    serde_json::from_slice(raw).ok()
}

/// `[[level, "hex"], …]`
fn parts(raw: Option<&[u8]>) -> Option<Vec<(u8, Digest)>> {
    let pairs: Vec<(u8, String)> = serde_json::from_slice(raw?).ok()?;
    pairs
        .into_iter()
        .map(|(level, hex)| Some((level, const_hex::decode_to_array(hex).ok()?)))
        .collect()
}

/// Microseconds since the epoch; 0 for what is no time.
pub(super) fn micros(recorded_at: &str) -> i64 {
    recorded_at.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_microsecond)
}
