use proptest::prelude::*;

use super::fields::{Fact, statements};
use super::*;
use crate::profile::finding::{Finding, Measured, Stopped, Unrefused, Verdict};
use crate::profile::fit::Fit;
use crate::profile::interval::Interval;
use crate::profile::log::{Answer, Observation};
use crate::profile::theory::{Family, Hypothesis, Kind, Theory};
use crate::quota::{Admission, Arrival, Usage};

fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What headers state, as source, name and fact.
fn stated(fields: &[(&str, &str)]) -> Vec<(&'static str, String, Fact)> {
    statements(&pairs(fields)).into_iter().map(|one| (one.source, one.name, one.fact)).collect()
}

fn quota(limit: u64, window_s: Option<f64>) -> Fact {
    Fact::Quota { limit, window_s, unit: Unit::Requests }
}

#[test]
fn the_current_draft_names_its_quotas() {
    let fields = [
        ("RateLimit-Policy", r#""burst";q=100;w=60,"daily";q=1000;w=86400;pk=:cHNzdA==:"#),
        ("RateLimit", r#""burst";r=50;t=30, "daily";r=7"#),
    ];
    let of = |source, name: &str, fact| (source, name.to_owned(), fact);
    let expected = [
        of("RateLimit-Policy", "burst", quota(100, Some(60.0))),
        of("RateLimit-Policy", "daily", quota(1_000, Some(86_400.0))),
        of("RateLimit", "burst", Fact::Remaining(50)),
        of("RateLimit", "burst", Fact::Reset(30.0)),
        of("RateLimit", "daily", Fact::Remaining(7)),
    ];
    assert_eq!(stated(&fields), expected);
    // Two fields of one name are one list.
    let apart = [("ratelimit-policy", "a;q=5;w=1"), ("RATELIMIT-POLICY", r#""b";q=8;qu="concurrent-requests""#)];
    let in_flight = Fact::Quota { limit: 8, window_s: None, unit: Unit::Concurrent };
    let expected = [of("RateLimit-Policy", "a", quota(5, Some(1.0))), of("RateLimit-Policy", "b", in_flight)];
    assert_eq!(stated(&apart), expected);
}

#[test]
fn older_drafts_are_understood() {
    let own = |source, fact| (source, String::new(), fact);
    let seventh = [("RateLimit", "limit=100, remaining=50, reset=5"), ("RateLimit-Policy", "100;w=10")];
    let expected = [
        own("RateLimit-Policy", quota(100, Some(10.0))),
        own("RateLimit", Fact::Remaining(50)),
        own("RateLimit", Fact::Reset(5.0)),
        own("RateLimit", quota(100, None)),
    ];
    assert_eq!(stated(&seventh), expected);
    let third =
        [("RateLimit-Limit", "100, 100;w=60, 1000;w=3600"), ("RateLimit-Remaining", "12"), ("RateLimit-Reset", "48")];
    let expected = [
        own("RateLimit-Limit", quota(100, Some(60.0))),
        own("RateLimit-Limit", quota(1_000, Some(3_600.0))),
        own("RateLimit-Remaining", Fact::Remaining(12)),
        own("RateLimit-Reset", Fact::Reset(48.0)),
    ];
    assert_eq!(stated(&third), expected);
}

#[test]
fn a_large_reset_is_an_instant_by_the_answers_own_clock() {
    let date = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let reset = |value: &str, fields: &[(&str, &str)]| {
        let all: Vec<_> = [("X-RateLimit-Reset", value)].into_iter().chain(fields.iter().copied()).collect();
        stated(&all).first().map(|(_, _, fact)| *fact)
    };
    // Below a milliard it is a number of seconds, whatever the date.
    assert_eq!(reset("784111807", &[date]), Some(Fact::Reset(784_111_807.0)));
    let later = ("Date", "Wed, 14 Jan 2026 00:00:00 GMT");
    assert_eq!(reset("1768348830", &[later]), Some(Fact::Reset(30.0)));
    assert_eq!(reset("1768348830500", &[later]), Some(Fact::Reset(30.5)));
    assert_eq!(reset("1768348830", &[]), None, "without a date nobody knows what is left");
    assert_eq!(reset("0.75", &[]), Some(Fact::Reset(0.75)));
}

#[test]
fn retry_after_is_a_number_of_seconds_or_a_date() {
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    for (value, seconds) in
        [("42", 42.0), ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0), ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0)]
    {
        assert_eq!(
            stated(&[("Retry-After", value), date]),
            [("Retry-After", String::new(), Fact::RetryAfter(seconds))]
        );
    }
}

#[test]
fn the_old_headers_of_genesys_count_what_is_used() {
    let fields = [("inin-ratelimit-count", "1"), ("inin-ratelimit-allowed", "180"), ("inin-ratelimit-reset", "61")];
    let own = |source, fact| (source, String::new(), fact);
    let expected = [
        own("inin-ratelimit-allowed", quota(180, None)),
        own("inin-ratelimit-count", Fact::Remaining(179)),
        own("inin-ratelimit-reset", Fact::Reset(61.0)),
    ];
    assert_eq!(stated(&fields), expected);
}

#[test]
fn what_is_no_number_is_no_claim() {
    for value in ["", "-1", "+5", "NaN", "inf", "1e9", "0x10", "99999999999999999999999", "a;b", "\"", "5 5", "(1 2)"] {
        for name in
            ["X-RateLimit-Limit", "RateLimit-Limit", "X-Rate-Limit-Remaining", "Retry-After", "inin-ratelimit-count"]
        {
            assert_eq!(stated(&[(name, value)]), [], "{name}: {value}");
        }
    }
}

#[test]
fn the_limits_of_an_organisation_are_entities_or_a_map() {
    let said = |body: &str| {
        let claims = claimed_limits(body.as_bytes());
        let of = |claim: &Claim| match claim.says {
            Says::Quota { limit, window_s, .. } => (claim.name.clone(), limit, window_s),
            _ => unreachable!("settings name quotas alone"),
        };
        claims.iter().map(of).collect::<Vec<_>>()
    };
    let entities = r#"{"entities": [{"key": "token.rate.per.minute", "namespace": "platform.api", "value": 300},
        {"key": "request.bytes.max", "value": 512000}, {"key": "odd", "value": "many"}, 5]}"#;
    let expected =
        [("token.rate.per.minute".to_owned(), 300, Some(60.0)), ("request.bytes.max".to_owned(), 512_000, None)];
    assert_eq!(said(entities), expected);
    assert_eq!(said(r#"{"token.rate.per.minute": 300, "request.bytes.max": 512000}"#).len(), 2);
    for nothing in ["", "[]", "null", "5", "{\"entities\": 7}", "{"] {
        assert!(said(nothing).iter().all(|(name, ..)| name == "entities"), "{nothing}");
    }
}

/// What a server says of the state that it is in: of the usage after a request, and when another one is admitted.
type Tells = fn(Usage, f64) -> Vec<(&'static str, String)>;

/// An identified limiter with 95 % intervals of a thousandth around its time.
fn finding(theory: Theory) -> Finding {
    let hypothesis = Hypothesis::single(theory);
    let fit = Fit { hypothesis, log_likelihood: 0.0, surprises: 0, stalled: 0, bic: 0.0 };
    let time = Interval { low: theory.time * 0.999, high: theory.time * 1.001 };
    Finding {
        verdict: Verdict::Identified,
        best: Some(fit),
        tiers: vec![Measured { time, block: None, limits: (theory.limit, theory.limit) }],
        scope: Vec::new(),
        advice: None,
        proof: None,
        before_test: None,
        checks: Vec::new(),
        stopped: Stopped::Done,
        unrefused: Unrefused::default(),
    }
}

fn theory(family: Family, limit: u32, time: f64) -> Theory {
    Theory { kind: Kind::plain(family), limit, time, phase: 0.0, tick: 0.0, penalty: 0.0 }
}

/// What comes of the claims of a server with this limiter that tells what it is told to: 400 requests, 70 ms apart.
fn compared(theory: Theory, tells: Tells) -> Vec<Claim> {
    let limiter = theory.limiter();
    let mut state = limiter.fresh();
    let (mut log, mut claims) = (Log::default(), Claims::default());
    for n in 0..400_u64 {
        let sent = Duration::from_millis(1_000 + 70 * n);
        let arrival = Arrival { at: sent + Duration::from_millis(2), cost: 1 };
        let is_admitted = matches!(limiter.judge(&state, arrival), Admission::Admitted { .. });
        if is_admitted {
            limiter.note_admitted(&mut state, arrival);
        }
        let rest = -limiter.opening(&state, 1).margin(arrival.at).min(0.0);
        let said = tells(limiter.usage(&state, arrival.at), rest);
        let said: Vec<_> = said.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let received = sent + Duration::from_millis(4);
        let answer = if is_admitted { Answer::Admitted } else { Answer::Refused { retry_after: None } };
        log.note(Observation { key: 0, due: sent, sent, received, answer });
        claims.note(received, 0, !is_admitted, &said);
    }
    claims.compare(&finding(theory), &log)
}

fn standings(claims: &[Claim]) -> Vec<(&str, Standing)> {
    claims.iter().map(|claim| (claim.source.as_str(), claim.standing)).collect()
}

#[test]
fn a_server_that_tells_the_truth_is_believed() {
    for (family, limit, time, window) in [
        (Family::FirstRequestWindow, 30, 5.0, "\"d\";q=30;w=5"),
        (Family::SlidingLog, 30, 5.0, "\"d\";q=30;w=5"),
        (Family::TokenBucket, 30, 0.2, "\"d\";q=30;w=6"),
    ] {
        let claims = compared(theory(family, limit, time), |usage, rest| {
            let mut said = vec![
                ("X-RateLimit-Limit", usage.limit.to_string()),
                ("X-RateLimit-Remaining", usage.remaining.to_string()),
                ("X-RateLimit-Reset", usage.reset.as_secs_f64().ceil().to_string()),
            ];
            if rest > 0.0 {
                said.push(("Retry-After", rest.ceil().to_string()));
            }
            said
        });
        assert!(claims.len() == 4 && claims.iter().all(|claim| claim.standing == Standing::True), "{claims:#?}");
        let mut policy = Claims::default();
        policy.note(Duration::ZERO, 0, false, &pairs(&[("RateLimit-Policy", window)]));
        let held = policy.compare(&finding(theory(family, limit, time)), &Log::default());
        assert_eq!(standings(&held), [("RateLimit-Policy", Standing::True)], "{family:?}");
    }
}

#[test]
fn a_server_that_does_not_is_found_out() {
    let claims = compared(theory(Family::FirstRequestWindow, 30, 5.0), |_, rest| {
        let mut said = vec![
            ("RateLimit-Policy", "\"wrong\";q=90;w=5".to_owned()),
            ("X-RateLimit-Limit", "31".to_owned()),
            ("X-RateLimit-Remaining", "12".to_owned()),
            ("X-RateLimit-Reset", "60".to_owned()),
        ];
        if rest > 0.0 {
            said.push(("Retry-After", "1".to_owned()));
        }
        said
    });
    assert!(claims.len() == 5 && claims.iter().all(|claim| claim.standing == Standing::Wrong), "{claims:#?}");
    let Says::RetryAfter { enough, tested, too_short_s, constant_s, .. } = claims[4].says else {
        panic!("{:?}", claims[4]);
    };
    assert!(enough < tested && constant_s == Some(1.0));
    assert!((1.0..3.0).contains(&too_short_s.unwrap()), "{too_short_s:?}");
}

#[test]
fn a_wait_that_is_always_enough_may_still_be_far_too_long() {
    let claims = compared(theory(Family::FirstRequestWindow, 30, 5.0), |_, rest| {
        if rest > 0.0 { vec![("Retry-After", "60".to_owned())] } else { Vec::new() }
    });
    assert_eq!(standings(&claims), [("Retry-After", Standing::True)]);
    let Says::RetryAfter { too_long_s, too_short_s, constant_s, .. } = claims[0].says else {
        panic!("{:?}", claims[0]);
    };
    assert!(too_long_s.is_some_and(|over| over > 57.0) && too_short_s.is_none() && constant_s == Some(60.0));
}

#[test]
fn a_quota_that_nobody_reached_is_not_tested() {
    let both = "\"minute\";q=30;w=5, \"daily\";q=100000;w=86400";
    let mut claims = Claims::default();
    claims.note(Duration::ZERO, 0, false, &pairs(&[("RateLimit-Policy", both)]));
    let held = claims.compare(&finding(theory(Family::FirstRequestWindow, 30, 5.0)), &Log::default());
    let standings: Vec<_> = held.iter().map(|claim| claim.standing).collect();
    assert_eq!(standings, [Standing::True, Standing::NotTested]);
}

#[test]
fn without_an_answer_that_stands_nothing_is_tested() {
    let mut claims = Claims::default();
    let fields = pairs(&[("X-RateLimit-Limit", "30"), ("X-RateLimit-Remaining", "3"), ("Retry-After", "3")]);
    claims.note(Duration::ZERO, 0, true, &fields);
    let finding = Finding { verdict: Verdict::Unknown, ..finding(theory(Family::SlidingLog, 30, 5.0)) };
    let held = claims.compare(&finding, &Log::default());
    assert!(held.len() == 3 && held.iter().all(|claim| claim.standing == Standing::NotTested), "{held:?}");
}

#[test]
fn a_server_that_says_ever_another_quota_fills_no_memory_of_ours() {
    let mut claims = Claims::default();
    for n in 0..1_000 {
        claims.note(Duration::from_millis(n), 0, false, &pairs(&[("X-RateLimit-Limit", &n.to_string())]));
    }
    assert_eq!(claims.compare(&finding(theory(Family::SlidingLog, 30, 5.0)), &Log::default()).len(), 8);
}

/// Names of headers that are read, and others.
fn names() -> impl Strategy<Value = String> {
    let known = [
        "RateLimit",
        "RateLimit-Policy",
        "RateLimit-Limit",
        "RateLimit-Remaining",
        "RateLimit-Reset",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
        "X-Rate-Limit-Limit",
        "inin-ratelimit-count",
        "inin-ratelimit-allowed",
        "inin-ratelimit-reset",
        "Retry-After",
        "Date",
    ];
    prop_oneof![9 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".*"]
}

/// Values that look like what is read, and others.
fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        ".*",
        any::<u64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        (any::<i64>(), any::<i64>()).prop_map(|(q, w)| format!("\"a\";q={q};w={w}, \"b\";r={w};t={q}")),
        (any::<u32>(), any::<f64>()).prop_map(|(q, w)| format!("limit={q}, remaining={w}, reset={q}")),
        (any::<u16>(), any::<u16>()).prop_map(|(q, w)| format!("{q}, {q};w={w}")),
        "[0-9]{1,30}(\\.[0-9]{1,30})?",
    ]
}

proptest! {
    #[test]
    fn no_text_of_a_server_does_harm(
        answers in prop::collection::vec((prop::collection::vec((names(), values()), 0..5), any::<bool>()), 0..20),
    ) {
        let theory = theory(Family::FirstRequestWindow, 30, 5.0);
        let (mut claims, mut log) = (Claims::default(), Log::default());
        for (n, (fields, is_refused)) in answers.iter().enumerate() {
            let sent = Duration::from_millis(70 * n as u64);
            let received = sent + Duration::from_millis(4);
            let answer = if *is_refused { Answer::Refused { retry_after: None } } else { Answer::Admitted };
            log.note(Observation { key: 0, due: sent, sent, received, answer });
            claims.note(received, 0, *is_refused, fields);
        }
        for claim in claims.compare(&finding(theory), &log) {
            let json = serde_json::to_string(&claim).unwrap();
            prop_assert_eq!(serde_json::from_str::<Claim>(&json).unwrap(), claim);
        }
    }

    #[test]
    fn no_body_of_the_limits_does_harm(body in prop_oneof![".*".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..99)]) {
        prop_assert!(claimed_limits(&body).len() <= 1_000);
    }

    #[test]
    fn numbers_are_read_as_they_are_written(limit in 0..1_000_000_000_000_u64, left: u32, wait in 0..1_000_000_000_u64) {
        let (limit_text, left_text, wait_text) = (limit.to_string(), left.to_string(), wait.to_string());
        let fields =
            [("X-RateLimit-Limit", &*limit_text), ("X-RateLimit-Remaining", &left_text), ("Retry-After", &wait_text)];
        let facts: Vec<_> = stated(&fields).into_iter().map(|(.., fact)| fact).collect();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let expected = [quota(limit, None), Fact::Remaining(left.into()), Fact::RetryAfter(wait as f64)];
        prop_assert_eq!(facts, expected);
    }
}
