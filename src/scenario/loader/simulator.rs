//! `target.simulator`: how the embedded API behaves.

mod faults;
mod quotas;
mod times;

use super::tree::{Field, Table};
use crate::scenario::words::{DIALECTS, HEADERS, RETRY_AFTER};
use crate::scenario::{Factor, Signals, Simulator};

/// The keys of the table.
pub(super) const KEYS: [&str; 16] = [
    "dialect",
    "seed",
    "conversations",
    "mismatched_roles",
    "life",
    "clients",
    "token_life",
    "static_token_life",
    "logins",
    "quota",
    "signals",
    "latency",
    "visible_after",
    "body_timeout",
    "faults",
    "truth",
];
const MOST_CONVERSATIONS: u64 = 1_000_000;
const MOST_CLIENTS: u64 = 1_000;
const MOST_TRUTH: u64 = 1_000_000;
/// A time that is wrong by more is no signal any more, and could not be written as a date.
const MOST_FACTOR: f64 = 1_000.0;

/// Reads the name of a dialect, or a table; `None` only after noting a mistake.
pub(super) fn read(field: &Field<'_>) -> Option<Simulator> {
    if !field.is_table() {
        return Some(Simulator { dialect: field.choice(&DIALECTS)?, ..Simulator::default() });
    }
    Some(of_table(&field.table(&KEYS)?))
}

/// Reads the table; what is wrong has been noted, and has its default.
pub(super) fn of_table(table: &Table<'_>) -> Simulator {
    let default = Simulator::default();
    Simulator {
        dialect: table.or("dialect", default.dialect, |field| field.choice(&DIALECTS)),
        seed: table.or("seed", default.seed, |field| field.whole(0..=u64::MAX)),
        conversations: table.or("conversations", default.conversations, |field| field.whole(1..=MOST_CONVERSATIONS)),
        mismatched_roles: table.or("mismatched_roles", default.mismatched_roles, Field::quantity),
        life: table.or_none("life", default.life, times::life),
        clients: table.or("clients", default.clients, |field| field.whole(1..=MOST_CLIENTS)),
        token_life: table.or("token_life", default.token_life, Field::positive_duration),
        static_token_life: table.or_none("static_token_life", default.static_token_life, Field::positive_duration),
        logins: table.or_none("logins", default.logins, Field::quantity),
        quotas: table.or("quota", default.quotas, quotas::read),
        signals: table.or("signals", default.signals, signals),
        latency: table.or("latency", default.latency, times::log_normal),
        visible_after: table.or("visible_after", default.visible_after, times::log_normal),
        body_timeout: table.or("body_timeout", default.body_timeout, Field::positive_duration),
        faults: table.or("faults", default.faults, faults::read),
        truth: table.or("truth", default.truth, |field| field.whole(0..=MOST_TRUTH)),
    }
}

fn signals(field: &Field<'_>) -> Option<Signals> {
    let table = field.table(&["retry_after", "retry_after_factor", "headers"])?;
    let default = Signals::default();
    let factor = |field: &Field<'_>| field.positive_number(MOST_FACTOR).map(Factor);
    Some(Signals {
        retry_after: table.or("retry_after", default.retry_after, |field| field.choice(&RETRY_AFTER)),
        retry_after_factor: table.or("retry_after_factor", default.retry_after_factor, factor),
        headers: table.or("headers", default.headers, |field| field.choice(&HEADERS)),
    })
}
