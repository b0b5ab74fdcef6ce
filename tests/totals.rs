//! The totals of a run agree: with each other in all files, and with the simulator's own account.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod runs;
mod wire;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;
use std::time::Duration;

use patchload::engine::Stop;
use patchload::measure::Warning;
use patchload::scenario::Simulator;
use patchload::sim::{self, Truth};
use runs::{rows, run, scenario, sum};
use serde_json::Value;

fn one_thread() -> NonZeroUsize {
    NonZeroUsize::MIN
}

/// Checks every file against every other and against the simulator, and returns the attempts that were not sent.
fn agree(root: &Path, truth: &Truth) -> u64 {
    let (summary, failures, timeline) =
        (rows(root, "summary.csv"), rows(root, "failures.csv"), rows(root, "timeline.csv"));
    let outcomes = ["accepted", "unexpected", "throttled", "rejected", "failed", "broken"];
    for row in &summary {
        let attempts = sum([row], "attempts");
        let name = &row["variant"];
        let not_accepted = failures.iter().filter(|failure| name == "all" || failure["variant"] == *name);
        assert_eq!(sum(not_accepted, "count") + sum([row], "accepted"), attempts, "{name}");
        assert_eq!(outcomes.iter().map(|outcome| sum([row], outcome)).sum::<u64>(), attempts, "{name}");
        assert_eq!(
            sum([row], "operations"),
            attempts + sum([row], "unsent"),
            "{name}: no retries, so attempts started"
        );
    }
    let all = summary.iter().find(|row| row["variant"] == "all").or(summary.first()).unwrap();
    for outcome in outcomes {
        assert_eq!(sum(&timeline, outcome), sum([all], outcome), "{outcome}");
    }
    assert_eq!(sum(&timeline, "due"), sum([all], "operations"));
    assert_eq!(sum(&timeline, "started"), sum([all], "attempts"));
    let not_sent = sum(failures.iter().filter(|failure| failure["code"].starts_with("not_sent")), "count");
    assert_eq!(sum([all], "attempts"), truth.patches.received + not_sent, "{truth:#?}");
    // What the server accepted and we gave up before its answer is a timeout here.
    let given_up = sum(failures.iter().filter(|failure| failure["code"] == "timeout"), "count");
    let accepted = sum([all], "accepted");
    assert!((accepted..=accepted + given_up).contains(&truth.patches.accepted), "{accepted}, {given_up}, {truth:#?}");
    not_sent
}

#[test]
fn with_resets_stalls_and_timeouts() {
    let root = tempfile::tempdir().unwrap();
    let scenario = scenario(
        r#"
        [target]
        timeout = "150ms"
        [target.simulator]
        quota = "none"
        latency = { median = "2ms", p99 = "10ms" }
        faults = { reset = "5%", stall = { every = "1s", for = "300ms" } }
        [target.auth]
        kind = "client-credentials"
        tokens = 2
        [data.participants]
        from = "simulator"
        [[variant]]
        name = "right"
        path = "/api/v2/conversations/{{ conversation_id }}/participants/{{ participant_id }}/attributes"
        body = '{"attributes": {"ref": "{{ unique }}"}}'
        expect = [202]
        weight = 3
        [[variant]]
        name = "wrong"
        path = "/api/v2/conversations/{{ conversation_id }}/participants/{{ participant_id }}/attributes"
        body = '{"attributes": {"count": {{ step | json }}}}'
        expect = [202]
        [load]
        stages = [{ for = "3s", users = 40 }]
        think_time = { min = "1ms", max = "20ms" }
        "#,
    );
    let mut server = runs::server(&scenario);
    run(&scenario, server.address(), root.path(), &Stop::default());
    server.stop();
    let truth = server.truth();
    let failures = rows(root.path(), "failures.csv");
    let count = |code: &str| sum(failures.iter().filter(|failure| failure["code"] == code), "count");
    agree(root.path(), &truth);
    assert!(count("reset") + count("closed") > 50, "{failures:#?}");
    assert!(count("timeout") > 50 && count("invalid.value") > 50, "{failures:#?}");
}

#[test]
fn with_connections_that_are_refused_at_first() {
    let root = tempfile::tempdir().unwrap();
    let config = Simulator { quotas: Vec::new(), ..Simulator::default() };
    // The port is free again once the first server is gone, and the second one has the same token.
    let (address, token) = {
        let first = sim::start(&config, ([127, 0, 0, 1], 0).into(), one_thread()).unwrap();
        (first.address(), first.token().to_owned())
    };
    let scenario = scenario(&format!(
        r#"
        [target]
        base_url = "http://{address}"
        [target.auth]
        kind = "bearer"
        tokens = ["{token}"]
        [[variant]]
        name = "unknown"
        path = "/api/v2/conversations/none/participants/none/attributes"
        body = '{{"attributes": {{"ref": "{{{{ unique }}}}"}}}}'
        expect = [404]
        [load]
        stages = [{{ for = "3s", users = 20 }}]
        think_time = "20ms"
        connections = "per-request"
        "#
    ));
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1_500));
        sim::start(&config, address, one_thread()).unwrap()
    });
    run(&scenario, address, root.path(), &Stop::default());
    let mut server = late.join().unwrap();
    server.stop();
    assert_eq!(server.token(), token);
    let truth = server.truth();
    let (summary, failures) = (rows(root.path(), "summary.csv"), rows(root.path(), "failures.csv"));
    let not_sent = sum(failures.iter().filter(|failure| failure["code"] == "not_sent.refused"), "count");
    assert!(not_sent > 100, "{failures:#?}");
    assert_eq!(sum(&summary[..1], "attempts"), truth.patches.received + not_sent);
    assert_eq!(sum(&summary[..1], "accepted"), truth.patches.rejected);
}

#[test]
fn with_a_run_that_is_stopped_and_users_that_wait_for_the_limit() {
    let root = tempfile::tempdir().unwrap();
    let scenario = scenario(
        r#"
        [target]
        simulator = "documented"
        [data.participants]
        from = "simulator"
        [[variant]]
        name = "right"
        path = "/api/v2/conversations/{{ conversation_id }}/participants/{{ participant_id }}/attributes"
        body = '{"attributes": {"ref": "{{ unique }}"}}'
        expect = [202]
        [load]
        stages = [{ for = "1m", users = 100 }]
        [limit]
        rate = "50/s"
        "#,
    );
    let mut server = runs::server(&scenario);
    let stop = Stop::default();
    let later = stop.clone();
    let stopper = thread::spawn(move || {
        thread::sleep(Duration::from_millis(2_300));
        later.request();
    });
    let warnings = run(&scenario, server.address(), root.path(), &stop);
    stopper.join().unwrap();
    server.stop();
    assert!(matches!(warnings[..], [Warning::Interrupted { .. }]), "{warnings:?}");
    assert_eq!(agree(root.path(), &server.truth()), 0);
    let summary = rows(root.path(), "summary.csv");
    assert!(sum(&summary[..1], "unsent") > 50, "{summary:#?}");
}

#[test]
fn with_tokens_that_expire_and_are_renewed() {
    let root = tempfile::tempdir().unwrap();
    let scenario = scenario(
        r#"
        [target]
        simulator = { quota = "none", token_life = "10s", latency = { median = "1ms", p99 = "2ms" } }
        [target.auth]
        kind = "client-credentials"
        tokens = 3
        [data.participants]
        from = "simulator"
        [[variant]]
        name = "right"
        path = "/api/v2/conversations/{{ conversation_id }}/participants/{{ participant_id }}/attributes"
        body = '{"attributes": {"ref": "{{ unique }}"}}'
        expect = [202]
        [load]
        stages = [{ for = "13s", users = 9 }]
        think_time = "20ms"
        "#,
    );
    let mut server = runs::server(&scenario);
    run(&scenario, server.address(), root.path(), &Stop::default());
    server.stop();
    let truth = server.truth();
    agree(root.path(), &truth);
    assert_eq!(truth.patches.rejected, 0, "{truth:#?}");
    // 3 at the start, and each renewed at 8 s; the old ones ended at 10 s.
    assert_eq!(truth.logins.accepted, 6, "{truth:#?}");
}

/// What became of each PATCH of the truth: outcome, status and code with their count, as `failures.csv` has them.
fn endings(lines: &[Value]) -> BTreeMap<(&'static str, String, String), u64> {
    let mut endings = BTreeMap::new();
    for line in lines.iter().filter(|line| line["method"] == "PATCH") {
        let (status, code) = (line["status"].as_u64(), line["code"].as_str().unwrap());
        let (outcome, code) = match status {
            None => ("broken", "reset"),
            Some(202) => ("accepted", code),
            Some(429) => ("throttled", code),
            Some(400..=499) => ("rejected", code),
            // A page says what it is where an error body has its code.
            Some(503) => ("failed", "html"),
            Some(_) => ("failed", code),
        };
        let status = status.map(|status| status.to_string()).unwrap_or_default();
        *endings.entry((outcome, status, code.to_owned())).or_default() += 1;
    }
    endings
}

#[test]
fn with_faults_and_a_quota_every_row_of_failures_has_the_count_of_the_truth() {
    let root = tempfile::tempdir().unwrap();
    let scenario = scenario(
        r#"
        [target.simulator]
        quota = "400/s"
        latency = { median = "2ms", p99 = "10ms" }
        faults = { reset = "4%", applied_500 = "5%", html_503 = "6%", stall = { every = "1s", for = "200ms" } }
        [data.participants]
        from = "simulator"
        [[variant]]
        name = "right"
        path = "/api/v2/conversations/{{ conversation_id }}/participants/{{ participant_id }}/attributes"
        body = '{"attributes": {"ref": "{{ unique }}"}}'
        expect = [202]
        weight = 3
        [[variant]]
        name = "wrong"
        path = "/api/v2/conversations/{{ conversation_id }}/participants/{{ participant_id }}/attributes"
        body = '{"attributes": {"count": {{ step | json }}}}'
        expect = [202]
        [load]
        stages = [{ for = "3s", users = 10 }]
        think_time = { min = "1ms", max = "20ms" }
        "#,
    );
    let server = runs::server(&scenario);
    run(&scenario, server.address(), root.path(), &Stop::default());
    let mut expected = endings(&wire::truth(server.address(), 0));
    let accepted = expected.remove(&("accepted", "202".to_owned(), String::new())).unwrap();
    assert_eq!(
        sum(rows(root.path(), "summary.csv").iter().filter(|row| row["variant"] == "all"), "accepted"),
        accepted
    );
    let mut found = BTreeMap::new();
    let failures = rows(root.path(), "failures.csv");
    for row in &failures {
        let ending = (row["outcome"].clone(), row["status"].clone(), row["code"].clone());
        *found.entry(ending).or_default() += sum([row], "count");
    }
    let expected: BTreeMap<_, u64> =
        expected.into_iter().map(|((outcome, status, code), n)| ((outcome.to_owned(), status, code), n)).collect();
    assert_eq!(found, expected);
    assert_eq!(found.len(), 5, "a reset, two kinds of 5xx, a 4xx and a 429: {failures:#?}");
    assert!(found.values().all(|count| *count >= 10), "{found:#?}");
}
