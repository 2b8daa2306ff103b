//! The file and the environment over it → one tree.
//!
//! `VERITAIL__LEDGER__DIR` is `ledger.dir`; a part of a list of tables is named by its `name` or
//! its index: `VERITAIL__SOURCE__APP__PATH`. The `config` crate does the merging, so precedence
//! has one owner; each value carries the variable it came from as its origin.

use super::{
    node::{Kind, Node},
    places::join,
    problem::{Level, Problem, Report, did_you_mean},
};
use crate::secret::Environment;
use ::config::{Config, ConfigError, Map, Source, Value, ValueKind};

/// Variables that begin so are settings; all others are none of ours.
const PREFIX: &str = "VERITAIL__";

/// The lists of tables, whose parts are named by `name` or index.
const LISTS: &[&[&str]] =
    &[&["source"], &["redact", "rule"], &["enrich", "key"], &["enrich", "source"]];

/// All keys hang under this one while they are merged: the `config` crate reads a key at the top as
/// an expression, so `"a.b"` would become `a` and `b`.
const ROOT: &str = "root";

/// Lays the environment over the file's tree.
pub(super) fn merge(file: Value, environment: &Environment, report: &mut Report) -> Node {
    let mut builder = Config::builder().add_source(Written(file.clone()));
    for (name, value) in environment.iter() {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        match path(rest, &file) {
            Ok(path) => {
                let value = Value::new(Some(&name.to_owned()), value);
                builder = builder.add_source(Variable { path, value });
            }
            Err(message) => report.push(unusable(name, message)),
        }
    }
    let merged = match builder.build() {
        Ok(config) => match config.cache.into_table().map(|mut top| top.remove(ROOT)) {
            Ok(Some(root)) => root,
            Ok(None) | Err(_) => file,
        },
        Err(why) => {
            report.push(unusable("VERITAIL__…", format!("cannot be merged: {why}")));
            file
        }
    };
    node(merged, "", report)
}

/// The file's tree as a layer.
#[derive(Clone, Debug)]
struct Written(Value);

impl Source for Written {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }
    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok([(ROOT.to_owned(), self.0.clone())].into_iter().collect())
    }
}

/// One variable as a layer. One each, in the order of their names, so that of two that meet
/// (`VERITAIL__LEDGER` and `VERITAIL__LEDGER__DIR`) the same one wins every time.
#[derive(Clone, Debug)]
struct Variable {
    path: String,
    value: Value,
}

impl Source for Variable {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }
    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok([(join(ROOT, &self.path), self.value.clone())].into_iter().collect())
    }
}

fn unusable(name: &str, message: String) -> Problem {
    let file = format!("environment variable {name}");
    Problem { file, line: 0, column: 0, key: String::new(), message, level: Level::Syntax }
}

/// `source[0].path` for `SOURCE__APP__PATH`.
fn path(name: &str, file: &Value) -> Result<String, String> {
    let lower = name.to_lowercase();
    let segments: Vec<&str> = lower.split("__").collect();
    let plain = |segment: &&str| {
        !segment.is_empty() && segment.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !segments.iter().all(plain) {
        return Err("does not name a setting; expected VERITAIL__SECTION__KEY".into());
    }
    for list in LISTS {
        if let Some(rest) = segments.strip_prefix(*list) {
            let [element, key, ..] = rest else {
                return Err(format!(
                    "cannot replace [[{}]] as a whole; expected VERITAIL__{}__NAME__KEY",
                    list.join("."),
                    list.join("__").to_uppercase()
                ));
            };
            let index = index(list, element, file)?;
            let inside = rest.get(2..).unwrap_or_default().iter();
            let start = format!("{}[{index}].{key}", list.join("."));
            return Ok(inside.fold(start, |path, segment| join(&path, segment)));
        }
    }
    Ok(segments.join("."))
}

/// The index of the table that `wanted` names, by its name or its index. A variable's name has
/// neither case nor `-` and `.`, so names are compared without.
fn index(list: &[&str], wanted: &str, file: &Value) -> Result<usize, String> {
    let mut at = file;
    for key in list {
        at = match &at.kind {
            ValueKind::Table(table) => table.get(*key).unwrap_or(file),
            _ => file,
        };
    }
    let tables: &[Value] = match &at.kind {
        ValueKind::Array(tables) => tables,
        _ => &[],
    };
    let fold = |name: &str| name.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "_");
    let names: Vec<&str> = tables.iter().map(|table| name_of(table).unwrap_or("")).collect();
    let mut named = (0..names.len()).filter(|i| names.get(*i).is_some_and(|n| fold(n) == wanted));
    let list = list.join(".");
    match (named.next(), named.next(), wanted.parse::<usize>()) {
        (Some(index), None, _) => Ok(index),
        (None, _, Ok(index)) if index < tables.len() => Ok(index),
        (Some(_), Some(_), _) => {
            Err(format!("more than one [[{list}]] goes by that name; use its index, from 0"))
        }
        (None, ..) if names.is_empty() => Err(format!("the file has no [[{list}]] to set")),
        (None, ..) => Err(format!(
            "no [[{list}]] is named so; accepted: {} or an index from 0{}",
            names.join(", "),
            did_you_mean(wanted, &names)
        )),
    }
}

fn name_of(table: &Value) -> Option<&str> {
    match &table.kind {
        ValueKind::Table(table) => match table.get("name").map(|name| &name.kind) {
            Some(ValueKind::String(name)) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// The merged tree as nodes; remembers which path came from which variable.
fn node(value: Value, path: &str, report: &mut Report) -> Node {
    let variable = value.origin().map(str::to_owned);
    if let Some(variable) = &variable {
        report.places.variables.insert(path.to_owned(), variable.clone());
    }
    let kind = match value.kind {
        ValueKind::Boolean(bit) => Kind::Bool(bit),
        ValueKind::I64(number) => Kind::Int(number),
        ValueKind::String(text) if variable.is_some() => Kind::Loose(text),
        ValueKind::String(text) => Kind::Text(text),
        ValueKind::Table(mut table) => {
            if let Some(variable) = one_reference(&mut table) {
                report.places.variables.insert(path.to_owned(), variable);
            }
            let inner = |(key, value): (String, Value)| {
                let node = node(value, &join(path, &key), report);
                (key, node)
            };
            Kind::Table(table.into_iter().map(inner).collect())
        }
        ValueKind::Array(items) => {
            let inner = |(index, value)| (index, node(value, &format!("{path}[{index}]"), report));
            Kind::List(items.into_iter().enumerate().map(inner).collect())
        }
        // Reported when it was read.
        _ => Kind::Refused,
    };
    Node(kind)
}

/// A reference to a secret that the environment gives replaces the file's, of whatever kind; the
/// variable that gives it.
fn one_reference(table: &mut Map<String, Value>) -> Option<String> {
    let reference = |key: &String| ["file", "env", "credential"].contains(&key.as_str());
    if !table.keys().all(reference) {
        return None;
    }
    let variable = table.values().find_map(|value| value.origin().map(str::to_owned))?;
    table.retain(|_, value| value.origin().is_some());
    Some(variable)
}
