//! Personal data and keys are planted in every field and in every way in; afterwards no byte of them
//! is in anything that the daemon wrote.

use crate::{
    client::Client,
    daemon::{Bench, Settings, append},
    sealed,
};
use serde_json::json;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

const EMAIL: &str = "ana.silva@example.com";
const PHONE: &str = "(415) 555-0134";
const SSN: &str = "536-90-4399";
const CARD: &str = "4111 1111 1111 1111";
const KEY: &str = "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";

/// What must not be found: the secrets, and parts that are telling enough.
const PLANTED: &[&str] = &[EMAIL, "ana.silva", PHONE, "555-0134", SSN, CARD, KEY, "0c5a9f3e7b1d"];

/// Every text field with all of them; identifiers with what no identifier can be.
fn poisoned(id: &str) -> String {
    let all = format!("to {EMAIL}, {PHONE}; ssn {SSN}; card {CARD}; key {KEY}.");
    let some = format!("{EMAIL} {KEY}");
    json!({
        "id": id, "timestamp": some, "event_type": some, "generation_id": some, "user_id": EMAIL,
        "session_id": some, "app": all, "model_requested": some, "model_used": some,
        "provider": some, "prompt": all, "messages": [{"role": "user", "content": all}],
        "response": all, "prompt_tokens": all, "completion_tokens": all,
        "usage": {"cost": all, "note": all}, "total_cost": all, "latency_ms": all, "status": all,
        "error_type": all, "error_code": all, "api_key": KEY,
        "metadata": {"deep": [{"er": {"text": all}}], EMAIL: all},
        "unknown": all, "nested": {"list": [all, {"k": all}]}, EMAIL: "a name can tell, too",
        "escaped": "ESCAPED",
    })
    .to_string()
    .replace("ESCAPED", "ana.silva\\u0040example.com")
}

fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, into);
        } else if path.is_file() {
            into.push(path);
        }
    }
}

/// Every file that the daemon wrote: all in the bench but the application's own.
fn search(bench: &Bench, answers: &str) {
    let mut files = Vec::new();
    walk(&bench.dir, &mut files);
    files.retain(|path| !path.starts_with(bench.dir.join("in")));
    assert!(files.iter().any(|path| path.starts_with(&bench.ledger)));
    assert!(files.iter().any(|path| path.ends_with("logs/0000.log")));
    for planted in PLANTED {
        assert!(!answers.contains(planted), "{planted} is in an answer");
        for path in &files {
            let bytes = fs::read(path).unwrap();
            let found = bytes.windows(planted.len()).position(|w| w == planted.as_bytes());
            if let Some(at) = found {
                let around = &bytes[at.saturating_sub(60)..(at + 60).min(bytes.len())];
                let around = String::from_utf8_lossy(around);
                panic!("{planted} is in {} at {at}: …{around}…", path.display());
            }
        }
    }
}

fn run(content: &str) {
    let rest = format!("[redact]\ncontent = \"{content}\"\n[log]\nlevel = \"debug\"");
    let bench = Bench::with(&Settings { rest: &rest, ..Settings::default() });
    let daemon = bench.start_with(&[("VERITAIL_LOG", "trace")]);
    bench.append(&[poisoned("filed")]);
    let mut client = Client::connect(&bench.socket);
    let mut answers = client.ask(&poisoned("sent")).to_string();
    // An id that tells.
    let telling = poisoned("x").replace("\"id\":\"x\"", &format!("\"id\":\"{EMAIL}\""));
    answers += &client.ask(&telling).to_string();
    // What is refused must not be quoted either.
    let broken = poisoned("broken");
    let long = format!("{{\"prompt\":\"{EMAIL} {}\"}}", "x".repeat(1 << 20));
    for bad in [&broken[..broken.len() - 1], &format!("[\"{EMAIL}\", \"{KEY}\"]"), &long] {
        answers += &client.ask(bad).to_string();
    }
    append(&bench.file, format!("{{\"prompt\":\"{EMAIL} {SSN}\n").as_bytes());
    append(&bench.file, &[b"{\"a\":\"\xff ", KEY.as_bytes(), b"\"}\n"].concat());
    client.stream.write_all(b"\n").unwrap();
    bench.wait_sealed(2);
    crate::daemon::until("five are refused", || {
        (sealed::of_type(&bench.ledger, "quarantine").len() == 5).then_some(())
    });
    let page = daemon.get("/metrics").1 + &daemon.get("/readyz").1;
    daemon.stop();
    let (code, report, _) = bench.run(&["verify", "ledger", "--json"]);
    assert_eq!(code, 0, "{report}");
    search(&bench, &(answers + &page + &report));
    let counted = sealed::entries(&bench.ledger);
    let sent = counted.iter().find(|entry| entry["id"] == "sent").expect("the record is sealed");
    assert!(sent["redactions"]["EMAIL"].as_u64().unwrap() > 3, "{sent}");
}

#[test]
fn nothing_of_it_is_kept_where_digests_are() {
    run("hash");
}

#[test]
fn nothing_of_it_is_kept_where_scrubbed_texts_are() {
    run("redacted");
}

#[test]
fn nothing_of_it_is_kept_where_nothing_is() {
    run("none");
}
