//! Commands, exit codes, signals, reload.

use crate::{
    client::Client,
    daemon::{Bench, Daemon, Settings, append, ids, record, records, until},
    sealed,
};
use rustix::process::Signal;
use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

/// A daemon without a config, in the bench's empty directory.
fn bare(bench: &Bench) -> (Daemon, PathBuf) {
    let mut daemon = bench.launch(bench.command(&["run"]));
    daemon.wait_ready();
    (daemon, bench.dir.join("veritail-data"))
}

#[test]
fn without_a_config_it_runs_where_it_stands() {
    let bench = Bench::new();
    let (daemon, data) = bare(&bench);
    until("it says how to try it", || daemon.printed().contains("veritail verify").then_some(()));
    append(&bench.dir.join("requests/x.ndjson"), (record("file") + "\n").as_bytes());
    append(&data.join("requests/y.ndjson"), (record("inner") + "\n").as_bytes());
    assert_eq!(Client::connect(&data.join("ingest.sock")).ask(&record("sent"))["ack"], "sent");
    until("all are sealed", || (sealed::records(&data).len() == 3).then_some(()));
    daemon.stop();
    sealed::assert_once(&data, ["file", "inner", "sent"]);
    let (code, out, _) = bench.run(&["verify", "veritail-data"]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn exit_codes() {
    let bench = Bench::new();
    fs::write(bench.dir.join("bad.toml"), "version = 1\n[ledgr]\n").unwrap();
    for (arguments, code) in [
        (&["--version"][..], 0),
        (&["run", "--help"], 0),
        (&[], 64),
        (&["fly"], 64),
        (&["run", "--nonsense"], 64),
        (&["verify"], 3),
        (&["verify", "--nonsense", "x"], 3),
        (&["verify", "nowhere"], 4),
        (&["run", "-c", "bad.toml"], 78),
        (&["run", "-c", "nowhere.toml"], 78),
        (&["check", "-c", "bad.toml"], 78),
        (&["config", "-c", "bad.toml"], 78),
        (&["redact", "-c", "bad.toml"], 78),
        (&["check", "-c", "veritail.toml"], 0),
        (&["config", "-c", "veritail.toml"], 0),
    ] {
        let (got, out, err) = bench.run(arguments);
        assert_eq!(got, code, "{arguments:?}:\n{out}{err}");
        assert!(code == 0 || !err.is_empty(), "{arguments:?} fails without a word");
    }
}

#[test]
fn sigint_once_drains_and_twice_ends_at_once() {
    let bench = Bench::new();
    let mut daemon = bench.start();
    bench.append(&records("a", 20));
    bench.wait_sealed(20);
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    bench.verify();

    // A client that does not read its answers holds the drain up to the deadline.
    let mut daemon = bench.start();
    let mut deaf = Client::connect(&bench.socket);
    deaf.stream.set_write_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    let full = (0..100_000).any(|n| deaf.send(&record(&format!("d-{n}"))).is_err());
    assert!(full);
    daemon.signal(Signal::INT);
    daemon.wait_log("draining");
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait().code(), Some(130), "{}", daemon.log());
    bench.start().stop();
    bench.verify();
}

fn reload(daemon: &mut Daemon, counter: &str, times: u64) {
    daemon.signal(Signal::HUP);
    until("the reload is over", || (daemon.metric(counter) == times).then_some(()));
}

#[test]
fn sighup_takes_a_good_config_whole_and_a_bad_one_not_at_all() {
    let text = |rule: &str| format!("[redact]\ncontent = \"redacted\"\n{rule}");
    let rule = "[[redact.rule]]\nname = \"badge\"\nlabel = \"BADGE\"\npattern = 'B-\\d{6}'\n";
    let (before, after) = (text(""), text(rule));
    let bench = Bench::with(&Settings { rest: &before, ..Settings::default() });
    let mut daemon = bench.start();
    let mut client = Client::connect(&bench.socket);
    let secret = |id: &str| format!("{{\"id\":\"{id}\",\"prompt\":\"badge B-123456 please\"}}");
    client.ask(&secret("old"));

    fs::write(&bench.config, "version = 1\n[ledger]\ndir = 7\n").unwrap();
    reload(&mut daemon, "config_reloads_refused_total", 1);
    assert!(daemon.log().contains("ledger.dir"), "{}", daemon.log());
    let ledger = "segment_size = \"64KiB\"";
    bench.configure(&Settings { rest: &after, ledger, ..Settings::default() });
    reload(&mut daemon, "config_reloads_refused_total", 2);
    assert!(daemon.log().contains("[ledger] cannot change"), "{}", daemon.log());
    client.ask(&secret("still"));

    bench.configure(&Settings { rest: &after, ..Settings::default() });
    reload(&mut daemon, "config_reloads_total", 1);
    client.ask(&secret("new"));
    bench.append(&[secret("filed")]);
    bench.wait_sealed(4);
    daemon.stop();
    for entry in sealed::records(&bench.ledger) {
        let kept = entry["prompt"].as_str().unwrap();
        let expected = match sealed::id(&entry).as_str() {
            "old" | "still" => "badge B-123456 please",
            _ => "badge [BADGE] please",
        };
        assert_eq!(kept, expected, "{entry}");
    }
    let sealed = sealed::of_type(&bench.ledger, "config_reload");
    assert_eq!(sealed.len(), 1, "only what was taken is sealed");
    let start = &sealed::of_type(&bench.ledger, "daemon_start")[0];
    assert_ne!(start["policy_hash"], sealed[0]["policy_hash"]);
    bench.verify();
}

/// Sources that come, go and change at a reload lose nothing and double nothing.
#[test]
fn sources_are_swapped_at_a_reload() {
    let bench = Bench::new();
    let mut daemon = bench.start();
    bench.append(&records("a", 50));
    bench.wait_sealed(50);
    bench.configure(&Settings { file: "poll_interval = \"20ms\"", ..Settings::default() });
    bench.append(&records("b", 50));
    reload(&mut daemon, "config_reloads_total", 1);
    bench.append(&records("c", 50));
    bench.wait_sealed(150);
    daemon.stop();
    bench.verify();
    let all = ["a", "b", "c"].into_iter().flat_map(|prefix| ids(prefix, 50));
    sealed::assert_once(&bench.ledger, all);
}

/// A source that cannot be opened refuses the whole config: the old sources go on under the old rules.
#[test]
fn a_reload_that_cannot_open_a_source_changes_nothing() {
    let bench = Bench::new();
    let mut daemon = bench.start();
    bench.append(&records("a", 20));
    bench.wait_sealed(20);
    let taken = bench.ledger.with_file_name("taken");
    fs::write(&taken, "no socket").unwrap();
    let rest = format!(
        "[[source]]\nname = \"second\"\ntype = \"unix\"\npath = {taken:?}\n\
         [redact]\ncontent = \"redacted\"\n"
    );
    let file = "poll_interval = \"20ms\"";
    bench.configure(&Settings { file, rest: &rest, ..Settings::default() });
    reload(&mut daemon, "config_reloads_refused_total", 1);
    assert!(daemon.log().contains("is no socket"), "{}", daemon.log());
    bench.append(&records("b", 20));
    let answer = Client::connect(&bench.socket).ask(&record("c"));
    assert_eq!(answer["ack"], "c");
    bench.wait_sealed(41);
    daemon.stop();
    assert!(sealed::records(&bench.ledger).iter().all(|entry| entry["prompt"].is_null()));
    let all = ids("a", 20).into_iter().chain(ids("b", 20)).chain(["c".to_owned()]);
    sealed::assert_once(&bench.ledger, all);
    bench.verify();
}

#[test]
fn the_end_of_standard_input_is_the_end() {
    let bench = Bench::new();
    let text = format!(
        "version = 1\n[ledger]\ndir = \"{}\"\nservice = \"bench\"\n\
         [[source]]\nname = \"in\"\ntype = \"stdin\"\n",
        bench.ledger.display()
    );
    fs::write(&bench.config, text).unwrap();
    let mut child = bench
        .command(&["run", "-c", "veritail.toml"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = records("i", 200).join("\n");
    lines.push_str("\nnot json\n");
    // The last line has no LF.
    lines.push_str(&record("last"));
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let expected = ids("i", 200).into_iter().chain(["last".to_owned()]);
    sealed::assert_once(&bench.ledger, expected);
    assert_eq!(sealed::of_type(&bench.ledger, "quarantine").len(), 1);
    bench.verify();
}

#[test]
fn a_second_daemon_on_the_ledger_is_refused() {
    let bench = Bench::new();
    let daemon = bench.start();
    let mut second = bench.spawn(&[]);
    assert_eq!(second.wait().code(), Some(1));
    assert!(second.log().contains("another veritail writes this ledger"), "{}", second.log());
    assert_eq!(Client::connect(&bench.socket).ask(&record("a"))["ack"], "a");
    daemon.stop();
    bench.verify();
}

#[test]
fn init_check_run_verify() {
    let bench = Bench::new();
    let (code, out, err) = bench.run(&["init", "data", "--service", "orders"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("orders-") && out.contains("veritail check"), "{out}");
    let (code, out, err) = bench.run(&["check", "-c", "data/veritail.toml"]);
    assert_eq!(code, 0, "{out}{err}");
    let mut daemon = bench.launch(bench.command(&["run", "-c", "data/veritail.toml"]));
    daemon.wait_ready();
    let data = bench.dir.join("data");
    assert_eq!(Client::connect(&data.join("ingest.sock")).ask(&record("a"))["ack"], "a");
    daemon.stop();
    let key = "data/keys/public.vkey";
    let (code, out, err) = bench.run(&["verify", "data", "--public-key", key, "--max-age", "1h"]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, _) = bench.run(&["verify", "data", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["verdict"]), (0, &"intact".into()));
    // A second init must not touch what is there.
    let (code, _, err) = bench.run(&["init", "data"]);
    assert_eq!(code, 1, "{err}");
}

#[test]
fn redact_reads_lines_and_writes_lines() {
    let bench = Bench::new();
    let run = |arguments: &[&str], input: &str| {
        let mut child =
            bench.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success());
        String::from_utf8(done.stdout).unwrap()
    };
    let out = run(&["redact"], "\"mail ana@example.com\"\n{\"prompt\":\"call 415-555-0134\"}\n");
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(!out.contains("ana@example.com") && !out.contains("555-0134"), "{out}");
    let out = run(&["redact", "--explain"], "\"mail ana@example.com\"\n");
    assert!(out.contains("EMAIL") && !out.contains("ana@example.com"), "{out}");
}

#[test]
fn the_demo_shows_itself_and_verifies() {
    let bench = Bench::new();
    let (code, out, err) = bench.run(&["demo", "--seconds", "1", "--dir", "show"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("INTACT") && out.contains("chat_completion"), "{out}");
    shows_the_missing_call(&out);
    // Once more beside what is there: yesterday's calls are the same ones.
    let (code, out, err) = bench.run(&["demo", "--seconds", "1", "--dir", "show"]);
    assert_eq!(code, 0, "{out}{err}");
    shows_the_missing_call(&out);
    let (code, out, _) = bench.run(&["verify", "show/ledger"]);
    assert_eq!(code, 0, "{out}");
    // What it proposes to try: a byte changed is found.
    let status = Command::new("sh")
        .args(["-c", "chmod u+w show/ledger/audit_*.jsonl && sed -i '9s/success/SUCCESS/;10s/success/SUCCESS/' show/ledger/audit_*.jsonl"])
        .current_dir(&bench.dir)
        .status();
    assert!(status.unwrap().success());
    let (code, out, _) = bench.run(&["verify", "show/ledger"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("EDITED"), "{out}");
}

/// The demo reconciled a completed day, and exactly the call that was kept from the ledger is
/// missing: by name, and in no other list.
fn shows_the_missing_call(out: &str) {
    let words = "missing from the ledger, made and never reported: 1 (gen-";
    let (before, after) = out.split_once(words).unwrap_or_else(|| panic!("{out}"));
    let id = format!("gen-{}", after.split_once(')').unwrap().0);
    assert!(id.ends_with("-00000000000000000026"), "{id}");
    assert!(before.contains(&format!("the application never reported: 1\n  {id}\n")), "{out}");
    assert!(before.contains("listed by OpenRouter: 12 ids"), "{out}");
    assert!(before.contains("\ncalls reported 11, "), "{out}");
    assert!(before.contains("DIFFERENT") && !out.contains("OpenRouter does not list"), "{out}");
}
