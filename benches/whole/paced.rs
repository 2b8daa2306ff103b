//! 5,000 records a second over the acknowledged socket, without enrichment and with an OpenRouter that
//! accepts connections and never answers: what a call's acknowledgement takes, and what memory.

use crate::{Daemon, records, usage};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};
use veritail::standin::StandIn;

const RATE: u32 = 5_000;
const SECONDS: u32 = 10;

pub(crate) fn compare(dir: &Path) {
    println!(
        "\n{RATE} records/s for {SECONDS} s   records/s  ack p50 ms  p99 ms   CPU s  peak MiB"
    );
    let silent = StandIn::start().unwrap();
    silent.black_hole(true);
    let enrich = format!(
        "[enrich]\nbase_url = \"{}\"\napi_key = {{ env = \"BENCH_KEY\" }}\n",
        silent.base_url()
    );
    for run in 1..=2 {
        row(&format!("{run} no enrichment"), &one(dir, ""));
        row(&format!("{run} silent OpenRouter"), &one(dir, &enrich));
    }
}

struct Took {
    rate: f64,
    latencies: Vec<Duration>,
    cpu: f64,
    peak: u64,
}

fn row(what: &str, took: &Took) {
    let at = |share: f64| {
        let at = (took.latencies.len() as f64 * share) as usize;
        took.latencies[at].as_secs_f64() * 1e3
    };
    println!(
        "{what:24} {:10.0}  {:10.2} {:7.2} {:7.2}  {:8.1}",
        took.rate,
        at(0.5),
        at(0.99),
        took.cpu,
        took.peak as f64 / 1024.0
    );
}

fn one(dir: &Path, enrich: &str) -> Took {
    let dir = tempfile::tempdir_in(dir).unwrap();
    let file = dir.path().join("empty.ndjson");
    File::create(&file).unwrap();
    let socket = dir.path().join("s");
    let source = format!("[[source]]\nname = \"in\"\ntype = \"unix\"\npath = {socket:?}\n{enrich}");
    let mut daemon = Daemon::start_with(dir.path(), &file, "hash", &source);
    daemon.until(Duration::from_millis(5), |daemon| daemon.get("/readyz").is_some());
    let mut writer = UnixStream::connect(&socket).unwrap();
    let reader = BufReader::new(writer.try_clone().unwrap());
    writer.write_all(b"{\"type\":\"hello\",\"ack\":true}\n").unwrap();
    let total = RATE * SECONDS;
    let told = std::thread::spawn(move || {
        let told = |line: std::io::Result<String>| {
            let line = line.unwrap();
            let n = line.split("\"n\":").nth(1).unwrap().split(',').next().unwrap();
            (n.parse::<usize>().unwrap(), Instant::now())
        };
        reader.lines().take(total as usize).map(told).collect::<Vec<_>>()
    });
    let mut generator = records::Generator::new(7);
    let began = Instant::now();
    let mut sent = Vec::with_capacity(total as usize);
    for n in 0..total {
        let line = generator.record(u64::from(n));
        let due = Duration::from_secs(1) * n / RATE;
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        sent.push(Instant::now());
        writer.write_all(line.as_bytes()).unwrap();
    }
    let told = told.join().unwrap();
    let rate = f64::from(total) / began.elapsed().as_secs_f64();
    // Line 1 is the hello.
    let mut latencies: Vec<Duration> = told.iter().map(|(n, at)| *at - sent[n - 2]).collect();
    latencies.sort();
    let (cpu, peak) = usage(daemon.child.id());
    daemon.stop();
    Took { rate, latencies, cpu, peak }
}
