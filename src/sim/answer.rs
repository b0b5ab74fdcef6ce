//! What the API answers, and its head in HTTP.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::ailment::Ailment;
use super::id::Id;
use super::refusal::Refusal;
use super::signals::Headers;
use crate::scenario::Dialect;

/// The header that bears a request's correlation id, as documented. The names of HTTP headers have no case.
const CORRELATION_ID: HeaderName = HeaderName::from_static("inin-correlation-id");

/// The header that bears it in the forum's threads.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The page that a content delivery network shows instead of an answer.
const UNAVAILABLE: &[u8] =
    b"<html><head><title>503 Service Unavailable</title></head><body>Please try again later.</body></html>\n";

/// What the API answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// What was asked for.
    Success {
        /// 2xx.
        status: StatusCode,
        /// JSON, or empty.
        body: Vec<u8>,
    },
    /// The request is refused, or failed.
    Refused(Refusal),
    /// The status 503 from in front of the API.
    Unavailable(Page),
}

/// What stands in an answer that does not come from the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// A page of HTML.
    Html,
    /// Nothing.
    Empty,
}

/// An answer in the form of HTTP.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Success { status, .. } => *status,
            Self::Refused(refusal) => refusal.kind().0,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Its code: empty for a success and for a page that has none.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.kind().1,
            Self::Success { .. } | Self::Unavailable(_) => "",
        }
    }

    /// Whether a fault of the body can be seen on it: a 204 never has a body, and what has none cannot be slow.
    pub(super) fn shows(&self, wire: Ailment) -> bool {
        match self {
            Self::Success { status, body } => {
                *status != StatusCode::NO_CONTENT && (wire != Ailment::SlowBody || !body.is_empty())
            }
            Self::Refused(_) | Self::Unavailable(_) => true,
        }
    }

    /// The answer as the request with this correlation id gets it, with what it says about quotas.
    pub(super) fn into_reply(self, dialect: Dialect, correlation_id: Id, signals: Headers) -> Reply {
        let mut headers = HeaderMap::with_capacity(4 + signals.len());
        if let Self::Refused(Refusal::WrongMethod { allow }) = self {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        headers.extend(signals);
        let (status, body, media_type) = match self {
            // It comes from in front of the API, which knows nothing of the request.
            Self::Unavailable(page) => {
                let body = match page {
                    Page::Html => {
                        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
                        Bytes::from_static(UNAVAILABLE)
                    }
                    Page::Empty => Bytes::new(),
                };
                return Reply { status: StatusCode::SERVICE_UNAVAILABLE, headers, body };
            }
            Self::Success { status, body } => (status, body, "application/json"),
            Self::Refused(refusal) => {
                let (status, body) = refusal.render(correlation_id);
                (status, body, "application/json")
            }
        };
        let name = if dialect == Dialect::Forum { REQUEST_ID } else { CORRELATION_ID };
        let correlation_id = correlation_id.with_text(HeaderValue::from_str);
        headers.insert(name, correlation_id.expect("a UUID has no characters that a header may not have"));
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        Reply { status, headers, body: body.into() }
    }
}
