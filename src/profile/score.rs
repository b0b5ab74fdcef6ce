//! How likely a hypothesis makes what was seen.

use std::time::Duration;

use super::clues::real;
use super::events::{Event, Events};
use super::replay::{Replay, Request};
use super::theory::Hypothesis;

/// The share of outcomes that no model of arrivals explains.
const UNEXPLAINED: f64 = 0.002;

/// The log-likelihood of an outcome that is certain but for what no model explains: ln(1 - 0.002).
pub(super) const CERTAINLY: f64 = -0.002_002_002_670_673_357;

/// A log-likelihood that is better by less is as good.
const HARDLY: f64 = 2.0;

/// What makes a logistic curve as steep as a normal distribution's, a standard deviation being 1.
const LOGISTIC: f64 = 1.702;

/// An outcome of less probability than this is a surprise.
const SURPRISE: f64 = 1e-3;

/// Arrivals farther from the edge than so many standard deviations are on their side of it for certain.
const CERTAIN: f64 = 25.0;

/// A refusal that is less probable may have come after admissions that seem to follow it.
const DOUBTFUL: f64 = 0.2;

/// By so many standard deviations at most.
const LATEST: f64 = 4.0;

/// An outcome that is too early by at most so many standard deviations is one whose arrival is wrong.
const SLACK: f64 = 5.0;

/// How well a hypothesis explains the events.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Score {
    /// The natural logarithm of the likelihood.
    pub(super) log_likelihood: f64,
    /// Outcomes that it makes all but impossible.
    pub(super) surprises: Vec<Surprise>,
}

/// An outcome that a hypothesis makes all but impossible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Surprise {
    /// The likeliest arrival of the request, and its standard deviation in seconds.
    pub(super) at: Duration,
    pub(super) sigma: f64,
    pub(super) admitted: bool,
}

/// How strictly events are judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Seconds by which every arrival is less sure than it is, so that a search finds its way.
    pub(super) blur: f64,
    /// A log-likelihood below which nobody wants to know.
    pub(super) floor: f64,
}

/// The probability that a request is admitted whose margin and its standard deviation are given, in seconds.
pub(super) fn admission(margin: f64, sigma: f64) -> f64 {
    let z = margin / sigma;
    if z > CERTAIN {
        1.0
    } else if z < -CERTAIN {
        0.0
    } else {
        1.0 / (1.0 + (-LOGISTIC * z).exp())
    }
}

/// Whether an outcome of this probability is all but impossible.
pub(super) fn is_surprise(probability: f64) -> bool {
    probability < SURPRISE
}

/// The log-likelihood of an outcome whose probability a model gives.
pub(super) fn evidence(probability: f64) -> f64 {
    if probability >= 1.0 {
        // The logarithm of what is left of certainty, without the cost of taking it for most of all events.
        return CERTAINLY;
    }
    softened(probability).ln()
}

/// The probability of an outcome to which a model gives one, and which no model may explain.
pub(super) fn softened(probability: f64) -> f64 {
    UNEXPLAINED + (1.0 - 2.0 * UNEXPLAINED) * probability
}

/// Scores a hypothesis against all events; `None` as soon as it is below the floor.
///
/// Each event is judged by what was *seen* before it, not by what the hypothesis would have decided, so that one odd
/// outcome costs one term. Where the order of events is unknown, the hypothesis may choose between two. What it chose may
/// matter only later, where arrivals are very unsure: then a second replay chooses otherwise where both are as good, and
/// what was seen is as likely as the two make it together.
pub(super) fn score(events: &Events, hypothesis: &Hypothesis, terms: Terms) -> Option<Score> {
    let judge = Judge { blur: terms.blur, lost_arrive: hypothesis.lost_arrive };
    if terms.blur > 0.0 {
        // Where parameters are far off, the order of a few events is not what is wrong with them.
        return judge.run(&mut [Replay::new(hypothesis)], &events.list, terms.floor);
    }
    let mut replays = vec![Replay::new(hypothesis); if events.has_spikes { 2 } else { 1 }];
    let mut score = Score::default();
    for (piece, otherwise) in events.pieces() {
        let floor = terms.floor - score.log_likelihood;
        let found = match otherwise {
            [] => judge.run(&mut replays, piece, floor)?,
            others => {
                let orders: Vec<_> = std::iter::once(piece).chain(others.iter().map(Vec::as_slice)).collect();
                judge.run_unsure(&mut replays, orders)
            }
        };
        score.log_likelihood += found.log_likelihood;
        score.surprises.extend(found.surprises);
        if score.log_likelihood < terms.floor {
            return None;
        }
    }
    Some(score)
}

/// What events are judged by.
struct Judge {
    blur: f64,
    lost_arrive: bool,
}

impl Judge {
    /// The score of events in this order; `None` as soon as it is below the floor.
    fn run(&self, replays: &mut [Replay], list: &[Event], floor: f64) -> Option<Score> {
        let mut score = Score::default();
        let mut early: Vec<Early> = Vec::new();
        for event in list {
            let request = Request { at: event.at, done: event.done, count: event.count, slack: event.sigma * SLACK };
            let mut judged = Judged::default();
            for replay in replays.iter_mut() {
                judged.add(step(replay, event, request, self.lost_arrive), event.sigma, self.blur);
            }
            let Some(admitted) = event.admitted else {
                continue;
            };
            if self.blur > 0.0 {
                score.log_likelihood -= judged.cost.unwrap_or(0.0) * f64::from(event.count);
            } else {
                let probability = judged.probability / real(replays.len());
                if admitted || probability > DOUBTFUL {
                    score.add(event, probability);
                } else {
                    early.push(Early { event: *event, probability, logarithm: probability.ln() });
                }
                if admitted && !early.is_empty() {
                    early.retain_mut(|early| early.is_open(replays, event, &mut score));
                }
            }
            if score.log_likelihood < floor {
                return None;
            }
        }
        for early in early {
            score.add(&early.event, early.probability);
        }
        (score.log_likelihood >= floor).then_some(score)
    }

    /// The score of events in the best of their orders, and the replays as that leaves them. Where orders are as good,
    /// the first replay prefers the first of them and the second one the last.
    fn run_unsure(&self, replays: &mut [Replay], mut orders: Vec<&[Event]>) -> Score {
        let mut scores = Vec::with_capacity(2);
        for replay in replays.iter_mut() {
            let mut best: Option<(Score, Replay)> = None;
            for order in &orders {
                let mut tried = replay.clone();
                let score = self.run(std::slice::from_mut(&mut tried), order, f64::NEG_INFINITY);
                let score = score.unwrap_or_default();
                // Hardly better is not better: what follows may tell more.
                let is_better = |best: &(Score, Replay)| score.log_likelihood > best.0.log_likelihood + HARDLY;
                if best.as_ref().is_none_or(is_better) {
                    best = Some((score, tried));
                }
            }
            if let Some((score, tried)) = best {
                scores.push(score);
                *replay = tried;
            }
            orders.reverse();
        }
        let best = scores.iter().map(|score| score.log_likelihood).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|score| (score.log_likelihood - best).exp()).sum();
        let log_likelihood = best + (sum / real(scores.len())).ln();
        let least = scores.into_iter().min_by_key(|score| score.surprises.len()).unwrap_or_default();
        Score { log_likelihood, ..least }
    }
}

/// What one or two replays say of an event.
#[derive(Debug, Default)]
struct Judged {
    /// The sum of the probabilities of what was seen.
    probability: f64,
    /// The least cost of being on the wrong side of the edge.
    cost: Option<f64>,
}

impl Judged {
    /// Adds a margin on the side that was seen: below zero where the outcome is on the wrong one.
    ///
    /// While parameters are far off, an outcome on the right side costs nothing: admissions that follow an edge closely
    /// outnumber the refusals before it, and would push it away from where it is.
    fn add(&mut self, margin: f64, sigma: f64, blur: f64) {
        if blur > 0.0 {
            let cost = (LOGISTIC * (-margin).max(0.0) / (sigma + blur)).min(-UNEXPLAINED.ln());
            self.cost = Some(self.cost.map_or(cost, |least| least.min(cost)));
        } else {
            self.probability += admission(margin, sigma);
        }
    }
}

impl Score {
    /// Adds the outcome of an event, of which the probability is given.
    pub(super) fn add(&mut self, event: &Event, probability: f64) {
        self.log_likelihood += evidence(probability);
        if is_surprise(probability) {
            let (at, sigma, admitted) = (event.at, event.sigma, event.admitted == Some(true));
            self.surprises.push(Surprise { at, sigma, admitted });
        }
    }
}

/// A refusal that came too early to be one: of those that were admitted next, some may have arrived before it.
struct Early {
    event: Event,
    /// The highest probability that it was refused, wherever it may have arrived so far, and its natural logarithm.
    probability: f64,
    logarithm: f64,
}

impl Early {
    /// Looks at it behind an admission; when that is too late for it, it is scored and done with.
    fn is_open(&mut self, replays: &mut [Replay], next: &Event, score: &mut Score) -> bool {
        let apart = next.at.saturating_sub(self.event.at).as_secs_f64();
        let late = apart * apart / (self.event.sigma * self.event.sigma + next.sigma * next.sigma);
        if late > LATEST * LATEST {
            score.add(&self.event, self.probability);
            return false;
        }
        // Most are so late that they cannot be more probable than the best so far.
        if -late / 2.0 > self.logarithm {
            let refused = |replay: &mut Replay| admission(-replay.margin(next.at), self.event.sigma);
            let sum: f64 = replays.iter_mut().map(refused).sum();
            self.improve(sum / real(replays.len()) * (-late / 2.0).exp());
        }
        true
    }

    fn improve(&mut self, probability: f64) {
        if probability > self.probability {
            self.probability = probability;
            self.logarithm = probability.ln();
        }
    }
}

/// The margin of an event on the side that was seen; the event is then noted.
fn step(replay: &mut Replay, event: &Event, request: Request, lost_arrive: bool) -> f64 {
    let margin = replay.margin(request.at);
    if let Some(admitted) = event.admitted {
        replay.note(request, admitted);
        return if admitted { margin } else { -margin };
    }
    if lost_arrive {
        replay.note(request, margin >= 0.0);
    }
    0.0
}

/// A replay of all events, to ask what would come next.
pub(super) fn replayed(events: &Events, hypothesis: &Hypothesis) -> Replay {
    replayed_until(events, hypothesis, Duration::MAX)
}

/// A replay of the events that were sent before an instant.
pub(super) fn replayed_until(events: &Events, hypothesis: &Hypothesis, end: Duration) -> Replay {
    replayed_with(events, hypothesis, |event| event.sent < end)
}

/// A replay of those events that are wanted.
pub(super) fn replayed_with(
    events: &Events,
    hypothesis: &Hypothesis,
    mut is_wanted: impl FnMut(&Event) -> bool,
) -> Replay {
    let mut replay = Replay::new(hypothesis);
    for event in &events.list {
        if !is_wanted(event) {
            continue;
        }
        let request = Request { at: event.at, done: event.done, count: event.count, slack: event.sigma * SLACK };
        step(&mut replay, event, request, hypothesis.lost_arrive);
    }
    replay
}
