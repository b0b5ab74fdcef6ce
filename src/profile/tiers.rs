//! Two limits that a request must both pass: the second one shows only where the first one does not refuse.

use super::clues::Clues;
use super::events::Events;
use super::fit::{Effort, Fit, describe, fit_events};
use super::replay::{Replay, Request};
use super::rivals;
use super::search::{Free, Search};
use super::theory::{Hypothesis, Theory};

/// First limiters that are tried, each with all that may stand beside it.
const FIRSTS: usize = 3;

/// Second limiters that are refined together with a first one.
const SECONDS: usize = 4;

/// A first limiter that explains early events this much worse than the best, by Schwarz's criterion, is not tried.
const NEAR_ENOUGH: f64 = 12.0;

/// Requests after the first burst from which a first limiter can be told.
const EARLIEST: usize = 40;

/// A pair that is this much worse than the best is not refined any further.
const HOPELESS: f64 = 60.0;

/// A limiter without which the log-likelihood is lower by less explains nothing.
const IDLE: f64 = 2.0;

/// How often each of two limiters is fitted with the other one held.
const TURNS: u32 = 3;

/// A refusal tells something about another limiter only if it came so many standard deviations of its arrival after the
/// one that is known would have admitted it.
const UNEXPLAINED: f64 = 6.0;

/// The limiters that explain all there was until another one refused, the best first: the largest part of the events from
/// the beginning that any single one explains.
pub(super) fn firsts(events: &Events) -> Vec<Theory> {
    let mut found = Vec::new();
    let mut count = Clues::of(events).cold_requests() + EARLIEST;
    while count < events.list.len() {
        let early = events.first(count);
        let fits = fit_events(&early, &[], Effort::Full);
        count += count / 2;
        let Some(best) = fits.first() else {
            continue;
        };
        if best.surprises > rivals::allowed(&early) {
            break;
        }
        found = fits.iter().filter(|fit| fit.bic < best.bic + NEAR_ENOUGH).map(|fit| fit.hypothesis.tiers[0]).collect();
    }
    found.truncate(FIRSTS);
    found
}

/// The pairs of one of these limiters and another one that explain the events best, the best first.
pub(super) fn fit_two(events: &Events, firsts: &[Theory]) -> Vec<Fit> {
    let pairs = firsts.iter().flat_map(|first| seconds_of(events, *first));
    let fits: Vec<_> = pairs.filter_map(|pair| Some(needed(together(&pair, events)?, events))).collect();
    ranked(fits)
}

/// The pair, or the one of its limiters that explains as much alone: the other one never refuses.
fn needed(pair: Fit, events: &Events) -> Fit {
    let alone = pair.hypothesis.tiers.iter().map(|theory| describe(Hypothesis::single(*theory), events));
    let best = alone.max_by(|a, b| a.log_likelihood.total_cmp(&b.log_likelihood));
    best.filter(|alone| alone.log_likelihood > pair.log_likelihood - IDLE).unwrap_or(pair)
}

/// Pairs that were found before, refined on what is known by now.
pub(super) fn again(fits: &[Fit], events: &Events) -> Vec<Fit> {
    let best = fits.iter().map(|fit| fit.bic).fold(f64::INFINITY, f64::min);
    let near = fits.iter().filter(|fit| fit.bic < best + HOPELESS);
    ranked(near.filter_map(|fit| together(&fit.hypothesis, events)).collect())
}

/// A first limiter with each of the second ones that best explain the refusals that it does not.
fn seconds_of(events: &Events, first: Theory) -> Vec<Hypothesis> {
    let rest = unexplained(events, first).beside(Some(first));
    let fits = fit_events(&rest, &[], Effort::Full);
    let pair = |fit: Fit| (fit.hypothesis.tiers.len() == 2).then_some(fit.hypothesis);
    fits.into_iter().filter_map(pair).take(SECONDS).collect()
}

/// The events without the refusals that a limiter may explain.
fn unexplained(events: &Events, theory: Theory) -> Events {
    let mut replay = Replay::new(&Hypothesis::single(theory));
    events.only(|event| {
        let is_beyond = replay.margin(event.at) > UNEXPLAINED * event.sigma;
        if let Some(admitted) = event.admitted {
            replay.note(Request { at: event.at, done: event.done, slack: event.sigma * 5.0, count: 1 }, admitted);
        }
        event.admitted != Some(false) || is_beyond
    })
}

/// Fits each of two limiters in turn with the other one held; the one that is whole again first comes first.
fn together(pair: &Hypothesis, events: &Events) -> Option<Fit> {
    let [mut one, mut other] = <[Theory; 2]>::try_from(pair.tiers.clone()).ok()?;
    let mut best: Option<Fit> = None;
    for _ in 0..TURNS {
        for _ in 0..2 {
            let around = events.beside(Some(other));
            let search = Search { events: &around, floor: f64::NEG_INFINITY };
            let found = search.refine(one, Free::All)?;
            (one, other) = (other, found.hypothesis.tiers[0]);
        }
        let tiers = if one.recovery() <= other.recovery() { vec![one, other] } else { vec![other, one] };
        let found = describe(Hypothesis { tiers, ..pair.clone() }, events);
        let is_better = |best: &Fit| found.log_likelihood > best.log_likelihood + 0.1;
        if !best.as_ref().is_none_or(is_better) {
            break;
        }
        best = Some(found);
    }
    best
}

/// The best of each pair of kinds, the best pair first.
fn ranked(mut fits: Vec<Fit>) -> Vec<Fit> {
    fits.sort_by(|a, b| a.bic.total_cmp(&b.bic));
    let mut kept: Vec<Fit> = Vec::new();
    for fit in fits {
        if !kept.iter().any(|other| other.hypothesis.kinds() == fit.hypothesis.kinds()) {
            kept.push(fit);
        }
    }
    kept
}

impl Fit {
    /// The same with another of its limiters first, and the one that then stands beside it.
    pub(super) fn turned(&self, tier: usize) -> (Self, Option<Theory>) {
        let mut turned = self.clone();
        turned.hypothesis.tiers.rotate_left(tier);
        let beside = turned.hypothesis.tiers.get(1).copied();
        (turned, beside)
    }
}
