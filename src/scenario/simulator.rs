//! The parameters of the simulator.

use std::time::Duration;

use super::population::Life;
use super::words::per_token;
use crate::quota::Quota;
use crate::units::{Rate, Share};

/// The client that the simulator's login always knows. With `clients` above 1 there are more: this name with `-2`, `-3`
/// and so on after it.
pub const CLIENT_ID: &str = "simulator";

/// The secret of every client of the simulator. It protects nothing: the simulator holds no data of anyone.
pub const CLIENT_SECRET: &str = "simulator";

/// A token of the first client that needs no login. It lives for [`Simulator::static_token_life`].
pub const STATIC_TOKEN: &str = "00000000-0000-4000-8000-000000000001";

/// A token of the first client that needs no login, never expires, and may read but not write.
pub const READ_ONLY_TOKEN: &str = "00000000-0000-4000-8000-000000000002";

/// How the simulated API behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulator {
    /// Which description of the API it follows.
    pub dialect: Dialect,
    /// The seed of latencies, faults, ids and lives.
    pub seed: u64,
    /// Conversations that exist, each with one participant in the role `customer` and one in the role `agent`.
    pub conversations: u32,
    /// The share of participants that have the other role than the one that the data rows say.
    pub mismatched_roles: Share,
    /// How conversations change over time; `None` for conversations that are connected from start to end.
    pub life: Option<Life>,
    /// Clients that may log in, at least 1.
    pub clients: u32,
    /// The life of a token that a login gives out.
    pub token_life: Duration,
    /// The life of [`STATIC_TOKEN`] from the server's start; `None` for ever.
    pub static_token_life: Option<Duration>,
    /// Logins of each client, in windows that open with their first login; `None` for as many as it likes.
    pub logins: Option<Rate>,
    /// The quotas, all of which a request must pass, in the order in which they are asked; names differ.
    pub quotas: Vec<Quota>,
    /// What an answer says about quotas.
    pub signals: Signals,
    /// How long an answer takes; a median of zero means no time at all.
    pub latency: LogNormal,
    /// The time from the answer to a write until a read shows it.
    pub visible_after: LogNormal,
    /// How long a body may take to arrive before the answer is 408.
    pub body_timeout: Duration,
    /// What goes wrong.
    pub faults: Faults,
    /// Requests that the truth remembers, the latest; 0 for none.
    pub truth: u32,
}

impl Default for Simulator {
    /// The documented API with its documented quota of 300 requests per 60 s and token.
    fn default() -> Self {
        let per_minute = |count: u32| {
            let count = count.try_into().expect("the caller writes no zero");
            Rate::new(count, Duration::from_mins(1)).expect("a minute is not zero")
        };
        Self {
            dialect: Dialect::Documented,
            seed: 1,
            conversations: 1_000,
            mismatched_roles: Share::NONE,
            life: None,
            clients: 1,
            token_life: Duration::from_hours(24),
            static_token_life: None,
            logins: Some(per_minute(300)),
            quotas: vec![per_token(per_minute(300))],
            signals: Signals::default(),
            latency: LogNormal { median: Duration::from_millis(20), p99: Duration::from_millis(80) },
            visible_after: LogNormal::always(Duration::from_millis(200)),
            body_timeout: Duration::from_secs(10),
            faults: Faults::default(),
            truth: 100_000,
        }
    }
}

/// Which description of the API the simulator follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The documented contract.
    Documented,
    /// What five public forum threads tell of it.
    Forum,
}

/// A log-normal distribution, given by two of its quantiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogNormal {
    /// Half of the values lie below.
    pub median: Duration,
    /// 99 of 100 values lie below; at least the median.
    pub p99: Duration,
}

impl LogNormal {
    /// A distribution without spread.
    #[must_use]
    pub const fn always(value: Duration) -> Self {
        Self { median: value, p99: value }
    }
}

/// What an answer says about quotas.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Signals {
    /// How `Retry-After` on a 429 is written.
    pub retry_after: RetryAfter,
    /// The true time is multiplied by this before it is written, above 0; 1 for the truth.
    pub retry_after_factor: Factor,
    /// The headers on every answer that a quota was asked for.
    pub headers: QuotaHeaders,
}

/// A factor above zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factor(pub f64);

impl Default for Factor {
    fn default() -> Self {
        Self(1.0)
    }
}

/// How `Retry-After` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryAfter {
    /// Whole seconds, rounded up.
    #[default]
    Seconds,
    /// An HTTP date, rounded up to a second, beside the `Date` of the answer.
    Date,
    /// Not at all.
    Missing,
}

/// The headers that tell of quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QuotaHeaders {
    /// None, as the documented API.
    #[default]
    None,
    /// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers).
    RateLimit,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining`, `X-RateLimit-Reset` in seconds from now, of the quota with the least
    /// left.
    XRateLimit,
}

/// What goes wrong, and how often. Each fault is drawn for each request by the request's number; a write is one of
/// attributes. What comes from in front of the API (`html_503`, `empty_503`) comes first, then resets, then `json_503` and
/// `conflict_409`; a dropped write has no other fault. So of two faults at 50 % the second befalls a quarter.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// The connection is reset instead of an answer; the request is not applied.
    pub reset: Draw,
    /// The connection is reset in the middle of the answer.
    pub cut: Draw,
    /// All answers wait at times.
    pub stall: Option<Stall>,
    /// A write is answered as a success and never applied.
    pub drop: SilentDrop,
    /// A write is applied, and undone after a time from when it became visible.
    pub revert: Timed,
    /// A write replaces the whole map by what its writer could have read when it arrived, and its own changes: what others
    /// wrote in between is lost.
    pub lost_update: Draw,
    /// A write is applied although it is answered with 500.
    pub applied_500: Draw,
    /// A write is applied, and its answer is a 504 that comes after a time.
    pub applied_timeout: Timed,
    /// A read shows the attributes as they were before the last change. The truth names it for each such read, also where
    /// nothing has changed yet.
    pub stale_read: Draw,
    /// A write that repeats one of the last eight of its participant, byte for byte, adds 1 to the attribute `counter`.
    pub duplicate: Draw,
    /// The body of an answer takes so long to send.
    pub slow_body: Timed,
    /// The answer is a page of HTML with the status 503; the request is not applied.
    pub html_503: Draw,
    /// The answer is a 503 without a body, from in front of the API like the page.
    pub empty_503: Draw,
    /// The answer is the API's own 503, `service.unavailable`; the request is not applied.
    pub json_503: Draw,
    /// A write is refused with 409, as one that another has overtaken; it is not applied.
    pub conflict_409: Draw,
    /// The answer says that its body is longer than it is.
    pub wrong_length: Draw,
    /// A token that a login gives out expires after a time, whatever its `expires_in` says. Drawn by the login's number.
    pub early_expiry: Timed,
}

/// How often a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Draw {
    /// The share of requests.
    pub share: Share,
    /// The seed of its draws; `None` for the simulator's.
    pub seed: Option<u64>,
}

/// A fault that takes a time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timed {
    /// How often.
    pub draw: Draw,
    /// How long.
    pub time: Duration,
}

/// A silent drop.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SilentDrop {
    /// How often.
    pub draw: Draw,
    /// The status of the answer: 200, 202 or 204; `None` for that of a success.
    pub status: Option<u16>,
}

/// A stall of everything: in each period of `every`, answers that fall into its first `length` wait for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// The time from the start of one stall to the next.
    pub every: Duration,
    /// How long each takes; shorter than `every`.
    pub length: Duration,
}
