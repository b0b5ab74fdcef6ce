//! The one TLS configuration that all connections of a run share.

use std::sync::Arc;

use reqwest::Url;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::client::ClientError;
use crate::scenario::{ConnectionOptions, HttpVersion, Proxy, TlsOptions, Verification};

/// Prepares TLS for connections to `url`. Where neither it nor the proxy is `https`, no root certificate is loaded.
///
/// # Errors
/// When nobody would be trusted, or the TLS library refuses its configuration.
pub(super) fn configuration(options: &ConnectionOptions, url: &Url) -> Result<ClientConfig, ClientError> {
    let is_used = url.scheme() == "https" || options.proxy.as_ref().is_some_and(Proxy::is_encrypted);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Tls(error.to_string()))?;
    let TlsOptions { authority, client, verification } = &options.tls;
    let own = authority.iter().flat_map(|authority| authority.certificates.iter().cloned());
    let builder = match verification {
        Verification::Full => builder.with_root_certificates(roots(own.collect(), is_used)?),
        Verification::None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Believe(provider))),
    };
    let mut configuration = match client {
        Some(client) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(client.certified.clone()))),
        None => builder.with_no_client_auth(),
    };
    configuration.alpn_protocols = vec![match options.http {
        HttpVersion::Http1 => b"http/1.1".to_vec(),
        HttpVersion::Http2 => b"h2".to_vec(),
    }];
    Ok(configuration)
}

/// The scenario's own authority beside the machine's: logins may go to a server of the public, while the target is one of
/// a test. A machine without any is no mistake where the scenario brings its own.
fn roots(own: Vec<CertificateDer<'static>>, is_used: bool) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    if is_used {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        // The loader has tried each of them.
        roots.add_parsable_certificates(own);
        if roots.is_empty() {
            let why = found.errors.first().map_or_else(|| "no root certificate found".to_owned(), ToString::to_string);
            return Err(ClientError::Tls(why));
        }
    }
    Ok(roots)
}

/// Takes every server for the one that it says it is.
#[derive(Debug)]
struct Believe(Arc<CryptoProvider>);

impl ServerCertVerifier for Believe {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
