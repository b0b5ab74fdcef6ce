//! Keeps writes and looks in bounded memory, and has them judged when all are known.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bounds::{Bounds, Spans, nanos};
use super::ending::{Audited, audited};
use super::history::{Event, Look, Occasion, Place, Repetition, Untracked, Write};
use super::lines::Line;
use super::merging::Merges;
use super::order::{Entry, Glance, Order};
use super::reading::seen;
use super::row::{Aside, Audit, Log, Row, Untouched};
use super::rows;
use super::tally::Tally;
use crate::measure::{Checks, Effort};

/// So many looks are kept for each write that there is room for.
pub const LOOKS_PER_WRITE: usize = 4;

/// The most bytes that a write takes with its looks; twice that while memory grows, and the names of keys beside it.
pub const BYTES_PER_WRITE: usize = size_of::<Entry>() + LOOKS_PER_WRITE * size_of::<Glance>();

/// Writes and looks by register.
///
/// Where they would be more than there is room for, the rows are halved by a hash of their numbers, as often as it takes:
/// of a row everything is kept, or nothing. So what is left is a sample that knows nothing of what happened.
#[derive(Debug)]
pub struct Ledger {
    most_writes: usize,
    variants: usize,
    /// So often the rows were halved.
    halvings: u32,
    rows: BTreeMap<u32, Row>,
    writes: usize,
    looks: usize,
    beyond: u64,
    /// By the operation's number.
    given_up: BTreeMap<u64, GivenUp>,
}

/// A check that ended early.
#[derive(Debug, Clone, Copy)]
struct GivenUp {
    row: u32,
    variant: usize,
    why: &'static str,
}

impl Ledger {
    /// An empty ledger for a scenario with so many variants.
    #[must_use]
    pub fn new(most_writes: usize, variants: usize) -> Self {
        Self {
            most_writes,
            variants,
            halvings: 0,
            rows: BTreeMap::new(),
            writes: 0,
            looks: 0,
            beyond: 0,
            given_up: BTreeMap::new(),
        }
    }

    /// Takes an event on. They may come in any order.
    pub fn add(&mut self, event: Event) {
        match event {
            Event::Write(write) if !self.keeps(write.place.row) => self.beyond += 1,
            Event::Write(Write { place, value, variant, sent, done, ack }) => {
                let variant = u32::try_from(variant).unwrap_or(u32::MAX);
                let entry = Entry { value, sent: nanos(sent), done: nanos(done), variant, ack };
                self.log(place).writes.push(entry);
                self.writes += 1;
            }
            Event::Untracked(write) if !self.keeps(write.row) => self.beyond += 1,
            Event::Untracked(Untracked { row, number, variant, names_key, sent, done, ack }) => {
                let variant = u32::try_from(variant).unwrap_or(u32::MAX);
                let entry = Entry { value: number, sent: nanos(sent), done: nanos(done), variant, ack };
                self.rows.entry(row).or_default().untracked.push(Aside { entry, names_key });
                self.writes += 1;
            }
            Event::Look(look) if self.keeps(look.place.row) => self.look(look),
            Event::Repetition(repetition) if self.keeps(repetition.place.row) => {
                self.rows.entry(repetition.place.row).or_default().repetitions.push(repetition);
            }
            Event::GivenUp { row, value, variant, why } if self.keeps(row) => {
                self.given_up.insert(value, GivenUp { row, variant, why });
            }
            Event::Look(_) | Event::Repetition(_) | Event::GivenUp { .. } => {}
        }
        while self.is_full() && self.halvings < u64::BITS {
            self.halve();
        }
    }

    /// Takes the readings of a resource before and after the run, where `parse` finds the number of the operation in a
    /// value. All writes of the resource must have been added. Readings of the same row that were added before are
    /// forgotten: a row that [is in doubt](Ledger::is_in_doubt) is read again, and all its readings are added.
    pub fn audit(&mut self, audit: &Audit<'_>, parse: impl Fn(&str) -> Option<u64>) {
        let Some(row) = self.rows.get_mut(&audit.row) else { return };
        for (key, log) in &mut row.keys {
            let held = log.looks.len();
            log.looks.retain(|look| !matches!(look.occasion, Occasion::Before | Occasion::Audit));
            self.looks -= held - log.looks.len();
            let before = audit.before.map(|reading| (reading, Occasion::Before));
            let after = audit.after.iter().map(|reading| (reading, Occasion::Audit));
            for (reading, occasion) in before.into_iter().chain(after) {
                let (sent, done) = (nanos(reading.sent), nanos(reading.done));
                log.looks.push(Glance { sent, done, occasion, seen: seen(&reading.attributes, key, &parse) });
                self.looks += 1;
            }
        }
        row.untouched = audit.before.and_then(|before| Untouched::between(before, audit));
    }

    /// Whether the readings of a row's audit so far leave something open that had better be read again before it is told.
    #[must_use]
    pub fn is_in_doubt(&self, row: u32, bounds: &Bounds) -> bool {
        let Some(row) = self.rows.get(&row) else { return false };
        let spans = Spans::from(*bounds);
        let is_open = |log: &Log| audited(&Order::new(log, &row.untracked, &spans), &spans) == Audited::Open;
        row.untouched
            .as_ref()
            .is_some_and(|untouched| !untouched.changed.is_empty() && untouched.readings < spans.audits)
            || row.keys.values().any(is_open)
    }

    /// The rows with writes in the ledger.
    pub fn rows(&self) -> impl Iterator<Item = u32> {
        self.rows.iter().filter(|(_, row)| row.keys.values().any(|log| !log.writes.is_empty())).map(|(row, _)| *row)
    }

    /// Everything in the ledger: row by row, of a row key by key, of a key the writes and then the looks.
    pub fn history(&self) -> impl Iterator<Item = Event> {
        let of_rows = self.rows.iter().flat_map(|(row, known)| {
            let logs = known.keys.iter().flat_map(|(key, log)| events(Place { row: *row, key: key.clone() }, log));
            let untracked = known.untracked.iter().map(|aside| untracked(*row, aside));
            logs.chain(untracked).chain(known.repetitions.iter().cloned().map(Event::Repetition))
        });
        let given_up = self.given_up.iter();
        let given_up = given_up.map(|(value, GivenUp { row, variant, why })| Event::GivenUp {
            row: *row,
            value: *value,
            variant: *variant,
            why,
        });
        of_rows.chain(given_up)
    }

    /// What all of it says. Of the effort only what the ledger holds and what it had no room for: the requests are counted
    /// by whoever sends them. `requests` gives the requests of a repetition as lines that repeat them; it is asked for
    /// those that are told, which are few.
    #[must_use]
    pub fn judge(&self, bounds: &Bounds, requests: &dyn Fn(&Repetition) -> Vec<String>) -> Checks {
        let mut tally = Tally::new(self.variants);
        let merges = self.judge_into(&mut tally, bounds, requests);
        let ledger = u64::try_from(self.writes).unwrap_or(u64::MAX);
        let effort = Effort { ledger, beyond_ledger: self.beyond, ..Effort::default() };
        Checks { variants: tally.into_variants(), merge: merges.merge(), effort }
    }

    /// All that is found, one line for each, row by row; not the writes that were seen.
    #[must_use]
    pub fn findings(&self, bounds: &Bounds) -> Vec<Line> {
        let mut tally = Tally::listing(self.variants);
        self.judge_into(&mut tally, bounds, &|_| Vec::new());
        tally.into_list()
    }

    fn judge_into(&self, tally: &mut Tally, bounds: &Bounds, requests: &dyn Fn(&Repetition) -> Vec<String>) -> Merges {
        let spans = Spans::from(*bounds);
        let given_up: BTreeMap<_, _> = self.given_up.iter().map(|(value, given_up)| (*value, given_up.why)).collect();
        let mut merges = Merges::default();
        for (number, row) in &self.rows {
            let judged = rows::Judged { number: *number, row, spans: &spans, given_up: &given_up, requests };
            judged.judge(tally, &mut merges);
        }
        merges
    }

    fn look(&mut self, look: Look) {
        let Look { place, occasion, sent, done, seen } = look;
        self.log(place).looks.push(Glance { sent: nanos(sent), done: nanos(done), occasion, seen });
        self.looks += 1;
    }

    fn log(&mut self, place: Place) -> &mut Log {
        self.rows.entry(place.row).or_default().keys.entry(place.key).or_default()
    }

    fn is_full(&self) -> bool {
        self.writes > self.most_writes || self.looks > self.most_writes.saturating_mul(LOOKS_PER_WRITE)
    }

    /// Whether everything of a row is kept: after n halvings, if the first n bits of its hash are 0.
    fn keeps(&self, row: u32) -> bool {
        spread(row).leading_zeros() >= self.halvings
    }

    /// Lets go of half of the rows, and of what is known of them.
    fn halve(&mut self) {
        self.halvings += 1;
        let (rows, given_up) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.given_up));
        self.rows = rows.into_iter().filter(|(row, _)| self.keeps(*row)).collect();
        let logs = || self.rows.values().flat_map(|row| row.keys.values());
        let untracked: usize = self.rows.values().map(|row| row.untracked.len()).sum();
        let writes = logs().map(|log| log.writes.len()).sum::<usize>() + untracked;
        let looks = logs().map(|log| log.looks.len()).sum();
        self.beyond += u64::try_from(self.writes - writes).unwrap_or(u64::MAX);
        (self.writes, self.looks) = (writes, looks);
        self.given_up = given_up.into_iter().filter(|(_, given_up)| self.keeps(given_up.row)).collect();
    }
}

/// The events of a register.
fn events(place: Place, log: &Log) -> impl Iterator<Item = Event> {
    let of_looks = place.clone();
    let writes = log.writes.iter().map(move |entry| {
        let Entry { value, sent, done, variant, ack } = *entry;
        let variant = usize::try_from(variant).unwrap_or(usize::MAX);
        let (sent, done) = (Duration::from_nanos(sent), Duration::from_nanos(done));
        Event::Write(Write { place: place.clone(), value, variant, sent, done, ack })
    });
    let looks = log.looks.iter().map(move |glance| {
        let Glance { sent, done, occasion, seen } = *glance;
        let (sent, done) = (Duration::from_nanos(sent), Duration::from_nanos(done));
        Event::Look(Look { place: of_looks.clone(), occasion, sent, done, seen })
    });
    writes.chain(looks)
}

/// An untracked write of a row.
fn untracked(row: u32, Aside { entry, names_key }: &Aside) -> Event {
    let Entry { value: number, sent, done, variant, ack } = *entry;
    let variant = usize::try_from(variant).unwrap_or(usize::MAX);
    let (sent, done) = (Duration::from_nanos(sent), Duration::from_nanos(done));
    Event::Untracked(Untracked { row, number, variant, names_key: *names_key, sent, done, ack })
}

/// The bits of a row's number well mixed: the finaliser of `SplitMix64` (Steele, Lea and Flood 2014).
fn spread(row: u32) -> u64 {
    let mut bits = u64::from(row).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
