//! OpenRouter's own count of what was called: `/activity`, `/analytics/query`, `/key`, as its API
//! description has them (August 2026), with their failures.
//!
//! It is told generation by generation what was called and adds up in binary floating point, as
//! the original does, so that whoever compares has to cope with that.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Most rows that one query returns.
const MOST_ROWS: usize = 10_000;

/// One call, as OpenRouter counted it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Generation {
    /// Its id.
    pub id: String,
    /// Second in which it was made, since the epoch.
    pub at: i64,
    /// The alias that the caller used.
    pub model: String,
    /// The dated name of what ran.
    pub permaslug: String,
    /// Who served it.
    pub provider: String,
    /// Hash of the API key that made it.
    pub api_key_hash: String,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the completion.
    pub completion_tokens: u64,
    /// Dollars charged.
    pub usd: f64,
    /// Dollars that the caller's own provider key was charged.
    pub byok_usd: f64,
}

/// What goes wrong with one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// This status, with an error document that carries an account id as real ones do.
    Status(u16),
    /// 429, to be asked again after so many seconds.
    Throttled(u64),
    /// Status 200 and a web page.
    WebPage,
    /// A document that ends in the middle.
    Truncated,
    /// A query that ran without its filters, and says so.
    Warned,
}

/// A question that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The query of a GET, the body of a POST.
    pub what: String,
    /// What stood in `Authorization`.
    pub authorization: String,
}

#[derive(Debug, Default)]
struct Inner {
    management: String,
    plain: Vec<String>,
    generations: Vec<Generation>,
    troubles: BTreeMap<String, VecDeque<Trouble>>,
    asked: Vec<Asked>,
    most_rows: usize,
}

/// The counts of one account. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub struct Activity(Arc<Mutex<Inner>>);

impl Activity {
    /// An account without calls, whose management key is `key`.
    #[must_use]
    pub fn new(key: &str) -> Self {
        let inner = Inner { management: key.into(), most_rows: MOST_ROWS, ..Inner::default() };
        Activity(Arc::new(Mutex::new(inner)))
    }

    /// Adds a key that makes calls and may not count them.
    pub fn add_plain_key(&self, key: &str) {
        self.lock().plain.push(key.into());
    }

    /// Counts a call.
    pub fn add(&self, generation: Generation) {
        self.lock().generations.push(generation);
    }

    /// The next question at `path` (such as `/activity`) ends in trouble; several queue up.
    pub fn trouble(&self, path: &str, trouble: Trouble) {
        self.lock().troubles.entry(path.into()).or_default().push_back(trouble);
    }

    /// Returns so many rows at most from now on.
    pub fn limit_rows(&self, most: usize) {
        self.lock().most_rows = most;
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    /// The routes, for [`super::StandIn::start_with`].
    pub fn router(&self) -> Router {
        Router::new()
            .route("/activity", get(activity))
            .route("/analytics/query", post(query))
            .route("/key", get(key))
            .with_state(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the question; `Err` is the answer when it ends here. `Ok` says whether the key is the
    /// management key, and what a later part of the answer is to suffer.
    fn enter(
        &self,
        (path, what): (&str, String),
        headers: &HeaderMap,
    ) -> Result<(bool, Option<Trouble>), Box<Response>> {
        let mut inner = self.lock();
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let authorization = given.unwrap_or_default().to_owned();
        let key = authorization.strip_prefix("Bearer ").unwrap_or_default().to_owned();
        inner.asked.push(Asked { path: path.into(), what, authorization });
        match inner.troubles.get_mut(path).and_then(VecDeque::pop_front) {
            Some(Trouble::Status(status)) => Err(Box::new(error(status))),
            Some(Trouble::Throttled(seconds)) => {
                let wait = [(header::RETRY_AFTER, seconds.to_string())];
                Err(Box::new((wait, error(429)).into_response()))
            }
            Some(Trouble::WebPage) => {
                let kind = [(header::CONTENT_TYPE, "text/html")];
                let page = "<!doctype html><title>Just a moment</title>";
                Err(Box::new((kind, page).into_response()))
            }
            _ if key.is_empty() => Err(Box::new(error(401))),
            trouble if key == inner.management => Ok((true, trouble)),
            trouble if inner.plain.contains(&key) => Ok((false, trouble)),
            _ => Err(Box::new(error(401))),
        }
    }
}

/// An error document in the order of real ones.
fn error(status: u16) -> Response {
    let message = match status {
        400 => "Invalid request parameters",
        401 => "Missing Authentication header",
        403 => "Only management keys can perform this operation",
        404 => "Resource not found",
        408 => "Operation timed out. Please try again later.",
        429 => "Rate limit exceeded",
        _ => "Internal Server Error",
    };
    let body = json!({
        "error": { "message": message, "code": status },
        "user_id": "user_2aBcDeFgHiJkLmNoPqRsTuVwXyZ",
    });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn document(body: &Value, trouble: Option<&Trouble>) -> Response {
    let mut text = body.to_string();
    if trouble == Some(&Trouble::Truncated) {
        text.truncate(text.len() / 2);
    }
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// The value of a parameter of a query; what is asked for here needs no unescaping.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name).map(|p| p.1)
}

fn day_of(at: i64) -> String {
    crate::clock::Date::of(at.saturating_mul(1_000_000)).to_string()
}

async fn activity(State(state): State<Activity>, uri: Uri, headers: HeaderMap) -> Response {
    let query = uri.query().unwrap_or_default().to_owned();
    let trouble = match state.enter(("/activity", query.clone()), &headers) {
        Ok((true, trouble)) => trouble,
        Ok((false, _)) => return error(403),
        Err(answer) => return *answer,
    };
    let mut sums: BTreeMap<[String; 4], (u64, u64, u64, f64, f64)> = BTreeMap::new();
    for call in &state.lock().generations {
        let day = day_of(call.at);
        if parameter(&query, "date").is_some_and(|date| date != day)
            || parameter(&query, "api_key_hash").is_some_and(|hash| hash != call.api_key_hash)
        {
            continue;
        }
        let key = [day, call.model.clone(), call.permaslug.clone(), call.provider.clone()];
        let sum = sums.entry(key).or_default();
        sum.0 += 1;
        sum.1 += call.prompt_tokens;
        sum.2 += call.completion_tokens;
        sum.3 += call.usd;
        sum.4 += call.byok_usd;
    }
    let row =
        |([date, model, permaslug, provider], sum): (&[String; 4], &(u64, u64, u64, f64, f64))| {
            json!({
                "byok_usage_inference": sum.4, "completion_tokens": sum.2, "date": date,
                "endpoint_id": "550e8400-e29b-41d4-a716-446655440000", "model": model,
                "model_permaslug": permaslug, "prompt_tokens": sum.1, "provider_name": provider,
                "reasoning_tokens": 0, "requests": sum.0, "usage": sum.3,
            })
        };
    let rows: Vec<Value> = sums.iter().map(row).collect();
    document(&json!({ "data": rows }), trouble.as_ref())
}

async fn query(State(state): State<Activity>, headers: HeaderMap, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body).into_owned();
    let trouble = match state.enter(("/analytics/query", text), &headers) {
        Ok((true, trouble)) => trouble,
        Ok((false, _)) => return error(403),
        Err(answer) => return *answer,
    };
    let Ok(asked) = serde_json::from_slice::<Value>(&body) else { return error(400) };
    let instant = |name: &str| -> Option<i64> {
        let at: jiff::Timestamp = asked["time_range"][name].as_str()?.parse().ok()?;
        Some(at.as_second())
    };
    let (Some(start), Some(end)) = (instant("start"), instant("end")) else { return error(400) };
    if asked["dimensions"] != json!(["generation_id"]) || start >= end {
        return error(400);
    }
    let keys = asked["filters"].as_array().into_iter().flatten();
    let keys: Vec<&Value> = keys.filter(|filter| filter["field"] == "api_key_id").collect();
    let wanted = |call: &&Generation| {
        let of = |filter: &&Value| {
            filter["value"]
                .as_array()
                .is_some_and(|all| all.iter().any(|h| *h == call.api_key_hash))
        };
        (start..end).contains(&call.at) && keys.iter().all(of)
    };
    let inner = state.lock();
    let told = asked["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok());
    let limit = told.unwrap_or(1000).min(inner.most_rows);
    let all = inner.generations.iter().filter(wanted);
    // Counts come as texts.
    let rows: Vec<Value> =
        all.map(|call| json!({ "generation_id": call.id, "request_count": "1" })).collect();
    let truncated = rows.len() > limit;
    let rows: Vec<Value> = rows.into_iter().take(limit).collect();
    let mut data = json!({
        "data": rows,
        "metadata": { "query_time_ms": 42, "row_count": rows.len(), "truncated": truncated },
    });
    if trouble == Some(Trouble::Warned) {
        data["warnings"] = json!(["api_key_id: 1 hash could not be resolved"]);
    }
    document(&json!({ "data": data }), trouble.as_ref())
}

async fn key(State(state): State<Activity>, headers: HeaderMap) -> Response {
    let (management, trouble) = match state.enter(("/key", String::new()), &headers) {
        Ok(known) => known,
        Err(answer) => return *answer,
    };
    let data = json!({
        "label": "sk-or-v1-0e6...1c96", "limit": null, "limit_remaining": null, "usage": 0,
        "is_free_tier": false, "is_management_key": management,
        "is_provisioning_key": management, "rate_limit": { "requests": -1, "interval": "10s" },
    });
    document(&json!({ "data": data }), trouble.as_ref())
}
