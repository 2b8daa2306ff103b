//! What is told of an API key: its fingerprint, never itself.

use crate::{
    entry::{self, Policy},
    secret::Secret,
};
use reqwest::header::HeaderValue;

/// The fingerprint that an entry has in `api_key` where the call was made with this key.
#[must_use]
pub fn fingerprint(policy: &Policy, key: &Secret) -> String {
    entry::fingerprint(policy, key.expose())
}

/// The value of the `Authorization` header, marked so that nothing prints it; `None` when the key
/// has bytes that no header can carry.
pub(super) fn bearer(key: &Secret) -> Option<HeaderValue> {
    let mut plain = zeroize::Zeroizing::new(b"Bearer ".to_vec());
    plain.extend_from_slice(key.expose());
    let mut value = HeaderValue::from_bytes(&plain).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Environment, SecretRef};

    fn secret(value: &str) -> Secret {
        let environment: Environment = [("K".to_owned(), value.to_owned())].into_iter().collect();
        SecretRef::Env("K".into()).resolve(&environment).unwrap()
    }

    #[test]
    fn a_header_shows_no_key() {
        let value = bearer(&secret("sk-or-v1-abc")).unwrap();
        assert!(!format!("{value:?}").contains("sk-or"));
        assert_eq!(value.as_bytes(), b"Bearer sk-or-v1-abc");
        assert!(bearer(&secret("two\nlines")).is_none());
    }
}
