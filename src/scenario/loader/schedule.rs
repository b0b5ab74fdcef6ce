//! `[load]` and `[limit]`: what the users do, and what we impose on ourselves.

use std::num::NonZeroU32;
use std::time::Duration;

use super::arrivals;
use super::tree::{Field, Table};
use crate::pace::{Stage, Stages, Window};
use crate::scenario::{Closed, Connections, Limit, LimitKey, Load, Overrides, Schedule};
use crate::units::Rate;
use crate::units::format::exact_duration;

/// The most users of a run.
pub(super) const MOST_USERS: u32 = 1_000_000;

const LOAD: [&str; 12] = [
    "model",
    "stages",
    "warmup",
    "cooldown",
    "spread",
    "think_time",
    "iterations",
    "connections",
    "drain",
    "spacing",
    "repeat",
    "max_users",
];
/// Keys of the closed model alone.
const CLOSED: [&str; 3] = ["spread", "think_time", "iterations"];
/// Keys of the open model alone.
const OPEN: [&str; 3] = ["spacing", "repeat", "max_users"];
pub(super) const LIMIT: [&str; 7] = ["rate", "burst", "per", "catch_up", "budget", "window", "outside"];
const CONNECTIONS: [(&str, Connections); 3] =
    [("per-user", Connections::PerUser), ("shared", Connections::Shared), ("per-request", Connections::PerRequest)];
const DEFAULT_SPREAD: Duration = Duration::from_secs(1);
const DEFAULT_CATCH_UP: Duration = Duration::from_millis(20);

/// Reads `[load]`; `None` only after noting a mistake, or without a timeout. `seed` is the run's.
pub(super) fn load(root: &Table<'_>, timeout: Option<Duration>, overrides: &Overrides, seed: u64) -> Option<Load> {
    let hint = "add [load] with stages = [{ for = \"30s\", users = 10 }]";
    let table = root.required("load", hint)?.table(&LOAD)?;
    let models = [("users", false), ("arrivals", true)];
    let is_open = table.field("model").map_or(Some(false), |field| field.choice(&models));
    let connections = table.field("connections").and_then(|field| field.choice(&CONNECTIONS));
    let drain = table.field("drain").and_then(|field| field.duration());
    let (schedule, foreign) = if is_open? {
        (arrivals::read(&table, overrides, seed).map(Schedule::Arrivals), &CLOSED[..])
    } else {
        (closed(&table, overrides).map(Schedule::Users), &OPEN[..])
    };
    for field in foreign.iter().filter_map(|key| table.field(key)) {
        field.mistake("does not go with the model; remove it, or change `model`");
    }
    let main = window(&table, schedule.as_ref().map(Schedule::length));
    Some(Load {
        main: main?,
        schedule: schedule?,
        connections: connections.unwrap_or(Connections::PerUser),
        // An attempt that starts at the very end may take its whole timeout.
        drain: drain.unwrap_or(timeout? + Duration::from_secs(1)),
    })
}

/// What the warm-up and the cool-down leave of the schedule.
fn window(table: &Table<'_>, length: Option<Duration>) -> Option<Window> {
    let [warmup, cooldown] = ["warmup", "cooldown"].map(|key| table.field(key));
    let time = |field: &Option<Field<'_>>| field.as_ref().map_or(Some(Duration::ZERO), Field::duration);
    // Both are read before anything is given up, so that every mistake is told.
    let (from, after) = (time(&warmup), time(&cooldown));
    let (from, after, length) = (from?, after?, length?);
    if from.saturating_add(after) < length {
        return Some(Window { from, to: length.saturating_sub(after) });
    }
    let problem =
        format!("leaves nothing of the {} to measure; shorten it, or lengthen the stages", exact_duration(length));
    warmup.filter(|_| !from.is_zero()).or(cooldown)?.mistake(problem);
    None
}

/// The closed model.
fn closed(table: &Table<'_>, overrides: &Overrides) -> Option<Closed> {
    let spread = table.field("spread").and_then(|field| field.duration()).unwrap_or(DEFAULT_SPREAD);
    let think_time = table.field("think_time").and_then(|field| field.span()).unwrap_or_default();
    let iterations = table.field("iterations").and_then(|field| field.whole(1..=u64::from(u32::MAX)));
    let stages = table.required("stages", "write stages = [{ for = \"30s\", users = 10 }]");
    let stages = stages.and_then(|field| stages_of(&field, spread))?;
    let stages = match overrides.stage(stages.max_users(), stages.length(), spread) {
        Some(stage) => Stages::new(&[stage]),
        None => stages,
    };
    Some(Closed { stages, think_time, iterations })
}

fn stages_of(field: &Field<'_>, spread: Duration) -> Option<Stages> {
    let items = field.items()?;
    let stages: Vec<_> = items.iter().map(|item| stage(item, spread)).collect();
    let stages = Stages::new(&stages.into_iter().collect::<Option<Vec<_>>>()?);
    if stages.length().is_zero() || stages.max_users() == 0 {
        field.mistake("has no stage with a length and a user; write one such as { for = \"30s\", users = 10 }");
        return None;
    }
    Some(stages)
}

fn stage(field: &Field<'_>, spread: Duration) -> Option<Stage> {
    let table = field.table(&["for", "users", "to"])?;
    let length = table.required("for", "write how long the stage takes, for example \"30s\"");
    let length = length.and_then(|field| field.duration());
    let users = |field: Field<'_>| field.whole(0..=u64::from(MOST_USERS));
    match (table.field("users"), table.field("to")) {
        (Some(field), None) => Some(Stage::Hold { users: users(field)?, length: length?, spread }),
        (None, Some(field)) => Some(Stage::Ramp { to: users(field)?, length: length? }),
        (Some(_), Some(_)) => {
            field.mistake("has both `users` and `to`; use `users` to hold that many, `to` for a ramp");
            None
        }
        (None, None) => {
            table.mistake("has neither `users` nor `to`; write users = 10 to hold that many, to = 10 for a ramp");
            None
        }
    }
}

/// Reads `[limit]`; `None` for no limit, or after noting a mistake. The command line may say another rate.
pub(super) fn limit(root: &Table<'_>, rate_override: Option<Rate>) -> Option<Limit> {
    let default = |rate| Limit { rate, burst: NonZeroU32::MIN, per: LimitKey::Run, catch_up: DEFAULT_CATCH_UP };
    let Some(field) = root.field("limit") else { return rate_override.map(default) };
    let table = field.table(&LIMIT)?;
    // A table that only says how much or when says nothing about the rate.
    let has = |key: &str| table.field(key).is_some();
    let rate = if super::care::LIMIT.into_iter().any(has) && !["burst", "per", "catch_up"].into_iter().any(has) {
        table.field("rate")
    } else {
        table.required("rate", "write one such as \"300/min\"")
    };
    let rate = rate.and_then(|field| field.quantity());
    let burst = table.field("burst").and_then(|field| field.whole::<u32>(1..=u64::from(u32::MAX)));
    let keys = [("run", LimitKey::Run), ("token", LimitKey::Token)];
    let per = table.field("per").and_then(|field| field.choice(&keys));
    let catch_up = table.field("catch_up").and_then(|field| field.duration());
    let limit = default(rate_override.or(rate)?);
    Some(Limit {
        burst: burst.and_then(NonZeroU32::new).unwrap_or(limit.burst),
        per: per.unwrap_or(limit.per),
        catch_up: catch_up.unwrap_or(limit.catch_up),
        ..limit
    })
}
