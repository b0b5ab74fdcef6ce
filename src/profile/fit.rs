//! The search for the parameters under which each kind explains a log best.

use std::collections::HashSet;

use super::clues::{Clues, real};
use super::events::Events;
use super::log::Log;
use super::polish;
use super::rivals;
use super::score::{CERTAINLY, Score, Terms, score};
use super::search::{Free, LAST, NEAR, ROUGH, Search, apart};
use super::stalls;
use super::theory::{Family, Hypothesis, Kind, Penalty, Refusals, Theory};

/// The parameters of one kind that explain a log best.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The limiter, or several.
    pub hypothesis: Hypothesis,
    /// The natural logarithm of the likelihood.
    pub log_likelihood: f64,
    /// Outcomes that it makes all but impossible, but for those that a stall explains; none for the right one.
    pub surprises: usize,
    /// Outcomes that it makes all but impossible unless something stood still for a moment: a few, once nothing else
    /// explains them.
    pub stalled: usize,
    /// Schwarz's criterion, lower is better: -2 log-likelihood + parameters x ln(requests).
    pub bic: f64,
}

/// A kind that is farther behind the best than this is not searched on.
const HOPELESS: f64 = 60.0;

/// By how much Schwarz's criterion may be higher for a kind that is still of interest.
const NEAR_ENOUGH: f64 = 12.0;

/// By how much less a kind explains all events than those before, beside what each costs that is certain, where the new
/// ones rule out what it was.
const WORSE: f64 = 4.0;

/// Starts of each kind that a coarse search leaves, those that are made finer by early events, those that are chosen by all
/// events, and of these the ones that go on to the end.
const MANY: usize = 120;
const PROMISING: usize = 6;
const CHOSEN: usize = 3;
const FINALISTS: usize = 2;

/// The level of refinement at which all events choose.
const JUDGED: u32 = 0;

/// Events that a coarse search looks at, those that came together counted as one: with all of them it would take far
/// longer, and find the same.
const EARLY: usize = 500;

/// What a start must explain early events with, at first, and where none does.
const FLOORS: [f64; 3] = [-100.0, -1000.0, f64::NEG_INFINITY];

/// A coarse search takes this part of the first burst for one request, but no more than so many.
const CHUNKS: u32 = 64;
const MOST_TOGETHER: u32 = 16;

/// Work that takes fewer standard deviations of an arrival is as good as none.
const VISIBLE: f64 = 10.0;

/// A window that differs by less than this share from what answers take is as long as they take.
const AS_LONG: f64 = 0.05;

/// By how much arrivals may be surer than they are taken to be.
const SHARPER: [f64; 4] = [1.0, 0.5, 0.3, 0.15];

/// The kinds that a single limiter may be of; queues are found by their latency.
pub(super) fn kinds() -> Vec<Kind> {
    use Family as F;
    let plain = [
        F::FirstRequestWindow,
        F::ClockWindow,
        F::SlidingLog,
        F::SlidingCounter,
        F::FlooredCounter,
        F::AnchoredCounter,
        F::TokenBucket,
        F::TickingBucket,
        F::Concurrency,
    ];
    let counted = [F::SlidingLog, F::SlidingCounter, F::FlooredCounter, F::AnchoredCounter, F::TokenBucket];
    let blocking = [F::FirstRequestWindow, F::ClockWindow, F::SlidingLog, F::TokenBucket];
    let mut kinds: Vec<_> = plain.into_iter().map(Kind::plain).collect();
    kinds.extend(counted.map(|family| Kind { refusals: Refusals::Counted, ..Kind::plain(family) }));
    for penalty in [Penalty::Fixed, Penalty::Extended] {
        kinds.extend(blocking.map(|family| Kind { penalty, ..Kind::plain(family) }));
    }
    kinds
}

/// The best parameters of every kind, the best kind first. Empty without an admission that follows a refusal or the
/// other way round: then there is nothing to fit.
#[must_use]
pub fn fit(log: &Log) -> Vec<Fit> {
    fit_events(&Events::of(log), &[], Effort::Full)
}

impl Fit {
    /// Outcomes that it makes all but impossible, whether or not a stall explains them.
    pub(super) fn odd(&self) -> usize {
        self.surprises + self.stalled
    }
}

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Through all that the events suggest.
    Full,
    /// From what was found before only.
    Again,
}

/// The fit on arrivals as sure as it makes them out to be, and these arrivals.
///
/// How far arrivals lie from where they are supposed can be read off the outcomes only once there is a model: too wide
/// a guess biases its numbers, because admissions that follow an edge closely outnumber the refusals before it.
pub(super) fn sharpen(fit: &Fit, events: &Events) -> (Fit, Events) {
    let mut best: Option<(Fit, Events)> = None;
    for scale in SHARPER {
        let sharper = events.sharper(scale);
        let start = best.as_ref().map_or(fit, |(fit, _)| fit).hypothesis.tiers[0];
        let search = Search { events: &sharper, floor: f64::NEG_INFINITY };
        let Some(found) = search.refine(start, Free::ButLimit) else {
            break;
        };
        if found.odd() > fit.odd() || best.as_ref().is_some_and(|(best, _)| found.log_likelihood < best.log_likelihood)
        {
            break;
        }
        best = Some((found, sharper));
    }
    best.unwrap_or_else(|| (fit.clone(), events.clone()))
}

/// The fit with a limit one higher or lower, where it explains almost as much.
pub(super) fn other_limits(fit: &Fit, events: &Events) -> Vec<Fit> {
    let theory = fit.hypothesis.tiers[0];
    let limits = [theory.limit.saturating_sub(1), theory.limit + 1];
    let search = Search { events, floor: fit.log_likelihood - 6.0 };
    let others = limits.into_iter().filter(|limit| *limit > 0).map(|limit| Theory { limit, ..theory });
    others.filter_map(|other| search.refine(other, Free::ButLimit)).collect()
}

/// As [`fit`], beginning also from what was found before.
pub(super) fn fit_events(events: &Events, before: &[Fit], effort: Effort) -> Vec<Fit> {
    let mut fits: Vec<Fit> = Vec::new();
    let is_possible = |fit: &&Fit| match &fit.hypothesis.tiers[..] {
        [theory] => (theory.kind.family == Family::LeakyQueue) == events.is_queue,
        _ => false,
    };
    let worse = WORSE - real(events.list.len()) * CERTAINLY;
    // What led before is looked at first: the others are given up the earlier.
    for fit in before.iter().filter(is_possible) {
        let search = Search { events, floor: best_of(&fits) - HOPELESS };
        let theory = fit.hypothesis.tiers[0];
        let mut found = search.refine(theory, Free::All);
        // A block hides much of how long anything is: what new events rule out may be far from what explains them.
        let is_worse = found.as_ref().is_none_or(|found| found.log_likelihood < fit.log_likelihood - worse);
        if is_worse && theory.kind.blocks() {
            let around = found.get_or_insert_with(|| describe(fit.hypothesis.clone(), events));
            polish::look_around(around, events);
        }
        fits.extend(found.filter(|found| found.log_likelihood > search.floor));
    }
    if effort == Effort::Full {
        search_anew(events, &mut fits);
    }
    // What must not happen says more than how likely all the rest is.
    let is_odd = |fit: &Fit| fit.surprises > rivals::allowed(events);
    fits.sort_by(|a, b| is_odd(a).cmp(&is_odd(b)).then(a.bic.total_cmp(&b.bic)));
    let mut seen = HashSet::new();
    fits.retain(|fit| seen.insert(fit.hypothesis.tiers[0].kind));
    // A window that is as long as answers happen to take is the same as a limit on those in flight, by a coincidence.
    let theory = |fit: &Fit| fit.hypothesis.tiers[0];
    if fits.iter().any(|fit| theory(fit).kind.family == Family::Concurrency && !is_odd(fit)) {
        fits.retain(|fit| !is_in_flight(&theory(fit), events));
    }
    if let Some(best) = fits.first_mut().filter(|best| best.odd() > 0) {
        polish::polish(best, events);
    }
    let best = fits.first().map_or(f64::INFINITY, |best| best.bic);
    for fit in fits.iter_mut().filter(|fit| fit.bic < best + NEAR_ENOUGH && theory(fit).kind.blocks()) {
        polish::centre(fit, events);
    }
    fits
}

fn best_of(fits: &[Fit]) -> f64 {
    fits.iter().map(|fit| fit.log_likelihood).fold(f64::NEG_INFINITY, f64::max)
}

/// Adds the best of each kind that a coarse search does not rule out, beginning with the kind that it favours.
fn search_anew(events: &Events, fits: &mut Vec<Fit>) {
    let mut clues = Clues::of(events);
    let together = (clues.cold.0 / CHUNKS).clamp(1, MOST_TOGETHER);
    let all = events.thinned(together);
    let early = all.first(EARLY);
    // The early events are to tell where the windows of a clock begin.
    clues.phases = Clues::of(&events.first(early.requests())).edges;
    // Kinds with a penalty have so many starts that they are searched for only where none without one explains everything.
    for wave in kinds_of(events).chunk_by(|a, b| (a.penalty == Penalty::None) == (b.penalty == Penalty::None)) {
        let mut wave = wave.to_vec();
        wave.retain(|kind| is_worth_a_search(*kind, fits, events));
        let explains = |fit: &Fit| events.unsure > 0 && fit.surprises <= rivals::allowed(events);
        if wave.iter().all(|kind| kind.penalty != Penalty::None) && fits.iter().any(explains) {
            break;
        }
        for (_, promising) in contenders(wave, &clues, events, &early) {
            if !promising.first().is_some_and(|theory| is_worth_a_search(theory.kind, fits, events)) {
                continue;
            }
            for theory in finalists(&promising, &all) {
                let floor = best_of(fits) - HOPELESS;
                let search = Search { events, floor };
                fits.extend(search.descend(theory, LAST, Free::All).and_then(|theory| search.judged(theory)));
            }
        }
    }
}

/// Whether a kind could come close to the best if it explained everything.
fn is_worth_a_search(kind: Kind, fits: &[Fit], events: &Events) -> bool {
    let count = real(events.list.len()).max(1.0);
    let least = f64::from(kind.parameters()) * count.ln() - 2.0 * count * CERTAINLY;
    fits.iter().all(|fit| fit.bic + NEAR_ENOUGH >= least)
}

/// The kinds that may explain events.
fn kinds_of(events: &Events) -> Vec<Kind> {
    let mut kinds = if events.is_queue { vec![Kind::plain(Family::LeakyQueue)] } else { kinds() };
    // How many are in flight shows only where requests are in flight for a while.
    kinds.retain(|kind| shows_work(events) || kind.family != Family::Concurrency);
    kinds
}

/// The kinds that may explain the events, each with its most promising parameters and what they are worth; the best kind
/// first.
fn contenders(kinds: Vec<Kind>, clues: &Clues, events: &Events, early: &Events) -> Vec<(f64, Vec<Theory>)> {
    let judge = Search { events, floor: f64::NEG_INFINITY };
    let mut found: Vec<(f64, Vec<Theory>)> = Vec::new();
    for promising in rough(kinds, clues, events, early) {
        let mut ranked: Vec<_> = promising.into_iter().map(|theory| (judge.worth(theory, JUDGED), theory)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let theories = apart(ranked.iter().map(|(_, theory)| *theory), CHOSEN);
        found.extend(ranked.first().map(|(worth, _)| (*worth, theories)));
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = found.first().map_or(0.0, |(worth, _)| *worth);
    found.retain(|(worth, _)| *worth >= best - HOPELESS * 8.0);
    found
}

/// What each kind comes to roughly, judged by early events alone, those that came together counted as one.
fn rough(kinds: Vec<Kind>, clues: &Clues, events: &Events, early: &Events) -> Vec<Vec<Theory>> {
    let search = Search { events: early, floor: f64::NEG_INFINITY };
    // Counters in whole requests are so like those that are not that they begin where those are promising.
    let (floored, others): (Vec<_>, Vec<_>) = kinds.into_iter().partition(|kind| kind.family == Family::FlooredCounter);
    let mut starts: Vec<_> = others.into_iter().map(|kind| search.own(clues.starts_of(kind))).collect();
    let mut found = Vec::new();
    let mut best = f64::NEG_INFINITY;
    // Most starts are bad, and the sooner they are given up the better.
    for floor in FLOORS {
        let floor = floor.max(best - HOPELESS * 4.0);
        starts.retain(|starts| {
            let promising = search.promising(starts, MANY, floor);
            let Some((worth, _)) = promising.first() else {
                return true;
            };
            best = best.max(*worth);
            let starts: Vec<_> = promising.into_iter().map(|(_, theory)| theory).collect();
            let kind = starts[0].kind;
            let sliding = |floored: &&Kind| Kind { family: Family::SlidingCounter, ..**floored } == kind;
            for kind in floored.iter().filter(sliding).copied().chain([kind]) {
                let starts: Vec<_> = starts.iter().map(|theory| Theory { kind, ..*theory }).collect();
                let mut chosen = finer(starts.iter().copied().take(PROMISING), &search);
                chosen.extend(told_by(&starts, events));
                found.push(chosen);
            }
            false
        });
    }
    found
}

/// The best of these starts by what came later: early events may be explained by many.
fn told_by(starts: &[Theory], events: &Events) -> Vec<Theory> {
    let mut starts = starts.to_vec();
    for (part, count) in [(2, MANY / 3), (1, FINALISTS)] {
        let events = events.first(events.list.len() / part);
        let search = Search { events: &events, floor: f64::NEG_INFINITY };
        starts = search.promising(&starts, count, f64::NEG_INFINITY).into_iter().map(|(_, theory)| theory).collect();
    }
    starts
}

/// The best of these parameters, made as fine as the events allow.
fn finer(promising: impl Iterator<Item = Theory>, search: &Search) -> Vec<Theory> {
    let found = promising.filter_map(|theory| search.descend(theory, ROUGH, Free::All));
    let mut ranked: Vec<_> = found.map(|theory| (search.worth(theory, ROUGH.end), theory)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = apart(ranked.into_iter().map(|(_, theory)| theory), CHOSEN);
    best.into_iter().filter_map(|theory| search.descend(theory, NEAR, Free::All)).collect()
}

/// The best of these parameters, made as fine as all events allow that came together counted as one.
fn finalists(promising: &[Theory], thinned: &Events) -> Vec<Theory> {
    let search = Search { events: thinned, floor: f64::NEG_INFINITY };
    let found = promising.iter().filter_map(|theory| search.descend(*theory, NEAR, Free::All));
    let mut ranked: Vec<_> = found.map(|theory| (search.worth(theory, NEAR.end), theory)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    apart(ranked.into_iter().map(|(_, theory)| theory), FINALISTS)
}

/// What a hypothesis makes of the events, as it stands.
pub(super) fn describe(hypothesis: Hypothesis, events: &Events) -> Fit {
    let found = score(events, &hypothesis, Terms { blur: 0.0, floor: f64::NEG_INFINITY });
    let found = found.unwrap_or(Score { log_likelihood: f64::NEG_INFINITY, surprises: Vec::new() });
    scored(hypothesis, &found, events)
}

/// Whether a window is as long as answers take, as if requests in flight were counted.
pub(super) fn is_in_flight(theory: &Theory, events: &Events) -> bool {
    let is_window = theory.kind.family != Family::Concurrency && !theory.kind.is_bucket();
    is_window && shows_work(events) && (theory.time / events.service.as_secs_f64() - 1.0).abs() < AS_LONG
}

/// Whether requests are in flight for long enough to see how many of them are.
fn shows_work(events: &Events) -> bool {
    events.service.as_secs_f64() > VISIBLE * events.sigma
}

/// A hypothesis with its score.
pub(super) fn scored(hypothesis: Hypothesis, found: &Score, events: &Events) -> Fit {
    let count = real(events.list.len()).max(1.0);
    let bic = f64::from(hypothesis.parameters()) * count.ln() - 2.0 * found.log_likelihood;
    let stalled = stalls::explained(events, &hypothesis, &found.surprises);
    let surprises = found.surprises.len() - stalled;
    Fit { log_likelihood: found.log_likelihood, surprises, stalled, bic, hypothesis }
}
