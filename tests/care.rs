//! Care for the target: what a run may cost it, when it may run, what stops it, and a run that sends nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod wire;

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use command::{Place, json, last_line, patchload, text};
use patchload::scenario::{CLIENT_ID, CLIENT_SECRET, Faults, STATIC_TOKEN, Simulator, Timed};
use patchload::sim::Server;
use wire::{plain, share, start};

const LOAD: &str = "[load]\nspread = \"0s\"\nstages = [{ for = \"1m\", users = 5 }]";

fn bearer(server: &Server) -> String {
    let address = server.address();
    format!(
        "[target]\nbase_url = \"http://{address}\"\n[target.auth]\nkind = \"bearer\"\ntokens = [\"{STATIC_TOKEN}\"]"
    )
}

fn run(place: &Place, scenario: &str) -> Output {
    patchload(&["run", scenario, "--out", &place.results(), "--accept-invalid"]).output().unwrap()
}

fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_budget_ends_the_run_with_exactly_so_many_requests_logins_included() {
    let (place, server) = (Place::new(), start(&plain(), 1));
    let address = server.address();
    let target = format!(
        "[target]\nbase_url = \"http://{address}\"\n[target.auth]\nkind = \"client-credentials\"\ntokens = 3\n\
         login_url = \"http://{address}/oauth/token\"\nclient_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\""
    );
    let scenario = place.scenario(&target, &format!("{LOAD}\n[limit]\nbudget = 200"));
    let output = run(&place, &scenario);
    assert_code(&output, 0);
    let truth = server.truth();
    assert_eq!((truth.logins.received, truth.patches.received), (3, 197));
    let json = json(&place.run().join("run.json"));
    assert_eq!((&json["state"], &json["warnings"][0]["kind"]), (&"finished".into(), &"budget_spent".into()));
    let stderr = text(&output.stderr);
    assert!(
        stderr
            .contains("budget       200 requests, 197 of them for attempts and logins in mid-run; it may end the run"),
        "{stderr}"
    );
    assert!(stderr.contains("the budget of 200 requests was used up"), "{stderr}");
}

#[test]
fn a_budget_ends_an_open_run_too_and_the_plan_says_so() {
    let (place, server) = (Place::new(), start(&plain(), 1));
    let load = "[load]\nmodel = \"arrivals\"\nstages = [{ for = \"1m\", rate = \"100/s\" }]\n[limit]\nbudget = 150";
    let scenario = place.scenario(&bearer(&server), load);
    let output = run(&place, &scenario);
    assert_code(&output, 0);
    assert_eq!(server.truth().patches.received, 150);
    assert!(text(&output.stderr).contains("it ends the run before its schedule"), "{output:?}");
}

#[test]
fn logins_that_nobody_foresaw_are_in_the_budget_too() {
    // The server says that a token lives a day, and each dies after half a second.
    let early_expiry = Timed { draw: share(1.0), time: Duration::from_millis(500) };
    let config = Simulator { faults: Faults { early_expiry, ..Faults::default() }, ..plain() };
    let (place, server) = (Place::new(), start(&config, 1));
    let address = server.address();
    let target = format!(
        "[target]\nbase_url = \"http://{address}\"\n[target.auth]\nkind = \"client-credentials\"\ntokens = 2\n\
         login_url = \"http://{address}/oauth/token\"\nclient_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\""
    );
    let scenario = place.scenario(&target, &format!("{LOAD}\n[limit]\nrate = \"50/s\"\nbudget = 200"));
    assert_code(&run(&place, &scenario), 0);
    let truth = server.truth();
    assert!(truth.logins.received >= 6, "{truth:?}");
    // A token that is refused by the last answers may still be renewed.
    let requests = truth.logins.received + truth.patches.received;
    assert!((200..=202).contains(&requests), "{requests}: {truth:?}");
}

#[test]
fn the_plan_and_the_budget_count_every_retry() {
    let (place, target) = (Place::new(), "[target]\nsimulator = \"documented\"");
    let said = |retry: &str, budget: u64| {
        let load = format!("{LOAD}\niterations = 10\n{retry}\n[limit]\nbudget = {budget}");
        let output = patchload(&["check", &place.scenario(target, &load)]).output().unwrap();
        assert_code(&output, 0);
        text(&output.stdout)
    };
    let retry = "[retry]\non = [429]\nmax = 2";
    // 5 users with 10 operations each, and one login.
    let plan = said(retry, 151);
    assert!(plan.contains("requests     at most 150\n"), "{plan}");
    assert!(
        plan.contains("retries      up to 2 for each operation; 50 operations are at worst 150 attempts"),
        "{plan}"
    );
    assert!(!plan.contains("the run before its schedule"), "{plan}");
    assert!(said(retry, 150).contains("; it may end the run before its schedule"));
    assert!(said(retry, 50).contains("; it ends the run before its schedule"));
    let plan = said("", 51);
    assert!(!plan.contains("the run before its schedule") && !plan.contains("retries  "), "{plan}");
    assert!(said("", 50).contains("; it ends the run before its schedule"));
}

#[test]
fn how_attributes_are_read_and_put_back_is_shown_without_secrets() {
    let place = Place::new();
    let more = r#"
        [read]
        path = "/c?key=${CARE_SECRET}"
        headers = { x-api-key = "${CARE_SECRET}" }
        attributes = "$.a"
        [snapshot]
        enabled = true
        [snapshot.restore]
        method = "PUT"
        path = "/p/${CARE_SECRET}"
        headers = { x-api-key = "${CARE_SECRET}", x-why = "restore" }
        body = '{"attributes": {{ attributes | json }}, "by": "${CARE_SECRET}"}'
    "#;
    let scenario = place.scenario("[target]\nbase_url = \"http://127.0.0.1:9\"", &format!("{LOAD}\n{more}"));
    for arguments in [&["check", &*scenario][..], &["run", &scenario, "--dry-run"]] {
        let output = patchload(arguments).env("CARE_SECRET", "not-to-be-shown").output().unwrap();
        assert_code(&output, 0);
        let stdout = text(&output.stdout);
        let read = "\n# read: the attributes of the first data row\n\
                    curl -X GET 'http://127.0.0.1:9/c?key=${CARE_SECRET}' \\\n  -H 'x-api-key: ***'\n";
        let restore = "curl -X PUT 'http://127.0.0.1:9/p/${CARE_SECRET}' \\\n  -H 'x-api-key: ***' \\\n  \
                       -H 'x-why: restore' \\\n  -H 'Content-Type: application/json' \\\n  \
                       --data-raw '{\"attributes\": {\"KEY\":\"EARLIER\"}, \"by\": \"${CARE_SECRET}\"}'\n";
        assert!(stdout.contains(read) && stdout.contains(restore), "{stdout}");
        assert!(!stdout.contains("not-to-be-shown") && !text(&output.stderr).contains("not-to-be-shown"), "{output:?}");
    }
}

#[test]
fn lasting_refusals_stop_the_run() {
    let config = Simulator { static_token_life: Some(Duration::from_secs(1)), ..plain() };
    let (place, server) = (Place::new(), start(&config, 1));
    let more = "[stop]\nunauthorized = { share = \"50%\", for = \"2s\" }\n[limit]\nrate = \"50/s\"";
    let scenario = place.scenario(&bearer(&server), &format!("{LOAD}\n{more}"));
    let output = run(&place, &scenario);
    assert_code(&output, 3);
    assert!(last_line(&output).contains("of all answers were 401 or 403"), "{output:?}");
    let json = json(&place.run().join("run.json"));
    assert_eq!((&json["state"], &json["warnings"][0]["kind"]), (&"interrupted".into(), &"unauthorized".into()));
}

#[test]
fn a_retry_after_that_is_too_long_stops_the_run() {
    let place = Place::new();
    // The simulator's quota of 300 per minute is soon used up, and it asks for the rest of the minute.
    let scenario =
        place.scenario("[target]\nsimulator = \"documented\"", &format!("{LOAD}\n[stop]\nretry_after = \"9s\""));
    let output = run(&place, &scenario);
    assert_code(&output, 3);
    assert!(last_line(&output).contains("the target asked for a pause of"), "{output:?}");
}

/// A time of the day in UTC, so many minutes from now.
fn minute(from_now: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let minute = (i64::try_from(now / 60).unwrap() + from_now).rem_euclid(1_440);
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[test]
fn outside_of_the_allowed_hours_nothing_is_sent() {
    let (place, server) = (Place::new(), start(&plain(), 1));
    let limit = format!("[limit]\nwindow = \"{}-{}\"", minute(120), minute(180));
    let scenario = place.scenario(&bearer(&server), &format!("{LOAD}\n{limit}"));
    let output = run(&place, &scenario);
    assert_code(&output, 2);
    assert!(last_line(&output).contains("outside of the allowed hours"), "{output:?}");
    assert_eq!(server.truth().connections, 0);
}

#[test]
fn a_run_may_wait_for_its_hours_and_an_interrupt_ends_the_wait() {
    let (place, server) = (Place::new(), start(&plain(), 1));
    let limit = format!("[limit]\nwindow = \"{}-{}\"\noutside = \"pause\"", minute(120), minute(180));
    let scenario = place.scenario(&bearer(&server), &format!("{LOAD}\n{limit}"));
    let mut child = patchload(&["run", &scenario, "--out", &place.results()]).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("waiting until ") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0);
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    stderr.read_to_string(&mut line).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(105), "{line}");
    assert_eq!(server.truth().connections, 0);
}

#[test]
fn the_end_of_the_allowed_hours_stops_the_run() {
    let (place, server) = (Place::new(), start(&plain(), 1));
    // A minute ends soon, but not before the run has begun.
    let left = 60 - SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 60;
    let limit =
        format!("[limit]\nrate = \"5/s\"\nwindow = \"{}-{}\"", minute(-60), minute(if left < 5 { 2 } else { 1 }));
    let scenario = place.scenario(&bearer(&server), &format!("{}\n{limit}", LOAD.replace("1m", "5m")));
    let output = run(&place, &scenario);
    assert_code(&output, 105);
    assert!(text(&output.stderr).contains("caution: the allowed hours"), "{output:?}");
    assert!(last_line(&output).contains("ended, so the run was stopped after"), "{output:?}");
    let json = json(&place.run().join("run.json"));
    assert_eq!((&json["state"], &json["warnings"][0]["kind"]), (&"interrupted".into(), &"window_closed".into()));
}

#[test]
fn a_dry_run_says_everything_and_connects_to_nobody() {
    let (place, listener) = (Place::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let target = format!(
        "[target]\nbase_url = \"http://{address}\"\n[target.auth]\nkind = \"client-credentials\"\ntokens = 3\n\
         login_url = \"http://{address}/oauth/token\"\nclient_id = \"me\"\nclient_secret = \"not-to-be-shown\""
    );
    let scenario = place.scenario(&target, &format!("{LOAD}\n[limit]\nbudget = 20_000"));
    let output = patchload(&["run", &scenario, "--out", &place.results(), "--dry-run"]).output().unwrap();
    assert_code(&output, 0);
    let stdout = text(&output.stdout);
    for said in ["users        5", "budget       20,000", "curl -X PATCH", "run.json", "sent         nothing"] {
        assert!(stdout.contains(said), "{said}: {stdout}");
    }
    assert!(!stdout.contains("not-to-be-shown"));
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(!fs::exists(place.results()).unwrap());
}
