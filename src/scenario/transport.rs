//! How connections to the target are made, where it is not the usual way.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use url::{Host, Url};

use super::Secret;
use crate::units::format::{count, exact_duration};

/// How connections to the target, and to the server that gives out its tokens, are made. The default is the usual way:
/// certificates checked against the machine's roots, HTTP/1.1, no proxy, nothing from the environment.
#[derive(Debug, Clone, Default)]
pub struct ConnectionOptions {
    /// What goes for `https`.
    pub tls: TlsOptions,
    /// The version that is spoken.
    pub http: HttpVersion,
    /// All connections go by way of it.
    pub proxy: Option<Proxy>,
    /// Names that are not looked up. The port is used where the URL names none.
    pub resolve: Vec<(String, SocketAddr)>,
    /// The local addresses of connections, for users in turn; the system's choice where there is none.
    pub source_addresses: Vec<IpAddr>,
    /// Whether answers may be compressed.
    pub compression: Compression,
    /// The time after which opening a connection is given up; `None` for the attempt's own.
    pub connect_timeout: Option<Duration>,
}

/// What goes for `https`.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// Who is trusted beside the machine's own roots.
    pub authority: Option<Authority>,
    /// What we show to a server that asks who we are.
    pub client: Option<ClientCertificate>,
    /// Whether the server's certificate is checked.
    pub verification: Verification,
}

/// A certificate authority of the scenario's own.
#[derive(Debug, Clone)]
pub struct Authority {
    /// The file, from where the scenario is loaded, to be shown: `${NAME}` stands as it was written.
    pub file: PathBuf,
    /// Its certificates; at least one.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// A certificate and its private key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The file of the certificate, from where the scenario is loaded, to be shown: `${NAME}` stands as it was written.
    pub file: PathBuf,
    /// The file of the key, the same one or another.
    pub key_file: PathBuf,
    /// Both; they belong together.
    pub certified: Arc<CertifiedKey>,
}

impl fmt::Debug for ClientCertificate {
    /// Without what is in the files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("file", &self.file)
            .field("key_file", &self.key_file)
            .finish_non_exhaustive()
    }
}

/// Whether a server's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verification {
    /// Issuer, validity and name are.
    #[default]
    Full,
    /// Nothing is: whoever answers is believed.
    None,
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/1.1: one request at a time on a connection.
    #[default]
    Http1,
    /// HTTP/2: agreed on within TLS, or known beforehand where there is none.
    Http2,
}

/// A server that connections go through.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Where it is: `http` or `https`, without credentials.
    pub url: Url,
    /// User and password, where it wants to know who asks.
    pub credentials: Option<(String, Secret)>,
}

impl Proxy {
    /// Whether connections to the proxy itself are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }
}

/// The other end of a connection, as far as it is known without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer<'a> {
    /// An address.
    Address(IpAddr),
    /// A name that is looked up.
    Name(&'a str),
}

impl Peer<'_> {
    /// Whether it is this machine.
    #[must_use]
    pub fn is_this_machine(self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => name == "localhost",
        }
    }
}

/// Whether answers may be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// They may not: nothing is asked for, and nothing decoded.
    #[default]
    Off,
    /// By gzip.
    Gzip,
}

impl ConnectionOptions {
    /// The address that stands for a name, if it is not looked up.
    #[must_use]
    pub fn address_of(&self, name: &str) -> Option<SocketAddr> {
        self.resolve.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, address)| *address)
    }

    /// Where connections for this URL are opened to: to the proxy, where there is one.
    #[must_use]
    pub fn peer<'a>(&'a self, url: &'a Url) -> Peer<'a> {
        let url = self.proxy.as_ref().map_or(url, |proxy| &proxy.url);
        match url.host() {
            Some(Host::Ipv4(address)) => Peer::Address(address.into()),
            Some(Host::Ipv6(address)) => Peer::Address(address.into()),
            Some(Host::Domain(name)) => match self.address_of(name) {
                Some(address) => Peer::Address(address.ip()),
                None => Peer::Name(name),
            },
            // `http` and `https` always have one.
            None => Peer::Name(""),
        }
    }

    /// What is not as usual, in one line; `None` where all is.
    #[must_use]
    pub fn outline(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.http == HttpVersion::Http2 {
            parts.push("HTTP/2".to_owned());
        }
        parts.extend(self.tls.authority.as_ref().map(|own| format!("trusts {}", own.file.display())));
        parts.extend(self.tls.client.as_ref().map(|own| format!("shows {}", own.file.display())));
        if self.tls.verification == Verification::None {
            parts.push("certificates are not checked".to_owned());
        }
        parts.extend(self.proxy.as_ref().map(|proxy| format!("by way of {}", proxy.url.authority())));
        parts.extend(self.resolve.iter().map(|(name, address)| format!("{name} is {address}")));
        if !self.source_addresses.is_empty() {
            parts.push(format!("source addresses: {}", count(self.source_addresses.len() as u64)));
        }
        if self.compression == Compression::Gzip {
            parts.push("gzip".to_owned());
        }
        parts.extend(self.connect_timeout.map(|time| format!("connect within {}", exact_duration(time))));
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}
