//! `veritail reconcile`, alone and through a daemon, against a stand-in for OpenRouter's own count.

use crate::{
    daemon::{Bench, Settings, until},
    sealed,
};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt};
use veritail::{
    clock::{Clock, rfc3339},
    reconcile::Day,
    standin::{
        Reply, StandIn, Step,
        activity::{Activity, Generation, Trouble},
        answers,
    },
};

const KEY: &str = "sk-or-v1-management-0123456789abcdef";

/// A bench whose config asks a stand-in, and the day that is compared.
struct Account {
    bench: Bench,
    counts: Activity,
    day: Day,
    server: StandIn,
}

impl Account {
    fn new(more: &str) -> Self {
        let counts = Activity::new(KEY);
        let server = StandIn::start_with(counts.router()).unwrap();
        let bench = Bench::new();
        let day = Day::of(Clock::System.now()).before(1);
        let account = Account { bench, counts, day, server };
        account.configure(more);
        account
    }

    /// Writes the config with these further lines of `[reconcile]`.
    fn configure(&self, more: &str) {
        let key = self.bench.dir.join("management.key");
        let _ = fs::remove_file(&key);
        fs::write(&key, format!("{KEY}\n")).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let rest = format!(
            "[reconcile]\nmanagement_key = {{ file = \"{}\" }}\nbase_url = \"{}\"\n{more}\n",
            key.display(),
            self.server.base_url()
        );
        self.bench.configure(&Settings { rest: &rest, ..Settings::default() });
    }

    fn call(&self, n: i64) -> Generation {
        let at = self.day.start() / 1_000_000 + n * 1000;
        Generation {
            id: format!("gen-{at}-{n:020}"),
            at,
            model: "openai/gpt-4o".into(),
            permaslug: "openai/gpt-4o-2026-05-13".into(),
            provider: "OpenAI".into(),
            prompt_tokens: 10,
            completion_tokens: 20,
            usd: 0.1,
            ..Generation::default()
        }
    }

    /// The call as the application reports it.
    fn record(&self, n: i64) -> String {
        let Generation { id, at, .. } = self.call(n);
        format!(
            r#"{{"id":"r-{n}","generation_id":"{id}","timestamp":"{}","user_id":"u-1","model":"openai/gpt-4o","provider":"OpenAI","prompt":"hi","response":"ho","status":"success","usage":{{"prompt_tokens":10,"completion_tokens":20,"cost":0.1}}}}"#,
            rfc3339(at * 1_000_000)
        )
    }

    /// Lets a daemon seal the records of these calls.
    fn seal(&self, calls: &[i64]) {
        let before = sealed::records(&self.bench.ledger).len();
        let daemon = self.bench.start();
        let lines: Vec<String> = calls.iter().map(|n| self.record(*n)).collect();
        self.bench.append(&lines);
        self.bench.wait_sealed(before + calls.len());
        daemon.stop();
    }

    fn reconcile(&self, more: &[&str]) -> (i32, String, String) {
        let (config, day) = (self.bench.config.display().to_string(), self.day.to_string());
        let own = ["reconcile", "-c", &config, "--day", &day];
        self.bench.run(&[&own[..], more].concat())
    }

    /// The `reconciliation` entries so far.
    fn entries(&self) -> Vec<Value> {
        let all = sealed::entries(&self.bench.ledger).into_iter();
        all.filter(|entry| entry["event_type"] == "reconciliation").collect()
    }

    /// No byte that was written anywhere holds the key, but the file that it is kept in.
    fn no_key_anywhere(&self, told: &[&str]) {
        let mut dirs = vec![self.bench.dir.clone()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    dirs.push(entry.path());
                } else if entry.file_type().unwrap().is_file()
                    && entry.file_name() != "management.key"
                {
                    let bytes = fs::read(entry.path()).unwrap();
                    let held = String::from_utf8_lossy(&bytes).contains(KEY);
                    assert!(!held, "{} holds the key", entry.path().display());
                }
            }
        }
        for text in told {
            assert!(!text.contains(KEY), "{text}");
        }
    }
}

#[test]
fn a_call_that_was_never_reported_is_named_sealed_and_gone_once_it_is_reported() {
    let account = Account::new("");
    (0..3).for_each(|n| account.counts.add(account.call(n)));
    account.seal(&[0, 2]);
    let missing = account.call(1).id;

    let (code, table, err) = account.reconcile(&[]);
    assert_eq!(code, 1, "{table}{err}");
    let named = format!("the application never reported: 1\n  {missing}\n");
    assert!(table.contains(&named) && table.contains("DIFFERENT"), "{table}");
    let entries = account.entries();
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!(entry["by_id"]["ledger_lacks"]["ids"], serde_json::json!([missing]));
    assert_eq!(
        (&entry["ledger"]["requests"], &entry["openrouter"]["requests"]),
        (&2.into(), &3.into())
    );
    assert_eq!((&entry["ledger"]["usd"], &entry["asked_by"]), (&"0.2".into(), &"command".into()));
    assert_eq!(entry["activity_sha256"][0].as_str().map(str::len), Some(64));
    assert!(table.contains(&format!("sealed as entry {}\n", entry["seq"])), "{table}");
    account.bench.verify();

    account.seal(&[1]);
    let (code, json, err) = account.reconcile(&["--json"]);
    assert_eq!(code, 0, "{json}{err}");
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&told["verdict"], &told["calls"]["reported"]), (&"equal".into(), &3.into()));
    let entries = account.entries();
    assert_eq!((entries.len(), &entries[1]["seq"]), (2, &told["sealed_seq"]));
    account.bench.verify();
    account.no_key_anywhere(&[&table, &json, &err]);
}

#[test]
fn a_running_daemon_compares_and_seals_when_the_command_asks() {
    let account = Account::new("");
    account.counts.add(account.call(0));
    let daemon = account.bench.start();
    let socket = account.bench.ledger.join("control.sock");
    until("the control socket is there", || socket.exists().then_some(()));
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    account.bench.append(&[account.record(0), account.record(7)]);
    account.bench.wait_sealed(2);

    let (code, table, err) = account.reconcile(&[]);
    assert_eq!(code, 1, "{table}{err}");
    let lacking = format!("OpenRouter does not list: 1\n  {}\n", account.call(7).id);
    assert!(table.contains(&lacking), "{table}");
    assert_eq!(account.entries().len(), 1, "sealed when the command ends");
    assert_eq!(daemon.metric("reconciliations_different_total"), 1);
    account.counts.add(account.call(7));
    let (code, table, err) = account.reconcile(&[]);
    assert_eq!(code, 0, "{table}{err}");
    assert_eq!(daemon.metric("reconciliations_equal_total"), 1);

    // A day that fails costs nobody anything.
    (0..5).for_each(|_| account.counts.trouble("/activity", Trouble::Status(401)));
    let (code, _, err) = account.reconcile(&[]);
    assert!(code == 2 && err.contains("the daemon says") && err.contains("401"), "{code} {err}");
    assert_eq!(daemon.metric("reconciliations_failed_total"), 1);
    assert_eq!(daemon.metric("ready"), 1);
    let log = daemon.stop();
    assert!(!socket.exists(), "the socket is removed");
    account.bench.verify();
    account.no_key_anywhere(&[&log, &err]);
}

#[test]
fn the_timer_compares_each_completed_day_once() {
    let account = Account::new("");
    account.counts.add(account.call(0));
    account.seal(&[0]);
    // The ledger seems to have begun two days ago, so that yesterday is owed.
    let old = account.bench.ledger.join("audit_2026-01-01.00000000.jsonl");
    let began = rfc3339(account.day.before(1).start());
    let line = format!("{{\"recorded_at\":\"{began}\",\"event_type\":\"segment_open\"}}\n");
    fs::write(&old, line).unwrap();
    account.configure("every = \"1s\"\nsettle = \"0ms\"");
    let daemon = account.bench.start();
    let of_day = || {
        let day = account.day.to_string();
        let entries = account.entries().into_iter();
        entries.filter(|entry| entry["day"] == day.as_str()).collect::<Vec<_>>()
    };
    until("the timer seals", || (!of_day().is_empty()).then_some(()));
    daemon.stop();
    let first = of_day();
    assert_eq!((&first[0]["asked_by"], &first[0]["verdict"]), (&"timer".into(), &"equal".into()));

    // After a restart the ledger tells that it was done.
    let asked = account.counts.asked().len();
    let daemon = account.bench.start();
    let (code, ..) = account.reconcile(&[]);
    assert_eq!(code, 0);
    daemon.stop();
    let by: Vec<Value> = of_day().iter().map(|entry| entry["asked_by"].clone()).collect();
    assert_eq!(by, ["timer", "command"]);
    assert_eq!(account.counts.asked().len(), asked + 2);
    fs::remove_file(old).unwrap();
    account.bench.verify();
}

#[test]
fn each_failure_has_its_exit_code_and_says_what_to_do() {
    let account = Account::new("");
    account.counts.add(account.call(0));
    let (code, _, err) = account.reconcile(&[]);
    assert!(code == 2 && err.contains("newest segment"), "no ledger yet: {code} {err}");
    account.seal(&[0]);

    account.counts.trouble("/activity", Trouble::Status(403));
    let (code, _, refused) = account.reconcile(&[]);
    assert!(code == 2 && refused.contains("must be a management key"), "{code} {refused}");
    assert!(!refused.contains("user_"), "an account's id is told: {refused}");
    account.counts.trouble("/activity", Trouble::Truncated);
    assert_eq!(account.reconcile(&[]).0, 2);
    assert!(account.entries().is_empty(), "what was not compared is not sealed");

    account.counts.trouble("/activity", Trouble::Throttled(0));
    account.counts.trouble("/analytics/query", Trouble::Status(403));
    let (code, table, err) = account.reconcile(&[]);
    assert!(code == 0 && table.contains("not compared by id"), "{code} {table}{err}");

    for (day, why) in [("2026-13-01", "YYYY-MM-DD"), ("2999-01-01", "ended"), ("2020-01-01", "30")]
    {
        let config = account.bench.config.display().to_string();
        let (code, _, err) = account.bench.run(&["reconcile", "-c", &config, "--day", day]);
        assert!(code == 64 && err.contains(why), "{day}: {code} {err}");
    }
    fs::remove_file(account.bench.dir.join("management.key")).unwrap();
    let (code, _, err) = account.reconcile(&[]);
    assert!(code == 78 && err.contains("management_key"), "{code} {err}");
    account.bench.configure(&Settings::default());
    let (code, _, err) = account.reconcile(&[]);
    assert!(code == 78 && err.contains("[reconcile]"), "{code} {err}");
    account.bench.verify();
    account.no_key_anywhere(&[&refused, &table]);
}

#[test]
fn a_daemon_without_the_section_keeps_its_ledger_to_itself() {
    let account = Account::new("");
    account.counts.add(account.call(0));
    account.seal(&[0]);
    let with = fs::read(&account.bench.config).unwrap();
    account.bench.configure(&Settings::default());
    let daemon = account.bench.start();
    fs::write(&account.bench.config, with).unwrap();
    let (code, table, err) = account.reconcile(&[]);
    assert!(code == 2 && table.contains("EQUAL"), "{code} {table}");
    assert!(err.contains("not sealed") && err.contains("add [reconcile]"), "{err}");
    // A reload is enough.
    daemon.signal(rustix::process::Signal::HUP);
    let socket = account.bench.ledger.join("control.sock");
    until("the control socket is there", || socket.exists().then_some(()));
    let (code, table, err) = account.reconcile(&[]);
    assert_eq!(code, 0, "{table}{err}");
    daemon.stop();
    account.bench.verify();
}

#[test]
fn a_call_counts_as_it_was_answered_for_not_as_it_was_reported() {
    let account = Account::new("");
    let Generation { id, at, .. } = account.call(0);
    // What OpenRouter charged and counted is not what the application says.
    account.counts.add(Generation {
        prompt_tokens: 1874,
        completion_tokens: 341,
        usd: 0.003_118_2,
        model: "anthropic/claude-4.5-haiku".into(),
        permaslug: "anthropic/claude-4.5-haiku-20251001".into(),
        provider: "Amazon Bedrock".into(),
        ..account.call(0)
    });
    let answer = answers::usual(&id);
    account.server.script(&id, vec![Step::Reply(Reply::json(answer))]);
    account.configure(&format!(
        "[enrich]\nbase_url = \"{}\"\napi_key = {{ file = \"{}\" }}\nfirst_try = \"10ms\"",
        account.server.base_url(),
        account.bench.dir.join("management.key").display()
    ));
    let daemon = account.bench.start();
    account.bench.append(&[account.record(0)]);
    until("the answer is sealed", || {
        let all = sealed::entries(&account.bench.ledger);
        all.iter().any(|entry| entry["event_type"] == "generation").then_some(())
    });
    daemon.stop();
    let (code, table, err) = account.reconcile(&[]);
    assert_eq!(code, 0, "{table}{err}");
    let entry = account.entries().remove(0);
    assert_eq!(entry["calls"]["answered"], 1);
    assert_eq!(entry["ledger"]["usd"], "0.0031182");
    assert_eq!(entry["models"][0]["provider"], "Amazon Bedrock", "made at {at}");
    account.bench.verify();
}
