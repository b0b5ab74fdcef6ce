//! Even spacing: tables, and properties against exact arithmetic of another kind.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

const NANOS_PER_S: u64 = 1_000_000_000;

const YEAR: Duration = Duration::from_hours(24 * 365);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn rate(text: &str) -> Option<Rate> {
    (text != "0").then(|| text.parse().unwrap())
}

fn hold(length: Duration, text: &str) -> RateStage {
    RateStage::Hold { length, rate: rate(text) }
}

fn ramp(length: Duration, text: &str) -> RateStage {
    RateStage::Ramp { length, to: rate(text) }
}

fn repeated(stages: &[RateStage], repeat: u32) -> Arrivals {
    Arrivals::new(stages, repeat.try_into().unwrap(), Spacing::Even).unwrap()
}

fn even(stages: &[RateStage]) -> Arrivals {
    repeated(stages, 1)
}

/// All due times in milliseconds, each of which is whole.
fn millis(arrivals: &Arrivals) -> Vec<u64> {
    let whole = |due: Duration| {
        assert_eq!(due.subsec_nanos() % 1_000_000, 0, "{due:?}");
        due.as_secs() * 1000 + u64::from(due.subsec_millis())
    };
    arrivals.cursor().map(|(_, due)| whole(due)).collect()
}

#[test]
fn a_constant_rate_is_evenly_spaced() {
    let arrivals = even(&[hold(s(60), "2000/s")]);
    for (n, due) in arrivals.cursor() {
        assert_eq!(due, Duration::from_micros(500 * n));
    }
    assert_eq!((arrivals.count(), arrivals.cursor().count()), (120_000, 120_000));
}

#[test]
fn a_rate_does_not_drift_in_a_year() {
    for (text, count, per) in [("3/s", 3, s(1)), ("1/h", 1, s(3600)), ("7/3s", 7, s(3)), ("99999/s", 99_999, s(1))] {
        let arrivals = even(&[hold(YEAR, text)]);
        let all = u64::try_from(YEAR.as_nanos() / per.as_nanos()).unwrap() * count;
        assert_eq!(arrivals.count(), all, "{text}");
        for n in [0, 1, 2, all / 3, all / 2 + 1, all - 2, all - 1] {
            let nanos = (u128::from(n) * per.as_nanos()).div_ceil(u128::from(count));
            assert_eq!(arrivals.due(n).unwrap().as_nanos(), nanos, "{text}, operation {n}");
        }
    }
}

#[test]
fn the_fastest_rate_is_exact_for_an_hour() {
    let arrivals = even(&[hold(s(3600), "100000/s")]);
    assert_eq!(arrivals.count(), 360_000_000);
    assert_eq!(arrivals.due(359_999_999), Some(Duration::from_micros(3_599_999_990)));
    assert_eq!(arrivals.due(360_000_000), None);
}

#[test]
fn a_ramp_from_zero_follows_the_square_root() {
    // 10/s after 10 s: t^2 / 2 operations after t seconds.
    let arrivals = even(&[ramp(s(10), "10/s")]);
    assert_eq!(arrivals.count(), 50);
    for (n, due) in [(0, s(0)), (2, s(2)), (8, s(4)), (18, s(6)), (32, s(8))] {
        assert_eq!(arrivals.due(n), Some(due));
    }
    assert_eq!(arrivals.due(1), Some(Duration::from_nanos(1_414_213_563)));
}

#[test]
fn a_ramp_to_zero_is_the_ramp_from_zero_backwards() {
    let down = even(&[hold(s(0), "10/s"), ramp(s(10), "0")]);
    assert_eq!(down.count(), 50);
    for (n, due) in [(0, s(0)), (18, s(2)), (32, s(4)), (42, s(6)), (48, s(8))] {
        assert_eq!(down.due(n), Some(due));
    }
}

#[test]
fn a_ramp_of_a_year_is_exact() {
    let (length, arrivals) = (YEAR.as_nanos(), even(&[ramp(YEAR, "1000/s")]));
    let down = even(&[hold(s(0), "1000/s"), ramp(YEAR, "0")]);
    let all = arrivals.count();
    assert_eq!(all, 1000 * YEAR.as_secs() / 2);
    for n in [0, 1, 2, 3, all / 1_000_000, all / 3, all / 2, all - 2, all - 1] {
        // rate x t^2 / (2 x length) = n, with a rate of 10^-6 per nanosecond.
        let square = 2_000_000 * length * u128::from(n);
        let root = square.isqrt();
        let expected = if root * root == square { root } else { root + 1 };
        assert_eq!(arrivals.due(n).unwrap().as_nanos(), expected, "operation {n}");
        // What is left on the way down is what has come on the way up.
        let left = (2_000_000 * length * u128::from(all - n)).isqrt();
        assert_eq!(down.due(n).unwrap().as_nanos(), length - left, "operation {n} downwards");
    }
}

#[test]
fn steps_and_spikes_are_holds() {
    assert_eq!(
        millis(&even(&[hold(s(2), "1/s"), hold(s(1), "4/s"), hold(s(2), "1/s")])),
        [0, 1000, 2000, 2250, 2500, 2750, 3000, 4000]
    );
}

#[test]
fn nothing_is_due_in_a_pause() {
    // Operation 2 would fall on the start of the pause: it opens the next stretch of work instead.
    let arrivals = even(&[hold(s(1), "0"), hold(s(2), "1/s"), hold(s(5), "0"), hold(s(2), "1/s")]);
    assert_eq!(millis(&arrivals), [1000, 2000, 8000, 9000]);
}

#[test]
fn a_fraction_carries_over_to_the_next_stage() {
    // 0.75 operations in the first stage, so a quarter is left to wait for in the second.
    let stages = [hold(Duration::from_millis(750), "1/s"), hold(s(1), "0"), hold(s(1), "1/s")];
    assert_eq!(millis(&even(&stages)), [0, 2000]);
}

#[test]
fn a_fraction_carries_over_to_the_next_repetition() {
    // 0.75 operations each time: 3 in four repetitions.
    let arrivals = repeated(&[hold(Duration::from_millis(750), "1/s"), hold(Duration::from_millis(250), "0")], 5);
    assert_eq!(millis(&arrivals), [0, 1250, 2500, 4000]);
}

#[test]
fn a_rare_operation_is_found_among_many_short_repetitions() {
    let arrivals = repeated(&[hold(Duration::from_millis(1), "1/h"), hold(Duration::from_millis(1), "0")], 10_800_000);
    assert_eq!(millis(&arrivals), [0, 7_200_000, 14_400_000]);
}

#[test]
fn a_schedule_without_a_rate_has_no_operations() {
    for stages in [&[][..], &[hold(s(0), "5/s")], &[hold(s(5), "0")], &[ramp(s(5), "0"), hold(s(1), "0")]] {
        let arrivals = repeated(stages, 3);
        assert_eq!((arrivals.count(), arrivals.due(0), arrivals.cursor().next()), (0, None, None));
        assert_eq!(arrivals.rate_at(s(1)).total_cmp(&0.0), Ordering::Equal);
    }
}

#[test]
fn nothing_is_due_at_the_end() {
    for (nanos, count) in
        [(1, 1), (333_333_333, 1), (333_333_334, 1), (333_333_335, 2), (1_000_000_000, 3), (1_000_000_001, 4)]
    {
        let length = Duration::from_nanos(nanos);
        // Operation 1 has its instant in the last nanosecond of 333,333,334, and would be rounded up to the end.
        let arrivals = even(&[hold(length, "3/s")]);
        assert_eq!(
            (arrivals.count(), arrivals.cursor().count()),
            (count, usize::try_from(count).unwrap()),
            "{length:?}"
        );
        assert!(arrivals.cursor().all(|(_, due)| due < length));
    }
}

#[test]
fn a_rate_is_told_for_every_time() {
    let arrivals = repeated(&[hold(s(2), "60/min"), ramp(s(4), "5/s"), hold(s(1), "0")], 2);
    let table = [(0, 1.0), (1, 1.0), (2, 1.0), (4, 3.0), (5, 4.0), (6, 0.0), (7, 1.0), (11, 3.0), (14, 0.0), (99, 0.0)];
    for (time, expected) in table {
        assert!((arrivals.rate_at(s(time)) - expected).abs() < 1e-12, "after {time} s");
    }
    assert_eq!((arrivals.max_rate(), arrivals.length()), (rate("5/s"), s(14)));
    assert_eq!(arrivals.rate_at(Duration::MAX).total_cmp(&0.0), Ordering::Equal);
}

#[test]
fn the_highest_rate_is_found_among_rates_of_different_units() {
    let arrivals = even(&[hold(s(1), "59/min"), ramp(s(1), "1/s"), hold(s(1), "3599/h"), hold(s(9), "0")]);
    assert_eq!(arrivals.max_rate(), rate("1/s"));
    let never_held = even(&[hold(s(0), "9/s"), hold(s(1), "1/s"), ramp(s(0), "5/s")]);
    assert_eq!(never_held.max_rate(), rate("1/s"));
    assert_eq!(even(&[hold(s(0), "9/s"), ramp(s(1), "1/s")]).max_rate(), rate("9/s"));
}

#[test]
fn what_cannot_be_exact_is_refused() {
    let refused = |stages: &[RateStage], repeat: u32| {
        Arrivals::new(stages, repeat.try_into().unwrap(), Spacing::Even).unwrap_err().to_string()
    };
    let fast = refused(&[hold(s(1), "100000/s"), ramp(s(1), "100001/s")], 1);
    assert!(fast.starts_with("100001/s is more than 100000/s"), "{fast}");
    let prime = |per: u64| Rate::new(1.try_into().unwrap(), Duration::from_nanos(per));
    let primes = [999_999_937, 999_999_929, 999_999_893].map(|per| RateStage::Ramp { length: s(1), to: prime(per) });
    let uneven = refused(&primes, 1);
    assert!(uneven.starts_with("1/999ms999us893ns does not go with"), "{uneven}");
    assert!(Arrivals::new(&primes[..2], NonZeroU32::MIN, Spacing::Even).is_ok());
    for long in [refused(&[hold(Duration::MAX, "1/s")], 1), refused(&[hold(YEAR, "1/s")], 600)] {
        assert!(long.starts_with("the stages last longer than 584 years"), "{long}");
    }
}

#[test]
fn the_extremes_stay_exact() {
    // The least common rate that is allowed, the fastest rates and the longest schedule.
    let odd = |count: u32, per: u64| Rate::new(count.try_into().unwrap(), Duration::from_nanos(per));
    let (slow, fast) = (odd(1, 3_000_000_019), odd(299_999, 2_999_999_997));
    let year = [RateStage::Ramp { length: YEAR, to: fast }, RateStage::Ramp { length: YEAR, to: slow }];
    let arrivals = repeated(&year, 290);
    let (count, mut before) = (arrivals.count(), Duration::ZERO);
    for n in (0..1000).map(|i| count / 1000 * i).chain([count - 1]) {
        let due = arrivals.due(n).unwrap();
        assert!(n == 0 || due > before, "operation {n}");
        before = due;
    }
    assert!(arrivals.due(count).is_none() && before < arrivals.length());
}

#[test]
fn a_worker_that_does_not_exist_has_no_operations() {
    let arrivals = even(&[hold(s(1), "5/s")]);
    assert_eq!(arrivals.share(3, NonZeroUsize::new(3).unwrap()).next(), None);
    let mut last = arrivals.share(usize::MAX - 1, NonZeroUsize::MAX);
    assert_eq!((last.next(), last.next()), (None, None));
}

/// The integral of the rate by the textbook, in fractions over the common time of all rates of the properties.
struct Textbook {
    /// Length, and the rates at both ends in events per [`COMMON`].
    lines: Vec<(i128, i128, i128)>,
}

/// A whole multiple of 1 s, 3 s, 7 s, a minute and an hour, in nanoseconds.
const COMMON: i128 = 7 * 3600 * 1_000_000_000;

impl Textbook {
    fn new(stages: &[RateStage], repeat: u32) -> Self {
        let events = |rate: Option<Rate>| {
            rate.map_or(0, |rate| {
                let per = i128::try_from(rate.per().as_nanos()).unwrap();
                assert_eq!(COMMON % per, 0);
                i128::from(rate.count().get()) * (COMMON / per)
            })
        };
        let mut lines = Vec::new();
        for _ in 0..repeat {
            let mut level = 0;
            for stage in stages {
                let (length, from, to) = match *stage {
                    RateStage::Hold { length, rate } => (length, events(rate), events(rate)),
                    RateStage::Ramp { length, to } => (length, level, events(to)),
                };
                lines.push((i128::try_from(length.as_nanos()).unwrap(), from, to));
                level = to;
            }
        }
        Self { lines }
    }

    /// How the integral up to `time` compares with `n`.
    fn compare(&self, time: Duration, n: u64) -> Ordering {
        let mut rest = i128::try_from(time.as_nanos()).unwrap();
        let mut twice = -2 * COMMON * i128::from(n);
        for &(length, from, to) in &self.lines {
            if rest < length {
                return (twice * length + 2 * from * rest * length + (to - from) * rest * rest).cmp(&0);
            }
            twice += (from + to) * length;
            rest -= length;
        }
        twice.cmp(&0)
    }

    /// Whether `time` is the first at which the integral has reached `n` and begins to exceed it.
    fn is_due(&self, time: Duration, n: u64) -> bool {
        let nano = Duration::from_nanos(1);
        let begins = |time: Duration| self.compare(time, n).is_ge() && self.compare(time + nano, n).is_gt();
        begins(time) && time.checked_sub(nano).is_none_or(|before| !begins(before))
    }
}

fn any_rate() -> impl Strategy<Value = Option<Rate>> {
    let per = prop_oneof![Just(1), Just(3), Just(7), Just(60), Just(3600)];
    let count = prop_oneof![1..10_u32, 1..1000_u32, 1..=100_000_u32];
    prop_oneof![
        1 => Just(None),
        5 => (count, per).prop_map(|(count, per)| Rate::new(count.try_into().unwrap(), s(per))),
    ]
}

fn any_length() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..20_u64).prop_map(s),
        (0..20_000_u64).prop_map(Duration::from_millis),
        (0..20 * NANOS_PER_S).prop_map(Duration::from_nanos),
        (0..20_u64).prop_map(Duration::from_nanos),
    ]
}

pub(super) fn any_stages() -> impl Strategy<Value = Vec<RateStage>> {
    let stage = (any_length(), any_rate(), any::<bool>()).prop_map(|(length, rate, ramp)| {
        if ramp { RateStage::Ramp { length, to: rate } } else { RateStage::Hold { length, rate } }
    });
    proptest::collection::vec(stage, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_integral_reaches_the_number_exactly_when_it_is_due(
        stages in any_stages(), repeat in 1..5_u32, picks in proptest::collection::vec(any::<u64>(), 20),
    ) {
        let (arrivals, textbook) = (repeated(&stages, repeat), Textbook::new(&stages, repeat));
        let count = arrivals.count();
        for n in picks.iter().filter_map(|pick| pick.checked_rem(count)).chain([0, 1, 2]).chain(count.checked_sub(1)) {
            match arrivals.due(n) {
                Some(due) => prop_assert!(due < arrivals.length() && textbook.is_due(due, n), "operation {n} at {due:?}"),
                None => prop_assert!(n >= count),
            }
        }
        prop_assert_eq!(arrivals.due(count), None);
        // No operation is missing: the first that is not there would begin in the last nanosecond or later.
        if let Some(last) = arrivals.length().checked_sub(Duration::from_nanos(1)) {
            let begun = textbook.compare(last, count).is_ge() && textbook.compare(arrivals.length(), count).is_gt();
            prop_assert!(!begun);
        }
    }

    #[test]
    fn a_cursor_gives_the_due_times_in_order(stages in any_stages(), repeat in 1..5_u32, skip in 0..1000_u64) {
        let arrivals = repeated(&stages, repeat);
        let mut before = Duration::ZERO;
        for (i, (n, due)) in arrivals.cursor().take(2000).enumerate() {
            prop_assert_eq!(n, i as u64);
            prop_assert_eq!(arrivals.due(n), Some(due));
            prop_assert!(due >= before);
            before = due;
        }
        let first = arrivals.count().saturating_sub(skip);
        let rest = Cursor::new(&arrivals, first, 1);
        prop_assert_eq!(rest.count() as u64, arrivals.count() - first);
    }

    #[test]
    fn the_shares_of_workers_merge_to_the_whole(stages in any_stages(), repeat in 1..4_u32, workers in 1..6_usize) {
        let (arrivals, workers) = (repeated(&stages, repeat), NonZeroUsize::new(workers).unwrap());
        let mut shares: Vec<_> = (0..workers.get()).map(|worker| arrivals.share(worker, workers)).collect();
        for (n, due) in arrivals.cursor().take(2000) {
            prop_assert_eq!(shares[crate::pace::assign(n, workers)].next(), Some((n, due)));
        }
    }

    #[test]
    fn repetitions_shift_whole_patterns_by_their_length(stages in any_stages(), repeat in 1..5_u32) {
        // Twice 3600 x 7 x 2 times as long, every area is whole: nothing is left to carry over.
        let once: Vec<_> = stages.iter().map(|stage| match *stage {
            RateStage::Hold { length, rate } => RateStage::Hold { length: s(length.as_secs() % 9) * 50_400, rate },
            RateStage::Ramp { length, to } => RateStage::Ramp { length: s(length.as_secs() % 9) * 50_400, to },
        }).collect();
        let (once, all) = (repeated(&once, 1), repeated(&once, repeat));
        prop_assert_eq!(all.length(), once.length() * repeat);
        prop_assert_eq!(all.count(), once.count() * u64::from(repeat));
        for repetition in 0..repeat {
            for n in (0..10).map(|tenth| once.count() / 10 * tenth).filter(|n| *n < once.count()) {
                let shifted = once.due(n).map(|due| due + once.length() * repetition);
                prop_assert_eq!(all.due(n + once.count() * u64::from(repetition)), shifted);
            }
        }
    }
}
