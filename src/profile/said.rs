//! What answers say about quotas: claims, to be held against what was measured.

use std::time::Duration;

use super::log::Answer;

/// What one answer says about quotas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// When the answer began to arrive.
    pub at: Duration,
    /// Whose request it answers: 0 for the key under test, else one of the others.
    pub key: usize,
    /// What became of that request.
    pub answer: Answer,
    /// Names in lower case and values of the headers about quotas, and `date` where there are any.
    pub headers: Vec<(String, String)>,
}
