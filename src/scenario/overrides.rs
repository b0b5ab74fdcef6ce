//! What the command line sets instead of the scenario.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::pace::Stage;
use crate::units::Rate;

/// What the command line sets instead of the scenario.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// So many users all the time, instead of the stages; for as long as the stages are, unless `duration` says more.
    pub users: Option<u32>,
    /// One stage of this length, instead of the stages; with as many users as they have at most, unless `users` says more.
    pub duration: Option<Duration>,
    /// The rate of the limit; a scenario without a limit gets one for the whole run.
    pub rate: Option<Rate>,
    /// The seed.
    pub seed: Option<u64>,
}

impl Overrides {
    /// The one stage that replaces stages of this peak and length; `None` where nothing does.
    pub(super) fn stage(&self, peak: u32, length: Duration, spread: Duration) -> Option<Stage> {
        (self.users.is_some() || self.duration.is_some()).then(|| Stage::Hold {
            length: self.duration.unwrap_or(length),
            users: self.users.unwrap_or(peak),
            spread,
        })
    }

    /// What is overridden, for the record; `None` for nothing.
    pub(super) fn record(&self) -> Option<Value> {
        let entries = [
            ("users", self.users.map(|users| json!(users))),
            ("duration", self.duration.map(|length| json!(humantime::format_duration(length).to_string()))),
            ("rate", self.rate.map(|rate| json!(rate.to_string()))),
            ("seed", self.seed.map(|seed| json!(seed))),
        ];
        let record: Map<_, _> =
            entries.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        (!record.is_empty()).then_some(Value::Object(record))
    }
}
