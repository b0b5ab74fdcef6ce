//! Logs of servers whose key others use, too: what explains them, and what does not.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::super::log::{Answer, Log, Observation};
use super::super::theory::seconds;
use super::*;
use crate::quota::{Admission, Arrival};

fn theory(family: Family, limit: u32, time: f64) -> Theory {
    Theory { kind: Kind::plain(family), limit, time, phase: 0.0, tick: 0.0, penalty: 0.0 }
}

/// A burst and polls, a pause, and so on for some time: what came of them beside so many requests per second of others.
fn log(truth: &Theory, others: f64, shed: f64) -> Log {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    let limiter = truth.limiter();
    let mut state = limiter.fresh();
    let quota = truth.recovery();
    let mut instants: Vec<(f64, bool)> = Vec::new();
    for round in 0..8_u32 {
        let begin = quota * 2.3 * f64::from(round) + quota;
        instants.extend((0..truth.limit + 4).map(|n| (begin + f64::from(n) * 0.002, true)));
        instants.extend((0..60).map(|n| (begin + 0.1 + f64::from(n) * quota / 40.0, true)));
    }
    let end = quota * 21.0;
    let mut at = 0.0;
    while others > 0.0 && at < end {
        at -= (1.0 - random.random::<f64>()).ln() / others;
        instants.push((at, false));
    }
    instants.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut decide = |at: f64| {
        let arrival = Arrival { at: seconds(at), cost: 1 };
        let is_shed = random.random::<f64>() < shed;
        let admitted = !is_shed && matches!(limiter.judge(&state, arrival), Admission::Admitted { .. });
        if admitted {
            limiter.note_admitted(&mut state, arrival);
        }
        admitted
    };
    let decided: Vec<_> = instants.into_iter().map(|(at, is_own)| (at, is_own, decide(at))).collect();
    let observation = |(at, _, admitted): (f64, bool, bool)| {
        let sent = seconds(at).saturating_sub(Duration::from_millis(1));
        let answer = if admitted { Answer::Admitted } else { Answer::Refused { retry_after: None } };
        Observation { key: 0, due: sent, sent, received: seconds(at + 0.001), answer }
    };
    decided.into_iter().filter(|(_, is_own, _)| *is_own).map(observation).collect()
}

fn likely(log: &Log, theory: Theory, others: f64) -> Score {
    Crowded { theory, others }.score(&Events::of(log), 0.0, f64::NEG_INFINITY).unwrap()
}

#[test]
fn what_others_send_explains_refusals_by_the_right_kind_and_by_no_other() {
    let kinds = [
        theory(Family::FirstRequestWindow, 30, 3.0),
        theory(Family::SlidingLog, 30, 3.0),
        theory(Family::TokenBucket, 30, 0.1),
    ];
    for truth in kinds {
        for share in [0.2, 0.5] {
            let others = share * 10.0;
            let log = log(&truth, others, 0.0);
            let found = likely(&log, truth, others);
            let open = OPEN * rivals::coin(&Events::of(&log));
            assert!(found.log_likelihood > open, "{truth:?} {share} {found:?} {open}");
            for other in kinds.into_iter().filter(|other| other.kind != truth.kind) {
                let wrong = likely(&log, other, others);
                assert!(wrong.log_likelihood < found.log_likelihood - 30.0, "{truth:?} {share} {other:?} {wrong:?}");
            }
        }
    }
}

#[test]
fn a_limit_that_is_far_too_low_or_too_high_explains_less() {
    let truth = theory(Family::FirstRequestWindow, 30, 3.0);
    let log = log(&truth, 2.0, 0.0);
    let found = likely(&log, truth, 2.0);
    for limit in [24, 36] {
        let wrong = likely(&log, Theory { limit, ..truth }, 2.0);
        assert!(wrong.log_likelihood < found.log_likelihood - 10.0, "{limit} {wrong:?} {found:?}");
    }
}

#[test]
fn refusals_at_random_are_not_explained_by_others() {
    let small = theory(Family::FirstRequestWindow, 30, 3.0);
    let log = log(&small, 0.0, 0.3);
    for truth in [small, theory(Family::SlidingLog, 30, 3.0), theory(Family::TokenBucket, 30, 0.1)] {
        for others in [0.5, 2.0, 8.0] {
            let found = likely(&log, truth, others);
            let is_explained =
                found.surprises.len() <= 3 && found.log_likelihood > OPEN * rivals::coin(&Events::of(&log));
            assert!(!is_explained, "{truth:?} {others} {found:?}");
        }
    }
}
