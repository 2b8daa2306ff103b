//! Bodies as the generation endpoint gives them. Values are invented; their sums are consistent.

use crate::json::{self, text};

/// A usual answer: a streamed call that fell back to its second provider.
/// (1874 − 512) × 1e-6 + 512 × 1e-7 + 341 × 5e-6 = 0.0031182 USD.
#[must_use]
pub fn usual(id: &str) -> String {
    USUAL.replace("GENERATION", id)
}

const USUAL: &str = r#"{"data":{"id":"GENERATION","request_id":"req-1790000000-h3Jd8Sk2Wq9Ze5Yt7Ur1",
"upstream_id":"msg_bdrk_01Hq7x2Vb9Kp4Ls8Wd3Zc6Tn","session_id":"conv-7f3a","external_user":"u-4821",
"app_id":4928001,"preset_id":null,"workspace_id":"6b0e3f52-4c1d-5a7e-9f28-3d6c5b4a1f90",
"created_at":"2026-09-21T14:13:20.418Z","model":"anthropic/claude-4.5-haiku-20251001",
"provider_name":"Amazon Bedrock","router":null,"api_type":"completions","service_tier":"default",
"data_region":"global","streamed":true,"cancelled":false,"finish_reason":"stop",
"native_finish_reason":"end_turn","latency":757,"generation_time":3723,"moderation_latency":null,
"tokens_prompt":1790,"tokens_completion":322,"native_tokens_prompt":1874,
"native_tokens_completion":341,"native_tokens_reasoning":128,"native_tokens_cached":512,
"native_tokens_completion_images":0,"num_media_prompt":null,"num_input_audio_prompt":null,
"num_media_completion":0,"num_search_results":null,"num_fetches":null,"web_search_engine":null,
"total_cost":0.0031182,"usage":0.0031182,"upstream_inference_cost":0,"cache_discount":0.0004608,
"is_byok":false,"origin":"https://app.example.com/","http_referer":null,"user_agent":"acme-app/2.3",
"response_cache_source_id":null,"provider_responses":[
{"endpoint_id":"0c1f5a44-77b2-4d0e-8f3a-2a9be0d61c11","id":"a1","is_byok":false,"latency":212,
"model_permaslug":"anthropic/claude-4.5-haiku-20251001","provider_name":"Anthropic","status":429},
{"endpoint_id":"d000261c-5aeb-47d1-ac87-ad64dbe1cdb6","id":"msg_bdrk_01Hq7x2Vb9Kp4Ls8Wd3Zc6Tn",
"is_byok":false,"latency":757,"model_permaslug":"anthropic/claude-4.5-haiku-20251001",
"provider_name":"Amazon Bedrock","status":200}]}}"#;

/// `answer` with members of its `data` set to these raw values, in place or at the end; an empty
/// value takes the member away.
#[must_use]
pub fn with(answer: &str, changes: &[(&str, &str)]) -> String {
    let data = json::members(answer.as_bytes()).flatten().find(|(name, _)| *name == b"\"data\"");
    let members = data.map(|(_, data)| json::members(data).flatten()).into_iter().flatten();
    let mut all: Vec<(String, String)> = members
        .map(|(name, value)| {
            let plain = |raw: &[u8]| String::from_utf8_lossy(raw).into_owned();
            (plain(text::inner(name)), plain(value))
        })
        .collect();
    for (name, value) in changes {
        match all.iter_mut().find(|(known, _)| known == name) {
            Some(slot) => slot.1 = (*value).to_owned(),
            None => all.push(((*name).to_owned(), (*value).to_owned())),
        }
    }
    let kept = all.iter().filter(|(_, value)| !value.is_empty());
    let members: Vec<String> = kept.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{\"data\":{{{}}}}}", members.join(","))
}

/// A stream that its caller broke off before a token was billed.
#[must_use]
pub fn cancelled(id: &str) -> String {
    let changes = [
        ("cancelled", "true"),
        ("finish_reason", "null"),
        ("native_finish_reason", "null"),
        ("total_cost", "0"),
        ("usage", "0"),
        ("cache_discount", "null"),
        ("native_tokens_completion", "0"),
        ("native_tokens_reasoning", "0"),
    ];
    with(&usual(id), &changes)
}

/// A call on the customer's own provider key: no fee, and what the provider charged.
#[must_use]
pub fn byok(id: &str) -> String {
    let changes = [
        ("is_byok", "true"),
        ("total_cost", "0"),
        ("usage", "0"),
        ("upstream_inference_cost", "0.00197"),
    ];
    with(&usual(id), &changes)
}

/// A call served from OpenRouter's response cache: nothing counted, nothing billed.
#[must_use]
pub fn cache_hit(id: &str) -> String {
    let changes = [
        ("response_cache_source_id", "\"gen-1790000000-Or1g1nalOr1g1nalOr1g\""),
        ("total_cost", "0"),
        ("usage", "0"),
        ("cache_discount", "null"),
        ("tokens_prompt", "0"),
        ("tokens_completion", "0"),
        ("native_tokens_prompt", "0"),
        ("native_tokens_completion", "0"),
        ("native_tokens_reasoning", "0"),
        ("native_tokens_cached", "0"),
        ("provider_responses", "[]"),
    ];
    with(&usual(id), &changes)
}

/// Answers that differ from the usual one in ways that a strict reader would stumble over: each with
/// its name.
#[must_use]
pub fn drifted(id: &str) -> Vec<(&'static str, String)> {
    let usual = usual(id);
    let one = |name, change| (name, with(&usual, &[change]));
    vec![
        one("unknown_key", ("quantum_fee", r#"{"usd":0.5,"note":"mail ana@example.com"}"#)),
        one("unknown_api_type", ("api_type", "\"telepathy\"")),
        one("unknown_region", ("data_region", "\"moon\"")),
        one("unknown_provider", ("provider_name", "\"Provider of Tomorrow\"")),
        ("missing_ids", with(&usual, &[("workspace_id", ""), ("request_id", "")])),
        ("all_null", nulls(&usual)),
        one("no_provider_responses", ("provider_responses", "null")),
        one("integer_latency", ("latency", "50")),
        one("scientific_cost", ("total_cost", "1.48e-05")),
        one("created_0_digits", ("created_at", "\"2026-09-21T14:13:20Z\"")),
        one("created_2_digits", ("created_at", "\"2026-09-21T14:13:20.41Z\"")),
        one("created_6_digits", ("created_at", "\"2026-09-21T14:13:20.418273+00:00\"")),
        one("cost_as_text", ("total_cost", "\"0.0031182\"")),
        one("tokens_as_text", ("native_tokens_prompt", "\"1874\"")),
        one("huge_number", ("upstream_id", "12345678901234567890")),
        ("only_id", format!("{{\"data\":{{\"id\":\"{id}\"}}}}")),
        ("padded", format!("\n  \n{usual}\n")),
    ]
}

/// Every member but the id null.
fn nulls(answer: &str) -> String {
    let data = json::members(answer.as_bytes()).flatten().map(|(_, data)| data);
    let names = data.flat_map(|data| json::members(data).flatten()).map(|(name, _)| name);
    let names: Vec<String> =
        names.map(|name| String::from_utf8_lossy(text::inner(name)).into_owned()).collect();
    let changes = names.iter().filter(|name| *name != "id").map(|name| (name.as_str(), "null"));
    with(answer, &changes.collect::<Vec<_>>())
}
