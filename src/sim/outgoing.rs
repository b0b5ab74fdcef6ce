//! The body of a response on its way: at once, in pieces, or with a fault.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

use super::ailment::{Ailment, Ailments};
use super::answer::Reply;
use super::in_flight::InFlight;
use super::shared::Shared;

/// A slow body comes in so many pieces, or fewer if it is so short.
const PIECES: usize = 10;

/// By so many bytes a wrong length is too long.
const MISSING: usize = 64;

/// The pause before a connection is ended in the middle of an answer, in which the client reads what there is of it: a reset
/// takes along what is not read yet, and hyper drops what it has not written yet.
const BEFORE_END: Duration = Duration::from_millis(20);

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// A fault of ours, drawn by the request's number.
    #[error("the connection is reset instead of an answer, or in the middle of it")]
    Reset,
    /// The client went away.
    #[error("the request's body did not arrive: {0}")]
    Unread(Box<dyn std::error::Error + Send + Sync>),
    /// The log has forgotten what was to come next.
    #[error("the log was faster than its reader")]
    Forgotten,
}

/// The body of a response.
pub(super) enum Outgoing {
    /// All at once.
    Whole(Full<Bytes>),
    /// In pieces.
    Paced(Box<Paced>),
    /// The log.
    Pages(Pages),
}

/// A body in pieces.
pub(super) struct Paced {
    pieces: VecDeque<Bytes>,
    /// The pause before each piece, and before the end.
    gap: Duration,
    pause: Pin<Box<Sleep>>,
    end: End,
    /// The request counts as in flight until this is dropped; `None` where no quota cares.
    in_flight: Option<InFlight>,
}

/// How a body in pieces ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Orderly,
    Reset,
}

/// The log, page by page.
pub(super) struct Pages {
    shared: Arc<Shared>,
    next: u64,
    /// A page has been shown: what comes next must not be missing.
    has_begun: bool,
    /// The number of the first request that is not shown.
    end: u64,
    /// After a page the thread's other connections have their turn. A plain wake would not do: the runtime looks for what
    /// has arrived only after dozens of polls of tasks that are awake.
    turn_of_others: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Outgoing {
    /// A response, with the faults that befall its body.
    pub(super) fn response(reply: Reply, faults: Ailments, slow: Duration) -> Response<Self> {
        let Reply { status, headers, body } = reply;
        let length = body.len();
        let (body, told) = if faults.has(Ailment::Cut) {
            let half = body.slice(..length / 2);
            (Self::paced(VecDeque::from([half]), BEFORE_END, End::Reset), Some(length.max(MISSING)))
        } else if faults.has(Ailment::WrongLength) {
            (Self::paced(VecDeque::from([body]), BEFORE_END, End::Orderly), Some(length + MISSING))
        } else if faults.has(Ailment::SlowBody) {
            let piece = length.div_ceil(PIECES).max(1);
            let pieces: VecDeque<_> =
                (0..length).step_by(piece).map(|at| body.slice(at..length.min(at + piece))).collect();
            let gap = slow / u32::try_from(pieces.len().max(1)).unwrap_or(u32::MAX);
            (Self::paced(pieces, gap, End::Orderly), Some(length))
        } else {
            (Self::Whole(Full::new(body)), None)
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        if let Some(told) = told {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(told));
        }
        response
    }

    /// Keeps the request in flight until the body has left or cannot any more.
    pub(super) fn hold(&mut self, in_flight: InFlight) {
        match self {
            Self::Paced(paced) => paced.in_flight = Some(in_flight),
            // It leaves at once.
            Self::Whole(_) | Self::Pages(_) => {}
        }
    }

    /// A response of one piece of JSON.
    pub(super) fn json(status: StatusCode, text: Bytes) -> Response<Self> {
        let mut response = Response::new(Self::Whole(Full::new(text)));
        *response.status_mut() = status;
        let media_type = HeaderValue::from_static("application/json");
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, media_type);
        response
    }

    /// A response with the requests from number `from` on that have arrived by now and are still known, a line of JSON each.
    pub(super) fn truth(shared: &Arc<Shared>, from: u64) -> Response<Self> {
        let end = shared.api().next_number();
        let pages = Pages { shared: Arc::clone(shared), next: from, has_begun: false, end, turn_of_others: None };
        let mut response = Response::new(Self::Pages(pages));
        let media_type = HeaderValue::from_static("application/x-ndjson");
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, media_type);
        response
    }

    fn paced(pieces: VecDeque<Bytes>, gap: Duration, end: End) -> Self {
        let pause = Box::pin(sleep_until(Instant::now() + gap));
        Self::Paced(Box::new(Paced { pieces, gap, pause, end, in_flight: None }))
    }
}

impl Paced {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
        if !self.gap.is_zero() {
            ready!(self.pause.as_mut().poll(context));
            let next = self.pause.deadline() + self.gap;
            self.pause.as_mut().reset(next);
        }
        Poll::Ready(match self.pieces.pop_front() {
            Some(piece) => Some(Ok(Frame::data(piece))),
            None if self.end == End::Reset => Some(Err(NoAnswer::Reset)),
            None => None,
        })
    }
}

impl Pages {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
        if let Some(turn) = &mut self.turn_of_others {
            ready!(turn.as_mut().poll(context));
        }
        self.turn_of_others = Some(Box::pin(yield_now()));
        Poll::Ready(self.page().map(|page| page.map(Frame::data)))
    }

    /// The next page; an error when it was forgotten before it was read.
    fn page(&mut self) -> Option<Result<Bytes, NoAnswer>> {
        let page = self.shared.page(self.next, self.end);
        if self.has_begun && page.first > self.next && self.next < self.end {
            return Some(Err(NoAnswer::Forgotten));
        }
        (self.has_begun, self.next) = (true, page.next);
        (!page.text.is_empty()).then(|| Ok(page.text.into()))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = NoAnswer;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
        match &mut *self {
            Self::Whole(whole) => Pin::new(whole).poll_frame(context).map_err(|never| match never {}),
            Self::Paced(paced) => paced.poll(context),
            Self::Pages(pages) => pages.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Paced(_) | Self::Pages(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Paced(_) | Self::Pages(_) => SizeHint::default(),
        }
    }
}
