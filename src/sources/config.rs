//! Settings of the sources: one struct a type, told apart by `type`.

use crate::{
    secret::SecretRef,
    units::{ByteSize, Span},
};
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

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
    /// Records posted over HTTP.
    Http(Http),
    /// Traces posted over HTTP.
    Otlp(Otlp),
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

/// `type = "http"`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The bearer token that every request must carry. Must be there unless `listen` is a loopback
    /// address.
    pub token: Option<SecretRef>,
    /// The certificate to show; plain HTTP when absent.
    pub tls: Option<Tls>,
    /// Connections at a time; further ones wait in the kernel's queue.
    #[serde(default = "max_connections")]
    pub max_connections: usize,
    /// Longest record; a longer one is quarantined, the others of its request are not.
    #[serde(default = "max_record")]
    pub max_record: ByteSize,
    /// Longest body of a request, unpacked; a longer one is refused as a whole.
    #[serde(default = "max_body")]
    pub max_body: ByteSize,
}

/// `type = "otlp"`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The bearer token that every request must carry. This or `secret` must be there unless
    /// `listen` is a loopback address, and always for Broadcast.
    pub token: Option<SecretRef>,
    /// A header of its own that every request must carry, instead of a bearer token.
    pub secret: Option<SecretHeader>,
    /// The certificate to show; plain HTTP when absent.
    pub tls: Option<Tls>,
    /// Whose spans become entries.
    #[serde(default)]
    pub accept: Accept,
    /// Connections at a time; further ones wait in the kernel's queue.
    #[serde(default = "max_connections")]
    pub max_connections: usize,
    /// Longest body of a request, unpacked; a longer one is refused as a whole.
    #[serde(default = "max_traces")]
    pub max_body: ByteSize,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// File of the certificate chain, PEM, the server's own first.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: SecretRef,
}

/// A header and the value it must have.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretHeader {
    /// The header's name.
    pub header: String,
    /// Its value.
    pub value: SecretRef,
}

/// Whose spans become entries. A witness is only as good as its secret: whoever else knows it can
/// forge one, so give OpenRouter a source of its own where that matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accept {
    /// Both.
    #[default]
    All,
    /// OpenRouter's own traces.
    Broadcast,
    /// Spans of OpenTelemetry instrumentations.
    Genai,
}

impl Accept {
    /// Its word in a config.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Accept::All => "all",
            Accept::Broadcast => "broadcast",
            Accept::Genai => "genai",
        }
    }
}

impl Kind {
    /// What of it is secret.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let (token, value, tls) = match self {
            Kind::Http(http) => (http.token.as_ref(), None, http.tls.as_ref()),
            Kind::Otlp(otlp) => {
                let value = otlp.secret.as_ref().map(|secret| &secret.value);
                (otlp.token.as_ref(), value, otlp.tls.as_ref())
            }
            Kind::File(_) | Kind::Unix(_) | Kind::Stdin(_) => (None, None, None),
        };
        token.into_iter().chain(value).chain(tls.map(|tls| &tls.key))
    }
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
fn max_body() -> ByteSize {
    ByteSize(16 << 20)
}
/// OpenRouter asks for at least that.
fn max_traces() -> ByteSize {
    ByteSize(20 << 20)
}
