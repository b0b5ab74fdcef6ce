//! What holds for every model under every option.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;

use super::scripts::{arrivals, bursts, rate, rates, scripts, step};
use super::{Admission, Arrival, Limiter, Model, Opening, Slow, State, Usage};
use crate::units::Rate;

const NANO: Duration = Duration::from_nanos(1);

/// Longer than any of the scripts and any of their models.
const FOREVER: Duration = Duration::from_hours(24 * 365);

fn models() -> impl Strategy<Value = Model> {
    (0..12_u32, rates(), bursts()).prop_map(|(which, rate, burst)| model(which, rate, burst))
}

fn model(which: u32, rate: Rate, burst: NonZeroU32) -> Model {
    match which {
        0 => Model::FirstRequestWindow { rate },
        1 => Model::ClockWindow { rate },
        2 => Model::SlidingLog { rate },
        3 => Model::SlidingCounter { rate },
        4 => Model::TokenBucket { rate, burst },
        5 => Model::Gcra { rate, burst },
        6 => Model::LeakyMeter { rate, burst },
        7 => Model::LeakyQueue { rate, burst },
        8 => Model::FlooredCounter { rate },
        9 => Model::AnchoredCounter { rate },
        10 => Model::TickingBucket { rate, burst, tick: rate.per().min(Duration::from_millis(700)) },
        _ => Model::Concurrency { limit: burst },
    }
}

fn limiters() -> impl Strategy<Value = Limiter> {
    let penalties = prop_oneof![2 => Just(0), 1 => 1..5_000_u64, 1 => 1..3_000_000_000_u64];
    let slow = prop_oneof![4 => Just(None), 1 => (0..50_u64, 0..900_u64).prop_map(|(by, most)| {
        Some(Slow { by: Duration::from_millis(by), most: Duration::from_millis(most) })
    })];
    (models(), any::<bool>(), (penalties, any::<bool>()), slow).prop_map(|(model, counts_refused, penalty, slow)| {
        Limiter { model, counts_refused, penalty: Duration::from_nanos(penalty.0), penalty_extends: penalty.1, slow }
    })
}

fn admits(limiter: &Limiter, state: &State, arrival: Arrival) -> bool {
    matches!(limiter.judge(state, arrival), Admission::Admitted { .. })
}

/// Whether a refusal is what it says: nothing is admitted before its instant, and the same request is from then on.
fn is_exact(limiter: &Limiter, state: &State, arrival: Arrival) -> bool {
    let Admission::Refused { until } = limiter.judge(state, arrival) else {
        return true;
    };
    let judge_at = |at| limiter.judge(state, Arrival { at, ..arrival });
    match until {
        None => judge_at(arrival.at + FOREVER) == Admission::Refused { until },
        Some(until) => {
            let admitted = |at| admits(limiter, state, Arrival { at, ..arrival });
            let before = until.saturating_sub(NANO);
            let middle = arrival.at + before.saturating_sub(arrival.at) / 2;
            arrival.at < until
                && judge_at(before) == Admission::Refused { until: Some(until) }
                && judge_at(middle) == Admission::Refused { until: Some(until) }
                && [until, until + NANO, until + FOREVER].into_iter().all(admitted)
        }
    }
}

proptest! {
    #[test]
    fn the_same_request_is_admitted_from_the_instant_that_its_refusal_named_and_not_before(
        limiter in limiters(), script in scripts(),
    ) {
        let mut state = limiter.fresh();
        for (arrival, forced) in arrivals(limiter.model, &script) {
            prop_assert!(is_exact(&limiter, &state, arrival), "{:?} of {:?}", arrival, state);
            step(&limiter, &mut state, (arrival, forced));
            prop_assert!(is_exact(&limiter, &state, arrival), "{:?} of {:?}, once noted", arrival, state);
        }
    }

    #[test]
    fn what_remains_is_the_largest_cost_that_is_admitted(limiter in limiters(), script in scripts()) {
        let limiter = Limiter { slow: None, ..limiter };
        let mut state = limiter.fresh();
        for (arrival, forced) in arrivals(limiter.model, &script) {
            step(&limiter, &mut state, (arrival, forced));
            let Usage { limit, remaining, .. } = limiter.usage(&state, arrival.at);
            prop_assert!(remaining <= limit);
            let admitted = |cost| admits(&limiter, &state, Arrival { cost, ..arrival });
            prop_assert!(remaining == 0 || admitted(remaining));
            prop_assert!(!admitted(remaining + 1));
        }
    }

    #[test]
    fn an_idle_state_is_as_good_as_a_fresh_one(limiter in limiters(), script in scripts()) {
        let (mut used, mut fresh) = (limiter.fresh(), None);
        for (arrival, forced) in arrivals(limiter.model, &script) {
            if limiter.is_idle(&used, arrival.at) {
                fresh = Some(limiter.fresh());
            }
            let told = step(&limiter, &mut used, (arrival, forced));
            if let Some(fresh) = &mut fresh {
                prop_assert_eq!(step(&limiter, fresh, (arrival, forced)), told);
                prop_assert_eq!(limiter.usage(fresh, arrival.at), limiter.usage(&used, arrival.at));
                prop_assert_eq!(limiter.is_idle(fresh, arrival.at), limiter.is_idle(&used, arrival.at));
            }
        }
    }

    #[test]
    fn a_state_is_idle_from_its_reset_on_and_not_before(limiter in limiters(), script in scripts()) {
        let mut state = limiter.fresh();
        prop_assert!(limiter.is_idle(&state, Duration::ZERO));
        for (arrival, forced) in arrivals(limiter.model, &script) {
            step(&limiter, &mut state, (arrival, forced));
            if let Model::Concurrency { .. } = limiter.model {
                limiter.note_done(&mut state, u32::MAX);
            }
            let reset = limiter.usage(&state, arrival.at).reset;
            let idle = |after| limiter.is_idle(&state, arrival.at + after);
            prop_assert!(idle(reset), "not idle {:?} after {:?}: {:?}", reset, arrival.at, state);
            // A window on the clock lasts even if nothing is used of it.
            let may_be_idle = reset.is_zero() || matches!(limiter.model, Model::ClockWindow { .. });
            prop_assert!(may_be_idle || !idle(reset.saturating_sub(NANO)), "idle before {:?}: {:?}", reset, state);
        }
    }

    #[test]
    fn an_opening_is_where_refusals_turn_into_admissions(limiter in limiters(), script in scripts()) {
        let mut state = limiter.fresh();
        for (arrival, forced) in arrivals(limiter.model, &script) {
            let opening = limiter.opening(&state, arrival.cost);
            let told = limiter.judge(&state, arrival);
            prop_assert_eq!(opening.margin(arrival.at) >= 0.0, matches!(told, Admission::Admitted { .. }));
            match (opening, told) {
                (Opening::At(at), Admission::Refused { until }) => prop_assert_eq!(until, Some(at)),
                (Opening::At(at), Admission::Admitted { .. }) => {
                    let admitted_at = |at| admits(&limiter, &state, Arrival { at, ..arrival });
                    prop_assert!(admitted_at(at) && !admitted_at(at.saturating_sub(NANO)));
                }
                _ => {}
            }
            step(&limiter, &mut state, (arrival, forced));
        }
    }

    #[test]
    fn no_time_from_a_fresh_state_admits_more_than_the_bound(limiter in limiters(), script in scripts()) {
        let limiter = Limiter { slow: None, ..limiter };
        let (mut state, mut start, mut admitted) = (limiter.fresh(), None, 0);
        for (arrival, _) in arrivals(limiter.model, &script) {
            if let Admission::Admitted { .. } = step(&limiter, &mut state, (arrival, false)) {
                admitted += u64::from(arrival.cost);
            }
            let length = arrival.at.saturating_sub(*start.get_or_insert(arrival.at)) + NANO;
            let most = limiter.most_in(length);
            prop_assert!(most.is_none_or(|most| admitted <= most), "{} in {:?}, not {:?}", admitted, length, most);
            prop_assert_eq!(most.is_none(), matches!(limiter.model, Model::Concurrency { .. }));
        }
    }

    #[test]
    fn no_sequence_of_notes_overflows_and_to_ask_changes_nothing(
        which in 0..12_u32,
        rate in (prop_oneof![Just(1), Just(u32::MAX), 1..u32::MAX], times().prop_map(|per| per.max(NANO))),
        options in (any::<bool>(), times(), prop::option::of((times(), times()))),
        notes in prop::collection::vec((0..6_u32, times(), prop_oneof![Just(0), Just(1), Just(u32::MAX)]), 1..60),
    ) {
        let (count, (counts_refused, penalty, slow)) = (NonZeroU32::new(rate.0).unwrap(), options);
        let rate = Rate::new(count, rate.1).unwrap();
        let slow = slow.map(|(by, most)| Slow { by, most });
        let limiter = Limiter { counts_refused, penalty, slow, ..Limiter::new(model(which, rate, count)) };
        let mut state = limiter.fresh();
        for (note, at, cost) in notes {
            let arrival = Arrival { at, cost };
            match note {
                0 | 1 => limiter.note_admitted(&mut state, arrival),
                2 => limiter.note_refused(&mut state, arrival, true),
                3 => limiter.note_refused(&mut state, arrival, false),
                4 => limiter.note_done(&mut state, cost),
                _ => { step(&limiter, &mut state, (arrival, false)); }
            }
            let before = state.clone();
            let _ = (limiter.judge(&state, arrival), limiter.usage(&state, at), limiter.is_idle(&state, at));
            let _ = limiter.most_in(at);
            prop_assert_eq!(&state, &before);
        }
    }
}

/// Times of every order of magnitude, the longest that there is among them.
fn times() -> impl Strategy<Value = Duration> {
    let years = Just(FOREVER).prop_union(Just(500 * FOREVER)).or(Just(Duration::MAX));
    prop_oneof![Just(Duration::ZERO), (0..63_u32, 1..4_u64).prop_map(|(n, m)| Duration::from_nanos(m << n)), years]
}

#[test]
fn the_bounds_are_reached() {
    // Each model with the instants of the requests that use it best.
    let (rate, burst) = (rate(3, 10), NonZeroU32::new(5).unwrap());
    let cases: [(Model, &[u64]); 8] = [
        (Model::FirstRequestWindow { rate }, &[0, 0, 0, 10, 10, 10, 20, 20, 20]),
        (Model::ClockWindow { rate }, &[9, 9, 9, 10, 10, 10, 20, 20, 20]),
        (Model::SlidingLog { rate }, &[0, 0, 0, 10, 10, 10, 20, 20, 20]),
        (Model::SlidingCounter { rate }, &[0, 0, 0, 14, 17, 20]),
        (Model::TokenBucket { rate, burst }, &[0, 0, 0, 0, 0, 4, 7, 10, 14, 17, 20]),
        (Model::Gcra { rate, burst }, &[0, 0, 0, 0, 0, 4, 7, 10, 14, 17, 20]),
        (Model::LeakyMeter { rate, burst }, &[0, 0, 0, 0, 0, 4, 7, 10, 14, 17, 20]),
        (Model::LeakyQueue { rate, burst }, &[0, 0, 0, 0, 0, 0, 4, 7, 10, 14, 17, 20]),
    ];
    for (model, instants) in cases {
        let limiter = Limiter::new(model);
        let mut state = limiter.fresh();
        for at in instants {
            let arrival = Arrival { at: Duration::from_nanos(*at), cost: 1 };
            let admission = step(&limiter, &mut state, (arrival, false));
            assert!(matches!(admission, Admission::Admitted { .. }), "{model} at {at}");
        }
        let length = Duration::from_nanos(instants[instants.len() - 1] - instants[0] + 1);
        let admitted = u64::try_from(instants.len()).unwrap();
        match model {
            Model::SlidingCounter { .. } => assert!(limiter.most_in(length) >= Some(admitted), "{model}"),
            _ => assert_eq!(limiter.most_in(length), Some(admitted), "{model}"),
        }
    }
}

#[test]
fn a_penalty_is_not_extended_by_refusals_and_starts_with_refusals_of_its_own_only() {
    let model = Model::TokenBucket { rate: "10/s".parse().unwrap(), burst: NonZeroU32::MIN };
    let limiter = Limiter { penalty: Duration::from_secs(5), ..Limiter::new(model) };
    let mut state = limiter.fresh();
    let arrival = |ms| Arrival { at: Duration::from_millis(ms), cost: 1 };
    limiter.note_refused(&mut state, arrival(0), false);
    assert!(admits(&limiter, &state, arrival(1)), "the refusal was another limiter's");
    limiter.note_admitted(&mut state, arrival(1));
    limiter.note_refused(&mut state, arrival(50), true);
    limiter.note_refused(&mut state, arrival(4_000), true);
    let until = Some(Duration::from_millis(5_050));
    assert_eq!(limiter.judge(&state, arrival(4_000)), Admission::Refused { until });
    assert_eq!(
        limiter.usage(&state, Duration::from_millis(4_050)),
        Usage { limit: 1, remaining: 0, reset: Duration::from_secs(1) }
    );
    assert!(!limiter.is_idle(&state, Duration::from_millis(5_049)), "blocked");
    assert!(limiter.is_idle(&state, Duration::from_millis(5_050)));
    limiter.note_refused(&mut state, arrival(5_050), true);
    assert!(!limiter.is_idle(&state, Duration::from_millis(10_049)), "blocked anew");
}

#[test]
fn a_request_that_costs_more_than_the_quota_holds_is_never_admitted() {
    let burst = NonZeroU32::new(4).unwrap();
    for which in 0..12 {
        let limiter = Limiter::new(model(which, rate(4, 1_000), burst));
        let state = limiter.fresh();
        let most = limiter.usage(&state, Duration::ZERO).limit;
        let judge = |cost| limiter.judge(&state, Arrival { at: Duration::ZERO, cost });
        assert_eq!(judge(most), Admission::Admitted { delay: Duration::ZERO }, "{limiter}");
        assert_eq!(judge(most + 1), Admission::Refused { until: None }, "{limiter}");
    }
}
