//! `[target]`: where the API is, and who allowed the load.

use std::time::Duration;

use url::{Host, Url};

use super::tree::{Field, Table};
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
        (Some(field), None) => simulator::read(&field).map(Endpoint::Simulator),
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

/// Notes a mistake where a host that is not this machine gets load without permission.
pub(super) fn need_permission(url: &Url, field: &Field<'_>, is_allowed: bool) {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if !is_loopback && !is_allowed {
        field.mistake(
            "is not on this machine; add `target.permission`, a text that says who allowed this load and when",
        );
    }
}

/// An address of a server. Messages do not quote it: it may hold credentials.
pub(super) fn url(field: &Field<'_>) -> Option<Url> {
    let text = field.text()?;
    let problem = match Url::parse(&text.value) {
        Err(error) => format!("is no URL ({error}); write one such as \"https://api.example.com\""),
        Ok(url) if !["http", "https"].contains(&url.scheme()) => {
            "is neither http nor https; use one of these".to_owned()
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "holds credentials; put them into [target.auth]".to_owned()
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            "holds a query or a fragment; put queries into the `path` of the variants".to_owned()
        }
        Ok(url) => return Some(url),
    };
    field.mistake(problem);
    None
}
