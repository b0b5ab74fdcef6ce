//! Starts the command as a user would, in a folder of the test's own.

#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    reason = "a module of several tests, each of which uses a part of it"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_patchload");

/// The program with these arguments.
pub fn patchload(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command
}

/// What a process wrote.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The last line on stderr.
pub fn last_line(output: &Output) -> String {
    text(&output.stderr).lines().last().unwrap_or_default().to_owned()
}

/// A JSON file.
pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A variant that gives an attribute the operation's `unique`, on all participants of the simulator, and how it is read. Each
/// request says which operation it is of.
pub fn writing(key: &str, pick: &str) -> String {
    format!(
        r#"
        [target.auth]
        kind = "client-credentials"
        [data.participants]
        from = "simulator"
        pick = "{pick}"
        [[variant]]
        name = "attributes"
        path = "/api/v2/conversations/{{{{ conversation_id }}}}/participants/{{{{ participant_id }}}}/attributes"
        headers = {{ "X-Request-Id" = "{{{{ unique }}}}" }}
        body = '{{"attributes": {{"{key}": "{{{{ unique }}}}"}}}}'
        expect = [202]
        [read]
        path = "/api/v2/conversations/{{{{ conversation_id }}}}"
        attributes = "$.participants[?@.id=='{{{{ participant_id }}}}'].attributes"
        "#
    )
}

/// A folder of its own for a test: its scenarios and its results.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a scenario with this target and schedule, and whatever else follows.
    pub fn scenario(&self, target: &str, load: &str) -> String {
        let text = format!(
            r#"
            name = "test"
            {target}
            [[variant]]
            name = "attributes"
            path = "/api/v2/conversations/c/participants/p/attributes"
            body = '{{"attributes": {{"ref": "{{{{ unique }}}}"}}}}'
            expect = [202, 404]
            {load}
            "#
        );
        self.write("scenario.toml", &text)
    }

    /// Writes any other file.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Where run folders go.
    pub fn results(&self) -> String {
        self.0.path().join("results").to_str().unwrap().to_owned()
    }

    /// The only run folder, or the only folder of a set.
    pub fn run(&self) -> PathBuf {
        let runs: Vec<_> = fs::read_dir(self.results()).unwrap().map(|run| run.unwrap().path()).collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }
}
