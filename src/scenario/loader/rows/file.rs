//! A data file while it is read: once, from front to end, so that nothing but its cells is held.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::super::open_named;
use super::super::tree::Field;
use super::{comma, lines};
use crate::scenario::template::is_taken;
use crate::scenario::{Mistake, Rows};

/// Mistakes of one data file that are told one by one.
const MOST_MISTAKES: usize = 10;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// Extensions of files with a JSON object in each line; all others hold comma-separated values.
const JSON_LINES: [&str; 2] = ["jsonl", "ndjson"];

/// A data file while it is read.
pub(super) struct DataFile<'a> {
    field: &'a Field<'a>,
    /// The path to read from.
    path: PathBuf,
    /// The path to show: the other one may have come from the environment.
    shown: PathBuf,
    /// Bytes of it; 0 where that is not known.
    pub(super) length: u64,
    mistakes: usize,
}

/// The rows of a file beside the scenario.
pub(super) fn read(field: &Field<'_>) -> Option<Rows> {
    let text = field.text()?;
    let directory = field.document.path.parent().unwrap_or(Path::new(""));
    let path = directory.join(&text.value);
    let (reader, length) = match open_named(&path) {
        Ok((opened, length)) => (BufReader::with_capacity(BUFFER, opened), length),
        Err(reason) => {
            let shown = &text.shown;
            field.mistake(format_args!(
                "is `{shown}`, which cannot be read ({reason}); write a path relative to the scenario"
            ));
            return None;
        }
    };
    if length > Rows::LONGEST {
        field.mistake(format_args!("is `{}`, which is longer than 4 GiB; use a part of it", text.shown));
        return None;
    }
    let is_json = path.extension().is_some_and(|found| JSON_LINES.iter().any(|json| found.eq_ignore_ascii_case(json)));
    let mut file = DataFile { field, path, shown: directory.join(&text.shown), length, mistakes: 0 };
    let rows = if is_json { lines::read(reader, &mut file) } else { comma::read(reader, &mut file) };
    if file.mistakes > MOST_MISTAKES {
        let (shown, mistakes) = (&text.shown, file.mistakes);
        field
            .mistake(format_args!("is `{shown}`, which has {mistakes} mistakes; the first {MOST_MISTAKES} are listed"));
    } else if file.mistakes == 0 && rows.is_empty() {
        let missing = if is_json { "no object" } else { "no rows below its header" };
        field.mistake(format_args!("is `{}`, which has {missing}; add at least one", text.shown));
        return None;
    }
    (file.mistakes == 0).then_some(rows)
}

impl DataFile<'_> {
    /// Notes a mistake in a line; after the first ones they are counted only.
    pub(super) fn mistake(&mut self, (line, column): (usize, usize), text: String) {
        self.mistakes += 1;
        if self.mistakes <= MOST_MISTAKES {
            self.field.document.note(Mistake { path: self.shown.clone(), line, column, text });
        }
    }

    /// Notes that the file ended before its end.
    pub(super) fn broke_off(&mut self, error: &io::Error) {
        let reason = error.kind();
        self.mistake((0, 0), format!("cannot be read to its end ({reason}); try again, or copy it"));
    }

    /// Another look at the file from a byte on; `None` where it has no places, or too many mistakes to name them all.
    pub(super) fn look(&self, byte: u64) -> Option<impl io::BufRead> {
        use io::Seek as _;
        if self.length == 0 || self.mistakes > MOST_MISTAKES {
            return None;
        }
        let mut file = fs::File::open(&self.path).ok()?;
        file.seek(io::SeekFrom::Start(byte)).ok()?;
        Some(BufReader::new(file))
    }

    /// Notes what is wrong with the names of the columns; `word` is what the file calls a column.
    pub(super) fn check_names(&mut self, line: usize, word: &str, names: &[String]) {
        let mut seen = BTreeSet::new();
        for (name, number) in names.iter().zip(1..) {
            if name.is_empty() {
                self.mistake((line, 1), format!("{word} {number} has no name; name it"));
            } else if is_taken(name) {
                self.mistake(
                    (line, 1),
                    format!("{word} `{name}` bears a name that templates use themselves; rename it"),
                );
            } else if !seen.insert(name) {
                self.mistake((line, 1), format!("{word} `{name}` is there twice; rename one of them"));
            }
        }
    }
}
