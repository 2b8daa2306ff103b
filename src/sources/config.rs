//! Settings of the sources: one struct a type, told apart by `type`.

use crate::units::{ByteSize, Span};
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// One `[[source]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Unique name; sealed into every entry's `origin`.
    pub name: String,
    /// What it reads.
    pub kind: Kind,
}

/// What a source reads; `type` names the variant in lower case.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Files that grow and rotate.
    File(File),
    /// A unix stream socket.
    Unix(Unix),
    /// Standard input.
    Stdin(Stdin),
}

/// `type = "file"`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Globs of the files to read.
    pub paths: Vec<String>,
    /// Globs of files to leave alone.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Longest time until new bytes are seen when the kernel's hint is lost.
    #[serde(default = "poll_interval")]
    pub poll_interval: Span,
    /// Longest record; a longer one is quarantined and the stream goes on.
    #[serde(default = "max_record")]
    pub max_record: ByteSize,
}

/// `type = "unix"`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unix {
    /// Path of the socket.
    pub path: PathBuf,
    /// Its mode, in octal: `"0660"`.
    #[serde(default = "mode")]
    pub mode: Mode,
    /// Its owner's uid, where it is to differ from the daemon's.
    pub owner: Option<u32>,
    /// Its group's gid, where it is to differ from the daemon's.
    pub group: Option<u32>,
    /// Uids that may connect; all that the mode lets in, when absent.
    pub allow_uids: Option<Vec<u32>>,
    /// Connections at a time; further ones wait in the kernel's queue.
    #[serde(default = "max_connections")]
    pub max_connections: usize,
    /// Longest record; a longer one is quarantined and the stream goes on.
    #[serde(default = "max_record")]
    pub max_record: ByteSize,
}

/// `type = "stdin"`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stdin {
    /// Longest record; a longer one is quarantined and the stream goes on.
    #[serde(default = "max_record")]
    pub max_record: ByteSize,
}

/// A file mode, written in octal as a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(
    /// The permission bits.
    pub u32,
);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(&text, 8).ok().filter(|bits| *bits <= 0o777).map(Mode).ok_or_else(
            || {
                serde::de::Error::custom(format!(
                    "expected permission bits in octal, such as \"0660\"; got \"{text}\""
                ))
            },
        )
    }
}

fn poll_interval() -> Span {
    Span(Duration::from_millis(250))
}
fn max_record() -> ByteSize {
    ByteSize(1 << 20)
}
fn mode() -> Mode {
    Mode(0o660)
}
fn max_connections() -> usize {
    256
}
