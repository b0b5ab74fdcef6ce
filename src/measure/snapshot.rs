//! What attributes were before a run, and what became of them after it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Warning;

/// The attributes that a data row named before the run: a line of `snapshot.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The data row, counted from 1; the first of those that name the same attributes.
    pub row: u64,
    /// The path that was read, with nothing in it that came from the environment.
    pub path: String,
    /// Where in the answer the attributes were.
    pub query: String,
    /// The attributes.
    pub attributes: Value,
}

/// What became of the attributes after a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoration {
    /// Rows that were read before the run.
    pub rows: u64,
    /// Rows that the run had changed and that are as before again.
    pub restored: u64,
    /// Rows that the run had not changed, or had left as they were.
    pub as_before: u64,
    /// Rows that are not as before, or of which nobody knows.
    pub not_restored: u64,
    /// The first of them, at most [`Restoration::MOST_NAMED`].
    pub failures: Vec<NotRestored>,
    /// Requests that it took.
    pub requests: u64,
    /// Whether somebody left before the end. Folders of before that was told say nothing.
    #[serde(default)]
    pub end: RestoreEnd,
}

/// How putting back ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RestoreEnd {
    /// Each row was looked at as often as it takes.
    #[default]
    Complete,
    /// A signal ended it before that.
    Left,
}

/// A row whose attributes could not be put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotRestored {
    /// The data row, counted from 1.
    pub row: u64,
    /// The path that was read.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl Restoration {
    /// So many rows that could not be restored are named.
    pub const MOST_NAMED: usize = 100;

    /// What to warn of where attributes are not as they were, or nobody knows.
    #[must_use]
    pub fn warning(&self) -> Option<Warning> {
        let rows = self.not_restored;
        if self.end == RestoreEnd::Left {
            return Some(Warning::RestoreLeft { rows, of: self.rows });
        }
        let first = self.failures.first()?;
        let first = format!("row {} ({}): {}", first.row, first.path, first.reason);
        Some(Warning::NotRestored { rows, first })
    }

    /// Counts a row that could not be restored, and names it where there is room.
    pub fn fail(&mut self, kept: &Kept, reason: String) {
        self.not_restored += 1;
        if self.failures.len() < Self::MOST_NAMED {
            self.failures.push(NotRestored { row: kept.row, path: kept.path.clone(), reason });
        }
    }
}
