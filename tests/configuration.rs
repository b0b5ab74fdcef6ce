//! The simulator's configuration as a file: what stands in it is what is loaded, and what is shown is read back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use patchload::quota::{Cost, Dimension, Limiter, Model, Quota, Scope, Slow};
use patchload::scenario::{
    Dialect, Draw, Factor, Faults, File, Life, LoadError, LogNormal, Overrides, QuotaHeaders, RetryAfter, Signals,
    SilentDrop, Simulator, Span, Stall, Timed,
};
use patchload::units::{Rate, Share};
use proptest::prelude::*;
use serde_json::Value;

fn parse(text: &str) -> Result<Simulator, LoadError> {
    Simulator::parse(Path::new("simulator.toml"), text.as_bytes(), &|_| None)
}

fn load(text: &str) -> Simulator {
    parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A JSON value as TOML: its texts, numbers and arrays are written alike, only the tables are not.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// A table as a TOML file.
fn file(value: &Value) -> String {
    let mut text = String::new();
    for (key, value) in value.as_object().unwrap() {
        writeln!(text, "{key} = {}", toml(value)).unwrap();
    }
    text
}

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

fn share(text: &str) -> Share {
    text.parse().unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn quota(name: &str, model: Model) -> Quota {
    Quota {
        name: name.to_owned(),
        limiter: Limiter::new(model),
        scope: Scope::of([Dimension::Token]),
        cost: Cost::Request,
    }
}

#[test]
fn the_table_of_the_readme_has_every_key_and_is_loaded() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = readme.split("## The simulator").nth(1).unwrap();
    let table = section.split("```toml").nth(1).unwrap().split("```").next().unwrap();
    let simulator = load(table);
    let Value::Object(keys) = simulator.shown() else { panic!("a table is shown as a table") };
    let Value::Object(faults) = &keys["faults"] else { panic!("faults are shown as a table") };
    for key in keys.keys().chain(faults.keys()) {
        let is_told = table.lines().any(|line| {
            let line = line.trim_start_matches('[');
            line.strip_prefix(key).is_some_and(|rest| rest.starts_with([' ', ']']))
                || line.contains(&format!("`{key}`"))
        });
        assert!(is_told, "README.md does not tell of `{key}`");
    }
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(load(""), Simulator::default());
}

#[test]
fn every_parameter_is_read() {
    let text = r#"
        dialect = "forum"
        seed = 18446744073709551615
        conversations = 7
        mismatched_roles = "12%"
        life = { share = "20%", draft = "2s", alerting = { min = "1s", max = "3s" }, connected = "1m", known_after = "1s" }
        clients = 3
        token_life = "5m"
        static_token_life = "10s"
        logins = "none"
        signals = { retry_after = "date", retry_after_factor = 0.5, headers = "x-ratelimit" }
        latency = "20ms"
        visible_after = { median = "200ms", p99 = "1s" }
        body_timeout = "3s"
        truth = 0
    "#;
    let life = Life {
        share: share("20%"),
        draft: Span { min: seconds(2), max: seconds(2) },
        alerting: Span { min: seconds(1), max: seconds(3) },
        connected: Some(Span { min: seconds(60), max: seconds(60) }),
        known_after: seconds(1),
    };
    let expected = Simulator {
        dialect: Dialect::Forum,
        seed: u64::MAX,
        conversations: 7,
        mismatched_roles: share("12%"),
        life: Some(life),
        clients: 3,
        token_life: seconds(300),
        static_token_life: Some(seconds(10)),
        logins: None,
        signals: Signals {
            retry_after: RetryAfter::Date,
            retry_after_factor: Factor(0.5),
            headers: QuotaHeaders::XRateLimit,
        },
        latency: LogNormal::always(millis(20)),
        visible_after: LogNormal { median: millis(200), p99: seconds(1) },
        body_timeout: seconds(3),
        truth: 0,
        ..Simulator::default()
    };
    assert_eq!(load(text), expected);
    let unending = load("life = {}").life.unwrap();
    assert_eq!((unending.share, unending.connected, unending.draft), (Share::ALL, None, Span::default()));
}

#[test]
fn every_fault_is_read() {
    let text = r#"
        [faults]
        reset = "1%"
        cut = { share = "2%", seed = 7 }
        stall = { every = "10s", for = "200ms" }
        drop = { share = "3%", status = 204 }
        revert = { share = "4%", for = "2s", seed = 8 }
        lost_update = "5%"
        applied_500 = "6%"
        applied_timeout = { share = "7%", for = "5s" }
        stale_read = "8%"
        duplicate = "9%"
        slow_body = { share = "10%", for = "1s" }
        html_503 = "11%"
        empty_503 = "14%"
        json_503 = "15%"
        conflict_409 = "16%"
        wrong_length = "12%"
        early_expiry = { share = "13%", for = "30s" }
    "#;
    let draw = |percent: u32, seed| Draw { share: share(&format!("{percent}%")), seed };
    let expected = Faults {
        reset: draw(1, None),
        cut: draw(2, Some(7)),
        stall: Some(Stall { every: seconds(10), length: millis(200) }),
        drop: SilentDrop { draw: draw(3, None), status: Some(204) },
        revert: Timed { draw: draw(4, Some(8)), time: seconds(2) },
        lost_update: draw(5, None),
        applied_500: draw(6, None),
        applied_timeout: Timed { draw: draw(7, None), time: seconds(5) },
        stale_read: draw(8, None),
        duplicate: draw(9, None),
        slow_body: Timed { draw: draw(10, None), time: seconds(1) },
        html_503: draw(11, None),
        empty_503: draw(14, None),
        json_503: draw(15, None),
        conflict_409: draw(16, None),
        wrong_length: draw(12, None),
        early_expiry: Timed { draw: draw(13, None), time: seconds(30) },
    };
    assert_eq!(load(text).faults, expected);
    assert_eq!(load("faults = { drop = \"3%\" }").faults.drop, SilentDrop { draw: draw(3, None), status: None });
}

#[test]
fn a_quota_is_a_rate_a_table_or_several() {
    assert_eq!(load("quota = \"none\"").quotas, []);
    let window = Model::FirstRequestWindow { rate: rate("20/s") };
    assert_eq!(load("quota = \"20/s\"").quotas, [quota("token", window)]);
    assert_eq!(
        load("quota = { model = \"fixed-window\", rate = \"20/s\" }").quotas,
        [quota("fixed-window", window)],
        "named after its model"
    );
    let both = load("[[quota]]\nmodel = \"gcra\"\nrate = \"10/s\"\n[[quota]]\nmodel = \"concurrency\"\nlimit = 4");
    let burst = NonZeroU32::new(10).unwrap();
    assert_eq!(
        both.quotas,
        [
            quota("gcra", Model::Gcra { rate: rate("10/s"), burst }),
            quota("concurrency", Model::Concurrency { limit: NonZeroU32::new(4).unwrap() }),
        ],
        "the burst is the rate's count where none is given"
    );
}

#[test]
fn every_option_of_a_quota_is_read() {
    let text = r#"
        quota = { name = "bulk", model = "token-bucket", rate = "10/s", burst = 3, per = ["client", "resource"],
                  cost = "bytes", counts_refused = true, penalty = "5s", penalty_extends = true }
    "#;
    let expected = Quota {
        name: "bulk".to_owned(),
        limiter: Limiter {
            model: Model::TokenBucket { rate: rate("10/s"), burst: NonZeroU32::new(3).unwrap() },
            counts_refused: true,
            penalty: seconds(5),
            penalty_extends: true,
            slow: None,
        },
        scope: Scope::of([Dimension::Client, Dimension::Resource]),
        cost: Cost::Bytes,
    };
    assert_eq!(load(text).quotas, [expected]);
    let slow = load("quota = { model = \"gcra\", rate = \"1/s\", slow = { by = \"5ms\", most = \"1s\" } }").quotas[0]
        .limiter
        .slow;
    assert_eq!(slow, Some(Slow { by: millis(5), most: seconds(1) }));
    let organisation = "quota = { model = \"sliding-log\", rate = \"10/s\", per = \"organisation\" }";
    assert_eq!(load(organisation).quotas[0].scope, Scope::default());
}

#[test]
fn quotas_without_a_name_get_one_that_no_other_has() {
    let gcra = "{ model = \"gcra\", rate = \"10/s\" }";
    let other = "{ name = \"gcra-2\", model = \"sliding-log\", rate = \"1/s\" }";
    let quotas = load(&format!("quota = [{gcra}, {gcra}, {other}, {gcra}]")).quotas;
    let names: Vec<_> = quotas.iter().map(|quota| quota.name.as_str()).collect();
    assert_eq!(names, ["gcra", "gcra-3", "gcra-2", "gcra-4"]);
}

#[test]
fn a_file_is_a_scenario_when_it_has_a_key_of_scenarios_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file.toml");
    let load = |text: &str, overrides: &Overrides| {
        std::fs::write(&path, text).unwrap();
        File::load(&path, &|_| None, overrides)
    };
    let nothing = Overrides::default();
    assert!(matches!(load("seed = 3", &nothing), Ok(File::Simulator(simulator)) if simulator.seed == 3));
    for scenario in ["", "name = \"x\"", "seed = 3\n[target]\nsimulator = \"forum\""] {
        let error = load(scenario, &nothing).unwrap_err().to_string();
        assert!(error.contains("`load` is missing"), "{error}");
    }
    let scenario = std::fs::read_to_string("scenarios/quickstart.toml").unwrap();
    assert!(matches!(load(&scenario, &nothing), Ok(File::Scenario(_))));
    let error = load("seed = 3", &Overrides { seed: Some(4), ..nothing }).unwrap_err().to_string();
    assert!(error.starts_with("command line: the file describes a simulator"), "{error}");
}

#[test]
fn the_default_is_shown_completely_and_plainly() {
    let shown = Simulator::default().shown();
    let expected = serde_json::json!({
        "dialect": "documented", "seed": 1, "conversations": 1_000, "mismatched_roles": "0%", "life": "none",
        "clients": 1, "token_life": "24h", "static_token_life": "none", "logins": "300/min",
        "quota": [{
            "name": "token", "model": "fixed-window", "rate": "300/min", "per": "token",
            "cost": "request", "counts_refused": false, "penalty": "0s", "slow": "none",
        }],
        "signals": { "retry_after": "seconds", "retry_after_factor": 1.0, "headers": "none" },
        "latency": { "median": "20ms", "p99": "80ms" }, "visible_after": "200ms", "body_timeout": "10s",
        "faults": {
            "reset": "0%", "cut": "0%", "stall": "none", "drop": "0%", "revert": { "share": "0%", "for": "0s" },
            "lost_update": "0%", "applied_500": "0%", "applied_timeout": { "share": "0%", "for": "0s" },
            "stale_read": "0%", "duplicate": "0%", "slow_body": { "share": "0%", "for": "0s" }, "html_503": "0%",
            "empty_503": "0%", "json_503": "0%", "conflict_409": "0%", "wrong_length": "0%", "early_expiry": { "share": "0%", "for": "0s" },
        },
        "truth": 100_000,
    });
    assert_eq!(shown, expected);
    assert_eq!(load(&file(&shown)), Simulator::default());
}

const YEAR: u64 = 365 * 86_400 * 1_000_000_000;

fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(0), 0..YEAR, (0..1_000_u64).prop_map(|ms| ms * 1_000_000), Just(YEAR)]
        .prop_map(Duration::from_nanos)
}

fn positive_time() -> impl Strategy<Value = Duration> {
    any_time().prop_map(|time| time.max(Duration::from_nanos(1)))
}

fn any_share() -> impl Strategy<Value = Share> {
    let hundredths = (0..=10_000_u16).prop_map(|hundredths| f64::from(hundredths) / 1e4);
    prop_oneof![hundredths, 0.0..=1.0].prop_map(|share| Share::new(share).unwrap())
}

fn any_rate() -> impl Strategy<Value = Rate> {
    (any_count(), positive_time()).prop_map(|(count, per)| Rate::new(count, per).unwrap())
}

fn any_count() -> impl Strategy<Value = NonZeroU32> {
    (1..=u32::MAX).prop_map(|count| NonZeroU32::new(count).unwrap())
}

fn any_span() -> impl Strategy<Value = Span> {
    (any_time(), any_time()).prop_map(|(a, b)| Span { min: a.min(b), max: a.max(b) })
}

fn any_log_normal() -> impl Strategy<Value = LogNormal> {
    any_span().prop_map(|span| LogNormal { median: span.min, p99: span.max })
}

const MOST_LOGGED: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();

fn any_model() -> impl Strategy<Value = Model> {
    (0..12, any_rate(), any_count(), positive_time()).prop_map(|(kind, rate, burst, tick)| match kind {
        0 => Model::FirstRequestWindow { rate },
        1 => Model::ClockWindow { rate },
        // A log remembers each request, so the loader bounds its count.
        2 => Model::SlidingLog { rate: Rate::new(rate.count().min(MOST_LOGGED), rate.per()).unwrap() },
        3 => Model::SlidingCounter { rate },
        4 => Model::TokenBucket { rate, burst },
        5 => Model::Gcra { rate, burst },
        6 => Model::LeakyMeter { rate, burst },
        7 => Model::LeakyQueue { rate, burst },
        8 => Model::FlooredCounter { rate },
        9 => Model::AnchoredCounter { rate },
        10 => Model::TickingBucket { rate, burst, tick },
        _ => Model::Concurrency { limit: burst },
    })
}

fn any_scope() -> impl Strategy<Value = Scope> {
    any::<[bool; 4]>().prop_map(|[token, client, address, resource]| Scope { token, client, address, resource })
}

fn any_quota() -> impl Strategy<Value = Quota> {
    let slow = (positive_time(), positive_time()).prop_map(|(by, most)| Slow { by, most });
    let limiter = (any_model(), any::<bool>(), any_time(), proptest::option::of(slow)).prop_map(
        |(model, counts_refused, penalty, slow)| Limiter {
            model,
            penalty_extends: counts_refused && slow.is_none() && !penalty.is_zero(),
            counts_refused: counts_refused && !matches!(model, Model::Concurrency { .. }),
            // A slowed log remembers more than the loader lets it, most of the time.
            slow: slow.filter(|_| !matches!(model, Model::SlidingLog { .. })),
            penalty: if slow.is_some() { Duration::ZERO } else { penalty },
        },
    );
    let cost = prop_oneof![Just(Cost::Request), Just(Cost::Attributes), Just(Cost::Bytes)];
    ("[A-Za-z0-9._-]{1,12}", limiter, any_scope(), cost).prop_map(|(name, limiter, scope, cost)| Quota {
        name,
        limiter,
        scope,
        cost,
    })
}

fn any_quotas() -> impl Strategy<Value = Vec<Quota>> {
    proptest::collection::vec(any_quota(), 0..5).prop_map(|mut quotas| {
        quotas.sort_by(|a, b| a.name.cmp(&b.name));
        quotas.dedup_by(|a, b| a.name == b.name);
        quotas
    })
}

fn any_life() -> impl Strategy<Value = Life> {
    (any_share(), any_span(), any_span(), proptest::option::of(any_span()), any_time()).prop_map(
        |(share, draft, alerting, connected, known_after)| Life { share, draft, alerting, connected, known_after },
    )
}

fn any_draw() -> impl Strategy<Value = Draw> {
    (any_share(), any::<Option<u64>>()).prop_map(|(share, seed)| Draw { share, seed })
}

fn any_timed() -> impl Strategy<Value = Timed> {
    (any_draw(), any_time()).prop_map(|(draw, time)| Timed { draw, time })
}

fn any_faults() -> impl Strategy<Value = Faults> {
    let status = prop_oneof![Just(None), Just(Some(200)), Just(Some(202)), Just(Some(204))];
    let drop = (any_draw(), status).prop_map(|(draw, status)| SilentDrop { draw, status });
    let stall = (0..YEAR - 1, 1..YEAR).prop_map(|(length, more)| {
        let length = Duration::from_nanos(length / 2 + 1);
        Stall { every: length + Duration::from_nanos(more / 2 + 1), length }
    });
    let draws = proptest::array::uniform11(any_draw());
    let times = proptest::array::uniform4(any_timed());
    (draws, times, drop, proptest::option::of(stall)).prop_map(|(draws, times, drop, stall)| {
        let [reset, cut, lost_update, applied_500, stale_read, duplicate, wrong_length, pages @ ..] = draws;
        let [html_503, empty_503, json_503, conflict_409] = pages;
        let [revert, applied_timeout, slow_body, early_expiry] = times;
        let some = Faults { reset, cut, stall, drop, revert, lost_update, applied_500, ..Faults::default() };
        let some = Faults { empty_503, json_503, conflict_409, ..some };
        Faults { applied_timeout, stale_read, duplicate, slow_body, html_503, wrong_length, early_expiry, ..some }
    })
}

fn any_signals() -> impl Strategy<Value = Signals> {
    let retry_after = prop_oneof![Just(RetryAfter::Seconds), Just(RetryAfter::Date), Just(RetryAfter::Missing)];
    let headers = prop_oneof![Just(QuotaHeaders::None), Just(QuotaHeaders::RateLimit), Just(QuotaHeaders::XRateLimit)];
    let factor = prop_oneof![Just(1.0), Just(1e-9), f64::MIN_POSITIVE..=1_000.0];
    (retry_after, factor, headers).prop_map(|(retry_after, factor, headers)| Signals {
        retry_after,
        retry_after_factor: Factor(factor),
        headers,
    })
}

fn any_simulator() -> impl Strategy<Value = Simulator> {
    let dialect = prop_oneof![Just(Dialect::Documented), Just(Dialect::Forum)];
    let numbers = (any::<u64>(), 1..=1_000_000_u32, 1..=1_000_u32, 0..=1_000_000_u32);
    let times = (positive_time(), proptest::option::of(positive_time()), positive_time());
    let optional = (proptest::option::of(any_life()), proptest::option::of(any_rate()));
    let behaviour = (any_quotas(), any_signals(), any_log_normal(), any_log_normal(), any_faults());
    (dialect, numbers, any_share(), times, optional, behaviour).prop_map(
        |(dialect, (seed, conversations, clients, truth), mismatched_roles, times, (life, logins), behaviour)| {
            let (token_life, static_token_life, body_timeout) = times;
            let (quotas, signals, latency, visible_after, faults) = behaviour;
            let some =
                Simulator { dialect, seed, conversations, mismatched_roles, life, clients, ..Simulator::default() };
            let some = Simulator { token_life, static_token_life, logins, body_timeout, truth, ..some };
            Simulator { quotas, signals, latency, visible_after, faults, ..some }
        },
    )
}

proptest! {
    #[test]
    fn what_is_shown_is_loaded_again_to_the_last_bit(simulator in any_simulator()) {
        let text = file(&simulator.shown());
        prop_assert_eq!(load(&text), simulator, "{}", text);
    }

    #[test]
    fn a_mutated_file_never_panics(
        changes in proptest::collection::vec(
            (0..4_000_usize, 0..12_usize, prop_oneof!["[\"'{}\\[\\]=.,$%|/\n ]{0,3}", "\\PC{0,3}", "-?[0-9]{1,3}"]),
            1..6,
        ),
        simulator in any_simulator(),
    ) {
        let mut bytes = file(&simulator.shown()).into_bytes();
        for (at, length, insertion) in changes {
            let at = at % bytes.len().max(1);
            bytes.splice(at..(at + length).min(bytes.len()), insertion.into_bytes());
        }
        match Simulator::parse(Path::new("x.toml"), &bytes, &|_| None) {
            Ok(simulator) => drop(simulator.shown()),
            Err(LoadError::Mistakes(mistakes)) => prop_assert!(!mistakes.is_empty()),
            Err(error) => panic!("{error}"),
        }
    }
}
