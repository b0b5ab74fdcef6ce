//! Requests that try a quota: what an answer's headers say about it is kept.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::client::{HttpUser, Keep};
use super::veil::Veil;
use super::{Ask, Attempt};
use crate::units::Timer;

/// What the names of headers about quotas start with, beside `Retry-After`.
const PREFIXES: [&str; 4] = ["ratelimit", "x-ratelimit", "x-rate-limit", "inin-ratelimit"];

/// A request that tried a quota, and what came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The attempt, as one of a load would be told.
    pub attempt: Attempt,
    /// When it began to be written to an open connection; `None` when it never was.
    pub written: Option<Duration>,
    /// What the answer's headers say about quotas, names in lower case and in the order of the answer, values shortened and
    /// without what is hidden. `date` is among them where any other is, because resets may be told as instants.
    pub quota: Vec<(String, String)>,
}

impl<T: Timer> HttpUser<T> {
    /// Sends one request and reads the whole response, with what its headers say about quotas.
    pub async fn try_quota(&self, ask: Ask<'_>) -> Tried {
        let authorization = ask.authorization.clone();
        let exchange = self.send(ask, Keep::ToUnderstand).await;
        let veil = Veil::new(&self.scenario.hidden, authorization.as_ref());
        let quota = said(&exchange.headers, veil);
        Tried { attempt: exchange.asked.attempt, written: exchange.written, quota }
    }
}

fn said(headers: &HeaderMap, veil: Veil<'_>) -> Vec<(String, String)> {
    let is_of_quota = |name: &str| name == RETRY_AFTER || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if !headers.keys().any(|name| is_of_quota(name.as_str())) {
        return Vec::new();
    }
    let wanted = headers.iter().filter(|(name, _)| is_of_quota(name.as_str()) || **name == DATE);
    wanted
        .map(|(name, value)| (name.as_str().to_owned(), veil.shown(&String::from_utf8_lossy(value.as_bytes()))))
        .collect()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::scenario::Hidden;

    fn of(headers: &[(&'static str, &'static str)]) -> Vec<(String, String)> {
        let pairs = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static(value)));
        let nothing = Hidden::default();
        let token = HeaderValue::from_static("Bearer sesame");
        said(&pairs.collect(), Veil::new(&nothing, Some(&token)))
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn headers_of_quotas_are_kept_and_the_date_beside_them() {
        let found = of(&[
            ("Content-Type", "text/plain"),
            ("RateLimit", "\"default\";r=50;t=30"),
            ("X-RateLimit-Reset", "1700000000"),
            ("X-Rate-Limit-Remaining", "7"),
            ("inin-ratelimit-count", "3"),
            ("Retry-After", "5"),
            ("Date", "Sat, 21 Nov 2026 23:00:00 GMT"),
        ]);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        let expected =
            ["ratelimit", "x-ratelimit-reset", "x-rate-limit-remaining", "inin-ratelimit-count", "retry-after", "date"];
        assert_eq!(names, expected);
        assert!(of(&[("Date", "Sat, 21 Nov 2026 23:00:00 GMT"), ("Server", "x")]).is_empty());
    }

    #[test]
    fn a_server_that_quotes_the_token_is_not_quoted() {
        assert_eq!(of(&[("RateLimit", "\"sesame\";r=1")]), pairs(&[("ratelimit", "\"***\";r=1")]));
    }
}
