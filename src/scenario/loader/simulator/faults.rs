//! `faults`: what goes wrong.

use crate::scenario::loader::tree::{Field, Table};
use crate::scenario::{Draw, Faults, SilentDrop, Stall, Timed};

const KEYS: [&str; 17] = [
    "reset",
    "cut",
    "stall",
    "drop",
    "revert",
    "lost_update",
    "applied_500",
    "applied_timeout",
    "stale_read",
    "duplicate",
    "slow_body",
    "html_503",
    "empty_503",
    "json_503",
    "conflict_409",
    "wrong_length",
    "early_expiry",
];
const DROP_STATUS: [u16; 3] = [200, 202, 204];
const SHARE_HINT: &str = "write how often it happens, for example \"1%\"";

/// Reads the table; `None` only after noting a mistake.
pub(super) fn read(field: &Field<'_>) -> Option<Faults> {
    let table = field.table(&KEYS)?;
    let drawn = |key| table.or(key, Draw::default(), draw);
    let timed = |key| table.or(key, Timed::default(), timed);
    Some(Faults {
        reset: drawn("reset"),
        cut: drawn("cut"),
        stall: table.or_none("stall", None, stall),
        drop: table.or("drop", SilentDrop::default(), drop),
        revert: timed("revert"),
        lost_update: drawn("lost_update"),
        applied_500: drawn("applied_500"),
        applied_timeout: timed("applied_timeout"),
        stale_read: drawn("stale_read"),
        duplicate: drawn("duplicate"),
        slow_body: timed("slow_body"),
        html_503: drawn("html_503"),
        empty_503: drawn("empty_503"),
        json_503: drawn("json_503"),
        conflict_409: drawn("conflict_409"),
        wrong_length: drawn("wrong_length"),
        early_expiry: timed("early_expiry"),
    })
}

/// A share, or a table with it and a seed.
fn draw(field: &Field<'_>) -> Option<Draw> {
    if !field.is_table() {
        if !field.is_text() {
            return field.wrong_type("a share such as \"1%\", or a table such as { share = \"1%\", seed = 7 }");
        }
        return Some(Draw { share: field.quantity()?, seed: None });
    }
    draw_of(&field.table(&["share", "seed"])?)
}

/// The draw that a table tells of beside other things.
fn draw_of(table: &Table<'_>) -> Option<Draw> {
    let seed = table.field("seed").and_then(|field| field.whole(0..=u64::MAX));
    let share = table.required("share", SHARE_HINT)?.quantity()?;
    Some(Draw { share, seed })
}

fn timed(field: &Field<'_>) -> Option<Timed> {
    if !field.is_table() {
        return field.wrong_type("a table such as { share = \"1%\", for = \"2s\" }");
    }
    let table = field.table(&["share", "for", "seed"])?;
    let draw = draw_of(&table);
    let time = table.required("for", "write the time that it takes, for example \"2s\"")?.duration()?;
    Some(Timed { draw: draw?, time })
}

fn drop(field: &Field<'_>) -> Option<SilentDrop> {
    if !field.is_table() {
        return Some(SilentDrop { draw: draw(field)?, status: None });
    }
    let table = field.table(&["share", "status", "seed"])?;
    let status = table.field("status").and_then(|field| drop_status(&field));
    Some(SilentDrop { draw: draw_of(&table)?, status })
}

fn drop_status(field: &Field<'_>) -> Option<u16> {
    let status = field.whole(100..=599)?;
    if !DROP_STATUS.contains(&status) {
        field.mistake(format_args!("is {status}; use 200, 202 or 204"));
        return None;
    }
    Some(status)
}

fn stall(field: &Field<'_>) -> Option<Stall> {
    if !field.is_table() {
        return field.wrong_type("a table such as { every = \"10s\", for = \"200ms\" }, or \"none\"");
    }
    let table = field.table(&["every", "for"])?;
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
