//! What the audit at the end says of the last write to a register that was accepted.

use super::bounds::Spans;
use super::order::{Order, View};

/// What the audit showed of the last acknowledged write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audited {
    /// It is there, or what may have been written after it.
    Present,
    /// It is missing.
    Missing,
    /// More looks would tell.
    Open,
    /// Nobody can tell, nobody looked, or nothing was acknowledged.
    Unclear,
}

/// The last write that was accepted, and what became of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    /// Index of its deed.
    pub(super) i: usize,
    /// When it was accepted.
    pub(super) done: u64,
    pub(super) state: Audited,
}

/// What the looks of the audit say in the end: something surely older than the last write that was accepted, often enough
/// and to the end, means that it is missing. `None` where none was accepted.
pub(super) fn last(order: &Order, spans: &Spans) -> Option<Last> {
    let (i, done) = order.last_accepted()?;
    let late = done.saturating_add(spans.within);
    let looks: Vec<_> = order.audits.iter().filter(|look| look.sent >= late).collect();
    let is_there = |look: &View| look.end >= Some(order.deeds[i].start);
    let in_the_end = |is: bool| looks.iter().rev().take_while(|look| is_there(look) == is).count();
    // A value that was there before it was sent may be that of any write.
    let is_leftover = order.deeds.iter().any(|deed| deed.is_leftover);
    let is_unclear = order.is_shared || looks.is_empty() || is_leftover || order.is_written_aside(i);
    let state = if is_unclear {
        Audited::Unclear
    } else if in_the_end(false) >= spans.audits {
        Audited::Missing
    } else if in_the_end(true) >= spans.sightings {
        Audited::Present
    } else {
        Audited::Open
    };
    Some(Last { i, done, state })
}

/// What the audit showed of the last write that was accepted.
pub(super) fn audited(order: &Order, spans: &Spans) -> Audited {
    last(order, spans).map_or(Audited::Unclear, |last| last.state)
}
