use super::*;
use crate::{
    entry::Policy,
    json,
    record::is_generation_id,
    redact::{
        Redactor,
        config::{Config, Content, Hash},
    },
    standin::answers,
};
use proptest::prelude::*;
use serde_json::Value;

const ID: &str = "gen-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw";

/// A call's entry as the ledger has it, between its envelope and its seal.
const ENTRY: &str = r#"{"v":1,"stream":"s","seq":81,"prev_hash":"00","recorded_at":"t","key_id":"k","event_type":"chat_completion","id":"call-1","timestamp":"2026-09-21T14:13:20Z","generation_id":"gen-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw","user_id":"u-4821","session_id":"conv-7f3a","app":"shop","model_requested":"anthropic/claude-haiku-4.5","model_used":"anthropic/claude-haiku-4.5","provider":"Amazon Bedrock","api_key":"hmac-sha256:ab","prompt_tokens":1874,"completion_tokens":341,"total_cost":3.1182e-3,"cost_source":"response","usage":{"cost":3.1182e-3,"is_byok":false,"prompt_tokens_details":{"cached_tokens":512},"completion_tokens_details":{"reasoning_tokens":128}},"status":"success","origin":{"source":"app","uid":1},"policy":"p","chain_hash":"00","signature":"00"}"#;

fn policy() -> Policy {
    let redactor = Redactor::new(&Config::default()).unwrap();
    Policy::new(redactor, (Content::Hash, Hash::Sha256), &[7; 32])
}

fn call() -> Call {
    Call::read(ENTRY.as_bytes()).unwrap()
}

/// A call whose application told nothing but what is needed.
fn silent() -> Call {
    let (id, event_type) = ("call-2".into(), "chat_completion".into());
    Call { id, seq: 7, generation_id: ID.into(), event_type, ..Call::default() }
}

fn checked(body: &[u8]) -> Value {
    let object = [b"{", body, b"}"].concat();
    json::check(&object).unwrap();
    assert!(json::text::may_stand(&object));
    assert!(object.iter().all(|b| *b >= 0x20), "no raw control character");
    assert!(body.starts_with(b"\"event_type\":\"generation"));
    let value: Value = serde_json::from_slice(&object).unwrap();
    for envelope in ["v", "stream", "seq", "prev_hash", "recorded_at", "key_id", "origin"] {
        assert_eq!(value[envelope], Value::Null, "{envelope} is the ledger's or a source's");
    }
    value
}

fn entry(call: &Call, body: &str) -> Value {
    let answer = Answer::parse(body.as_bytes(), ID).unwrap();
    checked(&generation_body(call, &answer, &policy(), &[]))
}

fn mismatch(call: &Call, changes: &[(&str, &str)]) -> Vec<String> {
    let entry = entry(call, &answers::with(&answers::usual(ID), changes));
    let all = entry["mismatch"].as_array().into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn a_usual_answer_becomes_this_entry() {
    let answer = Answer::parse(answers::usual(ID).as_bytes(), ID).unwrap();
    let attempts = [
        Attempt { status: 404, what: "not_yet", age_ms: 2000 },
        Attempt { status: 200, what: "answer", age_ms: 4100 },
    ];
    let body = generation_body(&call(), &answer, &policy(), &attempts);
    checked(&body);
    let expected = include_str!("usual.txt").replace("RAW", &sha256(&answers::usual(ID)));
    let body = String::from_utf8(body).unwrap().replace(",\"", ",\n\"");
    assert_eq!(body, expected.trim_end().replace("POLICY", &policy().id));
}

fn sha256(text: &str) -> String {
    const_hex::encode(Sha256::digest(text))
}

#[test]
fn a_call_is_read_from_its_entry() {
    let call = call();
    assert_eq!((call.seq, call.id.as_str(), call.source.as_deref()), (81, "call-1", Some("app")));
    assert_eq!(call.usage_cost.as_deref(), Some("3.1182e-3"));
    let usage =
        Usage { cached_tokens: Some(512), reasoning_tokens: Some(128), is_byok: Some(false) };
    assert_eq!(call.usage, Some(usage));
    for (from, to) in [
        ("chat_completion", "generation"),
        ("chat_completion", "generation_unresolved"),
        ("chat_completion", "checkpoint"),
        ("gen-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw", "chatcmpl-123"),
        ("gen-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw", "gen-[EMAIL]"),
        ("\"generation_id\"", "\"no_generation_id\""),
        ("\"seq\":81", "\"seq\":null"),
    ] {
        assert_eq!(Call::read(ENTRY.replace(from, to).as_bytes()), None, "{to}");
    }
    assert_eq!(Call::read(&ENTRY.as_bytes()[..400]), None);
    let without_usage =
        ENTRY.replace("\"usage\"", "\"other\"").replace("3.1182e-3,\"cost_s", "0.5,\"cost_s");
    assert_eq!(Call::read(without_usage.as_bytes()).unwrap().usage_cost.as_deref(), Some("0.5"));
}

#[test]
fn ids_of_every_known_form_are_asked_for() {
    for id in [
        ID,
        "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG",
        "gen-batch-1790000000-AbCdEfGhIjKlMnOpQrSt",
        "gen-abc123",
    ] {
        assert!(is_generation_id(id), "{id}");
    }
    for id in [
        "",
        "gen-",
        "gen-ab",
        "gen--abc",
        "chatcmpl-1",
        "gen-a b c",
        "gen-abc:attempt-0",
        "gen-é1234",
        &format!("gen-{}", "a".repeat(129)),
    ] {
        assert!(!is_generation_id(id), "{id}");
    }
}

#[test]
fn only_the_right_answer_is_taken() {
    let refused = |body: &[u8]| Answer::parse(body, ID).unwrap_err();
    assert_eq!(refused(b"<html></html>"), Refused::NotJson);
    assert_eq!(refused(b""), Refused::NotJson);
    assert_eq!(refused(&answers::usual(ID).as_bytes()[..300]), Refused::NotJson);
    assert_eq!(refused(b"{\"data\":{\"id\":\"\xff\"}}"), Refused::NotJson);
    assert_eq!(refused(b"{\"data\":{}} {}"), Refused::NotJson);
    for body in
        ["{}", "[]", "1", r#"{"data":null}"#, r#"{"data":[{"id":"x"}]}"#, r#"{"data":{"id":7}}"#]
    {
        assert_eq!(refused(body.as_bytes()), Refused::NoData, "{body}");
    }
    let id = format!(r#"{{"data":{{"id":"{ID}","id":"gen-other1"}}}}"#);
    assert_eq!(refused(id.as_bytes()), Refused::ForeignId, "the last id counts");
    assert_eq!(refused(answers::usual("gen-other1").as_bytes()), Refused::ForeignId);
}

#[test]
fn drifted_answers_lose_nothing() {
    for (name, body) in answers::drifted(ID) {
        let entry = entry(&call(), &body);
        assert_eq!(entry["raw_sha256"], sha256(&body), "{name}");
        assert_eq!(entry["raw_bytes"], body.len(), "{name}");
    }
    let drift = |wanted: &str| {
        let (_, body) = answers::drifted(ID).into_iter().find(|(name, _)| *name == wanted).unwrap();
        entry(&silent(), &body)
    };
    let unknown = drift("unknown_key");
    assert_eq!(unknown["openrouter"]["quantum_fee"]["usd"], 0.5);
    assert_eq!(unknown["openrouter"]["quantum_fee"]["note"], "mail [EMAIL]");
    assert_eq!(unknown["redactions"]["EMAIL"], 1);
    let text = drift("cost_as_text");
    assert_eq!(text["openrouter"]["total_cost"], "0.0031182");
    assert_eq!(text["degraded"], serde_json::json!(["total_cost:type", "spend"]));
    assert_eq!(text["cost_source"], "none");
    let nulls = drift("all_null");
    assert_eq!(nulls["openrouter"], Value::Null);
    assert_eq!((&nulls["spend"], &nulls["cost_source"]), (&Value::Null, &"none".into()));
    assert_eq!(drift("scientific_cost")["spend"], "0.0000148");
    assert_eq!(drift("created_6_digits")["created_at"], "2026-09-21T14:13:20.418273+00:00");
    assert_eq!(drift("huge_number")["openrouter"]["upstream_id"], "12345678901234567890");
}

#[test]
fn money_keeps_its_digits() {
    for digits in ["0.0000148", "1.48e-05", "1.4E-7", "0", "12.500"] {
        let changes = [("total_cost", digits), ("usage", digits)];
        let body = answers::with(&answers::usual(ID), &changes);
        let answer = Answer::parse(body.as_bytes(), ID).unwrap();
        let text = String::from_utf8(generation_body(&silent(), &answer, &policy(), &[])).unwrap();
        assert!(text.contains(&format!("\"total_cost\":{digits},")), "{text}");
        assert!(text.contains(&format!("\"usage\":{{\"cost\":{digits}}}")), "{text}");
    }
}

#[test]
fn spend_is_what_was_paid_by_whomever() {
    let spend = |changes: &[(&str, &str)]| {
        entry(&silent(), &answers::with(&answers::usual(ID), changes))["spend"].clone()
    };
    assert_eq!(spend(&[]), "0.0031182");
    assert_eq!(spend(&[("upstream_inference_cost", "0.0031182")]), "0.0031182", "not twice");
    let byok = ("is_byok", "true");
    assert_eq!(entry(&silent(), &answers::byok(ID))["spend"], "0.00197");
    assert_eq!(
        spend(&[byok, ("total_cost", "1e-4"), ("upstream_inference_cost", "0.002")]),
        "0.0021"
    );
    assert_eq!(spend(&[byok, ("upstream_inference_cost", "null")]), Value::Null);
    assert_eq!(spend(&[("is_byok", "")]), "0.0031182");
    assert_eq!(spend(&[("is_byok", ""), ("upstream_inference_cost", "0.1")]), Value::Null);
    assert_eq!(spend(&[("total_cost", "1e-40")]), Value::Null, "cannot be held exactly");
}

#[test]
fn what_agrees_is_no_mismatch() {
    assert_eq!(mismatch(&call(), &[]), Vec::<String>::new());
    assert_eq!(mismatch(&silent(), &[]), Vec::<String>::new());
    // The counts of the common tokenizer are another thing.
    assert_eq!(
        mismatch(&call(), &[("tokens_prompt", "1"), ("tokens_completion", "2")]),
        Vec::<String>::new()
    );
}

#[test]
fn what_disagrees_is_named_and_both_sides_stand() {
    for (change, name) in [
        (("native_tokens_prompt", "1875"), "prompt_tokens"),
        (("native_tokens_completion", "0"), "completion_tokens"),
        (("native_tokens_reasoning", "0"), "reasoning_tokens"),
        (("native_tokens_cached", "0"), "cached_tokens"),
        (("total_cost", "0.00311820000001"), "cost"),
        (("cancelled", "true"), "status"),
        (("finish_reason", "\"error\""), "status"),
    ] {
        assert_eq!(mismatch(&call(), &[change]), [name], "{change:?}");
    }
    let other = [("model", "\"openai/gpt-4o-2024-08-06\"")];
    assert_eq!(mismatch(&call(), &other), ["model", "model_used"]);
    assert_eq!(mismatch(&call(), &[("is_byok", "true")]), ["is_byok"]);
    let cancelled = Call { status: Some("cancelled".into()), ..silent() };
    assert_eq!(mismatch(&cancelled, &[]), ["status"]);
    let entry = entry(&call(), &answers::byok(ID));
    assert_eq!(entry["mismatch"], serde_json::json!(["cost", "is_byok"]));
    assert_eq!((&entry["reported_cost"], &entry["total_cost"]), (&0.0031182.into(), &0.into()));
}

#[test]
fn cancelled_and_cached_calls_cost_nothing() {
    let cancelled = entry(&silent(), &answers::cancelled(ID));
    assert_eq!((&cancelled["cancelled"], &cancelled["spend"]), (&true.into(), &"0".into()));
    assert_eq!(cancelled["finish_reason"], Value::Null);
    let hit = entry(&silent(), &answers::cache_hit(ID));
    assert_eq!(hit["response_cache_source_id"], "gen-1790000000-Or1g1nalOr1g1nalOr1g");
    assert_eq!(hit["provider_responses"], serde_json::json!([]));
}

#[test]
fn a_latency_has_the_name_of_what_it_is() {
    let usual = entry(&silent(), &answers::usual(ID));
    assert_eq!(
        (&usual["first_byte_ms"], &usual["generation_time_ms"]),
        (&757.into(), &3723.into())
    );
    let changes = [("api_type", "\"decisions\""), ("generation_time", "0"), ("latency", "91")];
    let decision = entry(&silent(), &answers::with(&answers::usual(ID), &changes));
    assert_eq!((&decision["duration_ms"], &decision["first_byte_ms"]), (&91.into(), &Value::Null));
}

#[test]
fn personal_data_in_an_answer_is_not_kept() {
    let told = r#"{"a":[{"flagged_input":"card 4111 1111 1111 1111"}],"ana@example.com":1}"#;
    let changes = [
        ("external_user", "\"Ana@Example.com\""),
        ("origin", "\"https://app.example.com/?mail=ana@example.com\""),
        ("user_agent", "\"ana@example.com\""),
        ("native_finish_reason", "\"refused ana@example.com\""),
        ("provider_responses", r#"[{"status":500,"raw":"ana@example.com said 4111111111111111"}]"#),
        ("new", told),
    ];
    let mut body = answers::with(&answers::usual(ID), &changes);
    body.insert_str(1, r#""user_note":"ana@example.com","#);
    let answer = Answer::parse(body.as_bytes(), ID).unwrap();
    let out = generation_body(&call(), &answer, &policy(), &[]);
    let text = String::from_utf8(out.clone()).unwrap().to_ascii_lowercase();
    for planted in ["ana@", "example.com\"", "4111"] {
        assert!(!text.contains(planted), "{planted} in {text}");
    }
    let entry = checked(&out);
    let user = entry["openrouter"]["external_user"].as_str().unwrap();
    // The same person under the same name as in a record's user_id.
    let mut record = Vec::new();
    let origin = crate::record::Origin::Stdin { line: 1 };
    let line = br#"{"user_id":"ana@example.com"}"#;
    let policy = std::sync::Arc::new(policy());
    crate::entry::Encoder::new(policy).encode(line, ("s", &origin), &mut record).unwrap();
    assert!(
        String::from_utf8(record).unwrap().contains(&format!("\"user_id\":\"{user}\"")),
        "{user}"
    );
    assert_eq!(entry["openrouter_envelope"]["user_note"], "[EMAIL]");
}

#[test]
fn a_member_told_twice_counts_once() {
    let body =
        format!(r#"{{"data":{{"id":"{ID}","total_cost":1,"total_cost":0.5,"x":1,"\u0078":2}}}}"#);
    let entry = entry(&silent(), &body);
    assert_eq!((&entry["spend"], &entry["openrouter"]["x"]), (&"0.5".into(), &2.into()));
    assert_eq!(entry["degraded"], serde_json::json!(["duplicate_member"]));
}

#[test]
fn an_unresolved_call_tells_how_it_was_tried() {
    let attempts: Vec<Attempt> =
        (0..100).map(|n| Attempt { status: 404, what: "not_yet", age_ms: n * 1000 }).collect();
    let entry = checked(&unresolved_body(&call(), &policy(), &attempts, "gave_up"));
    assert_eq!(entry["event_type"], "generation_unresolved");
    assert_eq!((&entry["reason"], &entry["call_seq"]), (&"gave_up".into(), &81.into()));
    assert_eq!(entry["attempt_count"], 100);
    let told = entry["attempts"].as_array().unwrap();
    assert_eq!(told.len(), 64);
    assert_eq!((&told[31]["age_ms"], &told[32]["age_ms"]), (&31_000.into(), &68_000.into()));
    assert_eq!(entry["total_cost"], Value::Null);
}

fn raw_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?",
        any::<String>().prop_map(|s| Value::from(s).to_string()),
        Just("\"\\ud83d\\u2028\"".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|v| format!("[{}]", v.join(","))),
            proptest::collection::vec((any::<String>(), inner), 0..4).prop_map(|v| {
                let members = v.iter().map(|(k, v)| format!("{}:{v}", Value::from(k.as_str())));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 15] = [
        "total_cost",
        "usage",
        "model",
        "external_user",
        "native_tokens_prompt",
        "is_byok",
        "provider_responses",
        "latency",
        "api_type",
        "cancelled",
        "finish_reason",
        "origin",
        "seq",
        "upstream_inference_cost",
        "session_id",
    ];
    prop_oneof![proptest::sample::select(&KNOWN[..]).prop_map(str::to_owned), any::<String>()]
}

proptest! {
    #[test]
    fn any_answer_with_the_right_id_makes_a_valid_body(
        members in proptest::collection::vec((key(), raw_json()), 0..12),
        beside in proptest::option::of((any::<String>(), raw_json())),
    ) {
        let members = members.iter().filter(|(k, _)| k != "id");
        let data: String = members.map(|(k, v)| format!(",{}:{v}", Value::from(k.as_str()))).collect();
        let beside = beside.filter(|(k, _)| k != "data");
        let beside: String =
            beside.map(|(k, v)| format!(",{}:{v}", Value::from(k))).unwrap_or_default();
        let body = format!("{{\"data\":{{\"id\":\"{ID}\"{data}}}{beside}}}");
        entry(&call(), &body);
    }

    #[test]
    fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Answer::parse(&bytes, ID).is_err());
        prop_assert_eq!(Call::read(&bytes), None);
    }
}
