//! A store that merges writes per key, and clients that write to it and check it: the reference for tests.
//!
//! Everything that will be applied is known before anybody looks, so a read is a function of its instant. Instants are
//! milliseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Ack, Audit, Bounds, Event, Ledger, Look, Occasion, Place, Reading, Write, seen};
use crate::measure::{Check, Checks};

/// What is not seen so long after its answer is never visible.
pub(super) const WITHIN: u64 = 1000;
/// Pauses between looks: the first, and the longest.
const FIRST: u64 = 20;
const MOST: u64 = 200;
const RECHECK: u64 = 300;
const CONFIRMATIONS: usize = 3;
/// The attribute that no request names.
const UNTOUCHED: &str = "name";

/// A value that is set, from an instant on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effect {
    pub(super) row: u32,
    pub(super) key: u8,
    pub(super) value: u64,
    pub(super) visible: u64,
    /// It is taken back at this instant.
    pub(super) until: Option<u64>,
    /// It takes away all other keys of the row.
    pub(super) replaces: bool,
}

/// An attempt, in the same unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) row: u32,
    pub(super) key: u8,
    pub(super) value: u64,
    pub(super) sent: u64,
    pub(super) done: u64,
    pub(super) ack: Ack,
}

/// How an operation is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sampling {
    No,
    Whole,
    /// Its looks stop after the first, for want of room.
    CutShort,
}

/// All that happens.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    /// What was there before the run.
    pub(super) initial: BTreeMap<(u32, u8), String>,
    pub(super) sent: Vec<Attempt>,
    pub(super) effects: Vec<Effect>,
    pub(super) sampled: BTreeMap<u64, Sampling>,
    /// The first look that is to find out whether this operation's value is still there shows what was before it.
    pub(super) stale: Option<u64>,
    /// The attribute that nobody names changes in this row.
    pub(super) touched: Option<u32>,
    pub(super) order: u64,
}

pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn bounds(order: u64) -> Bounds {
    let confirming = ms((MOST + 10) * 4);
    Bounds {
        within: ms(WITHIN),
        order: ms(order),
        confirmations: CONFIRMATIONS,
        confirming,
        audits: 3,
        sightings: 1,
        end: Duration::MAX,
    }
}

pub(super) fn key(key: u8) -> String {
    format!("k{key}")
}

pub(super) fn parse(text: &str) -> Option<u64> {
    text.strip_prefix("op-")?.parse().ok()
}

/// How often each kind of violation was found.
pub(super) fn violations(checks: &Checks) -> BTreeMap<Check, u64> {
    let count = |check: Check| checks.variants.iter().map(|variant| variant.findings[check.index()].found).sum();
    let all = Check::ALL.into_iter().filter(|check| check.is_violation()).map(|check| (check, count(check)));
    all.filter(|(_, found)| *found > 0).collect()
}

impl World {
    /// What a read at this instant shows of a row.
    fn attributes(&self, row: u32, at: u64) -> Value {
        let of_row = self.initial.iter().filter(|((of, _), _)| *of == row);
        let mut map: Map<String, Value> = of_row.map(|((_, k), value)| (key(*k), value.clone().into())).collect();
        let mut effects: Vec<_> =
            self.effects.iter().filter(|effect| effect.row == row && effect.visible <= at).collect();
        effects.sort_by_key(|effect| effect.visible);
        for effect in effects.into_iter().filter(|effect| effect.until.is_none_or(|until| at < until)) {
            if effect.replaces {
                map.clear();
            }
            map.insert(key(effect.key), format!("op-{}", effect.value).into());
        }
        let is_touched = at > 0 && self.touched == Some(row);
        map.insert(UNTOUCHED.into(), if is_touched { "somebody" } else { "nobody" }.into());
        Value::Object(map)
    }

    /// The ledger of the whole run.
    pub(super) fn run(&self) -> Ledger {
        let mut ledger = Ledger::new(100_000, 2);
        for sent in &self.sent {
            let Attempt { row, key: k, value, sent, done, ack } = *sent;
            let place = Place { row, key: key(k).into() };
            let variant = usize::try_from(value % 2).unwrap();
            ledger.add(Event::Write(Write { place, value, variant, sent: ms(sent), done: ms(done), ack }));
        }
        for (value, sampling) in &self.sampled {
            self.check(*value, *sampling, &mut ledger);
        }
        let effects = self.effects.iter().flat_map(|effect| [effect.visible, effect.until.unwrap_or(0)]);
        let end = self.sent.iter().map(|sent| sent.done + WITHIN + 2000).chain(effects).max().unwrap_or(0) + WITHIN;
        let named: BTreeSet<_> = (0..10).map(key).collect();
        for row in ledger.rows().collect::<Vec<_>>() {
            let read = |at| Reading { sent: ms(at), done: ms(at + 2), attributes: self.attributes(row, at) };
            let (before, after) = (read(0), [end, end + 50, end + 100].map(read));
            ledger.audit(&Audit { row, before: Some(&before), after: &after, named: &named }, parse);
        }
        ledger
    }

    pub(super) fn judge(&self) -> Checks {
        self.run().judge(&bounds(self.order), &|_| Vec::new())
    }

    /// Looks for an operation's value as a client does that was told what its attempts were answered.
    fn check(&self, value: u64, sampling: Sampling, ledger: &mut Ledger) {
        let attempts: Vec<_> = self.sent.iter().filter(|sent| sent.value == value).collect();
        let last = attempts[attempts.len() - 1];
        match last.ack {
            Ack::Accepted => self.follow(last, sampling, ledger),
            Ack::Refused | Ack::Failed => {
                self.look(last, last.done + WITHIN, Occasion::Poll(value), ledger);
            }
            Ack::Unknown | Ack::NotSent => give_up(last.row, value, ledger),
        }
    }

    fn follow(&self, write: &Attempt, sampling: Sampling, ledger: &mut Ledger) {
        let poll = Occasion::Poll(write.value);
        let (mut at, mut pause, mut late) = (write.done + FIRST, FIRST, 0);
        let seen = loop {
            let (is_seen, done) = self.look(write, at, poll, ledger);
            if is_seen {
                break done;
            }
            if sampling == Sampling::CutShort {
                return give_up(write.row, write.value, ledger);
            }
            late += usize::from(at >= write.done + WITHIN);
            if late > CONFIRMATIONS {
                return;
            }
            pause = (pause * 2).min(MOST);
            at = if late > 0 { done + MOST } else { (done + pause).min((write.done + WITHIN).max(done)) };
        };
        let (mut at, recheck, decisive) = (seen + RECHECK, Occasion::Recheck(write.value), write.done + WITHIN);
        if at < decisive {
            if self.look(write, at, recheck, ledger).0 {
                return;
            }
            at = decisive;
        }
        for _ in 0..=CONFIRMATIONS {
            let (is_seen, done) = self.look(write, at, recheck, ledger);
            if is_seen {
                return;
            }
            at = done + MOST;
        }
    }

    /// Looks once; whether it shows the write, and when it was done.
    fn look(&self, write: &Attempt, at: u64, occasion: Occasion, ledger: &mut Ledger) -> (bool, u64) {
        // Some value between 1 and 5 that differs from look to look.
        let took = 1 + (at * 7 + write.value) % 5;
        let is_first = !ledger.history().any(|event| matches!(event, Event::Look(look) if look.occasion == occasion));
        let effect = self.effects.iter().find(|effect| effect.value == write.value);
        let shown = match effect {
            Some(effect)
                if is_first && self.stale == Some(write.value) && occasion == Occasion::Recheck(write.value) =>
            {
                effect.visible - 1
            }
            _ => at + took / 2,
        };
        let name = key(write.key);
        let seen = seen(&self.attributes(write.row, shown), &name, parse);
        let place = Place { row: write.row, key: name.into() };
        ledger.add(Event::Look(Look { place, occasion, sent: ms(at), done: ms(at + took), seen }));
        (seen == super::Seen::Value(write.value), at + took)
    }
}

fn give_up(row: u32, value: u64, ledger: &mut Ledger) {
    ledger.add(Event::GivenUp { row, value, variant: usize::try_from(value % 2).unwrap(), why: "no room for a look" });
}
