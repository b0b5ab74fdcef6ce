//! What can go wrong with a run folder.

use std::io;
use std::path::{Path, PathBuf};

/// Why a run folder could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No folder could be made for the run.
    #[error("cannot create the run folder {}: {reason}; {}", .path.display(), remedy(.reason))]
    Create {
        /// The folder that was to be made.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A file of the run could not be written.
    #[error("cannot write {}: {reason}; {}", .path.display(), remedy(.reason))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A file of the run could not be read.
    #[error("cannot read {}: {reason}; check that it exists and that you may read it", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// There is no `run.json` in the folder.
    #[error("{} is no run folder, because it holds no run.json; name a folder that a run has made", .path.display())]
    NotARunFolder {
        /// The folder.
        path: PathBuf,
    },
    /// There is no snapshot in the folder.
    #[error(
        "{} holds no snapshot.jsonl, so there is nothing to put back; a run with [snapshot] in its scenario makes one",
        .path.display()
    )]
    NoSnapshot {
        /// The folder.
        path: PathBuf,
    },
    /// The run is of a later version of this program.
    #[error(
        "{}: the run has schema {found}, and this version reads schemas up to {newest}; use a newer patchload",
        .path.display()
    )]
    NewerSchema {
        /// The file that names the schema.
        path: PathBuf,
        /// The schema of the run.
        found: u32,
        /// The newest schema that can be read.
        newest: u32,
    },
    /// A file does not hold what was written to it.
    #[error(
        "{}{}: {problem}; the file was changed or cut after it was written: take it from a copy, or run again",
        .path.display(), at_line(*.line)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1; `None` when no line alone is to blame.
        line: Option<u64>,
        /// What is wrong.
        problem: String,
    },
    /// The run that writes the folder has not ended.
    #[error("{} is still being written by its run; wait for the end of the run, or stop it first", .path.display())]
    StillRunning {
        /// The folder.
        path: PathBuf,
    },
}

impl Error {
    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |reason| Self::Write { path: path.to_owned(), reason }
    }

    /// Whether it was not written because this process or the machine has too many files open.
    pub(super) fn is_for_want_of_descriptors(&self) -> bool {
        matches!(self, Self::Write { reason, .. } if lacks_descriptors(reason))
    }

    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |reason| Self::Read { path: path.to_owned(), reason }
    }

    pub(super) fn damaged(path: &Path, line: impl Into<Option<u64>>, problem: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), line: line.into(), problem: problem.into() }
    }
}

/// What to do about a failed write.
fn remedy(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the disk, or choose another folder",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "choose a folder that you may write to",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a part of the path is a file; choose another folder"
        }
        io::ErrorKind::NotFound => "choose a folder that can be there, and leave it in place while the run goes on",
        _ if lacks_descriptors(reason) => "raise `ulimit -n`, or use shared connections",
        _ => "check the disk and the path, or choose another folder",
    }
}

/// EMFILE and ENFILE have no kind of their own.
fn lacks_descriptors(reason: &io::Error) -> bool {
    matches!(reason.raw_os_error(), Some(23 | 24))
}

fn at_line(line: Option<u64>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}
