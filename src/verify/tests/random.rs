//! Random histories pass; random damage in a closed segment never does.
use super::super::{Options, verify};
use super::maker::Maker;
use proptest::prelude::*;

/// What somebody without keys does to a closed segment.
#[derive(Clone, Debug)]
enum Damage {
    Flip(u8),
    Delete,
    Repeat,
    Swap,
    Cut,
    Rehash,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (1u8..=255).prop_map(Damage::Flip),
        Just(Damage::Delete),
        Just(Damage::Repeat),
        Just(Damage::Swap),
        Just(Damage::Cut),
        Just(Damage::Rehash),
    ]
}

/// Does it, and says whether anything changed.
fn inflict(maker: &mut Maker, damage: &Damage, at: prop::sample::Index) -> bool {
    let lines = maker.lines(1);
    let line = at.index(lines.len());
    match damage {
        Damage::Flip(bits) => {
            let byte = at.index(lines[line].len());
            lines[line][byte] ^= bits;
        }
        Damage::Delete => drop(lines.remove(line)),
        Damage::Repeat => {
            let copy = lines[line].clone();
            lines.insert(at.index(lines.len() + 1), copy);
        }
        Damage::Swap => {
            let other = at.index(line + 1);
            lines.swap(line, other);
            return line != other;
        }
        Damage::Cut => lines.truncate(line),
        Damage::Rehash => {
            if String::from_utf8_lossy(&lines[line]).contains("Zoë") {
                maker.edit(1, line + 1, ("Zoë", "Eve"));
                maker.rehash(1, line + 1);
                return true;
            }
            return false;
        }
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn damage_never_passes(damage in damage(), at: prop::sample::Index) {
        let mut maker = Maker::honest(1, 6);
        let honest = maker.lines(1).clone();
        prop_assume!(inflict(&mut maker, &damage, at));
        let report = maker.verify();
        prop_assert_eq!(report.exit_code(), 1, "{}", report.to_text());
        // The MACs themselves are in no hash: without the MAC key they cannot be judged.
        let unsealed = |lines: &[Vec<u8>]| -> Vec<Vec<u8>> {
            lines.iter().map(|line| line[..line.len().saturating_sub(67)].to_vec()).collect()
        };
        let whole = maker.lines(1).iter().all(|line| line.len() > 67);
        if !whole || unsealed(&honest) != unsealed(maker.lines(1)) {
            let report = maker.verify_public();
            prop_assert_eq!(report.exit_code(), 1, "{}", report.to_text());
        }
    }

    #[test]
    fn honest_histories_pass(steps in prop::collection::vec(0u8..8, 0..60)) {
        let mut maker = Maker::new(super::maker::STREAM, 3);
        maker.open();
        for step in steps {
            match step {
                0 => maker.checkpoint("checkpoint"),
                1 => {
                    maker.checkpoint("segment_close");
                    maker.open();
                }
                2 => maker.entry(r#""event_type":"quarantine","reason":"x""#),
                _ => maker.calls(1),
            }
        }
        maker.checkpoint("checkpoint");
        for report in [maker.verify(), maker.verify_public()] {
            prop_assert_eq!(report.exit_code(), 0, "{}", report.to_text());
        }
        let dir = tempfile::tempdir().unwrap();
        maker.write(dir.path());
        let options = Options { paths: vec![dir.path().into()], ..Options::default() };
        prop_assert_eq!(verify(&options).unwrap().exit_code(), 0);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let dir = tempfile::tempdir().unwrap();
        super::maker::put(&dir.path().join("a.jsonl"), &bytes);
        let options = Options { paths: vec![dir.path().into()], ..Options::default() };
        prop_assert!(verify(&options).unwrap().exit_code() != 0);
    }
}
