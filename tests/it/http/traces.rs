//! `POST|PUT /v1/traces`: OpenRouter's Broadcast and OpenTelemetry instrumentations.

use super::bench::{Bench, Client, SECRET, gzip};
use serde_json::{Value, json};

const GENERATION: &str = "gen-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw";
const SOURCE: &str = "[[source]]\nname = \"traces\"\ntype = \"otlp\"\nlisten = \"127.0.0.1:0\"\n";
const GUARDED: &str =
    "secret = { header = \"X-Audit-Secret\", value = { file = \"DIR/secret\" } }\n";

fn start(more: &str) -> (Bench, Client) {
    let bench = Bench::start(&format!("{SOURCE}{more}"));
    let client = bench.client("traces").with("Content-Type: application/json");
    let client = client.with(&format!("X-Audit-Secret: {SECRET}"));
    (bench, client)
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// A delivery as captured: a root and an attempt.
fn delivery(name: &str, more: &[Value]) -> Value {
    let resource = json!({"attributes": [
        text("service.name", "openrouter"), text("openrouter.trace.id", GENERATION)
    ]});
    let mut attributes = vec![
        text("user.id", "ada@example.com"),
        text("gen_ai.request.model", "anthropic/claude-haiku-4.5"),
        text("gen_ai.response.id", GENERATION),
        json!({"key": "gen_ai.usage.input_tokens", "value": {"intValue": 1874}}),
        json!({"key": "gen_ai.usage.output_tokens", "value": {"intValue": "341"}}),
        json!({"key": "gen_ai.usage.total_cost", "value": {"doubleValue": 0.0031182}}),
        text("trace.metadata.openrouter.api_key_name", "prod-app"),
        text("trace.metadata.openrouter.provider_name", "Amazon Bedrock"),
    ];
    attributes.extend_from_slice(more);
    let root = json!({
        "traceId": "35e266ce29b96198a41b889af6756b13", "spanId": "35e266ce29b96198", "name": name,
        "kind": 3, "startTimeUnixNano": "1790000000418000000",
        "endTimeUnixNano": "1790000004141000000", "status": {"code": 1}, "attributes": attributes
    });
    let attempt = json!({
        "traceId": "35e266ce29b96198a41b889af6756b13", "spanId": "16796d2e543e76c0",
        "parentSpanId": "35e266ce29b96198", "name": "provider attempt 1: Amazon Bedrock", "kind": 2,
        "status": {"code": 1},
        "attributes": [text("gen_ai.response.id", &format!("{GENERATION}:attempt-0"))]
    });
    let each = |span: Value| {
        json!({"resource": resource, "scopeSpans": [
            {"scope": {"name": "openrouter"}, "spans": [span]}
        ]})
    };
    json!({"resourceSpans": [each(root), each(attempt)]})
}

fn call(span_id: &str) -> Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", "orders")]},
        "scopeSpans": [{"scope": {"name": "lib"}, "spans": [
            {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": span_id, "name": "chat m",
             "kind": 3, "startTimeUnixNano": "1790000000418000000",
             "endTimeUnixNano": "1790000000918000000", "attributes": [
                text("gen_ai.operation.name", "chat"), text("gen_ai.request.model", "m"),
                text("gen_ai.response.id", "gen-1-from-app"),
                text("gen_ai.prompt.0.content", "the prompt")]},
            {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "00000000000000aa",
             "name": "GET /", "attributes": []}
        ]}]
    }]})
}

#[test]
fn a_delivery_is_sealed_once_as_a_witness_of_its_call() {
    let (mut bench, client) = start(GUARDED);
    let body = delivery("LLM Generation", &[]).to_string();
    let answer = client.post("/v1/traces", body.as_bytes());
    assert_eq!((answer.status, answer.text()), (200, "{}".into()), "{answer:?}");
    // Delivered again, by the other method, packed, and after a crash.
    assert_eq!(client.send("PUT", "/v1/traces", body.as_bytes()).status, 200);
    let packed = client.with("Content-Encoding: gzip");
    assert_eq!(packed.post("/v1/traces", &gzip(body.as_bytes())).text(), "{}");
    bench.kill();
    bench.launch(&[]);
    let client = bench.client("traces").with("Content-Type: application/json");
    let client = client.with(&format!("X-Audit-Secret: {SECRET}"));
    assert_eq!(client.post("/v1/traces", body.as_bytes()).text(), "{}");
    bench.stop();
    let sealed = bench.sealed();
    let [entry] = sealed.as_slice() else { panic!("{sealed:?}") };
    assert_eq!(entry["event_type"], "broadcast");
    assert_eq!(entry["generation_id"], GENERATION);
    assert_eq!(
        (&entry["total_cost"], &entry["cost_source"]),
        (&json!(0.0031182), &json!("broadcast"))
    );
    assert_eq!(entry["provider"], "Amazon Bedrock");
    assert_eq!((&entry["prompt_tokens"], &entry["completion_tokens"]), (&json!(1874), &json!(341)));
    assert!(entry["user_id"].as_str().unwrap().starts_with("[EMAIL:"), "{entry}");
    assert!(entry.to_string().contains("prod-app"), "{entry}");
    assert_eq!(entry.get("degraded"), None, "{entry}");
}

#[test]
fn probes_are_welcome_and_not_sealed() {
    let (mut bench, client) = start(GUARDED);
    let connection = json!({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", "openrouter")]},
        "scopeSpans": [{"scope": {"name": "openrouter"}, "spans": [{
            "traceId": "00000000000000000000000000000001", "spanId": "0000000000000001",
            "name": "openrouter-connection-test", "kind": 1, "status": {"code": 1},
            "startTimeUnixNano": "1790605182935000000", "endTimeUnixNano": "1790605182936000000",
            "attributes": []
        }]}]
    }]});
    assert_eq!(client.post("/v1/traces", connection.to_string().as_bytes()).text(), "{}");
    let button = delivery("Test Generation", &[]).to_string();
    assert_eq!(client.post("/v1/traces", button.as_bytes()).text(), "{}");
    let test = client.clone().with("X-Test-Connection: true");
    for empty in ["", "{}", r#"{"resourceSpans":[]}"#] {
        assert_eq!(test.post("/v1/traces", empty.as_bytes()).status, 200);
    }
    assert_eq!(client.post("/v1/traces", b"{}").status, 200);
    bench.stop();
    assert_eq!(bench.sealed(), [] as [Value; 0]);
}

#[test]
fn a_wrong_secret_is_refused_before_anything_is_read() {
    let (mut bench, _) = start(GUARDED);
    let client = bench.client("traces").with("Content-Type: application/json");
    for header in ["X-Audit-Secret: wrong", "X-None: 1", "X-Test-Connection: true"] {
        let client = client.clone().with(header);
        let told = client.raw(client.head("POST", "/v1/traces", Some(1 << 40)).as_bytes());
        assert_eq!(told.status, 401, "{header}");
    }
    bench.stop();
    assert_eq!(bench.sealed(), [] as [Value; 0]);
}

#[test]
fn content_is_hashed_like_any_records_and_twenty_mebibytes_are_taken() {
    let (mut bench, client) = start(GUARDED);
    let prompt = json!({"messages": [{"role": "user", "content": "x".repeat(19 << 20)}]});
    let completion = json!({"completion": "the answer", "rawRequest": {"a": "the raw request"}});
    let body = delivery(
        "LLM Generation",
        &[
            text("gen_ai.prompt", &prompt.to_string()),
            text("gen_ai.completion", &completion.to_string()),
        ],
    );
    assert_eq!(client.post("/v1/traces", body.to_string().as_bytes()).text(), "{}");
    let over = client.raw(client.head("POST", "/v1/traces", Some((20 << 20) + 1)).as_bytes());
    assert_eq!(over.status, 413);
    bench.stop();
    let entry = &bench.sealed()[0];
    assert_eq!(entry["prompt_hash"].as_str().map(str::len), Some(64));
    assert_eq!(entry["response_hash"].as_str().map(str::len), Some(64));
    let text = entry.to_string();
    assert!(
        text.len() < 4096 && !text.contains("the answer") && !text.contains("the raw"),
        "{text}"
    );
}

#[test]
fn an_instrumentations_calls_are_records_marked_as_such() {
    let (mut bench, client) = start("");
    let body = call("eee19b7ec3c1b174").to_string();
    assert_eq!(client.post("/v1/traces", body.as_bytes()).text(), "{}");
    assert_eq!(client.post("/v1/traces", body.as_bytes()).text(), "{}");
    bench.stop();
    let sealed = bench.sealed();
    let [entry] = sealed.as_slice() else { panic!("{sealed:?}") };
    assert_eq!(
        (&entry["capture"], &entry["event_type"]),
        (&json!("otlp"), &json!("chat_completion"))
    );
    assert_eq!(entry["id"], "5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174");
    assert_eq!(entry["generation_id"], "gen-1-from-app");
    assert!(!entry.to_string().contains("the prompt"), "{entry}");
}

#[test]
fn protobuf_is_read_and_answered_in_protobuf() {
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        assert!(length < 0x80, "one byte is enough for these");
        [&[number << 3 | 2, length], bytes].concat()
    }
    let (mut bench, _) = start("");
    let client = bench.client("traces").with("Content-Type: application/x-protobuf");
    let model = [field(1, b"gen_ai.request.model"), field(2, &field(1, b"m"))].concat();
    let span = [field(1, &[0x5b; 16]), field(2, &[0xee; 8]), field(9, &model)].concat();
    let body = field(1, &field(2, &field(2, &span)));
    let answer = client.post("/v1/traces", &body);
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{answer:?}");
    assert!(answer.head.contains("content-type: application/x-protobuf"), "{}", answer.head);
    let bad = client.post("/v1/traces", &body[..body.len() - 1]);
    assert_eq!((bad.status, &bad.body[..2]), (400, &[8, 3][..]), "{bad:?}");
    bench.stop();
    let sealed = bench.sealed();
    assert_eq!(
        (&sealed[0]["capture"], &sealed[0]["model_requested"]),
        (&json!("otlp"), &json!("m"))
    );
    assert_eq!(
        (&sealed[1]["event_type"], &sealed[1]["reason"]),
        (&json!("quarantine"), &json!("not_otlp"))
    );
}

#[test]
fn a_witness_that_anybody_could_forge_is_not_taken() {
    let (mut bench, client) = start("");
    let told = client.post("/v1/traces", delivery("LLM Generation", &[]).to_string().as_bytes());
    assert_eq!(told.json()["partialSuccess"]["rejectedSpans"], "1", "{told:?}");
    bench.stop();
    assert_eq!(bench.sealed(), [] as [Value; 0]);
    for (accept, taken) in [("broadcast", "broadcast"), ("genai", "chat_completion")] {
        let (mut bench, client) = start(&format!("{GUARDED}accept = \"{accept}\"\n"));
        for body in [delivery("LLM Generation", &[]), call("00000000000000bb")] {
            assert_eq!(client.post("/v1/traces", body.to_string().as_bytes()).status, 200);
        }
        bench.stop();
        let types: Vec<Value> =
            bench.sealed().iter().map(|entry| entry["event_type"].clone()).collect();
        assert_eq!(types, [taken]);
    }
}

#[test]
fn no_record_can_pass_for_a_witness() {
    let mut bench =
        Bench::start("[[source]]\nname = \"api\"\ntype = \"http\"\nlisten = \"127.0.0.1:0\"\n");
    let client = bench.client("api").with("Content-Type: application/json");
    let forged = br#"{"id":"f","event_type":"broadcast","capture":"broadcast","prompt":"p"}"#;
    assert_eq!(client.post("/v1/records", forged).lines()[0]["ack"], "f");
    bench.stop();
    let entry = &bench.sealed()[0];
    assert_eq!(entry["event_type"], "chat_completion");
    assert_eq!((entry.get("capture"), &entry["metadata"]["capture"]), (None, &json!("broadcast")));
    let degraded = entry["degraded"].as_array().unwrap();
    assert!(degraded.contains(&json!("event_type:not_allowed")), "{entry}");
}
