//! How long does a table of a million rows take to load, and how much memory?
//!
//! `cargo bench --bench data` writes each table beside the scenario that takes it, in a temporary folder, and loads it in a
//! process of its own, whose peak of memory (`VmHWM`) is printed against the file's size.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use patchload::scenario::{Overrides, Scenario};

const ROWS: u32 = 1_000_000;

/// The tables: file, columns, and the `ref` in the body. The loader tries a filter on each different cell: a role is one of
/// a few, and an identifier is another one in each row.
const TABLES: [(&str, &[&str], &str); 5] = [
    ("participants.csv", PARTICIPANTS, "{{ participant_id }}"),
    ("participants.csv", PARTICIPANTS, "{{ role | upper }}"),
    ("participants.csv", PARTICIPANTS, "{{ participant_id | upper }}"),
    ("ids.csv", &["a", "b", "c", "d", "e", "f", "g", "h"], "{{ b }}"),
    ("ids.jsonl", &["a", "b"], "{{ b }}"),
];

const PARTICIPANTS: &[&str] = &["conversation_id", "participant_id", "role", "type"];

#[expect(clippy::print_stdout, reason = "a bench prints what it measures")]
fn main() -> io::Result<()> {
    if let Some(scenario) = env::args().skip_while(|argument| argument != "--load").nth(1) {
        return load(Path::new(&scenario));
    }
    let folder = tempfile::tempdir()?;
    for (file, columns, reference) in TABLES {
        let path = folder.path().join(file);
        write_table(&path, columns)?;
        let scenario = folder.path().join("scenario.toml");
        fs::write(&scenario, scenario_of(file, columns, reference))?;
        let megabytes = fs::metadata(&path)?.len() / 1_000_000;
        println!("{file}: {ROWS} rows, {} columns, {megabytes} MB, {reference}", columns.len());
        for _ in 0..3 {
            let status = Command::new(env::current_exe()?).arg("--load").arg(&scenario).status()?;
            assert!(status.success(), "a table that was written is loaded");
        }
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Loads a scenario and prints what that took.
#[expect(clippy::print_stdout, reason = "a bench prints what it measures")]
fn load(path: &Path) -> io::Result<()> {
    let start = Instant::now();
    let scenario = Scenario::load(path, &|_| None, &Overrides::default()).map_err(io::Error::other)?;
    let took = start.elapsed();
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default().trim();
    println!("  {} rows loaded in {took:.2?}, peak {peak}", scenario.data[0].rows.len());
    Ok(())
}

/// A scenario with a path, a header and a body of columns, all of which the loader tries.
fn scenario_of(file: &str, columns: &[&str], reference: &str) -> String {
    let (first, second) = (columns[0], columns[1]);
    format!(
        r#"
        name = "data"
        [target]
        simulator = "documented"
        [data.rows]
        file = "{file}"
        pick = "unique"
        [[variant]]
        name = "attributes"
        path = "/{{{{ {first} }}}}/{{{{ {second} }}}}"
        body = '{{"ref": "{reference}"}}'
        expect = [202]
        [load]
        stages = [{{ for = "1s", users = 1 }}]
        "#
    )
}

/// Writes rows of cells as long as UUIDs; the last two columns of four are short.
fn write_table(path: &Path, columns: &[&str]) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let is_json = path.extension().is_some_and(|extension| extension == "jsonl");
    if !is_json {
        writeln!(out, "{}", columns.join(","))?;
    }
    for row in 0..ROWS {
        for (i, column) in columns.iter().enumerate() {
            let separator = if i > 0 { "," } else { "" };
            let cell = match (columns.len(), i) {
                (4, 2) => "customer".to_owned(),
                (4, 3) => "contact".to_owned(),
                _ => format!("{:08x}-0000-4000-8000-{i:012x}", row.wrapping_mul(0x9e37_79b1)),
            };
            if is_json {
                let brace = if i > 0 { "" } else { "{" };
                write!(out, "{brace}{separator}\"{column}\":\"{cell}\"")?;
            } else {
                write!(out, "{separator}{cell}")?;
            }
        }
        writeln!(out, "{}", if is_json { "}" } else { "" })?;
    }
    out.flush()
}
