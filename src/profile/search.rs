//! The search for the parameters of one kind, from many starts to the best.

use std::ops::Range;

use super::events::Events;
use super::fit::{Fit, scored};
use super::score::{Score, Terms, score};
use super::theory::{Family, Hypothesis, Penalty, Theory};

/// A kind that is farther behind the best than this is not searched on.
const HOPELESS: f64 = 60.0;

/// Levels of refinement, each with steps half as wide as the one before: all, those by which a start comes near, those
/// that are left then, and those of which the last ones consist.
const LEVELS: u32 = 12;
pub(super) const ROUGH: Range<u32> = 0..5;
pub(super) const NEAR: Range<u32> = 4..LEVELS;
pub(super) const LAST: Range<u32> = 7..LEVELS;

/// The widest step, as a share of a parameter.
const WIDEST: f64 = 0.03;

/// Starts that are kept until it is known which differ.
const RANKED: usize = 150;

/// A penalty shorter than so many standard deviations of an arrival would explain nothing but chance.
const SHORTEST_PENALTY: f64 = 40.0;

/// Which parameters a search may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Free {
    /// All of them.
    All,
    /// All but the limit.
    ButLimit,
}

/// A search for the parameters of one kind.
pub(super) struct Search<'a> {
    pub(super) events: &'a Events,
    /// What is below is not searched on.
    pub(super) floor: f64,
}

impl Search<'_> {
    fn score(&self, theory: Theory, terms: Terms) -> Option<Score> {
        score(self.events, &self.hypothesis(theory), terms)
    }

    /// A theory with what is known to stand beside it.
    fn hypothesis(&self, theory: Theory) -> Hypothesis {
        let tiers = std::iter::once(theory).chain(self.events.beside).collect();
        Hypothesis { tiers, lost_arrive: false }
    }

    /// How unsure arrivals are taken to be while parameters are as far off as a coarse search leaves them.
    pub(super) fn blur(theory: &Theory) -> f64 {
        let of_limit = if theory.kind.is_bucket() { 0.2 + 0.02 * f64::from(theory.limit) } else { 0.03 };
        theory.time * of_limit
    }

    /// The starts that stand for themselves.
    pub(super) fn own(&self, mut starts: Vec<Theory>) -> Vec<Theory> {
        let shortest = self.events.sigma * SHORTEST_PENALTY;
        starts.retain(|theory| theory.is_own() && theory.lasts(shortest));
        starts
    }

    /// The best so many starts that differ from each other, and what they are worth, on arrivals as unsure as parameters
    /// are. None of them is worth less than the floor.
    pub(super) fn promising(&self, starts: &[Theory], count: usize, floor: f64) -> Vec<(f64, Theory)> {
        let ranked = self.ranked(starts, floor);
        apart_by(ranked.into_iter(), |(_, theory)| *theory, count)
    }

    /// The best starts above a floor.
    fn ranked(&self, starts: &[Theory], mut floor: f64) -> Vec<(f64, Theory)> {
        let mut ranked: Vec<(f64, Theory)> = Vec::new();
        for theory in starts {
            let terms = Terms { blur: Self::blur(theory), floor };
            if let Some(found) = self.score(*theory, terms) {
                let at = ranked.partition_point(|(other, _)| *other >= found.log_likelihood);
                ranked.insert(at, (found.log_likelihood, *theory));
                ranked.truncate(RANKED);
                floor = ranked.get(RANKED - 1).map_or(floor, |(worst, _)| *worst);
            }
        }
        ranked
    }

    /// What a theory is worth on arrivals as unsure as parameters are at a level.
    pub(super) fn worth(&self, theory: Theory, level: u32) -> f64 {
        let blur = Self::blur(&theory) * at_level(level);
        self.score(theory, Terms { blur, floor: f64::NEG_INFINITY })
            .map_or(f64::NEG_INFINITY, |found| found.log_likelihood)
    }

    /// Improves parameters one by one, in ever smaller steps and on ever surer arrivals; `None` where that is hopeless.
    pub(super) fn descend(&self, start: Theory, levels: Range<u32>, free: Free) -> Option<Theory> {
        let mut theory = start;
        let pivots = self.events.instants();
        let shortest = self.events.sigma * SHORTEST_PENALTY;
        for level in levels {
            let is_last = level + 2 >= LEVELS;
            let blur = if is_last { 0.0 } else { Self::blur(&start) * at_level(level + 1) };
            let step = WIDEST * at_level(level);
            let mut best = self.score(theory, Terms { blur, floor: self.floor - HOPELESS * 8.0 })?.log_likelihood;
            for _ in 0..2 {
                let before = best;
                for next in neighbours(&theory, step, (&pivots, free)) {
                    if next.is_own()
                        && next.lasts(shortest)
                        && let Some(found) = self.score(next, Terms { blur, floor: best })
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
        }
        Some(theory)
    }

    /// The fit with the best parameters near these; `None` where they are hopeless. A search on arrivals that are taken to be
    /// less sure than they are may leave what was found before, and not find back.
    pub(super) fn refine(&self, start: Theory, free: Free) -> Option<Fit> {
        let found = self.descend(start, NEAR, free).and_then(|theory| self.judged(theory));
        let ways = [found, self.judged(start)].into_iter().flatten();
        ways.max_by(|one, other| one.log_likelihood.total_cmp(&other.log_likelihood))
    }

    /// The fit with these parameters as they are; `None` where they are hopeless.
    pub(super) fn judged(&self, theory: Theory) -> Option<Fit> {
        let found = self.score(theory, Terms { blur: 0.0, floor: self.floor })?;
        Some(self.finish(self.hypothesis(theory), &found))
    }

    /// The fit, with requests that were not answered taken to have arrived where that explains more.
    fn finish(&self, hypothesis: Hypothesis, found: &Score) -> Fit {
        if self.events.has_unknown {
            let arrived = Hypothesis { lost_arrive: true, ..hypothesis.clone() };
            if let Some(other) = score(self.events, &arrived, Terms { blur: 0.0, floor: found.log_likelihood }) {
                return scored(arrived, &other, self.events);
            }
        }
        scored(hypothesis, found, self.events)
    }
}

/// How wide steps are at a level, as a share of the widest.
fn at_level(level: u32) -> f64 {
    0.5_f64.powi(i32::try_from(level).unwrap_or(i32::MAX))
}

/// The first so many theories that differ by more than a hundredth in a parameter.
pub(super) fn apart(theories: impl Iterator<Item = Theory>, count: usize) -> Vec<Theory> {
    apart_by(theories, |theory| *theory, count)
}

fn apart_by<T>(all: impl Iterator<Item = T>, theory_of: impl Fn(&T) -> Theory, count: usize) -> Vec<T> {
    let close = |a: f64, b: f64| (a - b).abs() <= 0.01 * a.abs().max(b.abs());
    let mut kept: Vec<T> = Vec::new();
    for one in all {
        let theory = theory_of(&one);
        let is_near = |other: &T| {
            let other = theory_of(other);
            theory.limit == other.limit
                && close(theory.time, other.time)
                && close(theory.tick, other.tick)
                && close(theory.penalty, other.penalty)
                && close(theory.phase, other.phase)
        };
        if kept.len() < count && !kept.iter().any(is_near) {
            kept.push(one);
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
