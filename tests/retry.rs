//! Retries against the simulator with a quota: what was tried again agrees with the server's own account.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod runs;
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use patchload::engine::Stop;
use patchload::results;
use patchload::scenario::{Overrides, Scenario};
use patchload::sim::Truth;
use runs::{rows, sum};
use serde_json::Value;

/// What a run left behind, and what the server says of it.
struct Measured {
    root: tempfile::TempDir,
    truth: Truth,
    /// The server's account of each request.
    lines: Vec<Value>,
}

impl Measured {
    fn folder(&self) -> PathBuf {
        std::fs::read_dir(self.root.path()).unwrap().next().unwrap().unwrap().path()
    }

    fn document(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.folder().join("run.json")).unwrap()).unwrap()
    }

    /// When the attempts of each operation came: each has a participant of its own.
    fn operations(&self) -> BTreeMap<String, Vec<u64>> {
        let mut operations: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for line in self.lines.iter().filter(|line| line["method"] == "PATCH") {
            let name = format!("{} {}", line["conversation"], line["participant"]);
            operations.entry(name).or_default().push(line["arrived_us"].as_u64().unwrap());
        }
        operations
    }
}

/// Runs a load against a quota of 40 per second, which refuses with `Retry-After: 1`.
fn run(load: &str) -> Measured {
    let text = format!(
        r#"
        name = "retry"
        [target.simulator]
        quota = "40/s"
        latency = "1ms"
        [data.participants]
        from = "simulator"
        [[variant]]
        name = "right"
        path = "/api/v2/conversations/{{{{ conversation_id }}}}/participants/{{{{ participant_id }}}}/attributes"
        body = '{{"attributes": {{"ref": "{{{{ unique }}}}"}}}}'
        expect = [202]
        {load}
        "#
    );
    let scenario = Scenario::parse(Path::new("retry.toml"), text.as_bytes(), &|_| None, &Overrides::default());
    let scenario = Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")));
    let (root, mut server) = (tempfile::tempdir().unwrap(), runs::server(&scenario));
    runs::run(&scenario, server.address(), root.path(), &Stop::default());
    let lines = wire::truth(server.address(), 0);
    server.stop();
    Measured { root, truth: server.truth(), lines }
}

/// Holds all files against each other and against the server's account; returns `totals.retries`.
fn agree(measured: &Measured) -> Value {
    let (document, operations) = (measured.document(), measured.operations());
    let summary = rows(measured.root.path(), "summary.csv");
    let of = |column: &str| sum(&summary[..1], column);
    let counts = &document["totals"]["variants"][0]["counts"];
    let count = |name: &str| counts[name].as_u64().unwrap();
    let retries = document["totals"]["retries"].clone();
    let count_of = |name: &str| retries[name].as_u64().unwrap();
    let patches = measured.truth.patches;

    assert_eq!(of("attempts"), patches.received);
    assert_eq!((of("accepted"), of("throttled")), (patches.accepted, patches.throttled));
    assert_eq!((count("started"), count("finished")), (operations.len() as u64, operations.len() as u64));
    assert_eq!(of("operations"), count("started") + of("unsent"));
    // An accepted attempt is the last of its operation.
    assert_eq!(count("finished") - count("failed"), patches.accepted);
    assert_eq!(count_of("attempts"), patches.received - operations.len() as u64);
    assert_eq!(count_of("operations"), operations.values().filter(|attempts| attempts.len() > 1).count() as u64);
    assert_eq!((count_of("asked"), count_of("obeyed")), (count_of("attempts"), count_of("attempts")));
    let given_up: u64 =
        ["max", "longest_wait", "no_room", "run_ended"].iter().map(|why| count_of(&format!("given_up_{why}"))).sum();
    assert_eq!(given_up, count("failed"), "all that fails here is throttled, and would be tried again");

    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let amplification = patches.received as f64 / operations.len() as f64;
    assert!((retries["attempts_per_operation"].as_f64().unwrap() - amplification).abs() < 1e-9);
    for attempts in operations.values() {
        let gaps = attempts.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.min().is_none_or(|shortest| shortest >= 1_000_000), "an early retry: {attempts:?}");
    }
    let timeline = rows(measured.root.path(), "timeline.csv");
    assert_eq!((sum(&timeline, "started"), sum(&timeline, "throttled")), (count("started"), of("throttled")));
    let responses = rows(measured.root.path(), "latency.csv");
    let responses = responses.iter().find(|row| row["clock"] == "response" && row["outcome"] == "all").unwrap();
    assert_eq!(responses["count"].parse::<u64>().unwrap(), count("finished"));
    retries
}

#[test]
fn users_that_wait_for_their_retry_get_all_through() {
    let measured = run(r#"[load]
        stages = [{ for = "5s", users = 60 }]
        think_time = "500ms"
        [retry]
        on = [429]
        max = 9"#);
    let retries = agree(&measured);
    assert!(retries["accepted"].as_u64().unwrap() > 20, "{retries:#}");
    assert!((1..=60).contains(&retries["parked_peak"].as_u64().unwrap()), "{retries:#}");
    // Rebuilt from its files, the run is the same.
    let before = measured.document();
    let (run, _) = results::rebuild(&measured.folder()).unwrap();
    assert_eq!(measured.document(), before);
    assert_eq!(run.totals.retries.attempts, retries["attempts"].as_u64().unwrap());
}

#[test]
fn parked_operations_of_the_open_model_come_back_and_what_is_left_is_not_lost() {
    let measured = run(r#"[load]
        model = "arrivals"
        stages = [{ for = "3s", rate = "80/s" }]
        max_users = 20
        [retry]
        on = [429]
        max = 2"#);
    let retries = agree(&measured);
    assert!(retries["parked_peak"].as_u64().unwrap() > 20, "more than there are users: {retries:#}");
    assert!(retries["given_up_run_ended"].as_u64().unwrap() > 20, "{retries:#}");
    assert_eq!(measured.operations().len(), 240);
}

#[test]
fn a_run_without_retries_says_nothing_of_them() {
    let measured = run("[load]\nstages = [{ for = \"1s\", users = 2 }]\nthink_time = \"100ms\"");
    assert_eq!(measured.document()["totals"].get("retries"), None);
}
