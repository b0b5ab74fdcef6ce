//! How a plan compares with the quotas of the embedded simulator.

use std::fmt;
use std::time::Duration;

use super::words::per_token;
use super::{Endpoint, LimitKey, Scenario};
use crate::quota::{Cost, Model, Quota};
use crate::units::format;

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
        // A run has one client and one address, so tokens alone tell its keys apart.
        let keys =
            if quota.scope.token { demand.users_of_each.iter().filter(|users| **users > 0).count() as u64 } else { 1 };
        let of_heaviest =
            if quota.scope.token { self.of_heaviest_token(demand) } else { demand.most_requests.map(float) };
        QuotaUse {
            quota: quota.clone(),
            admitted: of_key.map(|requests| requests.saturating_mul(keys)),
            share: of_heaviest.zip(of_key).map(|(requests, admitted)| requests / float(admitted.max(1))),
        }
    }

    /// The most requests of the token with the most users.
    fn of_heaviest_token(&self, demand: &Demand<'_>) -> Option<f64> {
        match self.limit {
            Some(limit) if limit.per == LimitKey::Token => demand.permits.map(float),
            // Users wait in one line, so each gets the same part of a run-wide limit.
            _ => {
                let (most, all) = (demand.users_of_each.iter().max()?, demand.users_of_each.iter().sum::<u64>());
                demand.most_requests.map(|requests| float(requests) * float(*most) / float(all))
            }
        }
    }
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
