//! What all that was seen comes to, and which question is asked next.

use std::time::Duration;

use super::super::clues::Clues;
use super::super::course::{Leg, Stop};
use super::super::events::Events;
use super::super::finding::{Measured, Verdict};
use super::super::fit::{Effort, Fit, describe, fit_events, other_limits, sharpen};
use super::super::interval::{Interval, Length};
use super::super::others::{self, Shared};
use super::super::rivals::{self, Quarrel};
use super::super::schedules::{self, Pair, Schedule, Terms};
use super::super::score::replayed;
use super::super::theory::{Hypothesis, Theory, seconds};
use super::super::tiers;
use super::{CLEAR, Profiler, Stage};

/// The share of the first limiter's rate at which a second one is looked for, how often, and which part of the requests
/// that are left it may take.
const BELOW_FIRST: f64 = 0.95;
const PACED_FOR_ANOTHER: u32 = 2;
const PART_FOR_ANOTHER: u32 = 5;

/// How far from the ends of its interval times are told apart, as a share of it: at first, and where nothing tells those
/// apart. The very ends may be as far as the latest answers allow, so that the next request would always tell a little,
/// and never much.
const INSIDE: [f64; 2] = [0.25, 0.05];

/// The length of a block is known well enough within this share of it.
const BLOCK_PRECISION: f64 = 0.005;

/// A time that is known no better than by this share is no answer to be tested yet.
const VAGUE: f64 = 0.1;

/// So many windows are tried beside one behind a block, each so much of the one before, and by how much less they may
/// explain.
const SHORTER: (i32, f64) = (24, 0.89);
const AS_MUCH: f64 = 2.5;

/// Refinements and discriminations at most.
const ROUNDS: u32 = 24;

impl Profiler {
    /// Fits, and begins what would tell most: between rivals, then within the best, then whether it predicts.
    pub(super) fn judge(&mut self, events: &Events, now: Duration, terms: Terms) {
        // Every other kind is searched for again from time to time: early evidence may have misled.
        let is_due = self.rounds == 0 || self.rounds.is_power_of_two() || self.finding.verdict == Verdict::NotConfirmed;
        let effort = if is_due { Effort::Full } else { Effort::Again };
        self.searched = if is_due { events.list.len() } else { self.searched };
        self.finding.verdict = Verdict::Undecided;
        self.refit(events, effort);
        let is_unexplained =
            |fit: &Fit| fit.surprises > rivals::allowed(events) || rivals::is_chance(fit, events, CLEAR);
        let is_odd = |fits: &[Fit]| fits.first().is_none_or(is_unexplained);
        // Before it is searched for again, there must be more to go by.
        let is_new = events.list.len() > self.searched + self.searched / 10;
        if effort == Effort::Again && is_new && is_odd(&self.fits) {
            self.searched = events.list.len();
            self.refit(events, Effort::Full);
        }
        self.rounds += 1;
        // A second limiter is only looked for once there was more than the usual to see it by.
        let has_more = self.explored > 0 || self.tests > 0;
        let firsts = if has_more && is_odd(&self.fits) { self.look_for_another(events) } else { Vec::new() };
        if is_odd(&self.fits)
            && let Some(legs) = self.explore(terms).or_else(|| self.pace_for_another(&firsts, terms))
        {
            return self.begin(Stage::Telling { then_edges: None }, terms, legs);
        }
        let Some(best) = self.fits.first().cloned() else {
            return self.give_up(events);
        };
        self.finding.best = Some(best.clone());
        if self.rounds <= ROUNDS
            && let Some((quarrel, schedule)) = self.next_quarrel(events, now, terms)
        {
            let then_edges = schedule.then_edges.then_some(quarrel);
            return self.begin(Stage::Telling { then_edges }, terms, schedule.legs);
        }
        self.measure(&best, events);
        let mut left = rivals::of(&self.fits, CLEAR);
        left.retain(|fit| !fit.hypothesis.is_like(&best.hypothesis));
        if is_unexplained(&best) {
            return self.give_up(events);
        }
        let differing = |fit: &Fit| rivals::differing(&fit.hypothesis, &best.hypothesis);
        let mut kinds: Vec<_> = left.iter().map(differing).collect();
        kinds.extend(rivals::hidden(&best, &self.fits, events));
        if !kinds.is_empty() {
            self.finding.verdict = Verdict::Equivalent(kinds);
            return self.conclude();
        }
        let is_wide = |length: Interval| length.high - length.low > VAGUE * length.high;
        let is_vague = |one: &Measured| is_wide(one.time) || one.block.is_some_and(is_wide);
        if best.hypothesis.tiers[0].rate().is_some()
            && self.finding.tiers.iter().any(is_vague)
            && let Some(legs) = self.explore(terms)
        {
            return self.begin(Stage::Telling { then_edges: None }, terms, legs);
        }
        if let Some(first) = self.before_others(&best, events) {
            return self.try_others(Stage::Telling { then_edges: None }, terms, Some(first));
        }
        self.verify(&best, events, (now, terms));
    }

    /// Ends it where no kind explains what was seen, unless one does with requests of others.
    fn give_up(&mut self, events: &Events) {
        self.finding.verdict = Verdict::Unknown;
        // Who waits in a queue is late for a reason that requests of others would only seem to explain.
        let shared = if events.is_queue { None } else { others::explain(events, CLEAR) };
        if let Some(Shared { fit, measured, others, alike }) = shared {
            self.finding.verdict = Verdict::SharedQuota { others, alike };
            (self.finding.best, self.finding.tiers) = (Some(fit), vec![measured]);
        }
        self.conclude();
    }

    /// What to send where nothing explains what was seen: more of what shows a limiter's ways. `None` when that was done.
    fn explore(&mut self, terms: Terms) -> Option<Vec<Leg>> {
        let theory = self.fits.first()?.hypothesis.tiers[0];
        self.explored += 1;
        schedules::exploration(&theory, self.explored, terms)
    }

    /// Two hypotheses worth telling apart, and how; `None` when there are none, or nothing tells them apart.
    fn next_quarrel(&mut self, events: &Events, now: Duration, terms: Terms) -> Option<(Quarrel, Schedule)> {
        let best = self.fits.first()?.clone();
        for rival in rivals::worth_telling(&self.fits, CLEAR) {
            let quarrel = Quarrel::between(&best, &rival);
            if let Some(schedule) = self.settle(&quarrel, events, (now, terms)) {
                return Some((quarrel, schedule));
            }
        }
        let tiers = best.hypothesis.tiers.len();
        (0..tiers).find_map(|tier| self.quarrel_within(&best, tier, events, (now, terms)))
    }

    /// A quarrel about the numbers of one of the limiters.
    fn quarrel_within(
        &mut self,
        best: &Fit,
        tier: usize,
        events: &Events,
        (now, terms): (Duration, Terms),
    ) -> Option<(Quarrel, Schedule)> {
        let (best, beside) = best.turned(tier);
        let around = events.beside(beside);
        for other in other_limits(&best, &around) {
            let quarrel = Quarrel::between(&best, &other);
            if let Some(schedule) = self.settle(&quarrel, events, (now, terms)) {
                return Some((quarrel, schedule));
            }
        }
        best.hypothesis.tiers[0].rate()?;
        if let Some(shorter) = shorter_window(&best, &around) {
            let quarrel = Quarrel::within(Length::Time, shorter, best.hypothesis.clone());
            if let Some(schedule) = self.settle(&quarrel, events, (now, terms)) {
                return Some((quarrel, schedule));
            }
        }
        let (sharp, sharper) = sharpen(&best, &around);
        let terms = Terms { sigma: sharper.sigma.max(events.sigma / 4.0), ..terms };
        if best.surprises > rivals::allowed(events) {
            return None;
        }
        Length::all(&best.hypothesis.tiers[0]).iter().find_map(|length| {
            let precision = if *length == Length::Block { BLOCK_PRECISION } else { self.plan.precision };
            let [low, high] = sharp.ends(&sharper, *length);
            let width = length.of(&high.tiers[0]) - length.of(&low.tiers[0]);
            if width <= precision * length.of(&best.hypothesis.tiers[0]) {
                return None;
            }
            // Whoever polls a bucket for long enough sees its rate: only windows have a single edge to be missed.
            let shares = if best.hypothesis.tiers[0].kind.is_bucket() { &INSIDE[1..] } else { &INSIDE };
            shares.iter().find_map(|share| {
                let quarrel = Quarrel::within(*length, low.towards(&high, *share), high.towards(&low, *share));
                let schedule = self.settle(&quarrel, events, (now, terms))?;
                Some((quarrel, schedule))
            })
        })
    }

    /// A course that may settle a quarrel, unless it has been tried too often.
    fn settle(&mut self, quarrel: &Quarrel, events: &Events, (now, terms): (Duration, Terms)) -> Option<Schedule> {
        let tries = self.settled.iter().filter(|other| other.is_like(quarrel)).count();
        if tries >= quarrel.tries() {
            return None;
        }
        let hypotheses = quarrel.hypotheses();
        let replays = hypotheses.map(|hypothesis| replayed(events, hypothesis));
        let schedule = Pair { hypotheses, replays, now }.choose(terms);
        self.settled.push(quarrel.clone());
        schedule
    }

    /// How surely the numbers of the best are known.
    pub(super) fn measure(&mut self, best: &Fit, events: &Events) {
        let tiers = 0..best.hypothesis.tiers.len();
        self.finding.tiers = tiers
            .map(|tier| {
                let (turned, beside) = best.turned(tier);
                measured(&turned, &events.beside(beside))
            })
            .collect();
    }

    /// Fits anew: two limiters as long as they explain what was seen, else single ones.
    pub(super) fn refit(&mut self, events: &Events, effort: Effort) {
        let is_pair = self.fits.first().is_some_and(|best| best.hypothesis.tiers.len() > 1);
        if !is_pair {
            self.fits = fit_events(events, &self.fits, effort);
            return;
        }
        let again = tiers::again(&self.fits, events);
        let explains = again.first().is_some_and(|best| best.surprises <= rivals::allowed(events));
        self.fits = if explains { again } else { fit_events(events, &[], Effort::Full) };
    }

    /// Looks for a second limiter where no single one explains what was seen; those that may be the first one of two.
    fn look_for_another(&mut self, events: &Events) -> Vec<Theory> {
        let firsts = tiers::firsts(events);
        let pairs = tiers::fit_two(events, &firsts);
        let single = self.fits.first().map_or(f64::INFINITY, |best| best.bic);
        if let Some(best) = pairs.first()
            && best.bic + CLEAR < single
            && best.surprises <= rivals::allowed(events)
        {
            self.fits = pairs;
        }
        firsts
    }

    /// What to send to see more of a second limiter, where two do not explain what was seen either: just less than the
    /// first one allows, until the second one must refuse.
    fn pace_for_another(&mut self, firsts: &[Theory], terms: Terms) -> Option<Vec<Leg>> {
        if self.paced_for_another >= PACED_FOR_ANOTHER {
            return None;
        }
        self.paced_for_another += 1;
        let first = firsts.first()?;
        let rate = first.rate()? * BELOW_FIRST;
        let count = (terms.requests / PART_FOR_ANOTHER).min(first.capacity().saturating_mul(4).clamp(200, 1_500));
        Some(vec![Leg::Polls { gap: seconds(1.0 / rate), growth: 1.0, count, stop: Stop::Never }])
    }
}

/// A hypothesis with a far shorter window that explains as much: a block hides how long a window is that is over before
/// the block is, and windows of some lengths in between may not fit what was seen.
fn shorter_window(best: &Fit, events: &Events) -> Option<Hypothesis> {
    let [theory] = best.hypothesis.tiers[..] else {
        return None;
    };
    if !theory.kind.blocks() || theory.kind.is_bucket() {
        return None;
    }
    let (count, part) = SHORTER;
    let shorter = (1..=count).rev().map(|n| Theory { time: theory.time * part.powi(n), ..theory });
    let mut others = shorter.map(|theory| Hypothesis { tiers: vec![theory], ..best.hypothesis.clone() });
    others.find(|other| describe(other.clone(), events).log_likelihood > best.log_likelihood - AS_MUCH)
}

/// How surely the numbers of the first limiter of a fit are known.
fn measured(fit: &Fit, events: &Events) -> Measured {
    let (sharp, sharper) = sharpen(fit, events);
    let Interval { low, high } = sharp.length(&sharper, Length::Time);
    // An arrival that everything else is measured from is as unsure as any other, however many follow it.
    let theory = fit.hypothesis.tiers[0];
    let span = events.instants()[2] - events.instants()[0];
    let times = if theory.kind.begins_with_a_request() { edges(&sharper) } else { span / theory.time };
    let shared = 1.5 * sharper.sigma / times.max(1.0).sqrt();
    let time = Interval { low: low - shared, high: high + shared };
    let block = theory.kind.blocks().then(|| {
        let Interval { low, high } = sharp.length(&sharper, Length::Block);
        // It begins with a refusal, whose arrival is as unsure as any other.
        let unsure = 1.5 * sharper.sigma;
        Interval { low: low - unsure, high: high + unsure }
    });
    let others = other_limits(fit, events).into_iter().map(|fit| fit.hypothesis.tiers[0].limit);
    let limits = others.fold((theory.limit, theory.limit), |(low, high), other| (low.min(other), high.max(other)));
    Measured { time, block, limits }
}

/// How many edges measure a window: those that were seen as well as arrivals are sure, and a part of each of the others.
fn edges(events: &Events) -> f64 {
    let turns = Clues::of(events).turns;
    let weights =
        turns.iter().map(|(refused, admitted)| 1.0 / (events.sigma.powi(2) + (admitted - refused).powi(2) / 12.0));
    let (sum, squares) = weights.fold((0.0, 0.0), |(sum, squares), weight| (sum + weight, squares + weight * weight));
    if squares > 0.0 { sum * sum / squares } else { 1.0 }
}
