//! The sections of a config, and which struct reads each.

use super::{
    Shutdown,
    fault::fields,
    node::{Kind, Node},
    problem::{Level, Part, Report, did_you_mean},
    read::{Section, quote, read, table, unknown_key},
};
use crate::{enrich, ledger, reconcile, redact, sources, telemetry};
use std::collections::BTreeMap;

/// The one version of the format there is.
pub(super) const VERSION: u64 = 1;

const SECTIONS: &[&str] =
    &["version", "ledger", "source", "redact", "enrich", "reconcile", "admin", "log", "shutdown"];

/// Sections that are planned, and what they are for.
const LATER: &[&str] = &["sink", "retention"];

/// The keys of a source that tell what the others are.
const TAGS: &[&str] = &["name", "type"];

/// All sections as far as they could be read.
pub(super) struct Parts {
    pub(super) ledger: Option<ledger::config::Config>,
    /// Each with its index in the file.
    pub(super) sources: Vec<(usize, sources::config::Config)>,
    pub(super) redact: Option<redact::config::Config>,
    /// `None` when it is missing, too.
    pub(super) enrich: Option<enrich::config::Config>,
    /// `None` when it is missing, too.
    pub(super) reconcile: Option<reconcile::config::Config>,
    pub(super) admin: Option<telemetry::config::Admin>,
    pub(super) log: Option<telemetry::config::Log>,
    pub(super) shutdown: Option<Shutdown>,
}

/// Reads all sections.
pub(super) fn parts(root: Node, report: &mut Report) -> Parts {
    let mut keys = match root.0 {
        Kind::Table(keys) => keys,
        _ => BTreeMap::new(),
    };
    version(keys.remove("version"), report);
    let parts = Parts {
        ledger: section(&mut keys, "ledger", report),
        sources: match keys.remove("source") {
            // A source that is there under a misspelt name is told as that.
            None if keys.keys().any(|key| !did_you_mean(key, &["source"]).is_empty()) => Vec::new(),
            node => sources(node, report),
        },
        redact: section(&mut keys, "redact", report),
        enrich: optional(&mut keys, "enrich", report),
        reconcile: optional(&mut keys, "reconcile", report),
        admin: section(&mut keys, "admin", report),
        log: section(&mut keys, "log", report),
        shutdown: section(&mut keys, "shutdown", report),
    };
    for key in keys.keys() {
        let message = if LATER.contains(&key.as_str()) {
            format!("not in this version of veritail; remove it, accepted: {}", SECTIONS.join(", "))
        } else if matches!(keys.get(key), Some(Node(Kind::Table(_) | Kind::List(_)))) {
            let hint = did_you_mean(key, SECTIONS);
            format!("unknown section; accepted: {}{hint}", SECTIONS.join(", "))
        } else {
            unknown_key(key, SECTIONS)
        };
        report.add(Level::Syntax, key, Part::Key, message);
    }
    parts
}

fn section<T: serde::de::DeserializeOwned>(
    keys: &mut BTreeMap<String, Node>,
    path: &str,
    report: &mut Report,
) -> Option<T> {
    let node = table(keys.remove(path), path, report)?;
    read(node, &Section::plain(path), report)
}

/// A section that does nothing when it is left out.
fn optional<T: serde::de::DeserializeOwned>(
    keys: &mut BTreeMap<String, Node>,
    path: &str,
    report: &mut Report,
) -> Option<T> {
    if keys.contains_key(path) { section(keys, path, report) } else { None }
}

fn version(node: Option<Node>, report: &mut Report) {
    let Some(node) = node else {
        let message = format!("missing; add `version = {VERSION}` as the first line");
        return report.add(Level::Syntax, "version", Part::Key, message);
    };
    if let Some(version) = read::<u64>(node, &Section::plain("version"), report)
        && version != VERSION
    {
        let message = format!("version {version} is not known; accepted: {VERSION}");
        report.value(Level::Syntax, "version", message);
    }
}

/// How a source of one type is read.
struct Type {
    name: &'static str,
    read: fn(Node, &Section<'_>, &mut Report) -> Option<sources::config::Kind>,
    fields: fn() -> &'static [&'static str],
}

/// The types of source; one line each.
const TYPES: &[Type] = {
    use sources::config::{File, Http, Kind, Otlp, Stdin, Unix};
    &[
        Type {
            name: "file",
            read: |n, s, r| read(n, s, r).map(Kind::File),
            fields: fields::<File>,
        },
        Type {
            name: "unix",
            read: |n, s, r| read(n, s, r).map(Kind::Unix),
            fields: fields::<Unix>,
        },
        Type {
            name: "stdin",
            read: |n, s, r| read(n, s, r).map(Kind::Stdin),
            fields: fields::<Stdin>,
        },
        Type {
            name: "http",
            read: |n, s, r| read(n, s, r).map(Kind::Http),
            fields: fields::<Http>,
        },
        Type {
            name: "otlp",
            read: |n, s, r| read(n, s, r).map(Kind::Otlp),
            fields: fields::<Otlp>,
        },
    ]
};

fn sources(node: Option<Node>, report: &mut Report) -> Vec<(usize, sources::config::Config)> {
    match node.map(|node| node.0) {
        Some(Kind::List(items)) if !items.is_empty() => {
            let read = |(index, node)| Some((index, source(node, index, report)?));
            items.into_iter().filter_map(read).collect()
        }
        None | Some(Kind::List(_)) => {
            let message = "no source, so nothing would be recorded; add a [[source]]";
            report.add(Level::Semantics, "source", Part::Key, message);
            Vec::new()
        }
        Some(_) => {
            let message = "there may be several; write [[source]], in double brackets";
            report.add(Level::Syntax, "source", Part::Key, message);
            Vec::new()
        }
    }
}

/// Reads one `[[source]]`: its name and type first, then the rest as that type wants it.
fn source(node: Node, index: usize, report: &mut Report) -> Option<sources::config::Config> {
    let path = format!("source[{index}]");
    let Kind::Table(mut keys) = node.0 else {
        report.value(Level::Syntax, &path, "expected a table; write [[source]] and its keys below");
        return None;
    };
    let name = tag(&mut keys, &path, "name", report);
    let tag = tag(&mut keys, &path, "type", report)?;
    let names: Vec<&str> = TYPES.iter().map(|known| known.name).collect();
    let Some(known) = TYPES.iter().find(|known| known.name == tag) else {
        let hint = did_you_mean(&tag, &names);
        let message = format!(
            "{} is not a type of source; accepted: {}{hint}",
            quote(&tag),
            names.join(", ")
        );
        report.value(Level::Syntax, &format!("{path}.type"), message);
        return None;
    };
    let elsewhere = |key: &str| {
        let owner = TYPES.iter().find(|other| (other.fields)().contains(&key))?;
        Some(format!(
            "belongs to a source of type \"{}\", this one is of type \"{}\"; accepted: {}, {}",
            owner.name,
            known.name,
            TAGS.join(", "),
            (known.fields)().join(", "),
        ))
    };
    let section = Section { path: &path, also: TAGS, elsewhere: &elsewhere };
    let kind = (known.read)(Node(Kind::Table(keys)), &section, report)?;
    Some(sources::config::Config { name: name?, kind })
}

/// Takes `key` out of a source's table: a text that every source must have.
fn tag(
    keys: &mut BTreeMap<String, Node>,
    path: &str,
    key: &str,
    report: &mut Report,
) -> Option<String> {
    let inner = format!("{path}.{key}");
    match keys.remove(key) {
        Some(Node(Kind::Refused)) => None,
        Some(node) => read(node, &Section::plain(&inner), report),
        None => {
            let message = match key {
                "type" => {
                    let names: Vec<&str> = TYPES.iter().map(|known| known.name).collect();
                    format!("missing; accepted: {}", names.join(", "))
                }
                _ => format!("missing; add `{key} = \"…\"`, which is sealed with every record"),
            };
            report.add(Level::Syntax, &inner, Part::Key, message);
            None
        }
    }
}
