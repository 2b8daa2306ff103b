//! OpenRouter's own count: `/activity` by model and provider, `/analytics/query` by generation id.
//! Both want a management key (API description, "Analytics").

use super::{
    Error,
    compare::{Figures, Row},
    config::Config,
    count::Window,
    day::Day,
    line, money,
};
use crate::{
    clock::{self, Clock, Micros},
    enrich::client::{Client, Outcome},
    record::{Digest, is_generation_id},
    secret::Secret,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// Times a question is asked before it counts as unanswered.
const TRIES: u32 = 5;
/// First wait between two tries; it doubles.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest wait between two tries, whatever a header says: 64 queries a minute are allowed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Rows that one query may return (its documented maximum).
const MOST_ROWS: u64 = 10_000;
/// A stretch of time is not queried in smaller parts.
const SHORTEST: Micros = 1_000_000;

const ACTIVITY: &str = "/activity";
const QUERY: &str = "/analytics/query";

/// Asks for one account's counts.
pub(super) struct Asker<'a> {
    client: Client,
    config: &'a Config,
    key: &'a Secret,
}

/// What is listed at a time, or that it was not all.
enum Page {
    Whole,
    Cut,
}

impl<'a> Asker<'a> {
    pub(super) fn new(config: &'a Config, key: &'a Secret) -> Result<Self, Error> {
        let client = Client::new(config.timeout.0, Clock::System)
            .map_err(|e| Error::System("set up a connection", std::io::Error::other(e)))?;
        Ok(Asker { client, config, key })
    }

    /// OpenRouter's count of a day, and the digest of each document it came in: one a key where the
    /// comparison is limited to keys.
    pub(super) async fn activity(&self, day: Day) -> Result<(Vec<Row>, Vec<Digest>), Error> {
        let date = day.to_string();
        let mut query = vec![("date", date.as_str())];
        if let Some(workspace) = &self.config.workspace_id {
            query.push(("workspace_id", workspace));
        }
        let mut keys: Vec<Option<&str>> =
            self.config.api_key_hashes.iter().map(|hash| Some(hash.as_str())).collect();
        if keys.is_empty() {
            keys.push(None);
        }
        let (mut rows, mut digests) = (Vec::new(), Vec::new());
        for key in keys {
            let mut query = query.clone();
            query.extend(key.map(|key| ("api_key_hash", key)));
            let read = |body: &[u8]| activity_rows(body, &date);
            let (some, digest) = self.ask(ACTIVITY, Question::Get(&query), &read).await?;
            rows.extend(some);
            digests.push(digest);
        }
        Ok((rows, digests))
    }

    /// Hands over every generation id of a stretch of time, each at least once.
    pub(super) async fn list(
        &self,
        window: Window,
        each: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        let mut parts = vec![window.with_margin()];
        while let Some(part) = parts.pop() {
            let question = Question::Post(self.query(part));
            let read = |body: &[u8]| listed_ids(body);
            let ((ids, page), _) = self.ask(QUERY, question, &read).await?;
            if matches!(page, Page::Whole) {
                ids.iter().for_each(|id| each(id));
                continue;
            }
            let middle = part.from + (part.to - part.from) / 2 / 1_000_000 * 1_000_000;
            if middle - part.from < SHORTEST {
                let why = format!("more than {MOST_ROWS} calls in a second");
                return Err(Error::NoAnswer(QUERY, why));
            }
            parts.push(Window { from: middle, ..part });
            parts.push(Window { to: middle, ..part });
        }
        Ok(())
    }

    fn query(&self, part: Window) -> Vec<u8> {
        let mut filters = Vec::new();
        if !self.config.api_key_hashes.is_empty() {
            filters.push(serde_json::json!({
                "field": "api_key_id", "operator": "in", "value": self.config.api_key_hashes,
            }));
        }
        if let Some(workspace) = &self.config.workspace_id {
            filters.push(serde_json::json!({
                "field": "workspace", "operator": "eq", "value": workspace,
            }));
        }
        let query = serde_json::json!({
            "metrics": ["request_count"],
            "dimensions": ["generation_id"],
            "filters": filters,
            "time_range": { "start": clock::rfc3339(part.from), "end": clock::rfc3339(part.to) },
            "limit": MOST_ROWS,
        });
        query.to_string().into_bytes()
    }

    /// Asks until there is an answer that can be read.
    async fn ask<T>(
        &self,
        path: &'static str,
        question: Question<'_>,
        read: &dyn Fn(&[u8]) -> Result<T, &'static str>,
    ) -> Result<(T, Digest), Error> {
        let mut pause = PAUSE;
        let mut why = String::new();
        for left in (0..TRIES).rev() {
            let base = &self.config.base_url;
            let outcome = match &question {
                Question::Get(query) => self.client.get(base, path, query, self.key).await,
                Question::Post(body) => self.client.post(base, path, body.clone(), self.key).await,
            };
            let mut wait = pause;
            match outcome {
                Ok(body) => match read(&body) {
                    Ok(read) => return Ok((read, Sha256::digest(&body).into())),
                    // Asking again would bring the same.
                    Err(unfit) => return Err(Error::NoAnswer(path, unfit.to_owned())),
                },
                Err(Outcome::KeyRefused(status)) => return Err(Error::KeyRefused(status, path)),
                Err(Outcome::NotYet(404)) => return Err(Error::Refused(404, path)),
                Err(Outcome::Refused { status, why }) if status / 100 == 4 || status == 0 => {
                    return Err(match status {
                        0 => Error::NoAnswer(path, why.to_owned()),
                        _ => Error::Refused(status, path),
                    });
                }
                Err(other) => {
                    if let Outcome::Throttled { wait: Some(told), .. } = &other {
                        wait = *told;
                    }
                    why = match other.status() {
                        0 => other.what().to_owned(),
                        status => format!("status {status}"),
                    };
                }
            }
            if left > 0 {
                tokio::time::sleep(wait.min(LONGEST_PAUSE)).await;
                pause *= 2;
            }
        }
        Err(Error::NoAnswer(path, why))
    }
}

/// What is asked.
enum Question<'a> {
    Get(&'a [(&'a str, &'a str)]),
    Post(Vec<u8>),
}

/// A document of `/activity`; more members may come at any time.
#[derive(Deserialize)]
struct Activity<'a> {
    #[serde(borrow)]
    data: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(default)]
    date: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    model_permaslug: Option<String>,
    #[serde(default)]
    provider_name: Option<String>,
    #[serde(borrow)]
    requests: &'a RawValue,
    #[serde(borrow, default)]
    prompt_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    byok_usage_inference: Option<&'a RawValue>,
}

/// The rows of a day. Numbers may come as texts.
fn activity_rows(body: &[u8], date: &str) -> Result<Vec<Row>, &'static str> {
    let activity: Activity<'_> =
        serde_json::from_slice(body).map_err(|_| "not the document that was asked for")?;
    let that_day = |item: &&Item<'_>| item.date.as_deref().is_none_or(|day| day.starts_with(date));
    activity.data.iter().filter(that_day).map(row).collect()
}

fn row(item: &Item<'_>) -> Result<Row, &'static str> {
    let unfit = "a row has a number that is none";
    let count = |raw: Option<&RawValue>| match raw.map(|raw| raw.get().as_bytes()) {
        None | Some(b"null") => Ok(0),
        Some(raw) => line::count(raw).ok_or(unfit),
    };
    let dollars = |raw: Option<&RawValue>| match raw.map(|raw| raw.get().as_bytes()) {
        None | Some(b"null") => Ok(rust_decimal::Decimal::ZERO),
        Some(raw) => money::parse(raw).ok_or(unfit),
    };
    let name = |names: [&Option<String>; 2]| {
        let given = names.into_iter().flatten().map(|name| clean(name)).find(|n| !n.is_empty());
        given.unwrap_or_else(|| "(unknown)".to_owned())
    };
    Ok(Row {
        model: name([&item.model, &item.model_permaslug]),
        permaslug: name([&item.model_permaslug, &item.model]),
        provider: name([&item.provider_name, &None]),
        figures: Figures {
            requests: line::count(item.requests.get().as_bytes()).ok_or(unfit)?,
            prompt_tokens: count(item.prompt_tokens)?,
            completion_tokens: count(item.completion_tokens)?,
            usd: dollars(item.usage)?,
            byok_usd: dollars(item.byok_usage_inference)?,
            ..Figures::default()
        },
    })
}

/// A name from outside, fit for a terminal and an entry.
fn clean(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[derive(Deserialize)]
struct Analytics {
    data: Listing,
}

#[derive(Deserialize)]
struct Listing {
    data: Vec<Listed>,
    metadata: Metadata,
    #[serde(default)]
    warnings: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    generation_id: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    truncated: bool,
}

/// The ids of a page, and whether it is all.
fn listed_ids(body: &[u8]) -> Result<(Vec<String>, Page), &'static str> {
    let Analytics { data } =
        serde_json::from_slice(body).map_err(|_| "not the document that was asked for")?;
    if !data.warnings.is_empty() {
        // The query ran all the same, on more than was asked for.
        return Err("OpenRouter knows not all of reconcile.api_key_hashes");
    }
    let cut = data.metadata.truncated || data.data.len() as u64 >= MOST_ROWS;
    let ids: Vec<String> = data.data.into_iter().filter_map(|row| row.generation_id).collect();
    if ids.iter().any(|id| !is_generation_id(id)) {
        return Err("what is listed is no generation id");
    }
    Ok((ids, if cut { Page::Cut } else { Page::Whole }))
}

#[cfg(test)]
mod tests;
