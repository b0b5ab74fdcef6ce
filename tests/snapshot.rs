//! Snapshot and restore: the attributes of a simulator are after a run what they were before it, however the run ended.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod wire;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use command::{Place, json, last_line, patchload, text};
use patchload::scenario::{LogNormal, Participant, STATIC_TOKEN, Simulator, population};
use patchload::sim::Server;
use serde_json::{Value, json};
use wire::{Connection, plain, start, write_path};

/// A simulator whose writes are seen a little later, with attributes of which the run changes one.
struct Target {
    server: Server,
    participants: Vec<Participant>,
}

impl Target {
    fn new(config: Simulator) -> Self {
        let config =
            Simulator { conversations: 4, visible_after: LogNormal::always(Duration::from_millis(100)), ..config };
        let (server, participants) = (start(&config, 1), population(&config).collect::<Vec<_>>());
        for (number, participant) in participants.iter().enumerate() {
            let body = json!({"attributes": {"ref": format!("before-{number}"), "tier": "gold \"1\""}}).to_string();
            let status = Connection::open(&server).exchange("PATCH", &write_path(participant), &body).unwrap().0;
            assert_eq!(status, 202);
        }
        thread::sleep(Duration::from_millis(150));
        Self { server, participants }
    }

    /// All attributes of all participants.
    fn state(&self) -> Vec<Value> {
        let read = |participant: &Participant| {
            let path = format!("/api/v2/conversations/{}", participant.conversation_id);
            let (_, body) = Connection::open(&self.server).exchange("GET", &path, "").unwrap();
            let body: Value = serde_json::from_str(&body).unwrap();
            let all = body["participants"].as_array().unwrap();
            all.iter().find(|one| one["id"] == json!(participant.participant_id)).unwrap()["attributes"].clone()
        };
        self.participants.iter().map(read).collect()
    }

    /// A scenario that writes `ref` of all participants, and whatever else follows.
    fn scenario(&self, place: &Place, body: &str, more: &str) -> String {
        let rows: Vec<_> = self
            .participants
            .iter()
            .map(|participant| format!("{},{}", participant.conversation_id, participant.participant_id))
            .collect();
        place.write("rows.csv", &format!("conversation_id,participant_id\n{}\n", rows.join("\n")));
        let address = self.server.address();
        let text = format!(
            r#"
            name = "test"
            [target]
            base_url = "http://{address}"
            give_up = "1s"
            [target.auth]
            kind = "bearer"
            tokens = ["{STATIC_TOKEN}"]
            [data.participants]
            file = "rows.csv"
            [[variant]]
            name = "attributes"
            path = "/api/v2/conversations/{{{{ conversation_id }}}}/participants/{{{{ participant_id }}}}/attributes"
            body = '{body}'
            expect = [202]
            [read]
            path = "/api/v2/conversations/{{{{ conversation_id }}}}"
            attributes = "$.participants[?@.id=='{{{{ participant_id }}}}'].attributes"
            [snapshot]
            enabled = true
            [limit]
            rate = "50/s"
            {more}
            "#
        );
        place.write("scenario.toml", &text)
    }
}

const CHANGES: &str = r#"{"attributes": {"ref": "{{ unique }}"}}"#;

fn run(scenario: &str, place: &Place) -> Command {
    let mut command = patchload(&["run", scenario, "--out", &place.results(), "--accept-invalid"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn load(length: &str) -> String {
    format!("[load]\nspread = \"0s\"\nstages = [{{ for = \"{length}\", users = 5 }}]")
}

/// `snapshot` of run.json without the failures: rows, restored, as before, not restored.
fn counts(place: &Place) -> [u64; 4] {
    let json = json(&place.run().join("run.json"));
    ["rows", "restored", "as_before", "not_restored"].map(|key| json["snapshot"][key].as_u64().unwrap())
}

fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_normal_end_leaves_the_attributes_as_they_were() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let before = target.state();
    let scenario = target.scenario(&place, CHANGES, &load("1s"));
    let output = run(&scenario, &place).output().unwrap();
    assert_code(&output, 0);
    assert_eq!(target.state(), before);
    assert_eq!(counts(&place), [8, 8, 0, 0]);
    assert!(text(&output.stdout).contains("8 rows read before the run: 8 restored"), "{output:?}");
    // The rebuilt report says so, too.
    let report = patchload(&["report", place.run().to_str().unwrap()]).output().unwrap();
    assert!(text(&report.stdout).contains("8 restored"), "{report:?}");
    assert_eq!(counts(&place), [8, 8, 0, 0]);
    // No request of it is in the figures.
    let json = json(&place.run().join("run.json"));
    let attempts: u64 = json["totals"]["variants"][0]["counts"]["outcomes"].as_array().unwrap()[0].as_u64().unwrap();
    assert_eq!(target.server.truth().patches.received, 8 + attempts + 8);
}

#[test]
fn an_interrupt_leaves_the_attributes_as_they_were() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let before = target.state();
    let scenario = target.scenario(&place, CHANGES, &load("1m"));
    let child = run(&scenario, &place).spawn().unwrap();
    wait_until(|| target.server.truth().patches.received > 8 + 10);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 105);
    assert_eq!(target.state(), before);
    assert_eq!(counts(&place)[3], 0);
}

#[test]
fn a_run_that_is_given_up_leaves_the_attributes_as_they_were() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let before = target.state();
    // A threshold that no run keeps stops it in its second second.
    let threshold = "[thresholds]\n\"service.p50\" = \"< 1us for 1s abort\"";
    let scenario = target.scenario(&place, CHANGES, &format!("{}\n{threshold}", load("1m")));
    let output = run(&scenario, &place).output().unwrap();
    assert_eq!(output.status.code(), Some(99), "{output:?}");
    assert_eq!(target.state(), before);
    assert_eq!(counts(&place)[3], 0);
}

#[test]
fn a_key_that_the_run_added_is_reported_as_not_restored() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let before = target.state();
    let scenario = target.scenario(&place, r#"{"attributes": {"ref": "x", "new": "y"}}"#, &load("1s"));
    let output = run(&scenario, &place).output().unwrap();
    assert_code(&output, 0);
    assert_eq!(counts(&place), [8, 0, 0, 8]);
    assert!(last_line(&output).contains("key `new` added since"), "{output:?}");
    for (after, before) in target.state().iter().zip(&before) {
        assert_eq!((&after["ref"], &after["new"]), (&before["ref"], &json!("y")));
    }
}

#[test]
fn a_second_interrupt_leaves_at_once_and_names_the_command_that_restores() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let before = target.state();
    let scenario = target.scenario(&place, CHANGES, &load("1m"));
    let mut child = run(&scenario, &place).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    wait_until(|| target.server.truth().patches.received > 8 + 10);
    let interrupt = || Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt().success());
    let mut said = String::new();
    while !said.contains("putting attributes of 8 rows back") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    // It waits for the target to settle before it writes.
    assert!(interrupt().success());
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(105), "{said}");
    let folder = place.run();
    assert!(said.contains(&format!("`patchload restore {}`", folder.display())), "{said}");
    assert_ne!(target.state(), before);
    assert_code(&patchload(&["restore", folder.to_str().unwrap()]).output().unwrap(), 0);
    assert_eq!(target.state(), before);
}

#[test]
fn a_run_that_was_killed_is_put_back_by_a_command_of_its_own() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let before = target.state();
    let scenario = target.scenario(&place, CHANGES, &load("1m"));
    let child = run(&scenario, &place).spawn().unwrap();
    wait_until(|| target.server.truth().patches.received > 8 + 10);
    // Killed at once: nothing is put back.
    assert!(Command::new("kill").args(["-KILL", &child.id().to_string()]).status().unwrap().success());
    child.wait_with_output().unwrap();
    thread::sleep(Duration::from_millis(200));
    assert_ne!(target.state(), before);
    let folder = place.run();
    let restored = patchload(&["restore", folder.to_str().unwrap()]).output().unwrap();
    assert_code(&restored, 0);
    assert_eq!(target.state(), before);
    assert_eq!(counts(&place)[3], 0);
    // Done twice, there is nothing left to do.
    let again = patchload(&["restore", folder.to_str().unwrap()]).output().unwrap();
    assert_code(&again, 0);
    assert_eq!(counts(&place), [8, 0, 8, 0]);
}

#[test]
fn a_budget_holds_snapshot_and_restore_too() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let before = target.state();
    let scenario = target.scenario(&place, CHANGES, &format!("budget = 120\n{}", load("1m")));
    let seen = || {
        let truth = target.server.truth();
        truth.gets.received + truth.patches.received
    };
    let seen_before = seen();
    let output = run(&scenario, &place).output().unwrap();
    let requests = seen() - seen_before;
    assert_code(&output, 0);
    // Of 120, 4 x 4 reads and 2 x 8 writes are kept back, and not all of them are needed.
    assert!((88 + 4 + 8..=120).contains(&requests), "{requests}");
    assert!(text(&output.stderr).contains("budget       120 requests, 88 of them for attempts"), "{output:?}");
    assert_eq!(target.state(), before);
}

#[test]
fn a_row_that_cannot_be_read_stops_the_run_before_its_first_write() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let scenario = target.scenario(&place, CHANGES, &load("1s"));
    let rows = format!("conversation_id,participant_id\n{},nobody\n", target.participants[0].conversation_id);
    place.write("rows.csv", &rows);
    let output = run(&scenario, &place).output().unwrap();
    assert_code(&output, 3);
    assert!(last_line(&output).contains("data row 1 cannot be read") && last_line(&output).contains("finds 0 places"));
    assert_eq!(target.server.truth().patches.received, 8);
    assert!(!fs::exists(place.results()).unwrap());
}

#[test]
fn a_folder_without_a_snapshot_is_refused() {
    let place = Place::new();
    let output = patchload(&["restore", place.results().trim_end_matches("results")]).output().unwrap();
    assert_code(&output, 2);
    assert!(last_line(&output).contains("holds no snapshot.jsonl"), "{output:?}");
}

fn wait_until(is_so: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it never came");
}
