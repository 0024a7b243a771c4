//! TLS by rustls, from the PEM files that the settings name.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Error;

/// Reads the certificate chain and its key.
///
/// # Errors
/// Names the setting whose file can't be used.
pub(crate) fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, Error> {
    let broken = |setting: &str, file: &Path, e: &dyn std::fmt::Display| {
        Error::unusable(&format!("server.tls.{setting}"), format_args!("{}: {e}", file.display()))
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| broken("cert", cert, &e))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| broken("key", key, &e))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|e| broken("cert", cert, &e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
