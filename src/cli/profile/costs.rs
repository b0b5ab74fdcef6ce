//! What a profile may cost, told before its first request.

use std::fmt::Write as _;

use crate::cli::arguments::ProfileArguments;
use crate::profile::{self, Plan, Sender, Sends};
use crate::scenario::{Auth, Endpoint, Scenario};
use crate::units::format;

/// What a profile may cost.
pub(super) struct Costs {
    /// Bounds of the profile itself.
    pub(super) plan: Plan,
    /// `limit.budget` of the scenario: requests of all kinds.
    pub(super) budget: Option<u64>,
    /// Logins before the first request.
    pub(super) logins: u64,
    /// Reads of what the organisation declares, after the last one.
    declared: u64,
}

impl Costs {
    /// What the arguments and the scenario allow.
    pub(super) fn new(
        scenario: &Scenario,
        arguments: &ProfileArguments,
        senders: &[Sender],
        files: Option<u64>,
    ) -> Self {
        let logins = match scenario.target.auth {
            Auth::ClientCredentials { .. } => scenario.target.tokens.count() as u64,
            Auth::None | Auth::Bearer { .. } => 0,
        };
        let budget = scenario.care.budget;
        let declared = u64::from(senders.first().is_some_and(|tested| profile::declares(scenario, tested)));
        // The loader saw to it that logins leave something of a budget.
        let left = budget.map_or(u64::MAX, |budget| budget.saturating_sub(logins + declared).max(1));
        let requests = arguments.requests.get().min(u32::try_from(left).unwrap_or(u32::MAX));
        let usual = Plan::default();
        let longest = scenario.care.stops.retry_after.unwrap_or(usual.longest_retry_after);
        let plan = Plan {
            requests,
            // Whoever spends all on the first burst has nothing left to find out what it was that refused.
            first_burst: usual.first_burst.min(requests.div_ceil(2)),
            time: arguments.time,
            widest: widest(files, usual.widest),
            others: senders.len().saturating_sub(1),
            longest_retry_after: longest.min(arguments.time),
            ..usual
        };
        Self { plan, budget, logins, declared }
    }

    /// The bounds, less what renewals of tokens may take of the budget.
    pub(super) fn plan_with(&self, renewals: u64) -> Plan {
        let Some(budget) = self.budget else { return self.plan };
        let left = budget.saturating_sub((self.logins + self.declared).saturating_add(renewals)).max(1);
        Plan { requests: self.plan.requests.min(u32::try_from(left).unwrap_or(u32::MAX)), ..self.plan }
    }

    /// The plan in lines for people.
    pub(super) fn text(&self, scenario: &Scenario, senders: &[Sender]) -> String {
        let Plan { requests, first_burst, time, widest, longest_retry_after, .. } = self.plan;
        let count = |number: u32| format::count(number.into());
        let target = match &scenario.target.endpoint {
            Endpoint::Simulator(_) => "the embedded simulator".to_owned(),
            Endpoint::Url(url) => url.to_string(),
        };
        let mut text = format!("target       {target}\n");
        let _ = write!(text, "requests     at most {}", count(requests));
        if let Some(budget) = self.budget {
            let _ = write!(text, " of a budget of {}", format::count(budget));
        }
        if self.logins > 0 {
            let _ = write!(text, ", and {} {} before", format::count(self.logins), plural(self.logins, "login"));
        }
        if self.declared > 0 {
            text.push_str(", and 1 read of the organisation's limits after");
        }
        let _ = write!(
            text,
            "\ntime         at most {}; most of it is waiting for the quota to recover\n\
             first burst  until it is refused, at most {}; up to {} at once, each on its own connection\n\
             at worst     whoever shares the quota is refused for that time, too; a Retry-After above {} ends it, and so \
             do three 5xx in a row",
            format::duration(time),
            count(first_burst),
            count(widest.min(requests)),
            format::duration(longest_retry_after),
        );
        for (number, sender) in senders.iter().enumerate() {
            let name = if number == 0 { "key".to_owned() } else { format!("other {number}") };
            let _ = write!(text, "\n{name:<13}{}: {}", sender.label(), request(scenario, sender));
        }
        if let Some(body) = senders.first().and_then(|sender| body(scenario, sender)) {
            let _ = write!(text, "\nwrites       the same again and again: {body}");
        }
        if let Some(permission) = permission(scenario) {
            let _ = write!(text, "\npermission   {permission}");
        }
        if scenario.limit.is_some() {
            text.push_str(
                "\nlimit        `limit.rate` does not hold the probes back: they are to find what is refused",
            );
        }
        if scenario.snapshot.is_some() {
            text.push_str("\nsnapshot     none: the attributes above keep what is written");
        }
        if let Some(window) = scenario.care.window {
            let _ = write!(text, "\nhours        {}", window.hours);
        }
        text
    }
}

/// How many connections there may be at once: so many files may be open, and the simulator has the other ends.
fn widest(files: Option<u64>, usual: u32) -> u32 {
    let room = files.map_or(u64::MAX, |files| files.saturating_sub(50) / 2);
    u32::try_from(room).unwrap_or(u32::MAX).clamp(1, usual)
}

/// Who allowed this, as the scenario says it; `None` where it need not and does not.
fn permission(scenario: &Scenario) -> Option<&str> {
    scenario.source.get("target")?.get("permission")?.as_str()
}

fn plural(number: u64, noun: &str) -> String {
    if number == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// Method, path and token of a key's requests, as they may be shown.
fn request(scenario: &Scenario, sender: &Sender) -> String {
    let (method, path) = match sender.sends {
        Sends::Write => (scenario.variants[sender.operation.variant].method.as_str(), sender.path_shown(scenario)),
        Sends::Read => ("GET", sender.path_shown(scenario)),
    };
    let token = match scenario.target.auth {
        Auth::None => String::new(),
        Auth::Bearer { .. } | Auth::ClientCredentials { .. } => format!(", token {}", sender.token + 1),
    };
    format!("{method} {path}{token}")
}

/// The body of a key's requests, as it may be shown.
fn body(scenario: &Scenario, sender: &Sender) -> Option<String> {
    let variant = &scenario.variants[sender.operation.variant];
    let shown = variant.render_shown(scenario, &sender.operation).ok()?;
    shown.body.map(|body| String::from_utf8_lossy(&body).into_owned())
}
