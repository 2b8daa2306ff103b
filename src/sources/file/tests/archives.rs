//! Compressed rotations: nothing twice, nothing clipped.

use super::*;

#[test]
fn gzip_rotation_not_doubled() {
    for globs in [&["requests.ndjson"][..], &["requests.*"][..]] {
        let mut bench = Bench::new(globs);
        bench.append("requests.ndjson", &numbered(0, 100));
        bench.settle();
        bench.rename("requests.ndjson", "requests.ndjson.1");
        bench.append("requests.ndjson", &numbered(100, 110));
        bench.settle();
        let whole = compressed(&fs::read(bench.path("requests.ndjson.1")).unwrap());
        let (first, rest) = whole.split_at(whole.len() / 2);
        let mut archive = bench.open("requests.ndjson.1.gz");
        archive.write_all(first).unwrap();
        bench.settle();
        archive.write_all(rest).unwrap();
        bench.settle();
        bench.remove("requests.ndjson.1");
        bench.wait(6);
        bench.expect(&expected(0, 110));
        bench.crash();
        bench.settle();
        bench.append("requests.ndjson", &numbered(110, 120));
        bench.settle();
        bench.expect(&expected(0, 120));
        assert!(bench.sink.others().is_empty(), "its position is kept while the archive is there");
        bench.remove("requests.ndjson.1.gz");
        bench.wait(6);
        assert_eq!(bench.sink.others(), ["forget"], "{globs:?}");
    }
}

#[test]
fn reads_on_in_an_archive_made_while_down() {
    let mut bench = Bench::new(&["requests.ndjson"]);
    bench.append("requests.ndjson", &numbered(0, 100));
    bench.settle();
    bench.crash();
    bench.append("requests.ndjson", &numbered(100, 5000));
    let text = fs::read(bench.path("requests.ndjson")).unwrap();
    let (one, two) = text.split_at(20_003);
    bench.open("requests.ndjson.1.gz").write_all(&compressed(one)).unwrap();
    bench.open("requests.ndjson.1.gz").write_all(&compressed(two)).unwrap();
    bench.remove("requests.ndjson");
    bench.append("requests.ndjson", &numbered(5000, 5010));
    bench.settle();
    let mut lines = bench.lines();
    lines.sort_by_key(|line| line[5..].parse::<usize>().unwrap());
    assert_eq!(lines, expected(0, 5010), "every member, each line once");
    bench.crash();
    bench.settle();
    assert_eq!(bench.lines().len(), 5010);
}

#[test]
fn waits_for_an_archive_that_is_being_written() {
    let mut bench = Bench::new(&["*.gz"]);
    let whole = compressed(numbered(0, 1000).as_bytes());
    let mut archive = bench.open("a.gz");
    for part in whole.chunks(whole.len() / 5) {
        assert!(bench.lines().is_empty());
        archive.write_all(part).unwrap();
        bench.settle();
    }
    bench.expect(&expected(0, 1000));
    archive.write_all(&compressed(numbered(1000, 1010).as_bytes())).unwrap();
    bench.settle();
    bench.expect(&expected(0, 1010));
    bench.crash();
    bench.settle();
    assert_eq!(bench.lines().len(), 1010);
}

#[test]
fn garbage_after_an_archive_is_refused_once() {
    let mut bench = Bench::new(&["*.gz"]);
    let bytes = [&compressed(b"one\ntwo\n")[..], b"this is no gzip member"].concat();
    bench.open("a.gz").write_all(&bytes).unwrap();
    bench.settle();
    bench.crash();
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two"]);
    assert_eq!(bench.sink.others(), ["refuse bad_gzip 22 at 8"]);
}

#[test]
fn a_torn_last_line_in_an_archive_is_refused_once() {
    let mut bench = Bench::new(&["a.ndjson"]);
    bench.append("a.ndjson", "one\n");
    bench.settle();
    bench.crash();
    bench.append("a.ndjson", "two\n{\"torn");
    bench.gzip("a.ndjson", "a.ndjson.1.gz");
    bench.remove("a.ndjson");
    bench.settle();
    bench.crash();
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two"]);
    assert_eq!(bench.sink.others(), ["refuse torn 6 at 8"]);
}
