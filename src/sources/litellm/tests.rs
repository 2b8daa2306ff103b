use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The record that a payload becomes, checked to be JSON without duplicate names at its top.
fn told(payload: &Value) -> Value {
    let raw = record(payload.to_string().as_bytes()).unwrap();
    json::check(&raw).unwrap();
    serde_json::from_slice(&raw).unwrap()
}

fn success() -> Value {
    json!({
        "id": "gen-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw", "litellm_call_id": "call-1",
        "trace_id": "trace-1", "call_type": "acompletion", "stream": false,
        "response_cost": 0.0031, "status": "success", "custom_llm_provider": "openrouter",
        "total_tokens": 20, "prompt_tokens": 16, "completion_tokens": 4,
        "startTime": 1_790_000_000.418, "endTime": 1_790_000_004.141,
        "completionStartTime": 1_790_000_001.0, "response_time": 3.723,
        "model": "openrouter/openai/gpt-4o", "model_id": "m1", "model_group": "house-model",
        "api_base": "https://openrouter.ai/api/v1", "cache_hit": null, "request_tags": [],
        "end_user": "", "requester_ip_address": "10.0.0.7",
        "metadata": {
            "user_api_key_hash": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
            "user_api_key_alias": "team-key", "user_api_key_end_user_id": "u-4821",
            "user_api_key_user_id": "owner", "user_api_key_team_id": null,
            "requester_metadata": {"job": "nightly"}, "headers": {"cookie": "secret"}
        },
        "messages": [{"role": "user", "content": "say it"}],
        "response": {
            "id": "gen-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw", "model": "openai/gpt-4o-2024-11-20",
            "choices": [{"message": {"role": "assistant", "content": "it"}}],
            "usage": {"prompt_tokens": 16, "completion_tokens": 4, "cost": 0.0000148}
        },
        "error_str": null, "error_information": {"error_code": "", "error_class": ""},
        "model_parameters": {"tools": [{"secret": "tool"}]}, "hidden_params": {}
    })
}

#[test]
fn a_call_through_openrouter_keeps_its_generation_id_and_cost() {
    let record = told(&success());
    assert_eq!(record["id"], "gen-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw");
    assert_eq!(record["generation_id"], "gen-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw");
    assert_eq!(record["timestamp"], "2026-09-21T14:13:20.418000Z");
    assert_eq!(record["latency_ms"], 3723.0);
    assert_eq!(record["model_requested"], "openai/gpt-4o");
    assert_eq!(record["model_used"], "openai/gpt-4o-2024-11-20");
    assert_eq!(record["user_id"], "u-4821");
    assert_eq!(record["status"], "success");
    assert_eq!(record["prompt_tokens"], 16);
    assert_eq!(record["usage"]["cost"], 0.000_014_8);
    assert_eq!(record["messages"][0]["content"], "say it");
    assert_eq!(record["response"][0]["message"]["content"], "it");
    let metadata = &record["metadata"];
    // Its own estimate is told as one.
    assert_eq!(metadata["litellm_cost_estimate"], 0.0031);
    assert_eq!(metadata["model_group"], "house-model");
    assert_eq!(metadata["user_api_key_alias"], "team-key");
    assert_eq!(metadata["requester_metadata"]["job"], "nightly");
    assert_eq!((&record["total_cost"], &record["error_type"]), (&Value::Null, &Value::Null));
    let text = record.to_string();
    for left_behind in ["cookie", "tool", "model_parameters", "null"] {
        assert!(!text.contains(left_behind), "{left_behind} in {text}");
    }
}

#[test]
fn the_digits_of_money_are_those_of_the_payload() {
    let payload = success().to_string().replace("0.0000148", "1.480e-05");
    let payload = payload.replace("1.48e-5", "1.480e-05");
    let record = String::from_utf8(record(payload.as_bytes()).unwrap()).unwrap();
    assert!(record.contains(r#""cost":1.480e-05"#), "{record}");
}

#[test]
fn only_openrouters_cost_is_a_cost() {
    let mut payload = success();
    payload["custom_llm_provider"] = "openai".into();
    payload["model"] = "openrouter/auto".into();
    let record = told(&payload);
    assert_eq!(record["usage"]["cost"], Value::Null);
    assert_eq!(record["usage"]["litellm_cost"], 0.000_014_8);
    assert_eq!(record["usage"]["prompt_tokens"], 16);
    // Named as it was, where the prefix is no way of LiteLLM's.
    assert_eq!(record["model_requested"], "openrouter/auto");
    payload["custom_llm_provider"] = "openrouter".into();
    assert_eq!(told(&payload)["model_requested"], "openrouter/auto");
}

#[test]
fn a_failure_tells_what_failed_and_its_tries_are_told_apart() {
    let mut payload = success();
    payload["status"] = "failure".into();
    payload["id"] = "call-1".into();
    payload["response"] = json!({});
    payload["error_str"] = "the same, longer".into();
    payload["error_information"] = json!({
        "error_code": "429", "error_class": "RateLimitError", "llm_provider": "openrouter",
        "traceback": "File x.py: prompt", "error_message": "slow down"
    });
    let first = told(&payload);
    assert_eq!(first["status"], "error");
    assert_eq!(first["error_type"], "RateLimitError");
    assert_eq!(first["error_code"], "429");
    assert_eq!(first["metadata"]["error_message"], "slow down");
    assert_eq!(first["generation_id"], Value::Null);
    assert_eq!(first["response"], Value::Null);
    assert!(!first.to_string().contains("x.py"));
    payload["endTime"] = 1_790_000_009.0.into();
    let second = told(&payload);
    assert_ne!(first["id"], second["id"]);
    assert_eq!(second["id"], told(&payload)["id"]);
    for (class, status) in
        [("Timeout", "timeout"), ("APITimeoutError", "timeout"), ("CancelledError", "cancelled")]
    {
        payload["error_information"]["error_class"] = class.into();
        assert_eq!(told(&payload)["status"], status);
    }
}

#[test]
fn the_header_names_the_generation_where_the_body_cannot() {
    let mut payload = success();
    payload["id"] = "resp_1".into();
    payload["response"]["id"] = "resp_1".into();
    assert_eq!(told(&payload)["generation_id"], Value::Null);
    payload["hidden_params"] =
        json!({"additional_headers": {"llm_provider-x-generation-id": "gen-1-abc"}});
    assert_eq!(told(&payload)["generation_id"], "gen-1-abc");
    assert_eq!(told(&payload)["id"], "resp_1");
}

#[test]
fn a_placeholder_is_no_content() {
    let mut payload = success();
    payload["messages"] = json!([{"role": "user", "content": "redacted-by-litellm"}]);
    payload["response"] = json!({"text": "redacted-by-litellm"});
    payload["metadata"]["usage_object"] = json!({"prompt_tokens": 16, "cost": 0.1});
    let record = told(&payload);
    assert_eq!((&record["messages"], &record["response"]), (&Value::Null, &Value::Null));
    assert_eq!(record["metadata"]["content_withheld"], true);
    assert_eq!(record["usage"]["cost"], 0.1);
}

#[test]
fn what_is_missing_is_left_out() {
    assert_eq!(told(&json!({})), json!({}));
    assert_eq!(
        told(&json!({"call_type": "aembedding"})),
        json!({
            "event_type": "embedding", "metadata": {"call_type": "aembedding"}
        })
    );
    assert_eq!(told(&json!({"call_type": "image_generation"}))["event_type"], "image_generation");
    assert_eq!(told(&json!({"id": "", "startTime": "2026-09-21"}))["timestamp"], "2026-09-21");
    for no_object in [&b"null"[..], b"[]", b"\"x\"", b"{\"id\":"] {
        assert!(record(no_object).is_err());
    }
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(Value::from("redacted-by-litellm")),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name(), inner, 0..6)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// Mostly names that mean something.
fn name() -> impl Strategy<Value = String> {
    let mut known = vec![
        "id",
        "usage",
        "cost",
        "choices",
        "model",
        "status",
        "startTime",
        "endTime",
        "messages",
        "response",
        "metadata",
        "error_information",
        "error_class",
        "hidden_params",
        "additional_headers",
        "custom_llm_provider",
        "litellm_cost",
        "usage_object",
    ];
    known.extend(KEPT);
    known.extend(KEPT_OF_KEY);
    prop_oneof![4 => prop::sample::select(known).prop_map(String::from), 1 => "\\PC{0,6}"]
}

proptest! {
    #[test]
    fn any_object_becomes_an_object(
        payload in prop::collection::hash_map(name(), anything(), 0..12)
    ) {
        let payload = Value::Object(payload.into_iter().collect());
        let raw = record(payload.to_string().as_bytes()).unwrap();
        prop_assert!(serde_json::from_slice::<Value>(&raw).unwrap().is_object());
    }
}
