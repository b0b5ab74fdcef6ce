//! The rules of the verdict: where each begins, and that none of them turns round.

use proptest::prelude::*;

use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn share(share: f64) -> Option<Share> {
    Share::new(share)
}

fn core(ran_s: u64, waited_s: u64, elapsed_s: u64) -> CoreTime {
    let [ran, waited, elapsed] = [ran_s, waited_s, elapsed_s].map(Duration::from_secs);
    CoreTime { ran, waited, elapsed }
}

fn judged(samples: u64, standing: Standing) -> Judged {
    Judged {
        metric: "service.p99.9".to_owned(),
        condition: "< 1s".to_owned(),
        measured: None,
        samples,
        least_samples: 1_000,
        standing,
    }
}

/// A run on a busy but sound machine of two cores against a quick server.
fn undisturbed() -> Evidence {
    Evidence {
        lag_p99: Some(Duration::from_micros(950)),
        response_p99: Some(ms(2)),
        arrivals: Some(Arrivals { intended: 60_000, started: 59_999 }),
        users: Some(Users { max: 100, delayed: 3, operations: 60_000 }),
        core_time: Some(CoreTime {
            ran: Duration::from_secs(20),
            waited: Duration::from_secs(1),
            elapsed: Duration::from_mins(1),
        }),
        steal: share(0.01),
        event_loop_delay_p99: Some(ms(4)),
        simulator_busy: share(0.6),
        descriptors: Some(Demand { needed: 200, available: 1_024 }),
        ports: Some(Demand { needed: 100, available: 28_232 }),
        response_p50_us: vec![1_500.0; 60],
        response_p90_us: vec![1_900.0; 60],
        thresholds: vec![judged(60_000, Standing::Passed), judged(60_000, Standing::Crossed)],
    }
}

#[test]
fn an_undisturbed_run_is_valid_and_so_is_one_of_which_nothing_is_known() {
    assert_eq!(verdict(&undisturbed()), (Verdict::Valid, vec![]));
    assert_eq!(verdict(&Evidence::default()), (Verdict::Valid, vec![]));
}

#[test]
fn each_rule_begins_where_it_says() {
    use Verdict::{Invalid, Suspect, Valid};
    let with = |change: &dyn Fn(&mut Evidence)| {
        let mut evidence = Evidence::default();
        change(&mut evidence);
        let (found, reasons) = verdict(&evidence);
        assert_eq!(reasons.len(), usize::from(found != Valid), "{reasons:?}");
        found
    };
    for (lag, response, expected) in [
        (0, 0, Valid),
        (1, 10, Valid),
        (2, 10, Suspect),
        (4, 4, Suspect),
        (5, 10, Suspect),
        (6, 10, Invalid),
        (86_400_000, 86_400_000, Invalid),
    ] {
        assert_eq!(
            with(&|e| (e.lag_p99, e.response_p99) = (Some(ms(lag)), Some(ms(response)))),
            expected,
            "lag {lag} of {response}"
        );
    }
    for (intended, started, expected) in [
        (0, 0, Valid),
        (9, 0, Valid),
        (10, 0, Invalid),
        (1_000, 990, Valid),
        (1_000, 989, Suspect),
        (1_000, 900, Suspect),
        (1_000, 899, Invalid),
        (1_000, 1_001, Valid),
        (u64::MAX, 0, Invalid),
    ] {
        let arrivals = Some(Arrivals { intended, started });
        assert_eq!(with(&|e| e.arrivals = arrivals), expected, "{started} of {intended}");
    }
    for (delayed, expected) in [(0, Valid), (10, Valid), (11, Suspect), (1_000, Suspect)] {
        assert_eq!(with(&|e| e.users = Some(Users { max: 5, delayed, operations: 1_000 })), expected, "{delayed}");
    }
    // The last one waits much of what it works, but that is next to nothing of the run.
    for (ran, waited, elapsed, expected) in
        [(0, 0, 0, Valid), (6, 4, 60, Valid), (5, 4, 60, Suspect), (1, 1, 100, Valid)]
    {
        assert_eq!(with(&|e| e.core_time = Some(core(ran, waited, elapsed))), expected, "ran {ran}, waited {waited}");
    }
    for (stolen, expected) in [(0.0, Valid), (0.05, Valid), (0.051, Suspect), (1.0, Suspect)] {
        assert_eq!(with(&|e| e.steal = share(stolen)), expected, "{stolen}");
    }
    for (delay, response, expected) in [
        (9, None, Valid),
        (10, None, Suspect),
        (10, Some(ms(99)), Suspect),
        (10, Some(ms(100)), Valid),
        (0, Some(ms(0)), Valid),
    ] {
        let found = with(&|e| (e.event_loop_delay_p99, e.response_p99) = (Some(ms(delay)), response));
        assert_eq!(found, expected, "{delay} of {response:?}");
    }
    for (busy, expected) in [(0.79, Valid), (0.8, Suspect)] {
        assert_eq!(with(&|e| e.simulator_busy = share(busy)), expected, "{busy}");
    }
    for (needed, descriptors, ports) in [(0, Valid, Valid), (100, Valid, Valid), (101, Invalid, Suspect)] {
        let demand = Some(Demand { needed, available: 100 });
        assert_eq!(with(&|e| e.descriptors = demand), descriptors);
        assert_eq!(with(&|e| e.ports = demand), ports);
    }
    assert_eq!(with(&|e| e.thresholds = vec![judged(20, Standing::TooFewSamples)]), Invalid);
    let rising: Vec<f64> = (0..60).map(|i| 20_000.0 + 500.0 * f64::from(i)).collect();
    assert_eq!(with(&|e| e.response_p50_us.clone_from(&rising)), Suspect);
    assert_eq!(with(&|e| e.response_p90_us.clone_from(&rising)), Suspect);
    // Both move together and give one reason.
    assert_eq!(with(&|e| (e.response_p50_us, e.response_p90_us) = (rising.clone(), rising.clone())), Suspect);
}

fn all_bad() -> Vec<Reason> {
    let mut evidence = undisturbed();
    evidence.lag_p99 = Some(ms(30));
    evidence.response_p99 = Some(ms(50));
    evidence.arrivals = Some(Arrivals { intended: 10_000, started: 9_800 });
    evidence.users = Some(Users { max: 5, delayed: 400, operations: 10_000 });
    evidence.core_time = Some(core(1, 1, 60));
    evidence.steal = share(0.12);
    evidence.event_loop_delay_p99 = Some(ms(15));
    evidence.simulator_busy = share(0.97);
    evidence.descriptors = Some(Demand { needed: 232, available: 100 });
    evidence.ports = Some(Demand { needed: 60_000, available: 28_232 });
    evidence.response_p50_us = (0..60).map(|i| 20_000.0 + 500.0 * f64::from(i)).collect();
    evidence.thresholds.push(judged(20, Standing::TooFewSamples));
    let (found, reasons) = verdict(&evidence);
    assert_eq!(found, Verdict::Invalid);
    reasons
}

#[test]
fn the_worst_reasons_come_first_and_each_is_one_sentence_with_its_numbers() {
    let reasons = all_bad();
    assert_eq!(reasons.len(), 11);
    assert!(reasons.is_sorted_by_key(|reason| std::cmp::Reverse(reason.level())));
    let texts: Vec<_> = reasons.iter().map(Reason::to_string).collect();
    for text in &texts {
        let whole = text.contains(", so ") && text.contains("; ");
        assert!(whole && !text.ends_with('.') && !text.contains("  ") && text.len() < 250, "{text}");
    }
    assert_eq!(
        texts[0],
        "requests were sent late by this machine itself, by 30.0ms at the 99th percentile, which is 60.0% of the response \
         there, so responses look slower than they were; lower the load, or use a machine with more free cores"
    );
    assert_eq!(
        texts[2],
        "the threshold service.p99.9 < 1s rests on 20 samples and takes at least 1,000, so nobody can tell whether it is met; \
         run longer, or choose a lower percentile"
    );
}

#[test]
fn run_json_reads_back_each_reason_and_has_units_in_its_keys() {
    for reason in all_bad() {
        let json = serde_json::to_string(&reason).unwrap();
        assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), reason, "{json}");
    }
    let lag = serde_json::to_string(&Reason::Lag { lag_p99_us: 30_000, response_p99_us: 50_000 }).unwrap();
    assert_eq!(lag, r#"{"kind":"lag","lag_p99_us":30000,"response_p99_us":50000}"#);
    assert_eq!(serde_json::to_string(&Verdict::Suspect).unwrap(), r#""suspect""#);
}

/// Worse in one respect by `by`, which is zero or more.
fn worse(evidence: &Evidence, respect: usize, by: u64) -> Evidence {
    let mut worse = evidence.clone();
    let micros = Duration::from_micros(by);
    let grown =
        |share: Share| Share::new((share.get() + f64::from(u32::try_from(by).unwrap()) / 1e6).min(1.0)).unwrap();
    match respect {
        0 => worse.lag_p99 = worse.lag_p99.map(|lag| lag + micros),
        1 => {
            if let Some(arrivals) = &mut worse.arrivals {
                arrivals.started = arrivals.started.saturating_sub(by);
            }
        }
        2 => {
            if let Some(users) = &mut worse.users {
                users.delayed += by;
            }
        }
        3 => {
            if let Some(time) = &mut worse.core_time {
                time.waited += micros;
            }
        }
        4 => worse.steal = worse.steal.map(grown),
        5 => worse.event_loop_delay_p99 = worse.event_loop_delay_p99.map(|delay| delay + micros),
        6 => worse.simulator_busy = worse.simulator_busy.map(grown),
        7 => worse.descriptors = worse.descriptors.map(|of| Demand { needed: of.needed + by, ..of }),
        8 => worse.ports = worse.ports.map(|of| Demand { available: of.available.saturating_sub(by), ..of }),
        9 => worse.thresholds.push(judged(1_000_u64.saturating_sub(by + 1), Standing::TooFewSamples)),
        _ => {
            // Steeper in the direction in which it goes already.
            let by = f64::from(u32::try_from(by).unwrap()) / 1_000.0;
            worse.response_p50_us =
                (0..).zip(&evidence.response_p50_us).map(|(i, us)| us + by * f64::from(i)).collect();
        }
    }
    worse
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    let micros = || proptest::option::of((0..100_000_u64).prop_map(Duration::from_micros));
    let share = || proptest::option::of((0.0..=1.0).prop_map(|share| Share::new(share).unwrap()));
    let demand = || {
        let parts = (0..2_000_u64, 0..2_000_u64);
        proptest::option::of(parts.prop_map(|(needed, available)| Demand { needed, available }))
    };
    let core_time = proptest::option::of((0..60_000_u64, 0..10_000_u64).prop_map(|(ran, waited)| CoreTime {
        ran: Duration::from_millis(ran),
        waited: Duration::from_millis(waited),
        elapsed: Duration::from_mins(1),
    }));
    let arrivals = proptest::option::of((0..5_000_u64, 0..5_000_u64))
        .prop_map(|of| of.map(|(intended, started)| Arrivals { intended, started }));
    let users = proptest::option::of((0..5_000_u64).prop_map(|delayed| Users { max: 9, delayed, operations: 5_000 }));
    let slope = 0.0..500.0_f64;
    (micros(), micros(), micros(), share(), share(), demand(), demand(), core_time, arrivals, users, slope).prop_map(
        |(
            lag_p99,
            response_p99,
            event_loop_delay_p99,
            steal,
            simulator_busy,
            descriptors,
            ports,
            core_time,
            arrivals,
            users,
            slope,
        )| {
            let response_p50_us = (0..40).map(|i| 20_000.0 + slope * f64::from(i)).collect();
            Evidence {
                lag_p99,
                response_p99,
                arrivals,
                users,
                core_time,
                steal,
                event_loop_delay_p99,
                simulator_busy,
                descriptors,
                ports,
                response_p50_us,
                ..Evidence::default()
            }
        },
    )
}

proptest! {
    #[test]
    fn a_run_that_is_worse_in_one_respect_is_never_judged_better(
        evidence in any_evidence(), respect in 0..11_usize, by in 0..200_000_u64,
    ) {
        let (before, reasons) = verdict(&evidence);
        let (after, more_reasons) = verdict(&worse(&evidence, respect, by));
        prop_assert!(after >= before, "{before} became {after}");
        prop_assert!(more_reasons.len() >= reasons.len());
    }

    #[test]
    fn the_verdict_is_that_of_the_worst_reason(evidence in any_evidence()) {
        let (verdict, reasons) = verdict(&evidence);
        prop_assert_eq!(verdict, reasons.iter().map(Reason::level).max().unwrap_or_default());
        prop_assert!(reasons.iter().all(|reason| reason.level() > Verdict::Valid));
    }
}

#[test]
fn a_threshold_without_cases_is_told_what_would_bring_some() {
    let remedy = |metric: &str| {
        let (metric, condition) = (metric.to_owned(), "= 0".to_owned());
        Reason::TooFewSamples { metric, condition, samples: 0, least_samples: 1 }.remedy()
    };
    for (metric, told) in [
        ("untouched_changed", "attributes before the run that no request names"),
        ("variant.a.lost_rate", "let the reading after the run end"),
        ("never_visible", "[checks.visibility]"),
        ("idempotency.violation_rate", "raise the `share` of [checks.idempotency]"),
        ("service.p99", "choose a lower percentile"),
    ] {
        assert!(remedy(metric).contains(told), "{metric}: {}", remedy(metric));
    }
    assert!(["untouched_changed", "lost"].iter().all(|metric| !remedy(metric).contains("share")));
}
