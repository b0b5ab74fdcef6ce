//! The answer of a profile in words, against golden files; `UPDATE_GOLDEN=1` writes them anew.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use patchload::profile::{
    Advice, Answer, Check, Claim, Dimension, End, Estimate, Family, Finding, Fit, Hypothesis, Interval, Key, Kind, Log,
    Measured, Observation, Penalty, Plan, Profile, Proof, Refusals, Says, Sharing, Spent, Standing, Stopped, Theory,
    Unit, Unrefused, Verdict, csv, json,
};
use patchload::report;
use proptest::prelude::*;

fn assert_golden(name: &str, profile: &Profile) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("profile-{name}.txt"));
    let actual = report::profile(profile);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{} differs; look at it, and update with UPDATE_GOLDEN=1", path.display());
}

fn theory(family: Family, limit: u32, time: f64) -> Theory {
    Theory { kind: Kind::plain(family), limit, time, phase: 0.0, tick: 0.0, penalty: 0.0 }
}

fn fit(tiers: &[Theory], surprises: usize) -> Fit {
    let hypothesis = Hypothesis { tiers: tiers.to_vec(), lost_arrive: false };
    Fit { hypothesis, log_likelihood: -2.5, surprises, stalled: 0, bic: 30.0 }
}

/// Nothing is known.
fn nothing() -> Finding {
    Finding {
        verdict: Verdict::Undecided,
        best: None,
        tiers: Vec::new(),
        scope: Vec::new(),
        checks: Vec::new(),
        advice: None,
        proof: None,
        before_test: None,
        stopped: Stopped::Done,
        unrefused: Unrefused { rate: 412.0, requests: 300 },
    }
}

/// These limiters, each with an interval of a third of a thousandth around its time.
fn found(verdict: Verdict, tiers: &[Theory]) -> Finding {
    let around = |length: f64| Interval { low: length * 0.999_7, high: length * 1.000_3 };
    let within = |theory: &Theory| Measured {
        time: around(theory.time),
        block: theory.kind.blocks().then(|| around(theory.penalty)),
        limits: (theory.limit, theory.limit),
    };
    Finding { verdict, best: Some(fit(tiers, 0)), tiers: tiers.iter().map(within).collect(), ..nothing() }
}

fn check(share: f64, expected: u32, admitted: u32) -> Check {
    Check { share, sent: 600, predicted: expected, expected, tolerance: 3, admitted }
}

/// A profile of 400 requests, a fourth of them refused, that came to this.
fn profile(finding: Finding) -> Profile {
    let observation = |n: u64| {
        let sent = Duration::from_millis(n * 25);
        let answer = if n % 4 == 3 { Answer::Refused { retry_after: None } } else { Answer::Admitted };
        Observation { key: 0, due: sent, sent, received: sent + Duration::from_millis(4), answer }
    };
    let key = |label: &str, differs: &[Dimension]| Key { label: label.to_owned(), differs: differs.to_vec() };
    Profile {
        name: "attributes".to_owned(),
        target: "main".to_owned(),
        place: "https://api.example.com/".to_owned(),
        started_unix_s: 1_795_268_701.5,
        keys: vec![
            key("the key under test", &[]),
            key("another token", &[Dimension::Token]),
            key("another resource", &[Dimension::Resource]),
        ],
        plan: Plan::default(),
        fits: finding.best.iter().cloned().collect(),
        finding,
        log: (0..400).map(observation).collect::<Log>(),
        claims: Vec::new(),
        elapsed: Duration::from_secs(412),
        requests: 402,
        end: End::Finished,
    }
}

fn claim(source: &str, name: &str, (says, standing): (Says, Standing)) -> Claim {
    Claim { source: source.to_owned(), name: name.to_owned(), says, answers: 300, standing }
}

fn quota(limit: u64, window_s: f64) -> Says {
    Says::Quota { limit, window_s: Some(window_s), unit: Unit::Requests, tier: None }
}

fn shared(tier: usize, key: usize, [refused, admitted]: [u32; 2]) -> Sharing {
    Sharing { tier, key, refused, admitted, controls: 2, strange: 0 }
}

#[test]
fn an_identified_window_says_all_that_a_user_asks() {
    let window = theory(Family::FirstRequestWindow, 300, 60.0);
    let advice = Advice {
        rate: "298/min".parse().unwrap(),
        burst: NonZeroU32::MIN,
        tier: 0,
        sustainable: 5.0,
        largest_burst: 300,
        recovery: Duration::from_mins(1),
        window: Duration::from_mins(1),
    };
    let finding = Finding {
        scope: vec![shared(0, 1, [0, 3]), shared(0, 2, [3, 0])],
        checks: vec![check(0.993, 600, 600), check(1.01, 588, 589)],
        advice: Some(advice),
        proof: Some(Proof { windows: 5, requests: 1_490, refused: 0 }),
        before_test: Some(Spent { requests: 1_204, time: Duration::from_secs(372) }),
        ..found(Verdict::Identified, &[window])
    };
    let waits = |enough, too_long_s, too_short_s, constant_s| Says::RetryAfter {
        tested: 240,
        enough,
        too_long_s,
        too_short_s,
        constant_s,
    };
    let claims = vec![
        claim("RateLimit-Policy", "minute", (quota(300, 60.0), Standing::True)),
        claim("RateLimit-Policy", "daily", (quota(100_000, 86_400.0), Standing::NotTested)),
        claim("X-RateLimit-Remaining", "", (Says::Remaining { tested: 50, right: 12 }, Standing::Wrong)),
        claim("X-RateLimit-Reset", "", (Says::Reset { tested: 99, whole: 99, next: 4 }, Standing::True)),
        claim("Retry-After", "", (waits(240, Some(0.52), None, None), Standing::True)),
        claim("X-RateLimit-After", "", (waits(20, Some(0.4), Some(48.7), Some(10.0)), Standing::Wrong)),
    ];
    assert_golden("window", &Profile { claims, ..profile(finding) });
}

#[test]
fn two_limits_are_described_one_by_one_and_together() {
    let tiers = [theory(Family::TokenBucket, 5, 0.1), theory(Family::TokenBucket, 30, 0.5)];
    let scope = vec![shared(0, 1, [0, 3]), shared(0, 2, [2, 1]), shared(1, 1, [3, 0])];
    assert_golden("two-limits", &profile(Finding { scope, ..found(Verdict::Identified, &tiers) }));
}

#[test]
fn what_a_refusal_costs_is_said() {
    let counted = Kind { refusals: Refusals::Counted, ..Kind::plain(Family::SlidingLog) };
    let blocking = Kind { penalty: Penalty::Extended, ..Kind::plain(Family::ClockWindow) };
    for (name, kind) in [("counted", counted), ("blocking", blocking)] {
        let theory = Theory { kind, penalty: 5.0, ..theory(kind.family, 10, 2.0) };
        assert_golden(name, &profile(found(Verdict::NotVerified, &[theory])));
    }
}

#[test]
fn outcomes_that_only_a_stall_explains_are_counted() {
    let window = theory(Family::FirstRequestWindow, 300, 60.0);
    let finding = found(Verdict::Identified, &[window]);
    let best = finding.best.clone().map(|best| Fit { stalled: 2, ..best });
    assert_golden("stalled", &profile(Finding { best, ..finding }));
}

#[test]
fn equivalent_models_are_named_with_what_would_tell_them_apart() {
    let others = vec![Kind::plain(Family::SlidingLog), Kind::plain(Family::TokenBucket)];
    for (name, limit) in [("equivalent", 50), ("one-request", 1)] {
        let finding = found(Verdict::Equivalent(others.clone()), &[theory(Family::FirstRequestWindow, limit, 2.0)]);
        assert_golden(name, &profile(finding));
    }
}

#[test]
fn a_prediction_that_failed_is_shown_beside_the_one_before() {
    let finding = Finding {
        checks: vec![check(0.99, 598, 120), check(1.01, 590, 118), check(0.99, 597, 310)],
        stopped: Stopped::Requests,
        ..found(Verdict::NotConfirmed, &[theory(Family::LeakyQueue, 12, 0.05)])
    };
    assert_golden("not-confirmed", &profile(finding));
}

#[test]
fn what_no_model_explains_has_facts_without_any() {
    let best = Some(fit(&[theory(Family::TokenBucket, 90, 0.02)], 17));
    assert_golden("unknown", &profile(Finding { verdict: Verdict::Unknown, best, ..nothing() }));
}

#[test]
fn a_quota_that_others_use_too_is_described_with_what_they_send_and_without_any_advice() {
    let others = Estimate { value: 2.2, interval: Interval { low: 1.7, high: 2.9 } };
    let window = theory(Family::FirstRequestWindow, 64, 6.0);
    let verdict = |alike| Verdict::SharedQuota { others, alike };
    let alone = profile(found(verdict(Vec::new()), &[window]));
    assert_golden("shared", &alone);
    let two = profile(found(verdict(vec![Kind::plain(Family::ClockWindow)]), &[window]));
    assert_golden("shared-two", &two);
    assert_eq!(report::limit(&two), None);
    let document: serde_json::Value = serde_json::from_slice(&json(&two)).unwrap();
    assert_eq!(document["verdict"], "shared_quota");
    assert_eq!(document["others_per_s"]["high"], 2.9);
    assert_eq!(document["equivalent"][0], "fixed window on the clock");
    assert!(document["paces"][0]["refused_share"]["low"].as_f64().unwrap() > 0.2, "{document:#}");
}

#[test]
fn without_a_limit_there_is_the_rate_that_was_reached() {
    let unrefused = Unrefused { rate: 4_218.0, requests: 5_000 };
    let profile = profile(Finding { verdict: Verdict::NoLimit, unrefused, ..nothing() });
    let admitted = profile.log.observations().iter().map(|one| Observation { answer: Answer::Admitted, ..*one });
    assert_golden("no-limit", &Profile { log: admitted.collect(), ..profile.clone() });
}

#[test]
fn a_quota_that_never_came_back_is_declared_and_not_verified() {
    let stopped = Stopped::RetryAfter(Duration::from_hours(7));
    let claims = vec![claim("RateLimit-Policy", "daily", (quota(1_000, 86_400.0), Standing::NotTested))];
    let declared = Profile { claims, ..profile(Finding { stopped, ..nothing() }) };
    assert_golden("declared", &declared);
    let word =
        |profile: &Profile| serde_json::from_slice::<serde_json::Value>(&json(profile)).unwrap()["verdict"].clone();
    assert_eq!((word(&declared), word(&profile(nothing()))), ("declared".into(), "undecided".into()));
    let short = claim("RateLimit-Policy", "minute", (quota(300, 60.0), Standing::NotTested));
    let claims = vec![short];
    // A window that was over long before the profile was is not why nothing was seen.
    assert_eq!(word(&Profile { claims, ..profile(nothing()) }), "undecided");
}

#[test]
fn a_wait_that_is_longer_than_the_profile_is_declared_and_not_verified() {
    let profile = profile(Finding { stopped: Stopped::RetryAfter(Duration::from_hours(7)), ..nothing() });
    let refused = |seconds| {
        let retry_after = Some(Duration::from_secs(seconds));
        let last = profile.log.observations().iter().rev().take(1);
        last.map(|one| Observation { answer: Answer::Refused { retry_after }, ..*one }).collect::<Log>()
    };
    let declared = Profile { log: refused(7 * 3_600), ..profile.clone() };
    assert_golden("declared-wait", &declared);
    assert!(!Profile { log: refused(3), ..profile.clone() }.is_declared());
    assert!(!profile.is_declared());
}

#[test]
fn whoever_stops_it_keeps_what_is_known() {
    let finding = found(Verdict::NotVerified, &[theory(Family::Concurrency, 8, 1.0)]);
    assert_golden("interrupted", &Profile { end: End::Interrupted, ..profile(finding) });
}

fn any_theory() -> impl Strategy<Value = Theory> {
    use Family as F;
    let families = [
        F::FirstRequestWindow,
        F::ClockWindow,
        F::SlidingLog,
        F::SlidingCounter,
        F::FlooredCounter,
        F::AnchoredCounter,
        F::TokenBucket,
        F::TickingBucket,
        F::LeakyQueue,
        F::Concurrency,
    ];
    let kind = (
        prop::sample::select(families.to_vec()),
        prop::sample::select(vec![Refusals::Free, Refusals::Counted]),
        prop::sample::select(vec![Penalty::None, Penalty::Fixed, Penalty::Extended]),
    );
    (kind, 1..2_000_u32, 1e-3..4e3_f64, 1e-3..10.0_f64, 1e-2..1e3_f64).prop_map(
        |((family, refusals, penalty), limit, time, tick, block)| Theory {
            kind: Kind { family, refusals, penalty },
            limit,
            time,
            phase: 0.3,
            tick,
            penalty: block,
        },
    )
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 1e-4..1e4_f64, 1 => any::<f64>(), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(0.0)]
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop::sample::select(vec![
        Verdict::Identified,
        Verdict::Equivalent(vec![Kind::plain(Family::SlidingLog)]),
        Verdict::NotVerified,
        Verdict::NotConfirmed,
        Verdict::SharedQuota {
            others: Estimate { value: 0.5, interval: Interval { low: 0.25, high: 1.0 } },
            alike: vec![Kind::plain(Family::SlidingLog)],
        },
        Verdict::Unknown,
        Verdict::NoLimit,
        Verdict::Undecided,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_was_found_no_figure_is_infinite_and_no_line_too_long(
        verdict in any_verdict(),
        tiers in prop::collection::vec((any_theory(), any_number(), any_number(), 0..3_u32), 0..3),
        rate in 0.0..1e6_f64,
        bic in any_number(),
    ) {
        let theories: Vec<_> = tiers.iter().map(|(theory, ..)| *theory).collect();
        let measured = tiers.iter().map(|(theory, low, high, more)| Measured {
            time: Interval { low: *low, high: *high },
            block: theory.kind.blocks().then_some(Interval { low: *low, high: *high }),
            limits: (theory.limit, theory.limit + more),
        });
        let finding = Finding {
            verdict,
            tiers: measured.collect(),
            best: (!theories.is_empty()).then(|| Fit { bic, ..fit(&theories, 0) }),
            scope: vec![shared(0, 1, [0, 3]), shared(1, 2, [1, 1])],
            unrefused: Unrefused { rate, requests: 12 },
            ..nothing()
        };
        let profile = profile(finding);
        let (text, json, csv) = (report::profile(&profile), json(&profile), csv(&profile));
        for file in [text.as_bytes(), &json, &csv] {
            let lower = String::from_utf8(file.to_vec()).unwrap().to_lowercase();
            let is_word = |word: &str| word == "nan" || word == "inf" || word == "infinity";
            prop_assert!(!lower.split(|c: char| !c.is_alphanumeric()).any(is_word), "{}", lower);
        }
        prop_assert!(text.lines().all(|line| line.chars().count() <= 100), "{}", text);
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
        prop_assert_eq!(csv.split(|byte| *byte == b'\n').count(), 402);
    }
}
