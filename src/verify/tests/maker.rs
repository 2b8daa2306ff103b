//! Makes small ledgers with fixed keys, and writes them where `verify` can read them.
use crate::{
    clock,
    ledger::{
        chain::{MacKey, genesis},
        line::{self, Envelope},
        merkle::{self, Frontier},
        note::{Checkpoint, Signer},
    },
    record::Digest,
    verify::{Options, Report, verify},
};
use std::{fmt::Write as _, io::Write as _, path::Path};

pub(super) const STREAM: &str = "teller-7f3a9c21";
pub(super) const MASTER: [u8; 32] = [7; 32];

/// A segment: its file name and its lines, each with its LF.
pub(super) type Segment = (String, Vec<Vec<u8>>);

/// A daemon's ledger, without the daemon.
pub(super) struct Maker {
    pub(super) stream: String,
    pub(super) signer: Signer,
    pub(super) first_vkey: String,
    pub(super) master: [u8; 32],
    pub(super) key_id: String,
    pub(super) seq: u64,
    pub(super) prev: Digest,
    pub(super) frontier: Frontier,
    pub(super) time: clock::Micros,
    pub(super) segments: Vec<Segment>,
}

impl Maker {
    pub(super) fn new(stream: &str, seed: u8) -> Self {
        let signer = Signer::new(stream, [seed; 32]);
        let first_vkey = signer.vkey();
        Maker {
            stream: stream.into(),
            prev: genesis(stream, &first_vkey),
            signer,
            first_vkey,
            master: MASTER,
            key_id: "m1".into(),
            seq: 0,
            frontier: Frontier::new(),
            time: 1_763_719_282_000_000,
            segments: Vec::new(),
        }
    }

    /// `segments` whole segments of `calls` calls each, and an open one that ends in a checkpoint.
    pub(super) fn honest(segments: usize, calls: usize) -> Self {
        let mut maker = Maker::new(STREAM, 1);
        for _ in 0..segments {
            maker.open();
            maker.calls(calls);
            maker.checkpoint("checkpoint");
            maker.calls(2);
            maker.checkpoint("segment_close");
        }
        maker.open();
        maker.calls(calls);
        maker.entry(r#""event_type":"daemon_stop""#);
        maker.checkpoint("checkpoint");
        maker
    }

    pub(super) fn entry(&mut self, body: &str) {
        self.time += 1_000;
        let recorded_at = clock::rfc3339(self.time);
        let envelope = Envelope {
            stream: &self.stream,
            seq: self.seq,
            prev_hash: self.prev,
            recorded_at: &recorded_at,
            key_id: &self.key_id,
        };
        let mac = MacKey::derive(&self.master, &self.stream, &self.key_id);
        let mut out = Vec::new();
        self.prev = line::write(&mut out, &envelope, body.as_bytes(), &mac);
        self.frontier.push(merkle::leaf(&self.prev));
        self.seq += 1;
        self.segments.last_mut().unwrap().1.push(out);
    }

    pub(super) fn open(&mut self) {
        let number = self.segments.len() + 1;
        self.segments.push((format!("audit_2026-11-21.{number:08}.jsonl"), Vec::new()));
        let parts: Vec<String> = self
            .frontier
            .parts()
            .iter()
            .map(|(level, hash)| format!("[{level},\"{}\"]", const_hex::encode(hash)))
            .collect();
        self.entry(&format!(
            r#""event_type":"segment_open","segment":{number},"frontier":[{}],"vkey":"{}","key_ids":["{}"],"host":"h""#,
            parts.join(","),
            self.signer.vkey(),
            self.key_id
        ));
    }

    pub(super) fn calls(&mut self, count: usize) {
        for _ in 0..count {
            let id = self.seq;
            self.entry(&format!(
                r#""event_type":"chat_completion","id":"r{id}","user_id":"Zoë","total_cost":0.00140"#
            ));
        }
    }

    /// A `checkpoint` or a `segment_close`.
    pub(super) fn checkpoint(&mut self, kind: &str) {
        let root = self.frontier.root();
        let checkpoint = Checkpoint { origin: self.stream.clone(), size: self.seq, root };
        let note = self.signer.sign(&checkpoint.to_text());
        let mut body = format!(
            r#""event_type":"{kind}","size":{},"root":"{}""#,
            self.seq,
            const_hex::encode(root)
        );
        let _ = write!(body, r#","note":{}"#, serde_json::to_string(&note).unwrap());
        self.entry(&body);
    }

    /// Line `line` (from 1) of segment `segment` (from 1).
    pub(super) fn line(&mut self, segment: usize, line: usize) -> &mut Vec<u8> {
        &mut self.segments[segment - 1].1[line - 1]
    }

    pub(super) fn lines(&mut self, segment: usize) -> &mut Vec<Vec<u8>> {
        &mut self.segments[segment - 1].1
    }

    /// Replaces text in a line, leaving hash and MAC as they are.
    pub(super) fn edit(&mut self, segment: usize, line: usize, (from, to): (&str, &str)) {
        let line = self.line(segment, line);
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(text.contains(from), "{from} stands not in {text}");
        *line = text.replacen(from, to, 1).into_bytes();
    }

    /// Recomputes a line's chain hash, as somebody without the MAC key can.
    pub(super) fn rehash(&mut self, segment: usize, line: usize) {
        let line = self.line(segment, line);
        let text = String::from_utf8(line.clone()).unwrap();
        let (core, trailer) = text.trim_end().split_at(text.len() - 1 - line::TRAILER);
        let hash = <sha2::Sha256 as sha2::Digest>::digest(core);
        *line = format!("{core},\"chain_hash\":\"{}{}\n", const_hex::encode(hash), &trailer[79..])
            .into_bytes();
    }

    pub(super) fn write(&self, dir: &Path) {
        for (name, lines) in &self.segments {
            put(&dir.join(name), &lines.concat());
        }
    }

    /// The keys of the daemon, all independent of the ledger.
    pub(super) fn options(&self, path: &Path) -> Options {
        Options {
            paths: vec![path.to_owned()],
            public_keys: vec![self.first_vkey.clone()],
            mac_master: Some(MASTER),
            threads: 2,
            ..Options::default()
        }
    }

    /// Verifies with both keys.
    pub(super) fn verify(&self) -> Report {
        let dir = tempfile::tempdir().unwrap();
        self.write(dir.path());
        verify(&self.options(dir.path())).unwrap()
    }

    /// Verifies with the public key alone.
    pub(super) fn verify_public(&self) -> Report {
        let dir = tempfile::tempdir().unwrap();
        self.write(dir.path());
        verify(&Options { mac_master: None, ..self.options(dir.path()) }).unwrap()
    }
}

pub(super) fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}
