//! What the API's organisation declares of its limits, where the API has a place for that.

use std::sync::Arc;

use url::Url;

use super::senders::Sender;
use crate::http::{Aside, HeaderValue};
use crate::profile::{Claim, claimed_limits};
use crate::scenario::{Rendered, Scenario};

/// The paths of the API that has one begin so.
const API: &str = "/api/v2/conversations/";

/// The place.
const PLACE: &str = "/api/v2/organizations/limits/namespaces/platform.api";

/// Whether the API that the key under test talks to declares its limits: then it is asked once, when the
/// profile is over, so that nothing of a quota is used up before.
#[must_use]
pub fn declares(scenario: &Scenario, tested: &Sender) -> bool {
    tested.path_shown(scenario).starts_with(API)
}

/// What it declares; nothing where it does not answer.
pub(super) async fn declared(scenario: Arc<Scenario>, base: &Url, authorization: Option<&HeaderValue>) -> Vec<Claim> {
    let Ok(aside) = Aside::new(scenario, base) else { return Vec::new() };
    let request = Rendered { path: PLACE.into(), headers: Vec::new(), body: None };
    match aside.send("GET", &request, authorization).await {
        Ok(reply) if reply.status == 200 => claimed_limits(&reply.body),
        _ => Vec::new(),
    }
}
