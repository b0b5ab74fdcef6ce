//! What the checks find on the embedded simulator, held against the simulator's own account of what it did.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and tells its figures")]

mod account;
mod command;
#[path = "checks/detection.rs"]
mod detection;
#[path = "checks/silence.rs"]
mod silence;

use std::collections::BTreeMap;
use std::fs;

use command::{Place, json, patchload, text, writing};
use serde_json::Value;

/// A run with checks: its reports and the simulator's account.
struct Told {
    code: Option<i32>,
    /// By check: checked, found.
    found: BTreeMap<String, (u64, u64)>,
    /// By mode: pairs, violations, inconclusive.
    repeated: BTreeMap<String, (u64, u64, u64)>,
    run: Value,
    truth: Vec<Value>,
    history: String,
    said: String,
}

impl Told {
    /// How many answered requests of a method a fault befell.
    fn befallen(&self, method: &str, fault: &str) -> u64 {
        let is_it = |line: &&Value| {
            let faults = line["faults"].as_array().unwrap();
            line["method"] == method && line["end"] == "answered" && faults.iter().any(|name| name == fault)
        };
        self.truth.iter().filter(is_it).count() as u64
    }

    /// The checks that found anything, but for writes that were seen and those that nobody can judge.
    fn findings(&self) -> Vec<&str> {
        let of = self
            .found
            .iter()
            .filter(|(name, (_, found))| *found > 0 && !matches!(name.as_str(), "visible" | "indeterminate"));
        of.map(|(name, _)| name.as_str()).collect()
    }
}

/// The rows of a CSV file as maps.
fn rows(text: &str) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_reader(text.as_bytes()).deserialize().map(Result::unwrap).collect()
}

const EACH_ITS_ROW: &str = "conversations = 2000";

/// Looks for each write: it is visible 20 to 100 ms after its answer.
const VISIBILITY: &str = r#"
    [checks.visibility]
    share = "100%"
    within = "1s"
    poll = { first = "20ms", factor = 1.5, most = "200ms" }
    recheck = "2s"
    [thresholds]
    never_visible_rate = "< 0.01%"
"#;

/// Users write for 4 s at 80/s, on a simulator with these settings, with these checks and whatever else.
fn scenario(simulator: &str, (track, checks): (&str, &str)) -> String {
    format!(
        r#"
            name = "checks"
            [target.simulator]
            quota = "none"
            latency = {{ median = "5ms", p99 = "20ms" }}
            visible_after = {{ median = "40ms", p99 = "100ms" }}
            {simulator}
            {writing}
            [load]
            spread = "0s"
            stages = [{{ for = "4s", users = 20 }}]
            think_time = "240ms"
            [checks]
            track = "{track}"
            history = true
            {checks}
            "#,
        writing = writing(track, "sequential")
    )
}

fn run(simulator: &str, checks: (&str, &str)) -> Told {
    run_scenario(&scenario(simulator, checks))
}

fn run_scenario(scenario: &str) -> Told {
    let place = Place::new();
    let scenario = place.write("scenario.toml", scenario);
    let output =
        patchload(&["run", &scenario, "--out", &place.results(), "--truth", "--accept-invalid"]).output().unwrap();
    let said = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
    let file = |name: &str| fs::read_to_string(place.run().join(name)).unwrap_or_else(|_| panic!("{name}: {said}"));
    let number = |row: &BTreeMap<String, String>, column: &str| row[column].parse::<u64>().unwrap();
    let found = rows(&file("consistency.csv")).into_iter();
    let repeated = rows(&file("idempotency.csv")).into_iter();
    Told {
        code: output.status.code(),
        found: found.map(|row| (row["check"].clone(), (number(&row, "checked"), number(&row, "found")))).collect(),
        repeated: repeated
            .map(|row| {
                let count = |column| number(&row, column);
                (row["mode"].clone(), (count("pairs"), count("violations"), count("inconclusive")))
            })
            .collect(),
        run: json(&place.run().join("run.json")),
        truth: file("truth.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        history: file("history.jsonl"),
        said,
    }
}

#[test]
fn a_faultless_server_gives_no_finding_and_its_delay_is_told() {
    // All resources are read before the load and after it, at the pace of the limit.
    let limit = "limit_share = \"50%\"\n[limit]\nrate = \"2000/s\"\n";
    let told = run(EACH_ITS_ROW, ("ref", &format!("{limit}[checks.lost_updates]\nenabled = true\n{VISIBILITY}")));
    assert_eq!((told.findings(), told.code), (vec![], Some(0)), "{}", told.said);
    let (checked, visible) = told.found["visible"];
    assert!(checked > 200 && visible == checked, "{:?}\n{}", told.found, told.said);
    assert!(told.found["reverted"].0 > 200, "{:?}", told.found);
    // The delays that the checks saw are those of the simulator's account, within the distance of two looks.
    let mut delays: Vec<u64> = told
        .truth
        .iter()
        .filter(|line| line["method"] == "PATCH" && line["applied_us"].is_u64())
        .map(|line| line["applied_us"].as_u64().unwrap() - line["answered_us"].as_u64().unwrap())
        .collect();
    delays.sort_unstable();
    let checks = &told.run["checks"]["variants"][0];
    for (name, rank) in [("p50_us", delays.len() / 2), ("p99_us", delays.len() * 99 / 100)] {
        let of = |what: &str| checks[what][name].as_u64().unwrap();
        let (truth, seen, resolution) = (delays[rank], of("visible"), of("resolution"));
        assert!(seen >= truth && seen - truth <= resolution + 10_000, "{name}: {seen} for {truth}, +- {resolution} us");
    }
    // The history is for others to check: a line for each write, and one for each look.
    let lines: Vec<_> = told.history.lines().map(|line| patchload::consistency::parse_line(line).unwrap()).collect();
    let patches = told.truth.iter().filter(|line| line["method"] == "PATCH").count();
    let writes = lines.iter().filter(|line| matches!(line, patchload::consistency::Line::Write { .. })).count();
    assert_eq!(writes, patches);
}

#[test]
fn reads_are_within_the_limit_and_leave_the_load_its_part_of_it() {
    let limit = "limit_share = \"20%\"\n[limit]\nrate = \"60/s\"\n";
    let told = run(EACH_ITS_ROW, ("ref", &format!("{limit}{VISIBILITY}")));
    let mut arrivals: Vec<(u64, bool)> = told
        .truth
        .iter()
        .filter(|line| line["operation"] != "login")
        .map(|line| (line["arrived_us"].as_u64().unwrap(), line["method"] == "GET"))
        .collect();
    arrivals.sort_unstable();
    for (i, (from, _)) in arrivals.iter().enumerate() {
        let within = arrivals[i..].iter().take_while(|(at, _)| at - from < 1_000_000).count();
        // A second, what may be caught up, and one that was under way.
        assert!(within <= 60 + 2 + 1, "{within} in the second from {from} us\n{}", told.said);
    }
    // As long as the load goes on: it would take all that is left, and more.
    let end = arrivals[0].0 + 3_500_000;
    let during: Vec<_> = arrivals.iter().take_while(|(at, _)| *at < end).collect();
    let reads = during.iter().filter(|(_, is_read)| *is_read).count();
    assert!(reads * 100 <= during.len() * 22 && reads * 100 >= during.len() * 15, "{reads} of {}", during.len());
    assert_eq!(told.findings(), [""; 0], "{}", told.said);
    assert!(told.run["checks"]["effort"]["not_sampled"].as_u64().unwrap() > 0, "{}", told.said);
}

#[test]
fn every_write_that_was_dropped_is_never_visible_and_nothing_else_is_found() {
    let told = run(&format!("{EACH_ITS_ROW}\nfaults = {{ drop = \"10%\" }}"), ("ref", VISIBILITY));
    assert_eq!((told.findings(), told.code), (vec!["never_visible"], Some(5)), "{}", told.said);
    assert_eq!(told.found["never_visible"].1, told.befallen("PATCH", "drop"), "{}", told.said);
}

#[test]
fn every_write_that_was_undone_is_reverted_and_nothing_else_is_found() {
    let fault = "faults = { revert = { share = \"10%\", for = \"1s\" } }";
    let told = run(&format!("{EACH_ITS_ROW}\n{fault}"), ("ref", VISIBILITY));
    assert_eq!((told.findings(), told.code), (vec!["reverted"], Some(0)), "{}", told.said);
    assert_eq!(told.found["reverted"].1, told.befallen("PATCH", "revert"), "{}", told.said);
}

#[test]
fn every_write_that_was_applied_although_it_failed_is_a_phantom_and_nothing_else_is_found() {
    let told = run(&format!("{EACH_ITS_ROW}\nfaults = {{ applied_500 = \"10%\" }}"), ("ref", VISIBILITY));
    assert_eq!(told.findings(), ["phantom"], "{}", told.said);
    assert_eq!(told.found["phantom"].1, told.befallen("PATCH", "applied_500"), "{}", told.said);
}

#[test]
fn stale_reads_are_told_from_writes_that_went_away() {
    // Four stale reads in a row look like a write that went away: of 300 rechecks less than one in 1,000 runs has four.
    let told = run(&format!("{EACH_ITS_ROW}\nfaults = {{ stale_read = \"3%\" }}"), ("ref", VISIBILITY));
    assert_eq!(told.findings(), ["stale_read"], "{}", told.said);
    let (looks, stale) = told.found["stale_read"];
    assert!(stale > 0 && stale <= told.befallen("GET", "stale_read") && stale < looks / 4, "{stale} of {looks}");
}

#[test]
fn a_repeated_write_that_has_an_effect_of_its_own_is_a_violation_in_every_mode_and_otherwise_none_is() {
    let checks =
        |modes: &str| format!("[checks.idempotency]\nshare = \"30%\"\nmodes = [{modes}]\nsettle = \"500ms\"\n");
    let modes = checks("\"replay\", \"concurrent\", \"retry\"");
    let right = run(EACH_ITS_ROW, ("ref", &modes));
    let wrong = run(&format!("{EACH_ITS_ROW}\nfaults = {{ duplicate = \"100%\" }}"), ("ref", &modes));
    for mode in ["replay", "concurrent", "retry"] {
        let (pairs, violations, _) = right.repeated[mode];
        assert!(pairs >= 10 && violations == 0, "{mode}: {:?}\n{}", right.repeated, right.said);
        let (pairs, violations, _) = wrong.repeated[mode];
        // A client that hangs up may have been so quick that its first request was not read.
        let is_found = if mode == "retry" { violations * 2 > pairs } else { violations == pairs };
        assert!(pairs >= 10 && is_found, "{mode}: {:?}\n{}", wrong.repeated, wrong.said);
    }
    assert!(wrong.said.contains("curl -X PATCH"), "{}", wrong.said);
}

/// Each user writes a key of its own, to rows that others write, too.
const OWN_KEYS: (&str, &str) =
    ("k{{ user }}", "[checks.lost_updates]\nenabled = true\n[checks.visibility]\nshare = \"5%\"\nwithin = \"1s\"");

#[test]
fn users_that_write_keys_of_their_own_lose_none_where_writes_merge() {
    let told = run("conversations = 2", OWN_KEYS);
    assert_eq!(told.findings(), [""; 0], "{}", told.said);
    assert_eq!(told.run["checks"]["merge"], "per_key", "{}", told.said);
}

#[test]
fn writes_that_a_server_reads_changes_and_writes_back_whole_are_lost_and_prove_neither_kind_of_merge() {
    // The simulator puts back what it could read when the write came. So keys that could be seen by then stay, and of those
    // that could not, nobody knows whether they were taken away or dropped.
    let told = run("conversations = 2\nfaults = { lost_update = \"100%\" }", OWN_KEYS);
    assert!(told.found["lost"].1 > 0, "{}", told.said);
    assert_eq!(told.run["checks"]["merge"], Value::Null, "{}", told.said);
}

#[test]
fn users_that_write_keys_of_their_own_lose_all_but_the_last_where_a_write_replaces_the_whole_map() {
    // Two users for each of ten participants. A write that is looked for may be found reverted instead.
    let scenario = scenario("dialect = \"forum\"\nconversations = 5", OWN_KEYS)
        .replace("/attributes\"\n", "\"\n            method = \"PUT\"\n")
        .replace(
            "/conversations/{{ conversation_id }}/participants",
            "/conversations/calls/{{ conversation_id }}/participants",
        )
        .replace("'{\"attributes\"", "'{\"id\": \"{{ participant_id }}\", \"routing\": {}, \"attributes\"")
        .replace("expect = [202]", "expect = [200]")
        .replace("share = \"5%\"", "share = \"0.1%\"");
    let budget = format!("{scenario}\n[limit]\nrate = \"2000/s\"\nbudget = 100_000\n");
    for scenario in [scenario, budget] {
        let told = run_scenario(&scenario);
        assert_eq!(told.found["lost"], (20, 10), "{}", told.said);
        assert_eq!(told.run["checks"]["merge"], "whole_map", "{}", told.said);
    }
}

#[test]
fn what_is_seen_after_the_bound_was_never_visible_in_time_also_where_the_reading_after_the_run_shows_it() {
    let limit = "[limit]\nrate = \"2000/s\"\n[checks.lost_updates]\nenabled = true\n";
    let scenario = scenario(EACH_ITS_ROW, ("ref", &format!("limit_share = \"50%\"\n{limit}{VISIBILITY}")))
        .replace("{ median = \"40ms\", p99 = \"100ms\" }", "\"3s\"");
    let told = run_scenario(&scenario);
    let (checked, found) = told.found["never_visible"];
    assert!(found > 200 && found == checked, "{:?}\n{}", told.found, told.said);
    assert_eq!((told.findings(), told.code), (vec!["never_visible"], Some(5)), "{}", told.said);
}
