//! What was not accepted, by variant, outcome, status and code, with one sample each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Outcome, Sample};

/// How many distinct failures are kept apart; later ones are counted under the code [`OTHER`].
pub const MAX_FAILURES: usize = 1_000;

/// The code of failures that found no place of their own.
pub const OTHER: &str = "other";

/// What tells one failure from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailureKey {
    /// Index of the variant in the scenario.
    pub variant: usize,
    /// The outcome; never accepted.
    pub outcome: Outcome,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// The error code; empty where the server gave none.
    pub code: String,
}

/// How often a failure was seen, when, and what one of them said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Attempts that ended so.
    pub count: u64,
    /// The second of the run in which it was first seen.
    pub first_s: u64,
    /// The second of the run in which it was last seen.
    pub last_s: u64,
    /// Correlation id of the first one that had any.
    pub correlation_id: Option<String>,
    /// Message of the first one that had any.
    pub message: Option<String>,
}

/// The failures of an interval or of a run: at most [`MAX_FAILURES`] keys and one [`OTHER`] per variant and outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    rows: BTreeMap<FailureKey, Failure>,
}

impl Failures {
    /// Counts an attempt that was not accepted.
    pub fn record(&mut self, sample: &Sample) {
        let answer = &sample.answer;
        let key = FailureKey {
            variant: sample.variant,
            outcome: answer.outcome,
            status: answer.status,
            code: answer.code.clone(),
        };
        let second = sample.done.as_secs();
        self.count(
            key,
            Failure {
                count: 1,
                first_s: second,
                last_s: second,
                correlation_id: answer.correlation_id.clone(),
                message: answer.message.clone(),
            },
        );
    }

    /// Adds all rows of `other`.
    pub fn add(&mut self, other: &Self) {
        for (key, failure) in &other.rows {
            self.count(key.clone(), failure.clone());
        }
    }

    /// Adds `failure` to the row of `key`, or to [`OTHER`] when there is no room for a new row.
    pub fn count(&mut self, key: FailureKey, failure: Failure) {
        let full = self.rows.len() >= MAX_FAILURES && !self.rows.contains_key(&key);
        let key = if full { FailureKey { status: None, code: OTHER.to_owned(), ..key } } else { key };
        self.rows
            .entry(key)
            .and_modify(|row| {
                row.count += failure.count;
                row.first_s = row.first_s.min(failure.first_s);
                row.last_s = row.last_s.max(failure.last_s);
                row.correlation_id = row.correlation_id.take().or_else(|| failure.correlation_id.clone());
                row.message = row.message.take().or_else(|| failure.message.clone());
            })
            .or_insert(failure);
    }

    /// All rows, by variant, outcome, status and code.
    pub fn iter(&self) -> impl Iterator<Item = (&FailureKey, &Failure)> {
        self.rows.iter()
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.rows.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(second: u64) -> Failure {
        Failure { count: 1, first_s: second, last_s: second, correlation_id: None, message: None }
    }

    fn key(code: &str) -> FailureKey {
        FailureKey { variant: 0, outcome: Outcome::Rejected, status: Some(400), code: code.to_owned() }
    }

    #[test]
    fn the_number_of_rows_is_bounded_and_no_count_is_lost() {
        let mut failures = Failures::default();
        for i in 0..MAX_FAILURES as u64 + 500 {
            failures.count(key(&format!("code-{i}")), failure(i));
        }
        assert_eq!(failures.iter().count(), MAX_FAILURES + 1);
        assert_eq!(failures.iter().map(|(_, row)| row.count).sum::<u64>(), MAX_FAILURES as u64 + 500);
        let other = failures.iter().find(|(key, _)| key.code == OTHER).unwrap().1;
        assert_eq!((other.count, other.first_s, other.last_s), (500, 1_000, 1_499));
    }
}
