//! Judges the history of one register: each finding is of one write, and of one class.
//!
//! A look may show a write from the instant it was sent. Of two writes, one is surely older where it was over before the
//! other was sent; all others may have been applied in either order. So whatever a look shows is wrong only where it is
//! surely older than what must be there, and where a write of ours may explain it, nobody can tell.

use std::collections::BTreeMap;

use super::bounds::Spans;
use super::history::{Occasion, REPEATED};
use super::order::{Deed, Order, Standing, View};
use super::stale;
use super::tally::{Finding, Tally, instant, operation};
use crate::measure::Check;

/// Which register it is, and what else was going on.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) row: u32,
    pub(super) key: &'a str,
    /// The latest instant at which another key of the row may have been written.
    pub(super) others: Option<u64>,
    pub(super) spans: &'a Spans,
    /// Why checks of operations ended early.
    pub(super) given_up: &'a BTreeMap<u64, &'static str>,
}

/// What the audit showed of the last acknowledged write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audited {
    /// It is there, or what may have been written after it.
    Present,
    /// It is missing.
    Missing,
    /// Nobody can tell, or nothing was acknowledged.
    Unclear,
}

/// What looks say of one deed.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all combinations occur")]
struct Case {
    is_sampled: bool,
    /// The look that was over first of those that showed it.
    first: Option<View>,
    /// The latest end of those that showed it, without the audit.
    seen_until: Option<u64>,
    /// The last look for it.
    polled: Option<View>,
    /// The last look that was to find out whether it is still there, and found it.
    rechecked: Option<View>,
    in_audit: bool,
    /// It is found never visible or reverted.
    is_missing: bool,
    /// It is counted among those that would have been found never visible.
    was_awaited: bool,
    /// It is counted among those that would have been found reverted.
    was_rechecked: bool,
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

    /// Counts everything that is found; what the audit showed.
    pub(super) fn judge(mut self, tally: &mut Tally) -> Audited {
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
                    finding(&deed, Check::Indeterminate).count(tally, what);
                }
            }
        }
        if self.order.is_shared {
            return Audited::Unclear;
        }
        self.stale(tally);
        self.audit(tally)
    }

    /// Judges one write by the looks of the run; an error says why nobody can tell.
    fn one(&mut self, i: usize, tally: &mut Tally) -> Result<(), &'static str> {
        let deed = self.order.deeds[i];
        let is_sampled = self.cases[i].is_sampled;
        match deed.standing {
            _ if deed.is_leftover => Err("its value was there before it was sent"),
            Standing::Unknown => Err("nobody knows whether it took effect"),
            Standing::Denied { failed } => self.denied(i, failed, tally),
            Standing::Accepted { done } if is_sampled => {
                self.visible(i, done, tally)?;
                self.kept(i, tally);
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
            // Failed writes that were not sampled are not looked for: counting those that are met would raise the share.
            if case.is_sampled || !failed {
                let word = if failed { "failed" } else { "was refused" };
                finding(deed, Check::Phantom).count(tally, || {
                    format!("{}: {word} at {}, seen at {}", self.name(deed), instant(deed.done), instant(hit.done))
                });
            }
            return Ok(());
        }
        let late = deed.done.saturating_add(self.setting.spans.within);
        let look = case.polled.filter(|look| look.sent >= late).ok_or(NO_LOOK)?;
        if self.order.is_disturbed(i, look.done) {
            return Err(WRITTEN);
        }
        if case.is_sampled {
            tally.check(deed.variant, Check::Phantom, 1);
        }
        Ok(())
    }

    /// Whether a sampled write that was accepted at `done` is ever seen.
    fn visible(&mut self, i: usize, done: u64, tally: &mut Tally) -> Result<(), &'static str> {
        let deed = self.order.deeds[i];
        let late = done.saturating_add(self.setting.spans.within);
        if let Some(hit) = self.cases[i].first {
            let text = || format!("{}: accepted at {}, seen at {}", self.name(&deed), instant(done), instant(hit.done));
            finding(&deed, Check::Visible).count(tally, text);
            if hit.occasion != Occasion::Audit {
                let miss = self.miss_before(&hit).map_or(done, |miss| miss.max(done));
                tally.seen_after(deed.variant, hit.done.saturating_sub(done), hit.done.saturating_sub(miss));
            }
            // Others would be inconclusive if they had not been seen: counting them would lower the share.
            if !self.order.is_disturbed(i, late.saturating_add(self.setting.spans.confirming)) {
                self.cases[i].was_awaited = true;
                tally.check(deed.variant, Check::NeverVisible, 1);
            }
            return Ok(());
        }
        let from = self.order.looks.partition_point(|look| look.sent < deed.start);
        let decisive = self.order.looks.partition_point(|look| look.sent < late);
        let last = self.gone(i, from, decisive)?;
        let looks = last + 1 - from;
        finding(&deed, Check::NeverVisible).count(tally, || {
            let (name, end) = (self.name(&deed), instant(self.order.looks[last].done));
            let shown = self.shown(&self.order.looks[last]);
            format!(
                "{name}: accepted at {}, not seen in {looks} looks up to {end}, the last of which showed {shown}{}",
                instant(done),
                self.hint(&deed)
            )
        });
        tally.check(deed.variant, Check::Visible, 1);
        (self.cases[i].is_missing, self.cases[i].was_awaited) = (true, true);
        Ok(())
    }

    /// Whether a sampled write that was seen stays.
    fn kept(&mut self, i: usize, tally: &mut Tally) {
        let deed = self.order.deeds[i];
        let Case { seen_until, rechecked, in_audit, .. } = self.cases[i];
        let Some(seen) = seen_until else { return };
        if let Some(look) = rechecked
            && !self.order.is_disturbed(i, look.done)
        {
            self.cases[i].was_rechecked = true;
            tally.check(deed.variant, Check::Reverted, 1);
            return;
        }
        let from = self.order.looks.partition_point(|look| look.sent < seen);
        if in_audit {
            return;
        }
        if let Ok(last) = self.gone(i, from, from) {
            finding(&deed, Check::Reverted).count(tally, || {
                let (name, looks) = (self.name(&deed), &self.order.looks[from..=last]);
                let (start, end) = (instant(looks[0].sent), instant(looks[looks.len() - 1].done));
                let shown = self.shown(&looks[looks.len() - 1]);
                format!(
                    "{name}: seen until {}, gone from {start} to {end}, when {shown} was shown{}",
                    instant(seen),
                    self.hint(&deed)
                )
            });
            (self.cases[i].is_missing, self.cases[i].was_rechecked) = (true, true);
        }
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
                    Finding { at: older.sent, ..finding(deed, Check::StaleRead) }.count(tally, || {
                        let (name, at) = (self.name(deed), instant(older.sent));
                        format!("{name}: seen before {at} and after it again, but then {}", self.shown(&older))
                    });
                }
            }
        }
    }

    /// Whether the last write that was accepted is there in the end.
    fn audit(&self, tally: &mut Tally) -> Audited {
        let Some(Last { i, done, state }) = last(self.order, self.setting.spans) else { return Audited::Unclear };
        let (deed, case) = (&self.order.deeds[i], &self.cases[i]);
        if state == Audited::Unclear {
            return state;
        }
        tally.check(deed.variant, Check::Lost, 1);
        let others = self.has_others(deed);
        let was_seen = case.seen_until.is_some();
        // A write counts once among those that would have been found.
        let (check, is_counted) = match (others, was_seen) {
            (true, _) => (Check::Lost, true),
            (false, true) => (Check::Reverted, case.was_rechecked),
            (false, false) => (Check::NeverVisible, case.was_awaited),
        };
        if !is_counted {
            tally.check(deed.variant, check, 1);
        }
        if state == Audited::Missing && !case.is_missing {
            tally.find(&finding(deed, check), 1, || {
                let seen = if was_seen { "seen" } else { "never seen" };
                let look = self.order.audits.last();
                let (end, shown) = look.map_or_else(Default::default, |look| (instant(look.done), self.shown(look)));
                let (name, hint) = (self.name(deed), self.hint(deed));
                format!("{name}: accepted at {}, {seen}, missing at {end}, when {shown} was shown{hint}", instant(done))
            });
        }
        state
    }

    /// Whether another key of the row may have been written after this was sent.
    fn has_others(&self, deed: &Deed) -> bool {
        self.setting.others.is_some_and(|near| near > deed.start)
    }

    /// The operation and the register.
    fn name(&self, deed: &Deed) -> String {
        format!("{}, data row {}, `{}`", operation(deed.value), self.setting.row + 1, self.setting.key)
    }

    /// What a look showed.
    fn shown(&self, look: &View) -> String {
        look.deed.map_or_else(|| "no write of the run".to_owned(), |i| operation(self.order.deeds[i].value))
    }

    /// What else may be the reason, as the end of a sentence.
    fn hint(&self, deed: &Deed) -> &'static str {
        if self.has_others(deed) { "; other keys of the row were written since" } else { "" }
    }
}

/// The last write that was accepted, and what became of it.
#[derive(Debug, Clone, Copy)]
struct Last {
    i: usize,
    /// When it was accepted.
    done: u64,
    state: Audited,
}

/// Whether the audit shows something surely older than the last write that was accepted: if so in every look, it is
/// missing. `None` where none was accepted.
fn last(order: &Order, spans: &Spans) -> Option<Last> {
    let accepted = |(i, deed): (usize, &Deed)| match deed.standing {
        Standing::Accepted { done } => Some((i, done)),
        _ => None,
    };
    let (i, done) = order.deeds.iter().enumerate().rev().find_map(accepted)?;
    let late = done.saturating_add(spans.within);
    let looks: Vec<_> = order.audits.iter().filter(|look| look.sent >= late).collect();
    // A value that was there before it was sent may be that of any write.
    let is_unclear = order.is_shared || looks.is_empty() || order.deeds.iter().any(|deed| deed.is_leftover);
    let state = if is_unclear {
        Audited::Unclear
    } else if looks.iter().any(|look| look.end >= Some(order.deeds[i].start)) {
        Audited::Present
    } else if looks.len() >= spans.audits {
        Audited::Missing
    } else {
        Audited::Unclear
    };
    Some(Last { i, done, state })
}

/// What the audit showed of the last write that was accepted.
pub(super) fn audited(order: &Order, spans: &Spans) -> Audited {
    last(order, spans).map_or(Audited::Unclear, |last| last.state)
}

fn finding(deed: &Deed, check: Check) -> Finding {
    Finding { variant: deed.variant, check, at: deed.start }
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
                _ => case.seen_until = case.seen_until.max(Some(look.done)),
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
