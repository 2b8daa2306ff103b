//! `POST /v1/litellm`.

use super::bench::Bench;
use serde_json::{Value, json};

const SOURCE: &str = "[[source]]\nname = \"api\"\ntype = \"http\"\nlisten = \"127.0.0.1:0\"\n";

fn payload(id: &str) -> Value {
    json!({
        "id": id, "call_type": "acompletion", "status": "success", "model": "openai/gpt-4o",
        "custom_llm_provider": "openrouter", "response_cost": 0.5, "startTime": 1_790_000_000.5,
        "endTime": 1_790_000_001.75, "end_user": "ada@example.com",
        "messages": [{"role": "user", "content": "call me on +44 20 7946 0958"}],
        "response": {"id": "gen-1790000000-abc", "model": "openai/gpt-4o-2024-11-20",
                     "choices": [{"message": {"content": "yes"}}],
                     "usage": {"prompt_tokens": 3, "completion_tokens": 1, "cost": 0.0000148}},
        "metadata": {"user_api_key_alias": "team", "user_api_key_user_email": "bob@example.com"},
    })
}

#[test]
fn payloads_are_sealed_as_records_and_marked() {
    let mut bench = Bench::start(SOURCE);
    // Whatever `log_format` says, LiteLLM calls it application/json.
    let client = bench.client("api").with("Content-Type: application/json");
    let array = client.post("/v1/litellm", json!([payload("a"), null]).to_string().as_bytes());
    assert_eq!((array.status, &array.json()[0]["ack"]), (200, &json!("a")), "{array:?}");
    assert_eq!(array.json()[1]["quarantined"], "not_an_object");
    let lines = format!("{}\n{}", payload("b"), payload("c"));
    assert_eq!(client.post("/v1/litellm", lines.as_bytes()).lines().len(), 2);
    let single = client.post("/v1/litellm", payload("a").to_string().as_bytes()).lines();
    assert_eq!(single[0]["seq"], array.json()[0]["seq"], "sent again");
    bench.stop();
    let sealed = bench.sealed();
    assert_eq!(sealed.len(), 4, "{sealed:?}");
    let entry = &sealed[0];
    assert_eq!(entry["capture"], "litellm");
    assert_eq!(entry["event_type"], "chat_completion");
    assert_eq!(entry["generation_id"], "gen-1790000000-abc");
    assert_eq!(entry["total_cost"], 0.000_014_8);
    assert_eq!((&entry["cost_source"], &entry["latency_ms"]), (&json!("response"), &json!(1250.0)));
    assert!(entry["user_id"].as_str().unwrap().starts_with("[EMAIL:"), "{entry}");
    assert_eq!(entry["metadata"]["user_api_key_user_email"], "[EMAIL]");
    assert_eq!(entry.get("degraded"), None, "{entry}");
    let text = json!(sealed).to_string();
    for raw in ["ada@", "bob@", "7946", "call me"] {
        assert!(!text.contains(raw), "{raw} was kept");
    }
}
