//! What the sources' values mean.

use super::{Check, KIB, MIB, millis, seconds, size};
use crate::{
    config::read::quote,
    ledger,
    sources::config::{Accept, Config, File, Http, Kind, Otlp, Unix},
    units::ByteSize,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// `sun_path` of a unix socket's address, less the NUL that ends it (unix(7)).
const LONGEST_SOCKET_PATH: usize = 107;

/// Glob options of the sources: `*` stays inside a directory.
const WITHIN_DIRECTORY: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// What to say of a glob that matches the ledger's own segments.
pub(in crate::config) const READS_LEDGER: &str = "would read the ledger's own segments and feed \
    them back; name the application's files more closely, or move ledger.dir";

/// What only one source may have, and the path of the one that has it.
#[derive(Default)]
struct Taken {
    names: BTreeMap<String, String>,
    sockets: BTreeMap<PathBuf, String>,
    globs: BTreeMap<String, String>,
    stdin: Option<String>,
    addresses: BTreeMap<SocketAddr, String>,
}

impl Check<'_> {
    /// Checks each source, then what they share with one another and with the ledger.
    pub(super) fn sources(
        &mut self,
        sources: &[(usize, Config)],
        ledger: Option<&ledger::config::Config>,
    ) {
        let mut taken = Taken::default();
        for (index, source) in sources {
            let path = format!("source[{index}]");
            let name = format!("{path}.name");
            self.name(&name, &source.name);
            if let Some(other) = taken.names.insert(source.name.clone(), path.clone()) {
                let message = format!(
                    "{} is also the name of {other}; each needs its own",
                    quote(&source.name)
                );
                self.wrong(&name, message);
            }
            match &source.kind {
                Kind::File(file) => self.file(&path, file, &mut taken, ledger),
                Kind::Unix(unix) => self.unix(&path, unix, &mut taken),
                Kind::Stdin(_) => {
                    if let Some(other) = taken.stdin.replace(path.clone()) {
                        let message = format!("{other} reads standard input already; keep one");
                        self.wrong(&format!("{path}.type"), message);
                    }
                }
                Kind::Http(http) => self.http(&path, http, &mut taken),
                Kind::Otlp(otlp) => self.otlp(&path, otlp, &mut taken),
            }
            let (Kind::File(File { max_record, .. })
            | Kind::Unix(Unix { max_record, .. })
            | Kind::Http(Http { max_record, .. })
            | Kind::Stdin(crate::sources::config::Stdin { max_record })) = &source.kind
            else {
                continue;
            };
            self.max_record(&format!("{path}.max_record"), *max_record, ledger);
        }
    }

    fn http(&mut self, path: &str, http: &Http, taken: &mut Taken) {
        self.address(path, http.listen, taken);
        self.reference(&format!("{path}.token"), http.token.as_ref());
        self.reference(&format!("{path}.tls.key"), http.tls.as_ref().map(|tls| &tls.key));
        if http.token.is_none() && !http.listen.ip().is_loopback() {
            let message = format!(
                "{} can be reached from other machines, so a token is needed; add token = {{ file \
                 = \"…\" }}, or listen on 127.0.0.1",
                http.listen
            );
            self.wrong(&format!("{path}.listen"), message);
        }
        self.range(&format!("{path}.max_connections"), http.max_connections, 1..=65_535);
        self.range(&format!("{path}.max_body"), http.max_body, size(KIB)..=size(256 * MIB));
    }

    fn otlp(&mut self, path: &str, otlp: &Otlp, taken: &mut Taken) {
        self.address(path, otlp.listen, taken);
        self.reference(&format!("{path}.token"), otlp.token.as_ref());
        let value = otlp.secret.as_ref().map(|secret| &secret.value);
        self.reference(&format!("{path}.secret.value"), value);
        self.reference(&format!("{path}.tls.key"), otlp.tls.as_ref().map(|tls| &tls.key));
        if let Some(secret) = &otlp.secret {
            let header = format!("{path}.secret.header");
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
            if secret.header.is_empty() || !secret.header.bytes().all(fits) {
                let message = "is not the name of a header; accepted: A-Z a-z 0-9 - _, such as \
                    \"X-Audit-Secret\"";
                self.wrong(&header, message);
            }
            if otlp.token.is_some() {
                self.wrong(&header, "is one way in, token another; keep one of the two");
            }
        }
        let open = otlp.token.is_none() && otlp.secret.is_none();
        if open && !otlp.listen.ip().is_loopback() {
            let message = format!(
                "{} can be reached from other machines, so a secret is needed; add token = {{ file \
                 = \"…\" }} or secret = {{ header = \"…\", value = {{ file = \"…\" }} }}, or listen on \
                 127.0.0.1",
                otlp.listen
            );
            self.wrong(&format!("{path}.listen"), message);
        } else if open && otlp.accept == Accept::Broadcast {
            let message = "needs a secret, since anybody could forge a witness; add token = { file \
                = \"…\" } or secret = { header = \"…\", value = { file = \"…\" } }";
            self.wrong(&format!("{path}.accept"), message);
        }
        self.range(&format!("{path}.max_connections"), otlp.max_connections, 1..=65_535);
        self.range(&format!("{path}.max_body"), otlp.max_body, size(KIB)..=size(256 * MIB));
    }

    fn address(&mut self, path: &str, listen: SocketAddr, taken: &mut Taken) {
        let path = format!("{path}.listen");
        // Port 0 lets the system choose, a different one each time.
        if listen.port() != 0
            && let Some(other) = taken.addresses.insert(listen, path.clone())
        {
            self.wrong(&path, format!("is the address of {other} already; each needs its own"));
        }
    }

    fn max_record(
        &mut self,
        path: &str,
        longest: ByteSize,
        ledger: Option<&ledger::config::Config>,
    ) {
        self.range(path, longest, size(KIB)..=size(64 * MIB));
        if let Some(ledger) = ledger.filter(|ledger| ledger.queue_size < longest) {
            let message = format!(
                "{longest} does not fit into ledger.queue_size ({}); accepted: at most that, or \
                 raise ledger.queue_size",
                ledger.queue_size
            );
            self.wrong(path, message);
        }
    }

    fn file(
        &mut self,
        path: &str,
        file: &File,
        taken: &mut Taken,
        ledger: Option<&ledger::config::Config>,
    ) {
        if file.paths.is_empty() {
            let message = "is empty, so nothing would be read; expected a list of globs";
            self.wrong(&format!("{path}.paths"), message);
        }
        self.range(
            &format!("{path}.poll_interval"),
            file.poll_interval,
            millis(10)..=seconds(3600),
        );
        for (index, text) in file.paths.iter().enumerate() {
            let path = format!("{path}.paths[{index}]");
            let Some(pattern) = self.glob(&path, text) else { continue };
            if let Some(other) = taken.globs.insert(text.clone(), path.clone()) {
                self.wrong(
                    &path,
                    format!("is read by {other} already; each record would be sealed twice"),
                );
            }
            if ledger.is_some_and(|ledger| reads_ledger(&pattern, &ledger.dir)) {
                self.wrong(&path, READS_LEDGER);
            }
        }
        for (index, text) in file.exclude.iter().enumerate() {
            self.glob(&format!("{path}.exclude[{index}]"), text);
        }
    }

    fn glob(&mut self, path: &str, text: &str) -> Option<glob::Pattern> {
        if text.is_empty() {
            self.wrong(path, "is empty; expected a glob, such as \"/var/log/app/*.ndjson\"");
            return None;
        }
        match glob::Pattern::new(text) {
            Ok(pattern) => Some(pattern),
            Err(why) => {
                let column = text.get(..why.pos).map_or(0, |before| before.chars().count()) + 1;
                let message = format!(
                    "{} is not a glob: {} at character {column}; accepted: * ? ** and [abc]",
                    quote(text),
                    why.msg.to_lowercase()
                );
                self.wrong(path, message);
                None
            }
        }
    }

    fn unix(&mut self, path: &str, unix: &Unix, taken: &mut Taken) {
        let socket = format!("{path}.path");
        let length = unix.path.as_os_str().len();
        if length == 0 || unix.path.file_name().is_none() {
            self.wrong(
                &socket,
                "is no path of a socket; expected such as \"/run/veritail/ingest.sock\"",
            );
        } else if length > LONGEST_SOCKET_PATH {
            let message = format!(
                "is {length} bytes long; the system accepts at most {LONGEST_SOCKET_PATH} for a \
                 socket"
            );
            self.wrong(&socket, message);
        } else if let Some(other) = taken.sockets.insert(unix.path.clone(), path.to_owned()) {
            self.wrong(&socket, format!("is the socket of {other} already; each needs its own"));
        }
        if unix.mode.0 & 0o222 == 0 {
            let message = format!(
                "{:04o} lets nobody connect, which takes the right to write; accepted: \
                 such as \"0660\"",
                unix.mode.0
            );
            self.wrong(&format!("{path}.mode"), message);
        }
        if unix.allow_uids.as_ref().is_some_and(Vec::is_empty) {
            let message = "is empty, so nobody could connect; list uids, or leave it out to let \
                the mode decide";
            self.wrong(&format!("{path}.allow_uids"), message);
        }
        self.range(&format!("{path}.max_connections"), unix.max_connections, 1..=65_535);
    }
}

/// Whether a glob would match a segment of the ledger in `dir`.
pub(in crate::config) fn reads_ledger(pattern: &glob::Pattern, dir: &Path) -> bool {
    let segment = dir.join("audit_2026-01-01.00000001.jsonl");
    let plain = |path: &Path| path.components().collect::<PathBuf>();
    let pattern = glob::Pattern::new(&plain(Path::new(pattern.as_str())).to_string_lossy());
    pattern.is_ok_and(|pattern| pattern.matches_path_with(&plain(&segment), WITHIN_DIRECTORY))
}
