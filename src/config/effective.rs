//! The effective config: every value in force, and where it comes from.

use super::{Config, Shutdown, places::Origin, sections::VERSION};
use crate::{
    enrich,
    ledger::{self, config::Durability},
    reconcile,
    redact::{
        self,
        config::{Content, Hash, Rule},
    },
    secret::SecretRef,
    sources::config::{File, Http, Kind, Otlp, SecretHeader, Stdin, Tls, Unix},
    telemetry::config::{Admin, Format, Level, Log},
};
use std::{fmt::Write, path::Path};

/// Every value in force as (key, value, origin), in the order of the sections. Values are written
/// as TOML; a secret is shown as its reference. A key without a value and a default is left out.
#[must_use]
pub fn effective(config: &Config) -> Vec<(String, String, Origin)> {
    let tables = tables(config).into_iter();
    let rows = tables.flat_map(|table| {
        let inside = |key: &str| super::places::join(&table.path, key);
        let row = |(key, value): &(&str, String)| {
            let key = inside(key);
            let origin = config.places.origin(&key);
            (key, value.clone(), origin)
        };
        table.rows.iter().map(row).collect::<Vec<_>>()
    });
    rows.collect()
}

/// The effective config as a TOML text that loads to the same config. With `origins`, a comment
/// after each value tells where it comes from.
#[must_use]
pub fn to_toml(config: &Config, origins: bool) -> String {
    let mut text = String::new();
    for table in tables(config) {
        if !table.header.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n{}", table.header);
        }
        for (key, value) in &table.rows {
            let _ = write!(text, "{key} = {value}");
            if origins {
                let path = super::places::join(&table.path, key);
                let _ = match config.places.origin(&path) {
                    Origin::Default => write!(text, "  # default"),
                    Origin::File { line, column } => {
                        write!(text, "  # {}:{line}:{column}", one_line(&config.places.file))
                    }
                    Origin::Environment(name) => write!(text, "  # {name}"),
                };
            }
            text.push('\n');
        }
    }
    text
}

/// A comment ends with its line; a file's name need not.
fn one_line(name: &str) -> String {
    name.escape_debug().to_string()
}

/// One section: its header, its path, its keys with their values as TOML.
struct Table {
    header: String,
    path: String,
    rows: Vec<(&'static str, String)>,
}

/// All sections. Each struct is taken apart without `..`, so a new key cannot be forgotten here.
fn tables(config: &Config) -> Vec<Table> {
    let section = |name: &str, rows| Table { header: format!("[{name}]"), path: name.into(), rows };
    let mut tables = vec![Table {
        header: String::new(),
        path: String::new(),
        rows: vec![("version", VERSION.to_string())],
    }];
    tables.push(section("ledger", ledger(&config.ledger)));
    for (index, source) in config.sources.iter().enumerate() {
        let (header, path) = ("[[source]]".into(), format!("source[{index}]"));
        tables.push(Table { header, path, rows: source_rows(&source.name, &source.kind) });
    }
    let redact::config::Config { content, hash, disable, rule } = &config.redact;
    let content = match content {
        Content::Hash => "hash",
        Content::Redacted => "redacted",
        Content::None => "none",
    };
    let hash = match hash {
        Hash::Sha256 => "sha256",
        Hash::HmacSha256 => "hmac-sha256",
    };
    let rows = vec![("content", text(content)), ("hash", text(hash)), ("disable", texts(disable))];
    tables.push(section("redact", rows));
    for (index, Rule { name, label, pattern, identifiers }) in rule.iter().enumerate() {
        let rows = vec![
            ("name", text(name)),
            ("label", text(label)),
            ("pattern", text(pattern)),
            ("identifiers", identifiers.to_string()),
        ];
        let (header, path) = ("[[redact.rule]]".into(), format!("redact.rule[{index}]"));
        tables.push(Table { header, path, rows });
    }
    tables.extend(config.enrich.iter().flat_map(enrich_tables));
    if let Some(own) = &config.reconcile {
        tables.push(section("reconcile", reconcile(own)));
    }
    let Admin { listen } = &config.admin;
    let listen = listen.iter().map(|address| ("listen", text(&address.to_string())));
    tables.push(section("admin", listen.collect()));
    tables.push(section("log", log(&config.log)));
    let Shutdown { deadline } = &config.shutdown;
    tables.push(section("shutdown", vec![("deadline", shown(deadline))]));
    tables
}

fn ledger(config: &ledger::config::Config) -> Vec<(&'static str, String)> {
    let ledger::config::Config {
        dir,
        service,
        durability,
        group_wait,
        group_size,
        segment_size,
        compress_after,
        checkpoint_entries,
        checkpoint_interval,
        heartbeat_interval,
        remember_ids,
        queue_size,
        mac_key,
        signing_key,
    } = config;
    let durability = match durability {
        Durability::Group => "group",
        Durability::Each => "each",
        Durability::Os => "os",
    };
    let mut rows = vec![
        ("dir", path(dir)),
        ("service", text(service)),
        ("durability", text(durability)),
        ("group_wait", shown(group_wait)),
        ("group_size", shown(group_size)),
        ("segment_size", shown(segment_size)),
        ("compress_after", shown(compress_after)),
        ("checkpoint_entries", checkpoint_entries.to_string()),
        ("checkpoint_interval", shown(checkpoint_interval)),
        ("heartbeat_interval", shown(heartbeat_interval)),
        ("remember_ids", remember_ids.to_string()),
        ("queue_size", shown(queue_size)),
    ];
    rows.extend(mac_key.iter().map(|key| ("mac_key", reference(key))));
    rows.extend(signing_key.iter().map(|key| ("signing_key", reference(key))));
    rows
}

fn source_rows(name: &str, kind: &Kind) -> Vec<(&'static str, String)> {
    let tag = |kind: &str| vec![("name", text(name)), ("type", text(kind))];
    match kind {
        Kind::File(File { paths, exclude, poll_interval, max_record }) => {
            let mut rows = tag("file");
            rows.extend([
                ("paths", texts(paths)),
                ("exclude", texts(exclude)),
                ("poll_interval", shown(poll_interval)),
                ("max_record", shown(max_record)),
            ]);
            rows
        }
        Kind::Unix(Unix {
            path: at,
            mode,
            owner,
            group,
            allow_uids,
            max_connections,
            max_record,
        }) => {
            let mut rows = tag("unix");
            rows.extend([("path", path(at)), ("mode", text(&format!("{:04o}", mode.0)))]);
            rows.extend(owner.iter().map(|uid| ("owner", uid.to_string())));
            rows.extend(group.iter().map(|gid| ("group", gid.to_string())));
            rows.extend(allow_uids.iter().map(|uids| ("allow_uids", format!("{uids:?}"))));
            rows.push(("max_connections", max_connections.to_string()));
            rows.push(("max_record", shown(max_record)));
            rows
        }
        Kind::Stdin(Stdin { max_record }) => {
            let mut rows = tag("stdin");
            rows.push(("max_record", shown(max_record)));
            rows
        }
        Kind::Http(http) => tag("http").into_iter().chain(http_rows(http)).collect(),
        Kind::Otlp(otlp) => tag("otlp").into_iter().chain(otlp_rows(otlp)).collect(),
    }
}

/// `[enrich]` and the lists in it.
fn enrich_tables(config: &enrich::config::Config) -> Vec<Table> {
    let enrich::config::Config {
        base_url,
        api_key,
        concurrency,
        rate,
        timeout,
        first_try,
        give_up_after,
        key,
        source,
    } = config;
    let rows = vec![
        ("base_url", text(base_url)),
        ("api_key", reference(api_key)),
        ("concurrency", concurrency.to_string()),
        ("rate", rate.to_string()),
        ("timeout", shown(timeout)),
        ("first_try", shown(first_try)),
        ("give_up_after", shown(give_up_after)),
    ];
    let mut tables = vec![Table { header: "[enrich]".into(), path: "enrich".into(), rows }];
    for (index, enrich::config::Key { name, api_key }) in key.iter().enumerate() {
        let rows = vec![("name", text(name)), ("api_key", reference(api_key))];
        let (header, path) = ("[[enrich.key]]".into(), format!("enrich.key[{index}]"));
        tables.push(Table { header, path, rows });
    }
    for (index, enrich::config::Source { name, base_url }) in source.iter().enumerate() {
        let rows = vec![("name", text(name)), ("base_url", text(base_url))];
        let (header, path) = ("[[enrich.source]]".into(), format!("enrich.source[{index}]"));
        tables.push(Table { header, path, rows });
    }
    tables
}

fn reconcile(config: &reconcile::config::Config) -> Vec<(&'static str, String)> {
    let reconcile::config::Config {
        management_key,
        base_url,
        every,
        settle,
        timeout,
        api_key_hashes,
        workspace_id,
    } = config;
    let mut rows =
        vec![("management_key", reference(management_key)), ("base_url", text(base_url))];
    rows.extend(every.iter().map(|every| ("every", shown(every))));
    rows.extend([
        ("settle", shown(settle)),
        ("timeout", shown(timeout)),
        ("api_key_hashes", texts(api_key_hashes)),
    ]);
    rows.extend(workspace_id.iter().map(|id| ("workspace_id", text(id))));
    rows
}

fn http_rows(http: &Http) -> Vec<(&'static str, String)> {
    let Http { listen, token, tls, max_connections, max_record, max_body } = http;
    let mut rows = vec![("listen", shown(listen))];
    rows.extend(token.iter().map(|token| ("token", reference(token))));
    rows.extend(tls.iter().map(|tls| ("tls", certificate(tls))));
    rows.push(("max_connections", max_connections.to_string()));
    rows.push(("max_record", shown(max_record)));
    rows.push(("max_body", shown(max_body)));
    rows
}

fn otlp_rows(otlp: &Otlp) -> Vec<(&'static str, String)> {
    let Otlp { listen, token, secret, tls, accept, max_connections, max_body } = otlp;
    let mut rows = vec![("listen", shown(listen))];
    rows.extend(token.iter().map(|token| ("token", reference(token))));
    rows.extend(secret.iter().map(|SecretHeader { header, value }| {
        ("secret", format!("{{ header = {}, value = {} }}", text(header), reference(value)))
    }));
    rows.extend(tls.iter().map(|tls| ("tls", certificate(tls))));
    rows.push(("accept", text(accept.name())));
    rows.push(("max_connections", max_connections.to_string()));
    rows.push(("max_body", shown(max_body)));
    rows
}

fn certificate(Tls { cert, key }: &Tls) -> String {
    format!("{{ cert = {}, key = {} }}", path(cert), reference(key))
}

fn log(config: &Log) -> Vec<(&'static str, String)> {
    let Log { format, level } = config;
    let format = match format {
        Format::Text => "text",
        Format::Json => "json",
    };
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    vec![("format", text(format)), ("level", text(level))]
}

/// A text as TOML writes it.
pub(super) fn text(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

fn texts(values: &[String]) -> String {
    format!("[{}]", values.iter().map(|value| text(value)).collect::<Vec<_>>().join(", "))
}

fn path(value: &Path) -> String {
    text(&value.to_string_lossy())
}

fn shown(value: &impl std::fmt::Display) -> String {
    text(&value.to_string())
}

fn reference(secret: &SecretRef) -> String {
    match secret {
        SecretRef::File(file) => format!("{{ file = {} }}", path(file)),
        SecretRef::Env(name) => format!("{{ env = {} }}", text(name)),
        SecretRef::Credential(name) => format!("{{ credential = {} }}", text(name)),
    }
}
