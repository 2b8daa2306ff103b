//! The redactor never panics; its hits are sorted, apart and on character boundaries; and scrubbing
//! its own output changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use veritail::redact::{
    Redactor, Scope,
    config::{Config, Rule},
};

static PLAIN: LazyLock<Redactor> =
    LazyLock::new(|| Redactor::new(&Config::default()).expect("the built-in rules are good"));

static CUSTOM: LazyLock<Redactor> = LazyLock::new(|| {
    let rule = |name: &str, pattern: &str| Rule {
        name: name.into(),
        label: "OWN".into(),
        pattern: pattern.into(),
        identifiers: true,
    };
    let rule =
        vec![rule("employee", r"\bEMP-\d{6}\b"), rule("wide", r"a.{0,9}"), rule("up", "[A-Z]+")];
    Redactor::new(&Config { rule, ..Config::default() }).expect("these rules are good")
});

// The first line is the name of the member that the rest stands under.
fuzz_target!(|text: &str| {
    let (key, text) = text.split_once('\n').map_or((None, text), |(key, text)| (Some(key), text));
    let mut hits = Vec::new();
    for redactor in [&*PLAIN, &*CUSTOM] {
        for scope in [Scope::Text, Scope::Identifier] {
            redactor.scan(text, key, scope, &mut hits);
            let mut at = 0;
            for hit in &hits {
                assert!(hit.start >= at && hit.end > hit.start, "{hits:?}");
                assert!(text.get(hit.start..hit.end).is_some(), "{hit:?} cuts a character");
                assert!(hit.rule.index() < redactor.rules(), "{hit:?} has no rule");
                at = hit.end;
            }
        }
    }
    for scope in [Scope::Text, Scope::Identifier] {
        let once = PLAIN.scrub(text, key, scope);
        assert_eq!(PLAIN.scrub(&once, key, scope), once);
    }
});
