//! A stand-in for OpenRouter's API, for `veritail demo` and for tests: it listens on the loopback
//! address, answers each generation as its script says, and remembers what it was asked.
//!
//! It runs on a thread of its own, so that it serves synchronous and asynchronous callers alike and
//! stays up while the daemon beside it is killed. It holds no secret and asks nobody anything.

pub mod activity;
pub mod answers;
pub mod rows;
mod serve;

use axum::Router;
use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::oneshot;

/// Questions remembered; later ones are only counted.
const REMEMBERED: usize = 1 << 20;

/// One way to meet a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An HTTP answer.
    Reply(Reply),
    /// Takes the question and never answers.
    Hang,
    /// Answers 200 and the first half of this body, then falls silent with the connection open.
    Stall(String),
    /// Answers 200 and the first half of this body, then closes the connection.
    Cut(String),
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Headers besides those that every answer has.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// A JSON document with status 200.
    #[must_use]
    pub fn json(body: impl Into<String>) -> Reply {
        Reply::status(200, body).header("content-type", "application/json")
    }

    /// An error in OpenRouter's form.
    #[must_use]
    pub fn error(status: u16, message: &str) -> Reply {
        let body = serde_json::json!({ "error": { "code": status, "message": message } });
        Reply { status, ..Reply::json(body.to_string()) }
    }

    /// A body with no content type.
    #[must_use]
    pub fn status(status: u16, body: impl Into<String>) -> Reply {
        Reply { status, headers: Vec::new(), body: body.into() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<Reply> for Step {
    fn from(reply: Reply) -> Step {
        Step::Reply(reply)
    }
}

/// A question as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The generation id; empty when none was given.
    pub id: String,
    /// The key in its `Authorization` header.
    pub key: Option<String>,
    /// When.
    pub at: Instant,
}

/// Makes the script of a generation that has none.
type Otherwise = Box<dyn Fn(&str) -> Vec<Step> + Send>;

#[derive(Default)]
struct State {
    scripts: HashMap<String, (Vec<Step>, usize)>,
    otherwise: Option<Otherwise>,
    keys: BTreeMap<String, u16>,
    only_known_keys: bool,
    black_hole: bool,
    asked: Vec<Asked>,
    count: u64,
}

/// What the server's thread and its owner share.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running stand-in; stops when dropped.
pub struct StandIn {
    address: SocketAddr,
    shared: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl std::fmt::Debug for StandIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StandIn({})", self.address)
    }
}

impl StandIn {
    /// Starts one on a free port of 127.0.0.1. Until told otherwise it answers every question with
    /// 404, and accepts any key.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn start() -> io::Result<StandIn> {
        StandIn::start_with(Router::new())
    }

    /// [`StandIn::start`] with more routes under `/api/v1`; they must not include `/generation`.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn start_with(routes: Router) -> io::Result<StandIn> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Shared::default();
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let router = serve::router(shared.clone(), routes);
        let thread = std::thread::Builder::new().name("standin".into()).spawn(move || {
            // The runtime is dropped with whatever still hangs, so a stop waits for nobody.
            runtime.block_on(serve::until(stopped, listener, router));
        })?;
        Ok(StandIn { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The base URL to configure: `http://127.0.0.1:<port>/api/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// Meets questions about generation `id` with these steps, one after the other; the last one
    /// stays. Starts the script anew where there was one.
    pub fn script(&self, id: &str, steps: Vec<Step>) {
        self.shared.lock().scripts.insert(id.to_owned(), (steps, 0));
    }

    /// Makes the scripts of generations that have none. An empty one is a 404 for ever.
    pub fn otherwise(&self, script: impl Fn(&str) -> Vec<Step> + Send + 'static) {
        self.shared.lock().otherwise = Some(Box::new(script));
    }

    /// Accepts this key; from the first call on, keys that were not named are refused with 401.
    pub fn accept_key(&self, key: &str) {
        self.refuse_key(key, 200);
        self.shared.lock().only_known_keys = true;
    }

    /// Answers every question under this key with that status (401, 402, 403…); 200 lets it pass.
    pub fn refuse_key(&self, key: &str, status: u16) {
        self.shared.lock().keys.insert(key.to_owned(), status);
    }

    /// While `on`, takes every question and answers none.
    pub fn black_hole(&self, on: bool) {
        self.shared.lock().black_hole = on;
    }

    /// The questions about generations so far, in order; at most the first million.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.lock().asked.clone()
    }

    /// How many questions about generations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shared.lock().count
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed there; a drop must not add its own.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
