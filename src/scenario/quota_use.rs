//! How a plan compares with the quotas of the embedded simulator.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::words::per_token;
use super::{Endpoint, LimitKey, Scenario};
use crate::quota::{Cost, Model, Quota};
use crate::units::format;

/// A limit of exactly the quota lets one request more through than the quota admits: the first one takes no time of it. Up to
/// this share it is that, and not a limit above the quota.
const SLIGHTLY: f64 = 1.01;

/// How the most requests of a run compare with a quota of the embedded simulator.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaUse {
    /// The quota.
    pub quota: Quota,
    /// Requests that all its keys together admit in the schedule; `None` where nothing bounds them, or where that depends
    /// on what is not planned: which conversations are met, and how large a request is.
    pub admitted: Option<u64>,
    /// The most requests of the key with the most users, as a share of what it admits; above 1 some are refused. `None`
    /// where nothing bounds the requests, or `admitted` is not known.
    pub share: Option<f64>,
}

/// The requests of a plan, as far as quotas see them.
pub(super) struct Demand<'a> {
    /// Users of each token.
    pub(super) users_of_each: &'a [u64],
    /// The most requests of the run; `None` where nothing bounds them.
    pub(super) most_requests: Option<u64>,
    /// The most that our own limit lets through for each of its keys.
    pub(super) permits: Option<u64>,
}

impl Scenario {
    /// How the plan compares with each quota of the embedded simulator.
    pub(super) fn quota_uses(&self, demand: &Demand<'_>) -> Vec<QuotaUse> {
        let Endpoint::Simulator(simulator) = &self.target.endpoint else { return Vec::new() };
        let length = self.load.length();
        simulator.quotas.iter().map(|quota| self.quota_use(quota, length, demand)).collect()
    }

    fn quota_use(&self, quota: &Quota, length: Duration, demand: &Demand<'_>) -> QuotaUse {
        let is_known = quota.cost == Cost::Request && !quota.scope.resource;
        let of_key = is_known.then(|| quota.limiter.most_in(length)).flatten();
        let keys = self.keys(quota, demand.users_of_each);
        let heaviest = keys.iter().filter_map(|key| self.requests_of(key, demand)).reduce(f64::max);
        QuotaUse {
            quota: quota.clone(),
            admitted: of_key.map(|requests| requests.saturating_mul(keys.len() as u64)),
            share: heaviest.zip(of_key).map(|(requests, admitted)| requests / float(admitted.max(1))),
        }
    }

    /// The keys of a quota that have users. A run has one address, so tokens and clients alone tell its keys apart.
    fn keys(&self, quota: &Quota, users_of_each: &[u64]) -> Vec<Key> {
        let mut keys: BTreeMap<usize, Key> = BTreeMap::new();
        for (token, users) in users_of_each.iter().enumerate().filter(|(_, users)| **users > 0) {
            let key = match quota.scope {
                scope if scope.token => token,
                scope if scope.client => self.target.auth.client_of(token),
                _ => 0,
            };
            let key = keys.entry(key).or_default();
            (key.users, key.tokens) = (key.users + users, key.tokens + 1);
        }
        keys.into_values().collect()
    }

    /// The most requests of a key.
    fn requests_of(&self, key: &Key, demand: &Demand<'_>) -> Option<f64> {
        match self.limit {
            Some(limit) if limit.per == LimitKey::Token => {
                demand.permits.map(|permits| float(permits.saturating_mul(key.tokens)))
            }
            // Users wait in one line, so each gets the same part of a run-wide limit.
            _ => {
                let all = demand.users_of_each.iter().sum::<u64>();
                demand.most_requests.map(|requests| float(requests) * float(key.users) / float(all))
            }
        }
    }
}

/// What has a state of its own in a quota.
#[derive(Default)]
struct Key {
    /// Users whose requests it counts.
    users: u64,
    /// The tokens that they have.
    tokens: u64,
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn float(count: u64) -> f64 {
    count as f64
}

impl fmt::Display for QuotaUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(&self.quota))?;
        let Some(admitted) = self.admitted else { return Ok(()) };
        write!(f, ", {} in this run; ", format::count(admitted))?;
        match self.share {
            None => write!(f, "without a limit, expect 429"),
            // As many as the quota admits, and the first one before the window opens: see `SLIGHTLY`.
            Some(share) if share > 1.0 && share <= SLIGHTLY => write!(
                f,
                "the plan uses up to {}: the server's window opens late, when our first request arrives, so expect one or \
                 two 429 in each; 99% of the quota avoid them",
                format::percent(share)
            ),
            Some(share) if share > 1.0 => write!(f, "the plan uses up to {}, so expect 429", format::percent(share)),
            Some(share) => write!(f, "the plan uses up to {}", format::percent(share)),
        }
    }
}

/// A quota in one line: `300/min for each token` for what a rate alone stands for; others with name, model and options.
pub(super) fn line(quota: &Quota) -> String {
    match quota.limiter.model {
        Model::FirstRequestWindow { rate } if *quota == per_token(rate) => format!("{rate} for each token"),
        _ => quota.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::Overrides;

    #[test]
    fn a_quota_per_client_counts_the_tokens_of_each_client_together() {
        let text = r#"
            name = "clients"
            [target]
            simulator = { clients = 2, quota = [
                { name = "client", model = "fixed-window", rate = "300/min", per = "client" },
                { name = "token", model = "fixed-window", rate = "300/min" },
                { name = "all", model = "fixed-window", rate = "300/min", per = "organisation" },
            ] }
            [target.auth]
            kind = "client-credentials"
            clients = [{ id = "simulator" }, { id = "simulator-2" }]
            tokens = 3
            [[variant]]
            name = "v"
            path = "/x"
            expect = [202]
            [load]
            stages = [{ for = "1m", users = 9 }]
            [limit]
            rate = "149/min"
            per = "token"
        "#;
        let scenario = Scenario::parse(Path::new("clients.toml"), text.as_bytes(), &|_| None, &Overrides::default());
        let uses = scenario.unwrap().plan().quotas;
        let found: Vec<_> = uses.iter().map(|used| (used.admitted, used.share)).collect();
        // 150 permits for each token, two of which are the first client's.
        assert_eq!(found, [(Some(600), Some(1.0)), (Some(900), Some(0.5)), (Some(300), Some(1.5))]);
    }
}
