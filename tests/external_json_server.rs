//! The checks against a server that nobody here wrote: json-server, whose PATCH merges the members of a resource and
//! replaces a map within it whole.
#![cfg(feature = "external")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use command::{Place, json, patchload, text};
use patchload::consistency::{Line, parse_line};
use serde_json::{Map, Value, json};

mod command;

const REMEDY: &str =
    "this test needs json-server 0.17 on the PATH, which .ci/run installs: npm install --global json-server@0.17";

const THINGS: usize = 5;
const USERS: usize = 20;

/// json-server with a database of its own; killed when dropped.
struct Server {
    child: Child,
    port: u16,
    place: tempfile::TempDir,
}

impl Server {
    /// Serves these things.
    fn start(things: &[Value]) -> Self {
        let version = Command::new("json-server").arg("--version").output();
        let version = text(&version.unwrap_or_else(|error| panic!("{REMEDY} ({error})")).stdout);
        assert!(version.starts_with("0.17."), "{REMEDY}; it is {version}");
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("db.json"), json!({"things": things}).to_string()).unwrap();
        // It takes no 0 for any port that is free, so one is looked for.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let said = || File::options().append(true).create(true).open(place.path().join("said.txt")).unwrap();
        let child = Command::new("json-server")
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--quiet", "db.json"])
            .current_dir(place.path())
            .stdin(Stdio::null())
            .stdout(said())
            .stderr(said())
            .spawn()
            .unwrap();
        let mut server = Self { child, port, place };
        server.wait();
        server
    }

    /// Waits until it listens.
    fn wait(&mut self) {
        let since = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let is_running = self.child.try_wait().unwrap().is_none() && since.elapsed() < Duration::from_secs(30);
            let said = || fs::read_to_string(self.place.path().join("said.txt")).unwrap_or_default();
            assert!(is_running, "json-server does not listen on port {}: {}", self.port, said());
            sleep(Duration::from_millis(50));
        }
    }

    /// What it holds: it writes its file before it answers.
    fn things(&self) -> Vec<Value> {
        let Value::Array(things) = json(&self.place.path().join("db.json"))["things"].take() else { panic!() };
        things
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run with checks.
struct Told {
    /// By check: checked, found, a sample.
    checks: BTreeMap<String, (u64, u64, String)>,
    merge: Value,
    /// By thing and key, the value that was acknowledged last.
    acknowledged: BTreeMap<(usize, String), String>,
    said: String,
}

impl Told {
    /// The checks that found anything but writes that were seen and those that nobody can judge.
    fn findings(&self) -> Vec<(&str, u64)> {
        let found = self.checks.iter().map(|(name, (_, found, _))| (name.as_str(), *found));
        found.filter(|(name, found)| *found > 0 && !["visible", "indeterminate"].contains(name)).collect()
    }

    /// Things and keys whose acknowledged value is not there.
    fn missing(&self, shown: impl Fn(usize, &str) -> Value) -> Vec<&(usize, String)> {
        let acknowledged = self.acknowledged.iter();
        acknowledged.filter(|((thing, key), value)| shown(*thing, key) != **value).map(|(place, _)| place).collect()
    }
}

/// Keys as they were before anybody wrote: one for each user.
fn keys() -> Map<String, Value> {
    (0..USERS).map(|user| (format!("k{user}"), "none".into())).collect()
}

/// Runs a scenario that sends this body to things in turn, and whatever else stands in it.
fn execute(server: &Server, (things, body): (usize, &str), rest: &str) -> (Place, String) {
    let place = Place::new();
    let rows: Vec<_> = (0..things).map(|thing| thing.to_string()).collect();
    place.write("things.csv", &format!("id\n{}\n", rows.join("\n")));
    let scenario = place.write(
        "scenario.toml",
        &format!(
            r#"
            name = "json-server"
            seed = 7
            [target]
            base_url = "http://127.0.0.1:{}"
            [data.things]
            file = "things.csv"
            [[variant]]
            name = "patch"
            path = "/things/{{{{ id }}}}"
            body = '{body}'
            expect = [200]
            {rest}
            "#,
            server.port
        ),
    );
    let output = patchload(&["run", &scenario, "--out", &place.results(), "--accept-invalid"]).output().unwrap();
    let said = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    (place, said)
}

/// Four users write to each thing for 3 s, each a key of its own, with this body; `attributes` is where the keys are.
fn run(server: &Server, body: &str, attributes: &str) -> Told {
    let rest = format!(
        r#"
        [read]
        path = "/things/{{{{ id }}}}"
        attributes = "{attributes}"
        [load]
        spread = "0s"
        stages = [{{ for = "3s", users = {USERS} }}]
        think_time = "100ms"
        [checks]
        track = "k{{{{ user }}}}"
        history = true
        [checks.lost_updates]
        enabled = true
        [checks.visibility]
        share = "50%"
        within = "500ms"
        poll = {{ first = "10ms", most = "100ms" }}
        recheck = "300ms"
        "#
    );
    let (place, said) = execute(server, (THINGS, body), &rest);
    let mut reader = csv::Reader::from_path(place.run().join("consistency.csv")).unwrap();
    let rows = reader.deserialize().map(|row: Result<BTreeMap<String, String>, _>| row.unwrap());
    let number = |row: &BTreeMap<String, String>, column: &str| row[column].parse::<u64>().unwrap();
    let checks = rows
        .map(|row| (row["check"].clone(), (number(&row, "checked"), number(&row, "found"), row["sample"].clone())))
        .collect();
    let history = fs::read_to_string(place.run().join("history.jsonl")).unwrap();
    // A user sends one request at a time, and retries none: the last that it sent to a key is the one that counts.
    let mut writes: Vec<_> = history.lines().filter_map(|line| write(&parse_line(line).unwrap())).collect();
    writes.sort();
    let acknowledged = writes.into_iter().map(|(_, place, value)| (place, value)).collect();
    Told { checks, merge: json(&place.run().join("run.json"))["checks"]["merge"].take(), acknowledged, said }
}

/// When a write was sent that was acknowledged, where it belongs, and its value.
fn write(line: &Line) -> Option<(u64, (usize, String), String)> {
    let Line::Write { row, key, value, sent_us, ack, .. } = line else { return None };
    assert_eq!(ack, "accepted");
    Some((*sent_us, (usize::try_from(*row).unwrap() - 1, key.clone()), format!("7-{value}")))
}

#[test]
fn users_that_write_keys_of_one_map_lose_all_but_the_last_and_the_map_is_said_to_be_replaced() {
    let things: Vec<_> = (0..THINGS).map(|id| json!({"id": id, "attributes": keys()})).collect();
    let server = Server::start(&things);
    let told = run(&server, r#"{"attributes": {"k{{ user }}": "{{ unique }}"}}"#, "$.attributes");
    let things = server.things();
    assert!(things.iter().all(|thing| thing["attributes"].as_object().unwrap().len() == 1), "{things:?}");
    let missing = told.missing(|thing, key| things[thing]["attributes"][key].clone());
    assert_eq!((told.acknowledged.len(), missing.len()), (USERS, USERS - THINGS));
    // Of each thing the keys of the users that do not write to it are gone, too.
    let expected = [("lost", missing.len() as u64), ("untouched_changed", THINGS as u64)];
    assert_eq!(told.findings(), expected, "{}", told.said);
    let (checked, _, sample) = &told.checks["lost"];
    assert_eq!(*checked, USERS as u64);
    let is_named = |(thing, key): &&(usize, String)| sample.contains(&format!("data row {}, `{key}`:", thing + 1));
    assert!(missing.iter().any(is_named), "{sample}");
    assert_eq!(told.merge, "whole_map", "{}", told.said);
}

#[test]
fn users_that_write_members_of_one_resource_lose_none_and_nothing_else_is_found() {
    let thing = |id: usize| {
        let mut thing = keys();
        thing.insert("id".to_owned(), id.into());
        Value::Object(thing)
    };
    let server = Server::start(&(0..THINGS).map(thing).collect::<Vec<_>>());
    let told = run(&server, r#"{"k{{ user }}": "{{ unique }}"}"#, "$");
    let things = server.things();
    let missing = told.missing(|thing, key| things[thing][key].clone());
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(told.findings(), [], "{}", told.said);
    let checked = |check: &str| told.checks[check].0;
    assert_eq!((checked("lost"), checked("untouched_changed")), (20, THINGS as u64));
    // Each was seen; that no user's next write could have hidden a miss is another matter.
    assert!(checked("indeterminate") > 100 && told.checks["indeterminate"].1 == 0, "{}", told.said);
    assert_eq!(told.merge, "per_key", "{}", told.said);
}

#[test]
fn a_patch_is_idempotent_and_a_key_that_json_server_does_not_know_is_not_obeyed() {
    let things: Vec<_> = (0..40).map(|id| json!({"id": id, "ref": "none"})).collect();
    let server = Server::start(&things);
    // Each thing is written about every two seconds.
    let rest = r#"
        [read]
        path = "/things/{{ id }}"
        attributes = "$"
        [load]
        spread = "0s"
        stages = [{ for = "6s", users = 4 }]
        think_time = "200ms"
        [checks]
        track = "ref"
        [checks.idempotency]
        share = "100%"
        modes = ["replay", "concurrent", "retry", "keyed"]
        settle = "100ms"
        [checks.visibility]
        share = "5%"
        within = "300ms"
        poll = { first = "10ms", most = "100ms" }
        "#;
    let (place, said) = execute(&server, (things.len(), r#"{"ref": "{{ unique }}"}"#), rest);
    let mut modes = BTreeMap::new();
    for row in csv::Reader::from_path(place.run().join("idempotency.csv")).unwrap().deserialize() {
        let row: BTreeMap<String, String> = row.unwrap();
        let [pairs, violations] = ["pairs", "violations"].map(|column| row[column].parse::<u64>().unwrap());
        assert!(pairs >= 5, "{said}");
        modes.insert(row["mode"].clone(), violations == pairs);
        assert!(violations == pairs || violations == 0, "{said}");
        let is_told = row["sample"].contains("the key was accepted with another body, with status 200");
        assert_eq!(is_told, violations > 0, "{}", row["sample"]);
    }
    let expected = [("concurrent", false), ("keyed", true), ("replay", false), ("retry", false)];
    assert_eq!(modes, expected.map(|(mode, is_violated)| (mode.to_owned(), is_violated)).into(), "{said}");
}
