//! What the tests of the models share: random arrivals, and the check of a model against its definition.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::exact::nanos;
use super::{Admission, Arrival, Limiter, Model, Slow, State};
use crate::units::Rate;

/// A request of a random script.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// The time since the request before, in thousandths of the model's time.
    gap: u64,
    pub(super) cost: u32,
    /// Whether it passes whatever the limiter says, as when a log is replayed.
    pub(super) forced: bool,
}

/// Few units in times that they do and do not divide evenly, down to a nanosecond.
pub(super) fn rates() -> impl Strategy<Value = Rate> {
    let per = prop_oneof![Just(1_000_000_000), Just(999_999_937), Just(60_000_000_000), Just(1_009), 1..20_u64];
    (1..12_u32, per).prop_map(|(count, per)| rate(count, per))
}

/// So many units per so many nanoseconds.
pub(super) fn rate(count: u32, per_ns: u64) -> Rate {
    Rate::new(NonZeroU32::new(count).unwrap(), Duration::from_nanos(per_ns)).unwrap()
}

/// Few units.
pub(super) fn bursts() -> impl Strategy<Value = NonZeroU32> {
    (1..9_u32).prop_map(|burst| NonZeroU32::new(burst).unwrap())
}

/// Scripts that are dense, sparse and in between, with requests at once and just one window apart.
pub(super) fn scripts() -> impl Strategy<Value = Vec<Step>> {
    let dense = prop_oneof![3 => Just(0), 4 => 0..80_u64, 1 => Just(1_000)];
    let sparse = prop_oneof![1 => Just(0), 2 => 0..400_u64, 1 => 0..3_000_u64, 1 => Just(1_000)];
    let costs = || prop_oneof![5 => Just(1), 2 => 1..4_u32, 1 => 1..15_u32];
    let forced = || prop::bool::weighted(0.1);
    let steps = |gaps: BoxedStrategy<u64>| prop::collection::vec((gaps, costs(), forced()), 1..120);
    prop_oneof![steps(dense.boxed()), steps(sparse.boxed())]
        .prop_map(|steps| steps.into_iter().map(|(gap, cost, forced)| Step { gap, cost, forced }).collect())
}

/// The arrivals of a script for a model, each with whether it is forced.
pub(super) fn arrivals(model: Model, script: &[Step]) -> impl Iterator<Item = (Arrival, bool)> {
    let per = match model {
        Model::FirstRequestWindow { rate }
        | Model::ClockWindow { rate }
        | Model::SlidingLog { rate }
        | Model::SlidingCounter { rate }
        | Model::FlooredCounter { rate }
        | Model::AnchoredCounter { rate }
        | Model::TokenBucket { rate, .. }
        | Model::TickingBucket { rate, .. }
        | Model::Gcra { rate, .. }
        | Model::LeakyMeter { rate, .. }
        | Model::LeakyQueue { rate, .. } => nanos(rate.per()),
        Model::Concurrency { .. } => 1_000,
    };
    script.iter().scan(0, move |at, step| {
        *at += per * step.gap / 1_000;
        Some((Arrival { at: Duration::from_nanos(*at), cost: step.cost }, step.forced))
    })
}

/// Judges an arrival and notes what comes of it, in its favour where it is forced; says what was judged.
pub(super) fn step(limiter: &Limiter, state: &mut State, (arrival, forced): (Arrival, bool)) -> Admission {
    let admission = limiter.judge(state, arrival);
    if forced || matches!(admission, Admission::Admitted { .. }) {
        limiter.note_admitted(state, arrival);
    } else {
        limiter.note_refused(state, arrival, true);
    }
    admission
}

/// Checks a model against the units by which a request is over the quota: a function of the requests noted before, as
/// pairs of instant and cost, of the instant and of the cost. It refuses what is over, also after forced admissions,
/// and delays it under soft throttling. Where refused requests count, they are among those noted; not so for buckets,
/// whose debt is bounded.
pub(super) fn check(
    model: Model,
    script: &[Step],
    over: impl Fn(&[(u64, u64)], u64, u64) -> u64,
) -> Result<(), TestCaseError> {
    const SLOW: Slow = Slow { by: Duration::from_millis(3), most: Duration::from_millis(25) };
    let limiter = Limiter::new(model);
    let slow = Limiter { slow: Some(SLOW), ..limiter };
    let counting = Limiter { counts_refused: burst_of(model).is_none(), ..limiter };
    for limiter in [limiter, slow, counting] {
        let (mut state, mut noted) = (limiter.fresh(), Vec::new());
        for (arrival, forced) in arrivals(model, script) {
            let (at, cost) = (nanos(arrival.at), u64::from(arrival.cost));
            let over = over(&noted, at, cost);
            let admission = step(&limiter, &mut state, (arrival, forced));
            match admission {
                Admission::Refused { .. } => prop_assert!(limiter.slow.is_none() && over > 0, "refused {arrival:?}"),
                Admission::Admitted { delay } if limiter.slow.is_some() => {
                    let expected = SLOW.by.saturating_mul(u32::try_from(over).unwrap()).min(SLOW.most);
                    prop_assert_eq!(delay, expected, "{:?} is {} over", arrival, over);
                }
                Admission::Admitted { delay } => {
                    prop_assert_eq!(over, 0, "admitted {:?}", arrival);
                    prop_assert_eq!(delay, Duration::ZERO);
                }
            }
            if forced || limiter.counts_refused || matches!(admission, Admission::Admitted { .. }) {
                noted.push((at, cost));
            }
        }
    }
    Ok(())
}

/// The burst of a model that has one.
fn burst_of(model: Model) -> Option<NonZeroU32> {
    match model {
        Model::TokenBucket { burst, .. }
        | Model::TickingBucket { burst, .. }
        | Model::Gcra { burst, .. }
        | Model::LeakyMeter { burst, .. }
        | Model::LeakyQueue { burst, .. } => Some(burst),
        _ => None,
    }
}

/// The cost of all requests whose instants fulfil a condition.
pub(super) fn cost_of(noted: &[(u64, u64)], condition: impl Fn(u64) -> bool) -> u64 {
    noted.iter().filter(|(at, _)| condition(*at)).map(|(_, cost)| cost).sum()
}
