//! The bad and the good configs beside `tests/`, and what must hold of any.

use super::*;
use std::path::PathBuf;

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config").join(kind);
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let toml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
    let mut files: Vec<_> = entries.filter(toml).collect();
    files.sort();
    files
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The text of a fixture, and the environment that its `# env: NAME=value` lines give.
fn fixture(path: &Path) -> (String, String, Environment) {
    let text = std::fs::read_to_string(path).unwrap();
    let given = text.lines().filter_map(|line| line.strip_prefix("# env: "));
    let pairs: Vec<_> = given.map(|pair| pair.split_once('=').unwrap()).collect();
    let environment = environment(&pairs);
    (path.file_name().unwrap().to_str().unwrap().to_owned(), text, environment)
}

/// Compares with the file beside the fixture; `VERITAIL_BLESS=1` writes it instead.
#[expect(clippy::disallowed_methods, reason = "a golden file needs no durable write")]
fn compare(path: &Path, got: &str) -> Option<String> {
    let golden = path.with_extension("txt");
    if std::env::var_os("VERITAIL_BLESS").is_some() {
        std::fs::write(&golden, got).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    let differs = got != expected;
    differs.then(|| format!("{}\nexpected:\n{expected}\ngot:\n{got}", golden.display()))
}

#[test]
fn each_bad_config_is_told_all_its_mistakes() {
    let files = fixtures("bad");
    assert!(files.len() >= 40, "only {} bad configs", files.len());
    let mut wrong = Vec::new();
    for path in files {
        let (name, text, environment) = fixture(&path);
        let problems = load_text(&name, &text, &environment).unwrap_err();
        let told: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
        assert!(!told.is_empty(), "{name} is refused without a reason");
        for secret in ["hunter2", "deadbeef", "0badcafe", "12345678", "123456"] {
            assert!(!told.contains(secret), "{name} shows a secret:\n{told}");
        }
        wrong.extend(compare(&path, &told));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_good_config_has_the_effect_it_should() {
    let mut wrong = Vec::new();
    for path in fixtures("good") {
        let (name, text, environment) = fixture(&path);
        let config = load_text(&name, &text, &environment)
            .unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
        wrong.extend(compare(&path, &to_toml(&config, true)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
