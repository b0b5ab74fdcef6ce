//! Judges the history of one register: each finding is of one write, and of one class.
//!
//! A look may show a write from the instant it was sent. Of two writes, one is surely older where it was over before the
//! other was sent; all others may have been applied in either order. So whatever a look shows is wrong only where it is
//! surely older than what must be there, and where a write of ours may explain it, nobody can tell.

use std::collections::BTreeMap;

use super::bounds::Spans;
use super::ending::{Audited, Last, last};
use super::history::{Occasion, REPEATED};
use super::latest::{Period, Periods};
use super::order::{Deed, Order, Standing, View};
use super::stale;
use super::tally::{Finding, Of, Tally, instant, operation};
use crate::measure::Check;

/// Which register it is, and what else was going on.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) row: u32,
    pub(super) key: &'a str,
    pub(super) others: Others<'a>,
    pub(super) spans: &'a Spans,
    /// Why checks of operations ended early.
    pub(super) given_up: &'a BTreeMap<u64, &'static str>,
}

/// When the other keys of the row may have been written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Others<'a> {
    /// Of all keys of the row.
    pub(super) periods: &'a Periods,
    /// The owner of those of this key.
    pub(super) owner: u64,
}

/// What is known of a register in the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) last: Audited,
    /// A write that was acknowledged is missing in the end, or was at some time.
    pub(super) is_any_missing: bool,
}

/// What looks say of one deed.
#[derive(Debug, Clone, Copy, Default)]
struct Case {
    is_sampled: bool,
    /// The look that was over first of those that showed it.
    first: Option<View>,
    /// The look that was over last of those that showed it, without the audit.
    latest: Option<View>,
    /// The last look for it.
    polled: Option<View>,
    /// The last look that was to find out whether it is still there, and found it.
    rechecked: Option<View>,
    in_audit: bool,
    /// It is found missing.
    is_missing: bool,
    counted: Counted,
}

/// As which kinds of finding a deed would have been found: the set of their indices. Each is counted once.
#[derive(Debug, Clone, Copy, Default)]
struct Counted(u8);

impl Counted {
    /// Adds a kind; whether it is new.
    fn insert(&mut self, check: Check) -> bool {
        let bit = 1 << check.index();
        let is_new = self.0 & bit == 0;
        self.0 |= bit;
        is_new
    }
}

const WRITTEN: &str = "the key was written meanwhile";
const NO_LOOK: &str = "no look was late enough";

/// Judges one register.
pub(super) struct Register<'a> {
    setting: &'a Setting<'a>,
    order: &'a Order,
    cases: Vec<Case>,
}

impl<'a> Register<'a> {
    pub(super) fn new(setting: &'a Setting<'a>, order: &'a Order) -> Self {
        Self { setting, order, cases: cases(setting, order) }
    }

    /// Counts everything that is found; what became of the register.
    pub(super) fn judge(mut self, tally: &mut Tally) -> Fate {
        for i in 0..self.cases.len() {
            let deed = self.order.deeds[i];
            let concluded =
                if self.order.is_shared { Err("somebody else writes the key, too") } else { self.one(i, tally) };
            if !self.cases[i].is_sampled || deed.standing == Standing::NotSent {
                continue;
            }
            match concluded {
                Ok(()) => tally.check(deed.variant, Check::Indeterminate, 1),
                Err(why) => {
                    let why = self.setting.given_up.get(&deed.value).copied().unwrap_or(why);
                    let what = || format!("{}: {why}", self.name(&deed));
                    self.finding(&deed, Check::Indeterminate).count(tally, what);
                }
            }
        }
        if self.order.is_shared {
            return Fate { last: Audited::Unclear, is_any_missing: false };
        }
        self.stale(tally);
        let last = self.audit(tally);
        let is_any_missing = last == Audited::Missing || self.cases.iter().any(|case| case.is_missing);
        Fate { last, is_any_missing }
    }

    /// Judges one write by the looks of the run; an error says why nobody can tell.
    fn one(&mut self, i: usize, tally: &mut Tally) -> Result<(), &'static str> {
        let deed = self.order.deeds[i];
        let is_sampled = self.cases[i].is_sampled;
        match deed.standing {
            _ if deed.is_leftover => {
                Err("its value was there before it was sent: another --seed has values of its own")
            }
            Standing::Unknown => Err("nobody knows whether it took effect"),
            Standing::Denied { failed } => self.denied(i, failed, tally),
            Standing::Accepted { done } if is_sampled => {
                self.visible(i, done, tally)?;
                self.kept(i, done, tally);
                if self.cases[i].polled.is_some() {
                    tally.check(deed.variant, Check::Phantom, 1);
                }
                Ok(())
            }
            Standing::Accepted { .. } | Standing::NotSent => Ok(()),
        }
    }

    /// A write that was refused or failed.
    fn denied(&self, i: usize, failed: bool, tally: &mut Tally) -> Result<(), &'static str> {
        let (deed, case) = (&self.order.deeds[i], &self.cases[i]);
        if let Some(hit) = case.first {
            // Those that were not sampled are not looked for: counting the ones that are met would raise the share.
            if case.is_sampled {
                let word = if failed { "failed" } else { "was refused" };
                self.finding(deed, Check::Phantom).count(tally, || {
                    format!("{}: {word} at {}, seen at {}", self.name(deed), instant(deed.done), instant(hit.done))
                });
            }
            return Ok(());
        }
        if !case.is_sampled {
            return Ok(());
        }
        let late = deed.done.saturating_add(self.setting.spans.within);
        let look = case.polled.filter(|look| look.sent >= late).ok_or(NO_LOOK)?;
        if self.order.is_disturbed(i, look.done) {
            return Err(WRITTEN);
        }
        tally.check(deed.variant, Check::Phantom, 1);
        Ok(())
    }

    /// Whether a sampled write that was accepted at `done` is seen in time.
    fn visible(&mut self, i: usize, done: u64, tally: &mut Tally) -> Result<(), &'static str> {
        let deed = self.order.deeds[i];
        let late = done.saturating_add(self.setting.spans.within);
        let from = self.order.looks.partition_point(|look| look.sent < deed.start);
        let decisive = self.order.looks.partition_point(|look| look.sent < late);
        let last = match (self.gone(i, from, decisive), self.cases[i].first) {
            (Ok(last), first) if first.is_none_or(|hit| hit.sent > self.order.looks[last].sent) => last,
            (_, Some(hit)) => {
                self.seen(i, (done, late), &hit, tally);
                return Ok(());
            }
            (gone, None) => gone?,
        };
        let looks = last + 1 - from;
        tally.check(deed.variant, Check::Visible, 1);
        let end = self.order.looks[last].done;
        let check = self.count(i, Check::NeverVisible, end, tally);
        self.cases[i].is_missing = true;
        tally.find(&self.finding(&deed, check), 1, || {
            let (name, end, shown) = (self.name(&deed), instant(end), self.shown(&self.order.looks[last]));
            let later = self.cases[i].first.map_or_else(String::new, |hit| format!("; seen at {}", instant(hit.done)));
            format!(
                "{name}: accepted at {}, not seen in {looks} looks up to {end}, the last of which showed {shown}{later}{}",
                instant(done),
                hint(check)
            )
        });
        Ok(())
    }

    /// Counts a sampled write that was accepted at `done` and seen.
    fn seen(&mut self, i: usize, (done, late): (u64, u64), hit: &View, tally: &mut Tally) {
        let deed = self.order.deeds[i];
        if hit.occasion == Occasion::Audit {
            return;
        }
        let miss = self.miss_before(hit).map_or(done, |miss| miss.max(done));
        tally.seen_after(deed.variant, hit.done.saturating_sub(done), hit.done.saturating_sub(miss));
        // Others would be inconclusive if they had not been seen: counting them would lower the share of those never seen.
        let until = late.saturating_add(self.setting.spans.confirming);
        if self.would_conclude(i, until) && !self.setting.given_up.contains_key(&deed.value) {
            let text = || format!("{}: accepted at {}, seen at {}", self.name(&deed), instant(done), instant(hit.done));
            self.finding(&deed, Check::Visible).count(tally, text);
            self.count(i, Check::NeverVisible, until, tally);
        }
    }

    /// Whether looks up to this time would have told that the write is missing, had it been.
    fn would_conclude(&self, i: usize, until: u64) -> bool {
        until <= self.setting.spans.end && !self.order.is_disturbed(i, until)
    }

    /// Whether a sampled write that was seen in time stays.
    fn kept(&mut self, i: usize, done: u64, tally: &mut Tally) {
        let deed = self.order.deeds[i];
        let Case { latest, rechecked, in_audit, is_missing, .. } = self.cases[i];
        let Some(latest) = latest.filter(|_| !is_missing) else { return };
        // What is gone before may have been read from where it was not yet.
        let late = done.saturating_add(self.setting.spans.within);
        if let Some(look) = rechecked {
            // Others would be inconclusive if they had been gone.
            let until = look.done.max(late).saturating_add(self.setting.spans.confirming);
            if self.would_conclude(i, until) {
                self.count(i, Check::Reverted, until, tally);
                return;
            }
        }
        if in_audit {
            return;
        }
        let from = self.order.looks.partition_point(|look| look.sent < latest.done);
        let decisive = self.order.looks.partition_point(|look| look.sent < latest.done.max(late));
        if let Ok(last) = self.gone(i, from, decisive) {
            let end = self.order.looks[last].done;
            let check = self.count(i, Check::Reverted, end, tally);
            self.cases[i].is_missing = true;
            tally.find(&self.finding(&deed, check), 1, || {
                let (name, start, end) = (self.name(&deed), instant(self.order.looks[from].sent), instant(end));
                let shown = self.shown(&self.order.looks[last]);
                format!(
                    "{name}: seen until {}, gone from {start} to {end}, when {shown} was shown{}",
                    instant(latest.done),
                    hint(check)
                )
            });
        }
    }

    /// Counts a write among those that would have been found so by a time; among those that would have been found lost where
    /// the write of another key may have taken it away until then. As what it counts.
    fn count(&mut self, i: usize, check: Check, until: u64, tally: &mut Tally) -> Check {
        let deed = self.order.deeds[i];
        let check = if self.has_others(&deed, until) { Check::Lost } else { check };
        if self.cases[i].counted.insert(check) {
            tally.check(deed.variant, check, 1);
        }
        check
    }

    /// The index of the last look that it takes to say that a write is gone, of those from the one at `decisive` on; those
    /// from `from` on must show nothing that may have been written after it.
    fn gone(&self, i: usize, from: usize, decisive: usize) -> Result<usize, &'static str> {
        let last = decisive.saturating_add(self.setting.spans.confirmations);
        let look = self.order.looks.get(last).ok_or(NO_LOOK)?;
        let is_unclear = self.order.is_disturbed(i, look.done) || self.order.is_superseded(i, from..last + 1);
        if is_unclear { Err(WRITTEN) } else { Ok(last) }
    }

    /// When the last look was sent that was sent before this one and did not show the same.
    fn miss_before(&self, hit: &View) -> Option<u64> {
        let before = self.order.looks.partition_point(|look| look.sent < hit.sent);
        self.order.looks[..before].iter().rev().find(|look| look.deed != hit.deed).map(|look| look.sent)
    }

    /// Finds looks that show something surely older than what was seen before them and again after them.
    fn stale(&self, tally: &mut Tally) {
        for look in stale::sweep(self.order) {
            let deed = &self.order.deeds[look.newer];
            match look.older {
                None => tally.check(deed.variant, Check::StaleRead, 1),
                Some(older) => {
                    Finding { at: older.sent, ..self.finding(deed, Check::StaleRead) }.count(tally, || {
                        let (name, at) = (self.name(deed), instant(older.sent));
                        format!("{name}: seen before {at} and after it again, but then {}", self.shown(&older))
                    });
                }
            }
        }
    }

    /// Whether the last write that was accepted is there in the end.
    fn audit(&mut self, tally: &mut Tally) -> Audited {
        let Some(Last { i, done, state }) = last(self.order, self.setting.spans) else { return Audited::Unclear };
        match state {
            Audited::Unclear => return state,
            Audited::Open => {
                let deed = self.order.deeds[i];
                self.finding(&deed, Check::Indeterminate)
                    .count(tally, || format!("{}: the readings after the run are too few to tell", self.name(&deed)));
                return state;
            }
            Audited::Present | Audited::Missing => {}
        }
        let (deed, latest) = (self.order.deeds[i], self.cases[i].latest);
        let end = self.order.audits.last().map_or(0, |look| look.done);
        // What was never looked for may have been dropped or undone: nobody can tell which.
        let check = if latest.is_some() { Check::Reverted } else { Check::Lost };
        let check = self.count(i, check, end, tally);
        if state == Audited::Missing && !self.cases[i].is_missing {
            tally.find(&self.finding(&deed, check), 1, || {
                let seen =
                    latest.map_or("never seen".to_owned(), |latest| format!("seen until {}", instant(latest.done)));
                let shown = self.order.audits.last().map_or_else(String::new, |look| self.shown(look));
                let hint = if self.has_others(&deed, end) { hint(Check::Lost) } else { "" };
                let (name, done, end) = (self.name(&deed), instant(done), instant(end));
                format!("{name}: accepted at {done}, {seen}, missing at {end}, when {shown} was shown{hint}")
            });
        }
        state
    }

    /// Whether another key of the row may have been written between the sending of a write and a later time. That the write
    /// was seen meanwhile does not make the time shorter: the look that showed it may have been stale.
    fn has_others(&self, deed: &Deed, until: u64) -> bool {
        let Others { periods, owner } = self.setting.others;
        periods.overlap_others(&[owner], Period { from: deed.start, to: until })
    }

    fn finding(&self, deed: &Deed, check: Check) -> Finding<'a> {
        let of = Of { row: self.setting.row, key: self.setting.key, value: Some(deed.value) };
        Finding { variant: deed.variant, check, at: deed.start, of }
    }

    /// The operation and the register.
    fn name(&self, deed: &Deed) -> String {
        format!("{}, data row {}, `{}`", operation(deed.value), self.setting.row + 1, self.setting.key)
    }

    /// What a look showed.
    fn shown(&self, look: &View) -> String {
        look.deed.map_or_else(|| "no write of the run".to_owned(), |i| operation(self.order.deeds[i].value))
    }
}

/// What else there is to say of a finding, as the end of a sentence.
fn hint(check: Check) -> &'static str {
    if check == Check::Lost { "; other keys of the row were written meanwhile" } else { "" }
}

/// What the looks say of each deed.
fn cases(setting: &Setting<'_>, order: &Order) -> Vec<Case> {
    let mut cases = vec![Case::default(); order.deeds.len()];
    for look in order.looks.iter().chain(&order.audits) {
        if let Some(case) = look.deed.and_then(|i| cases.get_mut(i)) {
            if case.first.is_none_or(|first| look.done < first.done) {
                case.first = Some(*look);
            }
            match look.occasion {
                Occasion::Audit => case.in_audit = true,
                _ if case.latest.is_none_or(|latest| latest.done < look.done) => case.latest = Some(*look),
                _ => {}
            }
        }
        let (Occasion::Poll(value) | Occasion::Recheck(value)) = look.occasion else { continue };
        // Operations that are repeated are judged by their comparison.
        let Some(i) = order.find(value).filter(|_| value < REPEATED) else { continue };
        cases[i].is_sampled = true;
        match look.occasion {
            Occasion::Recheck(_) if look.deed == Some(i) => cases[i].rechecked = Some(*look),
            Occasion::Poll(_) => cases[i].polled = Some(*look),
            _ => {}
        }
    }
    for (case, deed) in cases.iter_mut().zip(&order.deeds) {
        case.is_sampled |= setting.given_up.contains_key(&deed.value);
    }
    cases
}

#[cfg(test)]
mod tests;
