//! Sources: where records come in.
pub mod config;
pub mod file;
pub mod http;
pub mod lines;
pub mod litellm;
pub mod otlp;
mod reply;
mod shape;
pub mod stdin;
pub mod unix;

use crate::{clock::Micros, intake::Intake, record::Position, secret::Environment, stop::Stop};
pub use crate::{intake::Output, record::Closed};
use config::{Config, Kind};
use tokio::{sync::watch, task::JoinSet};

/// Why a source cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file source.
    #[error("source {0}: {1}")]
    File(String, file::Error),
    /// A unix socket.
    #[error("source {0}: {1}")]
    Unix(String, unix::Error),
    /// An HTTP address.
    #[error("source {0}: {1}")]
    Http(String, http::Error),
}

/// Where the last run left off.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// How far each of the source's files was sealed.
    pub positions: Vec<Position>,
    /// When the ledger's last entry was sealed; `None` when there was no run before.
    pub at: Option<Micros>,
}

/// A source that runs.
#[derive(Debug)]
pub struct Running {
    /// Its settings.
    pub config: Config,
    flag: watch::Sender<bool>,
    bell: Stop,
}

impl Running {
    /// Asks it to read what is there and to end.
    pub fn stop(&self) {
        self.flag.send_replace(true);
        self.bell.stop();
    }
}

/// Opens a source and runs it in `tasks`; its task returns the source's name when it ends.
/// `left` says where its files were left, `environment` has what its secrets need; `intake` makes a
/// way in for each reader.
///
/// # Errors
/// When the source cannot be opened.
pub fn start(
    config: &Config,
    (left, environment): (Left, &Environment),
    intake: impl Fn() -> Intake + Send + Sync + 'static,
    tasks: &mut JoinSet<String>,
) -> Result<Running, Error> {
    let (flag, stopped) = watch::channel(false);
    let bell = Stop::default();
    let name = config.name.clone();
    match config.kind.clone() {
        Kind::File(kind) => {
            let mut way = intake();
            let mut files = file::Files::new(&name, &kind, left.positions)
                .map_err(|e| Error::File(name.clone(), e))?;
            if let Some(at) = left.at {
                files.left_at(at);
            }
            files.look(&mut way).map_err(|e| Error::File(name.clone(), e))?;
            let stop = bell.clone();
            tasks.spawn_blocking(move || {
                if let Err(e) = files.run(&mut way, &stop) {
                    tracing::debug!(source = name, error = %e, "the source breaks off");
                }
                name
            });
        }
        Kind::Unix(kind) => {
            let socket = unix::Socket::new(&kind).map_err(|e| Error::Unix(name.clone(), e))?;
            tasks.spawn(async move {
                if let Err(e) = socket.run(intake, stopped).await {
                    tracing::debug!(source = name, error = %e, "the source breaks off");
                }
                name
            });
        }
        Kind::Stdin(kind) => {
            let stop = bell.clone();
            tasks.spawn_blocking(move || {
                if let Err(e) = stdin::run(&kind, intake(), &stop) {
                    tracing::debug!(source = name, error = %e, "the source breaks off");
                }
                name
            });
        }
        Kind::Http(kind) => {
            let server = http::Server::records(&kind, environment);
            serve(server, (name, intake), stopped, tasks)?;
        }
        Kind::Otlp(kind) => {
            let server = http::Server::traces(&kind, environment);
            serve(server, (name, intake), stopped, tasks)?;
        }
    }
    Ok(Running { config: config.clone(), flag, bell })
}

fn serve(
    server: Result<http::Server, http::Error>,
    (name, intake): (String, impl Fn() -> Intake + Send + Sync + 'static),
    stopped: watch::Receiver<bool>,
    tasks: &mut JoinSet<String>,
) -> Result<(), Error> {
    let server = server.map_err(|e| Error::Http(name.clone(), e))?;
    if let Ok(address) = server.address() {
        tracing::info!(source = name, %address, "listening");
    }
    tasks.spawn(async move {
        if let Err(e) = server.run(intake, stopped).await {
            tracing::debug!(source = name, error = %e, "the source breaks off");
        }
        name
    });
    Ok(())
}
