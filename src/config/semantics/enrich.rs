//! What the settings of enrichment mean.

use super::{Check, millis, seconds};
use crate::{enrich::config::Config, sources};

impl Check<'_> {
    pub(super) fn enrich(&mut self, config: &Config, sources: &[(usize, sources::config::Config)]) {
        self.base_url("enrich.base_url", &config.base_url);
        for (path, reference) in config.references() {
            self.reference(&path, Some(reference));
        }
        self.range("enrich.concurrency", config.concurrency, 1..=64);
        self.range("enrich.rate", config.rate, 1..=1_000);
        self.range("enrich.timeout", config.timeout, millis(100)..=seconds(60));
        self.range("enrich.first_try", config.first_try, millis(1)..=seconds(3_600));
        let month = seconds(30 * 86_400);
        self.range("enrich.give_up_after", config.give_up_after, millis(100)..=month);
        for (index, key) in config.key.iter().enumerate() {
            let path = format!("enrich.key[{index}].name");
            self.name(&path, &key.name);
            if config.key.iter().take(index).any(|other| other.name == key.name) {
                self.wrong(&path, "is the name of another key; a record could not tell them apart");
            }
        }
        for (index, source) in config.source.iter().enumerate() {
            let path = format!("enrich.source[{index}]");
            self.base_url(&format!("{path}.base_url"), &source.base_url);
            let path = format!("{path}.name");
            if !sources.iter().any(|(_, known)| known.name == source.name) {
                self.wrong(&path, "is not the name of a [[source]]; use one that is");
            } else if config.source.iter().take(index).any(|other| other.name == source.name) {
                self.wrong(&path, "was given an address already; remove one of the two");
            }
        }
    }

    /// Refuses an address that cannot be asked, or on whose way others could read the key. What is
    /// refused is not shown: it may hold a password.
    pub(super) fn base_url(&mut self, path: &str, url: &str) {
        let Some((is_secure, host)) = host(url) else {
            let message = "is not a base address; expected https://host/path without user, query \
                and fragment, such as \"https://openrouter.ai/api/v1\"";
            return self.wrong(path, message);
        };
        let is_here = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        if !is_secure && !is_here {
            let message = "would send the key unencrypted; use https://, plain http:// is for this \
                machine alone";
            self.wrong(path, message);
        }
    }
}

/// Whether a URL is secure, and its host, without the port.
fn host(url: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let is_secure = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || "@?#\\".contains(c);
    if rest.contains(odd) {
        return None;
    }
    let authority = rest.split('/').next()?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            port.parse::<u16>().ok()?;
            host
        }
        _ => authority,
    };
    (!host.is_empty()).then_some((is_secure, host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_and_odd_addresses_are_not() {
        for (url, expected) in [
            ("https://openrouter.ai/api/v1", Some((true, "openrouter.ai"))),
            ("http://127.0.0.1:8080/api", Some((false, "127.0.0.1"))),
            ("http://[::1]:8080", Some((false, "[::1]"))),
            ("http://[::1]", Some((false, "[::1]"))),
            ("https://user:secret@host/", None),
            ("https://host/?id=", None),
            ("https://host:port/", None),
            ("https://", None),
            ("ftp://host", None),
            ("host/api", None),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
    }
}
