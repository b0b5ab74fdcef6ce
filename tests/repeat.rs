//! `patchload run --repeat` as its users meet it: the folder of a set, its spread and its exit codes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use command::{Place, json, last_line, patchload, text};
use serde_json::Value;

/// Writes a scenario of one second on a target, with these thresholds.
fn scenario_on(place: &Place, target: &str, thresholds: &str) -> String {
    place.scenario(target, &format!("[load]\nstages = [{{ for = \"1s\", users = 5 }}]\n[thresholds]\n{thresholds}"))
}

/// Writes a scenario on a simulator that answers after 10 ms, with these thresholds.
fn scenario(place: &Place, thresholds: &str) -> String {
    scenario_on(place, "[target]\nsimulator = { quota = \"none\", latency = \"10ms\" }", thresholds)
}

/// The command that runs the scenario, with these arguments.
fn command(place: &Place, thresholds: &str, arguments: &[&str]) -> Command {
    patchload(&[&["run", &scenario(place, thresholds), "--out", &place.results()], arguments].concat())
}

/// A cell of the row `all` of a run's `summary.csv`.
fn cell(run: &Path, column: &str) -> Option<f64> {
    let mut reader = csv::Reader::from_path(run.join("summary.csv")).unwrap();
    let at = reader.headers().unwrap().iter().position(|name| name == column).unwrap();
    reader.records().last().unwrap().unwrap()[at].parse().ok()
}

/// The runs that `set.json` holds, as soon as there is one.
fn runs(results: &str) -> Option<usize> {
    let set = fs::read_dir(results).ok()?.next()?.ok()?.path().join("set.json");
    Some(serde_json::from_slice::<Value>(&fs::read(set).ok()?).ok()?["runs"].as_array()?.len())
}

fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not come");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The names of what is in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn three_runs_make_a_set_whose_figures_are_those_of_its_runs() {
    let place = Place::new();
    let output = command(&place, "", &["--repeat", "3", "--pause", "0s", "--truth"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let set = place.run();
    assert_eq!(names(&set), ["01", "02", "03", "set.json"]);
    let document = json(&set.join("set.json"));
    assert_eq!((&document["planned"], &document["pause_s"]), (&3.into(), &0.0.into()));
    let runs = document["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 3);
    for (number, run) in (1..).zip(runs) {
        let folder = set.join(format!("{number:02}"));
        assert_eq!(run["folder"], format!("{number:02}"));
        assert_eq!(run["started_unix_s"], json(&folder.join("run.json"))["started_unix_s"]);
        assert_eq!(run["verdict"], json(&folder.join("run.json"))["verdict"]);
        assert!(folder.join("truth.jsonl").is_file(), "a simulator of its own");
        for column in ["achieved_per_s", "failure_rate", "service_p50_us", "response_p99_us"] {
            let (found, expected) = (run["figures"][column].as_f64(), cell(&folder, column));
            let is_same = found.zip(expected).is_some_and(|(a, b)| (a - b).abs() <= 1e-5 * b.abs());
            assert!(is_same, "{column}: {found:?} {expected:?}");
        }
    }
    let spread = document["spread"].as_array().unwrap();
    let achieved = spread.iter().find(|row| row["figure"] == "achieved_per_s").unwrap();
    let mut values: Vec<f64> = runs.iter().map(|run| run["figures"]["achieved_per_s"].as_f64().unwrap()).collect();
    values.sort_by(f64::total_cmp);
    let found = ["min", "median", "max"].map(|name| achieved[name].as_f64().unwrap());
    assert_eq!(found.map(f64::to_bits).to_vec(), values.into_iter().map(f64::to_bits).collect::<Vec<_>>());

    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(stdout.contains("spread") && stdout.contains("is not seen") && stdout.contains("01 to 03"), "{stdout}");
    assert!(!stdout.contains("latency  "), "no summary of each run: {stdout}");
    assert_eq!(stderr.matches("target       ").count(), 1, "the plan once: {stderr}");
    assert!(stderr.contains("repeat       3 runs") && stderr.contains("run 02 of 3  "), "{stderr}");
}

#[test]
fn a_set_is_rebuilt_from_its_runs() {
    let place = Place::new();
    let output = command(&place, "", &["--repeat", "2", "--pause", "0s", "--quiet"]).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "--quiet");
    let path = place.run().join("set.json");
    let before = fs::read_to_string(&path).unwrap();
    // As it is left when the process is killed in the second run.
    let mut document = json(&path);
    document["runs"].as_array_mut().unwrap().pop();
    document.as_object_mut().unwrap().remove("spread");
    fs::write(&path, document.to_string()).unwrap();
    fs::remove_file(place.run().join("02/summary.csv")).unwrap();
    let report = patchload(&["report", place.run().to_str().unwrap()]).output().unwrap();
    assert_eq!(report.status.code(), Some(0), "{report:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    assert_eq!(text(&report.stdout), text(&output.stdout));
    assert!(cell(&place.run().join("02"), "attempts").is_some());
}

#[test]
fn a_signal_in_the_pause_ends_the_set_at_once_and_leaves_it_readable() {
    let place = Place::new();
    let mut command = command(&place, "", &["--repeat", "2", "--pause", "1m"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(|| runs(&place.results()) == Some(1));
    let signalled = Instant::now();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert!(signalled.elapsed() < Duration::from_secs(1), "{:?}", signalled.elapsed());
    assert_eq!(output.status.code(), Some(105), "{output:?}");
    assert_eq!(last_line(&output), "stopped after run 1 of 2");
    assert!(text(&output.stdout).contains("it holds 1 of 2 runs"), "{output:?}");
    let report = patchload(&["report", place.run().to_str().unwrap()]).output().unwrap();
    assert_eq!((report.status.code(), report.stdout), (Some(0), output.stdout));
}

#[test]
fn a_signal_in_a_run_ends_the_set_and_keeps_that_run() {
    let place = Place::new();
    let mut command = command(&place, "", &["--repeat", "3", "--pause", "0s", "-d", "1m"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(1_500));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(105), "{output:?}");
    assert!(last_line(&output).starts_with("run 1: warning: stopped after"), "{output:?}");
    let document = json(&place.run().join("set.json"));
    assert_eq!((document["runs"].as_array().unwrap().len(), &document["runs"][0]["state"]), (1, &"interrupted".into()));
    assert_eq!(document["spread"], Value::Array(vec![]));
    assert!(text(&output.stdout).contains("Left out: 1 run (01), which did not reach the end."), "{output:?}");
}

#[test]
fn a_signal_while_a_run_drains_leaves_the_run_whole_and_ends_the_set() {
    let place = Place::new();
    let target = "[target]\nsimulator = { quota = \"none\", latency = \"5s\" }";
    let scenario = scenario_on(&place, target, "");
    let arguments = ["run", &scenario, "--out", &place.results(), "--repeat", "2", "--pause", "1m"];
    let child = patchload(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let drains = || {
        let set = fs::read_dir(place.results()).ok()?.next()?.ok()?.path();
        Some(fs::read_to_string(set.join("01/timeline.csv")).ok()?.contains(",drain,"))
    };
    wait_until(|| drains() == Some(true));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(105), "{output:?}");
    assert_eq!(last_line(&output), "stopped after run 1 of 2");
    assert_eq!(json(&place.run().join("set.json"))["runs"][0]["state"], "finished");
}

#[test]
fn a_target_that_is_gone_ends_the_set_with_3_and_keeps_the_runs_before() {
    let place = Place::new();
    let mut simulator = patchload(&["sim", "--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(simulator.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.next().unwrap().split(' ').find(|word| word.starts_with("http://")).unwrap().to_owned();
    let token = lines.nth(1).unwrap().split(' ').next_back().unwrap().to_owned();
    let target =
        format!("[target]\nbase_url = \"{address}\"\n[target.auth]\nkind = \"bearer\"\ntokens = [\"{token}\"]");
    let scenario = scenario_on(&place, &target, "");
    let arguments = ["run", &scenario, "--out", &place.results(), "--repeat", "3", "--pause", "2s"];
    let child = patchload(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(|| runs(&place.results()) == Some(1));
    simulator.kill().unwrap();
    simulator.wait().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(last_line(&output).starts_with("run 2: error: cannot reach the target at 127.0.0.1"), "{output:?}");
    assert!(text(&output.stdout).contains("it holds 1 of 3 runs"), "{output:?}");
    assert_eq!(names(&place.run()), ["01", "set.json"]);
}

#[test]
fn a_threshold_crossed_in_a_run_exits_with_99_after_all_runs() {
    let place = Place::new();
    let output = command(&place, "\"service.p50\" = \"< 1ms\"", &["--repeat", "2", "--pause", "0s"]).output().unwrap();
    assert_eq!(output.status.code(), Some(99), "{output:?}");
    assert!(last_line(&output).starts_with("run 2: threshold crossed: service.p50 is "), "{output:?}");
    assert_eq!(json(&place.run().join("set.json"))["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn an_invalid_run_is_left_out_of_the_spread_unless_it_is_accepted() {
    let thresholds = "\"response.p99.9\" = \"< 1s\"";
    let arguments = ["--repeat", "2", "--pause", "0s", "--rate", "20/s"];
    let place = Place::new();
    let output = command(&place, thresholds, &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(last_line(&output).starts_with("run 2: invalid: "), "{output:?}");
    assert!(text(&output.stdout).contains("Left out: 2 runs (01, 02)"), "{output:?}");
    let place = Place::new();
    let output = command(&place, thresholds, &[&arguments[..], &["--accept-invalid"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!text(&output.stdout).contains("Left out"), "{output:?}");
    let figures = &json(&place.run().join("set.json"))["runs"][0]["figures"];
    assert!(figures["response_p99_us"].is_null(), "20 samples have no p99: {figures}");
}

#[test]
fn a_number_of_runs_or_a_pause_that_makes_no_sense_is_a_usage_error() {
    let place = Place::new();
    for arguments in
        [&["--repeat", "0"][..], &["--repeat", "1001"], &["--pause", "1s"], &["--repeat", "2", "--pause", "x"]]
    {
        let output = command(&place, "", arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    assert!(!Path::new(&place.results()).exists(), "a folder was made");
}
