//! The redactor as a whole: what it finds, what it leaves, and what holds for every text.

use super::{
    Error, Hit, Redactor, Scope,
    config::{Config, Content, Hash, Rule},
};

mod custom;
mod found;
mod invariants;
mod left;

/// A redactor with the built-in rules only.
fn plain() -> Redactor {
    Redactor::new(&Config::default()).unwrap()
}

/// What becomes of `text`.
fn scrub(text: &str) -> String {
    plain().scrub(text, None, Scope::Text).into_owned()
}

/// The kinds and texts of the hits in `text`.
fn hits<'t>(redactor: &Redactor, text: &'t str, key: Option<&str>) -> Vec<(String, &'t str)> {
    let mut hits: Vec<Hit> = vec![];
    redactor.scan(text, key, Scope::Text, &mut hits);
    hits.iter().map(|hit| (redactor.kind(hit.rule).to_owned(), &text[hit.start..hit.end])).collect()
}

/// Digits with the Luhn digit that makes them `len` long.
fn luhn(prefix: &str, len: usize, filler: u64) -> String {
    let filler = format!("{filler:019}");
    let mut digits: String = prefix.chars().chain(filler.chars().rev()).take(len - 1).collect();
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, digit)| {
            let value = u32::from(digit - b'0');
            if i % 2 == 0 { value * 2 / 10 + value * 2 % 10 } else { value }
        })
        .sum();
    digits.push(char::from(b'0' + ((10 - sum % 10) % 10) as u8));
    digits
}

/// `digits` in groups of the given sizes, the last taking what is left.
fn grouped(digits: &str, sizes: &[usize], separator: &str) -> String {
    let mut groups = vec![];
    let mut rest = digits;
    for size in sizes {
        let (head, tail) = rest.split_at((*size).min(rest.len()));
        groups.push(head);
        rest = tail;
    }
    groups.push(rest);
    groups.retain(|group| !group.is_empty());
    groups.join(separator)
}

#[test]
fn rules_have_unique_names_and_lower_case_ones() {
    let redactor = plain();
    let mut names: Vec<&str> = redactor.names.iter().map(|named| named.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), redactor.rules());
    assert!(names.iter().all(|name| {
        name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }));
}

#[test]
fn the_policy_tells_every_setting_apart() {
    let rule =
        Rule { name: "a".into(), label: "B".into(), pattern: "c".into(), identifiers: false };
    let with = |change: fn(&mut Config)| {
        let mut config = Config { rule: vec![rule.clone()], ..Config::default() };
        change(&mut config);
        Redactor::new(&config).unwrap().policy()
    };
    let mut policies = vec![
        plain().policy(),
        with(|_| {}),
        with(|config| config.content = Content::Redacted),
        with(|config| config.content = Content::None),
        with(|config| config.hash = Hash::HmacSha256),
        with(|config| config.disable = vec!["PHONE".into()]),
        with(|config| config.disable = vec!["CARD".into(), "PHONE".into()]),
        with(|config| config.rule[0].name = "b".into()),
        with(|config| config.rule[0].label = "C".into()),
        with(|config| config.rule[0].pattern = "d".into()),
        with(|config| config.rule[0].identifiers = true),
    ];
    let all = policies.len();
    policies.sort_unstable();
    policies.dedup();
    assert_eq!(policies.len(), all);
    assert_eq!(
        with(|config| config.disable = vec!["CARD".into(), "PHONE".into()]),
        with(|config| config.disable = vec!["PHONE".into(), "CARD".into(), "CARD".into()]),
    );
}
