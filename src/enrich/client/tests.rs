use super::*;
use crate::{
    secret::{Environment, SecretRef},
    standin::{Reply, StandIn, Step, answers, rows},
};

const ID: &str = "gen-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw";
const KEY: &str = "sk-or-v1-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn secret(value: &str) -> Secret {
    let environment: Environment = [("K".to_owned(), value.to_owned())].into_iter().collect();
    SecretRef::Env("K".into()).resolve(&environment).unwrap()
}

fn client(timeout: Duration) -> Client {
    Client::new(timeout, Clock::System).unwrap()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Asks until the row's script is at its end; what each question came to.
fn play(row: &str) -> Vec<(u16, &'static str)> {
    // Long enough for a busy machine, short enough to wait for where nothing comes.
    let silent = ["hang", "stall"].contains(&row);
    let client = client(Duration::from_secs(if silent { 3 } else { 60 }));
    let server = StandIn::start().unwrap();
    let steps = rows::script(row, ID);
    let times = steps.len();
    server.script(ID, steps);
    let outcomes = run(async {
        let mut outcomes = Vec::new();
        for _ in 0..times {
            let outcome = client.ask(&server.base_url(), &secret(KEY), ID).await;
            outcomes.push((outcome.status(), outcome.what()));
        }
        outcomes
    });
    assert_eq!(server.count(), times as u64, "{row}: no question is repeated unasked");
    assert!(server.asked().iter().all(|asked| asked.id == ID && asked.key.as_deref() == Some(KEY)));
    outcomes
}

#[test]
fn every_row_is_understood() {
    let answered = (200, "answer");
    let one = |status, what| vec![(status, what)];
    let then = |status, what| vec![(status, what), answered];
    let late = |times| [vec![(404, "not_yet"); times], vec![answered]].concat();
    let expected = |row: &str| match row {
        "immediate" | "cancelled" | "byok" | "fallback" | "cache_hit" => vec![answered],
        "late_1" => late(1),
        "late_3" => late(3),
        "error_bodies" => late(4),
        "late_10" => late(10),
        "never" => one(404, "not_yet"),
        "throttled_seconds" | "throttled_reset_ms" | "throttled_date" | "throttled_silent" => {
            then(429, "throttled")
        }
        "five_hundreds" => {
            let errors = [500, 502, 503, 524, 529, 502, 500].map(|s| (s, "server_error"));
            [errors.to_vec(), vec![answered]].concat()
        }
        "request_timeout" => then(408, "not_yet"),
        "hang" => then(0, "timeout"),
        "stall" => then(0, "stalled"),
        "cut" => then(0, "truncated"),
        "unauthorized" => one(401, "key_refused"),
        "no_credit" => one(402, "key_refused"),
        "forbidden" => one(403, "key_refused"),
        "challenge_page" => then(403, "server_error"),
        "foreign_id" => one(200, "foreign_id"),
        "web_page" => one(200, "not_json"),
        "not_an_answer" => one(200, "no_data"),
        "bad_request" => one(400, "bad_request"),
        "too_large" => one(200, "too_large"),
        "redirect" => one(301, "redirect"),
        other => panic!("what should {other} come to?"),
    };
    for row in rows::ROWS {
        assert_eq!(play(row.name), expected(row.name), "{}", row.name);
    }
}

#[test]
fn every_drifted_answer_is_taken() {
    let server = StandIn::start().unwrap();
    let client = client(Duration::from_secs(60));
    for (name, body) in answers::drifted(ID) {
        server.script(ID, vec![rows::answer(body.clone())]);
        let outcome = run(client.ask(&server.base_url(), &secret(KEY), ID));
        let expected = Answer::parse(body.as_bytes(), ID).unwrap();
        assert_eq!(outcome, Outcome::Answer(Box::new(expected)), "{name}");
    }
}

#[test]
fn what_the_server_asks_for_is_told() {
    let server = StandIn::start().unwrap();
    let client = client(Duration::from_secs(60));
    let wait = |steps| {
        server.script(ID, steps);
        match run(client.ask(&server.base_url(), &secret(KEY), ID)) {
            Outcome::Throttled { status: 429 | 503, wait } => wait,
            other => panic!("{other:?}"),
        }
    };
    let bound = Duration::from_secs(2);
    assert_eq!(wait(rows::script("throttled_seconds", ID)), Some(bound));
    // Instants are rounded down to seconds, and time goes on.
    for row in ["throttled_reset_ms", "throttled_date"] {
        let wait = wait(rows::script(row, ID)).unwrap();
        assert!(wait <= bound + Duration::from_secs(1), "{row}: {wait:?}");
    }
    assert_eq!(wait(rows::script("throttled_silent", ID)), None);
    let busy = Reply::error(503, "busy").header("retry-after", "7");
    assert_eq!(wait(vec![busy.into()]), Some(Duration::from_secs(7)));
}

#[test]
fn keys_are_told_apart() {
    let server = StandIn::start().unwrap();
    let client = client(Duration::from_secs(60));
    let (good, poor, unknown) = ("sk-or-good", "sk-or-poor", "sk-or-unknown");
    server.accept_key(good);
    server.refuse_key(poor, 402);
    server.otherwise(|id| rows::late(id, 0));
    let ask = |key: &str| run(client.ask(&server.base_url(), &secret(key), ID));
    assert_eq!(ask(good).what(), "answer");
    assert_eq!(ask(poor), Outcome::KeyRefused(402));
    assert_eq!(ask(unknown), Outcome::KeyRefused(401));
    server.refuse_key(poor, 200);
    assert_eq!(ask(poor).what(), "answer");
    let two_lines = Outcome::Refused { status: 0, why: "bad_key" };
    assert_eq!(ask("two\nlines"), two_lines);
    assert_eq!(server.count(), 4, "a key that fits no header goes nowhere");
}

#[test]
fn a_key_does_not_follow_a_redirect() {
    let (first, second) = (StandIn::start().unwrap(), StandIn::start().unwrap());
    let client = client(Duration::from_secs(60));
    second.otherwise(|id| rows::late(id, 0));
    for status in [301, 302, 307, 308] {
        let there = format!("{}/generation?id={ID}", second.base_url());
        first.script(ID, vec![Reply::status(status, "").header("location", there).into()]);
        let outcome = run(client.ask(&first.base_url(), &secret(KEY), ID));
        assert_eq!(outcome, Outcome::Refused { status, why: "redirect" });
    }
    assert_eq!((first.count(), second.count()), (4, 0));
}

#[test]
fn a_dead_host_is_no_answer() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let slow = client(Duration::from_secs(60));
    let outcome = run(slow.ask(&format!("http://{address}/api/v1"), &secret(KEY), ID));
    assert_eq!(outcome, Outcome::NoAnswer("connect"));
    let outcome = run(slow.ask(&format!("https://{address}/api/v1"), &secret(KEY), ID));
    assert!(matches!(outcome, Outcome::NoAnswer("connect" | "no_tls")), "{outcome:?}");
    assert!(slow.check(&format!("http://{address}")).is_ok());
    let outcome = run(slow.ask("no url", &secret(KEY), ID));
    assert_eq!(outcome, Outcome::Refused { status: 0, why: "bad_url" });
    let server = StandIn::start().unwrap();
    server.black_hole(true);
    let quick = client(Duration::from_millis(200));
    let outcome = run(quick.ask(&server.base_url(), &secret(KEY), ID));
    assert_eq!(outcome, Outcome::NoAnswer("timeout"));
    // A stop waits for no question that hangs: this returns.
    drop(server);
}

#[test]
fn other_documents_come_the_same_way() {
    use axum::{Router, routing};
    let activity = routing::get(|| async { "[1]" }).post(|body: String| async { body });
    let server = StandIn::start_with(Router::new().route("/activity", activity)).unwrap();
    let client = client(Duration::from_secs(60));
    let (url, key) = (server.base_url() + "/", secret(KEY));
    let day = [("date", "2026-09-21")];
    let got = run(client.get(&url, "/activity", &day, &key));
    assert_eq!(got.unwrap(), b"[1]");
    let got = run(client.post(&url, "/activity", b"{\"a\":1}".to_vec(), &key));
    assert_eq!(got.unwrap(), b"{\"a\":1}");
    let missing = run(client.get(&url, "/nothing", &[], &key));
    assert_eq!(missing, Err(Outcome::NotYet(404)));
}

#[test]
fn nothing_shows_a_key() {
    let server = StandIn::start().unwrap();
    let client = client(Duration::from_secs(60));
    server.script(ID, vec![Step::Cut(answers::usual(ID))]);
    let outcome = run(client.ask(&server.base_url(), &secret(KEY), ID));
    assert!(!format!("{client:?} {outcome:?} {:?}", secret(KEY)).contains("0123456789abcdef"));
}
