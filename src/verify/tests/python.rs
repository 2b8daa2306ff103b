//! `docs/verify.py`, the verifier that an auditor can read, agrees with this one.
use super::maker::{MASTER, Maker, gzip, put};
use std::process::Command;

/// Runs the script over the maker's files; `None` where there is no Python.
fn script(maker: &Maker, keys: &[&str]) -> Option<(bool, String)> {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("mac.key"), const_hex::encode(MASTER).as_bytes());
    put(&dir.path().join("public.vkey"), format!("{}\n", maker.first_vkey).as_bytes());
    let mut command = Command::new("python3");
    command.arg("-I").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify.py"));
    for key in keys {
        let file = if *key == "--mac-key" { "mac.key" } else { "public.vkey" };
        command.arg(key).arg(dir.path().join(file));
    }
    for (at, (name, lines)) in maker.segments.iter().enumerate() {
        let path = if at == 0 { format!("{name}.gz") } else { name.clone() };
        let bytes = if at == 0 { gzip(&lines.concat()) } else { lines.concat() };
        put(&dir.path().join(&path), &bytes);
        command.arg(dir.path().join(&path));
    }
    match command.output() {
        Ok(out) => {
            let text = [out.stdout, out.stderr].concat();
            Some((out.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: python3 is not installed, docs/verify.py was not run");
            None
        }
        Err(error) => panic!("python3 does not start: {error}"),
    }
}

const BOTH: [&str; 2] = ["--mac-key", "--public-key"];

#[test]
fn the_script_passes_an_honest_ledger() {
    let maker = Maker::honest(2, 5);
    for keys in [&BOTH[..], &BOTH[..1], &BOTH[1..], &[]] {
        let Some((good, said)) = script(&maker, keys) else { return };
        assert!(good && said.contains("intact up to seq 27; 0 entries after"), "{keys:?}: {said}");
    }
    let mut later = Maker::honest(2, 5);
    later.segments.remove(0);
    let Some((good, said)) = script(&later, &BOTH) else { return };
    assert!(good, "a segment verifies by itself: {said}");
}

type Attack = (&'static str, fn(&mut Maker));

#[test]
fn the_script_refuses_what_the_verifier_refuses() {
    let attacks: [Attack; 13] = [
        ("edited", |m| m.edit(1, 4, ("Zoë", "Zoé"))),
        ("forged", |m| {
            m.edit(3, 7, ("daemon_stop", "daemon_step"));
            m.rehash(3, 7);
        }),
        ("missing", |m| drop(m.lines(2).remove(4))),
        ("missing", |m| m.lines(1).swap(2, 3)),
        ("missing", |m| drop(m.segments.remove(1))),
        ("no segment_close", |m| m.lines(1).truncate(6)),
        ("malformed or torn", |m| m.lines(2)[4].truncate(80)),
        ("malformed or torn", |m| m.edit(1, 4, ("{\"v\"", "\u{feff}{\"v\""))),
        ("malformed or torn", |m| m.edit(1, 4, ("\"seq\":3", "\"seq\":03"))),
        ("duplicate member", |m| m.edit(1, 4, (",\"id\"", ",\"id\":1,\"id\""))),
        ("checkpoint mismatch", |m| {
            m.frontier.push([1; 32]);
            m.seq = 28;
            m.checkpoint("checkpoint");
        }),
        ("bad signature", |m| {
            m.signer = crate::ledger::note::Signer::new(&m.stream, [9; 32]);
            m.checkpoint("checkpoint");
        }),
        ("not the genesis", |m| {
            m.first_vkey = crate::ledger::note::Signer::new(&m.stream, [9; 32]).vkey();
        }),
    ];
    for (why, attack) in attacks {
        let mut maker = Maker::honest(2, 5);
        attack(&mut maker);
        assert_eq!(maker.verify().exit_code(), 1, "{why}");
        let Some((good, said)) = script(&maker, &BOTH) else { return };
        assert!(!good && said.contains(why), "{why}: {said}");
    }
}
