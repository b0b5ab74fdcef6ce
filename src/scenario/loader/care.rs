//! `[limit]` as far as it is care for the target, and `[stop]`.

use super::tree::{Field, Table};
use crate::scenario::{AllowedHours, Auth, Care, Outside, Scenario, StopRules, Unauthorized};
use crate::units::format::count;

/// The keys of `[limit]` that are read here.
pub(super) const LIMIT: [&str; 3] = ["budget", "window", "outside"];

const STOP: [&str; 2] = ["retry_after", "unauthorized"];

/// Reads what a run must not do to its target. `auth` is that of the target, where it could be read.
pub(super) fn read(root: &Table<'_>, auth: Option<&Auth>) -> Care {
    let limit = root.field("limit").and_then(|field| field.table(&super::schedule::LIMIT));
    let field = |key| limit.as_ref().and_then(|limit| limit.field(key));
    let budget = field("budget").and_then(|field| field.whole(1..=u64::from(u32::MAX)));
    let hours = field("window").and_then(|field| field.quantity());
    let outside = match field("outside") {
        Some(field) if limit.as_ref().is_some_and(|limit| limit.field("window").is_none()) => {
            field.mistake("stands without `limit.window`; write the allowed hours, or remove it");
            None
        }
        Some(field) => field.choice(&[("pause", Outside::Pause), ("stop", Outside::Stop)]),
        None => None,
    };
    let window = hours.map(|hours| AllowedHours { hours, outside: outside.unwrap_or(Outside::Stop) });
    Care { budget, window, stops: stops(root, auth) }
}

fn stops(root: &Table<'_>, auth: Option<&Auth>) -> StopRules {
    let mut rules = StopRules::default();
    if matches!(auth, None | Some(Auth::None)) {
        rules.unauthorized = None;
    }
    let Some(table) = root.field("stop").and_then(|field| field.table(&STOP)) else { return rules };
    rules.retry_after = table.or_none("retry_after", rules.retry_after, Field::positive_duration);
    rules.unauthorized = table.or_none("unauthorized", rules.unauthorized, |field| {
        let table = field.table(&["share", "for"])?;
        let default = StopRules::default().unauthorized?;
        let lasting = table.or("for", default.lasting, Field::positive_duration);
        Some(Unauthorized { share: table.or("share", default.share, Field::quantity), lasting })
    });
    rules
}

/// Notes a budget that is gone before the first attempt.
pub(super) fn check_budget(root: &Table<'_>, scenario: &Scenario) {
    if scenario.attempts_in_budget() != Some(0) {
        return;
    }
    let Some(budget) = scenario.care.budget else { return };
    let one = scenario.check_plan(Some(1)).map_or(0, |plan| plan.reads.saturating_add(plan.writes));
    let aside = scenario.requests_aside().saturating_add(one);
    let limit = root.field("limit").and_then(|field| field.table(&super::schedule::LIMIT));
    let Some(field) = limit.and_then(|limit| limit.field("budget")) else { return };
    let what = match (scenario.snapshot.is_some(), scenario.checks.is_some()) {
        (true, true) => "logins, snapshot, restore and checks",
        (true, false) => "logins, snapshot and restore",
        (false, true) => "logins and checks",
        (false, false) => "logins",
    };
    field.mistake(format_args!(
        "is {}, and {what} alone may take {}; raise it, or use fewer tokens or rows",
        count(budget),
        count(aside)
    ));
}
