//! How long opening a connection takes, and whether there was one.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// The attempt that is being polled: a connection is opened within the attempt that asked for it.
    static TRACE: Arc<ConnectTrace>;
}

/// What an attempt learned about its connection. Shared, because a connection may go on opening in the background after
/// its attempt took another one from the pool.
#[derive(Debug, Default)]
pub(super) struct ConnectTrace {
    /// When opening started; unset when no connection was opened.
    began: OnceLock<Instant>,
    /// How long it took; unset when it did not succeed.
    took: OnceLock<Duration>,
    /// When the request began to be written to a connection; unset when it never was.
    written: OnceLock<Instant>,
    /// Tells that it is.
    writing: Notify,
}

impl ConnectTrace {
    /// Runs an attempt so that its connector finds this trace.
    pub(super) async fn follow<F: Future>(self: &Arc<Self>, attempt: F) -> F::Output {
        TRACE.scope(self.clone(), attempt).await
    }

    /// How long opening took; `None` when no connection was opened, or opening did not succeed.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.took.get().copied()
    }

    /// Whether a connection is being opened, or could not be.
    pub(super) fn is_opening(&self) -> bool {
        self.began.get().is_some() && self.took.get().is_none()
    }

    /// Whether the request was being written to a connection, so that the server may have seen it.
    pub(super) fn is_written(&self) -> bool {
        self.written.get().is_some()
    }

    /// How long ago the request began to be written to a connection; `None` when it never was.
    pub(super) fn written_ago(&self) -> Option<Duration> {
        self.written.get().map(Instant::elapsed)
    }

    /// Waits until the request is being written to a connection.
    pub(super) async fn writing(&self) {
        self.writing.notified().await;
    }
}

/// A body that notes on its trace when it is asked for: the transport asks when it has a connection and has encoded the
/// request's head. Requests without content have one too, an empty one.
pub(super) struct TracedBody {
    pub(super) content: Option<Bytes>,
    pub(super) trace: Arc<ConnectTrace>,
}

impl Body for TracedBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.trace.written.set(Instant::now()).is_ok() {
            self.trace.writing.notify_one();
        }
        Poll::Ready(self.content.take().map(|content| Ok(Frame::data(content))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.as_ref().map_or(0, |content| content.len() as u64))
    }
}

/// Notes on the attempt's [`ConnectTrace`] when its connector starts and ends.
#[derive(Clone)]
pub(super) struct ConnectLayer;

impl<S> Layer<S> for ConnectLayer {
    type Service = TracedConnector<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TracedConnector { inner }
    }
}

/// A connector whose every connection is noted.
#[derive(Clone)]
pub(super) struct TracedConnector<S> {
    inner: S,
}

impl<S, R> Service<R> for TracedConnector<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.inner.call(request);
        Box::pin(async move {
            // Asked at the first poll, which is the attempt's own; a later one may be the background's.
            let trace = TRACE.try_with(Arc::clone).ok();
            let began = Instant::now();
            if let Some(trace) = &trace {
                let _ = trace.began.set(began);
            }
            let connected = connecting.await?;
            if let Some(trace) = trace {
                let _ = trace.took.set(began.elapsed());
            }
            Ok(connected)
        })
    }
}
