//! The limits that an organisation's own settings name.

use serde_json::Value;

use super::{Claim, Says, Standing, Unit};

/// What claims of the organisation's settings are said to come from.
pub(super) const SOURCE: &str = "organisation limits";

/// Limits at most: an organisation has some dozens, and what a server sends has no bound.
const MOST: usize = 1_000;

/// What the name of a limit has in it where it counts requests per minute, as in `token.rate.per.minute`.
const PER_TIME: [(&str, f64); 3] = [("rate.per.second", 1.0), ("rate.per.minute", 60.0), ("rate.per.hour", 3_600.0)];

/// The limits in the answer to `GET /api/v2/organizations/limits/namespaces/NAMESPACE`, not tested yet: `entities`, each
/// with its `key` and `value`, or else a map of names to values. Empty where the body is anything else; what has no whole
/// number is left out.
#[must_use]
pub fn claimed_limits(body: &[u8]) -> Vec<Claim> {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Vec::new();
    };
    let pairs: Vec<(&str, &Value)> = match body.get("entities") {
        Some(Value::Array(list)) => {
            list.iter().filter_map(|one| Some((one.get("key")?.as_str()?, one.get("value")?))).collect()
        }
        _ => body.iter().map(|(name, value)| (name.as_str(), value)).collect(),
    };
    let claim = |(name, value): (&str, &Value)| {
        let window_s = PER_TIME.iter().find(|(part, _)| name.contains(part)).map(|(_, seconds)| *seconds);
        let unit = if window_s.is_some() { Unit::Requests } else { Unit::Other };
        let says = Says::Quota { limit: value.as_u64()?, window_s, unit, tier: None };
        let (source, name) = (SOURCE.to_owned(), name.to_owned());
        Some(Claim { source, name, says, answers: 1, standing: Standing::NotTested })
    };
    pairs.into_iter().filter_map(claim).take(MOST).collect()
}
