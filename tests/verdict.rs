//! A run that something disturbed says so: its reason stands in the reports, and the exit code tells how bad it is. The
//! undisturbed twins, ten times each, are in `tests/long.sh`: they need a machine with nothing else to do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_patchload");

/// What a run said of itself.
struct Judged {
    output: Output,
    /// `run.json`.
    run: Value,
}

impl Judged {
    /// Runs a scenario of `tests/verdict` with these arguments. `before` is the shell's part of the command line in front
    /// of the program.
    fn of(before: &str, scenario: &str, arguments: &str) -> Self {
        let results = tempfile::tempdir().unwrap();
        let out = results.path().display();
        let command =
            format!("{before} '{PROGRAM}' run tests/verdict/{scenario}.toml {arguments} --quiet --out '{out}'");
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &command]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        let runs: Vec<_> = fs::read_dir(results.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(runs.len(), 1, "{command}: {output:?}");
        let run = serde_json::from_slice(&fs::read(runs[0].join("run.json")).unwrap()).unwrap();
        Self { output, run }
    }

    fn verdict(&self) -> &str {
        self.run["verdict"].as_str().unwrap()
    }

    fn kinds(&self) -> Vec<&str> {
        self.run["reasons"].as_array().into_iter().flatten().map(|reason| reason["kind"].as_str().unwrap()).collect()
    }

    /// The run has this verdict for these reasons, maybe among others; what is on screen and the exit code agree.
    fn assert_is(&self, verdict: &str, kinds: &[&str]) {
        let (found, screen) = (&self.run["reasons"], String::from_utf8_lossy(&self.output.stdout));
        assert_eq!(self.verdict(), verdict, "{found}");
        for kind in kinds {
            assert!(self.kinds().contains(kind), "{kind} is not among {found}");
        }
        let on_screen = if verdict == "invalid" { "verdict  INVALID" } else { "verdict  suspect" };
        assert!(screen.contains(on_screen), "{screen}");
        let code = if verdict == "invalid" { 6 } else { 0 };
        assert_eq!(self.output.status.code(), Some(code), "{:?}", String::from_utf8_lossy(&self.output.stderr));
    }
}

/// A process that never gives up a core; killed when dropped, and by the system after a minute of its time.
struct BusyLoop(Child);

impl BusyLoop {
    fn on(core: &str) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", core, "sh", "-c", "ulimit -t 60; while :; do :; done"]).stdin(Stdio::null());
        Self(command.spawn().expect("taskset of util-linux starts"))
    }
}

impl Drop for BusyLoop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first core that this process may use.
fn a_core() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    allowed.trim().split(['-', ',']).next().unwrap().to_owned()
}

#[test]
fn a_run_that_shares_its_core_with_a_busy_loop_is_not_valid() {
    let core = a_core();
    let squeezed = {
        let _busy = BusyLoop::on(&core);
        Judged::of(&format!("exec taskset -c {core}"), "steady", "")
    };
    assert!(squeezed.kinds().contains(&"core_contended"), "{}", squeezed.run["reasons"]);
    // How late its requests were, and so whether that spoilt them all, is up to the system's scheduler.
    assert_ne!(squeezed.verdict(), "valid");
    squeezed.assert_is(squeezed.verdict(), &[]);
}

#[test]
fn a_run_without_enough_descriptors_is_invalid_and_writes_its_reports_all_the_same() {
    let few = Judged::of("ulimit -n 100; exec", "connections", "");
    few.assert_is("invalid", &["few_descriptors"]);
    assert_eq!(few.run["state"], "finished", "{}", few.run["warnings"]);
    let twin = Judged::of("exec", "connections", "");
    assert!(!twin.kinds().contains(&"few_descriptors"), "{}", twin.run["reasons"]);
}

#[test]
fn an_open_run_with_too_few_users_is_invalid() {
    Judged::of("exec", "steady", "--users 2").assert_is("invalid", &["load_not_achieved", "users_exhausted"]);
}

#[test]
fn a_threshold_that_rests_on_twenty_samples_makes_the_run_invalid() {
    let few = Judged::of("exec", "steady", "--rate 4/s");
    few.assert_is("invalid", &["too_few_samples"]);
    assert_eq!(few.run["reasons"][0]["samples"], 20);
}

#[test]
fn a_server_that_slows_down_all_the_time_makes_the_run_suspect() {
    Judged::of("exec", "slowing", "--rate 103/s").assert_is("suspect", &["not_stationary"]);
}
