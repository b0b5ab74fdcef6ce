//! A prediction written down before the requests are sent, and what came of it.

use std::time::Duration;

use super::advice::Advice;
use super::course::{Course, Leg, Stop};
use super::events::Events;
use super::finding::{Check, Finding, Measured, Proof};
use super::fit::Fit;
use super::imagine::World;
use super::log::{Answer, Log, Observation};
use super::queue;
use super::replay::{Replay, Request};
use super::schedules::{Terms, saturate};
use super::score::replayed;
use super::theory::{Hypothesis, Penalty, Refusals, Theory, seconds};

/// A prediction in its test.
#[derive(Debug, Clone)]
pub(super) struct Verification {
    /// What is put to the test, and the same with its times as short and as long as they may be.
    hypotheses: [Hypothesis; 3],
    /// The pace that is to be proven, and for how many windows it is held.
    proof: Option<(Advice, u32)>,
    parts: Vec<Part>,
}

/// A stretch of requests, from one leg of the course to another.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// The rate as a share of the sustainable one.
    share: f64,
    /// The first leg, and the first one after the part.
    legs: (usize, usize),
    sent: u32,
    predicted: u32,
    is_proof: bool,
}

/// What is sent to test a prediction, as it is put together.
struct Draft {
    world: World,
    terms: Terms,
    legs: Vec<Leg>,
    parts: Vec<Part>,
    requests: usize,
}

/// Rests before a pace is held, in parts of the time after which a quota is whole: the shortest that suffices.
const RESTS: [f64; 6] = [0.05, 0.35, 0.65, 1.05, 1.3, 2.2];

/// A pace that is at least this share of the sustainable rate shows it as well as 99 % of that would.
const AS_GOOD: f64 = 0.97;

/// The shares of the sustainable rate just under and just over the edge.
const UNDER: f64 = 0.99;
const OVER: f64 = 1.01;

/// Standard deviations by which arrivals may differ from each other.
const ARRIVALS: f64 = 2.0;

/// The share of another limiter's rate at which it admits everything while a quota is used up.
const BELOW: f64 = 0.95;

/// Requests from the middle of a window to that of the next.
const TO_THE_END: u32 = 12;

/// The fewest and the most requests of a pace near the edge.
const PACED: (u32, u32) = (60, 2_000);

impl Draft {
    /// Adds legs that nothing is predicted of.
    fn prepare(&mut self, legs: Vec<Leg>) {
        self.requests += self.world.run(self.terms.course(legs.clone())).len();
        self.legs.extend(legs);
    }

    /// Adds legs with what they will bring; how many of them are refused.
    fn predict(&mut self, share: f64, is_proof: bool, legs: Vec<Leg>) {
        let seen = self.world.run(self.terms.course(legs.clone()));
        let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
        let admitted = seen.iter().filter(|imagined| imagined.admitted).count();
        let from = self.legs.len();
        self.legs.extend(legs);
        let legs = (from, self.legs.len());
        self.requests += seen.len();
        self.parts.push(Part { share, legs, sent: count(seen.len()), predicted: count(admitted), is_proof });
    }
}

/// Requests one after the other at a rate per second.
fn paced(rate: f64, count: u32) -> Leg {
    Leg::Polls { gap: seconds(1.0 / rate), growth: 1.0, count, stop: Stop::Never }
}

impl Verification {
    /// The test of a fit and of the advice that follows from it, and its course; `None` where even a short one costs more
    /// than is left.
    pub(super) fn of(
        fit: &Fit,
        finding: &Finding,
        events: &Events,
        (now, terms): (Duration, Terms),
    ) -> Option<(Self, Course)> {
        let hypotheses = [0.0, -1.0, 1.0].map(|end| at_times(&fit.hypothesis, (&finding.tiers, events.sigma), end));
        let Some(advice) = Advice::of(&fit.hypothesis, &finding.tiers) else {
            return Self::of_concurrency(&fit.hypothesis, terms);
        };
        let worlds = hypotheses.each_ref().map(|hypothesis| World {
            replay: replayed(events, hypothesis),
            one_way: terms.round_trip / 2,
            service: terms.service,
            now,
        });
        let most = usize::try_from(terms.requests).unwrap_or(usize::MAX);
        // An advice that would be refused if the answer were right is none; without enough left, it is held the shorter.
        let longest = if Self::proving(&advice, Proof::ALL, &worlds, terms).is_some() { Proof::ALL } else { 0 };
        for windows in (0..=longest).rev() {
            let legs = Self::proving(&advice, windows, &worlds, terms);
            let [world, ..] = worlds.clone();
            let mut draft = Draft { world, terms, legs: Vec::new(), parts: Vec::new(), requests: 0 };
            let proof = legs.map(|(rest, legs)| {
                draft.prepare(vec![rest]);
                draft.predict(advice.rate.per_second() / advice.sustainable, true, legs);
                (advice, windows)
            });
            Self::at_the_edge(&mut draft, &fit.hypothesis, &advice, proof.is_some());
            if draft.requests <= most && draft.world.now.saturating_sub(now) <= terms.time {
                let course = terms.course(draft.legs);
                return Some((Self { hypotheses, proof, parts: draft.parts }, course));
            }
        }
        None
    }

    /// How long to rest, and then what keeps to an advice for so many windows: all that it allows at once, then its rate.
    /// `None` where some of it would be refused whatever the rest.
    fn proving(advice: &Advice, windows: u32, worlds: &[World; 3], terms: Terms) -> Option<(Leg, Vec<Leg>)> {
        if windows == 0 {
            return None;
        }
        let rate = advice.rate.per_second();
        let burst = advice.burst.get();
        let held = (advice.window * windows).as_secs_f64();
        let mut legs = Vec::new();
        if burst > 1 {
            legs.push(Leg::Burst { most: burst, first: burst, refusals: u32::MAX });
            legs.push(Leg::Pause(advice.rate.period()));
        }
        let count = super::guess::rounded((held * rate).ceil()).max(1);
        legs.push(Leg::Polls { gap: advice.rate.period(), growth: 1.0, count, stop: Stop::Never });
        RESTS.into_iter().find_map(|share| {
            let rest = Leg::Pause(advice.recovery.mul_f64(share) + seconds(terms.sigma * 6.0));
            let passes = |world: &World| {
                let mut world = world.clone();
                world.run(terms.course([rest.clone()]));
                world.run(terms.course(legs.clone())).iter().all(|imagined| imagined.admitted)
            };
            worlds.iter().all(passes).then(|| (rest.clone(), legs.clone()))
        })
    }

    /// Adds what happens just under and just over the sustainable rate.
    fn at_the_edge(draft: &mut Draft, hypothesis: &Hypothesis, advice: &Advice, is_proven: bool) {
        let theory = hypothesis.tiers[advice.tier];
        let is_blocked = hypothesis.tiers.iter().any(|tier| tier.kind.penalty != Penalty::None);
        // Where refused requests count, whoever is a little too fast is refused for ever.
        let is_counted = hypothesis.tiers.iter().any(|tier| tier.kind.refusals == Refusals::Counted);
        let is_under_needed = !is_proven || advice.rate.per_second() < AS_GOOD * advice.sustainable;
        let rest = || Leg::Pause(advice.recovery.mul_f64(1.2));
        let drain = || drain(hypothesis, advice.tier);
        let count = theory.limit.saturating_mul(2).clamp(PACED.0, PACED.1);
        if is_proven && !theory.kind.is_bucket() {
            // Nobody saw where windows began that were never full.
            draft.prepare(vec![rest()]);
        }
        if is_under_needed {
            draft.prepare(vec![if is_blocked || is_counted { rest() } else { drain() }]);
            draft.predict(UNDER, false, vec![paced(advice.sustainable * UNDER, count)]);
        }
        if is_counted {
            return;
        }
        let over = |count| paced(advice.sustainable * OVER, count);
        if is_blocked {
            draft.prepare(vec![rest()]);
            draft.predict(OVER, false, vec![over(count)]);
        } else if theory.kind.is_bucket() {
            draft.prepare(vec![drain()]);
            draft.predict(OVER, false, vec![over(count)]);
        } else {
            // What is left in the midst of a window tells how it is counted.
            let mut legs = vec![over((count * 3 / 4).max(PACED.0)), drain()];
            legs.extend(Self::off_the_clock(draft, &legs, &theory));
            draft.predict(OVER, false, legs);
        }
    }

    /// After these legs, what shows that windows begin on a clock and not with a request: a pause until the middle of one,
    /// a burst, and requests all the way to its end and beyond. Nothing for those that have no clock.
    fn off_the_clock(draft: &Draft, legs: &[Leg], theory: &Theory) -> Vec<Leg> {
        let Some(cycle) = theory.cycle() else {
            return Vec::new();
        };
        let mut world = draft.world.clone();
        world.run(draft.terms.course(legs.to_vec()));
        let arrival = (world.now + world.one_way).as_secs_f64();
        let to_the_middle = (theory.phase + cycle / 2.0 - arrival).rem_euclid(cycle);
        let polls = paced(f64::from(TO_THE_END) / cycle, TO_THE_END);
        vec![Leg::Pause(seconds(cycle + to_the_middle)), saturate(theory.capacity()), polls]
    }

    /// As many at once as may be in flight, and a few more.
    fn of_concurrency(hypothesis: &Hypothesis, terms: Terms) -> Option<(Self, Course)> {
        let limit = hypothesis.tiers[0].limit;
        let mut legs = Vec::new();
        let mut parts = Vec::new();
        for sent in [limit, limit + 3] {
            let pause = Leg::Pause(terms.round_trip * 3);
            legs.extend([pause, Leg::Burst { most: sent, first: sent, refusals: u32::MAX }]);
            let share = f64::from(sent) / f64::from(limit);
            parts.push(Part { share, legs: (legs.len() - 1, legs.len()), sent, predicted: limit, is_proof: false });
        }
        let fits_in = limit + 3 <= terms.widest && 2 * limit + 3 <= terms.requests;
        let same = hypothesis.clone();
        let verification = Self { hypotheses: [same.clone(), same.clone(), same], proof: None, parts };
        fits_in.then(|| (verification, terms.course(legs)))
    }

    /// What came of each part, with what the hypothesis says to the instants at which requests really were sent.
    pub(super) fn checks(&self, log: &Log, course: &Course) -> Vec<Check> {
        let events = queue::events_of(log, Some(&self.hypotheses[0]));
        let ranges = self.ranges(course.beginnings());
        let mut counts = self.hypotheses.iter().map(|hypothesis| Self::free_run(&events, hypothesis, &ranges));
        let (Some(best), Some(low), Some(high)) = (counts.next(), counts.next(), counts.next()) else {
            return Vec::new();
        };
        let check = |(n, part): (usize, &Part)| {
            let (from, to) = ranges[n];
            let seen = log.observations().iter().filter(|observation| (from..to).contains(&observation.sent));
            let count = |is: fn(&Observation) -> bool| {
                u32::try_from(seen.clone().filter(|one| is(one)).count()).unwrap_or(u32::MAX)
            };
            let spread = best[n].abs_diff(low[n]).max(best[n].abs_diff(high[n]));
            // No refusal is foreseen at the pace that is advised, unless requests came otherwise than they were sent.
            let decided = count(Observation::is_decided);
            // A prediction that may be wrong by a tenth confirms nothing.
            let near_edge = (1 + spread).max(part.sent / 200).min(2 + part.sent / 10);
            Check {
                share: part.share,
                sent: part.sent,
                predicted: part.predicted,
                expected: best[n],
                tolerance: if part.is_proof { decided.saturating_sub(best[n]) } else { near_edge },
                admitted: count(|one| one.answer == Answer::Admitted),
            }
        };
        self.parts.iter().enumerate().take(ranges.len()).map(check).collect()
    }

    /// The advice and the run that kept to it, once that is over.
    pub(super) fn proof(&self, log: &Log, course: &Course) -> Option<(Advice, Proof)> {
        let (advice, windows) = self.proof?;
        let place = self.parts.iter().position(|part| part.is_proof)?;
        let (from, to) = *self.ranges(course.beginnings()).get(place)?;
        let seen = log.observations().iter().filter(|observation| (from..to).contains(&observation.sent));
        let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
        let refused = seen.clone().filter(|one| matches!(one.answer, Answer::Refused { .. })).count();
        Some((advice, Proof { windows, requests: count(seen.count()), refused: count(refused) }))
    }

    /// From when to when requests of each part were sent, of those that have begun.
    fn ranges(&self, beginnings: &[Duration]) -> Vec<(Duration, Duration)> {
        let begins = |leg: usize| beginnings.get(leg).copied();
        let range = |part: &Part| Some((begins(part.legs.0)?, begins(part.legs.1).unwrap_or(Duration::MAX)));
        self.parts.iter().map_while(range).collect()
    }

    /// The requests of each part that a hypothesis admits if it is left to itself from the beginning of the part.
    fn free_run(events: &Events, hypothesis: &Hypothesis, ranges: &[(Duration, Duration)]) -> Vec<u32> {
        let mut replay = Replay::new(hypothesis);
        let mut counts = vec![0; ranges.len()];
        for event in &events.list {
            let request = Request { at: event.at, done: event.done, count: 1, slack: event.sigma * 5.0 };
            let is_free = ranges.iter().any(|(from, to)| (*from..*to).contains(&event.sent));
            let admitted = match event.admitted {
                None if !hypothesis.lost_arrive => continue,
                Some(admitted) if !is_free => admitted,
                _ => replay.margin(request.at) >= 0.0,
            };
            replay.note(request, admitted);
            for (count, (from, to)) in counts.iter_mut().zip(ranges) {
                *count += u32::from(event.admitted.is_some() && admitted && (*from..*to).contains(&event.sent));
            }
        }
        counts
    }
}

/// What uses up the quota of a limiter: all at once, or as fast as another one that allows more in the long run admits it.
fn drain(hypothesis: &Hypothesis, tier: usize) -> Leg {
    let theory = &hypothesis.tiers[tier];
    let others = hypothesis.tiers.iter().enumerate().filter(|(other, _)| *other != tier);
    let faster = others.filter_map(|(_, other)| other.rate()).fold(f64::INFINITY, f64::min) * BELOW;
    let own = theory.rate().unwrap_or(f64::INFINITY);
    if faster.is_infinite() || faster <= own {
        return saturate(theory.capacity());
    }
    let needed = f64::from(theory.capacity()) / (1.0 - own / faster);
    paced(faster, super::guess::rounded(needed.ceil()).clamp(2, PACED.1))
}

/// The hypothesis with the times of its tiers as short as they may be where the end is below zero, as long as they may be
/// where it is above.
///
/// A pace of so many per window sends a request just when a window ends: on which side of that it arrives is as unsure as
/// any arrival, and where the next window begins depends on it.
fn at_times(hypothesis: &Hypothesis, (measured, sigma): (&[Measured], f64), end: f64) -> Hypothesis {
    let mut hypothesis = hypothesis.clone();
    for (n, theory) in hypothesis.tiers.iter_mut().enumerate() {
        let interval = measured.get(n).map_or((theory.time, theory.time), |one| (one.time.low, one.time.high));
        let unsure = if theory.kind.is_bucket() { 0.0 } else { sigma * ARRIVALS };
        let block = measured.get(n).and_then(|one| one.block);
        if end < 0.0 {
            theory.time = interval.0 - unsure;
            theory.penalty = block.map_or(theory.penalty, |block| block.low);
        } else if end > 0.0 {
            theory.time = interval.1 + unsure;
            theory.penalty = block.map_or(theory.penalty, |block| block.high);
        }
    }
    hypothesis
}
