//! The summary of a run as text, against golden files; `UPDATE_GOLDEN=1` writes them anew.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::path::{Path, PathBuf};

use patchload::measure::{Failure, Logins, Retries, Run, State, Totals, Warning};
use patchload::report;

mod synthetic;

fn assert_golden(name: &str, actual: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{} differs; look at it, and update with UPDATE_GOLDEN=1", path.display());
}

fn text(run: &Run) -> String {
    report::text(run, None, Path::new("results/participant-attributes-20261121T134501Z"))
}

fn seconds(n: u64, attempts: u64, variants: usize) -> Vec<patchload::measure::Second> {
    (0..n).map(|number| synthetic::second(number, attempts, variants)).collect()
}

#[test]
fn a_run_of_two_variants_shows_each_and_all() {
    assert_golden("report-two-variants.txt", &text(&synthetic::run(&seconds(11, 400, 2))));
}

#[test]
fn a_run_of_one_variant_has_no_row_for_all() {
    let mut run = synthetic::run(&[]);
    run.header.variants.truncate(1);
    run.header.host.simulator_threads = 0;
    run.header.scenario = serde_json::json!({ "target": { "base_url": "https://api.example.test" } });
    run.totals = synthetic::totals(&seconds(3, 30, 1), 1);
    run.state = State::Interrupted;
    run.warnings = vec![
        Warning::Interrupted { elapsed_s: 3.0, planned_s: 10.0 },
        Warning::Aborted { threshold: "for 2s failure_rate is 3%, not < 1%".to_owned() },
        Warning::RenewalsFailed { count: 12, last_error: "no answer".to_owned() },
    ];
    assert_golden("report-one-variant.txt", &text(&run));
}

#[test]
fn a_run_without_any_attempt_shows_no_figure_that_it_does_not_have() {
    let mut run = synthetic::run(&[]);
    run.state = State::Interrupted;
    run.warnings = vec![Warning::Killed { seconds: 0 }, Warning::TargetDied { after_s: 10.0 }];
    run.totals = Totals::new(2);
    assert_golden("report-nothing.txt", &text(&run));
}

#[test]
fn a_region_and_what_there_is_to_tell_of_tokens_stand_at_the_top() {
    let mut run = synthetic::run(&seconds(3, 30, 1));
    run.header.scenario = serde_json::json!({ "target": { "region": "mypurecloud.de" } });
    assert!(text(&run).contains("\ntarget   main (region mypurecloud.de)\n"), "{}", text(&run));
    assert!(!text(&run).contains("\ntokens "), "one login for each token is nothing to tell");
    run.totals.logins = Logins { made: 3, renewed_after_401: 1, ..Logins::default() };
    assert!(text(&run).contains("\ntokens   3 logins; 1 renewed after a 401\n"), "{}", text(&run));
}

#[test]
fn a_run_with_retries_says_what_they_cost_and_which_fields_were_refused() {
    let mut run = synthetic::run(&seconds(11, 400, 2));
    run.header.scenario["retry"] = serde_json::json!({ "on": [429] });
    let totals = &mut run.totals;
    totals.retries = Retries {
        attempts: 880,
        operations: 880,
        accepted: 830,
        asked: 800,
        obeyed: 780,
        given_up_max: 40,
        given_up_run_ended: 10,
        ..Retries::default()
    };
    totals.parked_peak = 1_234;
    let (key, _) = totals.failures.iter().find(|(key, _)| key.code == "invalid.value").unwrap();
    let named = Failure { field: Some("attributes.tier".to_owned()), ..Failure::default() };
    totals.failures.count(key.clone(), Failure { first_s: u64::MAX, ..named });
    assert_golden("report-retries.txt", &text(&run));
}

#[test]
fn every_line_fits_a_hundred_columns_but_for_ids_and_paths() {
    let text = text(&synthetic::run(&seconds(11, 400, 2)));
    for line in text
        .lines()
        .filter(|line| !line.starts_with("reports ") && !line.ends_with("correlation id") && !line.contains("2f6e0000"))
    {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(text.is_ascii(), "readable anywhere: {text}");
}
