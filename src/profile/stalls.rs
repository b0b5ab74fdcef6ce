//! Outcomes that a limiter brings only if it, or this machine, stood still for a moment.

use std::time::Duration;

use super::clues::real;
use super::events::Events;
use super::score::{Surprise, admission, is_surprise, replayed_with};
use super::theory::{Hypothesis, Theory};

/// A late timer, a thread that had to wait or a collector of garbage may make a decision so much earlier or later than it
/// should be.
pub const STALL: Duration = Duration::from_millis(10);

/// By no more than this share of the time in which a limiter changes, since else any kind would explain anything.
const PART: f64 = 0.05;

/// Where in this time an outcome is tried, early and late.
const SHIFTS: [f64; 3] = [0.25, 0.5, 1.0];

/// One stall is allowed, and one more for so many requests.
const REQUESTS: f64 = 300.0;

/// Of the outcomes that surprise a hypothesis, those that would not if their requests had been decided a moment earlier or
/// later; none where there were more such moments than chance brings.
pub(super) fn explained(events: &Events, hypothesis: &Hypothesis, surprises: &[Surprise]) -> usize {
    let least = hypothesis.tiers.iter().map(changes_in).fold(f64::INFINITY, f64::min) * PART;
    let reach = events.stall.min(Duration::try_from_secs_f64(least).unwrap_or(events.stall));
    let moments = surprises.chunk_by(|one, next| next.at.saturating_sub(one.at) <= reach).count();
    if reach.is_zero() || real(moments) > 1.0 + real(events.requests()) / REQUESTS {
        return 0;
    }
    surprises.iter().filter(|surprise| is_late_or_early(events, hypothesis, surprise, reach)).count()
}

/// Whether a surprise is none if its request was decided up to so much earlier or later.
fn is_late_or_early(events: &Events, hypothesis: &Hypothesis, surprise: &Surprise, reach: Duration) -> bool {
    SHIFTS.iter().any(|shift| {
        let by = reach.mul_f64(*shift);
        [surprise.at.saturating_sub(by), surprise.at + by].into_iter().any(|at| {
            let mut replay = replayed_with(events, hypothesis, |event| event.at < at && event.at != surprise.at);
            let margin = replay.margin(at);
            !is_surprise(admission(if surprise.admitted { margin } else { -margin }, surprise.sigma))
        })
    })
}

/// The seconds in which a limiter changes what it allows: a window as a whole, others from one request to the next.
fn changes_in(theory: &Theory) -> f64 {
    match theory.rate() {
        Some(rate) if theory.kind.is_bucket() || theory.kind.is_counter() => 1.0 / rate,
        _ => theory.recovery(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::log::{Answer, Observation};
    use crate::profile::score::{Terms, score};
    use crate::profile::theory::{Family, Kind};

    /// What a window of 10 per 200 ms decides that is asked every 5 ms, and so many of whose windows are late by some
    /// milliseconds; how many of these outcomes surprise the kind, and how many of those are explained.
    fn surprises(late: u64, windows: u32) -> (usize, usize) {
        let mut began = None::<u64>;
        let (mut count, mut turns) = (0, 0);
        let log = (0..800).map(|n| {
            let at = n * 5;
            let length = 200 + if (1..=windows).contains(&turns) { late } else { 0 };
            if began.is_none_or(|began| at >= began + length) {
                (began, count, turns) = (Some(at), 0, turns + 1);
            }
            count += 1;
            let answer = if count <= 10 { Answer::Admitted } else { Answer::Refused { retry_after: None } };
            let [at, received] = [at, at + 1].map(Duration::from_millis);
            Observation { key: 0, due: at, sent: at, received, answer }
        });
        let mut events = Events::of(&log.collect());
        events.stall = STALL;
        let kind = Kind::plain(Family::FirstRequestWindow);
        let hypothesis = Hypothesis::single(Theory { kind, limit: 10, time: 0.2, phase: 0.0, tick: 0.0, penalty: 0.0 });
        let found = score(&events, &hypothesis, Terms { blur: 0.0, floor: f64::NEG_INFINITY }).unwrap();
        (found.surprises.len(), explained(&events, &hypothesis, &found.surprises))
    }

    #[test]
    fn windows_that_are_late_by_a_moment_now_and_then_are_explained() {
        assert_eq!(surprises(0, 0), (0, 0));
        assert_eq!(surprises(8, 1), (1, 1));
        assert_eq!(surprises(8, 3), (3, 3));
    }

    #[test]
    fn windows_that_are_late_by_more_or_time_and_again_are_not() {
        assert_eq!(surprises(30, 1), (5, 2));
        assert_eq!(surprises(8, 10), (10, 0));
    }
}
