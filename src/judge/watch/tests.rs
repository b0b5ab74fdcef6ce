//! Thresholds by whole runs and second by second.

use proptest::prelude::*;

use super::*;
use crate::judge::{Measured, Metric, evaluate};
use crate::measure::{Answer, Interval, Of, Outcome, Recorder, Totals, sample_at};

const MS: Duration = Duration::from_millis(1);

fn threshold(metric: &str, text: &str) -> Threshold {
    Threshold::parse(Metric::parse(metric, &["a", "b"]).unwrap(), text, text).unwrap()
}

/// A second in which attempts of variants 0 and 1 ended: variant, service and outcome of each.
fn second(second: u64, attempts: &[(usize, Duration, Outcome)]) -> Second {
    let mut recorder = Recorder::new(2);
    for (variant, service, outcome) in attempts {
        recorder.started(Of::Variant(*variant));
        let answer = Answer { outcome: *outcome, ..Answer::accepted(202) };
        recorder.record(Of::Variant(*variant), &sample_at(*variant, Duration::ZERO, *service, answer));
    }
    let interval = recorder.swap(Interval::default());
    Second { second, phase: Phase::Main, interval, in_flight: 0, cpu_share: 0.0 }
}

/// A second of variant 0 with so many attempts, so many of which fail; each takes a millisecond.
fn failing(at: u64, attempts: usize, failures: usize) -> Second {
    let outcome = |i| if i < failures { Outcome::Failed } else { Outcome::Accepted };
    second(at, &(0..attempts).map(|i| (0, MS, outcome(i))).collect::<Vec<_>>())
}

/// A second of variant 0 with so many attempts, each of which takes that long.
fn taking(at: u64, attempts: usize, service: Duration) -> Second {
    second(at, &vec![(0, service, Outcome::Accepted); attempts])
}

/// The first second at which the run is stopped.
fn stops(threshold: &Threshold, seconds: &[Second]) -> Option<u64> {
    let mut watch = Watch::new(std::slice::from_ref(threshold));
    seconds.iter().find(|second| watch.second(second).is_some()).map(|second| second.second)
}

#[test]
fn a_threshold_is_judged_by_the_figure_of_its_variant_or_of_all() {
    let mut totals = Totals::new(2);
    let attempts: Vec<_> = (1..=100)
        .map(|i| (0, MS * i, if i <= 2 { Outcome::Throttled } else { Outcome::Accepted }))
        .chain((1..=100).map(|i| (1, MS * 1_000, if i <= 10 { Outcome::Unexpected } else { Outcome::Accepted })))
        .collect();
    totals.add(&second(0, &attempts));
    totals.variants[1].counts.unsent = 7;
    totals.main_s = 4.0;
    for (metric, condition, measured, passed) in [
        ("failure_rate", "< 6%", Measured::Share(0.06), false),
        ("failure_rate", "<= 6%", Measured::Share(0.06), true),
        ("variant.a.failure_rate", "= 2%", Measured::Share(0.02), true),
        ("throttled_rate", "< 1%", Measured::Share(0.01), false),
        ("variant.b.unexpected_rate", "< 50%", Measured::Share(0.1), true),
        ("achieved", ">= 50/s", Measured::Rate(50.0), true),
        ("achieved", "> 50/s", Measured::Rate(50.0), false),
        ("unsent", "= 0", Measured::Count(7), false),
        ("variant.a.unsent", "= 0", Measured::Count(0), true),
        ("throttled", "= 2", Measured::Count(2), true),
        ("service.max", "< 1s", Measured::Time(1_000_000), false),
        ("variant.a.service.p50", "< 51ms", Measured::Time(50_015), true),
        ("variant.a.response.p99", "> 99ms", Measured::Time(99_007), true),
        ("lag.p99", "< 1ms", Measured::Time(1), true),
    ] {
        let judged = evaluate(&[threshold(metric, condition)], &totals).remove(0);
        // HDR tells three digits of a duration.
        let near = match (judged.measured, measured) {
            (Some(Measured::Time(found)), Measured::Time(expected)) => {
                found.abs_diff(expected) * 1_000 <= expected.max(1_000)
            }
            (found, expected) => found == Some(expected),
        };
        assert!(near, "{metric}: {judged:?}");
        assert_eq!(judged.standing == Standing::Passed, passed, "{judged}");
    }
}

#[test]
fn a_threshold_without_enough_samples_is_neither_met_nor_crossed() {
    let judged = |totals: &Totals, metric| evaluate(&[threshold(metric, "> 0s")], totals).remove(0);
    let empty = Totals::new(2);
    let rate = evaluate(&[threshold("failure_rate", "< 1%"), threshold("unsent", "= 0")], &empty);
    assert_eq!((rate[0].standing, rate[1].standing), (Standing::TooFewSamples, Standing::Passed));
    assert_eq!(judged(&empty, "service.max").standing, Standing::TooFewSamples);
    assert_eq!(judged(&empty, "service.mean").standing, Standing::TooFewSamples);
    let mut totals = Totals::new(2);
    totals.add(&taking(0, 99, MS));
    let p99 = judged(&totals, "service.p99");
    assert_eq!((p99.standing, p99.samples, p99.least_samples), (Standing::TooFewSamples, 99, 100));
    totals.add(&taking(1, 1, MS));
    assert_eq!(judged(&totals, "service.p99").standing, Standing::Passed);
    assert_eq!(judged(&totals, "service.mean").measured, Some(Measured::Time(1_000)));
    assert_eq!(judged(&totals, "variant.b.service.p99").standing, Standing::TooFewSamples);
    assert_eq!(judged(&totals, "connect.max").standing, Standing::TooFewSamples);
}

#[test]
fn what_became_of_a_threshold_reads_well_and_is_read_back_from_run_json() {
    let mut totals = Totals::new(2);
    totals.add(&failing(0, 50, 1));
    totals.main_s = 1.0;
    let thresholds = [
        threshold("failure_rate", "< 1% for 10s abort"),
        threshold("achieved", "> 10/s"),
        threshold("failed", "< 9"),
        threshold("service.max", "< 9s"),
        threshold("variant.a.service.p99", "< 300ms"),
    ];
    let judged = evaluate(&thresholds, &totals);
    let texts: Vec<_> = judged.iter().map(Judged::to_string).collect();
    assert_eq!(
        texts,
        [
            "failure_rate is 2.00%, not < 1% for 10s abort",
            "achieved is 50.0/s, as wanted: > 10/s",
            "failed is 1, as wanted: < 9",
            "service.max is 1.00ms, as wanted: < 9s",
            "variant.a.service.p99 is unknown: 50 samples are too few for < 300ms",
        ]
    );
    let json = serde_json::to_string(&judged[0]).unwrap();
    assert_eq!(
        json,
        r#"{"metric":"failure_rate","condition":"< 1% for 10s abort","measured_share":0.02,"samples":50,"least_samples":1,"standing":"crossed"}"#
    );
    let json = serde_json::to_string(&judged).unwrap();
    for key in ["measured_per_s", "measured_count", "measured_us"] {
        assert!(json.contains(key), "{json}");
    }
    assert_eq!(serde_json::from_str::<Vec<Judged>>(&json).unwrap(), judged);
}

#[test]
fn a_run_is_stopped_when_each_second_of_the_window_violates() {
    let rate = threshold("failure_rate", "< 1% for 3s abort");
    let run = |failures: &[usize]| -> Vec<Second> {
        (0..).zip(failures).map(|(at, failures)| failing(at, 100, *failures)).collect()
    };
    assert_eq!(stops(&rate, &run(&[0, 0, 1, 1, 1])), Some(4));
    assert_eq!(stops(&rate, &run(&[5, 5, 0, 5, 5, 0, 5, 5])), None);
    assert_eq!(stops(&rate, &run(&[100, 0, 0, 0, 100, 0, 0])), None);
    assert_eq!(stops(&rate, &[]), None);
    // A second and a half are two whole seconds.
    assert_eq!(stops(&threshold("failure_rate", "< 1% for 1500ms abort"), &run(&[1, 1])), Some(1));
    // Without `abort` nothing is stopped.
    assert_eq!(stops(&threshold("failure_rate", "< 1%"), &run(&[100; 9])), None);
}

#[test]
fn the_reason_of_a_stop_is_the_figure_of_its_stretch() {
    let mut watch = Watch::new(&[threshold("unsent", "= 0"), threshold("failure_rate", "< 1% for 2s abort")]);
    assert_eq!(watch.second(&failing(0, 100, 0)), None);
    assert_eq!(watch.second(&failing(1, 100, 40)), None);
    let abort = watch.second(&failing(2, 100, 20)).unwrap();
    assert_eq!(abort.judged.measured, Some(Measured::Share(0.3)));
    assert_eq!(abort.to_string(), "for 2s failure_rate is 30.0%, not < 1% for 2s abort");
}

#[test]
fn one_bad_second_does_not_stop_a_run_though_its_window_is_bad_as_a_whole() {
    let mut seconds: Vec<_> = (0..20).map(|at| taking(at, 100, MS)).collect();
    seconds[5] = taking(5, 100, MS * 2_000);
    assert_eq!(stops(&threshold("service.p99", "< 300ms for 10s abort"), &seconds), None);
}

#[test]
fn at_a_low_rate_the_stretch_goes_on_until_it_has_enough_samples() {
    let slow: Vec<_> = (0..20).map(|at| taking(at, 20, MS * 500)).collect();
    assert_eq!(stops(&threshold("service.p99", "< 300ms for 2s abort"), &slow), Some(4));
    assert_eq!(stops(&threshold("service.max", "< 300ms for 2s abort"), &slow), Some(1));
    assert_eq!(stops(&threshold("service.p99.9", "< 300ms for 2s abort"), &slow), None);
}

#[test]
fn a_second_without_samples_neither_ends_a_stretch_nor_completes_it() {
    let rate = threshold("failure_rate", "< 1% for 4s abort");
    let run = |attempts: &[(usize, usize)]| -> Vec<Second> {
        (0..).zip(attempts).map(|(at, (attempts, failures))| failing(at, *attempts, *failures)).collect()
    };
    assert_eq!(stops(&rate, &run(&[(1, 1), (0, 0), (0, 0), (0, 0), (0, 0), (1, 1)])), Some(5));
    assert_eq!(stops(&rate, &run(&[(0, 0), (0, 0), (0, 0), (0, 0), (1, 1)])), None);
    assert_eq!(stops(&rate, &run(&[(1, 1), (0, 0), (0, 0), (0, 0), (1, 0), (1, 1)])), None);
    // Nothing done in a second is a rate of nothing.
    assert_eq!(stops(&threshold("achieved", "> 1/s for 3s abort"), &run(&[(2, 0), (0, 0), (1, 0), (0, 0)])), Some(3));
}

#[test]
fn counts_are_those_since_the_start_of_main() {
    let broken = threshold("failed", "< 5 for 1s abort");
    let mut seconds: Vec<_> = (0..9).map(|at| failing(at, 10, 1)).collect();
    seconds[0].phase = Phase::Drain;
    assert_eq!(stops(&broken, &seconds), Some(5));
    assert_eq!(stops(&threshold("failed", "< 5 for 3s abort"), &seconds), Some(7));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_run_is_stopped_exactly_when_every_second_of_the_window_violates(
        seconds in proptest::collection::vec((1..6_usize, prop_oneof![Just(0_usize), 1..6_usize]), 0..30),
        window in 1..6_usize,
    ) {
        let rate = threshold("failure_rate", &format!("< 20% for {window}s abort"));
        let time = threshold("service.max", &format!("< 100ms for {window}s abort"));
        let mut watches = [Watch::new(&[rate]), Watch::new(&[time])];
        let violates: Vec<bool> = seconds.iter().map(|(attempts, failures)| failures * 5 >= *attempts).collect();
        for (i, (attempts, failures)) in seconds.iter().enumerate() {
            let at = u64::try_from(i).unwrap();
            let service = if violates[i] { MS * 200 } else { MS };
            let expected = i + 1 >= window && violates[i + 1 - window..=i].iter().all(|violates| *violates);
            let failing = failing(at, *attempts, (*failures).min(*attempts));
            let slow = taking(at, *attempts, service);
            for (watch, second) in watches.iter_mut().zip([failing, slow]) {
                prop_assert_eq!(watch.second(&second).is_some(), expected, "second {}", i);
            }
        }
    }
}
