//! What a write does to the keys that it does not name, as far as readings of whole resources after the run prove it.
//!
//! Writes that overlap, and those of an API that applies them late, may have been applied in any order. So nothing here asks
//! which of two was first, but what one reading shows together: where it shows two writes to different keys, the later one
//! left the other, whichever that was. A key that is missing proves less: its write may have been dropped or undone, or
//! replaced by somebody who had read the resource before. Only a key that is absent although it was there before the run was
//! surely taken away, because whatever drops or undoes its own writes leaves what was there.

use std::collections::BTreeMap;

use super::bounds::Spans;
use super::ending::Audited;
use super::history::Occasion;
use super::order::{Order, View};
use super::register::Fate;
use super::row::Untouched;
use crate::measure::Merge;

/// In so many rows at least each key but one must be absent before that alone proves that writes replace the whole map.
///
/// If each of k keys were there with a chance of its own, whatever that is, exactly one of them would be in at most
/// (1 - 1/k)^(k-1) of all rows, which is at most a half. In seven of seven rows that comes about in less than 1% of all cases.
const ROWS_WITH_ONE_KEY: u64 = 7;

/// A row after the run.
pub(super) struct Rest<'a> {
    /// Its registers, with what became of them.
    pub(super) registers: &'a [(&'a Order, Fate)],
    pub(super) untouched: Option<&'a Untouched>,
    pub(super) spans: &'a Spans,
}

/// Rows by what they prove.
#[derive(Debug, Default)]
pub(super) struct Merges {
    /// A reading shows writes to two keys.
    left: u64,
    /// What was there before the run is absent, and a write to another key is there.
    taken: u64,
    /// Two keys or more were acknowledged, and all are absent but one, which may be the last.
    alone: u64,
    /// Two keys or more were acknowledged, and nothing of the above is so.
    odd: u64,
    /// An acknowledged write is or was missing in a row of which several keys were written.
    incomplete: u64,
}

impl Merges {
    /// Counts a row.
    pub(super) fn add(&mut self, rest: &Rest<'_>) {
        let is_left = rest.most_shown_together() > 1;
        self.left += u64::from(is_left);
        self.taken += u64::from(rest.is_taken());
        let acknowledged =
            rest.registers.iter().filter(|(_, fate)| matches!(fate.last, Audited::Present | Audited::Missing)).count();
        if acknowledged > 1 {
            let is_alone = rest.is_alone();
            self.alone += u64::from(is_alone);
            self.odd += u64::from(!is_alone && !is_left);
        }
        let is_missing = rest.registers.iter().any(|(_, fate)| fate.is_any_missing);
        let written = rest.registers.iter().filter(|(order, _)| order.periods().next().is_some()).count();
        self.incomplete += u64::from(is_missing && written > 1);
    }

    /// What they prove together; `None` where they prove nothing.
    pub(super) fn merge(&self) -> Option<Merge> {
        let is_always_alone = self.alone >= ROWS_WITH_ONE_KEY && self.odd == 0;
        match (self.left > 0, self.taken > 0) {
            (true, true) => Some(Merge::Mixed),
            // What is missing may have been taken away, even though nothing proves it.
            (true, false) => (self.incomplete == 0).then_some(Merge::PerKey),
            (false, is_taken) => (is_taken || is_always_alone).then_some(Merge::WholeMap),
        }
    }
}

impl Rest<'_> {
    /// Registers that nobody else writes, and whose values are all of this run.
    fn clear(&self) -> impl Iterator<Item = &Order> {
        let is_clear = |order: &&Order| !order.is_shared && order.deeds.iter().all(|deed| !deed.is_leftover);
        self.registers.iter().map(|(order, _)| *order).filter(is_clear)
    }

    /// Of how many keys one reading shows a write, at most.
    fn most_shown_together(&self) -> usize {
        let mut shown: BTreeMap<(u64, u64), usize> = BTreeMap::new();
        let audits = self.clear().flat_map(|order| &order.audits);
        for look in audits.filter(|look| look.deed.is_some()) {
            *shown.entry((look.sent, look.done)).or_default() += 1;
        }
        shown.into_values().max().unwrap_or(0)
    }

    /// Whether something is absent that was there before the run, and a write to another key is there.
    fn is_taken(&self) -> bool {
        let is_shown = self.clear().any(|order| self.all(order, |look| look.deed.is_some()));
        let is_gone = |order: &Order| was_there_before(order) && self.all(order, |look| !look.is_there);
        let are_untouched_gone = |untouched: &Untouched| {
            untouched.readings >= self.spans.audits && untouched.there > 0 && untouched.absent == untouched.there
        };
        // Who else writes here may have cleared the map.
        let is_ours = self.registers.iter().all(|(order, _)| !order.is_shared);
        is_ours && is_shown && (self.clear().any(is_gone) || self.untouched.is_some_and(are_untouched_gone))
    }

    /// Whether one key alone is there of those that were acknowledged, and may have been written last.
    fn is_alone(&self) -> bool {
        let clear: Vec<_> = self.clear().collect();
        if clear.len() < self.registers.len() {
            return false;
        }
        let (there, absent): (Vec<&Order>, Vec<&Order>) =
            clear.into_iter().partition(|order| self.all(order, |look| look.deed.is_some()));
        let [shown] = there[..] else { return false };
        let end = shown.audits.iter().filter_map(|look| look.end).max();
        let may_be_older = |order: &Order| order.last_accepted().is_none_or(|(i, _)| end >= Some(order.deeds[i].start));
        absent.into_iter().all(|order| self.all(order, |look| !look.is_there) && may_be_older(order))
    }

    /// Whether all looks of the audit are so, of which there must be enough.
    fn all(&self, order: &Order, is_so: impl Fn(&View) -> bool) -> bool {
        order.audits.len() >= self.spans.audits && order.audits.iter().all(is_so)
    }
}

/// Whether a register had a value before the run.
fn was_there_before(order: &Order) -> bool {
    order.looks.iter().any(|look| look.occasion == Occasion::Before && look.is_there)
}

#[cfg(test)]
mod tests;
