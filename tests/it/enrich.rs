//! Enrichment over the real binary, against a stand-in for OpenRouter. Schedules are compressed (a
//! first try before 2 s shrinks all times alike), so that days pass in seconds.

use crate::{
    client::Client,
    daemon::{Bench, Daemon, Settings, until},
    sealed,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};
use veritail::standin::{
    Reply, StandIn, Step, answers,
    rows::{self, ROWS},
};

/// A key as OpenRouter gives them, told apart by a number.
fn key(n: usize) -> String {
    format!("sk-or-v1-{:064x}", 0x5ec2_e7c0_ffee_0000_u64 + n as u64)
}

/// `[enrich]` that asks the stand-in, with the default key in `KEY_0`.
fn section(standin: &StandIn, more: &str) -> String {
    format!(
        "[enrich]\nbase_url = \"{}\"\napi_key = {{ env = \"KEY_0\" }}\n{more}\n",
        standin.base_url()
    )
}

fn bench(enrich: &str, ledger: &str) -> Bench {
    Bench::with(&Settings { ledger, rest: enrich, ..Settings::default() })
}

fn start(bench: &Bench) -> Daemon {
    bench.start_with(&[("KEY_0", &key(0))])
}

/// A call as an application reports it.
fn call(generation: &str, more: Value) -> String {
    let mut call = json!({
        "id": format!("call-{generation}"), "timestamp": "2026-11-22T10:00:00Z",
        "generation_id": generation, "user_id": "u-1", "status": "success",
        "model_requested": "anthropic/claude-4.5-haiku", "prompt": "p", "response": "r",
        "usage": { "prompt_tokens": 1874, "completion_tokens": 341, "cost": 0.0031182 },
    });
    for (name, value) in more.as_object().unwrap() {
        call[name] = value.clone();
    }
    call.to_string()
}

fn generation(n: usize) -> String {
    format!("gen-1790000000-{n:020}")
}

/// The entries that settle calls, by the call's number; fails when a call has two.
fn settled(ledger: &Path) -> BTreeMap<u64, Value> {
    let mut all = BTreeMap::new();
    for entry in sealed::entries(ledger) {
        if ["generation", "generation_unresolved"].contains(&entry["event_type"].as_str().unwrap())
            && let Some(before) = all.insert(entry["call_seq"].as_u64().unwrap(), entry)
        {
            panic!("settled twice: {before}");
        }
    }
    all
}

/// No byte below the bench's directory may hold a key.
fn assert_no_key(dir: &Path) {
    let secret = b"5ec2e7c0ffee";
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_key(&path);
        } else if let Ok(bytes) = fs::read(&path) {
            let found = bytes.windows(secret.len()).any(|part| part == secret);
            assert!(!found, "{} holds a key", path.display());
        }
    }
}

/// How a row must end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Answered,
    Unresolved,
    /// The key or the server is at fault: the call waits.
    Waits,
}

fn end(row: &str) -> End {
    match row {
        "never" | "foreign_id" | "not_an_answer" | "bad_request" | "too_large" => End::Unresolved,
        "unauthorized" | "no_credit" | "forbidden" | "web_page" | "redirect" => End::Waits,
        _ => End::Answered,
    }
}

/// Every known behaviour of the endpoint, each under a key of its own so that none is in another's
/// way, all at once.
#[test]
fn every_row_ends_as_it_should_and_no_key_is_written() {
    let standin = StandIn::start().unwrap();
    let mut more = "first_try = \"5ms\"\ngive_up_after = \"4s\"\ntimeout = \"500ms\"\n".to_owned();
    let mut variables = vec![("KEY_0".to_owned(), key(0))];
    let mut client_lines = Vec::new();
    for (n, row) in ROWS.iter().enumerate() {
        let id = generation(n);
        standin.script(&id, (row.steps)(&id));
        standin.accept_key(&key(n + 1));
        more += &format!(
            "[[enrich.key]]\nname = \"{}\"\napi_key = {{ env = \"KEY_{}\" }}\n",
            row.name,
            n + 1
        );
        variables.push((format!("KEY_{}", n + 1), key(n + 1)));
        // Named, or carried: both find the key.
        let told = if n % 2 == 0 { json!(row.name) } else { Value::Null };
        let carried = if n % 2 == 0 { Value::Null } else { json!(key(n + 1)) };
        client_lines.push(call(&id, json!({ "api_key_name": told, "api_key": carried })));
    }
    let bench = bench(&section(&standin, &more), "");
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let daemon = bench.start_with(&variables);
    let mut client = Client::connect(&bench.socket);
    let seqs: Vec<u64> =
        client_lines.iter().map(|line| client.ask(line)["seq"].as_u64().unwrap()).collect();
    let expected = ROWS.iter().filter(|row| end(row.name) != End::Waits).count();
    until("every row has ended that ends", || {
        (settled(&bench.ledger).len() >= expected).then_some(())
    });
    let ends = settled(&bench.ledger);
    for (row, seq) in ROWS.iter().zip(&seqs) {
        let found = match ends.get(seq).map(|entry| entry["event_type"].as_str().unwrap()) {
            Some("generation") => End::Answered,
            Some(_) => End::Unresolved,
            None => End::Waits,
        };
        assert_eq!(found, end(row.name), "{}: {:?}", row.name, ends.get(seq));
    }
    let waiting = (ROWS.len() - expected) as u64;
    until("the others wait", || {
        let gauges = ["waiting", "parked_keys", "tripped"];
        let values = gauges.map(|name| daemon.metric(&format!("enrich_{name}")));
        (values == [waiting, 3, 2]).then_some(())
    });
    assert_eq!(daemon.get("/readyz").0, 200, "a refused key makes nothing unready");
    let log = daemon.stop();
    assert_eq!(log.matches("OpenRouter refuses this key").count(), 3, "told once each:\n{log}");
    bench.verify();
    assert_no_key(&bench.dir);
    let keys: BTreeMap<String, String> =
        standin.asked().into_iter().map(|asked| (asked.id, asked.key.unwrap())).collect();
    for n in 0..ROWS.len() {
        assert_eq!(keys[&generation(n)], key(n + 1), "{} was asked with another key", ROWS[n].name);
    }
}

#[test]
fn an_answer_stands_alone_and_a_disagreement_is_flagged() {
    let standin = StandIn::start().unwrap();
    standin.otherwise(|id| rows::late(id, 2));
    let bench = bench(&section(&standin, "first_try = \"20ms\""), "");
    let daemon = start(&bench);
    let mut client = Client::connect(&bench.socket);
    let honest = client.ask(&call(&generation(1), json!({})))["seq"].as_u64().unwrap();
    let usage = json!({ "prompt_tokens": 1, "completion_tokens": 341, "cost": 0.0031182 });
    let wrong =
        client.ask(&call(&generation(2), json!({ "usage": usage })))["seq"].as_u64().unwrap();
    until("both are answered", || (settled(&bench.ledger).len() == 2).then_some(()));
    let ends = settled(&bench.ledger);
    let entry = &ends[&honest];
    assert_eq!(entry["id"], format!("call-{}", generation(1)));
    assert_eq!((&entry["user_id"], &entry["status"]), (&json!("u-1"), &json!("success")));
    assert_eq!(entry["total_cost"].to_string(), "0.0031182");
    let statuses: Vec<u64> = entry["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [404, 404, 200]);
    assert!(entry.get("mismatch").is_none(), "{entry}");
    assert!(!ends[&wrong]["mismatch"].as_array().unwrap().is_empty());
    until("the counters follow", || (daemon.metric("enrich_answered_total") == 2).then_some(()));
    assert_eq!(daemon.metric("enrich_mismatches_total"), 1);
    assert_eq!(daemon.metric("records_received_total"), 2, "an answer is no record");
    daemon.stop();
    bench.verify();
}

#[test]
fn a_refused_key_is_parked_and_resumes_by_itself() {
    let standin = StandIn::start().unwrap();
    standin.otherwise(|id| rows::late(id, 0));
    standin.refuse_key(&key(0), 402);
    let bench = bench(&section(&standin, "first_try = \"10ms\""), "");
    let mut daemon = start(&bench);
    let mut client = Client::connect(&bench.socket);
    for n in 0..20 {
        client.ask(&call(&generation(n), json!({})));
    }
    daemon.wait_log("OpenRouter refuses this key");
    let before = standin.count();
    until("it is tried again", || (standin.count() >= before + 3).then_some(()));
    assert_eq!(daemon.metric("enrich_parked_keys"), 1);
    assert_eq!(settled(&bench.ledger).len(), 0);
    standin.refuse_key(&key(0), 200);
    until("all are answered", || (settled(&bench.ledger).len() == 20).then_some(()));
    daemon.wait_log("OpenRouter accepts the key again");
    let log = daemon.stop();
    assert_eq!(log.matches("OpenRouter refuses this key").count(), 1, "told once:\n{log}");
    bench.verify();
}

#[test]
fn a_server_that_says_when_to_come_back_is_left_alone_until_then() {
    let standin = StandIn::start().unwrap();
    let id = generation(1);
    standin.script(&id, rows::script("throttled_seconds", &id));
    standin.otherwise(|id| rows::late(id, 0));
    // One at a time, so that the first is the one that is throttled.
    let bench = bench(&section(&standin, "first_try = \"10ms\"\nconcurrency = 1"), "");
    let daemon = start(&bench);
    let mut client = Client::connect(&bench.socket);
    client.ask(&call(&id, json!({})));
    until("it was asked for", || (standin.count() > 0).then_some(()));
    client.ask(&call(&generation(2), json!({})));
    until("both are answered", || (settled(&bench.ledger).len() == 2).then_some(()));
    let asked = standin.asked();
    assert_eq!(asked[0].id, id);
    // Nobody under this key was asked for meanwhile. `Retry-After: 2`, and no clock here is fast.
    assert!(asked[1].at - asked[0].at >= Duration::from_millis(1_900));
    daemon.stop();
}

#[test]
fn killed_while_a_thousand_calls_wait_each_is_asked_again_and_sealed_once() {
    let standin = StandIn::start().unwrap();
    let enrich = section(&standin, "first_try = \"20ms\"\nrate = 1000\nconcurrency = 32");
    let bench = bench(&enrich, "segment_size = \"256KiB\"\ncompress_after = \"0ms\"");
    let daemon = start(&bench);
    let mut client = Client::connect(&bench.socket);
    for n in 0..1_000 {
        client.send(&call(&generation(n), json!({}))).unwrap();
    }
    for _ in 0..1_000 {
        assert!(client.answer().unwrap()["ack"].is_string());
    }
    until("all wait", || (daemon.metric("enrich_waiting") == 1_000).then_some(()));
    until("all were asked for", || {
        let ids: BTreeSet<String> = standin.asked().into_iter().map(|asked| asked.id).collect();
        (ids.len() == 1_000).then_some(())
    });
    daemon.kill();
    assert_eq!(settled(&bench.ledger).len(), 0);
    standin.otherwise(|id| rows::late(id, 0));
    for n in 0..1_000 {
        standin.script(&generation(n), rows::late(&generation(n), n % 2));
    }
    // Killed again and again while the answers come in, across rolls and archived segments.
    for some in [1, 200, 400, 600, 800] {
        let daemon = start(&bench);
        until("some are answered", || (settled(&bench.ledger).len() >= some).then_some(()));
        daemon.kill();
    }
    let daemon = start(&bench);
    until("all are answered", || (settled(&bench.ledger).len() == 1_000).then_some(()));
    until("nobody waits", || (daemon.metric("enrich_waiting") == 0).then_some(()));
    daemon.stop();
    let answered: BTreeSet<String> = settled(&bench.ledger)
        .values()
        .map(|entry| entry["generation_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(answered.len(), 1_000);
    bench.verify();
    // And once more: what is answered is not asked for again.
    let before = standin.count();
    let daemon = start(&bench);
    let mut client = Client::connect(&bench.socket);
    client.ask(&call(&generation(5_000), json!({})));
    until("the new one is answered", || (settled(&bench.ledger).len() == 1_001).then_some(()));
    assert_eq!(standin.count(), before + 1);
    daemon.stop();
}

#[test]
fn with_openrouter_black_holed_sealing_goes_on() {
    let standin = StandIn::start().unwrap();
    standin.otherwise(|id| rows::late(id, 0));
    standin.black_hole(true);
    let enrich = section(&standin, "first_try = \"10ms\"\ntimeout = \"300ms\"\nrate = 1000");
    let bench = bench(&enrich, "");
    let mut daemon = start(&bench);
    let mut client = Client::connect(&bench.socket);
    for n in 0..3_000 {
        client.send(&call(&generation(n), json!({}))).unwrap();
        if n % 100 == 99 {
            for _ in 0..100 {
                assert!(client.answer().unwrap()["ack"].is_string());
            }
        }
    }
    daemon.wait_log("generation endpoint fails");
    assert_eq!(daemon.get("/readyz").0, 200);
    assert_eq!(daemon.metric("enrich_tripped"), 1);
    until("all wait", || (daemon.metric("enrich_waiting") == 3_000).then_some(()));
    standin.black_hole(false);
    until("all are answered", || (settled(&bench.ledger).len() == 3_000).then_some(()));
    daemon.stop();
    bench.verify();
}

#[test]
fn a_stop_does_not_wait_for_openrouter() {
    let standin = StandIn::start().unwrap();
    standin.otherwise(|_| vec![Step::Hang]);
    let bench = bench(&section(&standin, "first_try = \"1ms\"\ntimeout = \"60s\""), "");
    let daemon = start(&bench);
    let mut client = Client::connect(&bench.socket);
    client.ask(&call(&generation(1), json!({})));
    until("it was asked for", || (standin.count() > 0).then_some(()));
    let log = daemon.stop();
    assert!(log.contains("drained"), "{log}");
    standin.script(&generation(1), rows::late(&generation(1), 0));
    let daemon = start(&bench);
    until("it is answered", || (settled(&bench.ledger).len() == 1).then_some(()));
    daemon.stop();
}

#[test]
fn a_reload_changes_the_key_and_doubles_nothing() {
    let standin = StandIn::start().unwrap();
    standin.otherwise(|id| rows::late(id, 0));
    standin.accept_key(&key(1));
    let on = section(&standin, "first_try = \"10ms\"");
    let bench = bench(&on, "");
    let daemon = bench.start_with(&[("KEY_0", &key(0)), ("KEY_1", &key(1))]);
    let mut client = Client::connect(&bench.socket);
    for n in 0..50 {
        client.ask(&call(&generation(n), json!({})));
    }
    until("the key is refused", || (daemon.metric("enrich_parked_keys") == 1).then_some(()));
    let reload = |rest: &str, times| {
        bench.configure(&Settings { rest, ..Settings::default() });
        daemon.signal(Signal::HUP);
        until("the reload", || (daemon.metric("config_reloads_total") == times).then_some(()));
    };
    reload("", 1);
    client.ask(&call(&generation(50), json!({})));
    assert_eq!(settled(&bench.ledger).len(), 0, "switched off, nothing is asked for");
    reload(&on.replace("KEY_0", "KEY_1"), 2);
    until("all are answered", || (settled(&bench.ledger).len() == 51).then_some(()));
    reload(&on.replace("KEY_0", "KEY_1").replace("10ms", "11ms"), 3);
    client.ask(&call(&generation(51), json!({})));
    until("the next one too", || (settled(&bench.ledger).len() == 52).then_some(()));
    daemon.stop();
    bench.verify();
    assert_no_key(&bench.dir);
}

#[test]
fn a_key_that_is_not_there_stops_the_start() {
    let standin = StandIn::start().unwrap();
    let bench = bench(&section(&standin, ""), "");
    let mut daemon = bench.spawn(&[]);
    assert_eq!(daemon.wait().code(), Some(78));
    assert!(daemon.log().contains("environment variable KEY_0 is not set"), "{}", daemon.log());
}

#[test]
fn a_source_may_have_an_address_of_its_own() {
    let (usual, eu) = (StandIn::start().unwrap(), StandIn::start().unwrap());
    let answer = |id: &str| vec![Step::from(Reply::json(answers::usual(id)))];
    usual.otherwise(answer);
    eu.otherwise(answer);
    let more = format!(
        "first_try = \"10ms\"\n[[enrich.source]]\nname = \"app\"\nbase_url = \"{}\"\n",
        eu.base_url()
    );
    let bench = bench(&section(&usual, &more), "");
    let daemon = start(&bench);
    Client::connect(&bench.socket).ask(&call(&generation(1), json!({})));
    bench.append(&[call(&generation(2), json!({}))]);
    until("both are answered", || (settled(&bench.ledger).len() == 2).then_some(()));
    assert_eq!(usual.asked()[0].id, generation(1));
    assert_eq!(eu.asked()[0].id, generation(2));
    daemon.stop();
}
