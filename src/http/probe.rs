//! Whether a connection to the target can be opened, asked before the first request.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::rt::{Read, ReadBuf, Write};
use hyper_util::client::legacy::connect::Connection;
use reqwest::Url;
use tower_layer::Layer;
use tower_service::Service;

use super::broken::NoHttp2;
use super::client::{ClientError, client_builder};
use super::remedy::{self, Patience, Reason};
use super::{broken, tls};
use crate::scenario::{ConnectionOptions, HttpVersion, Peer, Target};
use crate::units::Duration;

/// The field of the scenario that holds the target's address.
const ADDRESS: &str = "target.base_url";

/// The first words of a client of HTTP/2, and settings that change none.
///
/// Source: RFC 9113, sections 3.4 and 6.5.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A server that wants a certificate from us says so after its part of the handshake: for so long it is waited for, or for
/// as long as it took to open the connection.
const PATIENCE: Duration = Duration::from_millis(100);

/// Why no load can be sent.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The target cannot be reached, or not in the way that the scenario wants.
    #[error("cannot reach the target at {place}: {why}; {remedy}")]
    Unreachable {
        /// Host and port, and the proxy where there is one.
        place: String,
        /// What the transport said.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// No client could be made.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Opens and closes one connection to the target at `base`, exactly as those of the load are opened: with its name
/// resolution, source address, proxy and TLS. No request is sent.
///
/// # Errors
/// When it cannot be opened within the target's timeout, or a source address is not to be had.
pub async fn probe(target: &Target, base: &Url) -> Result<(), ProbeError> {
    let options = &target.connection;
    let by_way = options.proxy.as_ref().map(|proxy| format!(" by way of {}", proxy.url.authority()));
    let place = format!("{}{}", base.authority(), by_way.unwrap_or_default());
    let unreachable = |Reason { why, remedy }| ProbeError::Unreachable { place: place.clone(), why, remedy };
    if let Some(why) = useless_source(options, base).await {
        return Err(unreachable(Reason { why, remedy: remedy::of("source_address", ADDRESS) }));
    }
    let reached = Arc::new(AtomicBool::new(false));
    let layer = ProbeLayer { expected: Expected::of(options, base), reached: reached.clone() };
    // What the server says behind its handshake is waited for beyond the time that opening may take.
    let longest = |time: Duration| time.saturating_mul(2).saturating_add(PATIENCE);
    let mut builder = client_builder(options, tls::configuration(options, base)?)?;
    if let Some(time) = options.connect_timeout {
        builder = builder.connect_timeout(longest(time));
    }
    let client = builder
        .local_address(options.source_addresses.first().copied())
        .timeout(longest(target.timeout))
        .connector_layer(layer)
        .build()
        .map_err(|error| ClientError::Client(broken::innermost(&error).to_string()))?;
    let Err(error) = client.get(base.clone()).send().await else { return Ok(()) };
    if reached.load(Ordering::Relaxed) {
        return Ok(());
    }
    let patience = Patience { whole: target.timeout, connect: options.connect_timeout };
    Err(unreachable(remedy::reason(&error, patience, ADDRESS)))
}

/// What keeps a source address from being used: it is not this machine's, or the other end has no address of its family, in
/// which case some transports would quietly take another.
async fn useless_source(options: &ConnectionOptions, base: &Url) -> Option<String> {
    let addresses = &options.source_addresses;
    let refused = |address: &IpAddr| {
        let error = UdpSocket::bind((*address, 0)).err()?;
        Some(format!("no socket at {address}: {error}"))
    };
    if let Some(why) = addresses.iter().find_map(refused) {
        return Some(why);
    }
    let peers: Vec<IpAddr> = match options.peer(base) {
        _ if addresses.is_empty() => return None,
        Peer::Address(address) => vec![address],
        // A name that nobody knows is found when the connection is opened, and told of as for any other.
        Peer::Name(name) => tokio::net::lookup_host((name, 0)).await.ok()?.map(|address| address.ip()).collect(),
    };
    let is_useless = |address: &&IpAddr| peers.iter().all(|peer| peer.is_ipv4() != address.is_ipv4());
    let address = addresses.iter().find(is_useless)?;
    let [own, other] = if address.is_ipv4() { ["IPv4", "IPv6"] } else { ["IPv6", "IPv4"] };
    Some(format!("no connection can be opened from {address}, which is {own}, because the other end has {other} alone"))
}

/// What a connection must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// That it is there.
    Plain,
    /// That the server speaks HTTP/2 without having been asked whether it does.
    Http2,
    /// That its handshake is over.
    Tls,
    /// That HTTP/2 was agreed on in its handshake.
    Http2OverTls,
}

impl Expected {
    fn of(options: &ConnectionOptions, base: &Url) -> Self {
        match (base.scheme(), options.http) {
            ("https", HttpVersion::Http1) => Self::Tls,
            ("https", HttpVersion::Http2) => Self::Http2OverTls,
            (_, HttpVersion::Http2) => Self::Http2,
            (_, HttpVersion::Http1) => Self::Plain,
        }
    }
}

/// Looks at the connection that is opened, and lets no request have it.
#[derive(Clone)]
struct ProbeLayer {
    expected: Expected,
    /// Set when the connection is as it is expected.
    reached: Arc<AtomicBool>,
}

impl<S> Layer<S> for ProbeLayer {
    type Service = ProbeConnector<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ProbeConnector { inner, probe: self.clone() }
    }
}

#[derive(Clone)]
struct ProbeConnector<S> {
    inner: S,
    probe: ProbeLayer,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<S, R> Service<R> for ProbeConnector<S>
where
    S: Service<R, Error = BoxError>,
    S::Response: Connection + Read + Write + Unpin + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.inner.call(request);
        let ProbeLayer { expected, reached } = self.probe.clone();
        Box::pin(async move {
            let began = Instant::now();
            let connection = connecting.await?;
            match expected {
                Expected::Plain => {}
                Expected::Http2 => greet(connection).await?,
                Expected::Http2OverTls if !connection.connected().is_negotiated_h2() => {
                    return Err(rustls::Error::NoApplicationProtocol.into());
                }
                Expected::Http2OverTls | Expected::Tls => listen(connection, began.elapsed().max(PATIENCE)).await?,
            }
            reached.store(true, Ordering::Relaxed);
            Err("the connection is as it should be, and no request is to be sent".into())
        })
    }
}

/// Waits so long for the server to take its handshake back. Whatever else it says, or nothing, is no objection.
async fn listen(mut connection: impl Read + Unpin, patience: Duration) -> io::Result<()> {
    let mut bytes = [0; 64];
    let mut buffer = ReadBuf::new(&mut bytes);
    let read = poll_fn(|context| Pin::new(&mut connection).poll_read(context, buffer.unfilled()));
    tokio::time::timeout(patience, read).await.unwrap_or(Ok(()))
}

/// Says the first words of HTTP/2 and waits for the server's own, which are a frame of settings. Whoever speaks another
/// language says something else, or hangs up.
async fn greet(mut connection: impl Read + Write + Unpin) -> Result<(), BoxError> {
    let mut unsent = PREFACE;
    while !unsent.is_empty() {
        let written = poll_fn(|context| Pin::new(&mut connection).poll_write(context, unsent)).await?;
        unsent =
            unsent.get(written..).filter(|_| written > 0).ok_or(io::ErrorKind::WriteZero).map_err(io::Error::from)?;
    }
    poll_fn(|context| Pin::new(&mut connection).poll_flush(context)).await?;
    let mut head = [0; 9];
    let mut buffer = ReadBuf::new(&mut head);
    while buffer.filled().len() < 9 {
        let before = buffer.filled().len();
        let read = poll_fn(|context| Pin::new(&mut connection).poll_read(context, buffer.unfilled())).await;
        if read.is_err() || buffer.filled().len() == before {
            return Err(NoHttp2.into());
        }
    }
    // Length (3 bytes), type, flags, and the number of the stream, which is 0 for the connection as a whole.
    if matches!(buffer.filled(), [_, _, _, 4, _, 0, 0, 0, 0]) { Ok(()) } else { Err(NoHttp2.into()) }
}
