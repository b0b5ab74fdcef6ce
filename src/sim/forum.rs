//! The dialect `forum`: what five public threads tell of the API, as one behaviour each.
//!
//! The threads are those of the project's notes on its first target; each [`Form`] is a path with the payloads that its
//! thread speaks of. What contradicts the documentation is meant to: a scenario shows which payload does what. What a
//! thread does not speak of is ignored, as `If-Match` is, of which one thread hoped that it would help.
//!
//! | path below `/api/v2/` | it works | it does not |
//! |---|---|---|
//! | `conversations/C/participants/P`, `conversations/participants/P` | the map wrapped twice: 200 | 400 `validation_failure` |
//! | `conversations/web/C/participants/P` | type and map: 200 | 400 `invalid_request_body` without the right type, 409 for a full object out of step |
//! | `interactions/I/participants/P` | never: 200 whatever the fields, and nothing changes | 400 without `Content-Type` |
//! | `conversations/interactions/I/participants/P` | type and map: 200 | the same, 400 `invalid_request_body` without the right type, 409 for a stale version |
//! | `conversations/voice/conversations/C/participants/P` | the whole object: 204 | less of it: 204, and it goes again or never comes |
//! | `conversations/calls/C/participants/P` | PATCH with the map alone; PUT with `id` and `routing`: 200 | 400 `invalid_request_body`; 404 for a while after the call connects |
//!
//! On all of them the order of the documented dialect holds: 401, 429, 403, then the body, then the state: 404 for drafts,
//! 409 for participants that have left, the type, and what an object says of state and version.

use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::change::{Attributes, Change, Claims, Effect, Extent, State, fingerprint};
use super::form::Form;
use super::refusal::{Refusal, to_json};
use super::route::Call;
use crate::scenario::Role;

/// What a read shows of a participant: an object with all of it is whole.
const SHOWN: [&str; 6] = ["id", "purpose", "type", "state", "version", "attributes"];

/// The fields of a request's body.
type Fields = Map<String, Value>;

/// Reads a write of the forum, as far as the state does not matter.
pub(super) fn read(form: Form, call: &Call<'_>, body: &[u8]) -> Result<Change, Refusal> {
    let wants_content_type = matches!(form, Form::Interaction | Form::Typed);
    if wants_content_type && call.content_type.is_none_or(|value| value.trim_ascii().is_empty()) {
        return Err(Refusal::NoContentType);
    }
    let malformed = |error: serde_json::Error| Refusal::Malformed { reason: error.to_string() };
    let fields: Fields = serde_json::from_slice(body).map_err(malformed)?;
    let plain = |attributes: Attributes| Change {
        body: to_json(&json!({ "attributes": attributes })),
        attributes,
        extent: Extent::Merge,
        claims: Claims::default(),
        effect: Effect::Applied,
        status: StatusCode::OK,
        fingerprint: fingerprint(body),
    };
    match form {
        Form::Live => wrapped(&fields).map(plain),
        Form::Web => {
            // A whole object comes from a read, and bears the map under the name that it has there.
            let map = if is_whole(&fields) { "attributes" } else { "participantAttributes" };
            Ok(Change { claims: claims(&fields)?, ..plain(texts(&fields, map)?) })
        }
        Form::Interaction => {
            let attributes = texts(&fields, "attributes").unwrap_or_default();
            Ok(Change { effect: Effect::Ignored, ..plain(attributes) })
        }
        Form::Typed => Ok(Change { claims: claims(&fields)?, ..plain(texts(&fields, "attributes")?) }),
        Form::Voice => {
            let effect = if is_whole(&fields) { Effect::Applied } else { Effect::Fleeting };
            let change = plain(texts(&fields, "attributes")?);
            Ok(Change { effect, status: StatusCode::NO_CONTENT, body: Vec::new(), ..change })
        }
        Form::Sdk => {
            let (extent, attributes) = match *call.method {
                Method::PUT => (Extent::Replace, replacement(&fields)?),
                _ => (Extent::Merge, alone(&fields)?),
            };
            Ok(Change { claims: Claims { known: true, ..Claims::default() }, extent, ..plain(attributes) })
        }
    }
}

/// The map two levels deep.
fn wrapped(fields: &Fields) -> Result<Attributes, Refusal> {
    let data = fields.get("participantData").and_then(Value::as_object);
    let data = data.ok_or(Refusal::Shape { field: "participantData" })?;
    if !data.contains_key("customAttributes") {
        return Err(Refusal::Shape { field: "participantData.customAttributes" });
    }
    texts(data, "customAttributes")
}

/// What the body says of the participant: the type, which must be there, and what a full object says of state and version.
fn claims(fields: &Fields) -> Result<Claims, Refusal> {
    let role = match fields.get("type").map(Value::as_str) {
        None => return Err(Refusal::field("type", "is missing")),
        Some(Some("contact")) => Role::Customer,
        Some(Some("agent")) => Role::Agent,
        Some(_) => return Err(Refusal::field("type", "is neither contact nor agent")),
    };
    let state = match fields.get("state") {
        None => None,
        Some(value) => {
            let state = value.as_str().and_then(State::of_name);
            Some(state.ok_or_else(|| Refusal::field("state", "is no state of a conversation"))?)
        }
    };
    let version = match fields.get("version") {
        None => None,
        Some(value) => Some(version(value).ok_or_else(|| Refusal::field("version", "is no whole number"))?),
    };
    Ok(Claims { role: Some(role), state, version, known: false })
}

/// A version, as a number or as text: templates render either.
fn version(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Whether nothing that a read shows of a participant is missing.
fn is_whole(fields: &Fields) -> bool {
    SHOWN.iter().all(|field| fields.contains_key(*field))
}

/// The map of a body that holds nothing else.
fn alone(fields: &Fields) -> Result<Attributes, Refusal> {
    nothing_beside(fields, |field| field == "attributes")?;
    texts(fields, "attributes")
}

/// The attributes of an object that replaces the participant: none where it has none.
fn replacement(fields: &Fields) -> Result<Attributes, Refusal> {
    if let Some(missing) = ["id", "routing"].into_iter().find(|field| !fields.contains_key(*field)) {
        return Err(Refusal::field(missing, "is missing"));
    }
    nothing_beside(fields, |field| field == "routing" || SHOWN.contains(&field))?;
    if fields.contains_key("attributes") { texts(fields, "attributes") } else { Ok(Attributes::new()) }
}

/// Refuses fields beside the known ones.
fn nothing_beside(fields: &Fields, is_known: impl Fn(&str) -> bool) -> Result<(), Refusal> {
    match fields.keys().find(|field| !is_known(field)) {
        Some(surplus) => Err(Refusal::field(surplus, "is not known")),
        None => Ok(()),
    }
}

/// A flat map of texts.
fn texts(fields: &Fields, name: &str) -> Result<Attributes, Refusal> {
    let map = fields.get(name).ok_or_else(|| Refusal::field(name, "is missing"))?;
    let map = map.as_object().ok_or_else(|| Refusal::field(name, "must hold a map of texts"))?;
    map.iter()
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key.as_str().into(), text.as_str().into())),
            _ => Err(Refusal::field(format!("{name}.{key}"), "must hold text")),
        })
        .collect()
}

#[cfg(test)]
mod tests;
