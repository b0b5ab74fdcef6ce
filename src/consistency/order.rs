//! Which of the writes of a register may have been applied after which, and what each look shows of them.

use std::collections::{BTreeMap, BTreeSet};

use super::bounds::Spans;
use super::history::{Ack, Occasion, Seen};
use super::latest::{Period, Periods, RangeMax};
use super::row::{Aside, Log};

/// An attempt to write a value, as the ledger keeps it. Instants are nanoseconds since the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: u64,
    pub(super) sent: u64,
    pub(super) done: u64,
    pub(super) variant: u32,
    pub(super) ack: Ack,
}

/// A look at a register, as the ledger keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glance {
    pub(super) sent: u64,
    pub(super) done: u64,
    pub(super) occasion: Occasion,
    pub(super) seen: Seen,
}

/// What the answers to all attempts to write a value say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// One of them was accepted: it was answered after it was sent, the first of them.
    Accepted { done: u64 },
    /// None was accepted, and of some nobody knows.
    Unknown,
    /// All were refused or failed, or were never sent.
    Denied { failed: bool },
    /// None was ever sent.
    NotSent,
}

/// What is known of the effect of a value: all attempts to write it together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deed {
    pub(super) value: u64,
    pub(super) variant: usize,
    pub(super) standing: Standing,
    /// The first attempt was sent, of those that may have had an effect, or of all where none may.
    pub(super) start: u64,
    /// It has no effect later than this; [`u64::MAX`] where nobody knows.
    pub(super) end: u64,
    /// As long as nothing unusual happens, it has no effect later than this: an answer that did not come counts as one.
    pub(super) near: u64,
    /// The last attempt was answered or given up.
    pub(super) done: u64,
    /// It may have had an effect.
    pub(super) is_possible: bool,
    /// It was seen before it was sent, left by somebody else, so that seeing it says nothing.
    pub(super) is_leftover: bool,
}

/// What a look shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) sent: u64,
    pub(super) done: u64,
    pub(super) occasion: Occasion,
    /// Index of the deed; `None` for nothing, and for what was there before the run.
    pub(super) deed: Option<usize>,
    /// It shows a value, whosever.
    pub(super) is_there: bool,
    /// What it shows was not applied later than this: `None` is before all deeds, and less than any of their instants.
    pub(super) end: Option<u64>,
}

/// The writes and looks of a register in their orders.
#[derive(Debug)]
pub(super) struct Order {
    /// By their starts.
    pub(super) deeds: Vec<Deed>,
    /// By the instants at which they were sent; those of the audit are apart.
    pub(super) looks: Vec<View>,
    /// The looks of the audit.
    pub(super) audits: Vec<View>,
    /// Values that are neither ours nor one constant from before the run: somebody else writes here, too.
    pub(super) is_shared: bool,
    of_value: BTreeMap<u64, usize>,
    periods: Periods,
    /// Until when untracked writes may have written the register.
    aside_until: Option<u64>,
    ends: RangeMax,
}

/// The owner of what belongs to no register and no deed.
pub(super) const NOBODY: u64 = u64::MAX;

impl Entry {
    /// When it may have had its effect, as long as nothing unusual happens, where that may be so long after its answer; `None`
    /// where it had none.
    pub(super) fn period(&self, order: u64) -> Option<Period> {
        let may_have = !matches!(self.ack, Ack::Refused | Ack::NotSent);
        may_have.then_some(Period { from: self.sent, to: self.done.saturating_add(order) })
    }
}

impl Deed {
    /// When it may have had its effect, as long as nothing unusual happens; `None` where it had none.
    fn period(&self) -> Option<Period> {
        self.is_possible.then_some(Period { from: self.start, to: self.near })
    }
}

impl Order {
    /// Of the writes and looks of a register, beside which untracked writes may have written it, too.
    pub(super) fn new(log: &Log, untracked: &[Aside], spans: &Spans) -> Self {
        let Log { writes: entries, looks: glances } = log;
        let mut glances = glances.clone();
        glances.sort_by_key(|glance| (glance.sent, glance.done));
        let mut deeds = deeds(entries, &glances, spans.order);
        deeds.sort_by_key(|deed| (deed.start, deed.value));
        let of_value: BTreeMap<_, _> = deeds.iter().enumerate().map(|(i, deed)| (deed.value, i)).collect();
        let find = |value| of_value.get(&value).copied().filter(|i| deeds[*i].standing != Standing::NotSent);
        let view = |glance: &Glance| {
            let deed = if let Seen::Value(value) = glance.seen { find(value) } else { None };
            let Glance { sent, done, occasion, seen } = *glance;
            View { sent, done, occasion, deed, is_there: seen != Seen::Nothing, end: deed.map(|i| deeds[i].end) }
        };
        let (audits, looks): (Vec<_>, Vec<_>) =
            glances.iter().map(view).partition(|view| view.occasion == Occasion::Audit);
        let is_foreign = |seen: Seen| match seen {
            Seen::Nothing => false,
            Seen::Foreign(_) => true,
            Seen::Value(value) => find(value).is_none_or(|i| deeds[i].is_leftover),
        };
        let ends = RangeMax::new(looks.iter().map(|view| view.end).collect());
        let of_deed = |(i, deed): (usize, &Deed)| deed.period().map(|period| (period, owner(i)));
        let untracked = untracked.iter().filter(|aside| aside.names_key);
        let of_untracked: Vec<_> = untracked.filter_map(|aside| aside.entry.period(spans.order)).collect();
        let aside_until = of_untracked.iter().map(|period| period.to).max();
        let of_untracked = of_untracked.into_iter().map(|period| (period, NOBODY));
        let periods = Periods::new(deeds.iter().enumerate().filter_map(of_deed).chain(of_untracked));
        let is_shared = is_shared(&glances, is_foreign);
        Self { deeds, looks, audits, is_shared, of_value, periods, aside_until, ends }
    }

    /// The index of the deed that writes this value.
    pub(super) fn find(&self, value: u64) -> Option<usize> {
        self.of_value.get(&value).copied()
    }

    /// The last write that was accepted, in the order of their sending: its index, and when it was accepted.
    pub(super) fn last_accepted(&self) -> Option<(usize, u64)> {
        let accepted = |(i, deed): (usize, &Deed)| match deed.standing {
            Standing::Accepted { done } => Some((i, done)),
            _ => None,
        };
        self.deeds.iter().enumerate().rev().find_map(accepted)
    }

    /// Whether an untracked write may have been applied after the deed with this index.
    pub(super) fn is_written_aside(&self, deed: usize) -> bool {
        self.aside_until.is_some_and(|until| until > self.deeds[deed].start)
    }

    /// Whether another write, sent before `until`, may have been applied after the deed with this index.
    pub(super) fn is_disturbed(&self, deed: usize, until: u64) -> bool {
        self.periods.overlap_others(&[owner(deed)], Period { from: self.deeds[deed].start, to: until })
    }

    /// Whether one of the looks of this range shows what may have been applied after the deed, or the deed itself.
    pub(super) fn is_superseded(&self, deed: usize, looks: std::ops::Range<usize>) -> bool {
        self.ends.max(looks).is_some_and(|end| end > self.deeds[deed].start)
    }

    /// The periods in which writes of the register may have been applied.
    pub(super) fn periods(&self) -> impl Iterator<Item = Period> {
        self.deeds.iter().filter_map(Deed::period)
    }
}

/// An index as the owner of its instants.
pub(super) fn owner(deed: usize) -> u64 {
    u64::try_from(deed).unwrap_or(NOBODY)
}

/// All attempts of each value together. `glances` are sorted by the instants at which they were sent.
fn deeds(entries: &[Entry], glances: &[Glance], order: u64) -> Vec<Deed> {
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    for glance in glances {
        if let Seen::Value(value) = glance.seen {
            let first = seen.entry(value).or_insert(glance.done);
            *first = glance.done.min(*first);
        }
    }
    let mut entries = entries.to_vec();
    entries.sort_by_key(|entry| (entry.value, entry.sent));
    entries.chunk_by(|a, b| a.value == b.value).map(|all| deed(all, seen.get(&all[0].value).copied(), order)).collect()
}

/// What the attempts of one value amount to, which are in the order of their sending and at least one.
fn deed(all: &[Entry], first_seen: Option<u64>, order: u64) -> Deed {
    let is_possible = |entry: &&Entry| match entry.ack {
        Ack::Accepted | Ack::Unknown | Ack::Failed => true,
        // Whoever says no and does it all the same has done it.
        Ack::Refused => first_seen.is_some(),
        Ack::NotSent => false,
    };
    let has = |ack| all.iter().any(|entry| entry.ack == ack);
    let accepted = all.iter().filter(|entry| entry.ack == Ack::Accepted).map(|entry| entry.done).min();
    let standing = match accepted {
        Some(done) => Standing::Accepted { done },
        None if has(Ack::Unknown) => Standing::Unknown,
        None if has(Ack::Failed) => Standing::Denied { failed: true },
        None if has(Ack::Refused) => Standing::Denied { failed: false },
        None => Standing::NotSent,
    };
    let sent = all.iter().find(|entry| entry.ack != Ack::NotSent).map_or(all[0].sent, |entry| entry.sent);
    let is_leftover = first_seen.is_some_and(|seen| seen <= sent);
    let end = |entry: &Entry| match entry.ack {
        Ack::Failed | Ack::Unknown => u64::MAX,
        Ack::Accepted | Ack::Refused | Ack::NotSent => entry.done.saturating_add(order),
    };
    let ends = all.iter().filter(is_possible).map(end).max();
    let nears = all.iter().filter(is_possible).map(|entry| entry.done.saturating_add(order)).max();
    let start = all.iter().find(is_possible).map_or(sent, |entry| entry.sent);
    Deed {
        value: all[0].value,
        variant: usize::try_from(all[0].variant).unwrap_or(usize::MAX),
        standing,
        start: if is_leftover { 0 } else { start },
        end: if is_leftover { u64::MAX } else { ends.unwrap_or(0) },
        near: if is_leftover { u64::MAX } else { nears.unwrap_or(0) },
        done: all.iter().map(|entry| entry.done).max().unwrap_or(0),
        is_possible: is_leftover || ends.is_some(),
        is_leftover,
    }
}

/// Whether the looks show more than one value that is not ours, or one that was not there before the run.
fn is_shared(glances: &[Glance], is_foreign: impl Fn(Seen) -> bool) -> bool {
    let foreign: BTreeSet<_> = glances.iter().map(|glance| glance.seen).filter(|seen| is_foreign(*seen)).collect();
    let before = glances.iter().find(|glance| glance.occasion == Occasion::Before);
    foreign.len() > 1 || !foreign.is_empty() && before.is_some_and(|before| !is_foreign(before.seen))
}
