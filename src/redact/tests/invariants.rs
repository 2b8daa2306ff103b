//! What holds for every text, valid values or not.

use super::{Config, Hit, Redactor, Rule, Scope, plain};
use proptest::prelude::*;

/// Pieces that number, address and key rules look at, so that random texts come close to hits.
const PIECES: &[&str] = &[
    " ",
    " ",
    "-",
    ".",
    "/",
    "(",
    ")",
    "+",
    "@",
    "_",
    ":",
    ",",
    "\\n",
    "\n",
    "x",
    "a",
    "1",
    "7",
    "00",
    "12",
    "415",
    "555",
    "0100",
    "4155550100",
    "4111",
    "1111",
    "4111111111111111",
    "378282",
    "246310005",
    "123",
    "45",
    "6788",
    "123456788",
    "phone ",
    "tel",
    "call ",
    "card ",
    "ssn ",
    "order ",
    "is ",
    "no",
    "office",
    " fax\n",
    "x99",
    "ext. 5",
    "DE54",
    "cafe",
    "ab12",
    "ann",
    "example",
    ".com",
    "ann@example.com",
    "git@github.com:",
    "https://",
    "u:pw",
    "sk-or-v1-",
    "sk-or-",
    "sk-",
    "gsk_",
    "r8_",
    "0123456789abcdef",
    "ABCDEFGH12345678",
    "AKIA",
    "eyJ",
    "eyJa.eyJb.c",
    "[EMAIL]",
    "[PHONE]",
    "[",
    "]",
    "\u{200b}",
    "\u{ad}",
    "\u{a0}",
    "‑",
    "４",
    "＠",
    "é",
    "東",
    "\\u002d",
    "\\u0040",
    "\\u00",
    "例え.jp",
    "電話",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

fn with_custom() -> Redactor {
    let rule = |name: &str, pattern: &str| Rule {
        name: name.into(),
        label: "OWN".into(),
        pattern: pattern.into(),
        identifiers: false,
    };
    let rule = vec![rule("a", "ann|東+"), rule("b", "an.{0,9}"), rule("c", "[A-Z]+")];
    Redactor::new(&Config { rule, ..Config::default() }).unwrap()
}

fn well_formed(text: &str, hits: &[Hit]) -> Result<(), TestCaseError> {
    let mut at = 0;
    for hit in hits {
        prop_assert!(hit.start >= at && hit.end > hit.start, "{:?} in {:?}", hits, text);
        prop_assert!(text.get(hit.start..hit.end).is_some(), "{:?} in {:?}", hit, text);
        at = hit.end;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn hits_are_sorted_and_apart(text in text(), any in any::<String>()) {
        let mut hits = vec![];
        for redactor in [plain(), with_custom()] {
            for text in [&text, &any] {
                for scope in [Scope::Text, Scope::Identifier] {
                    redactor.scan(text, Some("phone"), scope, &mut hits);
                    well_formed(text, &hits)?;
                }
            }
        }
    }

    /// What was refused once is refused again, though labels now stand where hits stood.
    #[test]
    fn scrubbing_twice_changes_nothing(text in text(),
                                       key in prop::option::of(prop::sample::select(&["phone", "id"][..]))) {
        let redactor = plain();
        let once = redactor.scrub(&text, key, Scope::Text).into_owned();
        prop_assert_eq!(redactor.scrub(&once, key, Scope::Text), &*once, "from {:?}", text);
    }
}
