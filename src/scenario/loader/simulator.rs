//! `target.simulator`: how the embedded API behaves.

use super::tree::{Field, Table};
use crate::quota::FixedWindow;
use crate::scenario::{Dialect, Faults, LogNormal, Simulator, Stall};
use crate::units::Rate;

const KEYS: [&str; 8] =
    ["dialect", "seed", "conversations", "quota", "latency", "visible_after", "token_life", "faults"];
const DIALECTS: [(&str, Dialect); 1] = [("documented", Dialect::Documented)];
const MOST_CONVERSATIONS: u64 = 1_000_000;

/// Reads the name of a dialect, or a table; `None` only after noting a mistake.
pub(super) fn read(field: &Field<'_>) -> Option<Simulator> {
    let default = Simulator::default();
    if !field.is_table() {
        return Some(Simulator { dialect: field.choice(&DIALECTS)?, ..default });
    }
    let table = field.table(&KEYS)?;
    let dialect = table.field("dialect").and_then(|field| field.choice(&DIALECTS));
    let seed = table.field("seed").and_then(|field| field.whole(0..=u64::MAX));
    let conversations = table.field("conversations").and_then(|field| field.whole(1..=MOST_CONVERSATIONS));
    let visible_after = table.field("visible_after").and_then(|field| field.duration());
    let token_life = table.field("token_life").and_then(|field| field.positive_duration());
    Some(Simulator {
        dialect: dialect.unwrap_or(default.dialect),
        seed: seed.unwrap_or(default.seed),
        conversations: conversations.unwrap_or(default.conversations),
        quota: table.field("quota").map_or(default.quota, |field| quota(&field)),
        latency: table.field("latency").and_then(|field| latency(&field)).unwrap_or(default.latency),
        visible_after: visible_after.unwrap_or(default.visible_after),
        token_life: token_life.unwrap_or(default.token_life),
        faults: table.field("faults").and_then(|field| faults(&field)).unwrap_or(default.faults),
    })
}

/// So many per window, or none.
fn quota(field: &Field<'_>) -> Option<FixedWindow> {
    if field.text()?.value == "none" {
        return None;
    }
    let rate: Rate = field.quantity()?;
    Some(FixedWindow { limit: rate.count(), window: rate.per() })
}

fn latency(field: &Field<'_>) -> Option<LogNormal> {
    let table = field.table(&["median", "p99"])?;
    let median = table.required("median", "half of the answers are faster, for example \"20ms\"");
    let median = median.and_then(|field| field.duration());
    let field = table.required("p99", "99 of 100 answers are faster, for example \"80ms\"")?;
    let (p99, median) = (field.duration()?, median?);
    if p99 < median {
        field.mistake("is shorter than the median; use at least the median");
        return None;
    }
    Some(LogNormal { median, p99 })
}

fn faults(field: &Field<'_>) -> Option<Faults> {
    let table = field.table(&["reset", "stall"])?;
    let reset = table.field("reset").and_then(|field| field.quantity());
    let stall = table.field("stall").and_then(|field| stall(&field.table(&["every", "for"])?));
    Some(Faults { reset: reset.unwrap_or_default(), stall })
}

fn stall(table: &Table<'_>) -> Option<Stall> {
    let every = table.required("every", "write the time from stall to stall, for example \"10s\"");
    let every = every.and_then(|field| field.positive_duration());
    let field = table.required("for", "write how long a stall takes, for example \"200ms\"")?;
    let (length, every) = (field.positive_duration()?, every?);
    if length >= every {
        field.mistake("is not shorter than `every`; a stall must end before the next one begins");
        return None;
    }
    Some(Stall { every, length })
}
