//! The socket: who may connect, what is answered, and that no client can hurt another.

use crate::{
    client::Client,
    daemon::{Bench, Settings, ids, record, records, until},
    sealed,
};
use std::{
    io::Write,
    os::unix::{fs::MetadataExt, fs::PermissionsExt, net::UnixStream},
    thread,
    time::Duration,
};

#[test]
fn only_allowed_users_are_heard() {
    let me = rustix::process::geteuid().as_raw();
    let others = format!("allow_uids = [{}]", me + 1);
    let bench = Bench::with(&Settings { unix: &others, ..Settings::default() });
    let mut daemon = bench.start();
    // The hello may still go through before the door is shut.
    if let Ok(mut client) = Client::try_connect(&bench.socket) {
        let _ = client.send(&record("no"));
        assert!(client.is_closed());
    }
    daemon.wait_log("not in allow_uids");
    daemon.stop();
    assert!(sealed::records(&bench.ledger).is_empty());

    let mine = format!("allow_uids = [{me}]");
    bench.configure(&Settings { unix: &mine, ..Settings::default() });
    let daemon = bench.start();
    let answer = Client::connect(&bench.socket).ask(&record("yes"));
    assert_eq!(answer["ack"], "yes");
    daemon.stop();
    let origin = &sealed::records(&bench.ledger)[0]["origin"];
    assert_eq!(origin["uid"], me);
    assert_eq!(origin["pid"], std::process::id());
}

#[test]
fn the_mode_is_what_was_asked_for() {
    let bench = Bench::with(&Settings { unix: "mode = \"0600\"", ..Settings::default() });
    let daemon = bench.start();
    let metadata = std::fs::metadata(&bench.socket).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(metadata.uid(), rustix::process::geteuid().as_raw());
    daemon.stop();
    assert!(!bench.socket.exists(), "a clean stop leaves no socket");
}

#[test]
fn a_record_past_the_limit_is_quarantined_and_the_stream_goes_on() {
    let bench = Bench::new();
    let daemon = bench.start();
    let mut client = Client::connect(&bench.socket);
    let long = format!("{{\"id\":\"long\",\"prompt\":\"{}\"}}", "x".repeat(1 << 20));
    let refused = client.ask(&long);
    assert_eq!((&refused["quarantined"], &refused["n"]), (&"too_long".into(), &2.into()));
    assert_eq!(client.ask(&record("after"))["ack"], "after");
    daemon.stop();
    let told = sealed::of_type(&bench.ledger, "quarantine");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["bytes"], long.len());
    assert_eq!(told[0]["seq"], refused["seq"]);
    bench.verify();
}

#[test]
fn a_record_of_a_mebibyte_is_accepted() {
    let bench = Bench::new();
    let daemon = bench.start();
    let (head, tail) = ("{\"id\":\"big\",\"prompt\":\"", "\"}");
    let fill = "y".repeat((1 << 20) - head.len() - tail.len());
    let answer = Client::connect(&bench.socket).ask(&format!("{head}{fill}{tail}"));
    assert_eq!(answer["ack"], "big");
    daemon.stop();
    bench.verify();
}

#[test]
fn garbage_is_quarantined_line_by_line() {
    let bench = Bench::new();
    let daemon = bench.start();
    let mut client = Client::connect(&bench.socket);
    let bad: [(&[u8], &str); 5] = [
        (b"not json", "not_json"),
        (b"[1,2]", "not_an_object"),
        (b"\"text\"", "not_an_object"),
        (b"{\"id\":\"\xff\xfe\"}", "not_utf8"),
        (b"{\"id\":\"a\"} trailing", "not_json"),
    ];
    for (line, reason) in bad {
        client.stream.write_all(&[line, b"\n"].concat()).unwrap();
        assert_eq!(client.answer().unwrap()["quarantined"], reason, "{line:?}");
    }
    assert_eq!(client.ask(&record("good"))["ack"], "good");
    assert_eq!(daemon.metric("records_quarantined_total"), 5);
    assert_eq!(daemon.metric("records_received_total"), 6);
    daemon.stop();
    let hash = |entry: &serde_json::Value| entry["sha256"].as_str().unwrap().len();
    assert!(sealed::of_type(&bench.ledger, "quarantine").iter().all(|entry| hash(entry) == 64));
    bench.verify();
}

#[test]
fn many_clients_at_once() {
    let bench = Bench::with(&Settings { unix: "max_connections = 8", ..Settings::default() });
    let daemon = bench.start();
    thread::scope(|scope| {
        for n in 0..40 {
            let bench = &bench;
            scope.spawn(move || {
                let mut client = Client::connect(&bench.socket);
                for (id, line) in
                    ids(&format!("c{n}"), 25).iter().zip(records(&format!("c{n}"), 25))
                {
                    assert_eq!(client.ask(&line)["ack"], **id);
                }
            });
        }
    });
    daemon.stop();
    bench.verify();
    sealed::assert_once(&bench.ledger, (0..40).flat_map(|n| ids(&format!("c{n}"), 25)));
}

/// A client that never reads its answers is no longer read once enough of them wait; the others
/// notice nothing, and a stop does not wait for it longer than the deadline.
#[test]
fn a_client_that_does_not_read_its_answers_stalls_nobody() {
    let rest = "[shutdown]\ndeadline = \"1s\"";
    let bench = Bench::with(&Settings { rest, ..Settings::default() });
    let daemon = bench.start();
    let mut deaf = Client::connect(&bench.socket);
    deaf.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = 0;
    let blocked = (0..100_000).find(|n| {
        sent = *n;
        deaf.send(&record(&format!("deaf-{n}"))).is_err()
    });
    assert!(blocked.is_some(), "{sent} unread answers, and it is still read");
    let mut other = Client::connect(&bench.socket);
    for line in records("other", 50) {
        assert!(other.ask(&line)["ack"].is_string());
    }
    drop(other);
    daemon.stop();
    bench.verify();
    let all = sealed::ids(&bench.ledger);
    assert_eq!(all.iter().filter(|id| id.starts_with("other-")).count(), 50);
    let deaf: Vec<_> = all.iter().filter(|id| id.starts_with("deaf-")).collect();
    let expected: Vec<String> = (0..deaf.len()).map(|n| format!("deaf-{n}")).collect();
    assert_eq!(deaf, expected.iter().collect::<Vec<_>>());
}

#[test]
fn a_client_that_closes_its_half_is_answered_to_the_end() {
    let bench = Bench::new();
    let daemon = bench.start();
    let mut client = Client::connect(&bench.socket);
    for line in records("h", 100) {
        client.send(&line).unwrap();
    }
    // The end of the stream ends the last line.
    client.stream.write_all(record("h-last").as_bytes()).unwrap();
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut told: Vec<String> =
        (0..101).map(|_| client.answer().unwrap()["ack"].as_str().unwrap().into()).collect();
    assert!(client.is_closed());
    told.sort();
    let mut expected = ids("h", 100);
    expected.push("h-last".into());
    expected.sort();
    assert_eq!(told, expected);
    daemon.stop();
    sealed::assert_once(&bench.ledger, expected);
}

#[test]
fn a_record_sent_again_is_answered_with_its_first_seal() {
    let bench = Bench::new();
    let daemon = bench.start();
    let mut client = Client::connect(&bench.socket);
    let first = client.ask(&record("twice"));
    let again = client.ask(&record("twice"));
    let elsewhere = Client::connect(&bench.socket).ask(&record("twice"));
    for other in [&again, &elsewhere] {
        assert_eq!((&other["seq"], &other["chain_hash"]), (&first["seq"], &first["chain_hash"]));
    }
    // In one write, so that both are in one batch.
    let pair = format!("{0}\n{0}\n", record("pair"));
    client.stream.write_all(pair.as_bytes()).unwrap();
    let (one, two) = (client.answer().unwrap(), client.answer().unwrap());
    assert_eq!(one["seq"], two["seq"]);
    assert_eq!(daemon.metric("records_recognised_total"), 3);
    daemon.stop();
    sealed::assert_once(&bench.ledger, ["twice", "pair"]);
    bench.verify();
}

/// No hello, no answers; a client that leaves in the middle of a line costs that line alone.
#[test]
fn clients_that_say_no_hello_and_clients_that_break_off() {
    let bench = Bench::new();
    let daemon = bench.start();
    let mut plain = UnixStream::connect(&bench.socket).unwrap();
    plain.write_all((records("plain", 20).join("\n") + "\n").as_bytes()).unwrap();
    drop(plain);
    let mut torn = UnixStream::connect(&bench.socket).unwrap();
    torn.write_all((record("torn-0") + "\n" + &record("torn-1")[..30]).as_bytes()).unwrap();
    drop(torn);
    bench.wait_sealed(21);
    until("the torn line is told", || {
        (sealed::of_type(&bench.ledger, "quarantine").len() == 1).then_some(())
    });
    daemon.stop();
    sealed::assert_once(&bench.ledger, ids("plain", 20).into_iter().chain(ids("torn", 1)));
    bench.verify();
}
