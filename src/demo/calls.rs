//! Calls as an application would report them, some with what must not be kept. Reproducible.

use crate::{
    clock::{self, Micros},
    reconcile::Day,
};
use serde_json::{Value, json};
use std::ops::Range;

const MODELS: &[&str] = &[
    "anthropic/claude-3.5-sonnet",
    "openai/gpt-4o-mini",
    "google/gemini-2.5-pro",
    "meta-llama/llama-3.1-70b-instruct",
];
const PROMPTS: &[&str] = &[
    "Summarise the quarterly report in three bullet points.",
    "Rewrite this mail politely: ana.silva@example.com has waited since Monday.",
    "The customer at (415) 555-0134 asks where the parcel is. Draft an answer.",
    "Why does card 4111 1111 1111 1111 fail the check?",
    "SSN 536-90-4399 is on file, is that allowed?",
    "Explain why latency grew after release v2.14.0 (trace 7f3a9c21-5b1e-4c7d-9a52-0d1f6b3e8c44).",
];
const USERS: &[&str] = &["u-1001", "u-1002", "u-1003", "team.lead@example.com"];

/// The calls, by number from 0, that were made yesterday and are reported only now: OpenRouter counts
/// completed days. Even the shortest demo comes to them.
const YESTERDAYS: Range<u64> = 20..32;
/// The one of them that the application forgets to report.
pub(super) const FORGOTTEN: u64 = 25;
/// From midnight to noon.
const HALF_A_DAY: Micros = 43_200_000_000;

/// A small linear congruential generator (Knuth, TAOCP 2, 3.3.4): the demo wants variety, not
/// unpredictability.
#[derive(Debug)]
pub(super) struct Calls {
    state: u64,
    count: u64,
    yesterday: Day,
}

impl Calls {
    pub(super) fn new(seed: u64, yesterday: Day) -> Self {
        Calls { state: seed, count: 0, yesterday }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.state >> 33) % limit.max(1)
    }

    fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let at = self.below(of.len() as u64);
        usize::try_from(at).ok().and_then(|at| of.get(at)).copied().unwrap_or_default()
    }

    /// When the call of this number was made, and the second in its generation id. A demo run again
    /// on the same day has the same ids for yesterday, so that its count of it still fits.
    fn made(&self, n: u64, now: Micros) -> (Micros, i64) {
        let number = i64::try_from(n).unwrap_or_default();
        if YESTERDAYS.contains(&n) {
            let at = self.yesterday.start() + HALF_A_DAY + number * 1_000_000;
            return (at, at / 1_000_000);
        }
        (now, 1_793_000_001 + number)
    }

    /// The next call, under an id that starts with `prefix`.
    pub(super) fn next(&mut self, prefix: &str, now: Micros) -> Value {
        let (at, second) = self.made(self.count, now);
        self.count += 1;
        let id = format!("{prefix}-{:06}", self.count);
        let failed = self.below(20) == 0;
        let (tokens, answered) = (20 + self.below(900), self.below(700));
        let mut call = json!({
            "id": id, "timestamp": clock::rfc3339(at),
            "generation_id": format!("gen-{second}-{:020}", self.count),
            "user_id": self.one_of(USERS), "app": "demo-shop",
            "model_requested": self.one_of(MODELS), "prompt": self.one_of(PROMPTS),
            "response": if failed { "" } else { "Of course. Here is a draft." },
            "usage": {
                "prompt_tokens": tokens, "completion_tokens": answered,
                "cost": (tokens * 3 + answered * 15) as f64 / 1e6,
            },
            "latency_ms": 180 + self.below(4000), "status": if failed { "error" } else { "success" },
            "metadata": { "feature": "support" },
        });
        if failed {
            call["error_code"] = "429".into();
        }
        if self.below(10) == 0 {
            call["api_key"] = format!("sk-or-v1-{:064x}", self.count).into();
        }
        call
    }
}
