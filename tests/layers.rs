//! The layer table of the sources: a module imports only what its row names.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking, and its counts are small"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each module with what it may import. The order is that of the layers; a row names rows above it only.
const TABLE: [(&str, &[&str]); 15] = [
    ("units", &[]),
    ("measure", &["units"]),
    ("stats", &["units"]),
    ("pace", &["units"]),
    ("quota", &["units"]),
    ("judge", &["units", "measure", "stats"]),
    ("consistency", &["units", "measure", "stats"]),
    ("scenario", &["units", "measure", "pace", "quota", "judge"]),
    ("http", &["units", "measure", "scenario"]),
    ("sim", &["units", "quota", "scenario"]),
    ("engine", &["units", "measure", "stats", "pace", "quota", "judge", "consistency", "scenario", "http"]),
    ("results", &["units", "measure", "stats", "judge", "consistency", "scenario"]),
    ("profile", &["units", "stats", "quota"]),
    (
        "report",
        &["units", "measure", "stats", "pace", "quota", "judge", "consistency", "scenario", "results", "profile"],
    ),
    (
        "cli",
        &[
            "units",
            "measure",
            "stats",
            "pace",
            "quota",
            "judge",
            "consistency",
            "scenario",
            "http",
            "sim",
            "engine",
            "results",
            "profile",
            "report",
        ],
    ),
];

/// Parts of a pure module that do I/O, with what they may import beside what their module may: all sources whose path
/// begins so.
const EDGES: [(&str, &str, &[&str]); 1] = [("profile", "profile/wire", &["measure", "scenario", "http", "engine"])];

/// The edge that a file belongs to, as what it may import; `None` for all others.
fn edge(module: &str, file: &Path) -> Option<&'static [&'static str]> {
    let file = file.to_str().unwrap();
    EDGES.iter().find(|(of, path, _)| *of == module && file.starts_with(path)).map(|(.., allowed)| *allowed)
}

/// Modules that do no I/O and read no clock.
const PURE: [&str; 9] = ["units", "measure", "stats", "pace", "quota", "judge", "consistency", "profile", "report"];

/// Modules in which the system's clock may be read.
const CLOCKS: [&str; 3] = ["engine", "http", "sim"];

/// Every source file with its top-level module and its code, without comments.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let inside = entry.strip_prefix(&root).unwrap();
                let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
                let module = first.trim_end_matches(".rs").to_owned();
                let text = fs::read_to_string(&entry).unwrap();
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>();
                found.push((module, inside.to_owned(), code.join("\n")));
            }
        }
    }
    found.retain(|(module, ..)| module != "lib" && module != "main");
    found
}

/// The top-level modules that code names: `crate::name`, and every name of `crate::{name, other::…}`.
fn imports(code: &str) -> BTreeSet<String> {
    let names = |text: &str| text.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().map(str::to_owned);
    let mut found = BTreeSet::new();
    for part in code.split("crate::").skip(1) {
        let Some(group) = part.strip_prefix('{') else {
            found.extend(names(part));
            continue;
        };
        let (mut depth, mut start, mut items) = (0, 0, Vec::new());
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    items.push(&group[start..i]);
                    start = i + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
        found.extend(items.into_iter().filter_map(|item| names(item.trim())).filter(|name| !name.is_empty()));
    }
    found
}

#[test]
fn every_import_points_down_the_table() {
    let table: BTreeMap<_, _> = TABLE.into_iter().collect();
    let mut wrong = Vec::new();
    for (module, file, code) in sources() {
        let Some(allowed) = table.get(module.as_str()) else {
            panic!("{} belongs to no row of the table", file.display());
        };
        for import in imports(&code).iter().filter(|import| **import != module) {
            let further = edge(&module, &file).unwrap_or_default();
            if !allowed.contains(&import.as_str()) && !further.contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_row_names_rows_above_it_only() {
    for (i, (module, allowed)) in TABLE.iter().enumerate() {
        let further = EDGES.iter().filter(|(of, ..)| of == module).flat_map(|(.., allowed)| *allowed);
        for import in allowed.iter().chain(further) {
            assert!(TABLE[..i].iter().any(|(above, _)| above == import), "{module} may import {import}");
        }
    }
}

#[test]
fn pure_modules_do_no_io_and_only_the_edge_reads_a_clock() {
    let mut wrong = Vec::new();
    for (module, file, code) in sources() {
        let io = ["std::fs", "std::net", "tokio::", "std::env", "SystemTime::now"];
        if PURE.contains(&module.as_str()) && edge(&module, &file).is_none() {
            wrong.extend(io.iter().filter(|io| code.contains(**io)).map(|io| format!("{}: {io}", file.display())));
        }
        if !CLOCKS.contains(&module.as_str()) && code.contains("Instant::now") {
            wrong.push(format!("{}: Instant::now", file.display()));
        }
        if module != "cli" && ["println!", "eprintln!", "print!("].iter().any(|print| code.contains(print)) {
            wrong.push(format!("{} prints", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_import_is_found_in_each_way_of_writing_it() {
    let code =
        "use crate::units::{Rate, format};\nuse crate::{http, engine::{run, Job}, stats};\nlet x = crate::pace::y();";
    let expected = ["engine", "http", "pace", "stats", "units"].map(str::to_owned);
    assert_eq!(imports(code), expected.into_iter().collect());
}
