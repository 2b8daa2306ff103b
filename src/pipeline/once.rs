//! Seals one entry into a ledger that no daemon writes: the ledger is opened, started, told and
//! stopped through the same code as on every other day.

use super::{Error, announce, given, policy, start};
use crate::{
    clock::Clock,
    config::Config,
    disk::Disk,
    entry::Policies,
    ledger::Ledger,
    queue::{self, Message},
};
use tokio::sync::oneshot;

/// Seals `body`; when it returns, the entry is durable.
///
/// # Errors
/// When a daemon has the ledger, when keys are missing, or when the disk refuses.
pub fn seal(config: &Config, body: Vec<u8>) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|e| Error::System("start a runtime", e))?;
    let doors = (Disk::from_environment(), Clock::System);
    let (ledger, recovered) = Ledger::open(&config.ledger, &given(config)?, doors)?;
    announce(&ledger, &recovered, config);
    let policies = Policies::new(policy(config, ledger.master())?);
    let (queue, messages) = queue::bounded(config.ledger.queue_size.0, runtime.handle().clone());
    for message in [Message::Control(body), Message::Stop] {
        queue.tell(message).map_err(|_| Error::NotDurable)?;
    }
    // Nobody waits for the start: the end is waited for.
    let (ready, _) = oneshot::channel();
    ledger.run(&start(config, &policies), (queue, &messages), ready)?;
    Ok(())
}
