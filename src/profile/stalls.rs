//! Outcomes that a limiter brings only if it, or this machine, stood still for a moment.

use std::time::Duration;

use super::clues::real;
use super::events::Events;
use super::replay::Replay;
use super::score::{Surprise, admission, is_surprise, replayed_with};
use super::theory::{Family, Hypothesis, Theory};

/// A late timer, a thread that had to wait or a collector of garbage may make a decision so much earlier or later than it
/// should be.
pub const STALL: Duration = Duration::from_millis(10);

/// By no more than this share of the time in which a limiter changes, since else any kind would explain anything.
const PART: f64 = 0.05;

/// Where in this time an outcome is tried, early and late.
const SHIFTS: [f64; 3] = [0.25, 0.5, 1.0];

/// One stall is allowed, and one more for so many requests.
const REQUESTS: f64 = 300.0;

/// Of the outcomes that surprise a hypothesis, how many would not if their requests had been decided a moment earlier or
/// later; none where there were more such moments than chance brings, and none of two limiters: with so many parameters, and
/// a stall, a wrong pair explains what the right one does.
pub(super) fn explained(events: &Events, hypothesis: &Hypothesis, surprises: &[Surprise]) -> usize {
    let [theory] = hypothesis.tiers[..] else {
        return 0;
    };
    let reach = events.stall.min(Duration::try_from_secs_f64(changes_in(&theory) * PART).unwrap_or(events.stall));
    if reach.is_zero() || real(moments(surprises, reach)) > 1.0 + real(events.requests()) / REQUESTS {
        return 0;
    }
    surprises.iter().filter(|surprise| is_late_or_early(events, hypothesis, surprise, reach)).count()
}

/// The moments of a length into which surprises fall.
fn moments(surprises: &[Surprise], length: Duration) -> usize {
    let mut instants: Vec<_> = surprises.iter().map(|surprise| surprise.at).collect();
    instants.sort_unstable();
    let mut until = None;
    let mut count = 0;
    for at in instants {
        if until.is_none_or(|until| at > until) {
            until = Some(at + length);
            count += 1;
        }
    }
    count
}

/// Whether a surprise is none if the limiter decided it up to so much earlier or later.
fn is_late_or_early(events: &Events, hypothesis: &Hypothesis, surprise: &Surprise, reach: Duration) -> bool {
    let is_usual = |mut replay: Replay, at: Duration| {
        let margin = replay.margin(at);
        !is_surprise(admission(if surprise.admitted { margin } else { -margin }, surprise.sigma))
    };
    let mut is_own = true;
    let before = replayed_with(events, hypothesis, |event| {
        let is_it = event.at == surprise.at && event.admitted == Some(surprise.admitted);
        event.at <= surprise.at && !(is_it && std::mem::take(&mut is_own))
    });
    SHIFTS.iter().any(|shift| {
        let by = reach.mul_f64(*shift);
        if surprise.admitted {
            return is_usual(before.clone(), surprise.at + by);
        }
        // A refusal may have been decided before what was admitted meanwhile. An admission may not: whatever is admitted
        // beyond a limit would then have come first.
        let early = surprise.at.saturating_sub(by);
        is_usual(before.clone(), early) || is_usual(replayed_with(events, hypothesis, |event| event.at < early), early)
    })
}

/// The seconds in which a limiter changes what it allows: a window as a whole, others from one request to the next.
fn changes_in(theory: &Theory) -> f64 {
    let Some(rate) = theory.rate() else {
        return 0.0;
    };
    let is_window = matches!(theory.kind.family, Family::FirstRequestWindow | Family::ClockWindow);
    let change = if is_window { theory.time } else { 1.0 / rate };
    if theory.kind.blocks() { change.min(theory.penalty) } else { change }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::log::{Answer, Log, Observation};
    use crate::profile::score::{Terms, score};
    use crate::profile::theory::Kind;

    /// As [`told`], of a window of 10 per 200 ms that is asked every 5 ms, and so many of whose windows are late by some
    /// milliseconds.
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
        told(&log.collect())
    }

    /// How many outcomes surprise a window of 10 per 200 ms, and how many of these are explained.
    fn told(log: &Log) -> (usize, usize) {
        let events = Events::of(log).forgiving(STALL);
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
    fn windows_that_are_late_time_and_again_are_not_and_of_one_that_is_later_only_the_first_moment_is() {
        assert_eq!(surprises(8, 10), (10, 0));
        assert_eq!(surprises(30, 1), (5, 2));
    }

    #[test]
    fn what_is_admitted_beyond_a_limit_is_not_explained_by_having_come_first() {
        let window = |began: u64| {
            let answer = |n: u64| if n < 14 { Answer::Admitted } else { Answer::Refused { retry_after: None } };
            (0..30).map(move |n| (began + n / 5, answer(n)))
        };
        let observation = |(at, answer): (u64, Answer)| {
            let [at, received] = [at, at + 1].map(Duration::from_millis);
            Observation { key: 0, due: at, sent: at, received, answer }
        };
        let log: Log = (0..20).flat_map(|n| window(n * 250)).map(observation).collect();
        let (found, explained) = told(&log);
        assert!(found >= 60, "{found}");
        assert_eq!(explained, 0);
        // Seldom enough to be a stall, if it were one.
        let (found, explained) = told(&log.observations().iter().copied().take(30).collect());
        assert!(found >= 3, "{found}");
        assert_eq!(explained, 0);
    }

    #[test]
    fn moments_are_no_longer_than_a_stall_whatever_the_order() {
        let at = |ms: u64| Surprise { at: Duration::from_millis(ms), sigma: 0.001, admitted: true };
        let length = Duration::from_millis(10);
        assert_eq!(moments(&[], length), 0);
        assert_eq!(moments(&[at(1_500), at(1_000)], length), 2);
        assert_eq!(moments(&[at(0), at(9), at(18), at(27)], length), 2);
    }
}
