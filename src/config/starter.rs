//! Configs that veritail writes itself. They are texts like any other and read by the same code.

use super::effective::text;
use std::path::Path;

/// The commented config that `veritail init DIR` writes: all in `dir`, nothing on the network.
/// `dir` must be UTF-8, as every path in a config; another one is written as near as can be.
#[must_use]
pub fn starter(dir: &Path, service: &str) -> String {
    let [ledger, socket, files] = paths(dir);
    let service = text(service);
    format!(
        r#"# veritail: what it reads, what it keeps, where the ledger is.
# Check it with `veritail check -c FILE`; see every value in force with `veritail config -c FILE`.
# A variable VERITAIL__SECTION__KEY overrides a value: VERITAIL__LEDGER__SERVICE=orders-api
version = 1

[ledger]
dir = {ledger}
# Name of the application; the ledger's stream is named after it.
service = {service}
# Keys are looked for in keys/ under that directory unless they are named here:
# mac_key = {{ credential = "mac.key" }}
# signing_key = {{ credential = "signing.key" }}

# Each line that the application writes to these files is one record.
[[source]]
name = "requests"
type = "file"
paths = [{files}]

# A library in the application can send records here and is told when they are sealed.
[[source]]
name = "ingest"
type = "unix"
path = {socket}
mode = "0660"

[redact]
# hash: keep the digest of prompts and responses, not their text.
# redacted: keep the text too, without personal data and secrets.  none: keep neither.
content = "hash"

# A rule of your own: every match becomes [EMPLOYEE_ID].
# [[redact.rule]]
# name = "employee-id"
# label = "EMPLOYEE_ID"
# pattern = '\bEMP-\d{{6}}\b'

# [admin]
# listen = "127.0.0.1:9464"     # /healthz /readyz /metrics

[log]
format = "text"                 # text | json
level = "info"                  # error | warn | info | debug
"#
    )
}

/// The config of `veritail run` without one: the [`starter`]'s, and `requests/` beside it.
pub(super) fn embedded(dir: &Path) -> String {
    let [ledger, socket, files] = paths(dir);
    format!(
        r#"version = 1

[ledger]
dir = {ledger}
service = "veritail"

[[source]]
name = "ingest"
type = "unix"
path = {socket}
mode = "0660"

[[source]]
name = "requests"
type = "file"
paths = [{files}, "requests/*.ndjson"]

[redact]
content = "hash"
"#
    )
}

/// The config of `veritail demo`: as the [`embedded`] one, but the ledger in a directory of its own,
/// scrubbed texts kept, so that there is something to see, OpenRouter asked at `base_url` on a
/// schedule that fits into a demo, and its own count of a day compared on demand.
#[must_use]
pub fn demo(dir: &Path, base_url: &str) -> String {
    let [_, socket, files] = paths(dir);
    let [ledger, key, management_key] = ["ledger", "openrouter.key", "management.key"]
        .map(|name| text(&dir.join(name).to_string_lossy()));
    let base_url = text(base_url);
    format!(
        r#"version = 1

[ledger]
dir = {ledger}
service = "demo"

[[source]]
name = "ingest"
type = "unix"
path = {socket}
mode = "0600"

[[source]]
name = "requests"
type = "file"
paths = [{files}]

[redact]
content = "redacted"

# The demo's stand-in for OpenRouter. Against the real one only api_key is needed.
[enrich]
base_url = {base_url}
api_key = {{ file = {key} }}
rate = 1000
first_try = "200ms"
give_up_after = "2s"

# Asked where [enrich] asks; without `every` only when told to.
[reconcile]
management_key = {{ file = {management_key} }}
"#
    )
}

/// The ledger's directory, the socket and the glob of the files in `dir`, as TOML.
fn paths(dir: &Path) -> [String; 3] {
    let inside = |name: &str| text(&dir.join(name).to_string_lossy());
    // A name with a `[` in it is a name, not a class of characters.
    let literal = glob::Pattern::escape(&dir.to_string_lossy());
    let files = Path::new(&literal).join("requests/*.ndjson");
    [text(&dir.to_string_lossy()), inside("ingest.sock"), text(&files.to_string_lossy())]
}
