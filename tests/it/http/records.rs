//! `POST /v1/records`.

use super::bench::{Answer, Bench, SECRET, answer, gzip};
use crate::running::until;
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};

/// A source that anybody on this machine may use.
const OPEN: &str = "[[source]]\nname = \"api\"\ntype = \"http\"\nlisten = \"127.0.0.1:0\"\n";
const NDJSON: &str = "Content-Type: application/x-ndjson";
const JSON: &str = "Content-Type: application/json";

fn record(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","timestamp":"2026-11-22T10:00:00Z","user_id":"u","model":"m","generation_id":"gen-{id}xxx","prompt":"p","status":"success"}}"#
    )
}

fn records(prefix: &str, count: usize) -> String {
    (0..count).map(|n| record(&format!("{prefix}-{n}")) + "\n").collect()
}

/// Each outcome must be what the ledger holds, in the order of the records.
fn agrees(bench: &Bench, outcomes: &[Value]) {
    let entries = bench.entries();
    for (at, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome["n"], at + 1, "{outcomes:?}");
        let entry = entries.iter().find(|entry| entry["seq"] == outcome["seq"]).unwrap();
        if outcome["ack"].is_string() {
            assert_eq!(outcome["ack"], entry["id"]);
            assert_eq!(outcome["chain_hash"], entry["chain_hash"]);
        } else {
            assert_eq!(outcome["quarantined"], entry["reason"]);
            assert_eq!(entry["event_type"], "quarantine");
        }
    }
}

#[test]
fn lines_are_answered_line_by_line_once_they_are_on_disk() {
    let mut bench = Bench::start(&format!("{OPEN}max_record = \"1KiB\"\n"));
    let client = bench.client("api").with(NDJSON);
    let long = format!("{{\"prompt\":\"{}\"}}", "x".repeat(2000));
    let body = format!("{}\n\n  \noops\n[1]\r\n{long}\n{}", record("a"), record("b"));
    let answer = client.post("/v1/records", body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("content-type: application/x-ndjson"), "{}", answer.head);
    let lines = answer.lines();
    agrees(&bench, &lines);
    let told: Vec<&Value> = lines
        .iter()
        .map(|line| if line["ack"].is_string() { &line["ack"] } else { &line["quarantined"] })
        .collect();
    assert_eq!(told, ["a", "not_json", "not_an_object", "too_long", "b"]);
    let sealed = bench.sealed();
    let origin = json!({"source": "api", "peer": "127.0.0.1"});
    assert!(sealed.iter().all(|entry| entry["origin"] == origin), "{sealed:?}");
    assert!(sealed.iter().all(|entry| entry.get("capture").is_none()));
    let digest = const_hex::encode(Sha256::digest(&long));
    assert!(sealed.iter().any(|entry| entry["sha256"] == digest.as_str()));
    bench.stop();
}

#[test]
fn an_array_is_answered_with_an_array_and_gzip_is_unpacked() {
    let mut bench = Bench::start(OPEN);
    let client = bench.client("api").with(JSON).with("Content-Encoding: gzip");
    let body = format!(" [{},\n {} , 5]", record("a"), record("b"));
    let answer = client.post("/v1/records", &gzip(body.as_bytes()));
    assert_eq!(answer.status, 200, "{answer:?}");
    let outcomes = answer.json();
    agrees(&bench, outcomes.as_array().unwrap());
    assert_eq!(outcomes[2]["quarantined"], "not_an_object");
    // Two members one after the other are one body (RFC 1952, 2.2).
    let twice = [gzip(b"["), gzip(b"]")].concat();
    assert_eq!(client.post("/v1/records", &twice).json(), json!([]));
    let broken = client.post("/v1/records", b"no gzip at all");
    assert_eq!((broken.status, &broken.json()["error"]), (400, &json!("broken")));
    bench.stop();
    assert_eq!(bench.sealed().len(), 3);
}

#[test]
fn json_may_be_one_record_or_lines_under_the_wrong_name() {
    let mut bench = Bench::start(OPEN);
    let client = bench.client("api").with("Content-Type: Application/JSON; charset=utf-8");
    let pretty = record("one").replace(',', ",\n  ");
    assert_eq!(client.post("/v1/records", pretty.as_bytes()).lines()[0]["ack"], "one");
    let lines = client.post("/v1/records", records("l", 2).as_bytes()).lines();
    assert_eq!((&lines[0]["ack"], &lines[1]["ack"]), (&json!("l-0"), &json!("l-1")));
    assert_eq!(client.post("/v1/records", b"").text(), "");
    bench.stop();
    assert_eq!(bench.sealed().len(), 3);
}

#[test]
fn an_array_that_breaks_off_is_refused_as_a_whole_and_the_refusal_sealed() {
    let mut bench = Bench::start(OPEN);
    let body = format!("[{},{}", record("a"), record("b"));
    let answer = bench.client("api").with(JSON).post("/v1/records", body.as_bytes());
    assert_eq!(answer.status, 400);
    assert_eq!(answer.lines()[0]["quarantined"], "not_json");
    bench.stop();
    let sealed = bench.sealed();
    assert_eq!(sealed.len(), 1, "nothing of it counts: {sealed:?}");
    assert_eq!(sealed[0]["sha256"], const_hex::encode(Sha256::digest(&body)));
    assert!(sealed[0]["detail"].as_str().unwrap().contains("cut off"), "{sealed:?}");
}

#[test]
fn a_record_sent_again_is_sealed_once_also_after_kill_9() {
    let mut bench = Bench::start(OPEN);
    let body = records("k", 200);
    let first = bench.client("api").with(NDJSON).post("/v1/records", body.as_bytes()).lines();
    assert_eq!(first.len(), 200);
    bench.kill();
    bench.launch(&[]);
    let client = bench.client("api").with(NDJSON);
    let again = client.post("/v1/records", body.as_bytes()).lines();
    assert_eq!(first, again, "the first seals are told again");
    // Twice in one request, too.
    let twice = client.post("/v1/records", format!("{0}\n{0}", record("t")).as_bytes()).lines();
    assert_eq!(twice[0]["seq"], twice[1]["seq"]);
    bench.stop();
    assert_eq!(bench.sealed().len(), 201);
}

#[test]
fn dying_before_the_answer_loses_nothing_and_doubles_nothing() {
    let mut bench = Bench::start_with(OPEN, &[("VERITAIL_CRASH", "before_ack:1")]);
    let client = bench.client("api").with(NDJSON);
    let body = records("d", 50);
    let mut stream = client.connect();
    let head = client.head("POST", "/v1/records", Some(body.len()));
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut told = Vec::new();
    // A reset is as good as an end: in no case is there an answer.
    let _ = stream.read_to_end(&mut told);
    assert_eq!(String::from_utf8_lossy(&told), "");
    bench.kill();
    bench.launch(&[]);
    let answer = bench.client("api").with(NDJSON).post("/v1/records", body.as_bytes());
    assert_eq!(answer.lines().len(), 50);
    bench.stop();
    assert_eq!(bench.sealed().len(), 50);
}

#[test]
fn without_the_token_nothing_is_read() {
    let mut bench =
        Bench::start(&format!("{OPEN}token = {{ file = \"DIR/secret\" }}\nmax_body = \"1KiB\"\n"));
    let client = bench.client("api").with(NDJSON);
    for header in [
        "X-Nothing: here",
        "Authorization: Bearer wrong",
        &format!("Authorization: Bearer {SECRET}x"),
        &format!("Authorization: Basic {SECRET}"),
    ] {
        let client = client.clone().with(header);
        // The body never comes: an answer shows that nobody waited for it.
        let refused = client.raw(client.head("POST", "/v1/records", Some(1 << 40)).as_bytes());
        assert_eq!(refused.status, 401, "{header}");
        assert!(refused.head.contains("www-authenticate: bearer"), "{}", refused.head);
        assert_eq!(client.send("GET", "/else", b"").status, 401, "{header}");
    }
    let client = client.with(&format!("Authorization: Bearer {SECRET}"));
    assert_eq!(client.post("/v1/records", record("a").as_bytes()).lines()[0]["ack"], "a");
    bench.stop();
    assert_eq!(bench.sealed().len(), 1);
}

fn is(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, &answer.json()["error"]), (status, &json!(error)), "{answer:?}");
}

#[test]
fn what_is_too_large_is_refused_with_the_limit() {
    let mut bench = Bench::start(&format!("{OPEN}max_body = \"64KiB\"\n"));
    let client = bench.client("api").with(NDJSON);
    let announced = client.raw(client.head("POST", "/v1/records", Some(65_537)).as_bytes());
    is(&announced, 413, "too_large");
    assert!(announced.text().contains("max_body (65536 bytes"), "{}", announced.text());
    // Sent in pieces, so that only counting tells; and packed, so that it unpacks to too much.
    let chunked = client.clone().with("Transfer-Encoding: chunked");
    let head = chunked.head("POST", "/v1/records", None);
    let piece = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
    is(&chunked.raw(format!("{head}{piece}{piece}{piece}0\r\n\r\n").as_bytes()), 413, "too_large");
    let packed = client.clone().with("Content-Encoding: gzip");
    is(&packed.post("/v1/records", &gzip(&vec![b' '; 20 << 20])), 413, "too_large");
    is(&client.post("/v1/records", "1\n".repeat(10_001).as_bytes()), 413, "too_large");
    let array = bench.client("api").with(JSON);
    is(
        &array.post("/v1/records", format!("[1{}]", ",1".repeat(10_000)).as_bytes()),
        413,
        "too_large",
    );
    assert_eq!(client.post("/v1/records", record("a").as_bytes()).status, 200);
    bench.stop();
    assert_eq!(bench.sealed().len(), 1);
}

#[test]
fn a_request_must_say_what_it_brings() {
    let mut bench = Bench::start(OPEN);
    let client = bench.client("api");
    // What a foreign web page can make a browser send without asking.
    for kind in ["X-None: 1", "Content-Type: text/plain", "Content-Type: multipart/form-data"] {
        is(&client.clone().with(kind).post("/v1/records", b"{}"), 415, "unsupported");
    }
    let packed = client.clone().with(NDJSON).with("Content-Encoding: br");
    is(&packed.post("/v1/records", b"{}"), 415, "unsupported");
    assert_eq!(client.clone().with(NDJSON).post("/v1/traces", b"{}").status, 404);
    assert_eq!(client.with(NDJSON).send("PUT", "/v1/records", b"{}").status, 405);
    bench.stop();
    assert_eq!(bench.sealed(), [] as [Value; 0]);
}

#[test]
fn tls_is_spoken_with_the_given_certificate() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut bench = Bench::empty();
    bench.private("secret", SECRET);
    bench.private("cert.pem", &made.cert.pem());
    bench.private("key.pem", &made.signing_key.serialize_pem());
    bench.configure(&format!(
        "{OPEN}token = {{ file = \"DIR/secret\" }}\n\
         tls = {{ cert = \"DIR/cert.pem\", key = {{ file = \"DIR/key.pem\" }} }}\n"
    ));
    bench.launch(&[]);
    let client = bench.client("api").with(NDJSON);
    let client = client.with(&format!("Authorization: Bearer {SECRET}"));
    // Somebody who speaks no TLS gets nothing, and is in nobody's way.
    let mut clear = client.connect();
    clear.write_all(client.head("POST", "/v1/records", Some(2)).as_bytes()).unwrap();
    let client = client.trusting(made.cert.der().clone());
    assert_eq!(client.post("/v1/records", record("a").as_bytes()).lines()[0]["ack"], "a");
    drop(clear);
    bench.stop();
    assert_eq!(bench.sealed().len(), 1);
}

#[test]
fn a_certificate_that_cannot_be_used_stops_the_start_and_shows_no_key() {
    let bench = Bench::empty();
    bench.private("cert.pem", "no certificate");
    bench.private("key.pem", SECRET);
    bench.configure(&format!(
        "{OPEN}tls = {{ cert = \"DIR/cert.pem\", key = {{ file = \"DIR/key.pem\" }} }}\n"
    ));
    let mut command = std::process::Command::new(crate::running::PROGRAM);
    let done = command.arg("run").arg("-c").arg(bench.path("veritail.toml")).output().unwrap();
    assert!(!done.status.success());
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("cert.pem for tls") && !said.contains(SECRET), "{said}");
}

#[test]
fn a_stop_answers_what_is_half_sent_and_takes_what_is_whole() {
    let mut bench = Bench::start(OPEN);
    let client = bench.client("api").with(NDJSON);
    let whole = client.post("/v1/records", record("whole").as_bytes());
    assert_eq!(whole.status, 200);
    // The daemon asks for a body when it begins to wait for one.
    let asking = client.clone().with("Expect: 100-continue");
    let mut half = asking.connect();
    half.write_all(asking.head("POST", "/v1/records", Some(1000)).as_bytes()).unwrap();
    let mut interim = [0; 25];
    half.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    half.write_all(b"{\"id\":").unwrap();
    bench.signal(Signal::TERM);
    let told = answer(&mut half);
    is(&told, 503, "draining");
    assert!(told.head.contains("retry-after:"), "{}", told.head);
    bench.stop_sent();
    assert_eq!(bench.sealed().len(), 1);
}

#[test]
fn a_ledger_that_is_behind_turns_requests_away_and_recovers() {
    let small = "queue_size = \"64KiB\"\n";
    let sections = format!("{small}{OPEN}max_record = \"64KiB\"\n");
    // The start's own syncs succeed; later the disk refuses, more often than the test can wait for.
    let bench = Bench::start_with(&sections, &[("VERITAIL_FAULT", "sync:12:1000000:28")]);
    let client = bench.client("api").with(NDJSON);
    // Kept whole by the entry, so that it fills the queue.
    let body = format!("{{\"metadata\":{{\"text\":\"{}\"}}}}", "word ".repeat(12_000));
    let stuck = {
        let (client, body) = (client.clone(), body.clone());
        std::thread::spawn(move || {
            // Until one is not answered with success.
            for _ in 0..100 {
                let answer = client.post("/v1/records", body.as_bytes());
                if answer.status != 200 {
                    return answer.status;
                }
            }
            200
        })
    };
    until("the disk to refuse", || bench.log().contains("the disk refuses"));
    let answer = client.post("/v1/records", body.as_bytes());
    is(&answer, 429, "behind");
    assert!(answer.head.contains("retry-after: 2"), "{}", answer.head);
    // The one that was taken before is told that it is not safe yet.
    assert_eq!(stuck.join().unwrap(), 503);
}
