//! What the reconciliation's values mean.

use super::{Check, millis, seconds};
use crate::reconcile::config::Config;
use std::net::IpAddr;

impl Check<'_> {
    pub(super) fn reconcile(&mut self, config: &Config) {
        let Config {
            management_key,
            base_url,
            every,
            settle,
            timeout,
            api_key_hashes,
            workspace_id,
        } = config;
        self.reference("reconcile.management_key", Some(management_key));
        if let Err(why) = usable(base_url) {
            self.wrong("reconcile.base_url", why);
        }
        if let Some(every) = every {
            self.range("reconcile.every", *every, seconds(1)..=seconds(30 * 86_400));
        }
        self.range("reconcile.settle", *settle, millis(0)..=seconds(12 * 3600));
        self.range("reconcile.timeout", *timeout, seconds(1)..=seconds(600));
        for (item, hash) in api_key_hashes.iter().enumerate() {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if hash.len() != 64 || !hash.bytes().all(hex) {
                let message = "is not the hash of an API key; expected 64 digits 0-9 a-f, as \
                    OpenRouter lists them under /keys; never the key itself";
                self.wrong(&format!("reconcile.api_key_hashes[{item}]"), message);
            }
        }
        if let Some(id) = workspace_id
            && (id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        {
            let message = "is not the id of a workspace; expected letters, digits and -";
            self.wrong("reconcile.workspace_id", message);
        }
    }
}

/// Whether keys may be sent there: over TLS, or to this machine. A user name in it would be a secret
/// in the config.
fn usable(base_url: &str) -> Result<(), &'static str> {
    let (secure, rest) = match base_url.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => return Err("is not an address; expected https://…/api/v1"),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("has a user name in it; leave it out");
    }
    if rest.contains(['?', '#']) || !rest.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("has more than a host and a path; expected https://…/api/v1");
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let loopback =
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match host {
        "" => Err("names no host; expected https://…/api/v1"),
        _ if !secure && !loopback => Err("would send the key in clear; use https://"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_over_tls_or_stays_on_the_machine() {
        for good in [
            "https://openrouter.ai/api/v1",
            "https://eu.openrouter.ai/api/v1/",
            "http://127.0.0.1:8080",
            "http://[::1]:80/api/v1",
            "http://localhost:1",
        ] {
            assert_eq!(usable(good), Ok(()), "{good}");
        }
        for bad in [
            "openrouter.ai",
            "ftp://openrouter.ai",
            "https://",
            "http://openrouter.ai/api/v1",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1@example.com",
            "https://user:hunter2@openrouter.ai",
            "https://openrouter.ai/api/v1?x=1",
            "https://openrouter.ai/a b",
        ] {
            assert!(usable(bad).is_err(), "{bad}");
        }
    }
}
