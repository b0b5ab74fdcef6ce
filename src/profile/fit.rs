//! The search for the parameters under which each kind explains a log best.

use super::events::Events;
use super::guess::Clues;
use super::log::Log;
use super::score::{CERTAINLY, Score, Terms, score};
use super::theory::{Family, Hypothesis, Kind, Penalty, Refusals, Theory};

/// The parameters of one kind that explain a log best.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The limiter, or several.
    pub hypothesis: Hypothesis,
    /// The natural logarithm of the likelihood.
    pub log_likelihood: f64,
    /// Outcomes that it makes all but impossible; none for the right one.
    pub surprises: u32,
    /// Schwarz's criterion, lower is better: -2 log-likelihood + parameters x ln(requests).
    pub bic: f64,
}

/// The values of a parameter that the data allow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

/// A kind that is farther behind the best than this is not searched on.
const HOPELESS: f64 = 60.0;

/// By how much Schwarz's criterion may be higher for a kind that is still of interest.
const NEAR_ENOUGH: f64 = 12.0;

/// Searches that go on from the coarse one, for each kind.
const FINALISTS: usize = 2;

/// Starts that a coarse search leaves for all events to judge.
const PROMISING: usize = 150;

/// Refinements, each half as wide as the one before: of a coarse start, and of what was the best before.
const FAR: u32 = 12;
const NEAR: u32 = 8;

/// Requests, after the first burst, that a coarse search looks at: with all of them it would take far longer, and find
/// the same.
const EARLY: usize = 500;

/// A penalty shorter than so many standard deviations of an arrival would explain nothing but chance.
const SHORTEST_PENALTY: f64 = 40.0;

/// By how much arrivals may be surer than they are taken to be.
const SHARPER: [f64; 4] = [1.0, 0.5, 0.3, 0.15];

/// Half of the 95 % quantile of chi-squared with one degree of freedom: how far the log-likelihood may fall.
const LIKELY: f64 = 1.92;

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

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Through all that the events suggest.
    Full,
    /// From what was found before only.
    Again,
}

/// Which parameters a search may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Free {
    /// All of them.
    All,
    /// All but the limit.
    ButLimit,
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
        let Some(found) = search.refine(start, NEAR, Free::ButLimit) else {
            break;
        };
        if found.surprises > fit.surprises
            || best.as_ref().is_some_and(|(best, _)| found.log_likelihood < best.log_likelihood)
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
    others.filter_map(|other| search.refine(other, NEAR, Free::ButLimit)).collect()
}

/// As [`fit`], beginning also from what was found before.
pub(super) fn fit_events(events: &Events, before: &[Fit], effort: Effort) -> Vec<Fit> {
    let clues = Clues::of(events);
    let early = events.first(EARLY + clues.cold_requests());
    let mut fits: Vec<Fit> = Vec::new();
    let singles = before.iter().filter(|fit| fit.hypothesis.tiers.len() == 1).map(|fit| fit.hypothesis.tiers[0]);
    let known: Vec<_> = singles.collect();
    // What led before is looked at first: the others are given up the earlier.
    let mut order = if events.is_queue { vec![Kind::plain(Family::LeakyQueue)] } else { kinds() };
    order.sort_by_key(|kind| known.iter().position(|theory| theory.kind == *kind).unwrap_or(usize::MAX));
    let count = super::guess::real(events.list.len()).max(1.0);
    for kind in order {
        // A richer kind that could not even come close if it explained everything need not be searched for.
        let least = f64::from(kind.parameters()) * count.ln() - 2.0 * count * CERTAINLY;
        if fits.iter().any(|fit| fit.bic + NEAR_ENOUGH < least) {
            continue;
        }
        let best = fits.iter().map(|fit| fit.log_likelihood).fold(f64::NEG_INFINITY, f64::max);
        let search = Search { events, floor: best - HOPELESS };
        let again = known
            .iter()
            .filter(|theory| theory.kind == kind)
            .filter_map(|theory| search.refine(*theory, NEAR, Free::All));
        let again = again.max_by(|a, b| a.log_likelihood.total_cmp(&b.log_likelihood));
        let anew = if effort == Effort::Full { search.best(&early, clues.starts_of(kind)) } else { None };
        fits.extend(again.into_iter().chain(anew).max_by(|a, b| a.log_likelihood.total_cmp(&b.log_likelihood)));
    }
    fits.sort_by(|a, b| a.bic.total_cmp(&b.bic));
    if let Some(best) = fits.first_mut().filter(|best| best.surprises > 0) {
        polish(best, events);
    }
    fits
}

/// A search may end one or two requests beside the limit, where the other parameters make up for most of it.
fn polish(best: &mut Fit, events: &Events) {
    let theory = best.hypothesis.tiers[0];
    // On the way there it may explain far less.
    let search = Search { events, floor: f64::NEG_INFINITY };
    let limits = [-2, -1, 1, 2].into_iter().filter_map(|off| theory.limit.checked_add_signed(off));
    for limit in limits.filter(|limit| *limit > 0) {
        if let Some(found) = search.refine(Theory { limit, ..theory }, NEAR, Free::ButLimit)
            && found.log_likelihood > best.log_likelihood
        {
            *best = found;
        }
    }
}

/// A search for the parameters of one kind.
pub(super) struct Search<'a> {
    pub(super) events: &'a Events,
    /// What is below is not searched on.
    pub(super) floor: f64,
}

impl Search<'_> {
    fn score(&self, theory: Theory, terms: Terms) -> Option<Score> {
        score(self.events, &Hypothesis::single(theory), terms)
    }

    /// How unsure arrivals are taken to be while parameters are as far off as a coarse search leaves them.
    fn blur(theory: &Theory) -> f64 {
        let of_limit = if theory.kind.is_bucket() { 0.2 + 0.02 * f64::from(theory.limit) } else { 0.03 };
        theory.time * of_limit
    }

    /// The best of what the search comes to from all starts, first by early events alone; `None` where it is hopeless.
    pub(super) fn best(&self, early: &Events, starts: Vec<Theory>) -> Option<Fit> {
        let coarse = Search { events: early, floor: f64::NEG_INFINITY };
        let promising = coarse.ranked(starts, PROMISING);
        let half = self.events.first(self.events.list.len() / 2);
        let better = Search { events: &half, floor: f64::NEG_INFINITY }.ranked(promising, PROMISING / 3);
        let finalists = self.ranked(better, FINALISTS);
        let refined = finalists.into_iter().filter_map(|theory| self.refine(theory, FAR, Free::All));
        refined.max_by(|a, b| a.log_likelihood.total_cmp(&b.log_likelihood))
    }

    /// The best so many of these that differ from each other, on arrivals as unsure as parameters are.
    fn ranked(&self, starts: Vec<Theory>, count: usize) -> Vec<Theory> {
        let kept = count * 2;
        let mut ranked: Vec<(f64, Theory)> = Vec::new();
        let mut floor = f64::NEG_INFINITY;
        let shortest = self.events.sigma * SHORTEST_PENALTY;
        let is_real = |theory: &Theory| theory.kind.penalty == Penalty::None || theory.penalty >= shortest;
        for theory in starts.into_iter().filter(is_real) {
            let terms = Terms { blur: Self::blur(&theory), floor };
            if let Some(found) = self.score(theory, terms) {
                let at = ranked.partition_point(|(other, _)| *other >= found.log_likelihood);
                ranked.insert(at, (found.log_likelihood, theory));
                ranked.truncate(kept);
                floor = ranked.get(kept - 1).map_or(floor, |(worst, _)| *worst);
            }
        }
        let mut found = apart(&ranked);
        found.truncate(count);
        found
    }

    /// Improves parameters one by one, in ever smaller steps and on ever surer arrivals.
    pub(super) fn refine(&self, start: Theory, levels: u32, free: Free) -> Option<Fit> {
        let mut theory = start;
        let pivots = self.events.instants();
        let scale = 0.5_f64.powi(i32::try_from(FAR - levels).unwrap_or(0));
        let mut blur = Self::blur(&start) * scale;
        let mut step = 0.03 * scale;
        for level in 0..levels {
            blur *= if level + 2 >= levels { 0.0 } else { 0.5 };
            let mut best = self.score(theory, Terms { blur, floor: self.floor - HOPELESS * 8.0 })?.log_likelihood;
            for _ in 0..2 {
                let before = best;
                for next in neighbours(&theory, step, (&pivots, free)) {
                    if next.kind.penalty != Penalty::None && next.penalty < self.events.sigma * SHORTEST_PENALTY {
                        continue;
                    }
                    if let Some(found) = self.score(next, Terms { blur, floor: best })
                        && found.log_likelihood > best + 1e-9
                    {
                        best = found.log_likelihood;
                        theory = next;
                    }
                }
                if best <= before {
                    break;
                }
            }
            step *= 0.5;
        }
        let found = self.score(theory, Terms { blur: 0.0, floor: self.floor })?;
        Some(self.finish(Hypothesis::single(theory), found))
    }

    /// The fit, with requests that were not answered taken to have arrived where that explains more.
    fn finish(&self, hypothesis: Hypothesis, found: Score) -> Fit {
        if self.events.has_unknown {
            let arrived = Hypothesis { lost_arrive: true, ..hypothesis.clone() };
            if let Some(other) = score(self.events, &arrived, Terms { blur: 0.0, floor: found.log_likelihood }) {
                return scored(arrived, other, self.events);
            }
        }
        scored(hypothesis, found, self.events)
    }
}

/// What a hypothesis makes of the events, as it stands.
pub(super) fn describe(hypothesis: Hypothesis, events: &Events) -> Fit {
    let found = score(events, &hypothesis, Terms { blur: 0.0, floor: f64::NEG_INFINITY });
    let found = found.unwrap_or(Score { log_likelihood: f64::NEG_INFINITY, surprises: 0 });
    scored(hypothesis, found, events)
}

fn scored(hypothesis: Hypothesis, found: Score, events: &Events) -> Fit {
    let count = super::guess::real(events.list.len()).max(1.0);
    let bic = f64::from(hypothesis.parameters()) * count.ln() - 2.0 * found.log_likelihood;
    Fit { log_likelihood: found.log_likelihood, surprises: found.surprises, bic, hypothesis }
}

/// The best theories that differ by more than a hundredth in a parameter.
fn apart(ranked: &[(f64, Theory)]) -> Vec<Theory> {
    let close = |a: f64, b: f64| (a - b).abs() <= 0.01 * a.abs().max(b.abs());
    let mut kept: Vec<Theory> = Vec::new();
    for (_, theory) in ranked {
        let is_near = |other: &Theory| {
            theory.limit == other.limit
                && close(theory.time, other.time)
                && close(theory.penalty, other.penalty)
                && close(theory.phase, other.phase)
        };
        if !kept.iter().any(is_near) {
            kept.push(*theory);
        }
    }
    kept
}

/// Theories with one parameter a step off. A cycle may become longer while its beginning next to any of the pivots stays
/// where it is.
fn neighbours(theory: &Theory, step: f64, (pivots, free): (&[f64], Free)) -> Vec<Theory> {
    let kind = theory.kind;
    let mut found = Vec::with_capacity(12);
    for sign in [1.0, -1.0] {
        let factor = 1.0 + sign * step;
        if kind.family != Family::Concurrency && (theory.cycle().is_none() || kind.is_bucket()) {
            found.push(Theory { time: theory.time * factor, ..*theory });
        }
        if let Some(cycle) = theory.cycle() {
            found.push(Theory { phase: theory.phase + sign * step * cycle, ..*theory });
            for pivot in pivots {
                let phase = theory.phase + ((pivot - theory.phase) / cycle).round() * cycle;
                found.push(match kind.family {
                    Family::TickingBucket => Theory { tick: theory.tick * factor, phase, ..*theory },
                    _ => Theory { time: theory.time * factor, phase, ..*theory },
                });
            }
        }
        if kind.penalty != Penalty::None {
            found.push(Theory { penalty: theory.penalty * factor, ..*theory });
        }
    }
    if free == Free::All {
        found.push(Theory { limit: theory.limit + 1, ..*theory });
    }
    if free == Free::All && theory.limit > 1 {
        found.push(Theory { limit: theory.limit - 1, ..*theory });
    }
    found
}

impl Fit {
    /// The lengths of time under which the fit explains almost as much, its phase fitted anew.
    #[must_use]
    pub fn time(&self, log: &Log) -> Interval {
        let [low, high] = self.ends(&Events::of(log), 0);
        Interval { low: low.tiers[0].time, high: high.tiers[0].time }
    }

    /// The hypotheses with the shortest and the longest time of a tier that explain the events almost as well.
    pub(super) fn ends(&self, events: &Events, tier: usize) -> [Hypothesis; 2] {
        [-1.0, 1.0].map(|sign| {
            let (mut inside, mut step) = (0.0_f64, 1e-6_f64);
            let mut end = self.hypothesis.clone();
            while step < 0.5 {
                let Some(held) = self.held(events, tier, (&end, sign * step)) else {
                    break;
                };
                (end, inside) = (held, step);
                step *= 2.0;
            }
            let mut outside = step;
            for _ in 0..5 {
                let middle = f64::midpoint(inside, outside);
                match self.held(events, tier, (&end, sign * middle)) {
                    Some(held) => (end, inside) = (held, middle),
                    None => outside = middle,
                }
            }
            end.tiers[tier].time = self.hypothesis.tiers[tier].time * (1.0 + sign * outside);
            end
        })
    }

    /// The hypothesis with a time that is so much longer, in parts of it, where it explains almost as much.
    fn held(&self, events: &Events, tier: usize, (last, off): (&Hypothesis, f64)) -> Option<Hypothesis> {
        let theory = self.hypothesis.tiers[tier];
        let floor = self.log_likelihood - LIKELY;
        let near = last.tiers[tier].phase - theory.phase;
        let cycle = theory.cycle().unwrap_or(0.0);
        let shifts: &[f64] = if cycle > 0.0 { &[0.0, -0.5, 0.5, -1.0, 1.0, -2.0, 2.0, -4.0, 4.0] } else { &[0.0] };
        shifts.iter().find_map(|shift| {
            let mut hypothesis = self.hypothesis.clone();
            let phase = theory.phase + near + shift * off * cycle;
            hypothesis.tiers[tier] = Theory { time: theory.time * (1.0 + off), phase, ..theory };
            score(events, &hypothesis, Terms { blur: 0.0, floor }).map(|_| hypothesis)
        })
    }
}
