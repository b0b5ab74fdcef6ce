//! What holds of the inference whatever the limiter and whatever was seen.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::course::{Course, Leg, Step, Stop};
use super::events::Events;
use super::fit::{fit, kinds};
use super::log::{Answer, Log, Observation};
use super::replay::{Replay, Request};
use super::score::{Terms, score};
use super::theory::{Family, Hypothesis, Kind, Theory};
use crate::quota::{Admission, Arrival};

/// Every kind but those of what is in flight, which an arrival alone says nothing of.
fn timed_kinds() -> Vec<Kind> {
    let mut kinds = kinds();
    kinds.retain(|kind| kind.family != Family::Concurrency);
    kinds.push(Kind::plain(Family::LeakyQueue));
    kinds
}

fn theories() -> impl Strategy<Value = Theory> {
    prop::sample::select(timed_kinds()).prop_flat_map(theories_of)
}

fn theories_of(kind: Kind) -> impl Strategy<Value = Theory> {
    let numbers = (2..30_u32, 0.2..20.0_f64, 0.0..1.0_f64, 0.05..0.5_f64, 0.1..3.0_f64);
    numbers.prop_map(move |(limit, window, phase, tick, penalty)| {
        let time = if kind.is_bucket() { window / f64::from(limit) } else { window };
        let theory = Theory { kind, limit, time, phase: 0.0, tick: tick * window, penalty: penalty * window };
        Theory { phase: theory.cycle().map_or(0.0, |cycle| cycle * phase), ..theory }
    })
}

/// Gaps between requests in milliseconds: none, short ones and long ones.
fn gaps() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![Just(0), 1..50_u64, 50..5_000_u64], 1..150)
}

fn instants(gaps: &[u64]) -> impl Iterator<Item = Duration> + '_ {
    gaps.iter().scan(Duration::ZERO, |now, gap| {
        *now += Duration::from_millis(*gap);
        Some(*now)
    })
}

fn observation(sent: Duration, received: Duration, answer: Answer) -> Observation {
    Observation { key: 0, due: sent, sent, received, answer }
}

/// What a limiter decides, its arrivals seen as they are.
fn decided_by(theory: &Theory, gaps: &[u64]) -> Log {
    let limiter = theory.limiter();
    let mut state = limiter.fresh();
    let shift = theory.cycle().map_or(0.0, |cycle| cycle - theory.phase.rem_euclid(cycle));
    let decide = |at: Duration| {
        let arrival = Arrival { at: at + Duration::from_secs_f64(shift), cost: 1 };
        if matches!(limiter.judge(&state, arrival), Admission::Admitted { .. }) {
            limiter.note_admitted(&mut state, arrival);
            return observation(at, at, Answer::Admitted);
        }
        limiter.note_refused(&mut state, arrival, true);
        observation(at, at, Answer::Refused { retry_after: None })
    };
    instants(gaps).map(decide).collect()
}

/// Anything that may be seen, over up to thirty years.
fn observations() -> impl Strategy<Value = Vec<Observation>> {
    let answer = prop_oneof![
        4 => Just(Answer::Admitted),
        4 => Just(Answer::Refused { retry_after: None }),
        1 => Just(Answer::Failed),
        1 => Just(Answer::Lost),
    ];
    let nanos = prop_oneof![Just(0), 0..10_000_000_000_u64, 0..1_000_000_000_000_000_000_u64];
    let trip = prop_oneof![Just(0), 0..300_000_000_u64, 0..100_000_000_000_000_u64];
    let one = (nanos, trip, answer).prop_map(|(sent, trip, answer)| {
        observation(Duration::from_nanos(sent), Duration::from_nanos(sent + trip), answer)
    });
    prop::collection::vec(one, 0..30)
}

/// Tries limiters of each kind, and requests.
fn of_each_kind(check: impl Fn(Theory, Vec<u64>) -> Result<(), TestCaseError>) {
    for kind in timed_kinds() {
        let cases = TestRunner::default().run(&(theories_of(kind), gaps()), |(theory, gaps)| check(theory, gaps));
        cases.unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
}

#[test]
fn what_a_limiter_of_any_kind_decided_never_surprises_its_own_hypothesis() {
    of_each_kind(|theory, gaps| {
        let events = Events::of(&decided_by(&theory, &gaps));
        let terms = Terms { blur: 0.0, floor: f64::NEG_INFINITY };
        let found = score(&events, &Hypothesis::single(theory), terms).unwrap();
        prop_assert_eq!(found.surprises, vec![]);
        Ok(())
    });
}

#[test]
fn a_margin_is_not_below_zero_exactly_where_a_limiter_of_any_kind_admits() {
    of_each_kind(|theory, gaps| {
        let log = decided_by(&theory, &gaps);
        let mut replay = Replay::new(&Hypothesis::single(theory));
        for observation in log.observations() {
            let admitted = observation.answer == Answer::Admitted;
            prop_assert_eq!(replay.margin(observation.sent) >= 0.0, admitted);
            let at = observation.sent;
            replay.note(Request { at, done: at, count: 1, slack: 0.0 }, admitted);
        }
        Ok(())
    });
}

proptest! {
    #[test]
    fn a_score_above_the_floor_is_what_it_is_without(
        theory in theories(), other in theories(), gaps in gaps(), blur in prop_oneof![Just(0.0), 0.001..1.0_f64],
        floor in -300.0..0.0_f64,
    ) {
        let events = Events::of(&decided_by(&theory, &gaps));
        let hypothesis = Hypothesis::single(other);
        let all = score(&events, &hypothesis, Terms { blur, floor: f64::NEG_INFINITY }).unwrap();
        let expected = (all.log_likelihood >= floor).then_some(all);
        prop_assert_eq!(score(&events, &hypothesis, Terms { blur, floor }), expected);
    }

    #[test]
    fn a_request_that_others_overtake_at_an_edge_is_no_surprise(
        stall in 1.0..30.0_f64, edge in 0.0..1.0_f64, held_up in 0.0..1.0_f64,
    ) {
        let theory = Theory { limit: 40, time: 0.1, kind: Kind::plain(Family::FirstRequestWindow), phase: 0.0, tick: 0.0, penalty: 0.0 };
        let ms = |value: f64| Duration::from_secs_f64(value / 1e3);
        let refused = Answer::Refused { retry_after: None };
        // The window is used up at once. Of what is sent just before its end the first is held up, and of the others only
        // the answers.
        let mut log: Vec<_> = (0..40).map(|_| observation(ms(0.0), ms(0.0), Answer::Admitted)).collect();
        log.extend((1..60).map(|n| observation(ms(f64::from(n)), ms(f64::from(n)), refused)));
        let began = 100.0 - edge * stall;
        for n in 0..40_u32 {
            let sent = began + 1.5 * f64::from(n);
            let received = (began + stall).max(sent);
            let arrived = sent + (received - sent) * if n == 0 { held_up } else { 0.0 };
            log.push(observation(ms(sent), ms(received), if arrived < 100.0 { refused } else { Answer::Admitted }));
        }
        let events = Events::of(&log.into_iter().collect());
        let terms = Terms { blur: 0.0, floor: f64::NEG_INFINITY };
        let found = score(&events, &Hypothesis::single(theory), terms).unwrap();
        prop_assert_eq!(found.surprises, vec![]);
    }

    #[test]
    fn a_course_never_sends_more_than_it_says(
        most in 0..200_u32, first in 1..50_u32, refusals in 1..6_u32, count in 0..60_u32,
        answers in prop::collection::vec(any::<Option<bool>>(), 1..50),
    ) {
        let legs = [
            Leg::Burst { most, first, refusals },
            Leg::Polls { gap: Duration::from_millis(3), growth: 1.1, count, stop: Stop::Admitted },
        ];
        let mut course = Course::new(legs, 64, Duration::from_millis(20));
        let mut answers = answers.iter().cycle();
        let (mut now, mut sent) = (Duration::ZERO, 0);
        loop {
            match course.next(now) {
                Step::Send(at, many, _) => {
                    now = now.max(at);
                    course.sent(now, many);
                    sent += many;
                    prop_assert!(many <= 64 && sent <= most + count, "{sent} of {most} and {count}");
                    for answer in answers.by_ref().take(usize::try_from(many).unwrap()) {
                        course.answered(now, *answer);
                    }
                }
                Step::Await(until) => now = until,
                Step::Over => break,
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_fit_of_anything_that_may_be_seen_comes_to_an_end(observations in observations()) {
        for fit in fit(&observations.into_iter().collect()) {
            prop_assert!(fit.log_likelihood <= 0.0, "{fit:?}");
        }
    }
}
