//! Where the application's report and OpenRouter's answer disagree. A disagreement is evidence: it
//! is named, and both sides stand in the entry as they were told. Pure.

mod model;

use super::{
    answer::{Answer, Call},
    money,
};

/// The disagreements, each a stable word:
/// - `prompt_tokens`, `completion_tokens`, `reasoning_tokens`, `cached_tokens`: the report against
///   `native_tokens_*`, which are what a response's `usage` counts (`tokens_*` are not);
/// - `cost`: `usage.cost` against `total_cost`, exactly, as decimals;
/// - `is_byok`: whose key paid the provider;
/// - `model`, `model_used`: what was asked for, and what the application took to have answered,
///   against the model that ran;
/// - `status`: success reported of a call that was cancelled or ended in an error, or a cancelled
///   one that was not cancelled.
///
/// What either side does not tell is no disagreement.
#[must_use]
pub fn find(call: &Call, answer: &Answer) -> Vec<&'static str> {
    let usage = call.usage.as_ref();
    let mut found = Vec::new();
    for (name, reported, native) in [
        ("prompt_tokens", call.prompt_tokens, "native_tokens_prompt"),
        ("completion_tokens", call.completion_tokens, "native_tokens_completion"),
        ("reasoning_tokens", usage.and_then(|u| u.reasoning_tokens), "native_tokens_reasoning"),
        ("cached_tokens", usage.and_then(|u| u.cached_tokens), "native_tokens_cached"),
    ] {
        if differ(reported, answer.count(native)) {
            found.push(name);
        }
    }
    let reported = call.usage_cost.as_deref().and_then(money::decimal);
    if differ(reported, answer.money("total_cost")) {
        found.push("cost");
    }
    if differ(usage.and_then(|u| u.is_byok), answer.flag("is_byok")) {
        found.push("is_byok");
    }
    let ran = answer.text("model");
    for (name, told) in [("model", &call.model_requested), ("model_used", &call.model_used)] {
        if let (Some(told), Some(ran)) = (told, &ran)
            && !model::may_be(told, ran)
        {
            found.push(name);
        }
    }
    if status(call, answer) {
        found.push("status");
    }
    found
}

fn differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a != b)
}

fn status(call: &Call, answer: &Answer) -> bool {
    let cancelled = answer.flag("cancelled");
    match call.status.as_deref() {
        Some("success") => {
            let failed = answer.text("finish_reason").is_some_and(|reason| reason == "error");
            cancelled == Some(true) || failed
        }
        Some("cancelled") => cancelled == Some(false),
        _ => false,
    }
}
