//! The plan: what a scenario will do, told before the first request.

use std::fmt;
use std::time::Duration;

use super::{Auth, Connections, Endpoint, Limit, LimitKey, Scenario};
use crate::units::{Rate, format};

/// What a scenario will do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Where requests go.
    pub target: String,
    /// The most users that are on stage at one time.
    pub users: u32,
    /// The length of the schedule, without the drain.
    pub length: Duration,
    /// How users share connections.
    pub connections: Connections,
    /// The tokens that users have; 0 where requests are not authorised.
    pub tokens: usize,
    /// What we impose on ourselves.
    pub limit: Option<Limit>,
    /// The most requests that limit and iterations let through in the schedule; `None` where nothing bounds them.
    pub most_requests: Option<u64>,
    /// How the requests compare with the simulator's quota; `None` without a quota that we know.
    pub quota: Option<QuotaUse>,
}

/// How the most requests of a run compare with the quota of the embedded simulator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuotaUse {
    /// The quota of each token.
    pub quota: Rate,
    /// Requests that the quotas of all tokens admit in the schedule.
    pub admitted: u64,
    /// The most requests of the token with the most users, as a share of its quota; above 1 some are refused. `None`
    /// where nothing bounds the requests.
    pub share: Option<f64>,
}

impl Scenario {
    /// What this scenario will do.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let (users, length) = (self.load.stages.max_users(), self.load.stages.length());
        let users_of_each = self.target.tokens.users_of_each(users);
        let tokens = users_of_each.iter().filter(|users| **users > 0).count();
        let by_limit = self.limit.map(|limit| {
            let keys = if limit.per == LimitKey::Token { tokens as u64 } else { 1 };
            permits(&limit, length).saturating_mul(keys)
        });
        let by_iterations = self.load.iterations.map(|iterations| iterations.saturating_mul(u64::from(users)));
        let most_requests = by_limit.into_iter().chain(by_iterations).min();
        Plan {
            target: match &self.target.endpoint {
                Endpoint::Simulator(_) => "the embedded simulator".to_owned(),
                Endpoint::Url(url) => url.to_string(),
            },
            users,
            length,
            connections: self.load.connections,
            tokens: if matches!(self.target.auth, Auth::None) { 0 } else { tokens },
            limit: self.limit,
            most_requests,
            quota: self.quota_use(&users_of_each, most_requests),
        }
    }

    fn quota_use(&self, users_of_each: &[u64], most_requests: Option<u64>) -> Option<QuotaUse> {
        let Endpoint::Simulator(simulator) = &self.target.endpoint else { return None };
        let quota = simulator.quota?;
        // The window opens with the first request, so a schedule shorter than a window meets one quota.
        let windows = self.load.stages.length().as_nanos().div_ceil(quota.window.as_nanos());
        let of_token = u64::from(quota.limit.get()).saturating_mul(u64::try_from(windows).unwrap_or(u64::MAX));
        let (most, all) = (users_of_each.iter().max()?, users_of_each.iter().sum::<u64>());
        let tokens = users_of_each.iter().filter(|users| **users > 0).count() as u64;
        let of_heaviest = match self.limit {
            Some(limit) if limit.per == LimitKey::Token => {
                #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
                let permits = permits(&limit, self.load.stages.length()) as f64;
                Some(permits)
            }
            // Users wait in one line, so each gets the same part of a run-wide limit.
            #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
            _ => most_requests.map(|requests| requests as f64 * *most as f64 / all as f64),
        };
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        let share = of_heaviest.map(|requests| requests / of_token as f64);
        let rate = Rate::new(quota.limit, quota.window)?;
        Some(QuotaUse { quota: rate, admitted: of_token.saturating_mul(tokens), share })
    }
}

/// The most that one key of a limit lets through in a time: the burst, and what its rate adds.
fn permits(limit: &Limit, length: Duration) -> u64 {
    let added = u128::from(limit.rate.count().get()) * length.as_nanos() / limit.rate.per().as_nanos();
    u64::try_from(added).unwrap_or(u64::MAX).saturating_add(u64::from(limit.burst.get()))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = match self.connections {
            Connections::PerUser => "each user its own",
            Connections::Shared => "shared by the users of a worker",
            Connections::PerRequest => "a new one for each request",
        };
        writeln!(f, "target       {}", self.target)?;
        writeln!(f, "users        {}", format::count(u64::from(self.users)))?;
        writeln!(f, "length       {}", format::duration(self.length))?;
        writeln!(f, "connections  {connections}")?;
        match self.tokens {
            0 => writeln!(f, "tokens       none")?,
            tokens => writeln!(f, "tokens       {}", format::count(tokens as u64))?,
        }
        match self.limit {
            Some(Limit { rate, burst, per, .. }) => {
                let key = if per == LimitKey::Token { "for each token" } else { "for the run" };
                writeln!(f, "limit        {rate} {key}, burst {}", format::count(u64::from(burst.get())))?;
            }
            None => writeln!(f, "limit        none")?,
        }
        match self.most_requests {
            Some(requests) => write!(f, "requests     at most {}", format::count(requests))?,
            None => write!(f, "requests     as many as the target answers")?,
        }
        if let Some(quota) = &self.quota {
            write!(f, "\nquota        {quota}")?;
        }
        Ok(())
    }
}

impl fmt::Display for QuotaUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (quota, admitted) = (self.quota, format::count(self.admitted));
        write!(f, "{quota} for each token, {admitted} in this run; ")?;
        match self.share {
            None => write!(f, "without a limit, expect 429"),
            Some(share) if share > 1.0 => write!(f, "the plan uses up to {}, so expect 429", format::percent(share)),
            Some(share) => write!(f, "the plan uses up to {}", format::percent(share)),
        }
    }
}
