//! All that is known of one data row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::history::Repetition;
use super::order::{Entry, Glance};
use super::reading::Reading;

/// All that is known of a data row.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) keys: BTreeMap<Arc<str>, Log>,
    /// Writes that leave no value to look for.
    pub(super) untracked: Vec<Aside>,
    pub(super) repetitions: Vec<Repetition>,
    pub(super) untouched: Option<Untouched>,
}

/// The writes and looks of a register, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) writes: Vec<Entry>,
    pub(super) looks: Vec<Glance>,
}

/// A write that leaves no value to look for; its value is the number of its operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aside {
    pub(super) entry: Entry,
    /// It may have written the tracked attribute all the same.
    pub(super) names_key: bool,
}

/// Attributes that no request of the run names.
#[derive(Debug, Default)]
pub(super) struct Untouched {
    /// So many there were before the run.
    pub(super) compared: u64,
    /// Those that differed in every reading of the audit.
    pub(super) changed: BTreeSet<String>,
    /// So many of them had a value before the run.
    pub(super) there: u64,
    /// So many of those had none in any reading of the audit.
    pub(super) absent: u64,
    /// The readings of the audit.
    pub(super) readings: usize,
}

/// The readings of a resource before and after the run.
#[derive(Debug, Clone, Copy)]
pub struct Audit<'a> {
    /// The first data row that names the resource.
    pub row: u32,
    /// Before the run; without it, it is not known what was to stay, nor what was there.
    pub before: Option<&'a Reading>,
    /// After it; what differs in one of them only is not called missing.
    pub after: &'a [Reading],
    /// The keys that any request of the run names in its body.
    pub named: &'a BTreeSet<String>,
}

impl Untouched {
    /// Whether something differs that was not read so often, which is what it takes to say so.
    pub(super) fn is_in_doubt(&self, readings: usize) -> bool {
        !self.changed.is_empty() && self.readings < readings
    }

    /// What became of attributes that nobody names; `None` where either side is no map, or there is no audit.
    pub(super) fn between(before: &Reading, audit: &Audit<'_>) -> Option<Self> {
        let before = before.attributes.as_object()?;
        let after: Option<Vec<_>> = audit.after.iter().map(|reading| reading.attributes.as_object()).collect();
        let after = after.filter(|after| !after.is_empty())?;
        let mut untouched = Self { readings: after.len(), ..Self::default() };
        for (key, value) in before.iter().filter(|(key, _)| !audit.named.contains(*key)) {
            untouched.compared += 1;
            let shown = || after.iter().map(|after| after.get(key).unwrap_or(&Value::Null));
            if shown().all(|shown| shown != value) {
                untouched.changed.insert(key.clone());
            }
            untouched.there += u64::from(!value.is_null());
            untouched.absent += u64::from(!value.is_null() && shown().all(Value::is_null));
        }
        Some(untouched)
    }
}
