use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

mod wire;

const GENERATION: &str = "gen-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw";

/// What each span of a body means, checked to be JSON.
fn judged(body: &[u8], encoding: Encoding) -> Result<Vec<Meant>, Malformed> {
    let mut all = Vec::new();
    read(body, encoding, &mut |span| {
        all.push(judge(span));
        true
    })?;
    for meant in &all {
        if let Meant::Record(_, record) = meant {
            serde_json::from_slice::<serde::de::IgnoredAny>(record).unwrap();
        }
    }
    Ok(all)
}

fn records(body: &Value) -> Vec<(Capture, Value)> {
    let all = judged(body.to_string().as_bytes(), Encoding::Json).unwrap();
    all.into_iter()
        .filter_map(|meant| match meant {
            Meant::Record(capture, raw) => Some((capture, serde_json::from_slice(&raw).unwrap())),
            _ => None,
        })
        .collect()
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn int(key: &str, value: i64) -> Value {
    json!({"key": key, "value": {"intValue": value}})
}

fn double(key: &str, value: f64) -> Value {
    json!({"key": key, "value": {"doubleValue": value}})
}

fn delivery(spans: &[Value]) -> Value {
    let resource = json!({"attributes": [
        text("service.name", "openrouter"), text("openrouter.trace.id", GENERATION),
        text("service.version", "1.0.0"),
    ]});
    let each = |span: &Value| {
        json!({"resource": resource, "scopeSpans": [{
            "scope": {"name": "openrouter"}, "spans": [span]
        }]})
    };
    json!({"resourceSpans": spans.iter().map(each).collect::<Vec<_>>()})
}

fn root() -> Value {
    json!({
        "traceId": "35e266ce29b96198a41b889af6756b13", "spanId": "35e266ce29b96198",
        "name": "LLM Generation", "kind": 3, "startTimeUnixNano": "1790000000418000000",
        "endTimeUnixNano": "1790000004141000000", "status": {"code": 1},
        "attributes": [
            text("trace.name", "OpenRouter Request"), text("session.id", "conv-7f3a"),
            text("user.id", "u-4821"), text("span.type", "generation"),
            text("gen_ai.operation.name", "chat"), text("gen_ai.provider.name", "anthropic"),
            text("gen_ai.request.model", "anthropic/claude-haiku-4.5"),
            text("gen_ai.response.model", "anthropic/claude-haiku-4.5"),
            text("gen_ai.response.id", GENERATION),
            int("gen_ai.usage.input_tokens", 1874), int("gen_ai.usage.output_tokens", 341),
            json!({"key": "gen_ai.usage.total_tokens", "value": {"intValue": "2215"}}),
            int("gen_ai.usage.input_tokens.cached", 512),
            int("gen_ai.usage.output_tokens.reasoning", 128),
            double("gen_ai.usage.input_cost", 0.0014132),
            double("gen_ai.usage.output_cost", 0.001705),
            double("gen_ai.usage.total_cost", 0.0031182),
            text("gen_ai.response.finish_reason", "stop"),
            text("trace.metadata.openrouter.api_key_name", "prod-app"),
            text("trace.metadata.openrouter.provider_name", "Amazon Bedrock"),
            text("trace.metadata.openrouter.provider_slug", "amazon-bedrock/global"),
            text("trace.metadata.openrouter.finish_reason", "end_turn"),
            double("trace.metadata.openrouter.first_token_ms", 996.5),
            text("trace.metadata.order", "4711"), text("span.metadata.order", "4711"),
            text("trace.metadata.provider_responses", "[{\"status\":429},{\"status\":200}]"),
            double("trace.metadata.openrouter_generation.usage_cache", -0.0004608),
        ]
    })
}

fn attempt() -> Value {
    json!({
        "traceId": "35e266ce29b96198a41b889af6756b13", "spanId": "16796d2e543e76c0",
        "parentSpanId": "35e266ce29b96198", "name": "provider attempt 1: Amazon Bedrock", "kind": 2,
        "status": {"code": 1}, "attributes": [
            int("span.metadata.attempt_index", 0),
            text("gen_ai.response.id", &format!("{GENERATION}:attempt-0")),
        ]
    })
}

#[test]
fn of_a_delivery_only_the_root_counts() {
    let found = records(&delivery(&[root(), attempt()]));
    let [(Capture::Broadcast, record)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(record["id"], format!("broadcast:{GENERATION}"));
    assert_eq!(record["generation_id"], GENERATION);
    assert_eq!(record["timestamp"], "2026-09-21T14:13:20.418000Z");
    assert_eq!(record["user_id"], "u-4821");
    assert_eq!(record["session_id"], "conv-7f3a");
    assert_eq!(record["model_requested"], "anthropic/claude-haiku-4.5");
    assert_eq!(record["provider"], "Amazon Bedrock");
    assert_eq!(record["api_key_name"], "prod-app");
    assert_eq!(record["latency_ms"], 3723.0);
    assert_eq!(record["status"], "success");
    assert_eq!(
        record["usage"],
        json!({
            "prompt_tokens": 1874, "completion_tokens": 341, "total_tokens": 2215,
            "cost": 0.0031182, "prompt_tokens_details": {"cached_tokens": 512},
            "completion_tokens_details": {"reasoning_tokens": 128},
            "cost_details": {"input_cost": 0.0014132, "output_cost": 0.001705}
        })
    );
    let metadata = &record["metadata"];
    assert_eq!(metadata["openrouter"]["provider_slug"], "amazon-bedrock/global");
    assert_eq!(metadata["openrouter"]["first_token_ms"], 996.5);
    assert_eq!(metadata["openrouter_generation"]["usage_cache"], -0.0004608);
    assert_eq!(metadata["provider_responses"], json!([{"status": 429}, {"status": 200}]));
    assert_eq!(metadata["trace"], json!({"order": "4711"}));
    assert_eq!(metadata["finish_reason"], "stop");
}

#[test]
fn the_july_shape_and_a_root_with_a_parent_are_the_same_to_us() {
    let mut span = root();
    span["parentSpanId"] = "b7ad6b7169203331".into();
    let mut body = delivery(&[span]);
    let attributes = body["resourceSpans"][0]["resource"]["attributes"].as_array_mut().unwrap();
    attributes.truncate(2);
    assert_eq!(records(&body).len(), 1);
}

#[test]
fn privacy_mode_off_brings_content_but_never_the_raw_request() {
    let mut span = root();
    let attributes = span["attributes"].as_array_mut().unwrap();
    attributes.push(text("gen_ai.prompt", r#"{"messages":[{"role":"user","content":"hi"}]}"#));
    attributes.push(text("trace.input", "a copy"));
    attributes.push(text(
        "gen_ai.completion",
        r#"{"completion":"ho","reasoning":"hm","rawRequest":{"messages":"all of it"}}"#,
    ));
    let record = &records(&delivery(&[span]))[0].1;
    assert_eq!(record["messages"], json!([{"role": "user", "content": "hi"}]));
    assert_eq!(record["response"], "ho");
    for kept_away in ["all of it", "rawRequest", "a copy", "hm"] {
        assert!(!record.to_string().contains(kept_away), "{kept_away}");
    }
}

#[test]
fn an_errors_root_is_known_by_its_resource() {
    let mut span = root();
    span["status"] = json!({"code": 2, "message": "Provider returned error"});
    span["attributes"] = json!([text("session.id", "s")]);
    span["events"] = json!([{"name": "exception", "attributes": [
        text("exception.type", "ProviderError"), text("exception.message", "no")
    ]}]);
    let record = &records(&delivery(&[span.clone()]))[0].1;
    assert_eq!(record["generation_id"], GENERATION);
    assert_eq!(record["status"], "error");
    assert_eq!(record["error_type"], "ProviderError");
    assert_eq!(record["metadata"]["error_message"], "Provider returned error");
    assert_eq!(record["usage"], Value::Null);
    span["status"]["message"] = "The client has disconnected".into();
    assert_eq!(records(&delivery(&[span]))[0].1["status"], "cancelled");
}

#[test]
fn probes_are_no_calls() {
    let connection = json!({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", "openrouter")]},
        "scopeSpans": [{"scope": {"name": "openrouter"}, "spans": [{
            "traceId": "00000000000000000000000000000001", "spanId": "0000000000000001",
            "name": "openrouter-connection-test", "kind": 1,
            "startTimeUnixNano": "1790605182935000000", "endTimeUnixNano": "1790605182936000000",
            "status": {"code": 1}, "attributes": []
        }]}]
    }]});
    let mut button = root();
    button["name"] = "Test Generation".into();
    for body in [connection, delivery(&[button])] {
        let all = judged(body.to_string().as_bytes(), Encoding::Json).unwrap();
        assert_eq!(all, [Meant::Probe]);
    }
    for empty in ["{}", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":[{}]}"#] {
        assert_eq!(judged(empty.as_bytes(), Encoding::Json).unwrap(), []);
    }
}

fn application(span: Value) -> Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", "orders"), text("host.name", "h")]},
        "scopeSpans": [{"scope": {"name": "some.instrumentation"}, "spans": [span]}]
    }]})
}

fn call(attributes: &[Value]) -> Value {
    json!({
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
        "parentSpanId": "eee19b7ec3c1b173", "name": "chat gpt-4o", "kind": 3,
        "startTimeUnixNano": 1_790_000_000_418_000_000_u64,
        "endTimeUnixNano": "1790000000918000000", "attributes": attributes
    })
}

#[test]
fn todays_names_are_read() {
    let found = records(&application(call(&[
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", "openai"),
        text("gen_ai.request.model", "openai/gpt-4o"),
        text("gen_ai.response.model", "openai/gpt-4o-2024-11-20"),
        text("gen_ai.response.id", "gen-1-abc"),
        text("gen_ai.conversation.id", "conv"),
        text("user.id", "u-1"),
        json!({"key": "gen_ai.response.finish_reasons",
               "value": {"arrayValue": {"values": [{"stringValue": "stop"}]}}}),
        int("gen_ai.usage.input_tokens", 10),
        int("gen_ai.usage.output_tokens", 5),
        int("gen_ai.usage.cache_read.input_tokens", 3),
        int("gen_ai.usage.cache_creation.input_tokens", 2),
        int("gen_ai.usage.reasoning.output_tokens", 1),
        json!({"key": "gen_ai.input.messages", "value": {"arrayValue": {"values": [
            {"kvlistValue": {"values": [text("role", "user"), text("content", "hi")]}}
        ]}}}),
        text("gen_ai.output.messages", r#"[{"role":"assistant","content":"ho"}]"#),
        text("secret.prompt", "raw content under another name"),
    ])));
    let [(Capture::Otlp, record)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(record["id"], "5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174");
    assert_eq!(record["generation_id"], "gen-1-abc");
    assert_eq!(record["model_used"], "openai/gpt-4o-2024-11-20");
    assert_eq!(record["session_id"], "conv");
    assert_eq!(record["app"], "orders");
    assert_eq!(record["latency_ms"], 500.0);
    assert_eq!(record["messages"], json!([{"role": "user", "content": "hi"}]));
    assert_eq!(record["response"], json!([{"role": "assistant", "content": "ho"}]));
    assert_eq!(
        record["usage"],
        json!({
            "prompt_tokens": 10, "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 1}
        })
    );
    // It is the telemetry's flavour, not who served.
    assert_eq!(record["provider"], Value::Null);
    assert_eq!(record["metadata"]["gen_ai.provider.name"], "openai");
    assert_eq!(record["metadata"]["finish_reasons"], json!(["stop"]));
    assert_eq!(record["metadata"]["attributes_left_out"], 1);
    assert!(!record.to_string().contains("raw content"));
}

#[test]
fn older_names_are_read() {
    let record = &records(&application(call(&[
        text("gen_ai.system", "openai"),
        text("gen_ai.request.model", "gpt-4"),
        text("gen_ai.response.id", "chatcmpl-1"),
        int("gen_ai.usage.prompt_tokens", 7),
        int("gen_ai.usage.completion_tokens", 8),
        int("llm.usage.total_tokens", 15),
        text("gen_ai.prompt.1.content", "second"),
        text("gen_ai.prompt.0.role", "system"),
        text("gen_ai.prompt.0.content", "first"),
        text("gen_ai.completion.0.content", "answer"),
        double("gen_ai.usage.cost.amount", 0.5),
    ])))[0]
        .1;
    // No generation of OpenRouter's: nobody is to be asked for it.
    assert_eq!(record["generation_id"], Value::Null);
    assert_eq!(record["metadata"]["gen_ai.response.id"], "chatcmpl-1");
    assert_eq!(
        record["usage"],
        json!({"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15})
    );
    assert_eq!(
        record["messages"],
        json!([{"role": "system", "content": "first"}, {"content": "second"}])
    );
    assert_eq!(record["response"], json!([{"content": "answer"}]));
}

#[test]
fn one_event_a_message_is_read_and_an_error_told() {
    let mut span = call(&[text("gen_ai.request.model", "m"), text("error.type", "429")]);
    span["events"] = json!([
        {"name": "gen_ai.user.message", "attributes": [text("content", "hi")]},
        {"name": "gen_ai.choice", "attributes": [text("message", "{\"content\":\"ho\"}")]},
    ]);
    span["status"] = json!({"code": "STATUS_CODE_ERROR", "message": "too many"});
    let record = &records(&application(span))[0].1;
    assert_eq!(record["messages"], json!([{"role": "user", "content": "hi"}]));
    assert_eq!(record["response"], json!([{"role": "assistant", "content": {"content": "ho"}}]));
    assert_eq!((&record["status"], &record["error_type"]), (&json!("error"), &json!("429")));
    assert_eq!(record["metadata"]["error_message"], "too many");
}

#[test]
fn what_only_holds_calls_is_none() {
    for attributes in [
        vec![text("gen_ai.operation.name", "invoke_agent"), text("gen_ai.request.model", "m")],
        vec![text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", "t")],
        vec![text("http.request.method", "GET")],
        vec![],
    ] {
        assert_eq!(records(&application(call(&attributes))), []);
    }
}

#[test]
fn what_is_no_otlp_is_refused_without_a_quote() {
    for bad in [
        &b"[1]"[..],
        b"{\"resourceSpans\":{}}",
        b"{\"resourceSpans\":[1]}",
        b"{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\"hunter2\"]}]}]}",
        b"{\"resourceSpans\":[",
        b"\xff\xfe",
    ] {
        let e = judged(bad, Encoding::Json).unwrap_err().to_string();
        assert!(!e.contains("hunter2"), "{e}");
    }
}

#[test]
fn a_span_of_many_attributes_is_cut_and_told() {
    let mut attributes: Vec<Value> = (0..2000).map(|n| int(&format!("a{n}"), n)).collect();
    attributes.insert(0, text("gen_ai.request.model", "m"));
    let record = &records(&application(call(&attributes)))[0].1;
    assert_eq!(record["metadata"]["attributes_left_out"], 2000);
    assert!(record["metadata"].get("a1").is_none());
}

#[test]
fn a_reader_that_has_enough_is_heard() {
    let body = delivery(&[root(), attempt(), attempt()]).to_string();
    let mut count = 0;
    read(body.as_bytes(), Encoding::Json, &mut |_| {
        count += 1;
        count < 2
    })
    .unwrap();
    assert_eq!(count, 2);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = judged(&bytes, Encoding::Protobuf);
        let _ = judged(&bytes, Encoding::Json);
    }

    #[test]
    fn a_body_cut_short_is_refused(cut in 1usize..400) {
        let body = delivery(&[root(), attempt()]).to_string();
        let short = &body.as_bytes()[..body.len() - cut];
        prop_assert!(judged(short, Encoding::Json).is_err());
    }
}
