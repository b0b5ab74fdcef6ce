//! The summary of a run as text, against golden files; `UPDATE_GOLDEN=1` writes them anew.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::path::{Path, PathBuf};

use patchload::measure::{
    Check, Checks, Counts, Effort, Failure, FailureKey, Findings, Logins, Mode, Outcome, Repetitions, Retries, Run,
    State, Totals, VariantChecks, Warning,
};
use patchload::report;

mod found;
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

/// Outcome, status (0 for none), code and field.
type Refusal = (Outcome, u16, &'static str, Option<&'static str>);

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

/// Fourteen payloads of which three are accepted, one has bad luck, and the others are refused for reasons of their own.
fn payloads() -> Run {
    let names = [
        "documented",
        "documented-calls",
        "a-flat",
        "a-wrapped",
        "c-no-content-type",
        "e-put",
        "e-custom-attributes",
        "e-nested",
        "e-extra-key",
        "e-quota",
        "e-nothing-changes",
    ];
    let refusals: [&[Refusal]; 11] = [
        &[],
        &[(Outcome::Failed, 503, "service.unavailable", None), (Outcome::Broken, 0, "timeout", None)],
        &[],
        &[(Outcome::Rejected, 404, "not.found", None)],
        &[(Outcome::Rejected, 415, "unsupported.media.type", None)],
        &[(Outcome::Rejected, 405, "method.not.allowed", None)],
        &[(Outcome::Rejected, 400, "conversation.error.participant.attribute.null", Some("attributes"))],
        &[(Outcome::Rejected, 400, "invalid.value", Some("attributes.customer"))],
        &[],
        &[(Outcome::Throttled, 429, "too.many.requests.retry.after", None)],
        &[(Outcome::Unexpected, 200, "", None)],
    ];
    let mut run = synthetic::run(&[]);
    run.header.variants = names.map(str::to_owned).to_vec();
    run.totals = Totals { elapsed_s: 10.0, main_s: 10.0, ..Totals::new(names.len()) };
    for (variant, (kinds, totals)) in refusals.iter().zip(&mut run.totals.variants).enumerate() {
        let failed = match kinds.len() {
            0 => 0,
            1 => 640,
            _ => 20,
        };
        let mut counts = Counts { due: 640, started: 640, finished: 640, failed, ..Counts::default() };
        counts.outcomes[Outcome::Accepted.index()] = 640 - failed;
        for (outcome, status, code, field) in *kinds {
            let count = failed / kinds.len() as u64;
            counts.outcomes[outcome.index()] = count;
            let status = Some(*status).filter(|status| *status > 0);
            let key = FailureKey { variant, outcome: *outcome, status, code: (*code).to_owned() };
            let correlation_ids = vec![format!("2f6e0000-0000-4000-8000-{variant:012}")];
            let failure = Failure { count, field: field.map(str::to_owned), correlation_ids, ..Failure::default() };
            run.totals.failures.count(key, failure);
        }
        totals.counts = counts;
        totals.blocks.add_second(&counts);
        run.totals.blocks.add_second(&counts);
    }
    run
}

#[test]
fn of_several_payloads_a_reader_sees_at_a_glance_which_work_and_why_the_others_do_not() {
    assert_golden("report-payloads.txt", &text(&payloads()));
}

#[test]
fn what_the_checks_found_is_told_at_a_glance_in_figures_and_by_a_sample_of_each() {
    let mut run = synthetic::run(&seconds(11, 400, 2));
    let mut checks = found::checks();
    checks.variants[1].repetitions[Mode::Keyed.index()] =
        Repetitions { pairs: 10, same_status: 10, same_response: 10, same_state: 10, ..Repetitions::default() };
    run.totals.checks = Some(checks);
    run.header.scenario["checks"] = serde_json::json!({ "history": true, "lost_updates": { "enabled": true } });
    let text = text(&run);
    assert_golden("report-checks.txt", &text);
    let section = text.split("\nchecks ").nth(1).and_then(|rest| rest.split("\nreports ").next()).unwrap();
    assert!(section.lines().all(|line| line.chars().count() <= 100), "{section}");
    assert!(!section.contains('\u{1b}'), "what comes from the server is nothing that a terminal obeys");
}

#[test]
fn checks_that_could_judge_nothing_claim_nothing() {
    let mut run = synthetic::run(&seconds(3, 30, 2));
    let mut right = found::checks();
    right.variants[0] = VariantChecks::default();
    run.totals.checks = Some(right);
    assert!(
        text(&run).contains("\nchecks   No violation was found in 520 cases that were judged.\n"),
        "{}",
        text(&run)
    );
    let effort = Effort { reads: 12, ..Effort::default() };
    run.totals.checks = Some(Checks { variants: vec![VariantChecks::default(); 2], merge: None, effort });
    assert!(
        text(&run).contains("\nchecks   Nothing could be judged.\neffort   12 reads and 0 writes"),
        "{}",
        text(&run)
    );
    assert!(!text(&run).contains("merge"), "{}", text(&run));
    run.header.scenario["checks"] = serde_json::json!({ "lost_updates": { "enabled": true } });
    let checks = run.totals.checks.as_mut().unwrap();
    let sample = Some("operation 7: no look was late enough".to_owned());
    checks.variants[0].findings[Check::Indeterminate.index()] = Findings { checked: 1, found: 1, sample };
    for told in [
        "\nchecks   Nothing could be judged.\nmerge    It was not proven whether writes leave",
        "\nsample   indeterminate of attributes: Operation 7: no look was late enough.\n",
    ] {
        assert!(text(&run).contains(told), "{}", text(&run));
    }
}

#[test]
fn every_line_fits_a_hundred_columns_but_for_paths() {
    let texts = [text(&synthetic::run(&seconds(11, 400, 2))), text(&payloads())];
    for line in texts.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with("reports ")) {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(texts.iter().all(|text| text.is_ascii()), "readable anywhere: {texts:?}");
}
