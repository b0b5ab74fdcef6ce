//! What is wrong with a scenario, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// One thing that is wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file: the scenario, one of its data files, or `command line`.
    pub path: PathBuf,
    /// The line, counted from 1; 0 where there is none, as on the command line.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong, and what to do about it. It quotes no secret and nothing that came from the environment.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.line {
            0 => write!(f, "{path}: {}", self.text),
            line => write!(f, "{path}:{line}:{}: {}", self.column, self.text),
        }
    }
}

/// Why a scenario could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file itself could not be read.
    #[error("{}: cannot be read ({}); name a file that exists", path.display(), source.kind())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// All that is wrong, in the order of the file; at least one.
    #[error("{}", lines(.0))]
    Mistakes(Vec<Mistake>),
}

/// One mistake per line.
fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n")
}
