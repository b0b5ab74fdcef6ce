//! The plan: what a scenario will do, told before the first request.

use std::fmt;
use std::time::Duration;

use super::quota_use::{Demand, QuotaUse};
use super::{AllowedHours, Auth, CheckPlan, Connections, Endpoint, Limit, LimitKey, Outside, Scenario, Schedule};
use crate::pace::Window;
use crate::units::format;

/// What a scenario will do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Where requests go.
    pub target: String,
    /// The most users that are on stage at one time.
    pub users: u32,
    /// The length of the schedule, without the drain.
    pub length: Duration,
    /// The part of it of which the figures are.
    pub main: Window,
    /// Operations that are due in the open model; `None` in the closed one.
    pub arrivals: Option<u64>,
    /// How users share connections.
    pub connections: Connections,
    /// What is unusual about connections, in one line; `None` where nothing is.
    pub transport: Option<String>,
    /// The tokens that users have; 0 where requests are not authorised.
    pub tokens: usize,
    /// What we impose on ourselves.
    pub limit: Option<Limit>,
    /// The most requests that limit and iterations let through in the schedule, every retry included; `None` where nothing
    /// bounds them.
    pub most_requests: Option<u64>,
    /// What is tried again; `None` where nothing is.
    pub retries: Option<RetryPlan>,
    /// What `limit.budget` means for the run; `None` without one.
    pub budget: Option<BudgetPlan>,
    /// When the run may send; `None` for always.
    pub window: Option<AllowedHours>,
    /// Data rows whose attributes are put back, with the requests that may take; `None` where none are.
    pub snapshot: Option<(u64, u64)>,
    /// What the checks may send beside the load; `None` where nothing is checked.
    pub checks: Option<CheckPlan>,
    /// How the requests compare with each quota of the embedded simulator; empty without a quota that we know.
    pub quotas: Vec<QuotaUse>,
}

/// What retries may add to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPlan {
    /// Retries of an operation, at most.
    pub max: u32,
    /// The operations that schedule and data bound a run to; `None` where nothing but a limit does.
    pub operations: Option<u64>,
}

impl fmt::Display for RetryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempts = u64::from(self.max) + 1;
        write!(f, "up to {} for each operation", format::count(self.max.into()))?;
        match self.operations {
            Some(operations) => write!(
                f,
                "; {} operations are at worst {} attempts, as far as a limit lets them",
                format::count(operations),
                format::count(operations.saturating_mul(attempts)),
            ),
            None => write!(f, ", so at worst {} attempts instead of one", format::count(attempts)),
        }
    }
}

/// What a budget means for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetPlan {
    /// Requests in all.
    pub requests: u64,
    /// What it leaves for attempts: all but logins before the start, snapshot, restore and checks.
    pub attempts: u64,
    /// Whether logins in mid-run are to come out of that, too.
    pub logins: MidRunLogins,
    /// Whether it ends the run before its schedule.
    pub ends_the_run: Ends,
}

/// Whether a run may log in while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MidRunLogins {
    /// Its tokens are given, or it needs none.
    None,
    /// As often as tokens end or are refused.
    Some,
}

/// Whether a budget ends a run before its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// It does not.
    No,
    /// It does, if the target keeps up.
    Yes,
    /// That depends on how fast the target answers.
    Maybe,
}

impl BudgetPlan {
    /// Of a plan with at most `most` requests, of which only the `first` attempts are certain to be wanted.
    fn new((requests, attempts): (u64, u64), logins: MidRunLogins, (first, most): (Option<u64>, Option<u64>)) -> Self {
        let exceeds = |bound: Option<u64>| bound.is_some_and(|requests| requests > attempts);
        let ends_the_run = match most {
            _ if exceeds(first) => Ends::Yes,
            Some(most) if most <= attempts => Ends::No,
            _ => Ends::Maybe,
        };
        Self { requests, attempts, logins, ends_the_run }
    }
}

impl fmt::Display for BudgetPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [requests, attempts] = [self.requests, self.attempts].map(format::count);
        let logins = if self.logins == MidRunLogins::Some { " and logins in mid-run" } else { "" };
        write!(f, "{requests} requests, {attempts} of them for attempts{logins}")?;
        match self.ends_the_run {
            Ends::No => Ok(()),
            Ends::Yes => f.write_str("; it ends the run before its schedule"),
            Ends::Maybe => f.write_str("; it may end the run before its schedule"),
        }
    }
}

impl Scenario {
    /// What this scenario will do.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let (users, length) = (self.load.max_users(), self.load.length());
        let users_of_each = self.target.tokens.users_of_each(users);
        let tokens = users_of_each.iter().filter(|users| **users > 0).count();
        let permits = self.limit.map(|limit| permits_of(&limit, length));
        let by_limit = permits.map(|permits| permits.saturating_mul(self.limit_keys()));
        let operations = self.load.most_operations().into_iter().chain(self.most_operations()).min();
        let attempts_each = self.retry.as_ref().map_or(1, |retry| u64::from(retry.max) + 1);
        let at_worst = operations.map(|operations| operations.saturating_mul(attempts_each));
        let most_requests = by_limit.into_iter().chain(at_worst).min();
        let first_attempts = by_limit.into_iter().chain(operations).min();
        let logins = match self.target.auth {
            Auth::ClientCredentials { .. } => MidRunLogins::Some,
            Auth::None | Auth::Bearer { .. } => MidRunLogins::None,
        };
        let budget = self.care.budget.zip(self.attempts_in_budget());
        Plan {
            target: match &self.target.endpoint {
                Endpoint::Simulator(_) => "the embedded simulator".to_owned(),
                Endpoint::Url(url) => url.to_string(),
            },
            users,
            length,
            main: self.load.main,
            arrivals: match &self.load.schedule {
                Schedule::Users(_) => None,
                Schedule::Arrivals(open) => Some(open.arrivals.count()),
            },
            connections: self.load.connections,
            transport: self.target.connection.outline(),
            tokens: if matches!(self.target.auth, Auth::None) { 0 } else { tokens },
            limit: self.limit,
            most_requests,
            retries: self.retry.as_ref().map(|retry| RetryPlan { max: retry.max, operations }),
            budget: budget.map(|budget| BudgetPlan::new(budget, logins, (first_attempts, most_requests))),
            window: self.care.window,
            snapshot: self.snapshot_requests().map(|requests| (requests.writes, requests.all())),
            checks: self.check_plan(most_requests),
            quotas: self.quota_uses(&Demand { users_of_each: &users_of_each, most_requests, permits }),
        }
    }

    /// How many limits there are: one for the run, or one for each token that a user has.
    pub(super) fn limit_keys(&self) -> u64 {
        if self.limit.is_none_or(|limit| limit.per == LimitKey::Run) {
            return 1;
        }
        let users_of_each = self.target.tokens.users_of_each(self.load.max_users());
        users_of_each.iter().filter(|users| **users > 0).count() as u64
    }
}

/// The most that one key of a limit lets through in a time: the burst, and what its rate adds.
pub(super) fn permits_of(limit: &Limit, length: Duration) -> u64 {
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
        match self.arrivals {
            None => writeln!(f, "users        {}", format::count(u64::from(self.users)))?,
            Some(count) => {
                writeln!(f, "arrivals     {}, whatever the target does", format::count(count))?;
                writeln!(f, "users        at most {}", format::count(u64::from(self.users)))?;
            }
        }
        write!(f, "length       {}", format::duration(self.length))?;
        let Window { from, to } = self.main;
        for (name, time) in [("warm-up", from), ("cool-down", self.length.saturating_sub(to))] {
            if !time.is_zero() {
                write!(f, ", {} of it {name}", format::duration(time))?;
            }
        }
        writeln!(f)?;
        writeln!(f, "connections  {connections}")?;
        if let Some(transport) = &self.transport {
            writeln!(f, "transport    {transport}")?;
        }
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
        if let Some(retries) = &self.retries {
            write!(f, "\nretries      {retries}")?;
        }
        if let Some(budget) = &self.budget {
            write!(f, "\nbudget       {budget}")?;
        }
        if let Some(AllowedHours { hours, outside }) = self.window {
            let what = match outside {
                Outside::Pause => "waits for them",
                Outside::Stop => "does not start",
            };
            write!(f, "\nhours        {hours}; outside of them the run {what}")?;
        }
        if let Some((places, requests)) = self.snapshot {
            let [places, requests] = [places, requests].map(format::count);
            write!(
                f,
                "\nsnapshot     attributes of {places} rows, read before and put back after, at most {requests} requests"
            )?;
        }
        if let Some(checks) = &self.checks {
            write!(f, "\n{checks}")?;
        }
        for quota in &self.quotas {
            write!(f, "\nquota        {quota}")?;
        }
        Ok(())
    }
}
