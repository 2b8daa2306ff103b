//! The house's rules that a compiler does not check: which module may know which, what is pure, and
//! no test that asserts nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Who may know whom, by top module. `config` composes the stages' settings and `pipeline` the
/// stages; nobody else knows either, but the commands. A stage knows no other stage.
const ARROWS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("crash", &[]),
    ("disk", &[]),
    ("json", &[]),
    ("record", &[]),
    ("secret", &[]),
    ("stop", &[]),
    ("units", &[]),
    ("queue", &["record"]),
    ("redact", &["record"]),
    ("entry", &["json", "record", "redact"]),
    ("intake", &["entry", "queue", "record"]),
    ("sources", &["clock", "intake", "json", "record", "secret", "stop", "units"]),
    ("ledger", &["clock", "crash", "disk", "json", "queue", "record", "secret", "stop", "units"]),
    (
        "enrich",
        &["clock", "entry", "json", "ledger", "queue", "record", "redact", "secret", "units"],
    ),
    ("verify", &["clock", "json", "ledger", "record"]),
    ("standin", &["clock", "json"]),
    ("preview", &["entry", "json", "redact"]),
    ("shutdown", &["clock"]),
    ("telemetry", &["clock", "enrich", "ledger", "queue"]),
    (
        "config",
        &["enrich", "ledger", "reconcile", "redact", "secret", "sources", "telemetry", "units"],
    ),
    (
        "pipeline",
        &[
            "clock",
            "config",
            "disk",
            "enrich",
            "entry",
            "intake",
            "ledger",
            "queue",
            "reconcile",
            "record",
            "redact",
            "secret",
            "shutdown",
            "sources",
            "stop",
            "telemetry",
        ],
    ),
    (
        "reconcile",
        &["clock", "enrich", "entry", "json", "ledger", "record", "secret", "stop", "units"],
    ),
    (
        "demo",
        &[
            "clock",
            "config",
            "enrich",
            "json",
            "ledger",
            "reconcile",
            "shutdown",
            "standin",
            "verify",
        ],
    ),
    (
        "cli",
        &[
            "clock",
            "config",
            "demo",
            "disk",
            "enrich",
            "ledger",
            "pipeline",
            "preview",
            "reconcile",
            "redact",
            "secret",
            "stop",
            "telemetry",
            "units",
            "verify",
        ],
    ),
];

/// Files of pure code: no input or output, no clock, no runtime.
const PURE: &[&str] = &[
    "json.rs",
    "json/object.rs",
    "json/text.rs",
    "units.rs",
    "enrich/answer.rs",
    "enrich/answer/body.rs",
    "enrich/answer/call.rs",
    "enrich/mismatch.rs",
    "enrich/mismatch/model.rs",
    "enrich/money.rs",
    "entry.rs",
    "entry/body.rs",
    "entry/fields.rs",
    "entry/parts.rs",
    "entry/scrub.rs",
    "entry/write.rs",
    "reconcile/compare.rs",
    "reconcile/ids.rs",
    "reconcile/line.rs",
    "reconcile/money.rs",
    "ledger/line.rs",
    "ledger/chain.rs",
    "ledger/merkle.rs",
    "ledger/note.rs",
    "sources/lines.rs",
    "enrich/answer.rs",
    "enrich/answered.rs",
    "enrich/breaker.rs",
    "enrich/keyring.rs",
    "enrich/lane.rs",
    "enrich/schedule.rs",
    "sources/otlp/json.rs",
    "sources/otlp/proto.rs",
    "sources/shape.rs",
];
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "fs::",
    "SystemTime",
    "Instant",
    "crate::clock",
    "crate::disk",
];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(path);
        }
    }
}

/// A source file's code: no comments, no tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let strip = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text.lines().map(strip).collect::<Vec<_>>().join("\n")
}

/// Every file of `src` but tests: its path within it, its top module, its code.
fn sources() -> Vec<(String, String, String)> {
    let root = src();
    let mut all = Vec::new();
    files(&root, &mut all);
    let named = all.into_iter().map(|path| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let top = name.split(['/', '.']).next().unwrap_or_default().to_owned();
        (name, top, code(&path))
    });
    let is_test = |name: &str| name.contains("/tests/") || name.ends_with("tests.rs");
    named.filter(|(name, ..)| !is_test(name)).collect()
}

/// The top modules that code names as `crate::x` or `crate::{x, y::z}`.
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(first_word(rest));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (at, c) in group.char_indices() {
            if start && c.is_alphabetic() {
                found.insert(first_word(&group[at..]));
                start = false;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                _ => {}
            }
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn groups_of_names_are_read() {
    let code = "use crate::{\n    a,\n    b::{c, d},\n    e::f,\n};\nlet x = crate::g::h();";
    assert_eq!(named(code).into_iter().collect::<Vec<_>>(), ["a", "b", "e", "g"]);
}

#[test]
fn arrows_point_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, top, code) in sources() {
        if ["main", "lib"].contains(&top.as_str()) {
            continue;
        }
        let Some(allowed) = allowed.get(top.as_str()) else {
            wrong.push(format!("{file}: module {top} is not in the table"));
            continue;
        };
        for other in named(&code) {
            if other != top && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{file}: {top} must not know {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pure_code_has_no_doors() {
    let mut wrong = Vec::new();
    let all = sources();
    for pure in PURE {
        let found = all.iter().find(|(file, ..)| file == pure);
        let (file, _, code) = found.unwrap_or_else(|| panic!("{pure} is gone; mend the table"));
        wrong.extend(IMPURE.iter().filter(|w| code.contains(**w)).map(|w| format!("{file}: {w}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What `verify` shares with the writer is its pure parts: a fault in the writer must not hide
/// itself from the verifier.
#[test]
fn the_verifier_does_not_trust_the_writer() {
    let writers = ["store", "run", "recover", "recall", "control", "ids", "Ledger", "archive"];
    for (file, top, code) in sources() {
        let said = |part: &&str| code.contains(&format!("ledger::{part}"));
        if top == "verify" {
            let wrong: Vec<_> = writers.iter().filter(|part| said(part)).collect();
            assert!(wrong.is_empty(), "{file} uses the writer's {wrong:?}");
        }
    }
}

/// `matches!(…);` as a statement checks nothing, and no lint says so.
#[test]
fn no_bare_matches() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for dir in ["src", "tests", "benches"] {
        files(&root.join(dir), &mut all);
    }
    let start = concat!("matches", "!(");
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            let bare = line.starts_with(start) && line.ends_with(");");
            assert!(!bare, "{}:{}: asserts nothing", path.display(), number + 1);
        }
    }
}
