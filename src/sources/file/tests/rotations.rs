//! Renames, truncations and restarts in all their orders.

use super::*;

#[test]
fn a_growing_file_is_read_line_by_line() {
    let mut bench = Bench::new(&["*.ndjson"]);
    assert!(!bench.round(), "nothing is there");
    bench.append("a.ndjson", "one\ntw");
    bench.settle();
    assert_eq!(bench.lines(), ["one"]);
    bench.append("a.ndjson", "o\n\nthree\n");
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two", "", "three"]);
    assert!(!bench.round(), "an unchanged file is not read");
    assert!(bench.sink.others().is_empty());
}

#[test]
fn rotate_while_down() {
    let mut bench = Bench::new(&["requests.ndjson"]);
    bench.append("requests.ndjson", &numbered(0, 4000));
    bench.settle();
    bench.append("requests.ndjson", &numbered(4000, 6000));
    bench.crash();
    bench.rename("requests.ndjson", "requests.ndjson.1");
    bench.append("requests.ndjson", &numbered(6000, 8000));
    bench.rename("requests.ndjson.1", "requests.ndjson.2");
    bench.rename("requests.ndjson", "requests.ndjson.1");
    bench.append("requests.ndjson", &numbered(8000, 10_000));
    bench.settle();
    bench.expect(&expected(0, 10_000));
    bench.crash();
    bench.settle();
    assert_eq!(bench.sink.lines().len(), 10_000, "a second restart reads nothing twice");
    assert!(bench.sink.others().is_empty());
}

#[test]
fn dated_rotations_created_while_down_are_read_oldest_first() {
    let mut bench = Bench::new(&["requests.ndjson"]);
    bench.append("requests.ndjson", "a\n");
    bench.settle();
    bench.crash();
    bench.rename("requests.ndjson", "requests-20261119.ndjson");
    bench.append("requests-20261120.ndjson", "b\n");
    bench.append("requests.ndjson-20261121", "c\n");
    bench.append("other-20261121.ndjson", "not ours\n");
    bench.append("requests.ndjson", "d\n");
    bench.settle();
    assert_eq!(bench.lines(), ["a", "b", "c", "d"]);
}

#[test]
fn a_crash_while_catching_up_loses_no_later_rotation() {
    let mut bench = Bench::new(&["requests.ndjson"]);
    bench.append("requests.ndjson", "a\n");
    bench.settle();
    bench.crash();
    bench.append("requests.ndjson", "b\n");
    bench.rename("requests.ndjson", "requests.ndjson.2");
    bench.append("requests.ndjson.1", "c\n");
    bench.append("requests.ndjson", "d\n");
    bench.settle();
    // Sealed long after all of them were written, and killed after the first.
    bench.ahead = 3_600_000_000;
    let cut =
        bench.sink.events.iter().position(|e| matches!(e, Event::Record(line, _) if line == "c"));
    bench.sink.events.truncate(cut.unwrap());
    bench.crash();
    bench.settle();
    assert_eq!(bench.lines(), ["a", "b", "c", "d"]);
}

#[test]
fn rotations_older_than_the_first_start_are_not_ours() {
    let mut bench = Bench::new(&["requests.ndjson"]);
    bench.append("requests.ndjson.1", "old\n");
    bench.append("requests.ndjson", "new\n");
    bench.settle();
    bench.append("requests.ndjson", "newer\n");
    bench.settle();
    assert_eq!(bench.lines(), ["new", "newer"]);
    let old = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    bench.open("requests.ndjson.1").set_times(old).unwrap();
    bench.crash();
    bench.settle();
    assert_eq!(bench.lines(), ["new", "newer"]);
}

#[test]
fn a_file_created_and_rotated_between_two_rounds_is_read_in_order() {
    let mut bench = Bench::new(&["requests.ndjson"]);
    bench.append("requests.ndjson", "one\n");
    bench.settle();
    bench.append("requests.ndjson", "two\n");
    bench.rename("requests.ndjson", "requests.ndjson.2");
    bench.append("requests.ndjson.1", "three\n");
    bench.append("requests.ndjson", "four\n");
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two", "three", "four"]);
}

#[test]
fn an_older_rotation_is_read_to_its_end_before_the_new_file() {
    let mut bench = Bench::new(&["requests.ndjson"]);
    bench.append("requests.ndjson", &numbered(0, 300_000));
    assert!(bench.round());
    let part = bench.lines().len();
    assert!(part > 0 && part < 300_000, "a round leaves the rest for later: {part}");
    bench.rename("requests.ndjson", "requests.ndjson.1");
    bench.append("requests.ndjson", &numbered(300_000, 300_010));
    bench.settle();
    bench.expect(&expected(0, 300_010));
}

#[test]
fn a_large_file_does_not_starve_the_others() {
    let mut bench = Bench::new(&["*.ndjson"]);
    bench.append("a.ndjson", &numbered(0, 300_000));
    bench.append("b.ndjson", "small\n");
    bench.round();
    assert!(bench.lines().contains(&"small"));
    assert!(bench.lines().len() < 300_000);
}

#[test]
fn record_in_many_writes_across_rotation() {
    let mut bench = Bench::new(&["requests.ndjson"]);
    let record = r#"{"id":"one","prompt":"two"}"#;
    let mut written = Vec::new();
    bench.settle();
    for cut in 0..=record.len() {
        for before_round in [false, true] {
            let mut writer = bench.open("requests.ndjson");
            let line = format!("{}{record}", written.len());
            writer.write_all(&line.as_bytes()[..cut]).unwrap();
            if before_round {
                bench.settle();
            }
            bench.rename("requests.ndjson", &format!("requests.ndjson.{}", 1000 - written.len()));
            bench.append("requests.ndjson", "");
            bench.settle();
            // The writer learns of the rotation only after this record.
            for byte in &line.as_bytes()[cut..] {
                writer.write_all(&[*byte]).unwrap();
            }
            writer.write_all(b"\n").unwrap();
            bench.settle();
            written.push(line);
        }
    }
    assert_eq!(bench.lines(), written);
    assert!(bench.sink.others().is_empty());
}

#[test]
fn torn_tail_of_rotated_file_refused() {
    let mut bench = Bench::new(&["requests.ndjson"]);
    bench.append("requests.ndjson", "first\n{\"torn\":");
    bench.settle();
    bench.rename("requests.ndjson", "requests.ndjson.0");
    bench.wait(3600);
    assert_eq!(bench.lines(), ["first"]);
    assert!(bench.sink.others().is_empty(), "no other file has its name: it may grow");
    bench.append("requests.ndjson", "next\n");
    bench.wait(29);
    assert!(bench.sink.others().is_empty(), "its writer may be late");
    bench.wait(31);
    assert_eq!(bench.lines(), ["first", "next"], "never glued to another file's bytes");
    assert_eq!(bench.sink.others(), ["refuse torn 8 at 6"]);
    bench.crash();
    bench.wait(3600);
    assert_eq!(bench.sink.others(), ["refuse torn 8 at 6"], "and only once");
}

#[test]
fn a_deleted_file_is_read_to_its_end_and_forgotten() {
    let mut bench = Bench::new(&["*.ndjson"]);
    let mut writer = bench.open("a.ndjson");
    writer.write_all(b"one\n").unwrap();
    bench.settle();
    bench.remove("a.ndjson");
    writer.write_all(b"two\nthr").unwrap();
    bench.settle();
    writer.write_all(b"ee\nto").unwrap();
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two", "three"]);
    assert!(bench.sink.others().is_empty());
    bench.wait(6);
    assert_eq!(bench.sink.others(), ["refuse torn 2 at 14", "forget"]);
    assert!(bench.sink.positions().is_empty() && bench.files.tails.is_empty());
}

#[test]
fn delete_and_recreate_at_the_same_path() {
    let mut bench = Bench::new(&["a.ndjson"]);
    for n in 0..20 {
        bench.append("a.ndjson", &format!("header\nline {n}\n"));
        bench.settle();
        bench.remove("a.ndjson");
        if n % 2 == 0 {
            bench.wait(6);
        }
    }
    let want: Vec<String> = (0..20).flat_map(|n| ["header".into(), format!("line {n}")]).collect();
    assert_eq!(bench.lines(), want);
}

#[test]
fn moved_out_of_sight_it_is_read_on_through_the_descriptor() {
    let mut bench = Bench::new(&["a.ndjson"]);
    let away = TempDir::new_in(bench.dir.path()).unwrap();
    let mut writer = bench.open("a.ndjson");
    writer.write_all(b"one\n").unwrap();
    bench.settle();
    bench.move_to("a.ndjson", &away.path().join("b"));
    writer.write_all(b"two\n").unwrap();
    bench.settle();
    bench.append("a.ndjson", "three\n");
    bench.wait(31);
    assert_eq!(bench.lines(), ["one", "two", "three"]);
    assert_eq!(bench.files.tails.len(), 1, "and let go in the end");
}

#[test]
fn links_lead_to_one_reader_and_odd_things_are_left_alone() {
    let mut bench = Bench::new(&["*.ndjson", "a*"]);
    bench.append("a.ndjson", "one\n");
    std::os::unix::fs::symlink(bench.path("a.ndjson"), bench.path("link.ndjson")).unwrap();
    fs::hard_link(bench.path("a.ndjson"), bench.path("hard.ndjson")).unwrap();
    std::os::unix::fs::symlink(bench.path("nowhere"), bench.path("broken.ndjson")).unwrap();
    fs::create_dir(bench.path("dir.ndjson")).unwrap();
    let fifo = bench.path("fifo.ndjson");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    bench.settle();
    assert_eq!(bench.lines(), ["one"]);
    assert_eq!(bench.files.tails.len(), 1);
    assert!(!bench.files.shared.warnings.not_a_file(&fifo), "it was said already");
}

#[test]
fn a_link_that_moves_on_is_a_rotation() {
    let mut bench = Bench::new(&["current"]);
    for name in ["1", "2"] {
        bench.append(name, "");
    }
    bench.append("1", "one\n");
    std::os::unix::fs::symlink("1", bench.path("current")).unwrap();
    bench.settle();
    bench.append("1", "two\n");
    bench.remove("current");
    std::os::unix::fs::symlink("2", bench.path("current")).unwrap();
    bench.append("2", "three\n");
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two", "three"]);
    bench.append("1", "four\n");
    bench.crash();
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two", "three", "four"]);
}

#[test]
fn an_absent_volume_costs_no_position() {
    let mut bench = Bench::new(&["volume/*.ndjson"]);
    fs::create_dir(bench.path("volume")).unwrap();
    bench.append("volume/a.ndjson", "one\n");
    bench.settle();
    bench.crash();
    bench.rename("volume", "unmounted");
    bench.wait(60);
    assert!(bench.sink.others().is_empty());
    bench.rename("unmounted", "volume");
    bench.append("volume/a.ndjson", "two\n");
    bench.settle();
    assert_eq!(bench.lines(), ["one", "two"]);
}
