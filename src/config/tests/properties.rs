//! What must hold of any text and any environment.

use super::*;
use proptest::prelude::*;

/// Keys whose value is a secret, known here or not.
const KEYS: &[&str] = &["mac_key", "signing_key", "api_key", "token", "password"];
const SECTIONS: &[&str] = &["", "[ledger]", "[redact]", "[sink]", "[[source]]"];

/// Lines that are right somewhere, and lines that are right nowhere.
fn line() -> impl Strategy<Value = String> {
    let mut lines: Vec<String> = Vec::new();
    for kind in ["good", "bad"] {
        for path in fixtures(kind) {
            lines.extend(std::fs::read_to_string(path).unwrap().lines().map(str::to_owned));
        }
    }
    lines.sort();
    lines.dedup();
    prop::sample::select(lines)
}

proptest! {
    #[test]
    fn any_text_gives_a_config_or_reasons(
        lines in prop::collection::vec(line(), 0..30),
        noise in "\\PC{0,20}",
        at in 0usize..30,
    ) {
        let mut lines = lines;
        if noise.len() % 3 == 0 {
            lines.insert(at.min(lines.len()), noise);
        }
        let text = lines.join("\n");
        match load_text("c.toml", &text, &environment(&[])) {
            Ok(config) => {
                let shown = to_toml(&config, true);
                let again = load_text("again", &shown, &environment(&[])).unwrap();
                prop_assert_eq!(again.hash, config.hash);
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                let last = text.split('\n').count();
                for problem in problems {
                    prop_assert!((1..=last).contains(&problem.line), "{}", problem);
                    prop_assert!(!problem.message.ends_with('.'), "{}", problem);
                    prop_assert!(!problem.to_string().contains('\n'), "{}", problem);
                }
            }
        }
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_never_shown(
        secret in "[a-z]{4}-hunter2-[a-z0-9]{4}",
        key in prop::sample::select(KEYS),
        section in prop::sample::select(SECTIONS),
        shape in prop::sample::select(vec![
            "\"SECRET\"", "SECRET", "\"SECRET", "[\"SECRET\"]", "{ env = [\"SECRET\"] }",
            "{ value = \"SECRET\" }", "{ env = \"SECRET\" }", "{ \"SECRET\" = 1 }",
            "{ env = { x = \"SECRET\" } }", "{ credential = \"/SECRET\" }", "\"SECRET\\q\"",
        ]),
        variable in any::<bool>(),
    ) {
        let value = shape.replace("SECRET", &secret);
        let mut text = String::from("version = 1\n[log]\n");
        let mut given = environment(&[]);
        if variable {
            let name = section.trim_matches(['[', ']']).replace("source", "source__0");
            let name = format!("VERITAIL__{name}__{key}").to_uppercase().replace("____", "__");
            given = environment(&[(&name, &value)]);
        } else {
            text = format!("{section}\n{key} = {value}\n");
        }
        for problem in load_text("c.toml", &text, &given).unwrap_err() {
            prop_assert!(!problem.to_string().contains("hunter2"), "{}", problem);
        }
    }
}

proptest! {
    #[test]
    fn any_environment_gives_a_config_or_reasons(
        variables in prop::collection::vec(("VERITAIL(__|_)[A-Z0-9_.]{0,16}", "\\PC{0,12}"), 0..4),
        section in prop::sample::select(vec!["LEDGER", "SOURCE__0", "SOURCE__A", "REDACT__RULE__0"]),
        key in prop::sample::select(vec!["DIR", "PATHS", "NAME", "TYPE", "MAC_KEY", "MAX_RECORD"]),
        value in "[\\[{\"a0-9\\]}=, ]{0,10}",
    ) {
        let text = "version = 1\n[ledger]\ndir = \"l\"\n[[source]]\nname = \"a\"\n\
                    type = \"file\"\npaths = [\"x\"]\n";
        let given = variables.into_iter().chain([(format!("VERITAIL__{section}__{key}"), value)]);
        match load_text("c.toml", text, &given.collect()) {
            Ok(config) => {
                let again = load_text("again", &to_toml(&config, true), &environment(&[])).unwrap();
                prop_assert_eq!(again.hash, config.hash);
            }
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }
}
