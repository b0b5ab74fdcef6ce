//! Times that are drawn, and the life of conversations, which is made of them.

use std::time::Duration;

use crate::scenario::loader::tree::Field;
use crate::scenario::{Life, LogNormal, Span};
use crate::units::Share;

/// Always the same time, or a distribution by median and 99th percentile.
pub(super) fn log_normal(field: &Field<'_>) -> Option<LogNormal> {
    if !field.is_table() {
        return field.duration().map(LogNormal::always);
    }
    let table = field.table(&["median", "p99"])?;
    let median = table.required("median", "half of the times are shorter, for example \"20ms\"");
    let median = median.and_then(|field| field.duration());
    let field = table.required("p99", "99 of 100 times are shorter, for example \"80ms\"")?;
    let (p99, median) = (field.duration()?, median?);
    if p99 < median {
        field.mistake("is shorter than the median; use at least the median");
        return None;
    }
    Some(LogNormal { median, p99 })
}

/// `life`, which is not `none`.
pub(super) fn life(field: &Field<'_>) -> Option<Life> {
    if !field.is_table() {
        return field.wrong_type("a table such as { share = \"20%\", connected = \"1m\" }, or \"none\"");
    }
    let table = field.table(&["share", "draft", "alerting", "connected", "known_after"])?;
    Some(Life {
        share: table.or("share", Share::ALL, Field::quantity),
        draft: table.or("draft", Span::default(), Field::span),
        alerting: table.or("alerting", Span::default(), Field::span),
        connected: table.or_none("connected", None, Field::span),
        known_after: table.or("known_after", Duration::ZERO, Field::duration),
    })
}
