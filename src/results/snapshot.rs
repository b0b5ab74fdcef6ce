//! `snapshot.jsonl`: what the attributes were before a run, and `snapshot` of `run.json`: what became of them.
//!
//! The first line of the file says where they were read, each other one holds the attributes of a row.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::document::{self, Said};
use super::{Error, RUN, SNAPSHOT, folder, read};
use crate::measure::{Kept, Restoration, SCHEMA};

/// Where attributes were read, and so where they belong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of the run folder's formats.
    pub schema: u32,
    /// The scenario's file, which says how to get in and how to put back.
    pub scenario: PathBuf,
    /// The target; `None` for an embedded simulator, which is gone with its run.
    pub target: Option<String>,
}

/// Writes the whole file.
pub(super) fn write(origin: &Origin, kept: &[Kept], out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, origin)?;
    writeln!(out)?;
    for row in kept {
        serde_json::to_writer(&mut *out, row)?;
        writeln!(out)?;
    }
    Ok(())
}

/// What the attributes were before the run of a folder.
///
/// # Errors
/// When there is no snapshot, it is of a newer schema or damaged, or its run has not ended.
pub fn read_snapshot(dir: &Path) -> Result<(Origin, Vec<Kept>), Error> {
    let path = dir.join(SNAPSHOT);
    let text = fs::read_to_string(&path).map_err(|reason| match reason.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::NoSnapshot { path: dir.to_owned() },
        _ => Error::Read { path: path.clone(), reason },
    })?;
    drop(read::lock(dir)?);
    let mut lines = text.lines();
    let origin: Origin = document::parse(&path, lines.next().unwrap_or_default().as_bytes())?;
    let row = |(number, line): (usize, &str)| {
        let line_number = u64::try_from(number).ok().map(|number| number + 2);
        serde_json::from_str(line).map_err(|error| Error::damaged(&path, line_number, error.to_string()))
    };
    Ok((origin, lines.enumerate().map(row).collect::<Result<_, _>>()?))
}

/// What became of the attributes after the run of a folder; `None` where nothing was to be put back, or nobody tried.
///
/// # Errors
/// When `run.json` cannot be read.
pub fn restoration(dir: &Path) -> Result<Option<Restoration>, Error> {
    let path = dir.join(RUN);
    let bytes = fs::read(&path).map_err(Error::read(&path))?;
    document::restoration(&path, &bytes)
}

/// Writes into `run.json` what became of the attributes, also among its warnings, and changes nothing else in it.
///
/// # Errors
/// When the folder is no run folder, is damaged, or cannot be written, or its run has not ended.
pub fn note_restoration(dir: &Path, restoration: &Restoration) -> Result<(), Error> {
    let _lock = read::lock(dir)?;
    let path = dir.join(RUN);
    let bytes = fs::read(&path).map_err(Error::read(&path))?;
    let (mut run, judgement) = document::read(&path, &bytes)?;
    run.warnings.retain(|warning| !warning.is_of_restoration());
    run.warnings.extend(restoration.warning());
    let said = Said {
        header: &run.header,
        state: run.state,
        warnings: &run.warnings,
        judgement: judgement.as_ref(),
        restoration: Some(restoration),
    };
    folder::replace(dir, RUN, &document::write(said, &run.totals))
}

impl Origin {
    /// Where a snapshot that is taken now comes from.
    #[must_use]
    pub fn new(scenario: PathBuf, target: Option<String>) -> Self {
        Self { schema: SCHEMA, scenario, target }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_snapshot_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let origin = Origin::new("a.toml".into(), Some("http://127.0.0.1:1".to_owned()));
        let row = |row, attributes| Kept { row, path: "/c".to_owned(), query: "$.a".to_owned(), attributes };
        let kept = [row(1, json!({"a": "\n", "b": 0.1})), row(2, json!(null))];
        let mut bytes = Vec::new();
        write(&origin, &kept, &mut bytes).unwrap();
        fs::write(folder.path().join(SNAPSHOT), &bytes).unwrap();
        assert_eq!(read_snapshot(folder.path()).unwrap(), (origin, kept.to_vec()));
        fs::write(folder.path().join(SNAPSHOT), &bytes[..bytes.len() - 5]).unwrap();
        let error = read_snapshot(folder.path()).unwrap_err().to_string();
        assert!(error.contains("snapshot.jsonl:3"), "{error}");
    }

    #[test]
    fn a_folder_without_a_snapshot_says_so() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read_snapshot(folder.path()), Err(Error::NoSnapshot { .. })));
    }
}
