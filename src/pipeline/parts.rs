//! What the pipeline makes of a config before anything moves.

use super::Error;
use crate::{
    config::Config,
    enrich::{self, Settings},
    entry::{Policies, Policy},
    ledger::{Ledger, Recovered, Start, keys::Given},
    redact::Redactor,
    secret::{self, SecretRef},
    telemetry::{Health, http::Admin},
};
use std::sync::Arc;
use tokio::{sync::watch, task::JoinSet};

/// Says in the log what the ledger was found to be.
pub(super) fn announce(ledger: &Ledger, recovered: &Recovered, config: &Config) {
    let dir = config.ledger.dir.display();
    if recovered.is_new {
        tracing::info!(%dir, stream = ledger.stream(), vkey = ledger.vkey(),
            "new ledger; give the public key to your auditor");
    } else {
        tracing::info!(%dir, stream = ledger.stream(), "ledger opened");
    }
    if let Some(torn) = &recovered.torn {
        tracing::warn!(
            bytes = torn.bytes,
            copy = torn.file,
            "the last run ended in the middle of a line; it was cut, kept and sealed as recovery"
        );
    }
}

/// The keys that the config or systemd provides.
pub(super) fn given(config: &Config) -> Result<Given, Error> {
    let key = |reference: &Option<SecretRef>, name: &str| {
        let credential = std::env::var_os(secret::CREDENTIALS)
            .filter(|dir| std::path::Path::new(dir).join(name).exists())
            .map(|_| SecretRef::Credential(name.to_owned()));
        match reference.clone().or(credential) {
            None => Ok(None),
            Some(SecretRef::Env(variable)) => {
                tracing::warn!(
                    variable,
                    "a key in the environment can be read by every process \
                    of this user; a file or a systemd credential is better"
                );
                SecretRef::Env(variable).resolve_key(&config.environment).map(|key| Some(*key))
            }
            Some(reference) => {
                let environment = match &reference {
                    SecretRef::Credential(_) => secret::Environment::of_process(),
                    _ => config.environment.clone(),
                };
                reference.resolve_key(&environment).map(|key| Some(*key))
            }
        }
    };
    Ok(Given {
        mac: key(&config.ledger.mac_key, "mac.key")?,
        signing: key(&config.ledger.signing_key, "signing.key")?,
    })
}

/// What is kept of records, under the ledger's keys.
pub(super) fn policy(config: &Config, master: &[u8; 32]) -> Result<Policy, Error> {
    let redactor = Redactor::new(&config.redact).map_err(Error::Redact)?;
    Ok(Policy::new(redactor, (config.redact.content, config.redact.hash), master))
}

/// What enrichment is to do, where it is to do anything.
pub(super) fn settings(
    config: &Config,
    policy: &Policy,
) -> Result<Option<Settings>, enrich::Error> {
    let new = |enrich| Settings::new(enrich, &config.environment, policy);
    config.enrich.as_ref().map(new).transpose()
}

/// What a start or a reload is sealed with.
pub(super) fn start(config: &Config, policies: &Policies) -> Start {
    Start {
        config_hash: const_hex::encode(config.hash),
        policy_hash: const_hex::encode(policies.get().redactor.policy()),
    }
}

/// Binds the admin address, where there is one, and serves it.
pub(super) async fn admin(
    config: &Config,
    health: &Arc<Health>,
) -> Result<(watch::Sender<bool>, JoinSet<std::io::Result<()>>), Error> {
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    if let Some(listen) = config.admin.listen {
        let bound = async {
            let admin = Admin::new(listen).await?;
            tracing::info!(address = %admin.address()?, "admin address");
            Ok(admin)
        };
        let admin = bound.await.map_err(|e| Error::System("listen on admin.listen", e))?;
        tasks.spawn(admin.run(health.clone(), stopped));
    }
    Ok((stop, tasks))
}
