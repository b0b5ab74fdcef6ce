//! The rule: a model with its options, and what one key has used up of it.

use std::fmt;
use std::time::Duration;

use super::Model;
use super::exact::nanos;
use super::rule::Rule;
use super::used::{Used, with_rule};
use crate::units::format::exact_duration;

/// A rule that admits or refuses requests.
///
/// Times beyond 584 years count as so long; nothing else is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limiter {
    /// How it decides.
    pub model: Model,
    /// Whether refused requests use up the quota as admitted ones do, whoever refused them. What they owe is bounded: a
    /// bucket or a queue goes no further than one `burst` below empty, so that whoever stops is admitted again within
    /// the time of two. A [`Model::Concurrency`] never counts them.
    pub counts_refused: bool,
    /// After a refusal everything is refused for so long. Zero for no penalty.
    pub penalty: Duration,
    /// Whether a refusal during the penalty begins it anew; otherwise those meanwhile do not extend it.
    pub penalty_extends: bool,
    /// Instead of being refused, requests over the quota are admitted later.
    pub slow: Option<Slow>,
}

/// Soft throttling: nothing is refused, what is over the quota is delayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slow {
    /// The delay for each unit of cost over the quota, a unit that is partly over it counted whole.
    pub by: Duration,
    /// The longest delay. A queue's own waiting comes on top.
    pub most: Duration,
}

/// A request that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When; never before the arrival noted last for the same state.
    pub at: Duration,
    /// What it costs, at least 1; zero counts as 1.
    pub cost: u32,
}

/// What a limiter says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may pass.
    Admitted {
        /// So much later than it arrived; zero but for queues and soft throttling.
        delay: Duration,
    },
    /// It may not.
    Refused {
        /// The first instant at which the same request is admitted if nothing arrives meanwhile; `None` where that does
        /// not depend on time: a concurrency limit, or a request that costs more than the quota ever holds.
        until: Option<Duration>,
    },
}

/// The instant from which a request is admitted if nothing else arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Nothing that was noted stands against it.
    Always,
    /// From then on; before, it is refused.
    At(Duration),
    /// That does not depend on time, and now it is refused: a concurrency limit that is reached, or a request that costs
    /// more than the quota ever holds.
    Never,
}

impl Opening {
    /// The seconds for which a request that arrives at an instant has been admissible; below zero, after which it will be.
    /// Infinite where nothing bounds them.
    #[must_use]
    pub fn margin(self, at: Duration) -> f64 {
        match self {
            Self::Always => f64::INFINITY,
            Self::Never => f64::NEG_INFINITY,
            Self::At(opens) if opens <= at => at.saturating_sub(opens).as_secs_f64(),
            Self::At(opens) => -opens.saturating_sub(at).as_secs_f64(),
        }
    }

    /// The later one of two: what stands where a request must pass both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Always, opening) | (opening, Self::Always) => opening,
            (Self::At(one), Self::At(two)) => Self::At(one.max(two)),
        }
    }
}

/// How much of a quota is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Units of cost that a burst admits at once; for a queue one more than may wait.
    pub limit: u32,
    /// Units that are left of it: the largest cost that is admitted in time. None during a penalty.
    pub remaining: u32,
    /// The time until nothing is in use any more, if nothing arrives; for windows, until the window ends, where on the
    /// clock one is always open. No shorter than a penalty lasts; zero where time changes nothing.
    pub reset: Duration,
}

/// What one key has used up of a [`Limiter`], in 64 bytes; a sliding log has 16 more for each request that it
/// remembers.
///
/// It goes with the limiter that made it: one with another model panics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    used: Used,
    /// When something was last noted that uses it up.
    noted_at: u64,
    /// The first nanosecond after the penalty; zero when there was none.
    blocked_until: u64,
}

impl Limiter {
    /// The model without options.
    #[must_use]
    pub const fn new(model: Model) -> Self {
        Self { model, counts_refused: false, penalty: Duration::ZERO, penalty_extends: false, slow: None }
    }

    /// A key of which nothing is used up.
    #[must_use]
    pub fn fresh(&self) -> State {
        State { used: Used::fresh(self.model), noted_at: 0, blocked_until: 0 }
    }

    /// What becomes of an arrival, if nothing else is against it. Changes nothing.
    ///
    /// A refusal's instant supposes that the arrival leaves no trace. To tell a client when to come back, note the
    /// refusal and judge the same arrival again: only then are the penalty and what the refusal itself costs in it.
    #[must_use]
    pub fn judge(&self, state: &State, arrival: Arrival) -> Admission {
        let (at, cost) = arrival.parts();
        with_rule!(self, &state.used, |rule, used| {
            let ready = if self.slow.is_some() { Some(at) } else { rule.ready(used, at, cost) };
            match ready.map(|ready| ready.max(state.blocked_until)) {
                Some(ready) if ready <= at => {
                    let slowed = self.slow.map_or(0, |slow| slow.delay(rule.over(used, at, cost)));
                    Admission::Admitted { delay: Duration::from_nanos(rule.wait(used, at).saturating_add(slowed)) }
                }
                until => Admission::Refused { until: until.map(Duration::from_nanos) },
            }
        })
    }

    /// From when on a request is admitted, by what was noted so far; unlike in [`judge`](Self::judge) that may be past.
    ///
    /// The arrival's own instant matters to soft throttling alone, which admits always. A fit asks how far from this
    /// instant a request arrived: the farther, the surer is what became of it.
    #[must_use]
    pub fn opening(&self, state: &State, cost: u32) -> Opening {
        let from = state.noted_at;
        let ready = match self.slow {
            Some(_) => Some(from),
            None => with_rule!(self, &state.used, |rule, used| rule.ready(used, from, cost.max(1).into())),
        };
        match ready {
            None => Opening::Never,
            Some(ready) if ready <= from && state.blocked_until <= from => Opening::Always,
            Some(ready) => Opening::At(Duration::from_nanos(ready.max(state.blocked_until))),
        }
    }

    /// Takes note of a request that passed, whether or not [`judge`](Self::judge) admits it.
    pub fn note_admitted(&self, state: &mut State, arrival: Arrival) {
        let (at, cost) = arrival.parts();
        state.noted_at = at;
        with_rule!(self, &mut state.used, |rule, used| rule.add(used, at, cost));
    }

    /// Takes note of a request that was refused: by this limiter (`own`), or by another one.
    pub fn note_refused(&self, state: &mut State, arrival: Arrival, own: bool) {
        let (at, cost) = arrival.parts();
        if self.counts_refused {
            state.noted_at = at;
            with_rule!(self, &mut state.used, |rule, used| rule.add_refused(used, at, cost));
        }
        if own && (self.penalty_extends || at >= state.blocked_until) && !self.penalty.is_zero() {
            state.blocked_until = at.saturating_add(nanos(self.penalty));
        }
    }

    /// Takes note that an admitted request has been answered.
    pub fn note_done(&self, state: &mut State, cost: u32) {
        with_rule!(self, &mut state.used, |rule, used| rule.done(used, cost.max(1).into()));
    }

    /// How much is in use at an instant.
    #[must_use]
    pub fn usage(&self, state: &State, at: Duration) -> Usage {
        let at = nanos(at);
        let blocked = state.blocked_until.saturating_sub(at);
        with_rule!(self, &state.used, |rule, used| Usage {
            limit: saturated(rule.limit()),
            remaining: if blocked > 0 { 0 } else { saturated(rule.left(used, at)) },
            reset: Duration::from_nanos(rule.reset(used, at).max(blocked)),
        })
    }

    /// Whether the state is as good as a fresh one from this instant on, so that it can be forgotten.
    #[must_use]
    pub fn is_idle(&self, state: &State, at: Duration) -> bool {
        let at = nanos(at);
        let idle_from = with_rule!(self, &state.used, |rule, used| rule.idle_from(used));
        idle_from.is_some_and(|from| at >= from.max(state.blocked_until))
    }

    /// The most units of cost that one key is admitted in a time that starts with a fresh state; `None` where nothing
    /// bounds them.
    ///
    /// The time includes its start and not its end. Where windows are on the clock it may start anywhere in one. That
    /// refused requests count, and penalties, can only make it less, which the bound does not use.
    #[must_use]
    pub fn most_in(&self, length: Duration) -> Option<u64> {
        if self.slow.is_some() { None } else { self.model.most_in(length) }
    }
}

impl Arrival {
    /// When, in nanoseconds, and what it costs.
    fn parts(self) -> (u64, u64) {
        (nanos(self.at), self.cost.max(1).into())
    }
}

impl Slow {
    /// The delay of a request that is so many units over the quota, in nanoseconds.
    fn delay(self, over: u64) -> u64 {
        nanos(self.by).saturating_mul(over).min(nanos(self.most))
    }
}

impl fmt::Display for Limiter {
    /// The model and the options that are in force: `10/s token-bucket, burst 20, penalty 5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.model.fmt(f)?;
        if self.counts_refused {
            f.write_str(", refused requests count")?;
        }
        if !self.penalty.is_zero() {
            write!(f, ", penalty {}", exact_duration(self.penalty))?;
            if self.penalty_extends {
                f.write_str(" from the last refusal")?;
            }
        }
        if let Some(Slow { by, most }) = self.slow {
            write!(f, ", slowed by {} up to {}", exact_duration(by), exact_duration(most))?;
        }
        Ok(())
    }
}

/// A count as the public types have it.
fn saturated(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_small() {
        assert!(size_of::<State>() <= 64, "{} bytes", size_of::<State>());
    }

    #[test]
    fn a_limiter_is_one_readable_line() {
        let rate = "10/s".parse().unwrap();
        let plain = Limiter::new(Model::FirstRequestWindow { rate: "300/min".parse().unwrap() });
        assert_eq!(plain.to_string(), "300/min fixed-window");
        let burst = 20.try_into().unwrap();
        let penalty = Limiter { penalty: Duration::from_secs(5), ..Limiter::new(Model::TokenBucket { rate, burst }) };
        assert_eq!(penalty.to_string(), "10/s token-bucket, burst 20, penalty 5s");
        let all = Limiter {
            counts_refused: true,
            slow: Some(Slow { by: Duration::from_millis(100), most: Duration::from_secs(2) }),
            ..Limiter::new(Model::Concurrency { limit: burst })
        };
        assert_eq!(all.to_string(), "concurrency 20, refused requests count, slowed by 100ms up to 2s");
    }
}
