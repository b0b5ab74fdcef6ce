//! What one answer's headers state.
//!
//! Read are the fields of draft-ietf-httpapi-ratelimit-headers-11 and of its predecessors back to 00, the usual fields
//! with `X-` in front, those that Genesys Cloud once sent, and `Retry-After` (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use sfv::{BareItem, Dictionary, List, ListEntry, Parameters, Parser};

use super::Unit;

/// One statement of one answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    /// The header, as it is usually written.
    pub(super) source: &'static str,
    /// The name of the quota there; empty where it has none.
    pub(super) name: String,
    pub(super) fact: Fact,
}

/// What is stated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fact {
    /// So many in so many seconds, where the time is said.
    Quota { limit: u64, window_s: Option<f64>, unit: Unit },
    /// So many are left.
    Remaining(u64),
    /// Everything begins anew in so many seconds.
    Reset(f64),
    /// Come back in so many seconds.
    RetryAfter(f64),
}

/// A name of a field in lower case, and how it is usually written.
type Field = (&'static str, &'static str);

const POLICY: Field = ("ratelimit-policy", "RateLimit-Policy");
const RATE_LIMIT: Field = ("ratelimit", "RateLimit");
const RETRY_AFTER: Field = ("retry-after", "Retry-After");
const AFTER: Field = ("x-ratelimit-after", "X-RateLimit-After");

/// Fields with a number each: of the limit, of what is left, of the reset.
const NUMBERED: [[Field; 3]; 3] = [
    [
        ("ratelimit-limit", "RateLimit-Limit"),
        ("ratelimit-remaining", "RateLimit-Remaining"),
        ("ratelimit-reset", "RateLimit-Reset"),
    ],
    [
        ("x-ratelimit-limit", "X-RateLimit-Limit"),
        ("x-ratelimit-remaining", "X-RateLimit-Remaining"),
        ("x-ratelimit-reset", "X-RateLimit-Reset"),
    ],
    [
        ("x-rate-limit-limit", "X-Rate-Limit-Limit"),
        ("x-rate-limit-remaining", "X-Rate-Limit-Remaining"),
        ("x-rate-limit-reset", "X-Rate-Limit-Reset"),
    ],
];

/// The fields of Genesys Cloud until June 2021: of the limit, of what is used, of the reset.
const ININ: [Field; 3] = [
    ("inin-ratelimit-allowed", "inin-ratelimit-allowed"),
    ("inin-ratelimit-count", "inin-ratelimit-count"),
    ("inin-ratelimit-reset", "inin-ratelimit-reset"),
];

/// A reset of more than that is an instant: seconds since 1970, or milliseconds above the second one.
const EPOCH_S: f64 = 1e9;
const EPOCH_MS: f64 = 1e12;

/// Numbers above this are none that a quota has, nor digits that a float keeps.
const HUGE: f64 = 9e15;

/// What the headers of an answer state, by names in any case; each field once, however often it stands there.
pub(super) fn statements(fields: &[(String, String)]) -> Vec<Statement> {
    let fields = Fields(fields);
    let mut found = Vec::new();
    found.extend(fields.policies());
    found.extend(fields.current());
    for [limit, remaining, reset] in NUMBERED {
        found.extend(fields.limits(limit));
        found.extend(fields.whole(remaining).map(|left| statement(remaining, Fact::Remaining(left))));
        found.extend(fields.moment(reset).map(|seconds| statement(reset, Fact::Reset(seconds))));
    }
    found.extend(fields.of_inin());
    for field in [RETRY_AFTER, AFTER] {
        found.extend(fields.moment(field).map(|rest| statement(field, Fact::RetryAfter(rest))));
    }
    found
}

fn statement(field: Field, fact: Fact) -> Statement {
    Statement { source: field.1, name: String::new(), fact }
}

fn quota(field: Field, name: String, (limit, parameters): (u64, Option<&Parameters>)) -> Statement {
    let of = |key: &str| parameters.and_then(|all| number(all.get(key)?));
    let window_s = of("w").or_else(|| of("window")).filter(|window| *window > 0.0);
    let unit = match parameters.and_then(|all| text(all.get("qu")?)).as_deref() {
        None | Some("requests") => Unit::Requests,
        Some("concurrent-requests") => Unit::Concurrent,
        Some(_) => Unit::Other,
    };
    Statement { source: field.1, name, fact: Fact::Quota { limit, window_s, unit } }
}

struct Fields<'a>(&'a [(String, String)]);

impl Fields<'_> {
    /// The first value of a field.
    fn first(&self, field: Field) -> Option<&str> {
        let same = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(field.0));
        same.map(|(_, value)| value.trim())
    }

    /// All values of a field as one list, as RFC 9110 joins them.
    fn joined(&self, field: Field) -> Option<String> {
        let same = self.0.iter().filter(|(name, _)| name.eq_ignore_ascii_case(field.0));
        let values: Vec<_> = same.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// `"burst";q=100;w=60, "daily";q=1000;w=86400`, or in older drafts `100;w=60, 1000;w=86400`.
    fn policies(&self) -> Vec<Statement> {
        let list = self.joined(POLICY).and_then(|value| Parser::new(&value).parse::<List>().ok());
        items(list.as_deref().unwrap_or_default())
            .filter_map(|(item, parameters)| match text(item) {
                Some(name) => Some(quota(POLICY, name, (whole(parameters.get("q")?)?, Some(parameters)))),
                None => Some(quota(POLICY, String::new(), (whole(item)?, Some(parameters)))),
            })
            .collect()
    }

    /// `"burst";r=50;t=30`, or in older drafts `limit=100, remaining=50, reset=5`.
    fn current(&self) -> Vec<Statement> {
        let Some(value) = self.joined(RATE_LIMIT) else {
            return Vec::new();
        };
        if let Ok(all) = Parser::new(&value).parse::<Dictionary>()
            && let Some(limit) = member(&all, "limit").and_then(whole)
        {
            let left = member(&all, "remaining").and_then(whole).map(Fact::Remaining);
            let rest = member(&all, "reset").and_then(number).map(Fact::Reset);
            let limit = quota(RATE_LIMIT, String::new(), (limit, None));
            return [left, rest].into_iter().flatten().map(|fact| statement(RATE_LIMIT, fact)).chain([limit]).collect();
        }
        let list = Parser::new(&value).parse::<List>().unwrap_or_default();
        let of_item = |(item, parameters): (&BareItem, &Parameters)| {
            let name = text(item)?;
            let left = parameters.get("r").and_then(whole).map(Fact::Remaining);
            let rest = parameters.get("t").and_then(number).map(Fact::Reset);
            let facts = [left, rest].into_iter().flatten();
            Some(
                facts.map(move |fact| Statement { source: RATE_LIMIT.1, name: name.clone(), fact }).collect::<Vec<_>>(),
            )
        };
        items(&list).filter_map(of_item).flatten().collect()
    }

    /// A number, behind which older drafts have policies: `100`, or `100, 100;w=60, 1000;w=3600`.
    fn limits(&self, field: Field) -> Vec<Statement> {
        let list = self.joined(field).and_then(|value| Parser::new(&value).parse::<List>().ok()).unwrap_or_default();
        let all: Vec<_> = items(&list)
            .filter_map(|(item, parameters)| Some(quota(field, String::new(), (whole(item)?, Some(parameters)))))
            .collect();
        // The first one is the limit that applies; where policies follow, it is one of them, and they say more.
        if all.len() > 1 { all[1..].to_vec() } else { all }
    }

    fn of_inin(&self) -> Vec<Statement> {
        let [limit, used, reset] = ININ;
        let allowed = self.whole(limit);
        let left = allowed.zip(self.whole(used)).map(|(allowed, count)| allowed.saturating_sub(count));
        let allowed = allowed.map(|allowed| quota(limit, String::new(), (allowed, None)));
        let left = left.map(|left| statement(used, Fact::Remaining(left)));
        let moment = self.moment(reset).map(|seconds| statement(reset, Fact::Reset(seconds)));
        allowed.into_iter().chain(left).chain(moment).collect()
    }

    fn whole(&self, field: Field) -> Option<u64> {
        digits(self.first(field)?)
    }

    /// Seconds from this answer on: a number of them, or an instant that the answer's own `Date` makes one.
    fn moment(&self, field: Field) -> Option<f64> {
        let text = self.first(field)?;
        let Some(value) = decimal(text) else {
            return Some(since(httpdate::parse_http_date(text).ok()?, self.date()?));
        };
        if value <= EPOCH_S {
            return Some(value);
        }
        let seconds = if value > EPOCH_MS { value / 1e3 } else { value };
        let instant = SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        Some(since(instant, self.date()?))
    }

    fn date(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.first(("date", "Date"))?).ok()
    }
}

/// Seconds from one instant to a later one; 0 where it is not later.
fn since(later: SystemTime, earlier: SystemTime) -> f64 {
    later.duration_since(earlier).unwrap_or_default().as_secs_f64()
}

fn items(list: &[ListEntry]) -> impl Iterator<Item = (&BareItem, &Parameters)> {
    list.iter().filter_map(|entry| match entry {
        ListEntry::Item(item) => Some((&item.bare_item, &item.params)),
        ListEntry::InnerList(_) => None,
    })
}

fn member<'a>(all: &'a Dictionary, key: &str) -> Option<&'a BareItem> {
    match all.get(key)? {
        ListEntry::Item(item) => Some(&item.bare_item),
        ListEntry::InnerList(_) => None,
    }
}

fn text(item: &BareItem) -> Option<String> {
    match item {
        BareItem::String(text) => Some(text.as_str().to_owned()),
        BareItem::Token(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

fn whole(item: &BareItem) -> Option<u64> {
    u64::try_from(i64::from(item.as_integer()?)).ok()
}

/// A number of seconds, not below zero.
fn number(item: &BareItem) -> Option<f64> {
    match item {
        BareItem::Integer(value) => decimal(&value.to_string()),
        BareItem::Decimal(value) => Some(f64::from(*value)).filter(|value| *value >= 0.0),
        _ => None,
    }
}

fn digits(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Digits, and perhaps a point and more of them: no sign, no exponent, no word for infinity.
fn decimal(text: &str) -> Option<f64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value: f64 = (is_number(whole) && is_number(part)).then(|| text.parse().ok())??;
    (value <= HUGE).then_some(value)
}
