//! Records and traces over HTTP/1.1, plain or TLS.
//!
//! # Protocol
//! A source of type `http` serves `POST /v1/records` (records: NDJSON, a JSON array, or one object)
//! and `POST /v1/litellm` (LiteLLM's payloads, framed likewise); one of type `otlp` serves
//! `POST|PUT /v1/traces`. A body may be gzip. Nothing is sealed of a request before all of it was
//! read, and it is answered once, when all of it is synced: per record as on the unix socket
//! (`ack`/`quarantined`, `n` counting the request's records from 1), in the form of the request.
//! A record sent again under its `id` is answered with its first seal.
//!
//! | status | when | sealed |
//! |---|---|---|
//! | 200 | all records have their outcome | yes |
//! | 400 | the body as a whole cannot be read; its digest is quarantined | no record |
//! | 401 | wrong or no secret; told before the body is read | no |
//! | 413 | body or number of records past its limit | no |
//! | 415 | another content type or encoding | no |
//! | 429 | the ledger is behind and has no room; `Retry-After` | no |
//! | 503 | draining, or not synced in time; `Retry-After`, and send again under the same ids | maybe |
//!
//! What a connection, a body and a request may cost is bounded each: connections by
//! `max_connections`, bodies in memory by [`hand::BODIES`], records of a request by
//! [`hand::MOST_RECORDS`], and what waits for the ledger by its queue.

mod answer;
mod body;
mod gate;
mod hand;
mod records;
mod tls;
mod traces;

use super::{
    Closed,
    config::{Accept, Http, Otlp, Tls},
};
use crate::{
    intake::Intake,
    secret::{self, Environment, SecretRef},
};
use axum::{
    Extension, Router,
    extract::{Request, State},
    middleware,
    routing::{MethodRouter, post},
};
use gate::Gate;
use hand::Desk;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// Longest time for a TLS handshake, and for the head of a request.
const GREETING: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted: out of descriptors, most likely.
const BREATH: Duration = Duration::from_millis(200);

/// Why the address cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be had.
    #[error("cannot listen on {0}: {1}; is it in use, or not of this machine?")]
    Listen(SocketAddr, io::Error),
    /// The token or the header's value.
    #[error(transparent)]
    Secret(#[from] secret::Error),
    /// A secret that no header can carry.
    #[error("{0} holds a line end or another character that no header can carry")]
    NotAHeader(SecretRef),
    /// The certificate or its key.
    #[error("cannot use {path} for tls: {why}")]
    Tls {
        /// The file, or the reference.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// What the address takes.
#[derive(Clone, Copy, Debug)]
enum Takes {
    /// Records, each at most so long.
    Records { longest: usize },
    /// Traces.
    Traces(Accept),
}

/// A bound address.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    gate: Gate,
    takes: Takes,
    max_connections: usize,
    max_body: usize,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({:?})", self.takes)
    }
}

/// Settings common to both types.
struct Common<'a> {
    listen: SocketAddr,
    tls: Option<&'a Tls>,
    gate: Gate,
    max_connections: usize,
    max_body: u64,
}

impl Server {
    /// Binds an address for records. Must be called within the runtime.
    ///
    /// # Errors
    /// When the address, a secret or the certificate cannot be had.
    pub fn records(config: &Http, environment: &Environment) -> Result<Self, Error> {
        let gate = Gate::bearer(config.token.as_ref(), environment)?;
        let longest = usize::try_from(config.max_record.0).unwrap_or(usize::MAX);
        let common = Common {
            listen: config.listen,
            tls: config.tls.as_ref(),
            gate,
            max_connections: config.max_connections,
            max_body: config.max_body.0,
        };
        Server::new(common, Takes::Records { longest }, environment)
    }

    /// Binds an address for traces. Must be called within the runtime.
    ///
    /// # Errors
    /// When the address, a secret or the certificate cannot be had.
    pub fn traces(config: &Otlp, environment: &Environment) -> Result<Self, Error> {
        let gate = match &config.secret {
            Some(secret) => Gate::header(&secret.header, &secret.value, environment)?,
            None => Gate::bearer(config.token.as_ref(), environment)?,
        };
        let common = Common {
            listen: config.listen,
            tls: config.tls.as_ref(),
            gate,
            max_connections: config.max_connections,
            max_body: config.max_body.0,
        };
        Server::new(common, Takes::Traces(config.accept), environment)
    }

    fn new(common: Common<'_>, takes: Takes, environment: &Environment) -> Result<Self, Error> {
        let tls = common.tls.map(|tls| tls::acceptor(tls, environment)).transpose()?;
        let bind = || {
            let listener = std::net::TcpListener::bind(common.listen)?;
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let listener = bind().map_err(|e| Error::Listen(common.listen, e))?;
        Ok(Server {
            listener,
            tls,
            gate: common.gate,
            takes,
            max_connections: common.max_connections,
            max_body: usize::try_from(common.max_body).unwrap_or(usize::MAX),
        })
    }

    /// The address in use, the port chosen by the system included.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then answers what is under way.
    ///
    /// # Errors
    /// None; the signature is that of every source.
    pub async fn run(
        self,
        intake: impl Fn() -> Intake + Send + Sync + 'static,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Closed> {
        let routes = self.routes(intake, &stop);
        let places = Arc::new(Semaphore::new(self.max_connections));
        let mut connections = JoinSet::new();
        while !*stop.borrow() {
            tokio::select! {
                // The permit comes before the work: a connection too many waits in the kernel.
                accepted = accept(&self.listener, &places) => match accepted {
                    Ok((stream, peer, permit)) => {
                        let routes = routes.clone().layer(Extension(Peer(peer)));
                        let (tls, stop) = (self.tls.clone(), stop.clone());
                        connections.spawn(async move {
                            serve(stream, (tls, routes), stop).await;
                            drop(permit);
                        });
                    }
                    Err(e) => {
                        tracing::warn!(error = %e, "accept failed");
                        tokio::time::sleep(BREATH).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
        Ok(())
    }

    fn routes(
        &self,
        intake: impl Fn() -> Intake + Send + Sync + 'static,
        stop: &watch::Receiver<bool>,
    ) -> Router {
        let desk = Arc::new(Desk::new(intake, self.max_body, stop.clone()));
        let doors = (Arc::new(self.gate.clone()), stop.clone());
        let routes = match self.takes {
            Takes::Records { longest } => Router::new()
                .route("/v1/records", records::native(longest))
                .route("/v1/litellm", records::litellm(longest)),
            Takes::Traces(accept) => {
                let accept = (accept, self.gate.is_open());
                let take =
                    move |desk: State<Arc<Desk>>, peer: Extension<Peer>, request: Request| {
                        traces::take(desk, peer, (accept, request))
                    };
                let both: MethodRouter<Arc<Desk>> = post(take).put(take);
                Router::new().route("/v1/traces", both)
            }
        };
        routes.with_state(desk).layer(middleware::from_fn_with_state(doors, gate::keeper))
    }
}

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
struct Peer(IpAddr);

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let permit = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer.ip().to_canonical(), permit))
}

async fn serve(
    stream: TcpStream,
    (tls, routes): (Option<TlsAcceptor>, Router),
    stop: watch::Receiver<bool>,
) {
    let Some(tls) = tls else { return speak(stream, routes, stop).await };
    match tokio::time::timeout(GREETING, tls.accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, routes, stop).await,
        Ok(Err(e)) => tracing::debug!(error = %e, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// One connection, request after request; at a stop the one under way is the last.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Router,
    mut stop: watch::Receiver<bool>,
) {
    let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(GREETING);
    let service = TowerToHyperService::new(routes);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    // An error means that nobody can ask for the stop any more: stop.
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    let done = tokio::select! {
        done = connection.as_mut() => done,
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(e) = done {
        tracing::debug!(error = %e, "a connection broke off");
    }
}
