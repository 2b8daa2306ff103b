use super::*;
use crate::json;

const ID: &str = "gen-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw";

#[test]
fn every_answer_is_json_about_what_was_asked() {
    let mut all = vec![
        ("usual", answers::usual(ID)),
        ("cancelled", answers::cancelled(ID)),
        ("byok", answers::byok(ID)),
        ("cache_hit", answers::cache_hit(ID)),
    ];
    all.extend(answers::drifted(ID));
    for (name, body) in all {
        json::check(body.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(value["data"]["id"], ID, "{name}");
    }
}

#[test]
fn a_change_sets_adds_or_takes_away() {
    let body = answers::with(r#"{"data":{"a":1,"b":2}}"#, &[("a", "1.50"), ("b", ""), ("c", "[]")]);
    assert_eq!(body, r#"{"data":{"a":1.50,"c":[]}}"#);
}

#[test]
fn rows_have_names_of_their_own() {
    let mut names: Vec<&str> = rows::ROWS.iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows::ROWS.len());
    assert_eq!(rows::script("late_3", ID).len(), 4);
    assert!(rows::script("no such row", ID).is_empty());
}
