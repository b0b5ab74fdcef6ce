//! Broken scenarios and simulators, and what is said about them: `tests/broken/NAME.toml` and the exact messages in `NAME.txt`.
//!
//! `UPDATE_GOLDEN=1 cargo test --test broken` rewrites the messages; review them as code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use patchload::scenario::{File, Overrides, Scenario};

/// The environment of all broken scenarios. Its values appear in no message.
fn environment(name: &str) -> Option<String> {
    (name == "LONG_TEXT").then(|| "hidden-value".to_owned())
}

fn broken(extension: &str) -> BTreeSet<PathBuf> {
    // Relative, so that messages name the same path on every machine.
    let entries = fs::read_dir("tests/broken").expect("the folder is part of the repository");
    entries
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect()
}

fn messages(path: &Path) -> String {
    match File::load(path, &environment, &Overrides::default()) {
        Ok(_) => panic!("{} was loaded", path.display()),
        Err(error) => format!("{error}\n"),
    }
}

#[test]
fn every_broken_scenario_is_refused_with_exactly_these_messages() {
    let scenarios = broken("toml");
    assert!(scenarios.len() >= 18);
    let mut different = Vec::new();
    for path in scenarios {
        let (found, golden) = (messages(&path), path.with_extension("txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &found).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != found {
            different.push(format!("{}:\n{found}", golden.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn every_golden_file_has_its_scenario() {
    for golden in broken("txt") {
        assert!(golden.with_extension("toml").exists(), "{}", golden.display());
    }
}

#[test]
fn no_message_shows_a_secret_or_a_value_of_the_environment() {
    for path in broken("toml") {
        let messages = messages(&path);
        for hidden in ["not-to-be-shown", "not to be shown", "hidden-value"] {
            assert!(!messages.contains(hidden), "{}: {messages}", path.display());
        }
    }
}

#[test]
fn a_file_that_does_not_exist_is_named() {
    let error = Scenario::load(Path::new("tests/broken/none"), &environment, &Overrides::default()).unwrap_err();
    assert_eq!(error.to_string(), "tests/broken/none: cannot be read (entity not found); name a file that exists");
}
