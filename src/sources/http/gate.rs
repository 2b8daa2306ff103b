//! Who may come in: looked at before anything else of a request, its body above all.

use super::{Error, answer::Refused};
use crate::secret::{Environment, SecretRef};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tokio::sync::watch;

/// The header that every request must carry, and the digest of its value. Two digests take the same
/// time to compare whatever the lengths of what they are of.
#[derive(Clone)]
pub(super) enum Gate {
    Open,
    Header(HeaderName, [u8; 32]),
}

impl Gate {
    /// `Authorization: Bearer …`; open without a token.
    pub(super) fn bearer(
        token: Option<&SecretRef>,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let Some(reference) = token else { return Ok(Gate::Open) };
        Ok(Gate::Header(header::AUTHORIZATION, digest(reference, environment, b"Bearer ")?))
    }

    /// A header of its own.
    pub(super) fn header(
        name: &str,
        value: &SecretRef,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let name = HeaderName::try_from(name).map_err(|_| Error::NotAHeader(value.clone()))?;
        Ok(Gate::Header(name, digest(value, environment, b"")?))
    }

    /// Whether it lets everybody in.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Gate::Open)
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Gate::Header(name, expected) = self else { return true };
        let mut values = headers.get_all(name).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let value = value.as_bytes();
        // The scheme is written in any case (RFC 9110, 11.1).
        let plain = match value.split_at_checked(7) {
            Some((scheme, token))
                if *name == header::AUTHORIZATION && scheme.eq_ignore_ascii_case(b"Bearer ") =>
            {
                [b"Bearer ", token.trim_ascii()].concat()
            }
            _ => value.trim_ascii().to_vec(),
        };
        let given: [u8; 32] = Sha256::digest(&plain).into();
        given.ct_eq(expected).into()
    }
}

fn digest(
    reference: &SecretRef,
    environment: &Environment,
    scheme: &[u8],
) -> Result<[u8; 32], Error> {
    let secret = reference.resolve(environment)?;
    if HeaderValue::from_bytes(secret.expose()).is_err() {
        return Err(Error::NotAHeader(reference.clone()));
    }
    Ok(Sha256::new().chain_update(scheme).chain_update(secret.expose()).finalize().into())
}

/// Lets a request through to its route, or answers it.
pub(super) async fn keeper(
    State((gate, stop)): State<(Arc<Gate>, watch::Receiver<bool>)>,
    request: Request,
    next: Next,
) -> Response {
    if !gate.admits(request.headers()) {
        return Refused::Unauthorized.into_response();
    }
    if *stop.borrow() {
        return Refused::Draining.into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        [("T".to_owned(), "hunter2".to_owned()), ("BAD".to_owned(), "a\u{1}b".to_owned())]
            .into_iter()
            .collect()
    }

    fn request(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn only_the_very_token_opens() {
        let reference = SecretRef::Env("T".into());
        let gate = Gate::bearer(Some(&reference), &environment()).unwrap();
        assert!(gate.admits(&request(&[("authorization", "Bearer hunter2")])));
        assert!(gate.admits(&request(&[("authorization", "bearer hunter2 ")])));
        for wrong in ["Bearer hunter", "Bearer hunter22", "hunter2", "Basic hunter2", "Bearer ", ""]
        {
            assert!(!gate.admits(&request(&[("authorization", wrong)])), "{wrong}");
        }
        assert!(!gate.admits(&request(&[])));
        let twice = [("authorization", "Bearer hunter2"), ("authorization", "Bearer x")];
        assert!(!gate.admits(&request(&twice)));
    }

    #[test]
    fn a_header_of_its_own_opens() {
        let reference = SecretRef::Env("T".into());
        let gate = Gate::header("X-Audit", &reference, &environment()).unwrap();
        assert!(gate.admits(&request(&[("x-audit", "hunter2")])));
        assert!(!gate.admits(&request(&[("x-audit", "Bearer hunter2")])));
        assert!(!gate.admits(&request(&[("authorization", "Bearer hunter2")])));
        assert!(!gate.is_open());
    }

    #[test]
    fn what_no_header_can_carry_is_refused_at_the_start() {
        let bad = SecretRef::Env("BAD".into());
        assert!(matches!(Gate::bearer(Some(&bad), &environment()), Err(Error::NotAHeader(_))));
        assert!(Gate::bearer(None, &environment()).unwrap().admits(&request(&[])));
    }
}
