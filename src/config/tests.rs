//! The bad and the good configs beside `tests/`, and what must hold of any.

mod properties;

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

#[test]
fn an_effective_config_loads_to_itself() {
    for path in fixtures("good") {
        let (name, text, given) = fixture(&path);
        let config = load_text(&name, &text, &given).unwrap();
        for origins in [false, true] {
            let again = load_text("again", &to_toml(&config, origins), &environment(&[])).unwrap();
            assert_eq!(to_toml(&again, false), to_toml(&config, false), "{name}");
            assert_eq!(again.hash, config.hash, "{name}");
        }
    }
}

#[test]
fn the_hash_follows_the_settings_and_nothing_else() {
    let text = "version = 1\n[ledger]\ndir = \"l\"\n[[source]]\nname = \"a\"\ntype = \"stdin\"\n";
    let hash = |text: &str, pairs: &[(&str, &str)]| {
        load_text("c.toml", text, &environment(pairs)).unwrap().hash
    };
    let plain = hash(text, &[]);
    let commented = text.replace("[ledger]\n", "# why\n[ledger]\n\n");
    assert_eq!(hash(&commented, &[]), plain);
    let spelt_out = format!("{text}max_record = \"1024KiB\"\n");
    assert_eq!(hash(&spelt_out, &[]), plain);
    assert_eq!(hash(text, &[("VERITAIL__LEDGER__DIR", "l"), ("PATH", "/bin")]), plain);
    assert_ne!(hash(text, &[("VERITAIL__LEDGER__DIR", "m")]), plain);
    // A secret counts by where it is kept, not by what it is.
    let key = text.replace("dir", "mac_key = { env = \"K\" }\ndir");
    assert_ne!(hash(&key, &[]), plain);
    assert_eq!(hash(&key, &[("K", "one")]), hash(&key, &[("K", "two")]));
}

#[test]
fn of_the_environment_only_what_references_need_is_kept() {
    let text = "version = 1\n[ledger]\ndir = \"l\"\nmac_key = { env = \"K\" }\n\
                [[source]]\nname = \"a\"\ntype = \"stdin\"\n";
    let given = environment(&[("K", "hunter2"), ("OTHER", "hunter3")]);
    let config = load_text("c.toml", text, &given).unwrap();
    assert_eq!(config.environment.get("K"), Some("hunter2"));
    assert_eq!(config.environment.get("OTHER"), None);
    assert!(!format!("{config:?}").contains("hunter"), "{config:?}");
}

#[test]
fn what_veritail_writes_it_also_reads() {
    for dir in ["./veritail-data", "/srv/a b/[x]*?", "/tmp/\"quoted\\'", "/tmp/new\nline", "é"] {
        let dir = Path::new(dir);
        let begun = load_text("starter", &starter(dir, "veritail"), &environment(&[])).unwrap();
        let alone = embedded(dir, &environment(&[])).unwrap();
        for config in [&begun, &alone] {
            assert_eq!(config.ledger.dir, dir);
            assert_eq!(config.ledger.service, "veritail");
            assert_eq!(config.redact, redact::config::Config::default());
            assert_eq!(config.admin.listen, None);
            assert_eq!(config.sources.len(), 2);
        }
        let file = |config: &Config| {
            config.sources.iter().find_map(|source| match &source.kind {
                sources::config::Kind::File(file) if source.name == "requests" => {
                    Some(file.paths.clone())
                }
                _ => None,
            })
        };
        let paths = file(&alone).unwrap();
        assert_eq!(paths[1], "requests/*.ndjson");
        assert_eq!(file(&begun).unwrap(), paths[..1]);
        // The glob means that very directory, whatever characters are in its name.
        let glob = glob::Pattern::new(&paths[0]).unwrap();
        assert!(glob.matches_path(&dir.join("requests/x.ndjson")), "{paths:?}");
        let unix = alone.sources.iter().find_map(|source| match &source.kind {
            sources::config::Kind::Unix(unix) if source.name == "ingest" => Some(unix),
            _ => None,
        });
        let unix = unix.unwrap();
        assert_eq!((unix.path.clone(), unix.mode.0), (dir.join("ingest.sock"), 0o660));
    }
    let elsewhere = environment(&[("VERITAIL__LEDGER__DIR", "/l")]);
    assert_eq!(embedded(Path::new("d"), &elsewhere).unwrap().ledger.dir, Path::new("/l"));
}

/// The commented example must show every key, and every default as it is.
#[test]
fn the_reference_config_is_whole_and_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/veritail.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let config = load(&path, &environment(&[])).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    for (key, value, origin) in effective(&config) {
        let name = key.rsplit('.').next().unwrap();
        let line = match origin {
            Origin::Default => format!("# {name} = {value}\n"),
            _ => format!("{name} = {value}\n"),
        };
        assert!(text.contains(&format!("\n{line}")), "{key}: no line {line:?}");
    }
    use super::fault::fields;
    use sources::config::{File, Http, Otlp, Stdin, Unix};
    let known = [
        fields::<ledger::config::Config>(),
        fields::<File>(),
        fields::<Unix>(),
        fields::<Stdin>(),
        fields::<Http>(),
        fields::<Otlp>(),
        fields::<redact::config::Config>(),
        fields::<redact::config::Rule>(),
        fields::<enrich::config::Config>(),
        fields::<enrich::config::Key>(),
        fields::<enrich::config::Source>(),
        fields::<reconcile::config::Config>(),
        fields::<telemetry::config::Admin>(),
        fields::<telemetry::config::Log>(),
        fields::<Shutdown>(),
    ];
    for key in known.into_iter().inspect(|keys| assert!(!keys.is_empty())).flatten() {
        let is_there = ["\n", "\n# ", "\n[[redact.", "\n# [[enrich."].iter().any(|before| {
            text.contains(&format!("{before}{key} =")) || text.contains(&format!("{before}{key}]]"))
        });
        assert!(is_there, "{key} is not in the reference config");
    }
}

#[test]
fn every_commented_key_of_the_reference_config_can_be_switched_on() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/veritail.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let switch_on = |line: &str| {
        let rest = line.strip_prefix("# ").unwrap_or(line);
        let key = rest.split_once(" = ").map_or(" ", |(key, _)| key);
        let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let is_section = rest.starts_with('[') && rest.ends_with(']');
        if is_key || is_section { rest.to_owned() } else { line.to_owned() }
    };
    let on: Vec<String> = text.lines().map(switch_on).collect();
    let config = load_text("all on", &on.join("\n"), &environment(&[]))
        .unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    assert_eq!(config.sources.len(), 6);
    // What is written behind the `#` of a section that may be left out is what it defaults to.
    let own = config.reconcile.clone().unwrap();
    let text = "management_key = { env = \"K\" }";
    let bare: reconcile::config::Config = toml::from_str(text).unwrap();
    assert_eq!((own.base_url, own.settle), (bare.base_url, bare.settle));
    assert_eq!((own.timeout, own.api_key_hashes), (bare.timeout, bare.api_key_hashes));
    let defaults = effective(&config).into_iter().filter(|row| row.2 == Origin::Default);
    assert_eq!(defaults.collect::<Vec<_>>(), []);
}

#[test]
fn a_file_that_is_no_config_is_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let said = |name: &str, bytes: &[u8]| {
        use std::io::Write;
        let path = dir.path().join(name);
        std::fs::File::create_new(&path).unwrap().write_all(bytes).unwrap();
        let problems = load(&path, &environment(&[])).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(said("a.yaml", b"version: 1").contains("write it as .toml"));
    assert!(said("b.toml", b"version = 1\na = \"\xff\"").contains("b.toml:2:6: not valid TOML"));
    assert!(said("c.toml", &vec![b'#'; 2 << 20]).contains("longer than 1 MiB"));
    let missing = load(&dir.path().join("none.toml"), &environment(&[])).unwrap_err();
    assert!(missing[0].to_string().contains("none.toml: cannot be read"), "{missing:?}");
    let directory = load(dir.path(), &environment(&[])).unwrap_err();
    assert!(directory[0].to_string().contains("cannot be read"), "{directory:?}");
}

#[test]
fn an_examination_goes_as_deep_as_it_is_told() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    let mut file = std::fs::File::create_new(&path).unwrap();
    let wrong = "version = 1\n[ledger]\ndir = \"l\"\nservice = \"a b\"\nextra = 1\n\
                 [[source]]\nname = \"a\"\ntype = \"stdin\"\n";
    file.write_all(wrong.as_bytes()).unwrap();
    let keys = |level| -> Vec<String> {
        let problems = examine(&path, &environment(&[]), level);
        problems.into_iter().map(|problem| problem.key).collect()
    };
    assert_eq!(keys(Level::Syntax), ["ledger.extra"]);
    assert_eq!(keys(Level::Semantics), ["ledger.service", "ledger.extra"]);
    let text = "version = 1\n[ledger]\ndir = \"/dev/null\"\n\
                [[source]]\nname = \"a\"\ntype = \"stdin\"\n";
    let config = load_text("c", text, &environment(&[])).unwrap();
    assert_eq!(check(&config, Level::Semantics), []);
    assert_eq!(check(&config, Level::Connectivity)[0].key, "ledger.dir");
}

#[test]
fn the_count_is_asked_for_where_the_calls_are() {
    let base = "version = 1\n[ledger]\ndir = \"l\"\n[[source]]\nname = \"a\"\ntype = \"stdin\"\n\
                [reconcile]\nmanagement_key = { env = \"M\" }\n";
    let eu =
        "[enrich]\napi_key = { env = \"K\" }\nbase_url = \"https://eu.openrouter.ai/api/v1\"\n";
    let given = environment(&[("K", "hunter2"), ("M", "hunter3"), ("OTHER", "x")]);
    let load = |text: &str| load_text("c.toml", text, &given).unwrap();
    let url = |config: &Config| config.reconcile.as_ref().unwrap().base_url.clone();
    let (alone, beside) = (load(base), load(&format!("{base}{eu}")));
    assert_eq!(url(&alone), enrich::config::BASE_URL);
    assert_eq!(url(&beside), "https://eu.openrouter.ai/api/v1");
    let own = load(&format!("{base}base_url = \"https://us.openrouter.ai/api/v1\"\n{eu}"));
    assert_eq!(url(&own), "https://us.openrouter.ai/api/v1");
    let kept = beside.environment;
    assert_eq!((kept.get("M"), kept.get("OTHER")), (Some("hunter3"), None));
}

#[test]
fn warns_of_what_may_not_be_meant() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "version = 1\n[ledger]\ndir = \"l\"\ndurability = \"os\"\nmac_key = {{ env = \"K\" }}\n\
         [[source]]\nname = \"a\"\ntype = \"file\"\npaths = [\"{0}/*.a\", \"{0}/no/*.a\"]\n\
         [[source]]\nname = \"b\"\ntype = \"unix\"\npath = \"s\"\nmode = \"0666\"\n\
         [[source]]\nname = \"c\"\ntype = \"http\"\nlisten = \"0.0.0.0:2\"\n\
         token = {{ env = \"K\" }}\n\
         [[source]]\nname = \"d\"\ntype = \"otlp\"\nlisten = \"127.0.0.1:3\"\n\
         [redact]\ndisable = [\"PHONE\"]\n[admin]\nlisten = \"0.0.0.0:1\"\n",
        dir.path().display()
    );
    let config = load_text("c", &text, &environment(&[])).unwrap();
    let keys: Vec<String> = warnings(&config).into_iter().map(|problem| problem.key).collect();
    let expected = [
        "ledger.durability",
        "ledger.mac_key",
        "source[0].paths[1]",
        "source[1].mode",
        "source[2].listen",
        "source[3]",
        "redact.disable",
        "admin.listen",
    ];
    assert_eq!(keys, expected);
    let quiet = "version = 1\n[ledger]\ndir = \"l\"\n[[source]]\nname = \"a\"\ntype = \"stdin\"\n";
    assert_eq!(warnings(&load_text("c", quiet, &environment(&[])).unwrap()), []);
}

/// Each value of the fullest config, given by a variable instead.
#[test]
fn every_key_can_be_set_from_the_environment() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config/good/every-key.toml");
    let full = load(&path, &environment(&[])).unwrap();
    let variable = |(key, value, _): (String, String, Origin)| {
        let name = key.replace("].", "__").replace(['[', '.'], "__").to_uppercase();
        let text = match toml::from_str::<toml::Table>(&format!("v = {value}")).unwrap().remove("v")
        {
            Some(toml::Value::String(text)) => text,
            _ => value,
        };
        (format!("VERITAIL__{name}"), text)
    };
    let given: Environment = effective(&full).into_iter().map(variable).collect();
    assert!(given.iter().count() > 40);
    let bare = "source = [{}, {}, {}, {}, {}, {}]\nredact.rule = [{}, {}]\n\
                enrich.key = [{}, {}]\nenrich.source = [{}]\n";
    let set = load_text("bare", bare, &given).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    assert_eq!(to_toml(&set, false), to_toml(&full, false));
    assert_eq!(set.hash, full.hash);
}

#[test]
fn a_source_that_reads_the_ledger_is_found_through_relative_paths() {
    let here = std::env::current_dir().unwrap();
    let text = format!(
        "version = 1\n[ledger]\ndir = \"ledger\"\n[[source]]\nname = \"a\"\ntype = \"file\"\n\
         paths = [\"{0}/other/*\", \"{0}/ledger/*.jsonl\"]\n",
        here.display()
    );
    let config = load_text("c", &text, &environment(&[])).unwrap();
    let found = check(&config, Level::Environment);
    let keys: Vec<&str> = found.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["source[0].paths[1]"]);
}
