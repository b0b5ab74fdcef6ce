//! Whether a connection to the target can be opened, asked before the first request.

use std::future::{Future, poll_fn};
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::rt::{Read, ReadBuf};
use hyper_util::client::legacy::connect::Connection;
use reqwest::Url;
use tower_layer::Layer;
use tower_service::Service;

use super::client::{ClientError, client_builder};
use super::{broken, remedy, tls};
use crate::scenario::{ConnectionOptions, HttpVersion, Target};
use crate::units::{Duration, format};

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
        remedy: &'static str,
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
    let unreachable = |why, code: &str| ProbeError::Unreachable { place: place.clone(), why, remedy: remedy::of(code) };
    for address in &options.source_addresses {
        UdpSocket::bind((*address, 0))
            .map_err(|error| unreachable(format!("no socket at {address}: {error}"), "source_address"))?;
    }
    let reached = Arc::new(AtomicBool::new(false));
    let layer = ProbeLayer { expected: Expected::of(options, base), reached: reached.clone() };
    let client = client_builder(options, tls::configuration(options, base)?)?
        .local_address(options.source_addresses.first().copied())
        .timeout(target.timeout)
        .connector_layer(layer)
        .build()
        .map_err(|error| ClientError::Client(broken::innermost(&error).to_string()))?;
    let Err(error) = client.get(base.clone()).send().await else { return Ok(()) };
    if reached.load(Ordering::Relaxed) {
        return Ok(());
    }
    let code = broken::kind(&error);
    let why = match &*code {
        "timeout" => format!("no answer within {}", format::duration(target.timeout)),
        "connect_timeout" => {
            format!("no connection within {}", format::duration(options.connect_timeout.unwrap_or(target.timeout)))
        }
        code if code.contains('.') => format!("{} ({code})", broken::innermost(&error)),
        _ => broken::innermost(&error).to_string(),
    };
    Err(unreachable(why, &code))
}

/// What a connection must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// That it is there.
    Plain,
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
            _ => Self::Plain,
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
    S::Response: Connection + Read + Unpin + Send + 'static,
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
            if expected == Expected::Http2OverTls && !connection.connected().is_negotiated_h2() {
                return Err(rustls::Error::NoApplicationProtocol.into());
            }
            if expected != Expected::Plain {
                listen(connection, began.elapsed().max(PATIENCE)).await?;
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
