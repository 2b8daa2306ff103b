//! The demo's OpenRouter: the stand-in, told before each call what it is to know of it and to count.

use crate::standin::{
    Reply, StandIn, Step,
    activity::{Activity, Generation},
    answers::{usual, with},
};
use serde_json::Value;
use std::io;

/// The call whose tokens the application miscounts.
const MISCOUNTED: u64 = 6;
/// The call that OpenRouter never knows.
const UNKNOWN: u64 = 8;
/// One in so many calls is not known at once.
const LATE: u64 = 7;

/// The key that the demo's daemon asks with. The stand-in accepts no other.
pub(super) const KEY: &str = "sk-or-v1-demo-key-that-opens-nothing";
/// The key that it may have calls counted with.
pub(super) const MANAGEMENT_KEY: &str = "sk-or-v1-demo-management-key-that-counts-nothing";

/// The stand-in and the account that it keeps.
#[derive(Debug)]
pub(super) struct OpenRouter {
    standin: StandIn,
    counts: Activity,
}

impl OpenRouter {
    /// Starts one that knows of no call.
    ///
    /// # Errors
    /// As the operating system says.
    pub(super) fn start() -> io::Result<Self> {
        let counts = Activity::new(MANAGEMENT_KEY);
        let standin = StandIn::start_with(counts.router())?;
        standin.accept_key(KEY);
        Ok(OpenRouter { standin, counts })
    }

    /// Where it is.
    pub(super) fn base_url(&self) -> String {
        self.standin.base_url()
    }

    /// Prepares the answer about call number `n`, and counts the call.
    pub(super) fn prepare(&self, n: u64, call: &Value) {
        let Some(id) = call["generation_id"].as_str().filter(|_| n != UNKNOWN) else { return };
        let model = call["model_requested"].as_str().unwrap_or_default();
        let usage = &call["usage"];
        let prompt = usage["prompt_tokens"].as_u64().unwrap_or_default();
        let prompt = if n == MISCOUNTED { prompt + 37 } else { prompt };
        self.counts.add(counted(id, call, prompt));
        let quoted = |text: &str| format!("\"{text}\"");
        let (model, provider) = (quoted(&permaslug(model)), quoted(provider(model)));
        let (prompt, completion) = (prompt.to_string(), usage["completion_tokens"].to_string());
        let cost = usage["cost"].to_string();
        let failed = call["status"] != "success";
        let finish = quoted(if failed { "error" } else { "stop" });
        let answer = with(
            &usual(id),
            &[
                ("model", &model),
                ("provider_name", &provider),
                ("native_tokens_prompt", &prompt),
                ("native_tokens_completion", &completion),
                ("native_tokens_reasoning", "0"),
                ("native_tokens_cached", "0"),
                ("total_cost", &cost),
                ("usage", &cost),
                ("cache_discount", "null"),
                ("finish_reason", &finish),
                ("external_user", "null"),
                ("session_id", "null"),
                ("provider_responses", "[]"),
            ],
        );
        let mut steps: Vec<Step> = Vec::new();
        if n.is_multiple_of(LATE) {
            steps.push(Reply::error(404, "Generation not found").into());
        }
        steps.push(Reply::json(answer).into());
        self.standin.script(id, steps);
    }
}

/// The call as OpenRouter's own count has it.
fn counted(id: &str, call: &Value, prompt_tokens: u64) -> Generation {
    let model = call["model_requested"].as_str().unwrap_or_default();
    let usage = &call["usage"];
    Generation {
        id: id.to_owned(),
        at: id.split('-').nth(1).and_then(|second| second.parse().ok()).unwrap_or_default(),
        model: model.to_owned(),
        permaslug: permaslug(model),
        provider: provider(model).to_owned(),
        prompt_tokens,
        completion_tokens: usage["completion_tokens"].as_u64().unwrap_or_default(),
        usd: usage["cost"].as_f64().unwrap_or_default(),
        ..Generation::default()
    }
}

fn permaslug(model: &str) -> String {
    format!("{model}-20260801")
}

fn provider(model: &str) -> &'static str {
    match model.split('/').next() {
        Some("anthropic") => "Anthropic",
        Some("openai") => "Azure",
        Some("google") => "Google Vertex",
        _ => "Together",
    }
}
