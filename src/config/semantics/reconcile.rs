//! What the reconciliation's values mean.

use super::{Check, millis, seconds};
use crate::reconcile::config::Config;

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
        self.base_url("reconcile.base_url", base_url);
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
