//! What a profile may cost, told before its first request.

use std::fmt::Write as _;

use crate::cli::arguments::ProfileArguments;
use crate::cli::exit::Failure;
use crate::profile::{Plan, Sender, Sends};
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
}

impl Costs {
    /// What the arguments and the scenario allow.
    ///
    /// # Errors
    /// When the budget leaves nothing to profile with.
    pub(super) fn new(scenario: &Scenario, arguments: &ProfileArguments, senders: &[Sender]) -> Result<Self, Failure> {
        let logins = match scenario.target.auth {
            Auth::ClientCredentials { .. } => scenario.target.tokens.count() as u64,
            Auth::None | Auth::Bearer { .. } => 0,
        };
        let budget = scenario.care.budget;
        let left = budget.map_or(u64::MAX, |budget| budget.saturating_sub(logins));
        let requests = arguments.requests.get().min(u32::try_from(left).unwrap_or(u32::MAX));
        if requests == 0 {
            return Err(Failure::NoBudget { budget: budget.unwrap_or_default(), logins });
        }
        let usual = Plan::default();
        let longest = scenario.care.stops.retry_after.unwrap_or(usual.longest_retry_after);
        let plan = Plan {
            requests,
            // Whoever spends all on the first burst has nothing left to find out what it was that refused.
            first_burst: usual.first_burst.min(requests.div_ceil(2)),
            time: arguments.time,
            others: senders.len().saturating_sub(1),
            longest_retry_after: longest.min(arguments.time),
            ..usual
        };
        Ok(Self { plan, budget, logins })
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
        let _ = write!(
            text,
            "\ntime         at most {}, a minute or two as a rule\n\
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
        if scenario.limit.is_some() {
            text.push_str(
                "\nlimit        `limit.rate` does not hold the probes back: they are to find what is refused",
            );
        }
        if let Some(window) = scenario.care.window {
            let _ = write!(text, "\nhours        {}", window.hours);
        }
        text
    }
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
