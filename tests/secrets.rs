//! No secret appears in any output: not on the screen, not in a file of the run folder, not in a message about a mistake.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answering;
mod command;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use answering::{Answering, Asked, Reply, granted};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use command::{Place, patchload};

/// The environment of every command here.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("CLIENT_ID", "an-id"),
    ("CLIENT_SECRET", "secret-of-the-environment-Q7"),
    ("TOKEN", "token-of-the-environment-Q7"),
    ("API_KEY", "key-of-the-environment-Q7"),
];

/// Literal secrets, as they stand in scenarios here; each ends as those of the environment do.
const LITERAL: [&str; 6] = [
    "literal-secret-Q7",
    "literal-token-Q7",
    "literal-header-Q7",
    "literal-cookie-Q7",
    "literal-password-Q7",
    "token-of-a-login-Q7",
];

/// Every text that must not be shown.
fn hidden() -> Vec<String> {
    let environment = ENVIRONMENT[1..].iter().map(|(_, value)| (*value).to_owned());
    let secrets: Vec<_> = environment.chain(LITERAL.map(str::to_owned)).collect();
    let basic = |secret: &String| STANDARD.encode(format!("an-id:{secret}"));
    // The last bytes of an encoded text depend on what follows, so its middle stands for it.
    let encoded = secrets.iter().flat_map(|secret| [basic(secret), STANDARD.encode(secret)]);
    let encoded: Vec<_> = encoded.map(|text| text.trim_end_matches('=').to_owned()).collect();
    secrets.into_iter().chain(encoded).collect()
}

fn assert_hidden(place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for secret in hidden() {
        assert!(!text.contains(&secret), "{place} shows {secret}:\n{text}");
    }
    // All of them end like this, so nothing that is only a part of one is left.
    assert!(!text.contains("-Q7"), "{place} shows the end of a secret:\n{text}");
}

fn assert_nothing_is_shown(output: &Output) {
    assert_hidden("stdout", &output.stdout);
    assert_hidden("stderr", &output.stderr);
}

/// How many files of a folder were looked at.
fn assert_no_file_shows_any(folder: &Path) -> usize {
    let mut looked = 0;
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            looked += assert_no_file_shows_any(&entry);
        } else {
            assert_hidden(&entry.display().to_string(), &fs::read(&entry).unwrap());
            looked += 1;
        }
    }
    looked
}

fn command(arguments: &[&str]) -> Command {
    let mut command = patchload(arguments);
    command.envs(ENVIRONMENT);
    command
}

/// A scenario with secrets wherever one may stand.
fn scenario(place: &Place, target: &str) -> String {
    let text = format!(
        r#"
        name = "secrets"
        {target}
        [[variant]]
        name = "environment"
        path = "/x?key=${{API_KEY}}"
        headers = {{ X-Api-Key = "${{API_KEY}}", Cookie = "session=${{API_KEY}}", Content-Type = "application/json" }}
        body = '{{"attributes": {{"ref": "{{{{ unique }}}}", "key": "${{API_KEY}}"}}}}'
        expect = [202]
        [[variant]]
        name = "literal"
        path = "/x"
        headers = {{ X-Auth-Token = "literal-header-Q7", Cookie = "session=literal-cookie-Q7" }}
        body = '{{"attributes": {{"ref": "{{{{ unique }}}}"}}}}'
        expect = [202]
        [load]
        stages = [{{ for = "2s", users = 4 }}]
        think_time = "20ms"
        "#
    );
    place.write("scenario.toml", &text)
}

/// An API that quotes what it was asked in every answer that it refuses, and gives a token that is a secret, too.
fn quoting(asked: &Asked) -> Reply {
    match (asked.is_login(), asked.logins_before % 2) {
        (true, _) => granted("token-of-a-login-Q7", 1),
        (false, 0) => (202, "", String::new()),
        (false, _) => (401, QUOTED_HEADERS, quoted(asked)),
    }
}

const QUOTED_HEADERS: &str = "X-Request-Id: key-of-the-environment-Q7\r\n";

/// A body that quotes all of a request, in every field that finds its way into a report.
fn quoted(asked: &Asked) -> String {
    let Asked { line, authorization, .. } = asked;
    // The end of it would be cut off in the middle of a secret.
    let message = format!(
        "{line} {authorization} literal-header-Q7 session=literal-cookie-Q7 session=key-of-the-environment-Q7 {}{authorization}",
        "x".repeat(40)
    );
    format!(
        r#"{{"message": "{message}", "code": "{authorization}", "errors": [{{"fieldName": "key-of-the-environment-Q7"}}],
            "limit": {{"key": "literal-header-Q7", "namespace": "{authorization}"}}}}"#
    )
}

/// The same for tokens that no login gave.
fn quoting_given_tokens(asked: &Asked) -> Reply {
    match asked.authorization.len() % 2 {
        0 => (403, QUOTED_HEADERS, quoted(asked)),
        _ => (403, "", format!(r#"{{"message": "{0}", "contextId": "{0}"}}"#, asked.authorization)),
    }
}

/// The ways to say who is who.
fn credentials() -> [String; 3] {
    [
        "client_id = \"${CLIENT_ID}\"\nclient_secret = \"${CLIENT_SECRET}\"".to_owned(),
        "client_id = \"an-id\"\nclient_secret = \"literal-secret-Q7\"".to_owned(),
        "clients = [{ id = \"an-id\", secret = \"literal-secret-Q7\" }, { id = \"b\", secret = \"${CLIENT_SECRET}\" }]"
            .to_owned(),
    ]
}

#[test]
fn no_output_of_check_run_and_report_shows_a_secret() {
    for auth in credentials() {
        let (place, server) = (Place::new(), Answering::start(quoting));
        let path = scenario(&place, &server.target(&auth));
        let results = place.results();
        assert_nothing_is_shown(&command(&["check", &path]).output().unwrap());
        let output = command(&["run", &path, "--accept-invalid", "--out", &results]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_nothing_is_shown(&output);
        assert!(assert_no_file_shows_any(Path::new(&results)) >= 6);
        let sent = server.asked().iter().any(|asked| asked.authorization == "Bearer token-of-a-login-Q7");
        assert!(sent, "the secrets were used");
        assert_nothing_is_shown(&command(&["report", place.run().to_str().unwrap()]).output().unwrap());
        assert_no_file_shows_any(Path::new(&results));
    }
}

#[test]
fn what_a_server_quotes_from_the_environment_is_shown_by_its_name() {
    let quote = |asked: &Asked| (400, "", format!(r#"{{"message": "no {}"}}"#, asked.line));
    let (place, server) = (Place::new(), Answering::start(quote));
    let path = scenario(&place, &format!("[target]\nbase_url = \"http://{}\"", server.address));
    let output = command(&["run", &path, "-d", "1s", "--accept-invalid", "--out", &place.results()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let failures = fs::read_to_string(place.run().join("failures.csv")).unwrap();
    assert!(failures.contains("no PATCH /x?key=${API_KEY} HTTP/1.1"), "{failures}");
    assert_no_file_shows_any(Path::new(&place.results()));
}

#[test]
fn no_output_of_a_run_with_given_tokens_shows_one() {
    let (place, server) = (Place::new(), Answering::start(quoting_given_tokens));
    let target = format!(
        "[target]\nbase_url = \"http://{}\"\n[target.auth]\nkind = \"bearer\"\n\
         tokens = [\"${{TOKEN}}\", \"literal-token-Q7\"]",
        server.address
    );
    let path = scenario(&place, &target);
    for arguments in [vec!["check", &path], vec!["run", &path, "--out", &place.results(), "--repeat", "2"]] {
        assert_nothing_is_shown(&command(&arguments).output().unwrap());
    }
    assert!(assert_no_file_shows_any(Path::new(&place.results())) >= 13);
}

#[test]
fn no_output_of_a_login_that_fails_shows_a_secret() {
    for auth in credentials() {
        for status in [400, 401, 403, 429, 500] {
            let quote = move |asked: &Asked| {
                let said = format!("no {} of literal-secret-Q7 and secret-of-the-environment-Q7", asked.authorization);
                // Only what the client sent can be known to be a secret of it.
                let said = match asked.authorization.strip_prefix("Basic ").map(|basic| STANDARD.decode(basic).unwrap())
                {
                    Some(sent) if sent.ends_with(b"literal-secret-Q7") => {
                        said.replace("secret-of-the-environment-Q7", "")
                    }
                    _ => said.replace("literal-secret-Q7", ""),
                };
                (status, "retry-after: 0\r\n", format!(r#"{{"error": "{said}", "description": "{said}"}}"#))
            };
            let (place, server) = (Place::new(), Answering::start(quote));
            let path = scenario(&place, &server.target(&auth));
            let output = command(&["run", &path, "--out", &place.results()]).output().unwrap();
            assert_eq!(output.status.code(), Some(3), "{output:?}");
            assert_nothing_is_shown(&output);
        }
    }
}

#[test]
fn no_output_of_a_run_that_is_stopped_shows_a_secret() {
    for signals in [1, 2] {
        let (place, server) = (Place::new(), Answering::start(quoting));
        let path = scenario(&place, &server.target(&credentials()[0]));
        let arguments = ["run", &path, "-d", "1m", "--out", &place.results()];
        let run = command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        thread::sleep(Duration::from_millis(2_500));
        for _ in 0..signals {
            let id = run.id().to_string();
            assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
            thread::sleep(Duration::from_millis(10));
        }
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(105), "{output:?}");
        assert_nothing_is_shown(&output);
        assert!(assert_no_file_shows_any(Path::new(&place.results())) >= 6);
    }
}

#[test]
fn the_truth_of_the_embedded_simulator_shows_no_secret() {
    let place = Place::new();
    let target = "[target]\nsimulator = \"documented\"\n[target.auth]\nkind = \"bearer\"\n\
                  tokens = [\"${TOKEN}\", \"literal-token-Q7\"]";
    let path = scenario(&place, target);
    let output = command(&["run", &path, "--truth", "--accept-invalid", "--out", &place.results()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_nothing_is_shown(&output);
    assert!(assert_no_file_shows_any(Path::new(&place.results())) >= 7);
    assert!(fs::metadata(place.run().join("truth.jsonl")).unwrap().len() > 0);
}

#[test]
fn no_message_about_a_mistake_shows_a_secret() {
    let address = "base_url = \"http://127.0.0.1:9\"";
    for target in [
        "base_url = \"http://me:literal-password-Q7@127.0.0.1:9\"".to_owned(),
        "base_url = \"http://me:literal-password-Q7@127.0.0.1:99999\"".to_owned(),
        "base_url = \"${CLIENT_SECRET}\"".to_owned(),
        "base_url = \"http://127.0.0.1:9?key=${API_KEY}\"".to_owned(),
        "region = \"${TOKEN}\"".to_owned(),
        format!("{address}\nproxy = \"http://me:literal-password-Q7@127.0.0.1:1\"\nno_such_key = \"${{API_KEY}}\""),
        format!("{address}\npermission = 7\nauth = \"literal-secret-Q7\""),
        format!("{address}\n[target.auth]\nkind = \"literal-secret-Q7\""),
        format!("{address}\n[target.auth]\nkind = \"${{CLIENT_SECRET}}\""),
        format!("{address}\n[target.auth]\nkind = \"bearer\"\ntokens = \"literal-token-Q7\""),
        format!(
            "{address}\n[target.auth]\nkind = \"bearer\"\ntokens = [\"Bearer literal-token-Q7\", \"a ${{TOKEN}}\"]"
        ),
        format!(
            "{address}\n[target.auth]\nkind = \"bearer\"\ntokens = [[\"literal-token-Q7\"]]\nclient_secret = \"${{TOKEN}}\""
        ),
        format!(
            "{address}\n[target.auth]\nkind = \"client-credentials\"\nclient_id = \"${{CLIENT_ID}}\"\n\
             client_secret = \"${{CLIENT_SECRET}}\"\nlogin_url = \"http://me:literal-password-Q7@127.0.0.1/\"\n\
             tokens = \"${{TOKEN}}\"\nweights = [\"literal-secret-Q7\"]"
        ),
        format!(
            "{address}\n[target.auth]\nkind = \"client-credentials\"\nclients = [\"literal-secret-Q7\", {{ id = \"a\", \
             password = \"literal-password-Q7\" }}]\nlogin_url = \"literal-secret-Q7\""
        ),
        format!("{address}\ntimeout = \"${{CLIENT_SECRET}}\"\ngive_up = \"${{TOKEN}}\""),
        format!("{address}\n[target.auth]\nkind = \"bearer\"\ntokens = [\"literal-token-Q7]"),
        format!("{address}\n[target.auth]\nclient_secret = literal-secret-Q7"),
        format!(
            "{address}\n[target.auth]\nclient_secret = \"literal-secret-Q7\"\nclient_secret = \"literal-secret-Q7\""
        ),
    ] {
        let place = Place::new();
        let path = scenario(&place, &format!("[target]\n{target}\n"));
        for name in ["check", "run"] {
            let output = command(&[name, &path]).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{target}: {output:?}");
            assert_nothing_is_shown(&output);
        }
    }
}

#[test]
fn a_header_or_a_template_that_is_wrong_does_not_show_what_came_from_the_environment() {
    for (wrong, right) in [
        ("X-Api-Key = \"${API_KEY}\"", "X-Api-Key = \"${API_KEY}{{ nobody }}\""),
        ("X-Api-Key = \"${API_KEY}\"", "X-Api-Key = \"{{ ${API_KEY} }}\""),
        ("X-Api-Key = \"${API_KEY}\"", "X-Api-Key = \"literal-header-Q7\\n\""),
        ("X-Api-Key = \"${API_KEY}\"", "Authorization = \"Bearer literal-token-Q7\""),
        ("\"key\": \"${API_KEY}\"", "\"key\": ${API_KEY}"),
        ("think_time = \"20ms\"", "think_time = \"${API_KEY}\"\nmodel = \"${API_KEY}\""),
        ("name = \"secrets\"", "name = \"${API_KEY}\""),
        ("name = \"environment\"", "name = \"${API_KEY}\""),
    ] {
        let place = Place::new();
        let path = scenario(&place, "[target]\nbase_url = \"http://127.0.0.1:9\"");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(wrong), "{wrong}");
        fs::write(&path, text.replace(wrong, right)).unwrap();
        let output = command(&["check", &path]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{right}: {output:?}");
        assert_nothing_is_shown(&output);
    }
}
