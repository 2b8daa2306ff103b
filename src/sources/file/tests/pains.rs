//! One test for each thing that hurt the users of other log shippers.

use super::*;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

#[test]
fn same_header() {
    let mut bench = Bench::new(&["*.ndjson"]);
    let header = "x".repeat(4096);
    for name in ["a.ndjson", "b.ndjson"] {
        bench.append(name, &format!("{header}\n"));
    }
    bench.append("tiny.ndjson", "\n");
    bench.append("forty.ndjson", &format!("{}\n", "y".repeat(39)));
    bench.append("empty.ndjson", "");
    bench.append("unended.ndjson", "no end");
    bench.settle();
    let mut lines = bench.lines();
    lines.sort_unstable();
    assert_eq!(lines, ["", &header, &header, &"y".repeat(39)]);
    bench.append("a.ndjson", "old\n");
    bench.settle();
    // The same first line, and longer than it was.
    bench.rewrite("a.ndjson", &format!("{header}\nnew\nand longer than before\n"));
    bench.settle();
    assert_eq!(bench.lines()[4..], ["old", &header, "new", "and longer than before"]);
}

#[test]
fn rewritten_faster_than_a_poll() {
    let mut bench = Bench::new(&["a.ndjson"]);
    for n in 0..50 {
        let text = format!("first\nwritten {n}\n{}", numbered(n * 100, n * 101));
        if n == 0 {
            bench.append("a.ndjson", &text)
        } else {
            bench.rewrite("a.ndjson", &text)
        }
        bench.settle();
        let count = |line: &str| bench.lines().iter().filter(|other| **other == line).count();
        assert_eq!((count(&format!("written {n}")), count("first")), (1, n + 1));
    }
    assert!(bench.sink.others().is_empty(), "nothing was lost: {:?}", bench.sink.others());
}

#[test]
fn inode_reuse() {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
    let mut bench = Bench::within(dir, &["a.ndjson"], 1 << 20);
    let inode = |bench: &Bench| fs::metadata(bench.path("a.ndjson")).unwrap().ino();
    let mut reused = 0;
    for n in 0..300 {
        bench.append("a.ndjson", &format!("file {n} begins\n{}", "more\n".repeat(n % 7)));
        bench.settle();
        let before = inode(&bench);
        // Closed by a restart, so that the inode is free.
        bench.crash();
        bench.remove("a.ndjson");
        bench.append("a.ndjson", &format!("file {n} again, longer or shorter\n"));
        reused += usize::from(inode(&bench) == before);
        bench.settle();
        bench.remove("a.ndjson");
        bench.settle();
        bench.wait(6);
    }
    let count = |end: &str| bench.lines().iter().filter(|line| line.contains(end)).count();
    assert_eq!((count("begins"), count("again")), (300, 300));
    if reused == 0 {
        eprintln!("SKIPPED: this file system never gave an inode twice");
    }
}

#[test]
fn copytruncate_under_load() {
    let mut bench = Bench::new(&["requests.ndjson"]);
    bench.append("requests.ndjson", &numbered(0, 100));
    bench.settle();
    // Unread when it is copied away and truncated: read on in the copy.
    bench.append("requests.ndjson", &numbered(100, 200));
    fs::copy(bench.path("requests.ndjson"), bench.path("requests.ndjson.1")).unwrap();
    bench.rewrite("requests.ndjson", &numbered(200, 250));
    bench.settle();
    bench.expect(&expected(0, 250));
    // The copy is there for a while before the truncation.
    bench.append("requests.ndjson", &numbered(250, 300));
    bench.rename("requests.ndjson.1", "requests.ndjson.2");
    fs::copy(bench.path("requests.ndjson"), bench.path("requests.ndjson.1")).unwrap();
    bench.settle();
    bench.settle();
    bench.rewrite("requests.ndjson", &numbered(300, 310));
    bench.settle();
    bench.expect(&expected(0, 310));
    assert!(bench.sink.others().is_empty(), "{:?}", bench.sink.others());
    bench.crash();
    bench.settle();
    assert_eq!(bench.lines().len(), 310);
}

#[test]
fn copytruncate_while_down_loses_nothing() {
    let mut bench = Bench::new(&["requests.ndjson"]);
    bench.append("requests.ndjson", &numbered(0, 100));
    bench.settle();
    bench.crash();
    bench.append("requests.ndjson", &numbered(100, 200));
    fs::copy(bench.path("requests.ndjson"), bench.path("requests.ndjson.1")).unwrap();
    bench.rewrite("requests.ndjson", &numbered(200, 210));
    bench.settle();
    bench.expect(&expected(0, 210));
}

#[test]
fn what_a_truncation_lost_is_told() {
    let mut bench = Bench::new(&["requests.ndjson"]);
    bench.append("requests.ndjson", "one\ntwo\nthree is unread");
    bench.settle();
    bench.rewrite("requests.ndjson", "four\n");
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two", "four"]);
    let others = ["gap truncated 8..23", "forget"];
    assert_eq!(bench.sink.others(), others);
    bench.append("requests.ndjson", "five\n");
    bench.crash();
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two", "four", "five"]);
    assert_eq!(bench.sink.others(), others);
}

#[test]
fn nul_hole_after_copytruncate() {
    let mut bench = Bench::new(&["a.ndjson"]);
    // A writer that keeps its offset, as one does that did not open for appending.
    let stale = File::options().create_new(true).write(true).open(bench.path("a.ndjson")).unwrap();
    stale.write_all_at(b"one\n", 0).unwrap();
    bench.settle();
    stale.set_len(0).unwrap();
    bench.settle();
    stale.write_all_at(b"two\nthree\n", 4).unwrap();
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two", "three"]);
    assert_eq!(bench.sink.others(), ["forget", "gap hole 0..4"]);
    // A hole far larger than the longest record, in the middle of the file.
    let far = 5 << 30;
    stale.write_all_at(b"four\nfive", far).unwrap();
    bench.settle();
    bench.crash();
    bench.settle();
    stale.write_all_at(b"\n", far + 9).unwrap();
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two", "three", "four", "five"]);
    assert_eq!(bench.sink.others()[2..], [format!("gap hole 14..{far}")]);
}

#[test]
fn many_short_lived_files() {
    let mut bench = Bench::new(&["*.ndjson"]);
    let mut total = 0;
    for wave in 0..4 {
        for n in 0..600 {
            bench.append(&format!("{wave}-{n}.ndjson"), &format!("{wave} {n}\n"));
            total += 1;
        }
        bench.settle();
        let open = bench.files.tails.values().filter(|tail| tail.is_open()).count();
        assert!(open <= OPEN_FILES, "{open} descriptors");
        for n in 0..600 {
            bench.append(&format!("{wave}-{n}.ndjson"), &format!("{wave} {n} again\n"));
            total += 1;
        }
        bench.settle();
        for n in 0..600 {
            bench.remove(&format!("{wave}-{n}.ndjson"));
        }
        bench.settle();
        bench.wait(6);
        bench.settle();
        let left = (bench.files.tails.len(), bench.files.index.len(), bench.files.orphans.len());
        assert_eq!(left, (0, 0, 0), "nothing is left of them");
        assert!(bench.sink.positions().is_empty(), "nor in the ledger");
    }
    let mut lines = bench.lines();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!((lines.len(), bench.lines().len()), (total, total));
}

#[test]
fn unreadable_then_readable() {
    let mut bench = Bench::new(&["*.ndjson"]);
    bench.append("a.ndjson", "one\n");
    bench.append("b.ndjson", "two\n");
    let mode = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(bench.path("a.ndjson"), mode(0o000)).unwrap();
    let before = without_override();
    assert!(File::open(bench.path("a.ndjson")).is_err(), "this thread may not read everything");
    bench.settle();
    assert_eq!(bench.lines(), ["two"], "one bad file stops no other");
    fs::set_permissions(bench.path("a.ndjson"), mode(0o600)).unwrap();
    bench.settle();
    assert_eq!(bench.lines(), ["two", "one"]);
    // Known, unreadable at a restart, and readable again: read on, not again.
    bench.append("a.ndjson", "three\n");
    fs::set_permissions(bench.path("a.ndjson"), mode(0o000)).unwrap();
    bench.crash();
    bench.settle();
    assert_eq!(bench.lines(), ["two", "one"]);
    fs::set_permissions(bench.path("a.ndjson"), mode(0o600)).unwrap();
    bench.settle();
    assert_eq!(bench.lines(), ["two", "one", "three"]);
    assert!(bench.sink.others().is_empty());
    rustix::thread::set_capabilities(None, before).unwrap();
}

/// Takes root's right to read everything from this thread; returns what it had.
fn without_override() -> rustix::thread::CapabilitySets {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let before = capabilities(None).unwrap();
    let mut less = before;
    less.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    set_capabilities(None, less).unwrap();
    before
}

#[test]
fn a_line_past_the_limit_is_refused_and_the_stream_goes_on() {
    let mut bench = Bench::within(TempDir::new().unwrap(), &["a.ndjson"], 1000);
    bench.append("a.ndjson", "one\n");
    bench.append("a.ndjson", &"x".repeat(3 << 20));
    bench.settle();
    bench.append("a.ndjson", &"x".repeat(100));
    bench.settle();
    bench.append("a.ndjson", "\ntwo\n");
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two"]);
    assert_eq!(bench.sink.others(), [format!("refuse too_long {} at 4", (3 << 20) + 100)]);
    bench.crash();
    bench.append("a.ndjson", "three\n");
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two", "three"]);
}

#[test]
fn the_last_pass_reads_to_the_end_and_says_what_a_deleted_file_leaves() {
    let mut bench = Bench::new(&["*.ndjson"]);
    bench.append("a.ndjson", "one\n");
    bench.append("b.ndjson", "two\n");
    bench.settle();
    bench.append("a.ndjson", &numbered(0, 300_000));
    let mut deleted = bench.open("b.ndjson");
    bench.remove("b.ndjson");
    deleted.write_all(b"three\ntorn").unwrap();
    let stop = Stop::default();
    stop.stop();
    let other = Files::new("app", &settings(&bench.paths, 1 << 20), Vec::new()).unwrap();
    std::mem::replace(&mut bench.files, other).run(&mut bench.sink, &stop).unwrap();
    assert_eq!(bench.lines().len(), 300_003);
    assert!(bench.sink.others().contains(&"refuse torn 4 at 10".to_owned()));
}

#[test]
fn runs_until_stopped() {
    let bench = Bench::new(&["*.ndjson"]);
    let stop = Stop::default();
    let (files, mut sink, theirs) = (bench.files, bench.sink, stop.clone());
    let runner = std::thread::spawn(move || files.run(&mut sink, &theirs).map(|()| sink));
    let mut writer =
        File::options().create(true).append(true).open(bench.dir.path().join("a.ndjson")).unwrap();
    writer.write_all(b"one\n").unwrap();
    stop.stop();
    assert_eq!(runner.join().unwrap().unwrap().lines(), ["one"]);
}

#[test]
fn stops_with_the_ledger() {
    let mut bench = Bench::new(&["*.ndjson"]);
    bench.append("a.ndjson", "one\n");
    bench.sink.closed = true;
    let error = bench.files.round(&mut bench.sink).unwrap_err();
    assert!(matches!(error, Error::Closed(Closed)));
}

#[test]
fn says_which_glob_is_none() {
    let error = Files::new("app", &settings(&["/x/[".to_owned()], 1), Vec::new()).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("source app: \"/x/[\" is no glob: "), "{text}");
}
