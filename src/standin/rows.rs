//! Scripts for everything that the generation endpoint is known to do to its callers, by name.

use super::{Reply, Step, answers};
use crate::clock::{Clock, Micros};

/// One known behaviour.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// The script that plays it for a generation.
    pub steps: fn(&str) -> Vec<Step>,
}

/// All rows. What depends on the key (no header, a wrong key) is [`super::StandIn::accept_key`] and
/// [`super::StandIn::refuse_key`]; a dead host is [`super::StandIn::black_hole`].
pub const ROWS: &[Row] = &[
    Row { name: "immediate", steps: |id| late(id, 0) },
    Row { name: "late_1", steps: |id| late(id, 1) },
    Row { name: "late_3", steps: |id| late(id, 3) },
    Row { name: "late_10", steps: |id| late(id, 10) },
    Row { name: "never", steps: |_| vec![not_found()] },
    Row {
        name: "throttled_seconds",
        steps: |id| throttled(id, |reply| reply.header("retry-after", "2")),
    },
    Row {
        name: "throttled_reset_ms",
        steps: |id| {
            let reset = (Clock::System.now() + 2_000_000) / 1_000;
            throttled(id, |reply| reply.header("x-ratelimit-reset", reset.to_string()))
        },
    },
    Row {
        name: "throttled_date",
        steps: |id| {
            let date = http_date(Clock::System.now() + 2_000_000);
            throttled(id, |reply| reply.header("retry-after", date))
        },
    },
    Row { name: "throttled_silent", steps: |id| throttled(id, |reply| reply) },
    Row { name: "five_hundreds", steps: five_hundreds },
    Row { name: "request_timeout", steps: |id| after(Reply::error(408, "Timed out").into(), id) },
    Row { name: "hang", steps: |id| after(Step::Hang, id) },
    Row { name: "stall", steps: |id| after(Step::Stall(answers::usual(id)), id) },
    Row { name: "cut", steps: |id| after(Step::Cut(answers::usual(id)), id) },
    Row { name: "unauthorized", steps: |_| vec![Reply::error(401, "User not found.").into()] },
    Row { name: "no_credit", steps: |_| vec![Reply::error(402, "Insufficient credits").into()] },
    Row { name: "forbidden", steps: |_| vec![Reply::error(403, "Forbidden").into()] },
    Row { name: "challenge_page", steps: |id| after(web_page(403), id) },
    Row { name: "foreign_id", steps: |_| vec![answer(answers::usual(FOREIGN))] },
    Row { name: "web_page", steps: |_| vec![web_page(200)] },
    Row { name: "not_an_answer", steps: |_| vec![Reply::json(r#"{"data":null}"#).into()] },
    Row { name: "bad_request", steps: |_| vec![Reply::error(400, "Invalid").into()] },
    Row { name: "too_large", steps: |id| vec![answer(too_large(id))] },
    Row { name: "cancelled", steps: |id| vec![answer(answers::cancelled(id))] },
    Row { name: "byok", steps: |id| vec![answer(answers::byok(id))] },
    Row { name: "fallback", steps: |id| vec![answer(answers::usual(id))] },
    Row { name: "cache_hit", steps: |id| vec![answer(answers::cache_hit(id))] },
    Row { name: "error_bodies", steps: error_bodies },
    Row {
        name: "redirect",
        steps: |_| vec![Reply::status(301, "").header("location", "http://127.0.0.1:9/").into()],
    },
];

/// The script of a row; an empty one (404 for ever) when there is none of that name.
#[must_use]
pub fn script(name: &str, id: &str) -> Vec<Step> {
    ROWS.iter().find(|row| row.name == name).map(|row| (row.steps)(id)).unwrap_or_default()
}

/// The id in the answer of the row `foreign_id`.
pub const FOREIGN: &str = "gen-1790000000-SomebodyElsesCall000";

/// `times` times 404, then the usual answer.
#[must_use]
pub fn late(id: &str, times: usize) -> Vec<Step> {
    let mut steps = vec![not_found(); times];
    steps.push(answer(answers::usual(id)));
    steps
}

/// An answer with this body.
#[must_use]
pub fn answer(body: String) -> Step {
    Reply::json(body).into()
}

fn after(first: Step, id: &str) -> Vec<Step> {
    vec![first, answer(answers::usual(id))]
}

fn not_found() -> Step {
    Reply::error(404, "Generation not found").into()
}

fn throttled(id: &str, told: impl FnOnce(Reply) -> Reply) -> Vec<Step> {
    after(told(Reply::error(429, "Rate limit exceeded")).into(), id)
}

/// As what stands in front of OpenRouter says it.
fn web_page(status: u16) -> Step {
    let page = "<!DOCTYPE html><html><title>Just a moment...</title></html>";
    Reply::status(status, page).header("content-type", "text/html; charset=UTF-8").into()
}

fn five_hundreds(id: &str) -> Vec<Step> {
    let errors = [500, 502, 503, 524, 529].map(|status| Reply::error(status, "Trouble").into());
    let mut steps = Vec::from(errors);
    steps.push(web_page(502));
    steps.push(Reply::status(500, "").into());
    steps.push(answer(answers::usual(id)));
    steps
}

/// Errors with more and less in them than documented: an account's id, what was flagged of a
/// prompt, a code that is a text, none at all.
fn error_bodies(id: &str) -> Vec<Step> {
    let bodies = [
        r#"{"error":{"message":"Not found","code":404},"user_id":"user_2abcdefghijklmnopqrstuvwxyz"}"#,
        r#"{"error":{"message":"No","code":"404","metadata":{"flagged_input":"my card is…"}}}"#,
        r#"{"error":{"message":"No"},"openrouter_metadata":null}"#,
        "",
    ];
    let mut steps: Vec<Step> =
        bodies.iter().map(|body| Reply { status: 404, ..Reply::json(*body) }.into()).collect();
    steps.push(answer(answers::usual(id)));
    steps
}

fn too_large(id: &str) -> String {
    answers::with(&answers::usual(id), &[("padding", &format!("\"{}\"", "x".repeat(2 << 20)))])
}

/// An instant as HTTP headers have it; empty where it has no such form.
fn http_date(at: Micros) -> String {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    let at = jiff::Timestamp::from_microsecond(at).ok();
    at.and_then(|at| printer.timestamp_to_rfc9110_string(&at).ok()).unwrap_or_default()
}
