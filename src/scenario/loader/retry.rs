//! `[retry]`: what is tried again, how often, and after which pause.

use std::time::Duration;

use super::tree::{Field, Table};
use crate::scenario::retry::MOST_RETRIES;
use crate::scenario::{Backoff, Jitter, Retry, RetryOn, Rule, Variant, Wish};

const KEYS: [&str; 5] = ["on", "max", "honor_retry_after", "backoff", "longest_wait"];
const BACKOFF: [&str; 4] = ["first", "factor", "most", "jitter"];

/// What may stand in `on` beside statuses.
const WORDS: [(&str, RetryOn); 2] = [("broken", RetryOn::NotSent), ("timeout", RetryOn::Timeout)];

const DEFAULT_MAX: u32 = 3;
/// Above it, the SDKs of the first target give up.
const DEFAULT_LONGEST_WAIT: Duration = Duration::from_mins(3);
const DEFAULT_BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(1), factor: 2.0, most: Duration::from_secs(30), jitter: Jitter::Full };
const MOST_FACTOR: f64 = 100.0;

/// Reads `[retry]`; `None` for no retries, or after noting a mistake.
pub(super) fn read(root: &Table<'_>, variants: Option<&[Variant]>, rules: &[Rule]) -> Option<Retry> {
    let table = root.field("retry")?.table(&KEYS)?;
    let on = table.required("on", "write what is tried again, such as [429, 503]");
    let on = on.and_then(|field| conditions(&field, variants, rules));
    let max = table.or("max", DEFAULT_MAX, |field| field.whole(1..=MOST_RETRIES.into()));
    let honor = table.or("honor_retry_after", true, Field::yes_or_no);
    let longest_wait = table.or("longest_wait", DEFAULT_LONGEST_WAIT, Field::positive_duration);
    let backoff = table.or("backoff", DEFAULT_BACKOFF, backoff);
    Some(Retry { on: on?, max, retry_after: if honor { Wish::Honored } else { Wish::Ignored }, backoff, longest_wait })
}

fn conditions(field: &Field<'_>, variants: Option<&[Variant]>, rules: &[Rule]) -> Option<Vec<RetryOn>> {
    let items = field.items()?;
    if items.is_empty() {
        field.mistake("is empty; write what is tried again, such as [429, 503], or remove [retry]");
    }
    let condition = |item: &Field<'_>| {
        if item.is_text() {
            return item.choice(&WORDS);
        }
        let status = item.whole(100..=599)?;
        let expects = variants.unwrap_or_default().iter().find(|variant| variant.expect.contains(&status));
        // A rule may make something else of a status that is expected.
        if let Some(variant) = expects.filter(|_| !rules.iter().any(|rule| rule.may_turn(status))) {
            item.mistake(format_args!(
                "is a success of variant `{}`, and what was accepted is not sent again; remove it here",
                variant.name
            ));
        }
        Some(RetryOn::Status(status))
    };
    let conditions: Vec<_> = items.iter().map(condition).collect();
    conditions.into_iter().collect()
}

fn backoff(field: &Field<'_>) -> Option<Backoff> {
    let table = field.table(&BACKOFF)?;
    let default = DEFAULT_BACKOFF;
    let first = table.or("first", default.first, Field::positive_duration);
    let most = table.or("most", default.most.max(first), Field::positive_duration);
    if let Some(field) = table.field("most").filter(|_| most < first) {
        field.mistake("is shorter than `first`; use at least `first`");
    }
    let factor = table.or("factor", default.factor, |field| {
        let factor = field.positive_number(MOST_FACTOR)?;
        if factor < 1.0 {
            field.mistake("is below 1, so pauses would become shorter; use 1 or more");
        }
        Some(factor)
    });
    let jitter = table.or("jitter", true, Field::yes_or_no);
    Some(Backoff { first, factor, most, jitter: if jitter { Jitter::Full } else { Jitter::None } })
}
