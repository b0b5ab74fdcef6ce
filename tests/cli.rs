//! The command as its users meet it: output, files and exit codes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use command::{PROGRAM, Place, json, last_line, patchload, text};

/// A column of a file; of `summary.csv` the row of all variants alone.
fn column(run: &Path, file: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(run.join(file)).unwrap();
    let headers = reader.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let wanted = |row: &csv::StringRecord| file != "summary.csv" || &row[at("variant")] == "all";
    reader.records().map(Result::unwrap).filter(wanted).map(|row| row[at(name)].to_owned()).collect()
}

fn total(run: &Path, file: &str, name: &str) -> u64 {
    column(run, file, name).iter().map(|cell| cell.parse::<u64>().unwrap()).sum()
}

/// `patchload sim` as a child; killed when dropped.
struct Simulator {
    child: Child,
    address: String,
    token: String,
    _stdout: BufReader<ChildStdout>,
}

impl Simulator {
    fn start() -> Self {
        Self::start_with(&[]).0
    }

    /// A simulator with more arguments, and what it prints at first, up to the end of its curl command.
    fn start_with(arguments: &[&str]) -> (Self, Vec<String>) {
        let mut child = patchload(&["sim", "--port", "0"]).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut lines: Vec<String> = Vec::new();
        while !lines.last().is_some_and(|line| line.contains("/api/v2/")) {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "it ended after {lines:?}");
            lines.push(line);
        }
        let address = lines[0].split(' ').find(|word| word.starts_with("http://")).unwrap().to_owned();
        let token = lines[2].split(' ').next_back().unwrap().trim().to_owned();
        (Self { child, address, token, _stdout: stdout }, lines)
    }

    fn target(&self, more: &str) -> String {
        let Self { address, token, .. } = self;
        format!("[target]\nbase_url = \"{address}\"\n{more}\n[target.auth]\nkind = \"bearer\"\ntokens = [\"{token}\"]")
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_run_writes_its_reports_and_prints_its_summary() {
    let place = Place::new();
    let scenario =
        place.scenario("[target]\nsimulator = \"documented\"", "[load]\nstages = [{ for = \"1s\", users = 5 }]");
    let output = patchload(&["run", &scenario, "--out", &place.results()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let run = place.run();
    for file in ["run.json", "summary.csv", "failures.csv", "latency.csv", "timeline.csv", "latency.hlog"] {
        assert!(fs::metadata(run.join(file)).unwrap().len() > 0, "{file}");
    }
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(stdout.contains("failure rate") && stdout.contains(run.to_str().unwrap()), "{stdout}");
    assert!(stderr.contains("requests") && stderr.contains("worker"), "the plan: {stderr}");
    assert_eq!(json(&run.join("run.json"))["state"], "finished");
    assert_eq!(total(&run, "summary.csv", "attempts"), total(&run, "timeline.csv", "accepted"));
}

#[test]
fn the_command_line_overrides_the_scenario() {
    let place = Place::new();
    let scenario = place.scenario(
        "[target]\nsimulator = \"documented\"",
        "[load]\nstages = [{ for = \"1m\", users = 5 }]\nspread = \"0s\"",
    );
    let arguments = ["-u", "3", "-d", "1s", "-r", "20/s", "--seed", "9", "--quiet"];
    let output = patchload(&["run", &scenario, "--out", &place.results()]).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stderr), "", "--quiet");
    let run = place.run();
    let json = json(&run.join("run.json"));
    assert_eq!((&json["seed"], &json["planned_s"]), (&9.into(), &1.0.into()));
    assert!((18..=20).contains(&total(&run, "summary.csv", "attempts")), "{json}");
    assert_eq!(json["scenario"]["overrides"]["users"], 3);
}

#[test]
fn an_invalid_scenario_exits_with_2_and_every_mistake() {
    let place = Place::new();
    let scenario = place.scenario("[target]\nsimulator = \"documentd\"", "[load]\nstages = []\nspeed = 3");
    for command in ["run", "check"] {
        let output = patchload(&[command, &scenario]).output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(
            stderr.contains("documentd") && stderr.contains("load.stages") && stderr.contains("load.speed"),
            "{stderr}"
        );
    }
}

#[test]
fn check_tells_what_a_file_of_a_simulator_describes() {
    let place = Place::new();
    let path = place.write("simulator.toml", "dialect = \"forum\"\nquota = \"20/s\"");
    let output = patchload(&["check", &path]).output().unwrap();
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stdout.starts_with("simulator    dialect forum") && stdout.contains("20/s for each token\n"), "{stdout}");

    let path = place.write("broken.toml", "dialect = \"forums\"\ntruth = -1");
    let output = patchload(&["check", &path]).output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("broken.toml:1:11: `dialect`") && stderr.contains(":2:9: `truth`"), "{stderr}");
}

#[test]
fn sim_takes_its_configuration_from_a_file_of_its_own_or_from_a_scenario() {
    let place = Place::new();
    let forum = place.write("simulator.toml", "dialect = \"forum\"\nclients = 3");
    let (_simulator, lines) = Simulator::start_with(&["--config", &forum]);
    let printed = lines.concat();
    assert!(printed.contains("clients    simulator, simulator-2 to -3"), "{printed}");
    assert!(
        printed.contains("customAttributes") && printed.contains("/api/v2/conversations/participants/"),
        "{printed}"
    );

    let (_simulator, lines) = Simulator::start_with(&["--config", "scenarios/quickstart.toml"]);
    assert!(!lines.concat().contains("clients"), "{lines:?}");

    let target = "[target]\nbase_url = \"http://127.0.0.1:9\"";
    let scenario = place.scenario(target, "[load]\nstages = [{ for = \"1s\", users = 1 }]");
    let output = patchload(&["sim", "--config", &scenario]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(last_line(&output).contains("has no `[target.simulator]`"), "{output:?}");
}

#[test]
fn a_target_that_is_down_at_the_start_exits_with_3_and_leaves_no_folder() {
    let place = Place::new();
    let scenario =
        place.scenario("[target]\nbase_url = \"http://127.0.0.1:9\"", "[load]\nstages = [{ for = \"1s\", users = 5 }]");
    let output = patchload(&["run", &scenario, "--out", &place.results()]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(last_line(&output).contains("cannot reach the target at 127.0.0.1:9"), "{output:?}");
    assert!(!Path::new(&place.results()).exists(), "a folder was made");
}

#[test]
fn credentials_that_are_refused_exit_with_3() {
    let (place, simulator) = (Place::new(), Simulator::start());
    let target = format!(
        "[target]\nbase_url = \"{0}\"\n[target.auth]\nkind = \"client-credentials\"\nlogin_url = \"{0}/oauth/token\"\n\
         client_id = \"nobody\"\nclient_secret = \"hunter2-hunter2\"",
        simulator.address
    );
    let scenario = place.scenario(&target, "[load]\nstages = [{ for = \"1s\", users = 5 }]");
    let output = patchload(&["run", &scenario, "--out", &place.results()]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(last_line(&output).contains("the login was refused with status"), "{output:?}");
    assert!(!text(&output.stderr).contains("hunter2"), "the secret is shown");
}

#[test]
fn a_target_that_dies_in_mid_run_exits_with_3_and_keeps_its_reports() {
    let (place, simulator) = (Place::new(), Simulator::start());
    let load = "[load]\nstages = [{ for = \"1m\", users = 5 }]\nthink_time = \"20ms\"";
    let scenario = place.scenario(&simulator.target("give_up = \"2s\""), load);
    let run =
        patchload(&["run", &scenario, "--out", &place.results()]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    thread::sleep(Duration::from_millis(1_500));
    drop(simulator);
    let output = run.unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(last_line(&output).contains("every attempt broke without a response"), "{output:?}");
    let run = place.run();
    assert_eq!(json(&run.join("run.json"))["state"], "interrupted");
    assert!(total(&run, "summary.csv", "accepted") > 10 && total(&run, "summary.csv", "broken") > 10);
    assert!(column(&run, "failures.csv", "code").contains(&"not_sent.refused".to_owned()));
}

/// Runs a scenario on a simulator that answers 404 after 20 ms, as the scenario expects, with these thresholds.
fn run_with_thresholds(place: &Place, load: &str, thresholds: &str, more: &[&str]) -> Output {
    let target =
        "[target]\nsimulator = { quota = \"none\", latency = \"20ms\" }\n[target.auth]\nkind = \"client-credentials\"";
    let scenario = place.scenario(target, &format!("[load]\n{load}\n[thresholds]\n{thresholds}"));
    patchload(&[&["run", &scenario, "--quiet", "--out", &place.results()], more].concat()).output().unwrap()
}

#[test]
fn a_threshold_that_is_crossed_exits_with_99_and_a_met_one_with_0() {
    let load = "stages = [{ for = \"2s\", users = 5 }]";
    let crossed = Place::new();
    let output = run_with_thresholds(&crossed, load, "\"service.p50\" = \"< 1ms\"\nfailure_rate = \"< 1%\"", &[]);
    assert_eq!(output.status.code(), Some(99), "{output:?}");
    assert!(last_line(&output).starts_with("threshold crossed: service.p50 is 2"), "{output:?}");
    let document = json(&crossed.run().join("run.json"));
    let standings: Vec<_> =
        document["thresholds"].as_array().unwrap().iter().map(|row| row["standing"].clone()).collect();
    assert_eq!(standings, ["crossed", "passed"]);
    let summary = text(&output.stdout);
    assert!(summary.contains("CROSSED  service.p50") && summary.contains("passed   failure_rate"), "{summary}");
    // The report of the folder says the same.
    let report = patchload(&["report", crossed.run().to_str().unwrap()]).output().unwrap();
    assert_eq!(text(&report.stdout), summary);
    let met = Place::new();
    let output = run_with_thresholds(&met, load, "failure_rate = \"< 1%\"", &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        json(&met.run().join("run.json"))["verdict"] == "valid"
            || json(&met.run().join("run.json"))["verdict"] == "suspect"
    );
}

#[test]
fn a_threshold_that_aborts_stops_the_run_and_exits_with_99() {
    let place = Place::new();
    let started = Instant::now();
    let load = "stages = [{ for = \"30s\", users = 20 }]";
    let output = run_with_thresholds(&place, load, "\"service.p50\" = \"< 1ms for 2s abort\"", &[]);
    assert_eq!(output.status.code(), Some(99), "{output:?}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert!(text(&output.stderr).contains("so the run was stopped"), "{output:?}");
    assert_eq!(json(&place.run().join("run.json"))["state"], "interrupted");
}

#[test]
fn a_threshold_that_nobody_can_judge_makes_the_measurement_invalid_and_may_be_accepted() {
    let load = "stages = [{ for = \"2s\", users = 2 }]\niterations = 10";
    let thresholds = "\"response.p99.9\" = \"< 1s\"";
    let invalid = Place::new();
    let output = run_with_thresholds(&invalid, load, thresholds, &[]);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(last_line(&output).contains("rests on 20 samples"), "{output:?}");
    let document = json(&invalid.run().join("run.json"));
    assert_eq!(
        (document["verdict"].as_str(), document["reasons"][0]["kind"].as_str()),
        (Some("invalid"), Some("too_few_samples"))
    );
    assert!(document["reasons"][0]["text"].as_str().unwrap().contains("run longer"));
    let output = run_with_thresholds(&Place::new(), load, thresholds, &["--accept-invalid"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains("verdict  INVALID"), "{output:?}");
}

#[test]
fn more_connections_than_ports_are_a_caution_before_the_run_and_no_reason_after_it_if_they_were_not_made() {
    let place = Place::new();
    let load =
        "[load]\nstages = [{ for = \"1s\", users = 1 }]\nconnections = \"per-request\"\n[limit]\nrate = \"100000/s\"";
    let scenario = place.scenario("[target]\nsimulator = { quota = \"none\" }", load);
    let output = patchload(&["run", &scenario, "--out", &place.results()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stderr).contains("caution: the run may need 100,002 local ports at once"), "{output:?}");
    assert!(!json(&place.run().join("run.json"))["reasons"].to_string().contains("few_ports"), "{output:?}");
}

#[test]
fn a_results_folder_that_cannot_be_made_exits_with_1() {
    let place = Place::new();
    let scenario =
        place.scenario("[target]\nsimulator = \"documented\"", "[load]\nstages = [{ for = \"1s\", users = 5 }]");
    let output = patchload(&["run", &scenario, "--out", "/dev/null/results"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(last_line(&output).starts_with("error: cannot create the run folder /dev/null/results"), "{output:?}");
}

#[test]
fn a_disk_that_fills_up_stops_the_run_and_keeps_what_was_measured() {
    let place = Place::new();
    let scenario =
        place.scenario("[target]\nsimulator = \"documented\"", "[load]\nstages = [{ for = \"1m\", users = 5 }]");
    // No file may grow beyond 4 KiB, and the signal for it is ignored, so that the write fails as on a full disk.
    let shell = format!("trap '' XFSZ; ulimit -f 4; exec {PROGRAM} run {scenario} --out {}", place.results());
    let begun = Instant::now();
    let output = Command::new("bash").args(["-c", &shell]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "the run went on");
    assert!(last_line(&output).starts_with("error: cannot write"), "{output:?}");
    assert!(text(&output.stdout).contains("failure rate"), "the summary is printed all the same: {output:?}");
    let report = patchload(&["report", place.run().to_str().unwrap()]).output().unwrap();
    assert_eq!(report.status.code(), Some(0), "{report:?}");
}

#[test]
fn one_interrupt_drains_and_writes_and_exits_with_105() {
    let place = Place::new();
    let scenario =
        place.scenario("[target]\nsimulator = \"documented\"", "[load]\nstages = [{ for = \"1m\", users = 5 }]");
    let child =
        patchload(&["run", &scenario, "--out", &place.results()]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap();
    thread::sleep(Duration::from_millis(1_500));
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(105), "{output:?}");
    assert!(text(&output.stderr).contains("once more to leave at once"));
    assert!(last_line(&output).contains("stopped after"), "{output:?}");
    let run = place.run();
    assert_eq!(json(&run.join("run.json"))["state"], "interrupted");
    assert_eq!(total(&run, "summary.csv", "attempts"), total(&run, "timeline.csv", "started"));
}

#[test]
fn a_second_interrupt_leaves_at_once() {
    let place = Place::new();
    let target = "[target]\ntimeout = \"40s\"\n[target.simulator]\nlatency = { median = \"30s\", p99 = \"31s\" }";
    let scenario = place.scenario(target, "[load]\nstages = [{ for = \"1m\", users = 5 }]");
    let mut child = patchload(&["run", &scenario, "--out", &place.results()]).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(1_500));
    signal(&child, "INT");
    thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    signal(&child, "INT");
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(status.code(), Some(105), "{stderr}");
    assert!(begun.elapsed() < Duration::from_secs(2), "it did not leave at once");
    assert!(stderr.contains("left at once"), "{stderr}");
}

#[test]
fn a_run_that_is_killed_ten_times_is_whole_up_to_two_seconds_before() {
    let kills: Vec<_> =
        (1..=10_u64).map(|seed| thread::spawn(move || kill_after(1_700 + seed * 7_919 % 2_900))).collect();
    for kill in kills {
        kill.join().unwrap();
    }
}

/// Kills a run after so many milliseconds and rebuilds its reports.
fn kill_after(ms: u64) {
    let place = Place::new();
    let load = "[load]\nstages = [{ for = \"1m\", users = 20 }]\nthink_time = \"10ms\"\nspread = \"0s\"";
    let scenario = place.scenario("[target]\nsimulator = { quota = \"none\" }", load);
    let mut child = patchload(&["run", &scenario, "--out", &place.results(), "--quiet"]).spawn().unwrap();
    thread::sleep(Duration::from_millis(ms));
    let killed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    child.kill().unwrap();
    child.wait().unwrap();
    let run = place.run();
    let output = patchload(&["report", run.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let json = json(&run.join("run.json"));
    // Half a second for ten runs at once on two cores: a second is written when its worker has passed it.
    let ran = killed - json["started_unix_s"].as_f64().unwrap();
    let seconds = json["totals"]["seconds"].as_f64().unwrap();
    assert!(seconds >= ran - 2.5, "{seconds} s of {ran} s after {ms} ms");
    let attempts = total(&run, "summary.csv", "attempts");
    assert_eq!(attempts, total(&run, "timeline.csv", "accepted"), "after {ms} ms");
    assert!(attempts > 0 || seconds < 1.0, "after {ms} ms");
    assert!(text(&output.stdout).contains("process ended without closing the run"), "{output:?}");
}

#[test]
fn a_folder_that_holds_no_run_exits_with_2() {
    let output = patchload(&["report", "src"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(last_line(&output).contains("src is no run folder"), "{output:?}");
}

#[test]
fn check_prints_the_plan_and_a_curl_command_without_secrets() {
    let place = Place::new();
    let target =
        "[target]\nbase_url = \"http://127.0.0.1:1\"\n[target.auth]\nkind = \"bearer\"\ntokens = [\"hunter2-hunter2\"]";
    let scenario = place.scenario(target, "[load]\nstages = [{ for = \"1s\", users = 5 }]\n[limit]\nrate = \"60/min\"");
    let output = patchload(&["check", &scenario]).output().unwrap();
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stdout.contains("curl -X PATCH") && stdout.contains("60/min"), "{stdout}");
    assert!(!stdout.contains("hunter2"), "{stdout}");
}

#[test]
fn a_secret_is_in_no_file_and_no_message() {
    let (place, simulator) = (Place::new(), Simulator::start());
    let scenario = place.scenario(&simulator.target(""), "[load]\nstages = [{ for = \"1s\", users = 5 }]");
    let output = patchload(&["run", &scenario, "--out", &place.results()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut said = vec![text(&output.stdout), text(&output.stderr)];
    said.extend(fs::read_dir(place.run()).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap()));
    assert!(said.iter().all(|text| !text.contains(&simulator.token)));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = patchload(&["check", "scenarios/quickstart.toml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn help_is_as_it_was_reviewed() {
    for command in [None, Some("run"), Some("profile"), Some("check"), Some("report"), Some("restore"), Some("sim")] {
        let output = patchload(&command.into_iter().chain(["--help"]).collect::<Vec<_>>()).output().unwrap();
        let name = command.unwrap_or("patchload");
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/help-{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &output.stdout).unwrap();
        }
        assert_eq!(text(&output.stdout), fs::read_to_string(&golden).unwrap(), "{name}; UPDATE_GOLDEN=1 rewrites it");
    }
}
