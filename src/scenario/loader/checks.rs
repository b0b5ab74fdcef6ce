//! `[checks]`: which operations are checked, and how.

use std::time::Duration;

use super::rows::Columns;
use super::rules::pointer;
use super::tree::{Field, Table};
use super::trial::Trial;
use super::variants::compile;
use crate::judge::Quantity;
use crate::measure::{Check, Mode};
use crate::scenario::check_requests::MOST_LOOKS;
use crate::scenario::template::{Place, Template};
use crate::scenario::{Checks, Idempotency, Scenario, Visibility};
use crate::units::Share;
use crate::units::format::{count, duration};

const KEYS: [&str; 7] = ["track", "limit_share", "ledger", "history", IDEMPOTENCY, VISIBILITY, LOST_UPDATES];
const IDEMPOTENCY: &str = "idempotency";
const VISIBILITY: &str = "visibility";
const LOST_UPDATES: &str = "lost_updates";

const MODES: [(&str, Mode); 4] =
    [("replay", Mode::Replay), ("concurrent", Mode::Concurrent), ("retry", Mode::Retry), ("keyed", Mode::Keyed)];

/// Where `limit_share` must lie: with less, checks wait for ever; with more, they are the load.
const LIMIT_SHARES: [f64; 2] = [0.01, 0.5];
const DEFAULT_LIMIT_SHARE: f64 = 0.2;

const DEFAULT_LEDGER: u64 = 500_000;
const MOST_LEDGER: u64 = 100_000_000;
const DEFAULT_CONCURRENT: u32 = 3;
const MOST_CONCURRENT: u64 = 100;
const DEFAULT_SETTLE: Duration = Duration::from_secs(2);
const MOST_FACTOR: f64 = 100.0;

/// Reads `[checks]`, but for which variants are checked; `None` where nothing is, or after noting a mistake.
pub(super) fn read(root: &Table<'_>, columns: Columns<'_>, seed: u64) -> Option<Checks> {
    let field = root.field("checks")?;
    let table = field.table(&KEYS)?;
    if root.field("read").is_none() {
        table.mistake("needs to know how attributes are seen; add [read] with path and attributes");
    }
    if ![IDEMPOTENCY, VISIBILITY, LOST_UPDATES].iter().any(|name| is_on(&table, name)) {
        table.mistake("checks nothing; add [checks.idempotency], [checks.visibility] or [checks.lost_updates]");
    }
    let hint = "name the attribute whose value bears {{ unique }}, for example \"ref\"";
    let trial = Trial::new(columns, seed, field.document.is_broken());
    let name = table.required("track", hint).and_then(|field| name_of(&field, &trial));
    let limit_share =
        table.field("limit_share").map_or_else(|| Share::new(DEFAULT_LIMIT_SHARE), |field| limit_share(&field));
    let ledger = table.or("ledger", DEFAULT_LEDGER, |field| field.whole(1..=MOST_LEDGER));
    let history = table.or("history", false, Field::yes_or_no);
    let idempotency = table.field(IDEMPOTENCY).and_then(|field| idempotency(&field));
    let visibility = table.field(VISIBILITY).and_then(|field| visibility(&field));
    let lost_updates = table.field(LOST_UPDATES).and_then(|field| {
        let hint = "write true to compare all resources with what was acknowledged, or false";
        field.table(&["enabled"])?.required("enabled", hint)?.yes_or_no()
    });
    let lost_updates = lost_updates.unwrap_or(false);
    let checks = Checks {
        track: name?,
        tracked: Vec::new(),
        names_key: Vec::new(),
        limit_share: limit_share?,
        ledger: usize::try_from(ledger).unwrap_or(usize::MAX),
        history,
        idempotency,
        visibility,
        lost_updates,
    };
    let is_any = checks.lost_updates || checks.idempotency.is_some() || checks.visibility.is_some();
    is_any.then_some(checks)
}

/// Finds out which variants are checked, and notes it when none is.
pub(super) fn track(root: &Table<'_>, scenario: &mut Scenario) {
    let table = root.field("checks").and_then(|field| field.table(&KEYS));
    let (Some(table), Some(checks)) = (table, &scenario.checks) else { return };
    let Some(field) = table.field("track").filter(|field| !field.document.is_broken()) else { return };
    let tracked: Vec<bool> = (0..scenario.variants.len()).map(|i| checks.is_borne_by(scenario, i)).collect();
    let names_key = (0..scenario.variants.len()).map(|i| checks.is_named_by(scenario, i)).collect();
    if !checks.is_steady(scenario) {
        field.mistake("names another attribute for each operation; use {{ user }} and columns only");
    } else if !tracked.contains(&true) {
        field.mistake(
            "is an attribute that no variant's JSON body gives a text with {{ unique }}, apart from other digits, and with \
             the columns of the first table; write one such as {\"ref\": \"{{ unique }}\"}",
        );
    }
    let has_key = |(i, is_tracked): (usize, &bool)| {
        let variant = &scenario.variants[i];
        let is_key = |name: &str| name.eq_ignore_ascii_case(Idempotency::KEY_HEADER);
        let has_key = variant.sent.headers.iter().any(|(name, _)| is_key(name));
        (*is_tracked && has_key).then_some(variant)
    };
    let keyed = checks.idempotency.as_ref().filter(|idempotency| idempotency.modes.contains(&Mode::Keyed));
    let clash = keyed.and_then(|_| tracked.iter().enumerate().find_map(has_key));
    if let (Some(variant), Some(field)) = (clash, table.field(IDEMPOTENCY)) {
        field.mistake(format_args!(
            "has the mode `keyed`, which sends an Idempotency-Key, and variant `{}` has one of its own; remove either",
            variant.name
        ));
    }
    if let Some(checks) = &mut scenario.checks {
        checks.tracked = tracked;
        checks.names_key = names_key;
    }
}

/// The table without which nobody knows a figure; `None` where it is there, and for figures that no check tells.
pub(super) fn missing(root: &Table<'_>, quantity: Quantity) -> Option<&'static str> {
    let tables: &[&str] = match quantity {
        Quantity::Violations => &[IDEMPOTENCY],
        Quantity::Found(check) | Quantity::FoundRate(check) => match check {
            Check::Lost | Check::UntouchedChanged => &[LOST_UPDATES],
            Check::StaleRead => &[VISIBILITY],
            _ => &[VISIBILITY, LOST_UPDATES],
        },
        _ => return None,
    };
    let checks = root.field("checks").and_then(|field| field.table(&KEYS));
    let is_there = checks.is_some_and(|checks| tables.iter().any(|name| is_on(&checks, name)));
    match (is_there, tables[0]) {
        (true, _) => None,
        (false, IDEMPOTENCY) => Some("[checks.idempotency]"),
        (false, VISIBILITY) => Some("[checks.visibility]"),
        (false, _) => Some("[checks.lost_updates] with enabled = true"),
    }
}

/// Whether one of the three tables is there and, if it can be switched off, is not.
fn is_on(checks: &Table<'_>, name: &str) -> bool {
    checks.field(name).is_some_and(|field| name != LOST_UPDATES || is_enabled(&field))
}

/// Whether `[checks.lost_updates]` is on, or wrong, which has been noted.
fn is_enabled(field: &Field<'_>) -> bool {
    let enabled = field.table(&["enabled"]).and_then(|table| table.field("enabled"));
    enabled.and_then(|field| field.yes_or_no()).unwrap_or(true)
}

fn name_of(field: &Field<'_>, trial: &Trial<'_>) -> Option<Template> {
    let text = field.text()?;
    let name = compile(field, &text, Place::Text, trial)?.sent;
    trial.query(field, &name, &text, &|name| match name {
        "" => Err("gives no name; fill the cell".to_owned().into()),
        _ => Ok(()),
    })?;
    Some(name)
}

fn limit_share(field: &Field<'_>) -> Option<Share> {
    let share: Share = field.quantity()?;
    let [least, most] = LIMIT_SHARES;
    if (least..=most).contains(&share.get()) {
        return Some(share);
    }
    field.mistake(format_args!("is {share}; use 1% to 50%, so that checks get on and the load stays the load"));
    None
}

/// A share of operations, above nothing.
fn share_of(table: &Table<'_>, what: &str) -> Option<Share> {
    let field = table.required("share", &format!("write the share of operations {what}, for example \"5%\""))?;
    let share: Share = field.quantity()?;
    if share == Share::NONE {
        field.mistake("is 0%, so nothing would be checked; use more, or remove the table");
        return None;
    }
    Some(share)
}

fn idempotency(field: &Field<'_>) -> Option<Idempotency> {
    let table = field.table(&["share", "modes", "concurrent", "settle", "volatile"])?;
    let share = share_of(&table, "after which one is repeated");
    let modes = table.field("modes").map_or_else(|| Some(vec![Mode::Replay]), |field| modes(&field));
    let concurrent = table.or("concurrent", DEFAULT_CONCURRENT, |field| field.whole(2..=MOST_CONCURRENT));
    let settle = table.or("settle", DEFAULT_SETTLE, Field::positive_duration);
    let volatile = table.or("volatile", Vec::new(), |field| field.items()?.iter().map(pointer).collect());
    Some(Idempotency { share: share?, modes: modes?, concurrent, settle, volatile })
}

fn modes(field: &Field<'_>) -> Option<Vec<Mode>> {
    let items = field.items()?;
    if items.is_empty() {
        field.mistake("is empty; write one or more of replay, concurrent, retry, keyed");
    }
    let modes: Vec<_> = items.iter().map(|item| item.choice(&MODES)).collect();
    for (i, item) in items.iter().enumerate() {
        if modes[i].is_some() && modes[..i].contains(&modes[i]) {
            item.mistake("is there twice; keep one of them");
        }
    }
    modes.into_iter().collect()
}

fn visibility(field: &Field<'_>) -> Option<Visibility> {
    let table = field.table(&["share", "within", "poll", "recheck"])?;
    let default = Visibility::USUAL;
    let share = share_of(&table, "that are looked for");
    let within = table.or("within", default.within, Field::positive_duration);
    let recheck = table.or("recheck", default.recheck, Field::positive_duration);
    let poll = Visibility { share: share.unwrap_or(Share::ALL), within, recheck, ..default };
    let visibility = table.field("poll").map_or(Some(poll), |field| with_poll(&field, poll))?;
    let place = || table.field("poll").or_else(|| table.field("within"));
    if let Some(field) = place().filter(|_| visibility.looks() > MOST_LOOKS) {
        field.mistake(format_args!(
            "would look at a write more than {} times; use longer pauses, or a shorter `within`",
            count(MOST_LOOKS)
        ));
    }
    if let Some(field) = place().filter(|_| visibility.within < visibility.first) {
        let [within, first] = [visibility.within, visibility.first].map(duration);
        field.mistake(format_args!(
            "lets the first look come too late: it is sent {first} after the answer, and `within` is {within}; use a longer \
             `within`, or a shorter `poll.first`"
        ));
    }
    Some(Visibility { share: share?, ..visibility })
}

/// The same with its own pauses between two looks.
fn with_poll(field: &Field<'_>, visibility: Visibility) -> Option<Visibility> {
    let table = field.table(&["first", "factor", "most"])?;
    let first = table.or("first", visibility.first, Field::positive_duration);
    let most = table.or("most", visibility.most.max(first), Field::positive_duration);
    if let Some(field) = table.field("most").filter(|_| most < first) {
        field.mistake("is shorter than `first`; use at least `first`");
    }
    let factor = table.or("factor", visibility.factor, |field| {
        let factor = field.positive_number(MOST_FACTOR)?;
        if factor < 1.0 {
            field.mistake("is below 1, so pauses would become shorter; use 1 or more");
        }
        Some(factor)
    });
    Some(Visibility { first, factor, most, ..visibility })
}

#[cfg(test)]
mod tests;
