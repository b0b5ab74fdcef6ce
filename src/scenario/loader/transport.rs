//! `[target.connection]`: how connections to the target are made.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, RootCertStore};
use url::{Host, Url};

use super::address::{need_permission, need_permission_for, server};
use super::tree::{Field, Table};
use crate::scenario::transport::{
    Authority, ClientCertificate, Compression, ConnectionOptions, HttpVersion, Proxy, TlsOptions, Verification,
};
use crate::scenario::{Auth, Endpoint, Secret};

const KEYS: [&str; 7] = ["tls", "http", "proxy", "resolve", "source_addresses", "compression", "connect_timeout"];

/// What the embedded simulator, which speaks HTTP/1.1 without TLS to this process alone, has no use for.
const NOT_FOR_SIMULATOR: [&str; 4] = ["tls", "http", "proxy", "resolve"];

const MOST_ADDRESSES: usize = 1_000;

/// Reads the table; `is_allowed` says that somebody allowed load on hosts that are not this machine.
pub(super) fn read(
    target: &Table<'_>,
    endpoint: Option<&Endpoint>,
    auth: Option<&Auth>,
    is_allowed: bool,
) -> ConnectionOptions {
    let table = target.field("connection").and_then(|field| field.table(&KEYS));
    let Some(table) = table else { return ConnectionOptions::default() };
    if matches!(endpoint, Some(Endpoint::Simulator(_))) {
        for field in NOT_FOR_SIMULATOR.iter().filter_map(|key| table.field(key)) {
            field.mistake("does not go with the embedded simulator; remove it, or set `target.base_url`");
        }
        return ConnectionOptions { tls: TlsOptions::default(), proxy: None, ..options(&table, is_allowed) };
    }
    let mut options = options(&table, is_allowed);
    if let Some(field) = table.field("resolve") {
        options.resolve = resolve(&field, &hosts(&options, endpoint, auth), is_allowed);
    }
    options
}

/// All but the names.
fn options(table: &Table<'_>, is_allowed: bool) -> ConnectionOptions {
    let versions = [("1.1", HttpVersion::Http1), ("2", HttpVersion::Http2)];
    let compression =
        |field: &Field<'_>| field.yes_or_no().map(|is_on| if is_on { Compression::Gzip } else { Compression::Off });
    ConnectionOptions {
        tls: table.or("tls", TlsOptions::default(), tls),
        http: table.or("http", HttpVersion::default(), |field| field.choice(&versions)),
        proxy: table.field("proxy").and_then(|field| proxy(&field, is_allowed)),
        resolve: Vec::new(),
        source_addresses: table.or("source_addresses", Vec::new(), source_addresses),
        compression: table.or("compression", Compression::default(), compression),
        connect_timeout: table.field("connect_timeout").and_then(|field| field.positive_duration()),
    }
}

fn tls(field: &Field<'_>) -> Option<TlsOptions> {
    let table = field.table(&["ca_file", "client_cert", "client_key", "insecure"])?;
    let is_insecure = table.or("insecure", false, Field::yes_or_no);
    let authority = table.field("ca_file");
    if let Some(field) = authority.as_ref().filter(|_| is_insecure) {
        field.mistake("stands beside `insecure`, which checks no certificate; keep the one that you mean");
    }
    let client = match (table.field("client_cert"), table.field("client_key")) {
        (Some(certificate), key) => client(&certificate, key.as_ref()),
        (None, Some(key)) => {
            key.mistake("has no `client_cert` beside it; add the file of the certificate that the key belongs to");
            None
        }
        (None, None) => None,
    };
    Some(TlsOptions {
        authority: authority.and_then(|field| self::authority(&field)),
        client,
        verification: if is_insecure { Verification::None } else { Verification::Full },
    })
}

fn authority(field: &Field<'_>) -> Option<Authority> {
    let file = PemFile::read(field)?;
    let certificates = file.certificates(field)?;
    for certificate in &certificates {
        if let Err(error) = RootCertStore::empty().add(certificate.clone()) {
            field.mistake(format_args!(
                "is `{}`, in which a certificate cannot be used ({error}); write a certificate of X.509 version 3",
                file.shown
            ));
            return None;
        }
    }
    Some(Authority { file: file.path, certificates })
}

/// A certificate and its key, which stands in the same file where no other is named.
fn client(field: &Field<'_>, key_field: Option<&Field<'_>>) -> Option<ClientCertificate> {
    let file = PemFile::read(field)?;
    let certificates = file.certificates(field);
    let key_file = key_field.map_or_else(|| PemFile::read(field), PemFile::read)?;
    let key_field = key_field.unwrap_or(field);
    let key = key_file.key(key_field)?;
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(certificates?, key, &provider) {
        Ok(certified) => {
            Some(ClientCertificate { file: file.path, key_file: key_file.path, certified: Arc::new(certified) })
        }
        Err(TlsError::InconsistentKeys(_)) => {
            key_field.mistake(format_args!(
                "is `{}`, which does not belong to the certificate in `{}`; name the key that it was made with",
                key_file.shown, file.shown
            ));
            None
        }
        Err(error) => {
            key_field.mistake(format_args!(
                "is `{}`, which cannot be used with `{}` ({error}); write an RSA, ECDSA or Ed25519 key",
                key_file.shown, file.shown
            ));
            None
        }
    }
}

/// A file in PEM.
struct PemFile {
    /// The path to show, from where the scenario is loaded.
    path: PathBuf,
    /// The path as it stands in the scenario, which may name the environment.
    shown: String,
    bytes: Vec<u8>,
}

impl PemFile {
    fn read(field: &Field<'_>) -> Option<Self> {
        let text = field.text()?;
        let directory = field.document.path.parent().unwrap_or(Path::new(""));
        match fs::read(directory.join(&text.value)) {
            Ok(bytes) => Some(Self { path: directory.join(&text.shown), shown: text.shown, bytes }),
            Err(error) => {
                field.mistake(format_args!(
                    "is `{}`, which cannot be read ({}); write a path relative to the scenario",
                    text.shown,
                    error.kind()
                ));
                None
            }
        }
    }

    fn certificates(&self, field: &Field<'_>) -> Option<Vec<CertificateDer<'static>>> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        match found {
            Ok(found) if !found.is_empty() => return Some(found),
            Ok(_) => field.mistake(format_args!(
                "is `{}`, which holds no certificate; write one in PEM, which begins with -----BEGIN CERTIFICATE-----",
                self.shown
            )),
            // The error may quote the file.
            Err(_) => field.mistake(format_args!("is `{}`, which is no PEM; write the certificate anew", self.shown)),
        }
        None
    }

    fn key(&self, field: &Field<'_>) -> Option<PrivateKeyDer<'static>> {
        let key = PrivateKeyDer::from_pem_slice(&self.bytes).ok();
        if key.is_none() {
            // Either the whole key or, as older programs write it, its content alone is.
            let is_encrypted = String::from_utf8_lossy(&self.bytes).lines().any(|line| line.contains("ENCRYPTED"));
            let why = if is_encrypted {
                "holds an encrypted key; decrypt it first: `openssl pkey -in FILE`"
            } else {
                "holds no private key; write one in PEM, which begins with -----BEGIN PRIVATE KEY-----"
            };
            field.mistake(format_args!("is `{}`, which {why}", self.shown));
        }
        key
    }
}

/// A URL, or a table with the URL and who asks.
fn proxy(field: &Field<'_>, is_allowed: bool) -> Option<Proxy> {
    let (place, credentials) = if field.is_table() {
        let table = field.table(&["url", "user", "password"])?;
        let user = table.required("user", "write user = \"${PROXY_USER}\"").and_then(|field| field.text());
        let password =
            table.required("password", "write password = \"${PROXY_PASSWORD}\"").and_then(|field| field.secret());
        let place = table.required("url", "write where the proxy is, such as \"http://proxy.example.com:3128\"")?;
        (Some(place), Some((user?.value, Secret::new(password?.value))))
    } else {
        (None, None)
    };
    let place = place.as_ref().unwrap_or(field);
    let url = server(place, "write proxy = { url = …, user = \"${PROXY_USER}\", password = \"${PROXY_PASSWORD}\" }")?;
    // Whoever sends load through it, gives it load.
    need_permission(&url, place, is_allowed);
    Some(Proxy { url, credentials })
}

/// Hosts whose addresses this process asks for, with the port where their URL names one.
fn hosts(options: &ConnectionOptions, endpoint: Option<&Endpoint>, auth: Option<&Auth>) -> Vec<Url> {
    // A proxy asks for all other addresses itself.
    if let Some(proxy) = &options.proxy {
        return vec![proxy.url.clone()];
    }
    let target = endpoint.and_then(|endpoint| match endpoint {
        Endpoint::Url(url) => Some(url),
        Endpoint::Simulator(_) => None,
    });
    let login = auth.and_then(|auth| match auth {
        Auth::ClientCredentials { login_url, .. } => login_url.as_ref(),
        Auth::None | Auth::Bearer { .. } => None,
    });
    target.into_iter().chain(login).cloned().collect()
}

fn resolve(field: &Field<'_>, hosts: &[Url], is_allowed: bool) -> Vec<(String, SocketAddr)> {
    let entries = field.entries().unwrap_or_default();
    entries.iter().filter_map(|(name, field)| resolved(name, field, hosts, is_allowed)).collect()
}

fn resolved(name: &str, field: &Field<'_>, hosts: &[Url], is_allowed: bool) -> Option<(String, SocketAddr)> {
    let text = field.text()?;
    let Ok(address) = text.value.parse::<SocketAddr>() else {
        field.mistake(format_args!("is `{}`; write an address with a port, such as \"127.0.0.1:8443\"", text.shown));
        return None;
    };
    need_permission_for(address.ip(), field, is_allowed);
    let is_name = |url: &&Url| matches!(url.host(), Some(Host::Domain(known)) if known.eq_ignore_ascii_case(name));
    let mut known = hosts.iter().filter(is_name).peekable();
    if known.peek().is_none() && !hosts.is_empty() {
        let asked: Vec<_> = hosts.iter().filter_map(Url::host_str).collect();
        field.mistake(format_args!("is a name that nobody asks for; the run connects to {}", asked.join(" and ")));
        return None;
    }
    if let Some(port) = known.filter_map(Url::port).find(|port| *port != address.port()) {
        field.mistake(format_args!(
            "has port {}, but the URL names port {port}, which counts; write the same one, or leave it out of the URL",
            address.port()
        ));
        return None;
    }
    Some((name.to_owned(), address))
}

fn source_addresses(field: &Field<'_>) -> Option<Vec<IpAddr>> {
    let items = field.items()?;
    if items.is_empty() || items.len() > MOST_ADDRESSES {
        field.mistake(format_args!("has {} addresses; use 1 to {MOST_ADDRESSES}, or remove it", items.len()));
        return None;
    }
    items.iter().map(source_address).collect()
}

fn source_address(field: &Field<'_>) -> Option<IpAddr> {
    let text = field.text()?;
    let address = text.value.parse().ok();
    if address.is_none() {
        field.mistake(format_args!("is `{}`; write an address of this machine, such as \"127.0.0.2\"", text.shown));
    }
    address
}
