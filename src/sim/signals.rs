//! What an answer says about quotas: `Retry-After` and the headers of quotas.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use hyper::header::{HeaderName, HeaderValue, RETRY_AFTER};

use crate::quota::{Quota, Usage};
use crate::scenario::{Factor, QuotaHeaders, RetryAfter, Signals};
use crate::units::Rate;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The last second that an HTTP date can name, from the Unix epoch: that of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// Headers of an answer.
pub(super) type Headers = Vec<(HeaderName, HeaderValue)>;

/// The seconds that `Retry-After` tells when the quota admits again after `rest`; `None` where it tells nothing.
pub(super) fn told_seconds(signals: &Signals, rest: Duration) -> Option<u64> {
    if signals.retry_after == RetryAfter::Missing {
        return None;
    }
    Some(whole_seconds(told(signals, rest)))
}

/// The `Retry-After` of a quota that admits again after `rest` from `now`, on the wall clock; `None` where it tells nothing.
pub(super) fn retry_after(signals: &Signals, rest: Duration, now: SystemTime) -> Option<(HeaderName, HeaderValue)> {
    let told = told(signals, rest);
    let value = match signals.retry_after {
        RetryAfter::Missing => return None,
        RetryAfter::Seconds => HeaderValue::from(whole_seconds(told)),
        RetryAfter::Date => {
            // A date has no parts of a second: it is rounded up, so that the quota admits at the date.
            let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let at = whole_seconds(since_epoch.saturating_add(told)).min(LAST_SECOND);
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
            HeaderValue::try_from(httpdate::fmt_http_date(date)).expect("a date is ASCII")
        }
    };
    Some((RETRY_AFTER, value))
}

/// The rest as it is told: true, or wrong by the factor.
fn told(signals: &Signals, rest: Duration) -> Duration {
    if signals.retry_after_factor == Factor::default() {
        // The product with 1 would lose nanoseconds of long times.
        return rest;
    }
    Duration::try_from_secs_f64(rest.as_secs_f64() * signals.retry_after_factor.0).unwrap_or(Duration::MAX)
}

/// The headers of quotas with what is left of each.
pub(super) fn quota_headers<'a>(style: QuotaHeaders, usages: impl Iterator<Item = (&'a Quota, Usage)>) -> Headers {
    match style {
        QuotaHeaders::None => Headers::new(),
        QuotaHeaders::RateLimit => rate_limit(usages),
        QuotaHeaders::XRateLimit => x_rate_limit(usages),
    }
}

/// Lists of structured fields (RFC 9651): the names of quotas have no characters that a string there must escape.
fn rate_limit<'a>(usages: impl Iterator<Item = (&'a Quota, Usage)>) -> Headers {
    let (mut policy, mut limit) = (String::new(), String::new());
    for (quota, usage) in usages {
        let comma = if policy.is_empty() { "" } else { ", " };
        let _ = write!(policy, "{comma}\"{}\";q={}", quota.name, usage.limit);
        if let Some(window) = quota.limiter.model.rate().map(Rate::per) {
            let _ = write!(policy, ";w={}", whole_seconds(window));
        }
        let _ = write!(limit, "{comma}\"{}\";r={};t={}", quota.name, usage.remaining, whole_seconds(usage.reset));
    }
    let value = |text: String| HeaderValue::try_from(text).expect("names of quotas and numbers are ASCII");
    if policy.is_empty() { Headers::new() } else { vec![(POLICY, value(policy)), (LIMIT, value(limit))] }
}

/// The quota with the smallest part left.
fn x_rate_limit<'a>(usages: impl Iterator<Item = (&'a Quota, Usage)>) -> Headers {
    let left = |usage: &Usage| f64::from(usage.remaining) / f64::from(usage.limit.max(1));
    let tightest = usages.map(|(_, usage)| usage).min_by(|a, b| left(a).total_cmp(&left(b)));
    tightest.map_or_else(Headers::new, |usage| {
        vec![
            (X_LIMIT, HeaderValue::from(usage.limit)),
            (X_REMAINING, HeaderValue::from(usage.remaining)),
            (X_RESET, HeaderValue::from(whole_seconds(usage.reset))),
        ]
    })
}

/// Whole seconds, rounded up.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::{Cost, Limiter, Model, Scope};

    /// Half a second after the Unix epoch had its day.
    const NOW: Duration = Duration::from_millis(86_400_500);

    fn told(retry_after: RetryAfter, factor: f64, rest: Duration) -> Option<String> {
        let signals = Signals { retry_after, retry_after_factor: Factor(factor), ..Signals::default() };
        let header = super::retry_after(&signals, rest, SystemTime::UNIX_EPOCH + NOW);
        assert_eq!(header.is_some(), told_seconds(&signals, rest).is_some());
        header.map(|(name, value)| {
            assert_eq!(name, "retry-after");
            value.to_str().unwrap().to_owned()
        })
    }

    #[test]
    fn retry_after_is_rounded_up_to_whole_seconds() {
        for (rest_ns, factor, expected) in [
            (0, 1.0, "0"),
            (1, 1.0, "1"),
            (1_000_000_000, 1.0, "1"),
            (1_000_000_001, 1.0, "2"),
            (42_000_000_000, 1.0, "42"),
            (42_000_000_000, 0.5, "21"),
            (42_000_000_002, 0.5, "22"),
            (1_500_000_000, 3.0, "5"),
            (10_000_000_000, 0.001, "1"),
        ] {
            let told = told(RetryAfter::Seconds, factor, Duration::from_nanos(rest_ns));
            assert_eq!(told.as_deref(), Some(expected), "{rest_ns} ns times {factor}");
        }
        assert_eq!(told(RetryAfter::Seconds, 1_000.0, Duration::MAX), Some(u64::MAX.to_string()));
    }

    #[test]
    fn a_date_is_rounded_up_once_from_now_and_the_rest_together() {
        for (rest_ms, factor, expected) in [
            (0, 1.0, "Fri, 02 Jan 1970 00:00:01 GMT"),
            (500, 1.0, "Fri, 02 Jan 1970 00:00:01 GMT"),
            (501, 1.0, "Fri, 02 Jan 1970 00:00:02 GMT"),
            (1_200, 1.0, "Fri, 02 Jan 1970 00:00:02 GMT"),
            (59_500, 1.0, "Fri, 02 Jan 1970 00:01:00 GMT"),
            (59_500, 2.0, "Fri, 02 Jan 1970 00:02:00 GMT"),
        ] {
            let told = told(RetryAfter::Date, factor, Duration::from_millis(rest_ms));
            assert_eq!(told.as_deref(), Some(expected), "{rest_ms} ms times {factor}");
        }
        let last = told(RetryAfter::Date, 1.0, Duration::MAX);
        assert_eq!(last.as_deref(), Some("Fri, 31 Dec 9999 23:59:59 GMT"), "there is no later date");
    }

    #[test]
    fn a_missing_retry_after_is_told_nowhere() {
        assert_eq!(told(RetryAfter::Missing, 1.0, Duration::from_secs(5)), None);
    }

    /// Two windows and a concurrency limit with what is left of each.
    fn usages() -> [(Quota, Usage); 3] {
        let quota = |name: &str, model| Quota {
            name: name.to_owned(),
            limiter: Limiter::new(model),
            scope: Scope::default(),
            cost: Cost::Request,
        };
        let window = |rate: &str| Model::FirstRequestWindow { rate: rate.parse().unwrap() };
        let usage = |limit, remaining, ms| Usage { limit, remaining, reset: Duration::from_millis(ms) };
        [
            (quota("minute", window("300/min")), usage(300, 30, 41_200)),
            (quota("short", window("10/500ms")), usage(10, 2, 1)),
            (quota("in-flight", Model::Concurrency { limit: 8.try_into().unwrap() }), usage(8, 8, 0)),
        ]
    }

    fn headers(style: QuotaHeaders, of: &[(Quota, Usage)]) -> Vec<(String, String)> {
        let headers = quota_headers(style, of.iter().map(|(quota, usage)| (quota, *usage)));
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    #[test]
    fn quota_headers_are_written_in_their_style() {
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let rate_limit = [
            own("ratelimit-policy", r#""minute";q=300;w=60, "short";q=10;w=1, "in-flight";q=8"#),
            own("ratelimit", r#""minute";r=30;t=42, "short";r=2;t=1, "in-flight";r=8;t=0"#),
        ];
        // 30 of 300 is less than 2 of 10.
        let x_rate_limit =
            [own("x-ratelimit-limit", "300"), own("x-ratelimit-remaining", "30"), own("x-ratelimit-reset", "42")];
        let all = usages();
        assert_eq!(headers(QuotaHeaders::RateLimit, &all), rate_limit);
        assert_eq!(headers(QuotaHeaders::XRateLimit, &all), x_rate_limit);
        assert_eq!(headers(QuotaHeaders::XRateLimit, &all[1..])[1], own("x-ratelimit-remaining", "2"));
        assert_eq!(headers(QuotaHeaders::None, &all), []);
        for style in [QuotaHeaders::RateLimit, QuotaHeaders::XRateLimit] {
            assert_eq!(headers(style, &[]), [], "without quotas there is nothing to tell");
        }
    }
}
