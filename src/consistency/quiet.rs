//! Whether a resource was left alone while an operation on it was repeated.
//!
//! A write that was sent before may take its time to be seen, and would then be taken for an effect of the repetition. Once
//! it was seen that has happened, and it happens once for each attempt. That is of use where the write and the repetition are
//! of one register and one variant: all that such a write leaves the repetition writes anew, so that not even an undoing of
//! it can be mistaken for something else.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bounds::nanos;
use super::history::{Ack, Occasion, REPEATED, Repetition};
use super::latest::{Period, Periods};
use super::order::{Deed, Entry, NOBODY, Order, View};
use super::row::{Log, Row};

/// The writes of a row that may disturb what is repeated there.
pub(super) struct Quiet {
    /// By register and variant.
    kinds: BTreeMap<(Arc<str>, u32), Kind>,
    /// From the sending of each until it may be seen for the first time, by kind.
    periods: Periods,
}

/// The writes to one register by one variant.
struct Kind {
    number: u64,
    /// From the sending of each until it may be seen for the first time, as far as looks tell; by value.
    periods: Periods,
    /// What was seen before the first request of each repetition, by the latter's value.
    shown_before: BTreeMap<u64, u64>,
}

impl Quiet {
    /// Of a row with the orders of its registers; nothing is seen for the first time later than `within` after its answer.
    pub(super) fn new(row: &Row, orders: &[(Arc<str>, Order)], within: u64) -> Self {
        let mut all: Vec<_> = {
            let entries = row.untracked.iter().map(|aside| &aside.entry).filter(|entry| may_have_an_effect(entry));
            entries.map(|entry| (period(entry, within), NOBODY)).collect()
        };
        let mut kinds = BTreeMap::new();
        for (key, order) in orders {
            let (log, mut by_variant) = (&row.keys[key], BTreeMap::<u32, Vec<&Entry>>::new());
            let register = Register::new(log, order);
            for entry in log.writes.iter().filter(|entry| may_have_an_effect(entry)) {
                by_variant.entry(entry.variant).or_default().push(entry);
            }
            for (variant, entries) in by_variant {
                let number = u64::try_from(kinds.len()).unwrap_or(NOBODY);
                all.extend(entries.iter().map(|entry| (period(entry, within), number)));
                kinds.insert((key.clone(), variant), Kind::new(number, &entries, &register, within));
            }
        }
        Self { kinds, periods: Periods::new(all) }
    }

    /// Whether another write may have been seen for the first time while this was repeated.
    pub(super) fn is_disturbed(&self, repetition: &Repetition) -> bool {
        // What is sent at its end, and what is seen at its beginning, disturbs it, too.
        let (from, to) = (nanos(repetition.from).saturating_sub(1), nanos(repetition.to).saturating_add(1));
        let period = Period { from, to };
        let variant = u32::try_from(repetition.variant).unwrap_or(u32::MAX);
        let Some(kind) = self.kinds.get(&(repetition.place.key.clone(), variant)) else {
            return self.periods.overlap_others(&[], period);
        };
        let shown = kind.shown_before.get(&repetition.value).copied().unwrap_or(repetition.value);
        self.periods.overlap_others(&[kind.number], period)
            || kind.periods.overlap_others(&[repetition.value, shown], period)
    }
}

impl Kind {
    fn new(number: u64, entries: &[&Entry], register: &Register<'_>, within: u64) -> Self {
        let mut first_shown: BTreeMap<u64, u64> = BTreeMap::new();
        for (look, value) in register.looks() {
            let Some(value) = value else { continue };
            let first = first_shown.entry(value).or_insert(look.done);
            *first = look.done.min(*first);
        }
        let periods = entries.iter().map(|entry| {
            let Period { from, to } = period(entry, within);
            let shown = first_shown.get(&entry.value).copied().unwrap_or(u64::MAX);
            (Period { from, to: to.min(shown) }, entry.value)
        });
        Self { number, periods: Periods::new(periods), shown_before: register.shown_before() }
    }
}

/// A register with the writes that it can tell from others.
struct Register<'a> {
    order: &'a Order,
    /// When each value was sent first, and how often.
    sent: BTreeMap<u64, (u64, usize)>,
}

impl<'a> Register<'a> {
    fn new(log: &Log, order: &'a Order) -> Self {
        let mut sent = BTreeMap::new();
        for entry in log.writes.iter().filter(|entry| entry.ack != Ack::NotSent) {
            let (first, times) = sent.entry(entry.value).or_insert((entry.sent, 0));
            (*first, *times) = (entry.sent.min(*first), *times + 1);
        }
        Self { order, sent }
    }

    /// The looks, each with the write that it shows to have happened once and for all: what was there before it was sent may
    /// be there without having happened, and another attempt may yet happen.
    fn looks(&self) -> impl Iterator<Item = (&View, Option<u64>)> {
        let is_settled =
            |deed: &&Deed| !deed.is_leftover && self.sent.get(&deed.value).is_some_and(|(_, times)| *times == 1);
        self.order.looks.iter().map(move |look| {
            let deed = look.deed.map(|i| &self.order.deeds[i]);
            (look, deed.filter(is_settled).map(|deed| deed.value))
        })
    }

    /// By operations that were repeated, what their first looks show, which are over before they send a request.
    fn shown_before(&self) -> BTreeMap<u64, u64> {
        let mut first_looks = BTreeMap::new();
        for (look, value) in self.looks() {
            if let Occasion::Poll(repeated) = look.occasion
                && repeated >= REPEATED
            {
                let is_before = self.sent.get(&repeated).is_some_and(|(first, _)| look.done <= *first);
                first_looks.entry(repeated).or_insert(value.filter(|_| is_before));
            }
        }
        first_looks.into_iter().filter_map(|(repeated, value)| Some((repeated, value?))).collect()
    }
}

fn may_have_an_effect(entry: &Entry) -> bool {
    !matches!(entry.ack, Ack::Refused | Ack::NotSent)
}

/// From the sending of a write until it may be seen for the first time: without an answer, at any time.
fn period(entry: &Entry, within: u64) -> Period {
    let to = if entry.ack == Ack::Unknown { u64::MAX } else { entry.done.saturating_add(within) };
    Period { from: entry.sent, to }
}

#[cfg(test)]
mod tests;
