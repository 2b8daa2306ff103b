//! The certificate that an address shows.

use super::Error;
use crate::{secret::Environment, sources::config::Tls};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{path::PathBuf, sync::Arc};
use tokio_rustls::TlsAcceptor;

/// Reads certificate and key.
pub(super) fn acceptor(config: &Tls, environment: &Environment) -> Result<TlsAcceptor, Error> {
    Ok(TlsAcceptor::from(Arc::new(server(config, environment)?)))
}

fn server(config: &Tls, environment: &Environment) -> Result<ServerConfig, Error> {
    let of_cert = |why: String| Error::Tls { path: config.cert.clone(), why };
    let chain = CertificateDer::pem_file_iter(&config.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| of_cert(e.to_string()))?;
    if chain.is_empty() {
        return Err(of_cert("it holds no certificate; expected PEM".into()));
    }
    let key = config.key.resolve(environment)?;
    // What the parser would say of a bad key could show parts of it.
    let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| Error::Tls {
        path: PathBuf::from(config.key.to_string()),
        why: "it holds no private key; expected PEM".into(),
    })?;
    let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| of_cert(e.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| of_cert(e.to_string()))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(server)
}
