//! A response as an [`Answer`]: what its status, headers and body say, and what the scenario's rules call it.

use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::veil::Veil;
use crate::measure::{Answer, Outcome};
use crate::scenario::{Class, Rule, Variant};

/// How much of a body is kept to be understood; the rest is read and dropped.
pub(super) const KEPT_BODY: usize = 64 * 1024;

/// Headers that name a request to the API's support, the target's own first.
const CORRELATION_HEADERS: [&str; 4] = ["inin-correlation-id", "x-correlation-id", "x-request-id", "request-id"];

/// The lists of what is wrong with a request, one entry each.
const LISTS: [&str; 2] = ["errors", "details"];

/// The type of a body that follows RFC 9457.
const PROBLEM: &str = "application/problem+json";

/// The type of a problem that has none.
const NO_TYPE: &str = "about:blank";

/// The class of a status, as the variant sees it.
pub(super) fn outcome(variant: &Variant, status: u16) -> Outcome {
    if variant.expect.contains(&status) {
        Outcome::Accepted
    } else if variant.throttled_status.contains(&status) {
        Outcome::Throttled
    } else {
        outcome_of_status(status)
    }
}

/// The class of the status of a read.
pub(super) fn outcome_of_read(status: u16) -> Outcome {
    if (200..=299).contains(&status) { Outcome::Accepted } else { outcome_of_status(status) }
}

/// The class of a status that nobody expects.
fn outcome_of_status(status: u16) -> Outcome {
    match status {
        429 => Outcome::Throttled,
        400..=499 => Outcome::Rejected,
        500.. => Outcome::Failed,
        _ => Outcome::Unexpected,
    }
}

/// A response that was read whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply<'a> {
    /// Its status.
    pub(super) status: u16,
    /// Its headers.
    pub(super) headers: &'a HeaderMap,
    /// At most the first [`KEPT_BODY`] bytes of its body.
    pub(super) body: &'a [u8],
    /// What is taken out of all texts of it.
    pub(super) veil: Veil<'a>,
}

/// Whether a rule may make something else of an accepted answer with this status, so that its body has to be kept.
pub(super) fn may_turn(rules: &[Rule], status: u16) -> bool {
    rules.iter().any(|rule| rule.may_turn(status))
}

/// The answer that a reply is, where its status alone would be `outcome`.
pub(super) fn answer(outcome: Outcome, reply: Reply<'_>, rules: &[Rule]) -> Answer {
    let Reply { status, headers, body, veil } = reply;
    let parsed = serde_json::from_slice::<Value>(body).ok();
    let rule = rules.iter().find(|rule| rule.is_met(status, body, parsed.as_ref()));
    let outcome = rule.and_then(|rule| rule.class).map_or(outcome, outcome_of);
    if outcome == Outcome::Accepted {
        return Answer::accepted(status);
    }
    let code = match (rule, &parsed) {
        (Some(rule), _) => rule.name.clone(),
        (None, Some(parsed)) if is_problem(headers) => code_of_problem(parsed),
        (None, Some(parsed)) => code_of(parsed),
        // That a success has no body is no news.
        (None, None) if outcome == Outcome::Unexpected && body.is_empty() => String::new(),
        (None, None) => kind_of_body(body).to_owned(),
    };
    let of_body = |keys: &[&str]| parsed.as_ref().and_then(|body| text(body, keys)).map(|text| veil.shown(text));
    Answer {
        status: Some(status),
        code: veil.shown(&code),
        correlation_id: correlation_id(headers, veil).or_else(|| of_body(&["contextId"])),
        message: of_body(&["message", "error_description", "description", "detail", "title"]),
        field: parsed.as_ref().and_then(field_of).map(|field| veil.shown(field)),
        limit: parsed.as_ref().and_then(limit_of).map(|limit| veil.shown(&limit)),
        retry_after: retry_after(headers),
        ..Answer::bare(outcome)
    }
}

fn outcome_of(class: Class) -> Outcome {
    match class {
        Class::Accepted => Outcome::Accepted,
        Class::Unexpected => Outcome::Unexpected,
        Class::Throttled => Outcome::Throttled,
        Class::Rejected => Outcome::Rejected,
        Class::Failed => Outcome::Failed,
    }
}

/// What the headers alone say about a request that can be quoted to the API's support.
pub(super) fn correlation_id(headers: &HeaderMap, veil: Veil<'_>) -> Option<String> {
    let header = |name: &&str| headers.get(*name)?.to_str().ok().filter(|text| !text.is_empty());
    CORRELATION_HEADERS.iter().find_map(header).map(|id| veil.shown(id))
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

/// The first of these keys that holds a text.
fn text<'a>(body: &'a Value, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| body.get(key)?.as_str().filter(|text| !text.is_empty()))
}

/// The first entry of `errors` or `details` of which `read` makes something.
fn of_entries<'a>(body: &'a Value, read: impl Fn(&'a Value) -> Option<&'a str>) -> Option<&'a str> {
    LISTS.iter().find_map(|list| body.get(list)?.as_array()?.iter().find_map(&read))
}

/// The code of a body: its own, or that of the first entry that has one.
fn code_of(body: &Value) -> String {
    let of_entry = || of_entries(body, |entry| text(entry, &["errorCode", "code"]));
    text(body, &["code", "error"]).or_else(of_entry).unwrap_or_default().to_owned()
}

fn is_problem(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(PROBLEM)
}

/// The code of a problem: the last segment of its type or, where it has none, its own `code` or title.
///
/// Source: RFC 9457, sections 3.1.1 and 4.2.1: the type identifies the problem, and `about:blank`, which is the default, says no
/// more than the status.
fn code_of_problem(body: &Value) -> String {
    let of_type = text(body, &["type"]).filter(|kind| *kind != NO_TYPE).and_then(last_segment);
    let found = of_type.or_else(|| text(body, &["code", "title"]));
    found.map_or_else(|| code_of(body), str::to_owned)
}

/// What stands behind the last slash of a URI, without its query; all of a URI that has no slash.
fn last_segment(uri: &str) -> Option<&str> {
    let path = uri.split('?').next().unwrap_or(uri).trim_end_matches('/');
    path.rsplit('/').next().filter(|segment| !segment.is_empty())
}

/// The field of the request that is complained about: of the first entry that names one, or the first key of `errors` where
/// that is a map from fields to complaints.
fn field_of(body: &Value) -> Option<&str> {
    let of_entry = of_entries(body, |entry| text(entry, &["fieldName", "field", "pointer"]));
    let of_map = || body.get("errors")?.as_object()?.keys().next().map(String::as_str);
    of_entry.or_else(of_map).filter(|field| !field.is_empty())
}

/// The limit that was reached, with its namespace where the body says it.
fn limit_of(body: &Value) -> Option<String> {
    let limit = body.get("limit")?;
    let key = text(limit, &["key"])?;
    let of = text(limit, &["namespace"]).map(|namespace| format!(" of {namespace}")).unwrap_or_default();
    Some(format!("{key}{of}"))
}

/// What a body is that is no JSON.
fn kind_of_body(body: &[u8]) -> &'static str {
    match body.trim_ascii_start().first() {
        None => "empty",
        Some(b'<') => "html",
        Some(_) => "text",
    }
}

#[cfg(test)]
mod tests;
