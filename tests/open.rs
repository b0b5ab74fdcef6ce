//! The open model: the schedule is kept whatever the server does, and everything that is due is accounted for.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a test fails by panicking, prints its figures, and its counts are small"
)]

mod runs;

use std::sync::Arc;
use std::time::Duration;

use patchload::engine::{Ended, Stop};
use patchload::judge::{Reason, Verdict, verdict};
use patchload::measure::{Clock, Totals, quantile};
use patchload::scenario::Scenario;

/// Operations at `rate` for `length` on a simulator with these parameters.
fn scenario(simulator: &str, load: &str) -> Arc<Scenario> {
    let target = format!("[target]\nsimulator = {{ quota = \"none\", {simulator} }}");
    let auth = "[target.auth]\nkind = \"client-credentials\"";
    runs::scenario(&format!("{target}\n{auth}\n{}\n[load]\nmodel = \"arrivals\"\n{load}\n", runs::ATTRIBUTES))
}

fn run(scenario: &Arc<Scenario>) -> Ended {
    let server = runs::server(scenario);
    runs::measure(scenario, server.address(), &Stop::default(), |_, _| {})
}

/// A quantile of a clock in milliseconds.
fn ms(totals: &Totals, clock: Clock, percent: f64) -> f64 {
    quantile(&totals.all().distributions.all(clock), percent).unwrap() as f64 / 1e3
}

#[test]
fn a_stall_is_felt_by_all_that_was_due_in_it() {
    // In each second everything that falls into its first 200 ms waits for their end: a fifth of the operations, evenly
    // spread over 0 to 200 ms. So the responses above their share of 80 % are those of the stall, from the shortest.
    // `tests/long.sh` asks for a minute.
    let seconds = std::env::var("STALL_SECONDS").map_or(10, |seconds| seconds.parse::<u64>().unwrap());
    let load = format!(r#"stages = [{{ for = "{seconds}s", rate = "200/s" }}]"#);
    let stalls = r#"latency = "0s", faults = { stall = { every = "1s", for = "200ms" } }"#;
    let (with, without) = (run(&scenario(stalls, &load)), run(&scenario(r#"latency = "0s""#, &load)));
    let (stalled, smooth) = (&with.totals, &without.totals);
    assert_eq!((stalled.all().counts.operations(), stalled.all().counts.unsent), (200 * seconds, 0));
    let responses = stalled.all().distributions.all(Clock::Response);
    let slow = responses.count_between(5_001, u64::MAX) as f64 / responses.len() as f64;
    // A pause of this machine makes a few more of them slow: a hundredth of all moves each quantile by a twentieth of the
    // stall's 200 ms. Over a minute that is evened out.
    let (excess, most) = if seconds < 60 { ((slow - 0.2).max(0.0), 0.02) } else { (0.0, 0.01) };
    for (percent, share_of_stall) in [(90.0, 0.5), (95.0, 0.75), (99.0, 0.95)] {
        let (expected, found): (f64, f64) = (200.0 * share_of_stall, ms(stalled, Clock::Response, percent));
        let allowed = (0.03 * expected).max(5.0) + excess / 0.2 * 200.0;
        assert!((found - expected).abs() <= allowed, "p{percent}: {found} ms for {expected} ms +- {allowed}");
    }
    let (found, expected) = (ms(stalled, Clock::Response, 50.0), ms(smooth, Clock::Response, 50.0));
    assert!((found - expected).abs() <= 1.0, "p50: {found} ms with stalls, {expected} ms without");
    assert!((slow - 0.2).abs() <= most, "{slow} of the responses took over 5 ms");
    let story: Vec<_> = [Clock::Response, Clock::Service]
        .iter()
        .flat_map(|clock| [50.0, 90.0, 95.0, 99.0].map(|percent| ms(stalled, *clock, percent)))
        .collect();
    println!("p50, p90, p95, p99 in ms of response and service: {story:?}; over 5 ms: {slow}");
}

#[test]
fn what_finds_no_user_waits_in_the_response_and_what_never_starts_is_unsent() {
    let length = 4.0;
    let load = r#"stages = [{ for = "4s", rate = "100/s" }]
        max_users = 5"#;
    let scenario = scenario(r#"latency = "100ms""#, load);
    let ended = run(&scenario);
    let all = ended.totals.all();
    assert_eq!((all.counts.due, all.counts.due), (400, all.counts.started + all.counts.unsent));
    // Five users with 100 ms each do 50 per second.
    let started = all.counts.started as f64;
    assert!((0.85..=1.02).contains(&(started / (50.0 * length))), "{started} started");
    assert!(ms(&ended.totals, Clock::Service, 50.0) < 130.0, "service is the server's alone");
    assert!(ms(&ended.totals, Clock::Response, 50.0) > 700.0, "response has the wait for a user");
    assert!(ms(&ended.totals, Clock::Wait, 50.0) > 600.0, "so has wait");
    let (found, reasons) = verdict(&ended.evidence);
    assert!(found != Verdict::Valid, "{reasons:?}");
    assert!(reasons.iter().any(|reason| matches!(reason, Reason::UsersExhausted { .. })), "{reasons:?}");
}

#[test]
fn what_is_due_in_the_warm_up_or_the_cool_down_is_in_the_timeline_and_in_no_figure() {
    // Answers take so long that many cross from one phase into the next.
    let load = r#"stages = [{ for = "6s", rate = "100/s" }]
        warmup = "2s"
        cooldown = "1500ms""#;
    let scenario = scenario(r#"latency = "700ms""#, load);
    let (server, root) = (runs::server(&scenario), tempfile::tempdir().unwrap());
    runs::run(&scenario, server.address(), root.path(), &Stop::default());
    let summary = &runs::rows(root.path(), "summary.csv")[0];
    assert_eq!((summary["operations"].as_str(), summary["accepted"].as_str()), ("250", "250"), "due from 2 s to 4.5 s");
    assert_eq!(summary["achieved_per_s"], "100");
    let timeline = runs::rows(root.path(), "timeline.csv");
    let phases: Vec<_> = timeline.iter().map(|row| row["phase"].as_str()).collect();
    assert_eq!(phases, ["warmup", "warmup", "main", "main", "main", "cooldown", "drain"]);
    assert_eq!((runs::sum(&timeline, "due"), runs::sum(&timeline, "accepted")), (600, 600));
    assert!(timeline[1]["response_p50_us"].parse::<u64>().unwrap() >= 700_000, "the warm-up's latencies are there too");
    let latency = runs::rows(root.path(), "latency.csv");
    assert!(latency.iter().filter(|row| row["clock"] == "response").all(|row| row["count"] == "250"));
}

#[test]
fn a_poisson_schedule_is_kept_and_the_undisturbed_run_is_valid() {
    let load = r#"stages = [{ for = "1s", to = "300/s" }, { for = "2s", rate = "300/s" }]
        spacing = "poisson"
        repeat = 2"#;
    let scenario = scenario(r#"latency = "2ms""#, load);
    let ended = run(&scenario);
    let all = ended.totals.all();
    let expected = scenario.plan().arrivals.unwrap();
    assert_eq!((all.counts.due, all.counts.started, all.counts.unsent), (expected, expected, 0));
    assert!((1_300..1_700).contains(&expected), "{expected} of about 1,500");
    let (found, reasons) = verdict(&ended.evidence);
    assert!(found != Verdict::Invalid, "{reasons:?}");
    assert!(Duration::from_secs_f64(ended.totals.elapsed_s) >= Duration::from_secs(6));
}
