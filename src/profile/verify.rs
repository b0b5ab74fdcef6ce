//! A prediction written down before the requests are sent, and what came of it.

use std::time::Duration;

use super::course::{Course, Leg, Stop};
use super::events::Events;
use super::finding::{Check, Finding};
use super::fit::Fit;
use super::imagine::World;
use super::log::{Answer, Log};
use super::queue;
use super::replay::{Replay, Request};
use super::schedules::{Terms, saturate};
use super::score::replayed;
use super::theory::{Hypothesis, Penalty, Refusals, seconds};

/// A prediction in its test.
#[derive(Debug, Clone)]
pub(super) struct Verification {
    /// What is put to the test, and the same with its time as short and as long as it may be.
    hypotheses: [Hypothesis; 3],
    parts: Vec<Part>,
}

/// A stretch at one pace.
#[derive(Debug, Clone, Copy)]
struct Part {
    share: f64,
    sent: u32,
    predicted: u32,
}

impl Verification {
    /// The test of a fit and its course; `None` where it costs more than is left.
    pub(super) fn of(
        fit: &Fit,
        finding: &Finding,
        events: &Events,
        (now, terms): (Duration, Terms),
    ) -> Option<(Self, Course)> {
        let theory = fit.hypothesis.tiers[0];
        let at = |time: Option<f64>| {
            let mut hypothesis = fit.hypothesis.clone();
            hypothesis.tiers[0].time = time.unwrap_or(theory.time);
            hypothesis
        };
        let interval = finding.time();
        let hypotheses = [at(None), at(interval.map(|i| i.low)), at(interval.map(|i| i.high))];
        let kind = theory.kind;
        let is_hysteretic = kind.refusals == Refusals::Counted || kind.penalty != Penalty::None;
        // Where refused requests count, whoever is a little too fast is refused for ever.
        let shares: &[f64] = if kind.refusals == Refusals::Counted { &[0.99] } else { &[0.99, 1.01] };
        let Some(rate) = theory.rate() else {
            return Self::of_concurrency(&fit.hypothesis, terms);
        };
        let count = theory.limit.saturating_mul(2).clamp(60, 2_000);
        let mut legs = Vec::new();
        let mut parts = Vec::new();
        let mut world = World { replay: replayed(events, &fit.hypothesis), one_way: terms.round_trip / 2, now };
        let mut cost = 0;
        for share in shares {
            let first =
                if is_hysteretic { Leg::Pause(seconds(theory.recovery() * 1.2)) } else { saturate(theory.capacity()) };
            let gap = seconds(1.0 / (rate * share));
            let polls = Leg::Polls { gap, growth: 1.0, count, stop: Stop::Never };
            cost += world.run(terms.course([first.clone()])).len();
            let seen = world.run(terms.course([polls.clone()]));
            cost += seen.len();
            let admitted = seen.iter().filter(|imagined| imagined.admitted).count();
            parts.push(Part { share: *share, sent: count, predicted: u32::try_from(admitted).unwrap_or(u32::MAX) });
            legs.extend([first, polls]);
        }
        let fits_in = cost <= usize::try_from(terms.requests).unwrap_or(usize::MAX)
            && world.now.saturating_sub(now) <= terms.time;
        let verification = Self { hypotheses, parts };
        fits_in.then(|| (verification, terms.course(legs)))
    }

    /// As many at once as may be in flight, and a few more.
    fn of_concurrency(hypothesis: &Hypothesis, terms: Terms) -> Option<(Self, Course)> {
        let limit = hypothesis.tiers[0].limit;
        let mut legs = Vec::new();
        let mut parts = Vec::new();
        for sent in [limit, limit + 3] {
            let pause = Leg::Pause(terms.round_trip * 3);
            legs.extend([pause, Leg::Burst { most: sent, first: sent, refusals: u32::MAX }]);
            parts.push(Part { share: f64::from(sent) / f64::from(limit), sent, predicted: limit });
        }
        let fits_in = limit + 3 <= terms.widest && 2 * limit + 3 <= terms.requests;
        let same = hypothesis.clone();
        fits_in.then(|| (Self { hypotheses: [same.clone(), same.clone(), same], parts }, terms.course(legs)))
    }

    /// What came of each part, with what the hypothesis says to the instants at which requests really were sent.
    pub(super) fn checks(&self, log: &Log, course: &Course) -> Vec<Check> {
        let events = queue::events_of(log);
        let ranges = Self::ranges(course.beginnings());
        let mut counts = self.hypotheses.iter().map(|hypothesis| Self::free_run(&events, hypothesis, &ranges));
        let (Some(best), Some(low), Some(high)) = (counts.next(), counts.next(), counts.next()) else {
            return Vec::new();
        };
        let check = |(n, part): (usize, &Part)| {
            let (from, to) = ranges[n];
            let seen = log.observations().iter().filter(|observation| (from..to).contains(&observation.sent));
            let admitted = seen.filter(|observation| observation.answer == Answer::Admitted).count();
            let spread = best[n].abs_diff(low[n]).max(best[n].abs_diff(high[n]));
            Check {
                share: part.share,
                sent: part.sent,
                predicted: part.predicted,
                expected: best[n],
                tolerance: (1 + spread).max(part.sent / 200),
                admitted: u32::try_from(admitted).unwrap_or(u32::MAX),
            }
        };
        self.parts.iter().enumerate().take(ranges.len()).map(check).collect()
    }

    /// From when to when requests of each part were sent: legs that drain and legs that keep a pace take turns.
    fn ranges(beginnings: &[Duration]) -> Vec<(Duration, Duration)> {
        let end = |n: usize| beginnings.get(n + 1).copied().unwrap_or(Duration::MAX);
        (1..beginnings.len()).step_by(2).map(|n| (beginnings[n], end(n))).collect()
    }

    /// The requests of each part that a hypothesis admits if it is left to itself from the beginning of the test.
    fn free_run(events: &Events, hypothesis: &Hypothesis, ranges: &[(Duration, Duration)]) -> Vec<u32> {
        let mut replay = Replay::new(hypothesis);
        let mut counts = vec![0; ranges.len()];
        for event in &events.list {
            let request = Request { at: event.at, done: event.done, slack: event.sigma * 5.0 };
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
