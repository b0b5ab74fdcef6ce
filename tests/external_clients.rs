//! Clients that nobody here wrote use `patchload sim` as they would the real API: Python's `requests`, curl and wrk.
#![cfg(feature = "external")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// `patchload sim` as a child; killed when dropped.
struct Simulator {
    child: Child,
    place: tempfile::TempDir,
    address: String,
    token: String,
    /// The first request, as it is printed for the shell.
    curl: String,
    /// Kept open: what the child still prints has somewhere to go.
    _stdout: BufReader<ChildStdout>,
}

impl Simulator {
    fn start(config: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let (file, data) = (place.path().join("simulator.toml"), place.path().join("participants.csv"));
        fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchload"));
        command.args(["sim", "--port", "0", "--config"]).arg(file).arg("--data").arg(data);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (mut address, mut token, mut curl) = (String::new(), String::new(), String::new());
        for line in stdout.by_ref().lines().map(Result::unwrap) {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["serving", "on", url, ..] => url.clone_into(&mut address),
                ["token", own] => own.clone_into(&mut token),
                ["curl", ..] => curl.clone_from(&line),
                _ if curl.ends_with('\\') => curl = curl + "\n" + &line,
                _ => {}
            }
            if !curl.is_empty() && !curl.ends_with('\\') {
                break;
            }
        }
        Self { child, place, address, token, curl, _stdout: stdout }
    }

    fn data(&self) -> std::path::PathBuf {
        self.place.path().join("participants.csv")
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program says that must succeed.
fn said(program: &str, output: std::io::Result<Output>) -> String {
    let output = output.unwrap_or_else(|error| panic!("this test needs {program} on the PATH: {error}"));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn requests_logs_in_writes_reads_back_and_waits_as_it_is_told() {
    let simulator = Simulator::start("quota = \"40/3s\"\nlatency = { median = \"1ms\", p99 = \"5ms\" }\n");
    let mut rows = csv::Reader::from_path(simulator.data()).unwrap();
    let row = rows.records().next().unwrap().unwrap();
    // A window may end in the middle, so two of them may have let requests pass.
    let script = Path::new(ROOT).join("tests/external/client.py");
    let output = Command::new("python3").arg(script).args([&simulator.address, &row[0], &row[1], "80"]).output();
    let passed: u32 = said("python3 with `pip install requests`", output).trim().parse().unwrap();
    assert!((40..=80).contains(&passed), "{passed} under 40/3s");
}

#[test]
fn the_request_that_is_printed_works_when_it_is_pasted_into_a_shell() {
    let simulator = Simulator::start("latency = { median = \"1ms\", p99 = \"5ms\" }\n");
    let output = Command::new("sh").args(["-c", &simulator.curl]).env("no_proxy", "127.0.0.1").output();
    let answer = said("curl", output);
    assert!(answer.starts_with("HTTP/1.1 202 Accepted\r\n"), "{answer}");
}

#[test]
fn wrk_finds_no_fault_at_full_speed() {
    let simulator = Simulator::start("quota = \"none\"\nlatency = { median = \"0s\", p99 = \"0s\" }\n");
    let script = Path::new(ROOT).join("benches/patch.lua");
    let mut wrk = Command::new("wrk");
    wrk.args(["-t", "1", "-c", "100", "-d", "2s", "-s"]).arg(script).arg(&simulator.address);
    let report = said("wrk", wrk.arg("--").arg(simulator.data()).arg(&simulator.token).output());
    let requests: u64 =
        report.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok()).unwrap();
    assert!(requests > 1_000, "{report}");
    assert!(!report.contains("Non-2xx") && !report.contains("Socket errors"), "{report}");
}
