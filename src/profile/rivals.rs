//! Which hypotheses stand against each other, and what can be said without any.

use super::clues::real;
use super::events::Events;
use super::finding::Unrefused;
use super::fit::{Fit, is_in_flight};
use super::interval::Length;
use super::log::{Answer, Log};
use super::queue;
use super::theory::{Family, Hypothesis, Kind, Penalty};

/// Two hypotheses that the log does not tell apart yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quarrel {
    hypotheses: [Hypothesis; 2],
    /// In which length they differ where they are of one kind.
    within: Option<Length>,
}

impl Quarrel {
    pub(super) fn between(one: &Fit, other: &Fit) -> Self {
        Self { hypotheses: [one.hypothesis.clone(), other.hypothesis.clone()], within: None }
    }

    pub(super) fn within(length: Length, low: Hypothesis, high: Hypothesis) -> Self {
        Self { hypotheses: [low, high], within: Some(length) }
    }

    pub(super) fn hypotheses(&self) -> [&Hypothesis; 2] {
        [&self.hypotheses[0], &self.hypotheses[1]]
    }

    fn kinds(&self) -> [Vec<Kind>; 2] {
        self.hypotheses.each_ref().map(Hypothesis::kinds)
    }

    /// How often it is worth trying to settle.
    pub(super) fn tries(&self) -> usize {
        if self.within.is_some() { 8 } else { 4 }
    }

    /// Whether another quarrel is between the same kinds, and about the same length.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let (mut one, mut two) = (self.kinds(), other.kinds());
        one.sort_unstable();
        two.sort_unstable();
        self.within == other.within && one == two
    }
}

/// Whether the richer kind is the simpler one with a parameter that does nothing.
fn is_nested(simple: Kind, rich: Kind) -> bool {
    let without = Kind { penalty: Penalty::None, ..rich };
    let may_tick = matches!(simple.family, Family::TokenBucket | Family::ClockWindow);
    let ticks = may_tick && rich.family == Family::TickingBucket;
    let same = |one: Kind, other: Kind| one.is_like(other) || (ticks && one.refusals == other.refusals);
    simple.parameters() < rich.parameters() && same(simple, without) && (ticks || rich.penalty != simple.penalty)
}

/// A limiter that is whole again within so many standard deviations of an arrival shows nothing of its kind.
const BLURRED: f64 = 20.0;

/// A log-likelihood that is lower by less explains as much.
const AS_MUCH: f64 = 2.0;

/// The fits that stand against the best one: close to it, and not the same with a parameter that does nothing.
pub(super) fn of(fits: &[Fit], within: f64) -> Vec<Fit> {
    those(fits, |fit, best| fit.bic < best.bic + within)
}

/// The fits that are worth telling from the best one: those that stand against it, and those that explain as much with
/// more parameters, as long as so little was seen that only their number speaks against them.
pub(super) fn worth_telling(fits: &[Fit], within: f64) -> Vec<Fit> {
    those(fits, |fit, best| fit.bic < best.bic + within || fit.log_likelihood > best.log_likelihood - AS_MUCH)
}

fn those(fits: &[Fit], is_close: impl Fn(&Fit, &Fit) -> bool) -> Vec<Fit> {
    let Some(best) = fits.first() else {
        return Vec::new();
    };
    let is_richer = |fit: &Fit| {
        let kinds = best.hypothesis.kinds().into_iter().zip(fit.hypothesis.kinds());
        let mut differing = kinds.filter(|(one, other)| one != other).peekable();
        differing.peek().is_some() && differing.all(|(one, other)| is_nested(one, other))
    };
    let stands = |fit: &&Fit| is_close(fit, best) && !is_richer(fit);
    fits[1..].iter().filter(stands).cloned().collect()
}

/// What the limiter may also be because a network like this hides the difference: whatever is whole again before arrivals
/// are sure looks like a bucket, a bucket that is empty for a moment only like a queue, and a window that is as long as
/// answers take like a limit on requests in flight.
pub(super) fn hidden(best: &Fit, fits: &[Fit], events: &Events) -> Vec<Kind> {
    let [theory] = best.hypothesis.tiers[..] else {
        return Vec::new();
    };
    let (bucket, queue) = (Kind::plain(Family::TokenBucket), Kind::plain(Family::LeakyQueue));
    let mut kinds = Vec::new();
    if theory.kind.family != Family::Concurrency && theory.recovery() < BLURRED * events.jitter {
        let explaining = fits.iter().filter(|fit| fit.surprises <= allowed(events));
        kinds.extend(explaining.map(|fit| fit.hypothesis.tiers[0].kind));
        kinds.push(bucket);
    }
    if theory.kind == bucket && theory.limit > 1 && !queue::would_show(&theory, events.jitter) {
        kinds.push(queue);
    }
    if is_in_flight(&theory, events) {
        kinds.push(Kind::plain(Family::Concurrency));
    }
    kinds.retain(|kind| !kind.is_like(theory.kind));
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// The kind of the limiter in which a hypothesis differs from another; of the first one where they differ in number only.
pub(super) fn differing(one: &Hypothesis, other: &Hypothesis) -> Kind {
    let pairs = one.kinds().into_iter().zip(other.kinds());
    let mut unlike = pairs.filter(|(one, other)| !one.is_like(*other));
    unlike.next().map_or(one.tiers[0].kind, |(kind, _)| kind)
}

/// Surprises that chance may bring where it is unknown when some requests arrived, or whether: one, and one more for
/// every thirtieth of these, since most of them are far from any edge.
pub(super) fn allowed(events: &Events) -> usize {
    if events.unsure == 0 || events.is_queue { 0 } else { 1 + events.unsure / 30 }
}

/// Whether a fit explains hardly more than that all requests are refused with one chance, whatever came before them.
///
/// A kind whose edges are all closer together than arrivals are sure is never surprised: a limit on requests in flight
/// that are answered at once says as little as a coin, which Schwarz's criterion of the coin shows.
pub(super) fn is_chance(fit: &Fit, events: &Events, clear: f64) -> bool {
    fit.bic > real(events.list.len()).max(1.0).ln() - 2.0 * coin(events) - clear
}

/// The log-likelihood of the outcomes if all are refused with one chance, whatever came before them.
pub(super) fn coin(events: &Events) -> f64 {
    let decided: Vec<_> = events.list.iter().filter_map(|event| event.admitted).collect();
    let of_outcome = |outcome: bool| {
        let same = real(decided.iter().filter(|admitted| **admitted == outcome).count());
        if same > 0.0 { same * (same / real(decided.len())).ln() } else { 0.0 }
    };
    of_outcome(true) + of_outcome(false)
}

/// The highest rate over a stretch of at least ten requests without a refusal.
pub(super) fn unrefused(log: &Log) -> Unrefused {
    let mut best = Unrefused::default();
    let mut start: Option<f64> = None;
    let mut count = 0_u32;
    for observation in log.observations() {
        let at = observation.sent.as_secs_f64();
        if matches!(observation.answer, Answer::Refused { .. }) {
            start = None;
            count = 0;
            continue;
        }
        let from = *start.get_or_insert(at);
        count += 1;
        let rate = f64::from(count - 1) / (at - from).max(1e-9);
        if count >= 10 && at > from && count > best.requests {
            best = Unrefused { rate, requests: count };
        }
    }
    best
}
