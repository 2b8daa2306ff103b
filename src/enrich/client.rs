//! Asks OpenRouter, and tells what became of it. A key goes to the host it is meant for and nowhere
//! else: no redirect is followed, and no error carries a header or a body.

use super::{
    answer::{Answer, Attempt},
    key,
};
use crate::{clock::Clock, secret::Secret};
use reqwest::{RequestBuilder, Response, StatusCode, header};
use std::time::Duration;

mod wait;

/// Longest answer about one generation; real ones have 2 KiB.
const LONGEST_ANSWER: usize = 1 << 20;
/// Longest other document: a day's activity may have thousands of rows.
const LONGEST_DOCUMENT: usize = 64 << 20;

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer.
    Answer(Box<Answer>),
    /// Not known yet (404, 408): ask later.
    NotYet(u16),
    /// Asked too often (429, or 503 that names a time).
    Throttled {
        /// HTTP status.
        status: u16,
        /// How long to wait, where the server said so; at most a day.
        wait: Option<Duration>,
    },
    /// The key is not accepted, is out of credit, or may not see this (401, 402, 403).
    KeyRefused(u16),
    /// The server has trouble (5xx, or a web page where an answer should be).
    ServerError(u16),
    /// No whole HTTP answer came: `connect`, `timeout`, `stalled`, `truncated`,
    /// `transport`, or `no_tls` where this machine cannot ask over TLS.
    NoAnswer(&'static str),
    /// An answer that asking again will not better, or that must not be believed.
    Refused {
        /// HTTP status; 0 where nothing was asked.
        status: u16,
        /// A stable word: `foreign_id`, `not_json`, `no_data`, `redirect`, `bad_request`,
        /// `too_large`, `unexpected_status`, `bad_key`, `bad_url`.
        why: &'static str,
    },
}

impl Outcome {
    /// The HTTP status; 0 where no HTTP answer came.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Outcome::Answer(_) => 200,
            Outcome::NotYet(status)
            | Outcome::Throttled { status, .. }
            | Outcome::KeyRefused(status)
            | Outcome::ServerError(status)
            | Outcome::Refused { status, .. } => *status,
            Outcome::NoAnswer(_) => 0,
        }
    }

    /// A stable word for counters and attempts.
    #[must_use]
    pub fn what(&self) -> &'static str {
        match self {
            Outcome::Answer(_) => "answer",
            Outcome::NotYet(_) => "not_yet",
            Outcome::Throttled { .. } => "throttled",
            Outcome::KeyRefused(_) => "key_refused",
            Outcome::ServerError(_) => "server_error",
            Outcome::NoAnswer(why) | Outcome::Refused { why, .. } => why,
        }
    }

    /// This outcome as one of a call's attempts, made when its entry was that old.
    #[must_use]
    pub fn attempt(&self, age_ms: u64) -> Attempt {
        Attempt { status: self.status(), what: self.what(), age_ms }
    }
}

/// The client cannot be built, or cannot ask over TLS.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot set up TLS for enrichment: {0}; check that the system's CA certificates are there")]
pub struct Error(String);

/// Asks OpenRouter. Cheap to clone; connections are shared.
#[derive(Clone, Debug)]
pub struct Client {
    /// For `https`, through the proxy of the environment where there is one; or why there is none.
    tls: Result<reqwest::Client, Error>,
    /// For `http`: never through a proxy, which would see the key, and without CA certificates,
    /// which a machine that asks a stand-in need not have.
    plain: reqwest::Client,
    clock: Clock,
}

impl Client {
    /// A client whose every request ends within `timeout`, its body included. `clock` is what
    /// instants in `Retry-After` are measured against where the server tells no time of its own.
    ///
    /// # Errors
    /// When not even a client without TLS can be built. [`Client::check`] tells whether one with it
    /// could be.
    pub fn new(timeout: Duration, clock: Clock) -> Result<Self, Error> {
        // Fails when a provider is installed already, which does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .timeout(timeout)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .user_agent(concat!("veritail/", env!("CARGO_PKG_VERSION")))
        };
        let built =
            |builder: reqwest::ClientBuilder| builder.build().map_err(|e| Error(innermost(&e)));
        let nobody = rustls::ClientConfig::builder()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let plain = built(builder().no_proxy().tls_backend_preconfigured(nobody))?;
        Ok(Client { tls: built(builder()), plain, clock })
    }

    /// Whether this base URL can be asked at all: `https` needs CA certificates.
    ///
    /// # Errors
    /// When TLS could not be set up and the URL needs it.
    pub fn check(&self, base_url: &str) -> Result<(), Error> {
        self.over(base_url).map(drop)
    }

    fn over(&self, base_url: &str) -> Result<&reqwest::Client, Error> {
        let secure = base_url.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("https:"));
        if secure { self.tls.as_ref().map_err(Error::clone) } else { Ok(&self.plain) }
    }

    /// Asks for one generation: `GET {base_url}/generation?id=…`.
    pub async fn ask(&self, base_url: &str, key: &Secret, generation_id: &str) -> Outcome {
        let query = [("id", generation_id)];
        let body = match self.request(reqwest::Method::GET, base_url, "/generation") {
            Ok(request) => self.send(request.query(&query), key, LONGEST_ANSWER).await,
            Err(outcome) => Err(outcome),
        };
        let body = match body {
            Ok(body) => body,
            Err(outcome) => return outcome,
        };
        match Answer::parse(&body, generation_id) {
            Ok(answer) => Outcome::Answer(Box::new(answer)),
            Err(refused) => Outcome::Refused { status: 200, why: refused.code() },
        }
    }

    /// Fetches another document: the body of a 2xx answer to `GET {base_url}{path}?{query}`.
    ///
    /// # Errors
    /// What became of it instead; never [`Outcome::Answer`].
    pub async fn get(
        &self,
        base_url: &str,
        path: &str,
        query: &[(&str, &str)],
        key: &Secret,
    ) -> Result<Vec<u8>, Outcome> {
        let request = self.request(reqwest::Method::GET, base_url, path)?;
        self.send(request.query(query), key, LONGEST_DOCUMENT).await
    }

    /// Sends a JSON document: the body of a 2xx answer to `POST {base_url}{path}`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(
        &self,
        base_url: &str,
        path: &str,
        json: Vec<u8>,
        key: &Secret,
    ) -> Result<Vec<u8>, Outcome> {
        let request = self
            .request(reqwest::Method::POST, base_url, path)?
            .header(header::CONTENT_TYPE, "application/json")
            .body(json);
        self.send(request, key, LONGEST_DOCUMENT).await
    }

    fn request(
        &self,
        method: reqwest::Method,
        base_url: &str,
        path: &str,
    ) -> Result<RequestBuilder, Outcome> {
        let client = self.over(base_url).map_err(|_| Outcome::NoAnswer("no_tls"))?;
        let url = format!("{}{path}", base_url.trim_end_matches('/'));
        Ok(client.request(method, url).header(header::ACCEPT, "application/json"))
    }

    async fn send(
        &self,
        request: RequestBuilder,
        key: &Secret,
        limit: usize,
    ) -> Result<Vec<u8>, Outcome> {
        let unasked = |why| Outcome::Refused { status: 0, why };
        let bearer = key::bearer(key).ok_or_else(|| unasked("bad_key"))?;
        match request.header(header::AUTHORIZATION, bearer).send().await {
            Ok(response) if response.status().is_success() => read(response, limit).await,
            Ok(response) => Err(self.failure(&response)),
            Err(e) if e.is_builder() => Err(unasked("bad_url")),
            Err(e) if e.is_timeout() => Err(Outcome::NoAnswer("timeout")),
            Err(e) if e.is_connect() => Err(Outcome::NoAnswer("connect")),
            Err(_) => Err(Outcome::NoAnswer("transport")),
        }
    }

    /// What an answer that is no success means. Only its status and headers are looked at: bodies
    /// may be web pages, and carry account ids and prompts.
    fn failure(&self, response: &Response) -> Outcome {
        let status = response.status().as_u16();
        let wait = || wait::told(response.headers(), self.clock.now());
        match status {
            404 | 408 => Outcome::NotYet(status),
            429 => Outcome::Throttled { status, wait: wait() },
            503 => match wait() {
                None => Outcome::ServerError(status),
                wait => Outcome::Throttled { status, wait },
            },
            // OpenRouter says 403 in JSON; a web page is from what stands in front of it.
            403 if is_web_page(response) => Outcome::ServerError(status),
            401..=403 => Outcome::KeyRefused(status),
            300..=399 => Outcome::Refused { status, why: "redirect" },
            400 => Outcome::Refused { status, why: "bad_request" },
            _ if StatusCode::is_server_error(&response.status()) => Outcome::ServerError(status),
            _ => Outcome::Refused { status, why: "unexpected_status" },
        }
    }
}

/// What is at the bottom of an error: reqwest's own text only says "builder error".
fn innermost(error: &reqwest::Error) -> String {
    let mut bottom: &dyn std::error::Error = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    bottom.to_string()
}

fn is_web_page(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// The body, within its limit.
async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, Outcome> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                return Err(Outcome::Refused { status, why: "too_large" });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(e) if e.is_timeout() => return Err(Outcome::NoAnswer("stalled")),
            Err(_) => return Err(Outcome::NoAnswer("truncated")),
        }
    }
}

#[cfg(test)]
mod tests;
