//! Which key asks for which call, and where.

use super::{answer::Call, config::Config, key};
use crate::{
    entry::Policy,
    secret::{Environment, Error, Secret},
};
use std::collections::HashMap;

/// The keys, the addresses, and all pairs of them: the lanes.
#[derive(Debug)]
pub(super) struct Keyring {
    /// The default key first.
    keys: Vec<Named>,
    /// The default address first.
    urls: Vec<String>,
    /// Address by source.
    sources: HashMap<String, usize>,
}

#[derive(Debug)]
struct Named {
    name: String,
    fingerprint: String,
    secret: Secret,
}

impl Keyring {
    /// Fetches the keys.
    ///
    /// # Errors
    /// When one is not to be had.
    pub(super) fn new(
        config: &Config,
        environment: &Environment,
        policy: &Policy,
    ) -> Result<Self, Error> {
        let more = config.key.iter().map(|key| (key.name.clone(), &key.api_key));
        let keys = std::iter::once(("default".to_owned(), &config.api_key))
            .chain(more)
            .map(|(name, reference)| {
                let secret = reference.resolve(environment)?;
                Ok(Named { name, fingerprint: key::fingerprint(policy, &secret), secret })
            })
            .collect::<Result<_, Error>>()?;
        let mut urls = vec![config.base_url.clone()];
        let mut sources = HashMap::new();
        for source in &config.source {
            let known = urls.iter().position(|url| *url == source.base_url);
            sources.insert(source.name.clone(), known.unwrap_or(urls.len()));
            if known.is_none() {
                urls.push(source.base_url.clone());
            }
        }
        Ok(Keyring { keys, urls, sources })
    }

    /// How many lanes there are.
    pub(super) fn lanes(&self) -> usize {
        self.keys.len() * self.urls.len()
    }

    /// The lane of a call: the key it names, else the key whose fingerprint it has, else the default
    /// one; the address of its source, else the default one.
    pub(super) fn lane(&self, call: &Call) -> usize {
        let named = call.api_key_name.as_ref().and_then(|name| {
            // The default key has no name that a record could use.
            self.keys.iter().skip(1).position(|key| key.name == *name).map(|at| at + 1)
        });
        let known = || {
            let print = call.api_key.as_ref()?;
            self.keys.iter().position(|key| key.fingerprint == *print)
        };
        let key = named.or_else(known).unwrap_or(0);
        let url = call.source.as_ref().and_then(|source| self.sources.get(source)).unwrap_or(&0);
        key * self.urls.len() + url
    }

    /// Address and key of a lane.
    pub(super) fn at(&self, lane: usize) -> Option<(&str, &Secret)> {
        let url = self.urls.get(lane % self.urls.len())?;
        Some((url, &self.keys.get(lane / self.urls.len())?.secret))
    }

    /// Name of a lane's key, and its address, for people.
    pub(super) fn name(&self, lane: usize) -> (&str, &str) {
        let key = self.keys.get(lane / self.urls.len()).map_or("", |key| &key.name);
        (key, self.urls.get(lane % self.urls.len()).map_or("", String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        enrich::config::{Key, Source},
        redact::{Redactor, config as redact},
        secret::SecretRef,
    };

    #[test]
    fn a_call_finds_its_key_and_its_address() {
        let names = ["ONE", "TWO", "THREE"];
        let environment: Environment =
            names.iter().map(|name| ((*name).to_owned(), format!("sk-{name}"))).collect();
        let reference = |name: &str| SecretRef::Env(name.to_owned());
        let config: Config = Config {
            key: vec![
                Key { name: "team".into(), api_key: reference("TWO") },
                Key { name: "batch".into(), api_key: reference("THREE") },
            ],
            source: vec![
                Source { name: "eu-app".into(), base_url: "https://eu".into() },
                Source { name: "eu-jobs".into(), base_url: "https://eu".into() },
            ],
            ..toml::from_str("api_key = { env = \"ONE\" }\nbase_url = \"https://all\"").unwrap()
        };
        let redactor = Redactor::new(&redact::Config::default()).unwrap();
        let policy = Policy::new(redactor, Default::default(), &[7; 32]);
        let ring = Keyring::new(&config, &environment, &policy).unwrap();
        assert_eq!(ring.lanes(), 6);
        let of = |call: &Call| {
            let (url, key) = ring.at(ring.lane(call)).unwrap();
            format!("{url} {}", String::from_utf8_lossy(key.expose()))
        };
        let call = Call::default();
        assert_eq!(of(&call), "https://all sk-ONE");
        let named = Call { api_key_name: Some("team".into()), ..call.clone() };
        assert_eq!(of(&named), "https://all sk-TWO");
        let secret = reference("THREE").resolve(&environment).unwrap();
        let carried = Call { api_key: Some(key::fingerprint(&policy, &secret)), ..call.clone() };
        assert_eq!(of(&carried), "https://all sk-THREE");
        let source = Some("eu-jobs".to_owned());
        let unknown = Call { api_key_name: Some("default".into()), source, ..carried };
        assert_eq!(of(&unknown), "https://eu sk-THREE");
        assert!(!format!("{ring:?}").contains("sk-"), "{ring:?}");
        assert_eq!(ring.name(3), ("team", "https://eu"));
    }
}
