//! The operator's own rules, and what is said about bad ones.

use super::{Config, Error, Redactor, Rule, Scope};

fn rule(name: &str, label: &str, pattern: &str) -> Rule {
    Rule { name: name.into(), label: label.into(), pattern: pattern.into(), identifiers: false }
}

fn with(rules: &[Rule]) -> Redactor {
    Redactor::new(&Config { rule: rules.to_vec(), ..Config::default() }).unwrap()
}

fn errors(config: Config) -> Vec<Error> {
    Redactor::new(&config).unwrap_err()
}

#[test]
fn a_rule_finds_its_pattern() {
    let redactor = with(&[rule("employee-id", "EMPLOYEE_ID", r"\bEMP-\d{6}\b")]);
    let text = "ask EMP-123456, not TEMP-1234567";
    assert_eq!(redactor.scrub(text, None, Scope::Text), "ask [EMPLOYEE_ID], not TEMP-1234567");
    assert_eq!(redactor.scrub("EMP-123456", None, Scope::Identifier), "EMP-123456");
    let mut own = rule("employee-id", "EMPLOYEE_ID", r"\bEMP-\d{6}\b");
    own.identifiers = true;
    assert_eq!(with(&[own]).scrub("EMP-123456", None, Scope::Identifier), "[EMPLOYEE_ID]");
}

#[test]
fn overlaps_hide_everything_that_was_found() {
    let redactor = with(&[
        rule("mail", "OWN", r"\S+@\S+"),
        rule("user", "USER", r"user: \S+ \w+"),
        rule("early", "EARLY", "abc def"),
        rule("late", "LATE", "def ghi"),
        rule("long", "LONG", "abc def gh"),
    ]);
    for (text, want) in [
        ("ann@example.com", "[EMAIL]"),
        ("user: ann@example.com smith", "[USER][EMAIL][USER]"),
        ("abc def ghi", "[LONG][LATE]"),
        ("def ghi", "[LATE]"),
        ("[EMAIL] user: [SSN] smith", "[EMAIL] [USER][SSN][USER]"),
    ] {
        assert_eq!(redactor.scrub(text, None, Scope::Text), want);
    }
}

#[test]
fn labels_are_not_matched_again() {
    let redactor = with(&[rule("capitals", "OWN", "[A-Z]+"), rule("all", "ALL", ".*EMP-[0-9]+")]);
    let once = redactor.scrub("mail a@example.com or ANN, [EMAIL] EMP-7", None, Scope::Text);
    assert_eq!(redactor.scrub(&once, None, Scope::Text), once);
    assert!(!once.contains("EMP-7") && !once.contains("ANN"), "{once}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let errors = errors(Config {
        disable: vec!["PHONE".into(), "EMAILS".into()],
        rule: vec![
            rule("ok", "OK", "x"),
            rule("ok", "lower", "(?=look)"),
            rule("email", "AKIAIOSFODNN7EXAMPLE", "a*"),
            rule("", "4111", "[a-z]{1000}{1000}"),
        ],
        ..Config::default()
    });
    let told: Vec<_> = errors.iter().map(|e| (e.rule.is_some(), e.index, e.key)).collect();
    assert_eq!(
        told,
        [
            (false, 1, "disable"),
            (true, 1, "name"),
            (true, 1, "label"),
            (true, 1, "pattern"),
            (true, 2, "name"),
            (true, 2, "label"),
            (true, 2, "pattern"),
            (true, 3, "name"),
            (true, 3, "label"),
            (true, 3, "pattern"),
        ]
    );
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        said[0],
        "redact.disable[1]: no built-in rule has the label \"EMAILS\"; \
         use API_KEY, CARD, EMAIL, PHONE, SSN; did you mean \"EMAIL\"?"
    );
    assert!(said[3].starts_with("redact.rule[1] \"ok\", pattern: look-around"), "{}", said[3]);
    assert!(said[9].contains("larger than"), "{}", said[9]);
    assert!(said.iter().all(|said| !said.contains('\n') && !said.ends_with('.')), "{said:#?}");
}
