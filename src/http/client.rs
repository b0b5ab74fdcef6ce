//! Attempts through reqwest.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Client, ClientBuilder, Method, Proxy, Response, Url, redirect, retry};

use super::aside::LONGEST_BODY;
use super::broken::{self, Breakage};
use super::classify::{self, KEPT_BODY, Reply};
use super::connect::{ConnectLayer, ConnectTrace, TracedBody};
use super::veil::Veil;
use super::{Ask, Asked, Attempt, Purpose, Request, Transport, tls};
use crate::measure::{Answer, Outcome};
use crate::scenario::{Compression, ConnectionOptions, Connections, HttpVersion, Scenario};
use crate::units::{Duration, Timer};

/// A client that hangs up lets its request leave before: writing was asked for, and the connection is about to.
const TIME_TO_LEAVE: Duration = Duration::from_millis(1);

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The TLS library refused its configuration.
    #[error("cannot set up TLS: {0}; check the root certificates of this machine")]
    Tls(String),
    /// The HTTP library refused its configuration.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}

/// What all clients of a run share: the scenario, the base URL, and one prepared TLS configuration.
///
/// A client of reqwest with its default TLS loads the roots anew, at 3 ms and 105 KB each; with this one it is 3 KB.
#[derive(Clone)]
pub struct Clients {
    scenario: Arc<Scenario>,
    base: Arc<str>,
    tls: rustls::ClientConfig,
    methods: Arc<[Method]>,
    /// Users of all workers that have a source address so far: the next one takes the next address.
    placed: Arc<AtomicUsize>,
}

impl Clients {
    /// Prepares clients for the target at `base`; the machine's root certificates are loaded for `https` only.
    ///
    /// # Errors
    /// When TLS cannot be set up, or a variant's method is none.
    pub fn new(scenario: Arc<Scenario>, base: &Url) -> Result<Self, ClientError> {
        let tls = tls::configuration(&scenario.target.connection, base)?;
        let method = |name: &str| Method::from_bytes(name.as_bytes()).map_err(|e| ClientError::Client(e.to_string()));
        let methods = scenario.variants.iter().map(|variant| method(&variant.method)).collect::<Result<_, _>>()?;
        let base = base.as_str().trim_end_matches('/').into();
        Ok(Self { scenario, base, tls, methods, placed: Arc::default() })
    }

    /// The clients of one worker, whose users share connections as `load.connections` says.
    ///
    /// # Errors
    /// When the HTTP library refuses its configuration.
    pub fn for_worker<T: Timer>(&self, timer: T) -> Result<WorkerClients<T>, ClientError> {
        let (idle, is_shared) = match self.scenario.load.connections {
            Connections::PerUser => (1, false),
            Connections::Shared => (usize::MAX, true),
            Connections::PerRequest => (0, true),
        };
        let sources = &self.scenario.target.connection.source_addresses;
        // One at least is made now, also where users have their own: what is wrong shows before the first of them.
        let shared = match &sources[..] {
            [] => vec![self.client(idle, None)?],
            sources => sources.iter().map(|source| self.client(idle, Some(*source))).collect::<Result<_, _>>()?,
        };
        let shared = if is_shared { shared } else { Vec::new() };
        Ok(WorkerClients { clients: self.clone(), timer, shared })
    }

    /// A client that keeps so many connections when they are idle, and opens them from this address.
    pub(super) fn client(&self, idle: usize, source: Option<IpAddr>) -> Result<Client, ClientError> {
        let target = &self.scenario.target;
        client_builder(&target.connection, self.tls.clone())?
            .local_address(source)
            .pool_max_idle_per_host(idle)
            // The server decides how long an idle connection lives: a client that closes first hides what it does.
            .pool_idle_timeout(None)
            .timeout(target.timeout)
            .build()
            .map_err(|error| ClientError::Client(broken::innermost(&error).to_string()))
    }

    /// The turn of the next user, from 0.
    fn turn(&self) -> usize {
        self.placed.fetch_add(1, Ordering::Relaxed)
    }
}

/// What every client here has in common, whether it sends load, logs in or only looks whether anybody is there.
pub(super) fn client_builder(
    options: &ConnectionOptions,
    tls: rustls::ClientConfig,
) -> Result<ClientBuilder, ClientError> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        // A resent PATCH is one more PATCH: the caller decides, never the client.
        .retry(retry::never())
        .redirect(redirect::Policy::none())
        .no_proxy()
        .gzip(options.compression == Compression::Gzip)
        .tcp_nodelay(true)
        .connector_layer(ConnectLayer);
    builder = match options.http {
        HttpVersion::Http1 => builder.http1_only(),
        HttpVersion::Http2 => builder.http2_prior_knowledge(),
    };
    if let Some(proxy) = &options.proxy {
        let all = Proxy::all(proxy.url.clone()).map_err(|error| ClientError::Client(error.to_string()))?;
        builder = builder.proxy(match &proxy.credentials {
            Some((user, password)) => all.basic_auth(user, password.reveal()),
            None => all,
        });
    }
    if let Some(time) = options.connect_timeout {
        builder = builder.connect_timeout(time);
    }
    Ok(options.resolve.iter().fold(builder, |builder, (name, address)| builder.resolve(name, *address)))
}

/// Hands out the users of one worker.
pub struct WorkerClients<T> {
    clients: Clients,
    timer: T,
    /// The clients of all users, where they share: one, or one for each source address. Otherwise none.
    shared: Vec<Client>,
}

impl<T: Timer> WorkerClients<T> {
    /// The connections of one user.
    ///
    /// # Panics
    /// Never: the same configuration made a client when the worker was prepared.
    #[must_use]
    pub fn user(&self) -> HttpUser<T> {
        HttpUser {
            client: self.client(),
            timer: self.timer.clone(),
            scenario: self.clients.scenario.clone(),
            base: self.clients.base.clone(),
            methods: self.clients.methods.clone(),
        }
    }

    fn client(&self) -> Client {
        let sources = &self.clients.scenario.target.connection.source_addresses;
        let turn = if sources.len() > 1 { self.clients.turn() % sources.len() } else { 0 };
        match self.shared.get(turn) {
            Some(client) => client.clone(),
            None => {
                self.clients.client(1, sources.get(turn).copied()).expect("the same configuration made a client before")
            }
        }
    }
}

/// The connections of one user.
pub struct HttpUser<T> {
    client: Client,
    timer: T,
    pub(super) scenario: Arc<Scenario>,
    base: Arc<str>,
    methods: Arc<[Method]>,
}

/// All that is known of a request and its answer.
pub(super) struct Exchange {
    pub(super) asked: Asked,
    /// When the request began to be written to an open connection; `None` when it never was.
    pub(super) written: Option<Duration>,
    /// The headers of the answer; none where no head arrived.
    pub(super) headers: HeaderMap,
}

/// What is known of an attempt so far.
#[derive(Default)]
struct Progress {
    first_byte: Option<Duration>,
    status: Option<u16>,
    headers: HeaderMap,
}

impl<T: Timer> Transport for HttpUser<T> {
    async fn attempt(&self, request: Request<'_>) -> Attempt {
        let Request { variant, rendered, authorization } = request;
        let ask = Ask { purpose: Purpose::Write(variant), rendered, authorization };
        self.send(ask, Keep::ToUnderstand).await.asked.attempt
    }

    async fn ask(&self, ask: Ask<'_>) -> Asked {
        self.send(ask, Keep::Whole).await.asked
    }
}

impl<T: Timer> HttpUser<T> {
    pub(super) async fn send(&self, ask: Ask<'_>, keep: Keep) -> Exchange {
        let purpose = ask.purpose;
        let trace = Arc::new(ConnectTrace::default());
        let authorization = ask.authorization.clone();
        let veil = Veil::new(&self.scenario.hidden, authorization.as_ref());
        let mut progress = Progress::default();
        // Building the request is our own work: it is lag, not service.
        let built = self.build(ask, &trace);
        let sent = self.timer.now();
        let result = match built {
            Ok(request) => {
                let exchange = trace.follow(self.exchange((purpose, keep), request, veil, &mut progress));
                tokio::select! {
                    biased;
                    result = exchange => result,
                    () = self.time_to_hang_up(purpose, &trace) => Ok((broken::hung_up(), Vec::new())),
                }
            }
            Err(error) => Err(error),
        };
        let done = self.timer.now();
        let (answer, body) = result.unwrap_or_else(|error| {
            let breakage = Breakage { written: self.was_written(&trace, &error), status: progress.status };
            let mut answer = broken::answer(&error, breakage);
            answer.correlation_id = classify::correlation_id(&progress.headers, veil);
            answer.retry_after = classify::retry_after(&progress.headers);
            (answer, Vec::new())
        });
        let Progress { first_byte, headers, .. } = progress;
        let attempt = Attempt { sent, first_byte, done, connect: trace.duration(), answer };
        let written = trace.written_ago().map(|ago| self.timer.now().saturating_sub(ago).max(sent));
        Exchange { asked: Asked { attempt, body }, written, headers }
    }

    /// Waits until a client that does not want the answer has sent its request; for all others for ever.
    async fn time_to_hang_up(&self, purpose: Purpose, trace: &ConnectTrace) {
        match purpose {
            Purpose::Unanswered(_) => {
                trace.writing().await;
                self.timer.sleep_until(self.timer.now() + TIME_TO_LEAVE).await;
            }
            Purpose::Read | Purpose::Write(_) => std::future::pending().await,
        }
    }

    /// Whether the server may have seen a request that broke.
    fn was_written(&self, trace: &ConnectTrace, error: &reqwest::Error) -> bool {
        match self.scenario.target.connection.http {
            HttpVersion::Http1 => trace.is_written(),
            // The head of a request may leave before its body is asked for, so nothing less than a missing connection
            // proves that it did not.
            HttpVersion::Http2 => {
                trace.is_written() || !(error.is_connect() || error.is_builder() || trace.is_opening())
            }
        }
    }

    fn build(&self, ask: Ask<'_>, trace: &Arc<ConnectTrace>) -> Result<reqwest::Request, reqwest::Error> {
        let Ask { purpose, rendered, authorization } = ask;
        let mut url = String::with_capacity(self.base.len() + rendered.path.len());
        url.push_str(&self.base);
        url.push_str(&rendered.path);
        let method = purpose.variant().map_or(Method::GET, |variant| self.methods[variant].clone());
        let mut builder = self.client.request(method, url);
        let mut headers = HeaderMap::with_capacity(rendered.headers.len() + 2);
        for (name, value) in &rendered.headers {
            // The loader checked names and values; one that slips through makes the builder fail, which is reported.
            match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
                _ => builder = builder.header(*name, value.as_ref()),
            }
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        builder = builder.headers(headers);
        let body = TracedBody { content: rendered.body, trace: trace.clone() };
        builder.body(Body::wrap(body)).build()
    }

    /// Sends the request and reads the whole response, noting on `progress` how far it got.
    async fn exchange(
        &self,
        (purpose, keep): (Purpose, Keep),
        request: reqwest::Request,
        veil: Veil<'_>,
        progress: &mut Progress,
    ) -> Result<(Answer, Vec<u8>), reqwest::Error> {
        let mut response = self.client.execute(request).await?;
        progress.first_byte = Some(self.timer.now());
        progress.headers = std::mem::take(response.headers_mut());
        let status = response.status().as_u16();
        progress.status = Some(status);
        let outcome = match purpose.variant() {
            Some(variant) => classify::outcome(&self.scenario.variants[variant], status),
            None => classify::outcome_of_read(status),
        };
        let rules = &self.scenario.outcomes;
        if outcome == Outcome::Accepted && keep == Keep::ToUnderstand && !classify::may_turn(rules, status) {
            while response.chunk().await?.is_some() {}
            return Ok((Answer::accepted(status), Vec::new()));
        }
        let body = read_body(&mut response, keep.most()).await?;
        // Rules name what answers to writes are.
        let rules = if purpose == Purpose::Read { &[] } else { &rules[..] };
        let start = &body[..body.len().min(KEPT_BODY)];
        let answer = classify::answer(outcome, Reply { status, headers: &progress.headers, body: start, veil }, rules);
        Ok((answer, body))
    }
}

/// How much of a body is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// So much that it can be classified; nothing of what is accepted by its status.
    ToUnderstand,
    /// As much as a resource with its attributes may be long.
    Whole,
}

impl Keep {
    fn most(self) -> usize {
        match self {
            Self::ToUnderstand => KEPT_BODY,
            Self::Whole => LONGEST_BODY,
        }
    }
}

/// Reads a body to its end and keeps its start, of at most so many bytes.
pub(super) async fn read_body(response: &mut Response, most: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(body)
}
