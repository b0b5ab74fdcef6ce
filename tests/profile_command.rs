//! `patchload profile` as its users meet it: against a simulator, over sockets, in real time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answering;
mod command;
mod wire;

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::net::TcpListener;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use answering::Answering;
use command::{Place, json, last_line, patchload, text};
use patchload::scenario::{STATIC_TOKEN, Simulator};
use patchload::sim::Server;
use wire::{plain, start};

const LOAD: &str = "[load]\nstages = [{ for = \"1m\", users = 5 }]";

/// A simulator with this quota.
fn limited(quota: &str) -> Simulator {
    let quota = format!("quota = \"{quota}\"\nlatency = {{ median = \"0s\", p99 = \"0s\" }}");
    let path = std::path::Path::new("simulator.toml");
    Simulator::parse(path, quota.as_bytes(), &|_| None).unwrap()
}

fn bearer(address: &str, tokens: &str) -> String {
    format!("[target]\nbase_url = \"http://{address}\"\n[target.auth]\nkind = \"bearer\"\ntokens = [{tokens}]")
}

fn at(server: &Server) -> String {
    bearer(&server.address().to_string(), &format!("\"{STATIC_TOKEN}\""))
}

fn profile(place: &Place, scenario: &str, more: &[&str]) -> Output {
    patchload(&["profile", scenario, "--out", &place.results()]).args(more).output().unwrap()
}

/// A profile that has been refused, and what it says from then on.
fn begun(place: &Place, scenario: &str) -> (Child, BufReader<ChildStderr>) {
    let arguments = ["profile", scenario, "--out", &place.results()];
    let mut child = patchload(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("recovery") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0);
    }
    (child, stderr)
}

fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

fn rows(place: &Place) -> usize {
    fs::read_to_string(place.run().join("profile.csv")).unwrap().lines().count() - 1
}

#[test]
fn a_small_window_is_identified_and_its_answer_is_in_the_files() {
    let place = Place::new();
    let target = "[target.simulator]\nquota = \"20/2s\"\nlatency = { median = \"0s\", p99 = \"0s\" }\n\
                  [target.auth]\nkind = \"client-credentials\"\ntokens = 2";
    let output = profile(&place, &place.scenario(target, LOAD), &[]);
    assert_code(&output, 0);
    let json = json(&place.run().join("profile.json"));
    assert_eq!((&json["verdict"], &json["state"]), (&"identified".into(), &"finished".into()), "{json:#}");
    assert_eq!((&json["tiers"][0]["model"], &json["tiers"][0]["limit"]), (&"fixed-window".into(), &20.into()));
    let time = json["tiers"][0]["time"]["value"].as_f64().unwrap();
    assert!((time - 2.0).abs() < 0.01, "{time}");
    assert_eq!(json["scope"][0]["shared"], "no", "the quota is each token's own");
    assert_eq!(rows(&place) as u64, json["requests"].as_u64().unwrap());
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(stdout.starts_with("Identified:") && stdout.contains(place.run().to_str().unwrap()), "{stdout}");
    for said in ["at most 4,000, and 2 logins before", "16m", "another token", "first burst"] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
}

#[test]
fn a_budget_bounds_what_is_sent() {
    let (place, server) = (Place::new(), start(&limited("20/2s"), 1));
    let scenario = place.scenario(&at(&server), &format!("{LOAD}\n[limit]\nrate = \"1/s\"\nbudget = 70"));
    let output = profile(&place, &scenario, &[]);
    assert_code(&output, 0);
    // One request of the 70 asks what the organisation declares.
    let truth = server.truth();
    assert_eq!((truth.patches.received, truth.gets.received + truth.others.received), (69, 1));
    assert_eq!((rows(&place), &json(&place.run().join("profile.json"))["stopped"]["why"]), (69, &"requests".into()));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("at most 69 of a budget of 70") && stderr.contains("`limit.rate` does not hold"),
        "{stderr}"
    );

    let place = Place::new();
    let scenario = place.scenario(&at(&server), LOAD);
    assert_code(&profile(&place, &scenario, &["--requests", "30", "--quiet"]), 0);
    assert_eq!(server.truth().patches.received, 99);
}

#[test]
fn an_interrupt_keeps_what_is_known() {
    let (place, server) = (Place::new(), start(&limited("20/5s"), 1));
    let scenario = place.scenario(&at(&server), LOAD);
    let (mut child, mut stderr) = begun(&place, &scenario);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(105), "{rest}");
    let json = json(&place.run().join("profile.json"));
    assert_eq!((&json["state"], &json["verdict"]), (&"interrupted".into(), &"declared".into()));
    assert_eq!(rows(&place) as u64, server.truth().patches.received);
    assert!(rows(&place) >= 20);
}

#[test]
fn a_target_that_cannot_be_used_exits_with_3() {
    let place = Place::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = profile(&place, &place.scenario(&bearer(&closed, "\"t\""), LOAD), &[]);
    assert_code(&output, 3);
    assert!(last_line(&output).contains("cannot reach the target"), "{output:?}");

    let server = start(&plain(), 1);
    let wrong = bearer(&server.address().to_string(), "\"wrong\"");
    let output = profile(&place, &place.scenario(&wrong, LOAD), &[]);
    assert_code(&output, 3);
    assert!(last_line(&output).contains("the first 3 requests with status 401"), "{output:?}");
    assert_eq!(server.truth().patches.received, 3);

    let address = server.address();
    let login = format!(
        "[target]\nbase_url = \"http://{address}\"\n[target.auth]\nkind = \"client-credentials\"\n\
         login_url = \"http://{address}/oauth/token\"\nclient_id = \"me\"\nclient_secret = \"not-to-be-shown\""
    );
    let output = profile(&place, &place.scenario(&login, LOAD), &[]);
    assert_code(&output, 3);
    assert!(last_line(&output).contains("the login was refused"), "{output:?}");
}

#[test]
fn a_target_that_goes_away_ends_it_with_what_is_known() {
    let (place, server) = (Place::new(), start(&limited("20/5s"), 1));
    let (mut child, mut stderr) = begun(&place, &place.scenario(&at(&server), LOAD));
    drop(server);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{rest}");
    assert!(rest.lines().last().unwrap().contains("the target answered none of"), "{rest}");
    assert_eq!(json(&place.run().join("profile.json"))["stopped"]["why"], "silent");
    assert!(rows(&place) >= 20);
}

#[test]
fn three_failures_in_a_row_and_a_long_retry_after_end_it() {
    let failing = Answering::start(|_| (500, "", String::new()));
    let busy = Answering::start(|_| (429, "retry-after: 3600\r\n", String::new()));
    for (server, why, most) in [(failing, "failures", 4), (busy, "retry_after", 4)] {
        let place = Place::new();
        let output = profile(&place, &place.scenario(&bearer(&server.address.to_string(), "\"t\""), LOAD), &[]);
        assert_code(&output, 0);
        let json = json(&place.run().join("profile.json"));
        assert_eq!(json["stopped"]["why"], why);
        assert!(json["requests"].as_u64().unwrap() <= most && server.asked().len() as u64 <= most, "{json:#}");
    }
}

#[test]
fn a_dry_run_says_everything_and_connects_to_nobody() {
    let (place, listener) = (Place::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    listener.set_nonblocking(true).unwrap();
    let target = bearer(&listener.local_addr().unwrap().to_string(), "\"not-to-be-shown\", \"nor-this\"");
    let output = profile(&place, &place.scenario(&target, LOAD), &["--dry-run", "--requests", "500"]);
    assert_code(&output, 0);
    let stdout = text(&output.stdout);
    for said in ["at most 500", "another token", "curl -X PATCH", "profile.csv", "sent         nothing"] {
        assert!(stdout.contains(said), "{said}: {stdout}");
    }
    assert!(!stdout.contains("not-to-be-shown") && !stdout.contains("nor-this"));
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(!fs::exists(place.results()).unwrap());
}

#[test]
fn wrong_arguments_exit_with_2_and_send_nothing() {
    let (place, server) = (Place::new(), start(&plain(), 1));
    let scenario = place.scenario(&at(&server), LOAD);
    let there = place.write("limit.toml", "mine");
    for (arguments, said) in [
        (&["--variant", "none"][..], "no variant is called `none`; the scenario has `attributes`"),
        (&["--write-limit", &there], "is there already"),
        (&["--requests", "0"], "whole number from 1"),
        (&["--time", "0s"], "no time at all"),
    ] {
        let output = profile(&place, &scenario, arguments);
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(said), "{output:?}");
    }
    let logins = "[target]\nsimulator = \"documented\"\n[target.auth]\nkind = \"client-credentials\"\ntokens = 2";
    let output = profile(&place, &place.scenario(logins, &format!("{LOAD}\n[limit]\nbudget = 2")), &[]);
    assert_code(&output, 2);
    assert!(last_line(&output).contains("logins alone may take 2"), "{output:?}");
    assert_eq!((server.truth().connections, fs::read_to_string(there).unwrap()), (0, "mine".to_owned()));
    assert!(!fs::exists(place.results()).unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_made_is_an_error_before_the_first_request() {
    let (place, server) = (Place::new(), start(&plain(), 1));
    let file = place.write("file", "");
    let output = patchload(&["profile", &place.scenario(&at(&server), LOAD), "--out", &file]).output().unwrap();
    assert_code(&output, 1);
    assert!(last_line(&output).contains("cannot create the run folder"), "{output:?}");
    assert_eq!(server.truth().patches.received, 0);
}

#[test]
fn the_examples_can_be_profiled() {
    for scenario in ["scenarios/profile.toml", "scenarios/quickstart.toml"] {
        let output = patchload(&["profile", scenario, "--dry-run"]).output().unwrap();
        assert_code(&output, 0);
        assert!(text(&output.stdout).contains("another resource"), "{scenario}");
    }
}
