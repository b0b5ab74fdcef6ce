//! A response as an [`Answer`]: what its status, headers and body say.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::measure::{Answer, Outcome};
use crate::scenario::Variant;

/// How much of a body is kept to be understood; the rest is read and dropped.
pub(super) const KEPT_BODY: usize = 64 * 1024;

/// How long a message may be, in characters.
const MESSAGE_LENGTH: usize = 200;

/// Headers that name a request to the API's support, the target's own first.
const CORRELATION_HEADERS: [&str; 4] = ["inin-correlation-id", "x-correlation-id", "x-request-id", "request-id"];

/// The class of a status, as the variant sees it.
pub(super) fn outcome(variant: &Variant, status: u16) -> Outcome {
    if variant.expect.contains(&status) {
        Outcome::Accepted
    } else if status == 429 || variant.throttled_status.contains(&status) {
        Outcome::Throttled
    } else {
        match status {
            400..=499 => Outcome::Rejected,
            500.. => Outcome::Failed,
            _ => Outcome::Unexpected,
        }
    }
}

/// The answer of a response that was read whole; `body` holds at most its first [`KEPT_BODY`] bytes.
pub(super) fn answer(outcome: Outcome, status: u16, headers: &HeaderMap, body: &[u8]) -> Answer {
    if outcome == Outcome::Accepted {
        return Answer::accepted(status);
    }
    let parsed = serde_json::from_slice::<Value>(body).ok();
    let text = |keys: &[&str]| {
        let parsed = parsed.as_ref()?;
        keys.iter().find_map(|key| parsed.get(key)?.as_str().filter(|text| !text.is_empty()))
    };
    let code = match &parsed {
        Some(_) => text(&["code", "error"]).map_or_else(|| nested_code(parsed.as_ref()), str::to_owned),
        // That a success has no body is no news.
        None if outcome == Outcome::Unexpected && body.is_empty() => String::new(),
        None => kind_of_body(body).to_owned(),
    };
    let message = text(&["message", "error_description", "description", "detail", "title"]);
    Answer {
        outcome,
        status: Some(status),
        code: shorten(&code),
        correlation_id: correlation_id(headers).or_else(|| text(&["contextId"]).map(shorten)),
        message: message.map(shorten),
        retry_after: retry_after(headers),
        not_sent: false,
    }
}

/// What the headers alone say about a request that can be quoted to the API's support.
pub(super) fn correlation_id(headers: &HeaderMap) -> Option<String> {
    let header = |name: &&str| headers.get(*name)?.to_str().ok().filter(|text| !text.is_empty());
    CORRELATION_HEADERS.iter().find_map(header).map(shorten)
}

/// The pause that the server asks for: whole seconds, or a date compared with the response's own `Date`.
///
/// Source: RFC 9110, section 10.2.3. A date without a `Date` beside it is not understood, because our clock and the
/// server's may differ.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| -> Option<SystemTime> { httpdate::parse_http_date(text).ok() };
    let now = date(headers.get(DATE)?.to_str().ok()?)?;
    Some(date(value)?.duration_since(now).unwrap_or_default())
}

/// The code of the first entry of `errors` or `details`, where the body has none of its own.
fn nested_code(body: Option<&Value>) -> String {
    let code = |list: &&str| {
        let entry = body?.get(*list)?.get(0)?;
        ["errorCode", "code"].iter().find_map(|key| entry.get(*key)?.as_str().map(str::to_owned))
    };
    ["errors", "details"].iter().find_map(code).unwrap_or_default()
}

/// What a body is that is no JSON.
fn kind_of_body(body: &[u8]) -> &'static str {
    match body.trim_ascii_start().first() {
        None => "empty",
        Some(b'<') => "html",
        Some(_) => "text",
    }
}

/// One line of printable characters, shortened.
fn shorten(text: &str) -> String {
    text.chars().take(MESSAGE_LENGTH).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
