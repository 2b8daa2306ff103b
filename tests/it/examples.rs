//! The example clients against the real daemon.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test helpers: a failure here is a failed test"
)]

use crate::running::{PROGRAM, Running, have};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    io::Write,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// Starts `send.py` with these lines on its standard input.
fn send(daemon: &Running, lines: &str) -> Child {
    let mut python = Command::new("python3");
    python.arg(example("send.py")).arg(daemon.path("ingest.sock"));
    python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child
}

fn answers(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn calls(daemon: &Running) -> Vec<Value> {
    let mut entries = daemon.entries();
    entries.retain(|entry| entry["event_type"] == "chat_completion");
    entries
}

#[test]
fn send_returns_when_all_is_sealed() {
    if !have("python3", "send_returns_when_all_is_sealed") {
        return;
    }
    let mut daemon = Running::start("", &[]).ready();
    // More than its window, and one line that is no record.
    let mut lines: String = (0..600).map(|n| format!("{{\"id\":\"r{n}\"}}\n")).collect();
    lines.push_str("\nnot a record\n{\"user_id\":\"no id\"}\n");
    let output = send(&daemon, &lines).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let answers = answers(&output);
    assert_eq!(answers.len(), 602);
    let refused: Vec<_> = answers.iter().filter(|a| a["quarantined"] == "not_json").collect();
    assert_eq!(refused.len(), 1);
    // Told means on disk: the ledger is read while the daemon runs.
    let entries = daemon.entries();
    for answer in &answers {
        let entry = entries.iter().find(|entry| entry["seq"] == answer["seq"]).unwrap();
        match answer.get("ack") {
            Some(id) => {
                assert_eq!(entry["id"], *id);
                assert_eq!(entry["chain_hash"], answer["chain_hash"]);
            }
            None => assert_eq!(entry["event_type"], "quarantine"),
        }
    }
    daemon.stop();
    assert_eq!(calls(&daemon).len(), 601);
}

/// The daemon is killed in the middle and started again: every record once.
#[test]
fn send_outlives_a_daemon_that_is_killed() {
    if !have("python3", "send_outlives_a_daemon_that_is_killed") {
        return;
    }
    let mut daemon = Running::start("", &[]).ready();
    let lines: String = (0..5000).map(|n| format!("{{\"id\":\"r{n}\"}}\n")).collect();
    let client = send(&daemon, &lines);
    crate::running::until("the first seals", || !calls(&daemon).is_empty());
    daemon.signal(Signal::KILL);
    daemon.wait();
    let mut again = Command::new(PROGRAM);
    again.args(["run", "-c"]).arg(daemon.path("veritail.toml"));
    let mut again = again.stderr(Stdio::null()).spawn().unwrap();
    let output = client.wait_with_output().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&again), Signal::TERM).unwrap();
    assert!(again.wait().unwrap().success());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sealed = calls(&daemon);
    let ids: BTreeSet<_> = sealed.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!((sealed.len(), ids.len()), (5000, 5000), "each record once");
    let mut verify = Command::new(PROGRAM);
    let verified = verify.arg("verify").arg(daemon.path("ledger")).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// Calls of every kind through the wrapper, with a client that does what it is told.
const CALLS: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
import openrouter_wrapper as wrapper

class Object:
    def __init__(self, **members): self.__dict__.update(members)

class RateLimitError(Exception):
    status_code = 429

class APITimeoutError(Exception):
    pass

def answer(**more):
    message = Object(message=Object(content="fine"))
    return Object(id="gen-1", model="openai/gpt-4o-mini-2024", choices=[message],
                  usage={"prompt_tokens": 3, "completion_tokens": 1, "cost": 0.0000125}, **more)

class Client:
    def __init__(self, does):
        self.chat = Object(completions=Object(create=does))

def raises(error):
    def does(**_): raise error
    return Client(does)

def parts(**_):
    for word in ("one ", "two ", "three"):
        yield {"id": "gen-2", "choices": [{"delta": {"content": word}}]}
    yield {"id": "gen-2", "choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 3}}

def call(client, user):
    try:
        wrapper.audited_completion(client, reporter, "openai/gpt-4o-mini",
                                   [{"role": "user", "content": "mail ana@example.com"}],
                                   {"app": "shop", "metadata": {"feature": "f"}}, user_id=user)
        return "returned"
    except BaseException as error:
        return type(error).__name__

reporter = wrapper.Reporter(sys.argv[2], sys.argv[3])
said = [
    call(Client(lambda **_: answer()), "ok"),
    call(Client(lambda **_: answer(error={"code": 502})), "in-body"),
    call(raises(RateLimitError("slow down, ana@example.com")), "limited"),
    call(raises(APITimeoutError("late")), "late"),
    call(raises(KeyboardInterrupt()), "cancelled"),
]
assert said == ["returned", "returned", "RateLimitError", "APITimeoutError", "KeyboardInterrupt"], said
text = "".join(p["choices"][0]["delta"]["content"] for p in
               wrapper.audited_stream(Client(parts), reporter, "m", "p", user_id="streamed")
               if p["choices"])
assert text == "one two three", text
left = wrapper.audited_stream(Client(parts), reporter, "m", "p", user_id="left")
next(left)
left.close()
reporter.close()
assert reporter.lost == 0
"#;

fn run_calls(socket: &std::path::Path, file: &std::path::Path) {
    let mut python = Command::new("python3");
    python.args(["-c", CALLS]).arg(example("")).arg(socket).arg(file);
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn assert_all_kinds(sealed: &[Value]) {
    let of = |user: &str| sealed.iter().find(|entry| entry["user_id"] == user).unwrap();
    for (user, status) in [
        ("ok", "success"),
        ("in-body", "error"),
        ("limited", "error"),
        ("late", "timeout"),
        ("cancelled", "cancelled"),
        ("streamed", "success"),
        ("left", "cancelled"),
    ] {
        assert_eq!(of(user)["status"], status, "{user}");
    }
    assert_eq!(sealed.len(), 7, "{sealed:?}");
    assert_eq!(of("ok")["generation_id"], "gen-1");
    assert_eq!(of("ok")["total_cost"].to_string(), "0.0000125");
    assert_eq!(of("limited")["error_code"], "429");
    assert_eq!(of("in-body")["error_code"], "502");
    assert_eq!(of("limited")["metadata"]["error_message"], "slow down, [EMAIL]");
    assert_eq!(of("streamed")["completion_tokens"], 3);
    assert!(!serde_json::to_string(sealed).unwrap().contains("ana@example.com"));
}

#[test]
fn the_wrapper_reports_every_end_of_a_call() {
    if !have("python3", "the_wrapper_reports_every_end_of_a_call") {
        return;
    }
    let mut daemon = Running::start("", &[]).ready();
    run_calls(&daemon.path("ingest.sock"), &daemon.path("app.ndjson"));
    assert!(!daemon.path("app.ndjson").exists(), "nothing went to the file");
    daemon.stop();
    assert_all_kinds(&calls(&daemon));
}

#[test]
fn the_wrapper_uses_its_file_when_nobody_listens() {
    if !have("python3", "the_wrapper_uses_its_file_when_nobody_listens") {
        return;
    }
    let mut daemon = Running::start("", &[]).ready();
    run_calls(&daemon.path("nobody.sock"), &daemon.path("app.ndjson"));
    crate::running::until("the file's records", || calls(&daemon).len() == 7);
    daemon.stop();
    assert_all_kinds(&calls(&daemon));
}
