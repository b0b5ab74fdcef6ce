//! What the API answers, and its form in HTTP.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use super::fault::Fault;
use super::id::Id;

/// The header that bears a request's correlation id. The names of HTTP headers have no case.
const CORRELATION_ID: HeaderName = HeaderName::from_static("inin-correlation-id");

/// What the API answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// A write is accepted: 202.
    Accepted {
        /// JSON, or empty.
        body: Vec<u8>,
    },
    /// What was asked for: 200.
    Found {
        /// JSON.
        body: Vec<u8>,
    },
    /// The request is refused.
    Refused(Fault),
}

impl Answer {
    /// The answer as the request with this correlation id gets it.
    pub(super) fn into_response(self, correlation_id: Id) -> Response<Full<Bytes>> {
        let mut own = None;
        let (status, body) = match self {
            Self::Accepted { body } => (StatusCode::ACCEPTED, body),
            Self::Found { body } => (StatusCode::OK, body),
            Self::Refused(fault) => {
                own = match fault {
                    Fault::Throttled { retry_after_s } => Some((RETRY_AFTER, HeaderValue::from(retry_after_s))),
                    Fault::WrongMethod { allow } => Some((ALLOW, HeaderValue::from_static(allow))),
                    _ => None,
                };
                fault.render(correlation_id)
            }
        };
        let json = !body.is_empty();
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let correlation_id = correlation_id.with_text(HeaderValue::from_str);
        headers.insert(CORRELATION_ID, correlation_id.expect("a UUID has no characters that a header may not have"));
        if json {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some((name, value)) = own {
            headers.insert(name, value);
        }
        response
    }
}
