//! One section → its struct, with every mistake in it told.
//!
//! serde stops at the first mistake. So the mistake is noted, what caused it is taken out, and the
//! section is read again, until it reads or cannot be helped. The structs of the stages stay the
//! only definition of what is accepted.

use super::{
    fault::Fault,
    node::{Kind, Node},
    places::join,
    problem::{Level, Part, Report, did_you_mean, may_be_secret},
};
use serde::de::DeserializeOwned;

/// Mistakes told in one section; each costs one more reading of it.
const MOST_MISTAKES: usize = 100;

/// Characters of a wrong value that are shown.
const LONGEST_SHOWN: usize = 80;

/// A table and what is said about the keys it does not know.
pub(super) struct Section<'a> {
    /// Its path.
    pub(super) path: &'a str,
    /// Keys that it accepts beside those of its struct; they were taken out before.
    pub(super) also: &'a [&'a str],
    /// What to say of a key that belongs elsewhere.
    pub(super) elsewhere: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Section<'a> {
    /// A table that stands for itself.
    pub(super) fn plain(path: &'a str) -> Self {
        Section { path, also: &[], elsewhere: &|_| None }
    }
}

/// Reads a section. What it gives when something was reported is only good for finding more.
pub(super) fn read<T: DeserializeOwned>(
    mut node: Node,
    section: &Section<'_>,
    report: &mut Report,
) -> Option<T> {
    for _ in 0..MOST_MISTAKES {
        let wrong = match serde_path_to_error::deserialize::<_, T>(&node) {
            Ok(value) => return Some(value),
            Err(wrong) => wrong,
        };
        if let Fault::Missing(key) = wrong.inner() {
            let path = join(section.path, &node.stand_in(wrong.path(), key)?);
            let message = format!("missing; add `{key} = …`");
            report.add(Level::Syntax, &path, Part::Key, message);
            continue;
        }
        let path = node.take_out(wrong.path());
        let path = if path.starts_with('[') || path.is_empty() {
            format!("{}{path}", section.path)
        } else {
            join(section.path, &path)
        };
        // A reference whose one kind was wrong is no second mistake.
        let follows = matches!(wrong.inner(), Fault::NotOneReference) && report.has_inside(&path);
        if !follows && !matches!(wrong.inner(), Fault::Refused) {
            let part = match wrong.inner() {
                Fault::UnknownKey { .. } => Part::Key,
                _ => Part::Value,
            };
            report.add(Level::Syntax, &path, part, explain(wrong.inner(), &path, section));
        }
        // Nothing could be taken out: the section as a whole is wrong.
        if path == section.path {
            return None;
        }
    }
    None
}

/// The fault in words: what is wrong, what is accepted, what may have been meant.
fn explain(fault: &Fault, path: &str, section: &Section<'_>) -> String {
    let secret = may_be_secret(path);
    match fault {
        Fault::UnknownKey { key, accepted } => {
            if let Some(advice) = (section.elsewhere)(key) {
                return advice;
            }
            // Only the section's own table has more keys than its struct.
            let also: &[&str] = if join(section.path, key) == path { section.also } else { &[] };
            let accepted: Vec<&str> = also.iter().chain(accepted.iter()).copied().collect();
            unknown_key(key, &accepted)
        }
        Fault::UnknownVariant { variant, accepted } => {
            let shown = if secret { "this reference to a secret".into() } else { quote(variant) };
            let hint = did_you_mean(variant, accepted);
            format!("{shown} is not known; accepted: {}{hint}", accepted.join(", "))
        }
        Fault::NotAWord { found, accepted } => {
            let accepted: Vec<String> = accepted.iter().map(|word| quote(word)).collect();
            format!("expected one of {}; got {}", accepted.join(", "), clip(found))
        }
        Fault::Type { found, expected } => {
            let found = if secret { String::new() } else { format!("; got {}", clip(found)) };
            format!("expected {}{found}", in_words(expected, path))
        }
        Fault::InlineSecret => "a secret does not belong in the config; expected a reference: \
            { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }"
            .into(),
        Fault::NotOneReference => {
            "expected one reference: { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }"
                .into()
        }
        Fault::Other(message) if message.contains("socket address") => {
            "expected an IP address and a port, such as \"127.0.0.1:9464\"".into()
        }
        Fault::Other(message) if secret => {
            message.split_once("; got").map_or("is not accepted", |(before, _)| before).into()
        }
        Fault::Other(message) => message.clone(),
        Fault::Missing(_) | Fault::Fields(_) | Fault::Refused => "is not accepted".into(),
    }
}

/// `unknown key; accepted: …, did you mean "…"?`
pub(super) fn unknown_key(key: &str, accepted: &[&str]) -> String {
    let hint = did_you_mean(key, accepted);
    format!("unknown key; accepted: {}{hint}", accepted.join(", "))
}

/// serde's name of a type as an operator knows it.
fn in_words(expected: &str, path: &str) -> String {
    match expected {
        "a string" if path.ends_with(".mode") => {
            "permission bits in octal and in quotes, such as \"0660\"".into()
        }
        "a string" => "a text in quotes".into(),
        "path string" => "a path in quotes".into(),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" => "a whole number, 0 or more".into(),
        "a boolean" => "true or false".into(),
        "a sequence" if path == "redact.rule" => {
            "[[redact.rule]] tables, in double brackets".into()
        }
        "a sequence" if path == "enrich.key" || path == "enrich.source" => {
            format!("[[{path}]] tables, in double brackets")
        }
        "a sequence" => "a list, such as [\"one\", \"two\"]".into(),
        other if other.starts_with("struct ") => "a table".into(),
        other if other.contains("socket address") => {
            "an IP address and a port, such as \"127.0.0.1:9464\"".into()
        }
        other => other.into(),
    }
}

/// A wrong text, quoted and kept short.
pub(super) fn quote(text: &str) -> String {
    clip(&format!("\"{}\"", text.escape_debug()))
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A table to read, or what to say of a section that is something else.
pub(super) fn table(node: Option<Node>, path: &str, report: &mut Report) -> Option<Node> {
    match node {
        None => Some(Node(Kind::Table(Default::default()))),
        Some(node @ Node(Kind::Table(_))) => Some(node),
        Some(Node(Kind::List(_))) => {
            report.add(
                Level::Syntax,
                path,
                Part::Key,
                format!("expected one section; write [{path}], in single brackets"),
            );
            None
        }
        Some(_) => {
            report.add(
                Level::Syntax,
                path,
                Part::Key,
                format!("expected a section; write [{path}] and its keys below"),
            );
            None
        }
    }
}
