use super::*;
use crate::{
    record::{FileId, FileSpan},
    redact::config::Config,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn policy(content: Content, hash: Hash) -> Arc<Policy> {
    let config = Config { content, hash, ..Config::default() };
    Arc::new(Policy::new(Redactor::new(&config).unwrap(), (content, hash), &[7; 32]))
}

fn peer() -> Origin {
    Origin::Peer { uid: 1000, gid: 1000, pid: Some(42) }
}

/// The body of a record as an object, checked to be what the ledger accepts.
fn encode_under(line: &[u8], policy: &Arc<Policy>) -> Result<Value, Refusal> {
    let mut out = Vec::new();
    let id = Encoder::new(policy.clone()).encode(line, ("app", &peer()), &mut out)?.to_owned();
    let object = [b"{", out.as_slice(), b"}"].concat();
    json::check(&object).unwrap();
    assert!(json::text::may_stand(&object));
    assert!(object.iter().all(|b| *b >= 0x20), "no raw control character");
    let value: Value = serde_json::from_slice(&object).unwrap();
    assert_eq!(value["id"], id.as_str());
    Ok(value)
}

fn encode(line: &str) -> Value {
    encode_under(line.as_bytes(), &policy(Content::Redacted, Hash::Sha256)).unwrap()
}

fn degraded(value: &Value) -> Vec<&str> {
    value["degraded"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    const_hex::encode(sha2::Sha256::digest(text))
}

#[test]
fn the_first_seeds_record_is_whole() {
    let line = json!({
        "id": "550e8400-e29b-41d4-a716-446655440000", "timestamp": "2024-01-15T10:30:45.123Z",
        "event_type": "chat_completion", "user_id": "user_123",
        "model": "anthropic/claude-3.5-sonnet", "generation_id": "gen-1793000000-AbCdEfGhIjKlMnOpQrSt",
        "prompt_hash": "a1b2c3d4", "response_hash": "e5f6a7b8", "prompt_tokens": 150,
        "completion_tokens": 450, "latency_ms": 1234.5, "status": "success",
        "metadata": {"session_id": "sess_abc", "feature": "code_review"},
    });
    let entry = encode(&line.to_string());
    assert_eq!(entry["degraded"], Value::Null);
    assert_eq!(entry["model_requested"], "anthropic/claude-3.5-sonnet");
    for same in [
        "id",
        "timestamp",
        "event_type",
        "user_id",
        "generation_id",
        "prompt_hash",
        "response_hash",
        "prompt_tokens",
        "completion_tokens",
        "latency_ms",
        "status",
        "metadata",
    ] {
        assert_eq!(entry[same], line[same], "{same}");
    }
    assert_eq!(entry["redactions"], Value::Null);
}

#[test]
fn the_second_seeds_record_is_whole() {
    let messages = r#"[{"role":"user","content":"hi"}]"#;
    let line = format!(
        r#"{{"timestamp":"2026-01-01T00:00:00Z","generation_id":"gen-1793000000-AbCdEfGhIjKlMnOpQrSt",
        "model_requested":"openai/gpt-4-turbo","model_used":"openai/gpt-4-turbo-2024","prompt_tokens":3,
        "completion_tokens":5,"total_cost":1.48e-05,"latency_ms":12.5,"status":"error","user_id":"system",
        "messages":{messages},"error_code":429,"error_type":"RateLimit"}}"#
    )
    .replace('\n', " ");
    let entry = encode(&line);
    assert_eq!(entry["degraded"], Value::Null);
    assert_eq!(entry["prompt_hash"], sha256(messages));
    assert_eq!(entry["messages"][0]["content"], "hi");
    assert_eq!(entry["error_code"], "429");
    assert_eq!(entry["cost_source"], "response");
    let mut out = Vec::new();
    Encoder::new(policy(Content::Hash, Hash::Sha256))
        .encode(line.as_bytes(), ("app", &peer()), &mut out)
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("\"total_cost\":1.48e-05,"), "money keeps its digits: {text}");
}

#[test]
fn what_is_missing_is_marked_and_an_id_is_made() {
    let entry = encode(r#"{"user_id":"u1","model":"openai/gpt-4o","prompt":"hi"}"#);
    assert_eq!(degraded(&entry), ["timestamp", "generation_id", "status"]);
    let id: uuid::Uuid = entry["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    assert_eq!(entry["prompt_hash"], sha256("hi"));
    assert_eq!(entry["cost_source"], "none");
    let empty = encode("{}");
    assert_eq!(
        degraded(&empty),
        ["timestamp", "generation_id", "user_id", "model_requested", "prompt", "status"]
    );
}

#[test]
fn content_policies_keep_what_they_say() {
    let line = br#"{"prompt":"mail ana@example.com","response":"done \u00e9"}"#;
    let hash = encode_under(line, &policy(Content::Hash, Hash::Sha256)).unwrap();
    assert_eq!(hash["prompt_hash"], sha256("mail ana@example.com"));
    assert_eq!(hash["response_hash"], sha256("done é"));
    assert_eq!((&hash["prompt"], &hash["response"]), (&Value::Null, &Value::Null));
    let kept = encode_under(line, &policy(Content::Redacted, Hash::Sha256)).unwrap();
    assert_eq!(kept["prompt"], "mail [EMAIL]");
    assert_eq!(kept["redactions"], json!({"EMAIL": 1}));
    let none = encode_under(line, &policy(Content::None, Hash::Sha256)).unwrap();
    for gone in ["prompt", "response", "prompt_hash", "response_hash"] {
        assert_eq!(none[gone], Value::Null, "{gone}");
    }
    let keyed = encode_under(line, &policy(Content::Hash, Hash::HmacSha256)).unwrap();
    let digest = keyed["prompt_hash"].as_str().unwrap();
    assert!(
        digest.starts_with("hmac-sha256:") && !digest.contains(&sha256("mail ana@example.com"))
    );
}

#[test]
fn a_key_leaves_only_a_keyed_fingerprint() {
    let key = format!("sk-or-v1-{}", "0123456789abcdef".repeat(4));
    let line = json!({"api_key": key, "metadata": {"note": format!("used {key}"), &key: 1}});
    let entry = encode(&line.to_string());
    assert!(!entry.to_string().contains(&key));
    let print = entry["api_key"].as_str().unwrap();
    assert!(print.starts_with("hmac-sha256:") && print.len() == 12 + 32);
    assert_eq!(entry["metadata"]["note"], "used [API_KEY]");
    assert_eq!(entry["metadata"]["[API_KEY]"], 1);
    assert_eq!(encode(&line.to_string())["api_key"], print, "one key, one fingerprint");
}

#[test]
fn a_personal_user_id_becomes_a_pseudonym_that_joins() {
    let of = |user: &str| encode(&json!({ "user_id": user }).to_string())["user_id"].clone();
    let one = of("Ana@Example.com");
    assert_eq!(one, of("ana@example.com"));
    assert_ne!(one, of("bo@example.com"));
    let text = one.as_str().unwrap();
    assert!(text.starts_with("[EMAIL:") && text.len() == "[EMAIL:]".len() + 12, "{text}");
    assert_eq!(of("u-1001"), "u-1001");
    assert_eq!(of("ana at ana@example.com"), "ana at [EMAIL]");
}

#[test]
fn identifiers_come_through_untouched() {
    let line = json!({
        "id": "4111111111111111", "generation_id": "gen-1793000000-AbCdEfGhIjKlMnOpQrSt",
        "timestamp": "1793000000123", "session_id": "sess_4155550134", "user_id": "user_7",
        "model_used": "openai/gpt-4o-2024-08-06",
        "metadata": {"trace": "7f3a9c21-5b1e-4c7d-9a52-0d1f6b3e8c44", "at": 1793000000},
    });
    let entry = encode(&line.to_string());
    for same in ["id", "generation_id", "timestamp", "session_id", "model_used", "metadata"] {
        assert_eq!(entry[same], line[same], "{same}");
    }
    assert_eq!(entry["redactions"], Value::Null);
}

#[test]
fn an_openrouter_id_serves_as_generation_id() {
    let entry = encode(r#"{"id":"gen-1793000000-AbCdEfGhIjKlMnOpQrSt"}"#);
    assert_eq!(entry["generation_id"], "gen-1793000000-AbCdEfGhIjKlMnOpQrSt");
}

#[test]
fn nobody_else_writes_veritails_own_entries() {
    for forged in ["checkpoint", "segment_open", "daemon_stop", "key_rotate", "gap", "quarantine"] {
        let entry = encode(&json!({ "event_type": forged }).to_string());
        assert_eq!(entry["event_type"], "chat_completion", "{forged}");
        assert_eq!(entry["metadata"]["event_type"], forged);
        assert!(degraded(&entry).contains(&"event_type:not_allowed"));
    }
    assert_eq!(encode(r#"{"event_type":"embedding"}"#)["event_type"], "embedding");
    let spelled = encode(r#"{"event_type":"check\u0070oint"}"#);
    assert_eq!(spelled["event_type"], "chat_completion");
}

#[test]
fn an_envelopes_names_are_only_metadata() {
    let entry =
        encode(r#"{"v":9,"seq":1,"prev_hash":"x","chain_hash":"y","signature":"z","origin":{}}"#);
    assert_eq!(entry["metadata"]["seq"], 1);
    assert_eq!(entry["metadata"]["chain_hash"], "y");
    assert_eq!(entry["origin"]["source"], "app");
    assert_eq!(entry["seq"], Value::Null);
}

#[test]
fn unknown_members_and_misfits_are_kept_under_metadata() {
    let entry = encode(
        r#"{"temperature":0.70,"prompt_tokens":"many","usage":[1],"status":"odd","metadata":"text",
           "user_id":{"a":1},"latency_ms":9007199254740993}"#,
    );
    assert_eq!(entry["metadata"]["temperature"], 0.7);
    assert_eq!(entry["metadata"]["prompt_tokens"], "many");
    assert_eq!(entry["metadata"]["usage"], json!([1]));
    assert_eq!(entry["metadata"]["value"], "text");
    assert_eq!(entry["metadata"]["latency_ms"], "9007199254740993");
    let marks = degraded(&entry);
    for mark in [
        "prompt_tokens:type",
        "usage:type",
        "status:unknown",
        "metadata:type",
        "user_id:type",
        "latency_ms:type",
        "number_as_text",
    ] {
        assert!(marks.contains(&mark), "{mark} in {marks:?}");
    }
    let huge = encode(r#"{"a":3e3330,"b":1e308,"total_cost":1e999}"#);
    assert_eq!(huge["metadata"]["a"], "3e3330");
    assert_eq!(huge["metadata"]["b"], 1e308);
    assert_eq!(huge["metadata"]["total_cost"], "1e999");
    let both = encode(r#"{"metadata":{"k":1},"k":2,"model":"a","model_requested":"b"}"#);
    assert_eq!(both["metadata"], json!({"k": 1, "_k": 2, "model": "a"}));
    assert_eq!(both["model_requested"], "b");
}

#[test]
fn usage_serves_where_the_record_is_silent() {
    let entry = encode(r#"{"usage":{"prompt_tokens":7,"completion_tokens":9,"cost":0.00014}}"#);
    assert_eq!((&entry["prompt_tokens"], &entry["completion_tokens"]), (&json!(7), &json!(9)));
    assert_eq!(
        (&entry["total_cost"], &entry["cost_source"]),
        (&json!(0.00014), &json!("response"))
    );
}

#[test]
fn of_two_members_with_one_name_the_last_stays() {
    let entry =
        encode(r#"{"user_id":"a","user_id":"b","metadata":{"x":1,"y":{"z":1,"\u007a":2},"x":3}}"#);
    assert_eq!(entry["user_id"], "b");
    assert_eq!(entry["metadata"], json!({"x": 3, "y": {"z": 2}}));
    assert_eq!(degraded(&entry).iter().filter(|mark| **mark == "duplicate_member").count(), 2);
}

#[test]
fn bottomless_nesting_is_cut_and_marked() {
    let deep = format!("{{\"metadata\":{{\"a\":{}{}}}}}", "[".repeat(5000), "]".repeat(5000));
    let entry = encode(&deep);
    assert!(entry["metadata"].to_string().contains("[TOO_DEEP]"));
    assert!(degraded(&entry).contains(&"too_deep"));
}

#[test]
fn a_told_hash_is_compared_with_ours() {
    let right = sha256("hi");
    let entry = encode(&json!({"prompt": "hi", "prompt_hash": &right[..16]}).to_string());
    assert!(!degraded(&entry).contains(&"prompt_hash:mismatch"));
    let entry = encode(r#"{"prompt":"hi","prompt_hash":"0123456789abcdef"}"#);
    assert!(degraded(&entry).contains(&"prompt_hash:mismatch"));
    assert_eq!(entry["prompt_hash"], right);
    assert_eq!(entry["metadata"]["prompt_hash"], "0123456789abcdef");
}

#[test]
fn refusals_say_why_and_quote_nothing() {
    let policy = policy(Content::Hash, Hash::Sha256);
    for (line, code) in [
        (&b"\xff\xfe{}"[..], "not_utf8"),
        (b"secret words", "not_json"),
        (b"{\"user_id\":\"u1\"", "not_json"),
        (b"{} trailing secret", "not_json"),
        (b"[1,2]", "not_an_object"),
        (b"\"text\"", "not_an_object"),
        (b"{\"a\":\"tab\there\"}", "not_json"),
    ] {
        let why = encode_under(line, &policy).unwrap_err();
        assert_eq!(why.code(), code, "{}", String::from_utf8_lossy(line));
        assert!(!why.to_string().contains("secret"));
    }
}

#[test]
fn origins_name_the_place() {
    let span = FileSpan {
        path: "/var/log/a.ndjson".into(),
        id: FileId { dev: 1, inode: 2, head: [0xab; 8] },
        start: 10,
        end: 30,
        crc: 0x01020304,
    };
    let mut out = b"{\"x\":1".to_vec();
    write::origin(&mut out, "app", &Origin::File(span));
    out.push(b'}');
    let value: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        value["origin"],
        json!({"source": "app", "path": "/var/log/a.ndjson", "dev": 1, "inode": 2, "start": 10,
            "end": 30, "head": "abababababababab", "crc": "01020304"})
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z0-9@.\\- ]{0,30}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "id",
            "timestamp",
            "event_type",
            "generation_id",
            "user_id",
            "model",
            "prompt",
            "messages",
            "response",
            "prompt_hash",
            "prompt_tokens",
            "usage",
            "total_cost",
            "status",
            "api_key",
            "metadata",
            "seq",
            "chain_hash",
            "origin",
            "policy",
            "degraded",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn any_bytes_give_one_entry_or_a_refusal(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = encode_under(&bytes, &policy(Content::Redacted, Hash::Sha256));
    }

    #[test]
    fn any_object_gives_one_entry(members in prop::collection::vec((names(), any_json()), 0..10)) {
        let mut line = b"{".to_vec();
        for (at, (name, value)) in members.iter().enumerate() {
            if at > 0 {
                line.push(b',');
            }
            line.extend_from_slice(format!("{}:{value}", Value::from(name.as_str())).as_bytes());
        }
        line.push(b'}');
        let entry = encode_under(&line, &policy(Content::Redacted, Hash::Sha256)).unwrap();
        prop_assert!(entry["policy"].is_string() && entry["origin"].is_object());
        prop_assert!(fields::may_be_event_type(entry["event_type"].as_str().unwrap()));
    }
}
