//! Snapshot and restore: the attributes of a simulator are after a run what they were before it, however the run ended.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod gate;
mod wire;

use std::fs;
use std::io::{BufRead, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use command::{PROGRAM, Place, json, last_line, patchload, text};
use gate::Gate;
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
        self.scenario_at(self.server.address(), place, (body, more))
    }

    /// The same for somebody who stands before the simulator.
    fn scenario_at(&self, address: SocketAddr, place: &Place, (body, more): (&str, &str)) -> String {
        let rows: Vec<_> = self
            .participants
            .iter()
            .map(|participant| format!("{},{}", participant.conversation_id, participant.participant_id))
            .collect();
        place.write("rows.csv", &format!("conversation_id,participant_id\n{}\n", rows.join("\n")));
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

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// Waits until a process begins to put attributes back; what it said until then.
fn wait_for_restore(stderr: &mut impl BufRead) -> String {
    let mut said = String::new();
    while !said.contains("putting attributes of 8 rows back") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    said
}

/// The kinds of the warnings in run.json.
fn warnings(place: &Place) -> Vec<String> {
    let json = json(&place.run().join("run.json"));
    json["warnings"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect()
}

/// `patchload restore` puts back what a run has left behind, and run.json says so.
fn assert_restore_mends(place: &Place, target: &Target, before: &[Value]) {
    assert_code(&patchload(&["restore", place.run().to_str().unwrap()]).output().unwrap(), 0);
    assert_eq!(target.state(), before);
    assert_eq!(counts(place)[3], 0);
    let left: Vec<_> = warnings(place).into_iter().filter(|kind| kind.contains("restore")).collect();
    assert!(left.is_empty(), "it is mended: {left:?}");
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

#[cfg(unix)]
#[test]
fn nobody_but_the_owner_may_read_the_attributes_of_customers() {
    use std::os::unix::fs::PermissionsExt as _;

    let (place, target) = (Place::new(), Target::new(plain()));
    let scenario = target.scenario(&place, CHANGES, &load("1s"));
    assert_code(&run(&scenario, &place).output().unwrap(), 0);
    assert_code(&patchload(&["restore", place.run().to_str().unwrap()]).output().unwrap(), 0);
    let mode = |name: &str| fs::metadata(place.run().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("snapshot.jsonl"), 0o600);
    // What a restore writes beside it names keys and rows, but no value.
    let json = fs::read_to_string(place.run().join("run.json")).unwrap();
    assert!(!json.contains("gold"), "{json}");
}

#[test]
fn a_target_that_dies_and_comes_back_is_as_it_was() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let (before, gate) = (target.state(), Gate::before(target.server.address()));
    let scenario = target.scenario_at(gate.address(), &place, (CHANGES, &load("1m")));
    let mut child = run(&scenario, &place).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    wait_until(|| target.server.truth().patches.received > 8 + 10);
    gate.shut();
    let mut said = wait_for_restore(&mut stderr);
    assert_ne!(target.state(), before);
    // It is still away when attributes are looked at for the first time.
    thread::sleep(Duration::from_millis(1_500));
    gate.open();
    stderr.read_to_string(&mut said).unwrap();
    assert_code(&child.wait_with_output().unwrap(), 3);
    assert!(said.lines().last().is_some_and(|line| line.contains("every attempt broke")), "{said}");
    assert_eq!(target.state(), before);
    assert_eq!(counts(&place)[3], 0);
}

#[test]
fn of_a_target_that_dies_for_good_each_row_is_reported_with_the_remedy() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let (before, gate) = (target.state(), Gate::before(target.server.address()));
    let scenario = target.scenario_at(gate.address(), &place, (CHANGES, &load("1m")));
    let child = run(&scenario, &place).spawn().unwrap();
    wait_until(|| target.server.truth().patches.received > 8 + 10);
    gate.shut();
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 3);
    assert_ne!(target.state(), before);
    assert_eq!(counts(&place), [8, 0, 0, 8]);
    assert_eq!(warnings(&place), ["target_died", "not_restored"]);
    let (stdout, remedy) = (text(&output.stdout), format!("`patchload restore {}` tries again", place.run().display()));
    assert!(stdout.contains("8 could not be restored") && stdout.contains(&remedy), "{stdout}");
    let is_row = |line: &&str| line.trim_start().starts_with("row ") && line.contains("cannot be read: ");
    assert_eq!(stdout.lines().filter(is_row).count(), 8, "{stdout}");
    assert!(text(&output.stderr).contains(&remedy), "{output:?}");
    gate.open();
    assert_restore_mends(&place, &target, &before);
}

#[test]
fn rows_that_cannot_be_read_at_the_end_are_reported_and_the_others_are_put_back() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let (before, gate) = (target.state(), Gate::before(target.server.address()));
    let scenario = target.scenario_at(gate.address(), &place, (CHANGES, &load("2s")));
    let child = run(&scenario, &place).spawn().unwrap();
    wait_until(|| target.server.truth().patches.received > 8 + 10);
    let gone = &target.participants[0].conversation_id;
    gate.hide(gone);
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 0);
    assert_eq!(counts(&place), [8, 6, 0, 2]);
    let failures = &json(&place.run().join("run.json"))["snapshot"]["failures"];
    for failure in failures.as_array().unwrap() {
        assert_eq!(failure["reason"], "cannot be read: status 404");
        assert!(failure["path"].as_str().unwrap().contains(gone), "{failure}");
    }
    assert!(last_line(&output).contains("2 rows are not as they were"), "{output:?}");
    for ((after, before), participant) in target.state().iter().zip(&before).zip(&target.participants) {
        assert_eq!(after == before, participant.conversation_id != *gone);
    }
    gate.open();
    assert_restore_mends(&place, &target, &before);
}

#[test]
fn a_run_folder_that_cannot_be_written_any_more_leaves_the_attributes_as_they_were() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let before = target.state();
    let scenario = target.scenario(&place, CHANGES, &load("1m"));
    let child = run(&scenario, &place).spawn().unwrap();
    wait_until(|| target.server.truth().patches.received > 8 + 10);
    // To a process that writes, a folder that is gone is a disk that takes nothing; it needs no rights to test.
    let moved = place.run().parent().unwrap().with_file_name("moved");
    fs::rename(place.run(), moved).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains("the run stops"), "{output:?}");
    assert!(text(&output.stdout).contains("8 rows read before the run: 8 restored"), "{output:?}");
    assert_eq!(target.state(), before);
}

#[test]
fn what_becomes_of_the_attributes_is_told_even_where_the_system_refuses_the_run() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let before = target.state();
    let load = "[load]\nspread = \"0s\"\niterations = 5\nstages = [{ for = \"5s\", users = 64 }]";
    let scenario = target.scenario(&place, CHANGES, load);
    // A limit would have one worker alone.
    let unlimited = fs::read_to_string(&scenario).unwrap().replace("[limit]", "").replace("rate = \"50/s\"", "");
    fs::write(&scenario, unlimited).unwrap();
    // Open files for the snapshot, and too few for so many workers.
    let command = format!("ulimit -n 40; exec {PROGRAM} run {scenario} --workers 32 --out {}", place.results());
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert_code(&output, 1);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("restore  8 rows read before the run: "), "{stderr}");
    assert!(last_line(&output).contains("the system refused a worker"), "{stderr}");
    assert_eq!(target.state(), before);
    assert_eq!(counts(&place)[3], 0);
}

#[test]
fn an_interrupt_leaves_the_attributes_as_they_were() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let before = target.state();
    let scenario = target.scenario(&place, CHANGES, &load("1m"));
    let child = run(&scenario, &place).spawn().unwrap();
    wait_until(|| target.server.truth().patches.received > 8 + 10);
    interrupt(&child);
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
fn a_second_interrupt_leaves_at_once_and_run_json_says_what_was_left() {
    let (place, target) = (Place::new(), Target::new(plain()));
    let before = target.state();
    let scenario = target.scenario(&place, CHANGES, &load("1m"));
    let mut child = run(&scenario, &place).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    wait_until(|| target.server.truth().patches.received > 8 + 10);
    interrupt(&child);
    let mut said = wait_for_restore(&mut stderr);
    // It waits for the target to settle before it writes.
    interrupt(&child);
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(105), "{said}");
    let folder = place.run();
    assert!(said.contains(&format!("`patchload restore {}`", folder.display())), "{said}");
    assert_ne!(target.state(), before);
    let document = json(&folder.join("run.json"));
    assert_eq!((&document["state"], &document["snapshot"]["end"]), (&json!("interrupted"), &json!("left")));
    assert_eq!(counts(&place), [8, 0, 0, 8]);
    assert_eq!(document["snapshot"]["failures"][7]["reason"], "not looked at since the run");
    assert_eq!(warnings(&place), ["interrupted", "restore_left"]);
    let report = patchload(&["report", folder.to_str().unwrap()]).output().unwrap();
    assert!(text(&report.stdout).contains("restore  left in the middle; of 8 rows"), "{report:?}");

    // The command of its own can be left, too.
    let mut command = patchload(&["restore", folder.to_str().unwrap()]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    wait_for_restore(&mut stderr);
    interrupt(&child);
    assert_code(&child.wait_with_output().unwrap(), 105);
    assert_eq!((counts(&place), target.state() == before), ([8, 0, 0, 8], false));
    assert_restore_mends(&place, &target, &before);
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
    // Of 120, 5 x 4 reads and 3 x 8 writes are kept back, and not all of them are needed.
    assert!((76 + 4 + 8..=120).contains(&requests), "{requests}");
    assert!(text(&output.stderr).contains("budget       120 requests, 76 of them for attempts"), "{output:?}");
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
