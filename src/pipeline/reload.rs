//! A config that is read again while the daemon runs: taken as a whole, or not at all.

use super::{Daemon, Error, Reload, policy, settings, start};
use crate::{config::Config, ledger, queue::Message, sources::Running};
use std::sync::{Arc, atomic::Ordering};
use tokio::sync::oneshot;

impl Daemon {
    /// Reads the config again: refused as a whole when anything in it is wrong or cannot change
    /// while the daemon runs.
    pub(super) async fn reload(&mut self, reload: &Reload<'_>) {
        self.systemd.reloading();
        match self.try_reload(reload).await {
            Ok(()) => {
                self.health.reloads.fetch_add(1, Ordering::Relaxed);
                tracing::info!("config read again and in force");
            }
            Err(problems) => {
                self.health.refused_reloads.fetch_add(1, Ordering::Relaxed);
                for problem in problems {
                    tracing::error!(problem, "config refused; the old one stays in force");
                }
            }
        }
        self.systemd.tell("READY=1");
    }

    async fn try_reload(&mut self, reload: &Reload<'_>) -> Result<(), Vec<String>> {
        let new =
            reload().map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let fixed = [
            ("[ledger]", new.ledger == self.config.ledger),
            ("[admin]", new.admin == self.config.admin),
            ("[log]", new.log == self.config.log),
        ];
        let changed: Vec<String> = fixed
            .iter()
            .filter(|(_, same)| !same)
            .map(|(section, _)| {
                format!("{section} cannot change while the daemon runs: restart it")
            })
            .collect();
        if !changed.is_empty() {
            return Err(changed);
        }
        let policy = policy(&new, &self.master).map_err(|e| vec![e.to_string()])?;
        let settings = settings(&new, &policy).map_err(|e| vec![e.to_string()])?;
        let before = self.policies.get();
        self.policies.set(Arc::new(policy));
        if let Err(e) = self.swap_sources(&new).await {
            self.policies.set(before);
            let old = self.config.clone();
            if let Err(e) = self.swap_sources(&old).await {
                tracing::error!(error = %e, "a source of the old config cannot be opened again");
            }
            return Err(vec![e.to_string()]);
        }
        self.enrich(settings).map_err(|e| vec![e.to_string()])?;
        let same =
            new.reconcile == self.config.reconcile && new.environment == self.config.environment;
        self.config = new;
        if !same {
            self.reconciler.stop();
            self.reconciler.ended().await;
            self.reconcile();
        }
        let body = ledger::config_reload(&start(&self.config, &self.policies));
        self.queue.tell(Message::Control(body)).map_err(|e| vec![e.to_string()])
    }

    /// Ends the sources that are gone or changed, then starts the changed and the new ones where the
    /// ended ones left off.
    async fn swap_sources(&mut self, new: &Config) -> Result<(), Error> {
        let (kept, ended): (Vec<Running>, Vec<Running>) = std::mem::take(&mut self.sources)
            .into_iter()
            .partition(|running| new.sources.contains(&running.config));
        self.sources = kept;
        let mut waiting = ended.len();
        for running in &ended {
            running.stop();
        }
        while waiting > 0
            && let Some(done) = self.tasks.join_next().await
        {
            waiting -= usize::from(
                done.is_ok_and(|name| ended.iter().any(|running| running.config.name == name)),
            );
        }
        let (ask, answer) = oneshot::channel();
        if self.queue.tell(Message::Positions(ask)).is_err() {
            return Ok(());
        }
        let positions = answer.await.unwrap_or_default();
        let starting: Vec<_> = new
            .sources
            .iter()
            .filter(|config| !self.sources.iter().any(|running| running.config == **config))
            .cloned()
            .collect();
        for config in starting {
            self.open(&config, (&positions, None), &new.environment)?;
        }
        Ok(())
    }
}
