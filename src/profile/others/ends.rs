//! How surely the numbers of a limiter that others use are known: how far each may be off before the log contradicts it.

use super::super::events::Events;
use super::super::figures::Estimate;
use super::super::finding::Measured;
use super::super::interval::Interval;
use super::super::theory::{Family, Theory};
use super::Crowded;

/// Half of the 95 % quantile of chi-square with one degree of freedom: so much less likely may a value be.
const DROP: f64 = 1.92;

/// The same where it is only roughly known when what others use comes back.
const ROUGHLY: f64 = 8.0;

/// How far limits, rates and times are looked at, in steps.
const LIMITS: u32 = 24;
const RATES: u32 = 24;
const TIMES: u32 = 14;

/// Each rate of others is so many times the one before, each step of a time so many times the one before, the first of
/// them such a share of it.
const RATE_STEP: f64 = 1.1;
const TIME_GROWTH: f64 = 1.6;
const TIME_STEP: f64 = 2e-4;

/// The limits and the time, and the rate of others; `None` where that is no rate that anything has.
pub(super) fn measured(best: &Crowded, likely: f64, events: &Events) -> Option<(Measured, Estimate)> {
    let drop = if best.theory.kind.family == Family::SlidingLog { ROUGHLY } else { DROP };
    let stands = |crowded: Crowded| crowded.score(events, 0.0, likely - drop).is_some();
    let with =
        |limit: u32, factor: f64| Crowded { theory: Theory { limit, ..best.theory }, others: best.others * factor };
    // A higher limit and more requests of others explain nearly the same.
    let limit_stands = |limit: u32| [1.0, 1.15, 0.87, 1.4, 0.7].into_iter().any(|factor| stands(with(limit, factor)));
    let limit = best.theory.limit;
    let low =
        (1..=LIMITS).map(|less| limit.saturating_sub(less).max(1)).take_while(|limit| limit_stands(*limit)).last();
    let high = (1..=LIMITS).map(|more| limit + more).take_while(|limit| limit_stands(*limit)).last();
    let limits = (low.unwrap_or(limit), high.unwrap_or(limit));
    let near = [limit, limits.0, limits.1];
    let end = |sign: i32| {
        let factors = (1..=RATES).map(|step| RATE_STEP.powi(sign * i32::try_from(step).unwrap_or(0)));
        let stand = factors.take_while(|factor| near.iter().any(|limit| stands(with(*limit, *factor))));
        // The first that does not stand is beyond the end.
        stand.last().unwrap_or(1.0) * RATE_STEP.powi(sign)
    };
    let interval = Interval { low: best.others * end(-1), high: best.others * end(1) };
    let time = |sign: f64| {
        let steps = (0..TIMES).map(|step| 1.0 + sign * TIME_STEP * TIME_GROWTH.powi(i32::try_from(step).unwrap_or(0)));
        let mut times = steps.map(|factor| best.theory.time * factor);
        let is_beyond = |time: &f64| !stands(Crowded { theory: Theory { time: *time, ..best.theory }, ..*best });
        times.clone().find(is_beyond).or_else(|| times.next_back()).unwrap_or(best.theory.time)
    };
    let measured = Measured { time: Interval { low: time(-1.0), high: time(1.0) }, block: None, limits };
    Some((measured, Estimate::of(best.others, interval)?))
}
