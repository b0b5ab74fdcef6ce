//! The section "Your own API" of README.md, followed to the letter against an API that has nothing to do with Genesys.
#![cfg(feature = "external")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use command::{PROGRAM, Place, json, last_line, patchload, text};
use serde_json::Value;

mod client;
mod command;

const TOKEN: &str = "token-of-the-own-api";

/// The API of the test, as a child; killed when dropped.
struct Api {
    child: Child,
    address: String,
}

impl Api {
    /// An API that lets so many requests a second pass; 0 for all.
    fn start(per_second: u32) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/external/own_api.py");
        let mut command = Command::new("python3");
        command.arg(script).args([TOKEN, &per_second.to_string()]).stdout(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("this test needs python3 on the PATH: {error}"));
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { child, address: format!("http://127.0.0.1:{}", port.trim()) }
    }

    /// What it tells of itself.
    fn told(&self, path: &str) -> Value {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let body = runtime.block_on(async {
            client::client().get(format!("{}{path}", self.address)).send().await.unwrap().bytes().await.unwrap()
        });
        serde_json::from_slice(&body).unwrap()
    }

    /// How often it gave this status to a PATCH.
    fn count(&self, status: u16) -> u64 {
        self.told("/counts")[status.to_string()].as_u64().unwrap_or(0)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A block of code in a section of README.md: the first one of this language that holds `mark`.
fn block(section: &str, language: &str, mark: &str) -> String {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = readme.split(&format!("\n## {section}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let fence = format!("```{language}\n");
    let mut blocks = section.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains(mark)).unwrap_or_else(|| panic!("no {mark} in {section}")).to_owned()
}

/// Puts `new` where `old` stands, which it must.
fn replace(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "README.md has no {old}:\n{text}");
    text.replace(old, new)
}

/// README's scenario for this API, with a load of seconds instead of minutes.
fn scenario(api: &Api) -> String {
    let scenario = replace(&block("Your own API", "toml", "base_url"), "https://api.example.com", &api.address);
    let stages = scenario.lines().find(|line| line.starts_with("stages = ")).unwrap();
    replace(
        &scenario,
        stages,
        "stages = [{ for = \"1s\", to = 5 }, { for = \"3s\", users = 5 }, { for = \"1s\", to = 0 }]",
    )
}

/// Runs a scenario beside a data file that lists the profiles that there are.
fn run(scenario: &str, token: &str) -> (Place, Output) {
    let place = Place::new();
    place.write("profiles.csv", "id\np-1\np-2\np-3\n");
    let file = place.write("profile-tier.toml", scenario);
    let output = patchload(&["run", &file, "--out", &place.results()]).env("API_TOKEN", token).output().unwrap();
    (place, output)
}

/// Accepted attempts of a run folder.
fn accepted(run: &Path) -> u64 {
    let mut reader = csv::Reader::from_path(run.join("summary.csv")).unwrap();
    let row: BTreeMap<String, String> = reader.deserialize().next().unwrap().unwrap();
    row["accepted"].parse().unwrap()
}

/// Rows of `failures.csv` as outcome, status, code and count.
fn failures(place: &Place) -> Vec<(String, String, String, u64)> {
    let mut reader = csv::Reader::from_path(place.run().join("failures.csv")).unwrap();
    let rows = reader.deserialize().map(Result::unwrap);
    rows.map(|row: BTreeMap<String, String>| {
        let [outcome, status, code] = ["outcome", "status", "code"].map(|column| row[column].clone());
        (outcome, status, code, row["count"].parse().unwrap())
    })
    .collect()
}

#[test]
fn the_readme_s_scenario_and_commands_work_as_they_are_written() {
    let (api, place) = (Api::start(0), Place::new());
    place.write("profile-tier.toml", &scenario(&api));
    let script = replace(&block("Your own API", "sh", "profiles.csv"), "API_TOKEN=…", &format!("API_TOKEN={TOKEN}"));
    let folder = Path::new(&place.results()).parent().unwrap().to_owned();
    let programs = Path::new(PROGRAM).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh").args(["-e", "-c", &script]).current_dir(folder).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert!(printed.contains(&format!("curl -X PATCH '{}/v1/profiles/p-1'", api.address)), "{printed}");
    let runs: Vec<_> = fs::read_dir(place.results()).unwrap().map(|run| accepted(&run.unwrap().path())).collect();
    assert_eq!(runs.len(), 2, "a first look and the run itself");
    assert_eq!(runs.iter().sum::<u64>(), api.count(200));
    assert!(runs.iter().all(|accepted| *accepted > 3), "{runs:?}");
    let profile = &api.told("/profiles")["p-1"];
    assert_eq!(
        (&profile["tier"], &profile["name"]),
        (&"gold".into(), &"Ann 1".into()),
        "a patch changes what it names"
    );
    assert_ne!(profile["ref"], "none");
}

#[test]
fn the_readme_s_snapshot_leaves_the_profiles_as_they_were() {
    let api = Api::start(0);
    let before = api.told("/profiles");
    let with_snapshot = scenario(&api) + &block("Care for the target", "toml", "[snapshot]");
    let (place, output) = run(&with_snapshot, TOKEN);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(api.count(200) > accepted(&place.run()), "something was put back");
    assert_eq!(api.told("/profiles"), before);
    assert_eq!(json(&place.run().join("run.json"))["snapshot"]["restored"], 3);
}

#[test]
fn a_wrong_token_stops_the_run_and_says_so() {
    let api = Api::start(0);
    let longer = replace(&scenario(&api), "for = \"3s\"", "for = \"30s\"");
    let (place, output) = run(&longer, "another-token");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let said = last_line(&output);
    assert!(said.contains("401 or 403") && said.contains("check the credentials"), "{said}");
    let sent = api.count(401);
    assert_eq!(failures(&place), [("rejected".into(), "401".into(), "invalid_token".into(), sent)]);
    assert!(!text(&output.stderr).contains("another-token"));
}

#[test]
fn a_path_that_is_not_there_and_a_limit_of_the_server_are_rows_of_the_report() {
    let api = Api::start(2);
    let (place, output) = run(&replace(&scenario(&api), "/v1/profiles/", "/v1/people/"), TOKEN);
    assert!(output.status.success(), "what the server does is data: {}", text(&output.stderr));
    let rows = failures(&place);
    let expected = [("rejected", 404, "no_such_profile"), ("throttled", 429, "slow_down")];
    let expected = expected
        .map(|(outcome, status, code)| (outcome.to_owned(), status.to_string(), code.to_owned(), api.count(status)));
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(expected.iter().all(|row| rows.contains(row)), "{rows:?} {expected:?}");
    assert_eq!(accepted(&place.run()), 0);
}

#[test]
fn a_token_that_is_not_set_is_told_with_its_place() {
    let place = Place::new();
    place.write("profiles.csv", "id\np-1\n");
    let file = place.write("profile-tier.toml", &block("Your own API", "toml", "base_url"));
    let output = patchload(&["check", &file]).env_remove("API_TOKEN").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("profile-tier.toml:10:") && said.contains("environment variable API_TOKEN"), "{said}");
}
