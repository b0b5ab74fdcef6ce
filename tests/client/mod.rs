//! A client of somebody else's making, which knows nothing of ours.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "a module of several tests, which fail by panicking")]

/// A client without a proxy. It trusts no certificates, and needs none for a server on this machine.
pub fn client() -> reqwest::Client {
    let provider = rustls::crypto::ring::default_provider();
    let tls = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap()
}
