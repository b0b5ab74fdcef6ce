//! A log run through a hypothesis: what it would have decided, given what was seen before.

use std::collections::VecDeque;
use std::time::Duration;

use super::theory::{Hypothesis, seconds};
use crate::quota::{Admission, Arrival, Limiter, Model, Opening, State, Usage};

/// A hypothesis with what has been noted so far.
#[derive(Debug, Clone)]
pub(super) struct Replay {
    tiers: Vec<Tier>,
    /// Requests in flight, where a limit on those is among the tiers.
    in_flight: Option<InFlight>,
}

/// Requests that have been admitted and not answered.
#[derive(Debug, Clone, Default)]
struct InFlight {
    /// When they are answered; the latest first.
    done: VecDeque<Duration>,
    /// When those were answered last that had been, the latest first.
    latest: VecDeque<Duration>,
}

/// So many answers at most may have made room later than it seems.
const LATEST: usize = 16;

#[derive(Debug, Clone)]
struct Tier {
    limiter: Limiter,
    state: State,
    /// What makes an instant of the log one of the limiter's clock.
    shift: Duration,
    /// The arrival noted last, on the limiter's clock.
    last: Duration,
    /// From when on a request is admitted by what was noted. Most refusals leave no trace, so this is asked anew only
    /// where something has changed.
    opening: Opening,
}

/// A request about to be noted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    /// Its arrival.
    pub(super) at: Duration,
    /// When it is answered.
    pub(super) done: Duration,
    /// The requests that it stands for.
    pub(super) count: u32,
    /// By how many seconds its arrival may be wrong, so that an outcome a little too early is still the limiter's.
    pub(super) slack: f64,
}

impl Tier {
    fn arrival(&self, at: Duration, cost: u32) -> Arrival {
        Arrival { at: at.saturating_add(self.shift).max(self.last), cost }
    }

    fn margin(&self, at: Duration) -> f64 {
        self.opening.margin(at.saturating_add(self.shift))
    }

    /// Notes an admission. Whoever was admitted did not come too early: if it seems so by little, its arrival is wrong.
    fn admit(&mut self, request: Request) {
        let mut arrival = self.arrival(request.at, request.count);
        if let Opening::At(opens) = self.opening
            && opens > arrival.at
            && opens.saturating_sub(arrival.at).as_secs_f64() <= request.slack
        {
            arrival.at = opens;
        }
        self.last = arrival.at;
        self.limiter.note_admitted(&mut self.state, arrival);
        self.opening = self.limiter.opening(&self.state, 1);
    }

    /// Whether a refusal leaves no trace.
    fn forgets_refusals(&self) -> bool {
        !self.limiter.counts_refused && self.limiter.penalty.is_zero()
    }

    /// Notes a refusal, which is this tier's `own` where it alone, or as late as any other, would admit the request.
    fn refuse(&mut self, request: Request, own: bool) {
        if self.forgets_refusals() {
            return;
        }
        let arrival = self.arrival(request.at, request.count);
        self.limiter.note_refused(&mut self.state, arrival, own);
        if self.limiter.counts_refused {
            self.last = arrival.at;
        }
        self.opening = self.limiter.opening(&self.state, 1);
    }

    fn finish_one(&mut self) {
        if self.limiter.model.awaits_the_end() {
            self.limiter.note_done(&mut self.state, 1);
            self.opening = self.limiter.opening(&self.state, 1);
        }
    }
}

impl Replay {
    /// Nothing noted yet.
    pub(super) fn new(hypothesis: &Hypothesis) -> Self {
        let tiers: Vec<_> = hypothesis
            .tiers
            .iter()
            .map(|theory| {
                let limiter = theory.limiter();
                let shift = theory.cycle().map_or(0.0, |cycle| cycle - theory.phase.rem_euclid(cycle));
                let state = limiter.fresh();
                let opening = limiter.opening(&state, 1);
                Tier { limiter, state, shift: seconds(shift), last: Duration::ZERO, opening }
            })
            .collect();
        let awaits = tiers.iter().any(|tier| tier.limiter.model.awaits_the_end());
        Self { tiers, in_flight: awaits.then(InFlight::default) }
    }

    /// The seconds for which a request that arrives now has been admissible; below zero, after which it will be.
    pub(super) fn margin(&mut self, at: Duration) -> f64 {
        self.answer_those_in_flight(at);
        self.tiers.iter().map(|tier| self.margin_of(tier, at)).fold(f64::INFINITY, f64::min)
    }

    /// As [`Tier::margin`]; where what is in flight is limited, an answer is what opens it.
    fn margin_of(&self, tier: &Tier, at: Duration) -> f64 {
        let (Some(in_flight), Model::Concurrency { limit }) = (&self.in_flight, tier.limiter.model) else {
            return tier.margin(at);
        };
        let limit = usize::try_from(limit.get()).unwrap_or(usize::MAX);
        let opens = match in_flight.done.get(limit - 1) {
            Some(done) => Some(*done),
            // The last of them have made room.
            None => in_flight.latest.get(limit - in_flight.done.len() - 1).copied(),
        };
        opens.map_or(f64::INFINITY, |opens| Opening::At(opens).margin(at))
    }

    /// Which tier allows a request that arrives now the least.
    pub(super) fn binding(&mut self, at: Duration) -> usize {
        self.answer_those_in_flight(at);
        let margins = self.tiers.iter().map(|tier| tier.margin(at)).enumerate();
        margins.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(tier, _)| tier)
    }

    /// The first instant at which a request is admitted if nothing else comes; `None` where time does not tell.
    pub(super) fn opens(&self) -> Option<Duration> {
        let opening = |tier: &Tier| match tier.opening {
            Opening::At(at) => Some(at.saturating_sub(tier.shift)),
            Opening::Always => Some(Duration::ZERO),
            Opening::Never => None,
        };
        self.tiers.iter().map(opening).try_fold(Duration::ZERO, |latest, opens| Some(latest.max(opens?)))
    }

    /// What is in use of each tier.
    pub(super) fn usages(&self, at: Duration) -> Vec<Usage> {
        self.tiers.iter().map(|tier| tier.limiter.usage(&tier.state, tier.arrival(at, 1).at)).collect()
    }

    /// How long a request that arrives now waits for those before it, if it is admitted.
    pub(super) fn delay(&self, at: Duration) -> Duration {
        let delay = |tier: &Tier| match tier.limiter.judge(&tier.state, tier.arrival(at, 1)) {
            Admission::Admitted { delay } => delay,
            Admission::Refused { .. } => Duration::ZERO,
        };
        self.tiers.iter().map(delay).max().unwrap_or_default()
    }

    /// Takes note of what was decided, whatever the hypothesis would have.
    pub(super) fn note(&mut self, request: Request, admitted: bool) {
        if admitted {
            self.tiers.iter_mut().for_each(|tier| tier.admit(request));
            if let Some(in_flight) = &mut self.in_flight {
                let place = in_flight.done.partition_point(|done| *done > request.done);
                for _ in 0..request.count {
                    in_flight.done.insert(place, request.done);
                }
            }
            return;
        }
        if self.tiers.iter().all(Tier::forgets_refusals) {
            return;
        }
        let least = self.margin(request.at);
        for n in 0..self.tiers.len() {
            let own = self.margin_of(&self.tiers[n], request.at) <= least;
            let tier = &mut self.tiers[n];
            tier.refuse(request, own);
        }
    }

    fn answer_those_in_flight(&mut self, now: Duration) {
        let Some(in_flight) = &mut self.in_flight else {
            return;
        };
        while let Some(done) = in_flight.done.pop_back_if(|done| *done <= now) {
            in_flight.latest.push_front(done);
            in_flight.latest.truncate(LATEST);
            self.tiers.iter_mut().for_each(Tier::finish_one);
        }
    }
}
