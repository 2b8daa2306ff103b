//! The admin address: `/healthz` (alive), `/readyz` (accepting), `/metrics` (Prometheus text).

use super::Health;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use std::{net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, sync::watch};

/// A bound admin address.
#[derive(Debug)]
pub struct Admin(TcpListener);

impl Admin {
    /// Binds the address.
    ///
    /// # Errors
    /// As the operating system says.
    pub async fn new(listen: SocketAddr) -> std::io::Result<Self> {
        TcpListener::bind(listen).await.map(Admin)
    }

    /// The address in use, the port chosen by the system included.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Serves until `stop`.
    ///
    /// # Errors
    /// As the operating system says.
    pub async fn run(
        self,
        health: Arc<Health>,
        mut stop: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        let routes = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(health);
        axum::serve(self.0, routes)
            .with_graceful_shutdown(async move {
                // An error means that nobody can ask for the stop any more: stop.
                let _ = stop.wait_for(|stop| *stop).await;
            })
            .await
    }
}

fn answer(problem: Option<String>) -> impl IntoResponse {
    match problem {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
    }
}

async fn healthz(State(health): State<Arc<Health>>) -> impl IntoResponse {
    answer(health.stuck())
}

async fn readyz(State(health): State<Arc<Health>>) -> impl IntoResponse {
    answer(health.not_ready())
}

async fn metrics(State(health): State<Arc<Health>>) -> impl IntoResponse {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], health.metrics())
}
