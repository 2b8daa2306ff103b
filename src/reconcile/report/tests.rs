//! What a report says, to people and to programs.

use super::*;
use crate::{json, secret::SecretRef, units::Span};
use rust_decimal::Decimal;
use std::time::Duration;

fn draft() -> Draft {
    let config = Config {
        management_key: SecretRef::Env("K".into()),
        base_url: "https://openrouter.ai/api/v1".into(),
        every: None,
        settle: Span(Duration::ZERO),
        timeout: Span(Duration::ZERO),
        api_key_hashes: vec!["ab".repeat(32)],
        workspace_id: None,
    };
    Draft::new(Day::parse("2026-11-21").unwrap(), AskedBy::Command, &config)
}

fn figures(requests: u64) -> Figures {
    Figures {
        requests,
        prompt_tokens: 10 * requests,
        completion_tokens: 20 * requests,
        usd: Decimal::new(i64::try_from(requests).unwrap() * 148, 7),
        ..Figures::default()
    }
}

fn used(model: &str) -> Used {
    Used { model: Some(model.into()), provider: Some("P".into()), figures: figures(1) }
}

fn row(requests: u64) -> Row {
    let (model, permaslug) = ("a/m".into(), "a/m-1".into());
    Row { model, permaslug, provider: "P".into(), figures: figures(requests) }
}

fn window() -> Window {
    Window::of(Day::parse("2026-11-21").unwrap())
}

const ID: &str = "gen-1795219200-aaaaaaaaaaaaaaaaaaaa";
const LATE: &str = "gen-1795305600-aaaaaaaaaaaaaaaaaaaa";

#[test]
fn equal_counts_are_equal() {
    let mut draft = draft();
    let mut ids = Ids::new(10);
    ids.mark(ID, ids::CALL | ids::WITHIN).unwrap();
    draft.activity(&[row(1)], vec![[7; 32]]);
    draft.listed(ID, window(), &mut ids);
    draft.listed(LATE, window(), &mut ids);
    draft.call(false);
    draft.used(used("a/m"));
    let report = draft.finish(&[row(1)]);
    assert_eq!(report.verdict, Verdict::Equal);
    assert_eq!((report.by_id.listed, report.ledger.clone()), (1, report.openrouter.clone()));
    let text = report.to_text();
    assert!(text.contains("\nEQUAL\n") && text.contains("limited to 1 API keys"), "{text}");
    assert!(text.contains("0.0000148"), "{text}");
}

#[test]
fn a_call_that_was_never_reported_is_named_once() {
    let mut draft = draft();
    let mut ids = Ids::new(10);
    draft.activity(&[row(1)], Vec::new());
    for id in [ID, ID, "gen-legacylegacy", "gen-legacylegacy"] {
        draft.listed(id, window(), &mut ids);
    }
    draft.listed("gen-legacylegacy", window(), &mut Ids::new(10));
    let report = draft.finish(&[row(1)]);
    assert_eq!(report.verdict, Verdict::Differs);
    assert_eq!(report.by_id.ledger_lacks.ids, [ID, "gen-legacylegacy"]);
    let text = report.to_text();
    assert!(text.contains(&format!("never reported: 2\n  {ID}\n")), "{text}");
    assert!(text.contains("<- requests, prompt_tokens, completion_tokens, usd\n"), "{text}");
    assert!(text.ends_with("DIFFERENT\n"), "{text}");
}

#[test]
fn missing_ids_differ_even_where_all_sums_agree() {
    for which in 0..3 {
        let mut draft = draft();
        draft.activity(&[row(1)], Vec::new());
        draft.used(used("a/m-1"));
        match which {
            0 => draft.listed(ID, window(), &mut Ids::new(1)),
            1 => draft.not_listed(ID),
            _ => draft.only_broadcast(ID),
        }
        let report = draft.finish(&[row(1)]);
        assert_eq!(report.verdict, Verdict::Differs, "{which}");
        assert!(report.models.iter().all(|line| line.differs.is_empty()));
    }
}

#[test]
fn without_ids_the_sums_alone_decide_and_that_is_said() {
    let mut draft = draft();
    draft.activity(&[row(1)], Vec::new());
    draft.listed(ID, window(), &mut Ids::new(1));
    draft.no_ids("OpenRouter answered with status 403");
    draft.not_listed(ID);
    draft.used(used("a/m"));
    let report = draft.finish(&[row(1)]);
    assert_eq!(report.verdict, Verdict::Equal);
    assert_eq!(report.by_id.openrouter_lacks, Named::default());
    assert!(report.to_text().contains("not compared by id: OpenRouter answered with status 403"));
}

#[test]
fn lists_are_bounded_and_what_is_left_out_is_counted() {
    let mut draft = draft();
    for n in 0..2500 {
        draft.not_listed(&format!("gen-{n:010}"));
    }
    for n in 0..MOST_GROUPS + 50 {
        draft.used(used(&format!("made/up-{n}")));
    }
    let report = draft.finish(&[]);
    assert_eq!(report.by_id.openrouter_lacks.count, 2500);
    assert_eq!(report.by_id.openrouter_lacks.ids.len(), MOST_NAMED);
    assert_eq!(report.models.len(), MOST_LINES);
    assert_eq!(report.models_left_out, MOST_GROUPS + 1 - MOST_LINES);
    assert_eq!(report.ledger.requests, MOST_GROUPS as u64 + 50);
    assert!(report.to_text().contains("and 1500 more"));
}

#[test]
fn an_entry_has_the_report_s_members_and_money_as_text() {
    let mut draft = draft();
    draft.activity(&[row(2)], vec![[0xab; 32]]);
    draft.used(used("a/\u{2028}\"m"));
    let report = draft.finish(&[row(2)]);
    let body = crate::ledger::reconciliation(report.members());
    let whole = [b"{", body.as_slice(), b"}"].concat();
    json::check(&whole).unwrap();
    assert!(json::text::may_stand(&whole), "a raw line separator");
    assert!(body.starts_with(b"\"event_type\":\"reconciliation\","));
    let back: Report = serde_json::from_slice(&whole).unwrap();
    assert_eq!(back, report);
    let value: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(value["openrouter"]["usd"], "0.0000296");
    assert_eq!((&value["verdict"], &value["asked_by"]), (&"differs".into(), &"command".into()));
    for taken in ["v", "stream", "seq", "prev_hash", "recorded_at", "key_id", "chain_hash"] {
        assert!(value.get(taken).is_none(), "{taken} is the envelope's");
    }
}
