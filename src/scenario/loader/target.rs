//! `[target]`: where the API is, and who allowed the load.

use std::time::Duration;

use super::address::{need_permission, url};
use super::tree::Table;
use super::{auth, simulator};
use crate::scenario::{Auth, Endpoint, Target, TokenPool};

const KEYS: [&str; 6] = ["simulator", "base_url", "timeout", "give_up", "permission", "auth"];
const DEFAULT_TIME: Duration = Duration::from_secs(10);

/// What could be read of the table: other parts of the scenario depend on some of it, even where the rest is wrong.
pub(super) struct Parts {
    /// `None` only after noting a mistake.
    pub(super) endpoint: Option<Endpoint>,
    /// `None` only after noting a mistake.
    auth: Option<(Auth, TokenPool)>,
    /// The time after which an attempt is given up.
    pub(super) timeout: Duration,
    give_up: Duration,
}

impl Parts {
    /// The target, when all of it is right.
    pub(super) fn whole(self) -> Option<Target> {
        let (auth, tokens) = self.auth?;
        Some(Target { endpoint: self.endpoint?, auth, tokens, timeout: self.timeout, give_up: self.give_up })
    }
}

/// Reads the table; `None` only after noting a mistake.
pub(super) fn read(root: &Table<'_>) -> Option<Parts> {
    let table = root.required("target", "add [target] with simulator = \"documented\" or a base_url")?.table(&KEYS)?;
    let endpoint = endpoint(&table);
    let time = |key| table.field(key).and_then(|field| field.positive_duration()).unwrap_or(DEFAULT_TIME);
    let (timeout, give_up) = (time("timeout"), time("give_up"));
    let is_allowed = is_allowed(&table);
    if let (Some(Endpoint::Url(url)), Some(field)) = (&endpoint, table.field("base_url")) {
        need_permission(url, &field, is_allowed);
    }
    let auth = auth::read(&table, endpoint.as_ref(), is_allowed);
    Some(Parts { endpoint, auth, timeout, give_up })
}

fn endpoint(table: &Table<'_>) -> Option<Endpoint> {
    match (table.field("simulator"), table.field("base_url")) {
        (Some(field), None) => simulator::read(&field).map(Box::new).map(Endpoint::Simulator),
        (None, Some(field)) => url(&field).map(Endpoint::Url),
        (Some(_), Some(url)) => {
            url.mistake("stands beside `target.simulator`; keep the one that you mean");
            None
        }
        (None, None) => {
            table
                .mistake("has neither `simulator` nor `base_url`; add simulator = \"documented\" for the embedded one");
            None
        }
    }
}

/// Whether somebody allowed the load.
fn is_allowed(table: &Table<'_>) -> bool {
    let Some(field) = table.field("permission") else { return false };
    let Some(text) = field.text() else { return true };
    if text.value.trim().is_empty() {
        field.mistake("is empty; write who allowed this load, and when");
    }
    true
}
