//! What was not accepted, by variant, outcome, status and code, with one sample each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Outcome, Sample};

/// How many distinct failures are kept apart; later ones are counted under the code [`OTHER`].
pub const MAX_FAILURES: usize = 1_000;

/// How many correlation ids of each failure are kept: the first ones.
pub const MAX_CORRELATION_IDS: usize = 5;

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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Attempts that ended so.
    pub count: u64,
    /// The second of the run in which it was first seen.
    pub first_s: u64,
    /// The second of the run in which it was last seen.
    pub last_s: u64,
    /// Correlation ids of the first ones that had any, at most [`MAX_CORRELATION_IDS`].
    #[serde(default)]
    pub correlation_ids: Vec<String>,
    /// Message of the first one that had any.
    pub message: Option<String>,
    /// The field of the request that the first one complained about that named any.
    #[serde(default)]
    pub field: Option<String>,
    /// The limit of the first one that named any.
    #[serde(default)]
    pub limit: Option<String>,
}

impl Failure {
    /// What one of them said, with the field or the limit that it said it of in front; empty where none said anything.
    #[must_use]
    pub fn example(&self) -> String {
        let limit = self.limit.as_ref().map(|limit| format!("limit {limit}"));
        [self.field.clone(), limit, self.message.clone()].into_iter().flatten().collect::<Vec<_>>().join(": ")
    }
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
                correlation_ids: answer.correlation_id.iter().cloned().collect(),
                message: answer.message.clone(),
                field: answer.field.clone(),
                limit: answer.limit.clone(),
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
                let room = MAX_CORRELATION_IDS.saturating_sub(row.correlation_ids.len());
                row.correlation_ids.extend(failure.correlation_ids.iter().take(room).cloned());
                let first = |known: &mut Option<String>, other: &Option<String>| {
                    if known.is_none() {
                        known.clone_from(other);
                    }
                };
                first(&mut row.message, &failure.message);
                first(&mut row.field, &failure.field);
                first(&mut row.limit, &failure.limit);
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
        Failure { count: 1, first_s: second, last_s: second, ..Failure::default() }
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

    #[test]
    fn a_row_keeps_the_first_correlation_ids_and_the_first_field_that_any_names() {
        let mut failures = Failures::default();
        for i in 0..9 {
            let field = (i > 1).then(|| format!("field-{i}"));
            failures.count(key("a"), Failure { correlation_ids: vec![i.to_string()], field, ..failure(i) });
        }
        let row = failures.iter().next().unwrap().1;
        assert_eq!(row.correlation_ids, ["0", "1", "2", "3", "4"]);
        assert_eq!((row.field.as_deref(), row.count), (Some("field-2"), 9));
    }

    #[test]
    fn an_example_begins_with_what_it_is_about() {
        let said = |field: Option<&str>, limit: Option<&str>, message: Option<&str>| {
            let [field, limit, message] = [field, limit, message].map(|text| text.map(str::to_owned));
            Failure { message, field, limit, ..Failure::default() }.example()
        };
        assert_eq!(said(Some("type"), None, Some("must not be null")), "type: must not be null");
        assert_eq!(said(None, Some("rate of api"), Some("wait")), "limit rate of api: wait");
        assert_eq!(said(None, None, None), "");
    }
}
