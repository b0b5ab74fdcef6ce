//! `[target]`: where the API is, who allowed the load, and how connections are made.

use std::time::Duration;

use super::address::{Place, need_permission, url};
use super::tree::{Field, Table};
use super::{auth, simulator, transport};
use crate::scenario::{Auth, ConnectionOptions, Endpoint, Target, TokenPool};

const KEYS: [&str; 8] = ["simulator", "base_url", "region", "timeout", "give_up", "permission", "auth", "connection"];
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
    connection: ConnectionOptions,
}

impl Parts {
    /// The target, when all of it is right.
    pub(super) fn whole(self) -> Option<Target> {
        let (auth, tokens) = self.auth?;
        let Self { endpoint, timeout, give_up, connection, .. } = self;
        Some(Target { endpoint: endpoint?, auth, tokens, timeout, give_up, connection })
    }
}

/// Reads the table; `None` only after noting a mistake.
pub(super) fn read(root: &Table<'_>) -> Option<Parts> {
    let table = root.required("target", "add [target] with simulator = \"documented\" or a base_url")?.table(&KEYS)?;
    let place = place(&table);
    let time = |key| table.field(key).and_then(|field| field.positive_duration()).unwrap_or(DEFAULT_TIME);
    let (timeout, give_up) = (time("timeout"), time("give_up"));
    let is_allowed = is_allowed(&table);
    let address = table.field("base_url").or_else(|| table.field("region"));
    if let (Some(Endpoint::Url(url)), Some(field)) = (place.as_ref().map(|place| &place.endpoint), address) {
        need_permission(url, &field, is_allowed);
    }
    let auth = auth::read(&table, place.as_ref(), is_allowed);
    let endpoint = place.map(|place| place.endpoint);
    let connection = transport::read(&table, endpoint.as_ref(), auth.as_ref().map(|(auth, _)| auth), is_allowed);
    Some(Parts { endpoint, auth, timeout, give_up, connection })
}

fn place(table: &Table<'_>) -> Option<Place> {
    let named: Vec<Field<'_>> = ["simulator", "region", "base_url"].iter().filter_map(|key| table.field(key)).collect();
    match (named.as_slice(), table.field("simulator"), table.field("region")) {
        ([], ..) => {
            table.mistake(
                "has neither `simulator` nor `base_url` nor `region`; add simulator = \"documented\" for the embedded one",
            );
            None
        }
        ([field], Some(_), _) => simulator::read(field).map(Box::new).map(Endpoint::Simulator).map(Place::of),
        ([field], _, Some(_)) => Place::of_region(field),
        ([field], ..) => url(field).map(Endpoint::Url).map(Place::of),
        ([first, others @ ..], ..) => {
            for other in others {
                other.mistake(format_args!("stands beside `{}`; keep the one that you mean", first.name));
            }
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
