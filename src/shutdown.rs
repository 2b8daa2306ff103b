//! Signals → events, and what systemd wants to hear.

use crate::clock;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{
    io,
    os::{linux::net::SocketAddrExt, unix::net::UnixDatagram},
    time::Duration,
};
use tokio::sync::mpsc;

/// What an operator or the system asks of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// SIGTERM, or the first SIGINT: drain within the deadline.
    Stop,
    /// A second SIGINT: stop at once.
    Now,
    /// SIGHUP: read the config again.
    Reload,
}

/// Events wait here while the daemon is busy with an earlier one; more than that are repetitions.
const EVENTS: usize = 8;

/// Starts listening for signals, on a thread of its own.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn events() -> io::Result<mpsc::Receiver<Event>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let (sender, receiver) = mpsc::channel(EVENTS);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut interrupted = false;
        for signal in signals.forever() {
            let event = match signal {
                SIGHUP => Event::Reload,
                SIGINT if interrupted => Event::Now,
                _ => Event::Stop,
            };
            interrupted |= signal == SIGINT;
            if sender.blocking_send(event).is_err() {
                break;
            }
        }
    })?;
    Ok(receiver)
}

/// The notification socket of systemd, when there is one (sd_notify(3)).
#[derive(Debug)]
pub struct Systemd {
    socket: Option<(UnixDatagram, std::os::unix::net::SocketAddr)>,
    /// Interval at which the watchdog wants to be fed: half of what it allows.
    pub watchdog: Option<Duration>,
}

impl Systemd {
    /// Finds the socket and the watchdog in the environment.
    #[must_use]
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let address = variable("NOTIFY_SOCKET").and_then(|path| match path.strip_prefix('@') {
            Some(name) => std::os::unix::net::SocketAddr::from_abstract_name(name).ok(),
            None => std::os::unix::net::SocketAddr::from_pathname(path).ok(),
        });
        let socket = address.and_then(|to| Some((UnixDatagram::unbound().ok()?, to)));
        let for_us =
            variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = variable("WATCHDOG_USEC")
            .and_then(|micros| micros.parse().ok())
            .filter(|_| for_us)
            .map(|micros: u64| Duration::from_micros(micros / 2));
        Systemd { socket, watchdog }
    }

    /// Tells systemd; nothing happens where there is none, or where it does not listen.
    pub fn tell(&self, state: &str) {
        if let Some((socket, to)) = &self.socket
            && let Err(e) = socket.send_to_addr(state.as_bytes(), to)
        {
            tracing::debug!(error = %e, "systemd does not listen");
        }
    }

    /// Tells that a reload began, with the time that `Type=notify-reload` wants.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }
}

/// A point in time after which nobody waits any more.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(std::time::Instant);

impl Deadline {
    /// That long from now.
    #[must_use]
    pub fn after(how_long: Duration) -> Self {
        Deadline(clock::monotonic() + how_long)
    }

    /// What is left of it; zero when it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(clock::monotonic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_told_through_its_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let variable = |name: &str| match name {
            "NOTIFY_SOCKET" => Some(path.display().to_string()),
            "WATCHDOG_USEC" => Some("30000000".into()),
            _ => None,
        };
        let systemd = Systemd::new(variable);
        assert_eq!(systemd.watchdog, Some(Duration::from_secs(15)));
        systemd.tell("READY=1");
        let mut heard = [0; 64];
        let length = listener.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"READY=1");
        let other = Systemd::new(|name| (name == "WATCHDOG_PID").then(|| "1".to_owned()));
        other.tell("READY=1");
        assert_eq!(other.watchdog, None);
    }
}
