//! The organisation's limits as the API tells them.

use serde::Serialize;

use super::refusal::{MAX_BODY, to_json};
use crate::quota::{Cost, Dimension, Model, Quota, Scope};
use crate::scenario::Simulator;

/// The API's published default for the requests of an application's user, per minute.
const USER_RATE: u64 = 3_000;

/// The answers for both namespaces.
#[derive(Debug)]
pub(super) struct Limits {
    platform: Vec<u8>,
    conversation: Vec<u8>,
}

#[derive(Serialize)]
struct Listing<'a> {
    entities: Vec<Limit<'a>>,
}

#[derive(Serialize)]
struct Limit<'a> {
    key: &'a str,
    namespace: &'a str,
    value: u64,
}

impl Limits {
    /// What this configuration amounts to: what its quotas of each token admit in a minute, where it has one, and the
    /// published defaults of limits that it does not have.
    pub(super) fn new(config: &Simulator) -> Self {
        const PLATFORM: &str = "platform.api";
        let limit = |key, value| Limit { key, namespace: PLATFORM, value };
        let of_token = |quota: &&Quota| quota.scope == Scope::of([Dimension::Token]) && quota.cost == Cost::Request;
        let of_tokens = config.quotas.iter().filter(of_token);
        let per_minute = of_tokens.filter_map(|quota| per_minute(quota.limiter.model)).min();
        let mut entities = Vec::new();
        if let Some(value) = per_minute {
            entities.push(limit("client.credentials.token.rate.per.minute", value));
            entities.push(limit("token.rate.per.minute", value));
        }
        entities.push(limit("org.app.user.rate.per.minute", USER_RATE));
        entities.push(limit("request.bytes.max", MAX_BODY as u64));
        Self { platform: to_json(&Listing { entities }), conversation: to_json(&Listing { entities: Vec::new() }) }
    }

    /// The JSON of a namespace's limits.
    pub(super) fn of(&self, namespace: &str) -> Option<&[u8]> {
        match namespace {
            "platform.api" => Some(&self.platform),
            "conversation" => Some(&self.conversation),
            _ => None,
        }
    }
}

/// The rate of a model, in requests per minute, rounded to the nearest.
fn per_minute(model: Model) -> Option<u64> {
    let rate = model.rate()?;
    let nanos = u128::from(rate.count().get()) * std::time::Duration::from_mins(1).as_nanos();
    u64::try_from((nanos + rate.per().as_nanos() / 2) / rate.per().as_nanos()).ok()
}
