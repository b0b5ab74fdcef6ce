//! Judges all that is known of a data row: its registers, what was repeated, and what nobody was to touch.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bounds::{Spans, nanos};
use super::history::{Ack, Comparison, Repetition};
use super::latest::{Period, Periods};
use super::merging::{Merges, Rest};
use super::order::{Entry, NOBODY, Order, owner};
use super::quiet::Quiet;
use super::register::{Others, Register, Setting};
use super::row::{Log, Row};
use super::tally::{Finding, Of, Tally, operation};
use crate::measure::{Check, Mode, Violation};

/// A row that is judged.
pub(super) struct Judged<'a> {
    pub(super) number: u32,
    pub(super) row: &'a Row,
    pub(super) spans: &'a Spans,
    pub(super) given_up: &'a BTreeMap<u64, &'static str>,
    /// The requests that repeat what was repeated.
    pub(super) requests: &'a dyn Fn(&Repetition) -> Vec<String>,
}

impl Judged<'_> {
    /// Counts everything that is found in the row.
    pub(super) fn judge(&self, tally: &mut Tally, merges: &mut Merges) {
        let order = |(key, log): (&Arc<str>, &Log)| (key.clone(), Order::new(log, &self.row.untracked, self.spans));
        let orders: Vec<_> = self.row.keys.iter().map(order).collect();
        // However writes are ordered, what one of them took away may be seen for so long.
        let late = self.spans.within.saturating_sub(self.spans.order);
        let until_seen = |period: Period| Period { to: period.to.saturating_add(late), ..period };
        let of_key = |(i, (_, order)): (usize, &(_, Order))| {
            order.periods().map(|period| (until_seen(period), owner(i))).collect::<Vec<_>>()
        };
        let untracked = self.row.untracked.iter();
        let of_untracked = untracked.filter_map(|aside| Some((aside.entry.period(self.spans.within)?, NOBODY)));
        let periods = Periods::new(orders.iter().enumerate().flat_map(of_key).chain(of_untracked));
        let judged = orders.iter().enumerate().map(|(i, (key, order))| {
            let others = Others { periods: &periods, owner: owner(i) };
            let setting = Setting { row: self.number, key, others, spans: self.spans, given_up: self.given_up };
            (order, Register::new(&setting, order).judge(tally))
        });
        let registers: Vec<_> = judged.collect();
        // What untracked writes leave or take away is not known.
        if self.row.untracked.is_empty() {
            merges.add(&Rest { registers: &registers, untouched: self.row.untouched.as_ref(), spans: self.spans });
        }
        self.repetitions(&orders, tally);
        self.untouched(tally);
    }

    /// Attributes that nobody names, as findings of the variant that wrote the row last.
    fn untouched(&self, tally: &mut Tally) {
        let Some(untouched) = &self.row.untouched else { return };
        let accepted = self.writes().filter(|entry| entry.ack == Ack::Accepted);
        let Some(last) = accepted.max_by_key(|entry| (entry.done, entry.value)) else { return };
        let variant = usize::try_from(last.variant).unwrap_or(usize::MAX);
        // Attributes of one resource change together: a resource is one case.
        if untouched.compared == 0 || untouched.is_in_doubt(self.spans.audits) {
            return;
        }
        tally.check(variant, Check::UntouchedChanged, 1);
        if let Some(first) = untouched.changed.first() {
            let of = Of { row: self.number, key: first, value: None };
            let finding = Finding { variant, check: Check::UntouchedChanged, at: last.sent, of };
            tally.find(&finding, 1, || {
                let (row, changed) = (u64::from(self.number) + 1, untouched.changed.len());
                let more = if changed > 1 { format!(" and {} more", changed - 1) } else { String::new() };
                format!("data row {row}: `{first}`{more} not as before the run, and no request names it")
            });
        }
    }

    /// What was repeated, but for repetitions during which somebody else wrote the row: those are inconclusive.
    fn repetitions(&self, orders: &[(Arc<str>, Order)], tally: &mut Tally) {
        if self.row.repetitions.is_empty() {
            return;
        }
        let quiet = Quiet::new(self.row, orders, self.spans.within);
        for repetition in &self.row.repetitions {
            self.repetition(repetition, quiet.is_disturbed(repetition), tally);
        }
    }

    fn repetition(&self, repetition: &Repetition, is_disturbed: bool, tally: &mut Tally) {
        let Repetition { mode, variant, value, comparison, place, .. } = repetition;
        let Comparison { status, response, state, text } = comparison;
        let Some(counts) = tally.repetitions(*variant, *mode) else { return };
        // That a key is accepted with another body says the same whoever wrote meanwhile.
        let is_proven = *mode == Mode::Keyed && *status == Some(false);
        if is_disturbed && !is_proven || [status, response, state].iter().all(|part| part.is_none()) {
            counts.inconclusive += 1;
            return;
        }
        // What nobody can tell is no difference.
        let is_same = |part: &Option<bool>| *part != Some(false);
        counts.pairs += 1;
        counts.same_status += u64::from(is_same(status));
        counts.same_response += u64::from(is_same(response));
        counts.same_state += u64::from(is_same(state));
        if ![status, response, state].into_iter().all(is_same) {
            let of = Of { row: place.row, key: &place.key, value: Some(*value) };
            tally.violate((*variant, *mode), nanos(repetition.from), of, || {
                let row = u64::from(place.row) + 1;
                let text = format!("{}, data row {row}, `{}`: {text}", operation(*value), place.key);
                Violation { text, requests: (self.requests)(repetition) }
            });
        }
    }

    fn writes(&self) -> impl Iterator<Item = &Entry> {
        self.row.keys.values().flat_map(|log| &log.writes)
    }
}
